//! Kills as operators order them: now or at a time to come, of one vendor or of all; and drills.

use std::sync::Arc;
use std::time::Duration;

use super::{GatewayControl, control_error};
use crate::admin::{Actor, ControlError, ControlResult, DrillOrder, KillControl, OperatorOrder, UnscheduleOrder};
use crate::bounds::FLEET_CONFIRM_WAIT;
use crate::fleet::kill_key;
use crate::gateway::VendorRuntime;
use crate::kill::{
    DrillReport, KillAllReport, KillOrder, KillOrigin, KillPreview, KillReport, KillTarget, ScheduledKill,
    ScheduledKills, Unseen,
};
use crate::model::{UnixTime, VendorId};

impl KillControl for GatewayControl {
    async fn kill(&self, actor: &Actor, vendor: &VendorId, order: &OperatorOrder) -> ControlResult<KillReport> {
        let (target, unseen) = self.target(Some(vendor), order)?;
        let pending = self.gateway.switch.kill(self.kill_order(actor, target, order)).map_err(control_error)?;
        let report = self.confirmed(pending.finish().await, order).await;
        if let Ok(known) = self.known(vendor) {
            known.metrics.killed(true);
        }
        self.gateway.metrics.severed_within(Duration::from_micros(report.sever_micros));
        self.recorded().await;
        Ok(KillReport { unseen, ..report })
    }

    /// One order, which also holds for vendors whose contracts are still to come; reported vendor by vendor.
    async fn kill_all(&self, actor: &Actor, order: &OperatorOrder) -> ControlResult<KillAllReport> {
        let snapshot = self.gateway.snapshot.load_full();
        let before: Vec<u64> = snapshot.vendors().iter().map(|vendor| vendor.kill_gate.severed_total()).collect();
        let given = self.kill_order(actor, KillTarget::Everything, order);
        let report = self.gateway.switch.kill(given).map_err(control_error)?.finish().await;
        let report = self.confirmed(report, order).await;
        self.gateway.metrics.severed_within(Duration::from_micros(report.sever_micros));
        self.recorded().await;
        let of = |(vendor, before): (&Arc<VendorRuntime>, u64)| {
            vendor.metrics.killed(true);
            let severed = vendor.kill_gate.severed_total() - before;
            let unseen = self.unseen(vendor.id(), order);
            KillReport { vendor: vendor.id().to_string(), severed, unseen, ..report.clone() }
        };
        Ok(KillAllReport { vendors: snapshot.vendors().iter().zip(before).map(of).collect() })
    }

    fn preview(&self, vendor: Option<&VendorId>, order: &OperatorOrder) -> ControlResult<KillPreview> {
        let (target, unseen) = self.target(vendor, order)?;
        let preview = self.gateway.switch.preview(&target, order.selector()).map_err(control_error)?;
        Ok(KillPreview { unseen, ..preview })
    }

    async fn schedule(
        &self,
        actor: &Actor,
        vendor: Option<&VendorId>,
        order: &OperatorOrder,
        at: UnixTime,
    ) -> ControlResult<ScheduledKill> {
        let (target, unseen) = self.target(vendor, order)?;
        let order = self.kill_order(actor, target, order);
        let row = self.gateway.switch.schedule(&order, at).await.map_err(control_error)?;
        self.recorded().await;
        Ok(ScheduledKill { unseen, ..row.into() })
    }

    fn scheduled(&self) -> ScheduledKills {
        ScheduledKills { scheduled: self.gateway.switch.scheduled().into_iter().map(Into::into).collect() }
    }

    async fn unschedule(&self, actor: &Actor, order: &UnscheduleOrder) -> ControlResult<ScheduledKill> {
        let row = self.gateway.switch.unschedule(order.id, &actor.name, &order.reason, self.now()).await;
        let row = row.map_err(control_error)?;
        self.recorded().await;
        Ok(row.into())
    }

    async fn drill(&self, actor: &Actor, vendor: &VendorId, order: &DrillOrder) -> ControlResult<DrillReport> {
        self.known(vendor)?;
        let reason = order.reason.as_deref().unwrap_or("drill");
        let report = self.gateway.switch.drill(vendor, order.shadow, &actor.name, reason, self.now()).await;
        let report = report.map_err(control_error)?;
        self.recorded().await;
        Ok(report)
    }
}

impl GatewayControl {
    /// The kills to come that are about this vendor or about all.
    pub(super) fn scheduled_for(&self, vendor: &str) -> Vec<ScheduledKill> {
        let mut rows = self.scheduled().scheduled;
        rows.retain(|row| row.vendor == vendor || row.vendor == KillTarget::Everything.as_str());
        rows
    }

    /// A kill's report with who else of the fleet has it in force.
    async fn confirmed(&self, report: KillReport, order: &OperatorOrder) -> KillReport {
        let Some(id) = report.orders.last() else { return report };
        // The order was checked when it was read.
        let wait = order.wait().unwrap_or(FLEET_CONFIRM_WAIT);
        KillReport { fleet: self.fleet_answer(&kill_key(id), wait).await, ..report }
    }

    fn kill_order(&self, actor: &Actor, target: KillTarget, order: &OperatorOrder) -> KillOrder {
        let given = KillOrder::new(target, KillOrigin::Operator, &actor.name, &order.reason, self.now());
        KillOrder { selector: order.selector(), ..given }
    }

    /// The target of an order, and the parts of it that were never seen. A vendor or a route that was never seen is
    /// more likely mistyped, so the order must say that it is meant.
    fn target(&self, vendor: Option<&VendorId>, order: &OperatorOrder) -> ControlResult<(KillTarget, Vec<Unseen>)> {
        let Some(vendor) = vendor else { return Ok((KillTarget::Everything, self.unseen_by_all(order))) };
        let unseen = self.unseen(vendor, order);
        if !order.unseen && unseen.contains(&Unseen::Vendor) {
            return Err(ControlError::VendorUnknown);
        }
        if !order.unseen && unseen.contains(&Unseen::Route) {
            return Err(ControlError::RouteUnknown);
        }
        // Makes the vendor's gate, so that the switch knows the vendor whether it has a contract or not.
        self.gateway.switch.gate(vendor);
        Ok((KillTarget::Vendor(vendor.clone()), unseen))
    }
}
