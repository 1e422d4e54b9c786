//! Converts strings of decimal digits to numbers and back, eight digits to a machine word.
//!
//! Reading, writing and summing one digit at a time would take as long as encrypting them. There is no branch and no
//! table look-up that depends on a digit, so that the time tells nothing about the digits.

/// Most digits of a [`Decimal`].
const DIGITS_MAX: usize = 24;
const EIGHT_DIGITS: u64 = 100_000_000;
const NINE_DIGITS: u64 = 1_000_000_000;
/// Eight times the character 0.
const ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);

/// The values of up to 24 digits, one in a byte, aligned to the right: the last digit is the highest byte of the last
/// word.
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

    /// Reads a text that is known to have digits alone; `None` for more than 24.
    #[inline(always)]
    pub(in crate::pii) fn load(text: &[u8]) -> Option<Self> {
        let Some((first, last)) = text.first_chunk().zip(text.last_chunk()) else {
            let word = text.iter().fold(0, |word, byte| word >> 8 | u64::from(byte ^ b'0') << 56);
            return Some(Self([0, 0, word]));
        };
        let [first, last] = [first, last].map(|eight| u64::from_le_bytes(*eight) ^ ZEROS);
        // Shift out the digits that the first eight and the last eight have in common. In two steps, because a shift by
        // 64 bits is not defined.
        if let Some(common) = 16_usize.checked_sub(text.len()) {
            return Some(Self([0, first << (4 * common) << (4 * common), last]));
        }
        let common = DIGITS_MAX.checked_sub(text.len())?;
        let middle = u64::from_le_bytes(*text[..text.len() - 8].last_chunk()?) ^ ZEROS;
        Some(Self([first << (8 * common), middle, last]))
    }

    /// The two halves of the last `digits` digits, at most 18, as numbers. The right half of an odd count is longer by
    /// one.
    #[inline(always)]
    pub(super) fn halves(&self, digits: usize) -> [u64; 2] {
        let [first, middle, last] = self.0;
        if digits > 16 {
            let number = (number_of(first) * EIGHT_DIGITS + number_of(middle)) * EIGHT_DIGITS + number_of(last);
            return [number / NINE_DIGITS, number % NINE_DIGITS];
        }
        // Shift the left half to the end of a word, where the right half already is.
        let left_over = 8 * (8 - digits.div_ceil(2));
        let left = middle >> left_over | last << (63 - left_over) << 1;
        [number_of(left), number_of(last >> left_over << left_over)]
    }

    /// The inverse of [`Decimal::halves`]: the digits of two halves, `digits` in all, at most 18.
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

    /// Writes the last digits, as many as `out` is long, at most 24.
    #[inline(always)]
    pub(in crate::pii) fn write_digits(&self, out: &mut [u8]) {
        let [_, middle, last] = self.0;
        let positions = out.len();
        if positions < 8 {
            let bytes = (last | ZEROS).to_le_bytes();
            return out.iter_mut().rev().zip(bytes.into_iter().rev()).for_each(|(position, byte)| *position = byte);
        }
        if positions < 16 {
            let (above, below) = (4 * (16 - positions as u32), 8 * (positions as u32 - 8));
            let first = middle >> above >> above | last << below;
            out.first_chunk_mut().into_iter().for_each(|eight| *eight = (first | ZEROS).to_le_bytes());
        } else {
            let (above, sixteen) = out.split_at_mut(positions - 16);
            sixteen.first_chunk_mut().into_iter().for_each(|eight| *eight = (middle | ZEROS).to_le_bytes());
            let bytes = (self.0[0] | ZEROS).to_le_bytes();
            above.iter_mut().rev().zip(bytes.into_iter().rev()).for_each(|(position, byte)| *position = byte);
        }
        out.last_chunk_mut().into_iter().for_each(|eight| *eight = (last | ZEROS).to_le_bytes());
    }

    /// The sum of the digits by the Luhn rule (ISO/IEC 7812-1 annex B), as of the digits before a check digit: the last
    /// one and every second before it is doubled. Equal to that sum modulo ten.
    #[inline(always)]
    pub(in crate::pii) fn luhn_sum(&self) -> u32 {
        const EVERY_SECOND: u64 = 0x00ff_00ff_00ff_00ff;
        let sums = self.0.iter().fold(0, |sums, word| {
            let (once, twice) = (word & EVERY_SECOND, word >> 8 & EVERY_SECOND);
            // A doubled digit above 9 counts by the sum of its two digits, which is 9 less: modulo ten, one more.
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
    // First the pairs, each in the byte of its first digit; then each group of four by one multiplication.
    let pairs = digits * 10 + (digits >> 8);
    let first = (pairs & EVERY_FOURTH).wrapping_mul(100 + (1_000_000 << 32));
    let second = (pairs >> 16 & EVERY_FOURTH).wrapping_mul(1 + (10_000 << 32));
    first.wrapping_add(second) >> 32
}

/// The digits of a number below 10^8, the first one in the lowest byte: split in two three times, the upper part always
/// into the lower half of its bits.
#[inline(always)]
const fn digits_of(number: u64) -> u64 {
    // The factors are 2^40 / 10^4, 2^20 / 10^2 and 2^10 / 10, rounded up: the quotients are exact for numbers this
    // small.
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

    /// The reference: a number, one digit at a time.
    fn number_reference(digits: &[u8]) -> u64 {
        digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
    }

    /// The reference: the Luhn sum of the digits before a check digit, one digit at a time.
    fn luhn_reference(digits: &[u8]) -> u32 {
        let position = |(at, digit): (usize, &u8)| match u32::from(digit - b'0') {
            digit if at % 2 == 1 => digit,
            digit if digit < 5 => 2 * digit,
            digit => 2 * digit - 9,
        };
        digits.iter().rev().enumerate().map(position).sum()
    }

    fn check(text: &[u8]) {
        let decimal = Decimal::read(text).unwrap();
        assert_eq!(decimal.luhn_sum() % 10, luhn_reference(text) % 10, "{text:?}");
        let mut written = vec![b'x'; text.len()];
        decimal.write_digits(&mut written);
        assert_eq!(written, text);
        if (1..=18).contains(&text.len()) {
            let (left, right) = text.split_at(text.len() / 2);
            assert_eq!(decimal.halves(text.len()), [number_reference(left), number_reference(right)], "{text:?}");
            assert_eq!(
                Decimal::of_halves([number_reference(left), number_reference(right)], text.len()).0,
                decimal.0,
                "{text:?}"
            );
        }
    }

    #[test]
    fn strings_of_every_length_with_each_digit_at_each_position_are_read_and_written() {
        for length in 0..=DIGITS_MAX {
            check(&vec![b'0'; length]);
            check(&vec![b'9'; length]);
            for (position, digit) in (0..length).flat_map(|position| (b'1'..=b'9').map(move |digit| (position, digit)))
            {
                let mut text = vec![b'0'; length];
                text[position] = digit;
                check(&text);
            }
        }
        assert!(Decimal::read(&[b'0'; DIGITS_MAX + 1]).is_none());
    }

    #[test]
    fn a_byte_that_is_no_digit_is_refused_at_each_position() {
        for (length, byte) in (1..=DIGITS_MAX).flat_map(|length| (0..=u8::MAX).map(move |byte| (length, byte))) {
            for (position, around) in (0..length).flat_map(|position| [(position, b'0'), (position, b'9')]) {
                let mut text = vec![around; length];
                text[position] = byte;
                assert_eq!(Decimal::read(&text).is_some(), byte.is_ascii_digit(), "{text:?}");
            }
        }
    }

    #[test]
    fn each_group_of_four_digits_is_converted_in_both_halves_of_a_word() {
        for number in (0..10_000).flat_map(|four| [four, four * 10_000, four * 10_000 + 9_999]) {
            let spelled = format!("{number:08}");
            assert_eq!(digits_of(number) | ZEROS, u64::from_le_bytes(spelled.as_bytes().try_into().unwrap()));
            assert_eq!(number_of(digits_of(number)), number);
        }
    }

    proptest! {
        #[test]
        fn digits_that_are_read_are_written_again(text in prop::collection::vec(b'0'..=b'9', 0..=DIGITS_MAX)) {
            check(&text);
        }
    }
}
