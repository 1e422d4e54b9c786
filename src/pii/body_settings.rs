//! How a contract says that bodies are to be read, where it says more than their content types do.

use super::body::BodyFormat;

/// How the bodies of one direction of one route are read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BodySettings {
    /// The format of every body, whatever its content type; `None` goes by the content type.
    pub format: Option<BodyFormat>,
    /// Whether a body in a declared charset other than UTF-8 is decoded, and leaves as UTF-8. Without, it is refused.
    pub decode_charsets: bool,
    /// What stands between the fields of a CSV; `None` is a comma.
    pub delimiter: Option<u8>,
    /// The columns of tables, which then have no header: their first row is data.
    pub columns: Option<Box<[Box<str>]>>,
    /// The numbers of the rules in [`super::Rules::treat`] whose column a table may lack.
    pub optional_rules: Vec<usize>,
}

/// What happens to files, which no engine reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FileHandling {
    /// The form is refused.
    #[default]
    Refuse,
    /// They pass as they are.
    Pass,
}
