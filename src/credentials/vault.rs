//! Reads a secret from the key-value engine (version 2) of HashiCorp Vault.
//!
//! Asks with a token from a file, or logs in by AppRole and keeps that token for as long as Vault says. Vault is ours,
//! so its address is not checked as a vendor's is; it must be https, or this machine.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use super::CredentialContext;
use super::keeper::{FetchFailure, FetchedValue, ValueFetcher};
use super::secret::{SecretValue, decode};
use super::settings::{VaultLogin, VaultSettings};
use crate::bounds::{CREDENTIAL_ANSWER_BYTES_MAX, CREDENTIAL_DEADLINE, SECRET_BYTES_MAX};
use crate::http::{ClientOptions, HttpClient, Url};
use crate::identity::{WebhookSecretEncoding, read_in_background};
use crate::model::{Lock as _, Secret, with_causes};

/// Reads one secret.
pub(super) struct VaultReader {
    settings: VaultSettings,
    encoding: WebhookSecretEncoding,
    purpose: &'static str,
    context: Arc<CredentialContext>,
    client: OnceCell<HttpClient>,
    /// The token of the last login by AppRole, and until when it may be used.
    login: Mutex<Option<(Secret<String>, u64)>>,
}

#[derive(Deserialize)]
struct VaultSecret {
    data: VersionedData,
}

#[derive(Deserialize)]
struct VersionedData {
    /// Null where this version was deleted.
    data: Option<Map<String, Value>>,
    metadata: VersionMetadata,
}

#[derive(Deserialize)]
struct VersionMetadata {
    created_time: String,
}

#[derive(Deserialize)]
struct LoginAnswer {
    auth: LoginToken,
}

#[derive(Deserialize)]
struct LoginToken {
    client_token: String,
    lease_duration: u64,
}

impl VaultReader {
    pub(super) fn new(
        settings: VaultSettings,
        encoding: WebhookSecretEncoding,
        purpose: &'static str,
        context: Arc<CredentialContext>,
    ) -> Self {
        let (client, login) = (OnceCell::new(), Mutex::default());
        Self { settings, encoding, purpose, context, client, login }
    }

    async fn read(&self) -> Result<FetchedValue<SecretValue>, FetchFailure> {
        let path = format!("/v1/{}/data/{}", self.settings.mount, self.settings.path);
        let mut answer = self.call(Method::GET, &path, Some(self.token().await?), Bytes::new()).await?;
        if answer.0 == StatusCode::FORBIDDEN && matches!(self.settings.login, VaultLogin::AppRole { .. }) {
            // The token of the login may have been revoked before its time.
            *self.login.locked() = None;
            answer = self.call(Method::GET, &path, Some(self.token().await?), Bytes::new()).await?;
        }
        let (status, body) = answer;
        match status {
            StatusCode::OK => {}
            StatusCode::FORBIDDEN => {
                return Err(FetchFailure::Failed("Vault does not let us read it (403)".to_owned()));
            }
            StatusCode::NOT_FOUND => return Err(FetchFailure::Failed("Vault has no such secret (404)".to_owned())),
            other => return Err(FetchFailure::Failed(format!("Vault answered with status {}", other.as_u16()))),
        }
        self.secret_of(&body).map_err(FetchFailure::Failed)
    }

    fn secret_of(&self, body: &[u8]) -> Result<FetchedValue<SecretValue>, String> {
        // The cause is left out: it could quote the answer.
        let answer: VaultSecret =
            serde_json::from_slice(body).map_err(|_| "Vault's answer is not that of a key-value engine, version 2")?;
        let data = answer.data.data.ok_or("this version of the secret was deleted")?;
        let content = match data.get(&self.settings.key) {
            Some(Value::String(text)) => Secret::new(text.clone().into_bytes()),
            Some(_) => return Err(format!("its member {} is not a string", self.settings.key)),
            None => return Err(format!("it has no member {}", self.settings.key)),
        };
        let bytes = decode(content.expose(), self.encoding)?;
        let told = humantime::parse_rfc3339(&answer.data.metadata.created_time).ok().map(Into::into);
        let since = self.context.first_seen(self.purpose, &bytes, told);
        let value = SecretValue { bytes, since };
        // What was read stays in use while Vault is away.
        Ok(FetchedValue { value, usable_for: None, renew_after: self.settings.refresh })
    }

    async fn token(&self) -> Result<Secret<String>, FetchFailure> {
        match &self.settings.login {
            VaultLogin::TokenFile(path) => line_of(path).await,
            VaultLogin::AppRole { role_id, secret_id_file, mount } => {
                let now_ns = self.context.clock.now().monotonic_ns;
                if let Some((token, until_ns)) = &*self.login.locked()
                    && now_ns < *until_ns
                {
                    return Ok(token.clone());
                }
                let (token, lease) = self.log_in(role_id, secret_id_file, mount).await?;
                // Used for half of its time: it may be renewed in between by nobody.
                let until_ns = now_ns.saturating_add(lease.as_nanos() as u64 / 2);
                *self.login.locked() = Some((token.clone(), until_ns));
                Ok(token)
            }
        }
    }

    async fn log_in(
        &self,
        role_id: &str,
        secret_id_file: &Path,
        mount: &str,
    ) -> Result<(Secret<String>, Duration), FetchFailure> {
        let secret_id = line_of(secret_id_file).await?;
        let form = Zeroizing::new(json!({ "role_id": role_id, "secret_id": secret_id.expose() }).to_string());
        let path = format!("/v1/auth/{mount}/login");
        let (status, body) = self.call(Method::POST, &path, None, Bytes::copy_from_slice(form.as_bytes())).await?;
        if status != StatusCode::OK {
            return Err(FetchFailure::Failed(format!("Vault refused the login with status {}", status.as_u16())));
        }
        let answer: LoginAnswer = serde_json::from_slice(&body)
            .map_err(|_| FetchFailure::Failed("Vault's answer to the login cannot be read".to_owned()))?;
        Ok((Secret::new(answer.auth.client_token), Duration::from_secs(answer.auth.lease_duration)))
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        token: Option<Secret<String>>,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), FetchFailure> {
        let failed = |error: &dyn std::error::Error| FetchFailure::Failed(with_causes(error));
        let client = self.client.get_or_try_init(|| async { self.new_client().await }).await?;
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        // By this Vault knows that no browser sends the request.
        headers.insert("x-vault-request", HeaderValue::from_static("true"));
        if method == Method::POST {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        for (name, text) in [
            ("x-vault-token", token.as_ref().map(Secret::expose)),
            ("x-vault-namespace", self.settings.namespace.as_ref()),
        ] {
            let Some(text) = text else { continue };
            let wrong = |_| FetchFailure::Failed(format!("the value of {name} cannot stand in a header"));
            let mut value = HeaderValue::try_from(text.as_str()).map_err(wrong)?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let address = &self.settings.address;
        let base = address.path().trim_end_matches('/');
        let url = Url::parse(&format!("{}{base}{path}", address.origin())).map_err(|error| failed(&error))?;
        let answer = match method {
            Method::POST => client.post(&url, headers, body).await,
            _ => client.get(&url, headers).await,
        };
        let answer = answer.map_err(|error| failed(&error))?;
        Ok((answer.status, answer.body))
    }

    async fn new_client(&self) -> Result<HttpClient, FetchFailure> {
        let options = ClientOptions {
            ca_file: self.settings.ca_file.clone(),
            ..ClientOptions::new(CREDENTIAL_DEADLINE, CREDENTIAL_ANSWER_BYTES_MAX)
        };
        let made = tokio::task::spawn_blocking(move || HttpClient::new(options)).await;
        let made = made.map_err(|_| FetchFailure::Failed("the client could not be made".to_owned()))?;
        made.map_err(|error| FetchFailure::Failed(with_causes(&error)))
    }
}

impl ValueFetcher<SecretValue> for VaultReader {
    fn fetch(&self) -> Pin<Box<dyn Future<Output = Result<FetchedValue<SecretValue>, FetchFailure>> + Send + '_>> {
        Box::pin(self.read())
    }

    /// Vault's refusals are never final: it is asked again after a pause.
    fn generation(&self) -> u64 {
        0
    }
}

/// The one line of a file.
async fn line_of(path: &Path) -> Result<Secret<String>, FetchFailure> {
    let failed = |error: String| FetchFailure::Failed(error);
    let content = read_in_background(path, SECRET_BYTES_MAX).await.map_err(|error| failed(with_causes(&error)))?;
    let text = Secret::new(String::from_utf8(content).map_err(|_| failed(format!("{} is not text", path.display())))?);
    let line = text.expose().trim();
    if line.is_empty() {
        return Err(failed(format!("{} is empty", path.display())));
    }
    Ok(Secret::new(line.to_owned()))
}

impl std::fmt::Debug for VaultReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VaultReader").field("path", &self.settings.path).finish_non_exhaustive()
    }
}
