//! Finds secrets of a well-known shape: web tokens, access keys, private keys.
//!
//! A secret may be longer than [`LOOKAHEAD_BYTES`]. It is recognized by its first bytes, and all bytes of its alphabet
//! that follow belong to it, however many. A secret that is cut short is found too.

use super::{Detector, FamilySearch, Hit, LOOKAHEAD_BYTES, PiiKind, PiiSpan, byte_before};
use aho_corasick::packed;
use memchr::memmem::{self, Finder};
use std::sync::LazyLock;

/// The families of secrets: each finds the first of its own that begins at `from` or later.
pub(super) const FAMILIES: [FamilySearch; 6] = [
    |detector, text, from| find_secret(detector, PiiKind::Jwt, text, from, 0, |at| web_token(text, at)),
    |detector, text, from| find_secret(detector, PiiKind::Key, text, from, 1, |at| access_key(text, at)),
    |detector, text, from| find_secret(detector, PiiKind::Key, text, from, 2, |at| access_key(text, at)),
    |detector, text, from| find_secret(detector, PiiKind::Key, text, from, 3, |at| access_key(text, at)),
    |detector, text, from| find_secret(detector, PiiKind::Key, text, from, 4, |at| key_with_underscore(text, from, at)),
    |detector, text, from| find_secret(detector, PiiKind::Key, text, from, 5, |at| private_key(text, at)),
];

/// The bytes that each family searches for.
static NEEDLES: LazyLock<[Finder<'static>; 6]> =
    LazyLock::new(|| ["eyJ", "AKIA", "ASIA", "xox", "_", "-----BEGIN "].map(|needle| Finder::new(needle.as_bytes())));

/// Searches for the prefixes of all secrets at once, by vector instructions where the machine has them.
static PREFIXES: LazyLock<Option<packed::Searcher>> = LazyLock::new(|| {
    let prefixes = || KEYS.iter().map(|(prefix, _, _)| *prefix).chain([&b"eyJ"[..], PEM_BEGIN]);
    let plain = || packed::Config::new().only_rabin_karp(true).builder().extend(prefixes()).build();
    packed::Searcher::new(prefixes()).or_else(plain)
});

/// Whether the prefix of a secret occurs anywhere in a text.
pub(super) fn has_secret_prefix(text: &[u8]) -> bool {
    PREFIXES.as_ref().is_none_or(|prefixes| prefixes.find(text).is_some())
}

/// The first occurrence of a family's bytes that belongs to a secret.
fn find_secret(
    detector: &Detector,
    kind: PiiKind,
    text: &[u8],
    from: usize,
    family: usize,
    recognize: impl Fn(usize) -> Option<Hit>,
) -> Option<Hit> {
    if !detector.looks_for(kind) {
        return None;
    }
    NEEDLES[family].find_iter(text.get(from..)?).find_map(|at| recognize(from + at))
}

/// The bytes after the recognized start of a secret that belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SecretTail {
    /// All bytes of this alphabet.
    Alphabet(SecretAlphabet),
    /// All bytes up to the line that ends a PEM block. `seen` bytes of its `-----END`, or with `end` of the `-----`
    /// after that, have been read.
    Pem { seen: u8, end: bool },
}

/// The alphabet of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SecretAlphabet {
    /// `A-Z`, `0-9`.
    Upper,
    /// `A-Z`, `a-z`, `0-9`, `_`.
    Word,
    /// `A-Z`, `a-z`, `0-9`, `-`.
    Dashed,
    /// base64url, and the points between parts.
    Token,
}

impl SecretAlphabet {
    const fn contains(self, b: u8) -> bool {
        match self {
            Self::Upper => b.is_ascii_uppercase() || b.is_ascii_digit(),
            Self::Word => b.is_ascii_alphanumeric() || b == b'_',
            Self::Dashed => b.is_ascii_alphanumeric() || b == b'-',
            Self::Token => b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'='),
        }
    }

    fn length_in(self, text: &[u8]) -> usize {
        text.iter().take_while(|&&b| self.contains(b)).count()
    }
}

impl SecretTail {
    /// Returns how many bytes of the text belong to the secret, and whether it ends after them.
    pub(super) fn read(&mut self, text: &[u8]) -> (usize, bool) {
        match self {
            Self::Alphabet(alphabet) => {
                let run = alphabet.length_in(text);
                (run, run < text.len())
            }
            Self::Pem { seen, end } => {
                for (at, &b) in text.iter().enumerate() {
                    if pem_step(seen, end, b) {
                        return (at + 1, true);
                    }
                }
                (text.len(), false)
            }
        }
    }
}

const PEM_BEGIN: &[u8] = b"-----BEGIN ";
const PEM_END: &[u8] = b"-----END";

/// Takes one byte of a PEM block; true for its last one.
fn pem_step(seen: &mut u8, end: &mut bool, b: u8) -> bool {
    if *end {
        *seen = if b == b'-' { *seen + 1 } else { 0 };
        return *seen == 5;
    }
    *seen = match (*seen, b) {
        (0..=4, b'-') => *seen + 1,
        (5, b'-') => 5,
        (_, b'-') => 1,
        (5..=7, b) if PEM_END[usize::from(*seen)] == b => *seen + 1,
        _ => 0,
    };
    if usize::from(*seen) == PEM_END.len() {
        (*seen, *end) = (0, true);
    }
    false
}

fn window(text: &[u8], at: usize) -> &[u8] {
    &text[at..text.len().min(at + LOOKAHEAD_BYTES)]
}

/// A web token: at least two parts, or a first part that is longer than [`LOOKAHEAD_BYTES`].
fn web_token(text: &[u8], at: usize) -> Option<Hit> {
    const PREFIX_BYTES_MIN: usize = 12;
    if SecretAlphabet::Token.contains(byte_before(text, at))
        && byte_before(text, at) != b'.'
        && byte_before(text, at) != b'='
    {
        return None;
    }
    let window = window(text, at);
    let prefix = window.iter().take_while(|&&b| SecretAlphabet::Token.contains(b) && b != b'.' && b != b'=').count();
    let parts = window.get(prefix) == Some(&b'.') && window.get(prefix + 1).is_some_and(|b| b.is_ascii_alphanumeric());
    if prefix < PREFIX_BYTES_MIN || !(parts || prefix == LOOKAHEAD_BYTES) {
        return None;
    }
    let rest = Some(SecretTail::Alphabet(SecretAlphabet::Token));
    Some(Hit { span: PiiSpan { start: at, end: at + prefix, kind: PiiKind::Jwt }, tail: rest })
}

/// Prefixes, the alphabet after each, and how many characters of it there must be.
const KEYS: [(&[u8], SecretAlphabet, usize); 18] = [
    (b"AKIA", SecretAlphabet::Upper, 16),
    (b"ASIA", SecretAlphabet::Upper, 16),
    (b"sk_live_", SecretAlphabet::Word, 16),
    (b"sk_test_", SecretAlphabet::Word, 16),
    (b"rk_live_", SecretAlphabet::Word, 16),
    (b"rk_test_", SecretAlphabet::Word, 16),
    (b"ghp_", SecretAlphabet::Word, 30),
    (b"gho_", SecretAlphabet::Word, 30),
    (b"ghu_", SecretAlphabet::Word, 30),
    (b"ghs_", SecretAlphabet::Word, 30),
    (b"ghr_", SecretAlphabet::Word, 30),
    (b"github_pat_", SecretAlphabet::Word, 22),
    (b"xoxb-", SecretAlphabet::Dashed, 10),
    (b"xoxp-", SecretAlphabet::Dashed, 10),
    (b"xoxa-", SecretAlphabet::Dashed, 10),
    (b"xoxr-", SecretAlphabet::Dashed, 10),
    (b"xoxs-", SecretAlphabet::Dashed, 10),
    (b"xoxe-", SecretAlphabet::Dashed, 10),
];

fn access_key(text: &[u8], at: usize) -> Option<Hit> {
    if byte_before(text, at).is_ascii_alphanumeric() {
        return None;
    }
    let window = window(text, at);
    let (prefix, alphabet, least) = KEYS.iter().find(|(prefix, _, _)| window.starts_with(prefix))?;
    if alphabet.length_in(window.get(prefix.len()..prefix.len() + least)?) < *least {
        return None;
    }
    let end = at + prefix.len() + least;
    Some(Hit { span: PiiSpan { start: at, end, kind: PiiKind::Key }, tail: Some(SecretTail::Alphabet(*alphabet)) })
}

/// An access key whose prefix has its first `_` at `at`.
fn key_with_underscore(text: &[u8], from: usize, at: usize) -> Option<Hit> {
    let prefixes = [2, 3, 6].into_iter().filter_map(|back| at.checked_sub(back)).filter(|&start| start >= from);
    prefixes
        .filter(|&start| text[start..at].iter().all(u8::is_ascii_lowercase))
        .find_map(|start| access_key(text, start))
}

fn private_key(text: &[u8], at: usize) -> Option<Hit> {
    const PREFIX_BYTES_MAX: usize = 64;
    let line = &text[at..text.len().min(at + PREFIX_BYTES_MAX)];
    let end = memmem::find(line, b"PRIVATE KEY-----").or_else(|| memmem::find(line, b"PRIVATE KEY BLOCK-----"))?;
    let label = &line[PEM_BEGIN.len()..end];
    if !label.iter().all(|&b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b' ') {
        return None;
    }
    let end = at + end + b"PRIVATE KEY-----".len();
    Some(Hit {
        span: PiiSpan { start: at, end, kind: PiiKind::Key },
        tail: Some(SecretTail::Pem { seen: 0, end: false }),
    })
}
