//! The rate limit fields of draft-ietf-httpapi-ratelimit-headers-10: written here and nowhere else, because it is a
//! draft and still changes.
//!
//! Never names a client or a path: a policy is called `vendor`, `route` or `client`.

use super::RateStatus;

/// Room for a field of three policies, so that writing one allocates once.
const FIELD_BYTES: usize = 96;

/// The value of `RateLimit-Policy`: `"vendor";q=100;w=2, "client";q=10;w=1`.
pub fn rate_limit_policy(standings: impl Iterator<Item = RateStatus>) -> String {
    list(standings, |standing| [("q", standing.quota), ("w", standing.window_secs)])
}

/// The value of `RateLimit`: `"vendor";r=99;t=1, "client";r=0;t=1`.
pub fn rate_limit(standings: impl Iterator<Item = RateStatus>) -> String {
    list(standings, |standing| [("r", standing.remaining), ("t", standing.reset_secs)])
}

/// A list of items with parameters (RFC 9651): integers within 15 digits, names that need no escape.
fn list(
    standings: impl Iterator<Item = RateStatus>,
    parameters: impl Fn(&RateStatus) -> [(&'static str, u64); 2],
) -> String {
    const INTEGER_MAX: u64 = 999_999_999_999_999;
    let mut field = String::with_capacity(FIELD_BYTES);
    for standing in standings {
        let comma = if field.is_empty() { "" } else { ", " };
        field.extend([comma, "\"", standing.level.as_str(), "\""]);
        for (name, value) in parameters(&standing) {
            field.extend([";", name, "=", &value.min(INTEGER_MAX).to_string()]);
        }
    }
    field
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use super::*;
    use crate::meter::RequestRate;
    use crate::meter::rate::RequestLimiter;
    use crate::model::{ClientId, Moment, UnixTime};

    #[test]
    fn the_fields_tell_the_quota_and_what_is_left() {
        let rate = |count, per_secs, burst| RequestRate {
            count: NonZeroU32::new(count).unwrap(),
            per: Duration::from_secs(per_secs),
            burst: NonZeroU32::new(burst).unwrap(),
        };
        let limiter = RequestLimiter::new(rate(50, 1, 100), &[Some(rate(3_000, 60, 1))], Some(rate(1, 3_600, 2)));
        let ask = |ns| {
            let now = Moment { wall: UnixTime::default(), monotonic_ns: ns };
            let decision = limiter.check(0, &ClientId::new("a"), now);
            (decision.refused, rate_limit(limiter.statuses(&decision)), rate_limit_policy(limiter.statuses(&decision)))
        };
        let policy = r#""vendor";q=100;w=2, "route";q=50;w=1, "client";q=2;w=7200"#;
        let (refused, left, of) = ask(0);
        assert_eq!((refused, of.as_str()), (None, policy));
        assert_eq!(left, r#""vendor";r=99;t=1, "route";r=0;t=1, "client";r=1;t=3600"#);
        let (refused, left, _) = ask(1_000_000);
        assert_eq!(refused.map(|(scope, wait)| (scope.as_str(), wait)), Some(("route", Duration::from_millis(19))));
        assert_eq!(left, r#""vendor";r=99;t=1, "route";r=0;t=1, "client";r=1;t=3600"#, "refused is free of charge");
        ask(1_000_000_000);
        assert_eq!(ask(2_000_000_000).0.map(|(scope, _)| scope.as_str()), Some("client"));
    }
}
