//! Checks what a contract says about its end, the circuit breaker, drills and restores.

use std::num::NonZeroU32;
use std::time::Duration;

use super::values;
use crate::bounds::{CONTRACT_GRACE_MAX, CONTRACT_WARN_BEFORE, ROTATION_MAX, WINDOW_MAX};
use crate::config::contract::TripSettings;
use crate::config::file::contract as written;
use crate::config::source::Cursor;
use crate::meter::AfterEnd;

/// `after_end:` and `grace:`
pub(super) fn after_end(at: &Cursor<'_>, written: &written::ContractConfig) -> AfterEnd {
    let grace = values::duration(&at.key("grace"), written.grace.as_ref(), CONTRACT_GRACE_MAX);
    match (written.after_end, &written.grace) {
        (Some(written::AfterEndConfig::ReadOnly), Some(_)) => AfterEnd::ReadOnly { grace: grace.unwrap_or_default() },
        (Some(written::AfterEndConfig::ReadOnly), None) => {
            at.key("after_end").fault("needs a grace: reading must end too", "write grace: 14d");
            AfterEnd::Block
        }
        (Some(written::AfterEndConfig::Block) | None, Some(_)) => {
            at.key("grace").fault("belongs to after_end: read_only", "write that too, or take it out");
            AfterEnd::Block
        }
        (Some(written::AfterEndConfig::Block) | None, None) => AfterEnd::Block,
    }
}

/// Checks what is written under `warn_before:`.
pub(super) fn warn_before(at: &Cursor<'_>, written: &written::ContractConfig) -> Duration {
    let written = values::duration(&at.key("warn_before"), written.warn_before.as_ref(), ROTATION_MAX);
    written.unwrap_or(CONTRACT_WARN_BEFORE)
}

/// Checks what is written under `trip:`.
pub(super) fn trip(at: &Cursor<'_>, written: Option<&written::TripConfig>) -> Option<TripSettings> {
    let trip = written?;
    let window = values::duration(&at.key("window"), trip.window.as_ref(), WINDOW_MAX)?;
    Some(TripSettings { denials: NonZeroU32::new(trip.denials?)?, window })
}

/// Checks what is written under `drills:`.
pub(super) fn drill_every(at: &Cursor<'_>, written: Option<&written::DrillsConfig>) -> Option<Duration> {
    values::duration(&at.key("every"), written?.every.as_ref(), ROTATION_MAX)
}

/// Checks what is written under `restore:`.
pub(super) fn approvals(written: Option<&written::RestoreConfig>) -> NonZeroU32 {
    written.and_then(|restore| NonZeroU32::new(restore.approvals?)).unwrap_or(NonZeroU32::MIN)
}
