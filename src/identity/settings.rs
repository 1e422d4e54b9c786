//! What a contract says about how its vendor proves who it is.

use std::path::PathBuf;
use std::time::Duration;

use crate::model::ClientId;

/// A contract's `identity:` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Exact `iss`.
    pub issuer: String,
    /// Exact member of `aud`.
    pub audience: String,
    /// The clients that are this vendor.
    pub clients: Vec<ClientId>,
    /// Where the issuer's keys come from.
    pub keys: KeySource,
    /// Signature algorithms that may be used; never empty.
    pub algorithms: Vec<Algorithm>,
    /// Whether the token must be bound to its sender.
    pub sender: Sender,
    /// Whether `typ: JWT` (or none) passes beside `at+jwt` (RFC 9068).
    pub accept_plain_jwt: bool,
    /// Clock skew granted on `exp`, `nbf` and `iat`.
    pub clock_skew: Duration,
    /// Rotation rules.
    pub rotation: Rotation,
}

/// Where the issuer's keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A JWKS file, read again when it changes.
    File(PathBuf),
    /// A JWKS document by HTTPS (or HTTP on loopback), fetched in the background.
    Url {
        /// Where.
        url: String,
        /// How often, before jitter.
        refresh: Duration,
    },
}

/// A JWS algorithm (RFC 7518, RFC 8037). Symmetric ones do not exist here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PSS with SHA-256.
    PS256,
    /// Ed25519.
    EdDSA,
}

impl Algorithm {
    /// All that the product verifies.
    pub const ALL: [Self; 5] = [Self::ES256, Self::ES384, Self::RS256, Self::PS256, Self::EdDSA];

    /// The algorithm of this name, compared by case as RFC 7515 section 4.1.1 says.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    /// The name in a JWS header.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::RS256 => "RS256",
            Self::PS256 => "PS256",
            Self::EdDSA => "EdDSA",
        }
    }
}

/// How a token must be bound to who sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// A bearer token: whoever holds it.
    None,
    /// `cnf.x5t#S256` must be the thumbprint of the connection's client certificate (RFC 8705).
    Mtls,
}

/// A contract's `rotation:` section. `None` leaves a rule out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rotation {
    /// Longest `exp - iat`.
    pub max_lifetime: Option<Duration>,
    /// Greatest `now - iat`.
    pub max_age: Option<Duration>,
    /// How long a token passes after a newer one of the same client was used.
    pub superseded_grace: Option<Duration>,
    /// Greatest age of the signing key, from its first sight.
    pub max_key_age: Option<Duration>,
}
