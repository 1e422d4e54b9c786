//! The keys of one issuer that are in force now: replaced as a whole, never by an empty set, and refused after a hard
//! age.
//!
//! Readers take a snapshot and never wait. A request whose token names an unknown key is decided by keys that were
//! fetched after the request begun_before. Where the cool-down forbids a fetch now, it is decided by the newest keys
//! there are, and a fetch follows as soon as the cool-down ends. So strangers can cause a few fetches at once and one
//! in each cool-down, whatever the set holds, and only a bounded number of requests wait. Requests with known keys are
//! never delayed.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};

use crate::bounds::{IDENTITY_WAIT, ISSUER_WAITERS_MAX, KEYS_FETCH_BURST};
use crate::identity::error::AuthError;
use crate::identity::outage::{OutageChange, OutageLog};
use crate::identity::settings::{FetchSettings, KeySource};
use crate::identity::token::history::RotationHistory;
use crate::identity::token::jwt::TokenHeader;
use crate::model::{Algorithm, Clock, Lock as _, Moment, UnixTime, words};

use super::jwk::VerificationKey;
use super::key_set::KeySet;
use super::schedule::{FetchQuota, RefreshSchedule};

/// Two contracts with equal ids share their keys: the same issuer, and the same source that is asked in the same way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct IssuerKeysId {
    pub(crate) issuer: String,
    pub(crate) source: KeySource,
    pub(crate) fetch: FetchSettings,
}

/// The keys of one issuer.
#[derive(Debug)]
pub(crate) struct IssuerKeys {
    pub(crate) id: IssuerKeysId,
    pub(crate) clock: Clock,
    keys: ArcSwap<KeySet>,
    /// Changes with each replacement, so that one load tells a cached caller whether its key must be looked up again.
    generation: AtomicU64,
    /// Until when the keys may be used unless they are confirmed before, on the monotonic clock; 0 before the first
    /// good answer.
    usable_until_ns: AtomicU64,
    history: Arc<RotationHistory>,
    status: Mutex<KeyStatus>,
    outage: OutageLog,
    pub(crate) wanted: Arc<Notify>,
    pub(crate) started: AtomicBool,
    schedule: Mutex<RefreshSchedule>,
    /// The number of the last refresh that ended; it changes after the keys of that refresh are in force.
    ended: watch::Sender<u64>,
    waiters: AtomicUsize,
}

words! {
    /// How one refresh of the keys ended.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub enum RefreshOutcome {
        /// New keys are in use.
        Replaced = "replaced",
        /// The same keys were read again, or the issuer said that they have not changed.
        Unchanged = "unchanged",
        /// The source could not be read or asked.
        Failed = "failed",
        /// The source's answer is not a key set that may be used.
        Broken = "broken",
    }
}

/// The state of an issuer's keys, for `status` and metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyStatus {
    /// How many keys are in use.
    pub keys: usize,
    /// From when the age of the oldest counts.
    pub oldest: Option<UnixTime>,
    /// Keys of the last good answer that were malformed, weak or private, or shared a `kid`: left out.
    pub unfit: usize,
    /// When the source last confirmed the keys.
    pub confirmed_at: Option<UnixTime>,
    /// When the last refresh ended.
    pub tried_at: Option<UnixTime>,
    /// Why the last refresh failed, if it did; never holds what was answered.
    pub last_error: Option<String>,
    /// How often each of [`RefreshOutcome::ALL`] happened.
    pub outcomes: [u64; RefreshOutcome::ALL.len()],
}

impl IssuerKeys {
    pub(crate) fn new(id: IssuerKeysId, clock: Clock, history: Arc<RotationHistory>) -> Self {
        let allowance = FetchQuota::new(id.fetch.cooldown, KEYS_FETCH_BURST);
        Self {
            id,
            clock,
            keys: ArcSwap::default(),
            generation: AtomicU64::new(0),
            usable_until_ns: AtomicU64::new(0),
            history,
            status: Mutex::default(),
            outage: OutageLog::new(Duration::ZERO),
            wanted: Arc::new(Notify::new()),
            started: AtomicBool::new(false),
            schedule: Mutex::new(RefreshSchedule::new(allowance)),
            ended: watch::Sender::new(0),
            waiters: AtomicUsize::new(0),
        }
    }

    /// The generation of the keys in force. Read it before [`Self::usable`]: if the keys are replaced in between, a
    /// caller that the newer ones verified is checked once more than needed.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The keys that may be used now.
    pub(crate) fn usable(&self, now: Moment) -> Result<arc_swap::Guard<Arc<KeySet>>, AuthError> {
        self.check_age(now)?;
        Ok(self.keys.load())
    }

    /// Whether a key that verified a token at `generation` is still in force; returns the present generation.
    #[inline]
    pub(crate) fn check_in_force(&self, key: &VerificationKey, generation: u64, now: Moment) -> Result<u64, AuthError> {
        let present = self.generation.load(Ordering::Acquire);
        self.check_age(now)?;
        if present == generation || self.keys.load().holds(key) { Ok(present) } else { Err(AuthError::KeyUnknown) }
    }

    /// Whether the source still publishes a key that verified a token at `generation`; returns the present generation.
    /// A source that was never read has withdrawn no key, and neither has one that does not answer.
    pub(crate) fn check_published(&self, key: &VerificationKey, generation: u64) -> Result<u64, AuthError> {
        let present = self.generation.load(Ordering::Acquire);
        let gives = present == generation || *self.ended.borrow() == 0 || self.keys.load().holds(key);
        if gives { Ok(present) } else { Err(AuthError::KeyWithdrawn) }
    }

    fn check_age(&self, now: Moment) -> Result<(), AuthError> {
        let alive = now.monotonic_ns < self.usable_until_ns.load(Ordering::Acquire);
        if alive { Ok(()) } else { Err(AuthError::NoKeys) }
    }

    /// A wait for a request whose key is not in the set of generation `generation`, if waiting can help.
    pub(crate) fn wait_for_key(self: &Arc<Self>, token: &TokenHeader, generation: u64, now: Moment) -> Option<KeyWait> {
        if matches!(self.id.source, KeySource::File(_) | KeySource::Introspection(_)) {
            return None;
        }
        let wanted = token.key_id.clone().map(|kid| (kid, token.algorithm));
        let begun_before = self.with_schedule(|schedule| {
            // Without a refresh to wait for, keys may have come meanwhile that this request was not checked with.
            let worth = schedule.is_under_way()
                || schedule.can_begin(now.monotonic_ns, IDENTITY_WAIT)
                || self.generation() != generation;
            worth.then_some(schedule.begun())
        });
        KeyWait::new(self, wanted, begun_before?)
    }

    /// Whether a key of this `kid` and algorithm may be used now.
    fn has_key(&self, wanted: Option<&WantedKey>, now: Moment) -> bool {
        wanted.is_some_and(|(kid, algorithm)| self.usable(now).is_ok_and(|keys| keys.find(kid, *algorithm).is_some()))
    }

    /// In how long a refresh is due that a request asked for.
    pub(crate) fn due_in(&self) -> Option<Duration> {
        let now = self.clock.now();
        self.with_schedule(|schedule| schedule.due_in(now.monotonic_ns))
    }

    /// Called by the background task when it starts to read the source.
    pub(crate) fn begin_refresh(&self) {
        self.with_schedule(RefreshSchedule::begin);
    }

    /// Puts keys in force that were just read from the source.
    pub(crate) fn install(&self, mut keys: KeySet) {
        let now = self.clock.now();
        keys.set_ages(|thumbprint| self.history.key_first_seen(thumbprint, now.wall));
        let (count, unfit, oldest) = (keys.count(), keys.unusable, keys.iter().map(|key| key.in_use_since).min());
        self.keys.store(Arc::new(keys));
        self.generation.store(next_generation(), Ordering::Release);
        self.with_status(|status| (status.keys, status.unfit, status.oldest) = (count, unfit, oldest));
        self.finish_refresh(RefreshOutcome::Replaced, None);
    }

    /// Records how a refresh ended, and lets the requests that waited for it continue.
    pub(crate) fn finish_refresh(&self, outcome: RefreshOutcome, error: Option<String>) {
        let now = self.clock.now();
        let good = matches!(outcome, RefreshOutcome::Replaced | RefreshOutcome::Unchanged);
        if good {
            let until = now.monotonic_ns.saturating_add(self.id.fetch.hard_age.as_nanos() as u64);
            self.usable_until_ns.store(until, Ordering::Release);
        }
        self.log_change(error.as_deref(), now);
        self.with_status(|status| {
            status.tried_at = Some(now.wall);
            status.outcomes[outcome as usize] += 1;
            status.last_error = error;
            if good {
                status.confirmed_at = Some(now.wall);
            }
        });
        let ended = self.with_schedule(RefreshSchedule::end);
        self.ended.send_replace(ended);
    }

    fn log_change(&self, error: Option<&str>, now: Moment) {
        let issuer = self.id.issuer.as_str();
        match self.outage.record(error, now.monotonic_ns) {
            Some(OutageChange::Failing(error)) => {
                tracing::warn!(
                    issuer,
                    error,
                    "an issuer's keys cannot be read: those held stay in force until they are too old"
                );
            }
            Some(OutageChange::Recovered) => tracing::info!(issuer, "an issuer's keys can be read again"),
            None => {}
        }
    }

    /// The thumbprints of the keys with this name: their `kid`, or the thumbprint itself.
    pub(crate) fn thumbprints(&self, name: &str) -> Vec<[u8; 32]> {
        let named = crate::identity::caller::names::thumbprint(name);
        let keys = self.keys.load();
        let known = keys.iter().filter(|key| key.key_id.as_deref() == Some(name) || named == Some(key.thumbprint));
        known.map(|key| key.thumbprint).collect()
    }

    pub(crate) fn status(&self) -> KeyStatus {
        self.with_status(|status| status.clone())
    }

    fn with_status<T>(&self, act: impl FnOnce(&mut KeyStatus) -> T) -> T {
        act(&mut self.status.locked())
    }

    /// Wakes the background task where `act` makes a refresh due.
    fn with_schedule<T>(&self, act: impl FnOnce(&mut RefreshSchedule) -> T) -> T {
        let mut schedule = self.schedule.locked();
        let before = schedule.is_due();
        let done = act(&mut schedule);
        if schedule.is_due() && !before {
            self.wanted.notify_one();
        }
        done
    }

    /// The number of the last refresh that ended; a change wakes the requests that wait.
    pub(crate) fn ended_refreshes(&self) -> watch::Receiver<u64> {
        self.ended.subscribe()
    }
}

/// A number that is unique in the process, so that a caller verified by one issuer's keys never schedule current under
/// another's.
pub(crate) fn next_generation() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::AcqRel) + 1
}

impl Drop for IssuerKeys {
    /// Wakes the background task, so that it sees that these keys are no longer needed.
    fn drop(&mut self) {
        self.wanted.notify_one();
    }
}

/// The key that a token names.
type WantedKey = (Arc<str>, Algorithm);

/// One of the few requests that may wait for keys.
#[derive(Debug)]
pub(crate) struct KeyWait {
    keys: Arc<IssuerKeys>,
    wanted: Option<WantedKey>,
    /// How many refreshes had begun when the request begun_before.
    begun_before: u64,
}

impl KeyWait {
    fn new(keys: &Arc<IssuerKeys>, wanted: Option<WantedKey>, begun_before: u64) -> Option<Self> {
        if keys.waiters.fetch_add(1, Ordering::AcqRel) >= ISSUER_WAITERS_MAX {
            keys.waiters.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        Some(Self { keys: Arc::clone(keys), wanted, begun_before })
    }

    /// Returns when there is nothing more to wait for, or after the deadline.
    pub(crate) async fn settled(self, deadline: Duration) {
        let _ = tokio::time::timeout(deadline, self.follow()).await;
    }

    /// Waits for one refresh after another until the key is there, or until a refresh has ended that began after the
    /// request begun_before. Only this asks for a refresh, so that a request that does not wait causes none.
    async fn follow(&self) {
        let mut refreshes = self.keys.ended_refreshes();
        while let Some(refresh) = self.next() {
            // The sender cannot be gone: this value holds the keys that own it.
            let _ = refreshes.wait_for(|ended| *ended >= refresh).await;
        }
    }

    fn next(&self) -> Option<u64> {
        let now = self.keys.clock.now();
        if self.keys.has_key(self.wanted.as_ref(), now) {
            return None;
        }
        self.keys.with_schedule(|schedule| schedule.next_for(self.begun_before, now.monotonic_ns, IDENTITY_WAIT))
    }
}

impl Drop for KeyWait {
    fn drop(&mut self) {
        self.keys.waiters.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests;
