//! One vendor's gate: the kills in force against it, and the registry of its requests in flight.
//!
//! A request registers **before** it asks whether it may pass, and a kill is put in force before it looks for what is
//! in flight. Whichever comes first, one sees the other, so no request slips between. A gate lives as long as the
//! process, so that reloads never lose what is in flight. To register, to ask and to leave take three short locks that
//! no other thread wants, and allocate nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;

use super::in_flight::InFlight;
use super::latch::CountdownLatch;
use super::order::{Kill, KillOrigin, KillSelector, RouteTag};
use super::recheck::{RegisteredRequest, SeveredRequests};
use super::shard::{CompiledSelector, RegistryShard, thread_index};
use super::switch::GATEWAY_ACTOR;
use crate::bounds::KILL_SHARDS;
use crate::model::{ClientId, Direction, Reason, UnixTime, VendorId, debug_fields};

/// A vendor's place on the switch.
pub struct VendorGate {
    vendor: VendorId,
    active: Arc<ActiveKills>,
    /// Threads take turns at these, so that workers share no lock.
    shards: [Arc<RegistryShard>; KILL_SHARDS],
    severed_total: AtomicU64,
}

/// The kills in force against a vendor, as requests read them.
#[derive(Default)]
pub(super) struct ActiveKills {
    /// Whether `kills` holds anything: all that a request of a vendor in good standing reads.
    armed: AtomicBool,
    kills: ArcSwap<Vec<ActiveKill>>,
}

/// A kill, ready to be compared with traffic.
#[derive(Clone)]
pub(super) struct ActiveKill {
    pub(super) target: CompiledSelector,
    pub(super) kill: Arc<Kill>,
}

impl VendorGate {
    pub(super) fn new(vendor: VendorId) -> Self {
        let active = Arc::new(ActiveKills::default());
        let shards = std::array::from_fn(|_| Arc::new(RegistryShard::new(Arc::clone(&active))));
        Self { vendor, active, shards, severed_total: AtomicU64::new(0) }
    }

    /// The vendor whose gate this is.
    pub const fn vendor(&self) -> &VendorId {
        &self.vendor
    }

    /// Enters a request, **before** [`InFlight::check`]. It stays in flight until the last handle is dropped.
    pub fn register(&self, direction: Direction, route: RouteTag, client: Option<&ClientId>) -> InFlight {
        self.register_request(&RegisteredRequest {
            direction,
            route,
            client,
            proof: None,
            is_safe: false,
            is_websocket: false,
            is_intercepted: false,
            is_observed: false,
        })
    }

    /// As [`Self::register`], with the proof that let the request in, so that it can be checked again later.
    pub fn register_request(&self, held: &RegisteredRequest<'_>) -> InFlight {
        RegistryShard::register(&self.shards[thread_index() % KILL_SHARDS], held)
    }

    /// Requests in flight, by [`Direction::index`].
    pub fn in_flight(&self) -> [usize; 2] {
        self.count(&KillSelector::default())
    }

    /// Requests in flight that a selector covers, by [`Direction::index`].
    pub fn count(&self, selector: &KillSelector) -> [usize; 2] {
        let target = CompiledSelector::from(selector);
        self.shards
            .iter()
            .map(|shard| shard.count(&target))
            .fold([0, 0], |sum, part| [sum[0] + part[0], sum[1] + part[1]])
    }

    /// Requests severed since the process started.
    pub fn severed_total(&self) -> u64 {
        self.severed_total.load(Ordering::Relaxed)
    }

    /// Checks each request in flight again, and severs those that the judge denies.
    ///
    /// The judge is called under the locks that requests register under: it must be quick, and never call back into the
    /// gate.
    pub fn recheck(
        &self,
        judge: &mut dyn FnMut(&RegisteredRequest<'_>) -> Result<(), Reason>,
        now: UnixTime,
        severed: &mut SeveredRequests,
    ) {
        let cause = |reason: Reason| Arc::new(cut(reason.as_str(), now));
        let before = severed.count();
        for shard in &self.shards {
            shard.recheck(judge, &cause, &severed.latch, severed.by_vendor.entry(self.vendor.clone()).or_default());
        }
        self.severed_total.fetch_add(severed.count() - before, Ordering::Relaxed);
    }

    /// Whether any request in flight is such a one.
    pub fn holds(&self, mut is_it: impl FnMut(&RegisteredRequest<'_>) -> bool) -> bool {
        self.shards.iter().any(|shard| shard.holds(&mut is_it))
    }

    /// Whether any kill is in force against this vendor, of it whole or of a part.
    pub fn is_armed(&self) -> bool {
        self.active.armed.load(Ordering::Acquire)
    }

    /// Severs what is in flight in a direction, or in both (`None`), except `spared`, and kills nothing: later requests
    /// are let in as before. For a budget whose overrun severs. The caller itself ends the request that it spares, at
    /// the record that was too many: severed like the others, that request would lose what was let through, charged and
    /// not yet written.
    ///
    /// Returns how many had not been severed before; [`InFlight::killed`] of each gives `why`, generation 0.
    pub fn sever_in_flight(&self, why: &str, direction: Option<Direction>, now: UnixTime, spared: &InFlight) -> u64 {
        let cause = Kill { selector: KillSelector { direction, ..KillSelector::default() }, ..cut(why, now) };
        // The latch is not waited for.
        self.sever(&Arc::new(cause), &CountdownLatch::new(), Some(spared))
    }

    /// Puts these kills in force. Refuses what is new from here on; severs nothing.
    pub(super) fn set_active(&self, kills: impl Iterator<Item = Arc<Kill>>) {
        let kills: Vec<_> =
            kills.map(|kill| ActiveKill { target: CompiledSelector::from(&kill.selector), kill }).collect();
        let armed = !kills.is_empty();
        self.active.kills.store(Arc::new(kills));
        self.active.armed.store(armed, Ordering::Release);
    }

    /// Severs what is in flight under the kill and wakes it. Returns how many had not been severed before; the latch
    /// opens when all that match are gone, those too that were severed earlier and have not left.
    pub(super) fn sever(&self, kill: &Arc<Kill>, latch: &Arc<CountdownLatch>, spared: Option<&InFlight>) -> u64 {
        let active = ActiveKill { target: CompiledSelector::from(&kill.selector), kill: Arc::clone(kill) };
        let severed = self.shards.iter().map(|shard| shard.sever(&active, latch, spared)).sum();
        self.severed_total.fetch_add(severed, Ordering::Relaxed);
        severed
    }
}

fn cut(why: &str, at: UnixTime) -> Kill {
    Kill::without_order(KillOrigin::Cut, GATEWAY_ACTOR, why, at)
}

debug_fields!(VendorGate: vendor);

impl ActiveKills {
    #[inline]
    pub(super) fn is_armed(&self) -> bool {
        self.armed.load(Ordering::Acquire)
    }

    /// The kill that covers this traffic: the oldest, where several do.
    pub(super) fn covering(
        &self,
        direction: Direction,
        route: RouteTag,
        client: Option<&ClientId>,
    ) -> Option<Arc<Kill>> {
        let kills = self.kills.load();
        let found = kills.iter().find(|active| active.target.covers(direction, route, client));
        found.map(|active| Arc::clone(&active.kill))
    }
}
