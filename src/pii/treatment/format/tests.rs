//! Format-preserving encryption: by example, by property, and compared with a plain implementation.

use fpe::ff1::{FF1, FlexibleNumeralString};
use proptest::prelude::*;

use super::*;

const CARD: DigitFormat = DigitFormat::Card { keep_first: 0, keep_last: 0 };
const FIRST: DigitFormat = DigitFormat::Card { keep_first: 6, keep_last: 0 };
const LAST: DigitFormat = DigitFormat::Card { keep_first: 0, keep_last: 4 };
const FORMATS: [DigitFormat; 5] = [DigitFormat::Digits, CARD, FIRST, LAST, DigitFormat::Phone];

/// Encrypts, and checks that the result decrypts.
fn check(format: DigitFormat, kind: ValueKind, text: &str) -> Option<String> {
    let mut out = b"x".to_vec();
    let cipher = FormatCipher::new(format, &[7; 32]);
    let shape = cipher.apply(CipherDirection::Encrypt, SelectedValue { kind, text: text.as_bytes() }, &mut out);
    if shape.is_none() {
        assert_eq!(out, b"x", "a value that does not fit appends nothing");
    }
    let wanted = if kind == ValueKind::Number { Replacement::Literal } else { Replacement::Text };
    shape.map(|shape| {
        let mut restored = Vec::new();
        assert_eq!(
            cipher.apply(CipherDirection::Decrypt, SelectedValue { kind, text: &out[1..] }, &mut restored),
            Some(shape)
        );
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
        (DigitFormat::Phone, "+49 (151) 234-567.89", 3, 0),
        (DigitFormat::Phone, "+1 212 555 0100", 2, 0),
        (DigitFormat::Phone, "+353 1 234 5678", 4, 0),
        (DigitFormat::Phone, "(212) 555-0100", 0, 0),
        (DigitFormat::Digits, "123-45-6789", 0, 0),
        (DigitFormat::Digits, "12/34/56", 0, 0),
    ] {
        let sealed = check(format, ValueKind::String, text).expect(text);
        assert_ne!(sealed, text);
        assert_eq!(shape_of(&sealed), shape_of(text));
        assert_eq!(sealed[..kept_first], text[..kept_first], "{text}");
        assert_eq!(sealed[sealed.len() - kept_last..], text[text.len() - kept_last..], "{text}");
    }
}

#[test]
fn a_text_that_does_not_fit_its_format_has_no_result() {
    for (format, text) in [
        (CARD, "41111111111"),
        (CARD, "41111111111111111111"),
        (CARD, "4111.1111.1111.1111"),
        (CARD, "visa 4111111111111111"),
        (CARD, "４１１１１１１１１１１１１１１１"),
        (FIRST, "411111111111"),
        (DigitFormat::Phone, "+49 123456"),
        (DigitFormat::Phone, "+0 123456789"),
        (DigitFormat::Phone, "+28 123456789"),
        (DigitFormat::Phone, "123456"),
        (DigitFormat::Phone, "+1234567890123456"),
        (DigitFormat::Phone, "49+1512345678"),
        (DigitFormat::Phone, "+1 212 555 0100 x12"),
        (DigitFormat::Digits, "12345"),
        (DigitFormat::Digits, "A1234567"),
        (DigitFormat::Digits, ""),
        (DigitFormat::Digits, &"1".repeat(37)),
    ] {
        assert_eq!(check(format, ValueKind::String, text), None, "{text}");
    }
    for text in ["123456", "-12345678", "1234567.5", "1e10", "01234567"] {
        assert_eq!(check(DigitFormat::Digits, ValueKind::Number, text), None, "{text}");
    }
    assert_eq!(check(FIRST, ValueKind::Number, "0111111111111111"), None, "its first digit would always stay 0");
}

/// The sum of Luhn's rule (ISO/IEC 7812-1 annex B), modulo ten: 0 for a valid card.
fn luhn_sum(digits: &[u8]) -> u32 {
    let sum = digits.iter().rev().enumerate().fold(0, |sum, (place, digit)| {
        let digit = u32::from(digit - b'0');
        let doubled = if digit < 5 { digit * 2 } else { digit * 2 - 9 };
        sum + if place % 2 == 1 { doubled } else { digit }
    });
    sum % 10
}

#[test]
fn known_cards_pass_luhn() {
    for card in ["4111111111111111", "378282246310005", "6011111111111117", "5555555555554444"] {
        assert_eq!(luhn_sum(card.as_bytes()), 0, "{card}");
    }
    assert_ne!(luhn_sum(b"4111111111111112"), 0);
}

/// The reference: encrypts a string with the `fpe` crate, one digit at a time.
fn reference(format: DigitFormat, text: &str) -> Option<String> {
    let fits = |c: char| c.is_ascii_digit() || separators(format).contains(&(c as u8)) && c.is_ascii();
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_digit).collect();
    if !text.chars().all(fits) || text.rfind('+').is_some_and(|at| at > 0) || digits.len() > 36 {
        return None;
    }
    let (from, to, mut tweak) = match format {
        DigitFormat::Digits => (0, digits.len(), vec![]),
        DigitFormat::Card { keep_first, keep_last } => {
            let (from, last) = (usize::from(keep_first), digits.len().checked_sub(keep_last.into())?);
            let check = CARD_DIGITS.contains(&digits.len()).then(|| last - 1)?;
            (from, check, [&digits[..from], &digits[last..]].concat())
        }
        DigitFormat::Phone => {
            let from = if text.starts_with('+') { country_code_digits(&digits)? } else { 0 };
            if digits.len() > 15 || digits.len() < from + 7 {
                return None;
            }
            (from, digits.len(), digits[..from].to_vec())
        }
    };
    if format == DigitFormat::Phone {
        tweak.resize(3, 0);
    }
    let hidden = digits.get(from..to).filter(|hidden| hidden.len() >= 6)?;
    let numerals: Vec<u16> = hidden.iter().map(|digit| u16::from(digit - b'0')).collect();
    let ff1 = FF1::<aes::Aes256>::new(&[7; 32], 10).unwrap();
    let sealed = ff1.encrypt(&tweak, &FlexibleNumeralString::from(numerals)).unwrap();
    let mut all = digits.clone();
    all[from..to].iter_mut().zip(Vec::<u16>::from(sealed)).for_each(|(to, digit)| *to = b'0' + digit as u8);
    if let DigitFormat::Card { .. } = format {
        all[to] = (b'0'..=b'9')
            .find(|check| luhn_sum(&[&all[..to], &[*check], &all[to + 1..]].concat()) == luhn_sum(&digits))
            .unwrap();
    }
    let mut all = all.into_iter();
    Some(text.bytes().map(|byte| char::from(if byte.is_ascii_digit() { all.next().unwrap() } else { byte })).collect())
}

fn check_against_the_reference(format: DigitFormat, text: &str) {
    assert_eq!(check(format, ValueKind::String, text), reference(format, text), "{format:?} {text}");
}

#[test]
fn texts_of_every_length_have_the_result_of_the_reference() {
    for (format, length) in FORMATS.iter().flat_map(|format| (0..40).map(move |length| (*format, length))) {
        for (digits, plus) in ["9", "0", "35901846727"].iter().flat_map(|digits| [(digits, ""), (digits, "+")]) {
            let digits: String = digits.chars().cycle().take(length).collect();
            check_against_the_reference(format, &format!("{plus}{digits}"));
            check_against_the_reference(format, &format!("{plus} {digits}"));
            check_against_the_reference(format, &format!("{plus}{digits}-"));
        }
    }
}

proptest! {
    #[test]
    fn any_text_has_the_result_of_the_reference(
        format in prop::sample::select(FORMATS.to_vec()),
        text in prop_oneof!["\\+?[0-9]{6,36}", "\\+?[0-9]{1,6}([ -][0-9]{3,4}){1,4}", "[0-9 +.-]{6,24}", "[0-9a:/\u{ff11}]{6,20}"],
    ) {
        check_against_the_reference(format, &text);
    }

    #[test]
    fn luhn_validity_is_kept(card in "[0-9]{13,19}", format in prop::sample::select(vec![CARD, FIRST, LAST])) {
        let sealed = check(format, ValueKind::String, &card).unwrap();
        prop_assert_eq!(luhn_sum(sealed.as_bytes()), luhn_sum(card.as_bytes()));
    }

    #[test]
    fn a_number_stays_a_number(number in "[1-9][0-9]{6,17}") {
        let sealed = check(DigitFormat::Digits, ValueKind::Number, &number).unwrap();
        prop_assert_eq!(sealed.len(), number.len());
        prop_assert!(!sealed.starts_with('0'));
    }
}

#[test]
fn different_values_have_different_results() {
    for (format, kind) in [
        (CARD, ValueKind::String),
        (LAST, ValueKind::String),
        (CARD, ValueKind::Number),
        (DigitFormat::Digits, ValueKind::Number),
    ] {
        let sealed: std::collections::BTreeSet<_> =
            (0..2000).map(|i| check(format, kind, &(4_111_111_111_110_000_u64 + i).to_string()).unwrap()).collect();
        assert_eq!(sealed.len(), 2000, "{format:?} {kind:?}");
    }
}
