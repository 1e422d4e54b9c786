//! How unusual a vendor's traffic is, by what was usual at this hour of the week.
//!
//! Each signal of each vendor has a [`Baseline`]. It is fed every ten seconds, learns at the end of each hour, and
//! gives a score: how many times the usual noise the traffic of the last minute, ten minutes or hour is above the
//! usual most. `benches/anomaly.rs` measures how fast thefts are found and how often quiet weeks alarm.
//!
//! Never looks at a value: it sees totals. Never decides: who feeds it does.

mod baseline;
mod row;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

pub use baseline::{Baseline, TICK};
pub use row::AnomalyRow;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{UnixTime, words};

words! {
    /// What is compared with the usual.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    pub enum AnomalySignal {
        /// Requests that ended.
        Requests = "requests",
        /// Records that left.
        Records = "records",
        /// Body bytes that left.
        Bytes = "bytes",
        /// Requests that were refused for the caller's own doing.
        Denials = "denials",
        /// Different persons whose records left, on routes with `subject:`.
        Subjects = "subjects",
        /// Routes that the vendor uses for the first time since it is known.
        NewRoutes = "new_routes",
    }
}

/// The signals that have a baseline; new routes are counted.
const MEASURED: usize = AnomalySignal::ALL.len() - 1;

/// The score of a route that is used for the first time: that of a clear anomaly.
const NEW_ROUTE_SCORE: f32 = 8.0;
/// How long the first use of a route is told.
const NEW_ROUTE_SPAN: Duration = Duration::from_secs(600);
/// How long a vendor must be known before a route is new.
const NEW_ROUTE_LEARNING: Duration = Duration::from_secs(7 * 86_400);

/// When a contract has the gateway kill on an anomaly: `trip.anomaly`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnomalyTrip {
    /// The signal.
    pub signal: AnomalySignal,
    /// The score that is too high.
    pub score: u32,
    /// How long it must be.
    pub hold: Duration,
}

/// What passed of a vendor since the last tick.
#[derive(Debug, Clone, Default)]
pub struct VendorTick {
    /// The count of each signal that has a baseline, in the order of [`AnomalySignal::ALL`].
    pub counts: [u64; MEASURED],
    /// Routes that were used.
    pub routes: Vec<String>,
    /// Whether the vendor is killed: then nothing is learned.
    pub killed: bool,
}

/// The score of one signal.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AnomalyScore {
    /// The signal.
    pub signal: AnomalySignal,
    /// 0 for usual; from 8 on, chance does not explain it.
    pub score: f32,
    /// What passed in the last minute.
    pub last_minute: u64,
    /// The most that usually passes in a minute at this hour of the week; absent in the first days with traffic, in
    /// which the score is 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usual: Option<u64>,
}

/// The signals of one vendor.
#[derive(Debug, Default)]
pub struct VendorAnomalies {
    baselines: [Option<Box<Baseline>>; MEASURED],
    routes: BTreeSet<String>,
    known_since: Option<UnixTime>,
    new_route_at: Option<UnixTime>,
    last_new_routes: u64,
    /// Since when the trip's score is reached.
    above_since: Option<UnixTime>,
}

impl VendorAnomalies {
    /// Forgets the last hour, so that a restore does not meet the reason of the kill again.
    pub fn forget_last_hour(&mut self) {
        self.baselines.iter_mut().flatten().for_each(|baseline| baseline.forget_last_hour());
        (self.new_route_at, self.above_since) = Default::default();
    }

    /// Adds what passed in the ten seconds that end now. True when an hour has ended, so that there is more to store.
    pub fn tick(&mut self, now: UnixTime, tick: &VendorTick) -> bool {
        let mut has_learned = false;
        for (baseline, count) in self.baselines.iter_mut().zip(tick.counts) {
            // A signal that never rises from zero, such as records on routes that count none, costs nothing.
            if count > 0 {
                baseline.get_or_insert_default();
            }
            has_learned |= baseline.as_mut().is_some_and(|baseline| baseline.tick(now, count as f32, tick.killed));
        }
        self.note_routes(now, &tick.routes) || has_learned
    }

    fn note_routes(&mut self, now: UnixTime, used: &[String]) -> bool {
        let known_since = *self.known_since.get_or_insert(now);
        let fresh = used.iter().filter(|route| self.routes.insert((*route).clone())).count() as u64;
        if fresh > 0 && now.since(known_since) >= NEW_ROUTE_LEARNING {
            (self.new_route_at, self.last_new_routes) = (Some(now), fresh);
        }
        fresh > 0
    }

    /// The scores of all signals that were ever seen.
    pub fn scores(&self, now: UnixTime) -> Vec<AnomalyScore> {
        let measured = AnomalySignal::ALL.into_iter().zip(&self.baselines);
        let measured = measured.filter_map(|(signal, baseline)| Some(baseline.as_ref()?.score(signal, now)));
        measured.chain([self.new_routes(now)]).collect()
    }

    fn new_routes(&self, now: UnixTime) -> AnomalyScore {
        let is_told = self.new_route_at.is_some_and(|at| now.since(at) < NEW_ROUTE_SPAN);
        let learned = self.known_since.is_some_and(|since| now.since(since) >= NEW_ROUTE_LEARNING);
        AnomalyScore {
            signal: AnomalySignal::NewRoutes,
            score: if is_told { NEW_ROUTE_SCORE } else { 0.0 },
            last_minute: if is_told { self.last_new_routes } else { 0 },
            usual: learned.then_some(0),
        }
    }

    /// The one of these scores that trips the vendor, once it has been reached for long enough.
    pub fn trips(&mut self, trip: &AnomalyTrip, scores: &[AnomalyScore], now: UnixTime) -> Option<AnomalyScore> {
        let found = scores.iter().copied().find(|found| found.signal == trip.signal);
        let Some(found) = found.filter(|found| f64::from(found.score) >= f64::from(trip.score)) else {
            self.above_since = None;
            return None;
        };
        let since = *self.above_since.get_or_insert(now);
        // The first reading stands for the ten seconds before it.
        (now.since(since) + TICK >= trip.hold).then_some(found)
    }
}
