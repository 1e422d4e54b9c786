//! The writer of a log: buffers that threads append lines to, and one thread that empties them into a sink.
//!
//! Appending never waits for the sink, so a reader that stalls cannot stop a thread that serves. A line that finds its
//! buffer full is dropped and counted, and the log itself reports how many were dropped.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{Builder, JoinHandle, Thread};

use super::exchange_line::TimestampCache;
use crate::bounds::{LOG_BUFFER_BYTES_MAX, LOG_CLOSE_DEADLINE, LOG_FLUSH_INTERVAL};
use crate::model::Lock as _;

/// The buffers of one log.
pub(super) struct LogBuffers {
    buffers: Box<[Mutex<LineBuffer>]>,
    /// The writing thread is woken once a buffer holds so many bytes; fewer wait for its next round.
    wake_bytes: usize,
    dropped: AtomicU64,
    ended: AtomicBool,
    thread: OnceLock<Thread>,
}

#[derive(Default)]
#[repr(align(128))]
struct LineBuffer {
    bytes: Vec<u8>,
    stamp: TimestampCache,
}

/// Ends a log: dropping it writes what is left, within a bound.
pub(super) struct LogWriter {
    pub(super) buffers: Arc<LogBuffers>,
    thread: Option<JoinHandle<()>>,
}

impl LogWriter {
    /// Starts the thread that writes the log of this name, `event` or `exchange`, to `sink`.
    pub(super) fn start(
        name: &'static str,
        count: usize,
        wake_bytes: usize,
        sink: impl Write + Send + 'static,
    ) -> io::Result<Self> {
        let buffers = Arc::new(LogBuffers {
            buffers: (0..count).map(|_| Mutex::default()).collect(),
            wake_bytes,
            dropped: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            thread: OnceLock::new(),
        });
        let shared = Arc::clone(&buffers);
        let thread = Builder::new().name(format!("{name}-log")).spawn(move || shared.write_until_ended(name, sink))?;
        let _ = buffers.thread.set(thread.thread().clone());
        Ok(Self { buffers, thread: Some(thread) })
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        self.buffers.ended.store(true, Ordering::Release);
        let Some(thread) = self.thread.take() else { return };
        thread.thread().unpark();
        // A reader that hangs must not keep the process from ending: what it has not read by then is lost.
        let step = LOG_CLOSE_DEADLINE / 200;
        (0..200).take_while(|_| !thread.is_finished()).for_each(|_| std::thread::sleep(step));
    }
}

impl LogBuffers {
    /// Appends a line to a buffer. Allocates nothing once the buffer has grown.
    pub(super) fn append(&self, buffer: usize, line: impl FnOnce(&mut Vec<u8>, &mut TimestampCache)) {
        let Some(buffer) = self.buffers.get(buffer) else { return };
        let mut buffer = buffer.locked();
        let before = buffer.bytes.len();
        if before >= LOG_BUFFER_BYTES_MAX {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let LineBuffer { bytes, stamp } = &mut *buffer;
        line(bytes, stamp);
        if bytes.len() > LOG_BUFFER_BYTES_MAX {
            bytes.truncate(before);
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let is_due = before < self.wake_bytes && bytes.len() >= self.wake_bytes;
        drop(buffer);
        if is_due && let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Lines that were dropped because the log's reader was too slow.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn write_until_ended(&self, name: &'static str, mut sink: impl Write) {
        let (mut batch, mut reported) = (Vec::new(), 0);
        loop {
            let ended = self.ended.load(Ordering::Acquire);
            let wrote = self.write_to(&mut sink, &mut batch);
            let dropped = self.dropped();
            if dropped > reported {
                // In the log of events this adds a line: the next round writes it.
                tracing::warn!(lines = dropped - reported, "{name} log lines were dropped: their reader is too slow");
                reported = dropped;
            } else if ended && !wrote {
                return;
            }
            if !ended && self.wake_bytes > 1 {
                std::thread::park_timeout(LOG_FLUSH_INTERVAL);
            } else if !ended && !wrote {
                // Every line into an empty buffer wakes the thread. After a write it looks once more before it sleeps,
                // since the sink may have slept in the same way, and so have used up the waking.
                std::thread::park();
            }
        }
    }

    /// Empties every buffer; says whether one held anything. Memory is swapped, so that no buffer has to grow anew.
    fn write_to(&self, sink: &mut impl Write, batch: &mut Vec<u8>) -> bool {
        let mut wrote = false;
        for buffer in &self.buffers {
            std::mem::swap(batch, &mut buffer.locked().bytes);
            if !batch.is_empty() {
                wrote = true;
                // A log that cannot be written must not stop the gateway; the next batch may fare better.
                drop(sink.write_all(batch).and_then(|()| sink.flush()));
                batch.clear();
            }
        }
        wrote
    }
}
