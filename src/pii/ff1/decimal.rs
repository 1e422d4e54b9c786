//! Strings of decimal digits as numbers and back, eight digits to a machine word.
//!
//! Reading, spelling and summing a digit at a time would cost as much as encrypting them. Without a branch on a digit's
//! value and without a table that one looks up, so that time tells nothing of it.

/// Most digits that are read at once.
const DIGITS_MAX: usize = 24;
const EIGHT_DIGITS: u64 = 100_000_000;
const NINE_DIGITS: u64 = 1_000_000_000;
/// Eight times the character 0.
const ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);

/// The values of up to 24 digits, to the right: the last digit in the last word's highest byte.
#[derive(Clone, Copy)]
pub(in crate::pii) struct Decimal([u64; 3]);

impl Decimal {
    /// Reads a text of ASCII digits; `None` when it has another byte, or more than 24.
    #[inline(always)]
    pub(in crate::pii) fn read(text: &[u8]) -> Option<Self> {
        let decimal = Self::load(text)?;
        let over =
            decimal.0.iter().fold(0, |over, word| over | word | word.wrapping_add(u64::from_le_bytes([0x76; 8])));
        (over & u64::from_le_bytes([0x80; 8]) == 0).then_some(decimal)
    }

    /// Reads what is known to be digits.
    #[inline(always)]
    pub(in crate::pii) fn load(text: &[u8]) -> Option<Self> {
        let Some((first, last)) = text.first_chunk().zip(text.last_chunk()) else {
            let word = text.iter().fold(0, |word, byte| word >> 8 | u64::from(byte ^ b'0') << 56);
            return Some(Self([0, 0, word]));
        };
        let [first, last] = [first, last].map(|eight| u64::from_le_bytes(*eight) ^ ZEROS);
        // What the first eight have in common with the last moves out, in two steps, as a shift by a whole word is none.
        if let Some(common) = 16_usize.checked_sub(text.len()) {
            return Some(Self([0, first << (4 * common) << (4 * common), last]));
        }
        let common = DIGITS_MAX.checked_sub(text.len())?;
        let middle = u64::from_le_bytes(*text[..text.len() - 8].last_chunk()?) ^ ZEROS;
        Some(Self([first << (8 * common), middle, last]))
    }

    /// The numbers of both halves of the last digits, up to 18; of an odd count the right one is longer.
    #[inline(always)]
    pub(super) fn halves(&self, digits: usize) -> [u64; 2] {
        let [first, middle, last] = self.0;
        if digits > 16 {
            let number = (number_of(first) * EIGHT_DIGITS + number_of(middle)) * EIGHT_DIGITS + number_of(last);
            return [number / NINE_DIGITS, number % NINE_DIGITS];
        }
        // The left half moves to where it ends a word, which the right half does already.
        let left_over = 8 * (8 - digits.div_ceil(2));
        let left = middle >> left_over | last << (63 - left_over) << 1;
        [number_of(left), number_of(last >> left_over << left_over)]
    }

    /// The digits of two halves, so many in all, up to 18.
    #[inline(always)]
    pub(super) fn of_halves(halves: [u64; 2], digits: usize) -> Self {
        if digits > 16 {
            let number = halves[0] * NINE_DIGITS + halves[1];
            let (upper, last) = (number / EIGHT_DIGITS, number % EIGHT_DIGITS);
            return Self([upper / EIGHT_DIGITS, upper % EIGHT_DIGITS, last].map(digits_of));
        }
        let left_over = 8 * (8 - digits.div_ceil(2));
        let [left, right] = halves.map(digits_of);
        Self([0, left << left_over, left >> (63 - left_over) >> 1 | right])
    }

    /// Spells the last digits, as many as there is room for, up to 24.
    #[inline(always)]
    pub(in crate::pii) fn write_digits(&self, room: &mut [u8]) {
        let [_, middle, last] = self.0;
        let places = room.len();
        if places < 8 {
            let bytes = (last | ZEROS).to_le_bytes();
            return room.iter_mut().rev().zip(bytes.into_iter().rev()).for_each(|(place, byte)| *place = byte);
        }
        if places < 16 {
            let (above, below) = (4 * (16 - places as u32), 8 * (places as u32 - 8));
            let first = middle >> above >> above | last << below;
            room.first_chunk_mut().into_iter().for_each(|eight| *eight = (first | ZEROS).to_le_bytes());
        } else {
            let (above, sixteen) = room.split_at_mut(places - 16);
            sixteen.first_chunk_mut().into_iter().for_each(|eight| *eight = (middle | ZEROS).to_le_bytes());
            let bytes = (self.0[0] | ZEROS).to_le_bytes();
            above.iter_mut().rev().zip(bytes.into_iter().rev()).for_each(|(place, byte)| *place = byte);
        }
        room.last_chunk_mut().into_iter().for_each(|eight| *eight = (last | ZEROS).to_le_bytes());
    }

    /// The digits' sum, where the last one and every second before it counts as Luhn's rule doubles (ISO/IEC 7812-1 annex
    /// B): as the digits before a check digit do. Congruent to it modulo ten.
    #[inline(always)]
    pub(in crate::pii) fn luhn_sum(&self) -> u32 {
        const EVERY_SECOND: u64 = 0x00ff_00ff_00ff_00ff;
        let sums = self.0.iter().fold(0, |sums, word| {
            let (once, twice) = (word & EVERY_SECOND, word >> 8 & EVERY_SECOND);
            // From 5 on a doubled digit has two digits, whose sum is 9 less: modulo ten, one more.
            let carried = (twice + u64::from_le_bytes([123, 0, 123, 0, 123, 0, 123, 0])) >> 7 & 0x0001_0001_0001_0001;
            sums + once + 2 * twice + carried
        });
        (sums.wrapping_mul(0x0001_0001_0001_0001) >> 48) as u32
    }
}

/// The number of eight digits, the first lowest.
#[inline(always)]
const fn number_of(digits: u64) -> u64 {
    const EVERY_FOURTH: u64 = 0x0000_00ff_0000_00ff;
    // Pairs, each in the byte of its first digit; then both fours, by a multiplication each.
    let pairs = digits * 10 + (digits >> 8);
    let first = (pairs & EVERY_FOURTH).wrapping_mul(100 + (1_000_000 << 32));
    let second = (pairs >> 16 & EVERY_FOURTH).wrapping_mul(1 + (10_000 << 32));
    first.wrapping_add(second) >> 32
}

/// The digits of a number below 10^8, the first lowest: halved three times, each half into the lower part of its room.
#[inline(always)]
const fn digits_of(number: u64) -> u64 {
    // What is multiplied by is 2^40 / 10^4, 2^20 / 10^2 and 2^10 / 10, rounded up: exact for parts so small.
    let upper = (number * 109_951_163) >> 40;
    let fours = (number << 32).wrapping_sub(upper.wrapping_mul((10_000 << 32) - 1));
    let upper = (fours * 10_486) >> 20 & 0x0000_007f_0000_007f;
    let pairs = (fours << 16).wrapping_sub(upper.wrapping_mul((100 << 16) - 1));
    let upper = (pairs * 103) >> 10 & 0x000f_000f_000f_000f;
    (pairs << 8).wrapping_sub(upper.wrapping_mul((10 << 8) - 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plainly(digits: &[u8]) -> u64 {
        digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
    }

    /// Luhn's sum of digits before a check digit, one after the other.
    fn luhn_plainly(digits: &[u8]) -> u32 {
        let place = |(at, digit): (usize, &u8)| match u32::from(digit - b'0') {
            digit if at % 2 == 1 => digit,
            digit if digit < 5 => 2 * digit,
            digit => 2 * digit - 9,
        };
        digits.iter().rev().enumerate().map(place).sum()
    }

    fn check(text: &[u8]) {
        let decimal = Decimal::read(text).unwrap();
        assert_eq!(decimal.luhn_sum() % 10, luhn_plainly(text) % 10, "{text:?}");
        let mut spelled = vec![b'x'; text.len()];
        decimal.write_digits(&mut spelled);
        assert_eq!(spelled, text);
        if (1..=18).contains(&text.len()) {
            let (left, right) = text.split_at(text.len() / 2);
            assert_eq!(decimal.halves(text.len()), [plainly(left), plainly(right)], "{text:?}");
            assert_eq!(Decimal::of_halves([plainly(left), plainly(right)], text.len()).0, decimal.0, "{text:?}");
        }
    }

    #[test]
    fn every_length_and_every_digit_in_every_place() {
        for length in 0..=DIGITS_MAX {
            check(&vec![b'0'; length]);
            check(&vec![b'9'; length]);
            for (place, digit) in (0..length).flat_map(|place| (b'1'..=b'9').map(move |digit| (place, digit))) {
                let mut text = vec![b'0'; length];
                text[place] = digit;
                check(&text);
            }
        }
        assert!(Decimal::read(&[b'0'; DIGITS_MAX + 1]).is_none());
    }

    #[test]
    fn every_byte_that_is_no_digit_is_told_in_every_place() {
        for (length, byte) in (1..=DIGITS_MAX).flat_map(|length| (0..=u8::MAX).map(move |byte| (length, byte))) {
            for (place, around) in (0..length).flat_map(|place| [(place, b'0'), (place, b'9')]) {
                let mut text = vec![around; length];
                text[place] = byte;
                assert_eq!(Decimal::read(&text).is_some(), byte.is_ascii_digit(), "{text:?}");
            }
        }
    }

    #[test]
    fn all_fours_and_all_their_multiples() {
        for number in (0..10_000).flat_map(|four| [four, four * 10_000, four * 10_000 + 9_999]) {
            let spelled = format!("{number:08}");
            assert_eq!(digits_of(number) | ZEROS, u64::from_le_bytes(spelled.as_bytes().try_into().unwrap()));
            assert_eq!(number_of(digits_of(number)), number);
        }
    }

    proptest! {
        #[test]
        fn numbers_come_back(text in prop::collection::vec(b'0'..=b'9', 0..=DIGITS_MAX)) {
            check(&text);
        }
    }
}
