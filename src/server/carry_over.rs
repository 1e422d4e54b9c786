//! What each contract matched when it was last in force, so that an order binds to what is matched and not to its name.
//!
//! A kill of a vendor holds for every caller that proves itself as that vendor did, and a kill of a route for the
//! requests that it matched. Where a new config gives these to another vendor or to another route, the kill is put in
//! force there too, and reported. The config is not refused for it: it may carry other changes that an incident needs,
//! and at a start there is no older config to go on with. What is compared is stored, so a restart sees what a reload
//! sees.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::config::{Contract, GatewaySettings};
use crate::identity::IdentitySettings;
use crate::kill::{Evidence, Kill, KillOrder, KillOrigin, KillSelector, KillSwitch, KillTarget, RouteTag};
use crate::model::{Direction, Moment, VendorId};
use crate::route::RoutePattern;
use crate::store::{Store, StoreError, StoreRow, StoreTable, WriteBatch};

/// What a contract matched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ContractMatch {
    /// How the vendor proves itself, one text for each client, certificate, secret and API of its own.
    #[serde(default)]
    proofs: BTreeSet<String>,
    #[serde(default)]
    ingress: BTreeSet<String>,
    #[serde(default)]
    egress: BTreeSet<String>,
    /// How many must agree to a restore: the most that any contract asked for while a kill was in force.
    #[serde(default)]
    approvals: u32,
}

impl StoreRow for ContractMatch {
    const TABLE: StoreTable = StoreTable::Contracts;
}

/// How many must agree to a restore of the vendor, as far as it is stored.
pub(super) fn approvals(store: &Store, vendor: &VendorId) -> Option<NonZeroU32> {
    ContractMatch::read(store, vendor).and_then(|row| NonZeroU32::new(row.approvals))
}

impl ContractMatch {
    /// What is stored of a vendor; `None` where it cannot be read, since it is only ever added to an order.
    pub(super) fn read(store: &Store, vendor: &VendorId) -> Option<Self> {
        store.get(vendor.as_str().as_bytes()).ok().flatten()
    }

    /// The routes of a direction.
    pub(super) const fn routes(&self, direction: Direction) -> &BTreeSet<String> {
        match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        }
    }

    /// Whether a client of this name was the vendor's.
    pub(super) fn has_client(&self, client: &str) -> bool {
        self.proofs.iter().any(|proof| proof.rsplit('\n').next() == Some(client) && !proof.starts_with("api\n"))
    }

    fn of(contract: &Contract) -> Self {
        let routes = |direction| {
            let all = contract.routes(direction).as_slice().iter();
            all.map(|route| route.pattern.as_str().to_owned()).collect::<BTreeSet<_>>()
        };
        let mut proofs: BTreeSet<String> = match &contract.identity {
            Some(IdentitySettings::Token(settings)) => {
                let of = |client: &crate::model::ClientId| {
                    format!(
                        "token\n{}\n{}\n{}",
                        settings.issuer,
                        settings.audience.as_deref().unwrap_or_default(),
                        client.as_str()
                    )
                };
                settings.clients.iter().map(of).collect()
            }
            Some(IdentitySettings::Certificate(settings)) => {
                [format!("certificate\n{}", settings.subject_alt_name.as_str())].into()
            }
            Some(IdentitySettings::Webhook(settings)) => {
                settings.secret_files.iter().map(|file| format!("webhook\n{}", file.display())).collect()
            }
            None => BTreeSet::new(),
        };
        let apis = contract.routes(Direction::Egress).as_slice().iter();
        proofs.extend(apis.map(|route| format!("api\n{}", route.upstream.base)));
        let (ingress, egress) = (routes(Direction::Ingress), routes(Direction::Egress));
        Self { proofs, ingress, egress, approvals: contract.approvals.get() }
    }
}

/// Stores what a config matches in the place of what was matched before. Kills that would lose their traffic to another
/// vendor or route are put in force there too; returns these in words. Call it before the config is in force. May
/// block.
///
/// # Errors
/// [`StoreError`] when what is remembered cannot be read.
pub(super) fn carry_over(
    config: &GatewaySettings,
    store: &Store,
    switch: &KillSwitch,
    now: Moment,
) -> Result<Vec<String>, StoreError> {
    let rows = store.range::<ContractMatch>(b"", None, usize::MAX)?;
    let before: BTreeMap<String, ContractMatch> =
        rows.into_iter().map(|(key, row)| (String::from_utf8_lossy(&key).into_owned(), row)).collect();
    let (mut told, mut batch) = (Vec::new(), WriteBatch::new());
    for contract in &config.contracts {
        let (id, mut after) = (contract.vendor.as_str(), ContractMatch::of(contract));
        let old = before.get(id);
        let mut over = KillTransfer { switch, to: contract, now, reported: &mut told };
        for (from, theirs) in before.iter().filter(|(from, _)| *from != id) {
            let is_gone = VendorId::parse(from).is_ok_and(|from| config.contract(&from).is_none());
            if after.takes_from(theirs, old, is_gone) {
                over.vendor(from);
            }
        }
        if let Some(old) = old {
            over.routes(old, &after);
            if !switch.active_kills(&KillTarget::Vendor(contract.vendor.clone())).is_empty() {
                after.approvals = after.approvals.max(old.approvals);
            }
        }
        if old != Some(&after) && batch.put(id.as_bytes(), &after).is_err() {
            tracing::error!(vendor = id, "what the contract matches cannot be written");
        }
    }
    if !batch.is_empty() {
        // This write comes after the kills' in the one writer's queue, so a crash between the two repeats the
        // carry-over.
        drop(store.write(batch));
    }
    Ok(told)
}

impl ContractMatch {
    /// Whether a vendor proves itself now as another one did. An API of a vendor may be shared: it counts where the
    /// other one is gone and this one is new.
    fn takes_from(&self, theirs: &Self, old: Option<&Self>, is_gone: bool) -> bool {
        let is_new = |proof: &&String| old.is_none_or(|old| !old.proofs.contains(*proof));
        let counts = |proof: &&String| !proof.starts_with("api\n") || (is_gone && old.is_none());
        self.proofs.iter().filter(is_new).filter(counts).any(|proof| theirs.proofs.contains(proof))
    }
}

/// Carries kills over to one contract.
struct KillTransfer<'a> {
    switch: &'a KillSwitch,
    to: &'a Contract,
    now: Moment,
    reported: &'a mut Vec<String>,
}

impl KillTransfer<'_> {
    /// Carries over the kills of a vendor by another name that are of that vendor alone.
    fn vendor(&mut self, from: &str) {
        let Ok(id) = VendorId::parse(from) else { return };
        for kill in self.switch.active_kills(&KillTarget::Vendor(id)).iter().filter(|kill| !kill.everything) {
            self.stand(kill, kill.selector.clone(), &format!("it proves itself as {from} did, which is cut off"));
        }
    }

    /// Carries over kills of routes to other routes of the same contract that match what these did.
    fn routes(&mut self, old: &ContractMatch, after: &ContractMatch) {
        let standing = self.switch.active_kills(&KillTarget::Vendor(self.to.vendor.clone()));
        for kill in standing.iter().filter(|kill| kill.origin != KillOrigin::Drill) {
            let Some(killed) = kill.selector.route.as_deref().and_then(|text| RoutePattern::parse(text).ok()) else {
                continue;
            };
            for direction in
                Direction::ALL.into_iter().filter(|of| kill.selector.direction.is_none_or(|only| only == *of))
            {
                let (was, is) = (has(old.routes(direction), &killed), has(after.routes(direction), &killed));
                for route in self.to.routes(direction).as_slice() {
                    let line = &route.pattern;
                    let is_same = RouteTag::of(line.as_str()) == RouteTag::of(killed.as_str());
                    let is_new = !has(old.routes(direction), line);
                    // A new route takes what it matches better. A route that is gone leaves its requests to the next
                    // that matches.
                    let takes = (is_new && !(is && killed.is_within(line))) || (was && !is);
                    if !is_same && takes && line.overlaps(&killed) {
                        let selector = KillSelector { route: Some(line.as_str().into()), ..kill.selector.clone() };
                        self.stand(
                            kill,
                            selector,
                            &format!("it matches what {} did, which is cut off", killed.as_str()),
                        );
                    }
                }
            }
        }
    }

    fn stand(&mut self, kill: &Kill, selector: KillSelector, why: &str) {
        let target = KillTarget::Vendor(self.to.vendor.clone());
        if self.switch.covers(&target, &selector) {
            return;
        }
        let what = selector.route.as_deref().map_or(String::new(), |route| format!(" {route}"));
        let said = format!("{}{what}: {why}", self.to.vendor);
        tracing::warn!(vendor = %self.to.vendor, generation = kill.generation, "cut off too: {said}");
        self.switch.gate(&self.to.vendor);
        let detail = format!("{said}; order {} of {}", kill.generation, kill.by);
        let evidence = Some(Evidence { at: self.now.wall, kind: "taken_over".to_owned(), detail });
        let reason = format!("{} ({why})", kill.reason);
        let order = KillOrder::new(target, KillOrigin::Operator, &kill.by, &reason, self.now);
        let order = KillOrder { selector, evidence, ..order };
        // Nothing that it covers is in flight yet, and a failed write is retried.
        drop(self.switch.kill(order));
        self.reported.push(said);
    }
}

fn has(routes: &BTreeSet<String>, wanted: &RoutePattern) -> bool {
    let tag = RouteTag::of(wanted.as_str());
    routes.iter().any(|route| RouteTag::of(route) == tag)
}
