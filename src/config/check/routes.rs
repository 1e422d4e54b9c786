//! Checks `ingress:` and `egress.routes:`.

use std::sync::Arc;

use super::contract::ContractContext;
use super::rules::{RuleSide, field, related, rules};
use super::{body_format, fallback, graphql, limits, parameters, records, upstreams, values, websocket};
use crate::bounds::ROUTES_MAX;
use crate::config::contract::{ContractRoute, ContractRoutes};
use crate::config::file::records::RecordsConfig;
use crate::config::file::route::{EgressRouteConfig, IngressRouteConfig, MessageRulesConfig};
use crate::config::nearest::nearest;
use crate::config::source::Cursor;
use crate::config::suggest;
use crate::model::{Direction, FieldPath, PathSelector, ScopeSet};
use crate::pii::{OnUnexpectedShape, Rules};
use crate::route::{RouteConflict, RouteOverlap, RoutePattern};
use crate::upstream;

/// Checks what is written under `ingress:`.
pub(super) fn ingress(
    at: &Cursor<'_>,
    written: &[IngressRouteConfig],
    ceiling: Option<&ScopeSet>,
    context: &ContractContext<'_>,
) -> ContractRoutes {
    let route = |(i, route): (usize, &IngressRouteConfig)| ingress_route(&at.item(i), route, ceiling, context);
    table(at, written.iter().enumerate().map(route).collect())
}

/// Checks what is written under `egress.routes:`.
pub(super) fn egress(
    at: &Cursor<'_>,
    written: &[EgressRouteConfig],
    upstream: &Arc<upstream::UpstreamSettings>,
) -> ContractRoutes {
    if written.is_empty() {
        at.fault("must list at least one route: nothing else is sent", "write - route: POST /v2/events");
    }
    let route = |(i, route): (usize, &EgressRouteConfig)| egress_route(&at.item(i), route, upstream);
    table(at, written.iter().enumerate().map(route).collect())
}

fn ingress_route(
    at: &Cursor<'_>,
    written: &IngressRouteConfig,
    ceiling: Option<&ScopeSet>,
    context: &ContractContext<'_>,
) -> Option<ContractRoute> {
    let pattern = written.route.as_deref().and_then(|text| pattern(&at.key("route"), text));
    let scopes = written.scopes.as_deref().map(|scopes| route_scopes(&at.key("scopes"), scopes, ceiling));
    let upstream = written.upstream.as_deref().map(|name| upstream_named(&at.key("upstream"), name, context));
    let mut request =
        rules(&at.key("request"), written.request.as_ref(), pattern.as_ref(), RuleSide::Request(Direction::Ingress));
    let response =
        rules(&at.key("response"), written.response.as_ref(), pattern.as_ref(), RuleSide::Response(Direction::Ingress));
    let counted_by = (written.records.as_ref(), written.subject.as_deref(), written.on_shape);
    let response = counted(at, counted_by, upstream.as_deref(), response);
    check_shapes(&at.key("response"), written.response.as_ref(), response.records.as_ref());
    let limits = limits::of_route(&at.key("limits"), written.limits.as_ref());
    check_counted(at, limits.records.is_some(), written.records.is_some());
    graphql::judged(at, written.graphql, written.route.as_deref(), &mut request, &response);
    let lists = (written.query.as_ref(), written.headers.as_ref(), written.params.as_ref());
    let parameters = parameters::parameters(at, lists, pattern.as_ref(), &request);
    body_format::check_read(&at.key("request"), written.request.as_ref(), &request);
    body_format::check_read(&at.key("response"), written.response.as_ref(), &response);
    let websocket =
        websocket::judged(&at.key("websocket"), written.websocket, [&request, &response], upstream.as_deref());
    let fallback = fallback::fallback(&at.key("fallback"), written.fallback.as_ref(), Direction::Ingress, websocket);
    let (pattern, scopes, upstream, allow_encoded_slash) = (pattern?, scopes?, upstream?, false);
    Some(ContractRoute {
        pattern,
        scopes,
        upstream,
        limits,
        websocket,
        allow_encoded_slash,
        fallback,
        parameters,
        request,
        response,
    })
}

fn egress_route(
    at: &Cursor<'_>,
    written: &EgressRouteConfig,
    upstream: &Arc<upstream::UpstreamSettings>,
) -> Option<ContractRoute> {
    let pattern = written.route.as_deref().and_then(|text| pattern(&at.key("route"), text));
    let request =
        rules(&at.key("request"), written.request.as_ref(), pattern.as_ref(), RuleSide::Request(Direction::Egress));
    let counted_by = (written.records.as_ref(), written.subject.as_deref(), written.on_shape);
    let mut request = counted(at, counted_by, Some(upstream), request);
    check_shapes(&at.key("request"), written.request.as_ref(), request.records.as_ref());
    let response =
        rules(&at.key("response"), written.response.as_ref(), pattern.as_ref(), RuleSide::Response(Direction::Egress));
    let limits = limits::of_route(&at.key("limits"), written.limits.as_ref());
    check_counted(at, limits.records.is_some(), written.records.is_some());
    graphql::judged(at, written.graphql, written.route.as_deref(), &mut request, &response);
    let lists = (written.query.as_ref(), written.headers.as_ref(), written.params.as_ref());
    let parameters = parameters::parameters(at, lists, pattern.as_ref(), &request);
    body_format::check_read(&at.key("request"), written.request.as_ref(), &request);
    body_format::check_read(&at.key("response"), written.response.as_ref(), &response);
    let websocket = websocket::judged(&at.key("websocket"), written.websocket, [&request, &response], Some(upstream));
    let (upstream, scopes) = (Arc::clone(upstream), ScopeSet::default());
    let allow_encoded_slash = written.allow_encoded_slash.unwrap_or(false);
    let fallback = fallback::fallback(&at.key("fallback"), written.fallback.as_ref(), Direction::Egress, websocket);
    Some(ContractRoute {
        pattern: pattern?,
        scopes,
        upstream,
        limits,
        websocket,
        allow_encoded_slash,
        fallback,
        parameters,
        request,
        response,
    })
}

fn pattern(at: &Cursor<'_>, text: &str) -> Option<RoutePattern> {
    let foreign = |segment: &&str| suggest::segment(segment, false) != **segment && !segment.starts_with('{');
    match RoutePattern::parse(text) {
        Ok(pattern) => {
            if let Some(segment) = text.split('/').find(foreign) {
                let wrong = format!("'{segment}' would only match these very characters: a capture is {{name}} here");
                at.invalid_with_guess(wrong, suggest::route(text), "");
                return None;
            }
            Some(pattern)
        }
        Err(error) => {
            let meant = suggest::route(text).filter(|meant| RoutePattern::parse(meant).is_ok());
            at.invalid_with_guess(error.to_string(), meant, "GET /v1/customers/{id}");
            None
        }
    }
}

fn route_scopes(at: &Cursor<'_>, written: &[String], ceiling: Option<&ScopeSet>) -> ScopeSet {
    let scopes = values::scopes(at, written);
    let Some(ceiling) = ceiling else { return scopes };
    let all: Vec<&str> = ceiling.iter().map(|scope| scope.as_str()).collect();
    for (i, text) in written.iter().enumerate().filter(|(_, text)| !text.is_empty() && !all.contains(&text.as_str())) {
        let instead = match nearest(text, all.iter().copied()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("add {text} to the contract's scopes, or take it out here"),
        };
        at.item(i).fault(format!("is not in the contract's scopes (got {text}): no token could ever pass"), instead);
    }
    scopes
}

pub(super) fn upstream_named(
    at: &Cursor<'_>,
    name: &str,
    context: &ContractContext<'_>,
) -> Arc<upstream::UpstreamSettings> {
    let Some(upstreams) = context.upstreams else { return upstreams::unread(name) };
    if let Some(upstream) = upstreams.get(name) {
        return Arc::clone(upstream);
    }
    let instead = match nearest(name, upstreams.keys().map(String::as_str)) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("add {name} to upstreams of the main file"),
    };
    at.fault(format!("no such upstream (got {name})"), instead);
    upstreams::unknown()
}

/// Adds the route's `records`, `subject` and `on_shape` to the rules of the body that they are about.
fn counted(
    at: &Cursor<'_>,
    (records, subject, on_shape): (Option<&RecordsConfig>, Option<&str>, Option<OnUnexpectedShape>),
    upstream: Option<&upstream::UpstreamSettings>,
    mut rules: Rules,
) -> Rules {
    let records = match records {
        Some(RecordsConfig::Messages(written)) => {
            records::add_messages(at, *written, (subject, on_shape), upstream, &mut rules);
            return rules;
        }
        Some(RecordsConfig::Elements(path)) => Some(path.as_str()),
        None => None,
    };
    rules.records = records.and_then(|text| records_path(&at.key("records"), text));
    rules.subject = subject.and_then(|text| field(&at.key("subject"), text));
    rules.on_unexpected_shape = on_shape.unwrap_or_default();
    if on_shape.is_some() && records.is_none() {
        let wrong = "has no effect: the route names no records, so no shape is asked for";
        at.key("on_shape").fault(wrong, "take it out, or write records: \"$.customers[*]\" beside it");
    }
    if let (Some(records), Some(subject)) = (&rules.records, &rules.subject)
        && !(related(records, subject) && reaches(records, subject))
    {
        at.key("subject").invalid(format!("is in no record of {records}"), format!("{records}.id"));
    }
    if let (Some(records), Some(only)) = (&rules.records, &rules.only)
        && !only.iter().any(|kept| related(kept, records))
    {
        at.key("records").invalid_with_remedy("can count nothing: only drops them", "count elements that only keeps");
    }
    rules
}

/// Warns of fields that no body of the shape that `records` describes can have.
fn check_shapes(at: &Cursor<'_>, written: Option<&MessageRulesConfig>, records: Option<&FieldPath>) {
    let (Some(written), Some(records)) = (written, records) else { return };
    let pii = written.pii.iter().flatten().enumerate();
    let rules = pii.filter_map(|(i, rule)| Some((at.key("pii").item(i).key("field"), rule.field.as_deref()?)));
    let listed = |name, list: &Option<Vec<String>>| {
        let places = list.iter().flatten().enumerate();
        places.map(|(i, text)| (at.key(name).item(i), text.as_str().to_owned())).collect::<Vec<_>>()
    };
    let others = listed("only", &written.only).into_iter().chain(listed("reveal", &written.reveal));
    for (at, text) in rules.map(|(at, text)| (at, text.to_owned())).chain(others) {
        let Ok(path) = FieldPath::parse(&text) else { continue };
        if let Some(rest) = contradicts(records, &path) {
            let wrong = format!("can select nothing in a body whose records are {records} (got {text})");
            at.warning(wrong, format!("write {records}{rest}, or correct records"));
        }
    }
}

/// The rest of `path` from the step where it contradicts `records`: it takes a container for an object with a named
/// member, where `records` takes each of its elements for a record, or the other way round.
fn contradicts(records: &FieldPath, path: &FieldPath) -> Option<String> {
    let (counted, named) = records.steps().iter().zip(path.steps()).find(|(a, b)| a != b)?;
    let same_kind = matches!(
        (&counted.selector, &named.selector),
        (PathSelector::Name(_), PathSelector::Name(_))
            | (PathSelector::Index(_), PathSelector::Index(_))
            | (PathSelector::Wildcard, PathSelector::Wildcard)
    );
    let contradicted = !(counted.descends || named.descends || same_kind);
    let (records, path) = (records.to_string(), path.to_string());
    let same = records.bytes().zip(path.bytes()).take_while(|(a, b)| a == b).count();
    let rest = path.get(same..)?.trim_start_matches('.');
    let rest = match named.selector {
        // The path selects one element of the list whose elements are the records.
        PathSelector::Index(_) => rest.split_once(']')?.1.to_owned(),
        PathSelector::Name(_) | PathSelector::Wildcard => format!(".{rest}"),
    };
    contradicted.then_some(rest)
}

/// Whether a subject can be inside its record: without `..`, its path must be at least as long.
fn reaches(records: &FieldPath, subject: &FieldPath) -> bool {
    let anywhere = |path: &FieldPath| path.steps().iter().any(|step| step.descends);
    anywhere(records) || anywhere(subject) || subject.steps().len() >= records.steps().len()
}

fn records_path(at: &Cursor<'_>, text: &str) -> Option<FieldPath> {
    let path = field(at, text)?;
    match path.steps().last() {
        None => Some(path),
        Some(step) if step.selector == PathSelector::Wildcard => Some(path),
        Some(_) => {
            at.invalid("must end in [*], .* or be $: records are elements, not a field", format!("{path}[*]"));
            None
        }
    }
}

fn check_counted(at: &Cursor<'_>, limited: bool, counted: bool) {
    if limited && !counted {
        let wrong = "can never be reached: the route names no records";
        at.key("limits").key("records").fault(wrong, "write records: \"$.customers[*]\" beside limits");
    }
}

/// The look-up table of the valid routes; the others were reported.
fn table(at: &Cursor<'_>, routes: Vec<Option<ContractRoute>>) -> ContractRoutes {
    if routes.len() > ROUTES_MAX {
        at.fault(
            format!("has more than {ROUTES_MAX} routes"),
            "use captures: {name} for a segment, {*rest} for the tail",
        );
    }
    let (places, routes): (Vec<usize>, Vec<ContractRoute>) =
        routes.into_iter().enumerate().filter_map(|(i, route)| Some((i, route?))).unzip();
    let names: Vec<String> = routes.iter().map(|route| route.pattern.to_string()).collect();
    ContractRoutes::new(routes).unwrap_or_else(|conflicts| {
        for conflict in conflicts {
            report_conflict(at, &places, &names, &conflict);
        }
        ContractRoutes::default()
    })
}

fn report_conflict(at: &Cursor<'_>, places: &[usize], names: &[String], conflict: &RouteConflict) {
    let (first, second) = (conflict.first.get(), conflict.second.get());
    let here = at.item(places[second]).key("route");
    let there = at.item(places[first]).key("route").file_and_line();
    match conflict.overlap {
        RouteOverlap::Same => {
            here.fault(format!("is the same route as {} ({there})", names[first]), "take one of them out")
        }
        RouteOverlap::Ambiguous => here.fault(
            format!("overlaps with {} ({there}), and neither is the narrower one", names[first]),
            "make one of them narrower in every segment, or give them different methods",
        ),
    }
}
