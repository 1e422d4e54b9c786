//! Finds payment cards, IBANs, social security numbers and phone numbers.
//!
//! Every group of digits that the prefilter keeps is a candidate. A number is recognized by its check digits and shape
//! alone.

use super::{Detector, Hit, PiiKind, byte_at, byte_before, prefilter};

/// The first number that begins at `from` or later.
pub(super) fn next_number(detector: &Detector, text: &[u8], from: usize) -> Option<Hit> {
    let wanted =
        [PiiKind::Iban, PiiKind::Card, PiiKind::Ssn, PiiKind::Phone].into_iter().any(|kind| detector.looks_for(kind));
    if !wanted {
        return None;
    }
    (from..text.len()).step_by(prefilter::WINDOW_POSITIONS).find_map(|at| {
        let mut starts = prefilter::candidate_starts(text, at);
        while starts != 0 {
            let group = at + starts.trailing_zeros() as usize - 1;
            starts &= starts - 1;
            let hit = match_promising_group(detector, text, from, group);
            if hit.is_some() {
                return hit;
            }
        }
        None
    })
}

/// Whether the group of digits at `at` follows a prefix (`+`, `(` or a letter), or begins nine digits in groups or as
/// many as a card has. Reads byte by byte, and so rejects groups that the prefilter kept because its window ends there.
fn is_promising(text: &[u8], at: usize) -> bool {
    let first = byte_before(text, at);
    if matches!(first, b'+' | b'(') || first.is_ascii_alphabetic() {
        return true;
    }
    let (mut digits, mut separated, mut position) = (0, false, at);
    while digits < CARD_DIGITS_MIN {
        if byte_at(text, position).is_ascii_digit() {
            digits += 1;
        } else if byte_at(text, position + 1).is_ascii_digit()
            && matches!(byte_at(text, position), b' ' | b'-' | b'.' | b'/')
        {
            separated = true;
        } else {
            return separated && digits >= SEPARATED_DIGITS_MIN;
        }
        position += 1;
    }
    // Thirteen digits: a card, or, with a second group, a national phone number.
    separated || byte_at(text, at) == b'0' || is_card_start(byte_at(text, at))
}

/// Digits of a social security number, and of the shortest phone number without a prefix.
const SEPARATED_DIGITS_MIN: usize = 9;
const CARD_DIGITS_MIN: usize = 13;

const fn is_card_start(digit: u8) -> bool {
    matches!(digit, b'2'..=b'6')
}

type NumberMatcher = fn(&[u8], usize) -> Option<usize>;

/// The number that begins with, or up to three bytes before, the group of digits at `at`, if the group is promising.
fn match_promising_group(detector: &Detector, text: &[u8], from: usize, at: usize) -> Option<Hit> {
    if is_promising(text, at) { match_group(detector, text, from, at) } else { None }
}

/// As [`match_promising_group`], without the cheap test: every recognizer is tried.
pub(super) fn match_group(detector: &Detector, text: &[u8], from: usize, at: usize) -> Option<Hit> {
    let attempts: [(usize, PiiKind, NumberMatcher); 6] = [
        (3, PiiKind::Phone, bracketed_phone),
        (2, PiiKind::Iban, iban),
        (1, PiiKind::Phone, phone),
        (0, PiiKind::Card, card),
        (0, PiiKind::Ssn, ssn),
        (0, PiiKind::Phone, phone),
    ];
    attempts.into_iter().find_map(|(back, kind, recognize)| {
        let start = at.checked_sub(back).filter(|&start| start >= from && detector.looks_for(kind))?;
        Some(Hit::whole(start, recognize(text, start)?, kind))
    })
}

/// The length of the group of digits here.
fn digits_at(text: &[u8], at: usize) -> usize {
    text[at..].iter().take_while(|b| b.is_ascii_digit()).count()
}

/// 13 to 19 digits, with single spaces or hyphens between them, in an issuer's range and with the right check digit.
fn card(text: &[u8], start: usize) -> Option<usize> {
    const LENGTHS: std::ops::RangeInclusive<usize> = CARD_DIGITS_MIN..=19;
    /// Cards are not printed in smaller groups; dates and social security numbers one after the other are.
    const GROUP_DIGITS_MIN: usize = 3;
    if byte_before(text, start) == b'.' || byte_before(text, start).is_ascii_digit() || !is_card_start(text[start]) {
        return None;
    }
    let (mut digits, mut ends) = ([0_u8; 19], [0; 20]);
    let (mut count, mut at, mut group) = (0, start, 0);
    while count < 19 {
        let separator = usize::from(count > 0 && matches!(byte_at(text, at), b' ' | b'-'));
        let digit = byte_at(text, at + separator);
        if !digit.is_ascii_digit() || (separator == 1 && group < GROUP_DIGITS_MIN) {
            break;
        }
        group = if separator == 1 { 1 } else { group + 1 };
        digits[count] = digit - b'0';
        at += separator + 1;
        count += 1;
        ends[count] = if byte_at(text, at).is_ascii_digit() || group < GROUP_DIGITS_MIN { 0 } else { at };
    }
    let whole = |&length: &usize| ends[length] > 0 && is_issued(&digits[..length]) && is_luhn(&digits[..length]);
    LENGTHS.rev().filter(|&length| length <= count).find(whole).map(|length| ends[length])
}

/// The first four digits, from and to, and the fewest and most digits of a card (ISO/IEC 7812, and the ranges that card
/// networks publish).
const RANGES: [(u16, u16, usize, usize); 14] = [
    (4000, 4999, 13, 13),
    (4000, 4999, 16, 16),
    (4000, 4999, 19, 19),
    (5100, 5599, 16, 16),
    (2221, 2720, 16, 16),
    (3400, 3499, 15, 15),
    (3700, 3799, 15, 15),
    (3000, 3095, 14, 19),
    (3600, 3699, 14, 19),
    (3800, 3999, 14, 19),
    (3528, 3589, 16, 19),
    (2200, 2204, 16, 19),
    (5000, 5099, 13, 19),
    (5600, 6999, 13, 19),
];

fn is_issued(digits: &[u8]) -> bool {
    let head = digits[..4].iter().fold(0, |head, &digit| head * 10 + u16::from(digit));
    let fits = |&(from, to, least, most): &(u16, u16, usize, usize)| {
        (from..=to).contains(&head) && (least..=most).contains(&digits.len())
    };
    RANGES.iter().any(fits)
}

fn is_luhn(digits: &[u8]) -> bool {
    let doubled = |digit: u8| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let weigh = |(at, &digit): (usize, &u8)| u32::from(if at % 2 == 1 { doubled(digit) } else { digit });
    digits.iter().rev().enumerate().map(weigh).sum::<u32>() % 10 == 0
}

/// `123-45-6789` or `123 45 6789`, except numbers that are never issued.
fn ssn(text: &[u8], start: usize) -> Option<usize> {
    let end = start + 11;
    let number = text.get(start..end)?;
    let separator = number[3];
    let shaped =
        number.iter().enumerate().all(|(at, b)| if matches!(at, 3 | 6) { *b == separator } else { b.is_ascii_digit() });
    if !shaped || !matches!(separator, b'-' | b' ') || !begins_apart(text, start) || !ends_apart(text, end) {
        return None;
    }
    let issued =
        !matches!(&number[..3], b"000" | b"666" | [b'9', ..]) && &number[4..6] != b"00" && &number[7..] != b"0000";
    issued.then_some(end)
}

/// Whether no longer number, such as a date or an IP address, ends here.
fn begins_apart(text: &[u8], start: usize) -> bool {
    let before = byte_before(text, start);
    !before.is_ascii_alphanumeric() && !matches!(before, b'-' | b'.' | b'/' | b'+' | b':')
}

/// Whether no longer number continues here.
fn ends_apart(text: &[u8], end: usize) -> bool {
    let glued = || matches!(byte_at(text, end), b'-' | b'.' | b'/') && byte_at(text, end + 1).is_ascii_digit();
    !byte_at(text, end).is_ascii_digit() && !glued()
}

fn phone(text: &[u8], start: usize) -> Option<usize> {
    match text[start] {
        b'+' => international(text, start),
        b'(' if begins_apart(text, start) => north_american(text, start),
        b'0' if begins_apart(text, start) => national(text, start),
        b'1' if matches!(byte_at(text, start + 1), b'-' | b'.' | b' ') && begins_apart(text, start) => {
            north_american(text, start + 2)
        }
        b'2'..=b'9' if begins_apart(text, start) => north_american(text, start),
        _ => None,
    }
}

/// The country code `1` before an area code in brackets. The prefilter does not keep a single `1`, so this is tried
/// from the area code.
fn bracketed_phone(text: &[u8], start: usize) -> Option<usize> {
    if text[start] == b'1' && byte_at(text, start + 2) == b'(' { phone(text, start) } else { None }
}

/// `+` and 8 to 15 digits (ITU-T E.164), with spaces, points, hyphens, slashes and brackets between them.
fn international(text: &[u8], start: usize) -> Option<usize> {
    if byte_before(text, start).is_ascii_alphanumeric() || !matches!(byte_at(text, start + 1), b'1'..=b'9') {
        return None;
    }
    let (mut count, mut at, mut end) = (0, start + 1, None);
    loop {
        let group = digits_at(&text[..text.len().min(at + 16)], at.min(text.len()));
        if group == 0 || count + group > 15 {
            return end;
        }
        count += group;
        at += group;
        end = if count >= 8 { Some(at) } else { None };
        let separator =
            (0..3).take_while(|&on| matches!(byte_at(text, at + on), b' ' | b'-' | b'.' | b'/' | b'(' | b')')).count();
        if separator == 0 || at + separator >= text.len() {
            return end;
        }
        at += separator;
    }
}

/// `(555) 234-5678` and `555-234-5678`, also with points or spaces.
fn north_american(text: &[u8], start: usize) -> Option<usize> {
    let bracket = byte_at(text, start) == b'(';
    let area = start + usize::from(bracket);
    let after = area + 3;
    let exchange = match (bracket, byte_at(text, after)) {
        (true, b')') => after + 1 + usize::from(matches!(byte_at(text, after + 1), b' ' | b'-')),
        (false, b'-' | b'.' | b' ') => after + 1,
        _ => return None,
    };
    let separator = byte_at(text, exchange + 3);
    let even = bracket || separator == byte_at(text, after);
    let end = exchange + 8;
    let digits = |from: usize, count: usize| {
        text.get(from..from + count).is_some_and(|part| part.iter().all(u8::is_ascii_digit))
    };
    let shaped =
        digits(area, 3) && digits(exchange, 3) && digits(exchange + 4, 4) && matches!(separator, b'-' | b'.' | b' ');
    let numbered = matches!(byte_at(text, area), b'2'..=b'9') && matches!(byte_at(text, exchange), b'2'..=b'9');
    (shaped && even && numbered && ends_apart(text, end)).then_some(end)
}

/// A trunk `0`, then 8 to 14 digits in groups of two or more, with one kind of separator.
fn national(text: &[u8], start: usize) -> Option<usize> {
    if text[start..].starts_with(b"000") {
        return None;
    }
    let (mut count, mut at, mut groups, mut separator) = (0, start, 0, None);
    let mut end = None;
    loop {
        let group = digits_at(&text[..text.len().min(at + 16)], at.min(text.len()));
        if group < 2 || count + group > 15 {
            break;
        }
        (count, at, groups) = (count + group, at + group, groups + 1);
        if groups > 1 && count >= 9 && ends_apart(text, at) {
            end = Some(at);
        }
        let next = byte_at(text, at);
        if !matches!(next, b' ' | b'-' | b'/' | b'.')
            || separator.is_some_and(|separator| separator != next)
            || at >= text.len()
        {
            break;
        }
        separator = Some(next);
        at += 1;
    }
    end
}

/// Two letters, two check digits, and as many characters as the country has; single spaces between them.
fn iban(text: &[u8], start: usize) -> Option<usize> {
    let head = text.get(start..start + 4)?;
    if byte_before(text, start).is_ascii_alphanumeric() || !head[2..].iter().all(u8::is_ascii_digit) {
        return None;
    }
    let length = iban_length([head[0].to_ascii_uppercase(), head[1].to_ascii_uppercase()])?;
    let (mut account, mut count, mut at) = ([0_u8; 34], 0, start);
    while count < length {
        let separator = usize::from(count > 0 && byte_at(text, at) == b' ');
        let next = byte_at(text, at + separator);
        if !next.is_ascii_alphanumeric() {
            return None;
        }
        account[count] = next.to_ascii_uppercase();
        (at, count) = (at + separator + 1, count + 1);
    }
    let rotated = account[4..length].iter().chain(&account[..4]);
    let rest = rotated.fold(0_u32, |rest, &b| match b {
        b'0'..=b'9' => (rest * 10 + u32::from(b - b'0')) % 97,
        letter => (rest * 100 + u32::from(letter - b'A' + 10)) % 97,
    });
    (rest == 1 && !byte_at(text, at).is_ascii_alphanumeric()).then_some(at)
}

/// The length of a country's IBANs (the IBAN registry of SWIFT).
const fn iban_length(country: [u8; 2]) -> Option<usize> {
    Some(match &country {
        b"NO" => 15,
        b"BE" => 16,
        b"DK" | b"FI" | b"FO" | b"GL" | b"NL" | b"SD" | b"FK" => 18,
        b"MK" | b"SI" => 19,
        b"AT" | b"BA" | b"EE" | b"KZ" | b"LT" | b"LU" | b"XK" | b"MN" => 20,
        b"CH" | b"CR" | b"HR" | b"LI" | b"LV" => 21,
        b"BG" | b"BH" | b"DE" | b"GB" | b"GE" | b"IE" | b"ME" | b"RS" | b"VA" => 22,
        b"AE" | b"GI" | b"IL" | b"IQ" | b"TL" | b"OM" | b"SO" => 23,
        b"AD" | b"CZ" | b"ES" | b"MD" | b"PK" | b"RO" | b"SA" | b"SE" | b"SK" | b"TN" | b"VG" => 24,
        b"LY" | b"PT" | b"ST" => 25,
        b"IS" | b"TR" => 26,
        b"BI" | b"DJ" | b"FR" | b"GR" | b"IT" | b"MC" | b"MR" | b"SM" => 27,
        b"AL" | b"AZ" | b"BY" | b"CY" | b"DO" | b"GT" | b"HN" | b"HU" | b"LB" | b"NI" | b"PL" | b"SV" => 28,
        b"BR" | b"EG" | b"PS" | b"QA" | b"UA" => 29,
        b"JO" | b"KW" | b"MU" | b"YE" => 30,
        b"MT" | b"SC" => 31,
        b"LC" => 32,
        b"RU" => 33,
        _ => return None,
    })
}
