//! Whole characters only: what the engine reads has been found to be UTF-8 first.
//!
//! A character that a chunk cuts is carried over, so the engine sees the same whole characters under any split.

/// The carried start of a cut character: at most three bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Utf8Carry {
    bytes: [u8; 4],
    len: usize,
}

/// What can be said of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Utf8Check {
    /// So many bytes of it are whole characters.
    pub(super) good: usize,
    /// What follows those is no character, and no continuation can make it one.
    pub(super) bad: bool,
}

impl Utf8Carry {
    /// Completes a carried character from the front of `chunk`: the character and how many bytes it took.
    ///
    /// `Ok(None)` when nothing is carried, or the chunk is too short and was carried too (`taken` is then its length).
    pub(super) fn complete(&mut self, chunk: &[u8]) -> (Option<Result<Utf8Character, ()>>, usize) {
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
    pub(super) fn check(&mut self, chunk: &[u8]) -> Utf8Check {
        let checked = check(chunk);
        if !checked.bad {
            let cut = &chunk[checked.good..];
            self.bytes[..cut.len()].copy_from_slice(cut);
            self.len = cut.len();
        }
        checked
    }

    /// Whether a character is still cut.
    pub(super) fn is_open(&self) -> bool {
        self.len > 0
    }
}

/// One whole character.
#[derive(Debug, Clone, Copy)]
pub(super) struct Utf8Character {
    bytes: [u8; 4],
    len: usize,
}

impl Utf8Character {
    pub(super) fn as_slice(&self) -> &[u8] {
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
