//! What the rotation rules must remember beyond a restart: the newest token of each client, and when each key was first
//! seen.
//!
//! Without the first, a stolen old token would pass again after a restart; without the second, an old key would count
//! as new. Kept in memory, and written by a store. Holds no token and no secret.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dashmap::DashMap;

use crate::bounds::{KEY_SIGHTS_MAX, SUPERSEDED_STEPS_MAX, SUPERSEDED_SUBJECTS_MAX};
use crate::identity::error::AuthError;
use crate::model::{ClientId, Lock as _, UnixTime, VendorId};

/// One record of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RotationRecord {
    /// The newest token that a client has used.
    Client {
        /// The client's vendor.
        vendor: VendorId,
        /// The client.
        client: ClientId,
        /// `iat` of its newest token.
        newest: UnixTime,
        /// When that token was first used: from then on the grace for older tokens runs.
        since: UnixTime,
        /// Tokens issued before this are superseded for good.
        floor: UnixTime,
    },
    /// A signing key was seen.
    Key {
        /// RFC 7638 thumbprint.
        thumbprint: [u8; 32],
        /// When it was seen first.
        first_seen: UnixTime,
    },
}

/// Where the records are kept; implemented by the store.
pub trait RotationStore: Send + Sync + fmt::Debug {
    /// All records saved so far; of two about one thing, the later one holds.
    ///
    /// # Errors
    /// Whatever keeps the store from being read: the caller must then let no vendor in.
    fn load(&self) -> io::Result<Vec<RotationRecord>>;

    /// Queues a record to be written soon; never blocks, as it is called while a request is decided about.
    fn save(&self, record: RotationRecord);

    /// Queues the removal of a key's record, as [`Self::save`] does.
    fn forget_key(&self, thumbprint: [u8; 32]);
}

/// A store that keeps nothing: for tests, `explain` and the demo.
#[derive(Debug, Clone, Copy, Default)]
pub struct NullIdentityStore;

impl RotationStore for NullIdentityStore {
    fn load(&self) -> io::Result<Vec<RotationRecord>> {
        Ok(Vec::new())
    }

    fn save(&self, _: RotationRecord) {}

    fn forget_key(&self, _: [u8; 32]) {}
}

/// The newest tokens and the first sights of keys, of the whole process.
#[derive(Debug)]
pub(crate) struct RotationHistory {
    store: Arc<dyn RotationStore>,
    clients: DashMap<(VendorId, ClientId), Arc<NewestToken>>,
    keys: Mutex<HashMap<[u8; 32], UnixTime>>,
    /// In memory only: a subject is a person, and nothing about people is written to disk.
    subjects: DashMap<VendorId, NewestBySubject>,
}

/// By the digest of client and subject.
type NewestBySubject = HashMap<blake3::Hash, Arc<NewestToken>>;

impl RotationHistory {
    /// Starts from what the store holds.
    pub(crate) fn load(store: Arc<dyn RotationStore>) -> io::Result<Self> {
        let (clients, mut keys) = (DashMap::new(), HashMap::new());
        for record in store.load()? {
            match record {
                RotationRecord::Key { thumbprint, first_seen } => {
                    keys.insert(thumbprint, first_seen);
                }
                RotationRecord::Client { vendor, client, newest, since, floor } => {
                    let token = NewestToken::new(
                        &vendor,
                        &client,
                        Arc::clone(&store),
                        TokenSuccession { floor, steps: vec![(newest, since)] },
                    );
                    clients.insert((vendor, client), Arc::new(token));
                }
            }
        }
        Ok(Self { store, clients, keys: Mutex::new(keys), subjects: DashMap::new() })
    }

    /// The newest token of a client that a contract names: there are as many entries as clients in contracts.
    pub(crate) fn client(&self, vendor: &VendorId, client: &ClientId) -> Arc<NewestToken> {
        let fresh = || Arc::new(NewestToken::new(vendor, client, Arc::clone(&self.store), TokenSuccession::default()));
        Arc::clone(&self.clients.entry((vendor.clone(), client.clone())).or_insert_with(fresh))
    }

    /// The newest token of one subject of a client; `None` when there is no room for another subject. Subjects without
    /// a token issued since `expired_before` are dropped for room: older tokens have expired.
    pub(crate) fn subject(
        &self,
        vendor: &VendorId,
        client: &ClientId,
        subject: &str,
        expired_before: UnixTime,
    ) -> Option<Arc<NewestToken>> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(client.as_str().len() as u64).to_le_bytes());
        hasher.update(client.as_str().as_bytes()).update(subject.as_bytes());
        let mut subjects = self.subjects.entry(vendor.clone()).or_default();
        let key = hasher.finalize();
        if subjects.len() >= SUPERSEDED_SUBJECTS_MAX && !subjects.contains_key(&key) {
            subjects.retain(|_, token| token.newest_ms.load(Ordering::Acquire) >= expired_before.as_millis());
            if subjects.len() >= SUPERSEDED_SUBJECTS_MAX {
                return None;
            }
        }
        let fresh =
            || Arc::new(NewestToken::new(vendor, client, Arc::new(NullIdentityStore), TokenSuccession::default()));
        Some(Arc::clone(subjects.entry(key).or_insert_with(fresh)))
    }

    /// When a key was first seen: now, unless it is known. A first sight in the future was recorded by a wrong clock
    /// and would make the key count as new until then, so it is recorded again.
    pub(crate) fn key_first_seen(&self, thumbprint: [u8; 32], now: UnixTime) -> UnixTime {
        let mut keys = self.keys.locked();
        if let Some(seen) = keys.get(&thumbprint).filter(|seen| **seen <= now) {
            return *seen;
        }
        if !keys.contains_key(&thumbprint) {
            // More than one is removed where the store held more than the bound.
            while keys.len() >= KEY_SIGHTS_MAX
                && let Some(oldest) = keys.iter().min_by_key(|(_, seen)| **seen).map(|(key, _)| *key)
            {
                keys.remove(&oldest);
                self.store.forget_key(oldest);
            }
        }
        keys.insert(thumbprint, now);
        self.store.save(RotationRecord::Key { thumbprint, first_seen: now });
        now
    }
}

/// The newest token that one client has used, and until when its older ones still pass.
#[derive(Debug)]
pub(crate) struct NewestToken {
    vendor: VendorId,
    client: ClientId,
    store: Arc<dyn RotationStore>,
    /// `iat` of the newest token in milliseconds, read without a lock: most requests carry just that token.
    newest_ms: AtomicU64,
    succession: Mutex<TokenSuccession>,
}

/// The newer tokens that the client began to use: the `iat` of each, and when it was first used. Ascending in both.
#[derive(Debug, Default)]
struct TokenSuccession {
    floor: UnixTime,
    steps: Vec<(UnixTime, UnixTime)>,
}

impl NewestToken {
    fn new(vendor: &VendorId, client: &ClientId, store: Arc<dyn RotationStore>, succession: TokenSuccession) -> Self {
        let newest = succession.steps.last().map_or(0, |(issued, _)| issued.as_millis());
        Self {
            vendor: vendor.clone(),
            client: client.clone(),
            store,
            newest_ms: AtomicU64::new(newest),
            succession: Mutex::new(succession),
        }
    }

    /// The client.
    pub(crate) const fn client(&self) -> &ClientId {
        &self.client
    }

    /// Checks a token that has passed every other rule, and records it when it is the newest.
    pub(crate) fn check(&self, issued_at: UnixTime, grace: Duration, now: UnixTime) -> Result<(), AuthError> {
        if issued_at.as_millis() == self.newest_ms.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut succession = self.succession.locked();
        let newest = succession.steps.last().map_or(UnixTime::default(), |(issued, _)| *issued);
        if issued_at < newest {
            return succession.check_older(issued_at, grace, now);
        }
        if issued_at > newest {
            succession.advance(issued_at, grace, now);
            self.newest_ms.store(issued_at.as_millis(), Ordering::Release);
            self.store.save(self.record(&succession));
        }
        Ok(())
    }

    /// The same check without recording anything: for `explain`.
    pub(crate) fn check_unrecorded(
        &self,
        issued_at: UnixTime,
        grace: Duration,
        now: UnixTime,
    ) -> Result<(), AuthError> {
        self.succession.locked().check_older(issued_at, grace, now)
    }

    fn record(&self, succession: &TokenSuccession) -> RotationRecord {
        let (newest, since) = succession.steps.last().copied().unwrap_or_default();
        RotationRecord::Client {
            vendor: self.vendor.clone(),
            client: self.client.clone(),
            newest,
            since,
            floor: succession.floor,
        }
    }
}

impl TokenSuccession {
    /// An older token passes until the grace is over that began with the first use of a newer one.
    fn check_older(&self, issued_at: UnixTime, grace: Duration, now: UnixTime) -> Result<(), AuthError> {
        let superseded = self.steps.iter().find(|(issued, _)| *issued > issued_at);
        let passes = issued_at >= self.floor && superseded.is_none_or(|(_, since)| now < since.plus(grace));
        if passes { Ok(()) } else { Err(AuthError::Superseded) }
    }

    /// Records a newer token. Tokens that were first used within an eighth of the grace count as one, from the time of
    /// the first, so that a client with a fresh token for each call needs bounded memory, and no token passes longer
    /// than the grace.
    fn advance(&mut self, issued_at: UnixTime, grace: Duration, now: UnixTime) {
        while let [(first, since), _, ..] = self.steps[..]
            && (now >= since.plus(grace) || self.steps.len() >= SUPERSEDED_STEPS_MAX)
        {
            self.floor = self.floor.max(first);
            self.steps.remove(0);
        }
        if let [(only, since)] = self.steps[..]
            && now >= since.plus(grace)
        {
            self.floor = self.floor.max(only);
        }
        match self.steps.last_mut() {
            Some(last) if now < last.1.plus(grace / 8) => last.0 = issued_at,
            _ => self.steps.push((issued_at, now)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(120);

    fn secs(secs: u64) -> UnixTime {
        UnixTime::from_secs(secs)
    }

    fn history() -> RotationHistory {
        RotationHistory::load(Arc::new(NullIdentityStore)).expect("nothing to read")
    }

    fn token(history: &RotationHistory) -> Arc<NewestToken> {
        history.client(&VendorId::parse("acme").expect("an id"), &ClientId::new("c"))
    }

    #[test]
    fn an_older_token_passes_for_the_grace_and_never_again() {
        let token = token(&history());
        let check = |issued, now| token.check(secs(issued), GRACE, secs(now)).is_ok();
        assert!(check(100, 1000));
        assert!(check(200, 2000), "the client moves on");
        assert!(check(100, 2119));
        assert!(!check(100, 2120));
        assert!(check(300, 3000), "and on again");
        assert!(check(200, 3119), "the one before has its own grace");
        assert!(!check(100, 3001), "but the first one's is not begun again");
        assert!(!check(200, 3120));
        assert!(check(300, 999_999));
    }

    #[test]
    fn a_fresh_token_for_each_call_does_not_evade_the_grace() {
        let token = token(&history());
        assert!(token.check(secs(1), GRACE, secs(1000)).is_ok());
        for step in 1..1000_u64 {
            assert!(token.check(secs(1 + step), GRACE, secs(1000 + step)).is_ok());
            let behind = token.check(secs(step.saturating_sub(60)), GRACE, secs(1000 + step));
            assert!(step < 61 || behind.is_ok(), "a token superseded a minute ago passes at {step}");
            let first = token.check(secs(1), GRACE, secs(1000 + step));
            assert!(first.is_ok() || step >= 105, "not long before its grace: {step}");
            assert!(first.is_err() || step < 121, "never after it: {step}");
        }
        let succession = token.succession.lock().expect("not poisoned");
        assert!(succession.steps.len() <= SUPERSEDED_STEPS_MAX, "{}", succession.steps.len());
    }

    #[test]
    fn a_key_first_seen_by_a_clock_that_was_ahead_does_not_stay_new() {
        let history = history();
        assert_eq!(history.key_first_seen([7; 32], secs(4_000_000_000)), secs(4_000_000_000));
        assert_eq!(history.key_first_seen([7; 32], secs(1_800_000_000)), secs(1_800_000_000));
        assert_eq!(history.key_first_seen([7; 32], secs(1_900_000_000)), secs(1_800_000_000));
    }

    #[derive(Debug, Default)]
    struct Recorder(Mutex<Vec<RotationRecord>>);

    impl RotationStore for Recorder {
        fn load(&self) -> io::Result<Vec<RotationRecord>> {
            Ok(self.0.lock().expect("not poisoned").clone())
        }

        fn save(&self, record: RotationRecord) {
            self.0.lock().expect("not poisoned").push(record);
        }

        fn forget_key(&self, forgotten: [u8; 32]) {
            let is_other = |record: &RotationRecord| !matches!(record, RotationRecord::Key { thumbprint, .. } if *thumbprint == forgotten);
            self.0.lock().expect("not poisoned").retain(is_other);
        }
    }

    #[test]
    fn the_newest_token_and_first_sights_survive_a_restart() {
        let store = Arc::new(Recorder::default());
        let before = RotationHistory::load(Arc::clone(&store) as Arc<dyn RotationStore>).expect("empty");
        token(&before).check(secs(100), GRACE, secs(1000)).expect("first");
        token(&before).check(secs(200), GRACE, secs(1000 + 500)).expect("newer");
        assert_eq!(before.key_first_seen([7; 32], secs(5)), secs(5));
        let after = RotationHistory::load(store).expect("readable");
        assert_eq!(token(&after).check(secs(100), GRACE, secs(1619)), Ok(()));
        assert_eq!(token(&after).check(secs(100), GRACE, secs(1620)), Err(AuthError::Superseded));
        assert_eq!(token(&after).check(secs(200), GRACE, secs(9000)), Ok(()));
        assert_eq!(after.key_first_seen([7; 32], secs(9)), secs(5));
    }

    #[test]
    fn a_first_sight_dropped_for_room_is_removed_from_the_store_too() {
        let store = Arc::new(Recorder::default());
        let key = |number: usize| *blake3::hash(&number.to_le_bytes()).as_bytes();
        // A store that an older version let grow.
        for number in 0..KEY_SIGHTS_MAX + 10 {
            store.save(RotationRecord::Key { thumbprint: key(number), first_seen: secs(number as u64) });
        }
        let history = RotationHistory::load(Arc::clone(&store) as Arc<dyn RotationStore>).expect("readable");
        let newest = KEY_SIGHTS_MAX + 10;
        history.key_first_seen(key(newest), secs(newest as u64));
        assert_eq!(store.0.lock().expect("not poisoned").len(), KEY_SIGHTS_MAX);
        assert_eq!(
            history.key_first_seen(key(newest - 1), secs(1 << 40)),
            secs(newest as u64 - 1),
            "the newest are kept"
        );
    }

    proptest::proptest! {
        /// For any history: no token passes longer than the grace after a newer one was first used, and none is refused
        /// before seven eighths of it.
        #[test]
        fn the_grace_is_kept_for_any_history(events in proptest::collection::vec((0_u64..60, 0_u64..50), 1..80)) {
            let token = token(&history());
            let (mut now, mut used) = (1000, Vec::<(u64, u64)>::new());
            for (pause, issued) in events {
                now += pause;
                let newer_since = used.iter().filter(|(other, _)| *other > issued).map(|(_, at)| *at).min();
                let passes = token.check(secs(issued), GRACE, secs(now)).is_ok();
                let age = newer_since.map(|since| now - since);
                proptest::prop_assert!(!passes || age.is_none_or(|age| age < 120), "{issued} passed at {now}: {used:?}");
                proptest::prop_assert!(passes || age.is_some_and(|age| age >= 105), "{issued} refused at {now}: {used:?}");
                if passes && used.iter().all(|(other, _)| *other != issued) {
                    used.push((issued, now));
                }
            }
        }
    }
}
