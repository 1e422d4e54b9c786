//! Strings of 19 to 36 digits, whose halves' sums take twelve bytes (step 4): one at a time, as such values are rare.
//!
//! Their halves are kept as numbers too, but not the whole string, which no machine word holds.

use aes::cipher::array::Array;
use aes::cipher::common::BlockSizeUser;
use aes::cipher::consts::U16;
use aes::cipher::{BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt};
use zeroize::Zeroize;

use super::{CipherDirection, DIGITS_MAX, DIGITS_MIN, Ff1, HALF_BYTES, Modulus, ROUNDS, SHORT_DIGITS_MAX};

impl<C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>> Ff1<C> {
    /// Encrypts or decrypts, in place, a string of more than [`SHORT_DIGITS_MAX`] ASCII digits. It must fit, and the tweak with it.
    pub(in crate::pii) fn permute_long(&self, way: CipherDirection, tweak: u128, digits: &mut [u8]) {
        debug_assert!((SHORT_DIGITS_MAX + 1..=DIGITS_MAX).contains(&digits.len()), "the others have another step 4");
        let first = u128::from_le_bytes(self.first[digits.len() - DIGITS_MIN]) ^ tweak;
        let (left, right) = digits.split_at_mut(digits.len() / 2);
        let moduli = [left.len(), right.len()].map(Modulus::of_digits);
        let round_shift = 8 * HALF_BYTES[right.len()];
        let mut halves = [read_number(left), read_number(right)];
        self.cipher.encrypt_with_backend(LongDigits { first, round_shift, moduli, halves: &mut halves, way });
        write_number(halves[0], left);
        write_number(halves[1], right);
        halves.zeroize();
    }
}

/// One encryption, run inside the cipher's own dispatch.
struct LongDigits<'a> {
    /// The first block, encrypted, and the tweak: what every round's block begins from, its first byte lowest.
    first: u128,
    /// Where the round's number stands, above the half.
    round_shift: u32,
    moduli: [Modulus; 2],
    halves: &'a mut [u64; 2],
    way: CipherDirection,
}

impl BlockSizeUser for LongDigits<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for LongDigits<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        for step in 0..ROUNDS {
            let round = if self.way == CipherDirection::Encrypt { step } else { ROUNDS - 1 - step };
            let side = usize::from(round % 2);
            let last = u128::from(round) << self.round_shift ^ u128::from(self.halves[1 - side]);
            let mut block = Array((last.swap_bytes() ^ self.first).to_le_bytes());
            backend.encrypt_block_inplace(&mut block);
            // Step 6.iv: d is twelve bytes.
            let modulus = self.moduli[side];
            let sum = ((u128::from_be_bytes(block.0) >> 32) % u128::from(modulus.value)) as u64;
            let change = if self.way == CipherDirection::Encrypt { sum } else { modulus.value - sum };
            self.halves[side] = modulus.wrap(self.halves[side] + change);
        }
    }
}

fn read_number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |value, byte| value * 10 + u64::from(byte - b'0'))
}

fn write_number(mut value: u64, digits: &mut [u8]) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}
