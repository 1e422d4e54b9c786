//! All limits of one vendor in one direction, and what is used of them. Requests, bodies and reloads use this type
//! alone.
//!
//! The vendor's budgets are shared by all routes; a route can have narrower ones of its own.
//! A reload makes a new ledger from the old one and keeps what is used.
//!
//! Never gives a budget back because the config was read again, or the gateway started again.

use std::sync::Arc;
use std::time::Duration;

use super::budget_pair::{self, BudgetPair, BudgetWindow};
use super::lease::LeaseBook;
use super::overrun::{Measure, Overrun};
use super::rate::{RateDecision, RateLevel, RequestLimiter};
use super::records::SubjectGuard;
use super::subjects::SubjectCounter;
use super::{Budget, ByteMeter, ConcurrencySlot, ConcurrencySlots, Limits, RecordMeter, RouteLimits};
use crate::model::{ClientId, Denial, Direction, Moment, Reason, SubjectKey};

/// The limits of one vendor and their usage. A route is named by its index in the list that made the ledger.
#[derive(Debug)]
pub struct UsageLedger {
    pub(super) limits: Limits,
    pub(super) rates: Arc<RequestLimiter>,
    slots: Arc<ConcurrencySlots>,
    pub(super) records: BudgetWindow,
    pub(super) bytes: BudgetWindow,
    pub(super) subjects: Option<Arc<SubjectCounter>>,
    key: SubjectKey,
    pub(super) routes: Box<[RouteUsage]>,
}

/// One route's own limits.
#[derive(Debug)]
pub(super) struct RouteUsage {
    pub(super) settings: RouteLimits,
    slots: Option<Arc<ConcurrencySlots>>,
    pub(super) records: Option<BudgetWindow>,
    pub(super) bytes: Option<BudgetWindow>,
}

/// The slots of an admitted request. Keep it with the body until its last byte.
#[derive(Debug)]
pub struct MeterPermit {
    /// The state of the request rates right after this request.
    pub decision: RateDecision,
    _slots: (ConcurrencySlot, Option<ConcurrencySlot>),
}

/// Why a request was not admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitExceeded {
    /// The reason, and when to try again where waiting helps.
    pub denial: Denial,
    /// The state of the request rates, where one of them refused; nothing was spent.
    pub decision: Option<Box<RateDecision>>,
    /// The budget that refused, where it was one: the attempt too has the consequence that the contract asks for.
    pub overrun: Option<Box<Overrun>>,
}

/// Part of each limit that is left, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RemainingLimits {
    /// The burst of requests.
    pub requests: f64,
    /// Requests in flight.
    pub concurrency: f64,
    /// The share of the records budget that is left, from 0 to 1.
    pub records: f64,
    /// The share of the bytes budget that is left, from 0 to 1.
    pub bytes: f64,
    /// Different subjects, where they are limited.
    pub subjects: Option<f64>,
}

impl UsageLedger {
    /// A ledger of which nothing is used. `key` hashes the subjects of this vendor.
    pub fn new(limits: &Limits, routes: &[RouteLimits], key: SubjectKey) -> Self {
        Self {
            limits: limits.clone(),
            rates: Arc::new(rates(limits, routes)),
            slots: ConcurrencySlots::new(limits.concurrency_or_default()),
            records: BudgetWindow::new(limits.records_or_default()),
            bytes: BudgetWindow::new(limits.bytes_or_default()),
            subjects: limits.subjects.map(|budget| Arc::new(SubjectCounter::new(budget))),
            key,
            routes: routes.iter().map(RouteUsage::new).collect(),
        }
    }

    /// The ledger after a reload. Call it when the reload is certain: budgets change at once, also for who is in
    /// flight. What is used is kept; for routes, where direction and text are the same.
    #[must_use]
    pub fn renew(&self, limits: &Limits, routes: &[RouteLimits], key: SubjectKey, now: Moment) -> Self {
        self.slots.set_limit(limits.concurrency_or_default());
        let renew = |route: &RouteLimits| match self.place(route.direction, &route.route) {
            Some(place) => self.routes[place].renew(route, now),
            None => RouteUsage::new(route),
        };
        Self {
            limits: limits.clone(),
            rates: self.renew_rates(limits, routes, now),
            slots: Arc::clone(&self.slots),
            records: self.records.renew(limits.records_or_default(), now),
            bytes: self.bytes.renew(limits.bytes_or_default(), now),
            subjects: limits.subjects.map(|budget| renew_subjects(self.subjects.as_ref(), budget, now)),
            key,
            routes: routes.iter().map(renew).collect(),
        }
    }

    /// Shares the limits with a fleet. `scope` names this ledger, the same on all gateways. Call it again after a
    /// reload: only what is new joins.
    pub(super) fn join_fleet(&self, book: &Arc<LeaseBook>, scope: &str, now: Moment) {
        let join = |metered: &BudgetWindow, name: &str| {
            metered.window.join_fleet(|terms| book.pool(&format!("{scope}:{name}"), terms), now);
        };
        let share = book.share(scope);
        self.rates.join_fleet(&share);
        self.slots.join_fleet(&share);
        self.routes.iter().filter_map(|route| route.slots.as_ref()).for_each(|slots| slots.join_fleet(&share));
        join(&self.records, "records");
        join(&self.bytes, "bytes");
        for route in &self.routes {
            let own =
                |measure: &str| format!("{measure}:{}:{}", route.settings.direction.as_str(), route.settings.route);
            route.records.iter().for_each(|metered| join(metered, &own("records")));
            route.bytes.iter().for_each(|metered| join(metered, &own("bytes")));
        }
    }

    /// The index of a route.
    pub fn place(&self, direction: Direction, route: &str) -> Option<usize> {
        self.routes.iter().position(|r| r.settings.direction == direction && &*r.settings.route == route)
    }

    /// Admits a request, or says why not. A refused request is not charged: budgets are only asked, slots are returned,
    /// and the rates, which come last, charge all or none. `counts_records` tells whether bodies of this route are
    /// metered by records: other routes are open while the record budget is spent.
    ///
    /// # Errors
    /// [`LimitExceeded`] with the first limit that is spent.
    pub fn admit(
        &self,
        route: usize,
        client: &ClientId,
        counts_records: bool,
        now: Moment,
    ) -> Result<MeterPermit, LimitExceeded> {
        self.ask(route, counts_records, now).map_err(|overrun| LimitExceeded {
            overrun: Some(Box::new(overrun)),
            ..LimitExceeded::from(overrun.denial())
        })?;
        let slots = self.take_slots(route)?;
        let decision = self.rates.check(route, client, now);
        let Some((scope, wait)) = decision.refused else { return Ok(MeterPermit { decision, _slots: slots }) };
        let denial = Denial::new(Reason::RateLimited, rate_detail(scope)).retry_after(wait);
        Err(LimitExceeded { decision: Some(Box::new(decision)), ..LimitExceeded::from(denial) })
    }

    /// Whether every budget that a body on this route falls under has room for one more.
    ///
    /// # Errors
    /// The first [`Overrun`].
    pub fn ask(&self, route: usize, counts_records: bool, now: Moment) -> Result<(), Overrun> {
        budget_pair::ask(Measure::Bytes, &self.bytes, self.of_route(route, |r| r.bytes.as_ref()), now)?;
        if !counts_records {
            return Ok(());
        }
        budget_pair::ask(Measure::Records, &self.records, self.of_route(route, |r| r.records.as_ref()), now)?;
        let Some(subjects) = &self.subjects else { return Ok(()) };
        subjects.ask(now).map_err(|spent| Overrun::new(Measure::Subjects, false, subjects.over(), spent))
    }

    /// A meter for the records of one body, in either direction. `rules` is the number of its treatment rules.
    pub fn record_meter(&self, route: usize, rules: usize, now: Moment) -> RecordMeter {
        let guard = SubjectGuard { key: self.key.clone(), subjects: self.subjects.clone() };
        let of_route = self.of_route(route, |r| r.records.as_ref()).cloned();
        let gauge = BudgetPair { measure: Measure::Records, vendor: self.records.clone(), route: of_route };
        RecordMeter::new(gauge, Some(guard), rules, now)
    }

    /// A meter for the bytes of one body, in either direction.
    pub fn byte_meter(&self, route: usize) -> ByteMeter {
        let of_route = self.of_route(route, |r| r.bytes.as_ref()).cloned();
        ByteMeter::new(BudgetPair { measure: Measure::Bytes, vendor: self.bytes.clone(), route: of_route })
    }

    /// The vendor's rates, for the rate limit fields.
    pub fn rates(&self) -> &RequestLimiter {
        &self.rates
    }

    /// Requests in flight.
    #[cfg(test)]
    pub fn in_flight(&self) -> u32 {
        self.slots.taken()
    }

    /// What is left of the vendor's limits, for the metrics.
    pub fn remaining(&self, now: Moment) -> RemainingLimits {
        RemainingLimits {
            requests: self.rates.remaining_ratio(now),
            concurrency: self.slots.remaining_ratio(),
            records: self.records.window.remaining_ratio(now),
            bytes: self.bytes.window.remaining_ratio(now),
            subjects: self.subjects.as_ref().map(|subjects| subjects.remaining_ratio(now)),
        }
    }

    fn take_slots(&self, route: usize) -> Result<(ConcurrencySlot, Option<ConcurrencySlot>), Denial> {
        let full = |detail: &'static str| move || Denial::new(Reason::ConcurrencyExceeded, detail);
        let vendor = self.slots.take().ok_or_else(full("the vendor's requests in flight are at their limit"))?;
        let slots = self.of_route(route, |r| r.slots.as_ref());
        let full = full("the route's requests in flight are at their limit");
        let route = slots.map(|slots| slots.take().ok_or_else(full)).transpose()?;
        Ok((vendor, route))
    }

    fn of_route<T>(&self, route: usize, limit: impl FnOnce(&RouteUsage) -> Option<&T>) -> Option<&T> {
        self.routes.get(route).and_then(limit)
    }

    fn renew_rates(&self, limits: &Limits, routes: &[RouteLimits], now: Moment) -> Arc<RequestLimiter> {
        let name = |r: &RouteLimits| (r.direction, Arc::clone(&r.route), r.limits.requests);
        let unchanged = limits.requests == self.limits.requests
            && limits.client_requests == self.limits.client_requests
            && routes.iter().map(name).eq(self.routes.iter().map(|r| name(&r.settings)));
        if unchanged {
            return Arc::clone(&self.rates);
        }
        let mut kept = self.rates.snapshot(now);
        let owed = |r: &RouteLimits| self.place(r.direction, &r.route).map_or(0, |place| kept.routes_ns[place]);
        kept.routes_ns = routes.iter().map(owed).collect();
        let renewed = rates(limits, routes);
        renewed.restore(&kept, Duration::ZERO, now);
        Arc::new(renewed)
    }
}

impl From<Denial> for LimitExceeded {
    fn from(denial: Denial) -> Self {
        Self { denial, decision: None, overrun: None }
    }
}

impl RouteUsage {
    fn new(settings: &RouteLimits) -> Self {
        Self {
            settings: settings.clone(),
            slots: settings.limits.concurrency.map(ConcurrencySlots::new),
            records: settings.limits.records.map(BudgetWindow::new),
            bytes: settings.limits.bytes.map(BudgetWindow::new),
        }
    }

    fn renew(&self, settings: &RouteLimits, now: Moment) -> Self {
        let slots = settings.limits.concurrency.map(|limit| match &self.slots {
            Some(slots) => {
                slots.set_limit(limit);
                Arc::clone(slots)
            }
            None => ConcurrencySlots::new(limit),
        });
        Self {
            settings: settings.clone(),
            slots,
            records: renew_budget(self.records.as_ref(), settings.limits.records, now),
            bytes: renew_budget(self.bytes.as_ref(), settings.limits.bytes, now),
        }
    }
}

fn renew_budget(old: Option<&BudgetWindow>, budget: Option<Budget>, now: Moment) -> Option<BudgetWindow> {
    budget.map(|budget| old.map_or_else(|| BudgetWindow::new(budget), |old| old.renew(budget, now)))
}

fn renew_subjects(old: Option<&Arc<SubjectCounter>>, budget: Budget, now: Moment) -> Arc<SubjectCounter> {
    match old {
        Some(old) if old.settings() == budget => Arc::clone(old),
        Some(old) => {
            let renewed = SubjectCounter::new(budget);
            renewed.restore(&old.snapshot(now), now);
            Arc::new(renewed)
        }
        None => Arc::new(SubjectCounter::new(budget)),
    }
}

fn rates(limits: &Limits, routes: &[RouteLimits]) -> RequestLimiter {
    let of_routes: Vec<_> = routes.iter().map(|route| route.limits.requests).collect();
    RequestLimiter::new(limits.requests_or_default(), &of_routes, limits.client_requests)
}

const fn rate_detail(scope: RateLevel) -> &'static str {
    match scope {
        RateLevel::Vendor => "the vendor's request rate is exceeded",
        RateLevel::Route => "the route's request rate is exceeded",
        RateLevel::Client => "the client's request rate is exceeded",
    }
}
