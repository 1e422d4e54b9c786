//! How many requests may come: GCRA for a vendor, for each of its routes and for each of its clients, all at once.
//!
//! A request spends from all of its limits or from none, so a refused request costs nothing. The arrival times live
//! under one lock per vendor, held for some tens of nanoseconds, which makes 'all or none' exact across threads.
//!
//! Never forgets who owes, not over a restart either.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use super::clients::ClientDebts;
use super::gcra::{Gcra, RateCheck};
use super::{RequestRate, nanos};
use crate::model::{ClientId, Lock as _, Moment};

/// Whose rate it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RateLevel {
    /// All requests of the vendor.
    Vendor,
    /// Those on one route.
    Route,
    /// Those of one client.
    Client,
}

impl RateLevel {
    /// The name of its policy in the rate limit fields.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Vendor => "vendor",
            Self::Route => "route",
            Self::Client => "client",
        }
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
}

/// Where each rate of a request stands after a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateStatus {
    /// Whose rate.
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

/// A decision about one request, and what is needed to tell the caller where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateDecision {
    /// `None` where the request passes; else the scope that holds it back longest, and for how long.
    pub refused: Option<(RateLevel, Duration)>,
    debts: [Option<u64>; 3],
    route: usize,
}

/// What survives a restart: how long each rate stays in debt, in nanoseconds, without those that owe nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RateSnapshot {
    /// The vendor's.
    pub vendor_ns: u64,
    /// Each route's, in the order of the gate.
    pub routes_ns: Vec<u64>,
    /// Each client's that owes.
    pub clients_ns: Vec<(String, u64)>,
}

impl RequestLimiter {
    /// A gate with full bursts. `routes` are asked by their place in this list.
    pub fn new(vendor: RequestRate, routes: &[Option<RequestRate>], client: Option<RequestRate>) -> Self {
        Self {
            vendor: Gcra::new(vendor),
            routes: routes.iter().map(|rate| rate.map(Gcra::new)).collect(),
            client: client.map(Gcra::new),
            hasher: RandomState::new(),
            arrivals: Mutex::new(LevelArrivals { routes: vec![0; routes.len()], ..LevelArrivals::default() }),
        }
    }

    /// Decides about one request, and spends from every rate that it falls under, if none refuses.
    ///
    /// A place that is not in the list of routes falls under the vendor's and the client's rate alone.
    pub fn check(&self, route: usize, client: &ClientId, now: Moment) -> RateDecision {
        let key = self.client.as_ref().map(|_| self.hasher.hash_one(client.as_str()));
        let mut arrivals = self.lock();
        let route_gcra = self.routes.get(route).and_then(Option::as_ref);
        let owed_by_client = key.map(|key| arrivals.clients.arrival(key));
        let asked = [
            Some(self.vendor.ask(arrivals.vendor, now)),
            route_gcra.map(|gcra| gcra.ask(arrivals.routes[route], now)),
            self.client.as_ref().zip(owed_by_client).map(|(gcra, arrival)| gcra.ask(arrival, now)),
        ];
        let refused = longest_wait(&asked);
        if refused.is_none() {
            arrivals.spend(&asked, route, key.zip(Some(client)), now);
        }
        let stands = |ask: RateCheck| if refused.is_none() { ask.charged } else { ask.debt };
        RateDecision { refused, debts: asked.map(|ask| ask.map(stands)), route }
    }

    /// Where each rate stood right after the decision.
    pub fn statuses(&self, decision: &RateDecision) -> impl Iterator<Item = RateStatus> {
        let route = self.routes.get(decision.route).and_then(Option::as_ref);
        let rates = [
            (RateLevel::Vendor, Some(&self.vendor)),
            (RateLevel::Route, route),
            (RateLevel::Client, self.client.as_ref()),
        ];
        let debts = decision.debts;
        rates.into_iter().zip(debts).filter_map(|((scope, gcra), debt)| Some(gcra?.standing(scope, debt?)))
    }

    /// Part of the vendor's burst that is left, from 0 to 1.
    pub fn remaining_ratio(&self, now: Moment) -> f64 {
        let arrival = self.lock().vendor;
        self.vendor.remaining_ratio(arrival.saturating_sub(now.monotonic_ns))
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

    /// Takes up the debts of an earlier run, `away` later; never forgives what this gate already holds.
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

    /// Clients that are followed one by one at present; never more than [`crate::bounds::RATED_CLIENTS_MAX`].
    #[cfg(test)]
    pub fn clients(&self) -> usize {
        self.lock().clients.len()
    }

    fn lock(&self) -> MutexGuard<'_, LevelArrivals> {
        self.arrivals.locked()
    }
}

fn longest_wait(asked: &[Option<RateCheck>; 3]) -> Option<(RateLevel, Duration)> {
    let scopes = [RateLevel::Vendor, RateLevel::Route, RateLevel::Client].into_iter();
    scopes.zip(asked).filter_map(|(scope, ask)| Some((scope, ask.as_ref()?.wait?))).max_by_key(|(_, wait)| *wait)
}

/// When each rate is out of debt, on the monotonic clock.
#[derive(Debug, Default)]
struct LevelArrivals {
    vendor: u64,
    routes: Vec<u64>,
    clients: ClientDebts,
}

impl LevelArrivals {
    fn spend(&mut self, asked: &[Option<RateCheck>; 3], route: usize, client: Option<(u64, &ClientId)>, now: Moment) {
        let arrival = |ask: &Option<RateCheck>| ask.as_ref().map(|ask| now.monotonic_ns.saturating_add(ask.charged));
        let [vendor, of_route, of_client] = asked;
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

    fn passes(gate: &RequestLimiter, route: usize, client: &str, ns: u64) -> bool {
        gate.check(route, &ClientId::new(client), at(ns)).refused.is_none()
    }

    #[test]
    fn a_full_table_forgets_nobody_who_is_over() {
        let gate = RequestLimiter::new(rate(1_000_000, 1, 1_000_000), &[], Some(rate(1, 1_000, 1)));
        for i in 0..bounds::RATED_CLIENTS_MAX {
            assert!(passes(&gate, 0, &format!("client {i}"), 0));
        }
        assert!(passes(&gate, 0, "late", 1) && !passes(&gate, 0, "later", 2), "those without a place share one rate");
        assert!((0..100).all(|i| !passes(&gate, 0, &format!("client {i}"), 3)));
        assert_eq!(gate.clients(), bounds::RATED_CLIENTS_MAX);
        // All owe nothing a second later: the first newcomer makes room, and takes its own place.
        assert!(passes(&gate, 0, "late", 1_100_000_000));
        assert_eq!(gate.clients(), 1);
        assert!(!passes(&gate, 0, "late", 1_200_000_000) && passes(&gate, 0, "client 7", 1_200_000_000));
    }

    #[test]
    fn threads_together_never_pass_more_than_the_burst() {
        let gate = RequestLimiter::new(rate(1, 1_000_000, 500), &[Some(rate(1, 1_000_000, 300)), None], None);
        let passed: [usize; 2] = std::thread::scope(|scope| {
            let run = |route| {
                scope.spawn({
                    let gate = &gate;
                    move || (0..1_000).filter(|_| passes(gate, route, "a", 0)).count()
                })
            };
            let threads = [[run(0), run(0)], [run(1), run(1)]];
            threads.map(|pair| pair.into_iter().map(|thread| thread.join().unwrap()).sum())
        });
        assert_eq!(passed[0] + passed[1], 500);
        assert!(passed[0] <= 300);
    }

    #[test]
    fn absurd_rates_neither_panic_nor_open_up() {
        let cases = [(u32::MAX, 1, u32::MAX, 1_000), (1, u64::MAX / 2, u32::MAX, 2), (1, u64::MAX, 1, 1)];
        for (count, per, burst, expected) in cases {
            let gate = RequestLimiter::new(rate(count, per, burst), &[], None);
            assert_eq!((0..1_000).filter(|_| passes(&gate, 9, "a", 0)).count(), expected, "{count}/{per}");
        }
    }
}
