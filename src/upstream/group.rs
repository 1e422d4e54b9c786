//! An upstream as a route sees it: a group of targets with a pool each, and what stands above the pools.
//!
//! A request is sent in four steps: [`UpstreamGroup::choose`] asks the circuit breaker and picks a target,
//! [`UpstreamGroup::enter`] waits for a place, [`UpstreamGroup::send`] sends, and [`ChosenTarget::report`] tells what
//! became of it. With one target and nothing configured the steps are the pool alone. Never sends by itself: whether a
//! request is sent again is decided above.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use ::http::{HeaderValue, Response};
use tokio::sync::OwnedSemaphorePermit;
use tower::retry::budget::{Budget as _, TpsBudget};

use super::balance;
use super::breaker::{CircuitBreaker, CircuitOpen, CircuitTicket};
use super::bulkhead::Bulkhead;
use super::group_settings::{GroupSettings, RetryBudgetSettings, RetrySettings};
use super::target::{CheckedHealth, TargetHealth, UpstreamTarget};
use super::{
    BodyLimits, ConnectError, HttpProtocol, SendError, UpstreamBody, UpstreamLease, UpstreamPool, UpstreamRequest,
};
use super::{SocketBudget, UpstreamConnector, UpstreamSettings};
use crate::bounds::RETRY_BUDGET_WINDOW;
use crate::http::Url;
use crate::model::Moment;
use crate::policy::Permit;

/// One vendor's way to one upstream.
#[derive(Debug)]
pub struct UpstreamGroup {
    /// At least one.
    pub(super) targets: Box<[UpstreamTarget]>,
    /// What stands above the pools; `None` for one target with nothing configured.
    pub(super) control: Option<Box<GroupControl>>,
    pub(super) sockets: Arc<SocketBudget>,
    host: HeaderValue,
    pub(super) protocol: HttpProtocol,
    response_deadline: Duration,
    connect_deadline: Duration,
}

#[derive(Debug)]
pub(super) struct GroupControl {
    pub(super) settings: GroupSettings,
    /// Counts requests, to take turns.
    turn: AtomicUsize,
    pub(super) breaker: Option<Arc<CircuitBreaker>>,
    budget: Option<Arc<RetryBudget>>,
    bulkhead: Option<Bulkhead>,
    pub(super) counts: Arc<GroupCounts>,
}

/// What happened above the pools, since the process started.
#[derive(Debug, Default)]
pub(super) struct GroupCounts {
    pub(super) retries: AtomicU64,
    pub(super) retries_over_budget: AtomicU64,
    pub(super) openings: AtomicU64,
}

#[derive(Debug)]
struct RetryBudget {
    settings: RetryBudgetSettings,
    tokens: TpsBudget,
}

/// The targets that a request was sent to before, as bits.
#[derive(Debug, Clone, Copy, Default)]
pub struct TriedTargets(u32);

/// A target that was chosen for one attempt. Tell what became of it with [`ChosenTarget::report`]; one that is dropped
/// says nothing about the target.
#[derive(Debug)]
pub struct ChosenTarget<'a> {
    group: &'a UpstreamGroup,
    index: usize,
    ticket: Option<CircuitTicket>,
    chosen_at: Moment,
}

/// What became of an attempt, as far as it says something about the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// It was answered.
    Answered,
    /// There was no answer, or one with a status of 500 or more.
    Failed,
}

/// A connection whose response is being read, with the place that the request holds. Dropping it resets the connection.
#[derive(Debug)]
pub struct TargetLease {
    lease: UpstreamLease,
    _place: Option<RequestPlace>,
}

/// What a request under way holds above the pool.
#[derive(Debug)]
pub struct RequestPlace {
    _place: Option<OwnedSemaphorePermit>,
    health: Arc<TargetHealth>,
}

impl Drop for RequestPlace {
    fn drop(&mut self) {
        self.health.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl UpstreamGroup {
    /// A group without connections. What is known of the targets, the circuit and the budget is taken over from
    /// `before`, the same upstream in the config before, as far as its settings are the same.
    ///
    /// # Errors
    /// [`ConnectError::ServerName`] when the host of an `https` URL is not a name that a certificate can have.
    pub fn new(
        connector: impl Fn() -> Result<UpstreamConnector, ConnectError>,
        settings: &UpstreamSettings,
        workers: usize,
        sockets: &Arc<SocketBudget>,
        checked: impl Fn(&Url) -> Arc<CheckedHealth>,
        before: Option<&Self>,
    ) -> Result<Self, ConnectError> {
        let group = &settings.group;
        let own = std::slice::from_ref(&settings.base);
        let urls = if group.targets.is_empty() { own } else { &*group.targets };
        let target = |url: &Url| {
            let health = before.and_then(|before| before.target_at(url)).map(|target| Arc::clone(&target.health));
            let (health, checked) = (health.unwrap_or_default(), checked(url));
            if group.check.is_none() {
                checked.forget();
            }
            let pool = UpstreamPool::new(connector()?.dialling(url), settings, workers, Arc::clone(sockets));
            let prober = connector()?.dialling(url);
            Ok(UpstreamTarget { url: url.clone(), pool: Arc::new(pool), prober, health, checked })
        };
        let targets: Box<[_]> = urls.iter().map(target).collect::<Result<_, _>>()?;
        let before = before.and_then(|before| before.control.as_deref());
        let is_plain = targets.len() == 1
            && group.check.is_none()
            && group.retry.is_none()
            && group.breaker.is_none()
            && group.bulkhead.is_none();
        Ok(Self {
            host: targets.first().map_or(HeaderValue::from_static(""), |target| target.pool.host().clone()),
            targets,
            control: (!is_plain).then(|| Box::new(GroupControl::new(group.clone(), before))),
            sockets: Arc::clone(sockets),
            protocol: settings.protocol,
            response_deadline: settings.response_deadline,
            connect_deadline: settings.connect_deadline,
        })
    }

    /// The `Host` field of requests to this upstream: that of its URL, whichever target they go to.
    pub const fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// The path of the upstream, which comes before the path of every request.
    pub fn base_path(&self) -> &str {
        self.targets.first().map_or("", |target| target.pool.base_path())
    }

    /// How slowly the bodies of requests and responses may come.
    pub fn body_limits(&self) -> BodyLimits {
        self.targets[0].pool.body_limits()
    }

    /// The time from the end of a request to the head of its response, over all attempts.
    pub const fn response_deadline(&self) -> Duration {
        self.response_deadline
    }

    /// The number of targets.
    pub const fn target_count(&self) -> usize {
        self.targets.len()
    }

    /// Whether [`Self::choose`] would choose a target that a request was not sent to yet.
    pub fn has_untried(&self, tried: TriedTargets, now: Moment) -> bool {
        let usable = |index: usize| self.targets[index].is_usable(now);
        let none_usable = !(0..self.targets.len()).any(usable);
        (0..self.targets.len()).any(|index| !tried.has(index) && (none_usable || usable(index)))
    }

    /// When a request is sent once more; `None` for never.
    pub fn retry(&self) -> Option<&RetrySettings> {
        self.control.as_ref()?.settings.retry.as_ref()
    }

    /// Chooses a target for a request: one that is healthy and was not tried before, where there is any. Where none is
    /// healthy all of them are taken for healthy, since some answer may be better than none.
    ///
    /// # Errors
    /// [`CircuitOpen`] while the circuit breaker lets nothing through.
    pub fn choose(&self, tried: TriedTargets, now: Moment) -> Result<ChosenTarget<'_>, CircuitOpen> {
        let chosen = |index, ticket| ChosenTarget { group: self, index, ticket, chosen_at: now };
        let Some(control) = &self.control else { return Ok(chosen(0, None)) };
        let ticket = control.breaker.as_ref().map(|breaker| breaker.admit(now)).transpose()?;
        if tried.0 == 0
            && let Some(budget) = &control.budget
        {
            budget.tokens.deposit();
        }
        Ok(chosen(self.pick(control, tried, now), ticket))
    }

    fn pick(&self, control: &GroupControl, tried: TriedTargets, now: Moment) -> usize {
        if self.targets.len() == 1 {
            return 0;
        }
        let usable = |index: usize| self.targets[index].is_usable(now);
        // One turn a request, or a failing target and its retries would keep step.
        let turn = match tried.is_empty() {
            true => control.turn.fetch_add(1, Ordering::Relaxed),
            false => control.turn.load(Ordering::Relaxed),
        };
        let choose = |fits: &dyn Fn(usize) -> bool| {
            let load = |index: usize| self.targets[index].health.under_way.load(Ordering::Relaxed);
            balance::pick(control.settings.balance, turn, self.targets.len(), fits, load)
        };
        choose(&|index| usable(index) && !tried.has(index))
            .or_else(|| choose(&usable))
            .or_else(|| choose(&|index| !tried.has(index)))
            .unwrap_or(turn % self.targets.len())
    }

    /// A place among the requests under way, or a bounded wait for it. `None` where nothing bounds or counts them.
    ///
    /// # Errors
    /// [`SendError::Full`] where as many requests are under way or wait as may be.
    pub async fn enter(&self, target: &ChosenTarget<'_>) -> Result<Option<RequestPlace>, SendError> {
        match &self.control {
            Some(control) => control.place(&self.targets[target.index].health, self.connect_deadline).await.map(Some),
            None => Ok(None),
        }
    }

    /// Sends a request that was admitted and has its place to the target that was chosen, as [`UpstreamPool::send`]
    /// does.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send<S: Future<Output = ()>>(
        &self,
        worker: usize,
        permit: &Permit,
        outgoing: UpstreamRequest<S>,
        (target, place): (&ChosenTarget<'_>, Option<RequestPlace>),
        now: Moment,
    ) -> Result<(Response<UpstreamBody>, TargetLease), SendError> {
        let (response, lease) = self.targets[target.index].pool.send(worker, permit, outgoing, now).await?;
        Ok((response, TargetLease { lease, _place: place }))
    }

    /// Whether one more retry is within the budget of all requests; it is then used up.
    pub fn take_retry(&self) -> bool {
        let Some((control, budget)) = self.control.as_ref().and_then(|it| Some((it, it.budget.as_ref()?))) else {
            return false;
        };
        let taken = budget.tokens.withdraw();
        let counter = if taken { &control.counts.retries } else { &control.counts.retries_over_budget };
        counter.fetch_add(1, Ordering::Relaxed);
        taken
    }

    /// What health checks have found of the target with this URL.
    pub fn checked_health(&self, url: &Url) -> Option<Arc<CheckedHealth>> {
        self.target_at(url).map(|target| Arc::clone(&target.checked))
    }

    fn target_at(&self, url: &Url) -> Option<&UpstreamTarget> {
        self.targets.iter().find(|target| target.url == *url)
    }

    /// Leaves a target out that has failed too often, unless too many are already.
    fn eject(&self, control: &GroupControl, index: usize, now: Moment) {
        let outliers = &control.settings.outliers;
        let out = self.targets.iter().filter(|target| target.health.is_ejected(now)).count();
        let percent = out * 100 / self.targets.len();
        let health = &self.targets[index].health;
        if !health.is_ejected(now) && percent < outliers.ejected_percent_max as usize {
            health.eject(outliers, now);
            let target = self.targets[index].url.authority();
            tracing::warn!(upstream = ?self.host, target, "a target is left out for a time: it has failed too often");
        }
    }
}

impl GroupControl {
    fn new(settings: GroupSettings, before: Option<&Self>) -> Self {
        let breaker = settings.breaker.map(|wanted| {
            let same = before.and_then(|before| before.breaker.clone());
            let same = same.filter(|breaker| *breaker.settings() == wanted);
            same.unwrap_or_else(|| Arc::new(CircuitBreaker::new(wanted)))
        });
        let budget = settings.retry.as_ref().map(|retry| {
            let same = before.and_then(|before| before.budget.clone());
            let same = same.filter(|budget| budget.settings == retry.budget);
            same.unwrap_or_else(|| Arc::new(RetryBudget::new(retry.budget)))
        });
        let bulkhead = settings.bulkhead.map(Bulkhead::new);
        let counts = before.map(|before| Arc::clone(&before.counts)).unwrap_or_default();
        Self { settings, turn: AtomicUsize::new(0), breaker, budget, bulkhead, counts }
    }

    async fn place(&self, health: &Arc<TargetHealth>, deadline: Duration) -> Result<RequestPlace, SendError> {
        let place = match &self.bulkhead {
            Some(bulkhead) => Some(bulkhead.enter(deadline).await.ok_or(SendError::Full)?),
            None => None,
        };
        health.under_way.fetch_add(1, Ordering::Relaxed);
        Ok(RequestPlace { _place: place, health: Arc::clone(health) })
    }
}

impl RetryBudget {
    fn new(settings: RetryBudgetSettings) -> Self {
        let share = settings.percent as f32 / 100.0;
        Self { settings, tokens: TpsBudget::new(RETRY_BUDGET_WINDOW, settings.min_per_second, share) }
    }
}

impl TriedTargets {
    /// These and one more.
    pub const fn with(self, target: &ChosenTarget<'_>) -> Self {
        Self(self.0 | 1 << (target.index % u32::BITS as usize))
    }

    /// Whether the request was not sent yet.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    const fn has(self, index: usize) -> bool {
        self.0 & 1 << (index % u32::BITS as usize) != 0
    }
}

impl ChosenTarget<'_> {
    /// Tells what became of the attempt.
    pub fn report(mut self, outcome: AttemptOutcome, now: Moment) {
        let Some(control) = &self.group.control else { return };
        let succeeded = outcome == AttemptOutcome::Answered;
        let health = &self.group.targets[self.index].health;
        if succeeded {
            health.succeeded();
        } else if self.group.targets.len() > 1 && health.failed(&control.settings.outliers) {
            self.group.eject(control, self.index, now);
        }
        self.tell_circuit(Some(succeeded), now);
    }

    fn tell_circuit(&mut self, succeeded: Option<bool>, now: Moment) {
        let Some((control, ticket)) = self.group.control.as_ref().zip(self.ticket.take()) else { return };
        let Some(breaker) = &control.breaker else { return };
        if let Some(opened) = breaker.report(ticket, succeeded, now) {
            if opened {
                control.counts.openings.fetch_add(1, Ordering::Relaxed);
            }
            let word = if opened { "open" } else { "closed" };
            tracing::warn!(upstream = ?self.group.host, circuit = word, "circuit breaker");
        }
    }
}

/// An attempt that was broken off says nothing about the upstream, but frees its place among those that try.
impl Drop for ChosenTarget<'_> {
    fn drop(&mut self) {
        self.tell_circuit(None, self.chosen_at);
    }
}

impl TargetLease {
    /// Gives the connection back to the pool. Call it only after the last byte of the request and of the response.
    pub fn release(self, now: Moment) {
        self.lease.release(now);
    }

    /// Lets a connection that has left HTTP end by itself.
    pub fn detach(self) {
        self.lease.detach();
    }
}
