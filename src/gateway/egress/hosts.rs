//! The vendors by the hosts that our services call them by.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::config::Contract;
use crate::http::HostPort;
use crate::kill::RouteTag;

/// The index of each vendor by its hosts. A host is one vendor's, or, where two contracts only have it by default,
/// nobody's.
#[derive(Debug, Default)]
pub(in crate::gateway) struct HostIndex {
    by_host: HashMap<Box<str>, Vec<HostEntry>>,
    /// The hosts as the routes of what no contract lists are named.
    tags: HashSet<RouteTag>,
}

#[derive(Debug)]
struct HostEntry {
    port: u16,
    /// The vendor; `None` where it would be a guess.
    vendor: Option<u32>,
    is_listed: bool,
}

impl HostIndex {
    /// The index of these contracts, by their place in the list.
    pub(in crate::gateway) fn new(contracts: &[Arc<Contract>]) -> Self {
        let mut index = Self::default();
        for (contract, place) in contracts.iter().zip(0..) {
            for host in &contract.reach.hosts {
                index.insert(host, place, contract.reach.is_listed);
            }
        }
        index.tags = index.by_host.keys().map(|host| RouteTag::of(host)).collect();
        index
    }

    fn insert(&mut self, host: &HostPort<'_>, vendor: u32, is_listed: bool) {
        let entries = self.by_host.entry(host.host.as_ref().into()).or_default();
        match entries.iter_mut().find(|entry| entry.port == host.port) {
            None => entries.push(HostEntry { port: host.port, vendor: Some(vendor), is_listed }),
            Some(entry) if is_listed == entry.is_listed && entry.vendor != Some(vendor) => entry.vendor = None,
            Some(entry) if is_listed && !entry.is_listed => (entry.vendor, entry.is_listed) = (Some(vendor), true),
            Some(_) => {}
        }
    }

    /// Whether a contract has this host, at whatever port.
    pub(in crate::gateway) fn has_host(&self, host: &str) -> bool {
        self.by_host.contains_key(host)
    }

    /// The same for a host that is known as the name of a route.
    pub(in crate::gateway) fn has_route(&self, host: RouteTag) -> bool {
        self.tags.contains(&host)
    }

    /// The vendor that a destination is.
    pub(in crate::gateway) fn find(&self, destination: &HostPort<'_>) -> Option<u32> {
        let entries = self.by_host.get(&*destination.host)?;
        entries.iter().find(|entry| entry.port == destination.port)?.vendor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_is_listed_wins_over_a_default_and_two_defaults_are_nobodys() {
        let at = |text: &'static str| HostPort::parse(text, 80).expect("a host");
        let mut index = HostIndex::default();
        index.insert(&at("a:80"), 0, false);
        index.insert(&at("a:443"), 0, false);
        index.insert(&at("a:443"), 1, true);
        index.insert(&at("a:443"), 2, false);
        index.insert(&at("b"), 0, false);
        index.insert(&at("b"), 1, false);
        index.insert(&at("b"), 2, false);
        index.insert(&at("c"), 0, true);
        index.insert(&at("c"), 0, true);
        for (host, vendor) in [("A.:80", Some(0)), ("a:443", Some(1)), ("a:444", None), ("b", None), ("c", Some(0))] {
            assert_eq!(index.find(&at(host)), vendor, "{host}");
        }
    }
}
