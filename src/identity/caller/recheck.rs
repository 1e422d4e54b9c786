//! Checks requests in flight again: whether the credentials that admitted them would still be accepted now.
//!
//! A long response or a WebSocket can last much longer than the checks at its start. This makes the checks that a new
//! request with the same credentials would meet, as far as they can be made without the token itself: contract, client,
//! key, dates, revocation. Two checks are left out on purpose. A newer token of the same client does not end what an
//! older one began. And the issuer is not asked again about an opaque token, since the token is not kept; but if a new
//! request with that token made the issuer answer that it is inactive, what runs on it ends too. Never fetches, never
//! waits.

use std::sync::atomic::Ordering;

use crate::identity::directory::{Directory, TokenVendor};
use crate::identity::error::AuthError;
use crate::identity::settings::{KeySource, SenderBinding, TokenSettings};
use crate::identity::token::rotation;
use crate::identity::webhook::SecretFingerprint;
use crate::model::{Denial, Moment, VendorId};

use super::verified::{VerifiedBy, VerifiedCaller};

impl Directory {
    /// Whether a request that was admitted by a token or a certificate may continue.
    ///
    /// # Errors
    /// The denial that it has lost its ground for.
    pub fn recheck(&self, verified: &VerifiedCaller, now: Moment) -> Result<(), Denial> {
        self.check_still_valid(verified, now).map_err(Denial::from)
    }

    /// Whether a request that was admitted by a webhook signature may continue.
    ///
    /// # Errors
    /// The denial that it has lost its ground for.
    pub fn recheck_signed(&self, vendor: &VendorId, signed: &SecretFingerprint) -> Result<(), Denial> {
        let webhook = self.webhooks().iter().find(|webhook| webhook.vendor() == vendor);
        webhook
            .ok_or(AuthError::TermsChanged)
            .and_then(|webhook| webhook.check_still_valid(signed))
            .map_err(Denial::from)
    }

    fn check_still_valid(&self, verified: &VerifiedCaller, now: Moment) -> Result<(), AuthError> {
        let id = &verified.caller.vendor;
        match &verified.verified_by {
            VerifiedBy::Certificate { .. } => {
                self.certified.get(id).ok_or(AuthError::TermsChanged)?.check_still_valid(verified, now)
            }
            VerifiedBy::Key { .. } | VerifiedBy::Introspection { .. } => {
                let vendor = self.index_of(id).and_then(|index| self.vendor(index));
                vendor.ok_or(AuthError::TermsChanged)?.check_still_valid(verified, self, now)
            }
        }
    }

    /// Whether the vendor's contract still has the client.
    fn names(&self, vendor: &TokenVendor, client: &str) -> bool {
        let issuer = self.issuer(&vendor.settings.issuer);
        issuer.is_some_and(|issuer| issuer.has(&vendor.settings.claims.client, client, vendor.index))
    }
}

impl TokenVendor {
    fn check_still_valid(
        &self,
        verified: &VerifiedCaller,
        directory: &Directory,
        now: Moment,
    ) -> Result<(), AuthError> {
        let claims = verified.claims().ok_or(AuthError::TermsChanged)?;
        if self.settings_version != verified.settings_version {
            let before = verified.settings.as_deref().ok_or(AuthError::TermsChanged)?;
            self.check_settings_still_accept(before, verified)?;
            if !directory.names(self, claims.client.as_str()) {
                return Err(AuthError::VendorUnknown);
            }
        }
        match &verified.verified_by {
            VerifiedBy::Key { key, generation } => {
                let present = self.issuer_keys.check_published(key, generation.load(Ordering::Relaxed))?;
                generation.store(present, Ordering::Relaxed);
            }
            VerifiedBy::Introspection { token, .. } => {
                let no =
                    directory.introspector_of(&self.issuer_keys.id).is_some_and(|issuer| issuer.is_inactive(token));
                if no {
                    return Err(AuthError::NotActive);
                }
            }
            VerifiedBy::Certificate { .. } => return Err(AuthError::TermsChanged),
        }
        self.revocations.load().check_claims(claims)?;
        let TokenSettings { clock_skew, rotation: rules, .. } = &*self.settings;
        rotation::check_in_flight(claims, verified.key_in_use_since(), *clock_skew, rules, now.wall)
    }

    /// Whether the changed `identity:` section would accept the token, as far as its claims and the old section tell.
    fn check_settings_still_accept(&self, before: &TokenSettings, verified: &VerifiedCaller) -> Result<(), AuthError> {
        let (now, claims) = (&*self.settings, verified.claims().ok_or(AuthError::TermsChanged)?);
        let asked = matches!(now.keys, KeySource::Introspection(_));
        let proof = match &verified.verified_by {
            VerifiedBy::Key { key, .. } => !asked && now.algorithms.contains(&key.algorithm),
            VerifiedBy::Introspection { .. } => asked && now.keys == before.keys,
            VerifiedBy::Certificate { .. } => false,
        };
        let bound = match now.sender {
            SenderBinding::None => true,
            SenderBinding::Mtls => claims.certificate_thumbprint.is_some(),
            SenderBinding::Dpop => claims.proof_key_thumbprint.is_some(),
        };
        // The token's type is not kept: if the new section accepts fewer types, the token may have one of the others.
        let kind = now.shape.takes_all_of(&before.shape) && now.claims == before.claims;
        let dated = claims.issued_at.is_some() || !now.rotation.needs_issue_time();
        let takes = proof && bound && kind && dated && now.issuer == before.issuer && now.audience == before.audience;
        if takes { Ok(()) } else { Err(AuthError::TermsChanged) }
    }
}
