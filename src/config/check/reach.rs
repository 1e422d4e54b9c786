//! Checks `egress.hosts` of a contract, and that no host is in two contracts and no upstream is the gateway itself.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::upstreams::Upstreams;
use crate::bounds::EGRESS_HOSTS_MAX;
use crate::config::contract::Contract;
use crate::config::file::route::EgressConfig;
use crate::config::reach::{DEFAULT_PORTS, ReachSettings, is_bound_to};
use crate::config::settings::ListenersSettings;
use crate::config::source::Cursor;
use crate::http::{HostPort, Url};

/// What is written under `egress:` about how our services reach the vendor; by default its upstream's own host.
pub(super) fn reach(at: &Cursor<'_>, written: &EgressConfig, upstream: &Url) -> ReachSettings {
    let Some(texts) = &written.hosts else {
        let hosts = destinations(&upstream.authority()).into_iter().flatten().collect();
        return ReachSettings { hosts, is_listed: false };
    };
    let at = at.key("hosts");
    if texts.is_empty() {
        at.fault("lists no host", "write the names by which our services call the vendor, or take it out");
    }
    if texts.len() > EGRESS_HOSTS_MAX {
        at.fault(format!("has more than {EGRESS_HOSTS_MAX} hosts"), "list the hosts that our services call");
    }
    let read = |(i, text): (usize, &String)| host(&at.item(i), text);
    let hosts = texts.iter().enumerate().filter_map(read).flatten().collect();
    ReachSettings { hosts, is_listed: true }
}

fn host(at: &Cursor<'_>, text: &str) -> Option<Vec<HostPort<'static>>> {
    let read = destinations(text);
    if read.is_none() {
        let bare = text.split_once("://").map(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default());
        let guess = bare.filter(|bare| destinations(bare).is_some()).map(str::to_owned);
        let wrong = match () {
            () if text.contains('*') => "must be one host: a wildcard would let out what nobody has looked at",
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
        report(at.key("upstreams").key(upstream.id.as_str()).key("url"), &upstream.base);
    }
    for (at, contract) in contracts {
        if let Some(route) = contract.egress.as_slice().first() {
            report(at.key("egress").key("upstream").key("url"), &route.upstream.base);
        }
    }
}
