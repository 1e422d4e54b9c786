//! Skips a container that is dropped or replaced as a whole: reads only as far as it takes to see where it ends.
//!
//! Strings and brackets are enough for that, and a count of those that are open. Nothing of the container leaves, and
//! what leaves beside it is held to the grammar by the exact reader and the scan, so no reader of the output can see
//! anything that was not checked here. What passes is never skipped in this way, not even where no path selects
//! anything: a reader that is laxer than JSON could see the container end elsewhere, and behind it a field that was
//! taken for text here.
//!
//! The bytes are read one by one, or in blocks of 64 with vector instructions: with the same result.

use super::bits::{StringCarry, VectorOps};

/// How far a container has been skipped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::pii::json) struct ContainerSkip {
    /// Containers that are open inside the skipped one.
    depth: u64,
    /// How many may be open inside it.
    depth_max: u64,
    strings: StringCarry,
}

/// Why skipping ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pii::json) enum SkipEnd {
    /// The chunk has no more bytes.
    Chunk,
    /// The next byte is the bracket that ends the container.
    Bracket,
    /// The next byte opens more containers than may be open.
    TooDeep,
}

/// For each byte of a block of 64 a bit, by what it is to the skip: brackets inside strings are still among these.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TokenBits {
    pub(super) quote: u64,
    pub(super) slash: u64,
    pub(super) open: u64,
    pub(super) close: u64,
}

/// Blocks whose bits are made before they are used: the processor can overlap both when there are several.
const BLOCKS: usize = 8;

impl ContainerSkip {
    /// Behind the bracket that opens the container; `depth_max` more may be open inside it.
    pub(in crate::pii::json) fn new(depth_max: usize) -> Self {
        Self { depth_max: depth_max as u64, ..Self::default() }
    }
}

/// Skips byte by byte: says how many bytes, and why no more.
pub(super) fn by_bytes(text: &[u8], skip: &mut ContainerSkip) -> (usize, SkipEnd) {
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let escaped = std::mem::take(&mut skip.strings.escaped) != 0;
        match byte {
            b'"' if !escaped => skip.strings.inside = !skip.strings.inside,
            b'\\' if !escaped => skip.strings.escaped = 1,
            _ if skip.strings.inside != 0 => {
                at += memchr::memchr2(b'"', b'\\', &text[at + 1..]).unwrap_or(text.len() - at - 1);
            }
            b'{' | b'[' if skip.depth == skip.depth_max => return (at, SkipEnd::TooDeep),
            b'{' | b'[' => skip.depth += 1,
            b'}' | b']' if skip.depth == 0 => return (at, SkipEnd::Bracket),
            b'}' | b']' => skip.depth -= 1,
            _ => {}
        }
        at += 1;
    }
    (at, SkipEnd::Chunk)
}

/// Skips in blocks of 64 bytes: says how many bytes, and why no more.
#[inline(always)]
pub(super) fn by_blocks<L: VectorOps>(text: &[u8], skip: &mut ContainerSkip) -> (usize, SkipEnd) {
    let mut row = [TokenBits::default(); BLOCKS];
    for (number, part) in text.chunks(BLOCKS * 64).enumerate() {
        let (blocks, rest) = part.as_chunks::<64>();
        for (tokens, block) in row.iter_mut().zip(blocks) {
            *tokens = L::tokens(block);
        }
        let mut count = blocks.len();
        if let Some(tokens) = row.get_mut(count).filter(|_| !rest.is_empty()) {
            // Pad the last block with spaces: a space never ends a token.
            let mut block = [b' '; 64];
            block[..rest.len()].copy_from_slice(rest);
            *tokens = L::tokens(&block);
            count += 1;
        }
        if let Some((at, end)) = skip.walk::<L>(&row[..count], part.len()) {
            return (number * BLOCKS * 64 + at, end);
        }
    }
    (text.len(), SkipEnd::Chunk)
}

impl ContainerSkip {
    /// Goes through the bits of `length` bytes: where and why the skip ends there, if it does.
    #[inline(always)]
    fn walk<L: VectorOps>(&mut self, row: &[TokenBits], length: usize) -> Option<(usize, SkipEnd)> {
        let (mut skip, mut escaped) = (*self, 0);
        for (number, tokens) in row.iter().enumerate() {
            let inside;
            [escaped, inside] = skip.strings.next_word::<L>(tokens.quote, tokens.slash);
            let (open, close) = (tokens.open & !inside, tokens.close & !inside);
            let (opened, closed) = (u64::from(open.count_ones()), u64::from(close.count_ones()));
            if closed <= skip.depth && skip.depth + opened <= skip.depth_max {
                skip.depth = skip.depth + opened - closed;
                continue;
            }
            match step(open, close, skip.depth, skip.depth_max) {
                Ok(depth) => skip.depth = depth,
                Err((place, end)) => return Some((number * 64 + place, end)),
            }
        }
        *self = skip;
        if !length.is_multiple_of(64) {
            // The text may end with a backslash; the byte that it escapes comes with the next chunk.
            self.strings.escaped = escaped >> (length % 64) & 1;
        }
        None
    }
}

/// Goes from bracket to bracket: the depth behind the block, or where in it and why the skip ends.
#[inline(never)]
fn step(open: u64, close: u64, mut depth: u64, depth_max: u64) -> Result<u64, (usize, SkipEnd)> {
    let mut stops = open | close;
    while stops != 0 {
        let (at, bit) = (stops.trailing_zeros() as usize, stops & stops.wrapping_neg());
        stops &= stops - 1;
        match open & bit != 0 {
            true if depth == depth_max => return Err((at, SkipEnd::TooDeep)),
            false if depth == 0 => return Err((at, SkipEnd::Bracket)),
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

    /// Skips in a text that is given in pieces: how many bytes were read, and why no more.
    fn skip_pieces<'a>(
        engine: JsonEngine,
        pieces: impl IntoIterator<Item = &'a [u8]>,
        room: usize,
    ) -> (usize, SkipEnd, ContainerSkip) {
        let (mut skip, mut read) = (ContainerSkip::new(room), 0);
        for piece in pieces {
            let (taken, why) = engine.skip(piece, &mut skip);
            read += taken;
            if why != SkipEnd::Chunk {
                return (read, why, ContainerSkip::default());
            }
        }
        (read, SkipEnd::Chunk, skip)
    }

    #[test]
    fn a_skipped_container_ends_at_its_bracket() {
        for (text, room, read, why) in [
            (r#"1,"a]",[{}],{"x":"\\"}],"#, 9, 22, SkipEnd::Bracket),
            (r#""\\\""]"#, 9, 6, SkipEnd::Bracket),
            ("}", 0, 0, SkipEnd::Bracket),
            ("[{}]]", 2, 4, SkipEnd::Bracket),
            ("[{}]]", 1, 1, SkipEnd::TooDeep),
            ("1 '/\\\"]", 9, 6, SkipEnd::Bracket),
            ("\"\u{1}'\u{e9}\" [,}", 9, 10, SkipEnd::Chunk),
        ] {
            let before = "\"\\\"}\",[],".repeat(30);
            for engine in JsonEngine::available() {
                let (at, ended, _) = skip_pieces(engine, [text.as_bytes()], room);
                assert_eq!((at, ended), (read, why), "{engine:?}: {text}");
                let long = format!("{before}{text}");
                let (at, ended, _) = skip_pieces(engine, [long.as_bytes()], room.max(1));
                assert!(room == 0 || (at - before.len(), ended) == (read, why), "{engine:?}: {long}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 8 * ProptestConfig::default().cases, ..ProptestConfig::default() })]

        #[test]
        fn all_engines_skip_alike_in_any_pieces(
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
            let expected = skip_pieces(JsonEngine::BYTES, [text], room);
            // Cuts at the edges of blocks too.
            let edges = cuts.iter().map(|cut| cut.index(text.len() / 64 + 1) * 64);
            let cuts = cuts.iter().map(|cut| cut.index(text.len() + 1));
            let mut places: Vec<usize> = cuts.chain(edges).chain([0, text.len()]).collect();
            places.sort_unstable();
            for engine in JsonEngine::available() {
                prop_assert_eq!(skip_pieces(engine, [text], room), expected, "{:?}", engine);
                let pieces = places.windows(2).map(|pair| &text[pair[0]..pair[1]]);
                prop_assert_eq!(skip_pieces(engine, pieces, room), expected, "{:?} in pieces", engine);
            }
        }
    }
}
