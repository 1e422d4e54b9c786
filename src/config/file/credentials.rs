//! `egress.credentials` of a contract as it is written in YAML: by what the vendor knows us.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::DurationText;
use crate::identity::{SignatureEncoding, TimestampFormat, WebhookProof, WebhookSecretEncoding};

/// By what the vendor knows us: exactly one kind. Our services never see it, and what they send in its place is
/// removed.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct CredentialsConfig {
    /// An access token that is fetched from the vendor's token endpoint.
    pub(in crate::config) oauth2: Option<OAuthConfig>,
    /// A fixed token in `Authorization: Bearer`.
    pub(in crate::config) bearer: Option<BearerConfig>,
    /// A fixed key in a header or a query parameter.
    pub(in crate::config) api_key: Option<ApiKeyConfig>,
    /// A user name and a password in `Authorization: Basic`.
    pub(in crate::config) basic: Option<BasicConfig>,
    /// A signature with a shared secret over what is sent.
    pub(in crate::config) hmac: Option<HmacConfig>,
    /// A signature as AWS has it (Signature Version 4).
    pub(in crate::config) aws_sigv4: Option<SigV4Config>,
}

/// A secret: exactly one of file, env, systemd and vault says where it is.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct SecretConfig {
    /// A file, which is read again when it changes.
    #[schemars(example = "secrets/acme-client")]
    pub(in crate::config) file: Option<String>,
    /// The name of an environment variable.
    #[schemars(example = &"ACME_CLIENT_SECRET")]
    pub(in crate::config) env: Option<String>,
    /// The name of a systemd credential (`LoadCredential=`), which is a file in `$CREDENTIALS_DIRECTORY`.
    #[schemars(example = "acme-client")]
    pub(in crate::config) systemd: Option<String>,
    /// A secret in HashiCorp Vault.
    pub(in crate::config) vault: Option<VaultConfig>,
    /// How it is written there (default raw).
    pub(in crate::config) encoding: Option<WebhookSecretEncoding>,
    /// How long its content may be in use; past that, requests are refused (default for ever).
    pub(in crate::config) max_age: Option<DurationText>,
}

/// A member of a secret in a key-value engine (version 2) of HashiCorp Vault.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct VaultConfig {
    /// Scheme, host and port: https, or http to this machine.
    #[schemars(required, example = "https://vault.internal:8200")]
    pub(in crate::config) address: Option<String>,
    /// The mount of the engine (default secret).
    pub(in crate::config) mount: Option<String>,
    /// The path of the secret below the mount.
    #[schemars(required, example = "vendors/acme")]
    pub(in crate::config) path: Option<String>,
    /// The member of its data.
    #[schemars(required, example = &"client_secret")]
    pub(in crate::config) key: Option<String>,
    /// The namespace, in editions that have them.
    pub(in crate::config) namespace: Option<String>,
    /// A file with a token, such as the sink of a Vault agent; it is read for each question.
    #[schemars(example = "/run/vault/token")]
    pub(in crate::config) token_file: Option<String>,
    /// A login by AppRole.
    pub(in crate::config) approle: Option<AppRoleConfig>,
    /// Authorities that are trusted beside the machine's own, PEM.
    #[schemars(example = "tls/vault-ca.pem")]
    pub(in crate::config) ca: Option<String>,
    /// How often it is read again (default 60s).
    pub(in crate::config) refresh: Option<DurationText>,
}

/// A login by AppRole.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct AppRoleConfig {
    /// The id of the role.
    #[schemars(required)]
    pub(in crate::config) role_id: Option<String>,
    /// The file of its secret id.
    #[schemars(required, example = "secrets/vault-secret-id")]
    pub(in crate::config) secret_id_file: Option<String>,
    /// The mount of the method (default approle).
    pub(in crate::config) mount: Option<String>,
}

/// An access token of the vendor's token endpoint.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct OAuthConfig {
    /// The token endpoint: https, or http to this machine.
    #[schemars(required, example = "https://id.acme.example/oauth2/token")]
    pub(in crate::config) token_url: Option<String>,
    /// What is exchanged for a token (default client_credentials).
    pub(in crate::config) grant: Option<OAuthGrantConfig>,
    /// Our id at the vendor.
    #[schemars(required, example = &"our-company")]
    pub(in crate::config) client_id: Option<String>,
    /// By what the endpoint knows us (default client_secret_basic).
    pub(in crate::config) client_auth: Option<ClientAuthenticationConfig>,
    /// For client_secret_basic and client_secret_post: the secret.
    pub(in crate::config) secret: Option<SecretConfig>,
    /// For private_key_jwt: the private key, PEM.
    pub(in crate::config) private_key: Option<SecretConfig>,
    /// For private_key_jwt: the algorithm (default ES256).
    #[schemars(example = &"PS256")]
    pub(in crate::config) algorithm: Option<String>,
    /// For private_key_jwt: the `kid` by which the vendor knows the key.
    pub(in crate::config) key_id: Option<String>,
    /// For private_key_jwt: the `aud` of the assertion (default the token endpoint).
    pub(in crate::config) assertion_audience: Option<String>,
    /// For tls_client_auth: the certificate chain, PEM.
    #[schemars(example = "tls/acme-client.pem")]
    pub(in crate::config) cert: Option<String>,
    /// For tls_client_auth: its private key, PEM.
    #[schemars(example = "tls/acme-client.key")]
    pub(in crate::config) key: Option<String>,
    /// For the grant refresh_token: the first refresh token. One that replaces it is kept in the state folder.
    pub(in crate::config) refresh_token: Option<SecretConfig>,
    /// For the grant token_exchange: the type of the caller's token (default an access token's).
    pub(in crate::config) subject_token_type: Option<String>,
    /// For the grant token_exchange: the type of token that is asked for (default as the server likes).
    pub(in crate::config) requested_token_type: Option<String>,
    /// The scopes to ask for (default as the server likes).
    #[schemars(extend("examples" = [["events:write"]]))]
    pub(in crate::config) scopes: Option<Vec<String>>,
    /// `audience` of the question, which some servers ask for.
    pub(in crate::config) audience: Option<String>,
    /// `resource` of the question (RFC 8707).
    pub(in crate::config) resource: Option<String>,
    /// Authorities that are trusted beside the machine's own, PEM.
    #[schemars(example = "tls/acme-ca.pem")]
    pub(in crate::config) ca: Option<String>,
    /// Time for one question (default 5s, at most 30s).
    pub(in crate::config) deadline: Option<DurationText>,
}

/// What is exchanged for an access token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum OAuthGrantConfig {
    /// Our own client.
    ClientCredentials,
    /// A refresh token.
    RefreshToken,
    /// The token that the calling service sends (RFC 8693).
    TokenExchange,
}

/// By what a token endpoint knows us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum ClientAuthenticationConfig {
    /// Id and secret in `Authorization: Basic`.
    ClientSecretBasic,
    /// Id and secret in the form.
    ClientSecretPost,
    /// A token that our private key has signed (RFC 7523).
    PrivateKeyJwt,
    /// The client certificate of the connection (RFC 8705).
    TlsClientAuth,
    /// The id alone.
    None,
}

/// A fixed token.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct BearerConfig {
    /// The token.
    #[schemars(required)]
    pub(in crate::config) secret: Option<SecretConfig>,
}

/// A fixed key; exactly one of header and query says where it stands.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct ApiKeyConfig {
    /// The header.
    #[schemars(example = "x-api-key")]
    pub(in crate::config) header: Option<String>,
    /// The text before the key in the header (default none).
    #[schemars(example = &"Token ")]
    pub(in crate::config) prefix: Option<String>,
    /// The query parameter. Vendors' logs have it, so prefer a header where there is one.
    #[schemars(example = &"api_key")]
    pub(in crate::config) query: Option<String>,
    /// The key.
    #[schemars(required)]
    pub(in crate::config) secret: Option<SecretConfig>,
}

/// A user name and a password.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct BasicConfig {
    /// The user name; it may be empty.
    #[schemars(required, example = &"our-company")]
    pub(in crate::config) username: Option<String>,
    /// The password.
    #[schemars(required)]
    pub(in crate::config) secret: Option<SecretConfig>,
}

/// A signature with a shared secret.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct HmacConfig {
    /// The secret.
    #[schemars(required)]
    pub(in crate::config) secret: Option<SecretConfig>,
    /// The header of the signature.
    #[schemars(required, example = "x-acme-signature")]
    pub(in crate::config) header: Option<String>,
    /// The text before the signature (default none).
    #[schemars(example = "sha256=")]
    pub(in crate::config) prefix: Option<String>,
    /// What is signed, as it leaves. The parts are {timestamp} {method} {host} {path} {query} {target} {body}
    /// {body_sha256} and {header:NAME}.
    #[schemars(required, example = "{timestamp}{method}{target}{body}")]
    pub(in crate::config) signed: Option<String>,
    /// The digest (default sha256).
    pub(in crate::config) digest: Option<WebhookProof>,
    /// How the signature is written (default hex).
    pub(in crate::config) encoding: Option<SignatureEncoding>,
    /// The header of the time.
    #[schemars(example = "x-acme-timestamp")]
    pub(in crate::config) timestamp_header: Option<String>,
    /// How the time is written (default seconds).
    pub(in crate::config) timestamp_format: Option<TimestampFormat>,
    /// The header of the key's id, and the id: one entry.
    #[schemars(extend("examples" = [{"x-acme-key": "our-company"}]))]
    pub(in crate::config) key_id: Option<BTreeMap<String, String>>,
}

/// A signature as AWS has it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct SigV4Config {
    /// The id of the access key.
    #[schemars(required)]
    pub(in crate::config) access_key_id: Option<String>,
    /// The secret access key.
    #[schemars(required)]
    pub(in crate::config) secret: Option<SecretConfig>,
    /// The session token of a temporary key.
    pub(in crate::config) session_token: Option<SecretConfig>,
    /// The region.
    #[schemars(required, example = "eu-central-1")]
    pub(in crate::config) region: Option<String>,
    /// The service, as AWS writes it in scopes.
    #[schemars(required, example = &"execute-api")]
    pub(in crate::config) service: Option<String>,
}
