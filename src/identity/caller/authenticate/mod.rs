//! Decides who a request comes from: a verified caller, or a refusal. Synchronous: never fetches and never waits.
//!
//! A token that was seen before costs one keyed hash and one lookup. Its signature is not checked again, but everything
//! that can change is: vendor, key, dates, rotation, revocation and sender binding. A token that was not seen before is
//! first read without trust, only to find its vendor by issuer and client, and is then verified with that vendor's keys
//! and algorithms only.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::identity::directory::{Directory, TokenVendor};
use crate::identity::error::AuthError;
use crate::identity::introspection::{IntrospectionWait, Introspector};
use crate::identity::keys::issuer_keys::KeyWait;
use crate::identity::token::credentials::{self, Credentials, PresentedRequest};
use crate::identity::token::jwt::{self, UnverifiedToken};
use crate::identity::token::{claims, dpop, rotation};
use crate::model::{Denial, Moment};

use super::cache::{Fingerprint, FingerprintKind};
use super::issuer_clients::IssuerClients;
use super::verified::{VerifiedBy, VerifiedCaller};

/// A refusal, the vendor that it counts for, and whether a second try after a wait may pass.
#[derive(Debug)]
pub struct Rejected {
    /// Why the request was refused.
    pub denial: Denial,
    /// The vendor whose contract refused it. For a token that failed before or at its signature this is only the vendor
    /// that the token claims to be from: good for counting, not for punishing.
    pub vendor_index: Option<u32>,
    /// What the caller may await, with a deadline, before it calls [`Directory::authenticate`] once more.
    pub wait: Option<AuthWait>,
}

/// Work in the background that may make a second try pass: a fetch of keys, or a question about an opaque token.
#[derive(Debug)]
pub struct AuthWait(AuthWaitKind);

#[derive(Debug)]
enum AuthWaitKind {
    Keys(KeyWait),
    Token(IntrospectionWait),
}

impl AuthWait {
    /// Returns when that work has ended, well or not, or after the deadline.
    pub async fn settled(self, deadline: Duration) {
        match self.0 {
            AuthWaitKind::Keys(wait) => wait.settled(deadline).await,
            AuthWaitKind::Token(wait) => wait.settled(deadline).await,
        }
    }
}

impl From<Rejected> for Denial {
    fn from(rejected: Rejected) -> Self {
        rejected.denial
    }
}

impl Rejected {
    fn new(error: AuthError, vendor_index: Option<u32>) -> Self {
        Self { denial: error.into(), vendor_index, wait: None }
    }
}

impl Directory {
    /// Finds out who the caller is.
    ///
    /// # Errors
    /// A denial, with its vendor where one is known. Where `wait` is present, the caller may await it before anything
    /// else has been decided, and then try once more.
    pub fn authenticate(&self, presented: &PresentedRequest<'_>, now: Moment) -> Result<Arc<VerifiedCaller>, Rejected> {
        let credentials = credentials::read(presented).map_err(|error| Rejected::new(error, None))?;
        let Some(credentials) = credentials else { return self.authenticate_certificate(presented, now) };
        let fingerprint = self.cache.fingerprint(FingerprintKind::Token, credentials.token);
        let fingerprint = fingerprint.map_err(|error| Rejected::new(error, None))?;
        let request = AuthRequest { presented, credentials, now };
        if let Some(known) = self.cache.get(&fingerprint)
            && let Some(recalled) = self.recheck_cached(&fingerprint, known, now)
        {
            return self.check_current(&fingerprint, recalled, &request);
        }
        self.verify(&fingerprint, &request)
    }

    /// Without a token only a certificate can say who the caller is.
    fn authenticate_certificate(
        &self,
        presented: &PresentedRequest<'_>,
        now: Moment,
    ) -> Result<Arc<VerifiedCaller>, Rejected> {
        let nobody = || Rejected::new(AuthError::NoCredentials, None);
        let certificate = presented.peer_certificate.ok_or_else(nobody)?;
        let vendor = self.by_certificate(certificate).ok_or_else(nobody)?;
        let fingerprint = self.cache.fingerprint(FingerprintKind::Certificate, certificate.thumbprint());
        let fingerprint = fingerprint.map_err(|error| Rejected::new(error, None))?;
        vendor.check_revoked().map_err(|error| Rejected::new(error, Some(vendor.index)))?;
        let known = self.cache.get(&fingerprint);
        if let Some(known) = known.filter(|known| vendor.is_current(known, certificate, now.wall)) {
            return Ok(known);
        }
        let verified = vendor.verify(certificate, now).map_err(|error| Rejected::new(error, Some(vendor.index)))?;
        let verified = Arc::new(verified);
        self.cache.insert(fingerprint, Arc::clone(&verified));
        Ok(verified)
    }

    /// Returns a cached result only if its vendor's settings and its key are still the ones in force.
    #[inline]
    fn recheck_cached(
        &self,
        fingerprint: &Fingerprint,
        known: Arc<VerifiedCaller>,
        now: Moment,
    ) -> Option<(&TokenVendor, Arc<VerifiedCaller>)> {
        let vendor = self.vendor(known.vendor_index).filter(|vendor| vendor.settings_version == known.settings_version);
        let (vendor, known) = match vendor {
            Some(vendor) => (vendor, known),
            None => self.find_after_reload(fingerprint, &known)?,
        };
        let holds = match &known.verified_by {
            VerifiedBy::Key { key, generation } => {
                let present = vendor.issuer_keys.check_in_force(key, generation.load(Ordering::Relaxed), now);
                present.map(|present| generation.store(present, Ordering::Relaxed)).is_ok()
            }
            VerifiedBy::Introspection { until, .. } => now.wall < *until,
            // A token never finds this entry: certificates have fingerprints of another kind.
            VerifiedBy::Certificate { .. } => false,
        };
        if holds { Some((vendor, known)) } else { None }
    }

    /// After a reload the same vendor, with unchanged settings, may have another index.
    #[cold]
    fn find_after_reload(
        &self,
        fingerprint: &Fingerprint,
        known: &VerifiedCaller,
    ) -> Option<(&Arc<TokenVendor>, Arc<VerifiedCaller>)> {
        let index = self.index_of(&known.caller.vendor)?;
        let vendor = self.vendor(index).filter(|vendor| vendor.settings_version == known.settings_version)?;
        let moved = Arc::new(known.moved_to(index));
        self.cache.insert(*fingerprint, Arc::clone(&moved));
        Some((vendor, moved))
    }

    #[cold]
    fn verify(&self, fingerprint: &Fingerprint, request: &AuthRequest<'_>) -> Result<Arc<VerifiedCaller>, Rejected> {
        let unknown = |error| Rejected::new(error, None);
        let text = request.credentials.text(self.token_bytes_max).map_err(unknown)?;
        if let Some(introspector) = self.introspector(text) {
            return self.introspect(introspector, text, fingerprint, request);
        }
        let token = jwt::read(text).map_err(unknown)?;
        let issuer = self.issuer_of(&token).map_err(unknown)?;
        let Some(entry) = issuer.find(&token.payload).map_err(unknown)? else {
            return Err(self.reject_stranger(issuer, &token, request.now));
        };
        let vendor = self.vendor(entry.vendor).ok_or_else(|| unknown(AuthError::VendorUnknown))?;
        let verified = vendor.verify(entry, &token, request.now)?;
        self.cache_verified(fingerprint, vendor, verified, request)
    }

    /// A client that no contract names is refused as unknown only if the issuer really signed its token. A forged token
    /// gets the same answer for every client, so that it cannot be used to find out who our vendors are.
    fn reject_stranger(&self, issuer: &IssuerClients, token: &UnverifiedToken<'_>, now: Moment) -> Rejected {
        let signed = self.vendor(issuer.any_vendor).map(|vendor| vendor.verify_signature(token, now).err());
        match signed.flatten() {
            Some(rejected) => Rejected { vendor_index: None, ..rejected },
            None => Rejected::new(AuthError::VendorUnknown, None),
        }
    }

    /// Decides about an opaque token by the issuer's cached answer, or offers to ask the issuer.
    fn introspect(
        &self,
        introspector: &Arc<Introspector>,
        text: &str,
        fingerprint: &Fingerprint,
        request: &AuthRequest<'_>,
    ) -> Result<Arc<VerifiedCaller>, Rejected> {
        let unknown = |error| Rejected::new(error, None);
        let Some(answer) = introspector.cached(fingerprint, request.now) else {
            let wait = introspector.wait_for_token(*fingerprint, text, request.now);
            return Err(Rejected {
                wait: wait.map(|wait| AuthWait(AuthWaitKind::Token(wait))),
                ..unknown(AuthError::IssuerSilent)
            });
        };
        let (payload, until) = answer.claims().map_err(unknown)?;
        let issuer = self.issuer(&introspector.id.issuer).ok_or_else(|| unknown(AuthError::VendorUnknown))?;
        let entry = issuer.find(&payload).map_err(unknown)?.ok_or_else(|| unknown(AuthError::VendorUnknown))?;
        let vendor = self.vendor(entry.vendor).filter(|vendor| vendor.issuer_keys.id == introspector.id);
        let vendor = vendor.ok_or_else(|| unknown(AuthError::VendorUnknown))?;
        let claims = claims::read(&payload, vendor.settings.wanted_of_answer(), None);
        let claims = claims.map_err(|error| Rejected::new(error, Some(vendor.index)))?;
        let newest = vendor.newest_token(entry, &payload, request.now);
        let verified = vendor.verified(claims, VerifiedBy::Introspection { token: *fingerprint, until }, newest);
        self.cache_verified(fingerprint, vendor, verified, request)
    }

    fn cache_verified(
        &self,
        fingerprint: &Fingerprint,
        vendor: &TokenVendor,
        verified: VerifiedCaller,
        request: &AuthRequest<'_>,
    ) -> Result<Arc<VerifiedCaller>, Rejected> {
        // An expired token would only take room in the cache.
        if let Some(claims) = verified.claims() {
            rotation::check_dates(claims, vendor.settings.clock_skew, request.now.wall)
                .map_err(|error| Rejected::new(error, Some(vendor.index)))?;
        }
        let verified = Arc::new(verified);
        self.cache.insert(*fingerprint, Arc::clone(&verified));
        self.check_current(fingerprint, (vendor, verified), request)
    }

    /// The checks that are made on every request. The rule about newer tokens comes last: only a token that passes
    /// everything else may supersede others.
    #[inline]
    fn check_current(
        &self,
        fingerprint: &Fingerprint,
        (vendor, verified): (&TokenVendor, Arc<VerifiedCaller>),
        request: &AuthRequest<'_>,
    ) -> Result<Arc<VerifiedCaller>, Rejected> {
        match vendor.check_current(&verified, request, &self.cache) {
            Ok(()) => Ok(verified),
            Err(error) => {
                if error == AuthError::Expired {
                    self.cache.remove(fingerprint);
                }
                Err(Rejected::new(error, Some(vendor.index)))
            }
        }
    }
}

/// A request, its credentials, and the time at which it is decided about.
struct AuthRequest<'a> {
    presented: &'a PresentedRequest<'a>,
    credentials: Credentials<'a>,
    now: Moment,
}

impl<'a> AuthRequest<'a> {
    fn expected(&self, key_thumbprint: &'a [u8; 32]) -> dpop::ExpectedProof<'a> {
        dpop::ExpectedProof { presented: self.presented, credentials: self.credentials, key_thumbprint, now: self.now }
    }
}

mod vendor;

#[cfg(test)]
mod issuers;
#[cfg(test)]
mod rechecks;
#[cfg(test)]
mod sender_binding;
#[cfg(test)]
mod tests;
