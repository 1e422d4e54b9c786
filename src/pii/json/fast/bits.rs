//! The scan: turns a window of text into bits, and checks the grammar of JSON on these bits.
//!
//! A window begins between two tokens. The scan finds up to where it has whole members and elements (the cut),
//! whether anything before the cut breaks the grammar, and where the brackets are and the keys that a path may name.
//! It cannot see which brackets belong together, nor whether a container is an object: for that it leaves two bits
//! for each bracket to the fast path. It decides nothing about values.
//!
//! The bits of 512 bytes (a row) are worked on at once. Adding two rows as long numbers finds, by the carry, the next
//! token after each token of a kind, however far away it is.

use std::ops::{BitAnd, BitOr, Not};

use crate::pii::json::names::{NameEndings, Names};

use super::{
    skip::TokenBits,
    window::{ScanScratch, ScannedWindow, WINDOW, WindowEntry, WindowPlaces, is_escape, is_literal},
};

/// For each class of bytes, one bit for each of 512 bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ByteClasses {
    pub(super) quote: [u64; 8],
    pub(super) slash: [u64; 8],
    pub(super) open: [u64; 8],
    pub(super) close: [u64; 8],
    pub(super) comma: [u64; 8],
    pub(super) colon: [u64; 8],
    pub(super) space: [u64; 8],
    pub(super) control: [u64; 8],
    pub(super) digit: [u64; 8],
    pub(super) zero: [u64; 8],
    pub(super) point: [u64; 8],
    pub(super) minus: [u64; 8],
    /// The bytes of strings: from the opening quote to before the closing one.
    pub(super) inside: [u64; 8],
    escaped: [u64; 8],
    ending: [u64; 8],
}

/// The parts of the scan and the skip for which each instruction set has its own code.
pub(super) trait VectorOps {
    type Register: BitRow;
    /// Sets one word of each class, except for the classes of [`VectorOps::tokens`].
    fn classify(block: &[u8; 64], word: usize, classes: &mut ByteClasses);
    /// The bits of quotes, backslashes and brackets.
    fn tokens(block: &[u8; 64]) -> TokenBits;
    /// The bytes that may be the last one of a listed name, by themselves and the two bytes before each.
    fn endings(blocks: [&[u8; 64]; 3], of: &NameEndings) -> u64;
    /// Each bit becomes the parity of all bits up to and including it.
    fn parity(bits: u64) -> u64;
    /// Writes the places of the set bits, plus `base`, to `out[used..]`, and returns how much of `out` is used then.
    /// May write up to 64 more entries.
    fn flatten(bits: u64, base: u16, out: &mut WindowPlaces, used: usize) -> usize;
}

/// Eight words: a bit for each of 512 bytes. The first byte's bit is the lowest of the first word.
pub(super) trait BitRow: Copy + BitAnd<Output = Self> + BitOr<Output = Self> + Not<Output = Self> {
    fn load(words: &[u64; 8]) -> Self;
    fn store(self, words: &mut [u64; 8]);
    fn any(self) -> bool;
    /// Moves each bit to the place of the next byte, or the one after that. The bits that move in come from `before`,
    /// the row before this one, which becomes this row.
    fn shifted<const BY: u32>(self, before: &mut Self) -> Self;
    /// The sum of both rows as numbers of 512 bits, with the carry of the rows before.
    fn add_with_carry(self, other: Self, carry: &mut u8) -> Self;
}

/// What one word of 64 bytes hands on to the next: whether the next byte is escaped, as the lowest bit, and whether
/// it is inside a string, as all bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct StringCarry {
    pub(super) escaped: u64,
    pub(super) inside: u64,
}

impl StringCarry {
    /// Takes the next word's quotes and backslashes. Returns the bytes that are escaped, and those inside strings.
    #[inline(always)]
    pub(super) fn next_word<L: VectorOps>(&mut self, quote: u64, slash: u64) -> [u64; 2] {
        let escaped = escaped(slash, &mut self.escaped);
        let inside = L::parity(quote & !escaped) ^ self.inside;
        self.inside = 0_u64.wrapping_sub(inside >> 63);
        [escaped, inside]
    }
}

/// What one row hands on to the next: whole rows to be shifted in, and the carries of sums.
struct RowCarry<R> {
    scalar: R,
    after_minus: R,
    after_zero: R,
    after_point: R,
    oddity: R,
    quote: R,
    ending: R,
    pointed: u8,
    follows_comma: u8,
    follows_colon: u8,
    follows_key: u8,
    keyed: u8,
    unkeyed: u8,
    forced: u8,
}

impl<R: BitRow> RowCarry<R> {
    #[inline(always)]
    fn new(entry: WindowEntry) -> Self {
        let none = R::load(&[0; 8]);
        Self {
            scalar: none,
            after_minus: none,
            after_zero: none,
            after_point: none,
            oddity: none,
            quote: none,
            ending: none,
            pointed: 0,
            follows_comma: u8::from(entry != WindowEntry::Value),
            follows_colon: u8::from(entry == WindowEntry::Comma),
            follows_key: 0,
            keyed: 0,
            unkeyed: 0,
            forced: 0,
        }
    }
}

/// Scans a window. `None` when it breaks the grammar before the cut, or has no comma or bracket.
#[inline(always)]
pub(super) fn scan<L: VectorOps>(
    window: &[u8],
    entry: WindowEntry,
    names: Option<&Names>,
    scratch: &mut ScanScratch,
) -> Option<ScannedWindow> {
    let window = &window[..window.len().min(WINDOW)];
    // First all classes, then the grammar: a load of a whole row soon after the stores of its words would stall.
    let mut edge = StringCarry::default();
    for (row, classes) in scratch.classes.iter_mut().enumerate().take(window.len().div_ceil(512)) {
        for word in 0..8 {
            classify::<L>(window, row * 512 + word * 64, names, word, classes, &mut edge);
        }
    }
    let mut carry = RowCarry::<L::Register>::new(entry);
    let (mut events, mut odd, mut escapes, mut broken) = (0, 0, 0, usize::MAX);
    for (row, text) in window.chunks(512).enumerate() {
        let found = grammar::<L::Register>(row, names.is_some(), &mut carry, scratch);
        for word in 0..text.len().div_ceil(64) {
            let base = row * 512 + word * 64;
            events = L::flatten(found.events[word], base as u16, &mut scratch.events, events);
            odd = L::flatten(found.odd[word], base as u16, &mut scratch.odd, odd);
            let escaped = scratch.classes[row].escaped[word];
            if escaped != 0 {
                escapes = L::flatten(escaped, base as u16, &mut scratch.escapes, escapes);
            }
        }
        if found.breaks {
            broken = broken.min(row * 512 + first_bit(&found.broken));
        }
    }
    let cut = scratch.last_end(window.len())?;
    let in_reach = |at: &&u16| usize::from(**at) <= cut;
    let sound = broken > cut
        && scratch.escapes[..escapes].iter().take_while(in_reach).all(|at| is_escape(window, usize::from(*at)))
        && scratch.odd[..odd].iter().take_while(in_reach).all(|at| is_literal(window, usize::from(*at)));
    if !sound {
        return None;
    }
    let events = scratch.events[..events].partition_point(|at| usize::from(*at) <= cut);
    Some(ScannedWindow { cut, events })
}

/// Sets one word of all classes, and of the bits that depend on them: escaped bytes and bytes inside strings.
#[inline(always)]
fn classify<L: VectorOps>(
    window: &[u8],
    start: usize,
    names: Option<&Names>,
    at: usize,
    classes: &mut ByteClasses,
    edge: &mut StringCarry,
) {
    // The block of 64 bytes, and the two bytes before it.
    let whole = start.checked_sub(2).and_then(|start| window.get(start..)).and_then(<[u8]>::first_chunk::<66>);
    let padded;
    let text = match whole {
        Some(text) => text,
        None => {
            padded = pad(window, start);
            &padded
        }
    };
    let [Some(two), Some(one), Some(block)] = [0, 1, 2].map(|by| text[by..].first_chunk::<64>()) else { return };
    let tokens = L::tokens(block);
    (classes.quote[at], classes.slash[at]) = (tokens.quote, tokens.slash);
    (classes.open[at], classes.close[at]) = (tokens.open, tokens.close);
    L::classify(block, at, classes);
    [classes.escaped[at], classes.inside[at]] = edge.next_word::<L>(classes.quote[at], classes.slash[at]);
    classes.quote[at] &= !classes.escaped[at];
    if let Some(names) = names {
        classes.ending[at] = L::endings([block, one, two], names.endings());
    }
}

/// The first block of a window with two spaces before it, or its last block with spaces after it.
fn pad(window: &[u8], start: usize) -> [u8; 66] {
    let mut text = [b' '; 66];
    if start == 0
        && let Some(block) = window.first_chunk::<64>()
    {
        text[2..].copy_from_slice(block);
        return text;
    }
    let from = start.saturating_sub(2);
    let part = window.get(from..window.len().min(start + 64)).unwrap_or_default();
    text[from + 2 - start..][..part.len()].copy_from_slice(part);
    text
}

/// The place of the first bit that is set in a row.
fn first_bit(row: &[u64; 8]) -> usize {
    let word = row.iter().position(|word| *word != 0).unwrap_or_default();
    word * 64 + row[word].trailing_zeros() as usize
}

/// What the fast path needs of one row, and where the row breaks the grammar.
#[derive(Default)]
struct RowTokens {
    /// Brackets, and colons after keys that a path may name.
    events: [u64; 8],
    odd: [u64; 8],
    broken: [u64; 8],
    breaks: bool,
}

#[inline(always)]
fn grammar<R: BitRow>(row: usize, named: bool, carry: &mut RowCarry<R>, scratch: &mut ScanScratch) -> RowTokens {
    let classes = &scratch.classes[row];
    let (inside, quote) = (R::load(&classes.inside), R::load(&classes.quote));
    let (open, close) = (R::load(&classes.open) & !inside, R::load(&classes.close) & !inside);
    let (comma, colon) = (R::load(&classes.comma) & !inside, R::load(&classes.colon) & !inside);
    let (brackets, text) = (open | close, quote & inside);
    let stops = brackets | comma | colon;
    let scalar = !(stops | R::load(&classes.space) | quote | inside);
    let starts = scalar & !scalar.shifted::<1>(&mut carry.scalar);

    let tokens = stops | text | starts;
    // Two sums give three sets of tokens: those after `,` or an opening bracket, and those after `,` or `:`. What is
    // in both comes after `,`.
    let after_ends = next(comma | open, tokens, &mut carry.follows_comma);
    let after_marks = next(comma | colon, tokens, &mut carry.follows_colon);
    let (after_comma, after_colon) = (after_ends & after_marks, after_marks & !after_ends);
    let element = after_ends;
    let after_key = next(text & element, tokens, &mut carry.follows_key);
    let broken = (text | starts | open) & !(element | after_colon)
        | comma & (element | after_colon)
        | close & (after_comma | after_colon)
        | colon & !after_key
        | R::load(&classes.control) & inside
        | numbers(classes, scalar, starts, carry);

    let keyed = after_key & colon;
    let unkeyed = element & (starts | open) | after_key & (comma | close);
    let seen_unkeyed =
        (!brackets).add_with_carry(unkeyed & !brackets, &mut carry.unkeyed) & brackets | unkeyed & brackets;
    quote.store(&mut scratch.quotes[row]);
    keyed.store(&mut scratch.keyed[row]);
    unkeyed.store(&mut scratch.unkeyed[row]);
    ((!brackets).add_with_carry(keyed, &mut carry.keyed) & brackets).store(&mut scratch.seen_keyed[row]);
    seen_unkeyed.store(&mut scratch.seen_unkeyed[row]);

    let mut events = brackets;
    if named {
        let slash = R::load(&classes.slash) & !stops;
        let forced = (!stops).add_with_carry(slash, &mut carry.forced) & colon;
        let ending = R::load(&classes.ending).shifted::<2>(&mut carry.ending);
        events = events | colon & (forced | ending | !quote.shifted::<1>(&mut carry.quote));
    }
    let plain = R::load(&classes.digit) | R::load(&classes.point) | starts & R::load(&classes.minus);
    let odd = scalar & !plain;
    let mut found = RowTokens::default();
    events.store(&mut found.events);
    (odd & !odd.shifted::<1>(&mut carry.oddity)).store(&mut found.odd);
    found.breaks = broken.any();
    if found.breaks {
        broken.store(&mut found.broken);
    }
    found
}

/// Where a number of digits, sign and point alone breaks the grammar: a minus or point with no digit after it, a
/// point with no digit before it, a leading zero, a second point.
#[inline(always)]
fn numbers<R: BitRow>(classes: &ByteClasses, scalar: R, starts: R, carry: &mut RowCarry<R>) -> R {
    let (digit, point) = (R::load(&classes.digit), R::load(&classes.point) & scalar);
    let after_minus = (starts & R::load(&classes.minus)).shifted::<1>(&mut carry.after_minus);
    let first = (starts | after_minus) & digit;
    let after_zero = (first & R::load(&classes.zero)).shifted::<1>(&mut carry.after_zero);
    let after_point = point.shifted::<1>(&mut carry.after_point);
    let second_point = scalar.add_with_carry(point, &mut carry.pointed) & point;
    (after_minus | after_point) & !digit | after_zero & digit | starts & point | second_point
}

/// The token after each token that is in `of`.
#[inline(always)]
fn next<R: BitRow>(of: R, tokens: R, carry: &mut u8) -> R {
    (!tokens | of).add_with_carry(of, carry) & tokens
}

/// The bytes that a backslash escapes: each follows a run of backslashes of odd length.
#[inline(always)]
fn escaped(slash: u64, carry: &mut u64) -> u64 {
    const ODD: u64 = 0xAAAA_AAAA_AAAA_AAAA;
    // A backslash that is itself escaped begins no escape.
    let begins = slash & !*carry;
    let runs = (begins << 1 | ODD).wrapping_sub(begins) ^ ODD;
    let escaped = runs ^ (slash | *carry);
    *carry = (runs & slash) >> 63;
    escaped
}
