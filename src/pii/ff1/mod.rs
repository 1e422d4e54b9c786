//! FF1 (NIST SP 800-38G): encryption of a string of digits into a string of as many digits.
//!
//! Ten Feistel rounds of one AES block each. A string of up to 36 digits is two halves below 10^18, each in a machine
//! word. NIST status: FF1 is approved; revision 1 (second public draft, February 2025) keeps it, withdraws FF3, and
//! makes a domain of at least one million a requirement, so strings under six digits are never encrypted here. FF1 has
//! no integrity and carries no key version: decrypting takes the same key and tweak.

mod decimal;
mod long;

use aes::Aes256Enc;
use aes::cipher::array::Array;
use aes::cipher::common::BlockSizeUser;
use aes::cipher::consts::U16;
use aes::cipher::{BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt, KeyInit};
use zeroize::Zeroize;

use super::siv::encrypt_blocks;
pub(super) use decimal::Decimal;

/// Fewest digits, which give a domain of 10^6.
pub(super) const DIGITS_MIN: usize = 6;
/// Most digits, so that the sum of two halves stays below 2^64.
pub(super) const DIGITS_MAX: usize = 36;
/// Most digits of a string that fits in one number. Several such strings are encrypted in parallel, because the sums of
/// their halves fit in one word (step 4).
pub(super) const SHORT_DIGITS_MAX: usize = 18;
/// Longest tweak, in bytes: with it, the round and one half always fit in one block.
pub(super) const TWEAK_BYTES_MAX: usize = 7;

const ROUNDS: u8 = 10;
const LENGTHS: usize = DIGITS_MAX - DIGITS_MIN + 1;

/// A key for digit strings of every allowed length, with tweaks of one length.
pub(super) struct Ff1<C> {
    cipher: C,
    /// The first block of the round function (step 6.ii), encrypted, for each number of digits.
    first: [[u8; 16]; LENGTHS],
}

/// Whether to encrypt or to decrypt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CipherDirection {
    Encrypt,
    Decrypt,
}

/// A string of up to [`SHORT_DIGITS_MAX`] digits, as two numbers, with its tweak.
#[derive(Clone, Copy, Default, Zeroize)]
pub(super) struct ShortDigits {
    pub(super) digits: usize,
    halves: [u64; 2],
    /// The bytes of the tweak, the first one lowest. In two words, as they are written: a load of both at once would
    /// have to wait for the stores of both.
    pub(super) tweak: [u64; 2],
}

impl ShortDigits {
    /// The last `digits` digits of a string.
    #[inline(always)]
    pub(super) fn new(string: &Decimal, digits: usize, tweak: [u64; 2]) -> Self {
        Self { digits, halves: string.halves(digits), tweak }
    }

    #[inline(always)]
    pub(super) fn decimal(&self) -> Decimal {
        Decimal::of_halves(self.halves, self.digits)
    }

    pub(super) fn starts_with_zero(&self) -> bool {
        self.halves[0] < Modulus::of_digits(self.digits / 2 - 1).value
    }
}

/// FF1 with AES-256.
pub(super) type Ff1Aes256 = Ff1<Aes256Enc>;

impl Ff1Aes256 {
    /// Expands a key for tweaks of `tweak_bytes`, at most 7.
    pub(super) fn new(key: &[u8; 32], tweak_bytes: usize) -> Self {
        debug_assert!(tweak_bytes <= TWEAK_BYTES_MAX, "a longer tweak leaves long strings no room in the block");
        Self::of(Aes256Enc::new(key.into()), tweak_bytes)
    }
}

impl<C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>> Ff1<C> {
    fn of(cipher: C, tweak_bytes: usize) -> Self {
        let mut first = [[0; 16]; LENGTHS];
        for (digits, block) in (DIGITS_MIN..).zip(&mut first) {
            // Step 5: P for radix 10, ten rounds, u, n and t.
            *block = [1, 2, 1, 0, 0, 10, 10, (digits / 2) as u8, 0, 0, 0, digits as u8, 0, 0, 0, tweak_bytes as u8];
            cipher.encrypt_block(Array::cast_from_core_mut(block));
        }
        Self { cipher, first }
    }

    /// Encrypts or decrypts, in place, several short strings in parallel, so that all of them together wait for the
    /// latency of the cipher once. Each must have [`DIGITS_MIN`] to [`SHORT_DIGITS_MAX`] digits.
    #[inline]
    pub(super) fn permute<const N: usize>(&self, way: CipherDirection, lanes: &mut [ShortDigits; N]) {
        self.cipher.encrypt_with_backend(Ff1Lanes { first: &self.first, lanes, way });
    }
}

/// Parallel encryptions, run inside the dispatch of the cipher to the machine's instructions.
struct Ff1Lanes<'a, const N: usize> {
    first: &'a [[u8; 16]; LENGTHS],
    lanes: &'a mut [ShortDigits; N],
    way: CipherDirection,
}

impl<const N: usize> BlockSizeUser for Ff1Lanes<'_, N> {
    type BlockSize = U16;
}

impl<const N: usize> BlockCipherEncClosure for Ff1Lanes<'_, N> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        // Loops, because the closures of `map` would not be compiled for the instructions of the dispatch.
        let mut rounds = [Ff1Rounds::NONE; N];
        for (rounds, lane) in rounds.iter_mut().zip(&*self.lanes) {
            *rounds = Ff1Rounds::start(self.first, lane);
        }
        match self.way {
            CipherDirection::Encrypt => encrypt_rounds(backend, &mut rounds),
            CipherDirection::Decrypt => decrypt_rounds(backend, &mut rounds),
        }
        for (rounds, lane) in rounds.iter().zip(self.lanes) {
            lane.halves = rounds.halves;
        }
    }
}

/// The state of one encryption between two rounds.
#[derive(Clone, Copy)]
struct Ff1Rounds {
    /// The encrypted first block XOR the tweak, from which the block of every round is made; its first byte is lowest.
    first: [u64; 2],
    /// The lowest bit of the round's number, at its position in the second word of the block.
    round: u64,
    /// The byte of the first block at that position. It is 0 in `first`, and is added together with the round's number.
    digit: u8,
    moduli: [Modulus; 2],
    halves: [u64; 2],
}

// The halves are not swapped. An even round changes the left half by the right one, an odd round the right by the left.
#[inline(always)]
fn encrypt_rounds<B: BlockCipherEncBackend<BlockSize = U16>, const N: usize>(backend: &B, lanes: &mut [Ff1Rounds; N]) {
    for even in (0..ROUNDS).step_by(2) {
        for round in [even, even + 1] {
            let side = usize::from(round % 2);
            let sums = round_outputs(backend, lanes, round, 1 - side);
            for (lane, sum) in lanes.iter_mut().zip(sums) {
                lane.halves[side] = lane.moduli[side].add(sum, lane.halves[side]);
            }
        }
    }
}

#[inline(always)]
fn decrypt_rounds<B: BlockCipherEncBackend<BlockSize = U16>, const N: usize>(backend: &B, lanes: &mut [Ff1Rounds; N]) {
    for round in (0..ROUNDS).rev() {
        let side = usize::from(round % 2);
        let sums = round_outputs(backend, lanes, round, 1 - side);
        for (lane, sum) in lanes.iter_mut().zip(sums) {
            let modulus = lane.moduli[side];
            lane.halves[side] = modulus.wrap(lane.halves[side] + modulus.value - modulus.add(sum, 0));
        }
    }
}

/// Steps 6.i to 6.iv: the output of a round for one half, in each lane. Eight bytes of the encrypted block are used,
/// which is d of step 4.
#[inline(always)]
fn round_outputs<B: BlockCipherEncBackend<BlockSize = U16>, const N: usize>(
    backend: &B,
    lanes: &[Ff1Rounds; N],
    round: u8,
    side: usize,
) -> [u64; N] {
    let mut blocks = [Array([0; 16]); N];
    for (block, lane) in blocks.iter_mut().zip(lanes) {
        // Round and half are in the last eight bytes, because the halves are short: only one word changes.
        let first = lane.first[1] + u64::from(round ^ lane.digit) * lane.round;
        let last = first ^ lane.halves[side].swap_bytes();
        block.0 = (u128::from(lane.first[0]) | u128::from(last) << 64).to_le_bytes();
    }
    encrypt_blocks(backend, &mut blocks);
    let mut sums = [0; N];
    for (sum, block) in sums.iter_mut().zip(&blocks) {
        *sum = (u128::from_le_bytes(block.0) as u64).swap_bytes();
    }
    sums
}

impl Ff1Rounds {
    const NONE: Self =
        Self { first: [0; 2], round: 0, digit: 0, moduli: [Modulus { value: 1, inverse: 0 }; 2], halves: [0; 2] };

    #[inline(always)]
    fn start(first: &[[u8; 16]; LENGTHS], lane: &ShortDigits) -> Self {
        let first = u128::from_le_bytes(first[lane.digits - DIGITS_MIN]);
        let first = [first as u64 ^ lane.tweak[0], (first >> 64) as u64 ^ lane.tweak[1]];
        let moduli = [lane.digits / 2, lane.digits.div_ceil(2)].map(Modulus::of_digits);
        let shift = 56 - 8 * HALF_BYTES[lane.digits.div_ceil(2)];
        let (digit, round) = ((first[1] >> shift) as u8, 1 << shift);
        Self { first: [first[0], first[1] - u64::from(digit) * round], round, digit, moduli, halves: lane.halves }
    }
}

/// Step 3: the bytes that hold a half, for each number of its digits.
const HALF_BYTES: [u32; 19] = {
    let mut bytes = [0; 19];
    let (mut digits, mut largest) = (0, 1_u64);
    while digits < 19 {
        bytes[digits] = (64 - (largest - 1).leading_zeros()).div_ceil(8);
        largest = largest.wrapping_mul(10);
        digits += 1;
    }
    bytes
};

/// A power of ten, with the constant that replaces a division by it.
#[derive(Clone, Copy)]
struct Modulus {
    value: u64,
    /// The floor of (2^64 - 1) / value. A quotient that is computed with it is at most one too small.
    inverse: u64,
}

impl Modulus {
    #[inline(always)]
    fn of_digits(digits: usize) -> Self {
        const TABLE: [Modulus; 19] = {
            let mut table = [Modulus { value: 1, inverse: u64::MAX }; 19];
            let mut i = 1;
            while i < 19 {
                let value = table[i - 1].value * 10;
                table[i] = Modulus { value, inverse: u64::MAX / value };
                i += 1;
            }
            table
        };
        TABLE[digits]
    }

    /// The remainder of a sum of any number and one below the modulus.
    #[inline(always)]
    fn add(self, any: u64, below: u64) -> u64 {
        // `rest` is less than three times the modulus, so less than 2^63, even where the sum wrapped around: the sign
        // of a difference tells whether it is negative. Both differences are computed at once, to shorten the chain of
        // dependent operations.
        let sum = any.wrapping_add(below);
        let product = self.quotient(any).wrapping_mul(self.value);
        let rest = sum.wrapping_sub(product);
        let [once, twice] = [rest.wrapping_sub(self.value), rest.wrapping_sub(self.value << 1)];
        let rest = if (once as i64) < 0 { rest } else { once };
        if (twice as i64) < 0 { rest } else { twice }
    }

    /// The quotient of a division by the modulus, or one less.
    #[inline(always)]
    fn quotient(self, any: u64) -> u64 {
        ((u128::from(any) * u128::from(self.inverse)) >> 64) as u64
    }

    /// Subtracts the modulus from a sum that has reached it. A smaller sum would wrap to a huge number, so the minimum
    /// is the result. There is no branch: it would be mispredicted half of the time, and its timing would tell about
    /// the digits.
    #[inline(always)]
    fn wrap(self, sum: u64) -> u64 {
        sum.min(sum.wrapping_sub(self.value))
    }
}

#[cfg(test)]
mod tests {
    use aes::{Aes128Enc, Aes192Enc};
    use fpe::ff1::{FF1, FlexibleNumeralString};
    use proptest::prelude::*;

    use super::*;

    /// Encrypts or decrypts ASCII digits in place.
    fn permute<C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>>(
        ff1: &Ff1<C>,
        way: CipherDirection,
        tweak: &[u8],
        digits: &mut [u8],
    ) {
        let tweak = tweak.iter().rev().fold(0, |tweak, byte| tweak << 8 | u128::from(*byte));
        if digits.len() > SHORT_DIGITS_MAX {
            return ff1.permute_long(way, tweak, digits);
        }
        let mut lane = [short(digits, [tweak as u64, (tweak >> 64) as u64])];
        ff1.permute(way, &mut lane);
        lane[0].decimal().write_digits(digits);
    }

    fn short(digits: &[u8], tweak: [u64; 2]) -> ShortDigits {
        ShortDigits::new(&Decimal::read(digits).unwrap(), digits.len(), tweak)
    }

    fn check<C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>>(
        cipher: C,
        tweak: &[u8],
        text: &str,
        sealed: &str,
    ) {
        let ff1 = Ff1::of(cipher, tweak.len());
        let mut digits = text.as_bytes().to_vec();
        permute(&ff1, CipherDirection::Encrypt, tweak, &mut digits);
        assert_eq!(std::str::from_utf8(&digits), Ok(sealed));
        permute(&ff1, CipherDirection::Decrypt, tweak, &mut digits);
        assert_eq!(std::str::from_utf8(&digits), Ok(text));
    }

    fn key() -> [u8; 32] {
        let words = [0x2b7e1516_28aed2a6_u64, 0xabf71588_09cf4f3c, 0xef4359d8_d580aa4f, 0x7f036d6f_04fc6a94];
        words.map(u64::to_be_bytes).concat().try_into().unwrap()
    }

    /// The radix-10 samples of NIST's "Examples with Intermediate Values: FF1" (samples 3, 6 and 9 are of radix 36).
    #[test]
    fn the_samples_of_nist_give_their_published_results() {
        let (text, tweak, key) = ("0123456789", b"9876543210", key());
        check(Aes128Enc::new_from_slice(&key[..16]).unwrap(), b"", text, "2433477484");
        check(Aes128Enc::new_from_slice(&key[..16]).unwrap(), tweak, text, "6124200773");
        check(Aes192Enc::new_from_slice(&key[..24]).unwrap(), b"", text, "2830668132");
        check(Aes192Enc::new_from_slice(&key[..24]).unwrap(), tweak, text, "2496655549");
        check(Aes256Enc::new_from_slice(&key).unwrap(), b"", text, "6657667009");
        check(Aes256Enc::new_from_slice(&key).unwrap(), tweak, text, "1001623463");
    }

    fn check_against_the_fpe_crate(text: &[u8], tweak: &[u8]) {
        let ff1 = Ff1Aes256::new(&key(), tweak.len());
        let mut ours = text.to_vec();
        permute(&ff1, CipherDirection::Encrypt, tweak, &mut ours);
        let reference = FF1::<aes::Aes256>::new(&key(), 10).unwrap();
        let digits: Vec<u16> = text.iter().map(|digit| u16::from(digit - b'0')).collect();
        let theirs = reference.encrypt(tweak, &FlexibleNumeralString::from(digits)).unwrap();
        let theirs: Vec<u8> = Vec::<u16>::from(theirs).iter().map(|digit| b'0' + *digit as u8).collect();
        assert_eq!(ours, theirs, "{text:?} with {tweak:?}");
        permute(&ff1, CipherDirection::Decrypt, tweak, &mut ours);
        assert_eq!(ours, text);
    }

    #[test]
    fn the_first_and_last_string_of_every_length_equal_the_fpe_crate() {
        for (digits, tweak) in (DIGITS_MIN..=DIGITS_MAX).flat_map(|digits| [(digits, 0), (digits, TWEAK_BYTES_MAX)]) {
            for digit in [b'0', b'9'] {
                check_against_the_fpe_crate(&vec![digit; digits], &vec![0xff; tweak]);
            }
        }
    }

    proptest! {
        #[test]
        fn any_string_equals_the_fpe_crate(
            text in prop::collection::vec(b'0'..=b'9', DIGITS_MIN..=DIGITS_MAX),
            tweak in prop::collection::vec(any::<u8>(), 0..=TWEAK_BYTES_MAX),
        ) {
            check_against_the_fpe_crate(&text, &tweak);
        }

        #[test]
        fn strings_in_parallel_give_what_each_gives_alone(
            texts in prop::array::uniform8(prop::collection::vec(b'0'..=b'9', DIGITS_MIN..=SHORT_DIGITS_MAX)),
            way in prop::sample::select(vec![CipherDirection::Encrypt, CipherDirection::Decrypt]),
        ) {
            let ff1 = Ff1Aes256::new(&key(), 2);
            let mut together = texts.each_ref().map(|text| short(text, [7, 0]));
            let mut alone = together;
            ff1.permute(way, &mut together);
            for (together, alone) in together.iter().zip(&mut alone) {
                ff1.permute(way, std::array::from_mut(alone));
                prop_assert_eq!(together.halves, alone.halves);
            }
        }

        #[test]
        fn the_remainder_equals_that_of_a_division(any in any::<u64>(), below in any::<u64>(), digits in 3_usize..=18) {
            let modulus = Modulus::of_digits(digits);
            let below = below % modulus.value;
            let total = (u128::from(any) + u128::from(below)) % u128::from(modulus.value);
            prop_assert_eq!(u128::from(modulus.add(any, below)), total);
        }
    }
}
