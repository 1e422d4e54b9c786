//! How slowly the sender of a body may send: an idle deadline and a minimum rate.
//!
//! Only the time in which the gateway waits for the sender counts. While the reader does not read, the sender is not
//! asked for more and is not slow; the reader's own connection has a deadline for that.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Sleep;

use crate::model::{Clock, Moment};
use crate::upstream::{BodyLimits, MinRate};

/// Measures how fast the sender of one body sends.
#[derive(Debug)]
pub(super) struct BodyRateMonitor {
    /// The longest time without a byte.
    idle: Duration,
    /// `None` for an event stream and a WebSocket, which may be slow as long as they are not silent.
    min_rate: Option<MinRate>,
    /// When the gateway began to wait for the sender; `None` while it does not wait.
    since_ns: Option<u64>,
    /// How long the gateway has waited within the current span of the minimum rate.
    waited_ns: u64,
    /// The bytes that came within that span.
    bytes: u64,
    /// When bytes came from either side, where silence is that of both.
    shared: Option<SharedActivity>,
}

/// When bytes last passed through a tunnel, whichever way, in nanoseconds of the monotonic clock. A download is busy
/// while its caller has nothing to say.
#[derive(Debug, Clone)]
pub(super) struct SharedActivity(Arc<AtomicU64>);

impl SharedActivity {
    pub(super) fn begin(now: Moment) -> Self {
        Self(Arc::new(AtomicU64::new(now.monotonic_ns)))
    }
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

    /// For one side of a tunnel, where both together must not be silent for longer than `idle`.
    pub(super) fn idle_together(idle: Duration, shared: &SharedActivity) -> Self {
        Self { shared: Some(shared.clone()), ..Self::idle(idle) }
    }

    const fn of(idle: Duration, min_rate: Option<MinRate>) -> Self {
        Self { idle, min_rate, since_ns: None, waited_ns: 0, bytes: 0, shared: None }
    }

    /// Ready when the sender has been silent for too long. `timer` is that of this wait.
    pub(super) fn poll_silent(
        &self,
        timer: &mut Option<Pin<Box<Sleep>>>,
        clock: &Clock,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let sleep = |span| Box::pin(tokio::time::sleep(span));
        loop {
            ready!(timer.get_or_insert_with(|| sleep(self.idle)).as_mut().poll(cx));
            match self.left_together(clock) {
                Duration::ZERO => return Poll::Ready(()),
                left => *timer = Some(sleep(left)),
            }
        }
    }

    /// How long both sides may still be silent; zero where only one counts.
    fn left_together(&self, clock: &Clock) -> Duration {
        let Some(SharedActivity(last)) = &self.shared else { return Duration::ZERO };
        let silent = clock.now().monotonic_ns.saturating_sub(last.load(Ordering::Relaxed));
        self.idle.saturating_sub(Duration::from_nanos(silent))
    }

    /// The gateway waits for the sender from now on.
    pub(super) fn await_sender(&mut self, now: impl FnOnce() -> Moment) {
        if self.min_rate.is_some() && self.since_ns.is_none() {
            self.since_ns = Some(now().monotonic_ns);
        }
    }

    /// The sender has sent so many bytes. Returns whether that was fast enough.
    pub(super) fn received(&mut self, bytes: usize, now: Moment) -> bool {
        if let Some(SharedActivity(last)) = &self.shared {
            last.fetch_max(now.monotonic_ns, Ordering::Relaxed);
        }
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

    #[tokio::test]
    async fn a_side_that_only_listens_is_not_silent_while_the_other_speaks() {
        let clock = Clock::manual(UnixTime::from_secs(1_000));
        let shared = SharedActivity::begin(clock.now());
        let idle = Duration::from_millis(5);
        let (listens, mut speaks) =
            (BodyRateMonitor::idle_together(idle, &shared), BodyRateMonitor::idle_together(idle, &shared));
        let mut timer = None;
        for _ in 0..10 {
            clock.advance(idle);
            assert!(speaks.received(1, clock.now()));
            let silent = std::future::poll_fn(|cx| listens.poll_silent(&mut timer, &clock, cx));
            assert!(
                tokio::time::timeout(2 * idle, silent).await.is_err(),
                "the timer has fired and the tunnel is busy"
            );
        }
        clock.advance(idle);
        std::future::poll_fn(|cx| listens.poll_silent(&mut timer, &clock, cx)).await;
        let (alone, mut timer) = (BodyRateMonitor::idle(idle), None);
        std::future::poll_fn(|cx| alone.poll_silent(&mut timer, &clock, cx)).await;
    }
}
