//! Keeps an issuer's keys fresh in the background: before they are needed, one fetch at a time, conditional, with
//! jitter.
//!
//! After a failed fetch or a broken answer the last good keys stay in force; the error is recorded, and the next try
//! follows after a growing pause. Never runs on the path of a request.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use http::header::{
    AGE, CACHE_CONTROL, ETAG, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use http::{HeaderMap, StatusCode};
use serde_json::value::RawValue;

use crate::bounds::{DISCOVERY_AGE, FILE_POLL, ISSUER_ANSWER_BYTES_MAX, KEYS_REFRESH_MIN, KEYS_RETRY_MIN};
use crate::http::{ClientError, ClientOptions, HttpClient, Url};
use crate::identity::files::read::{FileError, read_in_background};
use crate::identity::json::{self, JsonError};
use crate::identity::settings::{FetchSettings, KeySource};
use crate::model::{UnixTime, with_causes};

use super::issuer_keys::{IssuerKeys, RefreshOutcome};
use super::key_set::{KeySet, KeysetError};

/// Why a refresh gave no keys.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The issuer could not be asked, or did not answer.
    #[error(transparent)]
    Fetch(#[from] ClientError),
    /// It answered with an error.
    #[error("the issuer answered with status {0}")]
    Status(u16),
    /// The issuer's metadata cannot be used.
    #[error("the issuer's metadata is not readable")]
    Metadata(#[source] JsonError),
    /// The metadata is another issuer's (RFC 8414 section 3.3).
    #[error("the issuer's metadata names another issuer")]
    OtherIssuer,
    /// The metadata names no keys.
    #[error("the issuer's metadata has no jwks_uri")]
    NoKeysAddress,
    /// The document is not a key set that may be used.
    #[error(transparent)]
    Keys(#[from] KeysetError),
}

impl RefreshError {
    const fn outcome(&self) -> RefreshOutcome {
        match self {
            Self::File(_) | Self::Fetch(_) | Self::Status(_) => RefreshOutcome::Failed,
            Self::Metadata(_) | Self::OtherIssuer | Self::NoKeysAddress | Self::Keys(_) => RefreshOutcome::Broken,
        }
    }
}

/// Builds the HTTP client for an issuer.
pub(crate) fn fetcher(settings: &FetchSettings) -> Result<HttpClient, ClientError> {
    HttpClient::new(ClientOptions {
        ca_file: settings.ca_file.clone(),
        client_certificate: settings.client_certificate.clone(),
        allow_plain_http: settings.allow_plain_http,
        ..ClientOptions::new(settings.deadline, ISSUER_ANSWER_BYTES_MAX)
    })
}

fn parse_url(text: &str, allow_plain_http: bool) -> Result<Url, ClientError> {
    Ok(Url::parse_protected(text, allow_plain_http)?)
}

/// Refreshes the keys again and again until they are dropped.
pub(crate) async fn run(issuer_keys: Weak<IssuerKeys>) {
    let mut state = RefreshState::default();
    while let Some(held) = issuer_keys.upgrade() {
        let pause = refresh_once(&held, &mut state).await;
        drop(held);
        wait_until_due(&issuer_keys, pause).await;
    }
}

/// Waits until the next refresh is due: the scheduled one, or one that a request asked for.
async fn wait_until_due(issuer_keys: &Weak<IssuerKeys>, pause: Duration) {
    let mut scheduled = std::pin::pin!(tokio::time::sleep(pause));
    while let Some(held) = issuer_keys.upgrade() {
        let (wanted, asked) = (Arc::clone(&held.wanted), held.due_in());
        drop(held);
        tokio::select! {
            () = &mut scheduled => return,
            () = tokio::time::sleep(asked.unwrap_or_default()), if asked.is_some() => return,
            () = wanted.notified() => {}
        }
    }
}

/// What one refresh keeps for the next.
#[derive(Default)]
struct RefreshState {
    fetcher: Option<HttpClient>,
    /// The digest of the document in force.
    digest: Option<blake3::Hash>,
    validators: HeaderMap,
    discovered: Option<(Url, UnixTime)>,
    failures: u32,
}

/// A document, or the fact that it has not changed, and the pause before the next refresh.
enum KeyAnswer {
    Document(Vec<u8>, Duration),
    Unchanged(Duration),
}

/// Reads the source once. Returns the pause before the next time.
async fn refresh_once(issuer_keys: &IssuerKeys, state: &mut RefreshState) -> Duration {
    issuer_keys.begin_refresh();
    let found = Box::pin(read_source(issuer_keys, state)).await;
    match found.and_then(|found| put_in_force(issuer_keys, state, found)) {
        Ok(pause) => {
            state.failures = 0;
            pause
        }
        Err(error) => {
            state.failures = state.failures.saturating_add(1);
            state.discovered = None;
            state.validators.clear();
            issuer_keys.finish_refresh(error.outcome(), Some(with_causes(&error)));
            pause_after_failure(issuer_keys, state.failures)
        }
    }
}

async fn read_source(issuer_keys: &IssuerKeys, state: &mut RefreshState) -> Result<KeyAnswer, RefreshError> {
    match &issuer_keys.id.source {
        KeySource::File(path) => {
            Ok(KeyAnswer::Document(read_in_background(path, ISSUER_ANSWER_BYTES_MAX).await?, FILE_POLL))
        }
        KeySource::Url { url, refresh } => {
            let url = parse_url(url, issuer_keys.id.fetch.allow_plain_http)?;
            fetch_keys(issuer_keys, state, &url, *refresh).await
        }
        KeySource::Discovery { refresh } => {
            let url = discover(issuer_keys, state).await?;
            fetch_keys(issuer_keys, state, &url, *refresh).await
        }
        // Nothing can be fetched ahead: such an issuer is asked about each token.
        KeySource::Introspection(_) => Ok(KeyAnswer::Unchanged(DISCOVERY_AGE)),
    }
}

fn put_in_force(
    issuer_keys: &IssuerKeys,
    state: &mut RefreshState,
    found: KeyAnswer,
) -> Result<Duration, RefreshError> {
    match found {
        KeyAnswer::Unchanged(pause) => {
            issuer_keys.finish_refresh(RefreshOutcome::Unchanged, None);
            Ok(pause)
        }
        KeyAnswer::Document(document, pause) => {
            let digest = blake3::hash(&document);
            if state.digest == Some(digest) {
                issuer_keys.finish_refresh(RefreshOutcome::Unchanged, None);
            } else {
                issuer_keys.install(KeySet::parse(&document)?);
                state.digest = Some(digest);
            }
            Ok(pause)
        }
    }
}

async fn fetch_keys(
    issuer_keys: &IssuerKeys,
    state: &mut RefreshState,
    url: &Url,
    refresh: Duration,
) -> Result<KeyAnswer, RefreshError> {
    // Validators are sent only while the document that they name is in force.
    let conditional = if state.digest.is_some() { state.validators.clone() } else { HeaderMap::new() };
    let asked_conditionally = !conditional.is_empty();
    let answer = open_fetcher(issuer_keys, state)?.get(url, conditional).await?;
    let pause = pause_for(&answer.headers, refresh);
    match answer.status {
        StatusCode::OK => {
            state.validators = validators(&answer.headers);
            Ok(KeyAnswer::Document(answer.body.to_vec(), pause))
        }
        StatusCode::NOT_MODIFIED if asked_conditionally => Ok(KeyAnswer::Unchanged(pause)),
        status => Err(RefreshError::Status(status.as_u16())),
    }
}

fn open_fetcher<'a>(issuer_keys: &IssuerKeys, state: &'a mut RefreshState) -> Result<&'a HttpClient, ClientError> {
    let fetcher = match state.fetcher.take() {
        Some(fetcher) => fetcher,
        None => fetcher(&issuer_keys.id.fetch)?,
    };
    Ok(state.fetcher.insert(fetcher))
}

/// Finds `jwks_uri` in the issuer's metadata: RFC 8414 section 3.1 first, then OpenID Connect Discovery section 4.
async fn discover(issuer_keys: &IssuerKeys, state: &mut RefreshState) -> Result<Url, RefreshError> {
    let now = issuer_keys.clock.now().wall;
    if let Some((url, found_at)) = &state.discovered
        && now.since(*found_at) < DISCOVERY_AGE
    {
        return Ok(url.clone());
    }
    let plain = issuer_keys.id.fetch.allow_plain_http;
    let issuer = parse_url(&issuer_keys.id.issuer, plain)?;
    let fetcher = open_fetcher(issuer_keys, state)?;
    let mut status = 0;
    for address in metadata_addresses(&issuer) {
        let answer = fetcher.get(&parse_url(&address, plain)?, HeaderMap::new()).await?;
        if answer.status == StatusCode::OK {
            let url = parse_url(&keys_address(&answer.body, &issuer_keys.id.issuer)?, plain)?;
            state.discovered = Some((url.clone(), now));
            return Ok(url);
        }
        status = answer.status.as_u16();
    }
    Err(RefreshError::Status(status))
}

fn metadata_addresses(issuer: &Url) -> [String; 2] {
    let (origin, path) = (issuer.origin(), issuer.path().trim_end_matches('/'));
    [
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
        format!("{origin}{path}/.well-known/openid-configuration"),
    ]
}

fn keys_address(document: &[u8], issuer: &str) -> Result<String, RefreshError> {
    let [named, address] = json::pick(document, ["issuer", "jwks_uri"]).map_err(RefreshError::Metadata)?;
    let text = |raw: Option<&RawValue>| {
        let read = raw.map(|raw| serde_json::from_str::<String>(raw.get())).transpose();
        read.map_err(|_| RefreshError::Metadata(JsonError::WrongType))
    };
    if text(named)?.as_deref() != Some(issuer) {
        return Err(RefreshError::OtherIssuer);
    }
    text(address)?.ok_or(RefreshError::NoKeysAddress)
}

fn validators(answer: &HeaderMap) -> HeaderMap {
    let pairs: [(HeaderName, HeaderName); 2] = [(ETAG, IF_NONE_MATCH), (LAST_MODIFIED, IF_MODIFIED_SINCE)];
    let known = pairs.into_iter().filter_map(|(said, asked)| answer.get(said).map(|value| (asked, value.clone())));
    known.collect()
}

/// The pause before the next fetch: the issuer's `max-age` less its `Age`, within our own bounds, shortened by jitter,
/// so that keys are renewed before they expire and a fleet does not ask all at once.
fn pause_for(headers: &HeaderMap, refresh: Duration) -> Duration {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let stated = text(CACHE_CONTROL).and_then(max_age).map(|secs| {
        let age = text(AGE).and_then(|age| age.trim().parse().ok()).unwrap_or(0);
        Duration::from_secs(secs.saturating_sub(age))
    });
    jitter(stated.unwrap_or(refresh).clamp(KEYS_REFRESH_MIN.min(refresh), refresh))
}

fn max_age(cache_control: &str) -> Option<u64> {
    let mut directives = cache_control.split(',').map(str::trim);
    if directives.clone().any(|directive| matches!(directive.to_ascii_lowercase().as_str(), "no-store" | "no-cache")) {
        return Some(0);
    }
    let named = directives
        .find_map(|directive| directive.split_once('=').filter(|(name, _)| name.eq_ignore_ascii_case("max-age")));
    named.and_then(|(_, secs)| secs.trim_matches('"').parse().ok())
}

fn pause_after_failure(issuer_keys: &IssuerKeys, failures: u32) -> Duration {
    let longest = match &issuer_keys.id.source {
        KeySource::File(_) | KeySource::Introspection(_) => return FILE_POLL,
        KeySource::Url { refresh, .. } | KeySource::Discovery { refresh } => *refresh,
    };
    // With usable keys there is time; without any, good requests are refused every second.
    let (shortest, longest) = match issuer_keys.usable(issuer_keys.clock.now()) {
        Ok(_) => (issuer_keys.id.fetch.cooldown.min(longest), longest),
        Err(_) => (KEYS_RETRY_MIN.min(longest), issuer_keys.id.fetch.cooldown.min(longest)),
    };
    jitter(shortest.saturating_mul(1 << failures.saturating_sub(1).min(8)).min(longest))
}

/// The span times a random factor between 0.8 and 1.
fn jitter(span: Duration) -> Duration {
    let mut random = [0_u8; 1];
    // Without randomness the pause is only not spread.
    let _ = aws_lc_rs::rand::fill(&mut random);
    span.mul_f64(1.0 - 0.2 * f64::from(random[0]) / 255.0)
}

/// Starts the background task for these keys, once.
pub(crate) fn start(issuer_keys: &Arc<IssuerKeys>, runtime: &tokio::runtime::Handle) {
    let needed = !matches!(issuer_keys.id.source, KeySource::Introspection(_));
    if needed && !issuer_keys.started.swap(true, Ordering::AcqRel) {
        runtime.spawn(run(Arc::downgrade(issuer_keys)));
    }
}

/// Reads a key file at once, so that the gateway serves no request before the keys are there.
pub(crate) fn read_file_now(issuer_keys: &IssuerKeys, path: &Path) {
    issuer_keys.begin_refresh();
    let read = crate::identity::files::read::read_bounded(path, ISSUER_ANSWER_BYTES_MAX).map_err(RefreshError::from);
    match read.and_then(|document| Ok(KeySet::parse(&document)?)) {
        Ok(keys) => issuer_keys.install(keys),
        Err(error) => issuer_keys.finish_refresh(error.outcome(), Some(with_causes(&error))),
    }
}

#[cfg(test)]
mod tests;
