//! A vendor's two ledgers: one for the vendor's calls to us, and one for our calls to the vendor.
//!
//! Each direction has a budget of its own, so that a vendor that calls too often never stops our own calls to it. Where
//! the contract says `shared: true`, both directions spend from one ledger.
//!
//! Never refills a budget when the contract changes from one form to the other: what was used counts in both directions
//! then.

use std::sync::Arc;

use super::{LeaseBook, LedgerSnapshot, RemainingLimits, RouteLimits, UsageLedger, VendorLimits};
use crate::model::{Direction, Moment, SubjectKey, VendorId};

/// The ledgers of one vendor, by direction.
#[derive(Debug, Clone)]
pub struct VendorLedgers {
    ingress: Arc<UsageLedger>,
    egress: Arc<UsageLedger>,
}

impl VendorLedgers {
    /// Ledgers of which nothing is used. `key` hashes the subjects of this vendor.
    pub fn new(limits: &VendorLimits, routes: &[RouteLimits], key: &SubjectKey) -> Self {
        let ledger = |direction| {
            Arc::new(UsageLedger::new(limits.of(direction), &routes_of(limits, routes, direction), key.clone()))
        };
        Self::made(limits, ledger)
    }

    /// The ledgers after a reload. Call it when the reload is certain: budgets change at once, also for who is in
    /// flight.
    #[must_use]
    pub fn renew(&self, limits: &VendorLimits, routes: &[RouteLimits], key: &SubjectKey, now: Moment) -> Self {
        let (was_shared, is_shared) = (self.is_shared(), limits.shared);
        let ledger = |direction| {
            let (limit, routes) = (limits.of(direction), routes_of(limits, routes, direction));
            if was_shared && !is_shared && direction == Direction::Egress {
                // The old ledger becomes the ingress one; what it has used counts here as well.
                let ledger = UsageLedger::new(limit, &routes, key.clone());
                ledger.restore(&self.of(direction).snapshot(now), now);
                return Arc::new(ledger);
            }
            let ledger = self.of(direction).renew(limit, &routes, key.clone(), now);
            if is_shared && !was_shared {
                ledger.restore(&self.of(Direction::Egress).snapshot(now), now);
            }
            Arc::new(ledger)
        };
        Self::made(limits, ledger)
    }

    fn made(limits: &VendorLimits, ledger: impl Fn(Direction) -> Arc<UsageLedger>) -> Self {
        let ingress = ledger(Direction::Ingress);
        let egress = if limits.shared { Arc::clone(&ingress) } else { ledger(Direction::Egress) };
        Self { ingress, egress }
    }

    /// The ledger of one direction.
    pub const fn of(&self, direction: Direction) -> &Arc<UsageLedger> {
        match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        }
    }

    /// Shares the limits with a fleet, in which this vendor has the same name on all gateways.
    pub fn join_fleet(&self, book: &Arc<LeaseBook>, vendor: &VendorId, now: Moment) {
        if self.is_shared() {
            return self.ingress.join_fleet(book, &format!("{vendor}:shared"), now);
        }
        for direction in Direction::ALL {
            self.of(direction).join_fleet(book, &format!("{vendor}:{}", direction.as_str()), now);
        }
    }

    /// Whether both directions spend from one ledger.
    pub fn is_shared(&self) -> bool {
        Arc::ptr_eq(&self.ingress, &self.egress)
    }

    /// The direction whose traffic an overrun in `direction` is about: both (`None`) where they share one ledger.
    pub fn affected_direction(&self, direction: Direction) -> Option<Direction> {
        if self.is_shared() { None } else { Some(direction) }
    }

    /// What is left of each limit: the lesser of the two directions.
    pub fn remaining(&self, now: Moment) -> RemainingLimits {
        let (mut left, egress) = (self.ingress.remaining(now), self.egress.remaining(now));
        left.requests = left.requests.min(egress.requests);
        left.concurrency = left.concurrency.min(egress.concurrency);
        left.records = left.records.min(egress.records);
        left.bytes = left.bytes.min(egress.bytes);
        left.subjects = match (left.subjects, egress.subjects) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (one, other) => one.or(other),
        };
        left
    }

    /// What must be kept for [`VendorLedgers::restore`]: the ledger of each direction, or the shared one as ingress
    /// alone.
    pub fn snapshots(&self, now: Moment) -> impl Iterator<Item = (Direction, LedgerSnapshot)> {
        let egress = (!self.is_shared()).then(|| self.egress.snapshot(now));
        let ingress = (Direction::Ingress, self.ingress.snapshot(now));
        [Some(ingress), egress.map(|kept| (Direction::Egress, kept))].into_iter().flatten()
    }

    /// Takes up what an earlier run had used. A snapshot of one ledger alone was shared, so it counts in both
    /// directions.
    pub fn restore(&self, ingress: Option<&LedgerSnapshot>, egress: Option<&LedgerSnapshot>, now: Moment) {
        if let Some(kept) = ingress {
            self.ingress.restore(kept, now);
        }
        if let Some(kept) = egress.or(ingress.filter(|_| !self.is_shared())) {
            self.egress.restore(kept, now);
        }
    }
}

/// The routes that spend from the ledger of a direction.
fn routes_of(limits: &VendorLimits, routes: &[RouteLimits], direction: Direction) -> Vec<RouteLimits> {
    routes.iter().filter(|route| limits.shared || route.direction == direction).cloned().collect()
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU32, NonZeroU64};
    use std::time::Duration;

    use super::*;
    use crate::meter::{Budget, Limits, OverrunAction};
    use crate::model::{ClientId, Reason, Secret, UnixTime};

    const NOW: Moment = Moment { wall: UnixTime::from_millis(1_000_000), monotonic_ns: 1_000_000_000 };
    const ROUTES: [(Direction, &str); 2] = [(Direction::Ingress, "GET /a"), (Direction::Egress, "POST /b")];

    fn limits(shared: bool) -> VendorLimits {
        let budget = Budget {
            budget: NonZeroU64::new(1_000).unwrap(),
            window: Duration::from_secs(60),
            over: OverrunAction::Refuse,
        };
        let limits = Limits { bytes: Some(budget), concurrency: NonZeroU32::new(2), ..Limits::default() };
        VendorLimits { ingress: limits.clone(), egress: limits, shared }
    }

    fn routes() -> Vec<RouteLimits> {
        let route = |(direction, route): (Direction, &str)| RouteLimits {
            direction,
            route: route.into(),
            limits: Limits::default(),
        };
        ROUTES.map(route).into()
    }

    fn key() -> SubjectKey {
        SubjectKey::new(Secret::new([1; 32]))
    }

    fn ledgers(shared: bool) -> VendorLedgers {
        VendorLedgers::new(&limits(shared), &routes(), &key())
    }

    fn spend(ledgers: &VendorLedgers, direction: Direction, bytes: usize) -> bool {
        let ledger = ledgers.of(direction);
        let (direction, route) = ROUTES[direction.index()];
        let mut meter = ledger.byte_meter(ledger.place(direction, route).expect("a route"));
        let passes = meter.pass(bytes, NOW).is_ok();
        meter.settle();
        passes
    }

    #[test]
    fn a_direction_that_has_spent_its_budget_never_stops_the_other() {
        use Direction::{Egress, Ingress};
        for (noisy, quiet) in [(Ingress, Egress), (Egress, Ingress)] {
            let ledgers = ledgers(false);
            assert!(spend(&ledgers, noisy, 1_000) && !spend(&ledgers, noisy, 1));
            assert!(spend(&ledgers, quiet, 1_000), "{quiet:?} has its own budget");
            let admit = |direction| {
                let client = ClientId::new("c");
                ledgers.of(direction).admit(0, &client, false, NOW).map_err(|no| no.denial.reason)
            };
            let ledgers = self::ledgers(false);
            let admit_noisy = |_| ledgers.of(noisy).admit(0, &ClientId::new("c"), false, NOW);
            let held: Vec<_> = (0..2).map(admit_noisy).collect();
            assert!(held.iter().all(Result::is_ok));
            assert_eq!(admit_noisy(3).map(drop).map_err(|no| no.denial.reason), Err(Reason::ConcurrencyExceeded));
            assert!(ledgers.of(quiet).admit(0, &ClientId::new("c"), false, NOW).is_ok());
            assert!(admit(quiet).is_err(), "the other pair of ledgers has spent its bytes");
        }
    }

    #[test]
    fn a_shared_ledger_has_one_budget_for_both_directions() {
        let ledgers = ledgers(true);
        assert!(spend(&ledgers, Direction::Ingress, 600) && spend(&ledgers, Direction::Egress, 400));
        assert!(!spend(&ledgers, Direction::Ingress, 1) && !spend(&ledgers, Direction::Egress, 1));
        assert_eq!(ledgers.affected_direction(Direction::Ingress), None);
    }

    #[test]
    fn what_was_used_counts_after_a_reload_or_restart_into_any_form() {
        for (before, after) in [(false, false), (false, true), (true, false), (true, true)] {
            for restarted in [false, true] {
                let old = ledgers(before);
                assert!(spend(&old, Direction::Ingress, 600));
                let new = if restarted {
                    let new = ledgers(after);
                    let kept: Vec<_> = old.snapshots(NOW).collect();
                    let of = |wanted| kept.iter().find(|(direction, _)| *direction == wanted).map(|(_, kept)| kept);
                    new.restore(of(Direction::Ingress), of(Direction::Egress), NOW);
                    new
                } else {
                    old.renew(&limits(after), &routes(), &key(), NOW)
                };
                let case = format!("shared {before} to {after}, restarted {restarted}");
                assert!(!spend(&new, Direction::Ingress, 401), "{case}");
                assert!(spend(&new, Direction::Ingress, 400), "{case}");
                let apart = !before && !after;
                assert_eq!(spend(&new, Direction::Egress, 1_000), apart, "{case}");
                assert_eq!(new.is_shared(), after);
            }
        }
    }
}
