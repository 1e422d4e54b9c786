//! A verified caller, and what it was verified by.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::identity::certificate::peer::PeerCertificate;
use crate::identity::keys::jwk::VerificationKey;
use crate::identity::settings::TokenSettings;
use crate::identity::token::history::NewestToken;
use crate::model::{Caller, Claims, UnixTime};

use super::cache::Fingerprint;

/// A caller whose credentials were verified, with its vendor's index in the directory.
///
/// Valid for the request that it was returned for; the next request is checked again.
#[derive(Debug)]
pub struct VerifiedCaller {
    pub(crate) vendor_index: u32,
    /// The version of the vendor's settings under which it was verified; changed settings have another version.
    pub(crate) settings_version: u64,
    /// Those settings, for vendors with tokens: compared with newer ones when requests in flight are checked again.
    pub(crate) settings: Option<Arc<TokenSettings>>,
    pub(crate) caller: Caller,
    pub(crate) verified_by: VerifiedBy,
    /// The newest token of the client, where the contract has a rule about newer tokens.
    pub(crate) newest_token: Option<Arc<NewestToken>>,
}

/// What a caller was verified by.
#[derive(Debug)]
pub(crate) enum VerifiedBy {
    /// A signature by this key, which was in force at this generation of the issuer's keys.
    Key { key: Arc<VerificationKey>, generation: AtomicU64 },
    /// The issuer's answer about the token with this fingerprint, valid until that time.
    Introspection { token: Fingerprint, until: UnixTime },
    /// A client certificate, and its last check against authorities and revocation lists.
    Certificate { certificate: Arc<PeerCertificate>, check: CertificateCheck },
}

/// The last check of a certificate: which generation of authorities and revocation lists, and how long it is valid.
#[derive(Debug)]
pub(crate) struct CertificateCheck {
    generation: AtomicU64,
    until_ms: AtomicU64,
}

impl CertificateCheck {
    /// A check against this generation, to be repeated at `until`.
    pub(crate) fn new(generation: u64, until: UnixTime) -> Self {
        Self { generation: AtomicU64::new(generation), until_ms: AtomicU64::new(until.as_millis()) }
    }

    /// Whether the last check is still valid.
    pub(crate) fn holds(&self, generation: u64, now: UnixTime) -> bool {
        self.generation.load(Ordering::Relaxed) == generation && now.as_millis() < self.until_ms.load(Ordering::Relaxed)
    }

    /// Records a repeated check.
    pub(crate) fn renew(&self, generation: u64, until: UnixTime) {
        self.generation.store(generation, Ordering::Relaxed);
        self.until_ms.store(until.as_millis(), Ordering::Relaxed);
    }

    fn copied(&self) -> Self {
        let until = UnixTime::from_millis(self.until_ms.load(Ordering::Relaxed));
        Self::new(self.generation.load(Ordering::Relaxed), until)
    }
}

impl VerifiedCaller {
    /// The vendor's index, as the directory was given it.
    pub const fn vendor_index(&self) -> u32 {
        self.vendor_index
    }

    /// Who called.
    pub const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The token's claims; absent for vendors known by certificate alone.
    pub fn claims(&self) -> Option<&Claims> {
        self.caller.claims.as_deref()
    }

    /// From when the signing key's age counts.
    pub fn key_in_use_since(&self) -> Option<UnixTime> {
        match &self.verified_by {
            VerifiedBy::Key { key, .. } => Some(key.in_use_since),
            VerifiedBy::Introspection { .. } | VerifiedBy::Certificate { .. } => None,
        }
    }

    /// The same caller for a directory in which the vendor has another index.
    pub(crate) fn moved_to(&self, vendor_index: u32) -> Self {
        let verified_by = match &self.verified_by {
            VerifiedBy::Key { key, generation } => {
                VerifiedBy::Key { key: Arc::clone(key), generation: AtomicU64::new(generation.load(Ordering::Relaxed)) }
            }
            VerifiedBy::Introspection { token, until } => VerifiedBy::Introspection { token: *token, until: *until },
            VerifiedBy::Certificate { certificate, check } => {
                VerifiedBy::Certificate { certificate: Arc::clone(certificate), check: check.copied() }
            }
        };
        let (settings, caller, newest_token) = (self.settings.clone(), self.caller.clone(), self.newest_token.clone());
        Self { vendor_index, settings_version: self.settings_version, settings, caller, verified_by, newest_token }
    }

    /// Bytes that it takes in the cache: itself, its claims and their texts, and the cache's bookkeeping.
    pub(crate) fn weight(&self) -> u64 {
        /// Allocation headers, reference counts, the fingerprint and the cache's slot.
        const BOOKKEEPING: usize = 192;
        /// An `Arc<str>` in a boxed slice: a fat pointer, two counts and an allocation header.
        const PER_SCOPE: usize = 48;
        let claims = self.claims().map_or(0, |claims| {
            let scopes: usize = claims.scopes.iter().map(|scope| scope.as_str().len() + PER_SCOPE).sum();
            let texts = claims.client.as_str().len()
                + claims.token_id.as_ref().map_or(0, |id| id.len() + 32)
                + claims.key_id.as_ref().map_or(0, |id| id.len() + 32);
            size_of::<Claims>() + scopes + texts
        });
        let certificate = match &self.verified_by {
            VerifiedBy::Certificate { certificate, .. } => certificate.weight(),
            VerifiedBy::Key { .. } | VerifiedBy::Introspection { .. } => 0,
        };
        (size_of::<Self>() + BOOKKEEPING + claims + certificate) as u64
    }
}
