//! By whom it left, as a report says it: each caller with its routes, and what left of each field.
//!
//! Bounded: the callers by whom most left are listed, all others are summed up. People and what was seen in clear are
//! counted by route, not by caller.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::callers::OTHER_CALLERS;
use super::report::{FieldExposure, FieldSums, RouteExposure, time};
use super::{CallerCount, ExposureBucket};
use crate::bounds::EXPOSURE_REPORT_CALLERS_MAX;

/// What left by one caller: a client of the vendor on ingress, a service of ours on egress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CallerExposure {
    /// `ingress` or `egress`.
    pub direction: String,
    /// The name that the caller proved; `_anonymous` for those who proved none, `_other` for those too many to tell
    /// apart.
    pub caller: String,
    /// Records that left.
    pub records: u64,
    /// Body bytes that left.
    pub bytes: u64,
    /// The first time that something left.
    pub first: String,
    /// The last time.
    pub last: String,
    /// Route by route, by name.
    pub routes: Vec<CallerRouteExposure>,
}

/// What left by one caller through one route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CallerRouteExposure {
    /// The route, as the contract writes it.
    pub route: String,
    /// Records that left.
    pub records: u64,
    /// Body bytes that left.
    pub bytes: u64,
    /// Treated fields, by name.
    pub treated: Vec<FieldExposure>,
}

/// What was added up by caller: by direction and name.
#[derive(Debug, Default)]
pub(super) struct CallerSums(BTreeMap<(String, String), CallerSum>);

#[derive(Debug)]
struct CallerSum {
    first_ms: u64,
    last_ms: u64,
    routes: BTreeMap<String, CallerRouteSum>,
}

#[derive(Debug, Default)]
struct CallerRouteSum {
    records: u64,
    bytes: u64,
    fields: FieldSums,
}

impl CallerSums {
    /// Adds the callers of a bucket, whose counts are its hour's or its whole day's.
    pub(super) fn add(&mut self, bucket: &ExposureBucket, is_within: bool) {
        let Some(left) = bucket.by_caller.as_ref().filter(|left| is_within || left.whole_day) else { return };
        for count in &left.callers {
            let name = (bucket.direction.clone(), count.caller.clone());
            self.0.entry(name).or_default().add(&bucket.route, count);
        }
    }

    /// Whether some of what left through these routes is under no caller.
    pub(super) fn miss_some_of(&self, routes: &[RouteExposure]) -> bool {
        routes.iter().any(|line| {
            let is_of = |((direction, _), _): &(&(String, String), &CallerSum)| *direction == line.direction;
            let sums = self.0.iter().filter(is_of).filter_map(|(_, caller)| caller.routes.get(&line.route));
            let (records, bytes) = sums.fold((0, 0), |sum, one| (sum.0 + one.records, sum.1 + one.bytes));
            records < line.records || bytes < line.bytes
        })
    }

    /// The callers by whom most left, and the sum of all others.
    pub(super) fn done(mut self) -> Vec<CallerExposure> {
        if self.0.len() > EXPOSURE_REPORT_CALLERS_MAX {
            let mut all: Vec<_> = std::mem::take(&mut self.0).into_iter().collect();
            all.sort_by_key(|(_, sum)| Reverse((sum.records(), sum.bytes())));
            let rest = all.split_off(EXPOSURE_REPORT_CALLERS_MAX);
            self.0.extend(all);
            for ((direction, _), sum) in rest {
                self.0.entry((direction, OTHER_CALLERS.to_owned())).or_default().join(sum);
            }
        }
        let mut lines: Vec<_> =
            self.0.into_iter().map(|((direction, caller), sum)| sum.line(direction, caller)).collect();
        lines.sort_by_key(|line| Reverse((line.records, line.bytes)));
        lines
    }
}

impl Default for CallerSum {
    fn default() -> Self {
        Self { first_ms: u64::MAX, last_ms: 0, routes: BTreeMap::new() }
    }
}

impl CallerSum {
    fn add(&mut self, route: &str, count: &CallerCount) {
        self.see(count.first_ms, count.last_ms);
        let sum = self.routes.entry(route.to_owned()).or_default();
        sum.records += count.records;
        sum.bytes += count.bytes;
        count.fields.iter().for_each(|line| sum.fields.add(line.clone()));
    }

    fn join(&mut self, other: Self) {
        self.see(other.first_ms, other.last_ms);
        for (route, more) in other.routes {
            let sum = self.routes.entry(route).or_default();
            sum.records += more.records;
            sum.bytes += more.bytes;
            sum.fields.join(more.fields);
        }
    }

    fn see(&mut self, first_ms: u64, last_ms: u64) {
        self.first_ms = self.first_ms.min(first_ms);
        self.last_ms = self.last_ms.max(last_ms);
    }

    fn records(&self) -> u64 {
        self.routes.values().map(|route| route.records).sum()
    }

    fn bytes(&self) -> u64 {
        self.routes.values().map(|route| route.bytes).sum()
    }

    fn line(self, direction: String, caller: String) -> CallerExposure {
        let (records, bytes) = (self.records(), self.bytes());
        let route = |(route, CallerRouteSum { records, bytes, fields }): (String, CallerRouteSum)| {
            CallerRouteExposure { route, records, bytes, treated: fields.done() }
        };
        CallerExposure {
            direction,
            caller,
            records,
            bytes,
            first: time(self.first_ms),
            last: time(self.last_ms),
            routes: self.routes.into_iter().map(route).collect(),
        }
    }
}
