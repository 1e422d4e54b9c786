//! Whether an answer's rules do under the aliases of a query what they do under the names of the schema.
//!
//! Two walks go side by side through what is asked for: one by the fields' own names, one by the names that the answer will
//! have. Where a rule selects a field by the one and not by the other, or a list lets pass by the other what it does not by the
//! one, the query goes around them. Lists leave no mark in a query, so a step into elements may be left out, or be a name.

use super::document::{self, Document, Selection};
use super::{Fault, Stop};
use crate::bounds::{DOCUMENT_DEPTH_MAX, GRAPHQL_NODES_MAX};
use crate::model::{FieldPath, Selector, Step};
use crate::pii::fields::same_folded;
use crate::pii::{Place, Rules};

/// The rules that queries of one route are checked against.
#[derive(Debug)]
pub(in crate::pii) struct Checker {
    paths: Vec<Path>,
    limits: bool,
    /// The last names of the request's own rules, and whether only listed fields may be in it.
    request: Vec<Box<str>>,
    request_limits: bool,
}

#[derive(Debug)]
struct Path {
    steps: Box<[Step]>,
    role: Role,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Treat,
    Only,
    /// Records, and the subject.
    Count,
}

/// Where each path stands in both walks, and whether a list has already let the field pass.
#[derive(Debug)]
struct Standing {
    own: Vec<u64>,
    told: Vec<u64>,
    own_allowed: bool,
    told_allowed: bool,
}

const GOES_AROUND: &str = "calls a field by a name that the answer's rules do not know it by";

impl Checker {
    /// Gathers the rules of the answer, and those of the request itself.
    pub(in crate::pii) fn new(answer: &Rules, request: &Rules) -> Self {
        let treated = fields(answer).map(|path| (path, Role::Treat));
        let only = answer.only.iter().flatten().map(|path| (path, Role::Only));
        let counted = answer.records.iter().chain(&answer.subject).map(|path| (path, Role::Count));
        let path = |(path, role): (&FieldPath, Role)| Path { steps: path.steps().into(), role };
        Self {
            paths: treated.chain(only).chain(counted).map(path).collect(),
            limits: answer.only.is_some(),
            request: fields(request).filter_map(FieldPath::last_name).map(Into::into).collect(),
            request_limits: request.only.is_some(),
        }
    }

    /// Judges one query.
    ///
    /// # Errors
    /// [`Stop::Query`] when it is none, or goes around a rule.
    pub(in crate::pii) fn check(&self, query: &str) -> Result<(), Stop> {
        let document = document::parse(query)?;
        self.check_literals(&document)?;
        let mut walk = Walk { checker: self, document: &document, left: GRAPHQL_NODES_MAX };
        let start: Vec<u64> = self.paths.iter().map(|path| path.skip(1)).collect();
        let start = Standing { own: start.clone(), told: start, own_allowed: false, told_allowed: false };
        let data = self.step(&start, "data", "data");
        for selections in &document.operations {
            walk.selections(selections, &data, 0)?;
        }
        Ok(())
    }

    /// Whether the rules hold for each answer of a list of answers as they do for one.
    pub(in crate::pii) fn holds_in_lists(&self) -> bool {
        let anywhere = |path: &Path| path.steps.first().is_some_and(|step| step.descends || step.is_wildcard());
        self.paths.iter().all(|path| path.role == Role::Only || anywhere(path))
    }

    fn check_literals(&self, document: &Document<'_>) -> Result<(), Fault> {
        let named = |name: &str| self.request.iter().any(|rule| same_folded(rule, name));
        match document.literals.iter().find(|(name, _)| self.request_limits || named(name)) {
            None => Ok(()),
            Some(&(_, at)) => Err(Fault { what: "has a literal where the rules need a variable", at }),
        }
    }

    fn step(&self, from: &Standing, own: &str, told: &str) -> Standing {
        let step = |live: &[u64], name: &str| -> Vec<u64> {
            self.paths.iter().zip(live).map(|(path, live)| path.step(*live, name)).collect()
        };
        let allowed = |live: &[u64]| {
            let mut paths = self.paths.iter().zip(live);
            paths.any(|(path, live)| path.role == Role::Only && path.selects(*live))
        };
        let (own, told) = (step(&from.own, own), step(&from.told, told));
        let (own_allowed, told_allowed) = (from.own_allowed || allowed(&own), from.told_allowed || allowed(&told));
        Standing { own, told, own_allowed, told_allowed }
    }

    /// Whether the same is done to a field under both names.
    fn agrees(&self, at: &Standing) -> bool {
        let first = |live: &[u64]| {
            let mut paths = self.paths.iter().zip(live);
            paths.position(|(path, live)| path.role == Role::Treat && path.selects(*live))
        };
        let counted = |(path, (own, told)): (&Path, (&u64, &u64))| {
            path.role != Role::Count || !path.selects(*own) || path.selects(*told)
        };
        let treated = first(&at.own).is_none_or(|rule| first(&at.told) == Some(rule));
        let mut counts = self.paths.iter().zip(at.own.iter().zip(&at.told));
        treated && counts.all(counted) && (!self.limits || at.own_allowed || !at.told_allowed)
    }
}

fn fields(rules: &Rules) -> impl Iterator<Item = &FieldPath> {
    rules.treat.iter().filter_map(|rule| match &rule.place {
        Place::Field(path) => Some(path),
        Place::Query(_) | Place::Header(_) | Place::Cookie(_) | Place::Segment(_) => None,
    })
}

struct Walk<'c, 'd> {
    checker: &'c Checker,
    document: &'d Document<'d>,
    /// How many fields more may be looked at: fragments can be asked for again and again.
    left: usize,
}

impl Walk<'_, '_> {
    fn selections(&mut self, selections: &[Selection<'_>], at: &Standing, depth: usize) -> Result<(), Fault> {
        for selection in selections {
            self.selection(selection, at, depth)?;
        }
        Ok(())
    }

    fn selection(&mut self, selection: &Selection<'_>, above: &Standing, depth: usize) -> Result<(), Fault> {
        let here = match selection {
            Selection::Field { at, .. } | Selection::Spread { at, .. } => *at,
            Selection::Inline(_) => 0,
        };
        self.left = self.left.checked_sub(1).ok_or(Fault { what: "is longer than its bound", at: here })?;
        if depth > DOCUMENT_DEPTH_MAX {
            return Err(Fault { what: "is deeper than its bound, or has a fragment within itself", at: here });
        }
        match selection {
            Selection::Field { alias, name, below, .. } => {
                let next = self.checker.step(above, name, alias.unwrap_or(name));
                if !self.checker.agrees(&next) {
                    return Err(Fault { what: GOES_AROUND, at: here });
                }
                self.selections(below, &next, depth + 1)
            }
            Selection::Inline(below) => self.selections(below, above, depth + 1),
            Selection::Spread { fragment, .. } => {
                let document = self.document;
                let below = document.fragments.get(fragment);
                let below = below.ok_or(Fault { what: "asks for a fragment that it does not have", at: here })?;
                self.selections(below, above, depth + 1)
            }
        }
    }
}

impl Path {
    /// Names that rules select are compared as the engines do, without regard to case; those that a list lets pass exactly.
    fn step(&self, live: u64, name: &str) -> u64 {
        let exact = self.role == Role::Only;
        let same = |listed: &str| if exact { listed == name } else { same_folded(listed, name) };
        let mut next = 0;
        for (at, step) in self.steps.iter().enumerate().filter(|(at, _)| live >> at & 1 == 1) {
            let goes = match &step.selector {
                Selector::Name(listed) => same(listed),
                Selector::Wildcard => true,
                Selector::Index(_) => false,
            };
            next |= u64::from(step.descends) << at | u64::from(goes) << (at + 1);
        }
        self.skip(next)
    }

    /// A list leaves no mark in a query.
    fn skip(&self, mut live: u64) -> u64 {
        for (at, step) in self.steps.iter().enumerate() {
            if step.name().is_none() && live >> at & 1 == 1 {
                live |= 1 << (at + 1);
            }
        }
        live
    }

    const fn selects(&self, live: u64) -> bool {
        live >> self.steps.len() & 1 == 1
    }
}
