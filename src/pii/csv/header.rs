//! The names of a table's columns, and whether its first row has names at all.
//!
//! A rule selects a column by its name. Where the first row is a title, data or a translation, no rule selects
//! anything. So a table that lacks a column which a rule names is refused, unless the rule is optional for tables.
//! For a table without a header the contract may give the names; its first row is then data. Never takes data for
//! names silently.

use std::collections::HashSet;

use crate::pii::clear::push_name;
use crate::pii::detect::Detector;
use crate::pii::fields::{FieldDecision, FieldRules, equals_ignoring_case};
use crate::pii::{RewriteError, RewriteResult, Transform};

/// The longest text that can be a column's name where no rule proves that it is one. Spreadsheets have a bound like
/// it.
const NAME_BYTES_MAX: usize = 64;

/// What the rules decide about a column, by its name.
#[derive(Debug, Clone, Copy)]
pub(super) struct CsvColumn {
    pub(super) decision: FieldDecision,
    pub(super) drops: bool,
    pub(super) subject: bool,
}

/// The columns of a table.
#[derive(Debug, Default)]
pub(super) struct CsvHeader {
    names: Vec<Box<str>>,
    pub(super) columns: Vec<CsvColumn>,
    /// The path under which each column's untreated values are reported.
    pub(super) paths: Vec<String>,
    /// The media type of the table says that its first row has names.
    declared: bool,
    /// A detector finds personal data in the first row.
    personal: bool,
}

impl CsvHeader {
    /// A header that the first row will fill; with `declared`, the media type says that the table has one.
    pub(super) fn in_first_row(declared: bool) -> Self {
        Self { declared, ..Self::default() }
    }

    /// A header with the columns that the contract names.
    ///
    /// # Errors
    /// [`RewriteError::MissingColumn`] when a rule needs a column that is not among them.
    pub(super) fn from_contract(
        names: &[Box<str>],
        fields: &FieldRules,
        transform: &dyn Transform,
    ) -> RewriteResult<Self> {
        let mut header = Self::default();
        for name in names {
            header.add(name, fields, transform);
        }
        header.check_needed(fields)?;
        Ok(header)
    }

    pub(super) fn add(&mut self, name: &str, fields: &FieldRules, transform: &dyn Transform) -> CsvColumn {
        let decision = fields.decide(name);
        let drops = match decision {
            FieldDecision::Drop => true,
            FieldDecision::Treat(rule) => transform.drops_member(rule),
            FieldDecision::Pass => false,
        };
        let column = CsvColumn { decision, drops, subject: fields.is_subject(name) };
        self.personal = self.personal || is_personal(name);
        self.names.push(name.into());
        let mut path = "$[*]".to_owned();
        push_name(&mut path, name.trim_matches([' ', '\u{feff}']));
        self.paths.push(path);
        self.columns.push(column);
        column
    }

    /// Checks that the first row has names. Returns true when it may be data after all, and so must be counted as a
    /// record.
    pub(super) fn check_first_row(&self, fields: &FieldRules, at: u64) -> RewriteResult<bool> {
        self.check_needed(fields)?;
        if self.personal && fields.treats_any() {
            return Err(RewriteError::Malformed {
                what: "a table whose first row has personal data in the place of names",
                at,
            });
        }
        let named = self.declared || self.names.iter().any(|name| fields.has_name(name)) || self.looks_like_names();
        if !named && fields.treats_every_name() {
            return Err(RewriteError::Malformed { what: "a table whose first row may be data", at });
        }
        Ok(!named)
    }

    /// Whether a field of the first row is the name of another given column: then the row is a header, in another
    /// order than the contract's.
    pub(super) fn contradicts(&self, column: usize, text: &[u8]) -> bool {
        let Ok(text) = std::str::from_utf8(text) else { return false };
        let text = text.trim();
        let other = |at: usize, name: &str| at != column && equals_ignoring_case(name.trim(), text);
        self.names.get(column).is_some_and(|own| !equals_ignoring_case(own.trim(), text))
            && self.names.iter().enumerate().any(|(at, name)| other(at, name))
    }

    fn check_needed(&self, fields: &FieldRules) -> RewriteResult {
        let names = || self.names.iter().map(|name| &**name);
        fields.missing_name(names).map_or(Ok(()), |name| Err(RewriteError::MissingColumn { name: name.into() }))
    }

    /// Whether each text of the first row could be a column's name, where no rule proves that one is.
    fn looks_like_names(&self) -> bool {
        let good = |name: &str| {
            let name = name.trim();
            name.len() <= NAME_BYTES_MAX && name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        };
        let mut seen = HashSet::new();
        !self.personal && self.names.iter().all(|name| good(name) && seen.insert(name))
    }
}

fn is_personal(text: &str) -> bool {
    let mut any = false;
    Detector::default().scan(text.as_bytes(), |_| any = true);
    any
}
