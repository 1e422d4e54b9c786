//! The registry of requests in flight, one part per thread: a slab whose entries are used again and again.
//!
//! A place is given away, taken back and severed under the part's lock alone, so a signal can never reach the request
//! that came after. Never wakes a task under the lock.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Waker;

use super::gate::{ActiveKill, ActiveKills};
use super::in_flight::{InFlight, SeverSignal};
use super::latch::CountdownLatch;
use super::order::{Kill, KillSelector, RouteTag};
use super::recheck::{AdmissionProof, RegisteredRequest};
use crate::model::{ClientId, Direction, Lock as _, Reason};

/// One part of a gate's registry. Aligned so that two workers' locks share no cache line.
#[repr(align(128))]
pub(super) struct RegistryShard {
    pub(super) active: Arc<ActiveKills>,
    entries: Mutex<ShardEntries>,
}

#[derive(Default)]
struct ShardEntries {
    all: Vec<ShardEntry>,
    free: Vec<u32>,
}

struct ShardEntry {
    live: bool,
    direction: Direction,
    route: RouteTag,
    /// Kept when the place is free: the next request is usually the same client's, and then nothing is counted up.
    client: Option<ClientId>,
    /// Kept like the client.
    proof: Option<AdmissionProof>,
    is_safe: bool,
    is_websocket: bool,
    is_intercepted: bool,
    is_observed: bool,
    slot: Arc<SeverSignal>,
    /// The kill that severed it.
    cause: Option<Arc<Kill>>,
    /// Why it was severed, where that was no kill but a proof that no longer held.
    lost: Option<Reason>,
    /// Who waits for it to leave.
    latches: Vec<Arc<CountdownLatch>>,
}

/// A selector in the form in which traffic is compared with it: the route as its tag.
#[derive(Clone)]
pub(super) struct CompiledSelector {
    direction: Option<Direction>,
    route: Option<RouteTag>,
    client: Option<ClientId>,
}

impl From<&KillSelector> for CompiledSelector {
    fn from(selector: &KillSelector) -> Self {
        Self { direction: selector.direction, route: selector.tag(), client: selector.client.clone() }
    }
}

impl CompiledSelector {
    pub(super) fn covers(&self, direction: Direction, route: RouteTag, client: Option<&ClientId>) -> bool {
        self.direction.is_none_or(|only| only == direction)
            && self.route.is_none_or(|only| only == route)
            && self.client.as_ref().is_none_or(|only| Some(only) == client)
    }
}

impl RegistryShard {
    pub(super) fn new(active: Arc<ActiveKills>) -> Self {
        Self { active, entries: Mutex::default() }
    }

    pub(super) fn register(this: &Arc<Self>, held: &RegisteredRequest<'_>) -> InFlight {
        let mut places = this.entries();
        let index = places.take();
        let place = &mut places.all[index as usize];
        place.live = true;
        place.fill(held);
        let slot = Arc::clone(&place.slot);
        drop(places);
        InFlight::first(Arc::clone(this), slot, index)
    }

    /// Takes a place back from the last handle of a request.
    pub(super) fn release(&self, index: u32) {
        let mut places = self.entries();
        let place = &mut places.all[index as usize];
        place.live = false;
        place.slot.reset();
        place.cause = None;
        place.lost = None;
        let latches = std::mem::take(&mut place.latches);
        places.free.push(index);
        drop(places);
        for latch in latches {
            latch.count_down();
        }
    }

    /// The kill that severed the request in this place, or that covers it now.
    pub(super) fn verdict(&self, index: u32) -> Option<Arc<Kill>> {
        let places = self.entries();
        let place = &places.all[index as usize];
        let active = || self.active.covering(place.direction, place.route, place.client.as_ref());
        place.cause.clone().or_else(active)
    }

    /// Severs what the kill covers, but for one request where one is spared; returns how many had not been severed
    /// before.
    pub(super) fn sever(&self, active: &ActiveKill, latch: &Arc<CountdownLatch>, spared: Option<&InFlight>) -> u64 {
        let (mut first, mut last): (Vec<Waker>, Vec<Waker>) = Default::default();
        let mut severed = 0;
        let mut places = self.entries();
        let is_spared = |place: &ShardEntry| spared.is_some_and(|spared| spared.is_of(&place.slot));
        for place in places.all.iter_mut().filter(|place| place.matches(&active.target) && !is_spared(place)) {
            latch.count_up();
            place.latches.push(Arc::clone(latch));
            if place.cause.is_none() {
                severed += 1;
                place.cause = Some(Arc::clone(&active.kill));
            }
            place.slot.sever(&mut first, &mut last);
        }
        drop(places);
        // A connection that is woken when all its streams have ended writes that at once, and not a stream at a time.
        first.into_iter().chain(last).for_each(Waker::wake);
        severed
    }

    /// Severs each request that the judge denies. Adds to `lost` how many for which reason.
    ///
    /// The judge is called under the lock that requests register under: it must be quick, and never call back into the
    /// gate.
    pub(super) fn recheck(
        &self,
        judge: &mut dyn FnMut(&RegisteredRequest<'_>) -> Result<(), Reason>,
        cause: &dyn Fn(Reason) -> Arc<Kill>,
        latch: &Arc<CountdownLatch>,
        lost: &mut BTreeMap<Reason, u64>,
    ) {
        let (mut first, mut last): (Vec<Waker>, Vec<Waker>) = Default::default();
        let mut places = self.entries();
        for place in places.all.iter_mut().filter(|place| place.live && place.cause.is_none()) {
            let Err(reason) = judge(&place.request()) else { continue };
            latch.count_up();
            place.latches.push(Arc::clone(latch));
            place.cause = Some(cause(reason));
            place.lost = Some(reason);
            *lost.entry(reason).or_default() += 1;
            place.slot.sever(&mut first, &mut last);
        }
        drop(places);
        first.into_iter().chain(last).for_each(Waker::wake);
    }

    /// Whether any request in flight is such a one.
    pub(super) fn holds(&self, is_it: &mut dyn FnMut(&RegisteredRequest<'_>) -> bool) -> bool {
        self.entries().all.iter().any(|place| place.live && is_it(&place.request()))
    }

    /// Why the request in this place was severed, where that was no kill.
    pub(super) fn lost(&self, index: u32) -> Option<Reason> {
        self.entries().all[index as usize].lost
    }

    pub(super) fn count(&self, target: &CompiledSelector) -> [usize; 2] {
        let mut counts = [0, 0];
        for place in self.entries().all.iter().filter(|place| place.matches(target)) {
            counts[place.direction.index()] += 1;
        }
        counts
    }

    /// Nothing under this lock panics half-way, so what a panic elsewhere left is whole.
    fn entries(&self) -> MutexGuard<'_, ShardEntries> {
        self.entries.locked()
    }
}

impl ShardEntries {
    fn take(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.all.push(ShardEntry::new());
            (self.all.len() - 1) as u32
        })
    }
}

impl ShardEntry {
    fn new() -> Self {
        Self {
            live: false,
            direction: Direction::Ingress,
            route: RouteTag::NONE,
            client: None,
            proof: None,
            is_safe: false,
            is_websocket: false,
            is_intercepted: false,
            is_observed: false,
            slot: Arc::new(SeverSignal::default()),
            cause: None,
            lost: None,
            latches: Vec::new(),
        }
    }

    /// Records what a request is. A client or proof that the request before it had too is not cloned again.
    fn fill(&mut self, held: &RegisteredRequest<'_>) {
        self.direction = held.direction;
        self.route = held.route;
        self.is_safe = held.is_safe;
        self.is_websocket = held.is_websocket;
        self.is_intercepted = held.is_intercepted;
        self.is_observed = held.is_observed;
        if self.client.as_ref() != held.client {
            self.client = held.client.cloned();
        }
        let same = match (&self.proof, held.proof) {
            (Some(mine), Some(theirs)) => Arc::ptr_eq(mine, theirs),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !same {
            self.proof = held.proof.cloned();
        }
    }

    fn request(&self) -> RegisteredRequest<'_> {
        RegisteredRequest {
            direction: self.direction,
            route: self.route,
            client: self.client.as_ref(),
            proof: self.proof.as_ref(),
            is_safe: self.is_safe,
            is_websocket: self.is_websocket,
            is_intercepted: self.is_intercepted,
            is_observed: self.is_observed,
        }
    }

    fn matches(&self, target: &CompiledSelector) -> bool {
        self.live && target.covers(self.direction, self.route, self.client.as_ref())
    }
}

/// A small number of this thread's own, given out in turn.
pub(super) fn thread_index() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static MINE: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    MINE.with(|mine| {
        if mine.get() == usize::MAX {
            mine.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        mine.get()
    })
}
