//! Whether what was let in may go on: the proof of something in flight, judged by what is in force now.
//!
//! A long answer or a WebSocket outlives the moment at which it was admitted. This asks what a new request with the same
//! proof would be asked, as far as it can be told without the token: contract, client, key, dates, revocation. Two things
//! are left out on purpose: a newer token of the same client says nothing against what an older one began, and nobody
//! asks again about an opaque token, since it is not kept; but when a new request with it had the issuer say no, that ends
//! what runs on it too. Never fetches, never waits.

use std::sync::atomic::Ordering;

use crate::identity::directory::{Directory, TokenVendor};
use crate::identity::error::AuthError;
use crate::identity::settings::{KeySource, SenderBinding, TokenSettings};
use crate::identity::token::rotation;
use crate::identity::webhook::SecretFingerprint;
use crate::model::{Denial, Moment, VendorId};

use super::verified::{VerifiedBy, VerifiedCaller};

impl Directory {
    /// Whether what was let in on a token or a certificate may go on.
    ///
    /// # Errors
    /// The denial that it has lost its ground for.
    pub fn recheck(&self, verified: &VerifiedCaller, now: Moment) -> Result<(), Denial> {
        self.check_still_valid(verified, now).map_err(Denial::from)
    }

    /// Whether what was let in on a vendor's signature may go on.
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

    /// Whether this vendor still has the client.
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

    /// Whether the changed section would take the token: what it says, and what it was taken for under the old section.
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
        // Which type the token had is not kept: under the stricter rule it may be one that is not taken.
        let kind = now.shape.takes_all_of(&before.shape) && now.claims == before.claims;
        let dated = claims.issued_at.is_some() || !now.rotation.needs_issue_time();
        let takes = proof && bound && kind && dated && now.issuer == before.issuer && now.audience == before.audience;
        if takes { Ok(()) } else { Err(AuthError::TermsChanged) }
    }
}
