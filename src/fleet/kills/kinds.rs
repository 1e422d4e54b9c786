//! What the fleet tells the kill switch.

use std::sync::{Arc, Weak};

use super::data::{ApprovalData, DrillData, KillData, LiftData, ScheduleData};
use super::{OVER, STANDS};
use crate::fleet::{SharedEntry, SharedKind};
use crate::kill::{Evidence, KillOrder, KillSelector, KillSwitch, KillTarget, RestoreOrder};
use crate::model::Moment;

/// The kinds of entries that the switch puts in force.
pub fn kill_kinds(switch: &Arc<KillSwitch>) -> Vec<Arc<dyn SharedKind>> {
    let switch = || Arc::downgrade(switch);
    vec![
        Arc::new(KillKind(switch())),
        Arc::new(ApprovalKind(switch())),
        Arc::new(ScheduleKind(switch())),
        Arc::new(DrillKind(switch())),
    ]
}

struct KillKind(Weak<KillSwitch>);
struct ApprovalKind(Weak<KillSwitch>);
struct ScheduleKind(Weak<KillSwitch>);
struct DrillKind(Weak<KillSwitch>);

impl SharedKind for KillKind {
    fn kind(&self) -> &'static str {
        "kill"
    }

    fn apply(&self, entry: &SharedEntry, now: Moment) {
        let Some(switch) = self.0.upgrade() else { return };
        let (id, _) = entry.name().split_once('/').unwrap_or((entry.name(), ""));
        let is_put_in_force = if entry.epoch == STANDS {
            kill(&switch, id, &entry.data, now)
        } else {
            take_back(switch, id, &entry.data, now)
        };
        if !is_put_in_force {
            tracing::error!(key = entry.key, "an entry of the fleet cannot be read: nothing came of it");
        }
    }
}

fn kill(switch: &KillSwitch, id: &str, data: &str, now: Moment) -> bool {
    let Some(data) = KillData::read(data) else { return false };
    let Ok(target) = KillTarget::parse(&data.target) else { return false };
    if let KillTarget::Vendor(vendor) = &target {
        // Makes the vendor's gate, so that the switch knows the vendor whether it has a contract here or not.
        switch.gate(vendor);
    }
    if switch.stands_by(&target, id) {
        return true;
    }
    let detail = format!("ordered at {} at {}", data.gateway, data.at);
    let order = KillOrder {
        selector: data.selector,
        evidence: Some(Evidence { at: now.wall, kind: "fleet".to_owned(), detail }),
        id: Some(id.into()),
        gateway: Some(data.gateway),
        ..KillOrder::new(target, data.origin, &data.by, &data.reason, now)
    };
    // It is in force when this returns; the write is seen to by the switch.
    switch.kill(order).map(drop).is_ok()
}

fn take_back(switch: Arc<KillSwitch>, id: &str, data: &str, now: Moment) -> bool {
    let Ok(data) = serde_json::from_str::<LiftData>(data) else { return false };
    let Ok(target) = KillTarget::parse(&data.target) else { return false };
    if !switch.stands_by(&target, id) {
        return true;
    }
    let id: Arc<str> = id.into();
    let order = RestoreOrder {
        target,
        selector: KillSelector::default(),
        by: data.by,
        reason: data.reason,
        approvals: std::num::NonZeroU32::MIN,
        at: now,
    };
    let lift = async move {
        if let Err(error) = switch.take_back(&order, &[id], &data.gateway).await {
            tracing::error!(%error, vendor = order.target.as_str(), "the fleet has restored it, and here it stays killed");
        }
    };
    // At the start there is no runtime of the fleet yet, and nothing is served: it is restored by the first sync.
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(lift);
    }
    true
}

impl SharedKind for ApprovalKind {
    fn kind(&self) -> &'static str {
        "approval"
    }

    fn apply(&self, entry: &SharedEntry, _: Moment) {
        let (Some(switch), Ok(data)) = (self.0.upgrade(), serde_json::from_str::<ApprovalData>(&entry.data)) else {
            return;
        };
        if let Ok(target) = KillTarget::parse(&data.target) {
            switch.approve_by_peer(&target, data.approval, &data.orders);
        }
    }
}

impl SharedKind for ScheduleKind {
    fn kind(&self) -> &'static str {
        "schedule"
    }

    fn apply(&self, entry: &SharedEntry, _: Moment) {
        let Some(switch) = self.0.upgrade() else { return };
        let row = serde_json::from_str::<ScheduleData>(&entry.data).ok().and_then(|data| data.row);
        match (row, entry.name().parse()) {
            (Some(row), _) if entry.epoch < OVER => switch.schedule_by_peer(row),
            (_, Ok(id)) if entry.epoch >= OVER => switch.unschedule_by_peer(id),
            _ => tracing::error!(key = entry.key, "a kill to come cannot be read"),
        }
    }
}

impl SharedKind for DrillKind {
    fn kind(&self) -> &'static str {
        "drill"
    }

    fn apply(&self, entry: &SharedEntry, _: Moment) {
        let (Some(switch), Ok(data)) = (self.0.upgrade(), serde_json::from_str::<DrillData>(&entry.data)) else {
            return;
        };
        switch.drilled_by_peer(&data.record);
    }
}
