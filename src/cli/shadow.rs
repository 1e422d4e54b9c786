//! `vendorgate status --shadow`: what our services asked for and no contract lists.

use super::layout::{ago, table};
use crate::admin::ShadowReport;
use crate::model::{UnixTime, thousands};

/// The report as a person reads it.
pub(super) fn shadow_text(report: &ShadowReport, now: UnixTime) -> String {
    if report.destinations.is_empty() && report.unlisted == 0 {
        return "no service has asked for a destination that is in no contract\n".into();
    }
    let mut text =
        table(&["DESTINATION", "CALLER", ">ASKED FOR", ">PASSED", "FIRST", "LAST"], &report.destinations, |asked| {
            vec![
                asked.destination.clone(),
                asked.caller.clone().unwrap_or_else(|| "-".to_owned()),
                thousands(asked.count),
                thousands(asked.passed),
                ago(asked.first_seen, now),
                ago(asked.last_seen, now),
            ]
        });
    if report.unlisted > 0 {
        text.push_str(&format!("and {} more, for which the list had no room\n", thousands(report.unlisted)));
    }
    text
}
