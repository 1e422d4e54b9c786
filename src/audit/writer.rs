//! The trail's thread: gives each record its position, writes in groups, syncs those that must not be lost, and keeps
//! lines in memory while a full disk refuses them.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use serde_json::json;
use tokio::sync::oneshot;

use super::chain::{AuditKey, ChainPosition, append, head};
use super::denials::DenialCounts;
use super::files::AuditStorage;
use super::record::{AuditAct, AuditRecord};
use super::{AuditError, AuditHealth, OnAuditFailure};
use crate::bounds::{AUDIT_GROUP_MAX, AUDIT_PENDING_MAX, AUDIT_SYNC_EVERY};
use crate::model::{Clock, Lock as _, Moment};

/// Sends the result to the waiting caller.
type AckSender = oneshot::Sender<Result<(), AuditError>>;

/// A message from the handle to the thread.
pub(super) enum AuditMessage {
    /// A record to write.
    Line(PendingLine),
    /// A request for an answer when all earlier lines are on disk.
    Flush(AckSender),
}

/// A record, and the waiting caller where there is one.
pub(super) struct PendingLine {
    pub(super) entry: AuditRecord,
    pub(super) done: Option<AckSender>,
}

/// Resolves when the line is on disk, or could not be put there. Dropping it cancels nothing.
#[derive(Debug)]
#[must_use = "a line is on disk only when its ack resolves; drop it on purpose where that does not matter"]
pub struct AuditAck(oneshot::Receiver<Result<(), AuditError>>);

impl AuditAck {
    pub(super) fn pair() -> (AckSender, Self) {
        let (done, ack) = oneshot::channel();
        (done, Self(ack))
    }

    pub(super) fn failed() -> Self {
        // An ack fails when its sender is dropped.
        Self::pair().1
    }
}

impl Future for AuditAck {
    type Output = Result<(), AuditError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|got| got.unwrap_or(Err(AuditError::NotWritten)))
    }
}

/// The state that the thread and the handle share.
#[derive(Debug)]
pub(super) struct AuditShared {
    pub(super) denials: DenialCounts,
    pub(super) lost: AtomicU64,
    errors: AtomicU64,
    failing: AtomicBool,
    stops: bool,
    position: Mutex<ChainPosition>,
}

impl AuditShared {
    pub(super) fn new(position: ChainPosition, on_failure: OnAuditFailure) -> Self {
        Self {
            denials: DenialCounts::default(),
            lost: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            stops: on_failure == OnAuditFailure::Stop,
            position: Mutex::new(position),
        }
    }

    pub(super) fn must_stop(&self) -> bool {
        self.stops && self.failing.load(Ordering::Relaxed)
    }

    pub(super) fn health(&self) -> AuditHealth {
        AuditHealth {
            failing: self.failing.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
            position: *self.position.locked(),
        }
    }
}

pub(super) struct AuditWriter {
    storage: Box<dyn AuditStorage>,
    key: AuditKey,
    clock: Clock,
    shared: Arc<AuditShared>,
    /// The last line that was written, synced or not.
    last: ChainPosition,
    /// Records that have no position yet.
    waiting: VecDeque<PendingLine>,
    /// Callers that wait for lines that are written and not synced.
    unsynced: Vec<AckSender>,
    /// Callers that wait for lines that are synced by now.
    synced: Vec<AckSender>,
    /// Callers that wait for all earlier lines.
    flushes: Vec<AckSender>,
    has_unsynced_lines: bool,
    has_urgent_lines: bool,
    /// Number of lost lines that the trail has recorded.
    lost_told: u64,
    synced_at: Moment,
    rotation: RotationStep,
}

/// How far a rotation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RotationStep {
    /// No rotation is under way.
    None,
    /// The old file has its last line.
    Sealed,
    /// The new file exists, without its first line.
    Begun,
}

impl AuditWriter {
    pub(super) fn new(
        storage: Box<dyn AuditStorage>,
        key: AuditKey,
        last: ChainPosition,
        shared: Arc<AuditShared>,
        clock: Clock,
        rotation: RotationStep,
    ) -> Self {
        Self {
            rotation,
            synced_at: clock.now(),
            storage,
            key,
            clock,
            shared,
            last,
            waiting: VecDeque::new(),
            unsynced: Vec::new(),
            synced: Vec::new(),
            flushes: Vec::new(),
            has_unsynced_lines: false,
            has_urgent_lines: false,
            lost_told: 0,
        }
    }

    /// Writes until the handle is dropped, and then the rest.
    pub(super) fn run(mut self, queue: &Receiver<AuditMessage>) {
        loop {
            let mut is_over = false;
            match queue.recv_timeout(AUDIT_SYNC_EVERY) {
                Ok(first) => {
                    self.receive(first);
                    queue.try_iter().take(AUDIT_GROUP_MAX).for_each(|message| self.receive(message));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => is_over = true,
            }
            self.write_round(is_over);
            if is_over {
                return;
            }
        }
    }

    /// Writes one group: the counts that are due and the lines, then syncs where that is due.
    fn write_round(&mut self, is_over: bool) {
        let now = self.clock.now().wall;
        for entry in self.shared.denials.flush(now, is_over) {
            self.enqueue(PendingLine { entry, done: None });
        }
        let result = self.write_all().and_then(|()| self.sync(is_over)).and_then(|()| self.rotate());
        self.shared.failing.store(result.is_err(), Ordering::Relaxed);
        if result.is_err() {
            self.shared.errors.fetch_add(1, Ordering::Relaxed);
            // The lines stay in memory. Callers get the error now: their lines are not on disk yet.
            let waiting = self.waiting.iter_mut().filter_map(|message| message.done.take());
            waiting.chain(self.unsynced.drain(..)).for_each(|done| drop(done.send(Err(AuditError::NotWritten))));
        }
        // Acks come last, so that a caller finds the trail's health up to date. A dropped ack is no error.
        self.synced.drain(..).for_each(|done| drop(done.send(Ok(()))));
        let outcome = result.map_err(|_| AuditError::NotWritten);
        self.flushes.drain(..).for_each(|done| drop(done.send(outcome.clone())));
    }

    fn receive(&mut self, message: AuditMessage) {
        match message {
            AuditMessage::Line(line) => self.enqueue(line),
            AuditMessage::Flush(done) => {
                self.has_urgent_lines = true;
                self.flushes.push(done);
            }
        }
    }

    /// Queues a record. Past the bound the newest is lost and counted: the oldest ones show how an incident began.
    fn enqueue(&mut self, line: PendingLine) {
        if self.waiting.len() < AUDIT_PENDING_MAX {
            self.waiting.push_back(line);
        } else {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes the waiting lines, and then how many were lost meanwhile: in the order in which it happened.
    fn write_all(&mut self) -> io::Result<()> {
        self.write()?;
        let lost = self.shared.lost.load(Ordering::Relaxed);
        if lost == self.lost_told {
            return Ok(());
        }
        let detail = json!({ "count": lost - self.lost_told });
        self.lost_told = lost;
        let entry = AuditRecord::gateway(AuditAct::Lost, detail, self.clock.now().wall);
        self.waiting.push_back(PendingLine { entry, done: None });
        self.write()
    }

    /// Writes the waiting lines in groups. A group is written whole or not at all, and the chain moves on with each.
    fn write(&mut self) -> io::Result<()> {
        self.continue_rotation()?;
        while !self.waiting.is_empty() {
            let count = self.waiting.len().min(AUDIT_GROUP_MAX);
            let mut bytes = Vec::new();
            let mut last = self.last;
            for message in self.waiting.range(..count) {
                last = append(&message.entry, last, &self.key, &mut bytes);
            }
            self.storage.append(&bytes)?;
            self.last = last;
            self.has_unsynced_lines = true;
            for message in self.waiting.drain(..count) {
                self.has_urgent_lines |= message.entry.act.is_synced_at_once();
                self.unsynced.extend(message.done);
            }
        }
        Ok(())
    }

    fn sync(&mut self, is_over: bool) -> io::Result<()> {
        let now = self.clock.now();
        let waited = Duration::from_nanos(now.monotonic_ns.saturating_sub(self.synced_at.monotonic_ns));
        let is_due = self.has_urgent_lines || is_over || self.storage.is_full() || waited >= AUDIT_SYNC_EVERY;
        if !self.has_unsynced_lines || !is_due {
            return Ok(());
        }
        self.storage.sync(&head(self.last, &self.key))?;
        self.has_unsynced_lines = false;
        self.has_urgent_lines = false;
        self.synced_at = now;
        *self.shared.position.locked() = self.last;
        self.synced.append(&mut self.unsynced);
        Ok(())
    }

    /// Ends a full file with a line `sealed`, and begins the next one with a line `continued`. A step that fails is
    /// repeated until it succeeds, and no other line is written in between.
    fn rotate(&mut self) -> io::Result<()> {
        if self.rotation == RotationStep::None && self.storage.is_full() {
            self.write_gateway_line(AuditAct::Sealed)?;
            self.rotation = RotationStep::Sealed;
        }
        self.continue_rotation()
    }

    fn continue_rotation(&mut self) -> io::Result<()> {
        if self.rotation == RotationStep::Sealed {
            self.has_urgent_lines = true;
            self.sync(false)?;
            self.storage.rotate(self.last.seq)?;
            self.rotation = RotationStep::Begun;
        }
        if self.rotation == RotationStep::Begun {
            self.write_gateway_line(AuditAct::Continued)?;
            self.rotation = RotationStep::None;
            self.sync(false)?;
        }
        Ok(())
    }

    fn write_gateway_line(&mut self, act: AuditAct) -> io::Result<()> {
        let entry = AuditRecord::gateway(act, json!({ "after": self.last.seq }), self.clock.now().wall);
        let mut bytes = Vec::new();
        let last = append(&entry, self.last, &self.key, &mut bytes);
        self.storage.append(&bytes)?;
        self.last = last;
        self.has_unsynced_lines = true;
        self.has_urgent_lines = true;
        Ok(())
    }
}
