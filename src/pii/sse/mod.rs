//! Server-sent events: `text/event-stream` (WHATWG HTML, section 9.2), with a JSON document as the data of each event.
//!
//! The data lines of an event are one document, as a client joins them; what becomes of comments and the other fields is
//! said in `aside`. Data that is not JSON is refused, or, where detectors alone are asked, text for them. A field that clients
//! do not know is refused, since one that is laxer might read it. Never lets a data line around its engine.

mod non_data;

use super::lines::{DocumentCounter, Restart, shift_offset};
use super::utf8::{Utf8Validator, not_utf8};
use super::{DetectRule, DetectStream, RewriteError, RewriteObserver, Rewriter};
use crate::bounds::KEY_BYTES_MAX;
use non_data::NonDataLines;
use std::sync::Arc;

/// The engine of event streams.
pub(super) struct EventStreamRewriter<E> {
    engine: E,
    text: Option<DetectStream>,
    asides: NonDataLines,
    counting: DocumentCounter,
    state: SseLineState,
    /// The name of the open line's field, which is never longer than five bytes.
    name: Vec<u8>,
    event: SseEvent,
    /// What the engines have put out, before it is cut into lines.
    piece: Vec<u8>,
    utf8: Utf8Validator,
    at: u64,
}

/// Where the open line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SseLineState {
    Name,
    /// Behind `data:`, where one space may follow.
    Space,
    Data,
    /// In a field that passes, and in one that does not.
    Pass,
    Skip,
    /// Behind a CR: an LF belongs to the same line end.
    Return,
}

/// Which engine has the document of the open event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EventData {
    Nothing,
    Json,
    Text,
}

/// The open event.
struct SseEvent {
    open: EventData,
    /// Offset of its document.
    start: u64,
    /// How its first data line begins and ends; further ones are written alike.
    spaced: bool,
    ending: Vec<u8>,
    /// The start of data that may be the end marker.
    probe: Vec<u8>,
    /// Lines behind the data: they leave after it.
    tail: Vec<u8>,
    /// Where the last line end went.
    last: LineDestination,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineDestination {
    Out,
    Tail,
    Ending,
    /// It stands between two data lines, and is written anew; or it does not leave.
    Nowhere,
}

/// What an event stream is read for, beside the documents in it.
#[derive(Debug, Clone, Default)]
pub(super) struct EventStreamRules {
    /// What looks at all that no document holds.
    pub guard: Option<Arc<DetectRule>>,
    /// Whether data that does not begin as an object, array or string does is text for the guard, and not refused.
    pub texts: bool,
    /// Whether only listed fields may pass: comments and the fields that are not data stay behind.
    pub limits: bool,
    /// Whether each event that has data is a record, or as many as are in it.
    pub counts: bool,
}

/// What some services send as the data of their last event.
const END_MARKER: &[u8] = b"[DONE]";

impl<E: Restart> EventStreamRewriter<E> {
    /// An engine for one stream.
    pub(super) fn new(engine: E, watched: EventStreamRules) -> Self {
        let EventStreamRules { guard, texts, limits, counts } = watched;
        let event = SseEvent {
            open: EventData::Nothing,
            start: 0,
            spaced: false,
            ending: Vec::new(),
            probe: Vec::new(),
            tail: Vec::new(),
            last: LineDestination::Out,
        };
        let text = guard.clone().filter(|_| texts).map(DetectStream::new);
        let asides = NonDataLines::new(guard.map(DetectStream::new), limits);
        let (name, piece, utf8) = (Vec::new(), Vec::new(), Utf8Validator::default());
        let (counting, state) = (DocumentCounter::new(counts), SseLineState::Name);
        Self { engine, text, asides, counting, state, name, event, piece, utf8, at: 0 }
    }

    fn read(
        &mut self,
        mut input: &[u8],
        observer: &mut dyn RewriteObserver,
        out: &mut Vec<u8>,
    ) -> Result<(), RewriteError> {
        while let Some(&byte) = input.first() {
            let used = match (self.state, byte) {
                (SseLineState::Return, b'\n') => {
                    self.put(self.event.last, b"\n", out)?;
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
                    self.asides.feed(line, observer);
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

    /// One byte of a field's name, or the colon behind it.
    fn name(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<usize, RewriteError> {
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
            self.state = if self.asides.drops { SseLineState::Skip } else { SseLineState::Pass };
        }
        self.name.clear();
        Ok(1)
    }

    fn check_name(&self) -> Result<(), RewriteError> {
        let known = matches!(self.name.as_slice(), b"" | b"event" | b"id" | b"retry" | b"data");
        if known { Ok(()) } else { Err(self.unknown()) }
    }

    const fn unknown(&self) -> RewriteError {
        RewriteError::Malformed { what: "a field that event streams do not have", at: self.at }
    }

    fn begin_data(
        &mut self,
        spaced: bool,
        observer: &mut dyn RewriteObserver,
        out: &mut Vec<u8>,
    ) -> Result<(), RewriteError> {
        self.state = SseLineState::Data;
        if self.event.open != EventData::Nothing {
            return self.feed_open(b"\n", observer, out);
        }
        self.event.spaced = spaced;
        out.extend_from_slice(if spaced { b"data: " } else { b"data:" });
        Ok(())
    }

    fn data(
        &mut self,
        mut line: &[u8],
        observer: &mut dyn RewriteObserver,
        out: &mut Vec<u8>,
    ) -> Result<(), RewriteError> {
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

    /// The data is a document: what was probed of it is its start.
    fn begin_document(
        &mut self,
        rest: &[u8],
        observer: &mut dyn RewriteObserver,
        out: &mut Vec<u8>,
    ) -> Result<(), RewriteError> {
        self.counting.document(observer)?;
        let probe = std::mem::take(&mut self.event.probe);
        let json = matches!(probe.first().or(rest.first()), Some(b'{' | b'[' | b'"'));
        self.event.open = if json || self.text.is_none() { EventData::Json } else { EventData::Text };
        self.engine.restart();
        self.feed_open(&probe, observer, out)?;
        self.feed_open(rest, observer, out)
    }

    fn feed_open(
        &mut self,
        input: &[u8],
        observer: &mut dyn RewriteObserver,
        out: &mut Vec<u8>,
    ) -> Result<(), RewriteError> {
        let fed = match (self.event.open, &mut self.text) {
            (EventData::Text, Some(text)) => {
                text.feed(input, observer, &mut self.piece);
                Ok(())
            }
            (EventData::Json | EventData::Text | EventData::Nothing, _) => {
                self.engine.feed(input, &mut self.counting.within(observer), &mut self.piece)
            }
        };
        self.cut_piece(out);
        fed.map_err(|stop| shift_offset(stop, self.event.start))
    }

    /// Puts out what the engine has, as data lines.
    fn cut_piece(&mut self, out: &mut Vec<u8>) {
        let mut rest = self.piece.as_slice();
        while let Some(end) = memchr::memchr(b'\n', rest) {
            out.extend_from_slice(&rest[..end]);
            out.extend_from_slice(&self.event.ending);
            out.extend_from_slice(if self.event.spaced { b"data: " } else { b"data:" });
            rest = &rest[end + 1..];
        }
        out.extend_from_slice(rest);
        self.piece.clear();
    }

    fn end_line(
        &mut self,
        byte: u8,
        observer: &mut dyn RewriteObserver,
        out: &mut Vec<u8>,
    ) -> Result<(), RewriteError> {
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
            // A line of `data` alone is an empty line of data.
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
                self.asides.end(observer);
                self.put_non_data(out)?;
                self.non_data_destination()
            }
            SseLineState::Skip | SseLineState::Return => self.non_data_destination(),
        };
        self.event.last = last;
        self.put(last, &[byte], out)
    }

    /// A data line ends; returns where its line end goes.
    fn end_data(
        &mut self,
        observer: &mut dyn RewriteObserver,
        out: &mut Vec<u8>,
    ) -> Result<LineDestination, RewriteError> {
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

    fn end_event(&mut self, observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> Result<(), RewriteError> {
        match (self.event.open, &mut self.text) {
            (EventData::Nothing, _) => return Ok(()),
            (EventData::Text, Some(text)) => {
                text.finish(observer, &mut self.piece);
                if observer.wants_clear_paths() {
                    observer.on_clear_path("$");
                }
            }
            (EventData::Json | EventData::Text, _) => {
                let ended = self.engine.finish(&mut self.counting.within(observer), &mut self.piece);
                ended.map_err(|stop| shift_offset(stop, self.event.start))?;
            }
        }
        self.cut_piece(out);
        out.append(&mut self.event.ending);
        out.append(&mut self.event.tail);
        self.event.open = EventData::Nothing;
        Ok(())
    }

    /// Puts the name of a field that is not data.
    fn put_name(&mut self, out: &mut Vec<u8>) -> Result<(), RewriteError> {
        let name = std::mem::take(&mut self.name);
        self.put(self.non_data_destination(), &name, out)
    }

    /// Puts what may leave of the open line.
    fn put_non_data(&mut self, out: &mut Vec<u8>) -> Result<(), RewriteError> {
        let mut piece = std::mem::take(&mut self.asides.piece);
        self.put(self.non_data_destination(), &piece, out)?;
        piece.clear();
        self.asides.piece = piece;
        Ok(())
    }

    /// Where the lines go that are not data.
    const fn non_data_destination(&self) -> LineDestination {
        match self.event.open {
            EventData::Nothing | EventData::Json | EventData::Text if self.asides.drops => LineDestination::Nowhere,
            EventData::Nothing => LineDestination::Out,
            EventData::Json | EventData::Text => LineDestination::Tail,
        }
    }

    fn put(&mut self, to: LineDestination, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), RewriteError> {
        match to {
            LineDestination::Out => out.extend_from_slice(bytes),
            LineDestination::Ending => self.event.ending.extend_from_slice(bytes),
            LineDestination::Nowhere => {}
            LineDestination::Tail if self.event.tail.len() + bytes.len() > KEY_BYTES_MAX => {
                return Err(RewriteError::Bound {
                    bound: "the lines behind an event's data",
                    limit: KEY_BYTES_MAX as u64,
                });
            }
            LineDestination::Tail => self.event.tail.extend_from_slice(bytes),
        }
        Ok(())
    }
}

impl<E> std::fmt::Debug for EventStreamRewriter<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").field("state", &self.state).field("at", &self.at).finish_non_exhaustive()
    }
}

impl<E: Restart> Rewriter for EventStreamRewriter<E> {
    fn feed(
        &mut self,
        input: &[u8],
        observer: &mut dyn RewriteObserver,
        out: &mut Vec<u8>,
    ) -> Result<(), RewriteError> {
        let good = self.utf8.push_all(input);
        self.read(&input[..good], observer, out)?;
        if good == input.len() { Ok(()) } else { Err(not_utf8(self.at)) }
    }

    fn finish(&mut self, observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> Result<(), RewriteError> {
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
                self.asides.end(observer);
                self.put_non_data(out)?;
            }
            SseLineState::Skip | SseLineState::Return => {}
        }
        self.end_event(observer, out)
    }
}

#[cfg(test)]
mod tests;
