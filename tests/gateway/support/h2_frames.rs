//! HTTP/2 frames by hand, for clients that do what a library would not let them: the client's half that these tests need.

/// RFC 9113 section 6: the kinds of frames that a client begins with.
pub(crate) const HEADERS: u8 = 1;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const WINDOW_UPDATE: u8 = 8;

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
    const END_STREAM: u8 = 1;
    const END_HEADERS: u8 = 4;
    let mut block = Vec::new();
    for (name, value) in [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "api.example.com"),
        (":path", path),
        ("authorization", &format!("Bearer {token}")),
    ] {
        // A literal without indexing, its name too (RFC 7541 section 6.2.2).
        block.push(0);
        literal(&mut block, name);
        literal(&mut block, value);
    }
    frame(out, HEADERS, END_STREAM | END_HEADERS, 2 * at + 1, &block);
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
