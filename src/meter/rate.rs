//! Limits how many requests may come: one GCRA for a vendor, one for each of its routes and one for each of its
//! clients.
//!
//! A request is charged to all rates that it counts against or to none, so a refused request is free. The arrival times
//! (when each rate is out of debt) are under one lock per vendor, held for some tens of nanoseconds, which makes 'all
//! or none' exact across threads.
//!
//! A debt is never forgotten, not over a restart either.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use super::clients::ClientDebts;
use super::gcra::{Gcra, RateCheck};
use super::lease::{LimitShare, WHOLE};
use super::{RequestRate, nanos};
use crate::model::{ClientId, Lock as _, Moment, words};

words! {
    /// What a rate is counted for.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    pub enum RateLevel {
        /// All requests of the vendor.
        Vendor = "vendor",
        /// Requests on one route.
        Route = "route",
        /// Requests of one client.
        Client = "client",
    }
}

/// All request rates of one vendor.
#[derive(Debug)]
pub struct RequestLimiter {
    vendor: Gcra,
    routes: Box<[Option<Gcra>]>,
    client: Option<Gcra>,
    hasher: RandomState,
    arrivals: Mutex<LevelArrivals>,
    /// The part of the rates that this gateway has, where a fleet shares them.
    share: OnceLock<Arc<LimitShare>>,
}

/// The state of one rate right after a decision, for the rate limit fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateStatus {
    /// What the rate is counted for.
    pub level: RateLevel,
    /// Requests that the policy grants in `window_secs`: the draft's `q`.
    pub quota: u64,
    /// The draft's `w`.
    pub window_secs: u64,
    /// Requests that would pass now: the draft's `r`.
    pub remaining: u64,
    /// Whole seconds until the quota is whole again: the draft's `t`.
    pub reset_secs: u64,
}

/// A decision about one request, with the debts from which [`RequestLimiter::statuses`] makes the rate limit fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateDecision {
    /// `None` where the request passes; else the rate with the longest wait, and that wait.
    pub refused: Option<(RateLevel, Duration)>,
    debts: [Option<u64>; 3],
    route: usize,
}

/// What survives a restart: how long each rate stays in debt, in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RateSnapshot {
    /// The vendor's.
    pub vendor_ns: u64,
    /// Each route's, in the order of the limiter.
    pub routes_ns: Vec<u64>,
    /// Each client's that is in debt.
    pub clients_ns: Vec<(String, u64)>,
}

impl RequestLimiter {
    /// A limiter without debts. A route is named by its index in `routes`.
    pub fn new(vendor: RequestRate, routes: &[Option<RequestRate>], client: Option<RequestRate>) -> Self {
        Self {
            vendor: Gcra::new(vendor),
            routes: routes.iter().map(|rate| rate.map(Gcra::new)).collect(),
            client: client.map(Gcra::new),
            hasher: RandomState::new(),
            arrivals: Mutex::new(LevelArrivals::new(routes.len())),
            share: OnceLock::new(),
        }
    }

    /// Decides about one request, and charges every rate that it counts against, if none refuses.
    ///
    /// An index beyond the list of routes counts against the vendor's and the client's rate alone.
    pub fn check(&self, route: usize, client: &ClientId, now: Moment) -> RateDecision {
        self.share.get().into_iter().for_each(|share| share.offer());
        let key = self.client.as_ref().map(|_| self.hasher.hash_one(client.as_str()));
        let mut arrivals = self.lock();
        let scale = self.scale(&mut arrivals, now);
        let route_gcra = self.routes.get(route).copied().flatten();
        let client_arrival = key.map(|key| arrivals.clients.arrival(key));
        let checks = [
            Some(self.vendor.scaled(scale).check(arrivals.vendor, now)),
            route_gcra.map(|gcra| gcra.scaled(scale).check(arrivals.routes[route], now)),
            self.client.as_ref().zip(client_arrival).map(|(gcra, arrival)| gcra.scaled(scale).check(arrival, now)),
        ];
        let refused = longest_wait(&checks);
        if refused.is_none() {
            arrivals.charge(&checks, route, key.zip(Some(client)), now);
        }
        let debt = |check: RateCheck| if refused.is_none() { check.charged } else { check.debt };
        RateDecision { refused, debts: checks.map(|check| check.map(debt)), route }
    }

    /// The state of each rate right after the decision.
    pub fn statuses(&self, decision: &RateDecision) -> impl Iterator<Item = RateStatus> {
        let route = self.routes.get(decision.route).and_then(Option::as_ref);
        let rates = [
            (RateLevel::Vendor, Some(&self.vendor)),
            (RateLevel::Route, route),
            (RateLevel::Client, self.client.as_ref()),
        ];
        let (debts, scale) = (decision.debts, self.share.get().map_or(WHOLE, |share| share.millionths()));
        let status = move |((level, gcra), debt): ((_, Option<&Gcra>), Option<u64>)| {
            Some(gcra?.scaled(scale).status(level, debt?))
        };
        rates.into_iter().zip(debts).filter_map(status)
    }

    /// Part of the vendor's burst that is left, from 0 to 1.
    pub fn remaining_ratio(&self, now: Moment) -> f64 {
        let mut arrivals = self.lock();
        let scale = self.scale(&mut arrivals, now);
        self.vendor.scaled(scale).remaining_ratio(arrivals.vendor.saturating_sub(now.monotonic_ns))
    }

    /// Shares the rates with a fleet.
    pub(super) fn join_fleet(&self, share: &Arc<LimitShare>) {
        let _ = self.share.set(Arc::clone(share));
    }

    /// The part of the rates that this gateway has. Where it has changed, what was left of each burst stays: a share
    /// that grows brings no burst with it, since another gateway may have spent that.
    fn scale(&self, arrivals: &mut LevelArrivals, now: Moment) -> u32 {
        let Some(share) = self.share.get() else { return WHOLE };
        let (before, after) = (arrivals.scale, share.millionths());
        if before != after {
            let rescale = |gcra: &Gcra, arrival: &mut u64| {
                let debt = arrival.saturating_sub(now.monotonic_ns);
                *arrival = now.monotonic_ns.saturating_add(gcra.scaled(after).rescaled(debt, &gcra.scaled(before)));
            };
            rescale(&self.vendor, &mut arrivals.vendor);
            let routes = self.routes.iter().zip(&mut arrivals.routes);
            routes.for_each(|(gcra, arrival)| gcra.iter().for_each(|gcra| rescale(gcra, arrival)));
            arrivals.scale = after;
        }
        after
    }

    /// What must be kept for [`RequestLimiter::restore`].
    pub fn snapshot(&self, now: Moment) -> RateSnapshot {
        let arrivals = self.lock();
        let owed = |arrival: &u64| arrival.saturating_sub(now.monotonic_ns);
        let client = |(client, arrival): (&ClientId, u64)| (client.as_str().to_owned(), owed(&arrival));
        RateSnapshot {
            vendor_ns: owed(&arrivals.vendor),
            routes_ns: arrivals.routes.iter().map(owed).collect(),
            clients_ns: arrivals.clients.iter().map(client).filter(|(_, owed)| *owed > 0).collect(),
        }
    }

    /// Restores the debts of an earlier run, `away` later; never lowers a debt that this limiter has already.
    pub fn restore(&self, snapshot: &RateSnapshot, away: Duration, now: Moment) {
        let arrival = |owed: u64| now.monotonic_ns.saturating_add(owed.saturating_sub(nanos(away)));
        let mut arrivals = self.lock();
        arrivals.vendor = arrivals.vendor.max(arrival(snapshot.vendor_ns));
        for (mine, owed) in arrivals.routes.iter_mut().zip(&snapshot.routes_ns) {
            *mine = (*mine).max(arrival(*owed));
        }
        for (name, owed) in &snapshot.clients_ns {
            let client = ClientId::new(name);
            arrivals.clients.put(self.hasher.hash_one(name.as_str()), &client, arrival(*owed), now);
        }
    }

    /// Clients with a rate of their own at present; never more than [`crate::bounds::RATED_CLIENTS_MAX`].
    #[cfg(test)]
    pub fn clients(&self) -> usize {
        self.lock().clients.len()
    }

    fn lock(&self) -> MutexGuard<'_, LevelArrivals> {
        self.arrivals.locked()
    }
}

fn longest_wait(checks: &[Option<RateCheck>; 3]) -> Option<(RateLevel, Duration)> {
    let levels = [RateLevel::Vendor, RateLevel::Route, RateLevel::Client].into_iter();
    levels.zip(checks).filter_map(|(level, check)| Some((level, check.as_ref()?.wait?))).max_by_key(|(_, wait)| *wait)
}

/// When each rate is out of debt, on the monotonic clock.
#[derive(Debug)]
struct LevelArrivals {
    /// The part of the rates for which these are meant, in millionths.
    scale: u32,
    vendor: u64,
    routes: Vec<u64>,
    clients: ClientDebts,
}

impl LevelArrivals {
    fn new(routes: usize) -> Self {
        Self { scale: WHOLE, vendor: 0, routes: vec![0; routes], clients: ClientDebts::default() }
    }

    fn charge(&mut self, checks: &[Option<RateCheck>; 3], route: usize, client: Option<(u64, &ClientId)>, now: Moment) {
        let arrival =
            |check: &Option<RateCheck>| check.as_ref().map(|check| now.monotonic_ns.saturating_add(check.charged));
        let [vendor, of_route, of_client] = checks;
        self.vendor = arrival(vendor).unwrap_or(self.vendor);
        if let (Some(place), Some(arrival)) = (self.routes.get_mut(route), arrival(of_route)) {
            *place = arrival;
        }
        if let (Some((key, client)), Some(arrival)) = (client, arrival(of_client)) {
            self.clients.put(key, client, arrival, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::bounds;
    use crate::model::UnixTime;

    fn rate(count: u32, per_ms: u64, burst: u32) -> RequestRate {
        let count = NonZeroU32::new(count).unwrap();
        RequestRate { count, per: Duration::from_millis(per_ms), burst: NonZeroU32::new(burst).unwrap() }
    }

    fn at(ns: u64) -> Moment {
        Moment { wall: UnixTime::from_millis(ns / 1_000_000), monotonic_ns: ns }
    }

    fn passes(limiter: &RequestLimiter, route: usize, client: &str, ns: u64) -> bool {
        limiter.check(route, &ClientId::new(client), at(ns)).refused.is_none()
    }

    #[test]
    fn a_full_table_drops_no_client_in_debt() {
        let limiter = RequestLimiter::new(rate(1_000_000, 1, 1_000_000), &[], Some(rate(1, 1_000, 1)));
        for i in 0..bounds::RATED_CLIENTS_MAX {
            assert!(passes(&limiter, 0, &format!("client {i}"), 0));
        }
        assert!(
            passes(&limiter, 0, "late", 1) && !passes(&limiter, 0, "later", 2),
            "clients without a place share one rate"
        );
        assert!((0..100).all(|i| !passes(&limiter, 0, &format!("client {i}"), 3)));
        assert_eq!(limiter.clients(), bounds::RATED_CLIENTS_MAX);
        // A second later no client is in debt: the first new one makes room, and gets a place of its own.
        assert!(passes(&limiter, 0, "late", 1_100_000_000));
        assert_eq!(limiter.clients(), 1);
        assert!(!passes(&limiter, 0, "late", 1_200_000_000) && passes(&limiter, 0, "client 7", 1_200_000_000));
    }

    #[test]
    fn threads_together_never_pass_more_than_the_burst() {
        let limiter = RequestLimiter::new(rate(1, 1_000_000, 500), &[Some(rate(1, 1_000_000, 300)), None], None);
        let passed: [usize; 2] = std::thread::scope(|scope| {
            let run = |route| {
                scope.spawn({
                    let limiter = &limiter;
                    move || (0..1_000).filter(|_| passes(limiter, route, "a", 0)).count()
                })
            };
            let threads = [[run(0), run(0)], [run(1), run(1)]];
            threads.map(|pair| pair.into_iter().map(|thread| thread.join().unwrap()).sum())
        });
        assert_eq!(passed[0] + passed[1], 500);
        assert!(passed[0] <= 300);
    }

    #[test]
    fn extreme_rates_neither_panic_nor_let_everything_pass() {
        let cases = [(u32::MAX, 1, u32::MAX, 1_000), (1, u64::MAX / 2, u32::MAX, 2), (1, u64::MAX, 1, 1)];
        for (count, per, burst, expected) in cases {
            let limiter = RequestLimiter::new(rate(count, per, burst), &[], None);
            assert_eq!((0..1_000).filter(|_| passes(&limiter, 9, "a", 0)).count(), expected, "{count}/{per}");
        }
    }
}
