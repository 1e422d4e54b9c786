//! Format-preserving encryption of cards, phone numbers and other strings of digits.
//!
//! Only digits change; separators stay in place. A text with other characters than digits and its format's separators
//! does not fit, and the caller redacts it. The digits that stay in clear (the end of a card, the country code of a
//! phone number) are the tweak, so that equal hidden digits after different clear ones have different results.
//! Deterministic, reversible only with the key, and without integrity.

mod country;
#[cfg(test)]
mod tests;

use zeroize::Zeroize;

use super::super::ff1::{CipherDirection, DIGITS_MAX, DIGITS_MIN, Decimal, Ff1Aes256, SHORT_DIGITS_MAX, ShortDigits};
use super::super::transform::{Replacement, SelectedValue, ValueKind};
use super::DigitFormat;
use super::batch::{DeferredValue, GROUP_VALUES_MAX};
use country::{COUNTRY_DIGITS_MAX, country_code_digits};

/// Digits of a card (ISO/IEC 7812-1 allows up to 19; no card in use has fewer than 12).
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 12..=19;
/// Most digits of a phone number (ITU-T E.164).
const PHONE_DIGITS_MAX: usize = 15;
/// Fewest digits of a phone number after its country code.
const NATIONAL_DIGITS_MIN: usize = 7;
/// Fewest values for which encrypting them in parallel is faster than one after the other.
const PARALLEL_VALUES_MIN: usize = 3;
/// Placeholder for the digits of any short value.
const ZERO_DIGITS: [u8; 24] = [b'0'; 24];

/// A format, and the cipher for tweaks of its length.
pub(super) struct FormatCipher {
    format: DigitFormat,
    ff1: Ff1Aes256,
}

/// The digits of a value that are encrypted, and what is needed to write the result.
#[derive(Clone, Copy, Default, Zeroize)]
pub(super) struct HiddenDigits {
    /// The hidden digits. The tweak is the digits that stay in clear.
    short: ShortDigits,
    /// The number of all digits.
    count: usize,
    /// The number of clear digits before the hidden ones.
    from: usize,
    /// The Luhn sum of a card's hidden digits and its check digit, which the result must have too.
    sum: u32,
}

impl FormatCipher {
    pub(super) fn new(format: DigitFormat, key: &[u8; 32]) -> Self {
        let tweak_bytes = match format {
            DigitFormat::Digits => 0,
            DigitFormat::Card { keep_first, keep_last } => usize::from(keep_first + keep_last),
            DigitFormat::Phone => COUNTRY_DIGITS_MAX,
        };
        Self { format, ff1: Ff1Aes256::new(key, tweak_bytes) }
    }

    /// Appends the value with its digits encrypted or decrypted; `None`, with nothing appended, when it does not fit.
    ///
    /// A number stays a number: it keeps its count of digits, and the first is never 0.
    pub(super) fn apply(
        &self,
        way: CipherDirection,
        value: SelectedValue<'_>,
        out: &mut Vec<u8>,
    ) -> Option<Replacement> {
        let number = value.kind == ValueKind::Number;
        if number && !Self::stays_a_number(value.text) {
            return None;
        }
        let start = out.len();
        let Some(mut hidden) = self.prepare(value.text, out) else {
            return self.apply_long(way, value, out);
        };
        loop {
            self.ff1.permute(way, std::array::from_mut(&mut hidden.short));
            // Encrypt again until the result is a number (cycle walking): the mapping stays one to one, and the loop
            // ends because the cycle contains the number that it began with.
            if !(number && hidden.from == 0 && hidden.short.starts_with_zero()) {
                break;
            }
        }
        self.write_result(&hidden, &mut out[start..]);
        Some(if number { Replacement::Literal } else { Replacement::Text })
    }

    /// Whether a number's lexeme is digits alone, not beginning with 0, and long enough to be encrypted.
    fn stays_a_number(text: &[u8]) -> bool {
        text.len() > DIGITS_MIN && text[0] != b'0' && text.iter().all(u8::is_ascii_digit)
    }

    /// As [`FormatCipher::apply`], for a value that is too long for one machine word.
    fn apply_long(&self, way: CipherDirection, value: SelectedValue<'_>, out: &mut Vec<u8>) -> Option<Replacement> {
        let mut digits = [0; DIGITS_MAX];
        let digits = collect_digits(value.text, separators(self.format), &mut digits)?;
        if self.format != DigitFormat::Digits || digits.len() <= SHORT_DIGITS_MAX {
            return None;
        }
        let number = value.kind == ValueKind::Number;
        loop {
            self.ff1.permute_long(way, 0, digits);
            if !number || digits[0] != b'0' {
                break;
            }
        }
        let start = out.len();
        out.extend_from_slice(value.text);
        place_digits(digits, &mut out[start..]);
        Some(if number { Replacement::Literal } else { Replacement::Text })
    }

    /// Appends a placeholder of the value's shape, which [`FormatCipher::write_result`] overwrites; `None`, with
    /// nothing appended, when the value does not fit or is too long to be encrypted in parallel with others.
    #[inline(always)]
    pub(super) fn prepare(&self, text: &[u8], out: &mut Vec<u8>) -> Option<HiddenDigits> {
        let (plus, rest) = match text {
            [b'+', rest @ ..] if self.format == DigitFormat::Phone => (true, rest),
            _ => (false, text),
        };
        if Decimal::read(rest).is_none() {
            return self.prepare_separated(plus, text, out);
        }
        let hidden = self.select_digits(plus, rest)?;
        if plus {
            out.push(b'+');
        }
        let end = out.len() + rest.len();
        // A copy of constant length that is then cut off takes no longer than one or two stores.
        out.extend_from_slice(&ZERO_DIGITS);
        out.truncate(end);
        Some(hidden)
    }

    /// As [`FormatCipher::prepare`], for a text with separators.
    fn prepare_separated(&self, plus: bool, text: &[u8], out: &mut Vec<u8>) -> Option<HiddenDigits> {
        let mut digits = [0; DIGITS_MAX];
        let hidden = self.select_digits(plus, collect_digits(text, separators(self.format), &mut digits)?)?;
        out.extend(text.iter().map(|byte| if byte.is_ascii_digit() { b'0' } else { *byte }));
        Some(hidden)
    }

    /// Encrypts several values in parallel, each into its placeholder.
    pub(super) fn encrypt_all(&self, lanes: &[DeferredValue<HiddenDigits>], out: &mut [u8]) {
        if lanes.len() < PARALLEL_VALUES_MIN {
            return lanes.iter().for_each(|lane| self.encrypt_group::<1>(std::slice::from_ref(lane), out));
        }
        self.encrypt_group::<GROUP_VALUES_MAX>(lanes, out);
    }

    fn encrypt_group<const N: usize>(&self, lanes: &[DeferredValue<HiddenDigits>], out: &mut [u8]) {
        // Fill the unused lanes with the first value.
        let mut shorts = [lanes[0].prepared.short; N];
        shorts.iter_mut().zip(lanes).for_each(|(short, lane)| *short = lane.prepared.short);
        self.ff1.permute(CipherDirection::Encrypt, &mut shorts);
        for (short, lane) in shorts.iter().zip(lanes) {
            self.write_result(&HiddenDigits { short: *short, ..lane.prepared }, lane.output_slice(out));
        }
    }

    /// The digits to encrypt, if these are a value of the format and fit in one word.
    #[inline(always)]
    fn select_digits(&self, plus: bool, digits: &[u8]) -> Option<HiddenDigits> {
        let count = digits.len();
        let (from, to) = match self.format {
            DigitFormat::Digits => (0, count),
            DigitFormat::Card { keep_first, keep_last } if CARD_DIGITS.contains(&count) => {
                (usize::from(keep_first), count - usize::from(keep_last) - 1)
            }
            DigitFormat::Phone if count <= PHONE_DIGITS_MAX => {
                let country = if plus { country_code_digits(digits)? } else { 0 };
                (country, if count >= country + NATIONAL_DIGITS_MIN { count } else { return None })
            }
            DigitFormat::Card { .. } | DigitFormat::Phone => return None,
        };
        let hidden = digits.get(from..to).filter(|hidden| (DIGITS_MIN..=SHORT_DIGITS_MAX).contains(&hidden.len()))?;
        let decimal = Decimal::load(hidden)?;
        // Only a card keeps digits after the hidden ones. It keeps 0 or 4, so the Luhn rule does not double its check
        // digit.
        let (check, last) = digits[to..].split_first().map_or((0, &[][..]), |(check, last)| (check & 0xf, last));
        let tweak = first_bytes(digits, from) | low_bytes(last) << (8 * from);
        let short = ShortDigits::new(&decimal, hidden.len(), [tweak, 0]);
        Some(HiddenDigits { short, count, from, sum: decimal.luhn_sum() + u32::from(check) })
    }

    /// Writes a result over its placeholder.
    #[inline(always)]
    fn write_result(&self, hidden: &HiddenDigits, room: &mut [u8]) {
        let rest = match room {
            [b'+', rest @ ..] => rest,
            room => room,
        };
        if rest.len() == hidden.count {
            return self.write_digits(hidden, rest);
        }
        let mut digits = ZERO_DIGITS;
        let digits = &mut digits[..hidden.count];
        self.write_digits(hidden, digits);
        place_digits(digits, rest);
    }

    #[inline(always)]
    fn write_digits(&self, hidden: &HiddenDigits, digits: &mut [u8]) {
        let HiddenDigits { short, from, sum, .. } = *hidden;
        let (decimal, tweak) = (short.decimal(), short.tweak[0]);
        if let (Some(first), 1..) = (digits.first_chunk_mut(), from) {
            *first = tweak.to_le_bytes();
        }
        let Some((hidden, rest)) = digits[from..].split_at_mut_checked(short.digits) else { return };
        decimal.write_digits(hidden);
        if let Some((check, last)) = rest.split_first_mut() {
            // A valid card stays valid, and an invalid one invalid. 1000 is more than any sum, so the difference is
            // positive, and a multiple of ten, so the check digit does not change.
            *check = b'0' + ((sum + 1000 - decimal.luhn_sum()) % 10) as u8;
            let kept = tweak >> (8 * from);
            (0..).zip(last).for_each(|(place, digit)| *digit = (kept >> (8 * place)) as u8);
        }
    }
}

/// The first `count` bytes of a text of at least eight bytes, at most seven of them, the first one lowest.
#[inline(always)]
fn first_bytes(text: &[u8], count: usize) -> u64 {
    match text.first_chunk() {
        Some(eight) if count > 0 => u64::from_le_bytes(*eight) & ((1 << (8 * count)) - 1),
        _ => 0,
    }
}

/// At most eight bytes as a number, the first one lowest.
#[inline(always)]
fn low_bytes(text: &[u8]) -> u64 {
    text.iter().rev().fold(0, |bytes, byte| bytes << 8 | u64::from(*byte))
}

/// Collects the digits of a text; `None` when it has other bytes than digits and separators, or too many digits.
fn collect_digits<'room>(
    text: &[u8],
    separators: &[u8],
    digits: &'room mut [u8; DIGITS_MAX],
) -> Option<&'room mut [u8]> {
    let mut count = 0;
    for (at, byte) in text.iter().enumerate() {
        if byte.is_ascii_digit() {
            *digits.get_mut(count)? = *byte;
            count += 1;
        } else if !(separators.contains(byte) && (*byte != b'+' || at == 0)) {
            return None;
        }
    }
    Some(&mut digits[..count])
}

/// Overwrites the digits of a text in order.
fn place_digits(digits: &[u8], into: &mut [u8]) {
    let places = into.iter_mut().filter(|byte| byte.is_ascii_digit());
    places.zip(digits).for_each(|(place, digit)| *place = *digit);
}

const fn separators(format: DigitFormat) -> &'static [u8] {
    match format {
        DigitFormat::Card { .. } => b" -",
        DigitFormat::Digits => b" -./",
        DigitFormat::Phone => b" -./()+",
    }
}
