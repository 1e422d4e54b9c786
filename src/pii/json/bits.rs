//! The first phase of the fast engine: a window of text as bits, and its grammar in those bits.
//!
//! A window begins between two tokens. The scan says up to where it holds whole members and elements, whether
//! anything before that place breaks the grammar, and where the brackets and keys of interest are. What it cannot
//! judge, that brackets pair and members have keys only in objects, is left to the second phase as two bits for each
//! bracket. It decides nothing about values.
//!
//! Bits are reckoned with eight words at a time; a sum that carries from word to word finds the next token, however
//! far away it is.

use std::ops::{BitAnd, BitOr, Not};

use super::{
    names::{NameEndings, Names},
    skim::TokenBits,
    window::{Entry, Scanned, Scratch, WINDOW, WindowPlaces, is_escape, is_literal},
};

/// One bit per byte of 512, for each class of bytes.
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
    /// The bytes from a string's opening quote to before its closing one.
    pub(super) inside: [u64; 8],
    escaped: [u64; 8],
    ending: [u64; 8],
}

/// What an instruction set does for the scan.
pub(super) trait VectorOps {
    type Row: BitRow;
    /// Sets one word of each class but those of [`VectorOps::tokens`].
    fn classify(block: &[u8; 64], word: usize, classes: &mut ByteClasses);
    /// The bits of what strings and brackets are told by.
    fn tokens(block: &[u8; 64]) -> TokenBits;
    /// The bytes that may be the last of a listed name, going by themselves and the two before them.
    fn endings(blocks: [&[u8; 64]; 3], of: &NameEndings) -> u64;
    /// Each bit becomes the parity of the bits up to and with it.
    fn parity(bits: u64) -> u64;
    /// Writes the places of the bits, counted from `base`, at `out[used..]`, and says how much of `out` is used then.
    /// May write up to 64 entries beyond.
    fn flatten(bits: u64, base: u16, out: &mut WindowPlaces, used: usize) -> usize;
}

/// Eight words, the first byte's bit lowest in the first.
pub(super) trait BitRow: Copy + BitAnd<Output = Self> + BitOr<Output = Self> + Not<Output = Self> {
    fn load(words: &[u64; 8]) -> Self;
    fn store(self, words: &mut [u64; 8]);
    fn any(self) -> bool;
    /// Each bit moves on by one or two, over the edge of words; the row before hands its last ones on.
    fn on<const BY: u32>(self, before: &mut Self) -> Self;
    /// The sum as of one long number, with the carry that the row before has left.
    fn plus(self, other: Self, carry: &mut u8) -> Self;
}

/// What one word hands on to the next: whether its first byte is escaped, as a bit, and whether it is inside a string,
/// as all bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct StringCarry {
    pub(super) escaped: u64,
    pub(super) inside: u64,
}

impl StringCarry {
    /// Of a word's quotes and backslashes: the bytes that are escaped, and those inside strings.
    #[inline(always)]
    pub(super) fn strings<L: VectorOps>(&mut self, quote: u64, slash: u64) -> [u64; 2] {
        let escaped = escaped(slash, &mut self.escaped);
        let inside = L::parity(quote & !escaped) ^ self.inside;
        self.inside = 0_u64.wrapping_sub(inside >> 63);
        [escaped, inside]
    }
}

/// What one row hands on to the next.
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
    fn new(entry: Entry) -> Self {
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
            follows_comma: u8::from(entry != Entry::Value),
            follows_colon: u8::from(entry == Entry::Comma),
            follows_key: 0,
            keyed: 0,
            unkeyed: 0,
            forced: 0,
        }
    }
}

/// Scans a window. `None` when it breaks the grammar, or has no whole member or element.
#[inline(always)]
pub(super) fn scan<L: VectorOps>(
    window: &[u8],
    entry: Entry,
    names: Option<&Names>,
    scratch: &mut Scratch,
) -> Option<Scanned> {
    let window = &window[..window.len().min(WINDOW)];
    // All classes first: a row that is read while its words are still being written would have to wait for them.
    let mut edge = StringCarry::default();
    for (row, classes) in scratch.classes.iter_mut().enumerate().take(window.len().div_ceil(512)) {
        for word in 0..8 {
            classify::<L>(window, row * 512 + word * 64, names, word, classes, &mut edge);
        }
    }
    let mut carry = RowCarry::<L::Row>::new(entry);
    let (mut events, mut odd, mut escapes, mut broken) = (0, 0, 0, usize::MAX);
    for (row, text) in window.chunks(512).enumerate() {
        let found = grammar::<L::Row>(row, names.is_some(), &mut carry, scratch);
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
    Some(Scanned { cut, events })
}

/// Sets a word of all classes: those of bytes, and what strings and escapes make of them.
#[inline(always)]
fn classify<L: VectorOps>(
    window: &[u8],
    start: usize,
    names: Option<&Names>,
    at: usize,
    classes: &mut ByteClasses,
    edge: &mut StringCarry,
) {
    // A block, and the two bytes before it.
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
    [classes.escaped[at], classes.inside[at]] = edge.strings::<L>(classes.quote[at], classes.slash[at]);
    classes.quote[at] &= !classes.escaped[at];
    if let Some(names) = names {
        classes.ending[at] = L::endings([block, one, two], names.endings());
    }
}

/// The first block of a window, with nothing before it, or its last, with space behind it.
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

/// The place of the first bit of a row that has one.
fn first_bit(row: &[u64; 8]) -> usize {
    let word = row.iter().position(|word| *word != 0).unwrap_or_default();
    word * 64 + row[word].trailing_zeros() as usize
}

/// What one row has.
#[derive(Default)]
struct RowTokens {
    /// Brackets, and colons behind keys that may be listed ones.
    events: [u64; 8],
    odd: [u64; 8],
    broken: [u64; 8],
    breaks: bool,
}

#[inline(always)]
fn grammar<R: BitRow>(row: usize, named: bool, carry: &mut RowCarry<R>, scratch: &mut Scratch) -> RowTokens {
    let classes = &scratch.classes[row];
    let (inside, quote) = (R::load(&classes.inside), R::load(&classes.quote));
    let (open, close) = (R::load(&classes.open) & !inside, R::load(&classes.close) & !inside);
    let (comma, colon) = (R::load(&classes.comma) & !inside, R::load(&classes.colon) & !inside);
    let (brackets, text) = (open | close, quote & inside);
    let stops = brackets | comma | colon;
    let scalar = !(stops | R::load(&classes.space) | quote | inside);
    let starts = scalar & !scalar.on::<1>(&mut carry.scalar);

    let tokens = stops | text | starts;
    // Three kinds of token by two sums: what follows each follows two of the pairs, or one.
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
    let seen_unkeyed = (!brackets).plus(unkeyed & !brackets, &mut carry.unkeyed) & brackets | unkeyed & brackets;
    quote.store(&mut scratch.quotes[row]);
    keyed.store(&mut scratch.keyed[row]);
    unkeyed.store(&mut scratch.unkeyed[row]);
    ((!brackets).plus(keyed, &mut carry.keyed) & brackets).store(&mut scratch.seen_keyed[row]);
    seen_unkeyed.store(&mut scratch.seen_unkeyed[row]);

    let mut events = brackets;
    if named {
        let slash = R::load(&classes.slash) & !stops;
        let forced = (!stops).plus(slash, &mut carry.forced) & colon;
        let ending = R::load(&classes.ending).on::<2>(&mut carry.ending);
        events = events | colon & (forced | ending | !quote.on::<1>(&mut carry.quote));
    }
    let plain = R::load(&classes.digit) | R::load(&classes.point) | starts & R::load(&classes.minus);
    let odd = scalar & !plain;
    let mut found = RowTokens::default();
    events.store(&mut found.events);
    (odd & !odd.on::<1>(&mut carry.oddity)).store(&mut found.odd);
    found.breaks = broken.any();
    if found.breaks {
        broken.store(&mut found.broken);
    }
    found
}

/// What plain numbers must not have: a minus or point without a digit behind it, a point without one before it, a
/// needless zero, two points.
#[inline(always)]
fn numbers<R: BitRow>(classes: &ByteClasses, scalar: R, starts: R, carry: &mut RowCarry<R>) -> R {
    let (digit, point) = (R::load(&classes.digit), R::load(&classes.point) & scalar);
    let after_minus = (starts & R::load(&classes.minus)).on::<1>(&mut carry.after_minus);
    let first = (starts | after_minus) & digit;
    let after_zero = (first & R::load(&classes.zero)).on::<1>(&mut carry.after_zero);
    let after_point = point.on::<1>(&mut carry.after_point);
    let second_point = scalar.plus(point, &mut carry.pointed) & point;
    (after_minus | after_point) & !digit | after_zero & digit | starts & point | second_point
}

/// The token that follows each token of `of`.
#[inline(always)]
fn next<R: BitRow>(of: R, tokens: R, carry: &mut u8) -> R {
    (!tokens | of).plus(of, carry) & tokens
}

/// The bytes that a backslash escapes: those behind an odd one of a run of backslashes.
#[inline(always)]
fn escaped(slash: u64, carry: &mut u64) -> u64 {
    const ODD: u64 = 0xAAAA_AAAA_AAAA_AAAA;
    // A backslash that is itself escaped begins nothing.
    let begins = slash & !*carry;
    let runs = (begins << 1 | ODD).wrapping_sub(begins) ^ ODD;
    let escaped = runs ^ (slash | *carry);
    *carry = (runs & slash) >> 63;
    escaped
}
