//! Each promise of the kill switch by name.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::*;
use crate::model::{ClientId, Direction, UnixTime};

const ALL: &str = "{}";

fn enter(gate: &VendorGate) -> InFlight {
    gate.register(Direction::Ingress, RouteTag::of("GET /a"), Some(&ClientId::new("c")))
}

#[test]
fn a_kill_severs_what_is_in_flight_and_refuses_what_is_new() {
    run(async {
        let bench = Bench::new();
        let (acme, other) = (bench.gate("acme"), bench.gate("other"));
        let mut in_flight = enter(&acme);
        let body = in_flight.share();
        assert!(in_flight.check().is_ok());
        let task = tokio::spawn(async move { in_flight.severed().await });
        let task2 = tokio::spawn(async move {
            let mut body = body;
            body.severed().await;
        });
        tokio::task::yield_now().await;
        let answer = bench.kill("acme", ALL).await;
        assert!(task.is_finished() && task2.is_finished(), "gone before the answer");
        assert_eq!((answer.severed, answer.lingering, answer.generation), (1, 0, 1));
        assert!(!answer.persisted, "memory is not kept");
        let late = enter(&acme);
        let killed = late.check().unwrap_err();
        assert_eq!((killed.generation, killed.by.as_str()), (1, "alice"));
        assert!(enter(&other).check().is_ok(), "nobody else is touched");
        assert_eq!(bench.acts(), [AuditAct::Kill]);
    });
}

#[test]
fn what_does_not_leave_is_counted_at_the_deadline() {
    run(async {
        let bench = Bench::new();
        let stuck = enter(&bench.gate("acme"));
        let answer = bench.kill("acme", ALL).await;
        assert_eq!((answer.severed, answer.lingering), (1, 1));
        assert!(stuck.is_severed());
        let leaving = async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            drop(stuck);
        };
        let (again, ()) = tokio::join!(bench.kill("acme", ALL), leaving);
        assert_eq!((again.severed, again.lingering, again.generation), (0, 0, 1));
        assert!(again.sever_micros >= 5_000, "the second order waits for it too");
        assert_eq!(bench.gate("acme").severed_total(), 1);
    });
}

#[test]
fn a_kill_covers_what_its_selector_covers_and_no_more() {
    let table = [
        (ALL, [true, true, true]),
        (r#"{"direction":"egress"}"#, [false, false, true]),
        (r#"{"route":"GET /a"}"#, [true, false, false]),
        (r#"{"client":"d"}"#, [false, true, false]),
        (r#"{"client":"c","direction":"egress"}"#, [false, false, false]),
    ];
    for (selector, expected) in table {
        run(async {
            let bench = Bench::new();
            let gate = bench.gate("acme");
            let traffic = || {
                [
                    gate.register(Direction::Ingress, RouteTag::of("GET /a"), Some(&ClientId::new("c"))),
                    gate.register(Direction::Ingress, RouteTag::of("GET /b"), Some(&ClientId::new("d"))),
                    gate.register(Direction::Egress, RouteTag::NONE, None),
                ]
            };
            let before = traffic();
            drop(bench.switch.kill(bench.order("acme", selector)).unwrap());
            assert_eq!(before.each_ref().map(InFlight::is_severed), expected, "{selector}");
            assert_eq!(traffic().each_ref().map(|late| late.check().is_err()), expected, "{selector}");
            let state = if selector == ALL { KillState::Killed } else { KillState::PartlyKilled };
            assert_eq!(bench.switch.status()[0].state, state, "{selector}");
        });
    }
}

#[test]
fn a_preview_cuts_nothing() {
    let bench = Bench::new();
    let held = [enter(&bench.gate("acme")), enter(&bench.gate("acme"))];
    let preview = bench.switch.preview(&target("acme"), KillSelector::default()).unwrap();
    assert_eq!((preview.ingress, preview.egress, preview.state), (2, 0, VendorState::Live));
    assert!(held.iter().all(|held| held.check().is_ok()));
    assert!(bench.switch.preview(&target("nobody"), KillSelector::default()).is_err());
}

#[test]
fn a_restore_needs_a_person_a_reason_and_something_to_lift() {
    run(async {
        let bench = Bench::new();
        let gate = bench.gate("acme");
        assert!(matches!(bench.restore("nobody", ALL, "bob", 1).await, Err(KillError::UnknownVendor)));
        assert!(matches!(bench.restore("acme", ALL, "bob", 1).await, Err(KillError::NotKilled)));
        bench.kill("acme", ALL).await;
        assert!(matches!(bench.restore("acme", ALL, " ", 1).await, Err(KillError::Unexplained)));
        assert!(matches!(bench.restore("acme", r#"{"client":"c"}"#, "bob", 1).await, Err(KillError::NotKilled)));
        let severed = enter(&gate);
        let restored = bench.restore("acme", ALL, "bob", 1).await.unwrap();
        assert_eq!((restored.state, restored.lifted, restored.generation), (VendorState::Live, 1, 2));
        assert!(enter(&gate).check().is_ok());
        drop(severed);
        assert_eq!(bench.kill("acme", ALL).await.generation, 3, "a new kill, a new generation");
        assert!(matches!(bench.switch.kill(bench.order("nobody", ALL)), Err(KillError::UnknownVendor)));
    });
}

#[test]
fn a_restore_can_need_two_people() {
    run(async {
        let bench = Bench::new();
        bench.gate("acme");
        bench.kill("acme", ALL).await;
        for _ in 0..2 {
            let first = bench.restore("acme", ALL, "alice", 2).await.unwrap();
            assert_eq!(
                (first.state, first.approvals.given),
                (VendorState::Killed, 1),
                "one person is one, however often"
            );
        }
        bench.kill("acme", r#"{"client":"c"}"#).await;
        let again = bench.restore("acme", ALL, "bob", 2).await.unwrap();
        assert_eq!(again.state, VendorState::Killed, "a new kill asks for new approvals");
        assert_eq!(bench.restore("acme", r#"{"client":"c"}"#, "carol", 2).await.unwrap().lifted, 0, "of another reach");
        assert_eq!(bench.restore("acme", ALL, "carol", 2).await.unwrap().state, VendorState::Live);
    });
}

#[test]
fn everything_is_killed_and_comes_back_one_by_one_or_together() {
    run(async {
        let bench = Bench::new();
        let (a, b) = (bench.gate("a"), bench.gate("b"));
        bench.kill("b", ALL).await;
        let answer = bench.kill("*", ALL).await;
        assert_eq!((answer.vendor.as_str(), answer.generation), ("*", 2));
        let newcomer = bench.gate("newcomer");
        for gate in [&a, &b, &newcomer] {
            assert!(enter(gate).check().is_err(), "{gate:?}");
        }
        bench.restore("a", ALL, "bob", 1).await.unwrap();
        assert!(enter(&a).check().is_ok() && enter(&newcomer).check().is_err());
        assert!(bench.kill("*", ALL).await.generation > 2, "it stands against fewer, so this is a new one");
        assert!(enter(&a).check().is_err());
        bench.restore("*", ALL, "bob", 1).await.unwrap();
        assert!(enter(&a).check().is_ok() && enter(&newcomer).check().is_ok());
        assert!(enter(&b).check().is_err(), "b was killed by itself too");
    });
}

#[test]
fn kills_are_found_again_after_a_restart() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        {
            let bench = Bench::on(Store::open(folder.path()).unwrap());
            bench.gate("acme");
            bench.gate("other");
            assert!(bench.kill("acme", r#"{"client":"c"}"#).await.persisted);
            assert!(bench.kill("*", ALL).await.persisted);
            bench.restore("other", ALL, "bob", 1).await.unwrap();
            assert!(bench.switch.status().iter().all(|vendor| vendor.persisted));
        }
        let bench = Bench::on(Store::open(folder.path()).unwrap());
        assert!(enter(&bench.gate("acme")).check().is_err());
        assert!(enter(&bench.gate("newcomer")).check().is_err());
        assert!(enter(&bench.gate("other")).check().is_ok());
        assert_eq!(bench.switch.status()[0].kills[0].reason, "breach");
        assert_eq!(bench.kill("other", ALL).await.generation, 4, "generations go on");
    });
}

#[test]
fn state_that_cannot_be_read_kills_everything_until_someone_decides() {
    run(async {
        let store = Store::in_memory().unwrap();
        let mut batch = crate::store::WriteBatch::new();
        batch.put_bytes(crate::store::StoreTable::Kills, b"acme", b"\x01{\"kills\":".to_vec());
        store.write_blocking(batch).unwrap();
        let seen = Arc::default();
        let switch = Arc::new(KillSwitch::start(Ok(store), Clock::system(), listener(&seen)).unwrap());
        let bench = Bench { switch, seen };
        assert!(bench.switch.is_undecided() && enter(&bench.gate("acme")).check().is_err());
        bench.restore("*", ALL, "bob", 1).await.unwrap();
        assert!(!bench.switch.is_undecided() && enter(&bench.gate("acme")).check().is_ok());
    });
}

#[test]
fn a_torn_file_starts_with_everything_killed_and_a_second_process_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let start = |opened| KillSwitch::start(opened, Clock::system(), listener(&Arc::default()));
    {
        let switch = start(Store::open(folder.path())).unwrap();
        assert!(!switch.is_undecided());
        assert!(start(Store::open(folder.path())).is_err());
    }
    std::fs::write(folder.path().join("state.redb"), b"torn").unwrap();
    let switch = start(Store::open(folder.path())).unwrap();
    assert!(switch.is_undecided() && enter(&switch.gate(&vendor("acme"))).check().is_err());
}

#[test]
fn a_full_disk_stops_no_kill_and_every_restore() {
    run(async {
        let full = Arc::new(AtomicBool::new(false));
        let bench = Bench::on(crate::store::faulty::store(&full));
        let gate = bench.gate("acme");
        full.store(true, Ordering::SeqCst);
        let answer = bench.kill("acme", ALL).await;
        assert!(!answer.persisted && enter(&gate).check().is_err());
        assert!(!bench.switch.retry_unconfirmed().await);
        assert!(matches!(bench.restore("acme", ALL, "bob", 1).await, Err(KillError::NotPersisted(_))));
        assert!(enter(&gate).check().is_err());
        full.store(false, Ordering::SeqCst);
        assert!(bench.switch.retry_unconfirmed().await, "written when there is room");
        let reread = KillSwitch::load(bench.switch.store.clone(), Clock::system(), listener(&Arc::default())).unwrap();
        assert!(enter(&reread.gate(&vendor("acme"))).check().is_err());
        assert_eq!(bench.restore("acme", ALL, "bob", 1).await.unwrap().state, VendorState::Live);
    });
}

#[test]
fn a_trip_kills_once_and_keeps_the_evidence_within_a_bound() {
    run(async {
        let bench = Bench::new();
        let gate = bench.gate("acme");
        let stream = enter(&gate);
        for i in 0..100 {
            let evidence =
                Evidence { at: UnixTime::from_millis(i), kind: "records_exceeded".into(), detail: format!("{i}") };
            bench.switch.trip(&vendor("acme"), evidence, None, bench.switch.clock.now());
        }
        assert!(stream.is_severed() && enter(&gate).check().is_err());
        let status = bench.switch.status().remove(0);
        let kill = &status.kills[0];
        assert_eq!((kill.origin, kill.by.as_str()), (KillOrigin::Trip, GATEWAY_ACTOR));
        assert_eq!((kill.evidence.len() as u64 + kill.more_evidence, kill.evidence[0].detail.as_str()), (100, "0"));
        assert_eq!(bench.acts(), [AuditAct::Kill], "told once");
        assert!(bench.switch.retry_unconfirmed().await);
    });
}

#[test]
fn a_kill_can_be_ordered_for_later() {
    run(async {
        let bench = Bench::new();
        let gate = bench.gate("acme");
        let now = bench.switch.clock.now();
        let soon = now.wall.plus(Duration::from_secs(60));
        let row = bench.switch.schedule(&bench.order("acme", ALL), soon).await.unwrap();
        let second = bench.switch.schedule(&bench.order("acme", ALL), soon).await.unwrap();
        bench.switch.unschedule(second.id, "bob", "mistake", now).await.unwrap();
        let restarted = Bench::on(bench.switch.store.clone());
        assert_eq!(restarted.switch.scheduled(), [row]);
        assert!(bench.switch.kill_due(now).await.is_empty() && enter(&gate).check().is_ok());
        let then = crate::model::Moment { wall: soon, ..now };
        assert_eq!(bench.switch.kill_due(then).await.len(), 1);
        assert!(enter(&gate).check().is_err() && bench.switch.scheduled().is_empty());
        assert!(Bench::on(bench.switch.store.clone()).switch.scheduled().is_empty());
    });
}

#[test]
fn a_drill_cuts_times_and_turns_back_and_a_shadow_cuts_nothing() {
    run(async {
        let bench = Bench::new();
        let acme = vendor("acme");
        let gate = bench.gate("acme");
        let mut stream = enter(&gate);
        let now = bench.switch.clock.now();
        let shadow = bench.switch.drill(&acme, true, "bob", "exercise", now).await.unwrap();
        assert_eq!((shadow.severed, shadow.state, stream.is_severed()), (1, VendorState::Live, false));
        let reader = tokio::spawn(async move { stream.severed().await });
        let drill = bench.switch.drill(&acme, false, "bob", "exercise", bench.switch.clock.now()).await.unwrap();
        reader.await.unwrap();
        assert_eq!((drill.severed, drill.state, drill.shadow), (1, VendorState::Live, false));
        assert!(drill.refuse_micros <= drill.sever_micros && drill.sever_micros <= drill.persist_micros);
        assert!(enter(&gate).check().is_ok());
        assert_eq!(bench.switch.status()[0].last_drill.clone().map(DrillReport::from), Some(drill));
        assert!(bench.acts().contains(&AuditAct::Drill));
        bench.kill("acme", ALL).await;
        assert!(matches!(bench.switch.drill(&acme, true, "bob", "exercise", now).await, Err(KillError::AlreadyKilled)));
    });
}

#[test]
fn a_cut_ends_what_is_in_flight_but_the_one_it_spares_and_lets_the_next_in() {
    let bench = Bench::new();
    let gate = bench.gate("acme");
    let (held, own) = ([enter(&gate), enter(&gate)], enter(&gate));
    assert_eq!(gate.sever_in_flight("records_exceeded", None, UnixTime::default(), &own.share()), 2);
    assert_eq!(gate.sever_in_flight("records_exceeded", None, UnixTime::default(), &own), 0);
    assert!(own.check().is_ok() && !own.is_severed());
    let cause = held[0].check().unwrap_err();
    assert_eq!((cause.generation, cause.reason.as_str()), (0, "records_exceeded"));
    assert!(enter(&gate).check().is_ok() && bench.switch.status()[0].state == KillState::Live);
}
