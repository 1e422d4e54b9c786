//! Time as an argument: the clock is read once for each request, and the time is passed to every check.
//!
//! On the way of a request only [`Clock::now`] may read the machine's clocks, so that tests can choose the time.

use std::fmt;
#[cfg(any(test, feature = "internals"))]
use std::sync::Arc;
#[cfg(any(test, feature = "internals"))]
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Wall-clock time in milliseconds since 1970-01-01T00:00:00Z. In JSON it is RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(rename = "Time", description = "A time, as RFC 3339 on the wire.")]
#[schemars(with = "String", extend("format" = "date-time"))]
pub struct UnixTime(u64);

impl UnixTime {
    /// From milliseconds since the epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// From whole seconds since the epoch, the unit of JWT's NumericDate.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// How long after `earlier` this is; zero when it is not after.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// This time and a span.
    pub const fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span.as_millis() as u64))
    }

    /// This time less a span; never before the epoch.
    pub const fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(span.as_millis() as u64))
    }
}

/// RFC 3339 in UTC with milliseconds.
impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = UNIX_EPOCH + Duration::from_millis(self.0);
        write!(f, "{}", humantime::format_rfc3339_millis(time))
    }
}

impl From<UnixTime> for String {
    fn from(time: UnixTime) -> Self {
        time.to_string()
    }
}

impl TryFrom<String> for UnixTime {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        parse_rfc3339(&text).ok_or("not a time (RFC 3339)")
    }
}

/// Reads RFC 3339, such as `2026-11-21T20:00:00Z`; a time without an offset is UTC.
pub fn parse_rfc3339(text: &str) -> Option<UnixTime> {
    humantime::parse_rfc3339_weak(text).ok().map(UnixTime::from)
}

impl From<SystemTime> for UnixTime {
    fn from(time: SystemTime) -> Self {
        Self(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64)
    }
}

/// One reading of both clocks: the wall for dates, the monotonic one for windows and durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Wall-clock time, which an administrator can set back.
    pub wall: UnixTime,
    /// Nanoseconds since the clock was made, which never go back.
    pub monotonic_ns: u64,
}

/// The source of moments: the machine, or a test.
#[derive(Debug, Clone)]
pub struct Clock(ClockSource);

#[derive(Debug, Clone)]
enum ClockSource {
    System {
        origin: Instant,
    },
    #[cfg(any(test, feature = "internals"))]
    Manual {
        wall_ms: Arc<AtomicU64>,
        monotonic_ns: Arc<AtomicU64>,
    },
}

impl Clock {
    /// The machine's clocks.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    pub fn system() -> Self {
        Self(ClockSource::System { origin: Instant::now() })
    }

    /// A clock that stays at `wall` until it is advanced.
    #[cfg(any(test, feature = "internals"))]
    pub fn manual(wall: UnixTime) -> Self {
        Self(ClockSource::Manual {
            wall_ms: Arc::new(AtomicU64::new(wall.as_millis())),
            monotonic_ns: Arc::new(AtomicU64::new(0)),
        })
    }

    /// The present moment.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    pub fn now(&self) -> Moment {
        match &self.0 {
            ClockSource::System { origin } => {
                Moment { wall: SystemTime::now().into(), monotonic_ns: origin.elapsed().as_nanos() as u64 }
            }
            #[cfg(any(test, feature = "internals"))]
            ClockSource::Manual { wall_ms, monotonic_ns } => Moment {
                wall: UnixTime(wall_ms.load(Ordering::Relaxed)),
                monotonic_ns: monotonic_ns.load(Ordering::Relaxed),
            },
        }
    }

    /// Sets the wall time of a manual clock, as an administrator would. Does nothing to the machine's clock.
    #[cfg(any(test, feature = "internals"))]
    pub fn set_wall(&self, wall: UnixTime) {
        if let ClockSource::Manual { wall_ms, .. } = &self.0 {
            wall_ms.store(wall.as_millis(), Ordering::Relaxed);
        }
    }

    /// Advances a manual clock. Does nothing to the machine's clock.
    #[cfg(any(test, feature = "internals"))]
    pub fn advance(&self, span: Duration) {
        if let ClockSource::Manual { wall_ms, monotonic_ns } = &self.0 {
            wall_ms.fetch_add(span.as_millis() as u64, Ordering::Relaxed);
            monotonic_ns.fetch_add(span.as_nanos() as u64, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advancing_a_manual_clock_moves_wall_and_monotonic_time() {
        let clock = Clock::manual(UnixTime::from_secs(1_000));
        clock.advance(Duration::from_millis(2_500));
        let now = clock.now();
        assert_eq!((now.wall.as_millis(), now.monotonic_ns), (1_002_500, 2_500_000_000));
        assert_eq!(now.wall.to_string(), "1970-01-01T00:16:42.500Z");
    }
}
