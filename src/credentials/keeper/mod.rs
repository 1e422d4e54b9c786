//! Keeps one fetched value fresh: fetched in the background ahead of its end, by one question at a time.
//!
//! A value is used until a newer one is there or its own end has come, so that a failed renewal costs no request.
//! Requests never ask themselves: they wait for the one task that does. After failures it pauses longer and longer, and
//! where the server has refused the credential itself, until that has changed or a long time has passed.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::{Notify, watch};

use super::error::CredentialError;
use super::status::RefreshCounts;
use crate::bounds::{
    CREDENTIAL_REFETCH_SPAN, CREDENTIAL_REFETCHES_AT_ONCE, CREDENTIAL_REFUSED_RETRY, CREDENTIAL_RETRY_MAX,
    CREDENTIAL_RETRY_MIN, FILE_POLL, OUTAGE_REPORT_INTERVAL,
};
use crate::identity::{FetchQuota, OutageChange, OutageLog};
use crate::model::{Clock, Lock as _, Moment};

/// What operators and the log read while nothing may go to the vendor.
pub(super) const NOT_ASKED: &str = "not asked for: the vendor is killed, or its contract is not in force";

/// Fetches the value.
pub(super) trait ValueFetcher<T>: Send + Sync {
    /// Asks for it once.
    fn fetch(&self) -> Pin<Box<dyn Future<Output = Result<FetchedValue<T>, FetchFailure>> + Send + '_>>;

    /// A number that changes when what is shown to the server has changed.
    fn generation(&self) -> u64;

    /// Whether it may be asked for now.
    fn may_fetch(&self) -> bool {
        true
    }
}

/// A value that was just fetched.
pub(super) struct FetchedValue<T> {
    pub(super) value: T,
    /// How long it may be used; `None` where only the server can tell.
    pub(super) usable_for: Option<Duration>,
    /// After how long the next one is fetched.
    pub(super) renew_after: Duration,
}

/// Why there is no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FetchFailure {
    /// The question got no usable answer.
    Failed(String),
    /// The server has refused what it was shown.
    Refused(String),
    /// The server was not asked, or the question was broken off: nothing may go to the vendor now.
    Withheld,
}

/// A value in use.
#[derive(Debug)]
pub(super) struct KeptValue<T> {
    pub(super) value: T,
    /// Unique among the values of the keeper.
    pub(super) number: u64,
    renew_at_ns: u64,
    end_ns: Option<u64>,
}

/// Keeps one value.
pub(super) struct ValueKeeper<T> {
    vendor: String,
    what: &'static str,
    clock: Clock,
    /// How long a request waits.
    patience: Duration,
    current: ArcSwapOption<KeptValue<T>>,
    progress: Mutex<FetchProgress>,
    asked: Arc<Notify>,
    /// The number of questions that have ended.
    ended: watch::Sender<u64>,
    outage: OutageLog,
    is_started: AtomicBool,
}

#[derive(Debug)]
struct FetchProgress {
    /// Whether a request waits for a newer value.
    is_asked: bool,
    is_under_way: bool,
    failures: u32,
    /// No question before this, after a failure.
    retry_at_ns: u64,
    /// The generation that was refused.
    refused: Option<u64>,
    refetches: FetchQuota,
    counts: RefreshCounts,
    last_error: Option<String>,
}

impl<T: Send + Sync + 'static> ValueKeeper<T> {
    pub(super) fn new(vendor: &str, what: &'static str, clock: Clock, patience: Duration) -> Arc<Self> {
        Arc::new(Self {
            vendor: vendor.to_owned(),
            what,
            clock,
            patience,
            current: ArcSwapOption::empty(),
            progress: Mutex::new(FetchProgress {
                is_asked: false,
                is_under_way: false,
                failures: 0,
                retry_at_ns: 0,
                refused: None,
                refetches: FetchQuota::new(CREDENTIAL_REFETCH_SPAN, CREDENTIAL_REFETCHES_AT_ONCE),
                counts: RefreshCounts::default(),
                last_error: None,
            }),
            asked: Arc::default(),
            ended: watch::Sender::new(0),
            outage: OutageLog::new(OUTAGE_REPORT_INTERVAL),
            is_started: AtomicBool::new(false),
        })
    }

    /// Starts the task that asks, once. It ends when the keeper is dropped.
    pub(super) fn start(self: &Arc<Self>, runtime: &tokio::runtime::Handle, fetcher: Arc<dyn ValueFetcher<T>>) {
        if !self.is_started.swap(true, Ordering::AcqRel) {
            runtime.spawn(run(Arc::downgrade(self), Arc::clone(&self.asked), fetcher));
        }
    }

    /// The value, if it may be used now.
    pub(super) fn usable(&self, now: Moment) -> Option<Arc<KeptValue<T>>> {
        self.current.load_full().filter(|kept| kept.end_ns.is_none_or(|end| now.monotonic_ns < end))
    }

    /// The value, or a bounded wait for it.
    ///
    /// # Errors
    /// [`CredentialError::Unavailable`], at once where the next question must not be asked yet.
    pub(super) async fn obtain(&self) -> Result<Arc<KeptValue<T>>, CredentialError> {
        if let Some(kept) = self.usable(self.clock.now()) {
            return Ok(kept);
        }
        let mut ended = self.ended.subscribe();
        // It may have come between the two.
        if let Some(kept) = self.usable(self.clock.now()) {
            return Ok(kept);
        }
        if !self.ask(|_| true) {
            return Err(self.error());
        }
        let _ = tokio::time::timeout(self.patience, ended.changed()).await;
        self.usable(self.clock.now()).ok_or_else(|| self.error())
    }

    /// A newer value than that of this number, which the vendor has refused; `None` where none can be had now. The
    /// refused one stays in use, since the vendor may have refused it for another reason.
    pub(super) async fn newer_than(&self, number: u64) -> Option<Arc<KeptValue<T>>> {
        let newer = || self.usable(self.clock.now()).filter(|kept| kept.number != number);
        let mut ended = self.ended.subscribe();
        if let Some(kept) = newer() {
            return Some(kept);
        }
        let now_ns = self.clock.now().monotonic_ns;
        if !self.ask(|progress| progress.is_asked || progress.refetches.take_now(now_ns)) {
            return None;
        }
        let _ = tokio::time::timeout(self.patience, ended.changed()).await;
        newer()
    }

    /// How often it was fetched, and why the last question failed, if it did.
    pub(super) fn status(&self) -> (RefreshCounts, Option<String>) {
        let progress = self.progress();
        (progress.counts, progress.last_error.clone())
    }

    /// Asks the task for a question, where one may be asked now.
    fn ask(&self, may: impl FnOnce(&mut FetchProgress) -> bool) -> bool {
        let now_ns = self.clock.now().monotonic_ns;
        let mut progress = self.progress();
        let may = progress.is_under_way || now_ns >= progress.retry_at_ns && may(&mut progress);
        progress.is_asked |= may;
        drop(progress);
        if may {
            self.asked.notify_one();
        }
        may
    }

    fn error(&self) -> CredentialError {
        let progress = self.progress();
        let wait_ns = progress.retry_at_ns.saturating_sub(self.clock.now().monotonic_ns);
        let last = progress.last_error.clone().unwrap_or_else(|| "no answer in time".to_owned());
        CredentialError::Unavailable {
            detail: format!("the {} could not be had: {last}", self.what).into(),
            retry_after: (wait_ns > 0).then(|| Duration::from_nanos(wait_ns)),
        }
    }

    /// In how long the task looks again, and whether a question is due now.
    fn due_in(&self, generation: u64) -> Duration {
        let now_ns = self.clock.now().monotonic_ns;
        let progress = self.progress();
        let retry_in = Duration::from_nanos(progress.retry_at_ns.saturating_sub(now_ns));
        match (progress.refused, self.current.load().as_ref()) {
            (Some(refused), _) if refused != generation => Duration::ZERO,
            (Some(_), _) => retry_in.min(FILE_POLL),
            (None, Some(kept)) if !progress.is_asked => {
                retry_in.max(Duration::from_nanos(kept.renew_at_ns.saturating_sub(now_ns)))
            }
            (None, _) => retry_in,
        }
    }

    /// Asks once; false where that may not be done now.
    async fn fetch_once(&self, fetcher: &dyn ValueFetcher<T>) -> bool {
        self.progress().is_under_way = true;
        let (generation, began) = (fetcher.generation(), self.clock.now());
        let outcome = if fetcher.may_fetch() { fetcher.fetch().await } else { Err(FetchFailure::Withheld) };
        let is_withheld = matches!(outcome, Err(FetchFailure::Withheld));
        let error = match outcome {
            Ok(fetched) => {
                self.replace(fetched, began);
                None
            }
            Err(failure) => Some(self.fail(failure, generation)),
        };
        if !is_withheld {
            self.log(error.as_deref());
        }
        let mut progress = self.progress();
        (progress.is_asked, progress.is_under_way) = (false, false);
        progress.last_error = error;
        drop(progress);
        self.ended.send_modify(|count| *count += 1);
        !is_withheld
    }

    fn replace(&self, fetched: FetchedValue<T>, began: Moment) {
        let at = |span: Duration| began.monotonic_ns.saturating_add(span.as_nanos() as u64);
        let number = self.current.load().as_ref().map_or(1, |kept| kept.number + 1);
        let FetchedValue { value, usable_for, renew_after } = fetched;
        let kept = KeptValue { value, number, renew_at_ns: at(renew_after), end_ns: usable_for.map(at) };
        self.current.store(Some(Arc::new(kept)));
        let mut progress = self.progress();
        (progress.failures, progress.retry_at_ns, progress.refused) = (0, 0, None);
        progress.counts.succeeded += 1;
    }

    fn fail(&self, failure: FetchFailure, generation: u64) -> String {
        let now_ns = self.clock.now().monotonic_ns;
        let mut progress = self.progress();
        let (error, pause) = match failure {
            // Whoever comes after a restore asks at once.
            FetchFailure::Withheld => return NOT_ASKED.to_owned(),
            FetchFailure::Failed(error) => {
                let pause = CREDENTIAL_RETRY_MIN * 2_u32.saturating_pow(progress.failures.min(10));
                progress.refused = None;
                progress.counts.failed += 1;
                (error, pause.min(CREDENTIAL_RETRY_MAX))
            }
            FetchFailure::Refused(error) => {
                progress.refused = Some(generation);
                progress.counts.refused += 1;
                (error, CREDENTIAL_REFUSED_RETRY)
            }
        };
        progress.failures = progress.failures.saturating_add(1);
        progress.retry_at_ns = now_ns.saturating_add(pause.as_nanos() as u64);
        error
    }

    fn log(&self, error: Option<&str>) {
        let (vendor, what, keeps) = (self.vendor.as_str(), self.what, self.usable(self.clock.now()).is_some());
        match self.outage.record(error, self.clock.now().monotonic_ns) {
            Some(OutageChange::Failing(error)) if keeps => {
                tracing::warn!(vendor, what, error, "a credential could not be renewed: the one in use stays");
            }
            Some(OutageChange::Failing(error)) => {
                tracing::error!(vendor, what, error, "a credential could not be had: its vendor cannot be called");
            }
            Some(OutageChange::Recovered) => tracing::info!(vendor, what, "a credential could be had again"),
            None => {}
        }
    }

    fn progress(&self) -> MutexGuard<'_, FetchProgress> {
        self.progress.locked()
    }
}

impl<T> fmt::Debug for ValueKeeper<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValueKeeper").field("vendor", &self.vendor).field("what", &self.what).finish_non_exhaustive()
    }
}

async fn run<T: Send + Sync + 'static>(
    keeper: Weak<ValueKeeper<T>>,
    asked: Arc<Notify>,
    fetcher: Arc<dyn ValueFetcher<T>>,
) {
    loop {
        let Some(held) = keeper.upgrade() else { return };
        let mut wait = held.due_in(fetcher.generation());
        if wait.is_zero() {
            if held.fetch_once(&*fetcher).await {
                continue;
            }
            wait = CREDENTIAL_RETRY_MIN;
        }
        drop(held);
        // Looked at again within a minute, so that a keeper that was dropped is not waited for.
        tokio::select! {
            () = tokio::time::sleep(wait.min(Duration::from_secs(60))) => {}
            () = asked.notified() => {}
        }
    }
}

#[cfg(test)]
mod tests;
