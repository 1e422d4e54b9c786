//! What a contract says about how its vendor proves who it is.

use std::path::PathBuf;
use std::time::Duration;

use crate::bounds;
use crate::identity::certificate::peer::SubjectAltName;
use crate::identity::token::claim_names::{ClaimNames, TokenShape};
use crate::identity::token::claims::RequiredClaims;
use crate::identity::token::issuer_profile::IssuerProfile;
use crate::identity::token::jwt::TokenType;
use crate::identity::webhook::WebhookSettings;
use crate::model::{Algorithm, ClientId};

/// How a vendor proves who it is: a contract's `identity:` section, in one of its three forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentitySettings {
    /// By tokens of an issuer.
    Token(Box<TokenSettings>),
    /// By the client certificate of its connections alone.
    Certificate(CertificateSettings),
    /// By signatures over the bodies that it sends.
    Webhook(Box<WebhookSettings>),
}

impl From<TokenSettings> for IdentitySettings {
    fn from(settings: TokenSettings) -> Self {
        Self::Token(Box::new(settings))
    }
}

/// `identity: { certificate: … }`: a vendor known by its client certificate alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateSettings {
    /// The name that the certificate must have been issued for.
    pub subject_alt_name: SubjectAltName,
    /// PEM file of the authorities that may issue it. Without it any authority that the listener trusts may issue a
    /// certificate with this name: needed wherever the listener trusts more than one.
    pub ca_file: Option<PathBuf>,
    /// PEM files of revocation lists, read again when they change; needs `ca_file`. A list that is missing or past its
    /// next update refuses every certificate.
    pub crl_files: Vec<PathBuf>,
}

/// How a vendor proves itself by an issuer's tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSettings {
    /// Exact `iss`.
    pub issuer: String,
    /// Exact member of `aud`; `None` where the issuer's tokens have no audience, so that only the client tells for whom
    /// they are.
    pub audience: Option<String>,
    /// The clients that are this vendor.
    pub clients: Vec<ClientId>,
    /// Where the issuer's keys come from.
    pub keys: KeySource,
    /// Signature algorithms that may be used; never empty.
    pub algorithms: Vec<Algorithm>,
    /// Whether the token must be bound to its sender.
    pub sender: SenderBinding,
    /// The well-known issuer whose defaults the contract asked for; they are already in the fields beside it.
    pub profile: Option<IssuerProfile>,
    /// The names of claims, where the issuer uses names of its own.
    pub claims: ClaimNames,
    /// Which types, header members and lengths of tokens are accepted.
    pub shape: TokenShape,
    /// Clock skew granted on `exp`, `nbf` and `iat`.
    pub clock_skew: Duration,
    /// Rotation rules.
    pub rotation: RotationRules,
    /// How the issuer is asked for its keys or about a token.
    pub fetch: FetchSettings,
}

impl TokenSettings {
    /// The claims that a signed token must have. RFC 9068 section 2.2 requires `iat`; for other types only rules that
    /// count from it do.
    pub(crate) fn wanted_of_token(&self, typ: &TokenType) -> RequiredClaims<'_> {
        let by_type = *typ == TokenType::AccessToken && !self.claims.issued_at_optional;
        RequiredClaims {
            issue_time: by_type || self.rotation.needs_issue_time(),
            expiry: true,
            ..self.wanted_of_answer()
        }
    }

    /// The claims that an answer about an opaque token must have: RFC 7662 section 2.2 leaves all but `active` to the
    /// issuer.
    pub(crate) fn wanted_of_answer(&self) -> RequiredClaims<'_> {
        RequiredClaims {
            names: &self.claims,
            audience: self.audience.as_deref(),
            issue_time: self.rotation.needs_issue_time(),
            expiry: !self.claims.expiry_optional,
        }
    }
}

/// How tokens of the issuer are verified: by its keys, or by its answer about each token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum KeySource {
    /// A JWKS file, read again when it changes.
    File(PathBuf),
    /// A JWKS document by HTTPS (or HTTP on loopback), fetched in the background.
    Url {
        /// The document's address.
        url: String,
        /// How often it is fetched, before jitter.
        refresh: Duration,
    },
    /// The `jwks_uri` of the issuer's own metadata (RFC 8414, else OpenID Connect Discovery), fetched in the
    /// background.
    Discovery {
        /// How often the keys are fetched, before jitter.
        refresh: Duration,
    },
    /// No keys: opaque tokens, about which the issuer is asked one by one (RFC 7662).
    Introspection(IntrospectionSettings),
}

/// How an issuer is asked about opaque tokens: a contract's `introspection:` section.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IntrospectionSettings {
    /// The endpoint's address.
    pub url: String,
    /// Our client id at the issuer.
    pub client_id: String,
    /// File of that client's secret; absent where the client certificate of `fetch` authenticates us (RFC 8705).
    pub secret_file: Option<PathBuf>,
    /// The prefix of this issuer's tokens, by which issuers are told apart where there are several; may be empty for
    /// one of them.
    pub token_prefix: String,
    /// How long a positive answer is cached at most, and never past the token's `exp`.
    pub active_for: Duration,
    /// How long a negative answer is cached.
    pub inactive_for: Duration,
}

/// How an issuer is asked: a contract's `fetch:` section. All parts have defaults.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FetchSettings {
    /// How long keys are used after the issuer last confirmed them; after that no token passes.
    pub hard_age: Duration,
    /// Shortest time between two fetches that strangers can cause (by an unknown `kid`).
    pub cooldown: Duration,
    /// Time for one fetch.
    pub deadline: Duration,
    /// PEM file of authorities trusted for this issuer beside the machine's own.
    pub ca_file: Option<PathBuf>,
    /// PEM files of the certificate and key that we present to this issuer.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// Whether plain HTTP may be used beyond this machine. Who can change that traffic can let anybody in as the
    /// vendor.
    pub allow_plain_http: bool,
}

impl Default for FetchSettings {
    fn default() -> Self {
        Self {
            hard_age: bounds::KEYS_HARD_AGE,
            cooldown: bounds::KEYS_COOLDOWN,
            deadline: bounds::ISSUER_DEADLINE,
            ca_file: None,
            client_certificate: None,
            allow_plain_http: false,
        }
    }
}

/// How a token must be bound to who sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SenderBinding {
    /// A bearer token: not bound. A token that has a binding (`cnf`) is checked against it all the same.
    None,
    /// `cnf.x5t#S256` must be the thumbprint of the connection's client certificate (RFC 8705).
    Mtls,
    /// `cnf.jkt` must be the key of a fresh `DPoP` proof for this very request (RFC 9449).
    Dpop,
}

/// Which newer token supersedes an older one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SupersededBy {
    /// A newer token of the same client: replicas that each have a token of their own end each other's.
    #[default]
    PerClient,
    /// A newer token of the same client for the same `sub`.
    PerSubject,
}

/// A contract's `rotation:` section. `None` leaves a rule out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RotationRules {
    /// Longest `exp - iat`; `exp - now` where a token without `iat` may pass.
    pub max_lifetime: Option<Duration>,
    /// Whether the contract itself has `max_lifetime`, so that a token must have `iat` for it.
    pub max_lifetime_written: bool,
    /// Greatest `now - iat`.
    pub max_age: Option<Duration>,
    /// How long a token passes after a newer one was used.
    pub superseded_grace: Option<Duration>,
    /// Which newer token counts.
    pub superseded: SupersededBy,
    /// Greatest age of the signing key, from its first sight.
    pub max_key_age: Option<Duration>,
    /// How long a request in flight may continue after its token is past `exp` or `max_age`; not at all where it is
    /// left out.
    pub expired_grace: Option<Duration>,
}

impl RotationRules {
    /// Whether a rule of the contract counts from `iat`.
    pub(crate) const fn needs_issue_time(&self) -> bool {
        self.max_lifetime_written || self.max_age.is_some() || self.superseded_grace.is_some()
    }
}
