//! All leases of a gateway: which limits it shares with the fleet, which of them need the engine, and the calls.
//!
//! A limit has the same name on every gateway. A pool outlives a reload as long as a ledger holds it. One call is under
//! way at a time; what becomes hungry meanwhile is in the next.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};

use super::holding::EngineState;
use super::messages::{FleetTime, LeaseCall, LeaseReply};
use super::pool::LeasePool;
use super::share::{LimitShare, ShareAsk};
use super::terms::{LeaseTerms, OnLoss};
use crate::model::Lock as _;

/// While the engine answers.
const NOT_LOST: u64 = u64::MAX;

/// The leases of this gateway.
#[derive(Debug)]
pub struct LeaseBook {
    gateway: Arc<str>,
    on_loss: OnLoss,
    /// Since when the engine is away.
    lost_since_ns: AtomicU64,
    pools: Mutex<BTreeMap<Arc<str>, Weak<LeasePool>>>,
    hungry: Mutex<HungryPools>,
    shares: Mutex<BTreeMap<Arc<str>, Weak<LimitShare>>>,
    /// What an earlier run of this gateway knew, until every limit of the start has joined.
    earlier: Mutex<KnownFleet>,
    heard: Mutex<HeardFleet>,
    nodes: AtomicU64,
}

/// What a gateway knows of its fleet, and keeps over a restart.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KnownFleet {
    /// The epoch of the engine that has all that this gateway was granted.
    pub epoch: String,
    /// Gateways in the fleet; 0 where the fleet was never heard of.
    pub nodes: u64,
}

#[derive(Debug, Default)]
struct HungryPools {
    pools: Vec<Arc<LeasePool>>,
    waker: Option<Waker>,
}

/// The engine as it was heard last.
#[derive(Debug, Default)]
struct HeardFleet {
    epoch: String,
    /// The fleet's time at a moment of this process's clock.
    clock: Option<(u64, u64)>,
}

impl LeaseBook {
    /// A book without leases, with what an earlier run knew. `gateway` is the name of this run alone. The engine counts
    /// as away until it is heard.
    pub fn new(gateway: Arc<str>, on_loss: OnLoss, known: KnownFleet, now_ns: u64) -> Arc<Self> {
        Arc::new(Self {
            gateway,
            on_loss,
            lost_since_ns: AtomicU64::new(now_ns),
            pools: Mutex::default(),
            hungry: Mutex::default(),
            shares: Mutex::default(),
            nodes: AtomicU64::new(known.nodes),
            earlier: Mutex::new(known),
            heard: Mutex::default(),
        })
    }

    /// Every limit of the start has joined: one that joins from now on is new to the engine.
    pub fn started(&self) {
        self.earlier.locked().epoch.clear();
    }

    /// The pool of a limit; `true` with a new one.
    pub(in crate::meter) fn pool(self: &Arc<Self>, name: &str, terms: LeaseTerms) -> (Arc<LeasePool>, bool) {
        let mut pools = self.pools.locked();
        if let Some(pool) = pools.get(name).and_then(Weak::upgrade) {
            pool.set_terms(terms);
            return (pool, false);
        }
        pools.retain(|_, pool| pool.strong_count() > 0);
        let name: Arc<str> = name.into();
        let pool = Arc::new(LeasePool::new(Arc::clone(&name), terms, Arc::clone(self)));
        pools.insert(name, Arc::downgrade(&pool));
        (pool, true)
    }

    /// The share of a ledger in its rates.
    pub(in crate::meter) fn share(&self, name: &str) -> Arc<LimitShare> {
        let mut shares = self.shares.locked();
        if let Some(share) = shares.get(name).and_then(Weak::upgrade) {
            return share;
        }
        shares.retain(|_, share| share.strong_count() > 0);
        let name: Arc<str> = name.into();
        let share = Arc::new(LimitShare::new(Arc::clone(&name)));
        shares.insert(name, Arc::downgrade(&share));
        share
    }

    /// The questions about shares that are used.
    pub fn ask_shares(&self, now_ns: u64) -> Vec<(Arc<LimitShare>, ShareAsk)> {
        let nodes = self.nodes.load(Ordering::Relaxed);
        let ask = |share: Arc<LimitShare>| share.question(nodes, now_ns).map(|ask| (share, ask));
        self.all_shares().into_iter().filter_map(ask).collect()
    }

    /// The engine has answered a question about a share that was sent at this time.
    pub fn share_answered(&self, share: &LimitShare, part: u32, target: u32, sent_ns: u64) {
        share.answered(part, target, self.nodes.load(Ordering::Relaxed), sent_ns);
    }

    /// Ends shares whose time is over.
    pub fn age_shares(&self, now_ns: u64) {
        let engine = self.engine();
        self.all_shares().iter().for_each(|share| share.age(engine.nodes, engine.lost_since_ns, now_ns));
    }

    /// The name of this run of this gateway.
    pub const fn gateway(&self) -> &Arc<str> {
        &self.gateway
    }

    /// Ready when a pool needs the engine at once.
    pub fn poll_hungry(&self, cx: &Context<'_>) -> Poll<Vec<Arc<LeasePool>>> {
        let mut hungry = self.hungry.locked();
        if hungry.pools.is_empty() {
            hungry.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(std::mem::take(&mut hungry.pools))
    }

    /// The pools about which the engine should be asked at a beat.
    pub fn due(&self, now_ns: u64) -> Vec<Arc<LeasePool>> {
        let epoch = self.heard.locked().epoch.clone();
        let is_due = |pool: &Arc<LeasePool>| pool.is_due(now_ns) || !pool.has_told(&epoch);
        self.all().into_iter().filter(is_due).collect()
    }

    /// A call about these pools. [`LeaseBook::answered`] or [`LeaseBook::unanswered`] must follow.
    pub fn call(&self, pools: &[Arc<LeasePool>], now_ns: u64) -> LeaseCall {
        let has_told = |epoch: &str| self.all().iter().all(|pool| pool.has_told(epoch));
        let heard = self.heard.locked();
        let elapsed = |at_ns: u64| now_ns.saturating_sub(at_ns) / 1_000_000;
        LeaseCall {
            gateway: Arc::clone(&self.gateway),
            told: if has_told(&heard.epoch) { heard.epoch.clone() } else { String::new() },
            nodes: self.nodes.load(Ordering::Relaxed),
            expects_ms: heard.clock.map_or(0, |(fleet_ms, at_ns)| fleet_ms + elapsed(at_ns)),
            asks: pools.iter().map(|pool| pool.question(now_ns)).collect(),
        }
    }

    /// The engine has answered a call about these pools.
    pub fn answered(&self, pools: &[Arc<LeasePool>], reply: &LeaseReply, now_ns: u64) {
        self.hear(&reply.time, now_ns);
        // A recovery may be longer for a limit than for the fleet. Before any body is woken that asks.
        if reply.time.is_recovering || reply.grants.iter().any(|grant| grant.is_recovering) {
            self.lost(now_ns);
        } else {
            self.lost_since_ns.store(NOT_LOST, Ordering::Release);
        }
        let mut grants = reply.grants.iter();
        for pool in pools {
            match grants.next() {
                Some(grant) => pool.answered(&reply.time, grant, now_ns),
                None => pool.unanswered(),
            }
        }
    }

    /// No answer came to a call about these pools.
    pub fn unanswered(&self, pools: &[Arc<LeasePool>], now_ns: u64) {
        self.lost(now_ns);
        pools.iter().for_each(|pool| pool.unanswered());
    }

    /// What is to be kept over a restart; `None` before the engine has been told everything.
    pub fn known(&self) -> Option<KnownFleet> {
        let heard = self.heard.locked();
        let known = KnownFleet { epoch: heard.epoch.clone(), nodes: self.nodes.load(Ordering::Relaxed) };
        Some(known).filter(|known| !known.epoch.is_empty() && self.all().iter().all(|pool| pool.has_told(&known.epoch)))
    }

    pub(super) fn earlier(&self) -> KnownFleet {
        self.earlier.locked().clone()
    }

    pub(super) const fn on_loss(&self) -> OnLoss {
        self.on_loss
    }

    pub(super) fn engine(&self) -> EngineState {
        let lost = self.lost_since_ns.load(Ordering::Acquire);
        let nodes = self.nodes.load(Ordering::Relaxed);
        EngineState { on_loss: self.on_loss, nodes, lost_since_ns: (lost != NOT_LOST).then_some(lost) }
    }

    pub(super) fn queue(&self, pool: &Arc<LeasePool>) {
        let waker = {
            let mut hungry = self.hungry.locked();
            hungry.pools.push(Arc::clone(pool));
            hungry.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn hear(&self, time: &FleetTime, now_ns: u64) {
        let mut heard = self.heard.locked();
        time.epoch.clone_into(&mut heard.epoch);
        heard.clock = Some((time.now_ms, now_ns));
        if !time.is_recovering {
            self.nodes.store(time.nodes.max(1), Ordering::Relaxed);
        }
    }

    fn lost(&self, now_ns: u64) {
        let _ = self.lost_since_ns.compare_exchange(NOT_LOST, now_ns, Ordering::AcqRel, Ordering::Relaxed);
    }

    fn all_shares(&self) -> Vec<Arc<LimitShare>> {
        self.shares.locked().values().filter_map(Weak::upgrade).collect()
    }

    fn all(&self) -> Vec<Arc<LeasePool>> {
        self.pools.locked().values().filter_map(Weak::upgrade).collect()
    }
}
