//! The settings of what is above the pools of one upstream: its targets, their health, retries, the circuit breaker.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::bounds;
use crate::http::Url;

/// The settings of an upstream beyond those of one connection. The default is one target and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSettings {
    /// Where connections go; empty where they go to the upstream's own URL.
    pub targets: Box<[Url]>,
    /// How a target is chosen.
    pub balance: BalanceMethod,
    /// When a target that fails is left out for a time.
    pub outliers: OutlierSettings,
    /// The question by which a target's health is found out off the path; `None` where none is asked.
    pub check: Option<HealthCheckSettings>,
    /// When a request is sent once more; `None` for never.
    pub retry: Option<RetrySettings>,
    /// When the upstream is not asked at all for a time; `None` for always.
    pub breaker: Option<BreakerSettings>,
    /// Most requests at once, and most that wait for a place among them; `None` where only connections are bounded.
    pub bulkhead: Option<BulkheadSettings>,
    /// Most connections to each target.
    pub connections_max: usize,
    /// After what age a connection is closed between two requests; `None` for none.
    pub connection_age_max: Option<Duration>,
}

/// How a target is chosen among those that are healthy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BalanceMethod {
    /// One after the other.
    #[default]
    RoundRobin,
    /// Of two chosen at random, the one with fewer requests under way.
    LeastRequests,
}

/// When a target that fails is ejected: the outlier detection of Envoy. Only where there are several targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutlierSettings {
    /// So many failures in a row eject a target.
    pub consecutive: NonZeroU32,
    /// For how long the first time; as many times as long as it was ejected in a row ...
    pub ejection: Duration,
    /// ... and at most.
    pub ejection_max: Duration,
    /// No further target is ejected once this share of them is, in percent.
    pub ejected_percent_max: u32,
}

/// The question by which a target's health is found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheckSettings {
    /// The path behind the upstream's own path.
    pub path: Box<str>,
    /// The time between two questions, before jitter.
    pub interval: Duration,
    /// The time for the answer; not longer than the interval.
    pub deadline: Duration,
    /// So many good answers in a row make a target healthy.
    pub healthy_after: NonZeroU32,
    /// So many bad ones in a row make it unhealthy.
    pub unhealthy_after: NonZeroU32,
    /// The statuses of a good answer.
    pub statuses: Box<[u16]>,
}

/// When a request is sent once more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrySettings {
    /// So many times at most after the first.
    pub attempts: u32,
    /// The statuses after which it is; a connection that fails, or breaks off before an answer, always is.
    pub statuses: Box<[u16]>,
    /// The time for one attempt where another may follow; `None` for the whole response deadline.
    pub attempt_deadline: Option<Duration>,
    /// Whether a request of any method is, where it carries an `Idempotency-Key`.
    pub idempotency_key: bool,
    /// How many retries there may be for all requests together.
    pub budget: RetryBudgetSettings,
}

/// How many retries there may be for all requests together, as in Finagle and Linkerd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryBudgetSettings {
    /// The share of requests that may be sent again, in percent.
    pub percent: u32,
    /// Retries in a second that there may be whatever the share is.
    pub min_per_second: u32,
}

/// When an upstream is not asked for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerSettings {
    /// The share of failed requests that opens the circuit, in percent.
    pub failure_percent: u32,
    /// The time over which they are counted.
    pub window: Duration,
    /// The least number of requests in that time.
    pub min_requests: u32,
    /// How long the circuit stays open the first time; twice as long each time that a trial fails ...
    pub open_for: Duration,
    /// ... and at most.
    pub open_for_max: Duration,
    /// Requests that are let through to try, before the circuit closes.
    pub half_open_requests: NonZeroU32,
}

/// Most requests at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BulkheadSettings {
    /// Most requests that are under way.
    pub requests_max: NonZeroU32,
    /// Most that wait for a place, for as long as a connection may take.
    pub pending_max: u32,
}

impl Default for GroupSettings {
    fn default() -> Self {
        Self {
            targets: Box::default(),
            balance: BalanceMethod::default(),
            outliers: OutlierSettings::default(),
            check: None,
            retry: None,
            breaker: None,
            bulkhead: None,
            connections_max: bounds::UPSTREAM_CONNECTIONS_MAX,
            connection_age_max: None,
        }
    }
}

impl Default for OutlierSettings {
    fn default() -> Self {
        Self {
            consecutive: bounds::OUTLIER_CONSECUTIVE,
            ejection: bounds::OUTLIER_EJECTION,
            ejection_max: bounds::OUTLIER_EJECTION_MAX,
            ejected_percent_max: bounds::OUTLIER_EJECTED_PERCENT,
        }
    }
}

impl Default for RetryBudgetSettings {
    fn default() -> Self {
        Self { percent: bounds::RETRY_BUDGET_PERCENT, min_per_second: bounds::RETRY_BUDGET_PER_SECOND }
    }
}
