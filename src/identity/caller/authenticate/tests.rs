//! The decision as a whole: the table of attacks, changed tokens, and cached callers that are refused again.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;

use crate::identity::directory::IdentityContract;
use crate::identity::fixture::{AUDIENCE, presented, settings};
use crate::identity::keys::signing::SigningKey;
use crate::identity::revocation::{Revocation, RevocationTarget};
use crate::identity::settings::{KeySource, RotationRules, TokenSettings};
use crate::identity::state::IdentityState;
use crate::model::{Algorithm, ClientId, Clock, Reason, UnixTime, VendorId};

use super::*;

#[path = "../../../../tests/support/attacks/mod.rs"]
mod attacks;

use attacks::Forge;

pub(crate) const ISSUER: &str = "https://id.test";
pub(crate) const CLIENT: &str = "acme-batch";
pub(crate) const NOW: u64 = 1_800_000_000;

/// An issuer with a key for each use, and a gateway that knows its contract.
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) authority: IdentityState,
    files: tempfile::TempDir,
    pub(crate) es256: SigningKey,
    pub(crate) rs256: SigningKey,
    eddsa: SigningKey,
    stranger: SigningKey,
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = Clock::manual(UnixTime::from_secs(NOW));
        let key = |algorithm, kid| SigningKey::generate(algorithm, kid).expect("a key");
        let world = Self {
            authority: IdentityState::in_memory(clock.clone()).expect("randomness"),
            clock,
            files: tempfile::tempdir().expect("a folder"),
            es256: key(Algorithm::ES256, "es"),
            rs256: key(Algorithm::RS256, "rs"),
            eddsa: key(Algorithm::EdDSA, "ed"),
            stranger: key(Algorithm::ES256, "es"),
        };
        let all = [&world.es256, &world.rs256, &world.eddsa].map(SigningKey::public_jwk).join(",");
        std::fs::write(world.jwks(), format!(r#"{{"keys":[{all}]}}"#)).expect("written");
        world
    }

    pub(crate) fn jwks(&self) -> std::path::PathBuf {
        self.files.path().join("jwks.json")
    }

    pub(crate) fn settings(&self) -> TokenSettings {
        let hour = Some(Duration::from_secs(3600));
        TokenSettings {
            clients: vec![ClientId::new(CLIENT)],
            algorithms: vec![Algorithm::ES256, Algorithm::RS256],
            rotation: RotationRules { max_lifetime: hour, max_age: hour, ..RotationRules::default() },
            ..settings(ISSUER, KeySource::File(self.jwks()))
        }
    }

    pub(crate) fn directory(&self, index: u32, settings: TokenSettings) -> Directory {
        let vendor = VendorId::parse("acme").expect("an id");
        let contract = IdentityContract { index, vendor, identity: settings.into() };
        self.authority.directory(vec![contract]).expect("a directory")
    }

    fn with_forge<T>(&self, act: impl FnOnce(&Forge<'_>) -> T) -> T {
        let signer = |key: &SigningKey, header: &str, payload: &str| key.sign_raw(header, payload).expect("a token");
        let es256 = |header: &str, payload: &str| signer(&self.es256, header, payload);
        let rs256 = |header: &str, payload: &str| signer(&self.rs256, header, payload);
        let eddsa = |header: &str, payload: &str| signer(&self.eddsa, header, payload);
        let stranger = |header: &str, payload: &str| signer(&self.stranger, header, payload);
        act(&Forge {
            now: NOW,
            too_early: 31,
            issuer: ISSUER,
            audience: AUDIENCE,
            client: CLIENT,
            es256_kid: "es",
            es256: &es256,
            rs256_kid: "rs",
            rs256: &rs256,
            eddsa_kid: "ed",
            eddsa: &eddsa,
            stranger: &stranger,
            public_texts: vec![self.es256.public_jwk(), self.rs256.public_jwk(), String::new()],
        })
    }

    /// A token of these members beside those that every token has.
    pub(crate) fn token(&self, members: &str) -> String {
        let base = format!(r#""iss":"{ISSUER}","aud":"{AUDIENCE}","client_id":"{CLIENT}""#);
        self.es256.sign(&format!("{{{base},{members}}}")).expect("a token")
    }

    pub(crate) fn sign(&self, header: &str, payload: &str) -> String {
        self.es256.sign_raw(header, payload).expect("a token")
    }

    /// As [`Self::sign`], with another key of the same name.
    pub(crate) fn sign_as_stranger(&self, header: &str, payload: &str) -> String {
        self.stranger.sign_raw(header, payload).expect("a token")
    }

    /// The verified caller, or the reason and the text for the log.
    pub(crate) fn explain_no(
        &self,
        directory: &Directory,
        token: &str,
    ) -> Result<Arc<VerifiedCaller>, (Reason, String)> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().expect("a value"));
        let answer = directory.authenticate(&presented(&headers), self.clock.now());
        answer.map_err(|rejected| (rejected.denial.reason, rejected.denial.detail.into_owned()))
    }

    fn common_token(&self) -> String {
        self.token(&format!(r#""iat":{NOW},"exp":{},"jti":"t1","scope":"a b""#, NOW + 600))
    }

    pub(crate) fn ask(&self, directory: &Directory, token: &str) -> Result<Arc<VerifiedCaller>, Reason> {
        ask(directory, &[format!("Bearer {token}").into_bytes()], None, self.clock.now())
    }
}

fn ask(
    directory: &Directory,
    values: &[Vec<u8>],
    query: Option<&str>,
    now: Moment,
) -> Result<Arc<VerifiedCaller>, Reason> {
    let mut headers = HeaderMap::new();
    for value in values {
        let Ok(value) = HeaderValue::from_bytes(value) else { return Err(Reason::RequestMalformed) };
        headers.append(AUTHORIZATION, value);
    }
    directory
        .authenticate(&PresentedRequest { query, ..presented(&headers) }, now)
        .map_err(|rejected| rejected.denial.reason)
}

#[test]
fn every_attack_is_refused_for_its_reason() {
    let world = World::new();
    let directory = world.directory(3, world.settings());
    world.with_forge(|forge| {
        for (name, token) in forge.controls() {
            for round in ["miss", "hit"] {
                let got = world.ask(&directory, &token);
                assert_eq!(got.map(|verified| verified.vendor_index()), Ok(3), "{name}, {round}");
            }
        }
        let table = forge.attacks();
        assert!(table.len() >= 120, "{}", table.len());
        let names: std::collections::BTreeSet<_> = table.iter().map(|attack| &attack.name).collect();
        assert_eq!(names.len(), table.len(), "each row is its own");
        for attack in &table {
            for round in ["first", "again"] {
                let got = ask(&directory, &attack.authorization, attack.query.as_deref(), world.clock.now());
                assert_eq!(got.err().map(Reason::as_str), Some(attack.reason), "{}, {round}", attack.name);
            }
        }
    });
}

#[test]
fn no_single_bit_of_a_token_can_be_changed() {
    let world = World::new();
    let directory = world.directory(0, world.settings());
    let token = world.common_token();
    assert!(world.ask(&directory, &token).is_ok(), "and the true one is remembered");
    for at in 0..token.len() {
        for bit in 0..8 {
            let mut bytes = token.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            let value = [b"Bearer ".as_slice(), &bytes].concat();
            assert!(ask(&directory, &[value], None, world.clock.now()).is_err(), "byte {at}, bit {bit}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn no_edit_of_a_token_is_accepted(at in 0_usize..10_000, byte in 0x21_u8..0x7f, kind in 0_u8..4) {
        thread_local! {
            static WORLD: (World, Directory, String) = {
                let world = World::new();
                let (directory, token) = (world.directory(0, world.settings()), world.common_token());
                (world, directory, token)
            };
        }
        WORLD.with(|(world, directory, token)| {
            let mut bytes = token.clone().into_bytes();
            let at = at % (bytes.len() - 1);
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => drop(bytes.remove(at)),
                _ => bytes.swap(at, at + 1),
            }
            prop_assume!(bytes != token.as_bytes());
            let got = ask(directory, &[[b"Bearer ".as_slice(), &bytes].concat()], None, world.clock.now());
            prop_assert!(got.is_err());
            Ok(())
        })?;
    }
}

#[test]
fn a_cached_caller_is_refused_once_its_token_has_expired() {
    let world = World::new();
    let directory = world.directory(0, world.settings());
    let token = world.common_token();
    assert!(world.ask(&directory, &token).is_ok());
    world.clock.advance(Duration::from_secs(629));
    assert!(world.ask(&directory, &token).is_ok(), "within the skew");
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.ask(&directory, &token).err(), Some(Reason::TokenExpired));
    assert_eq!(world.authority.cache_status().entries, 0, "and leaves its place");
}

#[test]
fn a_reload_that_leaves_the_contract_alone_costs_no_signature() {
    let world = World::new();
    let directory = world.directory(0, world.settings());
    let token = world.common_token();
    assert!(world.ask(&directory, &token).is_ok() && world.ask(&directory, &token).is_ok());
    let moved = world.directory(7, world.settings());
    for _ in 0..2 {
        assert_eq!(world.ask(&moved, &token).map(|verified| verified.vendor_index()), Ok(7));
    }
    let status = world.authority.cache_status();
    assert_eq!((status.hits, status.misses, status.entries), (3, 1, 1));
}

#[test]
fn a_cached_caller_is_refused_after_a_revocation_a_withdrawn_key_or_a_changed_contract() {
    let world = World::new();
    let directory = world.directory(0, world.settings());
    let token = world.common_token();
    assert!(world.ask(&directory, &token).is_ok());

    let stricter = TokenSettings { audience: Some("https://other.test".into()), ..world.settings() };
    let strict = world.directory(0, stricter);
    assert_eq!(world.ask(&strict, &token).err(), Some(Reason::TokenInvalid), "same place, another contract");
    assert!(world.ask(&directory, &token).is_ok(), "a request that began before the reload ends as it began");

    let vendor = VendorId::parse("acme").expect("an id");
    let what = RevocationTarget::Token("t1".into());
    let revocation = Revocation {
        vendor,
        target: what,
        ordered_at: UnixTime::from_secs(NOW),
        keep_until: None,
        reason: "leaked".into(),
    };
    world.authority.revocations().revoke(revocation).expect("saved");
    assert_eq!(world.ask(&directory, &token).err(), Some(Reason::TokenRevoked));

    let other = world.token(&format!(r#""iat":{NOW},"exp":{},"jti":"t2""#, NOW + 600));
    assert!(world.ask(&directory, &other).is_ok());
    std::fs::write(world.jwks(), format!(r#"{{"keys":[{}]}}"#, world.rs256.public_jwk())).expect("written");
    let ring = &directory.vendor(0).expect("a vendor").issuer_keys;
    crate::identity::keys::refresh::read_file_now(ring, &world.jwks());
    assert_eq!(world.ask(&directory, &other).err(), Some(Reason::TokenInvalid), "its key is gone");
}

#[test]
fn a_newer_token_supersedes_older_ones_after_the_grace() {
    let world = World::new();
    let grace = Some(Duration::from_secs(120));
    let rotation = RotationRules {
        superseded_grace: grace,
        max_key_age: Some(Duration::from_secs(1000)),
        ..RotationRules::default()
    };
    let directory = world.directory(0, TokenSettings { rotation, ..world.settings() });
    let old = world.token(&format!(r#""iat":{},"exp":{}"#, NOW - 10, NOW + 9000));
    let new = world.token(&format!(r#""iat":{NOW},"exp":{}"#, NOW + 9000));
    let wrong = world.token(
        &format!(r#""iat":{},"exp":{},"aud":"x""#, NOW + 9, NOW + 9000).replace("\"aud\"", "\"nbf\":99999999999,\"x\""),
    );
    assert!(world.ask(&directory, &old).is_ok() && world.ask(&directory, &new).is_ok());
    assert!(world.ask(&directory, &wrong).is_err(), "a token that is refused supersedes none");
    world.clock.advance(Duration::from_secs(119));
    assert!(world.ask(&directory, &old).is_ok());
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.ask(&directory, &old).err(), Some(Reason::TokenSuperseded));
    assert!(world.ask(&directory, &new).is_ok());
    world.clock.advance(Duration::from_secs(881));
    assert_eq!(world.ask(&directory, &new).err(), Some(Reason::KeyTooOld));
}

#[test]
fn an_explanation_has_the_result_that_a_request_would_have() {
    let world = World::new();
    let directory = world.directory(0, world.settings());
    let headers = HeaderMap::new();
    let presented = presented(&headers);
    let explain = |token: &str| directory.explain(token, &presented, world.clock.now()).steps;
    let steps = explain(&world.common_token());
    assert_eq!(steps.len(), 9, "{steps:?}");
    assert!(steps.iter().all(|step| step.checked && step.outcome.is_ok()), "{steps:?}");
    assert_eq!(world.authority.cache_status().entries, 0, "and nothing is remembered");
    world.with_forge(|forge| {
        for attack in forge.attacks().into_iter().filter(|attack| attack.query.is_none()) {
            let [value] = &attack.authorization[..] else { continue };
            let token = String::from_utf8_lossy(value);
            let Some(token) = token.strip_prefix("Bearer ").filter(|token| !token.contains([' ', '"', '='])) else {
                continue;
            };
            let last = explain(token).pop().map(|step| step.outcome);
            let bound = attack.reason == "token_unbound";
            let said = last.and_then(Result::err).map(|denial| denial.reason.as_str());
            assert!(
                bound || said == Some(attack.reason) || attack.name.contains("forged"),
                "{}: {said:?}",
                attack.name
            );
        }
    });
}

#[test]
fn two_vendors_cannot_share_a_client() {
    let world = World::new();
    let contract = |index, vendor| {
        let vendor = VendorId::parse(vendor).expect("an id");
        IdentityContract { index, vendor, identity: world.settings().into() }
    };
    let faults = world.authority.directory(vec![contract(0, "acme"), contract(1, "other")]).expect_err("a fault");
    assert_eq!(
        faults[0].to_string(),
        r#"client "acme-batch" of issuer "https://id.test" is named by both acme and other"#
    );
}
