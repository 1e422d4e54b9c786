//! The first phase of the fast engine: a window of text as bits, 64 bytes to a word, and its grammar in those bits.
//!
//! A window begins between two tokens. The scan says up to where it holds whole members and elements, whether
//! anything before that place breaks the grammar, and where the brackets and keys of interest are. What it cannot
//! judge, that brackets pair and members have keys only in objects, is left to the second phase as two bits for each
//! bracket. It decides nothing about values.

use super::names::{Endings, Names};

/// Bytes of a window, at most.
pub(super) const WINDOW: usize = 4096;
const WORDS: usize = WINDOW / 64;

/// One bit per byte of 64, for each class of bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Classes {
    pub(super) quote: u64,
    pub(super) slash: u64,
    pub(super) open: u64,
    pub(super) close: u64,
    pub(super) comma: u64,
    pub(super) colon: u64,
    pub(super) space: u64,
    pub(super) control: u64,
    pub(super) digit: u64,
    pub(super) zero: u64,
    pub(super) point: u64,
    pub(super) minus: u64,
}

/// What an instruction set does for the scan.
pub(super) trait Lanes {
    fn classify(block: &[u8; 64]) -> Classes;
    /// The bytes that may be the last of a listed name, going by themselves and the bytes `before` them.
    fn endings(block: &[u8; 64], before: &[u8; 64], of: &Endings) -> u64;
    /// Each bit becomes the parity of the bits up to and with it.
    fn parity(bits: u64) -> u64;
    /// The sum of two words and a carry, and the carry out.
    fn add(a: u64, b: u64, carry: &mut u8) -> u64;
    /// Writes the places of the bits, counted from `base`, at `out[used..]`, and says how much of `out` is used then.
    /// May write up to 64 entries beyond.
    fn flatten(bits: u64, base: u16, out: &mut Places, used: usize) -> usize;
}

/// Places in a window, with room for a careless last write.
pub(super) type Places = [u16; WINDOW + 64];

/// What stands before the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    AfterOpen,
    AfterComma,
    AfterValue,
}

/// Working space for a scan, one per thread: no text in it, only where things are.
pub(super) struct Scratch {
    /// The quotes that begin or end strings.
    pub(super) quotes: [u64; WORDS],
    keyed: [u64; WORDS],
    unkeyed: [u64; WORDS],
    /// For a bracket: whether since the last one there was a member, or an element.
    seen_keyed: [u64; WORDS],
    seen_unkeyed: [u64; WORDS],
    /// Colons whose key may have an escape.
    forced: [u64; WORDS],
    /// Brackets and, behind keys that may be listed ones, colons.
    pub(super) events: Box<Places>,
    raw: Box<Places>,
    /// What stands behind the backslashes of escapes.
    escapes: Box<Places>,
    /// Words, and numbers that are not plain.
    odd: Box<Places>,
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
            quotes: [0; WORDS],
            keyed: [0; WORDS],
            unkeyed: [0; WORDS],
            seen_keyed: [0; WORDS],
            seen_unkeyed: [0; WORDS],
            forced: [0; WORDS],
            events: places(),
            raw: places(),
            escapes: places(),
            odd: places(),
        }
    }

    /// Whether, since the last bracket before the one here, there was something that this container cannot have.
    #[inline]
    pub(super) fn breaks(&self, bracket: usize, object: bool) -> bool {
        let seen = if object { &self.seen_unkeyed } else { &self.seen_keyed };
        seen[bracket / 64] >> (bracket % 64) & 1 == 1
    }

    /// The same for what stands between the last bracket and the cut.
    pub(super) fn breaks_between(&self, from: usize, cut: usize, object: bool) -> bool {
        let seen = if object { &self.unkeyed } else { &self.keyed };
        (from / 64..=cut / 64).any(|word| {
            let after = if word == from / 64 { u64::MAX << (from % 64) } else { u64::MAX };
            let before = if word == cut / 64 { u64::MAX >> (63 - cut % 64) } else { u64::MAX };
            seen[word] & after & before != 0
        })
    }

    /// The text of the key whose closing quote stands at `end`.
    pub(super) fn key<'w>(&self, window: &'w [u8], end: usize) -> &'w [u8] {
        let mut word = end / 64;
        let mut quotes = self.quotes[word] & !(u64::MAX << (end % 64));
        while quotes == 0 && word > 0 {
            word -= 1;
            quotes = self.quotes[word];
        }
        let start = word * 64 + 64 - quotes.leading_zeros() as usize;
        window.get(start..end).unwrap_or_default()
    }
}

/// What one block hands on to the next: a bit each, for what goes on over the edge.
#[derive(Default)]
struct Carry {
    escaped: u64,
    inside: u64,
    scalar: u64,
    after_minus: u64,
    after_zero: u64,
    after_point: u64,
    oddity: u64,
    quote: u64,
    ending: u64,
    pointed: u8,
    follows_comma: u8,
    follows_colon: u8,
    follows_open: u8,
    follows_key: u8,
    keyed: u8,
    unkeyed: u8,
    forced: u8,
}

/// Scans a window. `None` when it breaks the grammar, or has no whole member or element.
#[inline(always)]
pub(super) fn scan<L: Lanes>(
    window: &[u8],
    entry: Entry,
    names: Option<&Names>,
    scratch: &mut Scratch,
) -> Option<Scanned> {
    let mut carry = Carry {
        follows_open: u8::from(entry == Entry::AfterOpen),
        follows_comma: u8::from(entry == Entry::AfterComma),
        ..Carry::default()
    };
    let (mut events, mut odd, mut escapes, mut cut, mut broken) = (0, 0, 0, None, usize::MAX);
    let mut padded = [b' '; 64];
    for (word, text) in window[..window.len().min(WINDOW)].chunks(64).enumerate() {
        let block = text.try_into().unwrap_or_else(|_| {
            padded[..text.len()].copy_from_slice(text);
            &padded
        });
        let found = block_of::<L>(block, word, &mut carry, scratch);
        let base = (word * 64) as u16;
        let keys = names.map_or(0, |names| {
            let ending = L::endings(block, &shifted(window, word), names.endings());
            found.colons & (shift_two(ending, &mut carry.ending) | !found.after_quote | scratch.forced[word])
        });
        events = L::flatten(found.brackets | keys, base, &mut scratch.raw, events);
        odd = L::flatten(found.odd, base, &mut scratch.odd, odd);
        if found.escaped != 0 {
            escapes = L::flatten(found.escaped, base, &mut scratch.escapes, escapes);
        }
        let ends = found.brackets | found.commas;
        if ends != 0 {
            cut = Some(word * 64 + 63 - ends.leading_zeros() as usize);
        }
        if found.broken != 0 {
            broken = broken.min(word * 64 + found.broken.trailing_zeros() as usize);
        }
    }
    let cut = cut?;
    let in_reach = |at: &&u16| usize::from(**at) <= cut;
    let sound = broken > cut
        && scratch.escapes[..escapes].iter().take_while(in_reach).all(|at| is_escape(window, usize::from(*at)))
        && scratch.odd[..odd].iter().take_while(in_reach).all(|at| is_literal(window, usize::from(*at)));
    if !sound {
        return None;
    }
    Some(Scanned { cut, events: keep_events(window, names, cut, events, scratch) })
}

/// What one block has.
struct Found {
    brackets: u64,
    commas: u64,
    colons: u64,
    /// The bytes behind quotes.
    after_quote: u64,
    odd: u64,
    escaped: u64,
    broken: u64,
}

#[inline(always)]
fn block_of<L: Lanes>(block: &[u8; 64], word: usize, carry: &mut Carry, scratch: &mut Scratch) -> Found {
    let c = L::classify(block);
    let escaped = escaped(c.slash, &mut carry.escaped);
    let quote = c.quote & !escaped;
    let inside = L::parity(quote) ^ carry.inside;
    carry.inside = 0_u64.wrapping_sub(inside >> 63);
    let (open, close) = (c.open & !inside, c.close & !inside);
    let (comma, colon) = (c.comma & !inside, c.colon & !inside);
    let brackets = open | close;
    let text = quote & inside;
    let scalar = !(brackets | comma | colon | c.space | quote | inside);
    let starts = scalar & !shift(scalar, &mut carry.scalar);

    let tokens = brackets | comma | colon | text | starts;
    let after_comma = next::<L>(comma, tokens, &mut carry.follows_comma);
    let after_colon = next::<L>(colon, tokens, &mut carry.follows_colon);
    let after_open = next::<L>(open, tokens, &mut carry.follows_open);
    let element = after_comma | after_open;
    let after_key = next::<L>(text & element, tokens, &mut carry.follows_key);
    let broken = (text | starts | open) & !(element | after_colon)
        | comma & (element | after_colon)
        | close & (after_comma | after_colon)
        | colon & !after_key
        | c.control & inside;

    let keyed = after_key & colon;
    let unkeyed = element & (starts | open) | after_key & (comma | close);
    let stops = brackets | comma | colon;
    scratch.quotes[word] = quote;
    scratch.keyed[word] = keyed;
    scratch.unkeyed[word] = unkeyed;
    scratch.seen_keyed[word] = L::add(!brackets, keyed, &mut carry.keyed) & brackets;
    scratch.seen_unkeyed[word] =
        L::add(!brackets, unkeyed & !brackets, &mut carry.unkeyed) & brackets | unkeyed & brackets;
    scratch.forced[word] = L::add(!stops, c.slash & !stops, &mut carry.forced) & colon;

    let after_quote = shift(quote, &mut carry.quote);
    let numbers = numbers::<L>(&c, scalar, starts, carry);
    let plain = c.digit | c.point | starts & c.minus;
    let odd = scalar & !plain;
    let odd = odd & !shift(odd, &mut carry.oddity);
    Found { brackets, commas: comma, colons: colon, after_quote, odd, escaped, broken: broken | numbers }
}

/// What plain numbers must not have: a minus or point without a digit behind it, a needless zero, two points.
#[inline(always)]
fn numbers<L: Lanes>(c: &Classes, scalar: u64, starts: u64, carry: &mut Carry) -> u64 {
    let (digit, point) = (c.digit, c.point & scalar);
    let after_minus = shift(starts & c.minus, &mut carry.after_minus);
    let first = starts & digit | after_minus & digit;
    let after_zero = shift(first & c.zero, &mut carry.after_zero);
    let after_point = shift(point, &mut carry.after_point);
    let second_point = L::add(scalar, point, &mut carry.pointed) & point;
    after_minus & !digit | after_zero & digit | after_point & !digit | second_point
}

/// The bytes that a backslash escapes: those behind an odd one of a run of backslashes.
#[inline(always)]
fn escaped(slash: u64, carry: &mut u64) -> u64 {
    const ODD: u64 = 0xAAAA_AAAA_AAAA_AAAA;
    if slash == 0 {
        return std::mem::take(carry);
    }
    // A backslash that is itself escaped begins nothing.
    let begins = slash & !*carry;
    let runs = (begins << 1 | ODD).wrapping_sub(begins) ^ ODD;
    let escaped = runs ^ (slash | *carry);
    *carry = (runs & slash) >> 63;
    escaped
}

/// The token that follows each token of `of`.
#[inline(always)]
fn next<L: Lanes>(of: u64, tokens: u64, carry: &mut u8) -> u64 {
    L::add(!tokens | of, of, carry) & tokens
}

#[inline(always)]
fn shift(bits: u64, carry: &mut u64) -> u64 {
    let shifted = bits << 1 | *carry;
    *carry = bits >> 63;
    shifted
}

#[inline(always)]
fn shift_two(bits: u64, carry: &mut u64) -> u64 {
    let shifted = bits << 2 | *carry;
    *carry = bits >> 62;
    shifted
}

/// The block one byte before a block of the window; before the first byte nothing is a key's.
#[inline(always)]
fn shifted(window: &[u8], word: usize) -> [u8; 64] {
    let whole = (word * 64).checked_sub(1).and_then(|start| window.get(start..)).and_then(|rest| rest.first_chunk());
    whole.copied().unwrap_or_else(|| {
        let start = (word * 64).saturating_sub(1);
        let part = &window[start..window.len().min(word * 64 + 63)];
        let mut block = [0; 64];
        let at = usize::from(word == 0);
        block[at..at + part.len()].copy_from_slice(part);
        block
    })
}

/// Leaves out the colons whose key cannot be a listed one, and what lies behind the cut.
#[inline(always)]
fn keep_events(window: &[u8], names: Option<&Names>, cut: usize, events: usize, scratch: &mut Scratch) -> usize {
    let (raw, kept) = (&scratch.raw[..events], &mut scratch.events);
    let mut used = 0;
    for place in raw {
        let here = usize::from(*place);
        let wanted = match names.zip(window[..=here].last_chunk::<5>()) {
            Some((names, [a, b, c, quote, last])) => {
                let forced = scratch.forced[here / 64] >> (here % 64) & 1 == 1;
                (*last != b':') | (*quote != b'"') | forced | names.may_end_with([*a, *b, *c])
            }
            None => true,
        };
        kept[used] = *place;
        used += usize::from(wanted & (here <= cut));
    }
    used
}

/// Judges an escape by what stands behind its backslash. What stands outside a string, a bit has judged.
#[inline]
fn is_escape(window: &[u8], at: usize) -> bool {
    const PLAIN: [bool; 256] = {
        let mut plain = [false; 256];
        let letters = b"\"\\/bfnrt";
        let mut next = 0;
        while next < letters.len() {
            plain[letters[next] as usize] = true;
            next += 1;
        }
        plain
    };
    let hex = |digits: &[u8]| digits.iter().all(u8::is_ascii_hexdigit);
    PLAIN[usize::from(window[at])] || window[at] == b'u' && window.get(at + 1..at + 5).is_some_and(hex)
}

/// Judges a word or number by any of its bytes.
#[inline]
fn is_literal(window: &[u8], at: usize) -> bool {
    let outside = |byte: Option<&u8>| byte.is_none_or(ends_scalar);
    let begins = outside(at.checked_sub(1).map(|before| &window[before]));
    match window[at..].first_chunk::<5>() {
        Some([b't', b'r', b'u', b'e', next] | [b'n', b'u', b'l', b'l', next]) if begins && ends_scalar(next) => true,
        Some(b"false") if begins && outside(window.get(at + 5)) => true,
        _ => {
            let start = window[..at].iter().rposition(ends_scalar).map_or(0, |end| end + 1);
            let end = window[at..].iter().position(ends_scalar).map_or(window.len(), |end| at + end);
            super::scalar::is_literal(&window[start..end])
        }
    }
}

#[inline]
fn ends_scalar(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t' | b',' | b':' | b'[' | b']' | b'{' | b'}' | b'"')
}
