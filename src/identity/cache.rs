//! Remembers which credentials were verified, so that a signature is checked once and not for each request.
//!
//! Keyed by a keyed hash of the raw token, under a key that is random for each process: no token is kept, and nobody
//! outside can find two texts that share a place. Bounded in bytes. An entry is no permission: vendor, key, dates,
//! rotation, revocation and bonds are judged again at each hit, so it holds nothing that a reload could leave stale.

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};
use zeroize::Zeroizing;

use super::verified::Verified;

/// What an entry costs at least: a common token's claims and the cache's own bookkeeping, to size its tables.
const ENTRY_BYTES_TYPICAL: u64 = 1024;

/// The place of one token in the cache.
pub(super) type Fingerprint = [u8; 16];

/// Verified credentials by fingerprint.
pub(super) struct TokenCache {
    key: Zeroizing<[u8; 32]>,
    entries: Cache<Fingerprint, Arc<Verified>, Bytes, BuildHasherDefault<FirstBytes>>,
    hits: Padded,
    misses: Padded,
}

/// How often the cache helped, and what it holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheStatus {
    /// Requests whose token was found.
    pub hits: u64,
    /// Requests whose token was not.
    pub misses: u64,
    /// Tokens held.
    pub entries: u64,
    /// Bytes held.
    pub bytes: u64,
}

impl TokenCache {
    pub(super) fn new(key: [u8; 32], bytes_max: u64) -> Self {
        let items = usize::try_from(bytes_max / ENTRY_BYTES_TYPICAL).unwrap_or(usize::MAX).max(1);
        let entries = match OptionsBuilder::new().estimated_items_capacity(items).weight_capacity(bytes_max).build() {
            Ok(options) => {
                Cache::with_options(options, Bytes, BuildHasherDefault::default(), DefaultLifecycle::default())
            }
            Err(_) => Cache::with(items, bytes_max, Bytes, BuildHasherDefault::default(), DefaultLifecycle::default()),
        };
        Self { key: Zeroizing::new(key), entries, hits: Padded::default(), misses: Padded::default() }
    }

    /// Where a credential stands; `kind` keeps credentials of different kinds apart.
    #[inline]
    pub(super) fn fingerprint(&self, kind: Kind, credential: &[u8]) -> Fingerprint {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(credential);
        hasher.update(&[kind as u8]);
        let mut fingerprint = Fingerprint::default();
        fingerprint.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        fingerprint
    }

    #[inline]
    pub(super) fn get(&self, fingerprint: &Fingerprint) -> Option<Arc<Verified>> {
        let found = self.entries.get(fingerprint);
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.0.fetch_add(1, Ordering::Relaxed);
        found
    }

    pub(super) fn insert(&self, fingerprint: Fingerprint, verified: Arc<Verified>) {
        self.entries.insert(fingerprint, verified);
    }

    pub(super) fn remove(&self, fingerprint: &Fingerprint) {
        self.entries.remove(fingerprint);
    }

    pub(super) fn status(&self) -> CacheStatus {
        CacheStatus {
            hits: self.hits.0.load(Ordering::Relaxed),
            misses: self.misses.0.load(Ordering::Relaxed),
            entries: self.entries.len() as u64,
            bytes: self.entries.weight(),
        }
    }
}

impl std::fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenCache").field("status", &self.status()).finish_non_exhaustive()
    }
}

/// What a fingerprint was taken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Token = 1,
    Certificate = 2,
    Proof = 3,
}

/// A counter alone on its cache line, so that counting does not slow the neighbours.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Padded(AtomicU64);

#[derive(Debug, Clone)]
struct Bytes;

impl Weighter<Fingerprint, Arc<Verified>> for Bytes {
    fn weight(&self, _: &Fingerprint, verified: &Arc<Verified>) -> u64 {
        verified.weight()
    }
}

/// A fingerprint is already evenly spread under a secret key: its first bytes are a hash.
#[derive(Debug, Default)]
pub(super) struct FirstBytes(u64);

impl Hasher for FirstBytes {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let mut first = [0; 8];
        let taken = bytes.len().min(8);
        first[..taken].copy_from_slice(&bytes[..taken]);
        self.0 ^= u64::from_le_bytes(first);
    }

    /// The length that arrays announce says nothing.
    fn write_usize(&mut self, _: usize) {}
}
