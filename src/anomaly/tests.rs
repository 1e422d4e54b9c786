//! Weeks of one vendor, usual and not.

use std::time::Duration;

use super::*;

const DAY: u64 = 86_400;
const HOUR: u64 = 3_600;
/// A Thursday, as every multiple of a week since 1970.
const BEGIN: u64 = 2_800 * 7 * DAY;

fn at(second: u64) -> UnixTime {
    UnixTime::from_secs(BEGIN + second)
}

/// Records of ten seconds: busy from 8 to 18 h, a batch at 2 h for five minutes, and a little noise.
fn usual(second: u64) -> u64 {
    let (hour, in_hour) = (second / HOUR % 24, second % HOUR);
    let noise = second.wrapping_mul(2_654_435_761) >> 13 & 7;
    match hour {
        2 if in_hour < 300 => 400 + noise,
        8..18 => 100 + noise,
        _ => noise / 4,
    }
}

fn tick(records: u64) -> VendorTick {
    VendorTick { counts: [0, records, 0, 0, 0], ..VendorTick::default() }
}

fn records(vendor: &VendorAnomalies, second: u64) -> AnomalyScore {
    let scores = vendor.scores(at(second));
    scores.into_iter().find(|found| found.signal == AnomalySignal::Records).expect("a baseline")
}

/// A vendor with some usual days.
fn known(days: u64) -> VendorAnomalies {
    let mut vendor = VendorAnomalies::default();
    (0..days * DAY).step_by(10).for_each(|second| {
        vendor.tick(at(second), &tick(usual(second)));
    });
    vendor
}

/// The seconds until the score reaches 8, while `extra` records come in each ten seconds beside the usual ones.
fn found_after(vendor: &mut VendorAnomalies, from: u64, extra: u64, within: u64) -> Option<u64> {
    let is_found = |second: &u64| {
        vendor.tick(at(from + second), &tick(usual(from + second) + extra));
        records(vendor, from + second).score >= 8.0
    };
    (0..within).step_by(10).find(is_found)
}

#[test]
fn quiet_weeks_never_alarm_and_a_nightly_batch_is_usual() {
    let mut vendor = known(14);
    for second in (14 * DAY..21 * DAY).step_by(10) {
        vendor.tick(at(second), &tick(usual(second)));
        let found = records(&vendor, second);
        assert!(found.score < 4.0 && found.usual.is_some(), "{second}: {found:?}");
    }
}

#[test]
fn nothing_is_scored_before_three_days_are_known() {
    let mut vendor = known(2);
    assert_eq!(found_after(&mut vendor, 2 * DAY, 100_000, HOUR), None);
    let found = records(&vendor, 2 * DAY + HOUR);
    assert_eq!((found.usual, found.score), (None, 0.0));
}

#[test]
fn a_burst_is_found_within_a_minute_and_a_pull_by_night_within_ten() {
    let noon = 14 * DAY + 12 * HOUR;
    let burst = found_after(&mut known(14), noon, 1_000, HOUR);
    assert!(burst.is_some_and(|delay| delay <= 60), "{burst:?}");
    // As much as on any day, but at 23 h.
    let night = found_after(&mut known(14), 14 * DAY + 23 * HOUR, 100, HOUR);
    assert!(night.is_some_and(|delay| delay <= 600), "{night:?}");
}

#[test]
fn a_slow_theft_adds_up_over_hours() {
    let found = found_after(&mut known(28), 28 * DAY + 9 * HOUR, 45, DAY);
    assert!(found.is_some_and(|delay| delay > 600), "{found:?}");
}

#[test]
fn a_quiet_holiday_is_no_anomaly_and_neither_is_the_day_after() {
    let mut vendor = known(21);
    for second in (21 * DAY..23 * DAY).step_by(10) {
        vendor.tick(at(second), &tick(usual(second) / 10));
    }
    for second in (23 * DAY..24 * DAY).step_by(10) {
        vendor.tick(at(second), &tick(usual(second)));
        assert!(records(&vendor, second).score < 4.0, "{second}");
    }
}

#[test]
fn a_vendor_that_grows_for_good_is_usual_again_within_ten_days() {
    let mut vendor = known(21);
    for second in (21 * DAY..35 * DAY).step_by(10) {
        vendor.tick(at(second), &tick(usual(second) * 3 / 2));
        assert!(second < 31 * DAY || records(&vendor, second).score < 8.0, "{}", second as f64 / DAY as f64);
    }
}

#[test]
fn a_trip_waits_for_its_time_and_a_restore_does_not_meet_it_again() {
    let mut vendor = known(14);
    let trip = AnomalyTrip { signal: AnomalySignal::Records, score: 8, hold: Duration::from_secs(30) };
    let trips = |vendor: &mut VendorAnomalies, second| {
        let scores = vendor.scores(at(second));
        vendor.trips(&trip, &scores, at(second))
    };
    let noon = 14 * DAY + 12 * HOUR;
    let mut tripped = Vec::new();
    for second in (noon..noon + 120).step_by(10) {
        vendor.tick(at(second), &tick(50_000));
        tripped.extend(trips(&mut vendor, second).map(|_| second - noon));
    }
    assert_eq!(tripped.first(), Some(&20), "{tripped:?}");
    vendor.tick(at(noon + 120), &VendorTick { killed: true, ..tick(0) });
    vendor.tick(at(noon + 130), &tick(usual(noon)));
    assert_eq!(trips(&mut vendor, noon + 130), None);
    assert!(records(&vendor, noon + 130).score < 1.0);
}

#[test]
fn a_route_is_new_once_and_only_for_a_vendor_that_is_known() {
    let mut vendor = VendorAnomalies::default();
    let uses = |routes: &[&str]| VendorTick {
        routes: routes.iter().map(ToString::to_string).collect(),
        ..VendorTick::default()
    };
    let score = |vendor: &VendorAnomalies, second| {
        let scores = vendor.scores(at(second));
        scores.into_iter().find(|found| found.signal == AnomalySignal::NewRoutes).expect("a score").score
    };
    vendor.tick(at(0), &uses(&["ingress GET /a"]));
    vendor.tick(at(DAY), &uses(&["ingress GET /a", "ingress GET /b"]));
    assert_eq!(score(&vendor, DAY), 0.0, "its first week");
    vendor.tick(at(8 * DAY), &uses(&["ingress GET /a", "ingress GET /c"]));
    assert_eq!((score(&vendor, 8 * DAY), score(&vendor, 8 * DAY + 599)), (8.0, 8.0));
    assert_eq!(score(&vendor, 8 * DAY + 600), 0.0);
    vendor.tick(at(9 * DAY), &uses(&["ingress GET /c"]));
    assert_eq!(score(&vendor, 9 * DAY), 0.0);
}

#[test]
fn what_was_learned_survives_a_restart() {
    let vendor = known(14);
    let text = serde_json::to_string(&vendor.row()).unwrap();
    assert!(text.len() < 2_000, "{} bytes", text.len());
    let read: AnomalyRow = serde_json::from_str(&text).unwrap();
    let mut again = VendorAnomalies::from(read);
    let burst = found_after(&mut again, 14 * DAY + 12 * HOUR, 1_000, HOUR);
    assert!(burst.is_some_and(|delay| delay <= 60), "{burst:?}");
    let mut again = VendorAnomalies::from(vendor.row());
    for second in (14 * DAY..15 * DAY).step_by(10) {
        again.tick(at(second), &tick(usual(second)));
        assert!(records(&again, second).score < 4.0, "{second}");
    }
    let damaged = text.replace("\"slots\":\"", "\"slots\":\"x");
    let anew = VendorAnomalies::from(serde_json::from_str::<AnomalyRow>(&damaged).unwrap());
    assert!(anew.scores(at(0)).iter().all(|found| found.signal == AnomalySignal::NewRoutes), "learned anew");
}

#[test]
fn a_clock_that_jumps_neither_panics_nor_alarms() {
    let mut vendor = known(14);
    for second in [14 * DAY, 10 * DAY, 400 * DAY, 400 * DAY + 10, 3, 400 * DAY + 20] {
        vendor.tick(at(second), &tick(usual(second)));
        assert!(records(&vendor, second).score < 8.0, "{second}");
    }
}
