//! The state of identity that lives as long as the process, and from which each config's [`Directory`] is built.
//!
//! A reload makes a new directory. Keys, verified callers, the newest tokens and revocations stay, so that a vendor
//! whose contract did not change notices nothing. Never decides about a request.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, Weak};

use dashmap::DashMap;

use crate::bounds::TOKEN_CACHE_BYTES_MAX;
use crate::identity::caller::cache::{CacheStatus, TokenCache};
use crate::identity::directory::{self, Directory, DirectoryError, IdentityContract};
use crate::identity::introspection::Introspector;
use crate::identity::keys::issuer_keys::{IssuerKeys, IssuerKeysId};
use crate::identity::replay::ReplayCache;
use crate::identity::revocation::{RevocationStore, Revocations};
use crate::identity::settings::{IdentitySettings, IntrospectionSettings};
use crate::identity::token::history::{NullIdentityStore, RotationHistory, RotationStore};
use crate::model::{Clock, Lock as _, VendorId};

/// The state that a reload must not lose: one for each process.
#[derive(Debug)]
pub struct IdentityState {
    pub(crate) clock: Clock,
    pub(crate) cache: Arc<TokenCache>,
    pub(crate) history: Arc<RotationHistory>,
    pub(crate) revocations: Arc<Revocations>,
    issuer_keys: Mutex<Vec<Weak<IssuerKeys>>>,
    introspectors: Mutex<Vec<Weak<Introspector>>>,
    /// Used proofs and messages by vendor, kept over reloads so that none can be used again.
    replays: DashMap<VendorId, Arc<ReplayCache>>,
    settings_versions: Mutex<SettingsVersions>,
}

#[derive(Debug, Default)]
struct SettingsVersions {
    last: u64,
    known: HashMap<VendorId, (IdentitySettings, u64)>,
}

impl IdentityState {
    /// Opens with what the stores hold.
    ///
    /// # Errors
    /// When a store cannot be read: no vendor may then be let in. Or when the machine has no randomness.
    pub fn open(
        clock: Clock,
        history: Arc<dyn RotationStore>,
        revocations: Arc<dyn RevocationStore>,
    ) -> io::Result<Self> {
        Self::with_cache(clock, history, revocations, TOKEN_CACHE_BYTES_MAX)
    }

    /// Does [`Self::open`] with a cache of at most so many bytes of verified callers.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn with_cache(
        clock: Clock,
        history: Arc<dyn RotationStore>,
        revocations: Arc<dyn RevocationStore>,
        cache_bytes_max: u64,
    ) -> io::Result<Self> {
        let cache = TokenCache::new(cache_bytes_max).map_err(|_| io::Error::other("no randomness"))?;
        Ok(Self {
            cache: Arc::new(cache),
            history: Arc::new(RotationHistory::load(history)?),
            revocations: Arc::new(Revocations::load(revocations, clock.clone())?),
            issuer_keys: Mutex::default(),
            introspectors: Mutex::default(),
            clock,
            replays: DashMap::new(),
            settings_versions: Mutex::default(),
        })
    }

    /// Keeps nothing beyond the process: for tests, `explain` and the demo.
    ///
    /// # Errors
    /// When the machine has no randomness.
    pub fn in_memory(clock: Clock) -> io::Result<Self> {
        Self::open(clock, Arc::new(NullIdentityStore), Arc::new(NullIdentityStore))
    }

    /// Builds the directory of a config. Reads key files at once; asks no issuer: see [`Directory::start`].
    ///
    /// # Errors
    /// Every contradiction between the contracts' identity sections.
    pub fn directory(&self, contracts: Vec<IdentityContract>) -> Result<Directory, Vec<DirectoryError>> {
        directory::build(self, contracts)
    }

    /// Revocations, to add to and to list.
    pub const fn revocations(&self) -> &Arc<Revocations> {
        &self.revocations
    }

    /// The state of the cache of verified callers.
    pub fn cache_status(&self) -> CacheStatus {
        self.cache.status()
    }

    /// The keys of this source: those in use, or a new set that is still empty.
    pub(crate) fn issuer_keys(&self, id: IssuerKeysId) -> Arc<IssuerKeys> {
        let mut known = self.issuer_keys.locked();
        known.retain(|keys| keys.strong_count() > 0);
        if let Some(keys) = known.iter().filter_map(Weak::upgrade).find(|keys| keys.id == id) {
            return keys;
        }
        let keys = Arc::new(IssuerKeys::new(id, self.clock.clone(), Arc::clone(&self.history)));
        known.push(Arc::downgrade(&keys));
        keys
    }

    /// The introspector for this issuer: the one in use, or a new one.
    pub(crate) fn introspector(&self, id: &IssuerKeysId, settings: &IntrospectionSettings) -> Arc<Introspector> {
        let mut introspectors = self.introspectors.locked();
        introspectors.retain(|one| one.strong_count() > 0);
        if let Some(one) = introspectors.iter().filter_map(Weak::upgrade).find(|one| one.id == *id) {
            return one;
        }
        let one = Arc::new(Introspector::new(id.clone(), settings.clone(), self.clock.clone()));
        introspectors.push(Arc::downgrade(&one));
        one
    }

    /// The vendor's used proofs and messages.
    pub(crate) fn replays(&self, vendor: &VendorId) -> Arc<ReplayCache> {
        let fresh = || Arc::new(ReplayCache::since(self.clock.now().monotonic_ns));
        Arc::clone(&self.replays.entry(vendor.clone()).or_insert_with(fresh))
    }

    /// The version of a vendor's settings: the same as before if and only if the settings are.
    pub(crate) fn settings_version(&self, vendor: &VendorId, identity: &IdentitySettings) -> u64 {
        let mut versions = self.settings_versions.locked();
        if let Some((known, version)) = versions.known.get(vendor)
            && known == identity
        {
            return *version;
        }
        versions.last += 1;
        let version = versions.last;
        versions.known.insert(vendor.clone(), (identity.clone(), version));
        version
    }
}
