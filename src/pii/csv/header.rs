//! The names of a table's columns, and whether what stands in its first row are names at all.
//!
//! A rule selects a column by its name. In a table whose first row is a title, data or a translation no rule selects
//! anything, so a table that lacks a column which a rule names is refused, unless the rule is optional for tables. A
//! contract may give the names of a table that has no header; its first row is then data. Never takes data for names in silence.

use std::collections::HashSet;

use crate::pii::clear::push_name;
use crate::pii::detect::Detector;
use crate::pii::fields::{FieldDecision, FieldRules, equals_ignoring_case};
use crate::pii::{RewriteError, Transform};

/// Longest text that can pass for a name when no rule tells: spreadsheets' own bound is near it.
const NAME_BYTES_MAX: usize = 64;

/// What a name has decided for its column.
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
    /// The path of each column's values, as it is told of what leaves in clear.
    pub(super) paths: Vec<String>,
    /// The table itself says that its first row has names.
    declared: bool,
    /// Something in the first row is personal data by its shape.
    personal: bool,
}

impl CsvHeader {
    /// The columns as a first row will name them; with `declared`, the table says that it has one.
    pub(super) fn in_first_row(declared: bool) -> Self {
        Self { declared, ..Self::default() }
    }

    /// The columns as the contract names them.
    ///
    /// # Errors
    /// [`RewriteError::Column`] when a rule needs one that is not among them.
    pub(super) fn from_contract(
        names: &[Box<str>],
        fields: &FieldRules,
        treat: &dyn Transform,
    ) -> Result<Self, RewriteError> {
        let mut header = Self::default();
        for name in names {
            header.add(name, fields, treat);
        }
        header.check_needed(fields)?;
        Ok(header)
    }

    pub(super) fn add(&mut self, name: &str, fields: &FieldRules, treat: &dyn Transform) -> CsvColumn {
        let decision = fields.decide(name);
        let drops = match decision {
            FieldDecision::Drop => true,
            FieldDecision::Treat(rule) => treat.drops_member(rule),
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

    /// Judges a first row that should have names; true when it may be data, and so is a record.
    pub(super) fn check_first_row(&self, fields: &FieldRules, at: u64) -> Result<bool, RewriteError> {
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

    /// Whether the first row of a table with given columns names them in another order, and so is a header after all.
    pub(super) fn contradicts(&self, column: usize, text: &[u8]) -> bool {
        let Ok(text) = std::str::from_utf8(text) else { return false };
        let text = text.trim();
        let other = |at: usize, name: &str| at != column && equals_ignoring_case(name.trim(), text);
        self.names.get(column).is_some_and(|own| !equals_ignoring_case(own.trim(), text))
            && self.names.iter().enumerate().any(|(at, name)| other(at, name))
    }

    fn check_needed(&self, fields: &FieldRules) -> Result<(), RewriteError> {
        let names = || self.names.iter().map(|name| &**name);
        fields.missing_name(names).map_or(Ok(()), |name| Err(RewriteError::MissingColumn { name: name.into() }))
    }

    /// Whether each text could be a column's name, where no rule proves that one is.
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
