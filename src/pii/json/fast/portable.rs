//! The scan for any machine: eight bytes at a time in a 64-bit word. Parts of it are used by the scan with AVX2.
//! Nothing here is unsafe.

use std::ops::{BitAnd, BitOr, Not};

use crate::pii::json::names::NameEndings;

use super::{
    bits::{BitRow, ByteClasses, VectorOps},
    skip::TokenBits,
    window::WindowPlaces,
};

const ONES: u64 = u64::MAX / 255;
const HIGH: u64 = ONES << 7;

/// Plain 64-bit arithmetic, which every machine has.
pub(super) struct Portable;

impl VectorOps for Portable {
    type Register = Eight;

    #[inline(always)]
    fn classify(block: &[u8; 64], word: usize, classes: &mut ByteClasses) {
        let (text, _) = block.as_chunks::<8>();
        let text: [u64; 8] = std::array::from_fn(|at| u64::from_le_bytes(text[at]));
        let below = |bound: u8| join(text.map(|bytes| !(at_least(bytes, bound) | bytes) & HIGH));
        classes.comma[word] = equal(&text, b',');
        classes.colon[word] = equal(&text, b':');
        classes.space[word] = equal(&text, b' ') | equal(&text, b'\n') | equal(&text, b'\r') | equal(&text, b'\t');
        classes.control[word] = below(0x20);
        classes.digit[word] = below(b'9' + 1) & !below(b'0');
        classes.zero[word] = equal(&text, b'0');
        classes.point[word] = equal(&text, b'.');
        classes.minus[word] = equal(&text, b'-');
    }

    #[inline(always)]
    fn tokens(block: &[u8; 64]) -> TokenBits {
        let (text, _) = block.as_chunks::<8>();
        let text: [u64; 8] = std::array::from_fn(|at| u64::from_le_bytes(text[at]));
        let folded = text.map(|bytes| bytes | (ONES * 0x20));
        TokenBits {
            quote: equal(&text, b'"'),
            slash: equal(&text, b'\\'),
            open: equal(&folded, b'{'),
            close: equal(&folded, b'}'),
        }
    }

    #[inline(always)]
    fn endings(_: [&[u8; 64]; 3], _: &NameEndings) -> u64 {
        u64::MAX
    }

    #[inline(always)]
    fn parity(bits: u64) -> u64 {
        [1, 2, 4, 8, 16, 32].iter().fold(bits, |bits, by| bits ^ bits << by)
    }

    #[inline(always)]
    fn flatten(bits: u64, base: u16, out: &mut WindowPlaces, used: usize) -> usize {
        flatten_by_count(bits, base, out, used)
    }
}

/// A bit for each byte that equals this one.
#[inline(always)]
fn equal(text: &[u64; 8], byte: u8) -> u64 {
    let difference = text.map(|bytes| bytes ^ (ONES * u64::from(byte)));
    join(difference.map(|bytes| !(at_least(bytes, 1) | bytes) & HIGH))
}

/// Sets the high bit of each byte whose low seven bits are at least the bound, which must be at most 128.
#[inline(always)]
const fn at_least(bytes: u64, bound: u8) -> u64 {
    (bytes & !HIGH) + ONES * (0x80 - bound as u64)
}

/// Gathers the high bits of 64 bytes into one word.
#[inline(always)]
fn join(marked: [u64; 8]) -> u64 {
    const BESIDE: u64 = 0x0102_0408_1020_4080;
    marked.iter().rev().fold(0, |all, bytes| all << 8 | (bytes >> 7).wrapping_mul(BESIDE) >> 56)
}

/// Eight words, in registers of the compiler's choice.
#[derive(Clone, Copy)]
pub(super) struct Eight([u64; 8]);

impl BitAnd for Eight {
    type Output = Self;

    #[inline(always)]
    fn bitand(self, other: Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at] & other.0[at]))
    }
}

impl BitOr for Eight {
    type Output = Self;

    #[inline(always)]
    fn bitor(self, other: Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at] | other.0[at]))
    }
}

impl Not for Eight {
    type Output = Self;

    #[inline(always)]
    fn not(self) -> Self {
        Self(self.0.map(|word| !word))
    }
}

impl BitRow for Eight {
    #[inline(always)]
    fn load(words: &[u64; 8]) -> Self {
        Self(*words)
    }

    #[inline(always)]
    fn store(self, words: &mut [u64; 8]) {
        *words = self.0;
    }

    #[inline(always)]
    fn any(self) -> bool {
        self.0.iter().fold(0, |all, word| all | word) != 0
    }

    #[inline(always)]
    fn shifted<const BY: u32>(self, before: &mut Self) -> Self {
        let previous = |at: usize| if at == 0 { before.0[7] } else { self.0[at - 1] };
        let moved = std::array::from_fn(|at| self.0[at] << BY | previous(at) >> (64 - BY));
        *before = self;
        Self(moved)
    }

    #[inline(always)]
    fn add_with_carry(self, other: Self, carry: &mut u8) -> Self {
        Self(std::array::from_fn(|at| {
            let sum = u128::from(self.0[at]) + u128::from(other.0[at]) + u128::from(*carry);
            *carry = (sum >> 64) as u8;
            sum as u64
        }))
    }
}

/// Writes four places at a time, so that the only branch is on a quarter of the count, which is predicted well.
#[inline(always)]
pub(super) fn flatten_by_count(mut bits: u64, base: u16, out: &mut WindowPlaces, used: usize) -> usize {
    let count = bits.count_ones() as usize;
    let mut at = used;
    while bits != 0 {
        let Some(room) = out.get_mut(at..).and_then(<[u16]>::first_chunk_mut::<4>) else { return used };
        for place in room {
            *place = base.wrapping_add(bits.trailing_zeros() as u16);
            bits &= bits.wrapping_sub(1);
        }
        at += 4;
    }
    used + count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_its_classes() {
        for first in [0, 64, 128, 192_u8] {
            let block: [u8; 64] = std::array::from_fn(|at| first + at as u8);
            let mut classes = ByteClasses::default();
            Portable::classify(&block, 3, &mut classes);
            let tokens = Portable::tokens(&block);
            (classes.quote[3], classes.slash[3]) = (tokens.quote, tokens.slash);
            (classes.open[3], classes.close[3]) = (tokens.open, tokens.close);
            let bits = |class: &dyn Fn(u8) -> bool| (0..64).fold(0, |all, at| all | u64::from(class(block[at])) << at);
            for (found, class) in [
                (classes.quote, &(|b| b == b'"') as &dyn Fn(u8) -> bool),
                (classes.slash, &|b| b == b'\\'),
                (classes.open, &|b| b == b'{' || b == b'['),
                (classes.close, &|b| b == b'}' || b == b']'),
                (classes.space, &|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')),
                (classes.control, &|b| b < 0x20),
                (classes.digit, &|b| b.is_ascii_digit()),
                (classes.minus, &|b| b == b'-'),
            ] {
                assert_eq!(found, [0, 0, 0, bits(class), 0, 0, 0, 0], "from {first}");
            }
        }
    }
}
