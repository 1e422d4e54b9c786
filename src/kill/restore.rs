//! The way back: by a named person with a reason, where asked by two, and durable before anything is let in.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::answer::{Approvals, KillError, Restored};
use super::event::{Act, Event};
use super::ledger::{Approval, Ledger};
use super::order::{Kill, Origin, Reach, Subject};
use super::switch::{Switch, stand, state};
use crate::model::Moment;
use crate::store::{Ack, RowError, StoreError};

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

/// What a restore came to, decided under one lock.
pub(super) enum Decided {
    /// More people must agree; what this one said is being written.
    Waiting(Approvals, Result<Ack, RowError>),
    /// These kills end when that is on disk.
    Lifting(Box<Lifting>),
}

/// Kills whose end is being written.
pub(super) struct Lifting {
    kills: Vec<Arc<Kill>>,
    event: Event,
    written: Result<Ack, RowError>,
}

impl Switch {
    /// Restores, or records this person's approval where more are needed.
    ///
    /// Lifts the kills that stand when this is called, and no others. The state is durable before anything is let in; a
    /// kill that arrives meanwhile stands.
    ///
    /// # Errors
    /// [`KillError`]; whatever it is, the vendor is as killed as it was.
    pub async fn restore(&self, order: RestoreOrder) -> Result<Restored, KillError> {
        if order.by.trim().is_empty() || order.reason.trim().is_empty() {
            return Err(KillError::Unexplained);
        }
        match self.decide(&order)? {
            Decided::Waiting(approvals, written) => self.wait_for_others(&order, approvals, written).await,
            Decided::Lifting(lifting) => {
                let needed = order.approvals.get();
                let approvals = Approvals { given: needed as usize, needed };
                self.finish_lift(&order, *lifting, approvals).await
            }
        }
    }

    pub(super) fn decide(&self, order: &RestoreOrder) -> Result<Decided, KillError> {
        let mut ledger = self.ledger();
        self.require_known(&ledger, &order.subject)?;
        let kills = ledger.liftable(&order.subject, &order.reach);
        if kills.is_empty() {
            return Err(KillError::NotKilled);
        }
        let needed = order.approvals.get();
        let given = if needed == 1 { 1 } else { ledger.approve(&order.subject, order.approval(&kills)) };
        if given < needed as usize {
            let written = self.write(&ledger, &order.subject, None);
            return Ok(Decided::Waiting(Approvals { given, needed }, written));
        }
        Ok(Decided::Lifting(Box::new(self.begin_lift(&mut ledger, order, &kills, Origin::Operator))))
    }

    /// Begins to lift those of these kills that stand.
    pub(super) fn begin_lift(
        &self,
        ledger: &mut Ledger,
        order: &RestoreOrder,
        kills: &[u64],
        origin: Origin,
    ) -> Lifting {
        let kills = ledger.standing(&order.subject, kills);
        let lifted: Vec<u64> = kills.iter().map(|kill| kill.generation).collect();
        let generation = ledger.begin_lift(&order.subject, &lifted);
        let event = Event { origin: Some(origin), lifted, ..order.event(Act::Restore, generation) };
        let written = self.write(ledger, &order.subject, Some(&event));
        Lifting { kills, event, written }
    }

    pub(super) async fn finish_lift(
        &self,
        order: &RestoreOrder,
        lifting: Lifting,
        approvals: Approvals,
    ) -> Result<Restored, KillError> {
        let Lifting { kills, event, written } = lifting;
        let result = kept(written).await;
        let mut ledger = self.ledger();
        ledger.end_lift(&order.subject, &event.lifted, result.is_ok());
        if let Err(error) = result {
            drop(ledger);
            // What the disk holds is not certain now; it shall say that the vendor is killed.
            self.unwritten.failed(order.subject.clone());
            return Err(error);
        }
        stand(&self.lines_of(&order.subject), &ledger);
        let state = state(&ledger, &order.subject);
        drop(ledger);
        if !kills.is_empty() {
            (self.witness)(&event);
        }
        Ok(Restored {
            vendor: event.vendor,
            state,
            generation: event.generation,
            lifted: kills.len(),
            reaches: kills.iter().map(|kill| kill.reach.clone()).collect(),
            persisted: self.store.is_durable(),
            approvals,
        })
    }

    async fn wait_for_others(
        &self,
        order: &RestoreOrder,
        approvals: Approvals,
        written: Result<Ack, RowError>,
    ) -> Result<Restored, KillError> {
        kept(written).await?;
        (self.witness)(&order.event(Act::Approve, 0));
        let ledger = self.ledger();
        let entry = ledger.entry(&order.subject);
        Ok(Restored {
            vendor: order.subject.as_str().to_owned(),
            state: state(&ledger, &order.subject),
            generation: entry.kills.iter().map(|kill| kill.generation).max().unwrap_or_default(),
            lifted: 0,
            reaches: Vec::new(),
            persisted: self.store.is_durable(),
            approvals,
        })
    }
}

impl RestoreOrder {
    fn approval(&self, kills: &[u64]) -> Approval {
        let (by, reason, reach) = (self.by.clone(), self.reason.clone(), self.reach.clone());
        Approval { by, reason, at: self.at.wall, reach, kills: kills.to_vec() }
    }

    fn event(&self, act: Act, generation: u64) -> Event {
        let event = Event::of(act, &self.subject, &self.by, &self.reason, self.at.wall, generation);
        Event { reach: self.reach.clone(), ..event }
    }
}

async fn kept(written: Result<Ack, RowError>) -> Result<(), KillError> {
    let result = match written {
        Ok(ack) => ack.await,
        Err(_) => Err(StoreError::Closed),
    };
    result.map_err(KillError::NotPersisted)
}
