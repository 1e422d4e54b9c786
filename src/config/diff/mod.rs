//! What a change of contracts newly lets out: `vendorgate contract diff`.
//!
//! Works on checked contracts, so it sees meaning and not text: the order of routes and the names of captures say
//! nothing, and a broader path is found by what it matches. Every struct is taken apart with all of its fields, so that
//! a new key of a contract does not compile until somebody has decided here whether it can widen.
//!
//! Errs on one side: where two versions cannot be compared, as two issuers, the change is reported. Never compares
//! values of the environment, and never shows a secret: contracts hold none.

mod identity;
mod limits;
mod parameters;
mod paths;
mod routes;
mod rules;
mod treatments;
mod trip;

use std::fmt::Display;

use super::contract::{Contract, ContractRoutes};
use super::reach::TunnelMode;
use crate::credentials::CredentialSettings;
use crate::meter::AfterEnd;
use crate::model::{Direction, ScopeSet};

/// One thing that the new version lets out, or lets a vendor do, and the old one did not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Widening {
    /// The vendor that gains by it.
    pub vendor: String,
    /// The route, with its direction; empty for what is of the whole contract.
    pub route: String,
    /// The key of the contract.
    pub key: String,
    /// What the old version says; empty where it says nothing.
    pub was: String,
    /// What the new version says; empty where it says nothing.
    pub now: String,
}

/// What the contracts `new` let out that the contracts `old` do not, sorted. The order of the contracts says nothing.
pub fn widenings(old: &[Contract], new: &[Contract]) -> Vec<Widening> {
    let mut found = Vec::new();
    for new in new {
        let old = old.iter().find(|old| old.vendor == new.vendor);
        let mut report = WideningReport { vendor: new.vendor.as_str(), route: String::new(), found: &mut found };
        contract(&mut report, old, new);
    }
    found.sort();
    found.dedup();
    found
}

/// Collects what widens, for one vendor and route.
struct WideningReport<'a> {
    vendor: &'a str,
    route: String,
    found: &'a mut Vec<Widening>,
}

impl WideningReport<'_> {
    fn add(&mut self, key: impl Into<String>, was: impl Display, now: impl Display) {
        self.found.push(Widening {
            vendor: self.vendor.to_owned(),
            route: self.route.clone(),
            key: key.into(),
            was: was.to_string(),
            now: now.to_string(),
        });
    }

    /// Reports a part that may have become another in any way.
    fn changed<T: PartialEq>(&mut self, key: &str, was: &T, now: &T, show: impl Fn(&T) -> String) {
        if was != now {
            self.add(key, show(was), show(now));
        }
    }

    /// The same report, for the parts of a route.
    fn of_route(&mut self, route: String) -> WideningReport<'_> {
        WideningReport { vendor: self.vendor, route, found: self.found }
    }
}

fn contract(report: &mut WideningReport<'_>, old: Option<&Contract>, new: &Contract) {
    // Nothing passes under a draft, so it lets nothing out, and whatever follows it is new.
    if new.is_draft {
        return;
    }
    let Some(old) = old.filter(|old| !old.is_draft) else {
        report.add("vendor", "", &new.name);
        for direction in Direction::ALL {
            routes::compare(report, direction, &ContractRoutes::default(), new.routes(direction));
        }
        return;
    };
    let Contract {
        vendor: _,
        name: _,
        owner: _,
        security_contact: _,
        journey: _,
        region,
        purpose,
        is_draft: _,
        observe,
        starts,
        ends,
        after_end,
        warn_before: _,
        identity,
        scopes,
        limits,
        trip,
        drill_every: _,
        approvals,
        ingress,
        egress,
        reach,
        credentials,
        callers,
    } = new;
    report.changed("region", &old.region, region, Clone::clone);
    for purpose in purpose.iter().filter(|purpose| !old.purpose.contains(purpose)) {
        report.add("purpose", "", purpose);
    }
    if let Some(observe) = observe {
        match &old.observe {
            None => report.add("mode", "enforce", "observe"),
            Some(before) if before.until < observe.until => report.add("observe_until", before.until, observe.until),
            Some(_) => {}
        }
        let upstreams =
            |observe: &super::ObserveSettings| observe.undeclared.clone().map(|it| it.map(|it| it.id.clone()));
        let before = old.observe.as_ref().map(upstreams).unwrap_or_default();
        if old.observe.is_some() && upstreams(observe) != before && upstreams(observe).iter().any(Option::is_some) {
            report.add("observe_upstream", "", "calls that no route covers go elsewhere");
        }
    }
    if *starts < old.starts {
        report.add("starts", old.starts, starts);
    }
    if *ends > old.ends {
        report.add("ends", old.ends, ends);
    }
    if grace(*after_end) > grace(old.after_end) {
        report.add("after_end", grace_text(old.after_end), grace_text(*after_end));
    }
    identity::compare(report, old.identity.as_ref(), identity.as_ref());
    compare_scopes(report, &old.scopes, scopes);
    limits::of_vendor(report, &old.limits, limits);
    trip::compare(report, old.trip, *trip);
    if *approvals < old.approvals {
        report.add("restore.approvals", old.approvals, approvals);
    }
    if let Some(listed) = &old.callers {
        match callers {
            None => report.add("egress.callers", "listed services alone", "every service"),
            Some(callers) => {
                let added = callers.iter().filter(|caller| !listed.contains(caller));
                added.for_each(|caller| report.add("egress.callers", "", caller.as_str()));
            }
        }
    }
    // Whoever may call the vendor through the gateway acts by it, without having it.
    if let Some(own) = credentials.as_ref().filter(|own| old.credentials.as_ref() != Some(*own)) {
        let before = old.credentials.as_ref().map(CredentialSettings::describe);
        report.add("egress.credentials", before.unwrap_or_default(), own.describe());
    }
    if reach.tunnel == TunnelMode::Opaque && old.reach.tunnel != TunnelMode::Opaque {
        report.add("egress.tunnel", "", "opaque: TLS that nothing reads");
    }
    for host in reach.hosts.iter().filter(|host| !old.reach.has(host)) {
        report.add("egress.hosts", "", host);
    }
    routes::compare(report, Direction::Ingress, &old.ingress, ingress);
    routes::compare(report, Direction::Egress, &old.egress, egress);
}

fn compare_scopes(report: &mut WideningReport<'_>, old: &ScopeSet, new: &ScopeSet) {
    for scope in new.iter().filter(|scope| !old.contains(scope)) {
        report.add("scopes", "", scope);
    }
}

/// How long reading goes on after the last day.
const fn grace(after_end: AfterEnd) -> std::time::Duration {
    match after_end {
        AfterEnd::Block => std::time::Duration::ZERO,
        AfterEnd::ReadOnly { grace } => grace,
    }
}

fn grace_text(after_end: AfterEnd) -> String {
    match after_end {
        AfterEnd::Block => "block".to_owned(),
        AfterEnd::ReadOnly { grace } => format!("read_only for {}", super::units::format_duration(grace)),
    }
}

#[cfg(test)]
mod tests;
