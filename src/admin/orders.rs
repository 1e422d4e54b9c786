//! What the orders of operators have in common: a reason, times, and what is wrong with one.
//!
//! Unknown keys are refused in every order: a misspelt `direction` must never widen a kill, nor narrow it.

use crate::bounds::REASON_BYTES_MAX;
use crate::model::{UnixTime, parse_rfc3339};

/// Why an order that can be read cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// An act without a reason cannot be explained later.
    #[error("write why: \"reason\" must be 1 to {REASON_BYTES_MAX} bytes, such as \"ticket 4711: key leaked\"")]
    Reason,
    /// An empty name would match nothing.
    #[error("{0:?} is empty: name one, or leave the key out")]
    Empty(&'static str),
    /// It must be clear what is revoked.
    #[error("write exactly one of \"jti\", \"client\", \"key\" and \"issued_before\"")]
    OneOf,
    /// Only a kill can be tried out or put off.
    #[error("\"dry_run\" and \"at\" are for kills: a restore is done or not")]
    NotForRestore,
    /// The same word in another contract is not meant, and to leave it out would widen the order.
    #[error("{0:?} is one vendor's name: send the order for that vendor, or leave the key out")]
    OfOneVendor(&'static str),
    /// What would be cut at a later time cannot be known now.
    #[error("write \"dry_run\" or \"at\", not both")]
    DryRunLater,
    /// A kill cannot be put off to this time.
    #[error(
        "\"at\" must be a time to come, such as 2026-11-21T20:00:00Z, or how long from now: 2h; at most five years"
    )]
    At,
    /// The other gateways cannot be waited for so long.
    #[error("\"wait\" must be a span such as 5s, and at most 20s")]
    Wait,
    /// The time cannot be read.
    #[error("\"issued_before\" must be a time such as 2026-11-21T20:00:00Z")]
    Time,
}

/// A time, or how long ago: `2026-11-21T20:00:00Z`, `24h`, `7d`.
pub fn parse_since(text: &str, now: UnixTime) -> Option<UnixTime> {
    parse_rfc3339(text).or_else(|| humantime::parse_duration(text).ok().map(|span| now.minus(span)))
}

pub(super) fn check_reason(reason: &str) -> Result<(), OrderError> {
    let said = !reason.trim().is_empty() && reason.len() <= REASON_BYTES_MAX;
    if said { Ok(()) } else { Err(OrderError::Reason) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_time_or_how_long_ago() {
        let now = UnixTime::from_secs(1_000_000);
        for (text, secs) in [
            ("1970-01-02T00:00:00Z", Some(86_400)),
            ("1970-01-02T00:00:00", Some(86_400)),
            ("1h", Some(996_400)),
            ("99years", Some(0)),
            ("", None),
            ("-1h", None),
            ("tomorrow", None),
        ] {
            assert_eq!(parse_since(text, now), secs.map(UnixTime::from_secs), "{text}");
        }
    }
}
