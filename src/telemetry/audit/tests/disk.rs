//! Disks that fill up, crashes, floods and readers that follow.

use std::time::Duration;

use super::*;
use crate::model::{ClientId, Direction, Reason, VendorId};

#[test]
fn rotation_carries_the_chain() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { rotate_bytes: 1_000, ..settings(folder.path()) };
    record(&open(&settings), 0..20);
    record(&open(&settings), 20..40);
    let files = files::rotated(&settings.path).unwrap();
    assert!(files.len() > 3, "{files:?}");
    let summary = verify_files(&settings.path, &key()).unwrap();
    assert_eq!((summary.first, summary.position.seq), (1, summary.lines));
    let alone = |file: &Path| verify(fs::read(file).unwrap().as_slice(), &key(), None, None);
    assert!(alone(&files[2]).unwrap().end_proven, "a finished file proves its own end");
    rewrite(&files[2], |all| drop(all.pop()));
    assert!(!alone(&files[2]).unwrap().end_proven);
    assert!(matches!(verify_files(&settings.path, &key()).unwrap_err().why, Why::Truncated { .. }));
    fs::remove_file(&files[2]).unwrap();
    assert!(matches!(verify_files(&settings.path, &key()).unwrap_err().why, Why::Missing { .. }));
    fs::remove_file(&files[0]).unwrap();
    fs::remove_file(&files[1]).unwrap();
    assert!(verify_files(&settings.path, &key()).unwrap().first > 1, "old files may be put away from the front");
}

#[test]
fn a_change_of_files_that_fails_or_is_cut_short_is_taken_up_again() {
    for crash in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings { rotate_bytes: 1_000, ..settings(folder.path()) };
        let faults = Faults::default();
        faults.stuck.store(true, Ordering::SeqCst);
        let audit = faults.audit(&settings);
        let results: Vec<_> = (0..6).map(|number| wait(audit.record(entry(number)))).collect();
        assert!(results[0].is_ok() && results[5].is_err() && audit.health().failing);
        if !crash {
            faults.stuck.store(false, Ordering::SeqCst);
            record(&audit, 6..8);
        }
        drop(audit);
        record(&open(&settings), 8..10);
        let summary = verify_files(&settings.path, &key()).unwrap();
        assert!(!files::rotated(&settings.path).unwrap().is_empty(), "{summary:?}");
    }
}

#[test]
fn a_half_line_after_a_crash_is_cut_off_and_said() {
    let (_folder, settings) = sample(3);
    let mut bytes = fs::read(&settings.path).unwrap();
    bytes.extend_from_slice(b"{\"seq\":4,\"time\":\"20");
    fs::write(&settings.path, bytes).unwrap();
    record(&open(&settings), 3..4);
    assert_eq!(verify_files(&settings.path, &key()).unwrap().lines, 5);
    assert!(lines(&settings.path)[3].contains(r#""act":"resumed""#));
}

#[test]
fn a_trail_cut_while_the_gateway_was_down_stays_broken() {
    for keep in [0, 2] {
        let (_folder, settings) = sample(4);
        rewrite(&settings.path, |all| all.truncate(keep));
        record(&open(&settings), 4..6);
        record(&open(&settings), 6..7);
        let broken = verify_files(&settings.path, &key()).unwrap_err();
        assert!(matches!(broken.why, Why::Missing { to: 4, .. } | Why::Changed), "{keep}: {broken}");
        assert!(lines(&settings.path).iter().any(|line| line.contains("cut off the end")));
    }
}

#[test]
fn a_full_disk_keeps_the_lines_and_stops_only_where_asked() {
    for (on_failure, stops) in [(OnFailure::KeepServing, false), (OnFailure::Stop, true)] {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path());
        let settings = Settings { on_failure, ..settings };
        let faults = Faults::default();
        let audit = faults.audit(&settings);
        record(&audit, 0..2);
        faults.full.store(true, Ordering::SeqCst);
        for number in 2..5 {
            assert!(wait(audit.record(entry(number))).is_err());
        }
        let health = audit.health();
        assert!(health.failing && health.errors >= 3 && health.position.seq == 2, "{health:?}");
        assert_eq!(audit.must_stop(), stops);
        faults.full.store(false, Ordering::SeqCst);
        record(&audit, 5..6);
        assert!(!audit.must_stop() && !audit.health().failing);
        drop(audit);
        let summary = verify_files(&settings.path, &key()).unwrap();
        assert_eq!(summary.lines, 6, "what waited is there, in order");
    }
}

#[test]
fn what_memory_cannot_hold_is_counted_in_the_trail() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let faults = Faults::default();
    faults.full.store(true, Ordering::SeqCst);
    let shared = Arc::new(Shared::new(Position::START, OnFailure::KeepServing));
    let writer = faults.writer(&settings, &shared);
    let (sender, queue) = sync_channel(crate::bounds::AUDIT_PENDING_MAX + 10);
    for number in 0..crate::bounds::AUDIT_PENDING_MAX as u64 + 10 {
        sender.try_send(Message::Line(Line { entry: entry(number), done: None })).unwrap();
    }
    let thread = std::thread::spawn(move || writer.run(&queue));
    while shared.health().lost < 10 {
        std::thread::yield_now();
    }
    faults.full.store(false, Ordering::SeqCst);
    drop(sender);
    thread.join().unwrap();
    let mut lines = lines(&settings.path);
    lines.extend(self::lines(&files::rotated(&settings.path).unwrap()[0]));
    let told: Vec<_> = lines.iter().filter(|line| line.contains(r#""act":"lost""#)).collect();
    assert!(told.len() == 1 && told[0].contains(r#""detail":{"count":10}"#), "{told:?}");
    verify_files(&settings.path, &key()).unwrap();
}

#[test]
fn a_flood_of_denials_is_counted_to_the_last_one() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let audit = open(&settings);
    let vendors = ["acme", "other"].map(|name| VendorId::parse(name).unwrap());
    let client = ClientId::new("c");
    std::thread::scope(|scope| {
        for vendor in &vendors {
            let (audit, client) = (&audit, &client);
            scope.spawn(move || {
                for i in 0..50_000_u64 {
                    let at = UnixTime::from_secs(1_800_000_000).plus(Duration::from_micros(i * 50));
                    audit.denied(&Denied {
                        vendor: Some(vendor),
                        direction: Direction::Ingress,
                        reason: if i % 2 == 0 { Reason::ScopeMissing } else { Reason::RateLimited },
                        client: Some(client),
                        request_id: "r",
                        detail: "d",
                        at,
                    });
                }
            });
        }
    });
    drop(audit);
    let summary = verify_files(&settings.path, &key()).unwrap();
    assert!(summary.lines < 200, "{} lines", summary.lines);
    let mut counts = std::collections::BTreeMap::new();
    for line in lines(&settings.path) {
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        let count = if line["act"] == "denied" { 1 } else { line["detail"]["count"].as_u64().unwrap() };
        *counts.entry((line["subject"].to_string(), line["reason"].to_string())).or_insert(0) += count;
    }
    assert_eq!(counts.into_values().collect::<Vec<_>>(), [25_000; 4]);
}

#[test]
fn a_flush_waits_for_all_that_was_said_before() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let faults = Faults::default();
    let audit = faults.audit(&settings);
    wait(audit.flush()).unwrap();
    (0..5).for_each(|number| drop(audit.record(Entry { act: Act::Denied, ..entry(number) })));
    wait(audit.flush()).unwrap();
    assert_eq!((audit.position().seq, verify_files(&settings.path, &key()).unwrap().lines), (5, 5));
    faults.full.store(true, Ordering::SeqCst);
    drop(audit.record(entry(5)));
    assert!(wait(audit.flush()).is_err());
    assert!(wait(Audit::discarding().flush()).is_err());
}
