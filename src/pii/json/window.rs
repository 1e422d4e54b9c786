//! Where things are in a window of text: what the first phase of the fast engine leaves to the second.

use super::{bits::ByteClasses, scalar};

/// Bytes of a window, at most: 64 to a word, 8 words to a row.
pub(super) const WINDOW: usize = 6144;

/// One bit for each byte of a window, by rows.
pub(super) type WindowBits = [[u64; 8]; WINDOW / 512];

/// Places in a window, with room for a careless last write.
pub(super) type WindowPlaces = [u16; WINDOW + 64];

/// What stands before the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    Open,
    Comma,
    Value,
}

/// Working space for a scan, one per thread: no text in it, only where things are.
pub(super) struct Scratch {
    pub(super) classes: Box<[ByteClasses; WINDOW / 512]>,
    /// The quotes that begin or end strings.
    pub(super) quotes: WindowBits,
    pub(super) keyed: WindowBits,
    pub(super) unkeyed: WindowBits,
    /// For a bracket: whether since the last one there was a member, or an element.
    pub(super) seen_keyed: WindowBits,
    pub(super) seen_unkeyed: WindowBits,
    /// Brackets and, behind keys that may be listed ones, colons.
    pub(super) events: Box<WindowPlaces>,
    /// What stands behind the backslashes of escapes.
    pub(super) escapes: Box<WindowPlaces>,
    /// Words, and numbers that are not plain.
    pub(super) odd: Box<WindowPlaces>,
}

/// What a scan found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scanned {
    /// The last comma or bracket: whatever follows it in the window is not complete.
    pub(super) cut: usize,
    /// How many of [`Scratch::events`] there are, up to the cut.
    pub(super) events: usize,
}

impl Scratch {
    pub(super) fn new() -> Self {
        let places = || Box::new([0; WINDOW + 64]);
        Self {
            classes: Box::default(),
            quotes: [[0; 8]; WINDOW / 512],
            keyed: [[0; 8]; WINDOW / 512],
            unkeyed: [[0; 8]; WINDOW / 512],
            seen_keyed: [[0; 8]; WINDOW / 512],
            seen_unkeyed: [[0; 8]; WINDOW / 512],
            events: places(),
            escapes: places(),
            odd: places(),
        }
    }

    /// The last comma or bracket of a window of so many bytes.
    pub(super) fn last_end(&self, length: usize) -> Option<usize> {
        (0..length.div_ceil(64)).rev().find_map(|word| {
            let (classes, at) = (&self.classes[word / 8], word % 8);
            let ends = (classes.open[at] | classes.close[at] | classes.comma[at]) & !classes.inside[at];
            (ends != 0).then(|| word * 64 + 63 - ends.leading_zeros() as usize)
        })
    }

    /// Whether, since the last bracket before the one here, there was something that this container cannot have.
    #[inline]
    pub(super) fn breaks(&self, bracket: usize, object: bool) -> bool {
        let seen = if object { &self.seen_unkeyed } else { &self.seen_keyed };
        bit(seen, bracket)
    }

    /// The same for what stands between the last bracket and the cut.
    pub(super) fn breaks_between(&self, from: usize, cut: usize, object: bool) -> bool {
        let seen = if object { &self.unkeyed } else { &self.keyed };
        any(|word| seen[word / 8][word % 8], from, cut)
    }

    /// Where the string ends that begins here, if one does and has no escapes.
    pub(super) fn closing(&self, window: &[u8], start: usize) -> Option<usize> {
        let mut word = start / 64;
        let mut quotes = self.quotes[word / 8][word % 8] & u64::MAX.checked_shl(start as u32 % 64 + 1).unwrap_or(0);
        while quotes == 0 {
            word += 1;
            quotes = *self.quotes.get(word / 8)?.get(word % 8)?;
        }
        let end = word * 64 + quotes.trailing_zeros() as usize;
        (window.get(start) == Some(&b'"') && !self.has_escape(start, end)).then_some(end)
    }

    /// Whether a backslash stands between two places.
    #[inline]
    pub(super) fn has_escape(&self, from: usize, to: usize) -> bool {
        any(|word| self.classes[word / 8].slash[word % 8], from, to)
    }

    /// The text of the key whose closing quote stands at `end`.
    pub(super) fn key<'w>(&self, window: &'w [u8], end: usize) -> &'w [u8] {
        let mut word = end / 64;
        let mut quotes = self.quotes[word / 8][word % 8] & !(u64::MAX << (end % 64));
        while quotes == 0 && word > 0 {
            word -= 1;
            quotes = self.quotes[word / 8][word % 8];
        }
        let start = word * 64 + 64 - quotes.leading_zeros() as usize;
        window.get(start..end).unwrap_or_default()
    }
}

/// Judges an escape by what stands behind its backslash. What stands outside a string, a bit has judged.
#[inline]
pub(super) fn is_escape(window: &[u8], at: usize) -> bool {
    const PLAIN: [bool; 256] = table(b"\"\\/bfnrt");
    let hex = |digits: &[u8]| digits.iter().all(u8::is_ascii_hexdigit);
    PLAIN[usize::from(window[at])] || window[at] == b'u' && window.get(at + 1..at + 5).is_some_and(hex)
}

/// Judges a word or number by any of its bytes.
#[inline]
pub(super) fn is_literal(window: &[u8], at: usize) -> bool {
    // The words, without a branch on which it is: that is for the values to say, and so a surprise each time.
    if let Some([before, word @ .., next, after]) =
        at.checked_sub(1).and_then(|before| window.get(before..)).and_then(<[u8]>::first_chunk::<7>)
    {
        let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        let [yes, none, no] = [b"true", b"null", b"fals"].map(|known| word == u32::from_le_bytes(*known));
        if ends_scalar(before) & ((yes | none) & ends_scalar(next) | no & (*next == b'e') & ends_scalar(after)) {
            return true;
        }
    }
    let start = window[..at].iter().rposition(ends_scalar).map_or(0, |end| end + 1);
    let end = window[at..].iter().position(ends_scalar).map_or(window.len(), |end| at + end);
    scalar::is_literal(&window[start..end])
}

#[inline]
fn ends_scalar(byte: &u8) -> bool {
    const ENDS: [bool; 256] = table(b" \n\r\t,:[]{}\"");
    ENDS[usize::from(*byte)]
}

/// Which bytes are among these.
const fn table(bytes: &[u8]) -> [bool; 256] {
    let (mut table, mut next) = ([false; 256], 0);
    while next < bytes.len() {
        table[bytes[next] as usize] = true;
        next += 1;
    }
    table
}

/// Whether one of the bits from one place to another, both included, is set.
#[inline]
fn any(words: impl Fn(usize) -> u64, from: usize, to: usize) -> bool {
    (from / 64..=to / 64).any(|word| {
        let after = if word == from / 64 { u64::MAX << (from % 64) } else { u64::MAX };
        let before = if word == to / 64 { u64::MAX >> (63 - to % 64) } else { u64::MAX };
        words(word) & after & before != 0
    })
}

#[inline]
fn bit(bits: &WindowBits, at: usize) -> bool {
    bits[at / 512][at / 64 % 8] >> (at % 64) & 1 == 1
}
