//! The settings of a vendor's credential: its kind, and where its secrets come from. They name secrets and hold none.

use std::path::PathBuf;
use std::time::Duration;

use http::HeaderName;
use ipnet::IpNet;

use super::request_template::RequestTemplate;
use crate::http::Url;
use crate::identity::{SignatureEncoding, TimestampFormat, WebhookProof, WebhookSecretEncoding};
use crate::model::Algorithm;

/// `egress.credentials` of a contract: by what the vendor knows us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialSettings {
    /// An access token that is fetched from a token endpoint.
    OAuth2(Box<OAuthSettings>),
    /// A fixed token in `Authorization: Bearer`.
    Bearer(SecretSettings),
    /// A fixed key in a header or the query.
    ApiKey(ApiKeyPlace, SecretSettings),
    /// A user name and a password (RFC 7617).
    Basic(String, SecretSettings),
    /// A signature over what is sent.
    Hmac(Box<HmacSettings>),
    /// A signature as AWS has it.
    AwsSigV4(Box<SigV4Settings>),
}

/// A secret: where it is, and how old it may become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretSettings {
    /// Where it is.
    pub source: SecretSource,
    /// How its bytes are written there.
    pub encoding: WebhookSecretEncoding,
    /// How long it may be in use; past that it is refused.
    pub max_age: Option<Duration>,
}

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// In a file, which is read again when it changes.
    File(PathBuf),
    /// In an environment variable of the process, by its name.
    Environment(String),
    /// In a file that systemd has made of a credential (`LoadCredential=`), by its path.
    Systemd(PathBuf),
    /// In a key-value engine of HashiCorp Vault, version 2.
    Vault(Box<VaultSettings>),
}

/// A secret in Vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultSettings {
    /// Scheme, host and port.
    pub address: Url,
    /// The mount of the engine.
    pub mount: String,
    /// The path of the secret below the mount.
    pub path: String,
    /// The member of the secret's data.
    pub key: String,
    /// The namespace, in editions that have them.
    pub namespace: Option<String>,
    /// By what Vault knows us.
    pub login: VaultLogin,
    /// Authorities that are trusted beside the machine's own.
    pub ca_file: Option<PathBuf>,
    /// How often the secret is read again.
    pub refresh: Duration,
}

/// By what Vault knows us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VaultLogin {
    /// A token in a file, such as the sink of a Vault agent.
    TokenFile(PathBuf),
    /// The AppRole method.
    AppRole {
        /// The id of the role.
        role_id: String,
        /// The file of its secret id.
        secret_id_file: PathBuf,
        /// The mount of the method.
        mount: String,
    },
}

/// Where an API key stands in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiKeyPlace {
    /// In a header, after a prefix.
    Header(HeaderName, String),
    /// In a query parameter.
    Query(String),
}

/// A token endpoint, and how a token is got there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthSettings {
    /// The token endpoint.
    pub token_url: Url,
    /// What is exchanged for a token.
    pub grant: OAuthGrant,
    /// Our id at the vendor.
    pub client_id: String,
    /// By what the endpoint knows us.
    pub client_auth: ClientAuthentication,
    /// The scopes to ask for.
    pub scopes: Vec<String>,
    /// `audience`, which some servers ask for.
    pub audience: Option<String>,
    /// `resource` (RFC 8707).
    pub resource: Option<String>,
    /// Authorities that are trusted beside the machine's own.
    pub ca_file: Option<PathBuf>,
    /// Networks that the endpoint's name may resolve to although they are not public.
    pub networks: Vec<IpNet>,
    /// Time for one question.
    pub deadline: Duration,
}

/// What is exchanged for an access token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OAuthGrant {
    /// Our own client (RFC 6749 section 4.4).
    ClientCredentials,
    /// A refresh token (RFC 6749 section 6), first read from here; one that replaces it is kept in the state folder.
    RefreshToken(SecretSettings),
    /// The token that the calling service sends (RFC 8693).
    TokenExchange {
        /// The type of that token.
        subject_token_type: String,
        /// The type of token that is asked for.
        requested_token_type: Option<String>,
    },
}

/// By what a token endpoint knows us (RFC 6749 section 2.3, RFC 7523, RFC 8705).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// The id alone.
    None,
    /// Id and secret in `Authorization: Basic`.
    SecretBasic(SecretSettings),
    /// Id and secret in the form.
    SecretPost(SecretSettings),
    /// A token that our private key has signed.
    PrivateKeyJwt(Box<AssertionSettings>),
    /// The client certificate of the connection.
    TlsCertificate {
        /// The certificate chain, PEM.
        cert: PathBuf,
        /// Its private key, PEM.
        key: PathBuf,
    },
}

/// How a client assertion is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssertionSettings {
    /// The private key, PEM.
    pub key: SecretSettings,
    /// The algorithm.
    pub algorithm: Algorithm,
    /// The `kid`.
    pub key_id: Option<String>,
    /// The `aud`; the token endpoint where none is written.
    pub audience: Option<String>,
}

/// How a request is signed with a shared secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HmacSettings {
    /// The secret.
    pub secret: SecretSettings,
    /// The digest.
    pub digest: WebhookProof,
    /// How the signature is written.
    pub encoding: SignatureEncoding,
    /// What is signed.
    pub signed: RequestTemplate,
    /// The header of the signature, and the text before it.
    pub header: (HeaderName, String),
    /// The header of the time, and how it is written.
    pub timestamp: Option<(HeaderName, TimestampFormat)>,
    /// The header of the key's id, and the id.
    pub key_id: Option<(HeaderName, String)>,
}

/// How a request is signed for AWS (Signature Version 4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigV4Settings {
    /// The id of the access key.
    pub access_key_id: String,
    /// The secret access key.
    pub secret: SecretSettings,
    /// The session token, where the key is a temporary one.
    pub session_token: Option<SecretSettings>,
    /// The region.
    pub region: String,
    /// The service.
    pub service: String,
}

impl CredentialSettings {
    /// The word in the contract.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::OAuth2(_) => "oauth2",
            Self::Bearer(_) => "bearer",
            Self::ApiKey(..) => "api_key",
            Self::Basic(..) => "basic",
            Self::Hmac(_) => "hmac",
            Self::AwsSigV4(_) => "aws_sigv4",
        }
    }

    /// What is done to a request, in words and without any secret.
    pub fn describe(&self) -> String {
        match self {
            Self::OAuth2(oauth) => {
                let url = format!("{}{}", oauth.token_url.origin(), oauth.token_url.path());
                let (grant, auth) = (oauth.grant.as_str(), oauth.client_auth.as_str());
                format!("an access token of {url} ({grant}, {auth}) as Authorization")
            }
            Self::Bearer(_) => "a fixed token as Authorization".to_owned(),
            Self::ApiKey(ApiKeyPlace::Header(name, _), _) => format!("an API key as {name}"),
            Self::ApiKey(ApiKeyPlace::Query(name), _) => format!("an API key as query parameter {name}"),
            Self::Basic(username, _) => format!("the password of {username} as Authorization"),
            Self::Hmac(hmac) => format!("a signature as {}", hmac.header.0),
            Self::AwsSigV4(aws) => format!("an AWS signature for {} in {}", aws.service, aws.region),
        }
    }

    /// Whether the state folder keeps something of it that must be sealed by the master key.
    pub fn needs_master_key(&self) -> bool {
        matches!(self, Self::OAuth2(oauth) if matches!(oauth.grant, OAuthGrant::RefreshToken(_)))
    }
}

impl OAuthGrant {
    /// The word in the contract.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::ClientCredentials => "client_credentials",
            Self::RefreshToken(_) => "refresh_token",
            Self::TokenExchange { .. } => "token_exchange",
        }
    }
}

impl ClientAuthentication {
    /// The word in the contract and in OAuth.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SecretBasic(_) => "client_secret_basic",
            Self::SecretPost(_) => "client_secret_post",
            Self::PrivateKeyJwt(_) => "private_key_jwt",
            Self::TlsCertificate { .. } => "tls_client_auth",
        }
    }
}

impl SecretSource {
    /// The word in the contract.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Environment(_) => "env",
            Self::Systemd(_) => "systemd",
            Self::Vault(_) => "vault",
        }
    }
}
