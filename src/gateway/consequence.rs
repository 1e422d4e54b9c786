//! What follows from an overrun or a burst of denials: the vendor's other traffic, or the vendor.
//!
//! Called in the middle of a body, so nothing here waits.

use serde_json::json;

use super::body_pipeline::BodyCounters;
use super::handle::Gateway;
use super::snapshot::VendorRuntime;
use crate::audit::{AuditAct, AuditRecord, CutResponse};
use crate::http::RequestId;
use crate::kill::{Evidence, GATEWAY_ACTOR, InFlight};
use crate::meter::{LimitExceeded, Overrun, OverrunAction};
use crate::model::{ClientId, Denial, Direction};

/// A budget was spent in the middle of a body, which its own exchange cuts: `own` is spared by what ends the others. Traffic
/// in a direction that has a budget of its own is not severed for a budget of the other.
pub(super) fn on_overrun(
    gateway: &Gateway,
    vendor: &VendorRuntime,
    direction: Direction,
    own: &InFlight,
    overrun: &Overrun,
) {
    let denial = overrun.denial();
    match overrun.over {
        OverrunAction::Refuse => {}
        OverrunAction::Sever => {
            let severed = vendor.ledgers.affected_direction(direction);
            let _ = vendor.kill_gate.sever_in_flight(denial.reason.as_str(), severed, gateway.clock.now().wall, own);
        }
        OverrunAction::Kill => {
            let evidence = evidence(gateway, denial.reason.as_str(), denial.detail.into());
            kill_automatically(gateway, vendor, evidence, Some(own));
        }
    }
}

/// A request was refused for a spent budget. Who fetches one at a time never overruns in the middle of a body, and is not
/// to be spared the kill that the contract asks for.
pub(super) fn on_budget_refusal(
    gateway: &Gateway,
    vendor: &VendorRuntime,
    direction: Direction,
    own: &InFlight,
    spent: &LimitExceeded,
) {
    if let Some(overrun) = spent.overrun.as_deref().filter(|overrun| overrun.over == OverrunAction::Kill) {
        on_overrun(gateway, vendor, direction, own, overrun);
    }
}

/// A proven client was denied; enough of it in a short time suspends its vendor.
pub(super) fn on_denial(gateway: &Gateway, vendor: &VendorRuntime, denial: &Denial) {
    if let Some(burst) = vendor.burst.as_deref()
        && denial.reason.counts_towards_burst()
        && burst.record(gateway.clock.now())
    {
        let detail = format!("the last denial was {}", denial.reason.as_str());
        kill_automatically(gateway, vendor, evidence(gateway, "denial_burst", detail), None);
    }
}

/// Records that a body was cut while it streamed: as a line or, where a vendor has its bodies cut over and over, as one
/// of a number. The stream waits for no disk.
pub(super) fn audit_body_cut(gateway: &Gateway, cut: &BodyCut<'_>, overrun: &Overrun, sent: BodyCounters) {
    let (denial, at) = (overrun.denial(), gateway.clock.now().wall);
    let entry = || AuditRecord {
        at,
        actor: cut.client.map_or(GATEWAY_ACTOR, ClientId::as_str).to_owned(),
        act: AuditAct::Cut,
        subject: cut.vendor.id().as_str().to_owned(),
        reason: denial.reason.as_str().to_owned(),
        detail: json!({
            "direction": cut.direction.as_str(),
            "route": cut.route,
            "request_id": cut.id.to_string(),
            "limit": overrun.measure.as_str(),
            "records_sent": sent.records,
            "bytes_sent": sent.bytes_out,
        }),
    };
    let counted = CutResponse { vendor: cut.vendor.id(), direction: cut.direction, reason: denial.reason, at };
    gateway.audit.cut_off(&counted, entry);
}

/// Whose body was cut.
pub(super) struct BodyCut<'a> {
    pub(super) vendor: &'a VendorRuntime,
    /// None where it is ours.
    pub(super) client: Option<&'a ClientId>,
    pub(super) direction: Direction,
    pub(super) route: &'a str,
    pub(super) id: RequestId,
}

fn kill_automatically(gateway: &Gateway, vendor: &VendorRuntime, evidence: Evidence, spared: Option<&InFlight>) {
    gateway.switch.trip(vendor.id(), evidence, spared, gateway.clock.now());
    vendor.metrics.killed(true);
}

fn evidence(gateway: &Gateway, kind: &str, detail: String) -> Evidence {
    Evidence { at: gateway.clock.now().wall, kind: kind.to_owned(), detail }
}
