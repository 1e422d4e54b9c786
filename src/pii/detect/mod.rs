//! Finds personal data and secrets in text that no rule has named: by shape and check digits.
//!
//! A fast pass finds candidates (`@`, digits, known prefixes), a plain check judges each. Whether something begins at a
//! place depends on the byte before it and on [`LOOKAHEAD_BYTES`] from it, on nothing else; so text can be cut
//! anywhere. Time is linear in the text and clean text costs no allocation. Never claims to find names or addresses.

mod digits;
mod email;
mod number;
mod prefilter;
mod rule;
mod secrets;

pub(super) use number::whole_number;
pub(super) use rule::DetectStream;
pub use rule::{DetectAction, DetectRule};

/// What must be seen to judge whether something begins at a place. The longest local part, `@` and domain fit.
pub(super) const LOOKAHEAD_BYTES: usize = 320;

/// A sort of thing that is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    /// All of them; where several begin at one place, the first of these wins.
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
}

/// Something that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PiiSpan {
    /// Offset of its first byte.
    pub start: usize,
    /// Offset of the byte behind its last one.
    pub end: usize,
    /// What it is.
    pub kind: PiiKind,
}

/// Looks for some sorts of things.
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
    /// A detector of these sorts.
    pub fn new(sorts: impl IntoIterator<Item = PiiKind>) -> Self {
        Self { kinds: sorts.into_iter().fold(0, |sorts, sort| sorts | 1 << sort as u8) }
    }

    /// Reports what is found, in order and without overlaps. The text should be UTF-8; other bytes are letters.
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

    const fn looks_for(&self, sort: PiiKind) -> bool {
        self.kinds & 1 << sort as u8 != 0
    }
}

/// Something found, which may go on beyond what was looked at.
#[derive(Debug, Clone, Copy)]
struct Hit {
    span: PiiSpan,
    /// With `Some`, all that this reads from `span.end` on belongs to it too.
    tail: Option<secrets::SecretTail>,
}

impl Hit {
    const fn whole(start: usize, end: usize, sort: PiiKind) -> Self {
        Self { span: PiiSpan { start, end, kind: sort }, tail: None }
    }
}

/// One pass over a text: remembers the next hit of each family, so that no family reads a byte twice.
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

/// Finds the first thing of its own that begins at a place or later.
type FamilySearch = fn(&Detector, &[u8], usize) -> Option<Hit>;

/// Texts up to this length are looked over byte by byte first: most strings of a document have a sign of nothing.
const SHORT_TEXT_BYTES: usize = 256;

/// For each byte, a bit for each family, in their order, whose finds all have it; the last is set for digits.
const MARKERS: [u8; 256] = {
    let (mut signs, mut family) = ([0; 256], 0);
    while family < 7 {
        signs[b"B_xKSJ@"[family] as usize] = 1 << family;
        family += 1;
    }
    let mut digit = b'0';
    while digit <= b'9' {
        signs[digit as usize] = 1 << family;
        digit += 1;
    }
    signs
};

/// Whatever is made of digits has no fewer, but for a phone number behind a `+` and for IBANs; a date has eight.
const DIGITS_MIN: usize = 9;
const SIGNED_DIGITS_MIN: usize = 8;
const IBAN_BYTES_MIN: usize = 15;
const IBAN_DIGITS_MIN: usize = 2;

const FAMILIES: [FamilySearch; 8] = {
    let [jwt, akia, asia, slack, underlined, pem] = secrets::FAMILIES;
    [pem, underlined, slack, akia, asia, jwt, email::next_email, digits::next_number]
};
const EMAIL: usize = 6;
const DIGITS: usize = 7;

impl<'d> DetectSearch<'d> {
    /// Begins at `from`; the byte before is only looked at. `None` when there is no sign of anything.
    fn new(detector: &'d Detector, text: &[u8], from: usize) -> Option<Self> {
        let rest = text.get(from..)?;
        let signs =
            if rest.len() <= SHORT_TEXT_BYTES { families_in_short_text(rest) } else { families_in_long_text(rest) };
        (signs != 0).then(|| Self::of_families(detector, from, signs))
    }

    /// Looks for these families only.
    fn of_families(detector: &'d Detector, from: usize, signs: u8) -> Self {
        let next = |family| if signs >> family & 1 == 0 { FamilyState::Nothing } else { FamilyState::Unknown };
        Self { detector, from, families: std::array::from_fn(next) }
    }

    /// The next hit, after which the search goes on behind it.
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

/// The families that a short text has a sign of. A byte costs about a cycle: most strings of a document end here.
#[inline]
fn families_in_short_text(text: &[u8]) -> u8 {
    let (signs, digits) = text
        .iter()
        .map(|byte| MARKERS[usize::from(*byte)])
        .fold((0, 0), |(all, digits), signs| (all | signs, digits + usize::from(signs >> 7)));
    let numbers = digits >= DIGITS_MIN
        || (digits >= IBAN_DIGITS_MIN && text.len() >= IBAN_BYTES_MIN)
        || (digits == SIGNED_DIGITS_MIN && text.contains(&b'+'));
    if numbers { signs } else { signs & 0x7F }
}

/// The families that a long text may hold: secrets only where it has the head of one.
fn families_in_long_text(text: &[u8]) -> u8 {
    if secrets::has_secret_prefix(text) { u8::MAX } else { 1 << EMAIL | 1 << DIGITS }
}

/// The byte before a place; a space where there is none.
fn byte_before(text: &[u8], at: usize) -> u8 {
    at.checked_sub(1).and_then(|at| text.get(at)).copied().unwrap_or(b' ')
}

/// The byte at a place; a space behind the end.
fn byte_at(text: &[u8], at: usize) -> u8 {
    text.get(at).copied().unwrap_or(b' ')
}

#[cfg(test)]
mod tests;
