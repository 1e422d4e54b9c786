//! Times as answers and orders write them: RFC 3339.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::UnixTime;

/// A time, as RFC 3339 on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(rename = "Time", with = "String", extend("format" = "date-time"))]
pub struct Rfc3339Time(pub UnixTime);

impl From<Rfc3339Time> for String {
    fn from(time: Rfc3339Time) -> Self {
        time.0.to_string()
    }
}

impl TryFrom<String> for Rfc3339Time {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        parse_rfc3339(&text).map(Self).ok_or("not a time (RFC 3339)")
    }
}

impl From<UnixTime> for Rfc3339Time {
    fn from(time: UnixTime) -> Self {
        Self(time)
    }
}

/// Reads RFC 3339, such as `2026-11-21T20:00:00Z`; a time without an offset is UTC.
pub fn parse_rfc3339(text: &str) -> Option<UnixTime> {
    humantime::parse_rfc3339_weak(text).ok().map(UnixTime::from)
}

/// Whether a member of an answer has its default value, and is left out of the JSON.
pub fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
