//! Every vendor's state, put together from its contract, the kill switch, the metrics, the limits and identity.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::unseen::is_matched;
use super::{GatewayControl, credentials, upstreams};
use crate::admin::{
    FileFault, IssuerStatus, JourneyReport, LastDenial, Readiness, ReadinessCheck, StatusControl, Traffic,
    UnexpectedShape, UnmatchedRule, VendorLimit, VendorStatus,
};
use crate::config::Contract;
use crate::gateway::{RuleNeverMatched, VendorRuntime};
use crate::identity::{Directory, FileStatus, IntrospectionOutcome, RefreshOutcome};
use crate::kill::{KillState, KillStatus, VendorKillStatus, VendorState};
use crate::meter::ContractState;
use crate::model::{Direction, Moment, UnixTime, VendorId};

/// For anyone who can reach the probe: nothing of a file.
const STALE_CONFIG: &str =
    "the files have faults, and what was loaded before stays in force; `vendorgate check` lists them";

impl StatusControl for GatewayControl {
    fn vendors(&self) -> Vec<VendorStatus> {
        let standing = self.gateway.switch.status();
        let snapshot = self.gateway.snapshot.load();
        let of = |(vendor, index): (&Arc<VendorRuntime>, u32)| {
            // Sorted by id: among thousands of vendors a search of the whole list for each would show.
            let place = standing.binary_search_by(|status| status.vendor.as_str().cmp(vendor.id().as_str()));
            let found = place.ok().and_then(|place| standing.get(place));
            self.whole_status(snapshot.directory(), vendor, index, found)
        };
        let mut all: Vec<_> = snapshot.vendors().iter().zip(0..).map(of).collect();
        let is_removed =
            |status: &&VendorKillStatus| !status.kills.is_empty() && snapshot.vendor(&status.vendor).is_none();
        all.extend(standing.iter().filter(is_removed).map(|status| self.status_of_removed(status)));
        all.sort_unstable_by(|a, b| a.vendor.cmp(&b.vendor));
        all
    }

    fn vendor(&self, vendor: &VendorId) -> Option<VendorStatus> {
        let standing = self.gateway.switch.vendor_status(vendor);
        let snapshot = self.gateway.snapshot.load();
        match snapshot.vendors().iter().zip(0..).find(|(known, _)| known.id() == vendor) {
            Some((known, index)) => Some(self.whole_status(snapshot.directory(), known, index, standing.as_ref())),
            None => standing.filter(|it| !it.kills.is_empty()).map(|it| self.status_of_removed(&it)),
        }
    }

    fn journey(&self) -> JourneyReport {
        let (standing, now) = (self.gateway.switch.status(), self.now());
        let snapshot = self.gateway.snapshot.load();
        upstreams::journey(snapshot.vendors().iter().map(|vendor| {
            let found = standing.iter().find(|status| status.vendor == vendor.id().as_str());
            let is_killed = found.is_some_and(|status| status.state != KillState::Live);
            (&**vendor, upstreams::degraded_by(vendor, is_killed, now))
        }))
    }

    fn config_fault(&self) -> Option<String> {
        Self::config_fault(self)
    }

    fn readiness(&self) -> Readiness {
        let check = |name: &str, well: bool, detail: &str| ReadinessCheck {
            name: name.to_owned(),
            well,
            needed: true,
            detail: if well { String::new() } else { detail.to_owned() },
        };
        let draining = self.draining.load(Ordering::Acquire);
        let undecided = self.gateway.switch.is_undecided();
        let is_loaded = self.config_fault().is_none();
        let mut checks = vec![
            // A fault leaves in force what serves on.
            ReadinessCheck { needed: is_loaded, ..check("config", is_loaded, STALE_CONFIG) },
            check("serving", !draining, "draining"),
            check("state", !undecided, "state could not be read: every vendor is killed until a person restores it"),
        ];
        let snapshot = self.gateway.snapshot.load();
        let observing = snapshot.vendors().iter().filter(|vendor| vendor.observes());
        checks.extend(observing.map(|vendor| ReadinessCheck {
            name: format!("observe/{}", vendor.id()),
            well: false,
            needed: false,
            detail: "its contract only observes: nothing is refused or treated, raw data passes".to_owned(),
        }));
        checks.extend(snapshot.vendors().iter().filter_map(|vendor| file_check(snapshot.directory(), vendor)));
        checks.extend(snapshot.issuers().map(|(vendor, keys)| ReadinessCheck {
            name: format!("keys/{vendor}"),
            well: keys > 0,
            // One issuer's outage is one vendor's matter.
            needed: false,
            detail: if keys > 0 { String::new() } else { "no usable signing key is held".to_owned() },
        }));
        Readiness { checks }
    }
}

impl GatewayControl {
    /// The status of the vendor at this place of the config.
    fn whole_status(
        &self,
        directory: &Directory,
        vendor: &VendorRuntime,
        index: u32,
        standing: Option<&VendorKillStatus>,
    ) -> VendorStatus {
        let issuer = issuer(directory, index);
        let files = file_faults(directory, vendor);
        let credential = credentials::answer(vendor, self.now().wall);
        VendorStatus { issuer, files, credential, ..self.status_of(vendor, standing) }
    }

    fn status_of(&self, vendor: &VendorRuntime, standing: Option<&VendorKillStatus>) -> VendorStatus {
        let contract = &vendor.contract;
        let now = self.now().wall;
        let (kills, state) = standing.map_or((&[][..], KillState::Live), |status| (&status.kills, status.state));
        let last_drill = standing.and_then(|status| status.last_drill.as_ref()).map(|drill| drill.at);
        VendorStatus {
            vendor: contract.vendor.to_string(),
            name: contract.name.clone(),
            owner: Some(contract.owner.clone()),
            security_contact: Some(contract.security_contact.clone()),
            state: vendor_state(contract, state, now),
            kills: kills.iter().map(|kill| KillStatus::of(kill, !is_matched(contract, kill))).collect(),
            approvals: standing.into_iter().flat_map(|status| &status.approvals).map(Into::into).collect(),
            scheduled: self.scheduled_for(contract.vendor.as_str()),
            persisted: standing.is_none_or(|status| status.persisted),
            starts: Some(contract.starts),
            ends: Some(contract.ends),
            days_left: Some(days_between(now, contract.ends)),
            observes_until: contract.observes(now).map(|observe| observe.until),
            traffic: Direction::ALL.map(|direction| Traffic::of(direction, vendor.metrics.traffic(direction))).into(),
            last_denial: last_denial(vendor),
            last_drill,
            drill_overdue: drill_overdue(contract, last_drill, now),
            token_age_secs: vendor.metrics.newest_token().map(|issued| now.since(issued).as_secs()),
            key_age_secs: vendor.metrics.oldest_key().map(|seen| now.since(seen).as_secs()),
            limits: limits(vendor, self.now()),
            unmatched_rules: unmatched_rules(vendor),
            unexpected_shapes: unexpected_shapes(vendor),
            upstreams: upstreams::statuses(vendor, self.now()),
            degraded: match contract.journey.is_empty() {
                true => Vec::new(),
                false => upstreams::degraded_by(vendor, state != KillState::Live, self.now()),
            },
            journey: contract.journey.clone(),
            anomalies: self.anomalies.scores(&contract.vendor, now),
            ..VendorStatus::default()
        }
    }

    /// The status of a vendor that is killed and has no contract any more.
    pub(super) fn status_of_removed(&self, standing: &VendorKillStatus) -> VendorStatus {
        VendorStatus {
            vendor: standing.vendor.clone(),
            name: format!("{} (no contract)", standing.vendor),
            state: standing.state.into(),
            kills: standing.kills.iter().map(|kill| KillStatus::of(kill, true)).collect(),
            approvals: standing.approvals.iter().map(Into::into).collect(),
            scheduled: self.scheduled_for(&standing.vendor),
            persisted: standing.persisted,
            last_drill: standing.last_drill.as_ref().map(|drill| drill.at),
            ..VendorStatus::default()
        }
    }
}

/// How asking the issuer of the vendor at this place goes, where it has one.
fn issuer(directory: &Directory, index: u32) -> Option<IssuerStatus> {
    if let Some(asked) = directory.introspection_status(index) {
        let names = IntrospectionOutcome::ALL.map(|outcome| outcome.as_str().to_owned());
        let outcomes = names.into_iter().zip(asked.outcomes).collect();
        return Some(IssuerStatus { last_error: asked.last_error, outcomes, ..IssuerStatus::default() });
    }
    let keys = directory.key_status(index)?;
    let names = RefreshOutcome::ALL.map(|outcome| outcome.as_str().to_owned());
    Some(IssuerStatus {
        keys: Some(keys.keys),
        unfit_keys: Some(keys.unfit),
        confirmed_at: keys.confirmed_at,
        last_error: keys.last_error,
        outcomes: names.into_iter().zip(keys.outcomes).collect(),
    })
}

/// The files of a vendor that cannot be used as they are.
fn file_faults(directory: &Directory, vendor: &VendorRuntime) -> Vec<FileFault> {
    let fault = |one: FileStatus| Some(FileFault { file: one.file.as_str().to_owned(), error: one.error? });
    credentials::files(directory, vendor).into_iter().filter_map(fault).collect()
}

/// Whether the files of a vendor that has any can be used; where they lie is not for everyone.
fn file_check(directory: &Directory, vendor: &VendorRuntime) -> Option<ReadinessCheck> {
    let files = credentials::files(directory, vendor);
    let bad: Vec<_> = files.iter().filter(|one| one.error.is_some()).map(|one| one.file.as_str()).collect();
    (!files.is_empty()).then(|| ReadinessCheck {
        name: format!("files/{}", vendor.id()),
        well: bad.is_empty(),
        // What was read before stays in force, and one vendor's files are one vendor's matter.
        needed: false,
        detail: if bad.is_empty() { String::new() } else { format!("cannot be used as they are: {}", bad.join(", ")) },
    })
}

/// A vendor's state: what is killed comes before what its contract says.
pub(super) fn vendor_state(contract: &Contract, state: KillState, now: UnixTime) -> VendorState {
    match (state, contract.calendar().state(now)) {
        (KillState::PartlyKilled | KillState::Killed, _) => state.into(),
        (KillState::Live, ContractState::NotStarted) => VendorState::NotStarted,
        (KillState::Live, ContractState::ReadOnly) => VendorState::ReadOnly,
        (KillState::Live, ContractState::Ended) => VendorState::Ended,
        (KillState::Live, ContractState::InForce { .. } | ContractState::Ending { .. }) => VendorState::Live,
    }
}

/// The later of both directions' last denials.
fn last_denial(vendor: &VendorRuntime) -> Option<LastDenial> {
    let of = |direction| {
        let (reason, at) = vendor.metrics.traffic(direction).last_denial()?;
        Some(LastDenial { reason: reason.as_str().to_owned(), at, direction })
    };
    Direction::ALL.into_iter().filter_map(of).max_by_key(|denial| denial.at)
}

/// The limits in force of each direction that has routes; of a shared budget once.
fn limits(vendor: &VendorRuntime, now: Moment) -> Vec<VendorLimit> {
    let (contract, shared) = (&vendor.contract, vendor.ledgers.is_shared());
    let used = Direction::ALL.into_iter().filter(|direction| !contract.routes(*direction).is_empty());
    let of = |direction: Direction| {
        let left = vendor.ledgers.of(direction).remaining(now);
        let remaining = move |limit: &str| match limit {
            "requests" => Some(left.requests),
            "concurrency" => Some(left.concurrency),
            "records" => Some(left.records),
            "bytes" => Some(left.bytes),
            "subjects" => left.subjects,
            _ => None,
        };
        contract.limits_in_force(direction).into_iter().map(move |it| VendorLimit {
            direction: (!shared).then_some(direction),
            limit: it.limit.to_owned(),
            value: it.value,
            source: it.source.as_str().to_owned(),
            remaining: remaining(it.limit),
        })
    };
    used.take(if shared { 1 } else { Direction::ALL.len() }).flat_map(of).collect()
}

/// Whether a vendor's next drill is overdue, where its contract asks for any: longer ago than that is the last drill,
/// or the contract's start where there was none.
pub(in crate::server) fn drill_overdue(contract: &Contract, last: Option<UnixTime>, now: UnixTime) -> Option<bool> {
    contract.drill_every.map(|every| is_overdue(every, last.unwrap_or(contract.starts), now))
}

fn is_overdue(every: Duration, last: UnixTime, now: UnixTime) -> bool {
    now.since(last) > every
}

/// The rules of a vendor that have matched nothing.
fn unmatched_rules(vendor: &VendorRuntime) -> Vec<UnmatchedRule> {
    let rule = |never: RuleNeverMatched<'_>| UnmatchedRule {
        direction: never.direction,
        route: never.route.name.to_string(),
        side: never.side.to_owned(),
        rule: never.rule.location.to_string(),
        treatment: never.rule.treatment.as_str().to_owned(),
        requests: never.requests(),
    };
    vendor.unmatched_rules().map(rule).collect()
}

/// The routes of a vendor whose bodies were not always of the shape that their records describe.
fn unexpected_shapes(vendor: &VendorRuntime) -> Vec<UnexpectedShape> {
    let told = vendor.unexpected_shapes();
    told.map(|(direction, route, bodies)| UnexpectedShape { direction, route: route.name.to_string(), bodies })
        .collect()
}

/// Whole days from one time to another, rounded up; negative when it is past.
fn days_between(now: UnixTime, then: UnixTime) -> i64 {
    const DAY_MS: i64 = 24 * 3600 * 1000;
    let millis = |time: UnixTime| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    (millis(then) - millis(now)).div_euclid(DAY_MS) + i64::from((millis(then) - millis(now)).rem_euclid(DAY_MS) > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drill_is_overdue_once_the_last_one_is_longer_ago_than_the_contract_asks_for() {
        let (day, last) = (Duration::from_secs(86_400), UnixTime::from_secs(1_000));
        assert!(!is_overdue(day, last, last.plus(day)));
        assert!(is_overdue(day, last, last.plus(day * 2)));
    }

    #[test]
    fn days_are_counted_up_before_a_time_and_down_after_it() {
        let (day, then) = (86_400, UnixTime::from_secs(864_000));
        let left = |secs| days_between(UnixTime::from_secs(secs), then);
        assert_eq!([left(864_000 - day), left(864_000 - 1), left(864_000), left(864_000 + day)], [1, 1, 0, -1]);
    }
}
