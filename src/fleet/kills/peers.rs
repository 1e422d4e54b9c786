//! What the kill switch tells the fleet.

use std::sync::{Arc, Weak};

use serde::Serialize;

use super::data::{ApprovalData, DrillData, KillData, LiftData, ScheduleData, VERSION};
use super::{OVER, STANDS, kill_key, lift_key};
use crate::bounds::{APPROVAL_LIFETIME, FLEET_LIFTED_KEPT, FLEET_SCHEDULE_KEPT};
use crate::fleet::{FleetError, FleetMember, SharedEntry};
use crate::kill::{
    DrillRecord, Kill, KillPeers, KillTarget, PeersFuture, RestoreApproval, RestoreOrder, ScheduledKillRow,
};
use crate::model::{UnixTime, hex};

/// The other gateways, as the kill switch sees them.
#[derive(Debug)]
pub struct FleetPeers {
    /// The member goes on to the end of the process; the switch does not keep it.
    member: Weak<FleetMember>,
    node: Arc<str>,
}

impl FleetPeers {
    /// The fleet of this member.
    pub fn new(member: &Arc<FleetMember>) -> Self {
        Self { member: Arc::downgrade(member), node: member.settings().node.as_str().into() }
    }

    fn put(&self, entry: SharedEntry) {
        if let Some(member) = self.member.upgrade() {
            member.shared().put(entry);
        }
    }

    /// The entries that take these orders back.
    fn lifts(&self, order: &RestoreOrder, ids: &[Arc<str>]) -> Vec<SharedEntry> {
        let Some(member) = self.member.upgrade() else { return Vec::new() };
        let lift = |id: &Arc<str>| {
            let known = member.shared().get(&kill_key(id));
            let ordered = known.and_then(|entry| Some(KillData::read(&entry.data)?.target));
            let target = ordered.as_deref().unwrap_or(order.target.as_str());
            let data = LiftData {
                v: VERSION,
                target: order.target.as_str().to_owned(),
                by: order.by.clone(),
                reason: order.reason.clone(),
                at: order.at.wall,
                gateway: Arc::clone(&self.node),
            };
            let expires = order.at.wall.plus(FLEET_LIFTED_KEPT);
            entry(lift_key(id, target, &order.target), OVER, 0, expires, &data)
        };
        ids.iter().map(lift).collect()
    }
}

impl KillPeers for FleetPeers {
    fn order_id(&self) -> Arc<str> {
        drawn().map_or_else(|| format!("{}-unnumbered", self.node).into(), |bytes| hex(&bytes).into())
    }

    fn schedule_id(&self) -> u64 {
        // Short enough to be typed, and exact in JSON.
        drawn().map_or(1, |bytes| u64::from_le_bytes(bytes) % 9_000_000_000 + 1_000_000_000)
    }

    fn is_taken_back(&self, id: &str) -> bool {
        let member = self.member.upgrade();
        member.and_then(|member| member.shared().get(&kill_key(id))).is_some_and(|entry| entry.epoch >= OVER)
    }

    fn killed(&self, target: &KillTarget, kill: &Kill, id: &Arc<str>, replaced: &[Arc<str>]) {
        let data = KillData {
            v: VERSION,
            target: target.as_str().to_owned(),
            selector: kill.selector.clone(),
            by: kill.by.clone(),
            reason: kill.reason.clone(),
            at: kill.at,
            origin: kill.origin,
            gateway: Arc::clone(&self.node),
        };
        self.put(entry(kill_key(id), STANDS, 1, UnixTime::default(), &data));
        for old in replaced {
            let data = LiftData {
                v: VERSION,
                target: target.as_str().to_owned(),
                by: kill.by.clone(),
                reason: format!("order {id} has taken its place"),
                at: kill.at,
                gateway: Arc::clone(&self.node),
            };
            self.put(entry(kill_key(old), OVER, 0, kill.at.plus(FLEET_LIFTED_KEPT), &data));
        }
    }

    fn restoring<'a>(&'a self, order: &'a RestoreOrder, ids: Vec<Arc<str>>) -> PeersFuture<'a> {
        let lifts = self.lifts(order, &ids);
        Box::pin(async move {
            let Some(member) = self.member.upgrade() else { return false };
            let mut told = member.publish(&lifts).await;
            if matches!(told, Err(FleetError::Timeout)) {
                // It may have been done; to do it again changes nothing.
                told = member.publish(&lifts).await;
            }
            match told {
                Ok(last) => {
                    member.note_published(last);
                    lifts.into_iter().for_each(|lift| member.shared().note(lift));
                    true
                }
                Err(error) => {
                    tracing::error!(%error, "a restore waits for the fleet: nothing was restored");
                    false
                }
            }
        })
    }

    fn drill_ended(&self, order: &RestoreOrder, ids: Vec<Arc<str>>) {
        self.lifts(order, &ids).into_iter().for_each(|lift| self.put(lift));
    }

    fn approved(&self, target: &KillTarget, approval: &RestoreApproval, ids: Vec<Arc<str>>) {
        let part = serde_json::to_vec(&approval.selector).unwrap_or_default();
        let part = hex(&blake3::hash(&part).as_bytes()[..8]);
        let key = format!("approval/{}/{part}/{}", target.as_str(), approval.by);
        let data =
            ApprovalData { v: VERSION, target: target.as_str().to_owned(), approval: approval.clone(), orders: ids };
        let expires = approval.at.plus(APPROVAL_LIFETIME);
        self.put(entry(key, approval.at.as_millis(), 0, expires, &data));
    }

    fn scheduled(&self, row: &ScheduledKillRow) {
        let data = ScheduleData { v: VERSION, row: Some(row.clone()) };
        self.put(entry(format!("schedule/{}", row.id), STANDS, 0, row.at.plus(FLEET_SCHEDULE_KEPT), &data));
    }

    fn unscheduled(&self, id: u64) {
        let key = format!("schedule/{id}");
        let known = self.member.upgrade().and_then(|member| member.shared().get(&key));
        let Some(known) = known else { return };
        self.put(entry(key, OVER, 0, known.expires, &ScheduleData { v: VERSION, row: None }));
    }

    fn drilled(&self, record: &DrillRecord) {
        let data = DrillData { v: VERSION, record: record.clone() };
        let key = format!("drill/{}", record.vendor);
        self.put(entry(key, record.at.as_millis(), 0, UnixTime::default(), &data));
    }
}

fn drawn() -> Option<[u8; 8]> {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).ok().map(|()| bytes)
}

fn entry(key: String, epoch: u64, rank: u8, expires: UnixTime, data: &impl Serialize) -> SharedEntry {
    SharedEntry { key, epoch, rank, expires, data: serde_json::to_string(data).unwrap_or_default() }
}
