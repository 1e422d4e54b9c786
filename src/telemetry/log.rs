//! Logging: events through `tracing` to standard error, one line per exchange to a writer of its own.
//!
//! Whoever handles traffic never waits for a log: events go into one bounded queue and exchanges' lines into a buffer per
//! thread, which threads of their own empty. When the reader of a log is slower than what is said, lines are dropped,
//! counted and said to be missing.
//! Other crates are held to warnings whatever the level, since their debug output prints headers.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{JoinHandle, Thread};

pub use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

pub use super::event_log::EventLog;
use super::event_log::{EventQueue, HumanFields, wait_for};
use super::exchange_line::{ExchangeLine, TimestampCache};
use super::shard::{MetricShard, shards};
use super::vendor_metrics::lock;
use crate::bounds::{LOG_BUFFER_BYTES_MAX, LOG_FLUSH_INTERVAL};

/// How logs look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// One JSON object a line, for machines.
    #[default]
    Json,
    /// Columns, for a terminal.
    Human,
}

/// What is logged. Lines of exchanges are apart: [`ExchangeLog::start`] them, or leave them [`ExchangeLog::off`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSettings {
    /// How it looks.
    pub format: LogFormat,
    /// The least severe of our own events that are written.
    pub level: LevelFilter,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { format: LogFormat::Json, level: LevelFilter::INFO }
    }
}

/// Why logging could not start.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Something in this process logs already.
    #[error("logging was started before")]
    Started(#[source] tracing_subscriber::util::TryInitError),
    /// The machine gave no thread.
    #[error("cannot start the thread that writes the log")]
    Thread(#[source] io::Error),
}

/// The queue of the process's events, for whoever counts what it lost.
static EVENTS: OnceLock<EventQueue> = OnceLock::new();

/// Starts the log of events, for the whole process, on standard error. Panics are events too: their own report would
/// write to standard error, and so wait for its reader. Dropping what is returned ends the log.
///
/// # Errors
/// [`LogError::Started`] when it is called a second time, [`LogError::Thread`] when the machine gives no thread.
pub fn start(settings: &LogSettings) -> Result<EventLog, LogError> {
    // A handle of its own: a writer that waits for its reader must not hold the lock of whoever else writes there.
    let stderr = io::stderr().as_fd().try_clone_to_owned().map_err(LogError::Thread)?;
    let (log, queue) = EventLog::start(settings.format, File::from(stderr)).map_err(LogError::Thread)?;
    let registry = tracing_subscriber::registry().with(filter(settings.level));
    let layer = tracing_subscriber::fmt::layer().with_writer(queue.clone());
    match settings.format {
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).try_init(),
        LogFormat::Human => {
            let is_terminal = io::IsTerminal::is_terminal(&io::stderr());
            registry.with(layer.fmt_fields(HumanFields).with_ansi(is_terminal)).try_init()
        }
    }
    .map_err(LogError::Started)?;
    let _ = EVENTS.set(queue);
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        tracing::error!(thread = thread.name(), %panic, "a thread panicked");
    }));
    Ok(log)
}

/// Events of this process that were lost because the reader of standard error was too slow.
pub fn events_dropped() -> u64 {
    EVENTS.get().map_or(0, EventQueue::dropped)
}

/// What is written: of ourselves what was asked for, of other crates never more than warnings.
fn filter(level: LevelFilter) -> Targets {
    Targets::new().with_default(level.min(LevelFilter::WARN)).with_target(env!("CARGO_CRATE_NAME"), level)
}

/// The log of exchanges; cloning shares it. What was written reaches the writer within a tenth of a second, and when
/// the last clone is dropped.
#[derive(Clone)]
pub struct ExchangeLog(Option<Arc<ExchangeLogWriter>>);

/// Ends the writing thread once nobody can add a line any more.
struct ExchangeLogWriter {
    shared: Arc<ExchangeLogShared>,
    writer: Option<JoinHandle<()>>,
}

struct ExchangeLogShared {
    format: LogFormat,
    buffers: Box<[Mutex<LineBuffer>]>,
    dropped: AtomicU64,
    ended: AtomicBool,
}

#[derive(Default)]
#[repr(align(128))]
struct LineBuffer {
    bytes: Vec<u8>,
    stamp: TimestampCache,
}

impl ExchangeLog {
    /// A log that keeps nothing.
    pub const fn off() -> Self {
        Self(None)
    }

    /// A log into `sink`, usually standard output; nothing else should write there.
    ///
    /// # Errors
    /// [`LogError::Thread`] when the machine gives no thread.
    pub fn start(format: LogFormat, sink: impl Write + Send + 'static) -> Result<Self, LogError> {
        let buffers = (0..shards()).map(|_| Mutex::default()).collect();
        let shared =
            Arc::new(ExchangeLogShared { format, buffers, dropped: AtomicU64::new(0), ended: AtomicBool::new(false) });
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("exchange-log".into());
        let writer = thread.spawn(move || theirs.write_until_ended(sink)).map_err(LogError::Thread)?;
        Ok(Self(Some(Arc::new(ExchangeLogWriter { shared, writer: Some(writer) }))))
    }

    /// Whether lines are kept: without, there is no need to make one.
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Adds a line. Never waits for the writer, and allocates nothing once its buffer has grown.
    pub fn write(&self, line: &ExchangeLine<'_>) {
        let Some(owner) = &self.0 else { return };
        if owner.shared.push(line) == BufferFill::Half
            && let Some(writer) = owner.thread()
        {
            writer.unpark();
        }
    }

    /// Lines that were lost because the log's reader was too slow.
    pub fn dropped(&self) -> u64 {
        self.0.as_ref().map_or(0, |owner| owner.shared.dropped.load(Ordering::Relaxed))
    }
}

impl fmt::Debug for ExchangeLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExchangeLog").field("on", &self.is_on()).field("dropped", &self.dropped()).finish()
    }
}

impl ExchangeLogWriter {
    fn thread(&self) -> Option<&Thread> {
        self.writer.as_ref().map(JoinHandle::thread)
    }
}

impl Drop for ExchangeLogWriter {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        if let Some(writer) = self.writer.take() {
            writer.thread().unpark();
            wait_for(&writer);
        }
    }
}

/// How full a buffer is after a line.
#[derive(PartialEq, Eq)]
enum BufferFill {
    Little,
    Half,
}

impl ExchangeLogShared {
    fn push(&self, line: &ExchangeLine<'_>) -> BufferFill {
        let Some(buffer) = self.buffers.get(MetricShard::of_this_thread().index()) else { return BufferFill::Little };
        let mut buffer = lock(buffer);
        let before = buffer.bytes.len();
        if before >= LOG_BUFFER_BYTES_MAX {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return BufferFill::Little;
        }
        let LineBuffer { bytes, stamp } = &mut *buffer;
        line.write(self.format, stamp, bytes);
        let half = LOG_BUFFER_BYTES_MAX / 2;
        if before < half && bytes.len() >= half { BufferFill::Half } else { BufferFill::Little }
    }

    fn write_until_ended(&self, mut sink: impl Write) {
        let (mut batch, mut reported) = (Vec::new(), 0);
        loop {
            let ended = self.ended.load(Ordering::Acquire);
            for buffer in &self.buffers {
                std::mem::swap(&mut batch, &mut lock(buffer).bytes);
                if batch.is_empty() {
                    continue;
                }
                // A log that cannot be written must not stop traffic; the next batch may fare better.
                drop(sink.write_all(&batch).and_then(|()| sink.flush()));
                batch.clear();
            }
            let dropped = self.dropped.load(Ordering::Relaxed);
            if dropped > reported {
                tracing::warn!(lines = dropped - reported, "exchange log lines were dropped: its reader is too slow");
                reported = dropped;
            }
            if ended {
                return;
            }
            std::thread::park_timeout(LOG_FLUSH_INTERVAL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Direction, UnixTime};
    use std::sync::mpsc;

    /// A sink that waits for leave before each write, and keeps what was written.
    struct Slow {
        leave: mpsc::Receiver<()>,
        kept: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Once the test has let go of its end, nothing waits any more.
            let _ended = self.leave.recv();
            lock(&self.kept).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn line(records: u64) -> ExchangeLine<'static> {
        ExchangeLine {
            shape_unexpected: false,
            at: UnixTime::from_secs(1),
            request_id: "id",
            direction: Direction::Egress,
            vendor: Some("acme"),
            client: None,
            peer: None,
            method: "POST",
            route: None,
            upstream: None,
            status: 200,
            reason: None,
            ended: None,
            cause: None,
            records,
            bytes_in: 0,
            bytes_out: 0,
            duration_us: 0,
            overhead_us: 0,
        }
    }

    #[test]
    fn all_lines_of_all_threads_are_written_by_the_end() {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let (_, leave) = mpsc::channel();
        let log = ExchangeLog::start(LogFormat::Json, Slow { leave, kept: Arc::clone(&kept) }).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..100).for_each(|records| log.write(&line(records))));
            }
        });
        drop(log);
        let text = String::from_utf8(lock(&kept).clone()).unwrap();
        assert_eq!(text.lines().filter(|line| line.ends_with("\"overhead_us\":0}")).count(), 400);
    }

    #[test]
    fn a_reader_that_hangs_costs_lines_and_neither_time_nor_memory() {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let (hold, leave) = mpsc::channel();
        let log = ExchangeLog::start(LogFormat::Json, Slow { leave, kept: Arc::clone(&kept) }).unwrap();
        let lines = 4 * LOG_BUFFER_BYTES_MAX as u64 / 100;
        (0..lines).for_each(|records| log.write(&line(records)));
        let dropped = log.dropped();
        assert!(dropped > 0);
        drop(hold);
        drop(log);
        let written = lock(&kept).iter().filter(|byte| **byte == b'\n').count() as u64;
        assert_eq!(written + dropped, lines);
    }

    #[test]
    fn other_crates_never_say_more_than_warnings() {
        use tracing::Level;
        for (level, target, said, written) in [
            (LevelFilter::TRACE, "vendorgate::kill", Level::TRACE, true),
            (LevelFilter::TRACE, "h2::codec", Level::DEBUG, false),
            (LevelFilter::TRACE, "hyper::proto", Level::INFO, false),
            (LevelFilter::INFO, "rustls", Level::WARN, true),
            (LevelFilter::ERROR, "rustls", Level::WARN, false),
            (LevelFilter::INFO, "vendorgate::kill", Level::DEBUG, false),
        ] {
            assert_eq!(filter(level).would_enable(target, &said), written, "{level} {target} {said}");
        }
    }

    #[test]
    fn a_log_that_is_off_costs_nothing() {
        let log = ExchangeLog::off();
        log.write(&line(1));
        assert!(!log.is_on() && log.dropped() == 0);
    }
}
