//! The sample OAuth issuer: ES256 tokens for client credentials (RFC 6749 section 4.4), its keys, its metadata.
//!
//! Its key is real and lives as long as the demo. It signs what the story asks for, also tokens that no good issuer
//! would sign: the gateway is there to refuse them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{Method, Request, StatusCode};
use hyper::body::Incoming;

use super::services::{SampleResponse, field, json, read_body};
use super::{DemoError, random_hex};
use crate::identity::{Algorithm, SigningError, SigningKey};
use crate::model::{Clock, Secret};

/// The audience of the tokens.
pub(super) const AUDIENCE: &str = "https://api.example.com";
/// How long a token of `/token` is valid.
const LIFETIME: Duration = Duration::from_secs(3600);
/// Enough for a form of five short fields.
const FORM_BYTES_MAX: usize = 4096;

/// The sample OAuth issuer.
#[derive(Debug)]
pub(super) struct DemoIssuer {
    url: String,
    key: SigningKey,
    clock: Clock,
    /// The client secret of every client, new with each demo.
    secret: Secret<String>,
    tokens: AtomicU64,
}

/// The claims of a token.
#[derive(Debug, Clone, Copy)]
pub(super) struct DemoGrant<'a> {
    pub(super) client: &'a str,
    pub(super) scope: &'a str,
    /// How long ago the token was issued.
    pub(super) age: Duration,
    pub(super) lifetime: Duration,
}

impl DemoIssuer {
    pub(super) fn new(url: String) -> Result<Self, DemoError> {
        let key = SigningKey::generate(Algorithm::ES256, "demo-1").map_err(DemoError::because("no key can be made"))?;
        let secret = Secret::new(format!("demo-{}", random_hex()?));
        Ok(Self { url, key, clock: Clock::system(), secret, tokens: AtomicU64::new(0) })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) const fn secret(&self) -> &Secret<String> {
        &self.secret
    }

    /// Signs an access token (RFC 9068).
    pub(super) fn sign(&self, grant: DemoGrant<'_>) -> Result<String, SigningError> {
        let issued = self.clock.now().wall.minus(grant.age);
        let number = self.tokens.fetch_add(1, Ordering::Relaxed);
        let claims = serde_json::json!({
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": grant.client,
            "client_id": grant.client,
            "scope": grant.scope,
            "iat": issued.as_secs(),
            "exp": issued.plus(grant.lifetime).as_secs(),
            "jti": format!("demo-{number}"),
        });
        self.key.sign(&claims.to_string())
    }

    /// Answers one request.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> SampleResponse {
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/jwks") => json(StatusCode::OK, format!(r#"{{"keys":[{}]}}"#, self.key.public_jwk())),
            (&Method::GET, "/.well-known/oauth-authorization-server") => json(StatusCode::OK, self.metadata()),
            (&Method::POST, "/token") => self.token(request.into_body()).await,
            _ => oauth_error(StatusCode::NOT_FOUND, "invalid_request"),
        }
    }

    /// The metadata of the issuer (RFC 8414).
    fn metadata(&self) -> String {
        let url = &self.url;
        serde_json::json!({
            "issuer": url,
            "token_endpoint": format!("{url}/token"),
            "jwks_uri": format!("{url}/jwks"),
            "response_types_supported": [],
            "grant_types_supported": ["client_credentials"],
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
            "token_endpoint_auth_signing_alg_values_supported": ["ES256"],
        })
        .to_string()
    }

    async fn token(&self, body: Incoming) -> SampleResponse {
        let Some(form) = read_body(body, FORM_BYTES_MAX).await else {
            return oauth_error(StatusCode::BAD_REQUEST, "invalid_request");
        };
        let form = String::from_utf8_lossy(&form);
        let field = |name| field(&form, name).unwrap_or_default();
        if field("grant_type") != "client_credentials" {
            return oauth_error(StatusCode::BAD_REQUEST, "unsupported_grant_type");
        }
        if &field("client_secret") != self.secret.expose() {
            return oauth_error(StatusCode::UNAUTHORIZED, "invalid_client");
        }
        let (client, scope) = (field("client_id"), field("scope"));
        let grant = DemoGrant { client: &client, scope: &scope, age: Duration::ZERO, lifetime: LIFETIME };
        match self.sign(grant) {
            Ok(token) => {
                let expires_in = LIFETIME.as_secs();
                let answer = serde_json::json!({
                    "access_token": token, "token_type": "Bearer", "expires_in": expires_in, "scope": scope,
                });
                json(StatusCode::OK, answer.to_string())
            }
            Err(_) => oauth_error(StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
        }
    }
}

fn oauth_error(status: StatusCode, error: &str) -> SampleResponse {
    json(status, format!(r#"{{"error":"{error}"}}"#))
}
