//! Whether the gateway may ask a vendor's token endpoint, which it also does without any request of a service.
//!
//! As no request reaches a vendor without a permit, no question does without this: never while the vendor is killed, or
//! its contract is a draft or not in force. A question is registered at the vendor's gate as a request is, **before**
//! the gate is asked, so that no kill can miss it.

use std::future::Future;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::keeper::FetchFailure;
use crate::kill::{InFlight, RouteTag, VendorGate};
use crate::meter::{Calendar, ContractState};
use crate::model::{ClientId, Direction, UnixTime};

/// Whether one vendor's token endpoint may be asked now.
#[derive(Debug)]
pub struct AskPermission {
    gate: Arc<VendorGate>,
    /// The dates of the contract in force: a credential outlives a reload that changes them.
    calendar: ArcSwap<Calendar>,
}

impl AskPermission {
    /// Of the vendor whose gate this is.
    pub fn new(gate: Arc<VendorGate>, calendar: Calendar) -> Self {
        Self { gate, calendar: ArcSwap::from_pointee(calendar) }
    }

    /// Takes over the dates of the contract that is in force from now on.
    pub(super) fn renew(&self, calendar: Calendar) {
        self.calendar.store(Arc::new(calendar));
    }

    /// Whether a question may begin now.
    pub(super) fn allows(&self, now: UnixTime) -> bool {
        self.begin(None, now).is_ok()
    }

    /// Asks, unless that is not allowed; a kill breaks it off. `client` is the service that it is asked for, where it
    /// is asked for one alone.
    pub(super) async fn guard<T>(
        &self,
        client: Option<&ClientId>,
        now: UnixTime,
        asking: impl Future<Output = T>,
    ) -> Result<T, FetchFailure> {
        let mut in_flight = self.begin(client, now)?;
        tokio::select! {
            biased;
            () = in_flight.severed() => Err(FetchFailure::Withheld),
            answer = asking => Ok(answer),
        }
    }

    fn begin(&self, client: Option<&ClientId>, now: UnixTime) -> Result<InFlight, FetchFailure> {
        let in_flight = self.gate.register(Direction::Egress, RouteTag::NONE, client);
        let is_in_force = match self.calendar.load().state(now) {
            ContractState::InForce { .. } | ContractState::Ending { .. } | ContractState::ReadOnly => true,
            ContractState::NotStarted | ContractState::Ended => false,
        };
        if is_in_force && in_flight.check().is_ok() { Ok(in_flight) } else { Err(FetchFailure::Withheld) }
    }
}
