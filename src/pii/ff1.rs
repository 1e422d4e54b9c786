//! FF1 (NIST SP 800-38G): encryption of a string of digits into a string of as many digits.
//!
//! Ten Feistel rounds of one AES block each, on machine words: a string of up to 36 digits is two halves below 10^18. NIST status:
//! FF1 is approved; revision 1 (second public draft, February 2025) keeps it, withdraws FF3, and makes a domain of at least one
//! million a requirement, so strings under six digits are never encrypted here. FF1 has no integrity and carries no key version:
//! whoever decrypts must know key and tweak.

use aes::Aes256Enc;
use aes::cipher::array::Array;
use aes::cipher::common::BlockSizeUser;
use aes::cipher::consts::U16;
use aes::cipher::inout::InOut;
use aes::cipher::{BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt, KeyInit};
use zeroize::Zeroize;

/// Fewest digits: a domain of 10^6.
pub(super) const DIGITS_MIN: usize = 6;
/// Most digits: two halves' sum must stay below 2^64.
pub(super) const DIGITS_MAX: usize = 36;
/// Longest tweak, in bytes: what always leaves room for the round and a half in one block.
const TWEAK_BYTES_MAX: usize = 7;

const ROUNDS: u8 = 10;
const LENGTHS: usize = DIGITS_MAX - DIGITS_MIN + 1;

/// A key for digit strings of any length, with tweaks of one length.
pub(super) struct Ff1<C> {
    cipher: C,
    tweak_bytes: usize,
    /// The first block of the round function (step 6.ii), encrypted, by number of digits.
    first: [[u8; 16]; LENGTHS],
}

/// Which of the two permutations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Encrypt,
    Decrypt,
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
        Self { cipher, tweak_bytes, first }
    }

    /// Encrypts or decrypts ASCII digits in place. `false`, with nothing changed, when their number is outside 6 to 36,
    /// one of them is no digit, or the tweak is not of the expanded length.
    #[must_use]
    pub(super) fn permute(&self, way: Way, tweak: &[u8], digits: &mut [u8]) -> bool {
        let fits = (DIGITS_MIN..=DIGITS_MAX).contains(&digits.len()) && tweak.len() == self.tweak_bytes;
        if !fits || !digits.iter().all(u8::is_ascii_digit) {
            return false;
        }
        let (left, right) = digits.split_at_mut(digits.len() / 2);
        let half_bytes = half_bytes(right.len());
        let mut rounds = Rounds {
            first: u128::from_ne_bytes(self.first[left.len() + right.len() - DIGITS_MIN]),
            tweak: tweak_block(tweak),
            half_bytes,
            moduli: [Modulus::of_digits(left.len()), Modulus::of_digits(right.len())],
            halves: [number(left), number(right)],
            forward: way == Way::Encrypt,
        };
        self.cipher.encrypt_with_backend(&mut rounds);
        spell(rounds.halves[0], left);
        spell(rounds.halves[1], right);
        rounds.halves.zeroize();
        true
    }
}

/// The state of one encryption, run inside the cipher's own dispatch.
struct Rounds {
    /// In the machine's byte order, as blocks are.
    first: u128,
    tweak: u128,
    half_bytes: u32,
    moduli: [Modulus; 2],
    halves: [u64; 2],
    forward: bool,
}

impl BlockSizeUser for &mut Rounds {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for &mut Rounds {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let [mut left, mut right] = self.halves;
        // Halves are not swapped but taken in turn: an even round changes the left one, by the right one.
        for even in (0..ROUNDS).step_by(2) {
            if self.forward {
                left = self.round(backend, even, left, right);
                right = self.round(backend, even + 1, right, left);
            } else {
                right = self.round(backend, ROUNDS - 1 - even, right, left);
                left = self.round(backend, ROUNDS - 2 - even, left, right);
            }
        }
        self.halves = [left, right];
    }
}

impl Rounds {
    /// Steps 6.i to 6.vi: one half, changed by the other.
    #[inline(always)]
    fn round<B: BlockCipherEncBackend<BlockSize = U16>>(&self, backend: &B, round: u8, half: u64, other: u64) -> u64 {
        let modulus = &self.moduli[usize::from(round & 1)];
        // What does not depend on the other half is put together while its block is still under way.
        let fixed = (self.tweak ^ (u128::from(round) << (8 * self.half_bytes))).to_be() ^ self.first;
        let mut sum = (fixed ^ u128::from(other).to_be()).to_ne_bytes();
        backend.encrypt_block(InOut::from(Array::cast_from_core_mut(&mut sum)));
        let sum = u128::from_be_bytes(sum);
        // Step 6.iv: d is 4 * ceil(b / 4) + 4 bytes, which is 8 or 12.
        match (self.half_bytes > 4, self.forward) {
            (false, true) => modulus.add((sum >> 64) as u64, half),
            (false, false) => modulus.wrap(half + modulus.value - modulus.add((sum >> 64) as u64, 0)),
            (true, true) => modulus.wrap(modulus.reduce_wide(sum >> 32) + half),
            (true, false) => modulus.wrap(half + modulus.value - modulus.reduce_wide(sum >> 32)),
        }
    }
}

/// A power of ten, with what replaces division by it.
struct Modulus {
    value: u64,
    /// The floor of (2^64 - 1) / value: a quotient by it is at most one too small.
    inverse: u64,
}

impl Modulus {
    fn of_digits(digits: usize) -> Self {
        const TABLE: [(u64, u64); 19] = {
            let mut table = [(0, 0); 19];
            let (mut i, mut value) = (0, 1_u64);
            while i < 19 {
                table[i] = (value, u64::MAX / value);
                value = value * 10;
                i += 1;
            }
            table
        };
        let (value, inverse) = TABLE[digits];
        Self { value, inverse }
    }

    /// The remainder of a sum of any number and one below the modulus.
    #[inline(always)]
    fn add(&self, any: u64, below: u64) -> u64 {
        let quotient = ((u128::from(any) * u128::from(self.inverse)) >> 64) as u64;
        // Less than three times the modulus, whatever wraps around before.
        let rest = any.wrapping_add(below).wrapping_sub(quotient.wrapping_mul(self.value));
        self.wrap(self.wrap(rest))
    }

    #[inline(always)]
    fn reduce_wide(&self, sum: u128) -> u64 {
        (sum % u128::from(self.value)) as u64
    }

    /// Takes the modulus away from what has reached it; what has not would become huge. Without a branch, half of which would be
    /// guessed wrong, and whose timing would tell of the digits.
    #[inline(always)]
    fn wrap(&self, sum: u64) -> u64 {
        sum.min(sum.wrapping_sub(self.value))
    }
}

/// The tweak as it stands at the start of the second block (step 6.i).
fn tweak_block(tweak: &[u8]) -> u128 {
    let mut block = [0; 16];
    block[..tweak.len()].copy_from_slice(tweak);
    u128::from_be_bytes(block)
}

/// Step 3: bytes that hold the longer half.
const fn half_bytes(digits: usize) -> u32 {
    let mut largest = 1_u128;
    let mut i = 0;
    while i < digits {
        largest *= 10;
        i += 1;
    }
    (128 - (largest - 1).leading_zeros()).div_ceil(8)
}

fn number(digits: &[u8]) -> u64 {
    let digit = |byte: &u8| u64::from(byte - b'0');
    let (pairs, last) = digits.as_chunks::<2>();
    let value = pairs.iter().fold(0, |value, [ten, one]| value * 100 + digit(ten) * 10 + digit(one));
    last.iter().fold(value, |value, one| value * 10 + digit(one))
}

fn spell(mut value: u64, digits: &mut [u8]) {
    // Two digits a step: each step waits for the one before.
    let (first, pairs) = digits.as_rchunks_mut::<2>();
    for pair in pairs.iter_mut().rev() {
        let two = (value % 100) as u8;
        *pair = [b'0' + two / 10, b'0' + two % 10];
        value /= 100;
    }
    for digit in first {
        *digit = b'0' + (value % 10) as u8;
    }
}

#[cfg(test)]
mod tests {
    use aes::{Aes128Enc, Aes192Enc};
    use fpe::ff1::{FF1, FlexibleNumeralString};
    use proptest::prelude::*;

    use super::*;

    fn check<C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>>(
        cipher: C,
        tweak: &[u8],
        text: &str,
        sealed: &str,
    ) {
        let ff1 = Ff1::of(cipher, tweak.len());
        let mut digits = text.as_bytes().to_vec();
        assert!(ff1.permute(Way::Encrypt, tweak, &mut digits));
        assert_eq!(std::str::from_utf8(&digits), Ok(sealed));
        assert!(ff1.permute(Way::Decrypt, tweak, &mut digits));
        assert_eq!(std::str::from_utf8(&digits), Ok(text));
    }

    fn key() -> [u8; 32] {
        let words = [0x2b7e1516_28aed2a6_u64, 0xabf71588_09cf4f3c, 0xef4359d8_d580aa4f, 0x7f036d6f_04fc6a94];
        words.map(u64::to_be_bytes).concat().try_into().unwrap()
    }

    /// The radix-10 samples of NIST's "Examples with Intermediate Values: FF1" (samples 3, 6 and 9 are of radix 36).
    #[test]
    fn nist_samples() {
        let (text, tweak, key) = ("0123456789", b"9876543210", key());
        check(Aes128Enc::new_from_slice(&key[..16]).unwrap(), b"", text, "2433477484");
        check(Aes128Enc::new_from_slice(&key[..16]).unwrap(), tweak, text, "6124200773");
        check(Aes192Enc::new_from_slice(&key[..24]).unwrap(), b"", text, "2830668132");
        check(Aes192Enc::new_from_slice(&key[..24]).unwrap(), tweak, text, "2496655549");
        check(Aes256Enc::new_from_slice(&key).unwrap(), b"", text, "6657667009");
        check(Aes256Enc::new_from_slice(&key).unwrap(), tweak, text, "1001623463");
    }

    #[test]
    fn what_does_not_fit_is_left_alone() {
        let ff1 = Ff1Aes256::new(&key(), 0);
        for (tweak, text) in [("", "12345"), ("", &"1".repeat(37)), ("", "12345a7"), ("x", "1234567"), ("", "")] {
            let mut digits = text.as_bytes().to_vec();
            assert!(!ff1.permute(Way::Encrypt, tweak.as_bytes(), &mut digits), "{text}");
            assert_eq!(digits, text.as_bytes());
        }
    }

    proptest! {
        #[test]
        fn equals_the_fpe_crate(digits in prop::collection::vec(0_u16..10, 6..=36), tweak in prop::collection::vec(any::<u8>(), 0..=TWEAK_BYTES_MAX)) {
            let ff1 = Ff1Aes256::new(&key(), tweak.len());
            let text: Vec<u8> = digits.iter().map(|d| b'0' + *d as u8).collect();
            let mut ours = text.clone();
            prop_assert!(ff1.permute(Way::Encrypt, &tweak, &mut ours));
            let reference = FF1::<aes::Aes256>::new(&key(), 10).unwrap();
            let theirs = reference.encrypt(&tweak, &FlexibleNumeralString::from(digits)).unwrap();
            let theirs: Vec<u8> = Vec::<u16>::from(theirs).iter().map(|d| b'0' + *d as u8).collect();
            prop_assert_eq!(&ours, &theirs);
            prop_assert!(ff1.permute(Way::Decrypt, &tweak, &mut ours));
            prop_assert_eq!(ours, text);
        }

        #[test]
        fn a_modulus_divides_like_the_machine(sum in any::<u128>(), digits in 3_usize..=18) {
            let modulus = Modulus::of_digits(digits);
            let (narrow, wide) = (sum as u64, sum >> 32);
            prop_assert_eq!(modulus.add(narrow, 0), narrow % modulus.value);
            prop_assert_eq!(modulus.reduce_wide(wide), (wide % u128::from(modulus.value)) as u64);
            let below = modulus.reduce_wide(wide);
            let total = (u128::from(narrow) + u128::from(below)) % u128::from(modulus.value);
            prop_assert_eq!(u128::from(modulus.add(narrow, below)), total);
        }
    }
}
