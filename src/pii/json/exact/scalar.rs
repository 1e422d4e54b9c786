//! Numbers and the keywords `true`, `false` and `null`, byte by byte (RFC 8259 sections 3 and 6).

/// Which part of a number the last byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pii::json) enum NumberState {
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
}

impl NumberState {
    /// The state after a number's first byte: a minus or a digit.
    pub(super) const fn start(byte: u8) -> Self {
        match byte {
            b'-' => Self::Minus,
            b'0' => Self::Zero,
            _ => Self::Integer,
        }
    }

    /// The state after one more byte; `None` when a number cannot go on with this byte.
    #[inline]
    pub(super) const fn step(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Minus, b'0') => Self::Zero,
            (Self::Minus, b'1'..=b'9') | (Self::Integer, b'0'..=b'9') => Self::Integer,
            (Self::Zero | Self::Integer, b'.') => Self::Point,
            (Self::Point | Self::Fraction, b'0'..=b'9') => Self::Fraction,
            (Self::Zero | Self::Integer | Self::Fraction, b'e' | b'E') => Self::Exponent,
            (Self::Exponent, b'+' | b'-') => Self::ExponentSign,
            (Self::Exponent | Self::ExponentSign | Self::ExponentDigits, b'0'..=b'9') => Self::ExponentDigits,
            _ => return None,
        })
    }

    /// Whether the number may end here.
    pub(super) const fn may_end(self) -> bool {
        matches!(self, Self::Zero | Self::Integer | Self::Fraction | Self::ExponentDigits)
    }
}

/// The keyword that begins with this byte.
pub(super) const fn keyword(first: u8) -> Option<&'static [u8]> {
    match first {
        b't' => Some(b"true"),
        b'f' => Some(b"false"),
        b'n' => Some(b"null"),
        _ => None,
    }
}

/// Whether this is one whole number, `true`, `false` or `null`.
pub(in crate::pii::json) fn is_literal(text: &[u8]) -> bool {
    let Some((first, rest)) = text.split_first() else { return false };
    if let Some(word) = keyword(*first) {
        return text == word;
    }
    let begins = *first == b'-' || first.is_ascii_digit();
    let end = rest.iter().try_fold(NumberState::start(*first), |number, byte| number.step(*byte));
    begins && end.is_some_and(NumberState::may_end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_and_keywords_are_literals() {
        for good in [
            "0",
            "-0",
            "10",
            "1.5",
            "-0.01e-10",
            "1E5",
            "1e+05",
            "true",
            "false",
            "null",
            "123456789012345678901234567890",
        ] {
            assert!(is_literal(good.as_bytes()), "{good}");
        }
        for bad in [
            "", "-", "01", "-01", "1.", ".5", "1e", "1e+", "1.e1", "+1", "0x1", "NaN", "Infinity", "tru", "True",
            "nulls", "1 ", "1.2.3", "--1",
        ] {
            assert!(!is_literal(bad.as_bytes()), "{bad}");
        }
    }
}
