//! When a key source is looked at for strangers: numbered, so that a request can tell a look that began after it came
//! from one that did not, and allowed by time alone, so that no flood makes us one.
//!
//! Pure: time is an argument, and whoever holds it looks.

use std::time::Duration;

/// How often strangers may make us ask an issuer: so many times at once, then once in each span.
#[derive(Debug)]
pub(crate) struct FetchQuota {
    span_ns: u64,
    /// How far `full_ns` may lie ahead while a place is free.
    lead_ns: u64,
    /// When all places would be free again.
    full_ns: u64,
}

impl FetchQuota {
    pub(crate) const fn new(span: Duration, at_once: u32) -> Self {
        let span_ns = span.as_nanos() as u64;
        Self { span_ns, lead_ns: span_ns.saturating_mul(at_once.saturating_sub(1) as u64), full_ns: 0 }
    }

    /// From when on the next place is free.
    fn next(&self, now_ns: u64) -> u64 {
        now_ns.max(self.full_ns.saturating_sub(self.lead_ns))
    }

    /// Takes the next place; says from when on it is free.
    fn take(&mut self, now_ns: u64) -> u64 {
        let at = self.next(now_ns);
        self.full_ns = at.max(self.full_ns).saturating_add(self.span_ns);
        at
    }

    /// Takes a place that is free at once, if there is one.
    pub(crate) fn take_now(&mut self, now_ns: u64) -> bool {
        let free = self.next(now_ns) == now_ns;
        if free {
            self.take(now_ns);
        }
        free
    }
}

/// The looks at one key source, one at a time.
#[derive(Debug)]
pub(crate) struct RefreshSchedule {
    begun: u64,
    ended: u64,
    /// When the look after those begun is due because somebody asked for it.
    due_ns: Option<u64>,
    allowance: FetchQuota,
}

impl RefreshSchedule {
    /// The first look is asked for from the start.
    pub(crate) const fn new(allowance: FetchQuota) -> Self {
        Self { begun: 0, ended: 0, due_ns: Some(0), allowance }
    }

    /// A look begins; it serves whoever asked before now.
    pub(crate) const fn begin(&mut self) {
        self.begun += 1;
        self.due_ns = None;
    }

    /// The look under way has ended; says its number.
    pub(crate) const fn end(&mut self) -> u64 {
        self.ended = self.begun;
        self.ended
    }

    /// Whether one is under way.
    pub(crate) const fn is_under_way(&self) -> bool {
        self.ended < self.begun
    }

    /// How many have begun.
    pub(crate) const fn begun(&self) -> u64 {
        self.begun
    }

    /// Whether a look that begins from now on can begin before `patience` is over. If not it is asked for all the same,
    /// for whoever comes when it is due.
    pub(crate) fn can_begin(&mut self, now_ns: u64, patience: Duration) -> bool {
        let due_ns = self.due_ns.unwrap_or_else(|| self.allowance.next(now_ns));
        let soon = u128::from(due_ns.saturating_sub(now_ns)) < patience.as_nanos();
        if !soon {
            self.ask(now_ns);
        }
        soon
    }

    /// Asks for a look that begins from now on: the one that was asked for already, or one of our own.
    fn ask(&mut self, now_ns: u64) {
        self.due_ns.get_or_insert_with(|| self.allowance.take(now_ns));
    }

    /// The number of a look that tells more than was known when `came` looks had begun: the one under way, or one that
    /// is asked for; none where one that began since has ended, or none can begin before `patience` is over.
    pub(crate) fn next_for(&mut self, came: u64, now_ns: u64, patience: Duration) -> Option<u64> {
        if self.ended > came {
            return None;
        }
        self.is_under_way().then_some(self.begun).or_else(|| {
            let soon = self.can_begin(now_ns, patience);
            soon.then(|| self.ask(now_ns));
            soon.then_some(self.begun + 1)
        })
    }

    /// Whether one was asked for that has not begun.
    pub(crate) const fn is_due(&self) -> bool {
        self.due_ns.is_some()
    }

    /// In how long the look that was asked for is due.
    pub(crate) fn due_in(&self, now_ns: u64) -> Option<Duration> {
        self.due_ns.map(|due_ns| Duration::from_nanos(due_ns.saturating_sub(now_ns)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_nanos(10);

    #[test]
    fn a_few_at_once_then_one_in_each_span() {
        let mut allowance = FetchQuota::new(Duration::from_nanos(30), 4);
        let taken: Vec<u64> = (0..6).map(|_| allowance.take(1000)).collect();
        assert_eq!(taken, [1000, 1000, 1000, 1000, 1030, 1060]);
        assert!(!allowance.take_now(1089) && allowance.take_now(1090) && !allowance.take_now(1090));
        assert_eq!((0..5).filter(|_| allowance.take_now(9000)).count(), 4, "never more than that at once");
        let mut free = FetchQuota::new(Duration::ZERO, 1);
        assert!((0..100).all(|_| free.take_now(5)), "no span, no bound");
    }

    #[test]
    fn a_look_that_began_before_somebody_came_is_not_the_last_word() {
        let mut looks = RefreshSchedule::new(FetchQuota::new(Duration::from_nanos(30), 2));
        assert_eq!((looks.next_for(0, 0, PATIENCE), looks.due_in(0)), (Some(1), Some(Duration::ZERO)));
        looks.begin();
        assert_eq!((looks.is_under_way(), looks.due_in(0)), (true, None));
        let came = looks.begun();
        assert_eq!(looks.next_for(came, 5, PATIENCE), Some(1), "it may bring what is sought");
        assert_eq!((looks.end(), looks.due_in(5)), (1, None), "and costs nothing more if it does");
        assert_eq!(looks.next_for(came, 6, PATIENCE), Some(2));
        assert_eq!(looks.next_for(came, 7, PATIENCE), Some(2), "one look serves all who came before it");
        looks.begin();
        assert_eq!((looks.end(), looks.next_for(came, 8, PATIENCE)), (2, None));
    }

    #[test]
    fn what_is_asked_for_within_the_cool_down_comes_at_its_end_whoever_else_asks() {
        let mut looks = RefreshSchedule::new(FetchQuota::new(Duration::from_nanos(30), 1));
        looks.begin();
        looks.end();
        assert!(looks.can_begin(100, PATIENCE) && looks.due_in(100).is_none(), "to be able is not to ask");
        assert_eq!(looks.next_for(1, 100, PATIENCE), Some(2));
        looks.begin();
        looks.end();
        assert!((101..=120).all(|now| !looks.can_begin(now, PATIENCE) && looks.next_for(2, now, PATIENCE).is_none()));
        assert_eq!(looks.due_in(120), Some(Duration::from_nanos(10)), "put off by nobody");
        assert_eq!(looks.next_for(2, 121, PATIENCE), Some(3), "near enough to wait for");
        assert_eq!(looks.due_in(200), Some(Duration::ZERO));
    }
}
