//! Paths as they read in XML.
//!
//! `$` is the document, so the first name is that of the root element. `.name` is a child element or an attribute,
//! `["@name"]` an attribute only, `[*]` and `.*` any child or attribute, `[n]` the child at this place, `..` either at
//! any depth. Names are local: prefixes are not compared. Rules compare them without regard to case, an allow-list
//! exactly.

use crate::model::{FieldPath, PathSelector, PathStep};
use crate::pii::fields::equals_ignoring_case;
use crate::pii::{Rules, ValueLocation};

/// The paths of a route's rules for requests or for responses, compiled once and shared.
#[derive(Debug, Clone, Default)]
pub(crate) struct XmlPaths {
    paths: Vec<XmlPath>,
    /// Whether the rules have an allow-list.
    pub(super) has_allow_list: bool,
    /// The rule for every text that nothing else selects.
    pub(super) detect_rule: Option<usize>,
}

#[derive(Debug, Clone)]
struct XmlPath {
    steps: Box<[PathStep]>,
    role: XmlPathRole,
}

/// What a path is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum XmlPathRole {
    Treat(usize),
    Only,
    Record,
    Subject,
}

/// What the paths select in one element or attribute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct PathMatch {
    pub(super) rule: Option<usize>,
    /// The allow-list has it.
    pub(super) allowed: bool,
    /// The allow-list may have something within it.
    pub(super) leads: bool,
    pub(super) record: bool,
    /// The path of the records goes through a list, and this element is that list.
    pub(super) list: bool,
    pub(super) subject: bool,
}

/// A child, as a step sees it.
#[derive(Debug, Clone, Copy)]
enum XmlChild<'a> {
    Element { name: &'a str, index: u32 },
    Attribute { name: &'a str },
}

impl XmlPaths {
    /// Gathers the paths of these rules.
    pub(crate) fn new(rules: &Rules) -> Self {
        let mut paths = Vec::new();
        let mut add = |path: &FieldPath, role| paths.push(XmlPath { steps: steps(path), role });
        for (number, rule) in rules.treat.iter().enumerate() {
            if let ValueLocation::Field(path) = &rule.location {
                add(path, XmlPathRole::Treat(number));
            }
        }
        // Fields to reveal are numbered after all fields to treat.
        rules.reveal.iter().enumerate().for_each(|(at, path)| add(path, XmlPathRole::Treat(rules.treat.len() + at)));
        rules.only.iter().flatten().for_each(|path| add(path, XmlPathRole::Only));
        rules.records.iter().for_each(|path| add(path, XmlPathRole::Record));
        rules.subject.iter().for_each(|path| add(path, XmlPathRole::Subject));
        Self { paths, has_allow_list: rules.only.is_some(), detect_rule: rules.detect_rule() }
    }

    /// How far each path has been followed at the document: a bit for each number of steps.
    pub(super) fn start(&self) -> Vec<u64> {
        self.paths.iter().map(|path| path.skip(1)).collect()
    }

    /// Whether the path of the records goes through a list: a document without that list has another shape.
    pub(super) fn leads_to_list(&self) -> bool {
        self.paths.iter().any(|path| path.role == XmlPathRole::Record && path.list().is_some())
    }

    /// How many words [`Self::element`] appends: one for each path.
    pub(super) fn width(&self) -> usize {
        self.paths.len()
    }

    /// Follows all paths into an element: appends how far each has been followed then.
    pub(super) fn element(&self, live: &mut Vec<u64>, name: &str, index: u32) -> PathMatch {
        let mut matched = PathMatch::default();
        let parent = live.len() - self.paths.len();
        for (at, path) in self.paths.iter().enumerate() {
            let next = path.step(live[parent + at], XmlChild::Element { name, index });
            live.push(next);
            matched.add(path, next);
        }
        matched
    }

    /// What the paths select in an attribute of the innermost element.
    pub(super) fn attribute(&self, live: &[u64], name: &str) -> PathMatch {
        let mut matched = PathMatch::default();
        for (path, live) in self.paths.iter().zip(&live[live.len() - self.paths.len()..]) {
            matched.add(path, path.step(*live, XmlChild::Attribute { name }));
        }
        matched
    }
}

/// The step to any child.
const ANY: PathStep = PathStep { descends: false, selector: PathSelector::Wildcard };

/// The steps of a path. A path to the document itself selects the root element, whatever its name.
fn steps(path: &FieldPath) -> Box<[PathStep]> {
    if path.steps().is_empty() { [ANY].into() } else { path.steps().into() }
}

impl XmlPath {
    fn step(&self, live: u64, child: XmlChild<'_>) -> u64 {
        let mut next = 0;
        for (at, step) in self.steps.iter().enumerate().filter(|(at, _)| live >> at & 1 == 1) {
            let goes = match (&step.selector, child) {
                (PathSelector::Name(listed), child) => self.names(listed, child),
                (PathSelector::Wildcard, _) => true,
                (PathSelector::Index(wanted), XmlChild::Element { index, .. }) => *wanted == index,
                (PathSelector::Index(_), XmlChild::Attribute { .. }) => false,
            };
            next |= u64::from(step.descends) << at | u64::from(goes) << (at + 1);
        }
        self.skip(next)
    }

    fn names(&self, listed: &str, child: XmlChild<'_>) -> bool {
        let same = |listed: &str, name: &str| {
            if self.role == XmlPathRole::Only { listed == name } else { equals_ignoring_case(listed, name) }
        };
        match child {
            XmlChild::Element { name, .. } => same(listed, name),
            XmlChild::Attribute { name } => same(listed.strip_prefix('@').unwrap_or(listed), name),
        }
    }

    /// How many steps lead to its first list; `None` when the document itself is that list.
    fn list(&self) -> Option<usize> {
        self.steps.iter().position(|step| step.selector == PathSelector::Wildcard).filter(|at| *at > 0)
    }

    /// A rule also holds where a list has no element around each of its items, so a step into a list may be left out.
    fn skip(&self, mut live: u64) -> u64 {
        if matches!(self.role, XmlPathRole::Treat(_)) {
            for (at, _) in self.steps.iter().enumerate().filter(|(_, step)| step.is_wildcard()) {
                live |= (live >> at & 1) << (at + 1);
            }
        }
        live
    }
}

impl PathMatch {
    fn add(&mut self, path: &XmlPath, live: u64) {
        let here = live >> path.steps.len() & 1 == 1;
        match path.role {
            XmlPathRole::Treat(rule) if here => self.rule = self.rule.or(Some(rule)),
            XmlPathRole::Treat(_) => {}
            XmlPathRole::Only => {
                self.allowed |= here;
                self.leads |= live != 0;
            }
            XmlPathRole::Record => {
                self.record |= here;
                self.list |= path.list().is_some_and(|at| live >> at & 1 == 1);
            }
            XmlPathRole::Subject => self.subject |= here,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::testing;

    /// What the path says of an element, or of an attribute when the last name begins with `@`.
    fn matched(rules: &Rules, names: &[&str]) -> PathMatch {
        let paths = XmlPaths::new(rules);
        let mut live = paths.start();
        let mut matched = PathMatch::default();
        for name in names {
            matched = match name.strip_prefix('@') {
                Some(name) => paths.attribute(&live, name),
                None => paths.element(&mut live, name, 0),
            };
        }
        matched
    }

    #[test]
    fn a_path_leads_to_elements_and_attributes() {
        for (path, names, selects) in [
            ("$.a.email", &["a", "email"][..], true),
            ("$.a.email", &["a", "Email"], true),
            ("$.a.email", &["a", "@email"], true),
            ("$.a[\"@email\"]", &["a", "@email"], true),
            ("$.a[\"@email\"]", &["a", "email"], false),
            ("$.a.email", &["email"], false),
            ("$.a.email", &["a", "b", "email"], false),
            ("$..email", &["email"], true),
            ("$..email", &["a", "b", "email"], true),
            ("$..email", &["a", "@email"], true),
            ("$..[\"@email\"]", &["a", "b", "@email"], true),
            ("$..a.email", &["a", "a", "email"], true),
            ("$.list[*].email", &["list", "item", "email"], true),
            ("$.list[*].email", &["list", "email"], true),
            ("$.list[*].email", &["list", "item", "@email"], true),
            ("$.list[*]", &["list", "@x"], true),
            ("$..*", &["list", "item", "@x"], true),
            ("$.list[0].email", &["list", "item", "email"], true),
            ("$.list[1].email", &["list", "item", "email"], false),
            ("$.list.*", &["list", "x"], true),
            ("$.list.*", &["list", "@x"], true),
            ("$", &["any"], true),
        ] {
            assert_eq!(matched(&testing::rules(&[path]), names).rule.is_some(), selects, "{path} {names:?}");
        }
    }

    #[test]
    fn an_allow_list_and_records_are_exact() {
        let only = testing::allow_list(&["$.a.id"]);
        let at = |names: &[&str]| (matched(&only, names).allowed, matched(&only, names).leads);
        assert_eq!(
            (at(&["a"]), at(&["a", "id"]), at(&["a", "ID"]), at(&["b"])),
            ((false, true), (true, true), (false, false), (false, false))
        );
        let records = Rules { records: Some(testing::path("$.list[*]")), ..Rules::default() };
        assert!(!matched(&records, &["list"]).record && matched(&records, &["list", "item"]).record);
    }
}
