//! What the switch tells the other gateways of a fleet, and what they order here.
//!
//! A kill has the ids of the orders that it stands by: each order of a person, of any gateway, has one of its own, and
//! a kill ends when all of them are taken back. So a restore takes back exactly the orders that were known where it was
//! decided, and an order that crosses it stays in force.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::answer::ApprovalProgress;
use super::drill::DrillRecord;
use super::error::KillError;
use super::order::{Kill, KillOrder, KillOrigin, KillTarget};
use super::restore::RestoreOrder;
use super::schedule::ScheduledKillRow;
use super::switch::{GATEWAY_ACTOR, KillSwitch};
use super::table::{AppliedKill, RestoreApproval};
use crate::bounds::KILL_ORDERS_MAX;
use crate::store::StoreError;

/// An answer that is waited for.
pub type PeersFuture<'a> = Pin<Box<dyn Future<Output = bool> + Send + 'a>>;

/// The other gateways of a fleet. No method waits, except by the future that it returns.
pub trait KillPeers: Send + Sync {
    /// An id for an order that is given here: no other order has it.
    fn order_id(&self) -> Arc<str>;

    /// A number for a kill to come: no other one has it.
    fn schedule_id(&self) -> u64;

    /// Whether this order was taken back by a restore.
    fn is_taken_back(&self, id: &str) -> bool;

    /// A kill is in force here by this order, and no longer needs those of the list.
    fn killed(&self, target: &KillTarget, kill: &Kill, id: &Arc<str>, replaced: &[Arc<str>]);

    /// Kills are about to end. True once the fleet knows that their orders are taken back; they end only then.
    fn restoring<'a>(&'a self, order: &'a RestoreOrder, ids: Vec<Arc<str>>) -> PeersFuture<'a>;

    /// A drill of this gateway is over, so its order is taken back whether the fleet can be told now or not.
    fn drill_ended(&self, order: &RestoreOrder, ids: Vec<Arc<str>>);

    /// A person has agreed to a restore that more must agree to, of kills that stand by these orders.
    fn approved(&self, target: &KillTarget, approval: &RestoreApproval, ids: Vec<Arc<str>>);

    /// A kill to come was ordered.
    fn scheduled(&self, row: &ScheduledKillRow);

    /// A kill to come was carried out or taken back.
    fn unscheduled(&self, id: u64);

    /// A drill has been done.
    fn drilled(&self, record: &DrillRecord);
}

impl KillSwitch {
    /// From now on, orders that are given here are told to these gateways. Those that stand already are told at once.
    pub fn join_fleet(&self, peers: Arc<dyn KillPeers>) {
        let mut table = self.table();
        let unnumbered = table.unnumbered();
        for (target, generation) in unnumbered {
            let id = peers.order_id();
            let (kill, replaced) = table.add_order(&target, generation, Arc::clone(&id));
            if let Some(kill) = kill {
                peers.killed(&target, &kill, &id, &replaced);
            }
            if self.write(&table, &target, None).is_err() {
                self.unconfirmed.failed(target);
            }
        }
        for row in self.scheduled() {
            peers.scheduled(&row);
        }
        let _ = self.peers.set(peers);
    }

    /// Gives the kill of an order that was given here its id, and tells the fleet.
    pub(super) fn tell_peers(&self, table: &mut super::table::KillTable, order: &KillOrder, applied: &mut AppliedKill) {
        let Some(peers) = self.peers.get().filter(|_| order.travels()) else { return };
        let id = order.id.clone().unwrap_or_else(|| peers.order_id());
        let (kill, replaced) = table.add_order(&order.target, applied.kill.generation, Arc::clone(&id));
        if let Some(kill) = kill {
            applied.kill = kill;
        }
        peers.killed(&order.target, &applied.kill, &id, &replaced);
    }

    /// Takes back orders that another gateway has taken back. Kills that stand by no other order end, once that is on
    /// disk.
    ///
    /// # Errors
    /// [`KillError::NotPersisted`]; the kills stay in force then.
    pub async fn take_back(&self, order: &RestoreOrder, ids: &[Arc<str>], gateway: &Arc<str>) -> Result<(), KillError> {
        let (pending, written) = {
            let mut table = self.table();
            let ended = table.take_back(&order.target, ids);
            if ended.is_empty() {
                (None, Some(self.write(&table, &order.target, None)))
            } else {
                let by_peer = Some(Arc::clone(gateway));
                let pending = self.begin_restore_by(&mut table, order, &ended, KillOrigin::Operator, by_peer);
                (Some(pending), None)
            }
        };
        if let Some(pending) = pending {
            self.finish_restore(order, pending, ApprovalProgress { given: 1, needed: 1 }).await?;
        }
        match written {
            Some(Ok(ack)) => ack.await.map_err(KillError::NotPersisted),
            Some(Err(_)) => Err(KillError::NotPersisted(StoreError::Closed)),
            None => Ok(()),
        }
    }

    /// Takes over an approval that was given at another gateway, for the kills here that stand by its orders alone.
    pub fn approve_by_peer(&self, target: &KillTarget, approval: RestoreApproval, ids: &[Arc<str>]) {
        let mut table = self.table();
        let covered = |kill: &&Arc<Kill>| !kill.orders.is_empty() && kill.orders.iter().all(|id| ids.contains(id));
        let kills: Vec<u64> = table.entry(target).kills.iter().filter(covered).map(|kill| kill.generation).collect();
        if kills.is_empty() {
            return;
        }
        table.approve(target, RestoreApproval { kills, ..approval });
        if self.write(&table, target, None).is_err() {
            self.unconfirmed.failed(target.clone());
        }
    }

    /// Takes over a kill to come that another gateway was given.
    pub fn schedule_by_peer(&self, row: ScheduledKillRow) {
        let mut batch = crate::store::WriteBatch::new();
        if batch.put(&row.id.to_be_bytes(), &row).is_ok() {
            // The fleet's own table keeps the order too, and brings it back after a restart.
            drop(self.store.write(batch));
        }
        self.schedule.take_over(row);
    }

    /// Forgets a kill to come that another gateway has carried out or taken back.
    pub fn unschedule_by_peer(&self, id: u64) {
        let mut batch = crate::store::WriteBatch::new();
        batch.delete(crate::store::StoreTable::ScheduledKills, &id.to_be_bytes());
        drop(self.store.write(batch));
        self.schedule.remove(id);
    }

    /// Takes over what a drill at another gateway has found, where it is newer.
    pub fn drilled_by_peer(&self, record: &DrillRecord) {
        let known = DrillRecord::last(&self.store, &record.vendor);
        if known.is_some_and(|known| known.at >= record.at) {
            return;
        }
        let mut batch = crate::store::WriteBatch::new();
        if batch.put(record.vendor.as_bytes(), record).is_ok() {
            drop(self.store.write(batch));
        }
    }

    /// Whether the order of this id stands against this target here.
    pub fn stands_by(&self, target: &KillTarget, id: &str) -> bool {
        self.table().entry(target).kills.iter().any(|kill| kill.orders.iter().any(|known| &**known == id))
    }

    /// Whether the fleet knows that this order was taken back.
    pub(super) fn is_taken_back(&self, order: &KillOrder) -> bool {
        self.peers.get().zip(order.id.as_ref()).is_some_and(|(peers, id)| peers.is_taken_back(id))
    }

    /// Asks the fleet whether these kills may end, where any of them stands by an order.
    pub(super) async fn fleet_agrees(&self, order: &RestoreOrder, kills: &[Arc<Kill>]) -> bool {
        let ids: Vec<Arc<str>> = kills.iter().flat_map(|kill| kill.orders.iter().cloned()).collect();
        match self.peers.get() {
            Some(peers) if !ids.is_empty() => peers.restoring(order, ids).await,
            Some(_) | None => true,
        }
    }
}

impl KillOrder {
    /// Whether the order is for the whole fleet. What one gateway makes of its own unreadable state is not.
    fn travels(&self) -> bool {
        let by_itself = self.by == GATEWAY_ACTOR && self.target == KillTarget::Everything;
        self.origin != KillOrigin::StateUnreadable && !by_itself
    }
}

impl Kill {
    /// Adds an order; returns the oldest where there are more than needed: who gave the new one knew of them.
    pub(super) fn add_order(&mut self, id: Arc<str>) -> Vec<Arc<str>> {
        if self.orders.contains(&id) {
            return Vec::new();
        }
        self.orders.push(id);
        let surplus = self.orders.len().saturating_sub(KILL_ORDERS_MAX);
        self.orders.drain(..surplus).collect()
    }

    /// Whether the kill is for the whole fleet and has no id yet.
    pub(super) fn is_unnumbered(&self) -> bool {
        let by_itself = self.by == GATEWAY_ACTOR && self.everything;
        self.orders.is_empty() && self.origin != KillOrigin::StateUnreadable && !by_itself
    }
}
