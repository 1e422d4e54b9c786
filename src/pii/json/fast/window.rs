//! What the scan notes about a window of text, for the fast path: no text, only where things are.

use crate::pii::json::exact::is_literal as is_whole_literal;

use super::bits::ByteClasses;

/// The most bytes of a window. Each has a bit: 64 in a word, 8 words in a row.
pub(super) const WINDOW: usize = 6144;

/// One bit for each byte of a window, by rows.
pub(super) type WindowBits = [[u64; 8]; WINDOW / 512];

/// Places in a window. There is room for 64 more, because the vector code writes that many at once.
pub(super) type WindowPlaces = [u16; WINDOW + 64];

/// The kind of token before the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WindowEntry {
    /// An opening bracket.
    Open,
    /// A comma.
    Comma,
    /// The end of a value.
    Value,
}

/// Working space for a scan.
pub(super) struct ScanScratch {
    /// What each byte is.
    pub(super) classes: Box<[ByteClasses; WINDOW / 512]>,
    /// Quotes that begin or end strings.
    pub(super) quotes: WindowBits,
    /// Colons of members.
    pub(super) keyed: WindowBits,
    /// The first tokens of elements; for a string the comma or closing bracket after it.
    pub(super) unkeyed: WindowBits,
    /// Brackets, since whose predecessor there was a member's colon.
    pub(super) seen_keyed: WindowBits,
    /// Brackets, since whose predecessor there was an element.
    pub(super) seen_unkeyed: WindowBits,
    /// Where the brackets are, and the colons after keys that a path may name.
    pub(super) events: Box<WindowPlaces>,
    /// Where the bytes are that follow the backslashes of escapes.
    pub(super) escapes: Box<WindowPlaces>,
    /// Where keywords are, and numbers with more than digits, a sign and a point.
    pub(super) odd: Box<WindowPlaces>,
}

/// The result of a scan.
#[derive(Debug, Clone, Copy)]
pub(super) struct ScannedWindow {
    /// The last comma or bracket of the window: a token that follows may not be complete.
    pub(super) cut: usize,
    /// How many entries of [`ScanScratch::events`] are up to the cut.
    pub(super) events: usize,
}

impl ScanScratch {
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

    /// The last comma or bracket outside of strings, in a window of so many bytes.
    pub(super) fn last_end(&self, length: usize) -> Option<usize> {
        (0..length.div_ceil(64)).rev().find_map(|word| {
            let (classes, at) = (&self.classes[word / 8], word % 8);
            let ends = (classes.open[at] | classes.close[at] | classes.comma[at]) & !classes.inside[at];
            (ends != 0).then(|| word * 64 + 63 - ends.leading_zeros() as usize)
        })
    }

    /// Whether, between the bracket here and the one before it, there is something that the container cannot have:
    /// elements in an object, or members in an array.
    #[inline]
    pub(super) fn has_misplaced(&self, bracket: usize, object: bool) -> bool {
        let seen = if object { &self.seen_unkeyed } else { &self.seen_keyed };
        bit(seen, bracket)
    }

    /// As [`Self::has_misplaced`], between two places without a bracket between them.
    pub(super) fn has_misplaced_between(&self, from: usize, cut: usize, object: bool) -> bool {
        let seen = if object { &self.unkeyed } else { &self.keyed };
        any(|word| seen[word / 8][word % 8], from, cut)
    }

    /// The closing quote of the string that begins here, if a string without escapes begins here.
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

    /// Whether there is a backslash from one place to another, both included.
    #[inline]
    pub(super) fn has_escape(&self, from: usize, to: usize) -> bool {
        any(|word| self.classes[word / 8].slash[word % 8], from, to)
    }

    /// The text of the key whose closing quote is at `end`.
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

/// Whether an escape is valid, given the place after its backslash. Backslashes outside of strings are refused
/// elsewhere: they begin no token.
#[inline]
pub(super) fn is_escape(window: &[u8], at: usize) -> bool {
    const PLAIN: [bool; 256] = table(b"\"\\/bfnrt");
    let hex = |digits: &[u8]| digits.iter().all(u8::is_ascii_hexdigit);
    PLAIN[usize::from(window[at])] || window[at] == b'u' && window.get(at + 1..at + 5).is_some_and(hex)
}

/// Whether a keyword or number is valid, given any of its bytes.
#[inline]
pub(super) fn is_literal(window: &[u8], at: usize) -> bool {
    // Compare with true, null and false at once, branch-free: which one occurs depends on the data, so a branch would
    // be mispredicted.
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
    is_whole_literal(&window[start..end])
}

#[inline]
fn ends_scalar(byte: &u8) -> bool {
    const ENDS: [bool; 256] = table(b" \n\r\t,:[]{}\"");
    ENDS[usize::from(*byte)]
}

/// A table of which bytes are among these.
const fn table(bytes: &[u8]) -> [bool; 256] {
    let (mut table, mut next) = ([false; 256], 0);
    while next < bytes.len() {
        table[bytes[next] as usize] = true;
        next += 1;
    }
    table
}

/// Whether a bit from one place to another, both included, is set.
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
