//! Records, subjects and routes against their budgets, across feeds, bodies and threads.

use std::num::NonZeroU64;
use std::time::Duration;

use super::*;
use crate::meter::budget_pair::{BudgetWindow, metered};
use crate::meter::{Budget, FleetTime, KnownFleet, LeaseBook, LeaseGrant, LeaseReply, OnLoss, OverrunAction};
use crate::model::{Secret, UnixTime};

fn budgets(vendor: BudgetWindow, route: Option<BudgetWindow>) -> BudgetPair {
    BudgetPair { measure: Measure::Records, vendor, route }
}

fn at(ms: u64) -> Moment {
    Moment { wall: UnixTime::from_millis(ms), monotonic_ns: ms * 1_000_000 }
}

/// How many records of `wanted` pass in feeds of `feed` records.
fn pass(meter: &mut RecordMeter, wanted: u64, feed: u64) -> u64 {
    let passed = |i: &u64| {
        if i.is_multiple_of(feed) {
            meter.begin(at(1 + i / 1_000));
        }
        meter.on_record().is_ok()
    };
    (0..wanted).filter(passed).count() as u64
}

#[test]
fn record_n_plus_1_never_passes_whatever_the_feeds() {
    for feed in [1, 3, 31, 32, 33, 1_000, 100_000] {
        let (vendor, route) = (metered(50_000, OverrunAction::Kill), metered(60_000, OverrunAction::Refuse));
        let mut meter = RecordMeter::new(budgets(vendor.clone(), Some(route.clone())), None, 0, at(0));
        assert_eq!(pass(&mut meter, 70_000, feed), 50_000);
        let overrun = meter.overrun().unwrap();
        assert_eq!((overrun.over, overrun.of_route, overrun.measure), (OverrunAction::Kill, false, Measure::Records));
        assert_eq!(meter.drain(|_, _| ()), 50_000);
        drop(meter);
        assert_eq!(route.window.peek(at(71)).used, 50_000, "what was refused costs nothing anywhere");
    }
}

#[test]
fn a_routes_narrower_budget_ends_a_body_before_its_vendors() {
    let (vendor, route) = (metered(50_000, OverrunAction::Kill), metered(7, OverrunAction::Sever));
    let mut meter = RecordMeter::new(budgets(vendor.clone(), Some(route)), None, 0, at(0));
    assert_eq!(pass(&mut meter, 100, 10), 7);
    assert_eq!(meter.overrun().map(|overrun| (overrun.of_route, overrun.over)), Some((true, OverrunAction::Sever)));
    assert_eq!(vendor.window.peek(at(1)).used, 7);
    drop(meter);
    assert_eq!(vendor.window.peek(at(1)).used, 0, "nothing of it has left");
}

#[test]
fn granted_records_that_did_not_pass_are_given_back_at_the_end_of_a_feed_and_on_drop() {
    let vendor = metered(50_000, OverrunAction::Refuse);
    let mut meter = RecordMeter::new(budgets(vendor.clone(), None), None, 0, at(0));
    meter.on_record().unwrap();
    assert_eq!(vendor.window.peek(at(1)).used, RECORDS_AT_ONCE);
    meter.settle();
    assert_eq!(vendor.window.peek(at(1)).used, 1);
    meter.on_record().unwrap();
    meter.settle();
    assert_eq!((vendor.window.peek(at(1)).used, meter.drain(|_, _| ())), (2, 2));
    drop(meter);
    assert_eq!(vendor.window.peek(at(1)).used, 2, "what has left stays charged");
    let near = metered(FAR_FROM_SPENT - 1, OverrunAction::Refuse);
    let mut meter = RecordMeter::new(budgets(near.clone(), None), None, 0, at(0));
    meter.on_record().unwrap();
    assert_eq!(near.window.peek(at(1)).used, 1, "near the budget nothing is taken ahead");
}

#[test]
fn concurrent_bodies_together_get_exactly_the_budget() {
    let vendor = metered(50_000, OverrunAction::Sever);
    let run = || {
        let mut meter = RecordMeter::new(budgets(vendor.clone(), None), None, 0, at(0));
        let passed = pass(&mut meter, 40_000, 77);
        meter.drain(|_, _| ());
        passed
    };
    let passed: u64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(passed, 50_000);
}

#[test]
fn subjects_are_reported_as_hashes_and_a_new_one_too_many_ends_the_body_before_its_next_record() {
    let budget =
        Budget { budget: NonZeroU64::new(3).unwrap(), window: Duration::from_secs(3600), over: OverrunAction::Kill };
    let subjects_of_vendor = SubjectGuard {
        key: SubjectKey::new(Secret::new([1; 32])),
        subjects: Some(Arc::new(SubjectCounter::new(budget))),
    };
    let (send, told) = std::sync::mpsc::channel();
    let mut meter =
        RecordMeter::new(budgets(metered(1_000_000, OverrunAction::Refuse), None), Some(subjects_of_vendor), 2, at(0))
            .with_subject_listener(Box::new(move |subject| send.send(subject).unwrap()));
    let mut passed = 0;
    for name in ["a", "b", "a", "c", "d", "e", "a"] {
        passed += u64::from(meter.on_record().is_ok());
        meter.on_subject(name.as_bytes());
        meter.on_treated(1);
        meter.on_treated(9);
    }
    assert_eq!(passed, 5, "the fourth subject's record passes, the one after it does not");
    assert_eq!(
        meter.overrun().map(|overrun| (overrun.measure, overrun.over)),
        Some((Measure::Subjects, OverrunAction::Kill))
    );
    assert_eq!(told.try_iter().count(), 0, "nothing has left yet");
    let mut treated = Vec::new();
    assert_eq!(meter.drain(|rule, count| treated.push((rule, count))), 5);
    let hashes: std::collections::HashSet<_> = told.try_iter().collect();
    assert_eq!(hashes.len(), 5);
    assert_eq!(treated, [(1, 7)]);
}

/// A window of the fleet, and its book.
fn leased(budget: u64, on_loss: OnLoss) -> (BudgetWindow, Arc<LeaseBook>) {
    let (vendor, book) =
        (metered(budget, OverrunAction::Kill), LeaseBook::new("a#1".into(), on_loss, KnownFleet::default(), 0));
    vendor.window.join_fleet(|terms| book.pool("acme:ingress:records", terms), at(0));
    (vendor, book)
}

/// The engine grants so much, of which all gateways have used `used` then.
fn grant(book: &LeaseBook, granted: u64, used: u64, ms: u64) {
    let pools = book.due(at(ms).monotonic_ns);
    assert_eq!(book.call(&pools, at(ms).monotonic_ns).asks.len(), 1);
    let time = FleetTime { epoch: "e".to_owned(), now_ms: 1_000_000 + ms, nodes: 2, is_recovering: false };
    let (slot, used_at_ms) = (1_000_000, 1_000_000 + ms);
    let grant = LeaseGrant { granted, slot, own: granted, used, used_at_ms, retry_ms: 700, is_recovering: false };
    book.answered(&pools, &LeaseReply { time, grants: vec![grant] }, at(ms).monotonic_ns);
}

#[test]
fn records_that_pass_ahead_of_their_lease_wait_for_it_and_a_spent_fleet_kills() {
    let (vendor, book) = leased(100, OnLoss::Share);
    grant(&book, 1, 1, 1);
    let mut meter = RecordMeter::new(budgets(vendor.clone(), None), None, 0, at(2));
    assert_eq!(pass(&mut meter, 5, 100), 5);
    assert_eq!(
        meter.cover(at(2)).map_err(|overrun| (overrun.cause, overrun.over)),
        Err((SpentCause::Lease, OverrunAction::Refuse))
    );
    grant(&book, 5, 99, 3);
    assert_eq!(meter.cover(at(3)), Ok(()));
    meter.keep();
    meter.begin(at(4));
    assert_eq!((meter.on_record(), meter.overrun()), (Ok(()), None), "the lease has one more");
    grant(&book, 0, 100, 300);
    assert_eq!(meter.on_record(), Err(RecordBudgetSpent));
    let overrun = meter.overrun().unwrap();
    assert_eq!((overrun.cause, overrun.over), (SpentCause::Budget, OverrunAction::Kill));
    assert_eq!((meter.drain(|_, _| ()), vendor.window.remaining_ratio(at(301))), (6, 0.0));
}

#[test]
fn an_engine_that_is_away_refuses_and_never_kills() {
    let (vendor, book) = leased(100, OnLoss::Deny);
    grant(&book, 3, 3, 1);
    book.unanswered(&[], at(2).monotonic_ns);
    let mut meter = RecordMeter::new(budgets(vendor.clone(), None), None, 0, at(3));
    assert_eq!(pass(&mut meter, 9, 100), 3, "what is left of the lease");
    let overrun = meter.overrun().unwrap();
    assert_eq!((overrun.cause, overrun.over), (SpentCause::Share, OverrunAction::Refuse));
    meter.forget();
    let mut late = RecordMeter::new(budgets(vendor, None), None, 0, at(2_000));
    assert_eq!(late.on_record(), Err(RecordBudgetSpent), "a lease ends by the clock of its holder");
}
