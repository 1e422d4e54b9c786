//! The rooms' words in those of the admin listener.

use std::time::Duration;

use crate::admin::{
    ApprovalAnswer, ApprovalsAnswer, ControlError, DrillReport, FileFault, FleetAnswer, IssuerStatus, KillPreview,
    KillReport, KillStatus, LastDenial, OperatorOrder, PartAnswer, ReadinessCheck, RestoreReport, UnexpectedShape,
    UnmatchedRule, VendorLimit, VendorState,
};
use crate::config::Contract;
use crate::gateway::{RuleNeverMatched, VendorRuntime};
use crate::identity::{Directory, FileStatus, IntrospectionOutcome, RefreshOutcome};
use crate::kill::{self, Kill, KillError, KillSelector, KillState};
use crate::meter::ContractState;
use crate::model::{ClientId, Direction, Moment, UnixTime, VendorId};

pub(super) fn killed(answer: kill::KillAnswer) -> KillReport {
    KillReport {
        vendor: answer.vendor,
        state: state_of(answer.state),
        generation: answer.generation,
        severed: answer.severed,
        sever_micros: answer.sever_micros,
        persisted: answer.persisted,
        fleet: fleet(answer.fleet),
        scope: part(&answer.reach),
        unseen: Vec::new(),
        lingering: answer.lingering,
    }
}

/// How asking the issuer of the vendor at this place goes, where it has one.
pub(super) fn issuer(directory: &Directory, index: u32) -> Option<IssuerStatus> {
    if let Some(asked) = directory.introspection_status(index) {
        let names = IntrospectionOutcome::ALL.map(|outcome| outcome.as_str().to_owned());
        let outcomes = names.into_iter().zip(asked.outcomes).collect();
        return Some(IssuerStatus {
            keys: None,
            unfit_keys: None,
            confirmed_at: None,
            last_error: asked.last_error,
            outcomes,
        });
    }
    let keys = directory.key_status(index)?;
    let names = RefreshOutcome::ALL.map(|outcome| outcome.as_str().to_owned());
    Some(IssuerStatus {
        keys: Some(keys.keys),
        unfit_keys: Some(keys.unfit),
        confirmed_at: keys.confirmed_at.map(Into::into),
        last_error: keys.last_error,
        outcomes: names.into_iter().zip(keys.outcomes).collect(),
    })
}

/// The files of a vendor that cannot be used as they are.
pub(super) fn file_faults(directory: &Directory, vendor: &VendorId) -> Vec<FileFault> {
    let fault = |one: FileStatus| Some(FileFault { file: one.file.as_str().to_owned(), error: one.error? });
    directory.files(vendor).into_iter().filter_map(fault).collect()
}

/// Whether the files of a vendor that has any can be used; where they lie is not for everyone.
pub(super) fn file_check(directory: &Directory, vendor: &VendorId) -> Option<ReadinessCheck> {
    let files = directory.files(vendor);
    let bad: Vec<_> = files.iter().filter(|one| one.error.is_some()).map(|one| one.file.as_str()).collect();
    (!files.is_empty()).then(|| ReadinessCheck {
        name: format!("files/{vendor}"),
        well: bad.is_empty(),
        // What was read before stays in force, and one vendor's files are one vendor's matter.
        needed: false,
        detail: if bad.is_empty() { String::new() } else { format!("cannot be used as they are: {}", bad.join(", ")) },
    })
}

pub(super) fn previewed(preview: kill::PreviewAnswer) -> KillPreview {
    KillPreview {
        vendor: preview.vendor,
        state: state_of(preview.state),
        dry_run: true,
        ingress: preview.ingress as u64,
        egress: preview.egress as u64,
        unseen: Vec::new(),
        scope: part(&preview.reach),
    }
}

pub(super) fn restored(restored: kill::RestoreAnswer) -> RestoreReport {
    RestoreReport {
        vendor: restored.vendor,
        state: state_of(restored.state),
        generation: restored.generation,
        persisted: restored.persisted,
        lifted: restored.lifted as u64,
        scopes: restored.reaches.iter().map(part).collect(),
        approvals: ApprovalsAnswer {
            given: u32::try_from(restored.approvals.given).unwrap_or(u32::MAX),
            needed: restored.approvals.needed,
        },
    }
}

pub(super) fn drilled(report: kill::DrillRecord) -> DrillReport {
    DrillReport {
        vendor: report.vendor,
        shadow: report.shadow,
        severed: report.severed,
        refuse_micros: report.refuse_micros,
        sever_micros: report.sever_micros,
        persist_micros: report.persist_micros,
        persisted: report.persisted,
        state: state_of(report.state),
    }
}

/// How a vendor stands: what is killed before what its contract says.
pub(super) fn vendor_state(contract: &Contract, state: KillState, now: UnixTime) -> VendorState {
    match (state, contract.calendar().state(now)) {
        (KillState::PartlyKilled | KillState::Killed, _) => state_of(state),
        (KillState::Live, ContractState::NotStarted) => VendorState::NotStarted,
        (KillState::Live, ContractState::ReadOnly) => VendorState::ReadOnly,
        (KillState::Live, ContractState::Ended) => VendorState::Ended,
        (KillState::Live, ContractState::InForce { .. } | ContractState::Ending { .. }) => VendorState::Live,
    }
}

/// The later of both directions' last denials.
pub(super) fn last_denial(vendor: &VendorRuntime) -> Option<LastDenial> {
    let of = |direction| {
        let (reason, at) = vendor.metrics.traffic(direction).last_denial()?;
        Some(LastDenial { reason: reason.as_str().to_owned(), at: at.into(), direction })
    };
    Direction::ALL.into_iter().filter_map(of).max_by_key(|denial| denial.at)
}

/// The limits in force of each direction that has routes; of a shared budget once.
pub(super) fn limits(vendor: &VendorRuntime, now: Moment) -> Vec<VendorLimit> {
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

/// Whether a vendor's next drill is overdue, where its contract asks for any.
pub(super) fn drill_overdue(contract: &Contract, last: Option<UnixTime>, now: UnixTime) -> Option<bool> {
    let every: Duration = contract.drill_every?;
    Some(now.since(last.unwrap_or(contract.starts)) > every)
}

pub(super) const fn state_of(state: KillState) -> VendorState {
    match state {
        KillState::Live => VendorState::Live,
        KillState::PartlyKilled => VendorState::PartlyKilled,
        KillState::Killed => VendorState::Killed,
    }
}

/// The part of a vendor that an order names.
pub(super) fn reach(order: &OperatorOrder) -> KillSelector {
    KillSelector {
        direction: order.direction,
        route: order.route.as_deref().map(Into::into),
        client: order.client.as_deref().map(ClientId::new),
    }
}

pub(super) fn part(reach: &KillSelector) -> PartAnswer {
    PartAnswer {
        direction: reach.direction,
        route: reach.route.as_deref().map(str::to_owned),
        client: reach.client.as_ref().map(|client| client.as_str().to_owned()),
    }
}

pub(super) const fn fleet(fleet: kill::Fleet) -> FleetAnswer {
    FleetAnswer { acked: fleet.acked, of: fleet.of }
}

pub(super) fn standing(kill: &Kill, is_matched: bool) -> KillStatus {
    KillStatus {
        scope: part(&kill.reach),
        generation: kill.generation,
        unmatched: !is_matched,
        reason: kill.reason.clone(),
        by: kill.by.clone(),
        at: kill.at.into(),
    }
}

pub(super) fn approval(given: &kill::RestoreApproval) -> ApprovalAnswer {
    let (by, reason) = (given.by.clone(), given.reason.clone());
    ApprovalAnswer { scope: part(&given.reach), by, reason, at: given.at.into() }
}

/// The rules of a vendor that have matched nothing.
pub(super) fn unmatched_rules(vendor: &VendorRuntime) -> Vec<UnmatchedRule> {
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
pub(super) fn unexpected_shapes(vendor: &VendorRuntime) -> Vec<UnexpectedShape> {
    let told = vendor.unexpected_shapes();
    told.map(|(direction, route, bodies)| UnexpectedShape { direction, route: route.name.to_string(), bodies })
        .collect()
}

pub(super) fn control_error(error: KillError) -> ControlError {
    match error {
        KillError::UnknownVendor => ControlError::VendorUnknown,
        KillError::NotKilled | KillError::Unexplained => ControlError::NotKilled,
        KillError::AlreadyKilled => ControlError::AlreadyKilled,
        KillError::NotScheduled => ControlError::NotScheduled,
        KillError::ScheduleFull => ControlError::ScheduleFull,
        KillError::ScheduleShare => ControlError::ScheduleShare,
        KillError::NotPersisted(_) => ControlError::State,
    }
}

/// Whole days from one time to another, rounded up; negative when it is past.
pub(super) fn days_between(now: UnixTime, then: UnixTime) -> i64 {
    const DAY_MS: i64 = 24 * 3600 * 1000;
    let millis = |time: UnixTime| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    (millis(then) - millis(now)).div_euclid(DAY_MS) + i64::from((millis(then) - millis(now)).rem_euclid(DAY_MS) > 0)
}
