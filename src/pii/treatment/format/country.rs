//! The length of a phone number's country code. The code stays in clear, and the digits after it are encrypted.

/// Longest country code, in digits.
pub(super) const COUNTRY_DIGITS_MAX: usize = 3;

/// The number of digits of the country code of an international number, by its first two digits (ITU-T E.164, list of
/// assigned codes).
pub(super) fn country_code_digits(digits: &[u8]) -> Option<usize> {
    let [first, second, ..] = *digits else { return None };
    match (first, second) {
        (b'1' | b'7', _) => Some(1),
        (b'2', b'0' | b'7')
        | (b'3', b'0'..=b'4' | b'6' | b'9')
        | (b'4', b'0' | b'1' | b'3'..=b'9')
        | (b'5', b'1'..=b'8')
        | (b'6', b'0'..=b'6')
        | (b'8', b'1' | b'2' | b'4' | b'6')
        | (b'9', b'0'..=b'5' | b'8') => Some(2),
        (b'2', b'1'..=b'6' | b'9')
        | (b'3', b'5' | b'7' | b'8')
        | (b'4', b'2')
        | (b'5', b'0' | b'9')
        | (b'6', b'7'..=b'9')
        | (b'8', b'0' | b'5' | b'7' | b'8')
        | (b'9', b'6' | b'7' | b'9') => Some(3),
        // Zone 0 and 28, 83 and 89 are not assigned.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_country_code_is_found_by_its_zone() {
        for (number, digits) in [("12", 1), ("79", 1), ("20", 2), ("44", 2), ("49", 2), ("86", 2), ("35", 3), ("97", 3)]
        {
            assert_eq!(country_code_digits(number.as_bytes()), Some(digits), "{number}");
        }
    }
}
