//! Detectors: find personal data and secrets in text by their shape and check digits.
//!
//! A fast pass finds candidates (`@`, digits, known prefixes), and a plain function checks each. Whether something
//! begins at an offset depends on the byte before it and on the [`LOOKAHEAD_BYTES`] from it alone, so a text can be
//! split anywhere. Time is linear in the text, and a text without finds costs no allocation. Names of people and postal
//! addresses are not found.

mod digits;
mod email;
mod number;
mod prefilter;
mod rule;
mod secrets;

pub(super) use number::whole_number;
pub(super) use rule::DetectStream;
pub use rule::{DetectAction, DetectRule};

use crate::model::Category;

/// Bytes that decide whether something begins at an offset: the longest local part, `@` and domain fit.
pub(super) const LOOKAHEAD_BYTES: usize = 320;

/// A kind of personal data or secret that a detector finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PiiKind {
    /// A private key, or an access key of a known shape.
    Key,
    /// A JSON web token.
    Jwt,
    /// An e-mail address.
    Email,
    /// An IBAN whose check digits are right.
    Iban,
    /// A payment card number of a known range whose check digit is right.
    Card,
    /// A United States social security number, written with separators.
    Ssn,
    /// A phone number, written with `+` or separators.
    Phone,
}

impl PiiKind {
    /// All kinds. Where several begin at one offset, the first of these counts.
    pub const ALL: [Self; 7] = [Self::Key, Self::Jwt, Self::Email, Self::Iban, Self::Card, Self::Ssn, Self::Phone];

    /// The word used in config and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Jwt => "jwt",
            Self::Email => "email",
            Self::Iban => "iban",
            Self::Card => "card",
            Self::Ssn => "ssn",
            Self::Phone => "phone",
        }
    }

    /// The category of personal data that a find is of.
    pub fn category(self) -> Option<Category> {
        Category::of_detector(self.as_str())
    }
}

/// A find: a range of bytes in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PiiSpan {
    /// Offset of its first byte.
    pub start: usize,
    /// Offset of the byte after its last one.
    pub end: usize,
    /// What it is.
    pub kind: PiiKind,
}

/// Finds some kinds of personal data and secrets in text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detector {
    kinds: u8,
}

impl Default for Detector {
    fn default() -> Self {
        Self::new(PiiKind::ALL)
    }
}

impl Detector {
    /// A detector of these kinds.
    pub fn new(kinds: impl IntoIterator<Item = PiiKind>) -> Self {
        Self { kinds: kinds.into_iter().fold(0, |kinds, kind| kinds | 1 << kind as u8) }
    }

    /// Calls `found` for each find, in order and without overlaps. The text should be UTF-8; other bytes count as
    /// letters.
    pub fn scan(&self, text: &[u8], found: impl FnMut(PiiSpan)) {
        if let Some(search) = DetectSearch::new(self, text, 0) {
            self.report(search, text, found);
        }
    }

    fn report(&self, mut search: DetectSearch<'_>, text: &[u8], mut found: impl FnMut(PiiSpan)) {
        while let Some(hit) = search.next(text) {
            let mut span = hit.span;
            if let Some(mut rest) = hit.tail {
                span.end += rest.read(&text[span.end..]).0;
                search.skip_to(span.end);
            }
            found(span);
        }
    }

    const fn looks_for(&self, kind: PiiKind) -> bool {
        self.kinds & 1 << kind as u8 != 0
    }
}

/// A find, which may continue after the bytes that were checked.
#[derive(Debug, Clone, Copy)]
struct Hit {
    span: PiiSpan,
    /// With `Some`, all bytes that this reads from `span.end` on belong to the find too.
    tail: Option<secrets::SecretTail>,
}

impl Hit {
    const fn whole(start: usize, end: usize, kind: PiiKind) -> Self {
        Self { span: PiiSpan { start, end, kind }, tail: None }
    }
}

/// One pass over a text. Keeps the next hit of each family, so that no family reads a byte twice.
#[derive(Debug)]
struct DetectSearch<'d> {
    detector: &'d Detector,
    from: usize,
    families: [FamilyState; FAMILIES.len()],
}

#[derive(Debug, Clone, Copy)]
enum FamilyState {
    Unknown,
    Nothing,
    Hit(Hit),
}

/// A family of finds that are searched together: finds the first of its own that begins at the offset or later.
type FamilySearch = fn(&Detector, &[u8], usize) -> Option<Hit>;

/// Longest text that is read byte by byte first, for the marker bytes of each family: most strings of a document have
/// none.
const SHORT_TEXT_BYTES: usize = 256;

/// For each byte, the families whose finds all have it, one bit for each in their order. The last bit is set for
/// digits.
const MARKERS: [u8; 256] = {
    let (mut markers, mut family) = ([0; 256], 0);
    while family < 7 {
        markers[b"B_xKSJ@"[family] as usize] = 1 << family;
        family += 1;
    }
    let mut digit = b'0';
    while digit <= b'9' {
        markers[digit as usize] = 1 << family;
        digit += 1;
    }
    markers
};

/// Fewest digits of a number, except a phone number after a `+` and an IBAN. A date has eight.
const DIGITS_MIN: usize = 9;
const PLUS_DIGITS_MIN: usize = 8;
const IBAN_BYTES_MIN: usize = 15;
const IBAN_DIGITS_MIN: usize = 2;

const FAMILIES: [FamilySearch; 8] = {
    let [jwt, akia, asia, slack, underlined, pem] = secrets::FAMILIES;
    [pem, underlined, slack, akia, asia, jwt, email::next_email, digits::next_number]
};
const EMAIL: usize = 6;
const DIGITS: usize = 7;

impl<'d> DetectSearch<'d> {
    /// Begins at `from`. `None` when the text has no marker byte of any family.
    fn new(detector: &'d Detector, text: &[u8], from: usize) -> Option<Self> {
        let rest = text.get(from..)?;
        let families =
            if rest.len() <= SHORT_TEXT_BYTES { families_in_short_text(rest) } else { families_in_long_text(rest) };
        (families != 0).then(|| Self::of_families(detector, from, families))
    }

    /// Searches for these families alone.
    fn of_families(detector: &'d Detector, from: usize, families: u8) -> Self {
        let next = |family| if families >> family & 1 == 0 { FamilyState::Nothing } else { FamilyState::Unknown };
        Self { detector, from, families: std::array::from_fn(next) }
    }

    /// The next hit. The search continues after it.
    fn next(&mut self, text: &[u8]) -> Option<Hit> {
        let mut first: Option<Hit> = None;
        for (known, family) in self.families.iter_mut().zip(FAMILIES) {
            let stale = match known {
                FamilyState::Unknown => true,
                FamilyState::Nothing => false,
                FamilyState::Hit(hit) => hit.span.start < self.from,
            };
            if stale {
                *known = family(self.detector, text, self.from).map_or(FamilyState::Nothing, FamilyState::Hit);
            }
            if let FamilyState::Hit(hit) = *known
                && first.is_none_or(|first| hit.span.start < first.span.start)
            {
                first = Some(hit);
            }
        }
        self.from = first?.span.end;
        first
    }

    fn skip_to(&mut self, from: usize) {
        self.from = self.from.max(from);
    }
}

/// The families of which a short text has a marker byte, at about one cycle a byte. Most strings have none.
#[inline]
fn families_in_short_text(text: &[u8]) -> u8 {
    let (families, digits) = text
        .iter()
        .map(|byte| MARKERS[usize::from(*byte)])
        .fold((0, 0), |(all, digits), marks| (all | marks, digits + usize::from(marks >> 7)));
    let numbers = digits >= DIGITS_MIN
        || (digits >= IBAN_DIGITS_MIN && text.len() >= IBAN_BYTES_MIN)
        || (digits == PLUS_DIGITS_MIN && text.contains(&b'+'));
    if numbers { families } else { families & 0x7F }
}

/// The families that a long text may hold: those of secrets only where it has the prefix of one.
fn families_in_long_text(text: &[u8]) -> u8 {
    if secrets::has_secret_prefix(text) { u8::MAX } else { 1 << EMAIL | 1 << DIGITS }
}

/// The byte before an offset; a space at the start of the text.
fn byte_before(text: &[u8], at: usize) -> u8 {
    at.checked_sub(1).and_then(|at| text.get(at)).copied().unwrap_or(b' ')
}

/// The byte at an offset; a space after the end of the text.
fn byte_at(text: &[u8], at: usize) -> u8 {
    text.get(at).copied().unwrap_or(b' ')
}

#[cfg(test)]
mod tests;
