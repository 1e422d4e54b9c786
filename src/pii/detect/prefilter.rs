//! A prefilter for `digits.rs`: which groups of digits may begin a number, for 63 offsets at a time and without a
//! branch on each.
//!
//! It keeps every group that `digits.rs` would recognize, and some that it would not; it rejects most ids, dates and
//! amounts. Each byte becomes a bit that says whether it is a digit, and runs of bits are found by shifts. Bytes after
//! the window are unknown, and counted as whatever keeps a group.

/// Bytes before a window's first position: one that is no letter and two letters, as before an IBAN's digits, and one
/// spare.
const CONTEXT_BYTES_BEFORE: usize = 4;
/// Positions that a window decides on.
pub(super) const WINDOW_POSITIONS: usize = 63;
/// A window: the bytes before its positions, the positions, and one byte after them.
type DigitWindow = [u8; 68];

/// The positions from `at` on at which a group of digits begins that may be a number: bit 1 is the first position.
#[inline]
pub(super) fn candidate_starts(text: &[u8], at: usize) -> u64 {
    match at.checked_sub(CONTEXT_BYTES_BEFORE).and_then(|from| text.get(from..)?.first_chunk()) {
        Some(window) => candidates_in_window(window),
        None => candidates_in_window(&padded(text, at)),
    }
}

/// The window around `at`, with spaces before and after the text.
fn padded(text: &[u8], at: usize) -> DigitWindow {
    let mut window = [b' '; 68];
    let from = at.saturating_sub(CONTEXT_BYTES_BEFORE);
    let part = &text[from..text.len().min(at + WINDOW_POSITIONS + 1)];
    let lead = CONTEXT_BYTES_BEFORE + from - at;
    window[lead..lead + part.len()].copy_from_slice(part);
    window
}

/// The byte of a window that bit 0 of a word is about: the one before the first position.
const FIRST_BIT: usize = CONTEXT_BYTES_BEFORE - 1;

#[inline(always)]
fn candidates_in_window(window: &DigitWindow) -> u64 {
    let digits = bits(window, |byte| byte.is_ascii_digit());
    let starts = digits & !(digits << 1) & !1;
    let headed = if has_number_prefix(window) { starts_after_prefix(window, starts) } else { 0 };
    let joined = DigitRuns::of(digits, digits | (digits << 1 & (digits >> 1 | 1 << 63)));
    let promising = joined.promising() & starts;
    // Most runs of exactly ten characters are dates (2024-01-15). Keep only those that begin with 0, as national phone
    // numbers do.
    let promising = match promising & joined.exactly_ten() {
        0 => promising,
        ten => promising & !ten | starts_with_zero(window, ten),
    };
    if promising == 0 { headed } else { headed | joined_by_separators(window, digits) & promising }
}

/// One bit for each byte.
#[inline(always)]
fn bits(window: &DigitWindow, is: impl Fn(u8) -> bool) -> u64 {
    const BESIDE: u64 = 0x0102_0408_1020_4080;
    // First a byte for each, which compilers do by vector instructions, then eight bytes to eight bits by a
    // multiplication.
    let marks: [u8; 64] = std::array::from_fn(|bit| u8::from(is(window[FIRST_BIT + bit])));
    let (words, _) = marks.as_chunks::<8>();
    let side_by_side = |word: &[u8; 8]| u64::from_le_bytes(*word).wrapping_mul(BESIDE) >> 56;
    words.iter().rev().fold(0, |all, word| all << 8 | side_by_side(word))
}

/// Whether the window may have a prefix of a number before a digit: two letters, a `+` or a bracket. Reports too many.
#[inline(always)]
fn has_number_prefix(window: &DigitWindow) -> bool {
    let mut found = 0;
    // A plain loop over bytes, because compilers turn it into vector instructions.
    for at in 0..64 {
        let (second, first) = (window[at + 1] as i8, window[at + 2] as i8);
        let (here, next) = (window[at + 3] & 0xF0 == 0x30, window[at + 4] & 0xF0 == 0x30);
        let letters = (second > 0x40) & (first > 0x40);
        let sign = window[at + 2] & 0xFC == 0x28;
        found |= u8::from(letters & here & next) | u8::from(sign & here);
    }
    found != 0
}

/// The starts after a `+`, a bracket or two letters.
#[inline(never)]
fn starts_after_prefix(window: &DigitWindow, starts: u64) -> u64 {
    filter_starts(starts, |bit| match &window[FIRST_BIT + bit - 3..FIRST_BIT + bit + 2] {
        [_, _, b'+' | b'(', ..] => true,
        [third, second, first, _, next] => {
            !third.is_ascii_alphabetic()
                && second.is_ascii_alphabetic()
                && first.is_ascii_alphabetic()
                && next.is_ascii_digit()
        }
        _ => false,
    })
}

/// The starts whose digit is 0. All numbers of nine digits and one separator begin so.
fn starts_with_zero(window: &DigitWindow, starts: u64) -> u64 {
    filter_starts(starts, |bit| window[FIRST_BIT + bit] == b'0')
}

fn filter_starts(mut starts: u64, is: impl Fn(usize) -> bool) -> u64 {
    let mut kept = 0;
    while starts != 0 {
        let bit = starts.trailing_zeros();
        kept |= u64::from(is(bit as usize)) << bit;
        starts &= starts - 1;
    }
    kept
}

/// The starts of long runs in which digits are joined only by the separators of numbers.
#[inline(never)]
fn joined_by_separators(window: &DigitWindow, digits: u64) -> u64 {
    let separators = bits(window, |byte| matches!(byte, b' ' | b'-' | b'.' | b'/'));
    DigitRuns::of(digits, digits | separators & digits << 1 & (digits >> 1 | 1 << 63)).promising()
}

/// Where runs of some lengths begin: of digits, and of digits with bytes that join them. After the window, every byte
/// counts as one that joins, and none as a digit.
struct DigitRuns {
    joined: [u64; 3],
    digits: [u64; 2],
}

impl DigitRuns {
    /// Finds joined runs of 10, 11 and 13 bytes, and runs of 10 and 11 digits.
    #[inline(always)]
    fn of(digits: u64, joined: u64) -> Self {
        const fn on(bits: u64, by: u32) -> u64 {
            bits >> by | !(u64::MAX >> by)
        }
        let two = joined & on(joined, 1);
        let four = two & on(two, 2);
        let ten = four & on(four, 4) & on(two, 8);
        let eleven = ten & on(ten, 1);
        let pair = digits & digits >> 1;
        let quad = pair & pair >> 2;
        let ten_digits = quad & quad >> 4 & pair >> 8;
        Self { joined: [ten, eleven, eleven & on(two, 11)], digits: [ten_digits, ten_digits & ten_digits >> 1] }
    }

    /// The starts of at least nine digits with a separator between them, or of thirteen digits.
    #[inline(always)]
    fn promising(&self) -> u64 {
        let ([ten, eleven, thirteen], [ten_digits, eleven_digits]) = (self.joined, self.digits);
        ten & !ten_digits | eleven & !eleven_digits | thirteen
    }

    /// The starts of runs of exactly ten bytes.
    #[inline(always)]
    fn exactly_ten(&self) -> u64 {
        self.joined[0] & !self.joined[1]
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Detector, digits};
    use proptest::prelude::*;

    /// A text of many pieces of numbers.
    fn numbers() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            4 => "[0-9]{1,5}",
            4 => "[-. /:T,()+]",
            1 => "[!-~]",
            1 => "[^0-9A-Za-z](DE89370400440532013000|nl91abna0417164300)",
            1 => "[0-9]{6,20}",
            1 => prop::sample::select(vec![
                "DE89370400440532013000", "GB29 NWBK 6016 1331 9268 19", "NO9386011117947", "4111 1111 1111 1111", "378282246310005",
                "123-45-6789", "415-555-2671", "(415) 555-2671", "1 (415) 555-2671", "1.415.555.2671", "030 123456", "0301/23456", "06 12 34 56 78",
                "+49 30 123456", "2024-01-15", "2024-01-15T10:00:00Z", "0", "00", "a", "de", "\n", "\u{e9}", "  ",
            ]).prop_map(str::to_owned),
        ];
        prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]
        #[test]
        fn the_prefilter_keeps_every_number(text in numbers(), from in 0_usize..80) {
            let (detector, text) = (Detector::default(), text.as_bytes());
            let every_group = (from..text.len())
                .filter(|&at| text[at].is_ascii_digit() && !super::super::byte_before(text, at).is_ascii_digit())
                .find_map(|at| digits::match_group(&detector, text, from, at));
            let sifted = digits::next_number(&detector, text, from);
            prop_assert_eq!(sifted.map(|hit| hit.span), every_group.map(|hit| hit.span));
        }
    }
}
