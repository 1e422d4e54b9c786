//! What was seen to leave of a route in clear, as the store keeps it: paths and counts, never a value.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bounds::{CLEAR_NAMES_MAX, CLEAR_PLACES_MAX, CLEAR_TRIAL_NAMES_MAX, CLEAR_TRIAL_PLACES_MAX};
use crate::model::is_default;
use crate::pii::{ClearList, ClearPathCounts};

/// What was seen to leave in clear.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ClearExposure")]
pub struct InClear {
    /// Bodies that left.
    pub bodies: u64,
    /// How many of them were looked at; the counts are of these.
    pub looked_at: u64,
    /// Path by path.
    pub paths: Vec<ClearCount>,
    /// Values of further paths, of which there were too many to tell apart.
    #[serde(default)]
    #[schemars(!default)]
    pub others: u64,
    /// Whether these are of the whole day, all its hours and runs joined.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schemars(skip)]
    pub whole_day: bool,
}

/// Values that left in clear at one path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PathExposure")]
pub struct ClearCount {
    /// The path, `[*]` for all places in a list and `.*` for all names of a map.
    pub path: String,
    /// How many values.
    pub values: u64,
    /// Whether the contract lists it under `clear`.
    pub listed: bool,
}

/// Adds up what was seen, within wide bounds or those of one hour.
#[derive(Debug)]
pub(super) struct ClearSum {
    sum: InClear,
    paths: ClearPathCounts,
    listed: BTreeMap<String, bool>,
}

/// No paths yet, within the bounds of one hour.
pub(super) fn paths() -> ClearPathCounts {
    ClearPathCounts::new(CLEAR_NAMES_MAX, CLEAR_PLACES_MAX)
}

impl InClear {
    /// These paths, with those marked that are listed; `None` where no body left.
    pub(super) fn of(all: &ClearPathCounts, listed: &ClearList, bodies: u64, looked_at: u64) -> Option<Self> {
        let count = |(path, values): (String, u64)| {
            let listed = listed.allows(&path);
            ClearCount { path, values, listed }
        };
        let paths: Vec<_> = all.list().into_iter().map(count).collect();
        let others = all.others();
        let any = bodies > 0 || !paths.is_empty();
        any.then_some(Self { bodies, looked_at, paths, others, whole_day: false })
    }

    /// Several as one, within the bounds of one hour; `None` of none.
    pub(super) fn joined(all: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut all = all.into_iter();
        let first = all.next()?;
        let Some(second) = all.next() else { return Some(first) };
        let mut sum = ClearSum::new(paths());
        [first, second].iter().for_each(|one| sum.add(one));
        all.for_each(|one| sum.add(&one));
        Some(sum.done())
    }
}

/// Within bounds for a report of all hours.
impl Default for ClearSum {
    fn default() -> Self {
        Self::new(ClearPathCounts::new(CLEAR_TRIAL_NAMES_MAX, CLEAR_TRIAL_PLACES_MAX))
    }
}

impl ClearSum {
    fn new(paths: ClearPathCounts) -> Self {
        Self { sum: InClear::default(), paths, listed: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, one: &InClear) {
        self.sum.bodies += one.bodies;
        self.sum.looked_at += one.looked_at;
        self.paths.add_others(one.others);
        for ClearCount { path, values, listed } in &one.paths {
            self.paths.add(path, *values);
            match self.listed.get_mut(path) {
                Some(all) => *all &= listed,
                None => {
                    self.listed.insert(path.clone(), *listed);
                }
            }
        }
    }

    pub(super) fn done(self) -> InClear {
        let others = self.paths.others();
        let count = |(path, values): (String, u64)| {
            // A path that only the sum has, because it merged many names into one, is not listed.
            let listed = self.listed.get(&path).copied().unwrap_or_default();
            ClearCount { path, values, listed }
        };
        let paths = self.paths.list().into_iter().map(count).collect();
        InClear { paths, others, ..self.sum }
    }
}
