//! Format-preserving encryption of cards, phone numbers and other strings of digits.
//!
//! Only digits change; separators stay in place. A text that is not wholly digits and its format's separators does not fit, and
//! the caller redacts it. What stays in clear (a card's ends, a phone's country code) is the tweak, so equal hidden digits behind
//! different known ones do not show as equal. Deterministic, reversible only with the key, and without integrity.

use super::super::ff1::{DIGITS_MAX, DIGITS_MIN, Ff1Aes256, Way};
use super::super::rewriter::{Kind, Shape, Value};
use super::super::rule::Format;

/// Digits that a card can have (ISO/IEC 7812-1 allows up to 19; none in use has fewer than 12).
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 12..=19;
/// Most digits of a phone number (ITU-T E.164).
const PHONE_DIGITS_MAX: usize = 15;
/// Fewest digits after the country code.
const NATIONAL_DIGITS_MIN: usize = 7;
/// Room for a country code.
const COUNTRY_BYTES: usize = 3;
/// The digit that contributes 0 to 9 where Luhn's rule doubles.
const UNDOUBLED: [u8; 10] = [0, 5, 1, 6, 2, 7, 3, 8, 4, 9];

/// A format and the cipher for its tweaks.
pub(super) struct FormatCipher {
    format: Format,
    ff1: Ff1Aes256,
}

/// The digits of a value, apart from its separators.
struct Digits {
    text: [u8; DIGITS_MAX],
    count: usize,
}

impl FormatCipher {
    pub(super) fn new(format: Format, key: &[u8; 32]) -> Self {
        let tweak_bytes = match format {
            Format::Digits => 0,
            Format::Card { keep_first, keep_last } => usize::from(keep_first + keep_last),
            Format::Phone => COUNTRY_BYTES,
        };
        Self { format, ff1: Ff1Aes256::new(key, tweak_bytes) }
    }

    /// Appends the value with its digits replaced, or restored; `None`, with nothing appended, when it does not fit.
    ///
    /// A number stays one: as many digits, the first never 0.
    pub(super) fn apply(&self, way: Way, value: Value<'_>, out: &mut Vec<u8>) -> Option<Shape> {
        let number = value.kind == Kind::Number;
        let mut digits = Digits::gather(value.text, if number { b"" } else { separators(self.format) })?;
        if number && digits.count <= DIGITS_MIN {
            return None;
        }
        let plus = value.text.first() == Some(&b'+');
        loop {
            self.permute(way, digits.as_mut(), plus)?;
            // Walking the cycle until the result is a number again keeps the map one to one; it starts on one, so it ends.
            if !number || digits.text[0] != b'0' {
                break;
            }
        }
        digits.put_back(value.text, out);
        Some(if number { Shape::Literal } else { Shape::Text })
    }

    fn permute(&self, way: Way, digits: &mut [u8], plus: bool) -> Option<()> {
        let done = match self.format {
            Format::Digits => self.ff1.permute(way, &[], digits),
            Format::Card { keep_first, keep_last } => {
                self.permute_card(way, digits, [keep_first, keep_last].map(usize::from))
            }
            Format::Phone => self.permute_phone(way, digits, plus),
        };
        done.then_some(())
    }

    /// Permutes all hidden digits but the last, which then restores Luhn's sum: a valid card stays valid, an invalid one invalid.
    fn permute_card(&self, way: Way, digits: &mut [u8], [keep_first, keep_last]: [usize; 2]) -> bool {
        if !CARD_DIGITS.contains(&digits.len()) {
            return false;
        }
        let balance = digits.len() - keep_last - 1;
        let mut tweak = [0; 10];
        tweak[..keep_first].copy_from_slice(&digits[..keep_first]);
        tweak[keep_first..keep_first + keep_last].copy_from_slice(&digits[balance + 1..]);
        let sum = luhn_sum(digits);
        if !self.ff1.permute(way, &tweak[..keep_first + keep_last], &mut digits[keep_first..balance]) {
            return false;
        }
        digits[balance] = b'0';
        let missing = (sum + 10 - luhn_sum(digits)) % 10;
        let doubled = (digits.len() - 1 - balance) % 2 == 1;
        digits[balance] += if doubled { UNDOUBLED[usize::from(missing)] } else { missing };
        true
    }

    fn permute_phone(&self, way: Way, digits: &mut [u8], plus: bool) -> bool {
        let country = if plus { country_code_digits(digits) } else { Some(0) };
        let Some(country) =
            country.filter(|country| digits.len() <= PHONE_DIGITS_MAX && digits.len() >= country + NATIONAL_DIGITS_MIN)
        else {
            return false;
        };
        let (code, national) = digits.split_at_mut(country);
        let mut tweak = [0; COUNTRY_BYTES];
        tweak[..country].copy_from_slice(code);
        self.ff1.permute(way, &tweak, national)
    }
}

impl Digits {
    fn gather(text: &[u8], separators: &[u8]) -> Option<Self> {
        let mut digits = Self { text: [0; DIGITS_MAX], count: 0 };
        for (at, byte) in text.iter().enumerate() {
            if byte.is_ascii_digit() {
                *digits.text.get_mut(digits.count)? = *byte;
                digits.count += 1;
            } else if !(separators.contains(byte) && (*byte != b'+' || at == 0)) {
                return None;
            }
        }
        Some(digits)
    }

    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.text[..self.count]
    }

    fn put_back(&self, pattern: &[u8], out: &mut Vec<u8>) {
        let digits = &self.text[..self.count];
        if pattern.len() == digits.len() {
            return out.extend_from_slice(digits);
        }
        let mut next = digits.iter().copied();
        let replace = |byte: &u8| if byte.is_ascii_digit() { next.next().unwrap_or(*byte) } else { *byte };
        out.extend(pattern.iter().map(replace));
    }
}

const fn separators(format: Format) -> &'static [u8] {
    match format {
        Format::Card { .. } => b" -",
        Format::Digits => b" -./",
        Format::Phone => b" -./()+",
    }
}

/// The sum of Luhn's rule (ISO/IEC 7812-1 annex B), modulo ten: 0 for a valid card.
fn luhn_sum(digits: &[u8]) -> u8 {
    let sum = digits.iter().rev().enumerate().fold(0_u32, |sum, (place, digit)| {
        let digit = u32::from(digit - b'0');
        let doubled = if digit < 5 { digit * 2 } else { digit * 2 - 9 };
        sum + if place % 2 == 1 { doubled } else { digit }
    });
    (sum % 10) as u8
}

/// Digits of the country code that an international number begins with: the first two tell (ITU-T E.164, list of assigned codes).
fn country_code_digits(digits: &[u8]) -> Option<usize> {
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
    use proptest::prelude::*;

    use super::*;

    const CARD: Format = Format::Card { keep_first: 0, keep_last: 0 };
    const FIRST: Format = Format::Card { keep_first: 6, keep_last: 0 };
    const LAST: Format = Format::Card { keep_first: 0, keep_last: 4 };

    /// Encrypts, and sees to it that what comes out decrypts.
    fn check(format: Format, kind: Kind, text: &str) -> Option<String> {
        let mut out = b"x".to_vec();
        let cipher = FormatCipher::new(format, &[7; 32]);
        let shape = cipher.apply(Way::Encrypt, Value { kind, text: text.as_bytes() }, &mut out);
        if shape.is_none() {
            assert_eq!(out, b"x", "what does not fit leaves nothing");
        }
        let wanted = if kind == Kind::Number { Shape::Literal } else { Shape::Text };
        shape.map(|shape| {
            let mut restored = Vec::new();
            assert_eq!(cipher.apply(Way::Decrypt, Value { kind, text: &out[1..] }, &mut restored), Some(shape));
            assert_eq!((std::str::from_utf8(&restored), shape), (Ok(text), wanted));
            String::from_utf8(out[1..].to_vec()).unwrap()
        })
    }

    fn shape_of(text: &str) -> String {
        text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect()
    }

    #[test]
    fn only_digits_change() {
        for (format, text, kept_first, kept_last) in [
            (CARD, "4111 1111 1111 1111", 0, 0),
            (CARD, "3782-822463-10005", 0, 0),
            (FIRST, "4111-1111-1111-1111", 7, 0),
            (LAST, "4111 1111 1111 1111", 0, 4),
            (Format::Phone, "+49 (151) 234-567.89", 3, 0),
            (Format::Phone, "+1 212 555 0100", 2, 0),
            (Format::Phone, "+353 1 234 5678", 4, 0),
            (Format::Phone, "(212) 555-0100", 0, 0),
            (Format::Digits, "123-45-6789", 0, 0),
            (Format::Digits, "12/34/56", 0, 0),
        ] {
            let sealed = check(format, Kind::String, text).expect(text);
            assert_ne!(sealed, text);
            assert_eq!(shape_of(&sealed), shape_of(text));
            assert_eq!(sealed[..kept_first], text[..kept_first], "{text}");
            assert_eq!(sealed[sealed.len() - kept_last..], text[text.len() - kept_last..], "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_is_not_passed() {
        for (format, text) in [
            (CARD, "41111111111"),
            (CARD, "41111111111111111111"),
            (CARD, "4111.1111.1111.1111"),
            (CARD, "visa 4111111111111111"),
            (CARD, "４１１１１１１１１１１１１１１１"),
            (FIRST, "411111111111"),
            (Format::Phone, "+49 123456"),
            (Format::Phone, "+0 123456789"),
            (Format::Phone, "+28 123456789"),
            (Format::Phone, "123456"),
            (Format::Phone, "+1234567890123456"),
            (Format::Phone, "49+1512345678"),
            (Format::Phone, "+1 212 555 0100 x12"),
            (Format::Digits, "12345"),
            (Format::Digits, "A1234567"),
            (Format::Digits, ""),
            (Format::Digits, &"1".repeat(37)),
        ] {
            assert_eq!(check(format, Kind::String, text), None, "{text}");
        }
        for text in ["123456", "-12345678", "1234567.5", "1e10"] {
            assert_eq!(check(Format::Digits, Kind::Number, text), None, "{text}");
        }
    }

    #[test]
    fn a_country_code_is_found_by_its_zone() {
        for (number, digits) in [("12", 1), ("79", 1), ("20", 2), ("44", 2), ("49", 2), ("86", 2), ("35", 3), ("97", 3)]
        {
            assert_eq!(country_code_digits(number.as_bytes()), Some(digits), "{number}");
        }
    }

    #[test]
    fn known_cards_pass_luhn() {
        for card in ["4111111111111111", "378282246310005", "6011111111111117", "5555555555554444"] {
            assert_eq!(luhn_sum(card.as_bytes()), 0, "{card}");
        }
        assert_ne!(luhn_sum(b"4111111111111112"), 0);
    }

    proptest! {
        #[test]
        fn luhn_validity_is_kept(card in "[0-9]{13,19}", format in prop::sample::select(vec![CARD, FIRST, LAST])) {
            let sealed = check(format, Kind::String, &card).unwrap();
            prop_assert_eq!(luhn_sum(sealed.as_bytes()), luhn_sum(card.as_bytes()));
        }

        #[test]
        fn a_number_stays_a_number(number in "[1-9][0-9]{6,17}") {
            let sealed = check(Format::Digits, Kind::Number, &number).unwrap();
            prop_assert_eq!(sealed.len(), number.len());
            prop_assert!(!sealed.starts_with('0'));
        }
    }

    #[test]
    fn no_two_values_become_one() {
        for (format, kind) in
            [(CARD, Kind::String), (LAST, Kind::String), (CARD, Kind::Number), (Format::Digits, Kind::Number)]
        {
            let sealed: std::collections::BTreeSet<_> =
                (0..2000).map(|i| check(format, kind, &(4_111_111_111_110_000_u64 + i).to_string()).unwrap()).collect();
            assert_eq!(sealed.len(), 2000, "{format:?} {kind:?}");
        }
    }
}
