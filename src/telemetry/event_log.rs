//! The log of events: a bounded queue between whoever speaks and whoever reads standard error.
//!
//! A thread that serves never writes to a pipe: a reader that stalls would stop it. What does not fit is dropped, counted
//! and said to be missing. In the human form every value is one word or one quoted text, so that nothing that a stranger
//! chose can look like a line, a field or a terminal's command.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{JoinHandle, Thread};

use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FormatFields, MakeWriter};

use super::log::LogFormat;
use super::vendor_metrics::lock;
use crate::bounds::{LOG_BUFFER_BYTES_MAX, LOG_CLOSE_DEADLINE, LOG_FLUSH_INTERVAL};
use crate::model::{escape_unprintable, is_printable};

/// Where events go; cloning shares it.
#[derive(Debug, Clone)]
pub(super) struct EventQueue(Arc<EventLogShared>);

#[derive(Debug, Default)]
struct EventLogShared {
    format: LogFormat,
    lines: Mutex<Vec<u8>>,
    dropped: AtomicU64,
    ended: AtomicBool,
    writer: OnceLock<Thread>,
}

/// Ends the log of events: dropping it writes what is left, within a bound.
#[derive(Debug)]
pub struct EventLog {
    queue: EventQueue,
    writer: Option<JoinHandle<()>>,
}

impl EventLog {
    /// Starts the thread that writes to `sink`.
    pub(super) fn start(format: LogFormat, sink: impl Write + Send + 'static) -> io::Result<(Self, EventQueue)> {
        let queue = EventQueue(Arc::new(EventLogShared { format, ..EventLogShared::default() }));
        let theirs = Arc::clone(&queue.0);
        let writer =
            std::thread::Builder::new().name("event-log".into()).spawn(move || theirs.write_until_ended(sink))?;
        let _ = queue.0.writer.set(writer.thread().clone());
        Ok((Self { queue: queue.clone(), writer: Some(writer) }, queue))
    }
}

impl Drop for EventLog {
    fn drop(&mut self) {
        self.queue.0.ended.store(true, Ordering::Release);
        if let Some(writer) = self.writer.take() {
            writer.thread().unpark();
            wait_for(&writer);
        }
    }
}

/// A reader that hangs must not keep the process from ending: what it has not read by then is lost.
pub(super) fn wait_for(writer: &JoinHandle<()>) {
    let step = LOG_CLOSE_DEADLINE / 200;
    (0..200).take_while(|_| !writer.is_finished()).for_each(|_| std::thread::sleep(step));
}

impl EventQueue {
    /// Events that were lost because their reader was too slow.
    pub(super) fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }
}

impl<'a> MakeWriter<'a> for EventQueue {
    type Writer = EventWriter<'a>;

    fn make_writer(&'a self) -> EventWriter<'a> {
        EventWriter { shared: &self.0 }
    }
}

/// Takes one event, which the formatter hands over as a whole.
#[derive(Debug)]
pub(super) struct EventWriter<'a> {
    shared: &'a EventLogShared,
}

impl Write for EventWriter<'_> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = match self.shared.format {
            LogFormat::Json => escape_unprintable(&text),
            // Its fields are escaped one by one; between them may stand colours.
            LogFormat::Human => Cow::Borrowed(&*text),
        };
        let mut lines = lock(&self.shared.lines);
        let was_empty = lines.is_empty();
        if lines.len() + line.len() > LOG_BUFFER_BYTES_MAX {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        } else {
            lines.extend_from_slice(line.as_bytes());
        }
        drop(lines);
        if was_empty && let Some(writer) = self.shared.writer.get() {
            writer.unpark();
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl EventLogShared {
    fn write_until_ended(&self, mut sink: impl Write) {
        let (mut batch, mut reported) = (Vec::new(), 0);
        loop {
            let ended = self.ended.load(Ordering::Acquire);
            std::mem::swap(&mut batch, &mut lock(&self.lines));
            let is_empty = batch.is_empty();
            if !is_empty {
                // A log that cannot be written must not stop the gateway; the next batch may fare better.
                drop(sink.write_all(&batch).and_then(|()| sink.flush()));
                batch.clear();
            }
            let dropped = self.dropped.load(Ordering::Relaxed);
            if dropped > reported {
                tracing::warn!(lines = dropped - reported, "event log lines were dropped: their reader is too slow");
                reported = dropped;
            } else if is_empty && ended {
                return;
            } else if is_empty {
                std::thread::park_timeout(LOG_FLUSH_INTERVAL.saturating_mul(10));
            }
        }
    }
}

/// Fields of the human form.
#[derive(Debug, Clone, Copy)]
pub(super) struct HumanFields;

impl<'writer> FormatFields<'writer> for HumanFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut visitor = HumanVisitor { writer, is_first: true, result: Ok(()) };
        fields.record(&mut visitor);
        visitor.result
    }
}

struct HumanVisitor<'writer> {
    writer: Writer<'writer>,
    is_first: bool,
    result: fmt::Result,
}

impl HumanVisitor<'_> {
    fn field(&mut self, field: &Field, text: &str) -> fmt::Result {
        if !std::mem::take(&mut self.is_first) {
            self.writer.write_char(' ')?;
        }
        if field.name() == "message" {
            return text.chars().try_for_each(|symbol| match is_printable(symbol) {
                true => self.writer.write_char(symbol),
                false => write!(self.writer, "{}", symbol.escape_default()),
            });
        }
        let is_word = !text.is_empty() && text.chars().all(|c| c != ' ' && c != '"' && c != '=' && is_printable(c));
        match is_word {
            true => write!(self.writer, "{}={text}", field.name()),
            false => write!(self.writer, "{}={text:?}", field.name()),
        }
    }
}

impl Visit for HumanVisitor<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if self.result.is_ok() {
            self.result = self.field(field, value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::mpsc;
    use tracing_subscriber::prelude::*;

    /// A sink that takes nothing until it is let go.
    struct Stalled {
        leave: mpsc::Receiver<()>,
        kept: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Stalled {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ended = self.leave.recv();
            lock(&self.kept).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_stalls_costs_lines_and_stops_nobody() {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let (hold, leave) = mpsc::channel();
        let (log, queue) = EventLog::start(LogFormat::Json, Stalled { leave, kept: Arc::clone(&kept) }).unwrap();
        let layer = tracing_subscriber::fmt::layer().with_writer(queue.clone()).with_ansi(false);
        let events = LOG_BUFFER_BYTES_MAX as u64 / 50;
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            (0..events).for_each(|number| tracing::warn!(number, "an event"));
        });
        let dropped = queue.dropped();
        assert!(dropped > 0);
        drop(hold);
        drop(log);
        let written = lock(&kept).iter().filter(|byte| **byte == b'\n').count() as u64;
        assert_eq!(written + dropped, events);
    }

    fn human(value: &str) -> String {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let (_, leave) = mpsc::channel();
        let (log, queue) = EventLog::start(LogFormat::Json, Stalled { leave, kept: Arc::clone(&kept) }).unwrap();
        let layer = tracing_subscriber::fmt::layer().with_writer(queue).fmt_fields(HumanFields).with_ansi(false);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer.without_time()), || {
            tracing::warn!(shown = %value, debugged = ?value, text = value, last = 1, "said {value}");
        });
        drop(log);
        String::from_utf8(lock(&kept).clone()).unwrap()
    }

    #[test]
    fn what_a_stranger_chose_forges_no_line_and_no_field() {
        let line = human("x\n2026-11-29T10:00:00Z  WARN vendorgate: kill switch act=restored\u{1b}[2K\u{202e}");
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        assert!(!line.contains('\u{1b}') && !line.contains('\u{202e}'), "{line}");
        assert!(line.contains("shown=\"x\\n2026"), "{line}");
        assert_eq!(
            human("plain").trim(),
            "WARN vendorgate::telemetry::event_log::tests: said plain shown=plain debugged=\"\\\"plain\\\"\" text=plain last=1"
        );
        assert!(human("a act=kill").contains(" shown=\"a act=kill\" "));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever a value holds, the event is one line without a control character, and ends as it should.
        #[test]
        fn any_text_stays_one_line(value in any::<String>()) {
            let line = human(&value);
            prop_assert_eq!(line.chars().filter(|c| c.is_control()).count(), 1);
            prop_assert!(line.ends_with(" last=1\n"));
        }
    }
}
