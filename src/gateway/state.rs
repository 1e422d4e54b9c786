//! What all workers share: the config in force, the kill switch, the clock, and everything that is counted or recorded.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};

use super::egress::UnknownDestinations;
use super::snapshot::Snapshot;
use crate::audit::AuditTrail;
use crate::http::SlotPool;
use crate::interception::Interceptor;
use crate::kill::KillSwitch;
use crate::model::Clock;
use crate::telemetry::{ExchangeLog, Metrics, RecentFailures};
use crate::upstream::OwnAddresses;

/// The state that all workers share.
#[derive(Debug)]
pub struct Gateway {
    /// The clock of all decisions.
    pub clock: Clock,
    /// The metrics of the process.
    pub metrics: Metrics,
    /// The log with one line for each exchange.
    pub exchange_log: ExchangeLog,
    /// The most recent exchanges that were refused or ended early.
    pub failures: RecentFailures,
    /// Whether the drain's deadline has passed: the gateway, not the caller, ends what is still open then.
    pub stopping: AtomicBool,
    /// The audit trail.
    pub audit: Arc<AuditTrail>,
    /// The kill switch.
    pub switch: Arc<KillSwitch>,
    /// The slots for webhook bodies, which are kept whole while their signature is checked.
    pub spools: Arc<SlotPool>,
    /// The config in force.
    pub snapshot: ArcSwap<Snapshot>,
    /// The destinations that our services asked for and no contract lists.
    pub unknown_destinations: Arc<UnknownDestinations>,
    /// The addresses that the gateway listens on.
    pub own_addresses: Arc<OwnAddresses>,
    /// The authority for hosts whose tunnels are intercepted; empty where the config names none.
    pub interception: ArcSwapOption<Interceptor>,
    /// Counts the changes that can end the authority of a request in flight.
    pub authority_epoch: AuthorityEpoch,
}

/// Counts the changes that can end the authority of a request in flight: a new config, a revocation, a lapse of time.
///
/// A request notes [`AuthorityEpoch::current`] before it reads the snapshot, and compares it after it has registered.
/// Where the two differ it is checked once more. Where they are equal, whoever makes the next change checks all
/// requests in flight after that, and finds this one registered.
#[derive(Debug, Default)]
pub struct AuthorityEpoch(AtomicU64);

impl AuthorityEpoch {
    /// The number of changes so far.
    #[inline]
    pub(super) fn current(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Counts a change. Call it when the change is in force.
    pub(super) fn advance(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}
