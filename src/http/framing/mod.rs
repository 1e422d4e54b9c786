//! The bytes of HTTP/1.1 messages, validated before hyper parses them, because a forgiving parser accepts bytes that
//! another parser reads differently (request smuggling).
//!
//! [`FramingValidator`] follows one direction of a connection: heads, bodies by their lengths and chunks, trailers, and
//! the next head. It keeps no bytes; [`ScreenedStream`] holds back a head until it is whole and valid. Any split of the
//! bytes gives the same verdict. Never repairs anything.

mod error;
mod head;
mod sequence;
mod stream;

#[cfg(test)]
mod tests;

pub use error::FramingError;
pub use sequence::{ExpectedResponse, PendingResponse, RequestSequence};
pub use stream::ScreenedStream;

use self::head::{FramingFields, HttpVersion, StatusLine};
use crate::bounds;

/// Whose messages are validated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MessageSide {
    /// A caller's requests.
    Request,
    /// An upstream's answers.
    Response,
}

/// The position of one direction of a connection within its messages.
#[derive(Debug)]
pub(super) struct FramingValidator {
    side: MessageSide,
    state: FramingState,
    fields: FramingFields,
    version: HttpVersion,
    /// The status of the response whose head is being read.
    code: u16,
    /// How many bytes of the window are known to hold no end of a line and no error.
    scanned: usize,
    /// Where in the window the current line begins.
    line_start: usize,
    /// Whether an empty line came before this request; one is allowed (RFC 9112 section 2.2).
    skipped_blank_line: bool,
    /// How many interim responses (1xx) came before this response.
    interim: usize,
    /// Whether one of the interim responses was 100 (Continue).
    saw_100_continue: bool,
    /// How many heads have passed.
    heads: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FramingState {
    /// Before the first line of a head.
    Start,
    /// In a head, after its first line.
    Head,
    /// In a body with a length: this many bytes are left.
    SizedBody(u64),
    /// Before the size of a chunk.
    ChunkSize,
    /// In a chunk: this many bytes are left.
    Chunk(u64),
    /// Before the CR LF that ends a chunk.
    ChunkLineEnd,
    /// After the last chunk.
    Trailers,
    /// After a request for an upgrade or a tunnel: what follows belongs to the new protocol or to the next request.
    AwaitingUpgrade,
    /// The rest of the connection passes unread: it is a body without a length, or another protocol.
    Passthrough,
}

/// What the validator says about the bytes of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FramingVerdict {
    /// How many of the bytes may pass. The caller keeps the rest and puts it at the front of the next window.
    pub(super) pass: usize,
    /// Why no byte after those may ever pass.
    pub(super) error: Option<FramingError>,
}

impl FramingValidator {
    pub(super) fn new(side: MessageSide) -> Self {
        Self {
            side,
            state: FramingState::Start,
            fields: FramingFields::default(),
            version: HttpVersion::Http11,
            code: 0,
            scanned: 0,
            line_start: 0,
            skipped_blank_line: false,
            interim: 0,
            saw_100_continue: false,
            heads: 0,
        }
    }

    /// How many heads have passed.
    pub(super) const fn heads(&self) -> u64 {
        self.heads
    }

    /// Whether the next byte belongs to a head.
    pub(super) const fn is_in_head(&self) -> bool {
        matches!(self.state, FramingState::Start | FramingState::Head)
    }

    /// Whether everything that comes may pass unread.
    pub(super) fn is_passthrough(&self) -> bool {
        self.state == FramingState::Passthrough
    }

    /// Whether the validator waits for [`Self::finish_upgrade`].
    pub(super) fn is_awaiting_upgrade(&self) -> bool {
        self.state == FramingState::AwaitingUpgrade
    }

    /// Says whether the request for an upgrade was granted.
    pub(super) fn finish_upgrade(&mut self, switched: bool) {
        self.state = if switched { FramingState::Passthrough } else { FramingState::Start };
    }

    /// Validates a window: the bytes that were kept, and those that came after them.
    ///
    /// `pending` says which response the other side expects; a request has none.
    pub(super) fn validate(&mut self, window: &[u8], pending: Option<&PendingResponse>) -> FramingVerdict {
        let mut pass = 0;
        let error = loop {
            match self.advance(&window[pass..], pending) {
                Ok(0) => break None,
                Ok(taken) => pass += taken,
                Err(error) => break Some(error),
            }
        };
        FramingVerdict { pass, error }
    }

    /// How many bytes at the front of the window may pass: the next whole piece, or 0 while it is incomplete.
    fn advance(&mut self, window: &[u8], pending: Option<&PendingResponse>) -> Result<usize, FramingError> {
        if window.is_empty() {
            return Ok(0);
        }
        match &mut self.state {
            FramingState::Passthrough => Ok(window.len()),
            FramingState::AwaitingUpgrade => Ok(0),
            FramingState::SizedBody(left) | FramingState::Chunk(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(window.len());
                *left -= taken as u64;
                if *left == 0 {
                    self.state = if matches!(self.state, FramingState::SizedBody(_)) {
                        FramingState::Start
                    } else {
                        FramingState::ChunkLineEnd
                    };
                }
                Ok(taken)
            }
            FramingState::ChunkLineEnd => match window {
                [b'\r', b'\n', ..] => {
                    self.state = FramingState::ChunkSize;
                    Ok(2)
                }
                [b'\r'] => Ok(0),
                _ => Err(FramingError::Chunk),
            },
            FramingState::ChunkSize => {
                let Some(line) = self.next_line(window, bounds::CHUNK_LINE_BYTES_MAX, FramingError::Chunk)? else {
                    return Ok(0);
                };
                let size = head::parse_chunk_size(line)?;
                self.state = if size == 0 { FramingState::Trailers } else { FramingState::Chunk(size) };
                self.fields = FramingFields::default();
                Ok(self.take_line())
            }
            FramingState::Trailers => {
                let Some(line) = self.next_line(window, self.head_bytes_max(), FramingError::LongHead)? else {
                    return Ok(0);
                };
                if line.is_empty() {
                    self.state = FramingState::Start;
                } else {
                    head::parse_name(line)?;
                    self.fields.count += 1;
                    if self.fields.count > bounds::HEADERS_MAX {
                        return Err(FramingError::ManyFields);
                    }
                }
                Ok(self.take_line())
            }
            FramingState::Start | FramingState::Head => self.advance_head(window, pending),
        }
    }

    /// Reads the lines of a head. The head passes as a whole.
    fn advance_head(&mut self, window: &[u8], pending: Option<&PendingResponse>) -> Result<usize, FramingError> {
        if pending.is_some_and(PendingResponse::is_idle) {
            return Err(FramingError::Surplus);
        }
        while let Some(line) = self.next_line(window, self.head_bytes_max(), FramingError::LongHead)? {
            match (self.state, self.side) {
                (FramingState::Start, MessageSide::Request) if line.is_empty() && !self.skipped_blank_line => {
                    self.skipped_blank_line = true
                }
                (FramingState::Start, MessageSide::Request) => {
                    self.begin_head(head::parse_request_line(line)?, 0);
                    self.fields.connect = line.starts_with(b"CONNECT ");
                }
                (FramingState::Start, MessageSide::Response) => {
                    let StatusLine { code, version } = head::parse_status_line(line)?;
                    self.begin_head(version, code);
                }
                (_, _) if !line.is_empty() => head::parse_field(line, &mut self.fields, bounds::HEADERS_MAX)?,
                (_, MessageSide::Request) => {
                    self.state = self.state_after_request()?;
                    return Ok(self.end_head());
                }
                (_, MessageSide::Response) => {
                    self.state = self.state_after_response(pending)?;
                    return Ok(self.end_head());
                }
            }
            self.line_start = self.scanned;
        }
        Ok(0)
    }

    fn begin_head(&mut self, version: HttpVersion, code: u16) {
        self.state = FramingState::Head;
        self.fields = FramingFields::default();
        self.version = version;
        self.code = code;
    }

    fn end_head(&mut self) -> usize {
        self.heads += 1;
        self.skipped_blank_line = false;
        self.take_line()
    }

    /// What follows the head of a request (RFC 9112 section 6.3).
    fn state_after_request(&self) -> Result<FramingState, FramingError> {
        let FramingFields { length, chunked, upgrade, connect, .. } = self.fields;
        if chunked && self.version == HttpVersion::Http10 {
            return Err(FramingError::CodingUnexpected);
        }
        Ok(match (chunked, length) {
            (true, _) => FramingState::ChunkSize,
            (false, None | Some(0)) if connect => FramingState::AwaitingUpgrade,
            (false, Some(0)) => FramingState::Start,
            (false, Some(length)) => FramingState::SizedBody(length),
            (false, None) if upgrade && self.version == HttpVersion::Http11 => FramingState::AwaitingUpgrade,
            (false, None) => FramingState::Start,
        })
    }

    /// What follows the head of a response (RFC 9112 section 6.3).
    fn state_after_response(&mut self, pending: Option<&PendingResponse>) -> Result<FramingState, FramingError> {
        let FramingFields { length, chunked, .. } = self.fields;
        let has_none = matches!(self.code, 100..=199 | 204);
        if chunked && (has_none || self.version == HttpVersion::Http10) {
            return Err(FramingError::CodingUnexpected);
        }
        // Many servers send `Content-Length: 0` with a 204, which is true and so accepted.
        if has_none && length.is_some_and(|length| length > 0 || self.code != 204) {
            return Err(FramingError::LengthUnexpected);
        }
        if matches!(self.code, 100 | 102..=199) {
            return self.count_interim();
        }
        let expected = pending.map_or(ExpectedResponse::Nothing, PendingResponse::response_began);
        if self.code == 101 {
            return if expected.is_upgrade() { Ok(FramingState::Passthrough) } else { Err(FramingError::Switch) };
        }
        (self.interim, self.saw_100_continue) = (0, false);
        let to_head = expected.is_head();
        Ok(match (chunked, length) {
            _ if has_none || to_head || self.code == 304 => FramingState::Start,
            (true, _) => FramingState::ChunkSize,
            (false, Some(0)) => FramingState::Start,
            (false, Some(length)) => FramingState::SizedBody(length),
            (false, None) => FramingState::Passthrough,
        })
    }

    fn count_interim(&mut self) -> Result<FramingState, FramingError> {
        self.interim += 1;
        let again = self.code == 100 && std::mem::replace(&mut self.saw_100_continue, true);
        if again || self.interim > bounds::INTERIM_ANSWERS_MAX {
            Err(FramingError::Interim)
        } else {
            Ok(FramingState::Start)
        }
    }

    /// The current line without its end, once the end is in the window.
    fn next_line<'w>(
        &mut self,
        window: &'w [u8],
        bytes_max: usize,
        long: FramingError,
    ) -> Result<Option<&'w [u8]>, FramingError> {
        let rest = &window[self.line_start..];
        // The last scanned byte may be the CR of a line end whose LF is still to come.
        let from = self.scanned - self.line_start;
        match memchr::memchr(b'\n', &rest[from..]) {
            Some(at) if self.line_start + from + at < bytes_max => {
                let end = from + at;
                let line = rest[..end].strip_suffix(b"\r");
                head::check_controls(&line.unwrap_or(&rest[..end])[from..])?;
                self.scanned = self.line_start + end + 1;
                line.map(Some).ok_or(FramingError::BareLf)
            }
            found => {
                let seen = rest.len().min(bytes_max - self.line_start);
                let tail = found.map_or(&rest[..seen], |at| &rest[..seen.min(from + at)]);
                let tail = tail.strip_suffix(b"\r").unwrap_or(tail);
                head::check_controls(&tail[from..])?;
                self.scanned = self.line_start + tail.len();
                if window.len() >= bytes_max { Err(long) } else { Ok(None) }
            }
        }
    }

    /// Passes everything up to the end of the current line, and returns its length.
    const fn take_line(&mut self) -> usize {
        let taken = self.scanned;
        (self.scanned, self.line_start) = (0, 0);
        taken
    }

    const fn head_bytes_max(&self) -> usize {
        match self.side {
            MessageSide::Request => bounds::HEAD_BYTES_MAX,
            MessageSide::Response => bounds::UPSTREAM_BUFFER_BYTES_MAX,
        }
    }
}
