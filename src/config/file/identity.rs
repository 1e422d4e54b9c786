//! A contract's `identity:` as it is written in YAML: an issuer's tokens, a certificate, or signed webhooks.
//!
//! `check` knows which keys belong together.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::contract::SizeText;
use super::webhook::WebhookConfig;
use super::{DurationText, OneOrMore};
use crate::identity::{HeaderMember, IssuerProfile, SenderBinding};

/// How a vendor proves who it is: by access tokens of an issuer, or else by `certificate` or `webhook` alone.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct IdentityConfig {
    /// Exact `iss`.
    #[schemars(example = "https://id.example.com")]
    pub(in crate::config) issuer: Option<String>,
    /// A well-known issuer, which settles `claims`, `typ`, `algorithms` and the audience's form. What is written beside
    /// it holds instead.
    pub(in crate::config) issuer_profile: Option<IssuerProfile>,
    /// Exact member of `aud`; none where the issuer's tokens have no audience, and `clients` alone says whose they are.
    #[schemars(example = "https://api.example.com")]
    pub(in crate::config) audience: Option<String>,
    /// The clients that are this vendor.
    #[schemars(extend("examples" = [["acme-batch"]]))]
    pub(in crate::config) clients: Option<Vec<String>>,
    /// Where the issuer's keys come from: a `url`, a `file`, or `discovery`.
    pub(in crate::config) jwks: Option<JwksConfig>,
    /// For opaque tokens, in the place of `jwks`: the issuer is asked about each (RFC 7662).
    pub(in crate::config) introspection: Option<IntrospectionConfig>,
    /// Which claims say what, where the issuer has names of its own.
    pub(in crate::config) claims: Option<ClaimNamesConfig>,
    /// Signature algorithms that may be used (default ES256 alone).
    pub(in crate::config) algorithms: Option<Vec<AlgorithmName>>,
    /// Whether a token must be bound to its sender (default none).
    pub(in crate::config) sender: Option<SenderBinding>,
    /// Values of the token's `typ` that pass (default at+jwt alone). JWT, which also allows none, is for issuers that
    /// do not follow RFC 9068, and so is any other media type.
    #[schemars(extend("examples" = [["at+jwt", "JWT"]]))]
    pub(in crate::config) typ: Option<Vec<String>>,
    /// Members of the token's header that are ignored, because this issuer sends them: jku, x5u, x5c or cty. No key is
    /// ever taken from them (default none: they refuse the token).
    pub(in crate::config) ignore_header: Option<Vec<HeaderMember>>,
    /// Longest token (default 8KiB, at most 24KiB).
    pub(in crate::config) token_bytes_max: Option<SizeText>,
    /// Skew granted on times in a token (default 30s, at most 5m).
    pub(in crate::config) clock_skew: Option<DurationText>,
    /// How young tokens and keys must be.
    pub(in crate::config) rotation: Option<RotationConfig>,
    /// How the issuer is asked, for keys or about a token.
    pub(in crate::config) fetch: Option<IssuerFetchConfig>,
    /// Without tokens: the client certificate of the connection says who it is.
    pub(in crate::config) certificate: Option<CertificateConfig>,
    /// Without tokens: a signature over each message says who sent it.
    pub(in crate::config) webhook: Option<WebhookConfig>,
}

/// Where an issuer's keys come from.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct JwksConfig {
    /// A JWKS document by https, or by http on loopback.
    #[schemars(example = "https://id.example.com/jwks")]
    pub(in crate::config) url: Option<String>,
    /// Whether the document's address is read from the issuer's own metadata (RFC 8414, OpenID Connect Discovery).
    pub(in crate::config) discovery: Option<bool>,
    /// How often the document is fetched (default 5m).
    pub(in crate::config) refresh: Option<DurationText>,
    /// A JWKS file, read again when it changes.
    #[schemars(example = "keys/acme.jwks.json")]
    pub(in crate::config) file: Option<String>,
}

/// How an issuer is asked about opaque tokens.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct IntrospectionConfig {
    /// The endpoint, by https, or by http on loopback.
    #[schemars(required, example = "https://id.example.com/introspect")]
    pub(in crate::config) url: Option<String>,
    /// The client that we are to the issuer.
    #[schemars(required, example = &"vendorgate")]
    pub(in crate::config) client_id: Option<String>,
    /// File of that client's secret; without it `fetch.cert` proves who we are.
    #[schemars(example = "secrets/introspection")]
    pub(in crate::config) secret_file: Option<String>,
    /// What this issuer's tokens start with, where several issuers are asked.
    #[schemars(example = &"acme_")]
    pub(in crate::config) token_prefix: Option<String>,
    /// How long the answer that a token is active is kept, never past the token's expiry (default 30s).
    pub(in crate::config) active_for: Option<DurationText>,
    /// How long the answer that a token is inactive is kept (default 10s).
    pub(in crate::config) inactive_for: Option<DurationText>,
}

/// How an issuer is asked.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct IssuerFetchConfig {
    /// How long the last good keys outlive their issuer (default 24h).
    pub(in crate::config) hard_age: Option<DurationText>,
    /// Time in which keys that are not known may cause one more fetch, after the first four (default 30s).
    pub(in crate::config) cooldown: Option<DurationText>,
    /// Time for one question (default 5s).
    pub(in crate::config) deadline: Option<DurationText>,
    /// PEM file of authorities trusted for this issuer beside the machine's own.
    #[schemars(example = "tls/issuer-ca.pem")]
    pub(in crate::config) ca: Option<String>,
    /// PEM file of the client certificate that we show; needs `key`.
    #[schemars(example = "tls/gateway.pem")]
    pub(in crate::config) cert: Option<String>,
    /// PEM file of its private key.
    #[schemars(example = "tls/gateway.key")]
    pub(in crate::config) key: Option<String>,
    /// Whether plain http may be used beyond this machine; who can change it on the way can act as the vendor (default
    /// false).
    pub(in crate::config) allow_plain_http: Option<bool>,
}

/// A vendor known by its client certificate.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct CertificateConfig {
    /// The name that it was issued for: a DNS name, a URI, or an e-mail address.
    #[schemars(required, example = "spiffe://acme.example/batch")]
    pub(in crate::config) subject_alt_name: Option<String>,
    /// PEM file of the authorities that may issue it (default the one that the listener trusts; needed where it trusts
    /// several).
    #[schemars(example = "tls/acme-ca.pem")]
    pub(in crate::config) ca: Option<String>,
    /// PEM files of revocation lists, read again when they change; one that is missing or overdue refuses all.
    #[schemars(extend("examples" = [["tls/acme.crl"]]))]
    pub(in crate::config) crl: Option<Vec<String>>,
}

/// Which claims say what. A claim is a name (`cid`, `https://example.com/roles`), a path to one (`realm_access.roles`),
/// or a path whose names hold dots (`$["a.b"].roles`).
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct ClaimNamesConfig {
    /// The claims that name the client, which must agree where several are there (default client_id and azp, else sub).
    #[schemars(example = &"cid")]
    pub(in crate::config) client: Option<OneOrMore>,
    /// The claims that hold scopes or roles, as text or list; all that are there count (default scope or scp).
    #[schemars(extend("examples" = [["scp", "roles"]]))]
    pub(in crate::config) scopes: Option<OneOrMore>,
    /// The claim that holds the audience (default aud); none is the same as `audience: none`.
    #[schemars(example = &"aud")]
    pub(in crate::config) audience: Option<String>,
    /// Claims that must have this text, or hold it in a list.
    pub(in crate::config) require: Option<BTreeMap<String, String>>,
    /// Whether `iat` may be absent from a token of type at+jwt (default required). It may be from any other, and from
    /// introspection answers, unless a rule of `rotation` counts from it.
    pub(in crate::config) issued_at: Option<ClaimPresence>,
    /// With introspection: whether `exp` may be absent from the answer, which is then kept for `active_for` (default
    /// required).
    pub(in crate::config) expiry: Option<ClaimPresence>,
}

/// Whether a claim must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum ClaimPresence {
    /// A token without it is refused.
    Required,
    /// A token without it is taken.
    Optional,
}

/// A JWS algorithm: ES256, ES384, ES512, RS256, RS384, RS512, PS256, PS384, PS512 or EdDSA (Ed25519).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("pattern" = r"^((ES|RS|PS)(256|384|512)|EdDSA|.*\$\{.*)$", "examples" = ["ES256", "RS256"]))]
pub(in crate::config) struct AlgorithmName(pub(in crate::config) String);

/// How young tokens and keys must be.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RotationConfig {
    /// Longest time from a token's issue to its expiry (default `1d`).
    pub(in crate::config) max_lifetime: Option<DurationText>,
    /// Longest time since a token's issue.
    pub(in crate::config) max_age: Option<DurationText>,
    /// How long a token passes after a newer one was used.
    pub(in crate::config) superseded_grace: Option<DurationText>,
    /// Whose newer one: the client's (per_client, the default), or the client's for the same `sub` (per_subject); off
    /// is for replicas that each hold a token of their own, and the same as no grace.
    pub(in crate::config) superseded: Option<SupersededConfig>,
    /// Greatest age of the signing key, from its first sight.
    pub(in crate::config) max_key_age: Option<DurationText>,
    /// How long an answer or a WebSocket may run on after its token is past its expiry or max_age; none by default: it
    /// is severed then.
    pub(in crate::config) expired_grace: Option<DurationText>,
}

/// Whose newer token ends an older one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum SupersededConfig {
    /// The client's: a token that was stolen ends with the owner's next, and replicas must share one.
    PerClient,
    /// The client's for the same `sub`: users of one client do not end each other's.
    PerSubject,
    /// None: a stolen token passes until it expires.
    Off,
}
