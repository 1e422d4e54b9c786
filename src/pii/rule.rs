//! Rules: which values, in which location, are treated how.
//!
//! Plain data, which `config` builds from a contract and a [`super::Plan`] compiles.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{BodySettings, DetectRule, FieldRules, FileHandling, Treatment};
use crate::model::{Category, FieldPath};

/// One rule: a row of a contract's `pii:` list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Where the value is.
    pub location: ValueLocation,
    /// What happens to the value.
    pub treatment: Treatment,
    /// The class of the value's tokens and hashes: equal values of one class give equal tokens. A contract that names
    /// none gets the field's last name.
    pub class: TokenClass,
    /// Selects only values of this JSON type. `None` selects values of all types.
    pub only_type: Option<ValueType>,
    /// The category of personal data that the value is of, where it is known. Changes nothing in a body.
    pub category: Option<Category>,
}

/// Where in a message a value is.
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

impl ValueLocation {
    /// The path of a field of the body; `None` for a location outside of it.
    pub fn field(&self) -> Option<&FieldPath> {
        match self {
            Self::Field(path) => Some(path),
            Self::Query(_) | Self::Header(_) | Self::Cookie(_) | Self::Segment(_) => None,
        }
    }
}

/// As a contract writes it: `$.customers[*].email`, `query:email`, `header:x-user`, `cookie:session`, `segment:id`.
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

/// The JSON type to which a rule may be narrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
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

    /// The class for a field's name: in lower case, with `_` for each character that a class cannot have, and cut to 32
    /// characters. An empty name gives `value`.
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

/// What one direction of one route does to a body, its URL and its headers. `Rules::default()` changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Values to treat. Where several rules select a value, the first listed wins.
    pub treat: Vec<Rule>,
    /// With `Some`, an allow-list: every other field is left out, and the document stays valid.
    pub only: Option<Vec<FieldPath>>,
    /// Fields of which a person has decided that they may leave in clear: see [`super::ClearList`]. Changes nothing in
    /// a body.
    pub clear: Vec<FieldPath>,
    /// Fields whose category is not what their name leads to; `None` for one that is no personal data. Changes nothing
    /// in a body.
    pub categories: Vec<(FieldPath, Option<Category>)>,
    /// Fields in which tokens of this vendor become values again.
    pub reveal: Vec<FieldPath>,
    /// Detectors for every text of a body that no other rule selects, and what is done about their finds. Names of
    /// fields are not searched.
    pub detect: Option<DetectRule>,
    /// Whether the files of a multipart form may pass unread.
    pub files: FileHandling,
    /// With `Some`, bodies and URLs hold GraphQL queries, and their answers have these rules.
    pub graphql: Option<Box<Rules>>,
    /// How bodies are read, where their content types do not say enough.
    pub body_settings: BodySettings,
    /// The values that count as records, such as `$.customers[*]`.
    pub records: Option<FieldPath>,
    /// The field that identifies the person whom a record is about: see [`super::RewriteObserver::on_subject`].
    pub subject: Option<FieldPath>,
    /// What a meter does about a body that does not have the shape that `records` describes.
    pub on_unexpected_shape: OnUnexpectedShape,
}

/// What happens to a body that does not have the shape that its records describe.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnUnexpectedShape {
    /// It is refused, or cut off if a part of it has left.
    #[default]
    Refuse,
    /// It passes, counts as one record at least, and is reported in the log, the metrics and the status.
    Pass,
    /// It passes and counts nothing: the answer reports an error, so it has no records. No contract can write this.
    #[serde(skip)]
    Ignore,
}

impl Rules {
    /// The classes for which [`super::MasterKeys::vendor_keys`] must derive keys: those of all rules, and the last
    /// names of revealed fields. May repeat classes.
    ///
    /// A token opens under the class that it was made with, so the keys of a vendor need the classes of all its routes,
    /// in both directions.
    pub fn token_classes(&self) -> impl Iterator<Item = TokenClass> {
        let revealed = self.reveal.iter().filter_map(FieldPath::last_name).map(TokenClass::from_name);
        self.treat.iter().map(|rule| rule.class.clone()).chain(revealed)
    }

    /// The number of the rule [`Rules::detect`]: after those that treat and those that reveal.
    pub(crate) fn detect_rule(&self) -> Option<usize> {
        self.detect.as_ref().map(|_| self.treat.len() + self.reveal.len())
    }

    /// Whether a rule other than [`Rules::detect`] reads the body, so that the body must have named values.
    pub(crate) fn needs_names(&self) -> bool {
        Self { detect: None, ..self.clone() }.reads_body()
    }

    /// Whether a rule selects values of a body by name, so that a value without a name would escape the rules.
    pub(super) fn selects_by_name(&self) -> bool {
        self.only.is_some() || self.subject.is_some() || self.treats_fields()
    }

    /// A column that a table with these columns lacks, so that a rule would select nothing in it.
    pub(crate) fn missing_column(&self, columns: &[Box<str>]) -> Option<String> {
        FieldRules::flat(self).missing_name(|| columns.iter().map(|name| &**name)).map(str::to_owned)
    }

    /// Whether the body must be read. Without that, it passes byte for byte.
    pub(crate) fn reads_body(&self) -> bool {
        self.graphql.is_some() || self.treats_body()
    }

    /// Whether the body's values must be read, and not only its GraphQL query.
    pub(super) fn treats_body(&self) -> bool {
        self.only.is_some()
            || self.records.is_some()
            || self.subject.is_some()
            || self.detect.is_some()
            || !self.reveal.is_empty()
            || self.treats_fields()
    }

    fn treats_fields(&self) -> bool {
        self.treat.iter().any(|rule| rule.location.field().is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_of_a_field_gives_a_class() {
        assert_eq!(TokenClass::from_name("E-Mail Größe").as_str(), "e_mail_gr__e");
        assert_eq!(TokenClass::from_name("").as_str(), "value");
        assert!(TokenClass::parse("e-mail_2").is_ok());
        assert_eq!(TokenClass::parse("Email"), Err(TokenClassError));
    }
}
