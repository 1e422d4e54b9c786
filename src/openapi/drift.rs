//! Where a contract and the description of the same API differ.
//!
//! A contract may grant less than the API has, and does not drift by that: an operation that no route is for, and a
//! field that `only:` drops, are told where they are asked for.

use std::collections::BTreeSet;

use serde::Serialize;

use super::document::ApiDocument;
use super::fields::BodyFields;
use super::operation::{ApiOperation, OperationFilter, operations};
use crate::config::{Contract, ContractRoute};
use crate::model::{Direction, FieldPath, PathSelector};
use crate::pii::{Rules, ValueLocation};
use crate::route::RoutePattern;

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Drift {
    /// The route of the contract, or the operation.
    pub(crate) route: String,
    /// What differs, as a key of the contract.
    pub(crate) key: String,
    /// How, in words.
    pub(crate) what: String,
}

/// The differences of one direction. `is_full`: also what the contract does not grant of the API.
pub(crate) fn drifts(
    document: &ApiDocument,
    contract: &Contract,
    direction: Direction,
    filter: &OperationFilter,
    is_full: bool,
) -> Vec<Drift> {
    let (described, omitted) = operations(document, filter);
    let described: Vec<(RoutePattern, ApiOperation)> =
        described.into_iter().filter_map(|it| Some((RoutePattern::parse(&it.route).ok()?, it))).collect();
    let routes = contract.routes(direction).as_slice();
    let mut report = DriftReport { found: Vec::new(), route: String::new(), is_full };
    for route in routes {
        report.route = route.pattern.as_str().to_owned();
        report.route(route, direction, &described);
    }
    for (pattern, operation) in described.iter().filter(|_| is_full) {
        report.route.clone_from(&operation.route);
        if !routes.iter().any(|route| pattern.is_within(&route.pattern)) {
            report.add("route", "is an operation of the API, and no route covers it");
        }
    }
    for left_out in omitted.iter().filter(|_| is_full) {
        report.route.clone_from(&left_out.name);
        report.add("route", format!("cannot be compared: {}", left_out.why));
    }
    report.found
}

struct DriftReport {
    found: Vec<Drift>,
    route: String,
    is_full: bool,
}

impl DriftReport {
    fn add(&mut self, key: &str, what: impl Into<String>) {
        self.found.push(Drift { route: self.route.clone(), key: key.to_owned(), what: what.into() });
    }

    fn route(&mut self, route: &ContractRoute, direction: Direction, described: &[(RoutePattern, ApiOperation)]) {
        let matching: Vec<_> = described.iter().filter(|(pattern, _)| pattern.overlaps(&route.pattern)).collect();
        // Captures may have other names, so equal patterns are those that are within one another.
        let exact: Vec<_> = matching.iter().filter(|(pattern, _)| pattern.is_within(&route.pattern)).collect();
        if exact.is_empty() {
            let wrong = if matching.is_empty() {
                "the API has no such operation"
            } else {
                "the API has no operation that it covers whole"
            };
            self.add("route", wrong);
            return;
        }
        for (_, operation) in exact {
            if direction == Direction::Ingress {
                self.scopes(route, operation);
            }
            self.parameters(route, operation);
            let (rules, body, side) = match direction {
                Direction::Ingress => (&route.response, &operation.response, "response"),
                Direction::Egress => (&route.request, &operation.request, "request"),
            };
            self.fields(rules, body, side);
        }
    }

    fn scopes(&mut self, route: &ContractRoute, operation: &ApiOperation) {
        let scopes = match &operation.scopes {
            Ok(scopes) => scopes,
            Err(why) => return self.add("scopes", why.clone()),
        };
        let ours: BTreeSet<&str> = route.scopes.iter().map(|scope| scope.as_str()).collect();
        let theirs: BTreeSet<&str> = scopes.iter().map(String::as_str).collect();
        for scope in theirs.difference(&ours) {
            self.add("scopes", format!("the API asks for {scope}, and the route does not"));
        }
        for scope in ours.difference(&theirs) {
            self.add("scopes", format!("the route asks for {scope}, and the API does not"));
        }
    }

    fn parameters(&mut self, route: &ContractRoute, operation: &ApiOperation) {
        let captures: Vec<&str> = route.pattern.capture_names().collect();
        let Some(allowed) = &operation.parameters.allowed else { return };
        let forms = operation.parameters.forms.iter().map(|(name, _)| name.as_str());
        let theirs: BTreeSet<&str> =
            allowed.iter().map(String::as_str).chain(forms).filter(|name| !captures.contains(name)).collect();
        let rules = &route.parameters;
        let listed =
            rules.query.iter().flat_map(|list| &list.names).chain(rules.parameters.iter().map(|(name, _)| name));
        let ours: BTreeSet<&str> = listed.map(|name| &**name).collect();
        for name in ours.difference(&theirs) {
            self.add("query", format!("the API has no parameter {name}"));
        }
        for name in theirs.difference(&ours).filter(|_| self.is_full && rules.query.is_some()) {
            self.found.push(Drift {
                route: self.route.clone(),
                key: "query".to_owned(),
                what: format!("the API has the parameter {name}, which is not allowed"),
            });
        }
    }

    fn fields(&mut self, rules: &Rules, body: &BodyFields, side: &str) {
        let described: Vec<FieldPath> =
            body.listed.iter().filter_map(|field| FieldPath::parse(&field.path).ok()).collect();
        let is_known = |path: &FieldPath| body.is_open || described.iter().any(|field| related(path, field));
        let named = rules.treat.iter().filter_map(|rule| match &rule.location {
            ValueLocation::Field(path) => Some(("pii", path)),
            ValueLocation::Query(_)
            | ValueLocation::Header(_)
            | ValueLocation::Cookie(_)
            | ValueLocation::Segment(_) => None,
        });
        let named = named.chain(rules.only.iter().flatten().map(|path| ("only", path)));
        for (key, path) in
            named.chain(rules.clear.iter().map(|path| ("clear", path))).filter(|(_, path)| !is_known(path))
        {
            self.add(&format!("{side}.{key}"), format!("the API has no field {path}"));
        }
        for (field, path) in body.listed.iter().zip(&described) {
            let is_treated = rules
                .treat
                .iter()
                .any(|rule| matches!(&rule.location, ValueLocation::Field(ours) if covers(ours, path)));
            let passes = rules.only.as_ref().is_none_or(|only| only.iter().any(|kept| related(kept, path)));
            if is_treated {
                continue;
            }
            if passes && field.rule.is_some() {
                self.add(&format!("{side}.pii"), format!("{path} is classified by the API, and leaves in clear"));
            } else if passes
                && rules.only.is_none()
                && !rules.clear.is_empty()
                && !rules.clear.iter().any(|listed| covers(listed, path))
            {
                self.add(&format!("{side}.clear"), format!("{path} leaves in clear and is not listed"));
            } else if !passes && self.is_full {
                self.add(&format!("{side}.only"), format!("the API has the field {path}, which is dropped"));
            }
        }
    }
}

/// Whether one path is the other, or leads to it, or is below it.
fn related(left: &FieldPath, right: &FieldPath) -> bool {
    left.steps()
        .iter()
        .zip(right.steps())
        .all(|(left, right)| left.descends || right.descends || meets(&left.selector, &right.selector))
}

/// Whether a rule for the first path is a rule for all that the second selects.
fn covers(wide: &FieldPath, path: &FieldPath) -> bool {
    wide.steps().len() <= path.steps().len() && related(wide, path)
        || wide.steps().iter().any(|step| step.descends) && related(wide, path)
}

fn meets(left: &PathSelector, right: &PathSelector) -> bool {
    match (left, right) {
        (PathSelector::Name(left), PathSelector::Name(right)) => left.eq_ignore_ascii_case(right),
        (PathSelector::Index(left), PathSelector::Index(right)) => left == right,
        (PathSelector::Wildcard, _) | (_, PathSelector::Wildcard) => true,
        (PathSelector::Name(_), PathSelector::Index(_)) | (PathSelector::Index(_), PathSelector::Name(_)) => false,
    }
}
