//! Checks `mode: observe`, `observe_until:` and `observe_upstream:` of a contract.
//!
//! A contract that observes lets raw data pass, so it says until when, within a bound, and `check` warns of it.

use std::sync::Arc;

use super::contract::ContractContext;
use super::routes::upstream_named;
use crate::bounds::OBSERVE_MAX;
use crate::config::contract::{ContractRoutes, ObserveSettings};
use crate::config::file::contract::{ContractConfig, ContractMode, DateText};
use crate::config::source::Cursor;
use crate::config::units;
use crate::model::{Direction, UnixTime};
use crate::upstream::UpstreamSettings;

/// What the contract observes; `None` where it is enforced or a draft.
pub(super) fn observe(
    at: &Cursor<'_>,
    written: &ContractConfig,
    routes: [&ContractRoutes; Direction::ALL.len()],
    context: &ContractContext<'_>,
) -> Option<ObserveSettings> {
    if !matches!(written.mode, Some(ContractMode::Observe)) {
        let keys = [
            ("observe_until", written.observe_until.is_some()),
            ("observe_upstream", written.observe_upstream.is_some()),
        ];
        for (key, _) in keys.into_iter().filter(|(_, is_written)| *is_written) {
            at.key(key).fault("belongs to mode: observe", "write that too, or take it out");
        }
        return None;
    }
    let missing = "is missing: a contract that lets raw data pass must say until when";
    let until = last_day(&at.key("observe_until"), written.observe_until.as_ref(), missing, context.now)?;
    if until <= context.now {
        let wrong = "is over: the contract is enforced, as if it said mode: enforce";
        at.key("observe_until").warning(wrong, "write mode: enforce and take this key out");
    } else {
        let wrong = format!("observes until {until}: nothing is refused, limited or treated, RAW DATA PASSES");
        at.key("mode").warning(wrong, "write mode: enforce as soon as nothing is reported that should pass");
    }
    let named = written.observe_upstream.as_deref();
    let named = named.map(|name| upstream_named(&at.key("observe_upstream"), name, context));
    let ingress = named.or_else(|| only_upstream(routes[Direction::Ingress.index()]));
    if ingress.is_none() && !routes[Direction::Ingress.index()].is_empty() {
        let wrong = "observes, but calls that no ingress route covers are refused: the routes have several upstreams";
        at.key("mode").warning(wrong, "write observe_upstream: NAME where such calls are to be seen");
    }
    Some(ObserveSettings { until, undeclared: [ingress, only_upstream(routes[Direction::Egress.index()])] })
}

/// The first instant after the last day of a roll-out.
pub(super) fn last_day(at: &Cursor<'_>, written: Option<&DateText>, missing: &str, now: UnixTime) -> Option<UnixTime> {
    let latest = || {
        let latest = now.plus(OBSERVE_MAX).to_string();
        latest.split('T').next().unwrap_or_default().to_owned()
    };
    let Some(date) = written else {
        at.fault(missing, format!("write {}", latest()));
        return None;
    };
    let last_day = at.parsed(units::parse_date(&date.0))?;
    if last_day > now.plus(OBSERVE_MAX) {
        let days = OBSERVE_MAX.as_secs() / 86_400;
        at.invalid(format!("must be at most {days} days ahead"), latest());
        return None;
    }
    Some(units::next_day(last_day))
}

/// The upstream that all routes name.
fn only_upstream(routes: &ContractRoutes) -> Option<Arc<UpstreamSettings>> {
    let (first, others) = routes.as_slice().split_first()?;
    others.iter().all(|route| route.upstream.id == first.upstream.id).then(|| Arc::clone(&first.upstream))
}
