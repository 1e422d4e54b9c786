//! Percent-encoding, as forms have it, strictly read (WHATWG URL, sections 5.1 and 5.2).
//!
//! Never guesses at a bad percent and never returns NUL.

use super::{RewriteResult, bad_percent, not_utf8};

/// Decodes a name or a value: `+` is a space.
///
/// # Errors
/// [`crate::pii::RewriteError::Malformed`] on a bad percent, NUL, or text that is not UTF-8; `base` is the offset of
/// `raw`.
pub(in crate::pii) fn decode<'a>(raw: &[u8], base: u64, text: &'a mut Vec<u8>) -> RewriteResult<&'a str> {
    decode_with(b' ', raw, base, text)
}

/// Decodes a path segment (RFC 3986, section 2.1): `+` is itself.
///
/// # Errors
/// As [`decode`].
pub(in crate::pii) fn decode_segment<'a>(raw: &[u8], text: &'a mut Vec<u8>) -> RewriteResult<&'a str> {
    decode_with(b'+', raw, 0, text)
}

fn decode_with<'a>(plus: u8, raw: &[u8], base: u64, text: &'a mut Vec<u8>) -> RewriteResult<&'a str> {
    text.clear();
    let mut at = 0;
    while let Some(&byte) = raw.get(at) {
        let (decoded, used) = match byte {
            b'+' => (plus, 1),
            b'%' => (pair(raw.get(at + 1..at + 3)).ok_or(bad_percent(base + at as u64))?, 3),
            byte => (byte, 1),
        };
        text.push(decoded);
        at += used;
    }
    match simdutf8::basic::from_utf8(text) {
        Ok(text) if !text.contains('\0') => Ok(text),
        Ok(_) | Err(_) => Err(not_utf8(base)),
    }
}

/// Encodes a value as the serializer of forms does.
pub(in crate::pii) fn encode(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => out.push(byte),
            b' ' => out.push(b'+'),
            byte => push_percent(byte, out),
        }
    }
}

/// Appends `%XX`.
pub(in crate::pii) fn push_percent(byte: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.extend_from_slice(&[b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
}

/// Whether a decoded name can be decoded a second time into another name.
pub(in crate::pii) fn is_encoded_twice(name: &str) -> bool {
    let bytes = name.as_bytes();
    memchr::memchr_iter(b'%', bytes).any(|at| pair(bytes.get(at + 1..at + 3)).is_some())
}

/// The value of a hexadecimal digit.
pub(in crate::pii) const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

fn pair(digits: Option<&[u8]>) -> Option<u8> {
    match digits? {
        &[high, low] => Some(hex(high)? << 4 | hex(low)?),
        _ => None,
    }
}
