//! The proof by which a request in flight was let in, and the severing of those whose proof no longer holds.
//!
//! A kill names what it cuts. All else that ends the right of a request to go on (a token revoked, a contract changed
//! or over, a key withdrawn) is decided by the room that let the request in: the registry keeps the proof, and asks
//! that room again. Never decides itself.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::timeout;

use super::gate::VendorGate;
use super::latch::CountdownLatch;
use super::order::{KillTarget, RouteTag};
use super::switch::KillSwitch;
use crate::bounds::SEVER_DEADLINE;
use crate::model::{ClientId, Direction, Reason, VendorId, debug_fields};

/// The proof by which a request was let in, in the judge's own type.
pub type AdmissionProof = Arc<dyn Any + Send + Sync>;

/// One request in flight, as the registry holds it.
#[derive(Debug, Clone, Copy)]
pub struct RegisteredRequest<'a> {
    /// Which way it goes.
    pub direction: Direction,
    /// The route that it was let in by.
    pub route: RouteTag,
    /// The client that it was proven to come from.
    pub client: Option<&'a ClientId>,
    /// What proved it; nothing where a client is known without a proof that is kept, or calls are our own.
    pub proof: Option<&'a AdmissionProof>,
    /// Whether its method changes nothing (RFC 9110 section 9.2.1).
    pub is_safe: bool,
    /// Whether it goes on as a WebSocket.
    pub is_websocket: bool,
    /// Whether it came under TLS that the gateway has ended in the vendor's name.
    pub is_intercepted: bool,
    /// Whether its contract observed, so that its messages pass as they are.
    pub is_observed: bool,
}

/// The requests that were severed because their proof no longer held.
pub struct SeveredRequests {
    pub(super) by_vendor: BTreeMap<VendorId, BTreeMap<Reason, u64>>,
    pub(super) latch: Arc<CountdownLatch>,
}

impl Default for SeveredRequests {
    fn default() -> Self {
        Self { by_vendor: BTreeMap::new(), latch: CountdownLatch::new() }
    }
}

impl SeveredRequests {
    /// How many requests.
    pub fn count(&self) -> u64 {
        self.by_reason().map(|(_, _, count)| count).sum()
    }

    /// How many of which vendor, and for which reason.
    pub fn by_reason(&self) -> impl Iterator<Item = (&VendorId, Reason, u64)> {
        self.by_vendor
            .iter()
            .flat_map(|(vendor, lost)| lost.iter().map(move |(reason, count)| (vendor, *reason, *count)))
    }

    /// Waits until all of them have left, within a bound; returns how many have not.
    ///
    /// Runs on a tokio runtime with time enabled.
    pub async fn wait(self) -> u64 {
        self.latch.count_down();
        if self.latch.remaining() > 0 {
            // At the deadline those that linger are counted.
            let _ = timeout(SEVER_DEADLINE, self.latch.wait()).await;
        }
        self.latch.remaining() as u64
    }
}

debug_fields!(SeveredRequests: by_vendor);

impl KillSwitch {
    /// Every vendor's gate, also those of contracts that are gone.
    pub fn gates(&self) -> Vec<Arc<VendorGate>> {
        self.gates_of(&KillTarget::Everything)
    }
}
