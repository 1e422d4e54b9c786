//! Server-sent events: `text/event-stream` (WHATWG HTML, section 9.2), with a JSON document as the data of each event.
//!
//! The data lines of an event are one document, joined as a client joins them; comments and the other fields are
//! treated in `non_data`. Data that is not JSON is refused, unless only detectors are configured: to them it is text.
//! A field that the standard does not have is refused, since a laxer client might read it. Never lets a data line
//! pass without its rewriter.

mod event;
mod non_data;

use super::lines::{DocumentCounter, Restart, shift_offset};
use super::utf8::{Utf8Validator, not_utf8};
use super::{DetectRule, DetectStream, RewriteError, RewriteObserver, RewriteResult, Rewriter};
use event::{EventData, LineDestination, SseEvent};
use non_data::NonDataLines;
use std::sync::Arc;

/// Treats an event stream while it runs.
pub(super) struct EventStreamRewriter<E> {
    engine: E,
    text: Option<DetectStream>,
    non_data: NonDataLines,
    counter: DocumentCounter,
    state: SseLineState,
    /// The name of the open line's field: no known one is longer than five bytes.
    name: Vec<u8>,
    event: SseEvent,
    /// What the inner rewriters have put out, before it is cut into data lines.
    piece: Vec<u8>,
    utf8: Utf8Validator,
    at: u64,
}

/// Where in a line the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SseLineState {
    Name,
    /// After `data:`, where one space may follow.
    Space,
    Data,
    /// In the value of a field that passes.
    Pass,
    /// In the value of a field that is dropped.
    Skip,
    /// After a CR: an LF belongs to the same line end.
    Return,
}

/// The rules for an event stream, besides those for the documents in it.
#[derive(Debug, Clone, Default)]
pub(super) struct EventStreamRules {
    /// The detectors for everything that is not in a JSON document, and the number of their rule.
    pub detect_rule: Option<(Arc<DetectRule>, usize)>,
    /// Whether data that does not begin like an object, an array or a string is text for the detectors, and not
    /// refused.
    pub detects_text: bool,
    /// Whether there is an allow-list: then comments, and fields other than data, are dropped.
    pub has_allow_list: bool,
    /// Whether each event with data is counted as a record, or as the records in it.
    pub counts_records: bool,
}

/// The data of the last event of some services.
const END_MARKER: &[u8] = b"[DONE]";

impl<E: Restart> EventStreamRewriter<E> {
    /// A rewriter for one stream.
    pub(super) fn new(engine: E, rules: EventStreamRules) -> Self {
        let EventStreamRules { detect_rule, detects_text, has_allow_list, counts_records } = rules;
        let detection = || detect_rule.as_ref().map(|(rule, number)| DetectStream::new(Arc::clone(rule), *number));
        let text = detection().filter(|_| detects_text);
        let non_data = NonDataLines::new(detection(), has_allow_list);
        let (name, piece, utf8) = (Vec::new(), Vec::new(), Utf8Validator::default());
        let (counter, state) = (DocumentCounter::new(counts_records), SseLineState::Name);
        Self { engine, text, non_data, counter, state, name, event: SseEvent::default(), piece, utf8, at: 0 }
    }

    fn read(&mut self, mut input: &[u8], observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult {
        while let Some(&byte) = input.first() {
            let used = match (self.state, byte) {
                (SseLineState::Return, b'\n') => {
                    self.event.put(self.event.last, b"\n", out)?;
                    self.state = SseLineState::Name;
                    1
                }
                (SseLineState::Return, _) => {
                    self.state = SseLineState::Name;
                    0
                }
                (_, b'\r' | b'\n') => {
                    self.end_line(byte, observer, out)?;
                    self.state = if byte == b'\r' { SseLineState::Return } else { SseLineState::Name };
                    1
                }
                (SseLineState::Name, _) => self.name(byte, out)?,
                (SseLineState::Space, _) => {
                    let spaced = byte == b' ';
                    self.begin_data(spaced, observer, out)?;
                    usize::from(spaced)
                }
                (SseLineState::Data, _) => {
                    let line = &input[..memchr::memchr2(b'\r', b'\n', input).unwrap_or(input.len())];
                    self.data(line, observer, out)?;
                    line.len()
                }
                (SseLineState::Pass, _) => {
                    let line = &input[..memchr::memchr2(b'\r', b'\n', input).unwrap_or(input.len())];
                    self.non_data.feed(line, observer);
                    self.put_non_data(out)?;
                    line.len()
                }
                (SseLineState::Skip, _) => memchr::memchr2(b'\r', b'\n', input).unwrap_or(input.len()),
            };
            self.at += used as u64;
            input = &input[used..];
        }
        Ok(())
    }

    /// Takes one byte of a field's name, or the colon after it.
    fn name(&mut self, byte: u8, out: &mut Vec<u8>) -> RewriteResult<usize> {
        if byte != b':' {
            self.name.push(byte);
            return if self.name.len() > b"event".len() { Err(self.unknown()) } else { Ok(1) };
        }
        if self.name == b"data" {
            self.state = SseLineState::Space;
        } else {
            self.check_name()?;
            self.name.push(b':');
            self.put_name(out)?;
            self.state = if self.non_data.drops { SseLineState::Skip } else { SseLineState::Pass };
        }
        self.name.clear();
        Ok(1)
    }

    fn check_name(&self) -> RewriteResult {
        let known = matches!(self.name.as_slice(), b"" | b"event" | b"id" | b"retry" | b"data");
        if known { Ok(()) } else { Err(self.unknown()) }
    }

    const fn unknown(&self) -> RewriteError {
        RewriteError::Malformed { what: "a field that event streams do not have", at: self.at }
    }

    fn begin_data(&mut self, spaced: bool, observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult {
        self.state = SseLineState::Data;
        if self.event.open != EventData::Nothing {
            return self.feed_open(b"\n", observer, out);
        }
        self.event.spaced = spaced;
        out.extend_from_slice(if spaced { b"data: " } else { b"data:" });
        Ok(())
    }

    fn data(&mut self, mut line: &[u8], observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult {
        if self.event.open != EventData::Nothing {
            return self.feed_open(line, observer, out);
        }
        if self.event.probe.is_empty() {
            let space = line.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
            out.extend_from_slice(&line[..space]);
            line = &line[space..];
            self.event.start = self.at + space as u64;
        }
        let probe = &mut self.event.probe;
        let alike =
            line.iter().zip(END_MARKER.get(probe.len()..).unwrap_or_default()).take_while(|(a, b)| a == b).count();
        probe.extend_from_slice(&line[..alike]);
        if alike == line.len() { Ok(()) } else { self.begin_document(&line[alike..], observer, out) }
    }

    /// The data is not the end marker but a document: begins it with what was held back.
    fn begin_document(&mut self, rest: &[u8], observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult {
        self.counter.document(observer)?;
        let probe = std::mem::take(&mut self.event.probe);
        let json = matches!(probe.first().or(rest.first()), Some(b'{' | b'[' | b'"'));
        self.event.open = if json || self.text.is_none() { EventData::Json } else { EventData::Text };
        self.engine.restart();
        self.feed_open(&probe, observer, out)?;
        self.feed_open(rest, observer, out)
    }

    fn feed_open(&mut self, input: &[u8], observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult {
        let fed = match (self.event.open, &mut self.text) {
            (EventData::Text, Some(text)) => {
                text.feed(input, observer, &mut self.piece);
                Ok(())
            }
            (EventData::Json | EventData::Text | EventData::Nothing, _) => {
                self.engine.feed(input, &mut self.counter.within(observer), &mut self.piece)
            }
        };
        self.event.put_data(&mut self.piece, out);
        fed.map_err(|stop| shift_offset(stop, self.event.start))
    }

    fn end_line(&mut self, byte: u8, observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult {
        let last = match self.state {
            SseLineState::Name if self.name.is_empty() => {
                self.end_event(observer, out)?;
                LineDestination::Out
            }
            SseLineState::Name if self.name != b"data" => {
                self.check_name()?;
                self.put_name(out)?;
                self.non_data_destination()
            }
            // A line with nothing but `data` is an empty data line.
            SseLineState::Name if self.event.open == EventData::Nothing => {
                out.append(&mut self.name);
                LineDestination::Out
            }
            SseLineState::Name => {
                self.name.clear();
                self.begin_data(false, observer, out)?;
                self.end_data(observer, out)?
            }
            SseLineState::Space => {
                self.begin_data(false, observer, out)?;
                self.end_data(observer, out)?
            }
            SseLineState::Data => self.end_data(observer, out)?,
            SseLineState::Pass => {
                self.non_data.end(observer);
                self.put_non_data(out)?;
                self.non_data_destination()
            }
            SseLineState::Skip | SseLineState::Return => self.non_data_destination(),
        };
        self.event.last = last;
        self.event.put(last, &[byte], out)
    }

    /// A data line ends; returns where its line end is put.
    fn end_data(&mut self, observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult<LineDestination> {
        if self.event.open == EventData::Nothing && self.event.probe == END_MARKER {
            out.append(&mut self.event.probe);
        } else if !self.event.probe.is_empty() {
            self.begin_document(b"", observer, out)?;
        }
        Ok(match self.event.open {
            EventData::Nothing => LineDestination::Out,
            EventData::Json | EventData::Text if self.event.ending.is_empty() => LineDestination::Ending,
            EventData::Json | EventData::Text => LineDestination::Nowhere,
        })
    }

    fn end_event(&mut self, observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult {
        match (self.event.open, &mut self.text) {
            (EventData::Nothing, _) => return Ok(()),
            (EventData::Text, Some(text)) => {
                text.finish(observer, &mut self.piece);
                if observer.wants_clear_paths() {
                    observer.on_clear_path("$");
                }
            }
            (EventData::Json | EventData::Text, _) => {
                let ended = self.engine.finish(&mut self.counter.within(observer), &mut self.piece);
                ended.map_err(|stop| shift_offset(stop, self.event.start))?;
            }
        }
        self.event.put_data(&mut self.piece, out);
        out.append(&mut self.event.ending);
        out.append(&mut self.event.tail);
        self.event.open = EventData::Nothing;
        Ok(())
    }

    /// Puts out the name of a field that is not data.
    fn put_name(&mut self, out: &mut Vec<u8>) -> RewriteResult {
        let name = std::mem::take(&mut self.name);
        self.event.put(self.non_data_destination(), &name, out)
    }

    /// Puts out what may leave of the open line that is not data.
    fn put_non_data(&mut self, out: &mut Vec<u8>) -> RewriteResult {
        let mut piece = std::mem::take(&mut self.non_data.piece);
        self.event.put(self.non_data_destination(), &piece, out)?;
        piece.clear();
        self.non_data.piece = piece;
        Ok(())
    }

    /// Where lines that are not data are put.
    const fn non_data_destination(&self) -> LineDestination {
        match self.event.open {
            EventData::Nothing | EventData::Json | EventData::Text if self.non_data.drops => LineDestination::Nowhere,
            EventData::Nothing => LineDestination::Out,
            EventData::Json | EventData::Text => LineDestination::Tail,
        }
    }
}

impl<E: Restart> Rewriter for EventStreamRewriter<E> {
    fn feed(&mut self, input: &[u8], observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult {
        let good = self.utf8.push_all(input);
        self.read(&input[..good], observer, out)?;
        if good == input.len() { Ok(()) } else { Err(not_utf8(self.at)) }
    }

    fn finish(&mut self, observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult {
        if !self.utf8.is_whole() {
            return Err(not_utf8(self.at));
        }
        match self.state {
            SseLineState::Name => {
                self.check_name()?;
                self.put_name(out)?;
            }
            SseLineState::Space => self.begin_data(false, observer, out)?,
            SseLineState::Data => {
                self.end_data(observer, out)?;
            }
            SseLineState::Pass => {
                self.non_data.end(observer);
                self.put_non_data(out)?;
            }
            SseLineState::Skip | SseLineState::Return => {}
        }
        self.end_event(observer, out)
    }
}

#[cfg(test)]
mod tests;
