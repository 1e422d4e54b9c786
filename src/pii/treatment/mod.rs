//! The treatments: a rule's settings, their compiled form with the keys of one vendor, and what each makes of a value.
//!
//! | value | tokenize | hash | encrypt_format | mask | generalize | redact | drop |
//! | --- | --- | --- | --- | --- | --- | --- | --- |
//! | string | token | hash | digits replaced | masked | coarser text | `[redacted]` | left out |
//! | number | token, which reveals to a number | hash of its lexeme | a number of as many digits | string | number | `[redacted]` | left out |
//! | boolean, object, array | `[redacted]` | `[redacted]` | `[redacted]` | `[redacted]` | `[redacted]` | `[redacted]` | left out |
//! | null | null | null | null | null | null | null | left out |
//!
//! A text that already is a token of this vendor stays that token, so that tokenizing twice is tokenizing once.
//!
//! The treatments that keep nothing of a value (`hash`, `redact`, `mask` without kept ends, `drop`) accept a value of
//! any length, piece by piece: see [`PieceTransform`]. The others need the whole value, of at most
//! [`bounds::VALUE_BYTES_MAX`] bytes.
//!
//! A boolean is redacted because it has only two values, so that its token would tell which one it is. A value that
//! does not fit its format, or is no date or number to generalize, is redacted too: a treatment never passes a value
//! raw. Nothing here allocates except by the growth of the output.

mod batch;
mod format;
mod generalize;
mod mask;
mod pieces;

use std::sync::Arc;

use zeroize::Zeroize;

use super::alphabets::{HALF_TAG_CHARACTERS, base32, encode_16_bytes};
use super::ff1::CipherDirection;
use super::keys::{ClassKeys, VendorKeys};
use super::rewriter::{RewriteError, RewriteResult};
use super::rule::{Rule, TokenClass};
use super::token::{TOKEN_PREFIX, TokenKind};
use super::transform::{Replacement, SelectedValue, Transform, ValueKind};
use crate::bounds;
use crate::model::TreatmentKind;
pub use batch::DeferredBatch;
use format::FormatCipher;
use pieces::PieceState;
pub use pieces::PieceTransform;

/// Bytes of a hash before its tag: `h1`, two characters for the key's version, and `_`.
const HASH_HEAD_BYTES: usize = 5;

/// The text that replaces a value of which nothing is kept.
const REDACTED: &[u8] = b"[redacted]";

/// What happens to a value before it leaves. A table in the source of `pii/treatment` says what each makes of a value
/// of each type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Treatment {
    /// A token by AES-256-SIV (RFC 5297): equal values of a vendor and class give equal tokens, and
    /// [`super::Rules::reveal`] opens them.
    Tokenize,
    /// The first 128 bits of an HMAC-SHA-256 (RFC 2104): equal values of a vendor and class give equal hashes, and
    /// nothing reveals them.
    Hash,
    /// FF1 (NIST SP 800-38G) over the digits; all other characters stay in place.
    EncryptFormat(DigitFormat),
    /// Each character becomes `*`, except those kept at the ends.
    Mask {
        /// Characters kept at the start.
        keep_first: u16,
        /// Characters kept at the end.
        keep_last: u16,
    },
    /// The constant `[redacted]`.
    Redact,
    /// The member, element or parameter is left out.
    Drop,
    /// A coarser value, such as the year of a date.
    Generalize(Generalization),
}

/// A format of digits, which encryption preserves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DigitFormat {
    /// All digits are encrypted.
    Digits,
    /// A payment card: a number with a valid Luhn check digit stays valid, and one end can be kept.
    Card {
        /// Leading digits left in clear: 0 or 6.
        keep_first: u8,
        /// Trailing digits left in clear: 0 or 4.
        keep_last: u8,
    },
    /// A phone number: a `+` and the country code after it stay in clear.
    Phone,
}

/// How a value is generalized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generalization {
    /// A date to its year.
    Year,
    /// A postcode, or any text, to its first characters.
    Prefix(u16),
    /// A number to the floor of a bucket of this width.
    Bucket(std::num::NonZeroU64),
}

impl Treatment {
    /// The kind of the treatment, without its settings.
    pub const fn kind(&self) -> TreatmentKind {
        match self {
            Self::Tokenize => TreatmentKind::Tokenize,
            Self::Hash => TreatmentKind::Hash,
            Self::EncryptFormat(_) => TreatmentKind::EncryptFormat,
            Self::Mask { .. } => TreatmentKind::Mask,
            Self::Redact => TreatmentKind::Redact,
            Self::Drop => TreatmentKind::Drop,
            Self::Generalize(_) => TreatmentKind::Generalize,
        }
    }

    /// The word used in config, metrics and the exposure report.
    pub const fn as_str(&self) -> &'static str {
        self.kind().as_str()
    }
}

/// Why rules cannot be compiled: a mistake in the rules. `rule` is the index of the rule in [`super::Rules::treat`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreatmentError {
    /// The vendor's keys were derived without the class of this rule.
    #[error("the keys of {vendor} have no class '{class}'")]
    UnknownClass {
        /// The index of the rule.
        rule: usize,
        /// The vendor whose keys these are.
        vendor: Box<str>,
        /// The class that is missing.
        class: Box<str>,
    },
    /// These ends of a card cannot stay in clear.
    #[error("a card can keep its first 6 or its last 4 digits, or none, not {keep_first} and {keep_last}")]
    CardEnds {
        /// The index of the rule.
        rule: usize,
        /// Leading digits asked for.
        keep_first: u8,
        /// Trailing digits asked for.
        keep_last: u8,
    },
    /// Too few digits would be left to encrypt.
    #[error(
        "keeping both ends and the check digit of a card leaves 10^5 values, and FF1 needs 10^6 (NIST SP 800-38G rev. 1): keep the first 6 or the last 4"
    )]
    DomainTooSmall {
        /// The index of the rule.
        rule: usize,
    },
    /// A prefix of no characters keeps nothing.
    #[error("a prefix must keep at least 1 character; to keep none, redact")]
    EmptyPrefix {
        /// The index of the rule.
        rule: usize,
    },
}

/// The compiled treatments of a list of rules, with the keys of one vendor.
pub struct Transformer {
    keys: Arc<VendorKeys>,
    treatments: Box<[CompiledTreatment]>,
}

/// A compiled treatment. `class` is an index in [`VendorKeys::classes`].
enum CompiledTreatment {
    Tokenize {
        class: usize,
    },
    /// `template` is a hash whose first bytes, which name its key, are set; the 22 after them are set for each value.
    Hash {
        class: usize,
        template: [u8; HASH_HEAD_BYTES + HALF_TAG_CHARACTERS],
    },
    EncryptFormat(Box<FormatCipher>),
    Mask {
        keep_first: usize,
        keep_last: usize,
    },
    Redact,
    Drop,
    Generalize(Generalization),
}

impl Transformer {
    /// Compiles the treatments of `rules`. The index of a rule in the list is the number that [`Transform`] takes.
    ///
    /// # Errors
    /// [`TreatmentError`] for the first rule that cannot be carried out.
    pub fn compile(rules: &[Rule], keys: Arc<VendorKeys>) -> Result<Self, TreatmentError> {
        let actions: Result<_, _> = (0..).zip(rules).map(|(at, rule)| compile(at, rule, &keys)).collect();
        Ok(Self { treatments: actions?, keys })
    }

    fn apply(&self, action: &CompiledTreatment, value: SelectedValue<'_>, out: &mut Vec<u8>) -> Option<Replacement> {
        match action {
            CompiledTreatment::Tokenize { class } => {
                if value.text.starts_with(TOKEN_PREFIX) && self.opens_as_token(value.text, out) {
                    out.extend_from_slice(value.text);
                } else {
                    let kind = if value.kind == ValueKind::Number { TokenKind::Number } else { TokenKind::Text };
                    self.class_keys(*class).token.seal(kind, value.text, out);
                }
                Some(Replacement::Text)
            }
            CompiledTreatment::Hash { class, template: room } => {
                let tag = self.class_keys(*class).hash.half_tag(value.text);
                out.extend_from_slice(room);
                *out.last_chunk_mut()? = encode_16_bytes(tag);
                Some(Replacement::Text)
            }
            CompiledTreatment::EncryptFormat(cipher) => cipher.apply(CipherDirection::Encrypt, value, out),
            CompiledTreatment::Mask { keep_first, keep_last } => mask::apply(value.text, *keep_first, *keep_last, out),
            CompiledTreatment::Generalize(how) => generalize::apply(*how, value, out),
            CompiledTreatment::Redact => None,
            // An engine that can leaves the whole member out; in a format without members, an empty text is left.
            CompiledTreatment::Drop => Some(Replacement::Text),
        }
    }

    /// Whether the text is a token that opens under these keys. Decrypts into the end of `out`, and wipes that again.
    fn opens_as_token(&self, text: &[u8], out: &mut Vec<u8>) -> bool {
        let start = out.len();
        let opens = self.keys.open(text, out).is_ok();
        out[start..].zeroize();
        out.truncate(start);
        opens
    }

    fn class_keys(&self, at: usize) -> &ClassKeys {
        &self.keys.classes()[at]
    }
}

impl VendorKeys {
    /// The inverse of [`Treatment::EncryptFormat`]: appends the digits that were encrypted under these keys' active
    /// version. `kind` says whether `text` is a string or the lexeme of a JSON number. `None`, with nothing appended,
    /// when the class is not one of these keys' or the text does not fit the format.
    ///
    /// An encrypted text carries no key version and nothing that authenticates it: one that was made under another
    /// version, or was never encrypted, comes back as other digits. Where a value must come back, tokenize it.
    pub fn decrypt_format(
        &self,
        class: &TokenClass,
        format: DigitFormat,
        kind: TokenKind,
        text: &[u8],
        out: &mut Vec<u8>,
    ) -> Option<()> {
        check_format(0, format).ok()?;
        let cipher = FormatCipher::new(format, &self.classes()[self.class_index(class)?].format.0);
        let kind = match kind {
            TokenKind::Text => ValueKind::String,
            TokenKind::Number => ValueKind::Number,
        };
        cipher.apply(CipherDirection::Decrypt, SelectedValue { kind, text }, out).map(drop)
    }
}

impl std::fmt::Debug for Transformer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Transformer of {} rules for {}", self.treatments.len(), self.keys.vendor())
    }
}

impl Transform for Transformer {
    fn drops_member(&self, rule: usize) -> bool {
        matches!(self.treatments.get(rule), Some(CompiledTreatment::Drop))
    }

    fn transform(&self, rule: usize, value: SelectedValue<'_>, out: &mut Vec<u8>) -> RewriteResult<Replacement> {
        let action = self.treatments.get(rule).ok_or(RewriteError::Untreatable { what: "it has no rule" })?;
        let limit = bounds::VALUE_BYTES_MAX;
        if value.text.len() > limit {
            return Err(RewriteError::Bound { bound: "a treated value", limit: limit as u64 });
        }
        let replacement = match value.kind {
            ValueKind::Null => {
                out.extend_from_slice(b"null");
                return Ok(Replacement::Literal);
            }
            ValueKind::Boolean | ValueKind::Container if !matches!(action, CompiledTreatment::Drop) => None,
            ValueKind::String | ValueKind::Number | ValueKind::Boolean | ValueKind::Container => {
                self.apply(action, value, out)
            }
        };
        Ok(replacement.unwrap_or_else(|| {
            out.extend_from_slice(REDACTED);
            Replacement::Text
        }))
    }

    fn begin_pieces(&self, rule: usize) -> Option<PieceTransform> {
        Some(PieceTransform(match self.treatments.get(rule)? {
            CompiledTreatment::Redact => PieceState::Redact,
            CompiledTreatment::Mask { keep_first: 0, keep_last: 0 } => {
                PieceState::Mask(pieces::CharacterCounter::default())
            }
            CompiledTreatment::Hash { class, .. } => PieceState::Hash(self.class_keys(*class).hash.start_stream()),
            CompiledTreatment::Mask { .. }
            | CompiledTreatment::Tokenize { .. }
            | CompiledTreatment::EncryptFormat(_)
            | CompiledTreatment::Drop
            | CompiledTreatment::Generalize(_) => return None,
        }))
    }

    fn finish_pieces(&self, rule: usize, mut pieces: PieceTransform, out: &mut Vec<u8>) {
        pieces.drain(out);
        match (pieces.0, self.treatments.get(rule)) {
            (PieceState::Hash(sum), Some(CompiledTreatment::Hash { class, template: room })) => {
                out.extend_from_slice(room);
                let from = out.len() - HALF_TAG_CHARACTERS;
                out[from..].copy_from_slice(&encode_16_bytes(self.class_keys(*class).hash.finish_stream(sum)));
            }
            (PieceState::Mask(_), _) => {}
            (PieceState::Redact | PieceState::Hash(_), _) => out.extend_from_slice(REDACTED),
        }
    }

    fn defer(
        &self,
        rule: usize,
        value: SelectedValue<'_>,
        out: &mut Vec<u8>,
        batch: &mut DeferredBatch,
    ) -> RewriteResult<Replacement> {
        match self.defer_value(rule, value, out, batch) {
            Some(()) => Ok(Replacement::Text),
            None => self.transform(rule, value, out),
        }
    }

    fn complete_deferred(&self, batch: &mut DeferredBatch, out: &mut [u8]) {
        self.complete_all(batch, out);
    }
}

fn compile(rule: usize, settings: &Rule, keys: &VendorKeys) -> Result<CompiledTreatment, TreatmentError> {
    let class = || {
        keys.class_index(&settings.class).ok_or_else(|| TreatmentError::UnknownClass {
            rule,
            vendor: keys.vendor().as_str().into(),
            class: settings.class.as_str().into(),
        })
    };
    Ok(match settings.treatment {
        Treatment::Tokenize => CompiledTreatment::Tokenize { class: class()? },
        Treatment::Hash => {
            let class = class()?;
            let [a, b] = base32(u32::from(keys.classes()[class].version.number()));
            let mut room = [b'-'; HASH_HEAD_BYTES + HALF_TAG_CHARACTERS];
            room[..HASH_HEAD_BYTES].copy_from_slice(&[b'h', b'1', a, b, b'_']);
            CompiledTreatment::Hash { class, template: room }
        }
        Treatment::EncryptFormat(format) => {
            check_format(rule, format)?;
            let keys = &keys.classes()[class()?];
            CompiledTreatment::EncryptFormat(Box::new(FormatCipher::new(format, &keys.format.0)))
        }
        Treatment::Mask { keep_first, keep_last } => {
            CompiledTreatment::Mask { keep_first: keep_first.into(), keep_last: keep_last.into() }
        }
        Treatment::Redact => CompiledTreatment::Redact,
        Treatment::Drop => CompiledTreatment::Drop,
        Treatment::Generalize(Generalization::Prefix(0)) => return Err(TreatmentError::EmptyPrefix { rule }),
        Treatment::Generalize(how) => CompiledTreatment::Generalize(how),
    })
}

fn check_format(rule: usize, format: DigitFormat) -> Result<(), TreatmentError> {
    match format {
        DigitFormat::Card { keep_first: 6, keep_last: 4 } => Err(TreatmentError::DomainTooSmall { rule }),
        DigitFormat::Card { keep_first: 0 | 6, keep_last: 0 | 4 } | DigitFormat::Digits | DigitFormat::Phone => Ok(()),
        DigitFormat::Card { keep_first, keep_last } => Err(TreatmentError::CardEnds { rule, keep_first, keep_last }),
    }
}

#[cfg(test)]
mod tests;
