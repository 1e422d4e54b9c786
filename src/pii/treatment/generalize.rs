//! Generalizes values: a date to its year, a text to its prefix, a number to the floor of its bucket.
//!
//! A value that is no date or number, or no longer than the prefix, has no result: the caller redacts it.

use std::io::Write;
use std::num::NonZeroU64;

use super::super::transform::{Replacement, SelectedValue, ValueKind};
use super::Generalization;

/// Appends the generalized value; `None`, with nothing appended, when there is none.
pub(super) fn apply(how: Generalization, value: SelectedValue<'_>, out: &mut Vec<u8>) -> Option<Replacement> {
    let number = value.kind == ValueKind::Number;
    match how {
        Generalization::Year => {
            out.extend_from_slice(year(value.text)?);
            Some(if number { Replacement::Literal } else { Replacement::Text })
        }
        Generalization::Prefix(characters) => {
            out.extend_from_slice(prefix(value.text, characters.into())?);
            Some(Replacement::Text)
        }
        Generalization::Bucket(width) => {
            let floor = bucket(value.text, width)?;
            write!(out, "{floor}").ok()?;
            Some(if number { Replacement::Literal } else { Replacement::Text })
        }
    }
}

/// The year of `2024`, `20240131`, `2024-01-31` (and what may follow, such as a time), `31.01.2024` and `1/31/2024`.
fn year(text: &[u8]) -> Option<&[u8]> {
    let separator = |b: &u8| matches!(b, b'-' | b'/' | b'.');
    let year = match text.len() {
        4 => text,
        8 if text.iter().all(u8::is_ascii_digit) => &text[..4],
        6.. if separator(&text[4]) && starts_with_month(&text[5..]) => &text[..4],
        8..=10 if ends_with_year(text, separator) => &text[text.len() - 4..],
        _ => return None,
    };
    (matches!(year[0], b'1' | b'2') && year.iter().all(u8::is_ascii_digit)).then_some(year)
}

/// Whether the text begins with a number from 1 to 12. Otherwise any four digits before a hyphen would count as a year.
fn starts_with_month(text: &[u8]) -> bool {
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).take(3);
    let month = digits.fold(0_u32, |value, b| value * 10 + u32::from(b - b'0'));
    (1..=12).contains(&month)
}

/// Whether the text is `d.m.yyyy`: two short numbers and a year, between equal separators.
fn ends_with_year(text: &[u8], separator: impl Fn(&u8) -> bool) -> bool {
    let mut parts = text.split(separator);
    let short =
        |part: Option<&[u8]>| part.is_some_and(|p| matches!(p.len(), 1 | 2) && p.iter().all(u8::is_ascii_digit));
    short(parts.next()) && short(parts.next()) && parts.next().is_some_and(|p| p.len() == 4) && parts.next().is_none()
}

/// The first characters of a text that has more than these.
fn prefix(text: &[u8], characters: usize) -> Option<&[u8]> {
    let text = std::str::from_utf8(text).ok()?;
    let (end, _) = text.char_indices().nth(characters)?;
    Some(&text.as_bytes()[..end])
}

/// The largest multiple of `width` that is not above a decimal number; `None` for a number with an exponent.
fn bucket(text: &[u8], width: NonZeroU64) -> Option<i128> {
    let text = std::str::from_utf8(text).ok()?;
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) || whole.len() > 36 {
        return None;
    }
    let whole: i128 = whole.parse().ok()?;
    let floor = match (negative, fraction.bytes().all(|b| b == b'0')) {
        (false, _) => whole,
        (true, true) => -whole,
        (true, false) => -whole - 1,
    };
    let width = i128::from(width.get());
    Some(floor.div_euclid(width) * width)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(how: Generalization, kind: ValueKind, text: &str) -> Option<String> {
        let mut out = Vec::new();
        let shape = apply(how, SelectedValue { kind, text: text.as_bytes() }, &mut out);
        assert_eq!(shape.is_none(), out.is_empty(), "{text}");
        shape.map(|shape| format!("{shape:?} {}", String::from_utf8(out).unwrap()))
    }

    #[test]
    fn a_date_becomes_its_year() {
        for text in ["1987", "19870131", "1987-01-31", "1987-01-31T10:00:00Z", "31.01.1987", "1/3/1987", "1987/01"] {
            assert_eq!(check(Generalization::Year, ValueKind::String, text).as_deref(), Some("Text 1987"), "{text}");
        }
        assert_eq!(check(Generalization::Year, ValueKind::Number, "1987").as_deref(), Some("Literal 1987"));
        for text in [
            "",
            "87",
            "31.01.87",
            "0987-01-01",
            "9999-01-01",
            "January 1987",
            "x987-01-01",
            "1987-13-01",
            "2125-550100",
            "123/1/1987",
            "198701",
        ] {
            assert_eq!(check(Generalization::Year, ValueKind::String, text), None, "{text}");
        }
    }

    #[test]
    fn a_prefix_is_never_the_whole_text() {
        let three = Generalization::Prefix(3);
        assert_eq!(check(three, ValueKind::String, "SW1A 1AA").as_deref(), Some("Text SW1"));
        assert_eq!(check(three, ValueKind::String, "äöüß").as_deref(), Some("Text äöü"));
        assert_eq!(check(three, ValueKind::Number, "10115").as_deref(), Some("Text 101"));
        assert_eq!(check(three, ValueKind::String, "SW1"), None);
        assert_eq!(check(three, ValueKind::String, ""), None);
    }

    #[test]
    fn a_number_becomes_its_bucket() {
        let check_ten = |kind, text| check(Generalization::Bucket(NonZeroU64::new(10).unwrap()), kind, text);
        for (text, floor) in
            [("47", "40"), ("0", "0"), ("9.99", "0"), ("-1", "-10"), ("-10", "-10"), ("-10.0", "-10"), ("-10.5", "-20")]
        {
            assert_eq!(check_ten(ValueKind::Number, text), Some(format!("Literal {floor}")), "{text}");
        }
        assert_eq!(check_ten(ValueKind::String, "47"), Some("Text 40".into()));
        for text in ["", "-", "1e3", "4x", ".5", "1.", &"9".repeat(37)] {
            assert_eq!(check_ten(ValueKind::String, text), None, "{text}");
        }
        let widest = Generalization::Bucket(NonZeroU64::MAX);
        assert!(check(widest, ValueKind::Number, &format!("-{}.5", "9".repeat(36))).is_some());
    }
}
