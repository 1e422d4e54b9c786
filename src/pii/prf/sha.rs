//! HMAC-SHA-256 of short texts by the machine's SHA instructions, two texts in parallel where there are two.
//!
//! The states stay in registers from the block of the text to the tag: going through memory between the two hashes
//! would take as long as several rounds. The only unsafe operation is the call of code that is compiled for an
//! instruction set, after that was detected.

#![expect(unsafe_code, reason = "calls to code for an instruction set, after its detection")]

use super::{HashBlock, Prf};

/// The first half of the tag of a short text; `None` where the text is longer or the machine has no such instructions.
#[inline]
pub(super) fn tag(prf: &Prf, text: &[u8]) -> Option<u128> {
    #[cfg(target_arch = "x86_64")]
    if is_available() {
        // SAFETY: the machine has what the function is compiled for.
        return unsafe { x86::tag(&prf.inner, &prf.outer, text) };
    }
    let _ = (prf, text);
    None
}

/// The first halves of the tags of messages of one block each, or `None` where the machine has no such instructions.
#[inline]
pub(super) fn tags<const N: usize>(prf: &Prf, blocks: [&HashBlock; N]) -> Option<[u128; N]> {
    #[cfg(target_arch = "x86_64")]
    if is_available() {
        // SAFETY: the machine has what the function is compiled for.
        return Some(unsafe { x86::tags(&prf.inner, &prf.outer, blocks) });
    }
    let _ = (prf, blocks);
    None
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn is_available() -> bool {
    is_x86_feature_detected!("sha") && is_x86_feature_detected!("sse4.1") && is_x86_feature_detected!("ssse3")
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::HashBlock;

    /// SHA-256's constants (FIPS 180-4 section 4.2.2).
    #[rustfmt::skip]
    const K: [u32; 64] = [
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
        0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
    ];

    /// The words of the state in the order of the instructions: a, b, e, f and c, d, g, h.
    type ShaState = [__m128i; 2];

    #[target_feature(enable = "sha,sse4.1,ssse3")]
    pub(super) fn tag(inner: &[u32; 8], outer: &[u32; 8], text: &[u8]) -> Option<u128> {
        // Made here, so that the block stays in registers: a load from memory would wait for the narrower stores.
        let [tag] = tags(inner, outer, [&super::super::final_block(text)?]);
        Some(tag)
    }

    #[inline]
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    pub(super) fn tags<const N: usize>(inner: &[u32; 8], outer: &[u32; 8], blocks: [&HashBlock; N]) -> [u128; N] {
        let mut words = [[_mm_setzero_si128(); 4]; N];
        for (words, block) in words.iter_mut().zip(blocks) {
            for (four, part) in words.iter_mut().zip(block) {
                *four = swap(_mm_set_epi64x((part >> 64) as i64, *part as i64));
            }
        }
        let states = compress([load(inner); N], words);
        for (words, state) in words.iter_mut().zip(states) {
            let [first, second] = in_order(state);
            // The outer message: a key block and these 32 bytes, its end marked, 768 bits in all.
            *words = [first, second, _mm_set_epi32(0, 0, 0, i32::MIN), _mm_set_epi32(768, 0, 0, 0)];
        }
        let states = compress([load(outer); N], words);
        let mut tags = [0; N];
        for (tag, state) in tags.iter_mut().zip(states) {
            let first = in_order(state)[0];
            // The first word is highest.
            let [low, high] = [_mm_extract_epi64(first, 0) as u64, _mm_extract_epi64(first, 1) as u64];
            *tag = u128::from(low.rotate_left(32)) << 64 | u128::from(high.rotate_left(32));
        }
        tags
    }

    #[inline]
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    fn compress<const N: usize>(before: [ShaState; N], mut words: [[__m128i; 4]; N]) -> [ShaState; N] {
        let mut states = before;
        for i in 0..4 {
            rounds(&mut states, &words, i, i);
        }
        for sixteen in 1..4 {
            for i in 0..4 {
                for words in &mut words {
                    let last = words[(i + 3) % 4];
                    let before = _mm_alignr_epi8(last, words[(i + 2) % 4], 4);
                    let sum = _mm_add_epi32(_mm_sha256msg1_epu32(words[i], words[(i + 1) % 4]), before);
                    words[i] = _mm_sha256msg2_epu32(sum, last);
                }
                rounds(&mut states, &words, i, 4 * sixteen + i);
            }
        }
        for (state, before) in states.iter_mut().zip(before) {
            *state = [_mm_add_epi32(state[0], before[0]), _mm_add_epi32(state[1], before[1])];
        }
        states
    }

    /// Four rounds of each state, with the words at `i`.
    #[inline]
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    fn rounds<const N: usize>(states: &mut [ShaState; N], words: &[[__m128i; 4]; N], i: usize, four: usize) {
        let k = quad(&[K[4 * four], K[4 * four + 1], K[4 * four + 2], K[4 * four + 3]]);
        for ([abef, cdgh], words) in states.iter_mut().zip(words) {
            let sum = _mm_add_epi32(words[i], k);
            *cdgh = _mm_sha256rnds2_epu32(*cdgh, *abef, sum);
            *abef = _mm_sha256rnds2_epu32(*abef, *cdgh, _mm_shuffle_epi32(sum, 0x0e));
        }
    }

    #[inline]
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    fn load([a, b, c, d, e, f, g, h]: &[u32; 8]) -> ShaState {
        [quad(&[*f, *e, *b, *a]), quad(&[*h, *g, *d, *c])]
    }

    /// The words a, b, c, d and e, f, g, h.
    #[inline]
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    fn in_order([abef, cdgh]: ShaState) -> [__m128i; 2] {
        let (feba, dchg) = (_mm_shuffle_epi32(abef, 0x1b), _mm_shuffle_epi32(cdgh, 0xb1));
        [_mm_blend_epi16(feba, dchg, 0xf0), _mm_alignr_epi8(dchg, feba, 8)]
    }

    #[inline]
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    fn quad([a, b, c, d]: &[u32; 4]) -> __m128i {
        _mm_set_epi32(*d as i32, *c as i32, *b as i32, *a as i32)
    }

    /// Swaps the bytes of each word.
    #[inline]
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    fn swap(four: __m128i) -> __m128i {
        _mm_shuffle_epi8(four, _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203))
    }
}
