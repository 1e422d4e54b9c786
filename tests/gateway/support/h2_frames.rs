//! HTTP/2 frames by hand, for clients that break rules which a library would keep.

use std::io::Read;

/// RFC 9113 section 6: the kinds of frames.
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

/// Their flags.
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// Section 3.4: what a client's side begins with, before its settings.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Appends one frame.
pub(crate) fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// Appends a `GET` with a token, the connection's request of this number from 0 on.
pub(crate) fn get(out: &mut Vec<u8>, at: u32, path: &str, token: &str) {
    let bearer = format!("Bearer {token}");
    let fields = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "api.example.com"),
        (":path", path),
        ("authorization", &bearer),
    ];
    frame(out, HEADERS, END_STREAM | END_HEADERS, 2 * at + 1, &block(&fields));
}

/// A header block with the fields as they are, valid or not.
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        // A literal without indexing, its name too (RFC 7541 section 6.2.2).
        block.push(0);
        literal(&mut block, name);
        literal(&mut block, value);
    }
    block
}

/// The result of one stream, or of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// An answer. The status is known if RFC 7541's static table has it, else it is 0.
    Answer(u16),
    /// RST_STREAM, with its code.
    Reset(u32),
    /// GOAWAY with a code other than 0, or the end of the connection.
    Gone,
}

/// Reads frames until the stream has a result.
pub(crate) fn outcome(from: &mut impl Read, stream: u32) -> Outcome {
    loop {
        let mut head = [0; 9];
        if from.read_exact(&mut head).is_err() {
            return Outcome::Gone;
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        if from.read_exact(&mut payload).is_err() {
            return Outcome::Gone;
        }
        let of = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let code =
            |at: usize| payload.get(at..at + 4).map_or(0, |code| u32::from_be_bytes(code.try_into().expect("4")));
        match head[3] {
            HEADERS if of == stream => return Outcome::Answer(status(&payload)),
            RST_STREAM if of == stream => return Outcome::Reset(code(0)),
            GOAWAY if code(4) != 0 => return Outcome::Gone,
            _ => {}
        }
    }
}

/// The status in an answer's header block (RFC 7541 appendix A), after any update of the table's size.
fn status(block: &[u8]) -> u16 {
    let first = block.iter().find(|byte| *byte & 0xe0 != 0x20 && **byte >= 0x80);
    match first.map(|byte| byte & 0x7f) {
        Some(8) => 200,
        Some(12) => 400,
        Some(13) => 404,
        Some(_) | None => 0,
    }
}

/// A text with its length as an integer of a 7-bit prefix (RFC 7541 sections 5.1 and 5.2).
fn literal(out: &mut Vec<u8>, text: &str) {
    let mut length = text.len();
    if length < 127 {
        out.push(length as u8);
    } else {
        out.push(127);
        length -= 127;
        while length >= 128 {
            out.push((length % 128) as u8 | 128);
            length /= 128;
        }
        out.push(length as u8);
    }
    out.extend_from_slice(text.as_bytes());
}
