//! Which values a rule selects in a format whose values have names but no tree: forms, parts, columns, queries.
//!
//! A name may still spell a tree, as `customer[email]`, `items[0][sku]` and `customer.email` do; a path is then matched
//! along it. A rule compares names without regard to case, as some parsers do, and a path that ends above a name
//! selects all below it. An allow-list compares names exactly. These values have no types, so a rule that is narrowed
//! to one type selects them all. Never sees a value.

use super::{Rule, Rules, ValueLocation, clear};
use crate::model::{FieldPath, PathSelector, PathStep};

/// What happens to a named value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldDecision {
    /// The value passes as it came.
    Pass,
    /// The rule of this number treats the value.
    Treat(usize),
    /// It is left out, because it is not on the allow-list.
    Drop,
}

/// The rules of one direction, for a format with named values.
#[derive(Debug, Clone, Default)]
pub(super) struct FieldRules {
    treat: Vec<(FieldPattern, usize)>,
    only: Option<Vec<FieldPattern>>,
    subject: Vec<FieldPattern>,
    /// The rule for values that no other rule selects.
    fallback: Option<usize>,
    /// The columns that a table must have: without one of them, a rule would select nothing in it.
    needed: Vec<Box<str>>,
    /// Whether records are counted at all.
    pub(super) counts_records: bool,
}

/// What selects a value by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum FieldPattern {
    /// A path along the tree that a name spells.
    Path(Box<[PathStep]>),
    /// The name itself.
    Name(Box<str>),
    /// Every name.
    Any,
}

impl FieldRules {
    /// For a body whose names spell a tree: a form or a multipart form. A name does not say whether it begins at the
    /// document or at an element of a list that a path leads through, so a rule is applied in both ways. An allow-list
    /// begins at the document or at a record.
    pub(super) fn tree(rules: &Rules) -> Self {
        let records = rules.records.as_ref().map_or(&[][..], FieldPath::steps);
        let whole = |path: &FieldPath| FieldPattern::Path(path.steps().into());
        let element = |steps: &[PathStep]| (!steps.is_empty()).then(|| FieldPattern::Path(steps.into()));
        let treat = |path: &FieldPath| {
            let steps = path.steps();
            let lists = (0..steps.len()).filter(|at| steps[*at].is_into_list());
            [whole(path)].into_iter().chain(lists.filter_map(|at| element(&steps[at + 1..]))).collect()
        };
        let only = |path: &FieldPath| {
            let within = path.steps().strip_prefix(records).filter(|_| !records.is_empty());
            [whole(path)].into_iter().chain(within.and_then(element)).collect()
        };
        Self::of(rules, treat, only)
    }

    /// For a body whose names are flat, such as columns: a path selects by its last name, and a path without names
    /// selects every field. In an allow-list, a path that ends with a list selects by the nearest name above it.
    pub(super) fn flat(rules: &Rules) -> Self {
        let named = |name: Option<&str>| vec![name.map_or(FieldPattern::Any, |name| FieldPattern::Name(name.into()))];
        Self::of(rules, |path| named(path.last_name()), |path| named(path.nearest_name()))
    }

    /// For the parameters of a query.
    pub(super) fn query(rules: &Rules) -> Self {
        let step = |name: &str| PathStep { descends: false, selector: PathSelector::Name(name.into()) };
        let treat = query_names(rules).map(|(rule, name)| (FieldPattern::Path([step(name)].into()), rule));
        Self { treat: treat.collect(), ..Self::default() }
    }

    /// For the parameters of a URL in an answer's head, which may repeat fields of its body: a rule for a field selects
    /// the parameters with the field's last name. A parameter that a rule for queries selects is left to that rule.
    pub(super) fn references(rules: &Rules) -> Self {
        let own: Vec<&str> = query_names(rules).map(|(_, name)| name).collect();
        let nearest = |path: &FieldPath| {
            vec![path.nearest_name().map_or(FieldPattern::Any, |name| FieldPattern::Name(name.into()))]
        };
        let flat =
            Self::of(&Rules { reveal: Vec::new(), records: None, subject: None, ..rules.clone() }, nearest, nearest);
        let treat = flat
            .treat
            .into_iter()
            .filter(|(pattern, _)| !own.iter().any(|name| pattern.selects(name, equals_ignoring_case)));
        let fallback = flat.fallback.map(|_| rules.treat.len() + rules.reveal.len());
        Self { treat: treat.collect(), only: flat.only, fallback, ..Self::default() }
    }

    /// Whether nothing is selected, so that everything passes.
    pub(super) fn is_empty(&self) -> bool {
        self.treat.is_empty()
            && self.fallback.is_none()
            && self.only.is_none()
            && self.subject.is_empty()
            && !self.counts_records
    }

    fn of(
        rules: &Rules,
        treat: impl Fn(&FieldPath) -> Vec<FieldPattern>,
        only: impl Fn(&FieldPath) -> Vec<FieldPattern>,
    ) -> Self {
        let field = |(number, rule): (usize, &Rule)| Some((treat(rule.location.field()?), number));
        // Revealed fields are numbered after those that are treated.
        let reveal = rules.reveal.iter().enumerate().map(|(at, path)| (treat(path), rules.treat.len() + at));
        let numbered = rules.treat.iter().enumerate().filter_map(field).chain(reveal);
        Self {
            treat: numbered.flat_map(|(patterns, rule)| patterns.into_iter().map(move |one| (one, rule))).collect(),
            only: rules.only.as_ref().map(|list| list.iter().flat_map(&only).collect()),
            subject: rules.subject.as_ref().map(&treat).unwrap_or_default(),
            fallback: rules.detect_rule(),
            needed: needed(rules),
            counts_records: rules.records.is_some(),
        }
    }

    /// A column that a rule or the subject needs and that is not one of these.
    pub(super) fn missing_name<'a, N: Iterator<Item = &'a str>>(&self, names: impl Fn() -> N) -> Option<&str> {
        let lacks = |needed: &&str| !names().any(|name| equals_ignoring_case(needed, trim_name(name)));
        self.needed.iter().map(|needed| &**needed).find(lacks)
    }

    /// Whether a rule, the allow-list or the subject selects this name, other than by selecting every name.
    pub(super) fn has_name(&self, name: &str) -> bool {
        let named =
            |pattern: &FieldPattern| *pattern != FieldPattern::Any && pattern.selects(name, equals_ignoring_case);
        self.treat.iter().any(|(pattern, _)| named(pattern))
            || self.only.iter().flatten().any(named)
            || self.subject.iter().any(named)
    }

    /// Whether any rule treats a field.
    pub(super) fn treats_any(&self) -> bool {
        !self.treat.is_empty()
    }

    /// Whether a rule treats every field, whatever its name.
    pub(super) fn treats_every_name(&self) -> bool {
        self.treat.iter().any(|(pattern, _)| *pattern == FieldPattern::Any)
    }

    /// What happens to the value with this decoded name.
    pub(super) fn decide(&self, name: &str) -> FieldDecision {
        if let Some(only) = &self.only
            && !only.iter().any(|pattern| pattern.selects(name, equals_exactly))
        {
            return FieldDecision::Drop;
        }
        let first = self.treat.iter().find(|(pattern, _)| pattern.selects(name, equals_ignoring_case));
        first.map(|&(_, rule)| rule).or(self.fallback).map_or(FieldDecision::Pass, FieldDecision::Treat)
    }

    /// The rule for values that no other rule selects.
    pub(super) const fn fallback_rule(&self) -> Option<usize> {
        self.fallback
    }

    /// Whether only listed fields may pass.
    pub(super) const fn has_allow_list(&self) -> bool {
        self.only.is_some()
    }

    /// Whether this is the rule for values that no other rule selects.
    pub(super) fn is_fallback(&self, rule: usize) -> bool {
        self.fallback == Some(rule)
    }

    /// Whether the value with this decoded name identifies the person whom the record is about.
    pub(super) fn is_subject(&self, name: &str) -> bool {
        self.subject.iter().any(|pattern| pattern.selects(name, equals_ignoring_case))
    }
}

/// The rules for parameters of a query: the number of each, and the parameter's name.
fn query_names(rules: &Rules) -> impl Iterator<Item = (usize, &str)> {
    rules.treat.iter().enumerate().filter_map(|(number, rule)| match &rule.location {
        ValueLocation::Query(name) => Some((number, &**name)),
        ValueLocation::Field(_) | ValueLocation::Header(_) | ValueLocation::Cookie(_) | ValueLocation::Segment(_) => {
            None
        }
    })
}

/// The path that a field's name spells, as [`super::RewriteObserver::on_clear_path`] receives it.
pub(super) fn clear_path(name: &str) -> String {
    clear::path_from_segments(NameSegments { rest: name, dots: true })
}

type NameComparison = fn(&str, &str) -> bool;

impl FieldPattern {
    fn selects(&self, name: &str, same: NameComparison) -> bool {
        match self {
            Self::Any => true,
            Self::Name(own) => same(own, trim_name(name)),
            Self::Path(steps) => {
                walk(steps, std::iter::once(name), same)
                    || (name.contains('[') && walk(steps, NameSegments { rest: name, dots: false }, same))
                    || (name.contains('.') && walk(steps, NameSegments { rest: name, dots: true }, same))
            }
        }
    }
}

/// A column's name without the spaces and byte order marks around it.
fn trim_name(name: &str) -> &str {
    name.trim_matches([' ', '\u{feff}'])
}

/// The columns that a table must have: the last names of all rules that are not optional, and of the subject.
fn needed(rules: &Rules) -> Vec<Box<str>> {
    let fields =
        rules.treat.iter().enumerate().filter(|(number, _)| !rules.body_settings.optional_rules.contains(number));
    let paths = fields.filter_map(|(_, rule)| rule.location.field());
    paths.chain(&rules.subject).filter_map(FieldPath::last_name).map(Into::into).collect()
}

/// Whether the steps lead to the name that these segments spell, or to something above it. The set of steps that may
/// have been reached is held as bits, so that the time is linear in the length of the name.
fn walk<'a>(steps: &[PathStep], segments: impl Iterator<Item = &'a str>, same: NameComparison) -> bool {
    let end = 1_u64 << steps.len();
    let mut live = skip_list_steps(steps, 1);
    for segment in segments {
        if live & end != 0 {
            return true;
        }
        let mut next = 0;
        for (at, step) in steps.iter().enumerate().filter(|(at, _)| live >> at & 1 == 1) {
            let goes = match &step.selector {
                PathSelector::Name(name) => same(name, segment),
                PathSelector::Wildcard => true,
                PathSelector::Index(index) => segment.parse() == Ok(*index),
            };
            next |= u64::from(step.descends) << at | u64::from(goes) << (at + 1);
        }
        live = skip_list_steps(steps, next);
    }
    live & end != 0
}

/// Adds the steps after each reached step into a list, because a name may leave that step out.
fn skip_list_steps(steps: &[PathStep], mut live: u64) -> u64 {
    for (at, step) in steps.iter().enumerate() {
        if step.is_wildcard() && live >> at & 1 == 1 {
            live |= 1 << (at + 1);
        }
    }
    live
}

/// The segments of a name such as `a[b][]` and, with `dots`, `a.b`.
struct NameSegments<'a> {
    rest: &'a str,
    dots: bool,
}

impl<'a> Iterator for NameSegments<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        if let Some(inner) = self.rest.strip_prefix('[') {
            let (segment, rest) = inner.split_once(']').unwrap_or((inner, ""));
            self.rest = rest.strip_prefix('.').filter(|_| self.dots).unwrap_or(rest);
            return Some(segment);
        }
        let end = self.rest.find(|c| c == '[' || (self.dots && c == '.')).unwrap_or(self.rest.len());
        let (segment, rest) = self.rest.split_at(end);
        self.rest = rest.strip_prefix('.').unwrap_or(rest);
        Some(segment)
    }
}

fn equals_exactly(listed: &str, name: &str) -> bool {
    listed == name
}

/// Whether two names are equal when case is folded. Two letters outside ASCII fold into it: the Kelvin sign and the
/// long s.
pub(super) fn equals_ignoring_case(listed: &str, name: &str) -> bool {
    listed.eq_ignore_ascii_case(name) || (!(listed.is_ascii() && name.is_ascii()) && folded(listed).eq(folded(name)))
}

fn folded(text: &str) -> impl Iterator<Item = char> {
    text.chars().flat_map(char::to_lowercase).map(|c| if c == '\u{17f}' { 's' } else { c })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::testing;

    #[test]
    fn a_path_follows_the_tree_that_a_name_spells() {
        for (path, name, selects) in [
            ("$.email", "email", true),
            ("$.email", "Email", true),
            ("$.email", "email[]", true),
            ("$.email", "email[work]", true),
            ("$.email", "e-mail", false),
            ("$.email", "customer[email]", false),
            ("$..email", "customer[email]", true),
            ("$..email", "a[b][c][email][0]", true),
            ("$..email", "a.b.email", true),
            ("$..email", "a[b].email", true),
            ("$.customer.email", "customer[email]", true),
            ("$.customer.email", "customer.email", true),
            ("$.customer.email", "customer[email", true),
            ("$.customer.email", "customer[name]", false),
            ("$.customer", "customer[name]", true),
            ("$.items[*].sku", "items[0][sku]", true),
            ("$.items[*].sku", "items[][sku]", true),
            ("$.items[*].sku", "items[sku]", true),
            ("$.items[1].sku", "items[0][sku]", false),
            ("$.items[1].sku", "items[1][sku]", true),
            ("$[*].email", "email", true),
            ("$[\"customer[email]\"]", "customer[email]", true),
            ("$.kind", "\u{212a}ind", true),
            ("$.ssn", "\u{17f}sn", true),
            ("$.*.email", "x[email]", true),
            ("$.customers[*].email", "email", true),
            ("$.customers[*].email", "customers[c1][email]", true),
            ("$.customers[*].address.email", "address[email]", true),
            ("$.customers[*].address.email", "email", false),
            ("$.customers[*]", "email", false),
            ("$.orders[0].email", "email", true),
        ] {
            let fields = FieldRules::tree(&testing::rules(&[path]));
            let decision = if selects { FieldDecision::Treat(0) } else { FieldDecision::Pass };
            assert_eq!(fields.decide(name), decision, "{path} {name}");
        }
    }

    #[test]
    fn columns_are_selected_by_the_last_name_of_a_path() {
        for path in ["$.email", "$[*].email", "$..email", "$.customers[*].email", "$", "$[*]"] {
            let fields = FieldRules::flat(&testing::rules(&[path]));
            assert_eq!(
                fields.decide(" E-mail"),
                if path.ends_with("email") { FieldDecision::Pass } else { FieldDecision::Treat(0) }
            );
            assert_eq!(fields.decide("\u{feff}Email "), FieldDecision::Treat(0), "{path}");
        }
    }

    #[test]
    fn an_allow_list_compares_names_exactly() {
        let fields = FieldRules::tree(&testing::allow_list(&["$.id", "$.address"]));
        for (name, decision) in [
            ("id", FieldDecision::Pass),
            ("ID", FieldDecision::Drop),
            ("address[zip]", FieldDecision::Pass),
            ("x", FieldDecision::Drop),
        ] {
            assert_eq!(fields.decide(name), decision, "{name}");
        }
    }

    #[test]
    fn an_allow_list_begins_at_the_document_or_at_a_record() {
        let records = Some(testing::path("$.customers[*]"));
        let rules = Rules { records, ..testing::allow_list(&["$.customers[*].id", "$.orders[*].total"]) };
        let (tree, flat) = (FieldRules::tree(&rules), FieldRules::flat(&testing::allow_list(&["$.tags[*]"])));
        for (name, decision) in [
            ("id", FieldDecision::Pass),
            ("customers[0][id]", FieldDecision::Pass),
            ("total", FieldDecision::Drop),
            ("orders[0][total]", FieldDecision::Pass),
            ("email", FieldDecision::Drop),
        ] {
            assert_eq!(tree.decide(name), decision, "{name}");
        }
        assert_eq!((flat.decide("tags"), flat.decide("email")), (FieldDecision::Pass, FieldDecision::Drop));
    }

    #[test]
    fn a_name_of_a_thousand_segments_is_matched_in_linear_time() {
        let fields = FieldRules::tree(&testing::rules(&["$..a..a..a..a..a..a..a..a..b"]));
        assert_eq!(fields.decide(&"a.".repeat(1000)), FieldDecision::Pass);
    }
}
