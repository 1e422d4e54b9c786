//! Opaque tokens: the issuer is asked about each (RFC 7662), by one request at a time per token, and its answer is
//! cached for a bounded time.
//!
//! A positive answer is never used after the token's `exp`. A negative one is cached too, so that a wrong token does
//! not cause a question each time. The number and the rate of questions that strangers can cause are bounded, and
//! requests beyond the bound do not wait. If the issuer does not answer, the token is refused. A token is sent nowhere
//! but to the endpoint of the contract.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::StatusCode;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::sync::{OnceCell, watch};

use crate::bounds::{
    INTROSPECTION_BYTES_MAX, INTROSPECTION_CACHE_BYTES_MAX, INTROSPECTION_RETRY, INTROSPECTIONS_PER_SECOND_MAX,
    ISSUER_WAITERS_MAX, OUTAGE_REPORT_INTERVAL, SECRET_BYTES_MAX,
};
use crate::http::{ClientError, HttpClient, Url, form_encode};
use crate::identity::caller::cache::Fingerprint;
use crate::identity::error::AuthError;
use crate::identity::files::read::{FileError, read_in_background};
use crate::identity::files::watched::{FileKind, WatchedFiles};
use crate::identity::json::{BYTE_ORDER_MARK, Json, JsonError, Object};
use crate::identity::keys::issuer_keys::IssuerKeysId;
use crate::identity::keys::refresh::fetcher;
use crate::identity::keys::schedule::FetchQuota;
use crate::identity::outage::{OutageChange, OutageLog};
use crate::identity::settings::IntrospectionSettings;
use crate::identity::token::claims;
use crate::model::{Clock, Lock as _, Moment, Secret, UnixTime, debug_fields, with_causes, words};

/// The state of introspection at one issuer, for `status` and metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IntrospectionStatus {
    /// How often each of [`IntrospectionOutcome::ALL`] happened.
    pub outcomes: [u64; IntrospectionOutcome::ALL.len()],
    /// Why the last question got no readable answer, if it did not; never holds a token or an answer.
    pub last_error: Option<String>,
}

words! {
    /// How the gateway decided about an opaque token.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum IntrospectionOutcome {
        /// The issuer was asked, and said that the token is active.
        Active = "active",
        /// The issuer was asked, and said that it is not.
        Inactive = "inactive",
        /// The issuer was asked, and gave no readable answer.
        Failed = "failed",
        /// The issuer was not asked: a cached answer was used. The request that caused a question counts here, too,
        /// when it reads the answer.
        Cached = "kept",
        /// The issuer was not asked: too many requests wanted to at once.
        Shed = "shed",
    }
}

/// What the issuer has answered about an opaque token.
#[derive(Debug, Clone)]
pub(crate) enum IntrospectionResponse {
    /// The token is active until that time, with these claims.
    Active(Arc<Object>, UnixTime),
    /// The token is not active.
    Inactive,
    /// The answer is about a token of another issuer.
    Foreign,
    /// The issuer did not give a readable answer.
    Unanswered,
}

/// Asks one issuer about opaque tokens.
pub(crate) struct Introspector {
    pub(crate) id: IssuerKeysId,
    pub(crate) settings: IntrospectionSettings,
    clock: Clock,
    fetcher: OnceCell<HttpClient>,
    answers: Cache<Fingerprint, CachedResponse, ResponseWeight>,
    flights: Mutex<HashMap<Fingerprint, watch::Receiver<()>>>,
    allowance: Mutex<FetchQuota>,
    outcomes: [AtomicU64; IntrospectionOutcome::ALL.len()],
    last_error: Mutex<Option<String>>,
    outage: OutageLog,
    /// Checks the secret's file, where there is one, also while no question is asked.
    pub(crate) secret: Option<Arc<WatchedFiles<()>>>,
}

#[derive(Debug, Clone)]
struct CachedResponse {
    answer: IntrospectionResponse,
    until_ns: u64,
    bytes: u64,
}

#[derive(Debug, Clone)]
struct ResponseWeight;

impl Weighter<Fingerprint, CachedResponse> for ResponseWeight {
    fn weight(&self, _: &Fingerprint, kept: &CachedResponse) -> u64 {
        /// The slot, the fingerprint and an empty answer.
        const BOOKKEEPING: u64 = 160;
        // Parsed members are a few times larger than their text.
        BOOKKEEPING + kept.bytes * 4
    }
}

/// Why the issuer gave no readable answer; for the log.
#[derive(Debug, thiserror::Error)]
enum IntrospectionError {
    #[error(transparent)]
    Fetch(#[from] ClientError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("the client's id or secret cannot stand in a header")]
    Credentials,
    #[error("the client's secret {0}")]
    Secret(&'static str),
    #[error("the issuer answered with status {0}")]
    Status(u16),
    #[error("the issuer's answer is not readable")]
    Answer(#[from] JsonError),
    #[error("the issuer's answer has no 'active', or is too large")]
    NoAnswer,
}

impl Introspector {
    pub(crate) fn new(id: IssuerKeysId, settings: IntrospectionSettings, clock: Clock) -> Self {
        let secret = settings.secret_file.clone().map(|path| {
            let build = |contents: &[Vec<u8>]| Ok((read_secret(contents.concat()).map(drop)?, None));
            WatchedFiles::open(FileKind::IntrospectionSecret, &id.issuer, vec![path], Box::new(build))
        });
        let items = (INTROSPECTION_CACHE_BYTES_MAX / 1024) as usize;
        Self {
            id,
            settings,
            clock,
            fetcher: OnceCell::new(),
            answers: Cache::with_weighter(items, INTROSPECTION_CACHE_BYTES_MAX, ResponseWeight),
            flights: Mutex::default(),
            allowance: Mutex::new(FetchQuota::new(
                Duration::from_secs(1) / INTROSPECTIONS_PER_SECOND_MAX,
                INTROSPECTIONS_PER_SECOND_MAX,
            )),
            outcomes: Default::default(),
            last_error: Mutex::default(),
            outage: OutageLog::new(OUTAGE_REPORT_INTERVAL),
            secret,
        }
    }

    pub(crate) fn status(&self) -> IntrospectionStatus {
        IntrospectionStatus {
            outcomes: std::array::from_fn(|at| self.outcomes[at].load(Ordering::Relaxed)),
            last_error: self.last_error.locked().clone(),
        }
    }

    /// The cached answer about a token, if there is one that is still valid.
    pub(crate) fn cached(&self, fingerprint: &Fingerprint, now: Moment) -> Option<IntrospectionResponse> {
        let kept = self.answers.get(fingerprint).filter(|kept| now.monotonic_ns < kept.until_ns)?;
        if matches!(kept.answer, IntrospectionResponse::Active(_, until) if now.wall >= until) {
            return None;
        }
        self.count(IntrospectionOutcome::Cached);
        Some(kept.answer)
    }

    /// Whether the issuer's last answer about a token was that it is inactive.
    pub(crate) fn is_inactive(&self, fingerprint: &Fingerprint) -> bool {
        self.answers.peek(fingerprint).is_some_and(|kept| matches!(kept.answer, IntrospectionResponse::Inactive))
    }

    fn count(&self, outcome: IntrospectionOutcome) {
        self.outcomes[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Lets a request ask about a token, or wait for a request that already asks; `None` when too many do.
    pub(crate) fn wait_for_token(
        self: &Arc<Self>,
        fingerprint: Fingerprint,
        token: &str,
        now: Moment,
    ) -> Option<IntrospectionWait> {
        let flights = self.flights.locked();
        let joins = flights.contains_key(&fingerprint);
        if !joins && (flights.len() >= ISSUER_WAITERS_MAX || !self.take_turn(now)) {
            self.count(IntrospectionOutcome::Shed);
            return None;
        }
        Some(IntrospectionWait { introspector: Arc::clone(self), fingerprint, token: Secret::new(token.to_owned()) })
    }

    fn take_turn(&self, now: Moment) -> bool {
        self.allowance.locked().take_now(now.monotonic_ns)
    }

    async fn ask_and_cache(&self, fingerprint: Fingerprint, token: &Secret<String>) {
        let outcome = Box::pin(self.ask(token)).await;
        let now = self.clock.now();
        self.record_outcome(outcome.as_ref().err().map(|error| with_causes(error)), now);
        let (answer, keep, bytes) = match outcome {
            Ok((IntrospectionResponse::Active(claims, expires), bytes)) => {
                let until = expires.min(now.wall.plus(self.settings.active_for));
                (IntrospectionResponse::Active(claims, until), self.settings.active_for, bytes)
            }
            Ok((
                answer @ (IntrospectionResponse::Inactive
                | IntrospectionResponse::Foreign
                | IntrospectionResponse::Unanswered),
                _,
            )) => (answer, self.settings.inactive_for, 0),
            Err(_) => (IntrospectionResponse::Unanswered, INTROSPECTION_RETRY, 0),
        };
        self.count(match &answer {
            IntrospectionResponse::Active(..) => IntrospectionOutcome::Active,
            IntrospectionResponse::Inactive | IntrospectionResponse::Foreign => IntrospectionOutcome::Inactive,
            IntrospectionResponse::Unanswered => IntrospectionOutcome::Failed,
        });
        let until_ns = now.monotonic_ns.saturating_add(keep.as_nanos() as u64);
        self.answers.insert(fingerprint, CachedResponse { answer, until_ns, bytes: bytes as u64 });
    }

    /// Records how a question went, and logs a change.
    fn record_outcome(&self, error: Option<String>, now: Moment) {
        let issuer = self.id.issuer.as_str();
        match self.outage.record(error.as_deref(), now.monotonic_ns) {
            Some(OutageChange::Failing(error)) => {
                tracing::warn!(issuer, error, "an issuer does not say what its tokens are worth")
            }
            Some(OutageChange::Recovered) => tracing::info!(issuer, "an issuer says again what its tokens are worth"),
            None => {}
        }
        *self.last_error.locked() = error;
    }

    async fn ask(&self, token: &Secret<String>) -> Result<(IntrospectionResponse, usize), IntrospectionError> {
        let url =
            Url::parse_protected(&self.settings.url, self.id.fetch.allow_plain_http).map_err(ClientError::from)?;
        let fetcher = self.fetcher.get_or_try_init(|| async { fetcher(&self.id.fetch) }).await?;
        let encode = |text: &str| form_encode(text).to_string();
        let mut body = format!("token={}&token_type_hint=access_token", encode(token.expose()));
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        match &self.settings.secret_file {
            Some(path) => drop(headers.insert(AUTHORIZATION, self.authorization(path, encode).await?)),
            None => body = format!("{body}&client_id={}", encode(&self.settings.client_id)),
        }
        let answer = fetcher.post(&url, headers, Bytes::from(body)).await?;
        if answer.status != StatusCode::OK {
            return Err(IntrospectionError::Status(answer.status.as_u16()));
        }
        self.read(&answer.body).map(|read| (read, answer.body.len()))
    }

    /// RFC 6749 section 2.3.1: id and secret are form-encoded before they are joined. The secret's file is read for
    /// each question, so that a new secret is used at once.
    async fn authorization(
        &self,
        path: &std::path::Path,
        encode: impl Fn(&str) -> String,
    ) -> Result<HeaderValue, IntrospectionError> {
        let secret = read_in_background(path, SECRET_BYTES_MAX).await?;
        let secret = read_secret(secret).map_err(IntrospectionError::Secret)?;
        let pair = Secret::new(format!("{}:{}", encode(&self.settings.client_id), encode(secret.expose().trim_end())));
        let text = Secret::new(format!("Basic {}", STANDARD.encode(pair.expose())));
        let mut value = HeaderValue::from_str(text.expose()).map_err(|_| IntrospectionError::Credentials)?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// Reads an answer. One for another issuer's token refuses the token. One without a readable `exp` is cached for
    /// `active_for`; whether it may lack `exp` is decided later, by the contract.
    fn read(&self, body: &[u8]) -> Result<IntrospectionResponse, IntrospectionError> {
        if body.len() > INTROSPECTION_BYTES_MAX {
            return Err(IntrospectionError::NoAnswer);
        }
        // Read as strictly as a token, since any member of it may decide.
        let object = Object::parse(body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body))?;
        match object.get("active") {
            Some(Json::Bool(true)) => {}
            Some(Json::Bool(false)) => return Ok(IntrospectionResponse::Inactive),
            Some(_) | None => return Err(IntrospectionError::NoAnswer),
        }
        if object.text("iss")?.is_some_and(|issuer| issuer != self.id.issuer) {
            return Ok(IntrospectionResponse::Foreign);
        }
        let longest = self.clock.now().wall.plus(self.settings.active_for);
        let until = claims::date(&object, "exp").ok().flatten().unwrap_or(longest);
        Ok(IntrospectionResponse::Active(Arc::new(object), until))
    }
}

/// Reads a secret: a text, without the end of its line.
pub(crate) fn read_secret(content: Vec<u8>) -> Result<Secret<String>, &'static str> {
    let text = Secret::new(String::from_utf8(content).map_err(|_| "is not text")?);
    if text.expose().trim_end().is_empty() { Err("is empty") } else { Ok(text) }
}

debug_fields!(Introspector: id);

/// One of the few requests that may ask the issuer, or wait for its answer.
#[derive(Debug)]
pub(crate) struct IntrospectionWait {
    introspector: Arc<Introspector>,
    fingerprint: Fingerprint,
    token: Secret<String>,
}

impl IntrospectionWait {
    /// Asks, or waits for a request that already asks; returns when there is an answer, or after the deadline. The
    /// question continues when this request gives up, since others may wait for it.
    pub(crate) async fn settled(self, deadline: Duration) {
        let mut landed = self.join_or_start();
        let _ = tokio::time::timeout(deadline, landed.changed()).await;
    }

    fn join_or_start(self) -> watch::Receiver<()> {
        let Self { introspector, fingerprint, token } = self;
        let mut flights = introspector.flights.locked();
        if let Some(flight) = flights.get(&fingerprint) {
            return flight.clone();
        }
        let (done, landed) = watch::channel(());
        flights.insert(fingerprint, landed.clone());
        drop(flights);
        tokio::spawn(async move {
            introspector.ask_and_cache(fingerprint, &token).await;
            introspector.flights.locked().remove(&fingerprint);
            // Requests that wait see the channel close.
            drop(done);
        });
        landed
    }
}

/// The claims of an active token, or why the token is refused.
impl IntrospectionResponse {
    pub(crate) fn claims(self) -> Result<(Arc<Object>, UnixTime), AuthError> {
        match self {
            Self::Active(claims, until) => Ok((claims, until)),
            Self::Inactive => Err(AuthError::NotActive),
            Self::Foreign => Err(AuthError::IssuerOther),
            Self::Unanswered => Err(AuthError::IssuerSilent),
        }
    }
}

#[cfg(test)]
mod tests;
