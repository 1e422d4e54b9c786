//! A file with its tree, and a cursor into it that reports faults at its position.
//!
//! Once a value was reported as unusable, faults below it are suppressed: one mistake is reported once.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::fault::{ConfigFault, FaultSeverity};
use super::secrecy;
use super::tree::{SourcePosition, YamlError, YamlNode, YamlValue};
use super::units::UnitError;

/// The faults of all files, collected while they are read.
#[derive(Debug)]
pub(super) struct FaultReport {
    faults: RefCell<Vec<ConfigFault>>,
    /// The files and folders that were looked at, there or not.
    files: RefCell<BTreeSet<PathBuf>>,
    missing_secrets: FaultSeverity,
}

/// One file that was parsed.
#[derive(Debug)]
pub(super) struct SourceFile {
    /// Its path as faults show it.
    pub(super) shown: String,
    /// The folder that relative paths in the file refer to.
    pub(super) folder: PathBuf,
    text: String,
    root: YamlNode,
    /// Texts that must not be printed, with their replacements.
    hidden: Vec<(String, String)>,
    suppressed: RefCell<Vec<String>>,
}

/// A position in a file: that of a value, or of the mapping where a value is missing.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    source: &'a SourceFile,
    report: &'a FaultReport,
    path: String,
    node: Option<&'a YamlNode>,
    position: SourcePosition,
}

impl FaultReport {
    /// A report without faults.
    pub(super) fn new(missing_secrets: FaultSeverity) -> Self {
        Self { faults: RefCell::default(), files: RefCell::default(), missing_secrets }
    }

    /// Takes note of a file or folder by whose change the config changes.
    pub(super) fn looked_at(&self, path: &Path) {
        self.files.borrow_mut().insert(path.to_path_buf());
    }

    /// The files and folders that were looked at.
    pub(super) fn files(&self) -> BTreeSet<PathBuf> {
        self.files.borrow().clone()
    }

    /// Adds a fault that belongs to a whole file.
    pub(super) fn file_fault(&self, file: &Path, wrong: impl Into<String>, instead: impl Into<String>) {
        self.unreadable(
            file,
            YamlError { position: SourcePosition::default(), wrong: wrong.into() },
            &instead.into(),
            "",
        );
    }

    /// Adds the fault of a file that is not YAML, with the line where parsing stopped.
    pub(super) fn unreadable(&self, file: &Path, found: YamlError, instead: &str, line: &str) {
        let YamlError { position: place, wrong } = found;
        let is_shown = secrecy::is_line_shown(line);
        self.push(ConfigFault {
            severity: FaultSeverity::Fault,
            file: file.display().to_string(),
            line: place.line.max(1),
            column: place.column.max(1),
            path: String::new(),
            wrong,
            instead: instead.to_owned(),
            source: if is_shown { line.to_owned() } else { String::new() },
        });
    }

    /// All faults, in the order in which they were found.
    pub(super) fn into_faults(self) -> Vec<ConfigFault> {
        self.faults.into_inner()
    }

    /// The number of faults that keep the gateway from starting.
    pub(super) fn fatal_count(&self) -> usize {
        self.faults.borrow().iter().filter(|fault| fault.severity == FaultSeverity::Fault).count()
    }

    fn push(&self, fault: ConfigFault) {
        self.faults.borrow_mut().push(fault);
    }
}

impl SourceFile {
    pub(super) fn new(file: &Path, text: String, root: YamlNode) -> Self {
        let folder = file.parent().unwrap_or(Path::new("")).to_path_buf();
        let hidden = secrecy::hidden_texts(&root);
        Self { shown: file.display().to_string(), folder, text, root, hidden, suppressed: RefCell::default() }
    }

    /// The text as it was read.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// A cursor at the file's root.
    pub(super) fn root<'a>(&'a self, report: &'a FaultReport) -> Cursor<'a> {
        Cursor { source: self, report, path: String::new(), node: Some(&self.root), position: self.root.position }
    }
}

impl<'a> Cursor<'a> {
    /// The cursor at a key's value; at this mapping where the key is missing.
    pub(super) fn key(&self, name: &str) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        let node = self.node.and_then(|node| node.get(name));
        Self { path, node, position: node.map_or(self.position, |node| node.position), ..*self }
    }

    /// The cursor at a list's item.
    pub(super) fn item(&self, index: usize) -> Self {
        let node = match self.node.map(|node| &node.value) {
            Some(YamlValue::List(items)) => items.get(index),
            _ => None,
        };
        let path = format!("{}[{index}]", self.path);
        Self { path, node, position: node.map_or(self.position, |node| node.position), ..*self }
    }

    /// The same path at another position: that of the key instead of its value.
    pub(super) fn moved_to(&self, place: SourcePosition) -> Self {
        Self { position: place, ..self.clone() }
    }

    /// The value, where there is one.
    pub(super) fn report(&self) -> &'a FaultReport {
        self.report
    }

    /// The value at this position.
    pub(super) fn node(&self) -> Option<&'a YamlNode> {
        self.node
    }

    /// The last key of the path, without list indexes; empty at the root.
    pub(super) fn last_key(&self) -> &str {
        let last = self.path.rsplit('.').next().unwrap_or_default();
        last.split('[').next().unwrap_or_default()
    }

    /// `file:line`, for a fault elsewhere that refers to this position.
    pub(super) fn file_and_line(&self) -> String {
        format!("{}:{}", self.source.shown, self.position.line)
    }

    /// The path that a text of this file names, relative to the file's folder.
    pub(super) fn file_path(&self, text: &str) -> PathBuf {
        self.source.folder.join(text)
    }

    /// Reports an invalid value: what is wrong, the value as written, and what to write instead (empty for no advice).
    pub(super) fn invalid(&self, wrong: impl AsRef<str>, write: impl AsRef<str>) {
        let write = write.as_ref();
        self.invalid_with_remedy(wrong, if write.is_empty() { String::new() } else { format!("write {write}") });
    }

    /// Reports an invalid value with the value that was most likely meant; without one, with an example.
    pub(super) fn invalid_with_guess(&self, wrong: impl AsRef<str>, meant: Option<String>, example: &str) {
        // A guess would show parts of a value that came from the environment or is a secret.
        let filled = matches!(self.node.map(|node| &node.value), Some(YamlValue::FromEnvironment { .. }));
        let hidden = self.node.is_some_and(|node| secrecy::is_secret(&node.shown()));
        match meant.filter(|_| !filled && !hidden) {
            Some(meant) => self.invalid(wrong, meant),
            None if example.is_empty() => self.invalid_with_remedy(wrong, ""),
            None => self.invalid_with_remedy(wrong, format!("it looks like {example}")),
        }
    }

    /// The value of a text with a unit; `None` where it is invalid, which is reported.
    pub(super) fn parsed<T>(&self, value: Result<T, UnitError>) -> Option<T> {
        value.map_err(|error| self.invalid_with_guess(error.wrong, error.meant, error.example)).ok()
    }

    /// Reports an invalid value: what is wrong, the value as written, and what to do about it.
    pub(super) fn invalid_with_remedy(&self, wrong: impl AsRef<str>, instead: impl Into<String>) {
        let got = self.node.map(|node| format!(" (got {})", self.as_written().unwrap_or_else(|| node.shown())));
        self.fault(format!("{}{}", wrong.as_ref(), got.unwrap_or_default()), instead);
    }

    /// The text of a number or a boolean as it is in the file. The parsed value prints otherwise: `0123` as 123.
    pub(super) fn as_written(&self) -> Option<String> {
        match self.node?.value {
            YamlValue::Integer(_) | YamlValue::Float(_) | YamlValue::Boolean(_) => {}
            YamlValue::Null
            | YamlValue::Text(_)
            | YamlValue::FromEnvironment { .. }
            | YamlValue::List(_)
            | YamlValue::Map(_) => return None,
        }
        let line = self.source.text.lines().nth(usize::try_from(self.position.line.checked_sub(1)?).ok()?)?;
        let column = usize::try_from(self.position.column.checked_sub(1)?).ok()?;
        let rest: String = line.chars().skip(column).collect();
        let text = rest.split([',', ']', '}', ' ', '\t']).next()?;
        Some(text.to_owned()).filter(|text| !text.is_empty())
    }

    /// Reports a fault: what is wrong and what to do about it.
    pub(super) fn fault(&self, wrong: impl Into<String>, instead: impl Into<String>) {
        self.push(FaultSeverity::Fault, wrong.into(), instead.into(), true);
    }

    /// Reports a fault without the line of the file, because the line may hold a secret.
    pub(super) fn fault_without_line(&self, wrong: impl Into<String>, instead: impl Into<String>) {
        self.push(FaultSeverity::Fault, wrong.into(), instead.into(), false);
    }

    /// Reports a warning: what may be wrong, and what to do about it.
    pub(super) fn warning(&self, wrong: impl Into<String>, instead: impl Into<String>) {
        self.push(FaultSeverity::Warning, wrong.into(), instead.into(), true);
    }

    /// Reports a missing file of a secret, with the severity that the loader sets for it.
    pub(super) fn missing_secret(&self, wrong: impl Into<String>, instead: impl Into<String>) {
        self.push(self.report.missing_secrets, wrong.into(), instead.into(), true);
    }

    /// Suppresses all further faults about this value and those below it.
    pub(super) fn suppress(&self) {
        self.source.suppressed.borrow_mut().push(self.path.clone());
    }

    fn push(&self, severity: FaultSeverity, wrong: String, instead: String, shown: bool) {
        if self.is_suppressed() {
            return;
        }
        let line = usize::try_from(self.position.line.saturating_sub(1)).ok();
        let source = line
            .and_then(|line| self.source.text.lines().nth(line))
            .filter(|line| shown && secrecy::is_line_shown(line));
        self.report.push(ConfigFault {
            severity,
            file: self.source.shown.clone(),
            line: self.position.line.max(1),
            column: self.position.column.max(1),
            path: self.path.clone(),
            wrong: secrecy::redact(&self.source.hidden, &wrong),
            instead: secrecy::redact(&self.source.hidden, &instead),
            source: source.unwrap_or_default().to_owned(),
        });
    }

    /// Whether this value, or one above it, was reported as unusable before.
    pub(super) fn is_suppressed(&self) -> bool {
        let below = |excused: &String| {
            self.path.strip_prefix(excused.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.source.suppressed.borrow().iter().any(below)
    }
}
