//! A set of verification keys from a JWKS document (RFC 7517 section 5): immutable, searched by `kid` and algorithm.
//!
//! Kinds that we do not verify are skipped; a document that has two readings, is over its bounds, or leaves no key is
//! refused whole, so that it can never replace a good set.

use std::sync::Arc;

use crate::bounds::{KEYS_MAX, KEYS_WITHOUT_ID_TRIED_MAX};

use crate::model::UnixTime;

use super::Algorithm;
use super::flaw::Flaw;
use super::json::{Json, JsonError, Object};
use super::jwk::{self, Unusable, VerificationKey};
use super::jwt::Signed;

/// Why a JWKS document is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeysetError {
    /// Not an object that can be read in one way only.
    #[error("the key set is not readable")]
    Unreadable(#[source] JsonError),
    /// `keys` is missing or not an array of objects.
    #[error("the key set has no array of keys")]
    NoKeys,
    /// More keys than an issuer in its senses publishes.
    #[error("the key set has more than {KEYS_MAX} keys")]
    TooMany,
    /// Two keys answer to one `kid` and `alg`.
    #[error("the key set has two keys of one kid and alg")]
    Repeated,
    /// Nothing to verify with is left; how many keys were unfit is said.
    #[error("the key set holds no key that can verify: {foreign} of other kinds, {bad} malformed, weak or private")]
    Empty {
        /// Keys of kinds that we do not verify.
        foreign: usize,
        /// Keys of our kinds that are wrong.
        bad: usize,
    },
}

/// An immutable set of keys, all of one issuer.
#[derive(Debug, Default)]
pub(super) struct Keys {
    keys: Vec<Arc<VerificationKey>>,
    /// Keys of our kinds that were malformed, weak or private: worth a warning.
    pub(super) bad: usize,
}

impl Keys {
    /// Reads a JWKS document.
    pub(super) fn parse(document: &[u8]) -> Result<Self, KeysetError> {
        let object = Object::parse(document).map_err(KeysetError::Unreadable)?;
        let Some(Json::List(list)) = object.get("keys") else { return Err(KeysetError::NoKeys) };
        if list.len() > KEYS_MAX {
            return Err(KeysetError::TooMany);
        }
        let (mut set, mut foreign) = (Self::default(), 0);
        for item in list {
            let Json::Object(jwk) = item else { return Err(KeysetError::NoKeys) };
            match jwk::read(jwk) {
                Ok(keys) => keys.into_iter().try_for_each(|key| set.add(key))?,
                Err(Unusable::Foreign) => foreign += 1,
                Err(Unusable::Bad) => set.bad += 1,
            }
        }
        if set.keys.is_empty() { Err(KeysetError::Empty { foreign, bad: set.bad }) } else { Ok(set) }
    }

    /// Gives each key its age: its first sight by us, or its certificate's date where that is earlier.
    pub(super) fn date(&mut self, mut first_seen: impl FnMut([u8; 32]) -> UnixTime) {
        for key in self.keys.iter_mut().filter_map(Arc::get_mut) {
            let seen = first_seen(key.thumbprint);
            key.born = key.certified_at.map_or(seen, |certified| certified.min(seen));
        }
    }

    /// The key that signed this token.
    pub(super) fn verify(&self, token: &Signed<'_>) -> Result<Arc<VerificationKey>, Flaw> {
        match &token.header.key_id {
            Some(kid) => {
                let key = self.find(kid, token.header.algorithm).ok_or(Flaw::KeyUnknown)?;
                key.verify(token.message, &token.signature)?;
                Ok(Arc::clone(key))
            }
            None => self.verify_without_id(token),
        }
    }

    /// Whether a key of this `kid` and algorithm is in the set.
    pub(super) fn find(&self, kid: &str, algorithm: Algorithm) -> Option<&Arc<VerificationKey>> {
        self.keys.iter().find(|key| key.algorithm == algorithm && key.key_id.as_deref() == Some(kid))
    }

    /// Whether the set still holds this very key.
    pub(super) fn holds(&self, key: &VerificationKey) -> bool {
        self.keys.iter().any(|known| {
            known.thumbprint == key.thumbprint && known.algorithm == key.algorithm && known.key_id == key.key_id
        })
    }

    /// The keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<VerificationKey>> {
        self.keys.iter()
    }

    /// A token without `kid` may try a few keys of its algorithm; more would be work that a stranger can order.
    fn verify_without_id(&self, token: &Signed<'_>) -> Result<Arc<VerificationKey>, Flaw> {
        let fitting = self.keys.iter().filter(|key| key.algorithm == token.header.algorithm);
        let mut flaw = Flaw::KeyUnknown;
        for key in fitting.take(KEYS_WITHOUT_ID_TRIED_MAX) {
            match key.verify(token.message, &token.signature) {
                Ok(()) => return Ok(Arc::clone(key)),
                Err(wrong) => flaw = wrong,
            }
        }
        Err(flaw)
    }

    fn add(&mut self, key: VerificationKey) -> Result<(), KeysetError> {
        let twin = |known: &Arc<VerificationKey>| known.key_id == key.key_id && known.algorithm == key.algorithm;
        let twins = self.keys.iter().find(|known| twin(known));
        match twins {
            Some(twin) if twin.thumbprint == key.thumbprint => Ok(()),
            Some(twin) if twin.key_id.is_some() => Err(KeysetError::Repeated),
            _ => {
                self.keys.push(Arc::new(key));
                Ok(())
            }
        }
    }
}

/// Reads a JWKS document for `check`: how many keys can verify, and how many are malformed, weak or private.
///
/// # Errors
/// [`KeysetError`] when the document would not be taken.
pub fn inspect_keys(document: &[u8]) -> Result<(usize, usize), KeysetError> {
    Keys::parse(document).map(|keys| (keys.keys.len(), keys.bad))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::SigningKey;
    use crate::identity::jwt;

    fn jwks(keys: &[&str]) -> String {
        format!(r#"{{"keys":[{}]}}"#, keys.join(","))
    }

    #[test]
    fn every_algorithm_signs_and_verifies() {
        for algorithm in Algorithm::ALL {
            let key = SigningKey::generate(algorithm, "k").expect("a key");
            let keys = Keys::parse(jwks(&[&key.public_jwk()]).as_bytes()).expect("a set");
            let token = key.sign("{}").expect("a token");
            assert!(keys.verify(&jwt::read(&token).expect("readable").signed).is_ok(), "{algorithm:?}");
            let other = SigningKey::generate(algorithm, "k").expect("a key").sign("{}").expect("a token");
            assert_eq!(keys.verify(&jwt::read(&other).expect("readable").signed).err(), Some(Flaw::SignatureWrong));
        }
    }

    #[test]
    fn a_document_with_two_readings_or_nothing_in_it_is_refused() {
        let one = SigningKey::generate(Algorithm::ES256, "k").expect("a key").public_jwk();
        let two = SigningKey::generate(Algorithm::ES256, "k").expect("a key").public_jwk();
        let many = vec![one.as_str(); KEYS_MAX + 1];
        for (document, want) in [
            (jwks(&[&one, &two]), KeysetError::Repeated),
            (jwks(&many), KeysetError::TooMany),
            (jwks(&[]), KeysetError::Empty { foreign: 0, bad: 0 }),
            (jwks(&[r#"{"kty":"oct","k":"AA"}"#]), KeysetError::Empty { foreign: 1, bad: 0 }),
            (jwks(&[&one.replace("P-256", "P-384")]), KeysetError::Empty { foreign: 0, bad: 1 }),
            (jwks(&["1"]), KeysetError::NoKeys),
            ("{}".to_owned(), KeysetError::NoKeys),
            (r#"{"keys":{}}"#.to_owned(), KeysetError::NoKeys),
            ("<html>".to_owned(), KeysetError::Unreadable(JsonError::Malformed)),
            (r#"{"keys":[],"keys":[]}"#.to_owned(), KeysetError::Unreadable(JsonError::Ambiguous)),
        ] {
            assert_eq!(Keys::parse(document.as_bytes()).err(), Some(want), "{document}");
        }
        assert_eq!(inspect_keys(jwks(&[&one, &one, r#"{"kty":"future"}"#]).as_bytes()), Ok((1, 0)));
    }

    #[test]
    fn without_kid_only_a_few_keys_are_tried() {
        let make = |_| SigningKey::generate(Algorithm::EdDSA, "unused").expect("a key");
        let pairs: Vec<SigningKey> = (0..=KEYS_WITHOUT_ID_TRIED_MAX).map(make).collect();
        let documents: Vec<String> =
            pairs.iter().map(|key| key.public_jwk().replace(r#""kid":"unused","#, "")).collect();
        let keys =
            Keys::parse(jwks(&documents.iter().map(String::as_str).collect::<Vec<_>>()).as_bytes()).expect("a set");
        let check = |key: &SigningKey| {
            let token = key.sign_raw(r#"{"alg":"EdDSA"}"#, "{}").expect("a token");
            keys.verify(&jwt::read(&token).expect("readable").signed).map(|_| ())
        };
        assert_eq!(check(&pairs[0]), Ok(()));
        assert_eq!(check(&pairs[KEYS_WITHOUT_ID_TRIED_MAX]), Err(Flaw::SignatureWrong));
    }

    #[test]
    fn a_keys_age_counts_from_its_certificate_or_its_first_sight() {
        use base64::Engine as _;
        let mut params = rcgen::CertificateParams::default();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        let issued = params.self_signed(&rcgen::KeyPair::generate().expect("a key")).expect("a certificate");
        let x5c = base64::engine::general_purpose::STANDARD.encode(issued.der());
        let key = SigningKey::generate(Algorithm::ES256, "k").expect("a key").public_jwk();
        let certified = key.replacen('{', &format!(r#"{{"x5c":["{x5c}"],"#), 1);
        let born = |jwk: &str, seen: u64| {
            let mut keys = Keys::parse(jwks(&[jwk]).as_bytes()).expect("a set");
            keys.date(|_| UnixTime::from_secs(seen));
            keys.keys[0].born.as_secs()
        };
        let new_year_2020 = 1_577_836_800;
        assert_eq!(born(&certified, 1_800_000_000), new_year_2020);
        assert_eq!(born(&certified, 1_500_000_000), 1_500_000_000, "a later certificate makes no key younger");
        assert_eq!(born(&key, 1_800_000_000), 1_800_000_000);
        for bad in [r#"{"x5c":[],"#, r#"{"x5c":["AA"],"#, r#"{"x5c":"AA","#, r#"{"x5c":[7],"#] {
            assert!(Keys::parse(jwks(&[&key.replacen('{', bad, 1)]).as_bytes()).is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        /// Whatever an issuer answers is taken or refused.
        #[test]
        fn any_document_is_taken_or_refused(
            kty in "RSA|EC|OKP|oct", crv in "P-256|P-384|Ed25519|", x in "[A-Za-z0-9_-]{0,90}", y in "[A-Za-z0-9_=-]{0,90}",
        ) {
            let jwk = format!(r#"{{"kty":"{kty}","crv":"{crv}","x":"{x}","y":"{y}","n":"{x}{y}","e":"{y}"}}"#);
            let _ = Keys::parse(jwks(&[&jwk]).as_bytes());
            let _ = Keys::parse(&jwk.as_bytes()[..jwk.len() / 2]);
        }
    }
}
