//! Checks `query:`, `headers:` and `params:` of a route.

use ::http::HeaderName;

use crate::bounds::PARAMETER_NAMES_MAX;
use crate::config::file::parameters::{AllowListConfig, ParameterConfig, ParameterConfigs};
use crate::config::source::Cursor;
use crate::parameters::{AllowList, ParameterForm, ParameterPattern, ParameterRules};
use crate::pii::{Rules, ValueLocation};
use crate::route::RoutePattern;

/// What is written at a route, each where it is.
pub(super) type WrittenParameters<'a> =
    (Option<&'a AllowListConfig>, Option<&'a AllowListConfig>, Option<&'a ParameterConfigs>);

/// What a route allows; `at` is the route. Warns of rules of the request that can then never have a value.
pub(super) fn parameters(
    at: &Cursor<'_>,
    (query, headers, params): WrittenParameters<'_>,
    pattern: Option<&RoutePattern>,
    request: &Rules,
) -> ParameterRules {
    let mut rules = ParameterRules {
        query: query.map(|list| names(&at.key("query"), list, str::to_owned)),
        headers: headers.map(|list| header_names(&at.key("headers"), list)),
        ..ParameterRules::default()
    };
    forms(&at.key("params"), params, pattern, &mut rules);
    for (i, rule) in request.treat.iter().enumerate() {
        let (key, is_reached) = match &rule.location {
            ValueLocation::Query(name) => ("query", rules.lets_pass(name)),
            ValueLocation::Header(name) => ("headers", rules.lets_field_pass(name)),
            ValueLocation::Cookie(_) => ("headers", rules.lets_field_pass("cookie")),
            ValueLocation::Field(_) | ValueLocation::Segment(_) => continue,
        };
        if !is_reached {
            let wrong = format!("can never have a value: {key} of the route does not list it");
            at.key("request").key("pii").item(i).warning(wrong, format!("add it to {key}.allow, or take it out"));
        }
    }
    rules
}

fn forms(
    at: &Cursor<'_>,
    written: Option<&ParameterConfigs>,
    pattern: Option<&RoutePattern>,
    rules: &mut ParameterRules,
) {
    let written = written.into_iter().flatten();
    if written.clone().count() > PARAMETER_NAMES_MAX {
        at.fault(format!("has more than {PARAMETER_NAMES_MAX} parameters"), "give the route narrower siblings");
    }
    let captures: Vec<&str> = pattern.into_iter().flat_map(RoutePattern::capture_names).collect();
    for (name, written) in written {
        let at = at.key(name);
        if name.is_empty() {
            at.fault("must name a capture of the route or a parameter of the query", "write limit: { type: integer }");
        }
        if written.kind.is_none() && written.pattern.is_none() && written.max_length.is_none() {
            at.fault("says nothing", "write type:, pattern: or max_length:");
        }
        let entry = (name.as_str().into(), form(&at, written));
        match captures.iter().find(|capture| capture.eq_ignore_ascii_case(name)) {
            Some(capture) if capture == name => rules.captures.push(entry),
            Some(capture) => {
                at.fault(format!("is no capture of the route, which names it {capture}"), format!("write {capture}"));
            }
            None => rules.parameters.push(entry),
        }
    }
}

fn header_names(at: &Cursor<'_>, written: &AllowListConfig) -> AllowList {
    for (i, name) in written.allow.iter().flatten().enumerate() {
        if !name.is_empty() && HeaderName::from_bytes(name.as_bytes()).is_err() {
            at.key("allow").item(i).invalid("must be the name of a header field", "x-tenant");
        }
    }
    names(at, written, str::to_ascii_lowercase)
}

fn names(at: &Cursor<'_>, written: &AllowListConfig, fold: impl Fn(&str) -> String) -> AllowList {
    let at_list = at.key("allow");
    let mut names: Vec<Box<str>> = Vec::new();
    for (i, name) in written.allow.iter().flatten().enumerate() {
        let name = fold(name).into_boxed_str();
        if name.is_empty() {
            at_list.item(i).fault("must not be empty", "take it out");
        } else if names.contains(&name) {
            at_list.item(i).fault("is listed twice", "take one of them out");
        } else {
            names.push(name);
        }
    }
    if names.len() > PARAMETER_NAMES_MAX {
        at_list.fault(format!("has more than {PARAMETER_NAMES_MAX} names"), "give the route narrower siblings");
    }
    AllowList { names, other: written.other.unwrap_or_default() }
}

fn form(at: &Cursor<'_>, written: &ParameterConfig) -> ParameterForm {
    let pattern = written.pattern.as_deref().and_then(|text| {
        let parsed = ParameterPattern::parse(text);
        parsed.map_err(|error| at.key("pattern").invalid(format!("cannot be used: {error}"), "[a-z]{2,16}")).ok()
    });
    ParameterForm { kind: written.kind.unwrap_or_default(), pattern, max_length: written.max_length.map(usize::from) }
}
