//! How bodies are read, where their content types do not say enough.

use super::body::BodyFormat;

/// How the bodies of one direction of one route are read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BodySettings {
    /// The format of every body, whatever its content type. `None` takes it from the content type.
    pub format: Option<BodyFormat>,
    /// Whether a body in another declared charset than UTF-8 is decoded and leaves as UTF-8. `false` refuses it.
    pub decode_charsets: bool,
    /// The byte between the fields of a CSV row; `None` is a comma.
    pub delimiter: Option<u8>,
    /// The names of a table's columns. With `Some`, a table has no header: its first row is data.
    pub columns: Option<Box<[Box<str>]>>,
    /// Indexes in [`super::Rules::treat`] of the rules whose column a table may lack.
    pub optional_rules: Vec<usize>,
}

/// What happens to the files in a multipart form, which no engine reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FileHandling {
    /// The form is refused.
    #[default]
    Refuse,
    /// The files pass unread.
    Pass,
}
