//! What a spent budget or a burst of denials does to the vendor: its other requests are severed, or it is killed.
//!
//! Called in the middle of a body, so nothing here waits.

use serde_json::json;

use super::body_pipeline::BodyCounters;
use super::snapshot::{RouteRuntime, VendorRuntime};
use super::state::Gateway;
use crate::audit::{AuditAct, AuditRecord, DenialKind};
use crate::http::RequestId;
use crate::kill::{Evidence, GATEWAY_ACTOR, InFlight};
use crate::meter::{Overrun, OverrunAction, SpentCause};
use crate::model::{ClientId, Denial, Direction};

/// An admitted request, as far as the consequences of its overruns and their audit records need to know it.
pub(super) struct AdmittedRequest<'a> {
    pub(super) gateway: &'a Gateway,
    pub(super) vendor: &'a VendorRuntime,
    pub(super) route: &'a RouteRuntime,
    /// The vendor's client; `None` for a call of the company's own services.
    pub(super) client: Option<&'a ClientId>,
    pub(super) direction: Direction,
    pub(super) id: RequestId,
}

impl AdmittedRequest<'_> {
    /// Does what the contract asks for when this request overruns a budget. The request itself is cut by its own body,
    /// so its registration `own` is spared. Requests of a direction that has a budget of its own are not severed for a
    /// budget of the other direction.
    pub(super) fn on_overrun(&self, own: &InFlight, overrun: &Overrun) {
        self.count_starved(overrun);
        let denial = overrun.denial();
        match overrun.over {
            OverrunAction::Refuse => {}
            OverrunAction::Sever => {
                let severed = self.vendor.ledgers.affected_direction(self.direction);
                let now = self.gateway.clock.now().wall;
                let _ = self.vendor.kill_gate.sever_in_flight(denial.reason.as_str(), severed, now, own);
            }
            OverrunAction::Kill => {
                let evidence = evidence(self.gateway, denial.reason.as_str(), denial.detail.into());
                kill_automatically(self.gateway, self.vendor, evidence, Some(own));
            }
        }
    }

    /// Does what the contract asks for when this request is refused because a budget is spent. Only a kill follows: a
    /// vendor that fetches one record at a time never overruns a budget within a body, and must not escape the kill so.
    pub(super) fn on_spent_budget(&self, own: &InFlight, overrun: &Overrun) {
        if overrun.over == OverrunAction::Kill {
            self.on_overrun(own, overrun);
        } else {
            self.count_starved(overrun);
        }
    }

    fn count_starved(&self, overrun: &Overrun) {
        match overrun.cause {
            SpentCause::Budget => {}
            SpentCause::Lease | SpentCause::Share => self.vendor.metrics.lease_starved(),
        }
    }

    /// Records in the audit that a body was cut after a part of it had been sent. Where a vendor has its bodies cut
    /// again and again, the audit writes their number. Does not wait for the disk: the audit must not delay the stream.
    pub(super) fn audit_body_cut(&self, overrun: &Overrun, sent: BodyCounters) {
        let (denial, at) = (overrun.denial(), self.gateway.clock.now().wall);
        let actor = self.client.map_or(GATEWAY_ACTOR, ClientId::as_str);
        let (vendor, reason) = (self.vendor.id(), denial.reason);
        let detail = || {
            json!({
                "direction": self.direction.as_str(),
                "route": &*self.route.name,
                "request_id": self.id.to_string(),
                "limit": overrun.measure.as_str(),
                "records_sent": sent.records,
                "bytes_sent": sent.bytes_out,
            })
        };
        let entry = || AuditRecord::new(at, actor, AuditAct::Cut, vendor.as_str(), reason.as_str(), detail());
        self.gateway.audit.counted(DenialKind::Cut(vendor, self.direction, reason), at, entry);
    }
}

/// Counts a denial of a proven client. Enough of them in a short time kill the vendor, where its contract says so.
pub(super) fn on_denial(gateway: &Gateway, vendor: &VendorRuntime, denial: &Denial) {
    if let Some(burst) = vendor.burst.as_deref()
        && denial.reason.counts_towards_burst()
        && burst.record(gateway.clock.now())
    {
        let detail = format!("the last denial was {}", denial.reason.as_str());
        kill_automatically(gateway, vendor, evidence(gateway, "denial_burst", detail), None);
    }
}

fn kill_automatically(gateway: &Gateway, vendor: &VendorRuntime, evidence: Evidence, spared: Option<&InFlight>) {
    gateway.switch.trip(vendor.id(), evidence, spared, gateway.clock.now());
    vendor.metrics.killed(true);
}

fn evidence(gateway: &Gateway, kind: &str, detail: String) -> Evidence {
    Evidence { at: gateway.clock.now().wall, kind: kind.to_owned(), detail }
}
