//! The bytes of HTTP/1.1 messages, judged before the parser sees them, because parsers forgive what has two readings.
//!
//! [`Framing`] follows one direction of a connection: heads, bodies by their lengths and chunks, trailers, and the next
//! head behind them. It keeps no bytes; [`Screened`] holds back those of a head until the head is whole and good. Any
//! split of the bytes comes to the same verdict. Never repairs anything.

mod flaw;
mod head;
mod turns;
mod wire;

#[cfg(test)]
mod tests;

pub use flaw::Flaw;
pub use turns::{Asked, Expected, Turns};
pub use wire::Screened;

use self::head::{Fields, Status, Version};
use crate::bounds;

/// Which side's messages are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// A caller's requests.
    Requests,
    /// An upstream's answers.
    Answers,
}

/// Where in its messages one direction of a connection is.
#[derive(Debug)]
pub(super) struct Framing {
    side: Side,
    state: State,
    fields: Fields,
    version: Version,
    /// The status of the answer whose head is being read.
    code: u16,
    /// What of the line at hand is known to hold no end and no flaw.
    clean: usize,
    /// Where in the window the line at hand begins.
    line: usize,
    /// Whether an empty line has stood before this request.
    blank: bool,
    /// Interim answers before this one.
    interim: usize,
    /// Whether one of them was a 100.
    continued: bool,
    /// Heads that have passed.
    heads: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first line of a head.
    Start,
    /// In a head, behind its first line.
    Head,
    /// So many bytes of body are left.
    Sized(u64),
    /// Before the size of a chunk.
    ChunkSize,
    /// So many bytes of a chunk are left.
    Chunk(u64),
    /// Before the end of a chunk's line.
    ChunkEnd,
    /// Behind the last chunk.
    Trailers,
    /// Behind a head that asked to leave HTTP: what follows is for the next protocol, or the next request.
    Undecided,
    /// The rest of the connection is body, or another protocol.
    Open,
}

/// What the bytes of a window came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Judged {
    /// So many of them may pass; the rest is to be held, and shown again at the front of the next window.
    pub(super) pass: usize,
    /// Why none behind those will ever pass.
    pub(super) flaw: Option<Flaw>,
}

impl Framing {
    pub(super) fn of(side: Side) -> Self {
        Self {
            side,
            state: State::Start,
            fields: Fields::default(),
            version: Version::Http11,
            code: 0,
            clean: 0,
            line: 0,
            blank: false,
            interim: 0,
            continued: false,
            heads: 0,
        }
    }

    /// How many heads have passed.
    pub(super) const fn heads(&self) -> u64 {
        self.heads
    }

    /// Whether the next byte is one of a head.
    pub(super) const fn is_in_head(&self) -> bool {
        matches!(self.state, State::Start | State::Head)
    }

    /// Whether all that comes may pass, unread.
    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Whether it waits to be told what follows a request to leave HTTP.
    pub(super) fn is_undecided(&self) -> bool {
        self.state == State::Undecided
    }

    /// Tells whether HTTP was left.
    pub(super) fn decide(&mut self, switched: bool) {
        self.state = if switched { State::Open } else { State::Start };
    }

    /// Judges a window: the bytes that were held, and those that came behind them.
    ///
    /// `asked` says what an answer answers; a request has none.
    pub(super) fn judge(&mut self, window: &[u8], asked: Option<&Asked>) -> Judged {
        let mut pass = 0;
        let flaw = loop {
            match self.step(&window[pass..], asked) {
                Ok(0) => break None,
                Ok(taken) => pass += taken,
                Err(flaw) => break Some(flaw),
            }
        };
        Judged { pass, flaw }
    }

    /// How many bytes at the front of a window may pass: the next whole piece, or none yet.
    fn step(&mut self, window: &[u8], asked: Option<&Asked>) -> Result<usize, Flaw> {
        if window.is_empty() {
            return Ok(0);
        }
        match &mut self.state {
            State::Open => Ok(window.len()),
            State::Undecided => Ok(0),
            State::Sized(left) | State::Chunk(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(window.len());
                *left -= taken as u64;
                if *left == 0 {
                    self.state = if matches!(self.state, State::Sized(_)) { State::Start } else { State::ChunkEnd };
                }
                Ok(taken)
            }
            State::ChunkEnd => match window {
                [b'\r', b'\n', ..] => {
                    self.state = State::ChunkSize;
                    Ok(2)
                }
                [b'\r'] => Ok(0),
                _ => Err(Flaw::Chunk),
            },
            State::ChunkSize => {
                let Some(line) = self.next_line(window, bounds::CHUNK_LINE_BYTES_MAX, Flaw::Chunk)? else {
                    return Ok(0);
                };
                let size = head::chunk_size(line)?;
                self.state = if size == 0 { State::Trailers } else { State::Chunk(size) };
                self.fields = Fields::default();
                Ok(self.take_line())
            }
            State::Trailers => {
                let Some(line) = self.next_line(window, self.head_bytes_max(), Flaw::LongHead)? else { return Ok(0) };
                if line.is_empty() {
                    self.state = State::Start;
                } else {
                    head::name(line)?;
                    self.fields.count += 1;
                    if self.fields.count > bounds::HEADERS_MAX {
                        return Err(Flaw::ManyFields);
                    }
                }
                Ok(self.take_line())
            }
            State::Start | State::Head => self.head(window, asked),
        }
    }

    /// The lines of a head, which passes as a whole.
    fn head(&mut self, window: &[u8], asked: Option<&Asked>) -> Result<usize, Flaw> {
        if asked.is_some_and(Asked::is_idle) {
            return Err(Flaw::Surplus);
        }
        while let Some(line) = self.next_line(window, self.head_bytes_max(), Flaw::LongHead)? {
            match (self.state, self.side) {
                (State::Start, Side::Requests) if line.is_empty() && !self.blank => self.blank = true,
                (State::Start, Side::Requests) => self.begin(head::request_line(line)?, 0),
                (State::Start, Side::Answers) => {
                    let Status { code, version } = head::status_line(line)?;
                    self.begin(version, code);
                }
                (_, _) if !line.is_empty() => head::field(line, &mut self.fields, bounds::HEADERS_MAX)?,
                (_, Side::Requests) => {
                    self.state = self.behind_request()?;
                    return Ok(self.end_head());
                }
                (_, Side::Answers) => {
                    self.state = self.behind_answer(asked)?;
                    return Ok(self.end_head());
                }
            }
            self.line = self.clean;
        }
        Ok(0)
    }

    fn begin(&mut self, version: Version, code: u16) {
        self.state = State::Head;
        self.fields = Fields::default();
        self.version = version;
        self.code = code;
    }

    fn end_head(&mut self) -> usize {
        self.heads += 1;
        self.blank = false;
        self.take_line()
    }

    /// What follows a request's head (RFC 9112 section 6.3).
    fn behind_request(&self) -> Result<State, Flaw> {
        let Fields { length, chunked, upgrade, .. } = self.fields;
        if chunked && self.version == Version::Http10 {
            return Err(Flaw::CodingUnexpected);
        }
        Ok(match (chunked, length) {
            (true, _) => State::ChunkSize,
            (false, Some(0)) => State::Start,
            (false, Some(length)) => State::Sized(length),
            (false, None) if upgrade && self.version == Version::Http11 => State::Undecided,
            (false, None) => State::Start,
        })
    }

    /// What follows an answer's head.
    fn behind_answer(&mut self, asked: Option<&Asked>) -> Result<State, Flaw> {
        let Fields { length, chunked, .. } = self.fields;
        let has_none = matches!(self.code, 100..=199 | 204);
        if chunked && (has_none || self.version == Version::Http10) {
            return Err(Flaw::CodingUnexpected);
        }
        // Many a server says that a 204 has no bytes, which is true.
        if has_none && length.is_some_and(|length| length > 0 || self.code != 204) {
            return Err(Flaw::LengthUnexpected);
        }
        if matches!(self.code, 100 | 102..=199) {
            return self.interim();
        }
        let answered = asked.map_or(Expected::Nothing, Asked::answered);
        if self.code == 101 {
            return if answered.is_upgrade() { Ok(State::Open) } else { Err(Flaw::Switch) };
        }
        (self.interim, self.continued) = (0, false);
        let to_head = answered.is_head();
        Ok(match (chunked, length) {
            _ if has_none || to_head || self.code == 304 => State::Start,
            (true, _) => State::ChunkSize,
            (false, Some(0)) => State::Start,
            (false, Some(length)) => State::Sized(length),
            (false, None) => State::Open,
        })
    }

    fn interim(&mut self) -> Result<State, Flaw> {
        self.interim += 1;
        let again = self.code == 100 && std::mem::replace(&mut self.continued, true);
        if again || self.interim > bounds::INTERIM_ANSWERS_MAX { Err(Flaw::Interim) } else { Ok(State::Start) }
    }

    /// The line at hand without its end, once that is in the window.
    fn next_line<'w>(&mut self, window: &'w [u8], bytes_max: usize, long: Flaw) -> Result<Option<&'w [u8]>, Flaw> {
        let rest = &window[self.line..];
        // The last byte of what is known to be clean may be the CR before the LF to come.
        let from = self.clean - self.line;
        match memchr::memchr(b'\n', &rest[from..]) {
            Some(at) if self.line + from + at < bytes_max => {
                let end = from + at;
                let line = rest[..end].strip_suffix(b"\r");
                head::controls(&line.unwrap_or(&rest[..end])[from..])?;
                self.clean = self.line + end + 1;
                line.map(Some).ok_or(Flaw::BareLf)
            }
            found => {
                let seen = rest.len().min(bytes_max - self.line);
                let tail = found.map_or(&rest[..seen], |at| &rest[..seen.min(from + at)]);
                let tail = tail.strip_suffix(b"\r").unwrap_or(tail);
                head::controls(&tail[from..])?;
                self.clean = self.line + tail.len();
                if window.len() >= bytes_max { Err(long) } else { Ok(None) }
            }
        }
    }

    /// Ends a piece at the end of the line at hand, and says how long it was.
    const fn take_line(&mut self) -> usize {
        let taken = self.clean;
        (self.clean, self.line) = (0, 0);
        taken
    }

    const fn head_bytes_max(&self) -> usize {
        match self.side {
            Side::Requests => bounds::HEAD_BYTES_MAX,
            Side::Answers => bounds::UPSTREAM_BUFFER_BYTES_MAX,
        }
    }
}
