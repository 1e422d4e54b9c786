//! A stand-in for an authorization server: one set of keys for all tests, and tokens that can be wrong in every way.

use std::sync::OnceLock;

use serde_json::{Value, json};
use vendorgate::internals::identity::{Algorithm, SigningKey};
use vendorgate::internals::model::Clock;

/// The issuer that the contracts of the tests name.
pub(crate) const ISSUER: &str = "https://id.example.com";
/// The audience that they name.
pub(crate) const AUDIENCE: &str = "https://api.example.com";

/// The keys of the issuer.
pub(crate) struct Keys {
    pub(crate) es256: SigningKey,
    pub(crate) rs256: SigningKey,
    /// Published, but listed by no contract.
    pub(crate) eddsa: SigningKey,
}

/// The issuer's keys, made once for the whole run, since an RSA key takes long to make.
pub(crate) fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| Keys {
        es256: SigningKey::generate(Algorithm::ES256, "es").expect("a key"),
        rs256: SigningKey::generate(Algorithm::RS256, "rs").expect("a key"),
        eddsa: SigningKey::generate(Algorithm::EdDSA, "ed").expect("a key"),
    })
}

/// The key set that the issuer publishes.
pub(crate) fn jwks() -> String {
    let Keys { es256, rs256, eddsa } = keys();
    format!(r#"{{"keys":[{},{},{}]}}"#, es256.public_jwk(), rs256.public_jwk(), eddsa.public_jwk())
}

/// A token of a vendor's client, good for ten minutes, without a scope.
pub(crate) fn vendor(name: &str) -> TokenDraft {
    let now = Clock::system().now().wall.as_millis() / 1000;
    let client = format!("{name}-client");
    TokenDraft(json!({
        "iss": ISSUER, "aud": AUDIENCE, "client_id": client, "sub": client, "iat": now, "exp": now + 600, "jti": "t"
    }))
}

/// The claims of a token that is not yet signed.
pub(crate) struct TokenDraft(Value);

impl TokenDraft {
    /// Grants scopes, separated by spaces.
    pub(crate) fn scope(self, scopes: &str) -> Self {
        self.claim("scope", json!(scopes))
    }

    /// Sets a claim.
    pub(crate) fn claim(mut self, name: &str, value: Value) -> Self {
        self.0[name] = value;
        self
    }

    /// Issued this long ago, for this long.
    pub(crate) fn issued(self, ago_secs: u64, lifetime_secs: u64) -> Self {
        let issued = self.0["iat"].as_u64().expect("a time") - ago_secs;
        self.claim("iat", json!(issued)).claim("exp", json!(issued + lifetime_secs))
    }

    /// The claims as JSON.
    pub(crate) fn claims(&self) -> String {
        self.0.to_string()
    }

    /// Signed by the issuer.
    pub(crate) fn token(&self) -> String {
        keys().es256.sign(&self.claims()).expect("signed")
    }
}

/// A token that reads orders: what most tests present.
pub(crate) fn reader() -> String {
    vendor("acme").scope("orders:read").token()
}
