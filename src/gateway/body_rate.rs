//! How slowly the sender of a body may send: an idle deadline and a minimum rate.
//!
//! Only the time in which the gateway waits for the sender counts. While the reader does not read, the sender is not
//! asked for more and is not slow; the reader's own connection has a deadline for that.

use std::time::Duration;

use crate::model::Moment;
use crate::upstream::{BodyLimits, MinRate};

/// Measures how fast the sender of one body sends.
#[derive(Debug)]
pub(super) struct BodyRateMonitor {
    /// The longest time without a byte.
    pub(super) idle: Duration,
    /// `None` for an event stream and a WebSocket, which may be slow as long as they are not silent.
    min_rate: Option<MinRate>,
    /// When the gateway began to wait for the sender; `None` while it does not wait.
    since_ns: Option<u64>,
    /// How long the gateway has waited within the current span of the minimum rate.
    waited_ns: u64,
    /// The bytes that came within that span.
    bytes: u64,
}

impl BodyRateMonitor {
    /// For a body with these limits.
    pub(super) const fn new(limits: BodyLimits) -> Self {
        Self::of(limits.idle, Some(limits.min_rate))
    }

    /// For a body that only must not be silent for longer than `idle`.
    pub(super) const fn idle(idle: Duration) -> Self {
        Self::of(idle, None)
    }

    const fn of(idle: Duration, min_rate: Option<MinRate>) -> Self {
        Self { idle, min_rate, since_ns: None, waited_ns: 0, bytes: 0 }
    }

    /// The gateway waits for the sender from now on.
    pub(super) fn await_sender(&mut self, now: impl FnOnce() -> Moment) {
        if self.min_rate.is_some() && self.since_ns.is_none() {
            self.since_ns = Some(now().monotonic_ns);
        }
    }

    /// The sender has sent so many bytes. Returns whether that was fast enough.
    pub(super) fn received(&mut self, bytes: usize, now: Moment) -> bool {
        let Some(min_rate) = self.min_rate else { return true };
        self.bytes += bytes as u64;
        let Some(since) = self.since_ns.take() else { return true };
        self.waited_ns += now.monotonic_ns.saturating_sub(since);
        if u128::from(self.waited_ns) < min_rate.per.as_nanos() {
            return true;
        }
        let is_enough = self.bytes >= min_rate.bytes;
        (self.waited_ns, self.bytes) = (0, 0);
        is_enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::UnixTime;

    fn at(ms: u64) -> Moment {
        Moment { wall: UnixTime::from_millis(ms), monotonic_ns: ms * 1_000_000 }
    }

    /// Whether a body passes that gives `bytes` after each wait of `wait_ms`, with `rest_ms` of its reader between.
    fn passes(bytes: usize, wait_ms: u64, rest_ms: u64) -> bool {
        let least = MinRate { bytes: 100, per: Duration::from_secs(60) };
        let mut patience = BodyRateMonitor::new(BodyLimits { idle: Duration::from_secs(60), min_rate: least });
        let mut now = 0;
        (0..1_000).all(|_| {
            now += rest_ms;
            patience.await_sender(|| at(now));
            now += wait_ms;
            patience.received(bytes, at(now))
        })
    }

    #[test]
    fn a_slow_sender_is_told_from_a_slow_network_and_from_a_slow_reader() {
        assert!(!passes(1, 1_000, 0), "a byte a second");
        assert!(passes(2, 1_000, 0));
        assert!(passes(100, 59_000, 0), "in bursts");
        assert!(!passes(49, 59_999, 0));
        assert!(passes(1, 100, 60_000), "the reader rests, not the sender");
        let mut silent = BodyRateMonitor::idle(Duration::from_secs(60));
        silent.await_sender(|| at(0));
        assert!(silent.received(0, at(1 << 40)), "an event stream");
    }
}
