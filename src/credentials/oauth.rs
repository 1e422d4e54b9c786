//! Access tokens of our own client: by client credentials, or by a refresh token that may be replaced with each use.
//!
//! A replaced refresh token is on disk, sealed with the vendor's keys, before the access token that came with it is
//! used: a restart in between must not leave us with a token that the server has thrown away.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use http::HeaderValue;
use serde::{Deserialize, Serialize};

use super::CredentialContext;
use super::endpoint::TokenEndpoint;
use super::keeper::{FetchFailure, FetchedValue, ValueFetcher};
use super::secret::HeldSecret;
use crate::model::{Lock as _, Secret, UnixTime};
use crate::pii::TokenClass;

/// The class under which the vendor's keys seal its refresh token.
pub(super) const REFRESH_TOKEN_CLASS: &str = "vendorgate_refresh_token";

/// Fetches an access token.
pub(super) struct AccessTokenFetcher {
    pub(super) endpoint: TokenEndpoint,
    pub(super) context: Arc<CredentialContext>,
    /// The refresh token as the operator gave it; `None` for client credentials.
    pub(super) seed: Option<HeldSecret>,
    /// The newest refresh token and the fingerprint of its seed, also where it could not be written to disk.
    pub(super) newest: Mutex<Option<([u8; 32], Secret<String>)>>,
}

/// A refresh token that took the place of another one, as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct ReplacedTokenRow {
    /// Of the token that the operator gave: another one there makes this one void.
    seed: [u8; 32],
    sealed: String,
    at_ms: u64,
}

impl AccessTokenFetcher {
    async fn fetch_token(&self) -> Result<FetchedValue<HeaderValue>, FetchFailure> {
        let mut issued = match &self.seed {
            None => self.endpoint.ask(&[("grant_type", "client_credentials")], None).await?,
            Some(seed) => {
                let (token, fingerprint) = self.refresh_token(seed).await?;
                let form = [("grant_type", "refresh_token"), ("refresh_token", token.expose().as_str())];
                let issued = self.endpoint.ask(&form, None).await;
                if let Err(FetchFailure::Refused(_)) = &issued {
                    seed.look_again(self.context.clock.now()).await;
                }
                let mut issued = issued?;
                if let Some(next) = issued.refresh_token.take().filter(|next| *next != token) {
                    self.keep(fingerprint, &next).await;
                }
                issued
            }
        };
        issued.refresh_token = None;
        let (usable_for, renew_after) = issued.schedule();
        Ok(FetchedValue { value: issued.authorization, usable_for, renew_after })
    }

    /// The refresh token in use, and the fingerprint of the one that the operator gave.
    async fn refresh_token(&self, seed: &HeldSecret) -> Result<(Secret<String>, [u8; 32]), FetchFailure> {
        let held = seed.value(self.context.clock.now()).await;
        let held = held.map_err(|error| FetchFailure::Failed(error.to_string()))?;
        let given = held.text().map_err(|error| FetchFailure::Failed(error.to_string()))?;
        let fingerprint = *blake3::keyed_hash(self.context.fingerprint_key.expose(), given.as_bytes()).as_bytes();
        if let Some((seed, token)) = &*self.newest.locked()
            && *seed == fingerprint
        {
            return Ok((token.clone(), fingerprint));
        }
        let stored = self.context.store.load(&self.key()).map_err(|error| {
            // The token that the operator gave was used up by its replacement: showing it again could end the grant.
            FetchFailure::Failed(format!("the refresh token in the state folder cannot be read: {error}"))
        })?;
        let row = stored.and_then(|bytes| serde_json::from_slice::<ReplacedTokenRow>(&bytes).ok());
        let replaced = row.filter(|row| row.seed == fingerprint).and_then(|row| self.open(&row.sealed));
        Ok((replaced.unwrap_or_else(|| Secret::new(given.to_owned())), fingerprint))
    }

    fn open(&self, sealed: &str) -> Option<Secret<String>> {
        let mut value = Vec::new();
        self.context.keys.open(sealed.as_bytes(), &mut value).ok()?;
        String::from_utf8(value).ok().map(Secret::new)
    }

    async fn keep(&self, seed: [u8; 32], token: &Secret<String>) {
        let vendor = self.context.vendor.as_str();
        *self.newest.locked() = Some((seed, token.clone()));
        let mut sealed = Vec::new();
        let class = TokenClass::from_name(REFRESH_TOKEN_CLASS);
        let done = self.context.keys.tokenize(&class, token.expose().as_bytes(), &mut sealed);
        let at: UnixTime = self.context.clock.now().wall;
        let row =
            ReplacedTokenRow { seed, sealed: String::from_utf8(sealed).unwrap_or_default(), at_ms: at.as_millis() };
        let (Some(()), Ok(bytes)) = (done, serde_json::to_vec(&row)) else {
            tracing::error!(vendor, "a new refresh token could not be sealed: after a restart it will be missing");
            return;
        };
        let (store, key) = (Arc::clone(&self.context.store), self.key());
        let saved = tokio::task::spawn_blocking(move || store.save(&key, &bytes)).await;
        if !matches!(saved, Ok(Ok(()))) {
            tracing::error!(vendor, "a new refresh token is not on disk: after a restart it will be missing");
        }
    }

    fn key(&self) -> String {
        format!("refresh/{}", self.context.vendor)
    }
}

impl ValueFetcher<HeaderValue> for AccessTokenFetcher {
    fn fetch(&self) -> Pin<Box<dyn Future<Output = Result<FetchedValue<HeaderValue>, FetchFailure>> + Send + '_>> {
        Box::pin(self.fetch_token())
    }

    fn may_fetch(&self) -> bool {
        self.endpoint.may_ask()
    }

    fn generation(&self) -> u64 {
        let now = self.context.clock.now();
        let seed = self.seed.as_ref().map_or(0, |seed| seed.generation(now));
        // Generations are unique in the process, so that a sum changes with either.
        self.endpoint.generation(now).wrapping_add(seed)
    }
}

impl std::fmt::Debug for AccessTokenFetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessTokenFetcher").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}
