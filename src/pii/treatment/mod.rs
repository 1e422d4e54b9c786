//! What happens to a selected value: the compiled form of a rule's treatment.
//!
//! | value | tokenize | hash | encrypt_format | mask | generalize | redact | drop |
//! | --- | --- | --- | --- | --- | --- | --- | --- |
//! | string | token | hash | digits replaced | masked | coarser text | `[redacted]` | left out |
//! | number | token, which reveals to a number | hash of its lexeme | a number of as many digits | string | number | `[redacted]` | left out |
//! | boolean, object, array | `[redacted]` | `[redacted]` | `[redacted]` | `[redacted]` | `[redacted]` | `[redacted]` | left out |
//! | null | null | null | null | null | null | null | left out |
//!
//! What already is a token of this vendor stays that token, so tokenizing twice is tokenizing once.
//!
//! What keeps nothing of a value (`hash`, `redact`, `mask` without kept ends, `drop`) takes one of any length, piece by
//! piece: see [`Pieces`]. The others need it whole, at most [`bounds::VALUE_BYTES_MAX`].
//!
//! A boolean is redacted because two values leave a token nothing to hide. What does not fit a format, or is no date or number to
//! generalize, is redacted too: a treatment never passes a value raw. Nothing here allocates but the output's own growth.

mod batch;
mod format;
mod generalize;
mod mask;
mod pieces;

use std::sync::Arc;

use zeroize::Zeroize;

use super::ff1::Way;
use super::keys::{ClassKeys, VendorKeys};
use super::letters::{HALF_CHARACTERS, base32, encode_half};
use super::rewriter::{Kind, Shape, Stop, Treat, Value};
use super::rule::{Format, Generalize, Rule, Treatment};
use super::token::{TOKEN_PREFIX, TokenKind};
use crate::bounds;
pub use batch::Batch;
use format::FormatCipher;
use pieces::How;
pub use pieces::Pieces;

/// Bytes of a hash before its tag: `h1`, the key's version and a line.
const HEAD_BYTES: usize = 5;

/// What stands in place of a value that is taken out.
pub const REDACTED: &[u8] = b"[redacted]";

/// Why rules cannot be compiled: an operator's mistake. `rule` is the place in the list, from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreatmentError {
    /// The vendor's keys were made without this rule's class.
    #[error("the keys of {vendor} have no class '{class}'")]
    UnknownClass {
        /// Which rule.
        rule: usize,
        /// Whose keys.
        vendor: Box<str>,
        /// The class that is missing.
        class: Box<str>,
    },
    /// The ends of a card that are to stay are not ones that can.
    #[error("a card can keep its first 6 or its last 4 digits, or none, not {keep_first} and {keep_last}")]
    CardEnds {
        /// Which rule.
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
        /// Which rule.
        rule: usize,
    },
    /// A prefix of no characters is no prefix.
    #[error("a prefix must keep at least 1 character; to keep none, redact")]
    EmptyPrefix {
        /// Which rule.
        rule: usize,
    },
}

impl TreatmentError {
    /// The place of the rule in its list, from 0.
    pub const fn rule(&self) -> usize {
        match self {
            Self::UnknownClass { rule, .. }
            | Self::CardEnds { rule, .. }
            | Self::DomainTooSmall { rule }
            | Self::EmptyPrefix { rule } => *rule,
        }
    }
}

/// Treats the values that rules select, with one vendor's keys.
pub struct Treater {
    keys: Arc<VendorKeys>,
    actions: Box<[Action]>,
}

/// A treatment with its keys found: `class` is a place in the vendor's classes.
enum Action {
    Tokenize {
        class: usize,
    },
    /// With the head of its hashes, and room behind it.
    Hash {
        class: usize,
        room: [u8; HEAD_BYTES + HALF_CHARACTERS],
    },
    EncryptFormat(Box<FormatCipher>),
    Mask {
        keep_first: usize,
        keep_last: usize,
    },
    Redact,
    Drop,
    Generalize(Generalize),
}

impl Treater {
    /// Compiles the treatments of `rules`; a rule's place in the list is what [`Treat::treat`] is called with.
    ///
    /// # Errors
    /// [`TreatmentError`] for the first rule that cannot be carried out.
    pub fn compile(rules: &[Rule], keys: Arc<VendorKeys>) -> Result<Self, TreatmentError> {
        let actions: Result<_, _> = (0..).zip(rules).map(|(at, rule)| compile(at, rule, &keys)).collect();
        Ok(Self { actions: actions?, keys })
    }

    /// The inverse of `encrypt_format`: appends the value that the rule's encryption made this one of.
    ///
    /// Such values carry no key version and no integrity: one made under another version, or by no one, comes back as
    /// other digits. `None`, with nothing appended, when the rule is of another treatment or the value does not fit.
    pub fn restore(&self, rule: usize, value: Value<'_>, out: &mut Vec<u8>) -> Option<Shape> {
        match self.actions.get(rule)? {
            Action::EncryptFormat(cipher) => cipher.apply(Way::Decrypt, value, out),
            Action::Tokenize { .. }
            | Action::Hash { .. }
            | Action::Mask { .. }
            | Action::Redact
            | Action::Drop
            | Action::Generalize(_) => None,
        }
    }

    fn apply(&self, action: &Action, value: Value<'_>, out: &mut Vec<u8>) -> Option<Shape> {
        match action {
            Action::Tokenize { class } => {
                if value.text.starts_with(TOKEN_PREFIX) && self.is_own_token(value.text, out) {
                    out.extend_from_slice(value.text);
                } else {
                    let kind = if value.kind == Kind::Number { TokenKind::Number } else { TokenKind::Text };
                    self.class(*class).token.seal(kind, value.text, out);
                }
                Some(Shape::Text)
            }
            Action::Hash { class, room } => {
                let tag = self.class(*class).hash.half_tag(value.text);
                out.extend_from_slice(room);
                *out.last_chunk_mut()? = encode_half(tag);
                Some(Shape::Text)
            }
            Action::EncryptFormat(cipher) => cipher.apply(Way::Encrypt, value, out),
            Action::Mask { keep_first, keep_last } => mask::apply(value.text, *keep_first, *keep_last, out),
            Action::Generalize(how) => generalize::apply(*how, value, out),
            Action::Redact => None,
            // An engine that asks leaves the member out; whoever cannot leaves an empty text.
            Action::Drop => Some(Shape::Text),
        }
    }

    /// Whether the text is a token that opens. `out` lends its room, and is left as it was.
    fn is_own_token(&self, text: &[u8], out: &mut Vec<u8>) -> bool {
        let start = out.len();
        let own = self.keys.open(text, out).is_ok();
        out[start..].zeroize();
        out.truncate(start);
        own
    }

    fn class(&self, at: usize) -> &ClassKeys {
        &self.keys.classes()[at]
    }
}

impl std::fmt::Debug for Treater {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Treater of {} rules for {}", self.actions.len(), self.keys.vendor())
    }
}

impl Treat for Treater {
    fn drops(&self, rule: usize) -> bool {
        matches!(self.actions.get(rule), Some(Action::Drop))
    }

    fn treat(&self, rule: usize, value: Value<'_>, out: &mut Vec<u8>) -> Result<Shape, Stop> {
        let action = self.actions.get(rule).ok_or(Stop::Untreatable { what: "it has no rule" })?;
        let limit = bounds::VALUE_BYTES_MAX;
        if value.text.len() > limit {
            return Err(Stop::Bound { bound: "a treated value", limit: limit as u64 });
        }
        let shape = match value.kind {
            Kind::Null => {
                out.extend_from_slice(b"null");
                return Ok(Shape::Literal);
            }
            Kind::Boolean | Kind::Container if !matches!(action, Action::Drop) => None,
            Kind::String | Kind::Number | Kind::Boolean | Kind::Container => self.apply(action, value, out),
        };
        Ok(shape.unwrap_or_else(|| {
            out.extend_from_slice(REDACTED);
            Shape::Text
        }))
    }

    fn pieces(&self, rule: usize) -> Option<Pieces> {
        Some(Pieces(match self.actions.get(rule)? {
            Action::Redact => How::Redact,
            Action::Mask { keep_first: 0, keep_last: 0 } => How::Mask(pieces::Characters::default()),
            Action::Hash { class, .. } => How::Hash(self.class(*class).hash.begin()),
            Action::Mask { .. }
            | Action::Tokenize { .. }
            | Action::EncryptFormat(_)
            | Action::Drop
            | Action::Generalize(_) => return None,
        }))
    }

    fn finish(&self, rule: usize, mut pieces: Pieces, out: &mut Vec<u8>) {
        pieces.drain(out);
        match (pieces.0, self.actions.get(rule)) {
            (How::Hash(sum), Some(Action::Hash { class, room })) => {
                out.extend_from_slice(room);
                let from = out.len() - HALF_CHARACTERS;
                out[from..].copy_from_slice(&encode_half(self.class(*class).hash.end(sum)));
            }
            (How::Mask(_), _) => {}
            (How::Redact | How::Hash(_), _) => out.extend_from_slice(REDACTED),
        }
    }

    fn defer(&self, rule: usize, value: Value<'_>, out: &mut Vec<u8>, batch: &mut Batch) -> Result<Shape, Stop> {
        match self.hold(rule, value, out, batch) {
            Some(()) => Ok(Shape::Text),
            None => self.treat(rule, value, out),
        }
    }

    fn settle(&self, batch: &mut Batch, out: &mut [u8]) {
        self.settle_all(batch, out);
    }
}

fn compile(rule: usize, settings: &Rule, keys: &VendorKeys) -> Result<Action, TreatmentError> {
    let class = || {
        keys.class_index(&settings.class).ok_or_else(|| TreatmentError::UnknownClass {
            rule,
            vendor: keys.vendor().as_str().into(),
            class: settings.class.as_str().into(),
        })
    };
    Ok(match settings.treatment {
        Treatment::Tokenize => Action::Tokenize { class: class()? },
        Treatment::Hash => {
            let class = class()?;
            let [a, b] = base32(u32::from(keys.classes()[class].version.number()));
            let mut room = [b'-'; HEAD_BYTES + HALF_CHARACTERS];
            room[..HEAD_BYTES].copy_from_slice(&[b'h', b'1', a, b, b'_']);
            Action::Hash { class, room }
        }
        Treatment::EncryptFormat(format) => {
            check_format(rule, format)?;
            let keys = &keys.classes()[class()?];
            Action::EncryptFormat(Box::new(FormatCipher::new(format, &keys.format.0)))
        }
        Treatment::Mask { keep_first, keep_last } => {
            Action::Mask { keep_first: keep_first.into(), keep_last: keep_last.into() }
        }
        Treatment::Redact => Action::Redact,
        Treatment::Drop => Action::Drop,
        Treatment::Generalize(Generalize::Prefix(0)) => return Err(TreatmentError::EmptyPrefix { rule }),
        Treatment::Generalize(how) => Action::Generalize(how),
    })
}

fn check_format(rule: usize, format: Format) -> Result<(), TreatmentError> {
    match format {
        Format::Card { keep_first: 6, keep_last: 4 } => Err(TreatmentError::DomainTooSmall { rule }),
        Format::Card { keep_first: 0 | 6, keep_last: 0 | 4 } | Format::Digits | Format::Phone => Ok(()),
        Format::Card { keep_first, keep_last } => Err(TreatmentError::CardEnds { rule, keep_first, keep_last }),
    }
}

#[cfg(test)]
mod tests;
