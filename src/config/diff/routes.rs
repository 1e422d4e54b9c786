//! Compares routes by what they match, and what each lets pass.
//!
//! A request of the new version is compared with what the old version did with the same request. Routes are taken
//! method by method. Where an old and a new route share requests, the two are compared, unless a narrower route takes
//! all of these in one of the versions.

use super::{WideningReport, limits, parameters, rules};
use crate::config::contract::{ContractRoute, ContractRoutes};
use crate::model::Direction;
use crate::pii::{Rules, ValueLocation};
use crate::route::RoutePattern;
use crate::upstream::UpstreamSettings;

/// A route for one of its methods.
struct MethodRoute<'a> {
    pattern: RoutePattern,
    route: &'a ContractRoute,
}

/// Reports what the new routes of a direction let pass that the old ones do not.
pub(super) fn compare(
    report: &mut WideningReport<'_>,
    direction: Direction,
    old: &ContractRoutes,
    new: &ContractRoutes,
) {
    let (old, new) = (by_method(old), by_method(new));
    for route in &new {
        let mut report = report.of_route(format!("{} {}", direction.as_str(), route.route.pattern));
        let shared = || old.iter().filter(|before| before.pattern.overlaps(&route.pattern));
        if !shared().any(|before| route.pattern.is_within(&before.pattern)) {
            let covered: Vec<_> = shared().map(|before| before.route.pattern.as_str()).collect();
            report.add("route", covered.join(", "), &route.pattern);
        }
        for before in shared().filter(|before| share_requests(before, route, &old, &new)) {
            compare_pair(&mut report, direction, before.route, route.route);
        }
    }
}

fn by_method(routes: &ContractRoutes) -> Vec<MethodRoute<'_>> {
    let split = |route: &'_ ContractRoute| route.pattern.by_method();
    let all = routes.as_slice().iter();
    all.flat_map(|route| split(route).into_iter().map(move |pattern| MethodRoute { pattern, route })).collect()
}

/// Whether some request is of the old route in the old version and of the new route in the new one.
fn share_requests(
    before: &MethodRoute<'_>,
    after: &MethodRoute<'_>,
    old: &[MethodRoute<'_>],
    new: &[MethodRoute<'_>],
) -> bool {
    // A narrower route takes all requests of `of` that are of `within` too.
    let is_taken = |all: &[MethodRoute<'_>], of: &MethodRoute<'_>, within: &MethodRoute<'_>| {
        let narrower = |other: &&MethodRoute<'_>| {
            other.route.pattern != of.route.pattern
                && other.pattern.is_within(&of.pattern)
                && within.pattern.is_within(&other.pattern)
        };
        all.iter().any(|other| narrower(&other))
    };
    !is_taken(old, before, after) && !is_taken(new, after, before)
}

fn compare_pair(report: &mut WideningReport<'_>, direction: Direction, old: &ContractRoute, new: &ContractRoute) {
    let ContractRoute {
        pattern: _,
        scopes,
        upstream,
        limits,
        websocket,
        allow_encoded_slash,
        fallback: _,
        parameters: allowed,
        request,
        response,
    } = new;
    if direction == Direction::Ingress {
        for scope in old.scopes.iter().filter(|scope| !scopes.contains(scope)) {
            report.add("route.scopes", scope, "");
        }
    }
    compare_upstream(report, &old.upstream, upstream);
    limits::compare(report, "limits", &old.limits, limits);
    for (key, old, new) in [
        ("websocket", old.websocket, *websocket),
        ("allow_encoded_slash", old.allow_encoded_slash, *allow_encoded_slash),
    ] {
        if new && !old {
            report.add(key, "false", "true");
        }
    }
    parameters::compare(report, old, (allowed, &new.pattern));
    let (before, after) = (placed(&old.request, &old.pattern), placed(request, &new.pattern));
    rules::compare(report, "request", &before, &after);
    rules::compare(report, "response", &old.response, response);
}

/// The rules with each capture named by its place in the path: its own name says nothing.
fn placed(rules: &Rules, pattern: &RoutePattern) -> Rules {
    let mut rules = rules.clone();
    for rule in &mut rules.treat {
        if let ValueLocation::Segment(name) = &mut rule.location
            && let Some(place) = pattern.capture_place(name)
        {
            *name = format!("{}", place + 1).into();
        }
    }
    rules
}

/// Where requests go. How long it may take, and how slowly, lets nothing out.
fn compare_upstream(report: &mut WideningReport<'_>, old: &UpstreamSettings, new: &UpstreamSettings) {
    let UpstreamSettings {
        id,
        base,
        connect_deadline: _,
        response_deadline: _,
        body: _,
        networks,
        protocol: _,
        group,
        tls,
    } = new;
    report.changed("upstream", &old.id, id, |id| id.as_str().to_owned());
    report.changed("upstream.url", &old.base, base, ToString::to_string);
    for target in group.targets.iter().filter(|target| !old.group.targets.contains(target)) {
        report.add("upstream.targets", "", target);
    }
    // Who else can be the upstream: other authorities, and keys that were not pinned.
    let is_new = |pin| !old.tls.pins.is_empty() && !old.tls.pins.contains(pin);
    if old.tls.ca != tls.ca {
        report.add("upstream.tls.ca", "", "other authorities");
    }
    if tls.pins.iter().any(is_new) || tls.pins.is_empty() && !old.tls.pins.is_empty() {
        report.add("upstream.tls.pins", "", "other keys");
    }
    if old.networks != *networks {
        report.add("upstream.allow_networks", "", "other addresses");
    }
}
