//! Tokens that stand for the calling service: its own token is exchanged at the vendor's server (RFC 8693).
//!
//! One exchange at a time for each caller's token; the result is kept within a bound and never beyond its end. A token
//! that the server has refused is refused again for a short time without a question. Callers are told apart by a
//! keyed hash of their token, so that none is kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::HeaderValue;
use quick_cache::sync::Cache;
use tokio::sync::watch;

use super::CredentialContext;
use super::endpoint::TokenEndpoint;
use super::error::CredentialError;
use super::keeper::{FetchFailure, NOT_ASKED};
use super::status::RefreshCounts;
use crate::bounds::{
    CREDENTIAL_REFETCH_SPAN, CREDENTIAL_REFETCHES_AT_ONCE, CREDENTIAL_RETRY_MIN, CREDENTIAL_WAIT_MARGIN,
    EXCHANGE_REFUSED_FOR, EXCHANGED_TOKENS_MAX, EXCHANGES_UNDER_WAY_MAX, OUTAGE_REPORT_INTERVAL,
};
use crate::identity::{FetchQuota, OutageChange, OutageLog};
use crate::model::{ClientId, Lock as _, Secret};

type CallerFingerprint = [u8; 32];

/// Exchanges the tokens of callers.
pub(super) struct TokenExchange {
    endpoint: TokenEndpoint,
    subject_token_type: String,
    requested_token_type: Option<String>,
    context: Arc<CredentialContext>,
    answers: Cache<CallerFingerprint, ExchangeAnswer>,
    flights: Mutex<HashMap<CallerFingerprint, watch::Receiver<()>>>,
    refetches: Mutex<FetchQuota>,
    outcome: Mutex<(RefreshCounts, Option<String>)>,
    outage: OutageLog,
}

/// What the server answered about one caller.
#[derive(Debug, Clone)]
struct ExchangeAnswer {
    result: Result<HeaderValue, CredentialError>,
    /// Unique among the answers.
    number: u64,
    until_ns: u64,
}

/// The token of a calling service, which is exchanged.
#[derive(Debug, Clone)]
pub struct ExchangeSubject {
    /// The token.
    pub token: Secret<String>,
    /// The service, where it is known.
    pub client: Option<ClientId>,
}

/// A token that stands for a caller.
#[derive(Debug, Clone)]
pub(super) struct ExchangedToken {
    pub(super) authorization: HeaderValue,
    caller: CallerFingerprint,
    subject: ExchangeSubject,
    number: u64,
}

impl TokenExchange {
    pub(super) fn new(
        endpoint: TokenEndpoint,
        (subject_token_type, requested_token_type): (String, Option<String>),
        context: Arc<CredentialContext>,
    ) -> Self {
        Self {
            endpoint,
            subject_token_type,
            requested_token_type,
            context,
            answers: Cache::new(EXCHANGED_TOKENS_MAX),
            flights: Mutex::default(),
            refetches: Mutex::new(FetchQuota::new(CREDENTIAL_REFETCH_SPAN, CREDENTIAL_REFETCHES_AT_ONCE)),
            outcome: Mutex::default(),
            outage: OutageLog::new(OUTAGE_REPORT_INTERVAL),
        }
    }

    pub(super) const fn endpoint(&self) -> &TokenEndpoint {
        &self.endpoint
    }

    /// The token that stands for the sender of this one.
    pub(super) async fn obtain(self: &Arc<Self>, subject: ExchangeSubject) -> Result<ExchangedToken, CredentialError> {
        let caller =
            *blake3::keyed_hash(self.context.fingerprint_key.expose(), subject.token.expose().as_bytes()).as_bytes();
        if let Some(answer) = self.valid(&caller) {
            return answer.into_token(caller, subject);
        }
        self.ask(caller, &subject).await?;
        let none = || match self.endpoint.may_ask() {
            true => CredentialError::unavailable("the token endpoint did not answer in time"),
            false => CredentialError::unavailable(NOT_ASKED),
        };
        self.valid(&caller).ok_or_else(none)?.into_token(caller, subject)
    }

    /// A newer token for the same caller than the one that the vendor has refused; `None` where none can be had.
    pub(super) async fn newer_than(self: &Arc<Self>, refused: &ExchangedToken) -> Option<ExchangedToken> {
        let newer = || self.valid(&refused.caller).filter(|answer| answer.number != refused.number);
        if newer().is_none() {
            let now_ns = self.context.clock.now().monotonic_ns;
            if !self.refetches.locked().take_now(now_ns) {
                return None;
            }
            self.ask(refused.caller, &refused.subject).await.ok()?;
        }
        newer()?.into_token(refused.caller, refused.subject.clone()).ok()
    }

    pub(super) fn status(&self) -> (RefreshCounts, Option<String>) {
        self.outcome.locked().clone()
    }

    fn valid(&self, caller: &CallerFingerprint) -> Option<ExchangeAnswer> {
        let now_ns = self.context.clock.now().monotonic_ns;
        self.answers.get(caller).filter(|answer| now_ns < answer.until_ns)
    }

    /// Exchanges, or waits for the exchange of the same token that is under way.
    async fn ask(
        self: &Arc<Self>,
        caller: CallerFingerprint,
        subject: &ExchangeSubject,
    ) -> Result<(), CredentialError> {
        let mut landed = self.join_or_start(caller, subject)?;
        // Closed without a value when the exchange has ended.
        let _ = tokio::time::timeout(self.endpoint.settings.deadline + CREDENTIAL_WAIT_MARGIN, landed.changed()).await;
        Ok(())
    }

    fn join_or_start(
        self: &Arc<Self>,
        caller: CallerFingerprint,
        subject: &ExchangeSubject,
    ) -> Result<watch::Receiver<()>, CredentialError> {
        let mut flights = self.flights.locked();
        if let Some(flight) = flights.get(&caller) {
            return Ok(flight.clone());
        }
        if flights.len() >= EXCHANGES_UNDER_WAY_MAX {
            return Err(CredentialError::unavailable("too many exchanges are under way"));
        }
        let (done, landed) = watch::channel(());
        flights.insert(caller, landed.clone());
        drop(flights);
        let (me, subject) = (Arc::clone(self), subject.clone());
        // It goes on when this request gives up, since others may wait for it.
        tokio::spawn(async move {
            me.exchange(caller, &subject).await;
            me.flights.locked().remove(&caller);
            drop(done);
        });
        Ok(landed)
    }

    async fn exchange(&self, caller: CallerFingerprint, subject: &ExchangeSubject) {
        let began_ns = self.context.clock.now().monotonic_ns;
        let mut form = vec![
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", subject.token.expose().as_str()),
            ("subject_token_type", self.subject_token_type.as_str()),
        ];
        form.extend(self.requested_token_type.as_deref().map(|kind| ("requested_token_type", kind)));
        let (result, keep, error) = match self.endpoint.ask(&form, subject.client.as_ref()).await {
            Ok(issued) => {
                let (usable_for, renew_after) = issued.schedule();
                (Ok(issued.authorization), usable_for.unwrap_or(renew_after), None)
            }
            Err(FetchFailure::Refused(error)) => {
                (Err(CredentialError::SubjectRefused), EXCHANGE_REFUSED_FOR, Some(error))
            }
            // Nothing is remembered: whoever comes after a restore asks at once.
            Err(FetchFailure::Withheld) => return,
            Err(FetchFailure::Failed(error)) => {
                let unavailable = CredentialError::unavailable(error.clone());
                (Err(unavailable), CREDENTIAL_RETRY_MIN, Some(error))
            }
        };
        self.record(result.as_ref().err(), error);
        self.keep(caller, result, began_ns, keep);
    }

    fn keep(
        &self,
        caller: CallerFingerprint,
        result: Result<HeaderValue, CredentialError>,
        began_ns: u64,
        keep: Duration,
    ) {
        let before = self.valid(&caller);
        let until_ns = began_ns.saturating_add(keep.as_nanos() as u64);
        // A failed renewal leaves the token that is still valid in use.
        if result.is_err() && before.as_ref().is_some_and(|before| before.result.is_ok()) {
            return;
        }
        let number = before.map_or(1, |before| before.number + 1);
        self.answers.insert(caller, ExchangeAnswer { result, number, until_ns });
    }

    fn record(&self, failed: Option<&CredentialError>, error: Option<String>) {
        let vendor = self.context.vendor.as_str();
        // A caller whose token is refused says nothing about the endpoint.
        let outage = error.as_deref().filter(|_| failed != Some(&CredentialError::SubjectRefused));
        match self.outage.record(outage, self.context.clock.now().monotonic_ns) {
            Some(OutageChange::Failing(error)) => tracing::warn!(vendor, error, "callers' tokens cannot be exchanged"),
            Some(OutageChange::Recovered) => tracing::info!(vendor, "callers' tokens can be exchanged again"),
            None => {}
        }
        let mut outcome = self.outcome.locked();
        match failed {
            None => outcome.0.succeeded += 1,
            Some(CredentialError::SubjectRefused) => outcome.0.refused += 1,
            Some(_) => outcome.0.failed += 1,
        }
        outcome.1 = error;
    }
}

impl ExchangeAnswer {
    fn into_token(
        self,
        caller: CallerFingerprint,
        subject: ExchangeSubject,
    ) -> Result<ExchangedToken, CredentialError> {
        Ok(ExchangedToken { authorization: self.result?, caller, subject, number: self.number })
    }
}

impl std::fmt::Debug for TokenExchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenExchange").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}
