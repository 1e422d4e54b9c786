//! What operators ask for: the bodies and queries of admin calls, as JSON and checked.
//!
//! Unknown keys are refused: a misspelt `direction` must never widen a kill, nor narrow it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bounds::{REASON_BYTES_MAX, SCHEDULE_AHEAD_MAX};
use crate::model::{Direction, UnixTime};

/// An order to cut off a vendor, or to let it back: what every member matches, and all of it when none is given.
///
/// A restore names the part that a kill named.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Order")]
pub struct OperatorOrder {
    /// Why, in words for the audit trail.
    pub reason: String,
    /// Only this direction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// Only this route, as the contract writes it: `GET /v1/customers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// Only this client of the vendor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// Only say what a kill would cut, and cut nothing.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dry_run: bool,
    /// The names are right although nobody has been seen by them.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unseen: bool,
    /// Not now but then: a time (RFC 3339), or how long from now (`2h`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// An order to kill, measure and restore.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DrillOrder {
    /// Cut stand-ins, and nothing of the vendor's.
    #[serde(default)]
    pub shadow: bool,
    /// Why, in words for the audit trail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// An empty body, `{}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Nothing")]
pub struct EmptyBody {}

/// Why an order that can be read cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// Nobody could say later why it was done.
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
    /// What would be cut then, nobody knows now.
    #[error("write \"dry_run\" or \"at\", not both")]
    DryRunLater,
    /// A kill cannot be put off to this time.
    #[error(
        "\"at\" must be a time to come, such as 2026-11-21T20:00:00Z, or how long from now: 2h; at most five years"
    )]
    At,
    /// The time cannot be read.
    #[error("\"issued_before\" must be a time such as 2026-11-21T20:00:00Z")]
    Time,
}

impl OperatorOrder {
    /// Checks what JSON cannot say.
    ///
    /// # Errors
    /// [`OrderError`] when there is no reason, or a part is named by an empty text.
    pub fn check(&self) -> Result<(), OrderError> {
        check_reason(&self.reason)?;
        for (key, value) in [("route", &self.route), ("client", &self.client)] {
            if value.as_deref() == Some("") {
                return Err(OrderError::Empty(key));
            }
        }
        if self.dry_run && self.at.is_some() { Err(OrderError::DryRunLater) } else { Ok(()) }
    }

    /// As [`Self::check`], for an order for every vendor.
    ///
    /// # Errors
    /// [`OrderError`], also where it names what only one vendor has.
    pub fn check_for_all(&self) -> Result<(), OrderError> {
        let named = [("route", self.route.is_some()), ("client", self.client.is_some())];
        let named = named.into_iter().find(|(_, is_named)| *is_named);
        named.map_or_else(|| self.check(), |(key, _)| Err(OrderError::OfOneVendor(key)))
    }

    /// When it is to be carried out; `None` where that is now.
    ///
    /// # Errors
    /// [`OrderError::At`] when the time cannot be read, has passed or is too far away.
    pub fn due(&self, now: UnixTime) -> Result<Option<UnixTime>, OrderError> {
        let Some(text) = &self.at else { return Ok(None) };
        let at = parse_time(text).or_else(|| humantime::parse_duration(text).ok().map(|span| now.plus(span)));
        let at = at.filter(|at| *at > now && at.since(now) <= SCHEDULE_AHEAD_MAX);
        at.map(Some).ok_or(OrderError::At)
    }
}

impl DrillOrder {
    /// Checks what JSON cannot say.
    ///
    /// # Errors
    /// [`OrderError::Reason`] when there is a reason and it is empty or too long.
    pub fn check(&self) -> Result<(), OrderError> {
        self.reason.as_deref().map_or(Ok(()), check_reason)
    }
}

/// RFC 3339, such as `2026-11-21T20:00:00Z`.
pub fn parse_time(text: &str) -> Option<UnixTime> {
    humantime::parse_rfc3339_weak(text).ok().map(UnixTime::from)
}

/// A time, or how long ago: `2026-11-21T20:00:00Z`, `24h`, `7d`.
pub fn parse_since(text: &str, now: UnixTime) -> Option<UnixTime> {
    parse_time(text).or_else(|| humantime::parse_duration(text).ok().map(|span| now.minus(span)))
}

pub(super) fn check_reason(reason: &str) -> Result<(), OrderError> {
    let said = !reason.trim().is_empty() && reason.len() <= REASON_BYTES_MAX;
    if said { Ok(()) } else { Err(OrderError::Reason) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: serde::de::DeserializeOwned>(json: &str, rule: impl Fn(&T) -> Result<(), OrderError>) -> String {
        match serde_json::from_str::<T>(json) {
            Ok(order) => rule(&order).map_or_else(|error| error.to_string(), |()| "ok".to_owned()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn orders_say_what_is_wrong_with_them() {
        let long = format!(r#"{{"reason":"{}"}}"#, "x".repeat(REASON_BYTES_MAX + 1));
        for (json, said) in [
            (r#"{"reason":"leak"}"#, "ok"),
            (r#"{"reason":"leak","direction":"egress","route":"GET /a","client":"c"}"#, "ok"),
            ("{}", "missing field `reason`"),
            (r#"{"reason":" "}"#, "write why"),
            (&long, "write why"),
            (r#"{"reason":"x","route":""}"#, "\"route\" is empty"),
            (r#"{"reason":"x","Direction":"egress"}"#, "unknown field `Direction`, expected one of"),
            (r#"{"reason":"x","direction":"up"}"#, "unknown variant `up`, expected `ingress` or `egress`"),
            (r#"{"reason":"x","reason":"y"}"#, "duplicate field `reason`"),
        ] {
            let found = check(json, OperatorOrder::check);
            assert!(found.starts_with(said), "{json}: {found}");
        }
    }

    #[test]
    fn a_kill_is_put_off_to_a_time_to_come() {
        let now = UnixTime::from_secs(1_000_000);
        for (at, secs) in [
            ("2h", Some(1_007_200)),
            ("1970-01-12T13:46:41Z", Some(1_000_001)),
            ("1970-01-12T13:46:40Z", None),
            ("0s", None),
            ("6years", None),
            ("99999999999years", None),
            ("9999-12-31T23:59:59Z", None),
            ("soon", None),
            ("", None),
        ] {
            let order = OperatorOrder { at: Some(at.to_owned()), ..OperatorOrder::default() };
            let due = secs.map(|secs| Some(UnixTime::from_secs(secs))).ok_or(OrderError::At);
            assert_eq!(order.due(now), due, "{at}");
        }
        assert_eq!(OperatorOrder::default().due(now), Ok(None));
        let both =
            OperatorOrder { reason: "x".into(), at: Some("2h".into()), dry_run: true, ..OperatorOrder::default() };
        assert_eq!(both.check(), Err(OrderError::DryRunLater));
    }

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
