//! A file with its tree, and a cursor into it that can say what is wrong at its place.
//!
//! A place that has been reported once is excused: what follows from one mistake is not reported as another.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use super::fault::{Fault, Severity};
use super::secrecy;
use super::tree::{Node, Place, Unreadable, Value};
use super::units::UnitError;

/// All that was found wrong so far, in every file.
#[derive(Debug)]
pub(super) struct Report {
    faults: RefCell<Vec<Fault>>,
    missing_secrets: Severity,
}

/// One file that could be read.
#[derive(Debug)]
pub(super) struct Source {
    /// The name that faults show.
    pub(super) shown: String,
    /// What relative paths in the file are relative to.
    pub(super) folder: PathBuf,
    text: String,
    root: Node,
    /// What must not be printed, and what is printed in its place.
    hidden: Vec<(String, String)>,
    excused: RefCell<Vec<String>>,
}

/// A place in a file: a value, or where one is missing.
#[derive(Debug, Clone)]
pub(super) struct At<'a> {
    source: &'a Source,
    report: &'a Report,
    path: String,
    node: Option<&'a Node>,
    place: Place,
}

impl Report {
    /// Nothing found yet.
    pub(super) fn new(missing_secrets: Severity) -> Self {
        Self { faults: RefCell::default(), missing_secrets }
    }

    /// Adds a fault that belongs to a whole file.
    pub(super) fn file_fault(&self, file: &Path, wrong: impl Into<String>, instead: impl Into<String>) {
        self.unreadable(file, Unreadable { place: Place::default(), wrong: wrong.into() }, &instead.into(), "");
    }

    /// Adds the fault of a file that is no YAML, with the line where it ceases to be.
    pub(super) fn unreadable(&self, file: &Path, found: Unreadable, instead: &str, line: &str) {
        let Unreadable { place, wrong } = found;
        let is_shown = secrecy::is_line_shown(line);
        self.push(Fault {
            severity: Severity::Fault,
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
    pub(super) fn into_faults(self) -> Vec<Fault> {
        self.faults.into_inner()
    }

    /// How many keep the gateway from running.
    pub(super) fn fatal_count(&self) -> usize {
        self.faults.borrow().iter().filter(|fault| fault.severity == Severity::Fault).count()
    }

    fn push(&self, fault: Fault) {
        self.faults.borrow_mut().push(fault);
    }
}

impl Source {
    pub(super) fn new(file: &Path, text: String, root: Node) -> Self {
        let folder = file.parent().unwrap_or(Path::new("")).to_path_buf();
        let hidden = secrecy::hidden_texts(&root);
        Self { shown: file.display().to_string(), folder, text, root, hidden, excused: RefCell::default() }
    }

    /// The cursor at the file's root.
    pub(super) fn root<'a>(&'a self, report: &'a Report) -> At<'a> {
        At { source: self, report, path: String::new(), node: Some(&self.root), place: self.root.place }
    }
}

impl<'a> At<'a> {
    /// The place of a key's value; of the mapping where the key is missing.
    pub(super) fn key(&self, name: &str) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        let node = self.node.and_then(|node| node.get(name));
        Self { path, node, place: node.map_or(self.place, |node| node.place), ..*self }
    }

    /// The place of a list's item.
    pub(super) fn item(&self, index: usize) -> Self {
        let node = match self.node.map(|node| &node.value) {
            Some(Value::List(items)) => items.get(index),
            _ => None,
        };
        let path = format!("{}[{index}]", self.path);
        Self { path, node, place: node.map_or(self.place, |node| node.place), ..*self }
    }

    /// The same path, pointing at the key instead of its value.
    pub(super) fn moved_to(&self, place: Place) -> Self {
        Self { place, ..self.clone() }
    }

    /// The value, where there is one.
    pub(super) fn node(&self) -> Option<&'a Node> {
        self.node
    }

    /// The last key of the path, without the places in lists; empty at the root.
    pub(super) fn last_key(&self) -> &str {
        let last = self.path.rsplit('.').next().unwrap_or_default();
        last.split('[').next().unwrap_or_default()
    }

    /// `file:line` for a fault elsewhere that refers to this place.
    pub(super) fn line_shown(&self) -> String {
        format!("{}:{}", self.source.shown, self.place.line)
    }

    /// A path of the file system as this file means it.
    pub(super) fn file_path(&self, text: &str) -> PathBuf {
        self.source.folder.join(text)
    }

    /// Says that the value is wrong, with the value as written, and what to write instead.
    pub(super) fn bad(&self, wrong: impl AsRef<str>, write: impl AsRef<str>) {
        let write = write.as_ref();
        self.bad_so(wrong, if write.is_empty() { String::new() } else { format!("write {write}") });
    }

    /// Says that the value is wrong, and what was most likely meant by it; without a guess, what such a value looks like.
    pub(super) fn bad_or(&self, wrong: impl AsRef<str>, meant: Option<String>, example: &str) {
        // What the environment filled in is never shown, so no guess may be made of it either.
        let filled = matches!(self.node.map(|node| &node.value), Some(Value::Filled { .. }));
        let hidden = self.node.is_some_and(|node| secrecy::is_secret(&node.shown()));
        match meant.filter(|_| !filled && !hidden) {
            Some(meant) => self.bad(wrong, meant),
            None if example.is_empty() => self.bad_so(wrong, ""),
            None => self.bad_so(wrong, format!("it looks like {example}")),
        }
    }

    /// As [`At::bad_or`], for a value with a unit.
    pub(super) fn bad_unit(&self, error: UnitError) {
        self.bad_or(error.wrong, error.meant, error.example);
    }

    /// Says that the value is wrong, with the value as written, and what to do about it.
    pub(super) fn bad_so(&self, wrong: impl AsRef<str>, instead: impl Into<String>) {
        let got = self.node.map(|node| format!(" (got {})", self.written().unwrap_or_else(|| node.shown())));
        self.fault(format!("{}{}", wrong.as_ref(), got.unwrap_or_default()), instead);
    }

    /// The text of a number or a boolean as it stands in the file: what YAML makes of `0123` is another one.
    pub(super) fn written(&self) -> Option<String> {
        match self.node?.value {
            Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => {}
            Value::Null | Value::Text(_) | Value::Filled { .. } | Value::List(_) | Value::Map(_) => return None,
        }
        let line = self.source.text.lines().nth(usize::try_from(self.place.line.checked_sub(1)?).ok()?)?;
        let column = usize::try_from(self.place.column.checked_sub(1)?).ok()?;
        let rest: String = line.chars().skip(column).collect();
        let text = rest.split([',', ']', '}', ' ', '\t']).next()?;
        Some(text.to_owned()).filter(|text| !text.is_empty())
    }

    /// Says what is wrong and what to do about it.
    pub(super) fn fault(&self, wrong: impl Into<String>, instead: impl Into<String>) {
        self.push(Severity::Fault, wrong.into(), instead.into(), true);
    }

    /// As [`At::fault`], without showing the line: it holds what must not be printed.
    pub(super) fn fault_unshown(&self, wrong: impl Into<String>, instead: impl Into<String>) {
        self.push(Severity::Fault, wrong.into(), instead.into(), false);
    }

    /// Says what may be wrong where the gateway is to run.
    pub(super) fn warning(&self, wrong: impl Into<String>, instead: impl Into<String>) {
        self.push(Severity::Warning, wrong.into(), instead.into(), true);
    }

    /// Says that a file which is kept apart from the config is not there.
    pub(super) fn missing_secret(&self, wrong: impl Into<String>, instead: impl Into<String>) {
        self.push(self.report.missing_secrets, wrong.into(), instead.into(), true);
    }

    /// Has nothing more said about this place and what is below it.
    pub(super) fn excuse(&self) {
        self.source.excused.borrow_mut().push(self.path.clone());
    }

    fn push(&self, severity: Severity, wrong: String, instead: String, shown: bool) {
        if self.is_excused() {
            return;
        }
        let line = usize::try_from(self.place.line.saturating_sub(1)).ok();
        let source = line
            .and_then(|line| self.source.text.lines().nth(line))
            .filter(|line| shown && secrecy::is_line_shown(line));
        self.report.push(Fault {
            severity,
            file: self.source.shown.clone(),
            line: self.place.line.max(1),
            column: self.place.column.max(1),
            path: self.path.clone(),
            wrong: secrecy::without(&self.source.hidden, &wrong),
            instead: secrecy::without(&self.source.hidden, &instead),
            source: source.unwrap_or_default().to_owned(),
        });
    }

    /// Whether this place, or one above it, has been reported as unusable.
    pub(super) fn is_excused(&self) -> bool {
        let below = |excused: &String| {
            self.path.strip_prefix(excused.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.source.excused.borrow().iter().any(below)
    }
}
