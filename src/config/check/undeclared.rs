//! Checks `unknown:`, `report_until:` and `allow_networks:` of `listeners.egress`: a roll-out in which destinations
//! that no contract lists pass.
//!
//! What passes is raw and judged by nobody, so the config says until when, within a bound, and `check` warns of it.

use super::observe::last_day;
use super::upstreams::undeclared_upstream;
use crate::config::file::egress_listener::{EgressListenerConfig, UnknownConfig};
use crate::config::settings::UndeclaredSettings;
use crate::config::source::Cursor;
use crate::model::UnixTime;

/// What the listener lets pass that no contract lists; `None` where all of it is refused.
pub(super) fn undeclared(
    at: &Cursor<'_>,
    own: &EgressListenerConfig,
    has_residency: bool,
    now: UnixTime,
) -> Option<UndeclaredSettings> {
    if own.unknown.unwrap_or_default() == UnknownConfig::Refuse {
        let keys = [("report_until", own.report_until.is_some()), ("allow_networks", own.allow_networks.is_some())];
        for (key, _) in keys.into_iter().filter(|(_, is_written)| *is_written) {
            at.key(key).fault("belongs to unknown: report", "write that too, or take it out");
        }
        return None;
    }
    if has_residency {
        let wrong = "cannot be report: the residency policy says what may leave to which region, and nothing is known of a destination that no contract lists";
        at.key("unknown").fault(wrong, "write a contract for each destination, or take residency out for the roll-out");
    }
    let networks = own.allow_networks.as_deref().unwrap_or_default();
    let upstream = undeclared_upstream(&at.key("allow_networks"), networks);
    let missing = "is missing: what lets everything pass must say until when";
    let until = last_day(&at.key("report_until"), own.report_until.as_ref(), missing, now)?;
    if until <= now {
        let wrong = "is over: what no contract lists is refused";
        at.key("report_until").warning(wrong, "take it and unknown: report out");
        return None;
    }
    let wrong = format!("lets pass until {until} what no contract lists: RAW DATA LEAVES TO ANY PUBLIC HOST");
    at.key("unknown").warning(wrong, "write contracts for what status --shadow lists, then unknown: refuse");
    Some(UndeclaredSettings { until, upstream })
}
