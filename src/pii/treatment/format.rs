//! Format-preserving encryption of cards, phone numbers and other strings of digits.
//!
//! Only digits change; separators stay in place. A text that is not wholly digits and its format's separators does not fit, and
//! the caller redacts it. What stays in clear (a card's ends, a phone's country code) is the tweak, so equal hidden digits behind
//! different known ones do not show as equal. Deterministic, reversible only with the key, and without integrity.

use super::super::ff1::{DIGITS_MAX, DIGITS_MIN, Ff1Aes256, SHORT_DIGITS_MAX, TWEAK_BYTES_MAX, Way};
use super::super::rewriter::{Kind, Shape, Value};
use super::super::rule::Format;
use super::batch::{LANES, Lane};

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

/// Fewest values that are sooner encrypted side by side than one after the other.
const LANES_WORTH: usize = 3;

/// A format and the cipher for its tweaks.
pub(super) struct FormatCipher {
    format: Format,
    ff1: Ff1Aes256,
}

/// The digits of a value, apart from its separators, and what is encrypted of them.
struct Digits {
    text: [u8; DIGITS_MAX],
    count: usize,
    /// The part that is encrypted.
    from: usize,
    to: usize,
    /// The digits that stay and are known to whoever holds the result.
    tweak: [u8; TWEAK_BYTES_MAX],
    tweak_bytes: usize,
    /// Luhn's sum of a card, before.
    sum: u8,
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
        let mut digits = self.read(value.text, if number { b"" } else { separators(self.format) })?;
        if number && (digits.count <= DIGITS_MIN || digits.text[0] == b'0') {
            return None;
        }
        self.weigh(&mut digits);
        loop {
            self.ff1.permute_all(way, [digits.lane()]);
            self.balance(&mut digits);
            // Walking the cycle until the result is a number again keeps the map one to one; it starts on one, so it ends.
            if !number || digits.text[0] != b'0' {
                break;
            }
        }
        let start = out.len();
        out.extend_from_slice(value.text);
        digits.put_back(&mut out[start..]);
        Some(if number { Shape::Literal } else { Shape::Text })
    }

    /// Appends a text of the value's shape, which [`FormatCipher::encrypt_all`] will fill; `None`, with nothing appended,
    /// when the value does not fit or is too long to be encrypted side by side with others.
    pub(super) fn make_room(&self, text: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let digits = self.read(text, separators(self.format))?;
        if digits.to - digits.from > SHORT_DIGITS_MAX {
            return None;
        }
        out.extend(text.iter().map(|byte| if byte.is_ascii_digit() { b'0' } else { *byte }));
        Some(())
    }

    /// Encrypts several values side by side, each into its room.
    pub(super) fn encrypt_all(&self, lanes: &[Lane], out: &mut [u8]) {
        if lanes.len() < LANES_WORTH {
            return lanes.iter().for_each(|lane| self.encrypt_some([lane], out));
        }
        // The first stands in for those that are missing.
        let all = std::array::from_fn(|at| lanes.get(at).unwrap_or(&lanes[0]));
        self.encrypt_some::<LANES>(all, out);
    }

    fn encrypt_some<const N: usize>(&self, lanes: [&Lane; N], out: &mut [u8]) {
        let read = lanes.map(|lane| self.read(lane.text(), separators(self.format)));
        // All of them had room made, so none is missing.
        let mut all = read.map(|digits| digits.unwrap_or(Digits::EMPTY));
        all.iter_mut().for_each(|digits| self.weigh(digits));
        self.ff1.permute_all(Way::Encrypt, all.each_mut().map(Digits::lane));
        for (mut digits, lane) in all.into_iter().zip(lanes) {
            self.balance(&mut digits);
            digits.put_back(lane.room(0, out));
        }
    }

    /// The digits of a text, if they are a value of the format.
    fn read(&self, text: &[u8], separators: &[u8]) -> Option<Digits> {
        let mut digits = Digits::gather(text, separators)?;
        match self.format {
            Format::Digits => digits.to = digits.count,
            Format::Card { keep_first, keep_last } => digits.part_of_card([keep_first, keep_last].map(usize::from))?,
            Format::Phone => digits.part_of_phone(text.first() == Some(&b'+'))?,
        }
        self.ff1.fits(digits.tweak_bytes, digits.to - digits.from).then_some(digits)
    }

    /// Notes a card's sum by Luhn's rule, which its check digit is to restore.
    fn weigh(&self, digits: &mut Digits) {
        if matches!(self.format, Format::Card { .. }) {
            digits.sum = luhn_sum(&digits.text[..digits.count]);
        }
    }

    /// Lets a card's check digit restore Luhn's sum: a valid card stays valid, an invalid one invalid.
    fn balance(&self, digits: &mut Digits) {
        if !matches!(self.format, Format::Card { .. }) {
            return;
        }
        let (all, at) = (&mut digits.text[..digits.count], digits.to);
        all[at] = b'0';
        let missing = (digits.sum + 10 - luhn_sum(all)) % 10;
        let doubled = (all.len() - 1 - at) % 2 == 1;
        all[at] += if doubled { UNDOUBLED[usize::from(missing)] } else { missing };
    }
}

impl Digits {
    const EMPTY: Self = Self {
        text: [b'0'; DIGITS_MAX],
        count: DIGITS_MIN,
        from: 0,
        to: DIGITS_MIN,
        tweak: [0; TWEAK_BYTES_MAX],
        tweak_bytes: 0,
        sum: 0,
    };

    fn gather(text: &[u8], separators: &[u8]) -> Option<Self> {
        let mut digits = Self { count: 0, to: 0, ..Self::EMPTY };
        if let Some(room) = digits.text.get_mut(..text.len())
            && text.iter().all(u8::is_ascii_digit)
        {
            room.copy_from_slice(text);
            digits.count = text.len();
            return Some(digits);
        }
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

    /// All hidden digits of a card but the last, which is its check digit or stands in for it.
    fn part_of_card(&mut self, [keep_first, keep_last]: [usize; 2]) -> Option<()> {
        if !CARD_DIGITS.contains(&self.count) {
            return None;
        }
        (self.from, self.to) = (keep_first, self.count - keep_last - 1);
        let (first, last) = (&self.text[..keep_first], &self.text[self.to + 1..self.count]);
        self.tweak[..keep_first].copy_from_slice(first);
        self.tweak[keep_first..keep_first + keep_last].copy_from_slice(last);
        self.tweak_bytes = keep_first + keep_last;
        Some(())
    }

    fn part_of_phone(&mut self, international: bool) -> Option<()> {
        let country = if international { country_code_digits(&self.text[..self.count])? } else { 0 };
        (self.from, self.to, self.tweak_bytes) = (country, self.count, COUNTRY_BYTES);
        self.tweak[..country].copy_from_slice(&self.text[..country]);
        (self.count <= PHONE_DIGITS_MAX && self.count >= country + NATIONAL_DIGITS_MIN).then_some(())
    }

    /// The tweak, and the part that is encrypted.
    fn lane(&mut self) -> (&[u8], &mut [u8]) {
        (&self.tweak[..self.tweak_bytes], &mut self.text[self.from..self.to])
    }

    /// Puts the digits where there are digits.
    fn put_back(&self, into: &mut [u8]) {
        let digits = &self.text[..self.count];
        if into.len() == digits.len() {
            return into.copy_from_slice(digits);
        }
        let places = into.iter_mut().filter(|byte| byte.is_ascii_digit());
        places.zip(digits).for_each(|(place, digit)| *place = *digit);
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
        for text in ["123456", "-12345678", "1234567.5", "1e10", "01234567"] {
            assert_eq!(check(Format::Digits, Kind::Number, text), None, "{text}");
        }
        assert_eq!(check(FIRST, Kind::Number, "0111111111111111"), None, "its first digit would stay 0 for ever");
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
