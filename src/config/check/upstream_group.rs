//! Checks what stands above the connections of an upstream: its targets, their health, retries, the circuit breaker.

use std::num::NonZeroU32;
use std::time::Duration;

use ::http::Method;

use super::values;
use crate::bounds::{
    BREAKER_FAILURE_PERCENT, BREAKER_HALF_OPEN, BREAKER_MIN_REQUESTS, BREAKER_OPEN, BREAKER_OPEN_MAX, BREAKER_TIME_MAX,
    BREAKER_WINDOW, HEALTH_DEADLINE, HEALTH_INTERVAL, HEALTH_INTERVAL_MAX, HEALTH_INTERVAL_MIN, HEALTHY_AFTER,
    RETRY_ATTEMPTS, TARGETS_MAX, UNHEALTHY_AFTER, UPSTREAM_CONNECTIONS_MAX, UPSTREAM_DEADLINE_MAX,
};
use crate::config::contract::ContractRoute;
use crate::config::file;
use crate::config::file::upstream as written;
use crate::config::source::Cursor;
use crate::config::units;
use crate::http::{Url, is_canonical};
use crate::upstream::{
    BreakerSettings, BulkheadSettings, GroupSettings, HealthCheckSettings, OutlierSettings, RetryBudgetSettings,
    RetrySettings,
};

/// The statuses that say that another attempt may do better (RFC 9110 section 15.6).
const RETRIED: [u16; 3] = [502, 503, 504];

/// Reads what an upstream says beyond its URL and its deadlines. `base` is the URL, where it is valid.
pub(super) fn group(
    at: &Cursor<'_>,
    written: &file::UpstreamConfig,
    base: Option<&Url>,
    response_deadline: Duration,
) -> GroupSettings {
    let targets = targets(&at.key("targets"), written.targets.as_deref(), base);
    let several = targets.len() > 1;
    let without = |name: &str, is_written: bool| {
        if is_written && !several {
            let wrong = "has no effect: the upstream has one target";
            at.key(name).fault(wrong, "take it out, or write several targets");
        }
    };
    without("balance", written.balance.is_some());
    without("outlier_detection", written.outlier_detection.is_some());
    GroupSettings {
        targets,
        balance: written.balance.unwrap_or_default(),
        outliers: outliers(&at.key("outlier_detection"), written.outlier_detection.as_ref()),
        check: written.health.as_ref().and_then(|health| self::health(&at.key("health"), health)),
        retry: written.retry.as_ref().map(|retry| self::retry(&at.key("retry"), retry, response_deadline)),
        breaker: written.breaker.as_ref().map(|breaker| self::breaker(&at.key("breaker"), breaker)),
        bulkhead: bulkhead(at, written),
        connections_max: written.max_connections.map_or(UPSTREAM_CONNECTIONS_MAX, |most| most as usize),
        connection_age_max: time(at, "max_connection_age", &written.max_connection_age, UPSTREAM_DEADLINE_MAX),
    }
}

/// The targets: places to connect to, of the same scheme as the URL that names the API.
fn targets(at: &Cursor<'_>, written: Option<&[String]>, base: Option<&Url>) -> Box<[Url]> {
    let mut urls: Vec<Url> = Vec::new();
    let Some(written) = written else { return Box::default() };
    if written.is_empty() || written.len() > TARGETS_MAX {
        at.fault(format!("must have 1 to {TARGETS_MAX} targets"), "take the key out where the url is the one target");
    }
    for (i, text) in written.iter().enumerate().take(TARGETS_MAX) {
        let at = at.item(i);
        let Some(url) = super::upstreams::base_url(&at, text) else { continue };
        if let Some(base) = base.filter(|base| base.scheme() != url.scheme()) {
            let wrong = "must have the scheme of url: all targets are one API";
            at.invalid(wrong, Url::authority(&url).replacen("", &format!("{}://", base.scheme().as_str()), 1));
        } else if !url.path().is_empty() {
            at.invalid_with_remedy("must have no path: that of url is asked at every target", "take the path out");
        } else if urls.contains(&url) {
            at.invalid_with_remedy("is listed twice", "take one of them out");
        } else {
            urls.push(url);
        }
    }
    urls.into()
}

fn outliers(at: &Cursor<'_>, written: Option<&written::OutlierConfig>) -> OutlierSettings {
    let default = OutlierSettings::default();
    let Some(written) = written else { return default };
    let ejection = time(at, "base_ejection_time", &written.base_ejection_time, BREAKER_TIME_MAX);
    let ejection_max = time(at, "max_ejection_time", &written.max_ejection_time, BREAKER_TIME_MAX);
    let ejection = ejection.unwrap_or(default.ejection);
    OutlierSettings {
        consecutive: written.consecutive_failures.and_then(NonZeroU32::new).unwrap_or(default.consecutive),
        ejection,
        ejection_max: not_shorter(
            at,
            ("max_ejection_time", "base_ejection_time"),
            ejection_max,
            default.ejection_max,
            ejection,
        ),
        ejected_percent_max: written.max_ejection_percent.unwrap_or(default.ejected_percent_max),
    }
}

fn health(at: &Cursor<'_>, written: &written::HealthCheckConfig) -> Option<HealthCheckSettings> {
    let interval = time(at, "interval", &written.interval, HEALTH_INTERVAL_MAX).unwrap_or(HEALTH_INTERVAL);
    if interval < HEALTH_INTERVAL_MIN {
        at.key("interval").invalid("must be at least 100ms", "100ms");
    }
    let deadline =
        time(at, "timeout", &written.timeout, UPSTREAM_DEADLINE_MAX).unwrap_or(HEALTH_DEADLINE.min(interval));
    if deadline > interval {
        let most = units::format_duration(interval);
        at.key("timeout").invalid(format!("must not be longer than interval ({most})"), &most);
    }
    let statuses = written.status.clone().unwrap_or_else(|| vec![200]);
    if statuses.is_empty() {
        at.key("status").fault("must list at least one status", "write 200");
    }
    let path = written.path.as_deref()?;
    let plain = path.split('?').next().unwrap_or_default();
    if !plain.starts_with('/') || !is_canonical(plain, false) || ::http::uri::PathAndQuery::try_from(path).is_err() {
        at.key("path").invalid("must be a path that begins with / and can be read in one way", "/healthz");
        return None;
    }
    Some(HealthCheckSettings {
        path: path.into(),
        interval,
        deadline,
        healthy_after: written.healthy_after.and_then(NonZeroU32::new).unwrap_or(HEALTHY_AFTER),
        unhealthy_after: written.unhealthy_after.and_then(NonZeroU32::new).unwrap_or(UNHEALTHY_AFTER),
        statuses: statuses.into(),
    })
}

fn retry(at: &Cursor<'_>, written: &written::RetryConfig, response_deadline: Duration) -> RetrySettings {
    let mut statuses = written.status.clone().unwrap_or_default();
    for (i, _) in statuses.iter().enumerate().filter(|(_, status)| !RETRIED.contains(status)) {
        let wrong = "must be 502, 503 or 504: another status is an answer to the request";
        at.key("status").item(i).invalid_with_remedy(wrong, "take it out");
    }
    statuses.dedup();
    let attempt_deadline = time(at, "per_try_timeout", &written.per_try_timeout, UPSTREAM_DEADLINE_MAX);
    if attempt_deadline.is_some_and(|deadline| deadline >= response_deadline) {
        let most = units::format_duration(response_deadline);
        let wrong = format!("must be shorter than response_timeout ({most}): no time would be left for a retry");
        at.key("per_try_timeout").invalid(wrong, units::format_duration(response_deadline / 2));
    }
    let budget = RetryBudgetSettings::default();
    let budget = written.budget.as_ref().map_or(budget, |own| RetryBudgetSettings {
        percent: own.percent.unwrap_or(budget.percent),
        min_per_second: own.min_per_second.unwrap_or(budget.min_per_second),
    });
    if budget.percent == 0 && budget.min_per_second == 0 {
        at.key("budget").fault("lets no request be sent again", "write percent: 20, or take retry out");
    }
    RetrySettings {
        attempts: written.attempts.unwrap_or(RETRY_ATTEMPTS),
        statuses: statuses.into(),
        attempt_deadline,
        idempotency_key: written.idempotency_key.unwrap_or(false),
        budget,
    }
}

fn breaker(at: &Cursor<'_>, written: &written::BreakerConfig) -> BreakerSettings {
    let read = |name: &str, text: &Option<file::DurationText>| time(at, name, text, BREAKER_TIME_MAX);
    let open_for = read("open_for", &written.open_for).unwrap_or(BREAKER_OPEN);
    let open_for_max = read("max_open_for", &written.max_open_for);
    BreakerSettings {
        failure_percent: written.failure_percent.unwrap_or(BREAKER_FAILURE_PERCENT),
        window: read("window", &written.window).unwrap_or(BREAKER_WINDOW),
        min_requests: written.min_requests.unwrap_or(BREAKER_MIN_REQUESTS),
        open_for,
        open_for_max: not_shorter(at, ("max_open_for", "open_for"), open_for_max, BREAKER_OPEN_MAX, open_for),
        half_open_requests: written.half_open_requests.and_then(NonZeroU32::new).unwrap_or(BREAKER_HALF_OPEN),
    }
}

fn bulkhead(at: &Cursor<'_>, written: &file::UpstreamConfig) -> Option<BulkheadSettings> {
    let requests_max = written.max_requests.and_then(NonZeroU32::new);
    if written.max_pending.is_some() && requests_max.is_none() {
        at.key("max_pending").fault("has no effect without max_requests", "write that too, or take it out");
    }
    Some(BulkheadSettings { requests_max: requests_max?, pending_max: written.max_pending.unwrap_or(0) })
}

/// Warns of retries that no route can have.
pub(super) fn check_retried<'a>(
    at: &Cursor<'_>,
    retry: Option<&RetrySettings>,
    routes: impl Iterator<Item = &'a ContractRoute>,
) {
    let repeatable = [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE, Method::PUT, Method::DELETE];
    let is_retried = |route: &ContractRoute| repeatable.iter().any(|method| route.pattern.allows(method));
    let mut routes = routes.peekable();
    let is_used = routes.peek().is_some();
    if retry.is_some_and(|retry| !retry.idempotency_key) && is_used && !routes.any(is_retried) {
        let wrong = "has no effect: no route has an idempotent method, such as GET or PUT";
        at.warning(wrong, "take it out, or write idempotency_key: true where the API honours that field");
    }
}

fn time(at: &Cursor<'_>, name: &str, written: &Option<file::DurationText>, most: Duration) -> Option<Duration> {
    values::duration(&at.key(name), written.as_ref(), most)
}

/// The longest of two times that belong together; the default where none is written.
fn not_shorter(
    at: &Cursor<'_>,
    (name, other): (&str, &str),
    most: Option<Duration>,
    default: Duration,
    first: Duration,
) -> Duration {
    if most.is_some_and(|most| most < first) {
        let least = units::format_duration(first);
        at.key(name).invalid(format!("must not be shorter than {other} ({least})"), &least);
    }
    most.unwrap_or(default).max(first)
}
