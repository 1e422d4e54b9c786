//! The scan and the skip with AVX2: 32 bytes at a time.

use std::arch::x86_64::*;

use crate::pii::json::fast::{
    bits::{self, ByteClasses, VectorOps},
    portable::{Eight, flatten_by_count},
    skip::{self, ContainerSkip, SkipEnd, TokenBits},
    window::{ScanScratch, ScannedWindow, WindowEntry, WindowPlaces},
};
use crate::pii::json::names::{NameEndings, Names};

entries! { "avx2,bmi1,bmi2,lzcnt,popcnt,pclmulqdq", Avx2 }

pub(super) struct Avx2;

/// The bits of two vectors, as one word.
macro_rules! join {
    ($lanes:expr, $lane:ident => $made:expr) => {{
        let low = {
            let $lane = $lanes[0];
            _mm256_movemask_epi8($made)
        } as u32;
        let high = {
            let $lane = $lanes[1];
            _mm256_movemask_epi8($made)
        } as u32;
        u64::from(high) << 32 | u64::from(low)
    }};
}

impl VectorOps for Avx2 {
    type Register = Eight;

    #[inline(always)]
    fn classify(block: &[u8; 64], word: usize, classes: &mut ByteClasses) {
        // SAFETY: two unaligned loads of 32 bytes of an array of 64; only functions compiled for AVX2 get here.
        unsafe {
            let at = block.as_ptr().cast::<__m256i>();
            let lanes = [_mm256_loadu_si256(at), _mm256_loadu_si256(at.add(1))];
            macro_rules! equal {
                ($byte:expr) => { join!(lanes, lane => _mm256_cmpeq_epi8(lane, _mm256_set1_epi8($byte as i8))) };
            }
            macro_rules! up_to {
                ($lane:expr, $most:expr) => {{
                    let lane = $lane;
                    _mm256_cmpeq_epi8(_mm256_min_epu8(lane, _mm256_set1_epi8($most)), lane)
                }};
            }
            // For each low half of a byte the space character that has it, or -1, which no byte with that low half
            // equals.
            let spaces = _mm256_broadcastsi128_si256(_mm_setr_epi8(
                0x20, -1, -1, -1, -1, -1, -1, -1, -1, 0x09, 0x0A, -1, -1, 0x0D, -1, -1,
            ));
            set! { classes, word:
                comma = equal!(b',');
                colon = equal!(b':');
                space = join!(lanes, lane => _mm256_cmpeq_epi8(_mm256_shuffle_epi8(spaces, lane), lane));
                control = join!(lanes, lane => up_to!(lane, 0x1F));
                digit = join!(lanes, lane => up_to!(_mm256_sub_epi8(lane, _mm256_set1_epi8(0x30)), 9));
                zero = equal!(b'0');
                point = equal!(b'.');
                minus = equal!(b'-');
            }
        }
    }

    #[inline(always)]
    fn tokens(block: &[u8; 64]) -> TokenBits {
        // SAFETY: two unaligned loads of 32 bytes of an array of 64; only functions compiled for AVX2 get here.
        unsafe {
            let at = block.as_ptr().cast::<__m256i>();
            let lanes = [_mm256_loadu_si256(at), _mm256_loadu_si256(at.add(1))];
            let all = |byte: u8| _mm256_set1_epi8(byte as i8);
            TokenBits {
                quote: join!(lanes, lane => _mm256_cmpeq_epi8(lane, all(b'"'))),
                slash: join!(lanes, lane => _mm256_cmpeq_epi8(lane, all(b'\\'))),
                open: join!(lanes, lane => _mm256_cmpeq_epi8(_mm256_or_si256(lane, all(0x20)), all(b'{'))),
                close: join!(lanes, lane => _mm256_cmpeq_epi8(_mm256_or_si256(lane, all(0x20)), all(b'}'))),
            }
        }
    }

    #[inline(always)]
    fn endings(blocks: [&[u8; 64]; 3], of: &NameEndings) -> u64 {
        // SAFETY: unaligned loads of 32 bytes within arrays of 64, and of 16 bytes of arrays of 16; only
        // functions compiled for AVX2 get here.
        unsafe {
            let half = _mm256_set1_epi8(15);
            let mut bits = 0;
            for at in [0, 32] {
                let (mut found, mut foreign) = (_mm256_set1_epi8(-1), _mm256_setzero_si256());
                for (block, halves) in blocks.iter().zip(&of.bytes) {
                    let table =
                        |halves: &[u8; 16]| _mm256_broadcastsi128_si256(_mm_loadu_si128(halves.as_ptr().cast()));
                    let bytes = _mm256_loadu_si256(block.as_ptr().add(at).cast());
                    let low = _mm256_shuffle_epi8(table(&halves.low), _mm256_and_si256(bytes, half));
                    let high = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), half);
                    let high = _mm256_shuffle_epi8(table(&halves.high), high);
                    found = _mm256_and_si256(found, _mm256_and_si256(low, high));
                    foreign = _mm256_or_si256(foreign, bytes);
                }
                let none = _mm256_movemask_epi8(_mm256_cmpeq_epi8(found, _mm256_setzero_si256()));
                bits |= u64::from((!none | _mm256_movemask_epi8(foreign)) as u32) << at;
            }
            bits
        }
    }

    #[inline(always)]
    fn parity(bits: u64) -> u64 {
        // SAFETY: no memory is touched; only functions compiled for AVX2 get here.
        unsafe { _mm_cvtsi128_si64(_mm_clmulepi64_si128(_mm_set_epi64x(0, bits as i64), _mm_set1_epi8(-1), 0)) as u64 }
    }

    #[inline(always)]
    fn flatten(bits: u64, base: u16, out: &mut WindowPlaces, used: usize) -> usize {
        flatten_by_count(bits, base, out, used)
    }
}
