//! Checks `egress.hosts` of a contract, and that no host is in two contracts and no upstream is the gateway itself.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::egress_listener;
use super::upstreams::Upstreams;
use crate::bounds::EGRESS_HOSTS_MAX;
use crate::config::contract::{Contract, ContractRoute, ContractRoutes};
use crate::config::file::route::EgressConfig;
use crate::config::reach::{DEFAULT_PORTS, ReachSettings, TunnelMode, is_bound_to};
use crate::config::settings::{EgressSettings, ListenersSettings};
use crate::config::source::Cursor;
use crate::http::{HostPort, Url, UrlScheme};
use crate::meter::Limits;
use crate::pii::Rules;

/// What is written under `egress:` about how our services reach the vendor; by default its upstream's own host.
pub(super) fn reach(at: &Cursor<'_>, written: &EgressConfig, upstream: &Url, routes: &ContractRoutes) -> ReachSettings {
    let tunnel = written.tunnel.unwrap_or_default();
    let own = || destinations(&upstream.authority()).into_iter().flatten().collect();
    let hosts = written.hosts.as_ref().map(|texts| hosts(&at.key("hosts"), texts));
    let reach =
        ReachSettings { is_listed: hosts.is_some(), hosts: hosts.unwrap_or_else(own), tunnel, undeclared: None };
    match tunnel {
        // What interception needs is in the main file.
        TunnelMode::Refuse | TunnelMode::Intercept => {}
        TunnelMode::Opaque => {
            if written.credentials.is_some() {
                let wrong = "cannot be opaque: the vendor's credential could be put into no request";
                at.key("tunnel").fault(wrong, "write intercept, or let our services hold the credential");
            }
            check_opaque(&at.key("tunnel"), &reach, upstream, routes);
        }
    }
    reach
}

fn hosts(at: &Cursor<'_>, texts: &[String]) -> Box<[HostPort<'static>]> {
    if texts.is_empty() {
        at.fault("lists no host", "write the names by which our services call the vendor, or take it out");
    }
    if texts.len() > EGRESS_HOSTS_MAX {
        at.fault(format!("has more than {EGRESS_HOSTS_MAX} hosts"), "list the hosts that our services call");
    }
    let read = |(i, text): (usize, &String)| host(&at.item(i), text);
    texts.iter().enumerate().filter_map(read).flatten().collect()
}

/// Refuses opaque tunnels where a rule would be passed by, or where they would lead elsewhere than the contract's
/// calls.
fn check_opaque(at: &Cursor<'_>, reach: &ReachSettings, upstream: &Url, routes: &ContractRoutes) {
    let reads = |rules: &Rules| rules.reads_body() || !rules.treat.is_empty();
    let has_rules =
        |route: &&ContractRoute| reads(&route.request) || reads(&route.response) || !route.parameters.is_empty();
    let ruled = routes.as_slice().iter().find(has_rules);
    if let Some(route) = ruled {
        let wrong = format!(
            "cannot be opaque: {} has rules, which nothing could apply to TLS that passes unread",
            route.pattern
        );
        at.fault(wrong, "write intercept, or refuse and call the vendor by path or by HTTP_PROXY");
    }
    if let Some(route) = routes.as_slice().iter().find(|route| route.limits != Limits::default()) {
        let wrong = format!("cannot be opaque: {} has limits, and nothing could tell its calls apart", route.pattern);
        at.fault(wrong, "write them as the contract's own limits");
    }
    if routes.as_slice().first().is_some_and(|route| !route.upstream.group.targets.is_empty()) {
        at.fault("cannot be opaque: the upstream has targets, and a tunnel leads to its url alone", "take targets out");
    }
    if upstream.scheme() != UrlScheme::Https {
        at.fault("cannot be opaque: the upstream is not https, so that it speaks no TLS", "take it out");
    }
    if let Some(other) = reach.hosts.iter().find(|host| host.host != upstream.bare_host()) {
        let wrong = format!("cannot be opaque: {other} is another host than the upstream's, which is what is dialled");
        at.fault(wrong, "give that host a contract of its own");
    }
    if reach.hosts.iter().any(|host| host.address().is_some()) {
        at.fault("cannot be opaque: TLS names no address, so it could not be compared", "write the name of the host");
    }
}

fn host(at: &Cursor<'_>, text: &str) -> Option<Vec<HostPort<'static>>> {
    let read = destinations(text).filter(|read| read.iter().all(|host| host.port != MAIL_PORT));
    if read.is_none() {
        let bare = text.split_once("://").map(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default());
        let guess = bare.filter(|bare| destinations(bare).is_some()).map(str::to_owned);
        let wrong = match () {
            () if text.contains('*') => "must be one host: a wildcard would let out what nobody has looked at",
            () if destinations(text).is_some() => "must not have port 25: mail is no HTTP",
            () if !text.is_ascii() => "must be in ASCII: write an international name as its xn-- form",
            () => "must be a host name or address, with a port where it is neither 80 nor 443",
        };
        at.invalid_with_guess(wrong, guess, "api.acme.example");
    }
    read
}

/// The destinations of a host that is written with or without a port.
fn destinations(text: &str) -> Option<Vec<HostPort<'static>>> {
    let ports = if HostPort::has_port(text) { &DEFAULT_PORTS[..1] } else { &DEFAULT_PORTS[..] };
    ports.iter().map(|port| HostPort::parse(text, *port).map(HostPort::into_owned)).collect()
}

/// The port of mail: a proxy that reaches it sends mail for whoever asks.
const MAIL_PORT: u16 = 25;

/// Reports a host that two contracts list. Of two contracts that list none and have the same upstream's host, neither
/// is called by it, which is warned of: they are told apart by path.
pub(in crate::config) fn check_hosts<'a>(contracts: &[(Cursor<'a>, Contract)]) {
    let mut homes: HashMap<(&HostPort<'_>, bool), &Cursor<'a>> = HashMap::new();
    for (at, contract) in contracts {
        let reach = &contract.reach;
        let mut told = false;
        for host in &reach.hosts {
            let first = *homes.entry((host, reach.is_listed)).or_insert(at);
            if std::ptr::eq(first, at) || std::mem::replace(&mut told, true) {
                continue;
            }
            let there = first.key("egress").file_and_line();
            let place = at.key("egress").key(if reach.is_listed { "hosts" } else { "upstream" });
            if reach.is_listed {
                let wrong = format!("has {host}, which another contract lists too, at {there}");
                place.invalid_with_remedy(wrong, "keep each host in one contract, or give it another port");
            } else if !contracts.iter().any(|(_, other)| other.reach.is_listed && other.reach.has(host)) {
                let wrong =
                    format!("is at {host}, as another contract's is, at {there}: neither is called by this host");
                place.warning(wrong, "write hosts: in the contract that is to have it; both are called by path");
            }
        }
    }
}

/// Reports contracts that intercept without an authority, or with one that may not sign for a host of theirs.
pub(in crate::config) fn check_interception(contracts: &[(Cursor<'_>, Contract)], egress: &EgressSettings) {
    let intercepting = contracts.iter().filter(|(_, contract)| contract.reach.tunnel == TunnelMode::Intercept);
    let authority = egress.interception.as_ref().map(egress_listener::authority);
    for (at, contract) in intercepting {
        let at = at.key("egress").key("tunnel");
        match &authority {
            None => at.fault(
                "needs an authority: the main file has no listeners.egress.interception",
                "write interception: { ca: ca/egress.pem, key: ca/egress.key } there; `vendorgate ca generate` makes them",
            ),
            // What is wrong with the files is reported where they are named.
            Some(None | Some(Err(_))) => {}
            Some(Some(Ok(authority))) => {
                if let Some(host) = contract.reach.hosts.iter().find(|host| !authority.permits(&host.host)) {
                    let wrong = format!("cannot intercept {}: the authority may not sign for it", host.host);
                    at.fault(wrong, format!("make one with `vendorgate ca generate --host {} …`", host.host));
                }
            }
        }
    }
}

/// Reports upstreams that are the gateway's own listeners: their requests would come back.
pub(in crate::config) fn check_own_addresses(
    at: &Cursor<'_>,
    listeners: &ListenersSettings,
    upstreams: Option<&Upstreams>,
    contracts: &[(Cursor<'_>, Contract)],
) {
    let all = [("ingress", &listeners.ingress), ("egress", &listeners.egress), ("admin", &listeners.admin)];
    let bound: Vec<(&str, SocketAddr)> =
        all.into_iter().filter_map(|(name, listener)| Some((name, listener.as_ref()?.bind))).collect();
    let report = |place: Cursor<'_>, base: &Url| {
        let own = bound.iter().find(|(_, bind)| is_bound_to(*bind, base.bare_host(), base.port()));
        if let Some((name, _)) = own {
            let wrong = format!("is the gateway's own address, that of listeners.{name}: requests would come back");
            place.invalid_with_remedy(wrong, "write the address of the API");
        }
    };
    for upstream in upstreams.into_iter().flat_map(Upstreams::values) {
        let at = at.key("upstreams").key(upstream.id.as_str());
        report(at.key("url"), &upstream.base);
        upstream.group.targets.iter().enumerate().for_each(|(i, target)| report(at.key("targets").item(i), target));
    }
    for (at, contract) in contracts {
        if let Some(route) = contract.egress.as_slice().first() {
            let at = at.key("egress").key("upstream");
            report(at.key("url"), &route.upstream.base);
            let targets = route.upstream.group.targets.iter().enumerate();
            targets.for_each(|(i, target)| report(at.key("targets").item(i), target));
        }
    }
}
