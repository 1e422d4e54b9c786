//! The paths of the values that leave in clear, which means untreated.
//!
//! A path has `[*]` for every index of a list, as `$.orders[*].shipTo`. A member has its own name, if that looks like a
//! name: one with an `@` inside, or with five digits, is taken for data and written `.*`. Where a container has more
//! names than a bound, all of them are written `.*`, so that a map by id is one path and not one for each id. Never
//! holds a value, and never grows beyond its bounds.

use std::collections::BTreeMap;

use crate::bounds::{CLEAR_NAME_BYTES_MAX, CLEAR_STEPS_MAX};
use crate::model::{FieldPath, PathSelector, PathStep};
use crate::pii::{RewriteObserver, Rules};

const ELEMENTS: &str = "[*]";
const MEMBERS: &str = ".*";

/// The path of the current value, in a format whose values are nested.
#[derive(Debug)]
pub(super) struct PathTracker {
    text: String,
    /// The length of the path at each open container.
    container_lengths: Vec<usize>,
}

impl Default for PathTracker {
    fn default() -> Self {
        Self { text: "$".to_owned(), container_lengths: Vec::new() }
    }
}

impl PathTracker {
    /// Begins a document.
    pub(super) fn reset(&mut self) {
        self.text.truncate(1);
        self.container_lengths.clear();
    }

    /// Enters the container at the current path.
    pub(super) fn open(&mut self, object: bool) {
        self.container_lengths.push(self.text.len());
        if !object {
            self.text.push_str(ELEMENTS);
        }
    }

    /// Leaves the innermost container.
    pub(super) fn close(&mut self) {
        if let Some(mark) = self.container_lengths.pop() {
            self.text.truncate(mark);
        }
    }

    /// The next value is the member of this decoded name; `None` for a name that is not known.
    pub(super) fn enter_member(&mut self, name: Option<&[u8]>) {
        if let Some(mark) = self.container_lengths.last() {
            self.text.truncate(*mark);
        }
        push_name(&mut self.text, name.and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default());
    }

    pub(super) fn current_path(&self) -> &str {
        &self.text
    }
}

/// The current value of a form, where the observer wants the paths in clear.
#[derive(Debug, Default)]
pub(super) struct OpenField {
    path: Option<String>,
    filled: bool,
}

impl OpenField {
    /// Begins a value; `path` gives its path.
    pub(super) fn begin(asked: bool, path: impl FnOnce() -> String) -> Self {
        Self { path: asked.then(path), filled: false }
    }

    /// Notes whether a piece of the value has any bytes.
    pub(super) fn fill(&mut self, filled: bool) {
        self.filled |= filled;
    }

    /// The value leaves as it came: reports its path, unless the value is empty.
    pub(super) fn report(&mut self, observer: &mut dyn RewriteObserver) {
        if let Some(path) = self.path.take().filter(|_| self.filled) {
            observer.on_clear_path(&path);
        }
    }
}

/// Appends the step to the member of this name; `.*` for one that does not look like a name.
pub(super) fn push_name(path: &mut String, name: &str) {
    if !is_name(name) {
        path.push_str(MEMBERS);
    } else if name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-') || !c.is_ascii()) {
        path.push('.');
        path.push_str(name);
    } else {
        path.push_str("[\"");
        path.push_str(name);
        path.push_str("\"]");
    }
}

/// The path that the segments of a form field's name spell: `items[0][sku]` is `$.items[*].sku`.
pub(super) fn path_from_segments<'a>(segments: impl Iterator<Item = &'a str>) -> String {
    let mut path = "$".to_owned();
    for (at, segment) in segments.take(CLEAR_STEPS_MAX).enumerate() {
        if at > 0 && segment.bytes().all(|b| b.is_ascii_digit()) {
            path.push_str(ELEMENTS);
        } else {
            push_name(&mut path, segment);
        }
    }
    path
}

/// Whether a text looks like the name of a field, and not like data that is used as one.
fn is_name(text: &str) -> bool {
    let letter = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '$' | ' ' | '/' | '#');
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    // Keywords of JSON-LD and attributes of XML begin with an `@`.
    let rest = text.strip_prefix('@').unwrap_or(text);
    (1..=CLEAR_NAME_BYTES_MAX).contains(&text.len()) && digits < 5 && digits < rest.len() && rest.chars().all(letter)
}

/// The paths of values that left in clear, and the number of values of each. Bounded in the names of one container and
/// in the steps of all paths.
#[derive(Debug)]
pub struct ClearPathCounts {
    root: ClearPathNode,
    names_max: usize,
    steps_max: usize,
    /// Steps that may still be added.
    steps_left: usize,
    others: u64,
}

#[derive(Debug, Default)]
struct ClearPathNode {
    values: u64,
    /// The nodes below, by the text of their step.
    children: BTreeMap<Box<str>, ClearPathNode>,
    /// Whether all its names are written `.*`.
    names_merged: bool,
}

impl ClearPathCounts {
    /// Without paths. It will hold at most `names_max` names in one container, and `steps_max` different steps in all.
    pub fn new(names_max: usize, steps_max: usize) -> Self {
        Self { root: ClearPathNode::default(), names_max, steps_max, steps_left: steps_max, others: 0 }
    }

    /// Counts values that left in clear at a path, as [`super::RewriteObserver::on_clear_path`] receives it.
    pub fn add(&mut self, path: &str, values: u64) {
        let steps = ClearPathSteps(path.strip_prefix('$').unwrap_or(path)).take(CLEAR_STEPS_MAX);
        if !self.root.add(steps, values, self.names_max, &mut self.steps_left) {
            self.others += values;
        }
    }

    /// Counts values whose paths are not known.
    pub fn add_others(&mut self, values: u64) {
        self.others += values;
    }

    /// Adds all that another has counted, and clears that.
    pub fn absorb(&mut self, other: &mut Self) {
        if self.is_empty() {
            std::mem::swap(self, other);
            return;
        }
        other.list().iter().for_each(|(path, values)| self.add(path, *values));
        self.others += other.others;
        other.clear();
    }

    /// Removes all counts.
    pub fn clear(&mut self) {
        self.steps_left = self.steps_max;
        (self.root, self.others) = (ClearPathNode::default(), 0);
    }

    /// The number of values whose paths are not listed, because a bound was reached.
    pub const fn others(&self) -> u64 {
        self.others
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.others == 0 && self.root.values == 0 && self.root.children.is_empty()
    }

    /// Each path and its number of values, in the order of the paths.
    pub fn list(&self) -> Vec<(String, u64)> {
        let mut list = Vec::new();
        self.root.list(&mut "$".to_owned(), &mut list);
        list
    }
}

impl ClearPathNode {
    /// Adds values at the path below; `false` when the bound on steps is reached.
    fn add<'a>(
        &mut self,
        mut steps: impl Iterator<Item = &'a str>,
        values: u64,
        names_max: usize,
        steps_left: &mut usize,
    ) -> bool {
        let Some(mut step) = steps.next() else {
            self.values += values;
            return true;
        };
        if is_named(step) && !self.names_merged && !self.children.contains_key(step) && self.names() >= names_max {
            self.merge_names(names_max, steps_left);
        }
        if is_named(step) && self.names_merged {
            step = MEMBERS;
        }
        if !self.children.contains_key(step) {
            if *steps_left == 0 {
                return false;
            }
            *steps_left -= 1;
        }
        self.children.entry(step.into()).or_default().add(steps, values, names_max, steps_left)
    }

    fn names(&self) -> usize {
        let others = [ELEMENTS, MEMBERS].into_iter().filter(|step| self.children.contains_key(*step)).count();
        self.children.len() - others
    }

    /// Merges all names into one node, `.*`.
    fn merge_names(&mut self, names_max: usize, steps_left: &mut usize) {
        self.names_merged = true;
        let (named, rest): (BTreeMap<_, _>, _) =
            std::mem::take(&mut self.children).into_iter().partition(|(step, _)| is_named(step));
        self.children = rest;
        let mut whole = named.into_values();
        let mut any = match self.children.remove(MEMBERS) {
            Some(any) => any,
            None => whole.next().unwrap_or_default(),
        };
        whole.for_each(|node| any.merge(node, names_max, steps_left));
        self.children.insert(MEMBERS.into(), any);
    }

    fn merge(&mut self, other: Self, names_max: usize, steps_left: &mut usize) {
        *steps_left += 1;
        self.values += other.values;
        for (step, node) in other.children {
            match self.children.get_mut(&step) {
                Some(own) => own.merge(node, names_max, steps_left),
                None => {
                    self.children.insert(step, node);
                }
            }
        }
        if (self.names_merged || other.names_merged || self.names() > names_max) && self.names() > 0 {
            self.merge_names(names_max, steps_left);
        }
        self.names_merged |= other.names_merged;
    }

    fn list(&self, path: &mut String, list: &mut Vec<(String, u64)>) {
        if self.values > 0 {
            list.push((path.clone(), self.values));
        }
        for (step, node) in &self.children {
            let length = path.len();
            path.push_str(step);
            node.list(path, list);
            path.truncate(length);
        }
    }
}

fn is_named(step: &str) -> bool {
    !matches!(step, ELEMENTS | MEMBERS)
}

/// The steps of a path that this file has written, as texts.
#[derive(Debug, Clone)]
struct ClearPathSteps<'a>(&'a str);

impl<'a> Iterator for ClearPathSteps<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.0.is_empty() {
            return None;
        }
        let end = if self.0.starts_with('[') {
            let close = if self.0.starts_with("[\"") { "\"]" } else { "]" };
            self.0.find(close).map(|end| end + close.len())
        } else {
            self.0[1..].find(['.', '[']).map(|end| end + 1)
        };
        let (step, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = rest;
        Some(step)
    }
}

/// The fields that [`Rules::clear`] lists as those that may leave in clear.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClearList {
    fields: Vec<FieldPath>,
    records: Option<FieldPath>,
}

impl ClearList {
    /// The list of these rules.
    pub fn of(rules: &Rules) -> Self {
        Self { fields: rules.clear.clone(), records: rules.records.clone() }
    }

    /// Whether a listed path allows the value at `path`: it is the same path, or one above it. Names are compared
    /// exactly, as in an allow-list. A row is read as an allow-list reads it, as the document or as a record. A table's
    /// column is allowed by its name. A listed `[n]` allows nothing, since paths in clear have no indexes.
    pub fn allows(&self, path: &str) -> bool {
        self.fields.iter().any(|listed| self.leads_to(listed, path))
    }

    fn leads_to(&self, listed: &FieldPath, path: &str) -> bool {
        let path_steps = ClearPathSteps(path.strip_prefix('$').unwrap_or(path));
        let steps = listed.steps();
        if selects_path(steps, path_steps.clone()) {
            return true;
        }
        let mut row = path_steps;
        if row.next() != Some(ELEMENTS) {
            return false;
        }
        let records = self.records.as_ref().map_or(&[][..], FieldPath::steps);
        let within = steps.strip_prefix(records).filter(|_| !records.is_empty());
        let column = || {
            let mut row = row.clone();
            let name = row.next().and_then(name_of);
            row.next().is_none() && name.is_some() && name == listed.last_name()
        };
        selects_path(steps, row.clone()) || within.is_some_and(|within| selects_path(within, row.clone())) || column()
    }
}

/// The name in a step; that of an attribute without its `@`.
fn name_of(step: &str) -> Option<&str> {
    let name = step.strip_prefix("[\"").and_then(|name| name.strip_suffix("\"]")).or_else(|| step.strip_prefix('.'));
    name.filter(|name| *name != "*").map(|name| name.strip_prefix('@').unwrap_or(name))
}

/// Whether these steps lead to the path or to something above it. The set of steps that may have been reached is held
/// as bits.
fn selects_path<'a>(steps: &[PathStep], path_steps: impl Iterator<Item = &'a str>) -> bool {
    let end = 1_u64 << steps.len();
    let mut live = 1;
    for segment in path_steps {
        if live & end != 0 {
            return true;
        }
        let (mut next, name) = (0, name_of(segment));
        for (at, step) in steps.iter().enumerate().filter(|(at, _)| live >> at & 1 == 1) {
            let goes = match &step.selector {
                PathSelector::Name(listed) => name == Some(listed.strip_prefix('@').unwrap_or(listed)),
                PathSelector::Wildcard => true,
                PathSelector::Index(_) => false,
            };
            next |= u64::from(step.descends) << at | u64::from(goes) << (at + 1);
        }
        live = next;
    }
    live & end != 0
}

#[cfg(test)]
mod tests;
