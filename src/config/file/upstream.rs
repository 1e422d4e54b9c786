//! What stands above the connections of an upstream, as it is written in YAML: health, retries, the circuit breaker.

use schemars::JsonSchema;
use serde::Deserialize;

use super::DurationText;

/// When a target that fails is left out for a time, where there are several.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct OutlierConfig {
    /// Failures in a row (no answer, or a status of 500 and more) that eject a target (default 5).
    #[schemars(range(min = 1, max = 1_000), example = 5)]
    pub(in crate::config) consecutive_failures: Option<u32>,
    /// For how long at first; longer each time (default 30s).
    pub(in crate::config) base_ejection_time: Option<DurationText>,
    /// For how long at most (default 5m).
    pub(in crate::config) max_ejection_time: Option<DurationText>,
    /// The share of targets from which on no further one is ejected, in percent (default 50).
    #[schemars(range(min = 1, max = 100), example = 50)]
    pub(in crate::config) max_ejection_percent: Option<u32>,
}

/// A `GET` by which each target's health is found out, off the path of requests.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct HealthCheckConfig {
    /// The path, behind the path of the URL.
    #[schemars(required, example = "/healthz")]
    pub(in crate::config) path: Option<String>,
    /// The time between two checks (default 10s).
    pub(in crate::config) interval: Option<DurationText>,
    /// The time for the answer (default 2s, at most the interval).
    pub(in crate::config) timeout: Option<DurationText>,
    /// Good answers in a row that make a target healthy again (default 2).
    #[schemars(range(min = 1, max = 100), example = 2)]
    pub(in crate::config) healthy_after: Option<u32>,
    /// Bad answers in a row that make it unhealthy (default 3).
    #[schemars(range(min = 1, max = 100), example = 3)]
    pub(in crate::config) unhealthy_after: Option<u32>,
    /// The statuses of a good answer (default 200).
    #[schemars(extend("examples" = [[200, 204]]), inner(range(min = 200, max = 599)))]
    pub(in crate::config) status: Option<Vec<u16>>,
}

/// When a request is sent once more. Only requests that change nothing when they come twice are: GET, HEAD, OPTIONS,
/// TRACE, PUT and DELETE (RFC 9110 section 9.2.2).
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RetryConfig {
    /// So many times after the first (default 1).
    #[schemars(range(min = 1, max = 5), example = 1)]
    pub(in crate::config) attempts: Option<u32>,
    /// Statuses after which it is, of 502, 503 and 504 (default none). A connection that fails or breaks off before an
    /// answer always counts.
    #[schemars(extend("examples" = [[502, 503, 504]]))]
    pub(in crate::config) status: Option<Vec<u16>>,
    /// The time for an attempt that another may follow (default the whole response_timeout).
    pub(in crate::config) per_try_timeout: Option<DurationText>,
    /// Whether a request of any method is, where it carries an Idempotency-Key (default false).
    pub(in crate::config) idempotency_key: Option<bool>,
    /// How many retries there may be for all requests together.
    pub(in crate::config) budget: Option<RetryBudgetConfig>,
}

/// How many retries there may be for all requests together.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RetryBudgetConfig {
    /// The share of requests that may be sent again, in percent (default 20).
    #[schemars(range(min = 0, max = 100), example = 20)]
    pub(in crate::config) percent: Option<u32>,
    /// Retries in a second that there may be in any case (default 10).
    #[schemars(range(min = 0, max = 1_000_000), example = 10)]
    pub(in crate::config) min_per_second: Option<u32>,
}

/// When the upstream is not asked for a time: the circuit breaker of each vendor by itself.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct BreakerConfig {
    /// The share of failed requests that opens the circuit, in percent (default 50).
    #[schemars(range(min = 1, max = 100), example = 50)]
    pub(in crate::config) failure_percent: Option<u32>,
    /// The time over which they are counted (default 10s).
    pub(in crate::config) window: Option<DurationText>,
    /// The least number of requests in that time (default 20).
    #[schemars(range(min = 1, max = 1_000_000), example = 20)]
    pub(in crate::config) min_requests: Option<u32>,
    /// How long the circuit stays open at first; twice as long after each trial that fails (default 5s).
    pub(in crate::config) open_for: Option<DurationText>,
    /// How long at most (default 1m).
    pub(in crate::config) max_open_for: Option<DurationText>,
    /// Requests that are let through to try before the circuit closes (default 3).
    #[schemars(range(min = 1, max = 1_000), example = 3)]
    pub(in crate::config) half_open_requests: Option<u32>,
}
