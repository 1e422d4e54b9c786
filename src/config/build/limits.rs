//! `limits:`

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use super::values;
use crate::bounds::WINDOW_MAX;
use crate::config::file;
use crate::config::file::contract as written;
use crate::config::source::At;
use crate::config::units;
use crate::meter::{Budget, Limits, Over, Rate};

/// A vendor's limits: what is not written is filled in.
pub(super) fn of_vendor(at: &At<'_>, written: Option<&written::Limits>) -> Limits {
    let limits = read(at, written);
    Limits {
        requests: Some(limits.requests_or_default()),
        concurrency: Some(limits.concurrency_or_default()),
        records: Some(limits.records_or_default()),
        bytes: Some(limits.bytes_or_default()),
        subjects: limits.subjects,
        client_requests: limits.client_requests,
    }
}

/// A route's limits: only what is written.
pub(super) fn of_route(at: &At<'_>, written: Option<&written::Limits>) -> Limits {
    if written.is_some_and(|limits| limits.client_requests.is_some()) {
        at.key("client_requests").fault("belongs to the vendor's limits, not to a route's", "move it there");
    }
    read(at, written)
}

fn read(at: &At<'_>, written: Option<&written::Limits>) -> Limits {
    let Some(written) = written else { return Limits::default() };
    let rate = |name: &str, it: &Option<_>| it.as_ref().and_then(|it| self::rate(&at.key(name), it));
    let count = |name: &str, it: &Option<_>| it.as_ref().and_then(|it| self::count(&at.key(name), it));
    Limits {
        requests: rate("requests", &written.requests),
        concurrency: written.concurrency.and_then(NonZeroU32::new),
        records: count("records", &written.records),
        bytes: written.bytes.as_ref().and_then(|bytes| self::bytes(&at.key("bytes"), bytes)),
        subjects: count("subjects", &written.subjects),
        client_requests: rate("client_requests", &written.client_requests),
    }
}

fn rate(at: &At<'_>, written: &written::Requests) -> Option<Rate> {
    let rate = match units::rate(&written.rate.as_ref()?.0) {
        Ok(rate) => rate,
        Err(error) => {
            at.key("rate").bad(error.wrong, error.instead);
            return None;
        }
    };
    let a_second = u64::from(rate.count).div_ceil(rate.per.as_secs().max(1));
    let burst = written.burst.map_or(a_second, u64::from);
    let burst = NonZeroU32::new(u32::try_from(burst).unwrap_or(u32::MAX))?;
    Some(Rate { count: NonZeroU32::new(rate.count)?, per: rate.per, burst })
}

fn count(at: &At<'_>, written: &written::Count) -> Option<Budget> {
    let window = window(at, written.window.as_ref())?;
    Some(Budget { budget: NonZeroU64::new(written.budget?)?, window, over: over(written.over) })
}

fn bytes(at: &At<'_>, written: &written::Bytes) -> Option<Budget> {
    let window = window(at, written.window.as_ref());
    match units::size(&written.budget.as_ref()?.0) {
        Ok(budget) => Some(Budget { budget: NonZeroU64::new(budget)?, window: window?, over: over(written.over) }),
        Err(error) => {
            at.key("budget").bad(error.wrong, error.instead);
            None
        }
    }
}

fn window(at: &At<'_>, written: Option<&file::Duration>) -> Option<Duration> {
    let at = at.key("window");
    let window = values::duration(&at, written, WINDOW_MAX)?;
    if window < Duration::from_secs(1) {
        at.bad("must be at least 1s", "1s");
    }
    Some(window)
}

fn over(written: Option<written::Over>) -> Over {
    match written {
        Some(written::Over::Refuse) | None => Over::Refuse,
        Some(written::Over::Sever) => Over::Sever,
        Some(written::Over::Kill) => Over::Kill,
    }
}
