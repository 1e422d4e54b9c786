//! HMAC-SHA-256 (RFC 2104) whose key is hashed once, when keys are derived.
//!
//! A value then costs its own blocks and one more. The buffering of a general-purpose hasher would double the time for
//! texts as short as personal data is. Never keeps a text.

mod sha;

use sha2::block_api::compress256;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::siv::padded_tail;

const BLOCK: usize = 64;
/// SHA-256's initial state (FIPS 180-4 section 5.3.3).
const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// Longest text, in bytes, that is hashed in one block with its padding.
const SHORT_BYTES: usize = BLOCK - 9;

/// The last block of a message, with its padding, as four numbers of sixteen bytes, the first byte of each lowest.
pub(super) type HashBlock = [u128; 4];

/// A keyed pseudo-random function: the two states of HMAC after its key blocks.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct Prf {
    inner: [u32; 8],
    outer: [u32; 8],
}

impl Prf {
    /// Hashes a key. A key that is longer than a block is first replaced by its digest (RFC 2104, section 3).
    pub(super) fn new(key: &[u8]) -> Self {
        let mut block = Zeroizing::new([0; BLOCK]);
        if key.len() > BLOCK {
            block[..32].copy_from_slice(&Sha256::digest(key));
        } else {
            block[..key.len()].copy_from_slice(key);
        }
        Self { inner: absorb_key(&block, 0x36), outer: absorb_key(&block, 0x5c) }
    }

    /// The first 128 bits of the tag of a text, the first one highest. 128 bits make a chance collision among 2^50
    /// values unlikely.
    #[inline]
    pub(super) fn half_tag(&self, text: &[u8]) -> u128 {
        sha::tag(self, text).unwrap_or_else(|| first_half(self.tag(text)))
    }

    /// The first 128 bits of the tags of two short texts. Both together take little longer than one.
    #[inline]
    pub(super) fn half_tags(&self, blocks: [&HashBlock; 2]) -> [u128; 2] {
        sha::tags(self, blocks).unwrap_or_else(|| blocks.map(|block| first_half(self.tag_of_block(block))))
    }

    /// Begins a text that comes in pieces.
    pub(super) fn start_stream(&self) -> HmacStream {
        HmacStream { state: self.inner, open: [0; BLOCK], length: 0 }
    }

    /// The first 128 bits of the tag of what was pushed.
    pub(super) fn finish_stream(&self, sum: HmacStream) -> u128 {
        let mut state = sum.state;
        absorb_last(&mut state, &sum.open[..sum.length % BLOCK], BLOCK + sum.length);
        first_half(self.tag_of_inner(&state))
    }

    /// The tag of a text.
    fn tag(&self, text: &[u8]) -> [u8; 32] {
        let mut state = self.inner;
        let (blocks, rest) = text.as_chunks::<BLOCK>();
        if !blocks.is_empty() {
            compress256(&mut state, blocks);
        }
        absorb_last(&mut state, rest, BLOCK + text.len());
        self.tag_of_inner(&state)
    }

    /// The tag of a text that fits in one block with its padding.
    fn tag_of_block(&self, block: &HashBlock) -> [u8; 32] {
        let mut bytes = [0; BLOCK];
        bytes.as_chunks_mut().0.iter_mut().zip(block).for_each(|(part, number)| *part = number.to_le_bytes());
        let mut state = self.inner;
        compress256(&mut state, &[bytes]);
        self.tag_of_inner(&state)
    }

    fn tag_of_inner(&self, inner: &[u32; 8]) -> [u8; 32] {
        let mut last = [0; BLOCK];
        let (digest, padding) = last.split_at_mut(32);
        digest.copy_from_slice(&to_bytes(inner));
        padding[0] = 0x80;
        padding[24..].copy_from_slice(&(BLOCK as u64 * 8 + 32 * 8).to_be_bytes());
        let mut state = self.outer;
        compress256(&mut state, &[last]);
        to_bytes(&state)
    }
}

/// The HMAC of a text that comes in pieces.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct HmacStream {
    state: [u32; 8],
    /// The last bytes, which do not fill a block.
    open: [u8; BLOCK],
    length: usize,
}

impl HmacStream {
    /// Hashes the next bytes.
    pub(super) fn push(&mut self, mut text: &[u8]) {
        while !text.is_empty() {
            let at = self.length % BLOCK;
            let taken = text.len().min(BLOCK - at);
            self.open[at..at + taken].copy_from_slice(&text[..taken]);
            self.length += taken;
            text = &text[taken..];
            if at + taken == BLOCK {
                compress256(&mut self.state, &[self.open]);
            }
        }
    }
}

/// A short text as the last block of a message whose first block is the key's; `None` when it is too long for that.
///
/// Each number of whole parts has its own arm, so that the block is made in registers.
#[inline(always)]
pub(super) fn final_block(text: &[u8]) -> Option<HashBlock> {
    let (whole, tail) = text.as_chunks::<16>();
    let end = padded_tail(text, tail);
    let mut block = match *whole {
        [] => [end, 0, 0, 0],
        [a] => [u128::from_le_bytes(a), end, 0, 0],
        [a, b] => [u128::from_le_bytes(a), u128::from_le_bytes(b), end, 0],
        [a, b, c] if text.len() <= SHORT_BYTES => {
            [u128::from_le_bytes(a), u128::from_le_bytes(b), u128::from_le_bytes(c), end]
        }
        _ => return None,
    };
    block[3] |= u128::from(((BLOCK + text.len()) as u64 * 8).swap_bytes()) << 64;
    Some(block)
}

fn first_half(tag: [u8; 32]) -> u128 {
    let [first, _] = tag.as_chunks().0 else { return 0 };
    u128::from_be_bytes(*first)
}

fn absorb_key(key: &[u8; BLOCK], pad: u8) -> [u32; 8] {
    let block = Zeroizing::new(key.map(|b| b ^ pad));
    let mut state = INITIAL;
    compress256(&mut state, &[*block]);
    state
}

/// Hashes the last bytes, fewer than a block, with the padding of SHA-256 for a message of `length` bytes.
#[inline]
fn absorb_last(state: &mut [u32; 8], rest: &[u8], length: usize) {
    let mut block = [0; BLOCK];
    block[..rest.len()].copy_from_slice(rest);
    block[rest.len()] = 0x80;
    if rest.len() + 9 > BLOCK {
        compress256(state, &[block]);
        block = [0; BLOCK];
    }
    block[BLOCK - 8..].copy_from_slice(&(length as u64 * 8).to_be_bytes());
    compress256(state, &[block]);
}

#[inline]
fn to_bytes(state: &[u32; 8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (four, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *four = word.to_be_bytes();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit, Mac};
    use proptest::prelude::*;

    use super::*;

    fn check(key: &[u8], text: &[u8], starts: &str) {
        let tag = Prf::new(key).tag(text);
        let hex: String = tag.iter().map(|b| format!("{b:02x}")).collect();
        assert!(hex.starts_with(starts), "{hex} does not start with {starts}");
    }

    proptest! {
        #[test]
        fn a_text_in_pieces_has_the_tag_of_the_whole(text in prop::collection::vec(any::<u8>(), 0..300), size in 1..150_usize) {
            let prf = Prf::new(b"Jefe");
            let mut sum = prf.start_stream();
            text.chunks(size).for_each(|piece| sum.push(piece));
            prop_assert_eq!(prf.finish_stream(sum), prf.half_tag(&text));
        }
    }

    #[test]
    fn the_test_cases_of_rfc_4231_give_their_published_results() {
        check(&[0x0b; 20], b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
        check(
            b"Jefe",
            b"what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        );
        check(&[0xaa; 20], &[0xdd; 50], "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
        let key: Vec<u8> = (1..=25).collect();
        check(&key, &[0xcd; 50], "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b");
        check(&[0x0c; 20], b"Test With Truncation", "a3b6167473100ee06e0c796c2955552b");
        check(
            &[0xaa; 131],
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        );
        check(
            &[0xaa; 131],
            b"This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before being used by the HMAC algorithm.",
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
        );
    }

    /// The reference: the first half of the tag by the `hmac` crate.
    fn theirs(key: &[u8], text: &[u8]) -> u128 {
        let mut theirs = Hmac::<Sha256>::new_from_slice(key).unwrap();
        theirs.update(text);
        u128::from_be_bytes(theirs.finalize().into_bytes()[..16].try_into().unwrap())
    }

    #[test]
    fn texts_of_every_length_equal_the_hmac_crate_in_each_implementation() {
        let (prf, text): (_, Vec<u8>) = (Prf::new(&[7; 32]), (1..=200).collect());
        for length in 0..=text.len() {
            let (text, expected) = (&text[..length], theirs(&[7; 32], &text[..length]));
            assert_eq!(prf.half_tag(text), expected, "{length} bytes");
            assert_eq!(first_half(prf.tag(text)), expected, "{length} bytes, as on any machine");
            assert_eq!(final_block(text).is_some(), length <= SHORT_BYTES);
            for (block, other) in final_block(text).into_iter().flat_map(|a| (0..=55).map(move |other| (a, other))) {
                assert_eq!(first_half(prf.tag_of_block(&block)), expected, "{length} bytes, as a block on any machine");
                let other = &text[..other.min(length)];
                let pair = [&block, &super::final_block(other).unwrap()];
                assert_eq!(prf.half_tags(pair), [expected, prf.half_tag(other)], "{length} and {} bytes", other.len());
            }
        }
    }

    proptest! {
        #[test]
        fn any_key_and_text_equal_the_hmac_crate(key in prop::collection::vec(any::<u8>(), 0..100), text in prop::collection::vec(any::<u8>(), 0..300)) {
            let prf = Prf::new(&key);
            prop_assert_eq!(first_half(prf.tag(&text)), theirs(&key, &text));
            prop_assert_eq!(prf.half_tag(&text), theirs(&key, &text));
        }
    }
}
