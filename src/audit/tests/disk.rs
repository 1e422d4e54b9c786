//! Full disks, crashes, rotation and floods.

use std::time::Duration;

use super::*;
use crate::model::{ClientId, Direction, Reason, VendorId};

#[test]
fn the_chain_goes_on_across_rotated_files() {
    let folder = tempfile::tempdir().unwrap();
    let settings = AuditTrailSettings { rotate_bytes: 1_000, ..settings(folder.path()) };
    record(&open(&settings), 0..20);
    record(&open(&settings), 20..40);
    let files = files::rotated(&settings.path).unwrap();
    assert!(files.len() > 3, "{files:?}");
    let summary = verify_files(&settings.path, &key(), 1).unwrap();
    assert_eq!((summary.first, summary.position.seq), (1, summary.lines));
    let alone = |file: &Path| verify(fs::read(file).unwrap().as_slice(), &key(), None, None);
    assert!(alone(&files[2]).unwrap().end_proven, "a finished file proves its own end");
    rewrite(&files[2], |all| drop(all.pop()));
    assert!(!alone(&files[2]).unwrap().end_proven);
    assert!(matches!(verify_files(&settings.path, &key(), 1).unwrap_err().why, ChainBreak::Truncated { .. }));
    fs::remove_file(&files[2]).unwrap();
    assert!(matches!(verify_files(&settings.path, &key(), 1).unwrap_err().why, ChainBreak::Missing { .. }));
}

/// A trail of several files: the rotated ones, the one that is written, and the number of the last line in each.
fn in_files() -> (tempfile::TempDir, AuditTrailSettings, Vec<PathBuf>, Vec<u64>) {
    let folder = tempfile::tempdir().unwrap();
    let settings = AuditTrailSettings { rotate_bytes: 1_000, ..settings(folder.path()) };
    record(&open(&settings), 0..20);
    let mut files = files::rotated(&settings.path).unwrap();
    files.push(settings.path.clone());
    let last = |file: &PathBuf| {
        let line: serde_json::Value = serde_json::from_str(lines(file).last().unwrap()).unwrap();
        line["seq"].as_u64().unwrap()
    };
    let lasts = files.iter().map(last).collect();
    (folder, settings, files, lasts)
}

#[test]
fn every_change_to_the_files_of_a_trail_is_named() {
    type Change = fn(&[PathBuf], &[u64]);
    type Right = fn(&[u64]) -> ChainBreak;
    let table: [(&str, Change, Right); 12] = [
        (
            "the first is gone",
            |files, _| fs::remove_file(&files[0]).unwrap(),
            |last| ChainBreak::FrontMissing { from: 1, to: last[0] },
        ),
        (
            "the first two are gone",
            |files, _| files[..2].iter().for_each(|file| fs::remove_file(file).unwrap()),
            |last| ChainBreak::FrontMissing { from: 1, to: last[1] },
        ),
        (
            "one in the middle is gone",
            |files, _| fs::remove_file(&files[1]).unwrap(),
            |last| ChainBreak::Missing { from: last[0] + 1, to: last[1] },
        ),
        (
            "the written one is gone",
            |files, _| fs::remove_file(files.last().unwrap()).unwrap(),
            |last| ChainBreak::Truncated { from: last[last.len() - 2] + 1, to: last[last.len() - 1] },
        ),
        (
            "the written one is empty",
            |files, _| fs::write(files.last().unwrap(), "").unwrap(),
            |last| ChainBreak::Truncated { from: last[last.len() - 2] + 1, to: last[last.len() - 1] },
        ),
        (
            "the written one is cut in a line",
            |files, _| {
                let bytes = fs::read(files.last().unwrap()).unwrap();
                fs::write(files.last().unwrap(), &bytes[..bytes.len() - 9]).unwrap();
            },
            |_| ChainBreak::HalfLine,
        ),
        (
            "one is empty",
            |files, _| fs::write(&files[1], "").unwrap(),
            |last| ChainBreak::Truncated { from: last[0] + 1, to: last[1] },
        ),
        (
            "one lacks its last line",
            |files, _| rewrite(&files[1], |all| drop(all.pop())),
            |last| ChainBreak::Truncated { from: last[1], to: last[1] },
        ),
        (
            "one lacks its last line and is named so",
            |files, last| {
                rewrite(&files[1], |all| drop(all.pop()));
                fs::rename(&files[1], files[1].with_extension(format!("{:012}", last[1] - 1))).unwrap();
            },
            |_| ChainBreak::Unfinished,
        ),
        (
            "two are swapped",
            |files, _| {
                let (one, other) = (fs::read(&files[0]).unwrap(), fs::read(&files[1]).unwrap());
                fs::write(&files[0], other).unwrap();
                fs::write(&files[1], one).unwrap();
            },
            |last| ChainBreak::Misnamed { named: last[0], last: last[1] },
        ),
        (
            "one is there twice",
            |files, last| {
                let _ = fs::copy(&files[0], files[0].with_extension(format!("{:012}", last[0] + 1))).unwrap();
            },
            |last| ChainBreak::Repeated { seq: 1, expected: last[0] + 1 },
        ),
        (
            "the head is gone",
            |files, _| fs::remove_file(head_path(files.last().unwrap())).unwrap(),
            |_| ChainBreak::HeadMissing,
        ),
    ];
    for (name, change, right) in table {
        let (_folder, settings, files, lasts) = in_files();
        assert!(lasts.len() > 4, "{lasts:?}");
        verify_files(&settings.path, &key(), 1).unwrap();
        change(&files, &lasts);
        assert_eq!(verify_files(&settings.path, &key(), 1).unwrap_err().why, right(&lasts), "{name}");
    }
}

#[test]
fn a_trail_without_its_oldest_files_verifies_from_a_given_line() {
    let (folder, settings, files, lasts) = in_files();
    let archive = folder.path().join("archive");
    fs::create_dir(&archive).unwrap();
    let away = |file: &PathBuf| archive.join(file.file_name().unwrap());
    files[..2].iter().for_each(|file| fs::rename(file, away(file)).unwrap());
    let why = |from: u64| verify_files(&settings.path, &key(), from).unwrap_err().why;
    assert_eq!(why(1), ChainBreak::FrontMissing { from: 1, to: lasts[1] });
    assert!(why(1).to_string().contains(&format!("--from {}", lasts[1] + 1)));
    assert_eq!(why(lasts[1]), ChainBreak::FrontMissing { from: lasts[1], to: lasts[1] });
    let kept = verify_files(&settings.path, &key(), lasts[1] + 1).unwrap();
    assert_eq!((kept.first, kept.position.seq), (lasts[1] + 1, *lasts.last().unwrap()));
    verify_files(&settings.path, &key(), lasts[1] + 3).unwrap();
    let end = *lasts.last().unwrap();
    verify_files(&settings.path, &key(), end + 1).unwrap();
    assert_eq!(why(end + 3), ChainBreak::Truncated { from: end + 1, to: end + 2 });

    let put_away = verify_files(&away(&files[1]), &key(), 1).unwrap();
    assert_eq!((put_away.first, put_away.position.seq, put_away.end_proven), (1, lasts[1], true));
    assert_eq!(verify_files(&away(&files[0]), &key(), 1).unwrap().position.seq, lasts[0]);
    fs::remove_file(away(&files[0])).unwrap();
    assert_eq!(
        verify_files(&away(&files[1]), &key(), 1).unwrap_err().why,
        ChainBreak::FrontMissing { from: 1, to: lasts[0] }
    );
    fs::rename(away(&files[1]), away(&files[0])).unwrap();
    let misnamed = ChainBreak::Misnamed { named: lasts[0], last: lasts[1] };
    assert_eq!(verify_files(&away(&files[0]), &key(), lasts[0] + 1).unwrap_err().why, misnamed);
}

#[test]
fn no_line_number_is_used_twice_after_a_break() {
    for change in ["no head", "no head and no file", "an older head"] {
        let (_folder, settings, files, lasts) = in_files();
        let (head, end) = (head_path(&settings.path), *lasts.last().unwrap());
        match change {
            "no head" => fs::remove_file(&head).unwrap(),
            "no head and no file" => {
                fs::remove_file(&head).unwrap();
                fs::remove_file(&settings.path).unwrap();
            }
            _ => {
                let (_older, other) = sample(1);
                fs::copy(head_path(&other.path), &head).unwrap();
            }
        }
        record(&open(&settings), 20..21);
        let last: serde_json::Value = serde_json::from_str(lines(&settings.path).last().unwrap()).unwrap();
        let known = if change == "no head and no file" { lasts[files.len() - 2] } else { end };
        assert!(last["seq"].as_u64().unwrap() > known, "{change}: {last}");
        // After a crash the head is behind, and nothing is broken by that.
        assert_eq!(verify_files(&settings.path, &key(), 1).is_ok(), change == "an older head", "{change}");
    }
}

#[test]
fn a_rotation_that_fails_or_is_interrupted_is_completed_later() {
    for crash in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let settings = AuditTrailSettings { rotate_bytes: 1_000, ..settings(folder.path()) };
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
        let summary = verify_files(&settings.path, &key(), 1).unwrap();
        assert!(!files::rotated(&settings.path).unwrap().is_empty(), "{summary:?}");
    }
}

#[test]
fn a_half_line_after_a_crash_is_cut_off_and_recorded() {
    let (_folder, settings) = sample(3);
    let mut bytes = fs::read(&settings.path).unwrap();
    bytes.extend_from_slice(b"{\"seq\":4,\"time\":\"20");
    fs::write(&settings.path, bytes).unwrap();
    record(&open(&settings), 3..4);
    assert_eq!(verify_files(&settings.path, &key(), 1).unwrap().lines, 5);
    assert!(lines(&settings.path)[3].contains(r#""act":"resumed""#));
}

#[test]
fn a_trail_cut_while_the_gateway_was_down_stays_broken() {
    for keep in [0, 2] {
        let (_folder, settings) = sample(4);
        rewrite(&settings.path, |all| all.truncate(keep));
        record(&open(&settings), 4..6);
        record(&open(&settings), 6..7);
        let broken = verify_files(&settings.path, &key(), 1).unwrap_err();
        assert!(matches!(broken.why, ChainBreak::Missing { to: 4, .. } | ChainBreak::Changed), "{keep}: {broken}");
        assert!(lines(&settings.path).iter().any(|line| line.contains("cut off the end")));
    }
}

#[test]
fn lines_wait_for_a_full_disk_and_traffic_stops_only_where_configured() {
    for (on_failure, stops) in [(OnAuditFailure::KeepServing, false), (OnAuditFailure::Stop, true)] {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path());
        let settings = AuditTrailSettings { on_failure, ..settings };
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
        let summary = verify_files(&settings.path, &key(), 1).unwrap();
        assert_eq!(summary.lines, 6, "what waited is there, in order");
    }
}

#[test]
fn lines_lost_for_lack_of_memory_are_counted_in_the_trail() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let faults = Faults::default();
    faults.full.store(true, Ordering::SeqCst);
    let shared = Arc::new(AuditShared::new(ChainPosition::START, OnAuditFailure::KeepServing));
    let writer = faults.writer(&settings, &shared);
    let (sender, queue) = sync_channel(crate::bounds::AUDIT_PENDING_MAX + 10);
    for number in 0..crate::bounds::AUDIT_PENDING_MAX as u64 + 10 {
        sender.try_send(AuditMessage::Line(PendingLine { entry: entry(number), done: None })).unwrap();
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
    verify_files(&settings.path, &key(), 1).unwrap();
}

#[test]
fn a_flood_of_denials_and_cut_responses_is_counted_exactly() {
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
                    audit.denied(&DeniedRequest {
                        vendor: Some(vendor),
                        direction: Direction::Ingress,
                        reason: if i % 2 == 0 { Reason::ScopeMissing } else { Reason::RateLimited },
                        client: Some(client),
                        request_id: "r",
                        detail: "d",
                        at,
                    });
                    let (direction, reason) = (Direction::Ingress, Reason::RecordsExceeded);
                    audit.counted(DenialKind::Cut(vendor, direction, reason), at, || AuditRecord {
                        act: AuditAct::Cut,
                        subject: vendor.to_string(),
                        reason: reason.as_str().to_owned(),
                        at,
                        ..entry(0)
                    });
                }
            });
        }
    });
    drop(audit);
    let summary = verify_files(&settings.path, &key(), 1).unwrap();
    assert!(summary.lines < 300, "{} lines", summary.lines);
    let mut counts = std::collections::BTreeMap::new();
    for line in lines(&settings.path) {
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        let count = if ["denied", "cut"].contains(&line["act"].as_str().unwrap()) {
            1
        } else {
            line["detail"]["count"].as_u64().unwrap()
        };
        *counts.entry((line["subject"].to_string(), line["reason"].to_string())).or_insert(0) += count;
    }
    let right = [25_000, 50_000, 25_000].repeat(2);
    assert_eq!(counts.values().copied().collect::<Vec<_>>(), right, "{counts:?}");
}

#[test]
fn a_flush_waits_for_all_earlier_records() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let faults = Faults::default();
    let audit = faults.audit(&settings);
    wait(audit.flush()).unwrap();
    (0..5).for_each(|number| drop(audit.record(AuditRecord { act: AuditAct::Denied, ..entry(number) })));
    wait(audit.flush()).unwrap();
    assert_eq!((audit.position().seq, verify_files(&settings.path, &key(), 1).unwrap().lines), (5, 5));
    faults.full.store(true, Ordering::SeqCst);
    drop(audit.record(entry(5)));
    assert!(wait(audit.flush()).is_err());
    assert!(wait(AuditTrail::discarding().flush()).is_err());
}
