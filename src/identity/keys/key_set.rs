//! A set of verification keys from a JWKS document (RFC 7517 section 5): immutable, searched by `kid` and algorithm.
//!
//! A key that cannot be used does not spoil the others: keys of kinds that we do not verify, malformed keys, and keys
//! that share one name are left out and counted. A document without a readable list of keys, with too many keys, or
//! without a single usable key is refused as a whole, so that it can never replace a good set.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::bounds::{KEYS_MAX, KEYS_WITHOUT_ID_TRIED_MAX};
use crate::identity::error::AuthError;
use crate::identity::json::{self, JsonError, Object};
use crate::identity::token::jwt::UnverifiedSignature;
use crate::model::{Algorithm, UnixTime};

use super::jwk::{self, UnusableKey, VerificationKey};

/// Why a JWKS document is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeysetError {
    /// Not an object that can be read in one way only.
    #[error("the key set is not readable")]
    Unreadable(#[source] JsonError),
    /// `keys` is missing or not an array of objects.
    #[error("the key set has no array of keys")]
    NoKeys,
    /// More keys than the bound.
    #[error("the key set has more than {KEYS_MAX} keys")]
    TooMany,
    /// No key can be used.
    #[error(
        "the key set holds no key that can verify: {foreign} of other kinds, {bad} malformed, weak, private or of one kid"
    )]
    Empty {
        /// Keys of kinds that we do not verify.
        foreign: usize,
        /// Keys of our kinds that are wrong, or that share a `kid` and algorithm with another.
        bad: usize,
    },
}

/// An immutable set of keys, all of one issuer.
#[derive(Debug, Default)]
pub(crate) struct KeySet {
    keys: Vec<Arc<VerificationKey>>,
    /// How many keys of our kinds were left out since they are malformed, weak or private, or share a `kid`: worth a
    /// warning.
    pub(crate) unusable: usize,
}

impl KeySet {
    /// Reads a JWKS document.
    pub(crate) fn parse(document: &[u8]) -> Result<Self, KeysetError> {
        let [list] = json::pick(document, ["keys"]).map_err(KeysetError::Unreadable)?;
        let list = list.ok_or(KeysetError::NoKeys)?;
        let list: Vec<&RawValue> = serde_json::from_str(list.get()).map_err(|_| KeysetError::NoKeys)?;
        if list.len() > KEYS_MAX {
            return Err(KeysetError::TooMany);
        }
        let (mut read, mut foreign, mut bad) = (Vec::new(), 0, 0);
        for item in list {
            let jwk = Object::parse(item.get().as_bytes()).map(Object::without_nulls);
            match jwk.map_err(UnusableKey::from).and_then(|jwk| jwk::read(&jwk)) {
                Ok(keys) => read.push(keys),
                Err(UnusableKey::Foreign) => foreign += 1,
                Err(UnusableKey::Bad) => bad += 1,
            }
        }
        let (keys, shared) = without_shared_names(read);
        let bad = bad + shared;
        if keys.is_empty() { Err(KeysetError::Empty { foreign, bad }) } else { Ok(Self { keys, unusable: bad }) }
    }

    /// Sets from when each key's age counts: our first sight of it, or its certificate's date where that is earlier.
    pub(crate) fn set_ages(&mut self, mut first_seen: impl FnMut([u8; 32]) -> UnixTime) {
        for key in self.keys.iter_mut().filter_map(Arc::get_mut) {
            let seen = first_seen(key.thumbprint);
            key.in_use_since = key.certified_at.map_or(seen, |certified| certified.min(seen));
        }
    }

    /// Verifies the signature; returns the key that made it.
    pub(crate) fn verify(&self, token: &UnverifiedSignature<'_>) -> Result<Arc<VerificationKey>, AuthError> {
        match &token.header.key_id {
            Some(kid) => {
                let key = self.find(kid, token.header.algorithm).ok_or(AuthError::KeyUnknown)?;
                key.verify(token)?;
                Ok(Arc::clone(key))
            }
            None => self.verify_without_id(token),
        }
    }

    /// The key of this `kid` and algorithm.
    pub(crate) fn find(&self, kid: &str, algorithm: Algorithm) -> Option<&Arc<VerificationKey>> {
        self.keys.iter().find(|key| key.algorithm == algorithm && key.key_id.as_deref() == Some(kid))
    }

    /// Whether the set still holds this very key.
    pub(crate) fn holds(&self, key: &VerificationKey) -> bool {
        self.keys.iter().any(|known| {
            known.thumbprint == key.thumbprint && known.algorithm == key.algorithm && known.key_id == key.key_id
        })
    }

    /// How many keys there are; one with several algorithms counts once.
    pub(crate) fn count(&self) -> usize {
        let names: HashSet<_> = self.keys.iter().map(|key| (&key.key_id, key.thumbprint)).collect();
        names.len()
    }

    /// The keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<VerificationKey>> {
        self.keys.iter()
    }

    /// A token without `kid` is checked with a few keys of its algorithm; more would let a stranger cause much work.
    fn verify_without_id(&self, token: &UnverifiedSignature<'_>) -> Result<Arc<VerificationKey>, AuthError> {
        let fitting = self.keys.iter().filter(|key| key.algorithm == token.header.algorithm);
        let mut error = AuthError::KeyUnknown;
        for key in fitting.take(KEYS_WITHOUT_ID_TRIED_MAX) {
            match key.verify(token) {
                Ok(()) => return Ok(Arc::clone(key)),
                Err(wrong) => error = wrong,
            }
        }
        Err(error)
    }
}

/// Leaves out keys that share `kid` and algorithm with a different key, since a token could mean either; returns how
/// many. The same key written twice counts once.
fn without_shared_names(read: Vec<Vec<VerificationKey>>) -> (Vec<Arc<VerificationKey>>, usize) {
    let twins = |one: &VerificationKey, other: &VerificationKey| {
        one.algorithm == other.algorithm && one.key_id.is_some() && one.key_id == other.key_id
    };
    let all: Vec<&VerificationKey> = read.iter().flatten().collect();
    let is_shared =
        |key: &VerificationKey| all.iter().any(|other| twins(key, other) && key.thumbprint != other.thumbprint);
    let shared: Vec<bool> = read.iter().map(|keys| keys.iter().any(is_shared)).collect();
    let mut kept: Vec<Arc<VerificationKey>> = Vec::new();
    for key in read.into_iter().zip(&shared).filter(|(_, shared)| !**shared).flat_map(|(keys, _)| keys) {
        let known = |known: &Arc<VerificationKey>| {
            known.thumbprint == key.thumbprint && known.algorithm == key.algorithm && known.key_id == key.key_id
        };
        if !kept.iter().any(known) {
            kept.push(Arc::new(key));
        }
    }
    (kept, shared.iter().filter(|shared| **shared).count())
}

/// Reads a JWKS document for `check`: how many keys can verify, and how many are malformed, weak, private or share a
/// `kid`.
///
/// # Errors
/// [`KeysetError`] when the document would not be taken.
pub fn inspect_keys(document: &[u8]) -> Result<(usize, usize), KeysetError> {
    KeySet::parse(document).map(|keys| (keys.count(), keys.unusable))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::SigningKey;
    use crate::identity::token::jwt;

    fn jwks(keys: &[&str]) -> String {
        format!(r#"{{"keys":[{}]}}"#, keys.join(","))
    }

    #[test]
    fn every_algorithm_signs_and_verifies() {
        for algorithm in Algorithm::ALL {
            let key = SigningKey::generate(algorithm, "k").expect("a key");
            let keys = KeySet::parse(jwks(&[&key.public_jwk()]).as_bytes()).expect("a set");
            let token = key.sign("{}").expect("a token");
            assert!(keys.verify(&jwt::read(&token).expect("readable").signed).is_ok(), "{algorithm:?}");
            let other = SigningKey::generate(algorithm, "k").expect("a key").sign("{}").expect("a token");
            assert_eq!(
                keys.verify(&jwt::read(&other).expect("readable").signed).err(),
                Some(AuthError::SignatureWrong)
            );
        }
    }

    #[test]
    fn an_ambiguous_or_empty_document_is_refused() {
        let one = SigningKey::generate(Algorithm::ES256, "k").expect("a key").public_jwk();
        let two = SigningKey::generate(Algorithm::ES256, "k").expect("a key").public_jwk();
        let many = vec![one.as_str(); KEYS_MAX + 1];
        for (document, want) in [
            (jwks(&[&one, &two]), KeysetError::Empty { foreign: 0, bad: 2 }),
            (jwks(&many), KeysetError::TooMany),
            (jwks(&[]), KeysetError::Empty { foreign: 0, bad: 0 }),
            (jwks(&[r#"{"kty":"oct","k":"AA"}"#]), KeysetError::Empty { foreign: 1, bad: 0 }),
            (jwks(&[&one.replace("P-256", "P-384")]), KeysetError::Empty { foreign: 0, bad: 1 }),
            (jwks(&["1"]), KeysetError::Empty { foreign: 0, bad: 1 }),
            (r#"{"keys":null}"#.to_owned(), KeysetError::NoKeys),
            ("{}".to_owned(), KeysetError::NoKeys),
            (r#"{"keys":{}}"#.to_owned(), KeysetError::NoKeys),
            ("<html>".to_owned(), KeysetError::Unreadable(JsonError::Malformed)),
            (r#"{"keys":[],"keys":[]}"#.to_owned(), KeysetError::Unreadable(JsonError::Ambiguous)),
        ] {
            assert_eq!(KeySet::parse(document.as_bytes()).err(), Some(want), "{document}");
        }
        assert_eq!(inspect_keys(jwks(&[&one, &one, r#"{"kty":"future"}"#]).as_bytes()), Ok((1, 0)));
    }

    /// A document of many keys is not refused for one that cannot be used.
    #[test]
    fn a_key_that_cannot_be_used_does_not_spoil_the_others() {
        let make = |kid: &str| SigningKey::generate(Algorithm::ES256, kid).expect("a key");
        let (good, one, two) = (make("good"), make("shared").public_jwk(), make("shared").public_jwk());
        let rsa = SigningKey::generate(Algorithm::RS256, "r").expect("a key").public_jwk();
        let bare = good.public_jwk();
        let with = |member: &str| make("x").public_jwk().replacen('{', &format!("{{{member},"), 1);
        let deep = format!(r#"{{"kty":"EC","x":{}1{}}}"#, "[".repeat(60), "]".repeat(60));
        let others: Vec<(Vec<String>, usize)> = vec![
            (vec![one.clone(), two.clone()], 2),
            (vec![one.clone(), two.clone(), one.clone()], 3),
            (vec![with(r#""kty":"EC""#)], 1),
            (vec![with(r#""d":"AA""#)], 1),
            (vec![with(r#""alg":7"#)], 1),
            (vec![deep], 1),
            (vec!["null".into(), "7".into(), "[]".into(), "{}".into()], 4),
            (
                vec![
                    r#"{"kty":"AKP","alg":"ML-DSA-44","pub":"AA"}"#.into(),
                    r#"{"kty":"EC","crv":"secp256k1"}"#.into(),
                ],
                0,
            ),
        ];
        for (others, bad) in others {
            for at in 0..=others.len() {
                let mut all = others.clone();
                all.insert(at, bare.clone());
                let document = jwks(&all.iter().map(String::as_str).collect::<Vec<_>>());
                let keys = KeySet::parse(document.as_bytes()).expect(&document);
                assert_eq!((keys.count(), keys.unusable), (1, bad), "{document}");
                let token = good.sign("{}").expect("a token");
                assert!(keys.verify(&jwt::read(&token).expect("readable").signed).is_ok(), "{document}");
            }
        }
        let list = jwks(&[&bare]);
        let around = [
            format!("\u{feff}{list}"),
            list.replacen('{', r#"{"x":1,"x":2,"#, 1),
            list.replacen('{', &format!(r#"{{"x":{}{},"#, "[".repeat(60), "]".repeat(60)), 1),
            jwks(&[&bare
                .replacen('{', r#"{"key_ops":null,"x5c":null,"use":null,"d":null,"#, 1)
                .replace(r#","use":"sig""#, "")]),
        ];
        for document in around {
            assert_eq!(inspect_keys(document.as_bytes()), Ok((1, 0)), "{document}");
        }
        assert_eq!(
            inspect_keys(jwks(&[&rsa.replace(r#","alg":"RS256""#, "")]).as_bytes()),
            Ok((1, 0)),
            "one key of six uses"
        );
    }

    #[test]
    fn without_kid_only_a_few_keys_are_tried() {
        let make = |_| SigningKey::generate(Algorithm::EdDSA, "unused").expect("a key");
        let pairs: Vec<SigningKey> = (0..=KEYS_WITHOUT_ID_TRIED_MAX).map(make).collect();
        let documents: Vec<String> =
            pairs.iter().map(|key| key.public_jwk().replace(r#""kid":"unused","#, "")).collect();
        let keys =
            KeySet::parse(jwks(&documents.iter().map(String::as_str).collect::<Vec<_>>()).as_bytes()).expect("a set");
        let check = |key: &SigningKey| {
            let token = key.sign_raw(r#"{"alg":"EdDSA"}"#, "{}").expect("a token");
            keys.verify(&jwt::read(&token).expect("readable").signed).map(|_| ())
        };
        assert_eq!(check(&pairs[0]), Ok(()));
        assert_eq!(check(&pairs[KEYS_WITHOUT_ID_TRIED_MAX]), Err(AuthError::SignatureWrong));
    }

    #[test]
    fn a_keys_age_counts_from_its_certificate_or_from_when_it_was_first_seen() {
        use base64::Engine as _;
        let mut params = rcgen::CertificateParams::default();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        let issued = params.self_signed(&rcgen::KeyPair::generate().expect("a key")).expect("a certificate");
        let x5c = base64::engine::general_purpose::STANDARD.encode(issued.der());
        let key = SigningKey::generate(Algorithm::ES256, "k").expect("a key").public_jwk();
        let certified = key.replacen('{', &format!(r#"{{"x5c":["{x5c}"],"#), 1);
        let born = |jwk: &str, seen: u64| {
            let mut keys = KeySet::parse(jwks(&[jwk]).as_bytes()).expect("a set");
            keys.set_ages(|_| UnixTime::from_secs(seen));
            keys.keys[0].in_use_since.as_secs()
        };
        let new_year_2020 = 1_577_836_800;
        assert_eq!(born(&certified, 1_800_000_000), new_year_2020);
        assert_eq!(born(&certified, 1_500_000_000), 1_500_000_000, "a later certificate makes no key younger");
        assert_eq!(born(&key, 1_800_000_000), 1_800_000_000);
        for bad in [r#"{"x5c":[],"#, r#"{"x5c":["AA"],"#, r#"{"x5c":"AA","#, r#"{"x5c":[7],"#] {
            assert!(KeySet::parse(jwks(&[&key.replacen('{', bad, 1)]).as_bytes()).is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        /// Whatever an issuer answers is taken or refused.
        #[test]
        fn any_document_is_taken_or_refused(
            kty in "RSA|EC|OKP|oct", crv in "P-256|P-384|Ed25519|", x in "[A-Za-z0-9_-]{0,90}", y in "[A-Za-z0-9_=-]{0,90}",
        ) {
            let jwk = format!(r#"{{"kty":"{kty}","crv":"{crv}","x":"{x}","y":"{y}","n":"{x}{y}","e":"{y}"}}"#);
            let _ = KeySet::parse(jwks(&[&jwk]).as_bytes());
            let _ = KeySet::parse(&jwk.as_bytes()[..jwk.len() / 2]);
        }
    }
}
