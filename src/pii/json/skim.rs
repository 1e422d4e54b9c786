//! A container whose bytes go nowhere: read only as far as it takes to see where it ends.
//!
//! It is left out or replaced as a whole, so its strings and brackets are enough, and how many are open. Nothing of it
//! leaves, whatever it is, and all that does leave is held to the grammar by the other engines: so no reader can see in
//! the output what this does not judge. What passes is never skimmed, not even where no path reaches: a reader that is
//! laxer than JSON could see it end elsewhere, and a field behind it that was taken for text.
//!
//! The bytes are read one by one, or in blocks of 64 by what an instruction set makes of them: with the same end.

use super::bits::{StringCarry, VectorOps};

/// Where a skim is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Skim {
    /// Containers open below the one that is skimmed, and how many may be.
    depth: u64,
    room: u64,
    edge: StringCarry,
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
}

/// A bit for each byte of a block, by what it may be for a skim.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TokenBits {
    pub(super) quote: u64,
    pub(super) slash: u64,
    pub(super) open: u64,
    pub(super) close: u64,
}

/// Blocks whose bits are made before they are looked at: so many that the processor does both at once.
const ROW: usize = 8;

impl Skim {
    /// Behind the bracket that opens a container, in which so many more may be open.
    pub(super) fn new(room: usize) -> Self {
        Self { room: room as u64, ..Self::default() }
    }
}

/// Skims byte by byte: how many bytes there were, and why no more.
pub(super) fn by_bytes(text: &[u8], skim: &mut Skim) -> (usize, Skimmed) {
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let escaped = std::mem::take(&mut skim.edge.escaped) != 0;
        match byte {
            b'"' if !escaped => skim.edge.inside = !skim.edge.inside,
            b'\\' if !escaped => skim.edge.escaped = 1,
            _ if skim.edge.inside != 0 => {
                at += memchr::memchr2(b'"', b'\\', &text[at + 1..]).unwrap_or(text.len() - at - 1);
            }
            b'{' | b'[' if skim.depth == skim.room => return (at, Skimmed::TooDeep),
            b'{' | b'[' => skim.depth += 1,
            b'}' | b']' if skim.depth == 0 => return (at, Skimmed::End),
            b'}' | b']' => skim.depth -= 1,
            _ => {}
        }
        at += 1;
    }
    (at, Skimmed::All)
}

/// Skims in blocks of 64 bytes.
#[inline(always)]
pub(super) fn by_blocks<L: VectorOps>(text: &[u8], skim: &mut Skim) -> (usize, Skimmed) {
    let mut row = [TokenBits::default(); ROW];
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
    fn walk<L: VectorOps>(&mut self, row: &[TokenBits], length: usize) -> Option<(usize, Skimmed)> {
        let (mut skim, mut escaped) = (*self, 0);
        for (number, tokens) in row.iter().enumerate() {
            let inside;
            [escaped, inside] = skim.edge.strings::<L>(tokens.quote, tokens.slash);
            let (open, close) = (tokens.open & !inside, tokens.close & !inside);
            let (opened, closed) = (u64::from(open.count_ones()), u64::from(close.count_ones()));
            if closed <= skim.depth && skim.depth + opened <= skim.room {
                skim.depth = skim.depth + opened - closed;
                continue;
            }
            match step(open, close, skim.depth, skim.room) {
                Ok(depth) => skim.depth = depth,
                Err((place, end)) => return Some((number * 64 + place, end)),
            }
        }
        *self = skim;
        if !length.is_multiple_of(64) {
            // What a last backslash escapes is yet to come.
            self.edge.escaped = escaped >> (length % 64) & 1;
        }
        None
    }
}

/// Goes from bracket to bracket: the depth behind the block, or where and why the skim ends in it.
#[inline(never)]
fn step(open: u64, close: u64, mut depth: u64, room: u64) -> Result<u64, (usize, Skimmed)> {
    let mut stops = open | close;
    while stops != 0 {
        let (at, bit) = (stops.trailing_zeros() as usize, stops & stops.wrapping_neg());
        stops &= stops - 1;
        match open & bit != 0 {
            true if depth == room => return Err((at, Skimmed::TooDeep)),
            false if depth == 0 => return Err((at, Skimmed::End)),
            true => depth += 1,
            false => depth -= 1,
        }
    }
    Ok(depth)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::JsonEngine, *};

    /// All of a text, in pieces: how much of it was read, and why no more.
    fn skim<'a>(engine: JsonEngine, pieces: impl IntoIterator<Item = &'a [u8]>, room: usize) -> (usize, Skimmed, Skim) {
        let (mut skim, mut read) = (Skim::new(room), 0);
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
            ("1 '/\\\"]", 9, 6, Skimmed::End),
            ("\"\u{1}'\u{e9}\" [,}", 9, 10, Skimmed::All),
        ] {
            let before = "\"\\\"}\",[],".repeat(30);
            for engine in JsonEngine::available() {
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
            room in 0..40_usize, cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let text = tokens.concat();
            let text = text.as_bytes();
            let expected = skim(JsonEngine::BYTES, [text], room);
            // Cuts at the edges of blocks too.
            let edges = cuts.iter().map(|cut| cut.index(text.len() / 64 + 1) * 64);
            let cuts = cuts.iter().map(|cut| cut.index(text.len() + 1));
            let mut places: Vec<usize> = cuts.chain(edges).chain([0, text.len()]).collect();
            places.sort_unstable();
            for engine in JsonEngine::available() {
                prop_assert_eq!(skim(engine, [text], room), expected, "{:?}", engine);
                let pieces = places.windows(2).map(|pair| &text[pair[0]..pair[1]]);
                prop_assert_eq!(skim(engine, pieces, room), expected, "{:?} in pieces", engine);
            }
        }
    }
}
