//! Whether an answer's rules do under the aliases of a query what they do under the names of the schema.
//!
//! The fields of a query are followed twice at once: by the names of the schema, and by the names that the answer
//! will have. A query is refused when a rule selects a field under the one name and not under the other, or when the
//! allow-list lets a field pass only under its alias. Whether a field is a list cannot be seen in a query, so a step
//! into elements may be left out, or be a name.

use super::QueryFault;
use super::document::{self, GraphqlDocument, Selection};
use crate::bounds::{DOCUMENT_DEPTH_MAX, GRAPHQL_NODES_MAX};
use crate::model::{FieldPath, PathSelector, PathStep};
use crate::pii::fields::equals_ignoring_case;
use crate::pii::{RewriteResult, Rules, ValueLocation};

/// The rules that queries of one route are checked against.
#[derive(Debug)]
pub(in crate::pii) struct QueryChecker {
    paths: Vec<QueryPath>,
    has_allow_list: bool,
    /// The last names in the paths of the rules for the request itself.
    request: Vec<Box<str>>,
    /// Whether there is an allow-list for the request.
    request_has_allow_list: bool,
}

#[derive(Debug)]
struct QueryPath {
    steps: Box<[PathStep]>,
    role: QueryPathRole,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum QueryPathRole {
    /// A field to treat.
    Treat,
    /// A field of the allow-list.
    Only,
    /// The path of the records, and that of the subject.
    Count,
}

/// How far each path has been followed under both names, and whether the allow-list has the field or one above it.
#[derive(Debug)]
struct WalkPositions {
    by_schema: Vec<u64>,
    by_alias: Vec<u64>,
    schema_allowed: bool,
    alias_allowed: bool,
}

const GOES_AROUND: &str = "calls a field by a name that the answer's rules do not know it by";

impl QueryChecker {
    /// A checker for these rules: those for the answer, and those for the request itself.
    pub(in crate::pii) fn new(answer: &Rules, request: &Rules) -> Self {
        let treated = fields(answer).map(|path| (path, QueryPathRole::Treat));
        let only = answer.only.iter().flatten().map(|path| (path, QueryPathRole::Only));
        let counted = answer.records.iter().chain(&answer.subject).map(|path| (path, QueryPathRole::Count));
        let path = |(path, role): (&FieldPath, QueryPathRole)| QueryPath { steps: path.steps().into(), role };
        Self {
            paths: treated.chain(only).chain(counted).map(path).collect(),
            has_allow_list: answer.only.is_some(),
            request: fields(request).filter_map(FieldPath::last_name).map(Into::into).collect(),
            request_has_allow_list: request.only.is_some(),
        }
    }

    /// Checks one query.
    ///
    /// # Errors
    /// [`crate::pii::RewriteError::GraphqlQuery`] when the text is no query, or would go around a rule.
    pub(in crate::pii) fn check(&self, query: &str) -> RewriteResult {
        let document = document::parse(query)?;
        self.check_literals(&document)?;
        let mut walk = SelectionWalk { checker: self, document: &document, left: GRAPHQL_NODES_MAX };
        let start: Vec<u64> = self.paths.iter().map(|path| path.skip(1)).collect();
        let start =
            WalkPositions { by_schema: start.clone(), by_alias: start, schema_allowed: false, alias_allowed: false };
        let data = self.step(&start, "data", "data");
        for selections in &document.operations {
            walk.selections(selections, &data, 0)?;
        }
        Ok(())
    }

    /// Whether the rules select in a list of answers what they select in each answer alone.
    pub(in crate::pii) fn holds_in_lists(&self) -> bool {
        let anywhere = |path: &QueryPath| path.steps.first().is_some_and(|step| step.descends || step.is_wildcard());
        self.paths.iter().all(|path| path.role == QueryPathRole::Only || anywhere(path))
    }

    fn check_literals(&self, document: &GraphqlDocument<'_>) -> Result<(), QueryFault> {
        let named = |name: &str| self.request.iter().any(|rule| equals_ignoring_case(rule, name));
        match document.literals.iter().find(|(name, _)| self.request_has_allow_list || named(name)) {
            None => Ok(()),
            Some(&(_, at)) => Err(QueryFault { what: "has a literal where the rules need a variable", at }),
        }
    }

    fn step(&self, from: &WalkPositions, name: &str, alias: &str) -> WalkPositions {
        let step = |live: &[u64], name: &str| -> Vec<u64> {
            self.paths.iter().zip(live).map(|(path, live)| path.step(*live, name)).collect()
        };
        let allowed = |live: &[u64]| {
            let mut paths = self.paths.iter().zip(live);
            paths.any(|(path, live)| path.role == QueryPathRole::Only && path.selects(*live))
        };
        let (by_schema, by_alias) = (step(&from.by_schema, name), step(&from.by_alias, alias));
        let schema_allowed = from.schema_allowed || allowed(&by_schema);
        let alias_allowed = from.alias_allowed || allowed(&by_alias);
        WalkPositions { by_schema, by_alias, schema_allowed, alias_allowed }
    }

    /// Whether the rules do the same with a field under both names.
    fn agrees(&self, at: &WalkPositions) -> bool {
        let first = |live: &[u64]| {
            let mut paths = self.paths.iter().zip(live);
            paths.position(|(path, live)| path.role == QueryPathRole::Treat && path.selects(*live))
        };
        let counted = |(path, (by_schema, by_alias)): (&QueryPath, (&u64, &u64))| {
            path.role != QueryPathRole::Count || !path.selects(*by_schema) || path.selects(*by_alias)
        };
        let treated = first(&at.by_schema).is_none_or(|rule| first(&at.by_alias) == Some(rule));
        let mut counts = self.paths.iter().zip(at.by_schema.iter().zip(&at.by_alias));
        treated && counts.all(counted) && (!self.has_allow_list || at.schema_allowed || !at.alias_allowed)
    }
}

fn fields(rules: &Rules) -> impl Iterator<Item = &FieldPath> {
    rules.treat.iter().filter_map(|rule| match &rule.location {
        ValueLocation::Field(path) => Some(path),
        ValueLocation::Query(_) | ValueLocation::Header(_) | ValueLocation::Cookie(_) | ValueLocation::Segment(_) => {
            None
        }
    })
}

struct SelectionWalk<'c, 'd> {
    checker: &'c QueryChecker,
    document: &'d GraphqlDocument<'d>,
    /// How many more fields may be followed: a query can use a fragment many times, so a short one can have very many
    /// fields.
    left: usize,
}

impl SelectionWalk<'_, '_> {
    fn selections(&mut self, selections: &[Selection<'_>], at: &WalkPositions, depth: usize) -> Result<(), QueryFault> {
        for selection in selections {
            self.selection(selection, at, depth)?;
        }
        Ok(())
    }

    fn selection(&mut self, selection: &Selection<'_>, above: &WalkPositions, depth: usize) -> Result<(), QueryFault> {
        let here = match selection {
            Selection::Field { at, .. } | Selection::Spread { at, .. } => *at,
            Selection::Inline(_) => 0,
        };
        self.left = self.left.checked_sub(1).ok_or(QueryFault { what: "is longer than its bound", at: here })?;
        if depth > DOCUMENT_DEPTH_MAX {
            return Err(QueryFault { what: "is deeper than its bound, or has a fragment within itself", at: here });
        }
        match selection {
            Selection::Field { alias, name, below, .. } => {
                let next = self.checker.step(above, name, alias.unwrap_or(name));
                if !self.checker.agrees(&next) {
                    return Err(QueryFault { what: GOES_AROUND, at: here });
                }
                self.selections(below, &next, depth + 1)
            }
            Selection::Inline(below) => self.selections(below, above, depth + 1),
            Selection::Spread { fragment, .. } => {
                let document = self.document;
                let below = document.fragments.get(fragment);
                let below = below.ok_or(QueryFault { what: "asks for a fragment that it does not have", at: here })?;
                self.selections(below, above, depth + 1)
            }
        }
    }
}

impl QueryPath {
    /// Names in rules are compared as the rewriters do, without regard to case; names in an allow-list exactly.
    fn step(&self, live: u64, name: &str) -> u64 {
        let exact = self.role == QueryPathRole::Only;
        let same = |listed: &str| if exact { listed == name } else { equals_ignoring_case(listed, name) };
        let mut next = 0;
        for (at, step) in self.steps.iter().enumerate().filter(|(at, _)| live >> at & 1 == 1) {
            let goes = match &step.selector {
                PathSelector::Name(listed) => same(listed),
                PathSelector::Wildcard => true,
                PathSelector::Index(_) => false,
            };
            next |= u64::from(step.descends) << at | u64::from(goes) << (at + 1);
        }
        self.skip(next)
    }

    /// Whether a field is a list cannot be seen in a query, so steps into lists may be left out.
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
