//! The bounds of a kill on an anomaly.

use std::time::Duration;

/// The score on which an anomaly trips, unless the contract says otherwise: quiet traffic does not reach it by chance.
pub const ANOMALY_SCORE: u32 = 8;
/// How long that score must be reached: three readings, so that one odd moment kills nobody.
pub const ANOMALY_HOLD: Duration = Duration::from_secs(30);
/// Longest time that it may have to be reached: after an hour the theft is over.
pub const ANOMALY_HOLD_MAX: Duration = Duration::from_secs(3600);
