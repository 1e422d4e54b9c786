//! Sequences of documents: JSON Lines and NDJSON, and JSON text sequences (RFC 7464).
//!
//! One JSON rewriter reads all documents, and is reset before each: so paths begin at the document and not at the
//! sequence. The bytes between documents pass unchanged. Never lets a document end where the JSON rewriter finds it
//! incomplete.

mod counter;
mod documents;

pub(super) use counter::DocumentCounter;
pub(super) use documents::DocumentRules;
pub(super) use documents::shift_offset;

use super::json::JsonRewriter;
use super::{RewriteError, RewriteObserver, RewriteResult, Rewriter};

/// A rewriter that can begin a next document.
pub(super) trait Restart: Rewriter {
    /// Goes back to before the first byte; buffers may be kept.
    fn restart(&mut self);
}

impl Restart for JsonRewriter {
    fn restart(&mut self) {
        self.reset();
    }
}

/// How the documents of a sequence are separated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SequenceFraming {
    /// One on each line: `application/x-ndjson`, `application/jsonl`. Empty lines pass.
    Lines,
    /// Each after an RS character: `application/json-seq`.
    TextSequence,
}

/// Treats a sequence of documents while it streams.
pub(super) struct SequenceRewriter<E> {
    engine: E,
    framing: SequenceFraming,
    counter: DocumentCounter,
    state: SequenceState,
    /// Offset of the next byte.
    at: u64,
    /// Offset of the first byte of the open document.
    start: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum SequenceState {
    /// Before the first RS of a text sequence.
    Before,
    /// Between two documents.
    Gap,
    /// Inside a document.
    Document,
}

const RECORD_SEPARATOR: u8 = 0x1e;

impl<E: Restart> SequenceRewriter<E> {
    /// A rewriter for one sequence. With `counts`, each document is a record, or as many as the inner rewriter counts
    /// in it.
    pub(super) fn new(engine: E, framing: SequenceFraming, counts: bool) -> Self {
        let state = match framing {
            SequenceFraming::Lines => SequenceState::Gap,
            SequenceFraming::TextSequence => SequenceState::Before,
        };
        Self { engine, framing, counter: DocumentCounter::new(counts), state, at: 0, start: 0 }
    }

    /// Takes the bytes before the next document; returns how many.
    fn gap(&mut self, input: &[u8], observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult<usize> {
        let between = |&b: &u8| matches!(b, b' ' | b'\t' | b'\r' | b'\n') || b == self.separator();
        let used = input.iter().position(|b| !between(b)).unwrap_or(input.len());
        out.extend_from_slice(&input[..used]);
        if used < input.len() {
            self.counter.document(observer)?;
            self.engine.restart();
            self.start = self.at + used as u64;
            self.state = SequenceState::Document;
        }
        Ok(used)
    }

    /// Takes the bytes of the open document, up to its end; returns how many.
    fn document(
        &mut self,
        input: &[u8],
        observer: &mut dyn RewriteObserver,
        out: &mut Vec<u8>,
    ) -> RewriteResult<usize> {
        let end = memchr::memchr(self.separator(), input);
        let used = end.unwrap_or(input.len());
        let start = self.start;
        let mut observer = self.counter.within(observer);
        self.engine.feed(&input[..used], &mut observer, out).map_err(|stop| shift_offset(stop, start))?;
        if end.is_some() {
            self.engine.finish(&mut observer, out).map_err(|stop| shift_offset(stop, start))?;
            self.state = SequenceState::Gap;
        }
        Ok(used)
    }

    const fn separator(&self) -> u8 {
        match self.framing {
            SequenceFraming::Lines => b'\n',
            SequenceFraming::TextSequence => RECORD_SEPARATOR,
        }
    }
}

impl<E: Restart> Rewriter for SequenceRewriter<E> {
    fn feed(&mut self, mut input: &[u8], observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult {
        while let Some(&first) = input.first() {
            let used = match self.state {
                SequenceState::Before if first != RECORD_SEPARATOR => {
                    return Err(RewriteError::Malformed {
                        what: "a text sequence that does not begin with RS",
                        at: self.at,
                    });
                }
                SequenceState::Before => {
                    self.state = SequenceState::Gap;
                    0
                }
                SequenceState::Gap => self.gap(input, observer, out)?,
                SequenceState::Document => self.document(input, observer, out)?,
            };
            self.at += used as u64;
            input = &input[used..];
        }
        Ok(())
    }

    fn finish(&mut self, observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult {
        match self.state {
            SequenceState::Before | SequenceState::Gap => Ok(()),
            SequenceState::Document => {
                let mut observer = self.counter.within(observer);
                self.engine.finish(&mut observer, out).map_err(|stop| shift_offset(stop, self.start))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::testing::{self, RecordingObserver, marked};
    use proptest::prelude::*;

    /// Holds a document, then puts out its mark; a document that begins with `bad` is refused.
    #[derive(Default)]
    struct Whole(Vec<u8>);

    impl Rewriter for Whole {
        fn feed(&mut self, input: &[u8], _: &mut dyn RewriteObserver, _: &mut Vec<u8>) -> RewriteResult {
            self.0.extend_from_slice(input);
            Ok(())
        }

        fn finish(&mut self, _: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult {
            if self.0.starts_with(b"bad") {
                return Err(RewriteError::Malformed { what: "bad", at: 3 });
            }
            out.extend_from_slice(marked(0, &self.0).as_bytes());
            Ok(())
        }
    }

    impl Restart for Whole {
        fn restart(&mut self) {
            self.0.clear();
        }
    }

    fn lines() -> SequenceRewriter<Whole> {
        SequenceRewriter::new(Whole::default(), SequenceFraming::Lines, true)
    }

    fn sequence() -> SequenceRewriter<Whole> {
        SequenceRewriter::new(Whole::default(), SequenceFraming::TextSequence, true)
    }

    #[test]
    fn each_line_is_a_document_and_the_space_between_passes() {
        let seal = |text: &str| marked(0, text.as_bytes());
        for (body, expected) in [
            ("a\nbc\n", format!("{}\n{}\n", seal("a"), seal("bc"))),
            ("a\r\n\n \t\r\n  bc", format!("{}\n\n \t\r\n  {}", seal("a\r"), seal("bc"))),
            ("", String::new()),
            ("\n", "\n".to_owned()),
        ] {
            assert_eq!(testing::output_text(lines, body), expected);
        }
        let (_, seen, _) = testing::feed_at_every_split(lines, b"a\n\nbc\nd");
        assert_eq!(seen.records, 3);
    }

    #[test]
    fn each_text_of_a_sequence_is_a_document() {
        let body = "\u{1e}a\n\u{1e}\u{1e}b\nc\n";
        assert_eq!(
            testing::output_text(sequence, body),
            format!("\u{1e}{}\u{1e}\u{1e}{}", marked(0, b"a\n"), marked(0, b"b\nc\n"))
        );
        assert_eq!(
            testing::error_of(sequence, b"a\n"),
            RewriteError::Malformed { what: "a text sequence that does not begin with RS", at: 0 }
        );
        assert_eq!(testing::output_text(sequence, ""), "");
    }

    #[test]
    fn an_error_in_a_document_has_its_offset_in_the_body() {
        assert_eq!(testing::error_of(lines, b"a\n bad\n"), RewriteError::Malformed { what: "bad", at: 6 });
        assert_eq!(testing::error_of(lines, b"a\nbad"), RewriteError::Malformed { what: "bad", at: 5 });
        assert_eq!(testing::error_of(sequence, b"\x1ea\n\x1ebad"), RewriteError::Malformed { what: "bad", at: 7 });
    }

    #[test]
    fn the_line_over_the_budget_does_not_leave() {
        let seen = RecordingObserver { budget: Some(2), ..RecordingObserver::default() };
        let (out, _, end) = testing::feed_chunks(&mut lines(), seen, [&b"a\nb\nc\nd\n"[..]]);
        assert_eq!(end, Err(RewriteError::RecordBudgetSpent));
        assert_eq!(String::from_utf8(out).unwrap(), format!("{}\n{}\n", marked(0, b"a"), marked(0, b"b")));
    }

    proptest! {
        #[test]
        fn lines_are_what_a_split_at_line_feeds_gives(body in "[ab\\n ]{0,30}") {
            let expected: Vec<String> = body.split('\n').map(|line| {
                let text = line.trim_start();
                let seal = if text.is_empty() { String::new() } else { marked(0, text.as_bytes()) };
                format!("{}{seal}", &line[..line.len() - text.len()])
            }).collect();
            prop_assert_eq!(testing::output_text(lines, &body), expected.join("\n"));
        }
    }
}
