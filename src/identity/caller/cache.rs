//! The cache of verified callers: a signature is checked once per token, not once per request.
//!
//! An entry is found by a keyed hash of the raw token. The key is random for each process, so no token is stored and an
//! attacker cannot construct two tokens that share an entry. The hash is GMAC, and its tags never leave the process: as
//! a secret universal hash of 128 bits it gives two chosen texts of a token's length the same tag with a probability
//! below 2^-118, and the processor computes it at several bytes a cycle, where a cryptographic hash would be most of
//! what a hit costs. The cache is bounded in bytes. An entry is no permission: vendor, key, dates, rotation, revocation
//! and sender binding are checked again at each hit, so an entry cannot go stale by a reload.

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};
use zeroize::Zeroizing;

use crate::identity::error::AuthError;
use crate::model::debug_fields;

use super::verified::VerifiedCaller;

/// Bytes of an entry with a common token's claims, used to choose the size of the cache's tables.
const ENTRY_BYTES_TYPICAL: u64 = 1024;

/// The keyed hash of a credential: its key in the cache.
pub(crate) type Fingerprint = [u8; 16];

/// Verified callers by the fingerprint of their credentials.
pub(crate) struct TokenCache {
    key: LessSafeKey,
    entries: Cache<Fingerprint, Arc<VerifiedCaller>, VerifiedWeight, BuildHasherDefault<FingerprintHasher>>,
    hits: PaddedCounter,
    misses: PaddedCounter,
}

/// How often the cache had an entry, and how much it holds.
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
    /// An empty cache under a random key.
    ///
    /// # Errors
    /// When the machine has no randomness.
    pub(crate) fn new(bytes_max: u64) -> Result<Self, Unspecified> {
        let mut key = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(&mut *key)?;
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*key)?);
        let items = usize::try_from(bytes_max / ENTRY_BYTES_TYPICAL).unwrap_or(usize::MAX).max(1);
        let entries = match OptionsBuilder::new().estimated_items_capacity(items).weight_capacity(bytes_max).build() {
            Ok(options) => {
                Cache::with_options(options, VerifiedWeight, BuildHasherDefault::default(), DefaultLifecycle::default())
            }
            Err(_) => Cache::with(
                items,
                bytes_max,
                VerifiedWeight,
                BuildHasherDefault::default(),
                DefaultLifecycle::default(),
            ),
        };
        Ok(Self { key, entries, hits: PaddedCounter::default(), misses: PaddedCounter::default() })
    }

    /// The fingerprint of a credential; equal bytes of another `kind` have another one.
    ///
    /// # Errors
    /// When the library refuses, which it does not for texts of a token's length. The credential is refused then; no
    /// two credentials ever share an entry.
    #[inline]
    pub(crate) fn fingerprint(&self, kind: FingerprintKind, credential: &[u8]) -> Result<Fingerprint, AuthError> {
        let nonce = Nonce::assume_unique_for_key([kind as u8; NONCE_LEN]);
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::from(credential), &mut []);
        let tag = tag.map_err(|_| AuthError::TooLong)?;
        tag.as_ref().try_into().map_err(|_| AuthError::TooLong)
    }

    #[inline]
    pub(crate) fn get(&self, fingerprint: &Fingerprint) -> Option<Arc<VerifiedCaller>> {
        let found = self.entries.get(fingerprint);
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.0.fetch_add(1, Ordering::Relaxed);
        found
    }

    pub(crate) fn insert(&self, fingerprint: Fingerprint, verified: Arc<VerifiedCaller>) {
        self.entries.insert(fingerprint, verified);
    }

    pub(crate) fn remove(&self, fingerprint: &Fingerprint) {
        self.entries.remove(fingerprint);
    }

    /// Whether `is_it` holds for any cached caller. Reads all of them: not for the path of a request.
    pub(crate) fn holds(&self, is_it: impl Fn(&VerifiedCaller) -> bool) -> bool {
        self.entries.iter().any(|(_, verified)| is_it(&verified))
    }

    pub(crate) fn status(&self) -> CacheStatus {
        CacheStatus {
            hits: self.hits.0.load(Ordering::Relaxed),
            misses: self.misses.0.load(Ordering::Relaxed),
            entries: self.entries.len() as u64,
            bytes: self.entries.weight(),
        }
    }
}

debug_fields!(TokenCache: hits, misses);

/// What kind of bytes a fingerprint was taken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FingerprintKind {
    Token = 1,
    Certificate = 2,
    Proof = 3,
    Secret = 4,
}

/// A counter on a cache line of its own, so that a write to it does not slow reads of the fields beside it.
#[derive(Debug, Default)]
#[repr(align(64))]
struct PaddedCounter(AtomicU64);

#[derive(Debug, Clone)]
struct VerifiedWeight;

impl Weighter<Fingerprint, Arc<VerifiedCaller>> for VerifiedWeight {
    fn weight(&self, _: &Fingerprint, verified: &Arc<VerifiedCaller>) -> u64 {
        verified.weight()
    }
}

/// Uses the first bytes of a fingerprint as its hash: they are already evenly spread under a secret key.
#[derive(Debug, Default)]
pub(crate) struct FingerprintHasher(u64);

impl Hasher for FingerprintHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let mut first = [0; 8];
        let taken = bytes.len().min(8);
        first[..taken].copy_from_slice(&bytes[..taken]);
        self.0 ^= u64::from_le_bytes(first);
    }

    /// Arrays write their length first; it is always the same here.
    fn write_usize(&mut self, _: usize) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_of_one_text_only_and_differs_by_kind_and_process() {
        let cache = TokenCache::new(1 << 20).expect("randomness");
        let place = |text: &[u8]| cache.fingerprint(FingerprintKind::Token, text).expect("short");
        let long = vec![b'a'; crate::bounds::TOKEN_BYTES_MAX];
        let texts: Vec<&[u8]> = (0..long.len()).step_by(7).map(|end| &long[..end]).collect();
        let places: std::collections::BTreeSet<_> = texts.iter().map(|text| place(text)).collect();
        assert_eq!(places.len(), texts.len(), "a text and its extension differ");
        assert_eq!(place(b"abc"), place(b"abc"));
        assert_ne!(Ok(place(b"abc")), cache.fingerprint(FingerprintKind::Certificate, b"abc"));
        assert_ne!(
            Ok(place(b"abc")),
            TokenCache::new(1).expect("randomness").fingerprint(FingerprintKind::Token, b"abc")
        );
    }
}
