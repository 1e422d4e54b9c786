//! What a route allows of a request's target and header fields, on the way of a request.

use ::http::header::HeaderMap;
use ::http::request;

use super::snapshot::RouteRuntime;
use crate::model::Denial;
use crate::parameters::ParameterRules;
use crate::route::Captures;

/// Checks the parameters and the names of the header fields of a request. Returns the query without what is dropped;
/// `None` where it goes on as it came.
///
/// # Errors
/// The denial of the first that the route does not allow.
pub(super) fn check_parameters(
    rules: &ParameterRules,
    route: &RouteRuntime,
    (head, path): (&request::Parts, &str),
    captures: &Captures,
) -> Result<Option<String>, Denial> {
    rules.check_headers(&head.headers)?;
    let names = route.captures.iter().map(|name| &**name);
    Ok(rules.check_target(captured(names, captures, path), head.uri.query())?)
}

/// Takes out the header fields, or trailer fields, that the route does not list.
pub(super) fn drop_unlisted(route: &RouteRuntime, headers: &mut HeaderMap) {
    if let Some(rules) = route.parameters.as_ref().filter(|_| route.observed.is_none()) {
        rules.drop_headers(headers);
    }
}

/// The captures of a path, each with its name.
pub(super) fn captured<'a>(
    names: impl Iterator<Item = &'a str>,
    captures: &Captures,
    path: &'a str,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    names.enumerate().filter_map(move |(index, name)| Some((name, path.get(captures.range(index)?)?)))
}
