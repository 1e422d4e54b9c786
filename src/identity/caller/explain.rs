//! Explains the decision about a token for `vendorgate explain`: the same rules in the same order, each with its key in
//! the contract.
//!
//! Changes nothing: no proof is used up, no token supersedes another, nothing is cached and no issuer is asked. Where
//! the issuer's keys are not available the step says so, and the steps after it read the token's claims unverified.

use std::sync::Arc;

use crate::identity::directory::{ClientEntry, Directory, TokenVendor};
use crate::identity::error::AuthError;
use crate::identity::settings::{KeySource, RotationRules, SenderBinding};
use crate::identity::token::credentials::{AuthScheme, PresentedRequest};
use crate::identity::token::history::NewestToken;
use crate::identity::token::jwt::{self, UnverifiedToken};
use crate::identity::token::rotation;
use crate::model::{Caller, Claims, Denial, Moment, UnixTime};

use super::verified::VerifiedCaller;

/// One rule and its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityStep {
    /// The rule's key in the contract, such as `identity.rotation.max_lifetime`.
    pub rule: &'static str,
    /// What was found, or the denial.
    pub outcome: Result<String, Denial>,
    /// Whether the rule was checked at all. One that was not has no denial, which does not mean that the token passes
    /// it.
    pub checked: bool,
}

impl IdentityStep {
    const fn new(rule: &'static str, outcome: Result<String, Denial>) -> Self {
        Self { rule, outcome, checked: true }
    }

    fn unchecked(rule: &'static str, why: &str) -> Self {
        Self { rule, outcome: Ok(why.to_owned()), checked: false }
    }
}

/// The rules that apply to a token, with their results, and the caller that it names.
#[derive(Debug, Clone, Default)]
pub struct TokenExplanation {
    /// Each rule, up to and including the first no.
    pub steps: Vec<IdentityStep>,
    /// The caller that the token names, where it could be read that far. Not verified unless every step passed.
    pub caller: Option<Caller>,
}

impl Directory {
    /// Judges a token as a request with it would be judged. Opaque tokens are not explained: only their issuer can
    /// read them.
    pub fn explain(&self, token: &str, presented: &PresentedRequest<'_>, now: Moment) -> TokenExplanation {
        let mut explained = TokenExplanation::default();
        // The reason for a refusal is already in `explained.steps`.
        let _ = self.add_steps(token, presented, now, &mut explained);
        explained
    }

    fn add_steps(
        &self,
        token: &str,
        presented: &PresentedRequest<'_>,
        now: Moment,
        explained: &mut TokenExplanation,
    ) -> Option<()> {
        if self.introspector(token).is_some() {
            explained
                .push(IdentityStep::unchecked("identity.introspection", "an opaque token: only its issuer can say"))?;
            return None;
        }
        let read = jwt::read(token);
        explained.push(IdentityStep::new("identity", describe(&read)))?;
        let token = read.ok()?;
        let found = self.issuer_of(&token).and_then(|issuer| issuer.find(&token.payload));
        let named = found.and_then(|named| named.ok_or(AuthError::VendorUnknown));
        let vendor = named.and_then(|named| Ok((named, self.vendor(named.vendor).ok_or(AuthError::VendorUnknown)?)));
        explained.push(IdentityStep::new(
            "identity.clients",
            words(&vendor, |(_, vendor)| format!("it is {}", vendor.id)),
        ))?;
        let (named, vendor) = vendor.ok()?;
        if let Some(in_force) = vendor.settings.profile_in_force() {
            explained.push(IdentityStep::new("identity.issuer_profile", Ok(in_force)))?;
        }
        let (step, verified) = vendor.signature(named, &token, now);
        let key_in_use_since = verified.as_ref().and_then(VerifiedCaller::key_in_use_since);
        explained.push(step)?;
        let claims = vendor.read(&token);
        let audience = vendor.settings.audience.as_deref().unwrap_or("none is asked for");
        explained.push(IdentityStep::new("identity.audience", words(&claims, |_| audience.to_owned())))?;
        let mut claims = claims.ok()?;
        if let Some(signed) = verified.as_ref().and_then(VerifiedCaller::claims) {
            (claims.key_id, claims.key_thumbprint) = (signed.key_id.clone(), signed.key_thumbprint);
        }
        let claims = Arc::new(claims);
        let (id, client) = (vendor.id.clone(), claims.client.clone());
        explained.caller = Some(Caller { vendor: id, client, claims: Some(Arc::clone(&claims)) });
        let newest = vendor.newest_token(named, &token.payload, now);
        for step in vendor.rules(newest.as_deref(), &claims, key_in_use_since, presented, now) {
            explained.push(step)?;
        }
        Some(())
    }
}

impl TokenExplanation {
    /// Adds a step; `None` when it denies, so that no further rule is checked.
    fn push(&mut self, step: IdentityStep) -> Option<()> {
        let passed = step.outcome.is_ok();
        self.steps.push(step);
        passed.then_some(())
    }
}

impl TokenVendor {
    /// Checks the signature; returns the verified caller where it is right.
    fn signature(
        &self,
        named: &ClientEntry,
        token: &UnverifiedToken<'_>,
        now: Moment,
    ) -> (IdentityStep, Option<VerifiedCaller>) {
        const RULE: &str = "identity.jwks";
        let asked = match &self.settings.keys {
            KeySource::File(_) => false,
            KeySource::Url { .. } | KeySource::Discovery { .. } | KeySource::Introspection(_) => true,
        };
        if asked && self.issuer_keys.usable(now).is_err() {
            return (IdentityStep::unchecked(RULE, "not checked: the issuer's keys are not at hand"), None);
        }
        match self.verify(named, token, now) {
            Ok(verified) => {
                let key = token.signed.header.key_id.as_deref().unwrap_or("without kid");
                (IdentityStep::new(RULE, Ok(format!("signed by the issuer's key {key:?}"))), Some(verified))
            }
            Err(rejected) => (IdentityStep::new(RULE, Err(rejected.denial)), None),
        }
    }

    /// The rules that are checked on every request, in the same order.
    fn rules(
        &self,
        newest: Option<&NewestToken>,
        claims: &Claims,
        key_in_use_since: Option<UnixTime>,
        presented: &PresentedRequest<'_>,
        now: Moment,
    ) -> Vec<IdentityStep> {
        let dates = rotation::check_dates(claims, self.settings.clock_skew, now.wall).map_err(Denial::from);
        let said =
            |date: Option<UnixTime>| date.map_or_else(|| "at no stated time".to_owned(), |date| date.to_string());
        let dates = dates.map(|()| format!("issued {}, expires {}", said(claims.issued_at), said(claims.expires_at)));
        let mut steps = vec![IdentityStep::new("identity.clock_skew", dates)];
        steps.extend(self.ages(claims, key_in_use_since, now.wall));
        let revoked = self.revocations.load().check(claims).map(|()| "not revoked".to_owned());
        steps.push(IdentityStep::new("revocations", revoked));
        let holder = self.holder(claims, presented, now);
        steps.push(holder.unwrap_or_else(|error| IdentityStep::new("identity.sender", Err(error.into()))));
        if let (Some(newest), Some(grace)) = (newest, self.settings.rotation.superseded_grace) {
            let issued_at = claims.issued_at.ok_or(AuthError::IssueTimeMissing);
            let newest = issued_at
                .and_then(|issued_at| newest.check_unrecorded(issued_at, grace, now.wall))
                .map_err(Denial::from);
            let newest = newest.map(|()| "no newer token ended it".to_owned());
            steps.push(IdentityStep::new("identity.rotation.superseded_grace", newest));
        }
        steps
    }

    /// The contract's bounds on lifetime, age and key age.
    fn ages(&self, claims: &Claims, key_in_use_since: Option<UnixTime>, now: UnixTime) -> Vec<IdentityStep> {
        let rules = &self.settings.rotation;
        let lifetime = RotationRules { max_lifetime: rules.max_lifetime, ..RotationRules::default() };
        let age = RotationRules { max_age: rules.max_age, ..RotationRules::default() };
        let key_age = RotationRules { max_key_age: rules.max_key_age, ..RotationRules::default() };
        let step = |rule, only: &RotationRules, found: String| {
            IdentityStep::new(
                rule,
                rotation::check_rules(claims, key_in_use_since, only, now).map(|()| found).map_err(Denial::from),
            )
        };
        let mut steps = Vec::new();
        if let (Some(most), Some(end)) = (rules.max_lifetime, claims.expires_at) {
            let found = match claims.issued_at {
                Some(issued) => within(issued, end, most, "issued for"),
                None => within(now, end, most, "without iat, still good for"),
            };
            steps.push(step("identity.rotation.max_lifetime", &lifetime, found));
        }
        if let (Some(most), Some(issued)) = (rules.max_age, claims.issued_at) {
            let found = within(issued, now, most, "old by");
            steps.push(step("identity.rotation.max_age", &age, found));
        }
        if let (Some(most), Some(born)) = (rules.max_key_age, key_in_use_since) {
            let found = within(born, now, most, "its key is old by");
            steps.push(step("identity.rotation.max_key_age", &key_age, found));
        }
        steps
    }

    fn holder(
        &self,
        claims: &Claims,
        presented: &PresentedRequest<'_>,
        now: Moment,
    ) -> Result<IdentityStep, AuthError> {
        const RULE: &str = "identity.sender";
        if claims.proof_key_thumbprint.is_some() {
            return Ok(IdentityStep::unchecked(RULE, "bound to a key: each request needs a fresh proof by it"));
        }
        if claims.certificate_thumbprint.is_some() && presented.peer_certificate.is_none() {
            return Ok(IdentityStep::unchecked(RULE, "bound to a certificate: it must be the one of the connection"));
        }
        self.check_holder(claims, presented, AuthScheme::Bearer, now)?;
        let said = match self.settings.sender {
            SenderBinding::None => "a bearer token, not bound to its sender",
            SenderBinding::Mtls | SenderBinding::Dpop => "bound to this certificate",
        };
        Ok(IdentityStep::new(RULE, Ok(said.to_owned())))
    }
}

/// A span beside its bound, in whole seconds.
fn within(from: UnixTime, to: UnixTime, most: std::time::Duration, what: &str) -> String {
    let secs = |span: std::time::Duration| humantime::format_duration(std::time::Duration::from_secs(span.as_secs()));
    format!("{what} {}, at most {}", secs(to.since(from)), secs(most))
}

fn describe(read: &Result<UnverifiedToken<'_>, AuthError>) -> Result<String, Denial> {
    words(read, |token| {
        let header = &token.signed.header;
        let kind = match &header.typ {
            jwt::TokenType::AccessToken => "at+jwt",
            jwt::TokenType::PlainJwt => "JWT",
            jwt::TokenType::Absent => "no type",
            jwt::TokenType::DpopProof => "dpop+jwt",
            jwt::TokenType::Other(_) => "another type",
        };
        format!("{} token, {kind}", header.algorithm.as_str())
    })
}

fn words<T>(outcome: &Result<T, AuthError>, say: impl FnOnce(&T) -> String) -> Result<String, Denial> {
    outcome.as_ref().map(say).map_err(|error| Denial::from(*error))
}
