//! Restores as operators order them, by as many people as the contract asks for.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::{GatewayControl, control_error};
use crate::admin::{Actor, ControlError, ControlResult, OperatorOrder, RestoreControl};
use crate::gateway::VendorRuntime;
use crate::kill::{KillTarget, RestoreOrder, RestoreReport, VendorState};
use crate::model::VendorId;
use crate::server::{approvers, carry_over};

impl RestoreControl for GatewayControl {
    /// A vendor whose contract is gone can be let back too, by as many as its last contract asked for.
    async fn restore(&self, actor: &Actor, vendor: &VendorId, order: &OperatorOrder) -> ControlResult<RestoreReport> {
        let known = self.known(vendor).ok();
        if known.is_none() && !self.gateway.switch.knows(vendor) {
            return Err(ControlError::VendorUnknown);
        }
        let approvals = self.approvals_for(vendor, known.as_deref());
        let report = self.restore_target(actor, KillTarget::Vendor(vendor.clone()), order, approvals).await?;
        if let Some(known) = known {
            known.metrics.killed(report.state != VendorState::Live);
            self.anomalies.forget_last_hour(&known);
            if let Some(burst) = known.burst() {
                burst.reset();
            }
        }
        Ok(report)
    }

    /// As many must agree as the most careful contract asks for.
    async fn restore_all(&self, actor: &Actor, order: &OperatorOrder) -> ControlResult<RestoreReport> {
        let snapshot = self.gateway.snapshot.load_full();
        let of = |vendor: &Arc<VendorRuntime>| self.approvals_for(vendor.id(), Some(vendor));
        let approvals = snapshot.vendors().iter().map(of).max().unwrap_or(NonZeroU32::MIN);
        self.restore_target(actor, KillTarget::Everything, order, approvals).await
    }
}

impl GatewayControl {
    /// How many must agree: the number in the contract, or in a contract that was valid while the kill was in force,
    /// where that is more.
    fn approvals_for(&self, vendor: &VendorId, known: Option<&VendorRuntime>) -> NonZeroU32 {
        let now = known.map_or(NonZeroU32::MIN, |known| known.contract.approvals);
        carry_over::approvals(&self.store, vendor).map_or(now, |before| before.max(now))
    }

    async fn restore_target(
        &self,
        actor: &Actor,
        target: KillTarget,
        order: &OperatorOrder,
        approvals: NonZeroU32,
    ) -> ControlResult<RestoreReport> {
        if approvals > NonZeroU32::MIN && !actor.is_named() {
            return Err(ControlError::Unnamed);
        }
        let (selector, now) = (order.selector(), self.now());
        let since = self.gateway.switch.killed_since(&target, &selector);
        if approvals > NonZeroU32::MIN && !approvers::counts(&self.store, &actor.name, since, now.wall) {
            return Err(ControlError::OperatorNew);
        }
        let (by, reason) = (actor.name.clone(), order.reason.clone());
        let restore = RestoreOrder { target, selector, by, reason, approvals, at: now };
        let report = self.gateway.switch.restore(restore).await.map_err(control_error)?;
        self.recorded().await;
        Ok(report)
    }
}
