//! What an operator asks for: which values, in which place, are treated how.
//!
//! These are settings: data that the config room builds and this room compiles into a [`super::Plan`].

use std::fmt;

use super::{BodySettings, DetectRule, FieldRules, FileHandling};
use crate::model::FieldPath;

/// One line of a contract's `pii:` list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Where the value stands.
    pub location: ValueLocation,
    /// What happens to it.
    pub treatment: Treatment,
    /// The token domain within the vendor: equal values of one class give equal tokens. By default the field's last name.
    pub class: TokenClass,
    /// Only values of this JSON type are selected; `None` selects all.
    pub only_type: Option<ValueType>,
}

/// Where in a message a rule looks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ValueLocation {
    /// A field of the body.
    Field(FieldPath),
    /// A query parameter, by its decoded name.
    Query(Box<str>),
    /// A header field, by its lower-case name.
    Header(Box<str>),
    /// A cookie, by its name.
    Cookie(Box<str>),
    /// A path segment, by the name of the route's capture.
    Segment(Box<str>),
}

/// As config writes it: `$.customers[*].email`, `query:email`, `header:x-user`, `cookie:session`, `segment:id`.
impl fmt::Display for ValueLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(path) => path.fmt(f),
            Self::Query(name) => write!(f, "query:{name}"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Cookie(name) => write!(f, "cookie:{name}"),
            Self::Segment(name) => write!(f, "segment:{name}"),
        }
    }
}

/// The JSON type that a rule may be narrowed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// A string.
    String,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// An object.
    Object,
    /// An array.
    Array,
}

/// A token class: 1 to 32 of `a-z`, `0-9`, `_` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenClass(Box<str>);

/// Why a text is not a token class.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 32 of a-z, 0-9, '_' and '-'")]
pub struct TokenClassError;

impl TokenClass {
    /// Parses a class name.
    ///
    /// # Errors
    /// [`TokenClassError`] when empty, longer than 32 bytes or of other characters.
    pub fn parse(text: &str) -> Result<Self, TokenClassError> {
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
        if (1..=32).contains(&text.len()) && text.bytes().all(good) {
            Ok(Self(text.into()))
        } else {
            Err(TokenClassError)
        }
    }

    /// The class of a field that names none: its last name, folded into the alphabet of classes.
    pub fn from_name(name: &str) -> Self {
        let fold = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
        let folded: String = name.chars().map(fold).take(32).collect();
        Self(if folded.is_empty() { "value".into() } else { folded.into() })
    }

    /// The class as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What happens to a value before it leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Treatment {
    /// AES-256-SIV token: deterministic per vendor and class, reversible by `reveal`.
    Tokenize,
    /// HMAC-SHA-256 per vendor and class: joins work, nothing comes back.
    Hash,
    /// FF1 over the digits, everything else kept in place.
    EncryptFormat(DigitFormat),
    /// Characters replaced by `*`, but for those kept at the ends.
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
    /// A coarser value.
    Generalize(Generalization),
}

/// What a format-preserving value must still look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DigitFormat {
    /// All digits are encrypted.
    Digits,
    /// A payment card: the Luhn check digit stays valid (or invalid), the ends can be kept.
    Card {
        /// Leading digits left in clear: 0 or 6.
        keep_first: u8,
        /// Trailing digits left in clear: 0 or 4.
        keep_last: u8,
    },
    /// A phone number: a `+` and country code stay in clear.
    Phone,
}

/// How a value is made coarser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generalization {
    /// A date to its year.
    Year,
    /// A postcode, or any text, to its first characters.
    Prefix(u16),
    /// A number to the floor of a bucket of this width.
    Bucket(std::num::NonZeroU64),
}

/// What a rule makes of a value, without its settings: the one list behind config, metrics and the exposure report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TreatmentKind {
    /// [`Treatment::Tokenize`].
    Tokenize,
    /// [`Treatment::Hash`].
    Hash,
    /// [`Treatment::EncryptFormat`].
    EncryptFormat,
    /// [`Treatment::Mask`], or a detector that masks its finds.
    Mask,
    /// [`Treatment::Redact`], or a detector that redacts its finds.
    Redact,
    /// [`Treatment::Drop`].
    Drop,
    /// [`Treatment::Generalize`].
    Generalize,
    /// A token becomes the value again.
    Reveal,
    /// A detector counts its finds and lets them pass.
    Report,
}

impl TreatmentKind {
    const ALL: [Self; 9] = [
        Self::Tokenize,
        Self::Hash,
        Self::EncryptFormat,
        Self::Mask,
        Self::Redact,
        Self::Drop,
        Self::Generalize,
        Self::Reveal,
        Self::Report,
    ];

    /// The word used in config, metrics and the exposure report; stored, so it never changes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tokenize => "tokenize",
            Self::Hash => "hash",
            Self::EncryptFormat => "encrypt_format",
            Self::Mask => "mask",
            Self::Redact => "redact",
            Self::Drop => "drop",
            Self::Generalize => "generalize",
            Self::Reveal => "reveal",
            Self::Report => "report",
        }
    }

    /// The kind of this word; `None` for a word of a later version.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

impl Treatment {
    /// Which it is, without its settings.
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

/// Everything that one direction of one route asks of a body, its URL and its headers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Values to treat. Where several rules select a value, the first listed wins.
    pub treat: Vec<Rule>,
    /// With `Some`, the only fields that may pass; every other one is dropped, the structure kept valid.
    pub only: Option<Vec<FieldPath>>,
    /// Fields that may leave in clear, as a person has judged; see [`super::ClearList`]. Decides nothing about a body.
    pub clear: Vec<FieldPath>,
    /// Fields whose tokens of this vendor become values again.
    pub reveal: Vec<FieldPath>,
    /// What looks at every text of a body that no other rule selects. Names are not looked at.
    pub detect: Option<DetectRule>,
    /// Whether the files of a multipart form may pass, unread.
    pub files: FileHandling,
    /// With `Some`, bodies and URLs hold GraphQL queries, whose answers have these rules.
    pub graphql: Option<Box<Rules>>,
    /// How bodies are read, where their content types do not say enough.
    pub body_settings: BodySettings,
    /// The elements that count as records.
    pub records: Option<FieldPath>,
    /// The field that identifies the person whom a record is about.
    pub subject: Option<FieldPath>,
    /// What becomes of a body that is not of the shape that the path of the records describes: a meter is told of it.
    pub on_unexpected_shape: OnUnexpectedShape,
}

/// What becomes of a body that is not of the shape that the path of its records describes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnUnexpectedShape {
    /// It is refused, or broken off.
    #[default]
    Refuse,
    /// It passes, as one record at least.
    Pass,
    /// It need not be of that shape: an answer that says no.
    Ignore,
}

impl Rules {
    /// The classes that a vendor's keys must be made for, repeats included: those of all rules, and the names of revealed fields.
    ///
    /// A token is revealed by the class it was made with, so a vendor's keys need the classes of all its routes, both ways.
    pub fn token_classes(&self) -> impl Iterator<Item = TokenClass> {
        let revealed = self.reveal.iter().filter_map(FieldPath::last_name).map(TokenClass::from_name);
        self.treat.iter().map(|rule| rule.class.clone()).chain(revealed)
    }

    /// The number of the rule that [`Rules::detect`] is: behind those that treat and those that reveal.
    pub fn detect_rule(&self) -> Option<usize> {
        self.detect.as_ref().map(|_| self.treat.len() + self.reveal.len())
    }

    /// Whether a rule asks for what only a body with named values has.
    pub fn needs_names(&self) -> bool {
        Self { detect: None, ..self.clone() }.reads_body()
    }

    /// Whether a value of a body is selected by its name, so that one without a name would go around the rules.
    pub(super) fn selects_by_name(&self) -> bool {
        let field = |rule: &Rule| matches!(rule.location, ValueLocation::Field(_));
        self.only.is_some() || self.subject.is_some() || self.treat.iter().any(field)
    }

    /// The name of a column without which a table of these columns would leave a rule without effect.
    pub fn missing_column(&self, columns: &[Box<str>]) -> Option<String> {
        FieldRules::flat(self).missing_name(|| columns.iter().map(|name| &**name)).map(str::to_owned)
    }

    /// Whether the body must be read: without, it passes byte for byte.
    pub fn reads_body(&self) -> bool {
        self.graphql.is_some() || self.treats_body()
    }

    /// Whether its values must be read, and not only its query.
    pub(super) fn treats_body(&self) -> bool {
        self.only.is_some()
            || self.records.is_some()
            || self.subject.is_some()
            || self.detect.is_some()
            || !self.reveal.is_empty()
            || self.treat.iter().any(|rule| matches!(rule.location, ValueLocation::Field(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_comes_from_any_name() {
        assert_eq!(TokenClass::from_name("E-Mail Größe").as_str(), "e_mail_gr__e");
        assert_eq!(TokenClass::from_name("").as_str(), "value");
        assert!(TokenClass::parse("e-mail_2").is_ok());
        assert_eq!(TokenClass::parse("Email"), Err(TokenClassError));
    }
}
