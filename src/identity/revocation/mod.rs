//! Revocations: tokens by id or by time of issue, and clients and signing keys until an operator lifts that.
//!
//! A revocation takes effect by one swap of a snapshot that every request reads, and is then written to disk. If it
//! cannot be written it holds all the same, and the operator gets the error. A revocation of tokens is dropped when no
//! token that it covers can still be valid; one of a client or a key never is. None is dropped earlier, whatever the
//! wall clock says: see [`Revocations::sweep`].

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::identity::error::AuthError;
use crate::identity::settings::RotationRules;
use crate::model::{Claims, ClientId, Clock, Denial, Lock as _, Moment, UnixTime, VendorId};

/// What a revocation covers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RevocationTarget {
    /// The token with this `jti`.
    Token(Arc<str>),
    /// This client, however it proves itself, with tokens of the past and of the future.
    Client(ClientId),
    /// All of the vendor's tokens that were issued before this time.
    IssuedBefore(UnixTime),
    /// All tokens that this key signed or will sign, even while the issuer publishes it.
    Key(DistrustedKey),
}

/// A signing key that is trusted no longer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DistrustedKey {
    /// Its `kid`, or its thumbprint, as the order named it.
    pub name: Arc<str>,
    /// The thumbprints (RFC 7638) of the keys that had that name, so that the key is refused under another name too.
    pub thumbprints: Vec<[u8; 32]>,
}

impl RevocationTarget {
    /// Whether both name the same token, client, key or time.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Key(mine), Self::Key(theirs)) => mine.name == theirs.name,
            (Self::Key(_), _) | (_, Self::Key(_)) => false,
            (mine, theirs) => mine == theirs,
        }
    }
}

/// One revocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// The vendor whose tokens are revoked.
    pub vendor: VendorId,
    /// What is revoked.
    pub target: RevocationTarget,
    /// When it was ordered.
    pub ordered_at: UnixTime,
    /// When it may be forgotten, from [`keep_until`]; `None` when never.
    pub keep_until: Option<UnixTime>,
    /// Why, in the operator's words.
    pub reason: String,
}

impl Revocation {
    /// Whether it revokes this of this vendor.
    pub fn is_of(&self, vendor: &VendorId, what: &RevocationTarget) -> bool {
        self.vendor == *vendor && self.target.is_same(what)
    }
}

/// Where revocations are kept; implemented by the store.
pub trait RevocationStore: Send + Sync + fmt::Debug {
    /// All revocations that hold.
    ///
    /// # Errors
    /// Whatever keeps the store from being read: the caller must then let no vendor in.
    fn load(&self) -> io::Result<Vec<Revocation>>;

    /// Saves a revocation; returns when it survives a crash. Blocks: not for a thread that serves requests.
    ///
    /// # Errors
    /// Whatever kept it from being durable.
    fn save(&self, revocation: &Revocation) -> io::Result<()>;

    /// Removes a revocation that was lifted; returns when that survives a crash. Blocks, as [`Self::save`].
    ///
    /// # Errors
    /// Whatever kept it from being durable: it may hold again after a restart.
    fn lift(&self, revocation: &Revocation) -> io::Result<()>;

    /// Removes a revocation that covers no valid token any more; best effort.
    fn forget(&self, revocation: &Revocation);
}

/// When a revocation ordered now may be dropped: after the longest lifetime that the contract allows a token. Never,
/// where the contract has no such bound, and where future tokens are meant too.
pub fn keep_until(
    what: &RevocationTarget,
    rules: &RotationRules,
    clock_skew: Duration,
    now: UnixTime,
) -> Option<UnixTime> {
    let lives = [rules.max_lifetime, rules.max_age].into_iter().flatten().min()?;
    let from = match what {
        RevocationTarget::Client(_) | RevocationTarget::Key(_) => return None,
        RevocationTarget::Token(_) => now,
        RevocationTarget::IssuedBefore(time) => now.max(*time),
    };
    // Twice the skew: the token may have been issued in our future, and expire in our past.
    Some(from.plus(lives).plus(clock_skew * 2))
}

/// One vendor's revocations, as requests read them.
#[derive(Debug, Default)]
pub struct VendorRevocations {
    tokens: HashSet<Arc<str>>,
    clients: HashSet<ClientId>,
    issued_before: UnixTime,
    keys: HashSet<Arc<str>>,
    thumbprints: HashSet<[u8; 32]>,
}

impl VendorRevocations {
    fn build<'a>(all: impl Iterator<Item = &'a Revocation>) -> Self {
        let mut built = Self::default();
        for revocation in all {
            match &revocation.target {
                RevocationTarget::Token(id) => drop(built.tokens.insert(Arc::clone(id))),
                RevocationTarget::Client(client) => drop(built.clients.insert(client.clone())),
                RevocationTarget::IssuedBefore(time) => built.issued_before = built.issued_before.max(*time),
                RevocationTarget::Key(key) => {
                    built.keys.insert(Arc::clone(&key.name));
                    built.thumbprints.extend(&key.thumbprints);
                }
            }
        }
        built
    }

    /// Checks the claims of one token.
    ///
    /// # Errors
    /// A denial when it is revoked.
    pub fn check(&self, claims: &Claims) -> Result<(), Denial> {
        self.check_claims(claims).map_err(Denial::from)
    }

    #[inline]
    pub(crate) fn check_claims(&self, claims: &Claims) -> Result<(), AuthError> {
        self.check_client(&claims.client)?;
        let by_id = !self.tokens.is_empty() && claims.token_id.as_ref().is_some_and(|id| self.tokens.contains(id));
        // A token without `iat` may have been issued before any given time.
        let issued_at = claims.issued_at.unwrap_or_default();
        let revoked = by_id || issued_at < self.issued_before || self.distrusts(claims);
        if revoked { Err(AuthError::Revoked) } else { Ok(()) }
    }

    /// Whether a client is revoked, however it proves itself.
    #[inline]
    pub(crate) fn check_client(&self, client: &ClientId) -> Result<(), AuthError> {
        let barred = !self.clients.is_empty() && self.clients.contains(client);
        if barred { Err(AuthError::Revoked) } else { Ok(()) }
    }

    /// Whether the key that signed is distrusted, by its name or by its thumbprint.
    #[inline]
    fn distrusts(&self, claims: &Claims) -> bool {
        !self.keys.is_empty()
            && (claims.key_id.as_ref().is_some_and(|key| self.keys.contains(key))
                || claims.key_thumbprint.is_some_and(|key| self.thumbprints.contains(&key)))
    }
}

/// A vendor's snapshot, shared by every directory that has the vendor.
pub(crate) type RevocationSlot = Arc<ArcSwap<VendorRevocations>>;

/// All revocations of the process.
#[derive(Debug)]
pub struct Revocations {
    store: Arc<dyn RevocationStore>,
    clock: Clock,
    state: Mutex<RevocationState>,
}

/// A revocation, and since when this process has had it, on the monotonic clock.
#[derive(Debug)]
struct HeldRevocation {
    revocation: Revocation,
    since_ns: u64,
}

impl HeldRevocation {
    fn to_revocation(&self) -> Revocation {
        self.revocation.clone()
    }

    /// Whether its time is over by the wall clock and by the monotonic clock too, so that a wrong wall clock, then or
    /// now, cannot make it end too early.
    fn is_over(&self, settled: UnixTime, now: Moment) -> bool {
        let Some(until) = self.revocation.keep_until else { return false };
        let held = u128::from(now.monotonic_ns.saturating_sub(self.since_ns));
        until <= settled && held >= until.since(self.revocation.ordered_at).as_nanos()
    }
}

#[derive(Debug, Default)]
struct RevocationState {
    all: Vec<HeldRevocation>,
    slots: HashMap<VendorId, RevocationSlot>,
}

impl RevocationState {
    fn slot(&mut self, vendor: &VendorId) -> RevocationSlot {
        Arc::clone(self.slots.entry(vendor.clone()).or_default())
    }

    fn publish(&mut self, vendor: &VendorId) {
        let all = self.all.iter().map(|entry| &entry.revocation);
        let built = VendorRevocations::build(all.filter(|revocation| revocation.vendor == *vendor));
        self.slot(vendor).store(Arc::new(built));
    }
}

impl Revocations {
    /// Starts from what the store holds.
    ///
    /// # Errors
    /// As [`RevocationStore::load`].
    pub fn load(store: Arc<dyn RevocationStore>, clock: Clock) -> io::Result<Self> {
        let since_ns = clock.now().monotonic_ns;
        let all = store.load()?.into_iter().map(|revocation| HeldRevocation { revocation, since_ns }).collect();
        let mut state = RevocationState { all, slots: HashMap::new() };
        let vendors: HashSet<VendorId> = state.all.iter().map(|entry| entry.revocation.vendor.clone()).collect();
        vendors.iter().for_each(|vendor| state.publish(vendor));
        Ok(Self { store, clock, state: Mutex::new(state) })
    }

    /// Puts a revocation in force at once, then saves it. Blocks while saving.
    ///
    /// # Errors
    /// When it could not be made durable: it holds all the same, until the process ends.
    #[cfg(test)]
    pub fn revoke(&self, revocation: Revocation) -> io::Result<()> {
        let revocation = self.put_in_force(revocation);
        self.saving(revocation)()
    }

    /// Puts a revocation in force at once; it is not yet on disk. Returns what is in force: the same revocation ordered
    /// twice lasts as long as the longer of both.
    pub fn put_in_force(&self, mut revocation: Revocation) -> Revocation {
        let since_ns = self.clock.now().monotonic_ns;
        self.with(|state| {
            for entry in
                state.all.extract_if(.., |entry| entry.revocation.is_of(&revocation.vendor, &revocation.target))
            {
                let longer = |theirs, mine| UnixTime::max(theirs, mine);
                revocation.keep_until =
                    entry.revocation.keep_until.zip(revocation.keep_until).map(|(a, b)| longer(a, b));
            }
            state.all.push(HeldRevocation { revocation: revocation.clone(), since_ns });
            state.publish(&revocation.vendor);
        });
        revocation
    }

    /// A function that writes a revocation in force to disk. It blocks: call it on a thread that may.
    ///
    /// Where it fails, the revocation holds all the same, until the process ends.
    pub fn saving(&self, revocation: Revocation) -> impl FnOnce() -> io::Result<()> + Send + use<> {
        let store = Arc::clone(&self.store);
        move || store.save(&revocation)
    }

    /// A function that removes a revocation from the store, and returns whether there was one. Call it before
    /// [`Self::lifted`], so that a crash in between does not revoke again what already passes. It blocks: call it on a
    /// thread that may.
    ///
    /// Where it fails, the revocation holds on.
    pub fn lifting(
        &self,
        vendor: &VendorId,
        what: &RevocationTarget,
    ) -> impl FnOnce() -> io::Result<bool> + Send + use<> {
        let store = Arc::clone(&self.store);
        let found = self.with(|state| {
            state.all.iter().find(|entry| entry.revocation.is_of(vendor, what)).map(HeldRevocation::to_revocation)
        });
        move || found.map_or(Ok(false), |revocation| store.lift(&revocation).map(|()| true))
    }

    /// Ends a revocation that was removed from the store.
    pub fn lifted(&self, vendor: &VendorId, what: &RevocationTarget) {
        self.with(|state| {
            state.all.retain(|entry| !entry.revocation.is_of(vendor, what));
            state.publish(vendor);
        });
    }

    /// Every revocation in force, oldest first.
    pub fn list(&self) -> Vec<Revocation> {
        self.with(|state| state.all.iter().map(HeldRevocation::to_revocation).collect())
    }

    /// Drops revocations that cover no valid token any more; to be called now and then. Returns how many.
    ///
    /// `settled` is a wall-clock time that has been confirmed for long, see [`crate::model::ConfirmedClock`]. Beside
    /// it, an entry must have been in force for its whole length on the monotonic clock of this process.
    pub fn sweep(&self, settled: UnixTime, now: Moment) -> usize {
        let over = self.with(|state| {
            let over: Vec<HeldRevocation> = state.all.extract_if(.., |entry| entry.is_over(settled, now)).collect();
            over.iter().for_each(|entry| state.publish(&entry.revocation.vendor));
            over
        });
        over.iter().for_each(|entry| self.store.forget(&entry.revocation));
        over.len()
    }

    pub(crate) fn slot(&self, vendor: &VendorId) -> RevocationSlot {
        self.with(|state| state.slot(vendor))
    }

    fn with<T>(&self, act: impl FnOnce(&mut RevocationState) -> T) -> T {
        act(&mut self.state.locked())
    }
}

impl RevocationStore for crate::identity::token::history::NullIdentityStore {
    fn load(&self) -> io::Result<Vec<Revocation>> {
        Ok(Vec::new())
    }

    fn save(&self, _: &Revocation) -> io::Result<()> {
        Ok(())
    }

    fn lift(&self, _: &Revocation) -> io::Result<()> {
        Ok(())
    }

    fn forget(&self, _: &Revocation) {}
}

#[cfg(test)]
mod tests;
