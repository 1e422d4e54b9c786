//! FF1 of strings of 19 to 36 digits, one at a time, since such values are rare. The sums of their halves take twelve
//! bytes (step 4), and each half is a machine word, which the whole string is not.

use aes::cipher::array::Array;
use aes::cipher::common::BlockSizeUser;
use aes::cipher::consts::U16;
use aes::cipher::{BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt};
use zeroize::Zeroize;

use super::{CipherDirection, DIGITS_MAX, DIGITS_MIN, Ff1, HALF_BYTES, Modulus, ROUNDS, SHORT_DIGITS_MAX};

impl<C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>> Ff1<C> {
    /// Encrypts or decrypts, in place, a string of more than [`SHORT_DIGITS_MAX`] and at most [`DIGITS_MAX`] ASCII
    /// digits. The tweak must have the length that the key was made for.
    pub(in crate::pii) fn permute_long(&self, way: CipherDirection, tweak: u128, digits: &mut [u8]) {
        debug_assert!((SHORT_DIGITS_MAX + 1..=DIGITS_MAX).contains(&digits.len()), "step 4 differs for other lengths");
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

/// One encryption, run inside the dispatch of the cipher to the machine's instructions.
struct LongDigits<'a> {
    /// The encrypted first block XOR the tweak, from which the block of every round is made; its first byte is lowest.
    first: u128,
    /// The position of the round's number in the block, above the half, in bits.
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
