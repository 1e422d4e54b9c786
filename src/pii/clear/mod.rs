//! What leaves in clear: the places of values that nothing has treated, told while they pass.
//!
//! A place is a path without places in lists, `$.orders[*].shipTo`. Names are the fields' own, as far as they look like names:
//! one with an `@` within, or with five digits, is data, and reads `*`; where a container has more names than a bound they
//! all do, so that a map by id is one path and not one for each id. Never holds a value, and never grows beyond its bounds.

use std::collections::BTreeMap;

use crate::bounds::{CLEAR_NAME_BYTES_MAX, CLEAR_STEPS_MAX};
use crate::model::{FieldPath, PathSelector, PathStep};
use crate::pii::{RewriteObserver, Rules};

const ELEMENTS: &str = "[*]";
const MEMBERS: &str = ".*";

/// The path of the value that is open, in a format whose values stand in containers.
#[derive(Debug)]
pub(super) struct PathTracker {
    text: String,
    /// The path's length at each open container.
    container_lengths: Vec<usize>,
}

impl Default for PathTracker {
    fn default() -> Self {
        Self { text: "$".to_owned(), container_lengths: Vec::new() }
    }
}

impl PathTracker {
    /// Back to the start of a document.
    pub(super) fn reset(&mut self) {
        self.text.truncate(1);
        self.container_lengths.clear();
    }

    /// The value at the path is a container, and is gone into.
    pub(super) fn open(&mut self, object: bool) {
        self.container_lengths.push(self.text.len());
        if !object {
            self.text.push_str(ELEMENTS);
        }
    }

    /// The innermost container ends.
    pub(super) fn close(&mut self) {
        if let Some(mark) = self.container_lengths.pop() {
            self.text.truncate(mark);
        }
    }

    /// The next value has this decoded name; `None` for one that cannot be told.
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

/// The open value of a form, where somebody asks what leaves in clear.
#[derive(Debug, Default)]
pub(super) struct OpenField {
    path: Option<String>,
    filled: bool,
}

impl OpenField {
    /// A value of this name begins; `path` spells it.
    pub(super) fn begin(asked: bool, path: impl FnOnce() -> String) -> Self {
        Self { path: asked.then(path), filled: false }
    }

    /// There is something of it.
    pub(super) fn fill(&mut self, filled: bool) {
        self.filled |= filled;
    }

    /// It leaves as it came. An empty one tells nothing.
    pub(super) fn report(&mut self, observer: &mut dyn RewriteObserver) {
        if let Some(path) = self.path.take().filter(|_| self.filled) {
            observer.on_clear_path(&path);
        }
    }
}

/// Appends a step to a member of this name; what does not look like a name reads `.*`.
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

/// The path that the name of a form's field spells: `items[0][sku]` is `$.items[*].sku`.
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

/// Whether a text can be the name of a field, and not data in the place of one.
fn is_name(text: &str) -> bool {
    let letter = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '$' | ' ' | '/' | '#');
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    // JSON-LD and XML attributes begin with an @.
    let rest = text.strip_prefix('@').unwrap_or(text);
    (1..=CLEAR_NAME_BYTES_MAX).contains(&text.len()) && digits < 5 && digits < rest.len() && rest.chars().all(letter)
}

/// Paths of what left in clear, and of how many values each: bounded in names of a container and in steps of all paths.
#[derive(Debug)]
pub struct ClearPathCounts {
    root: ClearPathNode,
    names_max: usize,
    steps_max: usize,
    /// Steps that may yet be added.
    room: usize,
    others: u64,
}

#[derive(Debug, Default)]
struct ClearPathNode {
    values: u64,
    /// By the text of the step.
    children: BTreeMap<Box<str>, ClearPathNode>,
    /// Whether all its names read `*`.
    names_merged: bool,
}

impl ClearPathCounts {
    /// No paths yet: at most `names_max` names in one container, and `steps_max` different steps in all.
    pub fn new(names_max: usize, steps_max: usize) -> Self {
        Self { root: ClearPathNode::default(), names_max, steps_max, room: steps_max, others: 0 }
    }

    /// Counts values that left in clear at a path.
    pub fn add(&mut self, path: &str, values: u64) {
        let steps = ClearPathSteps(path.strip_prefix('$').unwrap_or(path)).take(CLEAR_STEPS_MAX);
        if !self.root.add(steps, values, self.names_max, &mut self.room) {
            self.others += values;
        }
    }

    /// Counts values whose paths are not known any more.
    pub fn add_others(&mut self, values: u64) {
        self.others += values;
    }

    /// Takes over all that another has counted.
    pub fn absorb(&mut self, other: &mut Self) {
        if self.is_empty() {
            std::mem::swap(self, other);
            return;
        }
        other.list().iter().for_each(|(path, values)| self.add(path, *values));
        self.others += other.others;
        other.clear();
    }

    /// Forgets all that was counted.
    pub fn clear(&mut self) {
        self.room = self.steps_max;
        (self.root, self.others) = (ClearPathNode::default(), 0);
    }

    /// Values of the paths for which there was no room.
    pub const fn others(&self) -> u64 {
        self.others
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.others == 0 && self.root.values == 0 && self.root.children.is_empty()
    }

    /// Each path and its values, in the order of the paths.
    pub fn list(&self) -> Vec<(String, u64)> {
        let mut list = Vec::new();
        self.root.list(&mut "$".to_owned(), &mut list);
        list
    }
}

impl ClearPathNode {
    /// Whether there was room for the path.
    fn add<'a>(
        &mut self,
        mut steps: impl Iterator<Item = &'a str>,
        values: u64,
        names_max: usize,
        room: &mut usize,
    ) -> bool {
        let Some(mut step) = steps.next() else {
            self.values += values;
            return true;
        };
        if is_named(step) && !self.names_merged && !self.children.contains_key(step) && self.names() >= names_max {
            self.merge_names(names_max, room);
        }
        if is_named(step) && self.names_merged {
            step = MEMBERS;
        }
        if !self.children.contains_key(step) {
            if *room == 0 {
                return false;
            }
            *room -= 1;
        }
        self.children.entry(step.into()).or_default().add(steps, values, names_max, room)
    }

    fn names(&self) -> usize {
        let others = [ELEMENTS, MEMBERS].into_iter().filter(|step| self.children.contains_key(*step)).count();
        self.children.len() - others
    }

    /// Makes one of all names.
    fn merge_names(&mut self, names_max: usize, room: &mut usize) {
        self.names_merged = true;
        let (named, rest): (BTreeMap<_, _>, _) =
            std::mem::take(&mut self.children).into_iter().partition(|(step, _)| is_named(step));
        self.children = rest;
        let mut whole = named.into_values();
        let mut any = match self.children.remove(MEMBERS) {
            Some(any) => any,
            None => whole.next().unwrap_or_default(),
        };
        whole.for_each(|node| any.merge(node, names_max, room));
        self.children.insert(MEMBERS.into(), any);
    }

    fn merge(&mut self, other: Self, names_max: usize, room: &mut usize) {
        *room += 1;
        self.values += other.values;
        for (step, node) in other.children {
            match self.children.get_mut(&step) {
                Some(own) => own.merge(node, names_max, room),
                None => {
                    self.children.insert(step, node);
                }
            }
        }
        if (self.names_merged || other.names_merged || self.names() > names_max) && self.names() > 0 {
            self.merge_names(names_max, room);
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

/// The steps of a path that this file has written, each as its text.
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

/// The fields that a contract lists as those that may leave in clear.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClearList {
    fields: Vec<FieldPath>,
    records: Option<FieldPath>,
}

impl ClearList {
    /// What these rules list.
    pub fn of(rules: &Rules) -> Self {
        Self { fields: rules.clear.clone(), records: rules.records.clone() }
    }

    /// Whether a listed path covers what left at `path`: the same place, or one above it. Names are compared exactly, as an
    /// allow-list compares them. A row is read as an allow-list reads it, as the document or as a record; a table's column is
    /// covered by its name; `[n]` covers nothing, since places in lists are not told.
    pub fn allows(&self, path: &str) -> bool {
        self.fields.iter().any(|listed| self.leads_to(listed, path))
    }

    fn leads_to(&self, listed: &FieldPath, path: &str) -> bool {
        let told = ClearPathSteps(path.strip_prefix('$').unwrap_or(path));
        let steps = listed.steps();
        if selects_path(steps, told.clone()) {
            return true;
        }
        let mut row = told;
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

/// The name in a step; attributes without their mark.
fn name_of(step: &str) -> Option<&str> {
    let name = step.strip_prefix("[\"").and_then(|name| name.strip_suffix("\"]")).or_else(|| step.strip_prefix('.'));
    name.filter(|name| *name != "*").map(|name| name.strip_prefix('@').unwrap_or(name))
}

/// Whether these steps lead to the path or to something above it: all places that they may have reached, as bits.
fn selects_path<'a>(steps: &[PathStep], told: impl Iterator<Item = &'a str>) -> bool {
    let end = 1_u64 << steps.len();
    let mut live = 1;
    for segment in told {
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
