//! The checks of one vendor: signature, claims, and what is checked on every request.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::bounds::ROTATION_MAX;
use crate::identity::caller::cache::TokenCache;
use crate::identity::caller::verified::{VerifiedBy, VerifiedCaller};
use crate::identity::directory::{ClientEntry, TokenVendor};
use crate::identity::error::AuthError;
use crate::identity::json::Object;
use crate::identity::keys::jwk::VerificationKey;
use crate::identity::settings::{SenderBinding, SupersededBy};
use crate::identity::token::credentials::{AuthScheme, PresentedRequest};
use crate::identity::token::history::NewestToken;
use crate::identity::token::jwt::{TokenType, UnverifiedToken};
use crate::identity::token::{claims, dpop, rotation};
use crate::model::{Caller, Claims, Moment};

use super::{AuthRequest, AuthWait, AuthWaitKind, Rejected};

impl TokenVendor {
    pub(crate) fn verify(
        &self,
        entry: &ClientEntry,
        token: &UnverifiedToken<'_>,
        now: Moment,
    ) -> Result<VerifiedCaller, Rejected> {
        let (key, generation) = self.verify_signature(token, now)?;
        let claims = self.read(token).map_err(|error| Rejected::new(error, Some(self.index)))?;
        let claims = Claims { key_id: key.key_id.clone(), key_thumbprint: Some(key.thumbprint), ..claims };
        let newest = self.newest_token(entry, &token.payload, now);
        Ok(self.verified(claims, VerifiedBy::Key { key, generation: AtomicU64::new(generation) }, newest))
    }

    pub(super) fn verify_signature(
        &self,
        token: &UnverifiedToken<'_>,
        now: Moment,
    ) -> Result<(Arc<VerificationKey>, u64), Rejected> {
        self.check_shape(token).map_err(|error| Rejected::new(error, Some(self.index)))?;
        let generation = self.issuer_keys.generation();
        let verified = self.issuer_keys.usable(now).and_then(|keys| keys.verify(&token.signed));
        verified.map(|key| (key, generation)).map_err(|error| self.reject_for_keys(error, token, generation, now))
    }

    /// Whether the contract accepts this kind of token: its length, header members, type and algorithm.
    fn check_shape(&self, token: &UnverifiedToken<'_>) -> Result<(), AuthError> {
        let (header, shape) = (&token.signed.header, &self.settings.shape);
        if token.bytes > shape.bytes_max {
            return Err(AuthError::TooLong);
        }
        if let Some(member) = header.suspicious.iter().find(|member| !shape.ignored.contains(member)) {
            return Err(member.error());
        }
        match &header.typ {
            TokenType::AccessToken => {}
            TokenType::PlainJwt | TokenType::Absent if shape.accept_plain_jwt => {}
            TokenType::Other(other) if shape.other_types.iter().any(|listed| **listed == **other) => {}
            TokenType::PlainJwt | TokenType::Absent | TokenType::DpopProof | TokenType::Other(_) => {
                return Err(AuthError::TypeRefused);
            }
        }
        let listed = self.settings.algorithms.contains(&header.algorithm);
        if listed { Ok(()) } else { Err(AuthError::AlgorithmNotInContract) }
    }

    /// A refusal for a missing key may be worth a fetch of keys; a wrong signature under a known `kid` never is.
    fn reject_for_keys(&self, error: AuthError, token: &UnverifiedToken<'_>, generation: u64, now: Moment) -> Rejected {
        let worth_a_fetch = match error {
            AuthError::NoKeys | AuthError::KeyUnknown => true,
            AuthError::SignatureWrong => token.signed.header.key_id.is_none(),
            _ => false,
        };
        let wait =
            worth_a_fetch.then(|| self.issuer_keys.wait_for_key(&token.signed.header, generation, now)).flatten();
        let wait = wait.map(|wait| AuthWait(AuthWaitKind::Keys(wait)));
        Rejected { denial: error.into(), vendor_index: Some(self.index), wait }
    }

    /// Reads the claims of a token whose signature has been verified.
    pub(crate) fn read(&self, token: &UnverifiedToken<'_>) -> Result<Claims, AuthError> {
        let header = &token.signed.header;
        claims::read(&token.payload, self.settings.wanted_of_token(&header.typ), header.key_id.clone())
    }

    /// The record of the newest token by which this one may be superseded; `None` where the contract has no such rule.
    pub(crate) fn newest_token(&self, entry: &ClientEntry, payload: &Object, now: Moment) -> Option<Arc<NewestToken>> {
        let newest = entry.newest_token.as_ref()?;
        let subject = match self.settings.rotation.superseded {
            SupersededBy::PerClient => None,
            SupersededBy::PerSubject => payload.text("sub").ok().flatten(),
        };
        let expired_before = now.wall.minus(self.settings.rotation.max_lifetime.unwrap_or(ROTATION_MAX));
        let of_subject =
            subject.and_then(|subject| self.history.subject(&self.id, newest.client(), subject, expired_before));
        Some(of_subject.unwrap_or_else(|| Arc::clone(newest)))
    }

    pub(super) fn verified(
        &self,
        claims: Claims,
        verified_by: VerifiedBy,
        newest: Option<Arc<NewestToken>>,
    ) -> VerifiedCaller {
        let client = claims.client.clone();
        let caller = Caller { vendor: self.id.clone(), client, claims: Some(Arc::new(claims)) };
        let settings = Some(Arc::clone(&self.settings));
        VerifiedCaller {
            vendor_index: self.index,
            settings_version: self.settings_version,
            settings,
            caller,
            verified_by,
            newest_token: newest,
        }
    }

    #[inline]
    pub(super) fn check_current(
        &self,
        verified: &VerifiedCaller,
        request: &AuthRequest<'_>,
        cache: &TokenCache,
    ) -> Result<(), AuthError> {
        let Some(claims) = verified.claims() else { return Err(AuthError::NoCredentials) };
        let now = request.now.wall;
        rotation::check_dates(claims, self.settings.clock_skew, now)?;
        rotation::check_rules(claims, verified.key_in_use_since(), &self.settings.rotation, now)?;
        self.revocations.load().check_claims(claims)?;
        self.check_binding(claims, request, cache)?;
        match (&verified.newest_token, self.settings.rotation.superseded_grace) {
            (Some(newest), Some(grace)) => {
                newest.check(claims.issued_at.ok_or(AuthError::IssueTimeMissing)?, grace, now)
            }
            (Some(_), None) | (None, Some(_) | None) => Ok(()),
        }
    }

    #[inline]
    fn check_binding(&self, claims: &Claims, request: &AuthRequest<'_>, cache: &TokenCache) -> Result<(), AuthError> {
        self.check_holder(claims, request.presented, request.credentials.scheme, request.now)?;
        match &claims.proof_key_thumbprint {
            Some(thumbprint) => dpop::check(&request.expected(thumbprint), &self.replays, cache),
            None => Ok(()),
        }
    }

    /// Checks the certificate that the token is bound to, also where the contract asks for no binding; and that the
    /// token has the binding that the contract asks for. A binding to a key is checked by [`dpop::check`].
    #[inline]
    pub(crate) fn check_holder(
        &self,
        claims: &Claims,
        presented: &PresentedRequest<'_>,
        scheme: AuthScheme,
        now: Moment,
    ) -> Result<(), AuthError> {
        match (&claims.certificate_thumbprint, self.settings.sender) {
            (Some(thumbprint), _) => check_certificate(thumbprint, presented, now)?,
            (None, SenderBinding::Mtls) => return Err(AuthError::TokenNotBound),
            (None, SenderBinding::None | SenderBinding::Dpop) => {}
        }
        match (claims.proof_key_thumbprint.is_some(), self.settings.sender, scheme) {
            (true, _, _) | (false, SenderBinding::None | SenderBinding::Mtls, AuthScheme::Bearer) => Ok(()),
            (false, SenderBinding::Dpop, _) | (false, _, AuthScheme::Dpop) => Err(AuthError::TokenNotBound),
        }
    }
}

fn check_certificate(thumbprint: &[u8; 32], presented: &PresentedRequest<'_>, now: Moment) -> Result<(), AuthError> {
    let certificate = presented.peer_certificate.ok_or(AuthError::CertificateMissing)?;
    if certificate.thumbprint() != thumbprint {
        return Err(AuthError::CertificateNotBound);
    }
    if certificate.is_in_force(now.wall) { Ok(()) } else { Err(AuthError::CertificateExpired) }
}
