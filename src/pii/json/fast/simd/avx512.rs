//! The scan and the skip with AVX-512: 64 bytes at a time, and a row of bits in one register.

use std::arch::x86_64::*;

use crate::pii::json::fast::{
    bits::{self, BitRow, ByteClasses, VectorOps},
    skip::{self, ContainerSkip, SkipEnd, TokenBits},
    window::{ScanScratch, ScannedWindow, WindowEntry, WindowPlaces},
};
use crate::pii::json::names::{NameEndings, Names};

use super::avx2::Avx2;

entries! { "avx2,bmi1,bmi2,lzcnt,popcnt,pclmulqdq,avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2", Avx512 }

struct Avx512;

impl VectorOps for Avx512 {
    type Register = Wide;

    #[inline(always)]
    fn classify(block: &[u8; 64], word: usize, classes: &mut ByteClasses) {
        // SAFETY: an unaligned load of 64 bytes of an array of 64; only functions compiled for AVX-512 get here.
        unsafe {
            let lane = _mm512_loadu_si512(block.as_ptr().cast());
            macro_rules! equal {
                ($byte:expr) => {
                    _mm512_cmpeq_epi8_mask(lane, _mm512_set1_epi8($byte as i8))
                };
            }
            let spaces = _mm512_broadcast_i32x4(_mm_setr_epi8(
                0x20, -1, -1, -1, -1, -1, -1, -1, -1, 0x09, 0x0A, -1, -1, 0x0D, -1, -1,
            ));
            let digits = _mm512_sub_epi8(lane, _mm512_set1_epi8(0x30));
            set! { classes, word:
                comma = equal!(b',');
                colon = equal!(b':');
                space = _mm512_cmpeq_epi8_mask(_mm512_shuffle_epi8(spaces, lane), lane);
                control = _mm512_cmplt_epu8_mask(lane, _mm512_set1_epi8(0x20));
                digit = _mm512_cmplt_epu8_mask(digits, _mm512_set1_epi8(10));
                zero = equal!(b'0');
                point = equal!(b'.');
                minus = equal!(b'-');
            }
        }
    }

    #[inline(always)]
    fn tokens(block: &[u8; 64]) -> TokenBits {
        // SAFETY: an unaligned load of 64 bytes of an array of 64; only functions compiled for AVX-512 get here.
        unsafe {
            let lane = _mm512_loadu_si512(block.as_ptr().cast());
            let folded = _mm512_or_si512(lane, _mm512_set1_epi8(0x20));
            TokenBits {
                quote: _mm512_cmpeq_epi8_mask(lane, _mm512_set1_epi8(b'"' as i8)),
                slash: _mm512_cmpeq_epi8_mask(lane, _mm512_set1_epi8(b'\\' as i8)),
                open: _mm512_cmpeq_epi8_mask(folded, _mm512_set1_epi8(b'{' as i8)),
                close: _mm512_cmpeq_epi8_mask(folded, _mm512_set1_epi8(b'}' as i8)),
            }
        }
    }

    #[inline(always)]
    fn endings(blocks: [&[u8; 64]; 3], of: &NameEndings) -> u64 {
        // SAFETY: unaligned loads of 64 bytes of arrays of 64; only functions compiled for AVX-512 get here.
        unsafe {
            let load = |bytes: &[u8; 64]| _mm512_loadu_si512(bytes.as_ptr().cast());
            let (mut found, mut foreign) = (_mm512_set1_epi8(-1), _mm512_setzero_si512());
            for (block, halves) in blocks.iter().zip(&of.bytes) {
                let bytes = load(block);
                found = _mm512_and_si512(found, _mm512_permutexvar_epi8(bytes, load(&halves.six)));
                foreign = _mm512_or_si512(foreign, bytes);
            }
            _mm512_test_epi8_mask(found, found) | _mm512_movepi8_mask(foreign)
        }
    }

    #[inline(always)]
    fn parity(bits: u64) -> u64 {
        Avx2::parity(bits)
    }

    #[inline(always)]
    fn flatten(bits: u64, base: u16, out: &mut WindowPlaces, used: usize) -> usize {
        let count = bits.count_ones() as usize;
        let Some(room) = out.get_mut(used..).and_then(<[u16]>::first_chunk_mut::<64>) else { return used };
        // SAFETY: two stores of 32 entries each to an array of 64; only functions compiled for AVX-512 get here.
        unsafe {
            let places = _mm512_maskz_compress_epi8(bits, _mm512_loadu_si512(PLACES.as_ptr().cast()));
            let base = _mm512_set1_epi16(base as i16);
            let to = room.as_mut_ptr().cast::<__m512i>();
            _mm512_storeu_si512(to, _mm512_add_epi16(_mm512_cvtepu8_epi16(_mm512_castsi512_si256(places)), base));
            if count > 32 {
                let high = _mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64(places, 1));
                _mm512_storeu_si512(to.add(1), _mm512_add_epi16(high, base));
            }
        }
        used + count
    }
}

#[derive(Clone, Copy)]
pub(super) struct Wide(__m512i);

macro_rules! operators {
    ($row:ty, $a:ident, $b:ident: $($operator:ident $name:ident $made:expr;)*) => {
        $(impl std::ops::$operator for $row {
            type Output = Self;

            #[inline(always)]
            fn $name(self, other: Self) -> Self {
                let ($a, $b) = (self.0, other.0);
                $made
            }
        })*
    };
}

// SAFETY: no memory is touched; only functions compiled for AVX-512 make a `Wide`.
operators! { Wide, a, b:
    BitAnd bitand Self(unsafe { _mm512_and_si512(a, b) });
    BitOr bitor Self(unsafe { _mm512_or_si512(a, b) });
}

impl std::ops::Not for Wide {
    type Output = Self;

    #[inline(always)]
    fn not(self) -> Self {
        // SAFETY: no memory is touched; only functions compiled for AVX-512 make a `Wide`.
        unsafe { Self(_mm512_ternarylogic_epi64(self.0, self.0, self.0, 0x55)) }
    }
}

impl BitRow for Wide {
    #[inline(always)]
    fn load(words: &[u64; 8]) -> Self {
        // SAFETY: an unaligned load of 64 bytes of eight words; only functions compiled for AVX-512 get here.
        unsafe { Self(_mm512_loadu_si512(words.as_ptr().cast())) }
    }

    #[inline(always)]
    fn store(self, words: &mut [u64; 8]) {
        // SAFETY: an unaligned store of 64 bytes to eight words; only functions compiled for AVX-512 get here.
        unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), self.0) }
    }

    #[inline(always)]
    fn any(self) -> bool {
        // SAFETY: no memory is touched; only functions compiled for AVX-512 get here.
        unsafe { _mm512_test_epi64_mask(self.0, self.0) != 0 }
    }

    #[inline(always)]
    fn shifted<const BY: u32>(self, before: &mut Self) -> Self {
        // SAFETY: no memory is touched; only functions compiled for AVX-512 get here.
        unsafe {
            let previous = _mm512_alignr_epi64(self.0, before.0, 7);
            *before = self;
            let over = if BY == 1 { _mm512_srli_epi64(previous, 63) } else { _mm512_srli_epi64(previous, 62) };
            Self(_mm512_or_si512(_mm512_sllv_epi64(self.0, _mm512_set1_epi64(i64::from(BY))), over))
        }
    }

    /// A lane that overflows carries into the next one, and a lane of all ones hands a carry on: computed as a sum of
    /// one bit for each lane.
    #[inline(always)]
    fn add_with_carry(self, other: Self, carry: &mut u8) -> Self {
        // SAFETY: no memory is touched; only functions compiled for AVX-512 get here.
        unsafe {
            let ones = _mm512_set1_epi64(-1);
            let sum = _mm512_add_epi64(self.0, other.0);
            let over = u32::from(_mm512_cmplt_epu64_mask(sum, self.0));
            let full = u32::from(_mm512_cmpeq_epi64_mask(sum, ones));
            let carried = (over << 1 | u32::from(*carry)).wrapping_add(full) ^ full;
            *carry = (carried >> 8) as u8;
            Self(_mm512_mask_sub_epi64(sum, carried as u8, sum, ones))
        }
    }
}

/// 0, 1, 2 … 63.
const PLACES: [u8; 64] = {
    let mut places = [0; 64];
    let mut at = 0;
    while at < 64 {
        places[at] = at as u8;
        at += 1;
    }
    places
};
