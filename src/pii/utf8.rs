//! Checks that bytes are UTF-8 (RFC 3629), however they are split.
//!
//! Accepts no surrogate, overlong form or NUL.

use super::RewriteError;

/// A validator of UTF-8 without NUL.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Utf8Validator {
    /// Bytes that the last character still lacks.
    missing: u8,
    /// The range that the next of them must be in.
    low: u8,
    high: u8,
}

impl Utf8Validator {
    /// Takes one more byte; false when the text is not UTF-8.
    #[inline]
    pub(super) fn push(&mut self, byte: u8) -> bool {
        if self.missing == 0 {
            return self.open(byte);
        }
        let good = (self.low..=self.high).contains(&byte);
        (self.missing, self.low, self.high) = (self.missing - 1, 0x80, 0xbf);
        good
    }

    /// Takes more bytes; returns how many of them are valid.
    pub(super) fn push_all(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while self.missing > 0 && at < bytes.len() {
            if !self.push(bytes[at]) {
                return at;
            }
            at += 1;
        }
        let good = match simdutf8::compat::from_utf8(&bytes[at..]) {
            Ok(_) => bytes.len(),
            Err(error) => at + error.valid_up_to(),
        };
        if let Some(nul) = memchr::memchr(0, &bytes[at..good]) {
            return at + nul;
        }
        at = good;
        while at < bytes.len() && self.push(bytes[at]) {
            at += 1;
        }
        at
    }

    /// Whether the last character is complete.
    pub(super) const fn is_whole(&self) -> bool {
        self.missing == 0
    }

    const fn open(&mut self, byte: u8) -> bool {
        (self.missing, self.low, self.high) = match byte {
            0x01..=0x7f => return true,
            0xc2..=0xdf => (1, 0x80, 0xbf),
            0xe0 => (2, 0xa0, 0xbf),
            0xed => (2, 0x80, 0x9f),
            0xe1..=0xef => (2, 0x80, 0xbf),
            0xf0 => (3, 0x90, 0xbf),
            0xf4 => (3, 0x80, 0x8f),
            0xf1..=0xf3 => (3, 0x80, 0xbf),
            0x00 | 0x80..=0xc1 | 0xf5..=0xff => return false,
        };
        true
    }
}

/// The error for a body that is not UTF-8.
pub(super) const fn not_utf8(at: u64) -> RewriteError {
    RewriteError::Malformed { what: "not UTF-8 text", at }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reference(bytes: &[u8]) -> bool {
        std::str::from_utf8(bytes).is_ok() && !bytes.contains(&0)
    }

    #[test]
    fn every_two_and_three_bytes_are_accepted_as_by_the_standard_library() {
        for first in 0..=255_u8 {
            for second in 0..=255_u8 {
                for tail in [&[][..], &[0x80], &[0xbf, 0x80], b"a"] {
                    let bytes = [&[first, second], tail].concat();
                    let mut utf8 = Utf8Validator::default();
                    let good = bytes.iter().all(|&b| utf8.push(b)) && utf8.is_whole();
                    assert_eq!(good, reference(&bytes), "{bytes:x?}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_text_is_accepted_the_same_however_it_is_split(text in ".{0,40}", noise in prop::collection::vec(any::<u8>(), 0..3), at in 0_usize..160) {
            let bytes = [text.as_bytes(), &noise].concat();
            let (left, right) = bytes.split_at(at.min(bytes.len()));
            let mut utf8 = Utf8Validator::default();
            let good = utf8.push_all(left) == left.len() && utf8.push_all(right) == right.len() && utf8.is_whole();
            prop_assert_eq!(good, reference(&bytes));
        }
    }
}
