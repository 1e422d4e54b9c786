//! What no path reaches, read for its strings and brackets alone.
//!
//! Those tell where a container ends. Whatever else stands in one that nothing selects from, or that is left out or
//! replaced whole, passes or does not, as a whole; so it is held to its tokens and not to its grammar: a needless comma
//! there, a bracket closed by one of the other kind or a control character in a string go unseen. What could make
//! another reader see another end of it, and so other fields behind it, is refused: any byte outside strings that no
//! number, word or separator of JSON has, such as a comment's, a single quote or a backslash, and too many brackets.
//!
//! The bytes are read one by one, or in blocks of 64 by what an instruction set makes of them: with the same end.

use super::bits::{Lanes, escaped};

/// Where a skim is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Skim {
    /// Containers open below the one that is skimmed, and how many may be.
    depth: u64,
    room: u64,
    /// Whether the next byte is inside a string, as all bits, and whether it is escaped, as one.
    inside: u64,
    escaped: u64,
}

/// Why a skim ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Skimmed {
    /// There was no more.
    All,
    /// The next byte is the bracket that ends the container.
    End,
    /// The next byte is a bracket that is one too many.
    TooDeep,
    /// The next byte is one that cannot be outside a string.
    Wrong,
}

/// A bit for each byte of a block, by what it may be for a skim.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tokens {
    pub(super) quote: u64,
    pub(super) slash: u64,
    pub(super) open: u64,
    pub(super) close: u64,
    /// What cannot be outside a string.
    pub(super) foreign: u64,
}

/// Blocks whose bits are made before they are looked at: so many that the processor does both at once.
const ROW: usize = 8;

/// The bytes that can be outside strings, by their halves: those whose rows share a bit.
pub(super) struct Halves {
    pub(super) low: [u8; 16],
    pub(super) high: [u8; 16],
}

/// Space, separators, brackets, and what numbers and words are made of.
pub(super) const OUTSIDE: Halves = halves(b" \t\n\r,:{}[]\"+-.0123456789Eaeflnrstu");

const fn halves(bytes: &[u8]) -> Halves {
    let mut halves = Halves { low: [0; 16], high: [0; 16] };
    let mut at = 0;
    while at < bytes.len() {
        // Only ASCII: one bit for each of eight high halves.
        let (low, high) = (bytes[at] & 15, bytes[at] >> 4);
        halves.low[low as usize] |= 1 << high;
        halves.high[high as usize] = 1 << high;
        at += 1;
    }
    halves
}

/// Whether a byte can be outside strings.
#[inline]
pub(super) fn is_outside(byte: u8) -> bool {
    OUTSIDE.low[usize::from(byte & 15)] & OUTSIDE.high[usize::from(byte >> 4)] != 0
}

impl Skim {
    /// Behind a bracket that opens or closes one of so many containers, between two tokens.
    pub(super) fn between(depth: usize, room: usize) -> Self {
        Self { depth: depth as u64, room: room as u64, inside: 0, escaped: 0 }
    }
}

/// Skims byte by byte: how many bytes there were, and why no more.
pub(super) fn by_bytes(text: &[u8], skim: &mut Skim) -> (usize, Skimmed) {
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        if skim.inside == 0 {
            match byte {
                b'"' => skim.inside = u64::MAX,
                b'{' | b'[' if skim.depth == skim.room => return (at, Skimmed::TooDeep),
                b'{' | b'[' => skim.depth += 1,
                b'}' | b']' if skim.depth == 0 => return (at, Skimmed::End),
                b'}' | b']' => skim.depth -= 1,
                byte if !is_outside(*byte) => return (at, Skimmed::Wrong),
                _ => {}
            }
        } else if std::mem::take(&mut skim.escaped) == 0 {
            at += memchr::memchr2(b'"', b'\\', &text[at..]).unwrap_or(text.len() - at);
            match text.get(at) {
                Some(b'"') => skim.inside = 0,
                Some(_) => skim.escaped = 1,
                None => break,
            }
        }
        at += 1;
    }
    (at, Skimmed::All)
}

/// Skims in blocks of 64 bytes.
#[inline(always)]
pub(super) fn by_blocks<L: Lanes>(text: &[u8], skim: &mut Skim) -> (usize, Skimmed) {
    let mut row = [Tokens::default(); ROW];
    for (number, part) in text.chunks(ROW * 64).enumerate() {
        let (blocks, rest) = part.as_chunks::<64>();
        for (tokens, block) in row.iter_mut().zip(blocks) {
            *tokens = L::tokens(block);
        }
        let mut count = blocks.len();
        if let Some(tokens) = row.get_mut(count).filter(|_| !rest.is_empty()) {
            // Behind the rest stands space, which ends nothing.
            let mut block = [b' '; 64];
            block[..rest.len()].copy_from_slice(rest);
            *tokens = L::tokens(&block);
            count += 1;
        }
        if let Some((at, end)) = skim.walk::<L>(&row[..count], part.len()) {
            return (number * ROW * 64 + at, end);
        }
    }
    (text.len(), Skimmed::All)
}

impl Skim {
    /// Goes through so many bytes: where and why the skim ends there, if it does.
    #[inline(always)]
    fn walk<L: Lanes>(&mut self, row: &[Tokens], length: usize) -> Option<(usize, Skimmed)> {
        let (mut skim, mut escape) = (*self, 0);
        for (number, tokens) in row.iter().enumerate() {
            escape = escaped(tokens.slash, &mut skim.escaped);
            let inside = L::parity(tokens.quote & !escape) ^ skim.inside;
            skim.inside = 0_u64.wrapping_sub(inside >> 63);
            let (open, close) = (tokens.open & !inside, tokens.close & !inside);
            let wrong = tokens.foreign & !inside;
            let (opened, closed) = (u64::from(open.count_ones()), u64::from(close.count_ones()));
            if wrong == 0 && closed <= skim.depth && skim.depth + opened <= skim.room {
                skim.depth = skim.depth + opened - closed;
                continue;
            }
            match step(open, close, wrong, skim.depth, skim.room) {
                Ok(depth) => skim.depth = depth,
                Err((place, end)) => return Some((number * 64 + place, end)),
            }
        }
        *self = skim;
        if !length.is_multiple_of(64) {
            // What a last backslash escapes is yet to come.
            self.escaped = escape >> (length % 64) & 1;
        }
        None
    }
}

/// Goes from bracket to bracket: the depth behind the block, or where and why the skim ends in it.
#[inline(never)]
fn step(open: u64, close: u64, wrong: u64, mut depth: u64, room: u64) -> Result<u64, (usize, Skimmed)> {
    let mut stops = open | close | wrong;
    while stops != 0 {
        let (at, bit) = (stops.trailing_zeros() as usize, stops & stops.wrapping_neg());
        stops &= stops - 1;
        match (open & bit != 0, close & bit != 0) {
            (true, _) if depth == room => return Err((at, Skimmed::TooDeep)),
            (_, true) if depth == 0 => return Err((at, Skimmed::End)),
            (true, _) => depth += 1,
            (_, true) => depth -= 1,
            (false, false) => return Err((at, Skimmed::Wrong)),
        }
    }
    Ok(depth)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::Engine, *};

    /// All of a text, in pieces: how much of it was read, and why no more.
    fn skim<'a>(engine: Engine, pieces: impl IntoIterator<Item = &'a [u8]>, room: usize) -> (usize, Skimmed, Skim) {
        let (mut skim, mut read) = (Skim::between(0, room), 0);
        for piece in pieces {
            let (taken, why) = engine.skim(piece, &mut skim);
            read += taken;
            if why != Skimmed::All {
                return (read, why, Skim::default());
            }
        }
        (read, Skimmed::All, skim)
    }

    #[test]
    fn a_container_ends_at_its_bracket() {
        for (text, room, read, why) in [
            (r#"1,"a]",[{}],{"x":"\\"}],"#, 9, 22, Skimmed::End),
            (r#""\\\""]"#, 9, 6, Skimmed::End),
            ("}", 0, 0, Skimmed::End),
            ("[{}]]", 2, 4, Skimmed::End),
            ("[{}]]", 1, 1, Skimmed::TooDeep),
            ("1 /* ] */", 9, 2, Skimmed::Wrong),
            ("'", 9, 0, Skimmed::Wrong),
            ("1,\\", 9, 2, Skimmed::Wrong),
            ("nul\u{e9}", 9, 3, Skimmed::Wrong),
            ("NaN", 9, 0, Skimmed::Wrong),
            ("\"\u{1}'\u{e9}\" [,}", 9, 10, Skimmed::All),
        ] {
            let before = "\"\\\"}\",[],".repeat(30);
            for engine in Engine::available() {
                let (at, ended, _) = skim(engine, [text.as_bytes()], room);
                assert_eq!((at, ended), (read, why), "{engine:?}: {text}");
                let long = format!("{before}{text}");
                let (at, ended, _) = skim(engine, [long.as_bytes()], room.max(1));
                assert!(room == 0 || (at - before.len(), ended) == (read, why), "{engine:?}: {long}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 8 * ProptestConfig::default().cases, ..ProptestConfig::default() })]

        #[test]
        fn all_engines_read_alike_in_any_pieces(
            tokens in prop::collection::vec(
                prop::sample::select(vec![
                    "\"", "\"", "\\", "{", "[", "[", "}", "]", ",", "abc", "true", "0123456789012345678901234", " ", "\n", "\u{1f600}",
                ]),
                0..400,
            ),
            quoted in any::<bool>(), room in 0..40_usize, cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            // Bytes that cannot be outside strings end most texts at once; without them there is more to see.
            let text: String = tokens.into_iter().filter(|token| quoted || *token != "abc" && token.is_ascii()).collect();
            let text = text.as_bytes();
            let expected = skim(Engine::BYTES, [text], room);
            // Cuts at the edges of blocks too.
            let edges = cuts.iter().map(|cut| cut.index(text.len() / 64 + 1) * 64);
            let cuts = cuts.iter().map(|cut| cut.index(text.len() + 1));
            let mut places: Vec<usize> = cuts.chain(edges).chain([0, text.len()]).collect();
            places.sort_unstable();
            for engine in Engine::available() {
                prop_assert_eq!(skim(engine, [text], room), expected, "{:?}", engine);
                let pieces = places.windows(2).map(|pair| &text[pair[0]..pair[1]]);
                prop_assert_eq!(skim(engine, pieces, room), expected, "{:?} in pieces", engine);
            }
        }
    }

    #[test]
    fn every_byte_is_judged_alike() {
        for byte in 0..=u8::MAX {
            let json = b" \t\n\r,:{}[]\"+-.0123456789Eaeflnrstu".contains(&byte);
            assert_eq!(is_outside(byte), json, "{byte:#x}");
            for engine in Engine::available() {
                let ends = skim(engine, [&[byte; 1][..]], 1).1;
                assert_eq!(ends == Skimmed::Wrong, !json, "{byte:#x} by {engine:?}");
            }
        }
    }
}
