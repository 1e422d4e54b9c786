//! The decision about a token, step by step, for `vendorgate explain`: the same rules in the same order, with each
//! rule's place in the contract.
//!
//! No proof is used up, no token supersedes another, nothing is remembered; at most an unknown key is fetched.

use crate::model::{Claims, Denial, Moment};

use super::claims;
use super::credentials::{Presented, Scheme};
use super::directory::{Directory, Vendor};
use super::flaw::Flaw;
use super::jwt::{self, Unverified};
use super::verified::Verified;
use super::{Sender, rotation};

/// One rule, and what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The rule's key in the contract, such as `identity.rotation.max_lifetime`.
    pub rule: &'static str,
    /// What was found, or the denial.
    pub outcome: Result<String, Denial>,
}

impl Directory {
    /// Judges a token as a request with it would be judged, up to and including the first no. Opaque tokens are not
    /// explained: only their issuer can read them.
    pub fn explain(&self, token: &str, presented: &Presented<'_>, now: Moment) -> Vec<Step> {
        let mut steps = Vec::new();
        // The steps hold the no.
        let _ = self.walk(token, presented, now, &mut steps);
        steps
    }

    fn walk(&self, token: &str, presented: &Presented<'_>, now: Moment, steps: &mut Vec<Step>) -> Option<()> {
        let mut step = |rule, outcome: Result<String, Denial>| {
            let passed = outcome.is_ok();
            steps.push(Step { rule, outcome });
            passed.then_some(())
        };
        let read = jwt::read(token);
        step("identity", describe(&read))?;
        let token = read.ok()?;
        let named = claims::whose(&token.payload).and_then(|(issuer, client)| {
            let known = self.issuer(issuer).and_then(|issuer| issuer.clients.get(client));
            known.ok_or(Flaw::VendorUnknown)
        });
        let vendor = named.and_then(|named| Ok((named, self.vendor(named.vendor).ok_or(Flaw::VendorUnknown)?)));
        step("identity.clients", words(&vendor, |(_, vendor)| vendor.id.to_string()))?;
        let (named, vendor) = vendor.ok()?;
        let verified = vendor.verify(named, &token, now);
        let said =
            |_: &Verified| format!("signed by key {:?}, for {}", token.signed.header.key_id, vendor.settings.audience);
        let signed = verified.as_ref().map(said).map_err(|rejected| rejected.denial.clone());
        step("identity.jwks", signed)?;
        let verified = verified.ok()?;
        for (rule, outcome) in vendor.rules(&verified, verified.claims()?, presented, now) {
            step(rule, outcome)?;
        }
        Some(())
    }
}

impl Vendor {
    /// The rules that are judged anew on every request.
    fn rules(
        &self,
        verified: &Verified,
        claims: &Claims,
        presented: &Presented<'_>,
        now: Moment,
    ) -> [(&'static str, Result<String, Denial>); 4] {
        let rules = &self.settings.rotation;
        let span = |from, to: crate::model::UnixTime| humantime::format_duration(to.since(from)).to_string();
        let dates = rotation::check_dates(claims, self.settings.clock_skew, now.wall);
        let dates = dates.map(|()| format!("issued {}, expires {}", claims.issued_at, claims.expires_at));
        let rotates = rotation::check(claims, verified.key_born(), rules, now.wall).map(|()| {
            let (life, age) = (span(claims.issued_at, claims.expires_at), span(claims.issued_at, now.wall));
            format!("issued for {life}, {age} ago")
        });
        let revoked = self.revocations.load().check(claims).map(|()| "not revoked".to_owned());
        let holder = self.holder(claims, presented, now).map_err(Denial::from);
        [
            ("identity.clock_skew", dates),
            ("identity.rotation", rotates),
            ("revocations", revoked),
            ("identity.sender", holder.map(str::to_owned)),
        ]
    }

    fn holder(&self, claims: &Claims, presented: &Presented<'_>, now: Moment) -> Result<&'static str, Flaw> {
        if claims.proof_key_thumbprint.is_some() {
            return Ok("bound to a key: each request needs a fresh proof");
        }
        self.check_holder(claims, presented, Scheme::Bearer, now)?;
        match self.settings.sender {
            Sender::None => Ok("whoever holds it"),
            Sender::Mtls | Sender::Dpop => Ok("bound to this certificate"),
        }
    }
}

fn describe(read: &Result<Unverified<'_>, Flaw>) -> Result<String, Denial> {
    words(read, |token| {
        let header = &token.signed.header;
        format!("{} token of type {:?}", header.algorithm.as_str(), header.typ)
    })
}

fn words<T>(outcome: &Result<T, Flaw>, say: impl FnOnce(&T) -> String) -> Result<String, Denial> {
    outcome.as_ref().map(say).map_err(|flaw| Denial::from(*flaw))
}
