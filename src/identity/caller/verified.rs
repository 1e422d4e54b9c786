//! What a yes of the identity room is: a caller, and what the yes rests on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::identity::certificate::peer::PeerCertificate;
use crate::identity::keys::jwk::VerificationKey;
use crate::identity::settings::TokenSettings;
use crate::identity::token::history::NewestToken;
use crate::model::{Caller, Claims, UnixTime};

use super::cache::Fingerprint;

/// A caller whose credentials were verified, and the vendor's place in the directory that said so.
///
/// Good for the request it was returned for; the next request is judged anew.
#[derive(Debug)]
pub struct VerifiedCaller {
    pub(crate) vendor_index: u32,
    /// Names the settings under which it was verified: a vendor whose settings changed has another stamp.
    pub(crate) settings_version: u64,
    /// Those settings, for vendors that prove themselves by tokens: what a change of them means for what is in flight.
    pub(crate) settings: Option<Arc<TokenSettings>>,
    pub(crate) caller: Caller,
    pub(crate) verified_by: VerifiedBy,
    /// The newest token of the client, where the contract asks.
    pub(crate) newest_token: Option<Arc<NewestToken>>,
}

/// What a yes rests on.
#[derive(Debug)]
pub(crate) enum VerifiedBy {
    /// A signature by this key, which was in force at this generation of the keys.
    Key { key: Arc<VerificationKey>, generation: AtomicU64 },
    /// The issuer's word about the token at this place, until then.
    Introspection { token: Fingerprint, until: UnixTime },
    /// A certificate, and when which authorities and revocation lists judged it.
    Certificate { certificate: Arc<PeerCertificate>, judged: CertificateCheck },
}

/// When a certificate was judged last, and by which generation of authorities and revocation lists.
#[derive(Debug)]
pub(crate) struct CertificateCheck {
    generation: AtomicU64,
    until_ms: AtomicU64,
}

impl CertificateCheck {
    /// Judged by this generation, to be judged again then.
    pub(crate) fn new(generation: u64, until: UnixTime) -> Self {
        Self { generation: AtomicU64::new(generation), until_ms: AtomicU64::new(until.as_millis()) }
    }

    /// Whether the last judgement still holds.
    pub(crate) fn holds(&self, generation: u64, now: UnixTime) -> bool {
        self.generation.load(Ordering::Relaxed) == generation && now.as_millis() < self.until_ms.load(Ordering::Relaxed)
    }

    /// Judged once more.
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

    /// How old the token is; for metrics.
    pub fn token_age(&self, now: UnixTime) -> Option<Duration> {
        self.claims()?.issued_at.map(|issued| now.since(issued))
    }

    /// From when the signing key's age counts.
    pub fn key_in_use_since(&self) -> Option<UnixTime> {
        match &self.verified_by {
            VerifiedBy::Key { key, .. } => Some(key.in_use_since),
            VerifiedBy::Introspection { .. } | VerifiedBy::Certificate { .. } => None,
        }
    }

    /// The same yes for a directory in which the vendor has another place.
    pub(crate) fn moved_to(&self, vendor_index: u32) -> Self {
        let basis = match &self.verified_by {
            VerifiedBy::Key { key, generation } => {
                VerifiedBy::Key { key: Arc::clone(key), generation: AtomicU64::new(generation.load(Ordering::Relaxed)) }
            }
            VerifiedBy::Introspection { token, until } => VerifiedBy::Introspection { token: *token, until: *until },
            VerifiedBy::Certificate { certificate, judged } => {
                VerifiedBy::Certificate { certificate: Arc::clone(certificate), judged: judged.copied() }
            }
        };
        let (terms, caller, mark) = (self.settings.clone(), self.caller.clone(), self.newest_token.clone());
        Self {
            vendor_index,
            settings_version: self.settings_version,
            settings: terms,
            caller,
            verified_by: basis,
            newest_token: mark,
        }
    }

    /// Bytes that remembering it costs: itself, its claims and their texts, and the cache's bookkeeping.
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
