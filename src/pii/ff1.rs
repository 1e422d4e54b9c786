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
use aes::cipher::{BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt, KeyInit};
use zeroize::Zeroize;

use super::siv::encrypt_all;

/// Fewest digits: a domain of 10^6.
pub(super) const DIGITS_MIN: usize = 6;
/// Most digits: two halves' sum must stay below 2^64.
pub(super) const DIGITS_MAX: usize = 36;
/// Longest strings that are best permuted side by side: the halves' sums fit a word.
pub(super) const SHORT_DIGITS_MAX: usize = 18;
/// Longest tweak, in bytes: what always leaves room for the round and a half in one block.
pub(super) const TWEAK_BYTES_MAX: usize = 7;

const ROUNDS: u8 = 10;
/// Halves of so many bytes, up to nine digits, take sums of eight (step 4); longer ones of twelve.
const NARROW_BYTES: u32 = 4;
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

    /// Whether so many bytes of tweak and digits can be permuted at all.
    pub(super) fn fits(&self, tweak_bytes: usize, digits: usize) -> bool {
        (DIGITS_MIN..=DIGITS_MAX).contains(&digits) && tweak_bytes == self.tweak_bytes
    }

    /// Encrypts or decrypts, in place, several strings of ASCII digits, each with its tweak, side by side: the cipher's latency is then waited for
    /// once for all of them. All must fit.
    #[inline]
    pub(super) fn permute_all<const N: usize>(&self, way: Way, lanes: [(&[u8], &mut [u8]); N]) {
        let mut rounds = lanes.each_ref().map(|(tweak, digits)| self.start(tweak, digits));
        self.cipher.encrypt_with_backend(Lanes { lanes: &mut rounds, way });
        for (rounds, (_, digits)) in rounds.iter_mut().zip(lanes) {
            let (left, right) = digits.split_at_mut(digits.len() / 2);
            spell(rounds.halves[0], left);
            spell(rounds.halves[1], right);
            rounds.halves.zeroize();
        }
    }

    #[inline(always)]
    fn start(&self, tweak: &[u8], digits: &[u8]) -> Rounds {
        let (left, right) = digits.split_at(digits.len() / 2);
        Rounds {
            first: u128::from_le_bytes(self.first[digits.len() - DIGITS_MIN]) ^ tweak_block(tweak),
            half_bytes: half_bytes(right.len()),
            moduli: [Modulus::of_digits(left.len()), Modulus::of_digits(right.len())],
            halves: [number(left), number(right)],
        }
    }
}

/// One encryption, as it stands between two rounds.
#[derive(Clone, Copy)]
struct Rounds {
    /// The first block, encrypted, and the tweak: what every round's block begins from, its first byte lowest.
    first: u128,
    half_bytes: u32,
    moduli: [Modulus; 2],
    halves: [u64; 2],
}

/// Encryptions side by side, run inside the cipher's own dispatch.
struct Lanes<'a, const N: usize> {
    lanes: &'a mut [Rounds; N],
    way: Way,
}

impl<const N: usize> BlockSizeUser for Lanes<'_, N> {
    type BlockSize = U16;
}

impl<const N: usize> BlockCipherEncClosure for Lanes<'_, N> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let mut lanes = *self.lanes;
        if lanes.iter().any(|lane| lane.half_bytes > NARROW_BYTES) {
            run::<_, N, true>(backend, &mut lanes, self.way);
        } else {
            run::<_, N, false>(backend, &mut lanes, self.way);
        }
        *self.lanes = lanes;
    }
}

#[inline(always)]
fn run<B: BlockCipherEncBackend<BlockSize = U16>, const N: usize, const WIDE: bool>(
    backend: &B,
    lanes: &mut [Rounds; N],
    way: Way,
) {
    // Halves are not swapped but taken in turn: an even round changes the left one, by the right one.
    for even in (0..ROUNDS).step_by(2) {
        if way == Way::Encrypt {
            step::<_, N, WIDE>(backend, lanes, way, even, 0);
            step::<_, N, WIDE>(backend, lanes, way, even + 1, 1);
        } else {
            step::<_, N, WIDE>(backend, lanes, way, ROUNDS - 1 - even, 1);
            step::<_, N, WIDE>(backend, lanes, way, ROUNDS - 2 - even, 0);
        }
    }
}

#[inline(always)]
fn step<B: BlockCipherEncBackend<BlockSize = U16>, const N: usize, const WIDE: bool>(
    backend: &B,
    lanes: &mut [Rounds; N],
    way: Way,
    round: u8,
    side: usize,
) {
    // A loop, since the closures of `map` are not compiled into the cipher's dispatch.
    let mut blocks = [Array([0; 16]); N];
    for (block, lane) in blocks.iter_mut().zip(&*lanes) {
        block.0 = lane.block::<WIDE>(round, lane.halves[1 - side]).to_le_bytes();
    }
    encrypt_all(backend, &mut blocks);
    for (lane, block) in lanes.iter_mut().zip(blocks) {
        let sum = u128::from_be_bytes(block.0);
        lane.halves[side] = lane.absorb::<WIDE>(way, &lane.moduli[side], lane.halves[side], sum);
    }
}

impl Rounds {
    /// Steps 6.i and 6.ii: what the cipher encrypts.
    #[inline(always)]
    fn block<const WIDE: bool>(&self, round: u8, other: u64) -> u128 {
        if WIDE {
            return ((u128::from(round) << (8 * self.half_bytes)) ^ u128::from(other)).swap_bytes() ^ self.first;
        }
        // Round and half are in the last eight bytes, and the halves are short: one word changes, by one short chain.
        let end =
            ((u64::from(round) << (8 * self.half_bytes)).swap_bytes() ^ (self.first >> 64) as u64) ^ other.swap_bytes();
        u128::from(self.first as u64) | u128::from(end) << 64
    }

    /// Steps 6.iii to 6.vi: one half, changed by what has been made of the other.
    #[inline(always)]
    fn absorb<const WIDE: bool>(&self, way: Way, modulus: &Modulus, half: u64, sum: u128) -> u64 {
        // Step 6.iv: d is 4 * ceil(b / 4) + 4 bytes, which is 8 or 12.
        let narrow = (sum >> 64) as u64;
        match (WIDE && self.half_bytes > NARROW_BYTES, way) {
            (false, Way::Encrypt) => modulus.add(narrow, half),
            (false, Way::Decrypt) => modulus.wrap(half + modulus.value - modulus.add(narrow, 0)),
            (true, Way::Encrypt) => modulus.wrap(modulus.reduce_wide(sum >> 32) + half),
            (true, Way::Decrypt) => modulus.wrap(half + modulus.value - modulus.reduce_wide(sum >> 32)),
        }
    }
}

/// A power of ten, with what replaces division by it.
#[derive(Clone, Copy)]
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
    u128::from_le_bytes(block)
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
        ff1.permute_all(Way::Encrypt, [(tweak, &mut digits)]);
        assert_eq!(std::str::from_utf8(&digits), Ok(sealed));
        ff1.permute_all(Way::Decrypt, [(tweak, &mut digits)]);
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
    fn what_fits_is_told() {
        let ff1 = Ff1Aes256::new(&key(), 1);
        for (tweak_bytes, digits, fits) in [(1, 5, false), (1, 6, true), (1, 36, true), (1, 37, false), (0, 7, false)] {
            assert_eq!(ff1.fits(tweak_bytes, digits), fits, "{tweak_bytes} and {digits}");
        }
    }

    proptest! {
        #[test]
        fn equals_the_fpe_crate(digits in prop::collection::vec(0_u16..10, 6..=36), tweak in prop::collection::vec(any::<u8>(), 0..=TWEAK_BYTES_MAX)) {
            let ff1 = Ff1Aes256::new(&key(), tweak.len());
            let text: Vec<u8> = digits.iter().map(|d| b'0' + *d as u8).collect();
            let mut ours = text.clone();
            ff1.permute_all(Way::Encrypt, [(&tweak, &mut ours)]);
            let reference = FF1::<aes::Aes256>::new(&key(), 10).unwrap();
            let theirs = reference.encrypt(&tweak, &FlexibleNumeralString::from(digits)).unwrap();
            let theirs: Vec<u8> = Vec::<u16>::from(theirs).iter().map(|d| b'0' + *d as u8).collect();
            prop_assert_eq!(&ours, &theirs);
            ff1.permute_all(Way::Decrypt, [(&tweak, &mut ours)]);
            prop_assert_eq!(ours, text);
        }

        #[test]
        fn side_by_side_each_is_what_it_is_alone(
            texts in prop::array::uniform8(prop::collection::vec(b'0'..=b'9', 6..=36)),
            way in prop::sample::select(vec![Way::Encrypt, Way::Decrypt]),
        ) {
            let ff1 = Ff1Aes256::new(&key(), 2);
            let (mut alone, mut together) = (texts.clone(), texts);
            alone.iter_mut().for_each(|text| ff1.permute_all(way, [(b"12", text)]));
            ff1.permute_all(way, together.each_mut().map(|text| (&b"12"[..], &mut text[..])));
            prop_assert_eq!(together, alone);
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
