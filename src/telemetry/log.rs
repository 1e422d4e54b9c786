//! The two logs: events through `tracing` to standard error, and one line for each exchange to standard output.
//!
//! No request waits for a log: see `log_writer`. Other crates never log below warnings, whatever the level, since their
//! debug output prints headers.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, OnceLock};

pub use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

pub use super::event_log::EventLog;
use super::event_log::{EventQueue, HumanFields};
use super::exchange_line::ExchangeLine;
use super::log_writer::LogWriter;
use super::shard::{MetricShard, shards};
use crate::bounds::LOG_BUFFER_BYTES_MAX;

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// Words for a terminal.
    Human,
}

/// How events are logged. Exchanges have a log of their own: see [`ExchangeLog`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSettings {
    /// The form of a line.
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
    /// Another log of events was started in this process.
    #[error("logging was started before")]
    Started(#[source] tracing_subscriber::util::TryInitError),
    /// The system could not start a thread.
    #[error("cannot start the thread that writes the log")]
    Thread(#[source] io::Error),
}

/// The queue of the process's events, so that a scrape can read how many were dropped.
static EVENTS: OnceLock<EventQueue> = OnceLock::new();

/// Starts the log of events, for the whole process, on standard error. Panics become events too: the standard report
/// would write to standard error directly, and so wait for its reader. Dropping the returned value ends the log.
///
/// # Errors
/// [`LogError::Started`] when it is called a second time, [`LogError::Thread`] when the system cannot start a thread.
pub fn start(settings: &LogSettings) -> Result<EventLog, LogError> {
    // A separate handle: a writer that waits for its reader must not hold the lock of `io::stderr`.
    let stderr = io::stderr().as_fd().try_clone_to_owned().map_err(LogError::Thread)?;
    let log = EventLog::start(settings.format, File::from(stderr)).map_err(LogError::Thread)?;
    let registry = tracing_subscriber::registry().with(filter(settings.level));
    let layer = tracing_subscriber::fmt::layer().with_writer(log.queue());
    match settings.format {
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).try_init(),
        LogFormat::Human => {
            let is_terminal = io::IsTerminal::is_terminal(&io::stderr());
            registry.with(layer.fmt_fields(HumanFields).with_ansi(is_terminal)).try_init()
        }
    }
    .map_err(LogError::Started)?;
    let _ = EVENTS.set(log.queue());
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        tracing::error!(thread = thread.name(), %panic, "a thread panicked");
    }));
    Ok(log)
}

/// The number of events that were dropped because the reader of standard error was too slow.
pub fn events_dropped() -> u64 {
    EVENTS.get().map_or(0, EventQueue::dropped)
}

/// Our own events from `level` on; those of other crates from warnings on at most.
fn filter(level: LevelFilter) -> Targets {
    Targets::new().with_default(level.min(LevelFilter::WARN)).with_target(env!("CARGO_CRATE_NAME"), level)
}

/// The log of exchanges; cloning shares it. What was written reaches the sink within a tenth of a second, and when
/// the last clone is dropped.
#[derive(Clone)]
pub struct ExchangeLog(Option<(LogFormat, Arc<LogWriter>)>);

impl ExchangeLog {
    /// A log that keeps nothing.
    pub const fn off() -> Self {
        Self(None)
    }

    /// A log into `sink`, usually standard output; nothing else should write there.
    ///
    /// # Errors
    /// [`LogError::Thread`] when the system cannot start a thread.
    pub fn start(format: LogFormat, sink: impl Write + Send + 'static) -> Result<Self, LogError> {
        // One buffer for each worker, so that none waits for another; its thread looks ten times a second.
        let writer =
            LogWriter::start("exchange", shards(), LOG_BUFFER_BYTES_MAX / 2, sink).map_err(LogError::Thread)?;
        Ok(Self(Some((format, Arc::new(writer)))))
    }

    /// Whether lines are kept: without, there is no need to make one.
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Adds a line. Never waits for the sink, and allocates nothing once its buffer has grown.
    pub fn write(&self, line: &ExchangeLine<'_>) {
        let Some((format, writer)) = &self.0 else { return };
        let buffer = MetricShard::of_this_thread().index();
        writer.buffers.append(buffer, |bytes, stamp| line.write(*format, stamp, bytes));
    }

    /// Lines that were lost because the log's reader was too slow.
    pub fn dropped(&self) -> u64 {
        self.0.as_ref().map_or(0, |(_, writer)| writer.buffers.dropped())
    }
}

impl fmt::Debug for ExchangeLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExchangeLog").field("on", &self.is_on()).field("dropped", &self.dropped()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Lock as _;
    use crate::model::{Direction, UnixTime};
    use std::sync::{Mutex, mpsc};

    /// A sink that blocks until the test drops its sender, and keeps what was written.
    struct Slow {
        leave: mpsc::Receiver<()>,
        kept: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Once the sender is dropped, this returns at once.
            let _ended = self.leave.recv();
            self.kept.locked().extend_from_slice(bytes);
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
            would_deny: Default::default(),
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
        let text = String::from_utf8(kept.locked().clone()).unwrap();
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
        let written = kept.locked().iter().filter(|byte| **byte == b'\n').count() as u64;
        assert_eq!(written + dropped, lines);
    }

    #[test]
    fn other_crates_log_warnings_and_errors_only() {
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
    fn a_log_that_is_off_keeps_no_line() {
        let log = ExchangeLog::off();
        log.write(&line(1));
        assert!(!log.is_on() && log.dropped() == 0);
    }
}
