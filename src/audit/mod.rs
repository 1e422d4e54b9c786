//! The audit trail: append-only lines of JSON in a keyed hash chain.
//!
//! Each line has the code of the line before it and a code of its own, made with a key that is not in the file. A
//! sealed head beside the file has the position of the last line. So nobody without the key can change, drop, move or
//! cut off a line without [`verify`] naming it. An old file together with its old head can be put back: against that,
//! note what `vendorgate audit verify` prints elsewhere from time to time.
//!
//! A thread of its own writes. Operators' acts are synced to disk in groups before their [`AuditAck`] resolves; denials
//! are synced within [`AUDIT_SYNC_EVERY`](crate::bounds::AUDIT_SYNC_EVERY), so a crash loses at most that much of them.
//! Under a flood, denials are counted exactly instead of listed, in bounded memory. [`OnAuditFailure`] says what
//! happens on a full disk. Recording never blocks the caller. The trail never holds a secret or a personal value.

mod chain;
mod denials;
mod files;
mod newest;
mod page;
mod recall;
mod record;
mod verify;
mod writer;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::{Builder, JoinHandle};

pub use chain::{AuditKey, ChainPosition};
pub use denials::{DenialKind, DeniedRequest};
pub use files::head_path;
pub use newest::newest;
pub use page::{TrailPage, TrailReader};
pub use recall::{RecalledLine, recall};
pub use record::{AuditAct, AuditRecord};
pub use verify::{TrailSummary, verify_files};
pub use writer::AuditAck;

use self::files::{AuditFiles, OpenedTrail};
use self::writer::{AuditMessage, AuditShared, AuditWriter, PendingLine};
use crate::bounds::AUDIT_QUEUE_MAX;
use crate::model::{Clock, UnixTime, VendorId, debug_fields};

/// Where and how the trail is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditTrailSettings {
    /// The file that is written. Rotated files are beside it, under its name and the number of their last line.
    pub path: PathBuf,
    /// Length in bytes at which a new file is begun.
    pub rotate_bytes: u64,
    /// What happens while the trail cannot be written.
    pub on_failure: OnAuditFailure,
}

/// What the gateway does while the trail cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnAuditFailure {
    /// The gateway goes on and raises the alarm. Lines wait in bounded memory; beyond it they are counted.
    KeepServing,
    /// Traffic is refused: what cannot be recorded does not happen.
    Stop,
}

/// Why the trail cannot be kept.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AuditError {
    /// The file, its head or its folder cannot be opened.
    #[error("the audit trail at {path} cannot be opened")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: Arc<std::io::Error>,
    },
    /// The line is not on disk: it waits in memory, or was only counted.
    #[error("the audit trail cannot be written")]
    NotWritten,
}

/// The audit trail. All parts of the gateway share one, behind an `Arc`.
pub struct AuditTrail {
    clock: Clock,
    shared: Arc<AuditShared>,
    queue: Option<SyncSender<AuditMessage>>,
    writer: Option<JoinHandle<()>>,
}

/// The state of the trail's writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditHealth {
    /// Whether the last attempt to write failed.
    pub failing: bool,
    /// Number of attempts that failed.
    pub errors: u64,
    /// Number of lines that were lost for lack of memory. The trail records it when it can be written again.
    pub lost: u64,
    /// The last line that is on disk.
    pub position: ChainPosition,
}

impl AuditTrail {
    /// Opens the trail, or begins a new one.
    ///
    /// A half line that a crash left is cut off. A broken trail goes on from its sealed head, with a line that records
    /// the break, and [`verify`] goes on to find it.
    ///
    /// # Errors
    /// [`AuditError::Open`].
    pub fn open(settings: &AuditTrailSettings, key: AuditKey, clock: Clock) -> Result<Self, AuditError> {
        let failed = |source| AuditError::Open { path: settings.path.clone(), source: Arc::new(source) };
        let OpenedTrail { files, position, rotation, note } = AuditFiles::open(settings, &key).map_err(failed)?;
        let shared = Arc::new(AuditShared::new(position, settings.on_failure));
        let writer = AuditWriter::new(Box::new(files), key, position, Arc::clone(&shared), clock.clone(), rotation);
        let audit = Self::start(writer, shared, clock).map_err(failed)?;
        if let Some(note) = note {
            drop(audit.record(AuditRecord::gateway(AuditAct::Resumed, note, audit.clock.now().wall)));
        }
        Ok(audit)
    }

    /// A trail that keeps nothing, for tests and for a demo that writes nothing.
    #[cfg(test)]
    pub fn discarding() -> Self {
        Self {
            clock: Clock::system(),
            shared: Arc::new(AuditShared::new(ChainPosition::START, OnAuditFailure::KeepServing)),
            queue: None,
            writer: None,
        }
    }

    /// Hands a record to the writer. The ack resolves when its line is on disk; dropping the ack cancels nothing.
    pub fn record(&self, entry: AuditRecord) -> AuditAck {
        let (done, ack) = AuditAck::pair();
        let Some(queue) = &self.queue else { return AuditAck::failed() };
        match queue.try_send(AuditMessage::Line(PendingLine { entry, done: Some(done) })) {
            Ok(()) => ack,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.shared.lost.fetch_add(1, Ordering::Relaxed);
                AuditAck::failed()
            }
        }
    }

    /// Resolves when everything that was recorded before is on disk: for an answer that must not come before its
    /// record, such as that of a kill. It does not wait for counts of denials that are not written yet.
    pub fn flush(&self) -> AuditAck {
        let (done, ack) = AuditAck::pair();
        let sent = self.queue.as_ref().is_some_and(|queue| queue.try_send(AuditMessage::Flush(done)).is_ok());
        if sent { ack } else { AuditAck::failed() }
    }

    /// Records a denial: as a line, or in a flood as part of a count. Takes a short lock and, after the first few
    /// denials of a second, no memory.
    pub fn denied(&self, denied: &DeniedRequest<'_>) {
        let kind = DenialKind::Denied(denied.vendor, denied.direction, denied.reason);
        self.counted(kind, denied.at, || denied.entry(AuditAct::Denied));
    }

    /// Records a request that a contract which observes would have refused, as [`Self::denied`] does.
    pub fn would_deny(&self, vendor: &VendorId, denied: &DeniedRequest<'_>) {
        let kind = DenialKind::WouldDeny(vendor, denied.direction, denied.reason);
        self.counted(kind, denied.at, || denied.entry(AuditAct::WouldDeny));
    }

    /// Records a denial, a cut response or a refused admin call as [`Self::denied`] does. `entry` makes its record,
    /// where it is listed. Returns whether it is.
    pub fn counted(&self, kind: DenialKind<'_>, at: UnixTime, entry: impl FnOnce() -> AuditRecord) -> bool {
        if !self.shared.denials.note(kind, at) {
            return false;
        }
        let Some(queue) = &self.queue else { return true };
        if queue.try_send(AuditMessage::Line(PendingLine { entry: entry(), done: None })).is_err() {
            self.shared.denials.count(kind, at);
        }
        true
    }

    /// Whether traffic must be refused because the trail cannot be written. One atomic read.
    #[inline]
    pub fn must_stop(&self) -> bool {
        self.shared.must_stop()
    }

    /// The state of the trail's writer.
    pub fn health(&self) -> AuditHealth {
        self.shared.health()
    }

    /// The position of the last line on disk. Noted elsewhere, it shows when an old file was put back with its old
    /// head.
    #[cfg(test)]
    pub fn position(&self) -> ChainPosition {
        self.health().position
    }

    fn start(writer: AuditWriter, shared: Arc<AuditShared>, clock: Clock) -> std::io::Result<Self> {
        let (sender, queue) = sync_channel(AUDIT_QUEUE_MAX);
        let thread = Builder::new().name("audit".to_owned()).spawn(move || writer.run(&queue))?;
        Ok(Self { clock, shared, queue: Some(sender), writer: Some(thread) })
    }
}

/// Writes the waiting lines and the counts before the trail is closed.
impl Drop for AuditTrail {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has nothing left to write.
            let _ = writer.join();
        }
    }
}

debug_fields!(AuditTrail: clock);
