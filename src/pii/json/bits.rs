//! The first phase of the fast engine: a window of text as bits, 64 bytes to a word, and its grammar in those bits.
//!
//! A window begins between two tokens. The scan says up to where it holds whole members and elements, whether
//! anything before that place breaks the grammar, and where the brackets and keys of interest are. What it cannot
//! judge, that brackets pair and members have keys only in objects, is left to the second phase as two bits for each
//! bracket. It decides nothing about values.

use super::names::Names;

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
    /// Each bit becomes the parity of the bits up to and with it.
    fn parity(bits: u64) -> u64;
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
    /// Escapes, and numbers and words that are not plain.
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
    pointed: u64,
    oddity: u64,
    follows_comma: u64,
    follows_colon: u64,
    follows_open: u64,
    follows_key: u64,
    keyed: u64,
    unkeyed: u64,
    forced: u64,
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
        follows_open: u64::from(entry == Entry::AfterOpen),
        follows_comma: u64::from(entry == Entry::AfterComma),
        ..Carry::default()
    };
    let (mut events, mut odd, mut cut, mut broken) = (0, 0, None, usize::MAX);
    let mut padded = [b' '; 64];
    for (word, text) in window[..window.len().min(WINDOW)].chunks(64).enumerate() {
        let block = text.try_into().unwrap_or_else(|_| {
            padded[..text.len()].copy_from_slice(text);
            &padded
        });
        let found = block_of::<L>(block, word, &mut carry, scratch);
        let base = (word * 64) as u16;
        let wanted = if names.is_some() { found.brackets | found.colons } else { found.brackets };
        events = L::flatten(wanted, base, &mut scratch.raw, events);
        odd = L::flatten(found.odd, base, &mut scratch.odd, odd);
        let ends = found.brackets | found.commas;
        if ends != 0 {
            cut = Some(word * 64 + 63 - ends.leading_zeros() as usize);
        }
        if found.broken != 0 {
            broken = broken.min(word * 64 + found.broken.trailing_zeros() as usize);
        }
    }
    let cut = cut?;
    if broken <= cut
        || !scratch.odd[..odd].iter().all(|at| usize::from(*at) > cut || is_right(window, usize::from(*at)))
    {
        return None;
    }
    Some(Scanned { cut, events: keep_events(window, names, cut, events, scratch) })
}

/// What one block has.
struct Found {
    brackets: u64,
    commas: u64,
    colons: u64,
    odd: u64,
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
    let after_comma = next(comma, tokens, &mut carry.follows_comma);
    let after_colon = next(colon, tokens, &mut carry.follows_colon);
    let after_open = next(open, tokens, &mut carry.follows_open);
    let element = after_comma | after_open;
    let after_key = next(text & element, tokens, &mut carry.follows_key);
    let broken = (text | starts | open) & !(element | after_colon)
        | comma & (element | after_colon)
        | close & (after_comma | after_colon)
        | colon & !after_key
        | c.control & inside;

    let keyed = after_key & colon;
    let unkeyed = element & (starts | open) | after_key & (comma | close);
    scratch.quotes[word] = quote;
    scratch.keyed[word] = keyed;
    scratch.unkeyed[word] = unkeyed;
    scratch.seen_keyed[word] = add(!brackets, keyed, &mut carry.keyed) & brackets;
    scratch.seen_unkeyed[word] =
        add(!brackets, unkeyed & !brackets, &mut carry.unkeyed) & brackets | unkeyed & brackets;
    scratch.forced[word] = add(!colon, c.slash & !colon, &mut carry.forced) & colon;

    let numbers = numbers(&c, scalar, starts, carry);
    let plain = c.digit | c.point | starts & c.minus;
    let odd = scalar & !plain;
    let odd = odd & !shift(odd, &mut carry.oddity) | escaped;
    Found { brackets, commas: comma, colons: colon, odd, broken: broken | numbers }
}

/// What plain numbers must not have: a minus or point without a digit behind it, a needless zero, two points.
#[inline(always)]
fn numbers(c: &Classes, scalar: u64, starts: u64, carry: &mut Carry) -> u64 {
    let (digit, point) = (c.digit, c.point & scalar);
    let after_minus = shift(starts & c.minus, &mut carry.after_minus);
    let first = starts & digit | after_minus & digit;
    let after_zero = shift(first & c.zero, &mut carry.after_zero);
    let after_point = shift(point, &mut carry.after_point);
    let second_point = add(scalar, point, &mut carry.pointed) & point;
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
fn next(of: u64, tokens: u64, carry: &mut u64) -> u64 {
    add(!tokens | of, of, carry) & tokens
}

#[inline(always)]
fn add(a: u64, b: u64, carry: &mut u64) -> u64 {
    let (sum, first) = a.overflowing_add(b);
    let (sum, second) = sum.overflowing_add(*carry);
    *carry = u64::from(first | second);
    sum
}

#[inline(always)]
fn shift(bits: u64, carry: &mut u64) -> u64 {
    let shifted = bits << 1 | *carry;
    *carry = bits >> 63;
    shifted
}

/// Leaves out the colons whose key cannot be a listed one, and what lies behind the cut.
#[inline(always)]
fn keep_events(window: &[u8], names: Option<&Names>, cut: usize, events: usize, scratch: &mut Scratch) -> usize {
    let mut kept = 0;
    for at in 0..events {
        let place = scratch.raw[at];
        let here = usize::from(place);
        let wanted = match (names, &window[..=here]) {
            (Some(names), [.., a, b, c, quote, b':']) => {
                *quote != b'"' || names.may_end_with([*a, *b, *c]) || scratch.forced[here / 64] >> (here % 64) & 1 == 1
            }
            _ => true,
        };
        scratch.events[kept] = place;
        kept += usize::from(wanted && here <= cut);
    }
    kept
}

/// Judges what bits do not: an escape by the byte behind the backslash, a scalar by any of its bytes.
fn is_right(window: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).map_or(b' ', |before| window[before]);
    if before == b'\\' {
        return match window[at] {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => true,
            b'u' => window.get(at + 1..at + 5).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)),
            _ => false,
        };
    }
    let ends =
        |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t' | b',' | b':' | b'[' | b']' | b'{' | b'}' | b'"');
    let start = window[..at].iter().rposition(ends).map_or(0, |end| end + 1);
    let end = window[at..].iter().position(ends).map_or(window.len(), |end| at + end);
    super::scalar::is_literal(&window[start..end])
}
