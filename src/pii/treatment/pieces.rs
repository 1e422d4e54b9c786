//! Treats a value that comes piece by piece, by the treatments that keep nothing of it: at any length, in constant
//! memory.
//!
//! Redacting needs nothing of the value, masking it whole needs its number of characters, and hashing its bytes in
//! order. The result is that of the whole text. Half of a surrogate pair, which JSON may have and UTF-8 may not, is one
//! character, and is hashed as the three bytes that UTF-8 would give it (WTF-8). Keeps no byte of a value except those
//! of an incomplete character or an incomplete block of the hash.

use zeroize::Zeroize;

use super::super::prf::HmacStream;
use super::mask::{JOINER, extends};

/// A value that is being treated piece by piece.
pub struct PieceTransform(pub(super) PieceState);

pub(super) enum PieceState {
    Redact,
    Mask(CharacterCounter),
    Hash(HmacStream),
}

impl PieceTransform {
    /// Takes the next piece of the decoded text, which may be split anywhere.
    pub fn push(&mut self, text: &[u8]) {
        match &mut self.0 {
            PieceState::Redact => {}
            PieceState::Mask(characters) => text.iter().for_each(|byte| characters.push(*byte)),
            PieceState::Hash(sum) => sum.push(text),
        }
    }

    /// Takes the next piece, and appends the part of the result that is known.
    pub fn push_and_drain(&mut self, text: &[u8], out: &mut Vec<u8>) {
        self.push(text);
        self.drain(out);
    }

    /// The number of bytes that [`PieceTransform::drain`] would append.
    pub fn ready_bytes(&self) -> usize {
        if let PieceState::Mask(characters) = &self.0 { characters.count } else { 0 }
    }

    /// Appends the part of the result that is known, so that it need not be kept.
    pub fn drain(&mut self, out: &mut Vec<u8>) {
        if let PieceState::Mask(characters) = &mut self.0 {
            out.resize(out.len() + std::mem::take(&mut characters.count), b'*');
        }
    }
}

impl std::fmt::Debug for PieceTransform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pieces")
    }
}

/// Counts the characters of a text, as a reader sees them.
#[derive(Default)]
pub(super) struct CharacterCounter {
    /// Characters that have begun since the last [`PieceTransform::drain`].
    count: usize,
    /// The bits of an incomplete code point.
    open: u32,
    /// Bytes that it lacks.
    missing: u8,
    /// Whether there has been a code point.
    any: bool,
    /// Whether the last code point joins the next one to its character.
    joins: bool,
}

impl CharacterCounter {
    fn push(&mut self, byte: u8) {
        match byte {
            0x80..=0xbf => {
                self.open = self.open << 6 | u32::from(byte & 0x3f);
                self.missing = self.missing.saturating_sub(1);
            }
            0xf0.. => (self.open, self.missing) = (u32::from(byte & 0x07), 3),
            0xe0.. => (self.open, self.missing) = (u32::from(byte & 0x0f), 2),
            0xc0.. => (self.open, self.missing) = (u32::from(byte & 0x1f), 1),
            _ => (self.open, self.missing) = (u32::from(byte), 0),
        }
        if self.missing == 0 {
            let point = char::from_u32(std::mem::take(&mut self.open));
            let joined = std::mem::replace(&mut self.joins, point == Some(JOINER));
            let begins = !self.any || !(joined || point.is_some_and(extends));
            self.any = true;
            self.count += usize::from(begins);
        }
    }
}

impl Drop for CharacterCounter {
    fn drop(&mut self) {
        self.open.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::mask;
    use super::*;

    proptest! {
        #[test]
        fn a_text_in_pieces_is_masked_as_the_whole_is(text in "[a\u{301}\u{200d}\u{1f469}\u{1f3fd}é😀 ]{0,30}", size in 1..7_usize) {
            let mut whole = Vec::new();
            mask::apply(text.as_bytes(), 0, 0, &mut whole).expect("UTF-8");
            let (mut pieces, mut out) = (PieceTransform(PieceState::Mask(CharacterCounter::default())), Vec::new());
            for piece in text.as_bytes().chunks(size) {
                pieces.push(piece);
                pieces.drain(&mut out);
            }
            prop_assert_eq!(out, whole);
        }
    }
}
