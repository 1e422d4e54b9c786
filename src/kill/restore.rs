//! Restores: by a named person with a reason, by two where the contract asks for it, and durable before anything is let
//! in.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::answer::{ApprovalProgress, RestoreReport};
use super::error::KillError;
use super::event::KillEvent;
use super::order::{Kill, KillOrigin, KillSelector, KillTarget};
use super::switch::{KillSwitch, apply_kills, state};
use super::table::{KillTable, RestoreApproval};
use crate::audit::AuditAct;
use crate::model::Moment;
use crate::store::{RowError, StoreError, WriteAck};

/// An order to restore.
#[derive(Debug, Clone)]
pub struct RestoreOrder {
    /// Whom. Everything means: what was killed by an order for everything; a vendor killed by itself stays killed.
    pub target: KillTarget,
    /// Lifts every kill that this covers; whole lifts all.
    pub selector: KillSelector,
    /// The operator's name.
    pub by: String,
    /// The reason, in that person's words.
    pub reason: String,
    /// How many different people must agree.
    pub approvals: NonZeroU32,
    /// When the order arrived.
    pub at: Moment,
}

/// The decision about a restore, made under one lock.
pub(super) enum RestoreDecision {
    /// More people must agree; this one's approval is being written.
    Waiting(ApprovalProgress, Result<WriteAck, RowError>),
    /// These kills end when that is on disk.
    Lifting(Box<PendingRestore>),
}

/// Kills whose end is being written.
pub(super) struct PendingRestore {
    kills: Vec<Arc<Kill>>,
    event: KillEvent,
    written: Result<WriteAck, RowError>,
}

impl KillSwitch {
    /// Restores, or records this person's approval where more are needed.
    ///
    /// Lifts the kills that are in force when this is called, and no others. The state is durable before anything is
    /// let in; a kill that arrives meanwhile stays in force.
    ///
    /// # Errors
    /// [`KillError`]; whatever it is, the vendor is as killed as it was.
    pub async fn restore(&self, order: RestoreOrder) -> Result<RestoreReport, KillError> {
        if order.by.trim().is_empty() || order.reason.trim().is_empty() {
            return Err(KillError::Unexplained);
        }
        match self.decide(&order)? {
            RestoreDecision::Waiting(approvals, written) => self.wait_for_others(&order, approvals, written).await,
            RestoreDecision::Lifting(pending) => {
                if !self.fleet_agrees(&order, &pending.kills).await {
                    self.abandon_restore(&order, *pending);
                    return Err(KillError::FleetAway);
                }
                let needed = order.approvals.get();
                let approvals = ApprovalProgress { given: needed, needed };
                self.finish_restore(&order, *pending, approvals).await
            }
        }
    }

    pub(super) fn decide(&self, order: &RestoreOrder) -> Result<RestoreDecision, KillError> {
        let mut table = self.table();
        self.require_known(&table, &order.target)?;
        let kills = table.restorable(&order.target, &order.selector);
        if kills.is_empty() {
            return Err(KillError::NotKilled);
        }
        let needed = order.approvals.get();
        let given = if needed == 1 { 1 } else { table.approve(&order.target, order.approval(&kills)) };
        if let Some(peers) = self.peers.get().filter(|_| given < needed) {
            let ids = table.active(&order.target, &kills).iter().flat_map(|kill| kill.orders.clone()).collect();
            peers.approved(&order.target, &order.approval(&kills), ids);
        }
        if given < needed {
            let written = self.write(&table, &order.target, None);
            return Ok(RestoreDecision::Waiting(ApprovalProgress { given, needed }, written));
        }
        Ok(RestoreDecision::Lifting(Box::new(self.begin_restore(&mut table, order, &kills, KillOrigin::Operator))))
    }

    /// Begins to lift those of these kills that are in force.
    pub(super) fn begin_restore(
        &self,
        table: &mut KillTable,
        order: &RestoreOrder,
        kills: &[u64],
        origin: KillOrigin,
    ) -> PendingRestore {
        self.begin_restore_by(table, order, kills, origin, None)
    }

    /// As [`Self::begin_restore`], by order of this gateway of the fleet.
    pub(super) fn begin_restore_by(
        &self,
        table: &mut KillTable,
        order: &RestoreOrder,
        kills: &[u64],
        origin: KillOrigin,
        gateway: Option<Arc<str>>,
    ) -> PendingRestore {
        let kills = table.active(&order.target, kills);
        let lifted: Vec<u64> = kills.iter().map(|kill| kill.generation).collect();
        let generation = table.begin_restore(&order.target, &lifted);
        let event = KillEvent { origin: Some(origin), lifted, gateway, ..order.event(AuditAct::Restore, generation) };
        let written = self.write(table, &order.target, Some(&event));
        PendingRestore { kills, event, written }
    }

    /// Leaves kills in force whose end was being written.
    fn abandon_restore(&self, order: &RestoreOrder, pending: PendingRestore) {
        self.table().end_restore(&order.target, &pending.event.lifted, false);
        // The disk may have the end of the kills by now.
        self.unconfirmed.failed(order.target.clone());
    }

    pub(super) async fn finish_restore(
        &self,
        order: &RestoreOrder,
        pending: PendingRestore,
        approvals: ApprovalProgress,
    ) -> Result<RestoreReport, KillError> {
        let PendingRestore { kills, event, written } = pending;
        let result = persisted(written).await;
        let mut table = self.table();
        table.end_restore(&order.target, &event.lifted, result.is_ok());
        if let Err(error) = result {
            drop(table);
            // The write failed, so the row may or may not still hold the kill. Queue a write that records the vendor as
            // killed.
            self.unconfirmed.failed(order.target.clone());
            return Err(error);
        }
        apply_kills(&self.gates_of(&order.target), &table);
        let state = state(&table, &order.target);
        drop(table);
        if !kills.is_empty() {
            (self.listener)(&event);
        }
        Ok(RestoreReport {
            vendor: event.vendor,
            state: state.into(),
            generation: event.generation,
            lifted: kills.len() as u64,
            selectors: kills.iter().map(|kill| kill.selector.clone()).collect(),
            persisted: self.store.is_durable(),
            approvals,
        })
    }

    async fn wait_for_others(
        &self,
        order: &RestoreOrder,
        approvals: ApprovalProgress,
        written: Result<WriteAck, RowError>,
    ) -> Result<RestoreReport, KillError> {
        persisted(written).await?;
        (self.listener)(&order.event(AuditAct::Approve, 0));
        let table = self.table();
        let entry = table.entry(&order.target);
        Ok(RestoreReport {
            vendor: order.target.as_str().to_owned(),
            state: state(&table, &order.target).into(),
            generation: entry.kills.iter().map(|kill| kill.generation).max().unwrap_or_default(),
            lifted: 0,
            selectors: Vec::new(),
            persisted: self.store.is_durable(),
            approvals,
        })
    }
}

impl PendingRestore {
    /// The orders that these kills stand by.
    pub(super) fn orders(&self) -> Vec<Arc<str>> {
        self.kills.iter().flat_map(|kill| kill.orders.iter().cloned()).collect()
    }
}

impl RestoreOrder {
    fn approval(&self, kills: &[u64]) -> RestoreApproval {
        let (by, reason, selector) = (self.by.clone(), self.reason.clone(), self.selector.clone());
        RestoreApproval { by, reason, at: self.at.wall, selector, kills: kills.to_vec() }
    }

    fn event(&self, act: AuditAct, generation: u64) -> KillEvent {
        let event = KillEvent::of(act, &self.target, &self.by, &self.reason, self.at.wall, generation);
        KillEvent { selector: self.selector.clone(), ..event }
    }
}

async fn persisted(written: Result<WriteAck, RowError>) -> Result<(), KillError> {
    let result = match written {
        Ok(ack) => ack.await,
        Err(_) => Err(StoreError::Closed),
    };
    result.map_err(KillError::NotPersisted)
}
