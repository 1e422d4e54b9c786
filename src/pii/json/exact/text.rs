//! The text of strings: decodes and writes escapes.
//!
//! Decodes only strings that the reader has found to be well formed, so the only error left is half of a surrogate
//! pair (RFC 8259 section 8.2).

use crate::pii::{RewriteError, RewriteResult};

use super::secret_buffer::SecretBuffer;

/// How many bytes from the start are plain in a string: neither quotes, backslashes nor control characters.
#[inline]
pub(super) fn plain_bytes(text: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let (words, rest) = text.as_chunks::<8>();
    for (place, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let (quote, slash) = (word ^ (ONES * 0x22), word ^ (ONES * 0x5C));
        // The lowest marked byte is always right: a borrow changes only bytes above one that is marked.
        let zero = |x: u64| x.wrapping_sub(ONES) & !x;
        let marked = (zero(quote) | zero(slash) | (word.wrapping_sub(ONES * 0x20) & !word)) & HIGH;
        if marked != 0 {
            return place * 8 + marked.trailing_zeros() as usize / 8;
        }
    }
    let special = |b: &u8| *b < 0x20 || *b == b'"' || *b == b'\\';
    words.len() * 8 + rest.iter().position(special).unwrap_or(rest.len())
}

/// The string has a `\u` escape that is half of a surrogate pair, which no text has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LoneSurrogate;

/// Replaces `text` by the decoded form of `raw`, the text between a string's quotes. Half of a surrogate pair becomes
/// the three bytes that UTF-8 would have for it.
pub(super) fn unescape(raw: &[u8], text: &mut SecretBuffer) -> Result<(), LoneSurrogate> {
    text.clear();
    let mut lone = false;
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        text.push(&rest[..at]);
        let taken = match read_escape(&rest[at..]) {
            Some((taken, c)) => {
                text.push(c.encode_utf8(&mut [0; 4]).as_bytes());
                taken
            }
            None => {
                lone = true;
                push_surrogate(read_hex(&rest[at..]).unwrap_or_default(), text);
                6
            }
        };
        rest = rest.get(at + taken..).unwrap_or_default();
    }
    text.push(rest);
    if lone { Err(LoneSurrogate) } else { Ok(()) }
}

/// A member's name, decoded; `text` is where it is decoded to, if it has an escape. `None` when it has half of a
/// surrogate pair: no listed name has.
#[inline]
pub(in crate::pii::json) fn decode_name<'t>(
    raw: &'t [u8],
    escaped: bool,
    text: &'t mut SecretBuffer,
) -> Option<&'t [u8]> {
    if !escaped {
        return Some(raw);
    }
    unescape(raw, text).ok().map(|()| text.as_slice())
}

/// How many bytes of a piece of a string can be decoded before the next piece is there: up to an escape, or a
/// surrogate pair, that is not complete.
pub(super) fn whole_escapes(raw: &[u8]) -> usize {
    let mut from = 0;
    while let Some(at) = memchr::memchr(b'\\', &raw[from..]).map(|at| from + at) {
        let rest = &raw[at..];
        let half = rest.get(1) == Some(&b'u') && read_hex(rest).is_some_and(|code| (0xD800..0xDC00).contains(&code));
        let pair =
            half && rest.get(6).is_none_or(|next| *next == b'\\') && rest.get(7).is_none_or(|next| *next == b'u');
        let length = match rest.get(1) {
            Some(b'u') if pair => 12,
            Some(b'u') => 6,
            Some(_) | None => 2,
        };
        if rest.len() < length {
            return at;
        }
        from = at + if length == 12 { 6 } else { length };
        if length == 12 && read_unicode(rest).is_some_and(|(taken, _)| taken == 12) {
            from = at + 12;
        }
    }
    raw.len()
}

fn push_surrogate(code: u32, text: &mut SecretBuffer) {
    let [a, b, c] = [0xE0 | code >> 12, 0x80 | code >> 6 & 0x3F, 0x80 | code & 0x3F].map(|byte| byte as u8);
    text.push(&[a, b, c]);
}

/// The length of the escape that `raw` begins with, a pair counting as one, and its character.
fn read_escape(raw: &[u8]) -> Option<(usize, char)> {
    let plain = match raw.get(1)? {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return read_unicode(raw),
        other => char::from(*other),
    };
    Some((2, plain))
}

fn read_unicode(raw: &[u8]) -> Option<(usize, char)> {
    let high = read_hex(raw)?;
    if let Some(c) = char::from_u32(high) {
        return Some((6, c));
    }
    let low = raw.get(6..).filter(|next| next.starts_with(b"\\u")).and_then(read_hex)?;
    let pair = (0xD800..0xDC00).contains(&high) && (0xDC00..0xE000).contains(&low);
    let code = 0x1_0000 + ((high.wrapping_sub(0xD800) & 0x3FF) << 10) + (low & 0x3FF);
    pair.then(|| char::from_u32(code)).flatten().map(|c| (12, c))
}

fn read_hex(escape: &[u8]) -> Option<u32> {
    let digits = std::str::from_utf8(escape.get(2..6)?).ok()?;
    u32::from_str_radix(digits, 16).ok()
}

/// Escapes `out[from..]` in place of itself, where it must be: quotes, backslashes and control characters.
///
/// # Errors
/// [`RewriteError::Untreatable`] when it is not UTF-8.
pub(super) fn escape_from(out: &mut Vec<u8>, from: usize) -> RewriteResult {
    let made = &out[from..];
    if is_plain(made) {
        return Ok(());
    }
    if !made.is_ascii() && std::str::from_utf8(made).is_err() {
        return Err(RewriteError::Untreatable { what: "a treatment made a text that is not UTF-8" });
    }
    let first = plain_bytes(made);
    if first == made.len() {
        return Ok(());
    }
    let start = from + first;
    let longer: usize = out[start..].iter().map(|byte| escaped(*byte).1 - 1).sum();
    let (mut read, mut write) = (out.len(), out.len() + longer);
    out.resize(write, 0);
    // From the end, so that what is written never overtakes what is still to be read.
    while read > start {
        read -= 1;
        let (text, length) = escaped(out[read]);
        write -= length;
        out[write..write + length].copy_from_slice(&text[..length]);
    }
    Ok(())
}

/// Whether a text is ASCII with nothing to escape: 16 bytes at a time.
fn is_plain(text: &[u8]) -> bool {
    let plain = |byte: &u8| (0x20..0x80).contains(byte) & (*byte != b'"') & (*byte != b'\\');
    let all = |bytes: &[u8; 16]| bytes.iter().fold(true, |all, byte| all & plain(byte));
    let (chunks, rest) = text.as_chunks::<16>();
    chunks.iter().all(all) && text.last_chunk().map_or_else(|| rest.iter().all(plain), all)
}

/// A byte as it is written in a string, and how many bytes that takes.
fn escaped(byte: u8) -> ([u8; 6], usize) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x0C => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0..0x20 => {
            let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
            return ([b'\\', b'u', b'0', b'0', digits[0], digits[1]], 6);
        }
        _ => return ([byte, 0, 0, 0, 0, 0], 1),
    };
    ([b'\\', short, 0, 0, 0, 0], 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(raw: &str) -> Option<String> {
        let mut text = SecretBuffer::default();
        unescape(raw.as_bytes(), &mut text).ok()?;
        let cut = (0..raw.len()).filter(|at| raw.is_char_boundary(*at)).find(|at| !same_in_pieces(raw.as_bytes(), *at));
        assert_eq!(cut, None, "{raw}");
        Some(String::from_utf8(text.as_slice().to_vec()).expect("utf-8"))
    }

    /// Whether a string that is cut in two there is decoded as it is whole.
    fn same_in_pieces(raw: &[u8], at: usize) -> bool {
        let (mut whole, mut part, mut made) = (SecretBuffer::default(), SecretBuffer::default(), Vec::new());
        let _ = unescape(raw, &mut whole);
        let ready = whole_escapes(&raw[..at]);
        for piece in [&raw[..ready], &raw[ready..]] {
            let _ = unescape(piece, &mut part);
            made.extend_from_slice(part.as_slice());
        }
        made == whole.as_slice()
    }

    #[test]
    fn plain_bytes_end_at_the_first_special_one() {
        for special in [0, 0x1F, b'"', b'\\', b'\n'] {
            for at in 0..40 {
                for filler in [b'a', b'!', b' ', 0x7F, 0x80, 0xFF, b'#', b'[', b']'] {
                    let mut text = [filler; 48];
                    text[at] = special;
                    assert_eq!(plain_bytes(&text), at, "{special:#x} at {at} among {filler:#x}");
                    assert_eq!(plain_bytes(&text[..at]), at);
                }
            }
        }
    }

    #[test]
    fn escapes_are_decoded() {
        for (raw, text) in [
            (r#"a\"\\\/\b\f\n\r\tz"#, "a\"\\/\u{8}\u{c}\n\r\tz"),
            (r"em\u0061il\u00e9\uFFFF", "emailé\u{ffff}"),
            (r"\ud83d\uDE00", "😀"),
            (r"\u0000", "\0"),
            ("", ""),
        ] {
            assert_eq!(decode(raw).as_deref(), Some(text), "{raw}");
        }
    }

    #[test]
    fn half_of_a_surrogate_pair_is_not_decoded() {
        for raw in
            [r"\ud83d", r"\ud83dx", r"\ude00", r"\ud83d\u0041", r"\ude00\ud83d", r"\ud83d\n", r"\ud83d\ud83d\ude00"]
        {
            assert_eq!(decode(raw), None, "{raw}");
            assert!((0..raw.len()).all(|at| same_in_pieces(raw.as_bytes(), at)), "{raw}");
        }
    }

    #[test]
    fn text_that_is_not_utf8_is_refused() {
        let mut out = b"\"\xff".to_vec();
        assert!(matches!(escape_from(&mut out, 1), Err(RewriteError::Untreatable { .. })));
    }

    proptest! {
        #[test]
        fn what_is_escaped_reads_as_it_was(text in any::<String>()) {
            let mut out = b"\"".to_vec();
            out.extend_from_slice(text.as_bytes());
            escape_from(&mut out, 1).expect("utf-8");
            out.push(b'"');
            let back: String = serde_json::from_slice(&out).expect("a JSON string");
            prop_assert_eq!(&back, &text);
            prop_assert_eq!(decode(std::str::from_utf8(&out[1..out.len() - 1]).expect("utf-8")), Some(text));
        }
    }
}
