//! The way back: by a named person with a reason, where asked by two, and durable before anything is let in.

use std::num::NonZeroU32;

use super::answer::{Approvals, KillError, Restored};
use super::event::{Act, Event};
use super::ledger::Approval;
use super::order::{Origin, Reach, Subject};
use super::switch::{Switch, stand, state};
use crate::model::Moment;
use crate::store::{Ack, StoreError};

/// An order to restore.
#[derive(Debug, Clone)]
pub struct RestoreOrder {
    /// Whom. Everything means: what was killed by an order for everything; a vendor killed by itself stays killed.
    pub subject: Subject,
    /// Lifts every kill that this covers; whole lifts all.
    pub reach: Reach,
    /// The operator's name.
    pub by: String,
    /// Why.
    pub reason: String,
    /// How many different people must agree.
    pub approvals: NonZeroU32,
    /// When.
    pub at: Moment,
}

impl Switch {
    /// Restores, or records this person's approval where more are needed.
    ///
    /// The state is durable before anything is let in; a kill that arrives meanwhile stands.
    ///
    /// # Errors
    /// [`KillError`]; whatever it is, the vendor is as killed as it was.
    pub async fn restore(&self, order: RestoreOrder) -> Result<Restored, KillError> {
        if order.by.trim().is_empty() || order.reason.trim().is_empty() {
            return Err(KillError::Unexplained);
        }
        let kills = self.liftable(&order)?;
        let given = self.approve(&order).await?;
        let approvals = Approvals { given, needed: order.approvals.get() };
        if given < approvals.needed as usize {
            return Ok(self.waiting(&order, approvals));
        }
        self.lift(&order, kills, approvals, Origin::Operator).await
    }

    fn liftable(&self, order: &RestoreOrder) -> Result<Vec<u64>, KillError> {
        let ledger = self.ledger();
        self.require_known(&ledger, &order.subject)?;
        let kills = ledger.liftable(&order.subject, &order.reach);
        if kills.is_empty() { Err(KillError::NotKilled) } else { Ok(kills) }
    }

    async fn approve(&self, order: &RestoreOrder) -> Result<usize, KillError> {
        if order.approvals.get() == 1 {
            return Ok(1);
        }
        let (given, written) = {
            let mut ledger = self.ledger();
            let given = ledger.approve(&order.subject, order.approval());
            (given, self.write(&ledger, &order.subject, None))
        };
        if given < order.approvals.get() as usize {
            kept(written).await?;
            (self.witness)(&order.event(Act::Approve, 0));
        }
        Ok(given)
    }

    fn waiting(&self, order: &RestoreOrder, approvals: Approvals) -> Restored {
        let ledger = self.ledger();
        let entry = ledger.entry(&order.subject);
        Restored {
            vendor: order.subject.as_str().to_owned(),
            state: state(&ledger, &order.subject),
            generation: entry.kills.iter().map(|kill| kill.generation).max().unwrap_or_default(),
            lifted: 0,
            persisted: self.store.is_durable(),
            approvals,
        }
    }

    async fn lift(
        &self,
        order: &RestoreOrder,
        kills: Vec<u64>,
        approvals: Approvals,
        origin: Origin,
    ) -> Result<Restored, KillError> {
        let (event, written) = {
            let mut ledger = self.ledger();
            let generation = ledger.begin_lift(&order.subject, &kills);
            let event = Event { origin: Some(origin), ..order.event(Act::Restore, generation) };
            let written = self.write(&ledger, &order.subject, Some(&event));
            (event, written)
        };
        let result = kept(written).await;
        let mut ledger = self.ledger();
        ledger.end_lift(&order.subject, &kills, result.is_ok());
        if let Err(error) = result {
            drop(ledger);
            // What the disk holds is not certain now; it shall say that the vendor is killed.
            self.unwritten.failed(order.subject.clone());
            return Err(error);
        }
        stand(&self.lines_of(&order.subject), &ledger);
        let state = state(&ledger, &order.subject);
        drop(ledger);
        (self.witness)(&event);
        Ok(Restored {
            vendor: event.vendor,
            state,
            generation: event.generation,
            lifted: kills.len(),
            persisted: self.store.is_durable(),
            approvals,
        })
    }

    /// Lifts the kill that a drill made.
    pub(super) async fn lift_own(&self, order: &RestoreOrder, generation: u64) -> Result<Restored, KillError> {
        self.lift(order, vec![generation], Approvals { given: 1, needed: 1 }, Origin::Drill).await
    }
}

impl RestoreOrder {
    fn approval(&self) -> Approval {
        Approval { by: self.by.clone(), reason: self.reason.clone(), at: self.at.wall, reach: self.reach.clone() }
    }

    fn event(&self, act: Act, generation: u64) -> Event {
        let event = Event::of(act, &self.subject, &self.by, &self.reason, self.at.wall, generation);
        Event { reach: self.reach.clone(), ..event }
    }
}

async fn kept(written: Result<Ack, crate::store::RowError>) -> Result<(), KillError> {
    let result = match written {
        Ok(ack) => ack.await,
        Err(_) => Err(StoreError::Closed),
    };
    result.map_err(KillError::NotPersisted)
}
