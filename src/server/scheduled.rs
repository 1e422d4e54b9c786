//! Kills for a time to come, as operators order them, read them and take them back.

use super::control::GatewayControl;
use super::words::{control_error, part};
use crate::admin::{Actor, ControlError, OperatorOrder, ScheduledKill, UnscheduleOrder};
use crate::kill;
use crate::model::{UnixTime, VendorId};

impl GatewayControl {
    pub(super) async fn schedule_kill(
        &self,
        actor: &Actor,
        vendor: Option<&VendorId>,
        order: &OperatorOrder,
        at: UnixTime,
    ) -> Result<ScheduledKill, ControlError> {
        let (subject, unseen) = self.target(vendor, order)?;
        let order = self.order(actor, subject, order);
        let row = self.gateway.switch.schedule(&order, at).await.map_err(control_error)?;
        self.recorded().await;
        Ok(ScheduledKill { unseen, ..told(row) })
    }

    pub(super) async fn unschedule_kill(
        &self,
        actor: &Actor,
        order: &UnscheduleOrder,
    ) -> Result<ScheduledKill, ControlError> {
        let row = self.gateway.switch.unschedule(order.id, &actor.name, &order.reason, self.now()).await;
        let row = row.map_err(control_error)?;
        self.recorded().await;
        Ok(told(row))
    }

    pub(super) fn scheduled_kills(&self) -> Vec<ScheduledKill> {
        self.gateway.switch.scheduled().into_iter().map(told).collect()
    }

    /// Those that will hit this vendor.
    pub(super) fn scheduled_for(&self, vendor: &str) -> Vec<ScheduledKill> {
        let mut rows = self.scheduled_kills();
        rows.retain(|row| row.vendor == vendor || row.vendor == "*");
        rows
    }
}

fn told(row: kill::ScheduledKillRow) -> ScheduledKill {
    let (scope, unseen) = (part(&row.reach), Vec::new());
    ScheduledKill { id: row.id, vendor: row.vendor, scope, unseen, at: row.at.into(), by: row.by, reason: row.reason }
}
