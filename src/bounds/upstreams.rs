//! Bounds of what is above the pools of an upstream: targets, their health, retries, the circuit breaker, fallbacks.

use std::num::NonZeroU32;
use std::time::Duration;

/// Most targets of one upstream: each has a pool for every vendor, and its health is a series in the metrics.
pub const TARGETS_MAX: usize = 32;
/// Failures in a row that eject a target, unless the config says otherwise: Envoy's figure.
pub const OUTLIER_CONSECUTIVE: NonZeroU32 = NonZeroU32::new(5).unwrap();
/// How long a target is ejected the first time, unless the config says otherwise: Envoy's figure.
pub const OUTLIER_EJECTION: Duration = Duration::from_secs(30);
/// Longest ejection, unless the config says otherwise: Envoy's figure.
pub const OUTLIER_EJECTION_MAX: Duration = Duration::from_secs(300);
/// Share of targets, in percent, from which on no further one is ejected, unless the config says otherwise: those that
/// are left must carry the load of all.
pub const OUTLIER_EJECTED_PERCENT: u32 = 50;
/// Time between two health checks of a target, before jitter, unless the config says otherwise.
pub const HEALTH_INTERVAL: Duration = Duration::from_secs(10);
/// Shortest time between two of them: every gateway asks every target for each vendor.
pub const HEALTH_INTERVAL_MIN: Duration = Duration::from_millis(100);
/// Longest time between two of them: beyond it, a check says nothing about now.
pub const HEALTH_INTERVAL_MAX: Duration = Duration::from_secs(3600);
/// Time for the answer to a health check, unless the config says otherwise.
pub const HEALTH_DEADLINE: Duration = Duration::from_secs(2);
/// Good answers in a row that make a target healthy again, unless the config says otherwise.
pub const HEALTHY_AFTER: NonZeroU32 = NonZeroU32::new(2).unwrap();
/// Bad answers in a row that make it unhealthy, unless the config says otherwise.
pub const UNHEALTHY_AFTER: NonZeroU32 = NonZeroU32::new(3).unwrap();
/// How often it is looked which health checks are due.
pub const HEALTH_TICK: Duration = Duration::from_millis(100);
/// Most health checks under way at once: one more waits for the next round.
pub const HEALTH_CHECKS_MAX: usize = 64;
/// Retries of one request, unless the config says otherwise: Envoy's figure.
pub const RETRY_ATTEMPTS: u32 = 1;
/// Share of requests that may be sent again, in percent, unless the config says otherwise: Linkerd's figure.
pub const RETRY_BUDGET_PERCENT: u32 = 20;
/// Retries in a second that there may be whatever the share is, unless the config says otherwise: Linkerd's figure.
pub const RETRY_BUDGET_PER_SECOND: u32 = 10;
/// The time over which the share of retries is counted: Linkerd's figure.
pub const RETRY_BUDGET_WINDOW: Duration = Duration::from_secs(10);
/// Longest pause before a request is sent again to the target that has failed; a random part of it is waited.
pub const RETRY_PAUSE_MAX: Duration = Duration::from_millis(50);
/// Share of failed requests that opens a circuit, in percent, unless the config says otherwise.
pub const BREAKER_FAILURE_PERCENT: u32 = 50;
/// The time over which a circuit breaker counts, unless the config says otherwise.
pub const BREAKER_WINDOW: Duration = Duration::from_secs(10);
/// Least number of requests in that time, unless the config says otherwise: fewer prove nothing.
pub const BREAKER_MIN_REQUESTS: u32 = 20;
/// How long a circuit stays open the first time, unless the config says otherwise.
pub const BREAKER_OPEN: Duration = Duration::from_secs(5);
/// How long at most, unless the config says otherwise.
pub const BREAKER_OPEN_MAX: Duration = Duration::from_secs(60);
/// Requests that are let through to try, unless the config says otherwise.
pub const BREAKER_HALF_OPEN: NonZeroU32 = NonZeroU32::new(3).unwrap();
/// Parts of a circuit breaker's window: the oldest tenth is forgotten at once.
pub const BREAKER_BUCKETS: usize = 10;
/// Longest window or open time of a circuit breaker, and longest ejection: beyond it a person should look.
pub const BREAKER_TIME_MAX: Duration = Duration::from_secs(3600);
/// Largest body that a contract may write or name as a fallback: it is held in memory for each route.
pub const FALLBACK_BODY_BYTES_MAX: usize = 256 * 1024;
/// Largest answer that is kept as the last good one.
pub const LAST_GOOD_BYTES_MAX: usize = 256 * 1024;
/// Most bytes of last good answers in the whole process.
pub const LAST_GOOD_TOTAL_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Most last good answers in the whole process.
pub const LAST_GOOD_ENTRIES_MAX: usize = 16 * 1024;
/// Longest age of a last good answer that a contract may ask for: a week-old answer is no answer.
pub const LAST_GOOD_AGE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long a vendor counts as answering from fallbacks after one of them.
pub const FALLBACK_RECENT: Duration = Duration::from_secs(60);
/// Most journey stages that one contract may name: each is a series in the metrics.
pub const JOURNEY_STAGES_MAX: usize = 16;
