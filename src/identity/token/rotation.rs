//! Checks the age of a verified token: its dates, and the contract's rotation rules.
//!
//! Compares how long a token was *issued for* (`exp - iat`) and how long ago (`now - iat`), never the time that
//! remains: a token of a year must not pass on its last day. Called on every request, so it only compares numbers.

use std::time::Duration;

use crate::identity::error::AuthError;
use crate::identity::settings::RotationRules;
use crate::model::{Claims, UnixTime};

/// Checks `exp`, `nbf` and `iat` (RFC 7519 section 4.1) with the contract's clock skew.
#[inline]
pub(crate) fn check_dates(claims: &Claims, clock_skew: Duration, now: UnixTime) -> Result<(), AuthError> {
    if claims.expires_at.is_some_and(|end| now >= end.plus(clock_skew)) {
        return Err(AuthError::Expired);
    }
    if claims.not_before.is_some_and(|start| now.plus(clock_skew) < start) {
        return Err(AuthError::NotYetValid);
    }
    if claims.issued_at.is_some_and(|issued| now.plus(clock_skew) < issued) {
        Err(AuthError::IssuedInFuture)
    } else {
        Ok(())
    }
}

/// Checks the token of a request in flight: by the same rules, with the grace that the contract gives to such requests.
pub(crate) fn check_in_flight(
    claims: &Claims,
    key_in_use_since: Option<UnixTime>,
    clock_skew: Duration,
    rules: &RotationRules,
    now: UnixTime,
) -> Result<(), AuthError> {
    let then = now.minus(rules.expired_grace.unwrap_or_default());
    if claims.expires_at.is_some_and(|end| then >= end.plus(clock_skew)) {
        return Err(AuthError::Expired);
    }
    check_rules(claims, key_in_use_since, rules, then)
}

/// Checks the rotation rules that need no memory: lifetime, age, and the age of the signing key.
#[inline]
pub(crate) fn check_rules(
    claims: &Claims,
    key_in_use_since: Option<UnixTime>,
    rules: &RotationRules,
    now: UnixTime,
) -> Result<(), AuthError> {
    let exceeds = |span: Duration, bound: Option<Duration>| bound.is_some_and(|bound| span > bound);
    // Where a token may lack `iat`, no rule of the contract counts from it, and it was issued for at least the time
    // that remains.
    let issued = claims.issued_at.unwrap_or(now);
    if claims.expires_at.is_some_and(|end| exceeds(end.since(issued), rules.max_lifetime)) {
        return Err(AuthError::Lifetime);
    }
    if exceeds(now.since(issued), rules.max_age) {
        return Err(AuthError::Age);
    }
    if key_in_use_since.is_some_and(|born| exceeds(now.since(born), rules.max_key_age)) {
        return Err(AuthError::KeyTooOld);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ClientId, ScopeSet};

    fn claims(issued: u64, expires: u64) -> Claims {
        Claims {
            client: ClientId::new("c"),
            issued_at: Some(UnixTime::from_secs(issued)),
            expires_at: Some(UnixTime::from_secs(expires)),
            not_before: None,
            token_id: None,
            scopes: ScopeSet::default(),
            key_id: None,
            key_thumbprint: None,
            certificate_thumbprint: None,
            proof_key_thumbprint: None,
        }
    }

    #[test]
    fn dates_are_exact_to_the_second() {
        let skew = Duration::from_secs(30);
        let check = |now| check_dates(&claims(1000, 2000), skew, UnixTime::from_secs(now));
        assert_eq!(check(969), Err(AuthError::IssuedInFuture));
        assert_eq!(check(970), Ok(()));
        assert_eq!(check(2029), Ok(()));
        assert_eq!(check(2030), Err(AuthError::Expired));
        let later = Claims { not_before: Some(UnixTime::from_secs(1500)), ..claims(1000, 2000) };
        assert_eq!(check_dates(&later, skew, UnixTime::from_secs(1469)), Err(AuthError::NotYetValid));
        assert_eq!(check_dates(&later, skew, UnixTime::from_secs(1470)), Ok(()));
    }

    #[test]
    fn a_long_token_is_refused_on_its_last_day_too() {
        let rules = RotationRules { max_lifetime: Some(Duration::from_secs(3600)), ..RotationRules::default() };
        let check = |expires, now| check_rules(&claims(1000, expires), None, &rules, UnixTime::from_secs(now));
        assert_eq!(check(4600, 1000), Ok(()));
        assert_eq!(check(4601, 4600), Err(AuthError::Lifetime));
        assert_eq!(check(31_537_000, 31_536_999), Err(AuthError::Lifetime));
    }

    #[test]
    fn a_request_in_flight_ends_with_its_token_and_the_grace() {
        let check = |grace, max_age: Option<u64>, now| {
            let expired_grace = Some(Duration::from_secs(grace));
            let rules =
                RotationRules { expired_grace, max_age: max_age.map(Duration::from_secs), ..RotationRules::default() };
            check_in_flight(&claims(1000, 2000), None, Duration::from_secs(30), &rules, UnixTime::from_secs(now))
        };
        assert_eq!((check(0, None, 2029), check(0, None, 2030)), (Ok(()), Err(AuthError::Expired)));
        assert_eq!((check(60, None, 2089), check(60, None, 2090)), (Ok(()), Err(AuthError::Expired)));
        assert_eq!((check(60, Some(500), 1560), check(60, Some(500), 1561)), (Ok(()), Err(AuthError::Age)));
        assert_eq!(check(60, None, 900), Ok(()), "a clock that was set back ends nothing");
    }

    #[test]
    fn ages_count_from_issue_and_first_sight() {
        let rules = RotationRules {
            max_age: Some(Duration::from_secs(600)),
            max_key_age: Some(Duration::from_secs(86_400)),
            ..RotationRules::default()
        };
        let born = UnixTime::from_secs(500);
        let check = |issued, now| check_rules(&claims(issued, 999_999), Some(born), &rules, UnixTime::from_secs(now));
        assert_eq!(check(1000, 1600), Ok(()));
        assert_eq!(check(1000, 1601), Err(AuthError::Age));
        assert_eq!(check(86_900, 86_900), Ok(()));
        assert_eq!(check(86_901, 86_901), Err(AuthError::KeyTooOld));
    }
}
