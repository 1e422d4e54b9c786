//! Checks `limits:` of a contract and of a route.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use super::values;
use crate::bounds::WINDOW_MAX;
use crate::config::contract::ContractRoutes;
use crate::config::file;
use crate::config::file::contract as written;
use crate::config::source::Cursor;
use crate::config::units;
use crate::meter::{Budget, Limits, RequestRate, VendorLimits};
use crate::pii::Rules;

/// A vendor's limits as written. A limit that is not written has the product's default. `has_services` says whether the
/// main file names our own services, so that they count as clients apart.
pub(super) fn of_vendor(
    at: &Cursor<'_>,
    written: Option<&written::VendorLimitsConfig>,
    has_services: bool,
) -> VendorLimits {
    let Some(written) = written else { return VendorLimits::default() };
    let shared = written.shared.unwrap_or_default();
    let base = read(at, &common(written));
    let own = |name: &str, written: &Option<written::LimitsConfig>| {
        let at = at.key(name);
        if shared && written.is_some() {
            at.fault("cannot be used with shared: true: both directions spend from one budget", "take one of them out");
        }
        written.as_ref().map(|written| read(&at, written)).unwrap_or_default()
    };
    let (ingress, egress) = (own("ingress", &written.ingress), own("egress", &written.egress));
    if egress.client_requests.is_some() && !has_services {
        let wrong = "can never be reached: our own services count as one client of the vendor";
        let instead = "write requests there, or name the services under callers: in the main file";
        at.key("egress").key("client_requests").fault(wrong, instead);
    }
    // A rate that is written for the vendor's clients is not that of our own services: theirs is `requests`.
    let outward = Limits { client_requests: base.client_requests.filter(|_| shared), ..base.clone() };
    VendorLimits { ingress: ingress.or(base), egress: egress.or(outward), shared }
}

/// Reports limits that no traffic can reach, because no route counts towards them.
pub(super) fn check_effect(
    at: &Cursor<'_>,
    written: Option<&written::VendorLimitsConfig>,
    ingress: &ContractRoutes,
    egress: &ContractRoutes,
) {
    let Some(written) = written else { return };
    let both = [ingress, egress];
    check_counted(at, &common(written), &both);
    for (name, own, routes) in [("ingress", &written.ingress, ingress), ("egress", &written.egress, egress)] {
        let Some(own) = own else { continue };
        if routes.is_empty() {
            at.key(name).fault(format!("has no effect: the contract has no {name} routes"), "take it out");
        } else {
            check_counted(&at.key(name), own, &[routes]);
        }
    }
    if written.shared == Some(true) && both.iter().any(|routes| routes.is_empty()) {
        at.key("shared").fault("has no effect: the contract has routes in one direction only", "take it out");
    }
}

/// Records are counted on routes that name `records`; subjects on those that also name `subject`.
fn check_counted(at: &Cursor<'_>, written: &written::LimitsConfig, sides: &[&ContractRoutes]) {
    let routes = || sides.iter().flat_map(|routes| routes.as_slice());
    let counted = |rules: &Rules| rules.records.is_some();
    let about = |rules: &Rules| rules.records.is_some() && rules.subject.is_some();
    let any = |of: fn(&Rules) -> bool| routes().any(|route| of(&route.request) || of(&route.response));
    if routes().next().is_none() {
        // A contract without routes, or with routes that could not be read, is reported elsewhere.
        return;
    }
    if written.records.is_some() && !any(counted) {
        let instead =
            "write records: at each route that hands out records, such as \"$.customers[*]\", or \"$\" for one";
        at.key("records").fault("can never be reached: no route names records", instead);
    }
    if written.subjects.is_some() && !any(about) {
        let instead = "write records: and subject: at each route that is about persons";
        at.key("subjects").fault("can never be reached: no route names both records and subject", instead);
    }
}

fn common(written: &written::VendorLimitsConfig) -> written::LimitsConfig {
    written::LimitsConfig {
        requests: written.requests.clone(),
        concurrency: written.concurrency,
        records: written.records.clone(),
        bytes: written.bytes.clone(),
        subjects: written.subjects.clone(),
        client_requests: written.client_requests.clone(),
    }
}

/// A route's limits. One that is not written adds none.
pub(super) fn of_route(at: &Cursor<'_>, written: Option<&written::LimitsConfig>) -> Limits {
    let Some(written) = written else { return Limits::default() };
    for (name, is_written) in
        [("client_requests", written.client_requests.is_some()), ("subjects", written.subjects.is_some())]
    {
        if is_written {
            at.key(name).fault("belongs to the vendor's limits, not to a route's", "move it there");
        }
    }
    read(at, written)
}

fn read(at: &Cursor<'_>, written: &written::LimitsConfig) -> Limits {
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

fn rate(at: &Cursor<'_>, written: &written::RequestRateConfig) -> Option<RequestRate> {
    let rate = at.key("rate").parsed(units::parse_rate(&written.rate.as_ref()?.0))?;
    let a_second = u64::from(rate.count).div_ceil(rate.per.as_secs().max(1));
    let burst = written.burst.map_or(a_second, u64::from);
    let burst = NonZeroU32::new(u32::try_from(burst).unwrap_or(u32::MAX))?;
    Some(RequestRate { count: NonZeroU32::new(rate.count)?, per: rate.per, burst })
}

fn count(at: &Cursor<'_>, written: &written::CountBudgetConfig) -> Option<Budget> {
    let window = window(at, written.window.as_ref())?;
    Some(Budget { budget: NonZeroU64::new(written.budget?)?, window, over: written.over.unwrap_or_default() })
}

fn bytes(at: &Cursor<'_>, written: &written::ByteBudgetConfig) -> Option<Budget> {
    let window = window(at, written.window.as_ref());
    let budget = at.key("budget").parsed(units::parse_size(&written.budget.as_ref()?.0))?;
    Some(Budget { budget: NonZeroU64::new(budget)?, window: window?, over: written.over.unwrap_or_default() })
}

fn window(at: &Cursor<'_>, written: Option<&file::DurationText>) -> Option<Duration> {
    let at = at.key("window");
    let window = values::duration(&at, written, WINDOW_MAX)?;
    if window < Duration::from_secs(1) {
        at.invalid("must be at least 1s", "1s");
    }
    Some(window)
}
