//! The audit trail: append-only lines of JSON in a keyed hash chain.
//!
//! Each line carries the code of the one before it and a code of its own, made with a key that is not in the file; a
//! sealed head beside the file says how far it reaches. So whoever lacks the key can change, drop, move or cut off
//! no line without [`verify`] naming it. Whoever can put back an old file *and* its old head can: against that,
//! [`AuditTrail::position`] is to be noted elsewhere from time to time.
//!
//! A thread of its own writes. Acts are synced to disk in groups before their [`AuditAck`] resolves; denials are synced
//! within [`AUDIT_SYNC_EVERY`](crate::bounds::AUDIT_SYNC_EVERY), so a crash loses at most that much of them. Under a
//! flood, denials are counted and not listed, exactly and in bounded memory. A full disk is what [`OnAuditFailure`] says.
//! Never blocks the caller, and never holds a secret or a personal value.

mod chain;
mod denials;
mod entry;
mod files;
mod page;
mod recall;
mod verify;
mod writer;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::{Builder, JoinHandle};

pub use chain::{AuditKey, ChainPosition};
pub use denials::{CutResponse, DeniedRequest};
pub use entry::{AuditAct, AuditRecord};
pub use files::head_path;
pub use page::{TrailPage, TrailReader};
pub use recall::{RecalledLine, recall};
pub use verify::{TrailSummary, verify_files};
pub use writer::AuditAck;

use self::files::{AuditFiles, OpenedTrail};
use self::writer::{AuditMessage, AuditShared, AuditWriter, PendingLine};
use crate::bounds::AUDIT_QUEUE_MAX;
use crate::model::{Clock, UnixTime};

/// Where and how the trail is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditTrailSettings {
    /// The file that is written; older ones stand beside it under its name and the number of their last line.
    pub path: PathBuf,
    /// Begins a new file when this many bytes are reached.
    pub rotate_bytes: u64,
    /// What happens while nothing can be written.
    pub on_failure: OnAuditFailure,
}

/// What the gateway does while the trail cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnAuditFailure {
    /// Goes on and raises the alarm; lines wait in bounded memory, and beyond that are counted.
    KeepServing,
    /// Refuses traffic: what cannot be recorded does not happen.
    Stop,
}

/// Why the trail cannot be kept.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AuditError {
    /// The file, its head or its folder.
    #[error("the audit trail at {path} cannot be opened")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: Arc<std::io::Error>,
    },
    /// The line waits in memory, or was only counted.
    #[error("the audit trail cannot be written")]
    NotWritten,
}

/// The audit trail. Shared by everything that acts, behind one `Arc`.
pub struct AuditTrail {
    clock: Clock,
    shared: Arc<AuditShared>,
    queue: Option<SyncSender<AuditMessage>>,
    writer: Option<JoinHandle<()>>,
}

/// How the trail fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditHealth {
    /// Whether the last attempt to write failed.
    pub failing: bool,
    /// Attempts that failed.
    pub errors: u64,
    /// Lines that were lost for want of memory, and are counted in the trail when it is written again.
    pub lost: u64,
    /// The last line that is on disk.
    pub position: ChainPosition,
}

impl AuditTrail {
    /// Opens the trail, or begins it.
    ///
    /// A half line that a crash left is cut off. A trail that is broken is continued from its sealed head, with a line
    /// that says so, and stays broken to [`verify`].
    ///
    /// # Errors
    /// [`AuditError::Open`].
    pub fn open(settings: &AuditTrailSettings, key: AuditKey, clock: Clock) -> Result<Self, AuditError> {
        let failed = |source| AuditError::Open { path: settings.path.clone(), source: Arc::new(source) };
        let OpenedTrail { files, position, turnover, note } = AuditFiles::open(settings, &key).map_err(failed)?;
        let shared = Arc::new(AuditShared::new(position, settings.on_failure));
        let writer = AuditWriter::new(Box::new(files), key, position, Arc::clone(&shared), clock.clone(), turnover);
        let audit = Self::start(writer, shared, clock).map_err(failed)?;
        if let Some(note) = note {
            drop(audit.record(AuditRecord::gateway(AuditAct::Resumed, note, audit.clock.now().wall)));
        }
        Ok(audit)
    }

    /// A trail that is kept nowhere, for tests and for a demo that writes nothing.
    #[cfg(test)]
    pub fn discarding() -> Self {
        Self {
            clock: Clock::system(),
            shared: Arc::new(AuditShared::new(ChainPosition::START, OnAuditFailure::KeepServing)),
            queue: None,
            writer: None,
        }
    }

    /// Hands a line to the writer. The ack resolves when it is on disk; dropping it cancels nothing.
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

    /// Resolves when everything that was recorded before is on disk: for an answer that shall not be ahead of the trail,
    /// as that of a kill. Numbers of denials that are not lines yet are not waited for.
    pub fn flush(&self) -> AuditAck {
        let (done, ack) = AuditAck::pair();
        let sent = self.queue.as_ref().is_some_and(|queue| queue.try_send(AuditMessage::Flush(done)).is_ok());
        if sent { ack } else { AuditAck::failed() }
    }

    /// Records a denial: as a line, or under a flood as one of a number. Costs a short lock and, past the first few of
    /// a second, no memory.
    pub fn denied(&self, denied: &DeniedRequest<'_>) {
        let Some(entry) = self.shared.denials.note(denied) else { return };
        let Some(queue) = &self.queue else { return };
        if queue.try_send(AuditMessage::Line(PendingLine { entry, done: None })).is_err() {
            self.shared.denials.count(denied);
        }
    }

    /// Records a cut, as [`Self::denied`] does: `entry` makes its line where it is listed.
    pub fn cut_off(&self, cut: &CutResponse<'_>, entry: impl FnOnce() -> AuditRecord) {
        if !self.shared.denials.note_cut(cut) {
            return;
        }
        let Some(queue) = &self.queue else { return };
        if queue.try_send(AuditMessage::Line(PendingLine { entry: entry(), done: None })).is_err() {
            self.shared.denials.count_cut(cut);
        }
    }

    /// Records an admin call that was refused, as [`Self::denied`] does: `entry` makes its line where it is listed. Says
    /// whether it is.
    pub fn admin_refused(&self, reason: &'static str, at: UnixTime, entry: impl FnOnce() -> AuditRecord) -> bool {
        if !self.shared.denials.note_admin(reason, at) {
            return false;
        }
        let Some(queue) = &self.queue else { return true };
        if queue.try_send(AuditMessage::Line(PendingLine { entry: entry(), done: None })).is_err() {
            self.shared.denials.count_admin(reason, at);
        }
        true
    }

    /// Whether traffic must be refused because the trail cannot be written. One atomic read.
    #[inline]
    pub fn must_stop(&self) -> bool {
        self.shared.must_stop()
    }

    /// How the trail fares.
    pub fn health(&self) -> AuditHealth {
        self.shared.health()
    }

    /// The last line on disk: note it elsewhere, and an old file with its old head cannot be put back unseen.
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

/// Writes what waits, and the counts, before it is gone.
impl Drop for AuditTrail {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has nothing left to write.
            let _ = writer.join();
        }
    }
}

impl fmt::Debug for AuditTrail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audit").field("health", &self.health()).finish_non_exhaustive()
    }
}
