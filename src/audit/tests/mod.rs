//! Tests of the trail: manual changes, a full disk, crashes and floods.

mod disk;
mod pages;
mod tamper;

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use serde_json::json;

use super::files::AuditStorage;
use super::verify::{ChainBreak, verify};
use super::writer::RotationStep;
use super::*;
use crate::model::UnixTime;

fn key() -> AuditKey {
    AuditKey::new([7; 32])
}

fn settings(folder: &Path) -> AuditTrailSettings {
    AuditTrailSettings {
        path: folder.join("audit.jsonl"),
        rotate_bytes: 1 << 20,
        on_failure: OnAuditFailure::KeepServing,
    }
}

fn open(settings: &AuditTrailSettings) -> AuditTrail {
    AuditTrail::open(settings, key(), Clock::manual(UnixTime::from_secs(1_800_000_000))).unwrap()
}

fn entry(number: u64) -> AuditRecord {
    AuditRecord {
        at: UnixTime::from_secs(1_800_000_000 + number),
        actor: "alice".to_owned(),
        act: AuditAct::Kill,
        subject: format!("vendor-{number}"),
        reason: "said \"stop\"\nand meant it".to_owned(),
        detail: json!({ "severed": number }),
    }
}

fn record(audit: &AuditTrail, numbers: std::ops::Range<u64>) {
    for number in numbers {
        wait(audit.record(entry(number))).unwrap();
    }
}

fn wait(ack: AuditAck) -> Result<(), AuditError> {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(ack)
}

/// A trail of so many lines, with its file and head.
fn sample(lines: u64) -> (tempfile::TempDir, AuditTrailSettings) {
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

/// A disk that a test makes fail: full in the middle of a line, or unable to rotate a file.
#[derive(Clone, Default)]
struct Faults {
    full: Arc<AtomicBool>,
    stuck: Arc<AtomicBool>,
}

struct Faulty(AuditFiles, Faults);

impl Faults {
    fn audit(&self, settings: &AuditTrailSettings) -> AuditTrail {
        let shared = Arc::new(AuditShared::new(ChainPosition::START, settings.on_failure));
        let writer = self.writer(settings, &shared);
        AuditTrail::start(writer, shared, Clock::system()).unwrap()
    }

    fn writer(&self, settings: &AuditTrailSettings, shared: &Arc<AuditShared>) -> AuditWriter {
        let storage = Box::new(Faulty(AuditFiles::open(settings, &key()).unwrap().files, self.clone()));
        AuditWriter::new(storage, key(), ChainPosition::START, Arc::clone(shared), Clock::system(), RotationStep::None)
    }
}

impl AuditStorage for Faulty {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.1.full.load(Ordering::SeqCst) { self.0.append_half(bytes) } else { self.0.append(bytes) }
    }

    fn sync(&mut self, head: &[u8]) -> io::Result<()> {
        self.0.sync(head)
    }

    fn is_full(&self) -> bool {
        self.0.is_full()
    }

    fn rotate(&mut self, last: u64) -> io::Result<()> {
        let stuck = self.1.stuck.load(Ordering::SeqCst);
        if stuck { Err(io::ErrorKind::PermissionDenied.into()) } else { self.0.rotate(last) }
    }
}
