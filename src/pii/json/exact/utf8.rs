//! Lets only whole characters through: the readers rely on text that is UTF-8.
//!
//! The start of a character that is cut at the end of a chunk is carried over, so the readers see the same characters
//! under any split.

/// The start of a character that was cut: at most three bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::pii::json) struct Utf8Carry {
    bytes: [u8; 4],
    len: usize,
}

/// What was found in a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pii::json) struct Utf8Check {
    /// How many bytes from its start are whole characters.
    pub(in crate::pii::json) good: usize,
    /// The bytes after those are not UTF-8, whatever may follow.
    pub(in crate::pii::json) bad: bool,
}

impl Utf8Carry {
    /// Completes the carried character with bytes from the front of `chunk`. Returns the character, and how many
    /// bytes it took.
    /// `None` when no character is carried, or when the chunk was too short and is carried now too.
    pub(in crate::pii::json) fn complete(&mut self, chunk: &[u8]) -> (Option<Result<Utf8Character, ()>>, usize) {
        let mut taken = 0;
        while self.len > 0 && taken < chunk.len() {
            self.bytes[self.len] = chunk[taken];
            self.len += 1;
            taken += 1;
            let whole = check(&self.bytes[..self.len]);
            if whole.bad {
                return (Some(Err(())), taken);
            }
            if whole.good > 0 {
                let character = Utf8Character { bytes: self.bytes, len: self.len };
                self.len = 0;
                return (Some(Ok(character)), taken);
            }
        }
        (None, taken)
    }

    /// Checks a chunk, and carries the start of a character that it cuts.
    pub(in crate::pii::json) fn check(&mut self, chunk: &[u8]) -> Utf8Check {
        let checked = check(chunk);
        if !checked.bad {
            let cut = &chunk[checked.good..];
            self.bytes[..cut.len()].copy_from_slice(cut);
            self.len = cut.len();
        }
        checked
    }

    /// Whether the start of a character is carried.
    pub(in crate::pii::json) fn is_open(&self) -> bool {
        self.len > 0
    }
}

/// One whole character.
#[derive(Debug, Clone, Copy)]
pub(in crate::pii::json) struct Utf8Character {
    bytes: [u8; 4],
    len: usize,
}

impl Utf8Character {
    pub(in crate::pii::json) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

fn check(chunk: &[u8]) -> Utf8Check {
    if simdutf8::basic::from_utf8(chunk).is_ok() {
        return Utf8Check { good: chunk.len(), bad: false };
    }
    match simdutf8::compat::from_utf8(chunk) {
        Ok(_) => Utf8Check { good: chunk.len(), bad: false },
        Err(error) => Utf8Check { good: error.valid_up_to(), bad: error.error_len().is_some() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that passes a split of `text`, and whether it was refused.
    fn pass(text: &[u8], chunk: usize) -> (Vec<u8>, bool) {
        let (mut carry, mut passed) = (Utf8Carry::default(), Vec::new());
        for piece in text.chunks(chunk) {
            let (character, taken) = carry.complete(piece);
            match character {
                Some(Ok(character)) => passed.extend_from_slice(character.as_slice()),
                Some(Err(())) => return (passed, true),
                None => {}
            }
            if carry.is_open() {
                continue;
            }
            let checked = carry.check(&piece[taken..]);
            passed.extend_from_slice(&piece[taken..][..checked.good]);
            if checked.bad {
                return (passed, true);
            }
        }
        (passed, carry.is_open())
    }

    #[test]
    fn any_split_passes_the_same_whole_characters() {
        for text in [
            &b"plain"[..],
            "aé€😀z".as_bytes(),
            b"a\xc3",
            b"a\xe2\x82",
            b"ab\xe2\x28\xa1c",
            b"\xf0\x9f\x98",
            b"\xed\xa0\x80",
            b"\xc0\xafx",
            b"\x80",
        ] {
            let expected = std::str::from_utf8(text)
                .map_or_else(|e| (text[..e.valid_up_to()].to_vec(), true), |_| (text.to_vec(), false));
            for chunk in 1..=text.len() {
                assert_eq!(pass(text, chunk), expected, "{text:?} by {chunk}");
            }
        }
    }
}
