//! The log of events, on standard error.
//!
//! In the human form every value is one word or one quoted text, so that no text that a stranger chose can look like a
//! line, a field or a terminal's command.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FormatFields, MakeWriter};

use super::log::LogFormat;
use super::log_writer::{LogBuffers, LogWriter};
use crate::model::{debug_fields, escape_unprintable, is_printable};

/// Where events go; cloning shares it.
#[derive(Clone)]
pub(super) struct EventQueue {
    format: LogFormat,
    buffers: Arc<LogBuffers>,
}

/// Ends the log of events: dropping it writes what is left, within a bound.
pub struct EventLog {
    format: LogFormat,
    writer: LogWriter,
}

impl EventLog {
    /// Starts the thread that writes to `sink`.
    pub(super) fn start(format: LogFormat, sink: impl Write + Send + 'static) -> io::Result<Self> {
        // One buffer, of which each event wakes the thread: events are few, and people wait for them.
        LogWriter::start("event", 1, 1, sink).map(|writer| Self { format, writer })
    }

    /// Where its events go.
    pub(super) fn queue(&self) -> EventQueue {
        EventQueue { format: self.format, buffers: Arc::clone(&self.writer.buffers) }
    }
}

debug_fields!(EventLog: format);

impl EventQueue {
    /// Events that were lost because their reader was too slow.
    pub(super) fn dropped(&self) -> u64 {
        self.buffers.dropped()
    }
}

impl<'a> MakeWriter<'a> for EventQueue {
    type Writer = EventWriter<'a>;

    fn make_writer(&'a self) -> EventWriter<'a> {
        EventWriter(self)
    }
}

/// Takes one event, which the formatter hands over as a whole.
pub(super) struct EventWriter<'a>(&'a EventQueue);

impl Write for EventWriter<'_> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = match self.0.format {
            LogFormat::Json => escape_unprintable(&text),
            // Its fields are escaped one by one; colours may come between them.
            LogFormat::Human => Cow::Borrowed(&*text),
        };
        self.0.buffers.append(0, |bytes, _| bytes.extend_from_slice(line.as_bytes()));
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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
    use crate::bounds::LOG_BUFFER_BYTES_MAX;
    use crate::model::Lock as _;
    use proptest::prelude::*;
    use std::sync::{Mutex, mpsc};
    use tracing_subscriber::prelude::*;

    /// A sink that blocks until the test drops its sender.
    struct Stalled {
        leave: mpsc::Receiver<()>,
        kept: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Stalled {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ended = self.leave.recv();
            self.kept.locked().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_stalls_costs_lines_and_blocks_no_thread() {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let (hold, leave) = mpsc::channel();
        let log = EventLog::start(LogFormat::Json, Stalled { leave, kept: Arc::clone(&kept) }).unwrap();
        let layer = tracing_subscriber::fmt::layer().with_writer(log.queue()).with_ansi(false);
        let events = LOG_BUFFER_BYTES_MAX as u64 / 50;
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            (0..events).for_each(|number| tracing::warn!(number, "an event"));
        });
        let dropped = log.queue().dropped();
        assert!(dropped > 0);
        drop(hold);
        drop(log);
        let written = kept.locked().iter().filter(|byte| **byte == b'\n').count() as u64;
        assert_eq!(written + dropped, events);
    }

    fn human(value: &str) -> String {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let (_, leave) = mpsc::channel();
        let log = EventLog::start(LogFormat::Json, Stalled { leave, kept: Arc::clone(&kept) }).unwrap();
        let layer = tracing_subscriber::fmt::layer().with_writer(log.queue()).fmt_fields(HumanFields).with_ansi(false);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer.without_time()), || {
            tracing::warn!(shown = %value, debugged = ?value, text = value, last = 1, "said {value}");
        });
        drop(log);
        String::from_utf8(kept.locked().clone()).unwrap()
    }

    #[test]
    fn text_that_a_stranger_chose_forges_no_line_and_no_field() {
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

        /// Whatever a value holds, the event is one line without a control character and ends with its last field.
        #[test]
        fn any_text_stays_one_line(value in any::<String>()) {
            let line = human(&value);
            prop_assert_eq!(line.chars().filter(|c| c.is_control()).count(), 1);
            prop_assert!(line.ends_with(" last=1\n"));
        }
    }
}
