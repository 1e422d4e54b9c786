//! Whether what was let in may go on: the proof of something in flight, judged by what is in force now.
//!
//! A long answer or a WebSocket outlives the moment at which it was admitted. This asks what a new request with the same
//! proof would be asked, as far as it can be told without the token: contract, client, key, dates, revocation. Two things
//! are left out on purpose: a newer token of the same client says nothing against what an older one began, and nobody
//! asks again about an opaque token, since it is not kept; but when a new request with it had the issuer say no, that ends
//! what runs on it too. Never fetches, never waits.

use std::sync::atomic::Ordering;

use crate::model::{Denial, Moment, VendorId};

use super::directory::{Directory, Vendor};
use super::flaw::Flaw;
use super::verified::{Basis, Verified};
use super::{KeySource, Sender, Settings, Signed, rotation};

impl Directory {
    /// Whether what was let in on a token or a certificate may go on.
    ///
    /// # Errors
    /// The denial that it has lost its ground for.
    pub fn recheck(&self, verified: &Verified, now: Moment) -> Result<(), Denial> {
        self.still_stands(verified, now).map_err(Denial::from)
    }

    /// Whether what was let in on a vendor's signature may go on.
    ///
    /// # Errors
    /// The denial that it has lost its ground for.
    pub fn recheck_signed(&self, vendor: &VendorId, signed: &Signed) -> Result<(), Denial> {
        let webhook = self.webhooks().iter().find(|webhook| webhook.vendor() == vendor);
        webhook.ok_or(Flaw::TermsChanged).and_then(|webhook| webhook.still_stands(signed)).map_err(Denial::from)
    }

    fn still_stands(&self, verified: &Verified, now: Moment) -> Result<(), Flaw> {
        let id = &verified.caller.vendor;
        match &verified.basis {
            Basis::Certificate { .. } => self.certified.get(id).ok_or(Flaw::TermsChanged)?.still_stands(verified, now),
            Basis::Key { .. } | Basis::Word { .. } => {
                let vendor = self.index_of(id).and_then(|index| self.vendor(index));
                vendor.ok_or(Flaw::TermsChanged)?.still_stands(verified, self, now)
            }
        }
    }

    /// Whether this vendor still has the client.
    fn names(&self, vendor: &Vendor, client: &str) -> bool {
        let issuer = self.issuer(&vendor.settings.issuer);
        issuer.is_some_and(|issuer| issuer.has(&vendor.settings.claims.client, client, vendor.index))
    }
}

impl Vendor {
    fn still_stands(&self, verified: &Verified, directory: &Directory, now: Moment) -> Result<(), Flaw> {
        let claims = verified.claims().ok_or(Flaw::TermsChanged)?;
        if self.stamp != verified.stamp {
            let before = verified.terms.as_deref().ok_or(Flaw::TermsChanged)?;
            self.still_takes(before, verified)?;
            if !directory.names(self, claims.client.as_str()) {
                return Err(Flaw::VendorUnknown);
            }
        }
        match &verified.basis {
            Basis::Key { key, generation } => {
                let present = self.ring.still_gives(key, generation.load(Ordering::Relaxed))?;
                generation.store(present, Ordering::Relaxed);
            }
            Basis::Word { token, .. } => {
                let no = directory.introspector_of(&self.ring.id).is_some_and(|issuer| issuer.says_no(token));
                if no {
                    return Err(Flaw::NotActive);
                }
            }
            Basis::Certificate { .. } => return Err(Flaw::TermsChanged),
        }
        self.revocations.load().covers(claims)?;
        let Settings { clock_skew, rotation: rules, .. } = &*self.settings;
        rotation::may_go_on(claims, verified.key_born(), *clock_skew, rules, now.wall)
    }

    /// Whether the changed section would take the token: what it says, and what it was taken for under the old section.
    fn still_takes(&self, before: &Settings, verified: &Verified) -> Result<(), Flaw> {
        let (now, claims) = (&*self.settings, verified.claims().ok_or(Flaw::TermsChanged)?);
        let asked = matches!(now.keys, KeySource::Introspection(_));
        let proof = match &verified.basis {
            Basis::Key { key, .. } => !asked && now.algorithms.contains(&key.algorithm),
            Basis::Word { .. } => asked && now.keys == before.keys,
            Basis::Certificate { .. } => false,
        };
        let bound = match now.sender {
            Sender::None => true,
            Sender::Mtls => claims.certificate_thumbprint.is_some(),
            Sender::Dpop => claims.proof_key_thumbprint.is_some(),
        };
        // Which type the token had is not kept: under the stricter rule it may be one that is not taken.
        let kind = now.shape.takes_all_of(&before.shape) && now.claims == before.claims;
        let dated = claims.issued_at.is_some() || !now.rotation.needs_issue_time();
        let takes = proof && bound && kind && dated && now.issuer == before.issuer && now.audience == before.audience;
        if takes { Ok(()) } else { Err(Flaw::TermsChanged) }
    }
}
