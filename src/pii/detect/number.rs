//! Numbers of JSON, as detectors read them: a card's number stays one without quotes, with an exponent or a fraction of 0.

/// The digits of a number that is a whole one, however it is written: of those alone a number of a card, or of anything
/// else that detectors know, can be made. `None` for one that is too short or too long for any of them.
pub(in crate::pii) fn whole_number(lexeme: &[u8]) -> Option<String> {
    const DIGITS: std::ops::RangeInclusive<usize> = 8..=40;
    let text = std::str::from_utf8(lexeme).ok()?.trim_start_matches('-');
    if text.len() < *DIGITS.start() && !text.contains(['e', 'E']) {
        return None;
    }
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let exponent: i32 = exponent.parse().ok().filter(|exponent| (-80..=80).contains(exponent))?;
    let digits = [whole, fraction].concat();
    let zeros = exponent - i32::try_from(fraction.len()).ok()?;
    let all = if zeros >= 0 {
        digits + &"0".repeat(zeros.unsigned_abs() as usize)
    } else {
        let (kept, cut) = digits.split_at_checked(digits.len().checked_sub(zeros.unsigned_abs() as usize)?)?;
        cut.bytes().all(|digit| digit == b'0').then(|| kept.to_owned())?
    };
    let all = all.trim_start_matches('0');
    DIGITS.contains(&all.len()).then(|| all.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_read_however_they_are_written() {
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
            assert_eq!(whole_number(lexeme.as_bytes()).as_deref(), digits, "{lexeme}");
        }
    }
}
