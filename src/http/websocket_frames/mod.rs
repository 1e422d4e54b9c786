//! The frames of a WebSocket (RFC 6455 section 5), read as they arrive and written one by one.
//!
//! Reads strictly what one side may send, with no extension: a reserved bit, a wrong mask, a length that is longer than
//! it need be, or a fragment out of order ends the reading. Holds at most one control frame and one piece of a message,
//! and any split of the bytes gives the same messages.

use crate::bounds::{WEBSOCKET_MESSAGE_BYTES_MAX, WEBSOCKET_PIECE_BYTES};

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Longest payload of a control frame (section 5.5).
const CONTROL_BYTES_MAX: u64 = 125;
/// Longest head of a frame: two bytes, a length of eight, a mask of four.
const HEAD_BYTES_MAX: usize = 14;

/// Which side sends the frames: a client masks them, a server does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebSocketSide {
    /// Who asked for the WebSocket.
    Client,
    /// Who agreed to it.
    Server,
}

/// What a message is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// Text in UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

/// What was read, without its mask.
#[derive(Debug, PartialEq, Eq)]
pub enum FramePart<'a> {
    /// A piece of a message.
    Data {
        /// The kind of the message.
        kind: MessageKind,
        /// The piece, which may be empty.
        bytes: &'a [u8],
        /// Whether the message begins with it.
        is_first: bool,
        /// Whether the message ends with it.
        is_last: bool,
    },
    /// A whole control frame: ping, pong or close.
    Control(ControlFrame<'a>),
}

/// A control frame.
#[derive(Debug, PartialEq, Eq)]
pub struct ControlFrame<'a> {
    opcode: u8,
    payload: &'a [u8],
}

/// Why the reading ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// What was sent breaks RFC 6455: what is wrong, in words.
    Protocol(&'static str),
    /// A close frame's reason is not UTF-8.
    NotUtf8,
    /// A message is longer than [`WEBSOCKET_MESSAGE_BYTES_MAX`].
    TooLong,
}

/// Reads the frames of one side.
#[derive(Debug)]
pub struct FrameReader {
    side: WebSocketSide,
    head: Vec<u8>,
    frame: Option<FrameHead>,
    /// The piece, or the control frame, that is read.
    payload: Vec<u8>,
    message: Option<OpenMessage>,
    is_closed: bool,
}

#[derive(Debug, Clone, Copy)]
struct FrameHead {
    is_final: bool,
    opcode: u8,
    left: u64,
    mask: [u8; 4],
    /// Where in the mask the next byte is.
    at: usize,
}

/// A message whose last frame has not been read.
#[derive(Debug, Clone, Copy)]
struct OpenMessage {
    kind: MessageKind,
    length: u64,
    has_begun: bool,
}

impl FrameReader {
    /// A reader at the first byte that `side` sends after the handshake.
    pub const fn new(side: WebSocketSide) -> Self {
        Self { side, head: Vec::new(), frame: None, payload: Vec::new(), message: None, is_closed: false }
    }

    /// Takes bytes from the front of `input`, up to the end of the next part; `None` once it needs more. What follows a
    /// close frame is dropped.
    ///
    /// # Errors
    /// [`FrameError`], after which nothing may be read.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<FramePart<'_>>, FrameError> {
        if self.is_closed {
            *input = &[];
            return Ok(None);
        }
        let frame = match self.frame {
            Some(frame) => frame,
            None => match self.read_head(input)? {
                Some(frame) => frame,
                None => return Ok(None),
            },
        };
        if is_control(frame.opcode) { self.read_control(frame, input) } else { Ok(self.read_data(frame, input)) }
    }

    fn read_head(&mut self, input: &mut &[u8]) -> Result<Option<FrameHead>, FrameError> {
        while let Some((byte, rest)) = input.split_first() {
            self.head.push(*byte);
            *input = rest;
            if self.head.len() < 2 {
                continue;
            }
            if self.head.len() == 2 {
                self.check_start(self.head[0], self.head[1])?;
            }
            if let Some(frame) = parse_head(&self.head)? {
                self.head.clear();
                self.begin(&frame)?;
                self.frame = Some(frame);
                self.payload.clear();
                return Ok(Some(frame));
            }
        }
        Ok(None)
    }

    /// Checks the first two bytes of a frame, so that nothing of a wrong one is waited for.
    fn check_start(&self, first: u8, second: u8) -> Result<(), FrameError> {
        let (is_final, opcode) = (first & 0x80 != 0, first & 0x0f);
        if first & 0x70 != 0 {
            return Err(FrameError::Protocol("a reserved bit, where no extension was agreed on"));
        }
        match (opcode, self.message.is_some()) {
            (CONTINUATION, true) | (TEXT | BINARY, false) | (CLOSE | PING | PONG, _) => {}
            (CONTINUATION, false) => return Err(FrameError::Protocol("a continuation of no message")),
            (TEXT | BINARY, true) => return Err(FrameError::Protocol("a message within another")),
            _ => return Err(FrameError::Protocol("a frame of no known kind")),
        }
        if is_control(opcode) && !(is_final && u64::from(second & 0x7f) <= CONTROL_BYTES_MAX) {
            return Err(FrameError::Protocol("a control frame in fragments, or of more than 125 bytes"));
        }
        match (second & 0x80 != 0, self.side) {
            (true, WebSocketSide::Client) | (false, WebSocketSide::Server) => Ok(()),
            (false, WebSocketSide::Client) => Err(FrameError::Protocol("a client's frame without a mask")),
            (true, WebSocketSide::Server) => Err(FrameError::Protocol("a server's frame with a mask")),
        }
    }

    /// Notes that a frame of a message begins.
    fn begin(&mut self, frame: &FrameHead) -> Result<(), FrameError> {
        if is_control(frame.opcode) {
            return Ok(());
        }
        let kind = if frame.opcode == BINARY { MessageKind::Binary } else { MessageKind::Text };
        let message = self.message.get_or_insert(OpenMessage { kind, length: 0, has_begun: false });
        message.length = message.length.saturating_add(frame.left);
        if message.length > WEBSOCKET_MESSAGE_BYTES_MAX { Err(FrameError::TooLong) } else { Ok(()) }
    }

    fn read_control(&mut self, mut frame: FrameHead, input: &mut &[u8]) -> Result<Option<FramePart<'_>>, FrameError> {
        self.take(&mut frame, input);
        if frame.left > 0 {
            self.frame = Some(frame);
            return Ok(None);
        }
        self.frame = None;
        if frame.opcode == CLOSE {
            check_close(&self.payload)?;
            self.is_closed = true;
        }
        Ok(Some(FramePart::Control(ControlFrame { opcode: frame.opcode, payload: &self.payload })))
    }

    fn read_data(&mut self, mut frame: FrameHead, input: &mut &[u8]) -> Option<FramePart<'_>> {
        if input.is_empty() && frame.left > 0 {
            return None;
        }
        self.payload.clear();
        self.take(&mut frame, input);
        let is_last = frame.left == 0 && frame.is_final;
        self.frame = (frame.left > 0).then_some(frame);
        let message = self.message.as_mut()?;
        let (kind, is_first) = (message.kind, !std::mem::replace(&mut message.has_begun, true));
        if is_last {
            self.message = None;
        }
        Some(FramePart::Data { kind, bytes: &self.payload, is_first, is_last })
    }

    /// Takes off the mask of what is there of a payload, up to one piece.
    fn take(&mut self, frame: &mut FrameHead, input: &mut &[u8]) {
        let room = WEBSOCKET_PIECE_BYTES - self.payload.len();
        let taken = usize::try_from(frame.left).unwrap_or(usize::MAX).min(input.len()).min(room);
        let (piece, rest) = input.split_at(taken);
        let (mask, at) = (frame.mask, frame.at);
        self.payload.extend(piece.iter().enumerate().map(|(i, byte)| byte ^ mask[(at + i) % 4]));
        frame.at = (at + taken) % 4;
        frame.left -= taken as u64;
        *input = rest;
    }
}

/// The head of a frame, once all of its bytes are there.
fn parse_head(bytes: &[u8]) -> Result<Option<FrameHead>, FrameError> {
    let (is_masked, short) = (bytes[1] & 0x80 != 0, bytes[1] & 0x7f);
    let length_bytes = match short {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let size = 2 + length_bytes + if is_masked { 4 } else { 0 };
    debug_assert!(size <= HEAD_BYTES_MAX);
    if bytes.len() < size {
        return Ok(None);
    }
    let long = bytes[2..2 + length_bytes].iter().fold(0, |length, byte| length << 8 | u64::from(*byte));
    let left = if length_bytes == 0 { u64::from(short) } else { long };
    // Section 5.2: the shortest form of a length must be used, and the highest bit is 0.
    if (length_bytes == 2 && left < 126) || (length_bytes == 8 && !(0x1_0000..1 << 63).contains(&left)) {
        return Err(FrameError::Protocol("a length that is not in its shortest form"));
    }
    let mut mask = [0; 4];
    if is_masked {
        mask.copy_from_slice(&bytes[size - 4..size]);
    }
    Ok(Some(FrameHead { is_final: bytes[0] & 0x80 != 0, opcode: bytes[0] & 0x0f, left, mask, at: 0 }))
}

/// Checks the payload of a close frame (sections 5.5.1 and 7.4).
fn check_close(payload: &[u8]) -> Result<(), FrameError> {
    match payload {
        [] => Ok(()),
        [a, b, reason @ ..] => match u16::from_be_bytes([*a, *b]) {
            1000..=1003 | 1007..=1014 | 3000..=4999 if std::str::from_utf8(reason).is_ok() => Ok(()),
            1000..=1003 | 1007..=1014 | 3000..=4999 => Err(FrameError::NotUtf8),
            _ => Err(FrameError::Protocol("a close code that must not be sent")),
        },
        [_] => Err(FrameError::Protocol("a close frame of one byte")),
    }
}

const fn is_control(opcode: u8) -> bool {
    opcode & 8 != 0
}

/// Writes the frames of one side. Each frame of a client has a mask of its own.
#[derive(Debug, Clone, Copy)]
pub struct FrameWriter(WebSocketSide);

impl FrameWriter {
    /// A writer for what `side` sends.
    pub const fn new(side: WebSocketSide) -> Self {
        Self(side)
    }

    /// Appends a frame of a text message.
    pub fn text(self, bytes: &[u8], is_first: bool, is_last: bool, out: &mut Vec<u8>) {
        self.frame(if is_first { TEXT } else { CONTINUATION }, is_last, bytes, out);
    }

    /// Appends a control frame that was read.
    pub fn control(self, frame: &ControlFrame<'_>, out: &mut Vec<u8>) {
        self.frame(frame.opcode, true, frame.payload, out);
    }

    /// Appends a close frame with a code.
    pub fn close(self, code: u16, out: &mut Vec<u8>) {
        self.frame(CLOSE, true, &code.to_be_bytes(), out);
    }

    fn frame(self, opcode: u8, is_final: bool, payload: &[u8], out: &mut Vec<u8>) {
        let (first, masked) = (opcode | if is_final { 0x80 } else { 0 }, self.mask());
        let bit = if masked.is_some() { 0x80 } else { 0 };
        out.push(first);
        match payload.len() {
            short @ 0..=125 => out.push(bit | short as u8),
            middle @ 126..=0xffff => {
                out.push(bit | 126);
                out.extend_from_slice(&(middle as u16).to_be_bytes());
            }
            long => {
                out.push(bit | 127);
                out.extend_from_slice(&(long as u64).to_be_bytes());
            }
        }
        let Some(mask) = masked else { return out.extend_from_slice(payload) };
        out.extend_from_slice(&mask);
        out.extend(payload.iter().enumerate().map(|(i, byte)| byte ^ mask[i % 4]));
    }

    /// The mask of a client's frame (section 5.3). It keeps a page from choosing bytes on the wire, and there is no
    /// page here: without randomness a fixed one harms nobody.
    fn mask(self) -> Option<[u8; 4]> {
        (self.0 == WebSocketSide::Client).then(|| {
            let mut mask = [0x37, 0xfa, 0x21, 0x3d];
            let _ = aws_lc_rs::rand::fill(&mut mask);
            mask
        })
    }
}

#[cfg(test)]
mod tests;
