//! The keys of one issuer as the gateway holds them now: swapped whole, never emptied, dead after a hard age.
//!
//! Readers take a snapshot and never wait. A stranger's unknown `kid` may ask for a fetch, at most once in a cool-down
//! whatever the set holds, and only a bounded number of requests may wait for it; known keys are never delayed.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};

use crate::bounds::ISSUER_WAITERS_MAX;
use crate::model::{Clock, Moment, UnixTime};

use super::flaw::Flaw;
use super::jwk::VerificationKey;
use super::keyset::Keys;
use super::marks::MarkLedger;
use super::{Algorithm, FetchSettings, KeySource};

/// What makes two contracts share one ring: the same source, asked in the same way, for the same issuer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct RingId {
    pub(super) issuer: String,
    pub(super) source: KeySource,
    pub(super) fetch: FetchSettings,
}

/// The keys of one issuer.
#[derive(Debug)]
pub(super) struct KeyRing {
    pub(super) id: RingId,
    pub(super) clock: Clock,
    keys: ArcSwap<Keys>,
    /// Counts swaps, so that a cached yes knows in one load whether its key must be looked up again.
    generation: AtomicU64,
    /// When the keys die unless they are confirmed before, on the monotonic clock; 0 before the first good answer.
    usable_until_ns: AtomicU64,
    ledger: Arc<MarkLedger>,
    status: Mutex<KeyStatus>,
    pub(super) wanted: Arc<Notify>,
    pub(super) started: AtomicBool,
    fetching: AtomicBool,
    last_asked_ns: AtomicU64,
    finished: watch::Sender<u64>,
    waiters: AtomicUsize,
}

/// How one look at the key source ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RefreshOutcome {
    /// New keys are in use.
    Replaced,
    /// The same keys were read again, or the issuer said that they have not changed.
    Unchanged,
    /// The source could not be read or asked.
    Failed,
    /// What it gave is not a key set that may be used.
    Broken,
}

impl RefreshOutcome {
    /// All outcomes, in the order of [`KeyStatus::outcomes`].
    pub const ALL: [Self; 4] = [Self::Replaced, Self::Unchanged, Self::Failed, Self::Broken];

    /// The name in metric labels and `status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Replaced => "replaced",
            Self::Unchanged => "unchanged",
            Self::Failed => "failed",
            Self::Broken => "broken",
        }
    }
}

/// The state of an issuer's keys, for `status` and metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyStatus {
    /// The keys in use.
    pub keys: Vec<KeyFacts>,
    /// Keys of the last good answer that were malformed, weak or private.
    pub unfit: usize,
    /// When the source last confirmed the keys.
    pub confirmed_at: Option<UnixTime>,
    /// When the source was last looked at.
    pub looked_at: Option<UnixTime>,
    /// Why the last look failed, if it did; never holds what was answered.
    pub last_error: Option<String>,
    /// How often each of [`RefreshOutcome::ALL`] happened.
    pub outcomes: [u64; RefreshOutcome::ALL.len()],
}

/// One key in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFacts {
    /// Its `kid`.
    pub key_id: Option<Arc<str>>,
    /// What it verifies.
    pub algorithm: Algorithm,
    /// Its first sight, or its certificate's date where that is earlier.
    pub born: UnixTime,
}

impl KeyRing {
    pub(super) fn new(id: RingId, clock: Clock, ledger: Arc<MarkLedger>) -> Self {
        Self {
            id,
            clock,
            keys: ArcSwap::default(),
            generation: AtomicU64::new(0),
            usable_until_ns: AtomicU64::new(0),
            ledger,
            status: Mutex::default(),
            wanted: Arc::new(Notify::new()),
            started: AtomicBool::new(false),
            fetching: AtomicBool::new(true),
            last_asked_ns: AtomicU64::new(0),
            finished: watch::Sender::new(0),
            waiters: AtomicUsize::new(0),
        }
    }

    /// The keys that may be used now, and the generation to remember with what they verify.
    pub(super) fn usable(&self, now: Moment) -> Result<(arc_swap::Guard<Arc<Keys>>, u64), Flaw> {
        // Read first: if the keys are swapped in between, the yes is checked once more than needed.
        let generation = self.generation.load(Ordering::Acquire);
        self.check_age(now)?;
        Ok((self.keys.load(), generation))
    }

    /// Whether a key that verified something at `generation` may still be relied on; says the present generation.
    #[inline]
    pub(super) fn still_holds(&self, key: &VerificationKey, generation: u64, now: Moment) -> Result<u64, Flaw> {
        let present = self.generation.load(Ordering::Acquire);
        self.check_age(now)?;
        if present == generation || self.keys.load().holds(key) { Ok(present) } else { Err(Flaw::KeyUnknown) }
    }

    fn check_age(&self, now: Moment) -> Result<(), Flaw> {
        let alive = now.monotonic_ns < self.usable_until_ns.load(Ordering::Acquire);
        if alive { Ok(()) } else { Err(Flaw::NoKeys) }
    }

    /// What a request with an unknown key may wait for, if anything: a fetch under way, or one that it may cause.
    pub(super) fn want(self: &Arc<Self>, now: Moment) -> Option<KeyWait> {
        if matches!(self.id.source, KeySource::File(_) | KeySource::Introspection(_)) {
            return None;
        }
        if !self.fetching.load(Ordering::Acquire) && !self.claim_fetch(now) {
            return None;
        }
        KeyWait::new(self)
    }

    /// Takes the one fetch of this cool-down. Depends on time alone, so that neither an empty set nor a failed answer
    /// opens it earlier.
    fn claim_fetch(&self, now: Moment) -> bool {
        let last = self.last_asked_ns.load(Ordering::Acquire);
        let cooldown = self.id.fetch.cooldown.as_nanos() as u64;
        let free = now.monotonic_ns.saturating_sub(last) >= cooldown;
        let swap = |to| self.last_asked_ns.compare_exchange(last, to, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if !free || !swap(now.monotonic_ns) {
            return false;
        }
        self.fetching.store(true, Ordering::Release);
        self.wanted.notify_one();
        true
    }

    /// Called by the refresher when it starts to look at the source.
    pub(super) fn begin(&self) {
        self.last_asked_ns.store(self.clock.now().monotonic_ns, Ordering::Release);
        self.fetching.store(true, Ordering::Release);
    }

    /// Puts keys in force that the source has just given.
    pub(super) fn install(&self, mut keys: Keys) {
        let now = self.clock.now();
        keys.date(|thumbprint| self.ledger.key_seen(thumbprint, now.wall));
        let facts =
            keys.iter().map(|key| KeyFacts { key_id: key.key_id.clone(), algorithm: key.algorithm, born: key.born });
        let (facts, unfit) = (facts.collect(), keys.bad);
        self.keys.store(Arc::new(keys));
        self.generation.store(next_generation(), Ordering::Release);
        self.with_status(|status| (status.keys, status.unfit) = (facts, unfit));
        self.finish(RefreshOutcome::Replaced, None);
    }

    /// Notes how a look at the source ended, and lets those who waited for it go on.
    pub(super) fn finish(&self, outcome: RefreshOutcome, error: Option<String>) {
        let now = self.clock.now();
        let good = matches!(outcome, RefreshOutcome::Replaced | RefreshOutcome::Unchanged);
        if good {
            let until = now.monotonic_ns.saturating_add(self.id.fetch.hard_age.as_nanos() as u64);
            self.usable_until_ns.store(until, Ordering::Release);
        }
        self.with_status(|status| {
            status.looked_at = Some(now.wall);
            status.outcomes[outcome as usize] += 1;
            status.last_error = error;
            if good {
                status.confirmed_at = Some(now.wall);
            }
        });
        self.fetching.store(false, Ordering::Release);
        self.finished.send_modify(|count| *count += 1);
    }

    pub(super) fn status(&self) -> KeyStatus {
        self.with_status(|status| status.clone())
    }

    fn with_status<T>(&self, act: impl FnOnce(&mut KeyStatus) -> T) -> T {
        act(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many looks at the source have ended; changes wake whoever waits.
    pub(super) fn looks(&self) -> watch::Receiver<u64> {
        self.finished.subscribe()
    }
}

/// Unique in the process, so that a yes under one ring never looks current under another.
pub(super) fn next_generation() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::AcqRel) + 1
}

impl Drop for KeyRing {
    /// Lets the refresher see that nobody needs it any more.
    fn drop(&mut self) {
        self.wanted.notify_one();
    }
}

/// A place among the few requests that may wait for a fetch under way.
#[derive(Debug)]
pub(super) struct KeyWait {
    ring: Arc<KeyRing>,
    finished: watch::Receiver<u64>,
}

impl KeyWait {
    fn new(ring: &Arc<KeyRing>) -> Option<Self> {
        let finished = ring.finished.subscribe();
        if ring.waiters.fetch_add(1, Ordering::AcqRel) >= ISSUER_WAITERS_MAX {
            ring.waiters.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        Some(Self { ring: Arc::clone(ring), finished })
    }

    /// Returns when the fetch has ended, however it did, or after the deadline.
    pub(super) async fn settled(mut self, deadline: Duration) {
        if self.ring.fetching.load(Ordering::Acquire) {
            let _ = tokio::time::timeout(deadline, self.finished.changed()).await;
        }
    }
}

impl Drop for KeyWait {
    fn drop(&mut self) {
        self.ring.waiters.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::super::SigningKey;
    use super::super::marks::Forgetful;
    use super::*;

    fn ring(clock: &Clock) -> Arc<KeyRing> {
        let source = KeySource::Url { url: "https://id.example.com/jwks".into(), refresh: Duration::from_secs(300) };
        let id = RingId { issuer: "https://id.example.com".into(), source, fetch: FetchSettings::default() };
        let ledger = MarkLedger::load(Arc::new(Forgetful)).expect("nothing to read");
        Arc::new(KeyRing::new(id, clock.clone(), Arc::new(ledger)))
    }

    fn keys() -> Keys {
        let jwk = SigningKey::generate(Algorithm::EdDSA, "k").expect("a key").public_jwk();
        Keys::parse(format!(r#"{{"keys":[{jwk}]}}"#).as_bytes()).expect("a set")
    }

    #[test]
    fn keys_live_until_the_hard_age_and_failures_do_not_shorten_or_lengthen_it() {
        let clock = Clock::manual(UnixTime::from_secs(1_000_000));
        let ring = ring(&clock);
        assert_eq!(ring.usable(clock.now()).err(), Some(Flaw::NoKeys), "a cold start fails closed");
        ring.install(keys());
        let (first, generation) = ring.usable(clock.now()).expect("keys");
        let key = first.iter().next().map(Arc::clone).expect("one");
        clock.advance(Duration::from_secs(24 * 3600 - 1));
        ring.finish(RefreshOutcome::Failed, Some("down".into()));
        assert_eq!(ring.still_holds(&key, generation, clock.now()), Ok(generation));
        clock.advance(Duration::from_secs(1));
        assert_eq!(ring.still_holds(&key, generation, clock.now()), Err(Flaw::NoKeys));
        ring.finish(RefreshOutcome::Unchanged, None);
        assert_eq!(ring.still_holds(&key, generation, clock.now()), Ok(generation));
        ring.install(keys());
        assert_eq!(
            ring.still_holds(&key, generation, clock.now()),
            Err(Flaw::KeyUnknown),
            "a withdrawn key ends what it signed"
        );
        assert_eq!(ring.status().outcomes, [2, 1, 1, 0]);
    }

    #[test]
    fn strangers_cause_one_fetch_in_a_cool_down_whatever_the_set_holds() {
        let clock = Clock::manual(UnixTime::from_secs(1_000_000));
        let ring = ring(&clock);
        ring.finish(RefreshOutcome::Failed, None);
        ring.begin();
        ring.finish(RefreshOutcome::Failed, None);
        clock.advance(Duration::from_secs(29));
        assert!((0..5000).all(|_| ring.want(clock.now()).is_none()), "an empty set does not open the cool-down");
        clock.advance(Duration::from_secs(1));
        let waits: Vec<_> = (0..5000).filter_map(|_| ring.want(clock.now())).collect();
        assert_eq!(waits.len(), ISSUER_WAITERS_MAX, "waiting costs bounded memory");
        ring.install(keys());
        drop(waits);
        assert!(ring.want(clock.now()).is_none(), "one fetch, one cool-down");
    }
}
