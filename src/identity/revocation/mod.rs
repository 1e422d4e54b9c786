//! Revoked tokens: by id, by client, or all that were issued before a time.
//!
//! Effective with one swap of a snapshot that every request reads, then made durable; a revocation that could not be
//! saved still holds, and whoever asked for it is told. An entry leaves by itself when no token that it covers can
//! still be valid. Never forgets one earlier.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::model::{Claims, ClientId, Denial, UnixTime, VendorId};

use super::Rotation;
use super::flaw::Flaw;

/// What a revocation covers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Revoked {
    /// The token with this `jti`.
    Token(Arc<str>),
    /// This client's tokens that were issued up to the moment of the revocation.
    Client(ClientId),
    /// All of the vendor's tokens that were issued before this time.
    IssuedBefore(UnixTime),
}

/// One revocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// Whose tokens.
    pub vendor: VendorId,
    /// Which of them.
    pub what: Revoked,
    /// When it was ordered.
    pub at: UnixTime,
    /// When it may be forgotten, from [`keep_until`]; `None` when never.
    pub until: Option<UnixTime>,
    /// Why, in the operator's words.
    pub reason: String,
}

/// Makes revocations durable; implemented by the store.
pub trait RevocationStore: Send + Sync + fmt::Debug {
    /// All revocations that hold.
    ///
    /// # Errors
    /// Whatever keeps the store from being read: the caller must then let no vendor in.
    fn load(&self) -> io::Result<Vec<Revocation>>;

    /// Saves one; returns when it survives a crash. Blocks: not for a thread that serves requests.
    ///
    /// # Errors
    /// Whatever kept it from being durable.
    fn save(&self, revocation: &Revocation) -> io::Result<()>;

    /// Forgets one that no token can fall under any more; best effort.
    fn forget(&self, revocation: &Revocation);
}

/// When a revocation ordered now may be forgotten: after the longest life that the contract lets a token have. Never,
/// where it sets no bound.
pub fn keep_until(what: &Revoked, rules: &Rotation, clock_skew: Duration, now: UnixTime) -> Option<UnixTime> {
    let lives = [rules.max_lifetime, rules.max_age].into_iter().flatten().min()?;
    let from = match what {
        Revoked::Token(_) | Revoked::Client(_) => now,
        Revoked::IssuedBefore(time) => now.max(*time),
    };
    // Twice the skew: the token may have been issued in our future, and expire in our past.
    Some(from.plus(lives).plus(clock_skew * 2))
}

/// One vendor's revocations, as requests read them.
#[derive(Debug, Default)]
pub struct VendorRevocations {
    tokens: HashMap<Arc<str>, ()>,
    clients: HashMap<ClientId, UnixTime>,
    issued_before: UnixTime,
}

impl VendorRevocations {
    fn build<'a>(all: impl Iterator<Item = &'a Revocation>) -> Self {
        let mut built = Self::default();
        for revocation in all {
            match &revocation.what {
                Revoked::Token(id) => drop(built.tokens.insert(Arc::clone(id), ())),
                Revoked::Client(client) => {
                    let at = built.clients.entry(client.clone()).or_default();
                    *at = (*at).max(revocation.at);
                }
                Revoked::IssuedBefore(time) => built.issued_before = built.issued_before.max(*time),
            }
        }
        built
    }

    /// Judges one token.
    ///
    /// # Errors
    /// A denial when it is revoked.
    pub fn check(&self, claims: &Claims) -> Result<(), Denial> {
        self.covers(claims).map_err(Denial::from)
    }

    #[inline]
    pub(super) fn covers(&self, claims: &Claims) -> Result<(), Flaw> {
        let by_id = !self.tokens.is_empty() && claims.token_id.as_ref().is_some_and(|id| self.tokens.contains_key(id));
        let by_client =
            !self.clients.is_empty() && self.clients.get(&claims.client).is_some_and(|at| claims.issued_at <= *at);
        let revoked = by_id || by_client || claims.issued_at < self.issued_before;
        if revoked { Err(Flaw::Revoked) } else { Ok(()) }
    }
}

/// A vendor's snapshot, shared by every directory that knows the vendor.
pub(super) type Slot = Arc<ArcSwap<VendorRevocations>>;

/// All revocations of the process.
#[derive(Debug)]
pub struct Revocations {
    store: Arc<dyn RevocationStore>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    all: Vec<Revocation>,
    slots: HashMap<VendorId, Slot>,
}

impl State {
    fn slot(&mut self, vendor: &VendorId) -> Slot {
        Arc::clone(self.slots.entry(vendor.clone()).or_default())
    }

    fn publish(&mut self, vendor: &VendorId) {
        let built = VendorRevocations::build(self.all.iter().filter(|revocation| revocation.vendor == *vendor));
        self.slot(vendor).store(Arc::new(built));
    }
}

impl Revocations {
    /// Starts from what the store holds.
    ///
    /// # Errors
    /// As [`RevocationStore::load`].
    pub fn load(store: Arc<dyn RevocationStore>) -> io::Result<Self> {
        let mut state = State { all: store.load()?, slots: HashMap::new() };
        let vendors: Vec<VendorId> = state.all.iter().map(|revocation| revocation.vendor.clone()).collect();
        vendors.iter().for_each(|vendor| state.publish(vendor));
        Ok(Self { store, state: Mutex::new(state) })
    }

    /// Puts a revocation in force at once, then saves it. Blocks while saving.
    ///
    /// # Errors
    /// When it could not be made durable: it holds all the same, until the process ends.
    pub fn revoke(&self, revocation: Revocation) -> io::Result<()> {
        self.with(|state| {
            if !state.all.contains(&revocation) {
                state.all.push(revocation.clone());
            }
            state.publish(&revocation.vendor);
        });
        self.store.save(&revocation)
    }

    /// Every revocation in force, oldest first.
    pub fn list(&self) -> Vec<Revocation> {
        self.with(|state| state.all.clone())
    }

    /// Forgets what no token can fall under any more; to be called now and then. Returns how many.
    pub fn sweep(&self, now: UnixTime) -> usize {
        let over = self.with(|state| {
            let all = std::mem::take(&mut state.all);
            let (over, kept): (Vec<_>, Vec<_>) =
                all.into_iter().partition(|one| one.until.is_some_and(|until| until <= now));
            state.all = kept;
            over.iter().for_each(|revocation| state.publish(&revocation.vendor));
            over
        });
        over.iter().for_each(|revocation| self.store.forget(revocation));
        over.len()
    }

    pub(super) fn slot(&self, vendor: &VendorId) -> Slot {
        self.with(|state| state.slot(vendor))
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl RevocationStore for super::Forgetful {
    fn load(&self) -> io::Result<Vec<Revocation>> {
        Ok(Vec::new())
    }

    fn save(&self, _: &Revocation) -> io::Result<()> {
        Ok(())
    }

    fn forget(&self, _: &Revocation) {}
}

#[cfg(test)]
mod tests;
