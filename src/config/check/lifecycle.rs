//! Checks what a contract says about its end, the circuit breaker, drills and restores.

use std::num::NonZeroU32;
use std::time::Duration;

use super::values;
use crate::anomaly::AnomalyTrip;
use crate::bounds::{
    ANOMALY_HOLD, ANOMALY_HOLD_MAX, ANOMALY_SCORE, CONTRACT_GRACE_MAX, CONTRACT_WARN_BEFORE, ROTATION_MAX, WINDOW_MAX,
};
use crate::config::contract::{BurstSettings, TripSettings};
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
    let (burst, anomaly) = (burst(at, trip), trip.anomaly.as_ref().and_then(|trip| anomaly(&at.key("anomaly"), trip)));
    if trip.denials.is_none() && trip.window.is_none() && trip.anomaly.is_none() {
        at.fault("says nothing", "write { denials: 100, window: 1m }, or { anomaly: { signal: records } }");
    }
    (burst.is_some() || anomaly.is_some()).then_some(TripSettings { burst, anomaly })
}

fn burst(at: &Cursor<'_>, trip: &written::TripConfig) -> Option<BurstSettings> {
    if trip.denials.is_some() != trip.window.is_some() {
        at.fault("must have both denials and window, or neither", "add the other");
    }
    let window = values::duration(&at.key("window"), trip.window.as_ref(), WINDOW_MAX)?;
    Some(BurstSettings { denials: NonZeroU32::new(trip.denials?)?, window })
}

fn anomaly(at: &Cursor<'_>, trip: &written::AnomalyTripConfig) -> Option<AnomalyTrip> {
    let hold = values::duration(&at.key("for"), trip.hold.as_ref(), ANOMALY_HOLD_MAX).unwrap_or(ANOMALY_HOLD);
    Some(AnomalyTrip { signal: trip.signal?, score: trip.score.unwrap_or(ANOMALY_SCORE), hold })
}

/// Checks what is written under `drills:`.
pub(super) fn drill_every(at: &Cursor<'_>, written: Option<&written::DrillsConfig>) -> Option<Duration> {
    values::duration(&at.key("every"), written?.every.as_ref(), ROTATION_MAX)
}

/// Checks what is written under `restore:`.
pub(super) fn approvals(written: Option<&written::RestoreConfig>) -> NonZeroU32 {
    written.and_then(|restore| NonZeroU32::new(restore.approvals?)).unwrap_or(NonZeroU32::MIN)
}
