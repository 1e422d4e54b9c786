//! Numbers of JSON, as detectors read them: a card number without quotes is found also with an exponent or a fraction
//! of 0.

/// Most digits of a whole number that detectors read.
const DIGITS_MAX: usize = 40;
/// Fewest digits of a whole number that detectors read.
const DIGITS_MIN: usize = 8;

/// The digits of a whole number, on the stack: detectors read every number of a body, so that an allocation would be
/// slow.
#[derive(Debug)]
pub(in crate::pii) struct WholeNumber {
    digits: [u8; DIGITS_MAX],
    count: usize,
}

impl WholeNumber {
    pub(in crate::pii) fn as_bytes(&self) -> &[u8] {
        &self.digits[..self.count]
    }
}

/// The digits of a whole number, however it is written, without its sign. `None` for a number with a fraction, and for
/// one that is too short or too long for anything that detectors find.
pub(in crate::pii) fn whole_number(lexeme: &[u8]) -> Option<WholeNumber> {
    let text = std::str::from_utf8(lexeme).ok()?.trim_start_matches('-');
    if text.len() < DIGITS_MIN && !text.contains(['e', 'E']) {
        return None;
    }
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let exponent: i32 = exponent.parse().ok().filter(|exponent| (-80..=80).contains(exponent))?;
    let zeros = exponent - i32::try_from(fraction.len()).ok()?;
    let written = || whole.bytes().chain(fraction.bytes());
    let cut = if zeros < 0 { zeros.unsigned_abs() as usize } else { 0 };
    let kept = (whole.len() + fraction.len()).checked_sub(cut)?;
    if written().skip(kept).any(|digit| digit != b'0') {
        return None;
    }
    let behind = std::iter::repeat_n(b'0', usize::try_from(zeros).unwrap_or(0));
    let mut number = WholeNumber { digits: [0; DIGITS_MAX], count: 0 };
    for digit in written().take(kept).chain(behind).skip_while(|digit| *digit == b'0') {
        *number.digits.get_mut(number.count)? = digit;
        number.count += 1;
    }
    (number.count >= DIGITS_MIN).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_of_a_whole_number_are_read_however_it_is_written() {
        for (lexeme, digits) in [
            ("4111111111111111", Some("4111111111111111")),
            ("-4111111111111111", Some("4111111111111111")),
            ("4.111111111111111e15", Some("4111111111111111")),
            ("4.111111111111111E+15", Some("4111111111111111")),
            ("4111111111111111.000", Some("4111111111111111")),
            ("41111111111111110e-1", Some("4111111111111111")),
            ("0.4111111111111111e16", Some("4111111111111111")),
            ("4111111111111111.5", None),
            ("41111111111111115e-1", None),
            ("1e400", None),
            ("1e99999999999", None),
            ("0", None),
            ("0e30", None),
            ("1e-30", None),
            ("1234567", None),
        ] {
            let found = whole_number(lexeme.as_bytes());
            assert_eq!(found.as_ref().map(WholeNumber::as_bytes), digits.map(str::as_bytes), "{lexeme}");
        }
    }
}
