//! The trail against hands that change it, a disk that fills up, crashes, and floods.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde_json::json;

use super::files::Media;
use super::*;
use crate::model::{ClientId, Direction, Reason, UnixTime, VendorId};

fn key() -> AuditKey {
    AuditKey::new([7; 32])
}

fn settings(folder: &Path) -> Settings {
    Settings { path: folder.join("audit.jsonl"), rotate_bytes: 1 << 20, on_failure: OnFailure::KeepServing }
}

fn open(settings: &Settings) -> Audit {
    Audit::open(settings, key(), Clock::manual(UnixTime::from_secs(1_800_000_000))).unwrap()
}

fn entry(number: u64) -> Entry {
    Entry {
        at: UnixTime::from_secs(1_800_000_000 + number),
        actor: "alice".to_owned(),
        act: Act::Kill,
        subject: format!("vendor-{number}"),
        reason: "said \"stop\"\nand meant it".to_owned(),
        detail: json!({ "severed": number }),
    }
}

fn record(audit: &Audit, numbers: std::ops::Range<u64>) {
    for number in numbers {
        wait(audit.record(entry(number))).unwrap();
    }
}

fn wait(ack: Ack) -> Result<(), AuditError> {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(ack)
}

/// A trail of so many lines, with its file and head.
fn sample(lines: u64) -> (tempfile::TempDir, Settings) {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    record(&open(&settings), 0..lines);
    (folder, settings)
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

fn rewrite(path: &Path, change: impl FnOnce(&mut Vec<String>)) {
    let mut all = lines(path);
    change(&mut all);
    fs::write(path, all.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
}

#[test]
fn a_line_reads_as_it_is_described() {
    let (_folder, settings) = sample(2);
    let second: serde_json::Value = serde_json::from_str(&lines(&settings.path)[1]).unwrap();
    let first: serde_json::Value = serde_json::from_str(&lines(&settings.path)[0]).unwrap();
    assert_eq!(second["seq"], 2);
    assert_eq!(second["time"], "2027-01-15T08:00:01.000Z");
    assert_eq!((&second["act"], &second["subject"]), (&json!("kill"), &json!("vendor-1")));
    assert_eq!(second["detail"], json!({ "severed": 1 }));
    assert_eq!(second["prev"], first["mac"]);
    let summary = verify_files(&settings.path, &key()).unwrap();
    assert_eq!((summary.lines, summary.first, summary.end_proven), (2, 1, true));
    assert_eq!(summary.position.hex(), second["mac"]);
}

#[test]
fn the_code_is_plain_hmac_sha_256() {
    let mut out = Vec::new();
    let plain = Entry { detail: serde_json::Value::Null, reason: "r".to_owned(), ..entry(0) };
    let position = chain::append(&plain, Position::START, &key(), &mut out);
    let covered = out.split(|byte| *byte == b'}').next().unwrap();
    let covered = &covered[..covered.len() - r#","mac":"""#.len() - 64];
    assert!(covered.ends_with(b"0\""));
    assert_eq!(position.hex(), OPENSSL);
}

/// What OpenSSL 3.0.19 makes of the line up to its `prev`, in a file without a line feed:
/// `openssl dgst -sha256 -mac HMAC -macopt hexkey:0707…07 FILE`, with thirty-two bytes of 7.
const OPENSSL: &str = "99293340ec242df3f9d3a5b5af975eba9c1fec5054e02f581f987780f1760ba2";

#[test]
fn every_single_byte_corruption_is_found() {
    let (_folder, settings) = sample(5);
    let whole = fs::read(&settings.path).unwrap();
    let head = verify_files(&settings.path, &key()).unwrap().position;
    let mut tried = 0;
    for at in 0..whole.len() {
        for flip in [0x01, 0x20, 0x80, whole[at] ^ b'\n', whole[at]] {
            if flip == 0 {
                continue;
            }
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            let broken = verify(bytes.as_slice(), &key(), None, Some(head)).unwrap_err();
            let line = 1 + whole[..at].iter().filter(|byte| **byte == b'\n').count() as u64;
            assert_eq!(broken.line, line, "byte {at} ^ {flip:#x}: {broken}");
            tried += 1;
        }
    }
    assert!(tried > 4 * whole.len());
}

#[test]
fn every_cut_is_found() {
    let (_folder, settings) = sample(5);
    let whole = fs::read(&settings.path).unwrap();
    let head = verify_files(&settings.path, &key()).unwrap().position;
    for cut in 0..whole.len() {
        assert!(verify(&whole[..cut], &key(), None, Some(head)).is_err(), "cut at {cut}");
        assert!(cut == 0 || verify(&whole[cut..], &key(), None, Some(head)).is_err(), "begun at {cut}");
    }
}

#[test]
fn what_was_done_to_a_trail_is_named() {
    type Change = fn(&mut Vec<String>);
    let table: [(&str, Change, u64, Why); 7] = [
        ("changed", |all| all[2] = all[2].replace("alice", "mallo"), 3, Why::Changed),
        ("one missing", |all| drop(all.remove(2)), 3, Why::Missing { from: 3, to: 3 }),
        ("two missing", |all| drop(all.drain(1..3)), 2, Why::Missing { from: 2, to: 3 }),
        ("the first missing", |all| drop(all.remove(0)), 1, Why::Missing { from: 1, to: 1 }),
        ("swapped", |all| all.swap(2, 3), 3, Why::Missing { from: 3, to: 3 }),
        ("repeated", |all| all.insert(2, all[1].clone()), 3, Why::Reordered { seq: 2, expected: 3 }),
        ("cut off", |all| all.truncate(3), 4, Why::Truncated { from: 4, to: 5 }),
    ];
    for (name, change, line, why) in table {
        let (_folder, settings) = sample(5);
        rewrite(&settings.path, change);
        let broken = verify_files(&settings.path, &key()).unwrap_err();
        assert_eq!((broken.line, broken.why), (line, why), "{name}");
    }
}

#[test]
fn neither_another_key_nor_another_trail_passes() {
    let (_folder, settings) = sample(3);
    let (_other, others) = sample(0);
    {
        let audit = open(&others);
        (10..13).for_each(|number| wait(audit.record(entry(number))).unwrap());
    }
    rewrite(&settings.path, |all| all[1] = lines(&others.path)[1].clone());
    assert_eq!(verify_files(&settings.path, &key()).unwrap_err().why, Why::Replaced);
    let foreign = AuditKey::new([8; 32]);
    assert_eq!(verify_files(&others.path, &foreign).unwrap_err().why, Why::HeadChanged);
    fs::copy(others.path.with_extension("jsonl.head"), settings.path.with_extension("jsonl.head")).unwrap();
    fs::remove_file(others.path.with_extension("jsonl.head")).unwrap();
    assert_eq!(verify_files(&others.path, &key()).unwrap_err().why, Why::HeadMissing);
}

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
        let full = Arc::new(AtomicBool::new(false));
        let audit = on_faulty_disk(&settings, on_failure, &full);
        record(&audit, 0..2);
        full.store(true, Ordering::SeqCst);
        for number in 2..5 {
            assert!(wait(audit.record(entry(number))).is_err());
        }
        let health = audit.health();
        assert!(health.failing && health.errors >= 3 && health.position.seq == 2, "{health:?}");
        assert_eq!(audit.must_stop(), stops);
        full.store(false, Ordering::SeqCst);
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
    let full = Arc::new(AtomicBool::new(true));
    let files = Files::open(&settings, &key()).unwrap().files;
    let media = Faulty { files, full: Arc::clone(&full) };
    let shared = Arc::new(Shared::new(Position::START, OnFailure::KeepServing));
    let writer = Writer::new(Box::new(media), key(), Position::START, Arc::clone(&shared), Clock::system());
    let (sender, queue) = sync_channel(crate::bounds::AUDIT_PENDING_MAX + 10);
    for number in 0..crate::bounds::AUDIT_PENDING_MAX as u64 + 10 {
        sender.try_send(Message { entry: entry(number), done: None }).unwrap();
    }
    let thread = std::thread::spawn(move || writer.run(&queue));
    while shared.health().lost < 10 {
        std::thread::yield_now();
    }
    full.store(false, Ordering::SeqCst);
    drop(sender);
    thread.join().unwrap();
    let last = last_lines(&settings.path, 1).unwrap().remove(0);
    assert!(last.contains(r#""act":"lost""#) && last.contains(r#""detail":{"count":10}"#), "{last}");
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
fn a_tail_follows_across_files() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { rotate_bytes: 1_000, ..settings(folder.path()) };
    let audit = open(&settings);
    record(&audit, 0..1);
    let mut tail = Tail::open(&settings.path).unwrap();
    let mut seen = Vec::new();
    for number in 1..12 {
        record(&audit, number..number + 1);
        seen.extend(tail.next_lines().unwrap());
    }
    drop(audit);
    seen.extend(tail.next_lines().unwrap());
    let kills: Vec<_> = seen.iter().filter(|line| line.contains(r#""act":"kill""#)).collect();
    assert_eq!(kills.len(), 11);
    assert!(files::rotated(&settings.path).unwrap().len() > 1);
    assert!(last_lines(&settings.path, 1).unwrap()[0].starts_with("{\"seq\":"));
}

#[test]
fn long_texts_are_cut_and_a_line_stays_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let audit = open(&settings);
    let long = Entry {
        actor: "\u{0}".repeat(5_000),
        subject: "ä".repeat(5_000),
        detail: json!({ "a": "x".repeat(50_000) }),
        ..entry(0)
    };
    wait(audit.record(long)).unwrap();
    assert!(lines(&settings.path)[0].len() < crate::bounds::AUDIT_LINE_BYTES_MAX);
    assert_eq!(verify_files(&settings.path, &key()).unwrap().lines, 1);
}

fn on_faulty_disk(settings: &Settings, on_failure: OnFailure, full: &Arc<AtomicBool>) -> Audit {
    let opened = Files::open(settings, &key()).unwrap();
    let media = Faulty { files: opened.files, full: Arc::clone(full) };
    Audit::start(Box::new(media), key(), opened.position, on_failure, Clock::system()).unwrap()
}

struct Faulty {
    files: Files,
    full: Arc<AtomicBool>,
}

impl Media for Faulty {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.full.load(Ordering::SeqCst) {
            return self.files.append_half(bytes);
        }
        self.files.append(bytes)
    }

    fn sync(&mut self, head: &[u8]) -> io::Result<()> {
        self.files.sync(head)
    }

    fn is_full(&self) -> bool {
        self.files.is_full()
    }

    fn rotate(&mut self, last: u64) -> io::Result<()> {
        self.files.rotate(last)
    }
}
