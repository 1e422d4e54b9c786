//! Charsets (RFC 9110, section 8.3.2): the names of UTF-8, and the decoding of other declared charsets.
//!
//! Engines read UTF-8. Where [`super::BodySettings::decode_charsets`] is set, a body in another declared charset is
//! decoded before its engine and leaves as UTF-8, with its content type changed to say so. A byte order mark takes
//! precedence over the declared name, as in browsers (WHATWG Encoding, section 6). Never guesses a charset, and refuses
//! bytes that the charset does not define instead of replacing them.

use encoding_rs::{Decoder, DecoderResult, Encoding};
use zeroize::Zeroizing;

use super::{RewriteError, RewriteObserver, RewriteResult, Rewriter};

/// Size of the buffer for decoded text, in bytes.
const STRIDE_BYTES: usize = 8 * 1024;

/// A declared charset, by how engines read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Charset {
    /// UTF-8 or its subset, under any of their names.
    Utf8,
    /// One that must be decoded first.
    Other(&'static Encoding),
    /// One that cannot be decoded.
    Unknown,
}

impl Charset {
    /// The charset of this name, in any case (WHATWG Encoding, section 4.2; IANA for US-ASCII).
    pub(super) fn of(name: &str) -> Self {
        const ASCII: [&str; 2] = ["us-ascii", "ascii"];
        if ASCII.iter().any(|ascii| name.eq_ignore_ascii_case(ascii)) {
            return Self::Utf8;
        }
        match Encoding::for_label_no_replacement(name.as_bytes()) {
            Some(encoding) if encoding == encoding_rs::UTF_8 => Self::Utf8,
            // `x-user-defined` has a meaning for browsers alone.
            Some(encoding) if encoding == encoding_rs::X_USER_DEFINED => Self::Unknown,
            Some(encoding) => Self::Other(encoding),
            None => Self::Unknown,
        }
    }
}

/// Decodes a body to UTF-8 before its engine reads it.
pub(super) struct Transcoder<E> {
    decoder: Decoder,
    engine: E,
    text: Zeroizing<Vec<u8>>,
}

impl<E: Rewriter> Transcoder<E> {
    pub(super) fn new(encoding: &'static Encoding, engine: E) -> Self {
        Self { decoder: encoding.new_decoder(), engine, text: Zeroizing::default() }
    }

    fn decode(
        &mut self,
        mut input: &[u8],
        last: bool,
        observer: &mut dyn RewriteObserver,
        out: &mut Vec<u8>,
    ) -> RewriteResult {
        self.text.resize(STRIDE_BYTES, 0);
        loop {
            let (result, read, written) = self.decoder.decode_to_utf8_without_replacement(input, &mut self.text, last);
            input = &input[read..];
            if written > 0 {
                self.engine.feed(&self.text[..written], observer, out)?;
            }
            match result {
                DecoderResult::InputEmpty => return Ok(()),
                DecoderResult::OutputFull => {}
                // The offset is not reported: it would depend on how the body was split.
                DecoderResult::Malformed(..) => {
                    return Err(RewriteError::Opaque { what: "a body that is not text in its declared charset" });
                }
            }
        }
    }
}

impl<E: Rewriter> Rewriter for Transcoder<E> {
    fn feed(&mut self, input: &[u8], observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult {
        self.decode(input, false, observer, out)
    }

    fn finish(&mut self, observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult {
        self.decode(b"", true, observer, out)?;
        self.engine.finish(observer, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::text::TextRewriter;
    use crate::pii::{DetectAction, DetectRule, Detector, testing};
    use std::sync::Arc;

    #[test]
    fn the_names_of_charsets_that_are_in_use_are_known() {
        for name in ["utf-8", "UTF8", "unicode-1-1-utf-8", "us-ascii", "x-unicode20utf8"] {
            assert_eq!(Charset::of(name), Charset::Utf8, "{name}");
        }
        for (name, encoding) in [
            ("ISO-8859-1", encoding_rs::WINDOWS_1252),
            ("latin1", encoding_rs::WINDOWS_1252),
            ("windows-1252", encoding_rs::WINDOWS_1252),
            ("utf-16", encoding_rs::UTF_16LE),
            ("utf-16be", encoding_rs::UTF_16BE),
        ] {
            assert_eq!(Charset::of(name), Charset::Other(encoding), "{name}");
        }
        for name in ["utf-7", "utf-32", "", "klingon", "hz-gb-2312", "x-user-defined"] {
            assert_eq!(Charset::of(name), Charset::Unknown, "{name}");
        }
    }

    fn decoded(encoding: &'static Encoding) -> impl Fn() -> Transcoder<TextRewriter> {
        let detect_rule = Arc::new(DetectRule::new(Detector::default(), DetectAction::Redact));
        move || Transcoder::new(encoding, TextRewriter::new(Arc::clone(&detect_rule), 0))
    }

    #[test]
    fn text_is_decoded_the_same_however_it_is_split() {
        let wide = |text: &str, big: bool| -> Vec<u8> {
            let bytes = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
            text.encode_utf16().flat_map(bytes).collect()
        };
        let text = "Zo\u{eb} \u{1f600}: zoe@x.example";
        for (encoding, body) in [
            (encoding_rs::UTF_16LE, wide(text, false)),
            (encoding_rs::UTF_16BE, wide(text, true)),
            (encoding_rs::UTF_16LE, wide(&format!("\u{feff}{text}"), true)),
        ] {
            let (out, _, end) = testing::feed_at_every_split(decoded(encoding), &body);
            assert_eq!((String::from_utf8(out).unwrap(), end), ("Zo\u{eb} \u{1f600}: [redacted]".to_owned(), Ok(())));
        }
        let (out, ..) = testing::feed_at_every_split(decoded(encoding_rs::WINDOWS_1252), b"caf\xe9 \x80 a@x.example");
        assert_eq!(String::from_utf8(out).unwrap(), "caf\u{e9} \u{20ac} [redacted]");
    }

    #[test]
    fn bytes_that_the_charset_does_not_define_are_refused() {
        for body in [&b"a\0b"[..], b"\x00\xd8a\0", b"a"] {
            let stop = testing::error_of(decoded(encoding_rs::UTF_16LE), body);
            assert!(matches!(stop, RewriteError::Opaque { .. }), "{body:?}");
        }
        let nul = testing::error_of(decoded(encoding_rs::UTF_16LE), b"\0\0");
        assert!(matches!(nul, RewriteError::Malformed { .. }), "{nul:?}");
    }
}
