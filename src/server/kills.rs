//! Kills and restores as operators order them, over the running gateway.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::approvers;
use super::control::GatewayControl;
use super::words::{self, control_error, reach};
use crate::admin::{
    Actor, ControlError, KillAllReport, KillPreview, KillReport, OperatorOrder, RestoreReport, Unseen, VendorStatus,
};
use crate::gateway::VendorRuntime;
use crate::kill::{self, KillOrigin, KillState, KillTarget};
use crate::model::VendorId;

impl GatewayControl {
    pub(super) fn order(&self, actor: &Actor, subject: KillTarget, order: &OperatorOrder) -> kill::KillOrder {
        kill::KillOrder {
            target: subject,
            selector: reach(order),
            origin: KillOrigin::Operator,
            by: actor.name.clone(),
            reason: order.reason.clone(),
            evidence: None,
            at: self.now(),
        }
    }

    pub(super) fn known(&self, vendor: &VendorId) -> Result<Arc<VendorRuntime>, ControlError> {
        let snapshot = self.gateway.snapshot.load();
        snapshot.vendor(vendor.as_str()).cloned().ok_or(ControlError::VendorUnknown)
    }

    /// Whom an order is about, and what of it nobody has been seen by. A vendor or a route that was never seen is more
    /// likely mistyped, so the order must say that it is meant.
    pub(super) fn target(
        &self,
        vendor: Option<&VendorId>,
        order: &OperatorOrder,
    ) -> Result<(KillTarget, Vec<Unseen>), ControlError> {
        let Some(vendor) = vendor else { return Ok((KillTarget::Everything, self.unseen_by_all(order))) };
        let unseen = self.unseen(vendor, order);
        if !order.unseen && unseen.contains(&Unseen::Vendor) {
            return Err(ControlError::VendorUnknown);
        }
        if !order.unseen && unseen.contains(&Unseen::Route) {
            return Err(ControlError::RouteUnknown);
        }
        // From here on the switch knows it, whatever becomes of its contract.
        self.gateway.switch.gate(vendor);
        Ok((KillTarget::Vendor(vendor.clone()), unseen))
    }

    pub(super) async fn kill_one(
        &self,
        actor: &Actor,
        vendor: &VendorId,
        order: &OperatorOrder,
    ) -> Result<KillReport, ControlError> {
        let (subject, unseen) = self.target(Some(vendor), order)?;
        let answer = self.gateway.switch.kill(self.order(actor, subject, order)).map_err(control_error)?.finish().await;
        if let Ok(known) = self.known(vendor) {
            known.metrics.killed(true);
        }
        self.gateway.metrics.severed_within(Duration::from_micros(answer.sever_micros));
        self.recorded().await;
        Ok(KillReport { unseen, ..words::killed(answer) })
    }

    /// One order for all, which holds for the vendors of tomorrow's contracts too; told vendor by vendor.
    pub(super) async fn kill_every(&self, actor: &Actor, order: &OperatorOrder) -> Result<KillAllReport, ControlError> {
        let snapshot = self.gateway.snapshot.load_full();
        let before: Vec<u64> = snapshot.vendors().iter().map(|vendor| vendor.kill_gate.severed_total()).collect();
        let given = self.order(actor, KillTarget::Everything, order);
        let answer = self.gateway.switch.kill(given).map_err(control_error)?.finish().await;
        self.gateway.metrics.severed_within(Duration::from_micros(answer.sever_micros));
        self.recorded().await;
        let report = words::killed(answer);
        let of = |(vendor, before): (&Arc<VendorRuntime>, u64)| {
            vendor.metrics.killed(true);
            let severed = vendor.kill_gate.severed_total() - before;
            let unseen = self.unseen(vendor.id(), order);
            KillReport { vendor: vendor.id().to_string(), severed, unseen, ..report.clone() }
        };
        Ok(KillAllReport { vendors: snapshot.vendors().iter().zip(before).map(of).collect() })
    }

    pub(super) async fn preview_kill(
        &self,
        vendor: Option<&VendorId>,
        order: &OperatorOrder,
    ) -> Result<KillPreview, ControlError> {
        let (subject, unseen) = self.target(vendor, order)?;
        let preview = self.gateway.switch.preview(&subject, reach(order)).map_err(control_error)?;
        Ok(KillPreview { unseen, ..words::previewed(preview) })
    }

    /// A vendor whose contract is gone can be let back too, by as many as its last contract asked for.
    pub(super) async fn restore_one(
        &self,
        actor: &Actor,
        vendor: &VendorId,
        order: &OperatorOrder,
    ) -> Result<RestoreReport, ControlError> {
        let known = self.known(vendor).ok();
        if known.is_none() && !self.gateway.switch.knows(vendor) {
            return Err(ControlError::VendorUnknown);
        }
        let approvals = self.approvals_for(vendor, known.as_deref());
        let restored = self.lift(actor, KillTarget::Vendor(vendor.clone()), order, approvals).await?;
        if let Some(known) = known {
            known.metrics.killed(restored.state != KillState::Live);
            if let Some(burst) = known.burst() {
                burst.reset();
            }
        }
        Ok(words::restored(restored))
    }

    /// As many must agree as the most careful contract asks for.
    pub(super) async fn restore_every(
        &self,
        actor: &Actor,
        order: &OperatorOrder,
    ) -> Result<RestoreReport, ControlError> {
        let snapshot = self.gateway.snapshot.load_full();
        let of = |vendor: &Arc<VendorRuntime>| self.approvals_for(vendor.id(), Some(vendor));
        let approvals = snapshot.vendors().iter().map(of).max().unwrap_or(NonZeroU32::MIN);
        let restored = self.lift(actor, KillTarget::Everything, order, approvals).await?;
        Ok(words::restored(restored))
    }

    /// How many must agree: what the contract says, or what one said that was in force while the kill stood, where that
    /// is more.
    fn approvals_for(&self, vendor: &VendorId, known: Option<&VendorRuntime>) -> NonZeroU32 {
        let now = known.map_or(NonZeroU32::MIN, |known| known.contract.approvals);
        super::carry_over::approvals(&self.store, vendor).map_or(now, |before| before.max(now))
    }

    async fn lift(
        &self,
        actor: &Actor,
        subject: KillTarget,
        order: &OperatorOrder,
        approvals: NonZeroU32,
    ) -> Result<kill::RestoreAnswer, ControlError> {
        if approvals > NonZeroU32::MIN && !actor.is_named() {
            return Err(ControlError::Unnamed);
        }
        let (reach, now) = (reach(order), self.now());
        let since = self.gateway.switch.killed_since(&subject, &reach);
        if approvals > NonZeroU32::MIN && !approvers::counts(&self.store, &actor.name, since, now.wall) {
            return Err(ControlError::OperatorNew);
        }
        let (by, reason) = (actor.name.clone(), order.reason.clone());
        let restore = kill::RestoreOrder { target: subject, selector: reach, by, reason, approvals, at: now };
        let restored = self.gateway.switch.restore(restore).await.map_err(control_error)?;
        self.recorded().await;
        Ok(restored)
    }

    /// How a vendor stands that is cut off and has no contract any more.
    pub(super) fn status_of_removed(&self, standing: &kill::VendorKillStatus) -> VendorStatus {
        VendorStatus {
            vendor: standing.vendor.clone(),
            name: format!("{} (no contract)", standing.vendor),
            owner: None,
            security_contact: None,
            state: words::state_of(standing.state),
            kills: standing.kills.iter().map(|kill| words::standing(kill, false)).collect(),
            approvals: standing.approvals.iter().map(words::approval).collect(),
            scheduled: self.scheduled_for(&standing.vendor),
            persisted: standing.persisted,
            starts: None,
            ends: None,
            days_left: None,
            traffic: Vec::new(),
            limits: Vec::new(),
            last_denial: None,
            last_drill: standing.last_drill.as_ref().map(|drill| drill.at.into()),
            drill_overdue: None,
            token_age_secs: None,
            key_age_secs: None,
            unmatched_rules: Vec::new(),
            unexpected_shapes: Vec::new(),
            issuer: None,
            files: Vec::new(),
        }
    }
}
