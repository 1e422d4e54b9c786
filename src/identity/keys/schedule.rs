//! When the keys are refreshed because a request asked for it. Refreshes are numbered, so that a request can tell one
//! that began after it begun_before from one that began before; and how many are allowed depends on time alone, so that
//! no flood of requests can make the gateway flood an issuer.
//!
//! Pure: time is an argument, and the caller does the fetching.

use std::time::Duration;

/// How often requests may make the gateway ask an issuer: `at_once` times, then once in each span.
#[derive(Debug)]
pub(crate) struct FetchQuota {
    span_ns: u64,
    /// How far `full_ns` may lie ahead of now while another question is allowed.
    lead_ns: u64,
    /// When the whole quota is available again.
    full_ns: u64,
}

impl FetchQuota {
    pub(crate) const fn new(span: Duration, at_once: u32) -> Self {
        let span_ns = span.as_nanos() as u64;
        Self { span_ns, lead_ns: span_ns.saturating_mul(at_once.saturating_sub(1) as u64), full_ns: 0 }
    }

    /// From when on the next question is allowed.
    fn next(&self, now_ns: u64) -> u64 {
        now_ns.max(self.full_ns.saturating_sub(self.lead_ns))
    }

    /// Reserves the next question; returns from when on it is allowed.
    fn take(&mut self, now_ns: u64) -> u64 {
        let at = self.next(now_ns);
        self.full_ns = at.max(self.full_ns).saturating_add(self.span_ns);
        at
    }

    /// Takes a question if one is allowed now.
    pub(crate) fn take_now(&mut self, now_ns: u64) -> bool {
        let free = self.next(now_ns) == now_ns;
        if free {
            self.take(now_ns);
        }
        free
    }
}

/// The refreshes of one issuer's keys, one at a time.
#[derive(Debug)]
pub(crate) struct RefreshSchedule {
    begun: u64,
    ended: u64,
    /// When the next refresh is due because a request asked for it.
    due_ns: Option<u64>,
    allowance: FetchQuota,
}

impl RefreshSchedule {
    /// The first refresh is due from the start.
    pub(crate) const fn new(allowance: FetchQuota) -> Self {
        Self { begun: 0, ended: 0, due_ns: Some(0), allowance }
    }

    /// A refresh begins; it serves all requests that asked before now.
    pub(crate) const fn begin(&mut self) {
        self.begun += 1;
        self.due_ns = None;
    }

    /// The refresh under way has ended; returns its number.
    pub(crate) const fn end(&mut self) -> u64 {
        self.ended = self.begun;
        self.ended
    }

    /// Whether a refresh is under way.
    pub(crate) const fn is_under_way(&self) -> bool {
        self.ended < self.begun
    }

    /// How many refreshes have begun.
    pub(crate) const fn begun(&self) -> u64 {
        self.begun
    }

    /// Whether the next refresh can begin before `patience` is over. If not, it is asked for all the same, for the
    /// requests that come when it is due.
    pub(crate) fn can_begin(&mut self, now_ns: u64, patience: Duration) -> bool {
        let due_ns = self.due_ns.unwrap_or_else(|| self.allowance.next(now_ns));
        let soon = u128::from(due_ns.saturating_sub(now_ns)) < patience.as_nanos();
        if !soon {
            self.ask(now_ns);
        }
        soon
    }

    /// Asks for a refresh that begins from now on, unless one was asked for already.
    fn ask(&mut self, now_ns: u64) {
        self.due_ns.get_or_insert_with(|| self.allowance.take(now_ns));
    }

    /// The number of a refresh that is worth waiting for by a request that begun_before when `begun_before` refreshes
    /// had begun: the one under way, or one that is asked for. `None` where a refresh that began since has ended, or
    /// none can begin before `patience` is over.
    pub(crate) fn next_for(&mut self, begun_before: u64, now_ns: u64, patience: Duration) -> Option<u64> {
        if self.ended > begun_before {
            return None;
        }
        self.is_under_way().then_some(self.begun).or_else(|| {
            let soon = self.can_begin(now_ns, patience);
            soon.then(|| self.ask(now_ns));
            soon.then_some(self.begun + 1)
        })
    }

    /// Whether a refresh was asked for that has not begun.
    pub(crate) const fn is_due(&self) -> bool {
        self.due_ns.is_some()
    }

    /// In how long the refresh that was asked for is due.
    pub(crate) fn due_in(&self, now_ns: u64) -> Option<Duration> {
        self.due_ns.map(|due_ns| Duration::from_nanos(due_ns.saturating_sub(now_ns)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_nanos(10);

    #[test]
    fn a_few_questions_are_allowed_at_once_and_then_one_in_each_span() {
        let mut allowance = FetchQuota::new(Duration::from_nanos(30), 4);
        let taken: Vec<u64> = (0..6).map(|_| allowance.take(1000)).collect();
        assert_eq!(taken, [1000, 1000, 1000, 1000, 1030, 1060]);
        assert!(!allowance.take_now(1089) && allowance.take_now(1090) && !allowance.take_now(1090));
        assert_eq!((0..5).filter(|_| allowance.take_now(9000)).count(), 4, "never more than that at once");
        let mut free = FetchQuota::new(Duration::ZERO, 1);
        assert!((0..100).all(|_| free.take_now(5)), "no span, no bound");
    }

    #[test]
    fn a_request_waits_for_a_refresh_that_began_after_it_came() {
        let mut schedule = RefreshSchedule::new(FetchQuota::new(Duration::from_nanos(30), 2));
        assert_eq!((schedule.next_for(0, 0, PATIENCE), schedule.due_in(0)), (Some(1), Some(Duration::ZERO)));
        schedule.begin();
        assert_eq!((schedule.is_under_way(), schedule.due_in(0)), (true, None));
        let begun_before = schedule.begun();
        assert_eq!(schedule.next_for(begun_before, 5, PATIENCE), Some(1), "it may bring the key");
        assert_eq!((schedule.end(), schedule.due_in(5)), (1, None), "and no other is asked for if it does");
        assert_eq!(schedule.next_for(begun_before, 6, PATIENCE), Some(2));
        assert_eq!(
            schedule.next_for(begun_before, 7, PATIENCE),
            Some(2),
            "one fetch serves everyone who came before it began"
        );
        schedule.begin();
        assert_eq!((schedule.end(), schedule.next_for(begun_before, 8, PATIENCE)), (2, None));
    }

    #[test]
    fn a_refresh_asked_for_within_the_cool_down_begins_at_its_end_however_many_ask() {
        let mut schedule = RefreshSchedule::new(FetchQuota::new(Duration::from_nanos(30), 1));
        schedule.begin();
        schedule.end();
        assert!(
            schedule.can_begin(100, PATIENCE) && schedule.due_in(100).is_none(),
            "asking whether it could begin asks for none"
        );
        assert_eq!(schedule.next_for(1, 100, PATIENCE), Some(2));
        schedule.begin();
        schedule.end();
        assert!(
            (101..=120).all(|now| !schedule.can_begin(now, PATIENCE) && schedule.next_for(2, now, PATIENCE).is_none())
        );
        assert_eq!(schedule.due_in(120), Some(Duration::from_nanos(10)), "not put off by later requests");
        assert_eq!(schedule.next_for(2, 121, PATIENCE), Some(3), "near enough to wait for");
        assert_eq!(schedule.due_in(200), Some(Duration::ZERO));
    }
}
