//! Checks `graphql:` of a route: whether its requests hold queries, which choose the names of the answer's fields.

use crate::config::source::Cursor;
use crate::model::{FieldPath, PathStep};
use crate::pii::{Rules, ValueLocation};

/// Adds the answer's rules to the request's, so that queries are checked against them.
pub(super) fn judged(at: &Cursor<'_>, written: Option<bool>, route: Option<&str>, request: &mut Rules, answer: &Rules) {
    match written {
        Some(true) if !answer.reads_body() && !request.reads_body() => {
            let wrong = "has no effect: no rule reads the answer or the request, so there is nothing to go around";
            at.key("graphql").fault(wrong, "take it out, or write rules under response");
        }
        Some(true) => request.graphql = Some(Box::new(answer.clone())),
        Some(false) => {}
        None if answer.reads_body() && route.is_some_and(|route| looks_like_graphql(route, answer)) => {
            at.key("route").warning(
                "looks like GraphQL, where the author of a query can call a field by another name than its rule",
                "write graphql: true beside it, or graphql: false if it is none",
            )
        }
        None => {}
    }
}

/// Whether a route's path ends as GraphQL routes do, or its answer to a POST is under `data`.
fn looks_like_graphql(route: &str, answer: &Rules) -> bool {
    let (methods, path) = route.split_once(' ').unwrap_or(("", route));
    let posts = methods.split(['|', ',']).any(|method| matches!(method.trim(), "POST" | "*"));
    let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    last.contains("graphql") || last == "gql" || (posts && fields(answer).any(is_under_data))
}

fn fields(rules: &Rules) -> impl Iterator<Item = &FieldPath> {
    let treated = rules.treat.iter().filter_map(|rule| match &rule.location {
        ValueLocation::Field(path) => Some(path),
        ValueLocation::Query(_) | ValueLocation::Header(_) | ValueLocation::Cookie(_) | ValueLocation::Segment(_) => {
            None
        }
    });
    treated.chain(rules.only.iter().flatten()).chain(&rules.records)
}

fn is_under_data(path: &FieldPath) -> bool {
    let plain = |step: &PathStep| step.name().filter(|_| !step.descends).map(str::to_owned);
    matches!(path.steps(), [first, second, ..] if plain(first).as_deref() == Some("data") && plain(second).is_some())
}
