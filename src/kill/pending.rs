//! A kill in force, whose severed requests have not all left and whose write the disk has not confirmed yet.

use std::sync::Arc;

use tokio::time::timeout;

use super::answer::{Fleet, KillReport, VendorState};
use super::latch::CountdownLatch;
use super::order::{Kill, KillOrder};
use super::switch::KillSwitch;
use super::unconfirmed::UnconfirmedWrites;
use crate::bounds::{PERSIST_DEADLINE, SEVER_DEADLINE};
use crate::model::{Clock, Moment};
use crate::store::WriteAck;

/// A kill that is in force. Dropping it loses nothing but the answer: severing and writing go on.
#[derive(Debug)]
#[must_use = "finish it for the report, or drop it where none is needed"]
pub struct PendingKill {
    order: KillOrder,
    kill: Arc<Kill>,
    severed: u64,
    latch: Arc<CountdownLatch>,
    ack: Option<WriteAck>,
    /// Whether the state is on disk already, where there was nothing to write.
    was_persisted: bool,
    durable: bool,
    refused: Moment,
    clock: Clock,
    unconfirmed: Arc<UnconfirmedWrites>,
}

/// How long each step took, from the order's arrival, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KillTimings {
    /// Until nothing new was let in.
    pub refuse_micros: u64,
    /// Until the last severed request had left.
    pub sever_micros: u64,
    /// Until it was durable.
    pub persist_micros: u64,
}

impl PendingKill {
    pub(super) fn new(
        switch: &KillSwitch,
        order: KillOrder,
        kill: Arc<Kill>,
        severed: u64,
        latch: Arc<CountdownLatch>,
        ack: Option<WriteAck>,
        refused: Moment,
    ) -> Self {
        let was_persisted = ack.is_none() && !switch.unconfirmed.holds(&order.target);
        Self {
            was_persisted,
            order,
            kill,
            severed,
            latch,
            ack,
            durable: switch.store.is_durable(),
            refused,
            clock: switch.clock.clone(),
            unconfirmed: Arc::clone(&switch.unconfirmed),
        }
    }

    /// The kill's record.
    #[cfg(test)]
    pub fn kill(&self) -> &Kill {
        &self.kill
    }

    /// How many requests were severed.
    #[cfg(test)]
    pub const fn severed(&self) -> u64 {
        self.severed
    }

    /// Waits until all that was severed has left and the kill is durable, within bounds, and answers.
    ///
    /// Runs on a tokio runtime with time enabled.
    pub async fn finish(self) -> KillReport {
        self.finish_timed().await.0
    }

    /// [`PendingKill::finish`] with the time of each step.
    pub async fn finish_timed(mut self) -> (KillReport, KillTimings) {
        if self.latch.remaining() > 0 {
            // At the deadline the report counts those that have not left.
            let _ = timeout(SEVER_DEADLINE, self.latch.wait()).await;
        }
        let left = self.clock.now();
        let lingering = self.latch.remaining() as u64;
        let persisted = self.persisted().await && self.durable;
        let timings = KillTimings {
            refuse_micros: self.micros(self.refused),
            sever_micros: self.micros(left),
            persist_micros: self.micros(self.clock.now()),
        };
        (self.answer(timings.sever_micros, lingering, persisted), timings)
    }

    async fn persisted(&mut self) -> bool {
        let Some(ack) = &mut self.ack else { return self.was_persisted };
        let Ok(written) = timeout(PERSIST_DEADLINE, ack).await else { return false };
        self.ack = None;
        if written.is_err() {
            self.unconfirmed.failed(self.order.target.clone());
        }
        written.is_ok()
    }

    fn answer(&self, sever_micros: u64, lingering: u64, persisted: bool) -> KillReport {
        KillReport {
            vendor: self.order.target.as_str().to_owned(),
            state: VendorState::Killed,
            generation: self.kill.generation,
            severed: self.severed,
            sever_micros,
            persisted,
            fleet: Fleet::ALONE,
            selector: self.order.selector.clone(),
            unseen: Vec::new(),
            lingering,
            orders: self.kill.orders.clone(),
        }
    }

    const fn micros(&self, until: Moment) -> u64 {
        until.monotonic_ns.saturating_sub(self.order.at.monotonic_ns) / 1000
    }
}

/// A write that is no longer waited for is still retried.
impl Drop for PendingKill {
    fn drop(&mut self) {
        if let Some(ack) = self.ack.take() {
            self.unconfirmed.pending(self.order.target.clone(), ack);
        }
    }
}
