//! Counts what leaves while it leaves, and folds the counts into buckets of an hour.
//!
//! A body adds to cells that its route has resolved beforehand: atomic additions, no lock, no look-up. A roll moves the
//! cells' counts into the open bucket of the hour in which they were last touched, so a count can fall one roll's
//! interval before or after the full hour. What was not rolled and stored is lost in a crash.
//!
//! Never grows with traffic: cells and open buckets are as many as routes and rules.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::bucket::hour_of;
use super::callers::{CallerCells, CallerTable};
use super::clear::{self, InClear};
use super::distinct::LiveSketch;
use super::{CallerCount, DistinctSketch, ExposureBucket};
use crate::bounds::{CLEAR_BODIES, CLEAR_EVERY};
use crate::model::{ClientId, Direction, Lock as _, Moment, SubjectHash, UnixTime, VendorId};
use crate::pii::{ClearList, ClearPathCounts, RuleName};

/// What left through this gateway since it started.
#[derive(Debug)]
pub struct ExposureCounters {
    run: UnixTime,
    table: Mutex<CounterTable>,
}

/// What can leave on one route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExposureProfile {
    /// The vendor that it leaves to.
    pub vendor: VendorId,
    /// Which way the route goes.
    pub direction: Direction,
    /// The route as the contract writes it.
    pub route: Arc<str>,
    /// The rules of the plan that treats what leaves, by whose numbers values are counted.
    pub rules: Vec<RuleName>,
    /// The fields that can leave in clear, where the contract lists the only ones; `None` is all that no rule names.
    pub clear: Option<Vec<Arc<str>>>,
    /// The fields that the contract lists as those that may leave in clear.
    pub listed: ClearList,
}

/// Where one route counts: cheap to clone, safe to share.
#[derive(Debug, Clone)]
pub struct RouteCounters(Arc<RouteCells>);

/// Where the bodies of one caller of one route count: cheap to clone, safe to share.
#[derive(Debug, Clone)]
pub struct CallerCounters {
    cells: Arc<RouteCells>,
    place: usize,
}

#[derive(Debug, Default)]
struct CounterTable {
    cells: Vec<Arc<RouteCells>>,
    open: HashMap<RouteKey, ExposureBucket>,
}

/// A route of a vendor, whatever its rules are at the time.
type RouteKey = (VendorId, Direction, Arc<str>);

#[derive(Debug)]
struct RouteCells {
    profile: ExposureProfile,
    /// What left, caller by caller: the route's own figures are their sums.
    callers: CallerTable,
    subjects: LiveSketch,
    /// Bodies since the last roll, and those of them that were looked at; and all bodies of the hour, which decide what
    /// is looked at.
    bodies: AtomicU64,
    looked_at: AtomicU64,
    turn: AtomicU64,
    in_clear: Mutex<ClearPathCounts>,
}

impl ExposureCounters {
    /// An empty ledger of a gateway that started at `run`.
    pub fn new(run: UnixTime) -> Self {
        Self { run, table: Mutex::default() }
    }

    /// Resolves a route; one whose profile is the same as before goes on where it was.
    pub fn handle(&self, profile: ExposureProfile) -> RouteCounters {
        let mut books = self.table.locked();
        if let Some(cells) = books.cells.iter().find(|cells| cells.profile == profile) {
            return RouteCounters(Arc::clone(cells));
        }
        let cells = Arc::new(RouteCells::new(profile));
        books.cells.push(Arc::clone(&cells));
        RouteCounters(cells)
    }

    /// Folds what was counted since the last roll, and answers with every bucket that changed, each as a whole: the
    /// store writes each over the one with the same [`ExposureBucket::key`]. Call it every few seconds, and once at the
    /// end.
    pub fn roll(&self, now: Moment) -> Vec<ExposureBucket> {
        let mut books = self.table.locked();
        let CounterTable { cells, open } = &mut *books;
        let rolled = cells.iter().filter_map(|cells| self.fold(cells, open)).collect();
        // Cells of a route that a reload removed live on until their last body has ended.
        cells.retain(|cells| Arc::strong_count(cells) > 1 || cells.is_touched());
        if open.len() > cells.len() {
            let is_open = |name: &RouteKey| cells.iter().any(|cells| cells.name() == *name);
            open.retain(|name, bucket| bucket.hour >= hour_of(now.wall) || is_open(name));
        }
        rolled
    }

    /// How many different subjects left to each vendor in this hour, added up over its routes; as of the last roll.
    pub fn subjects_of_this_hour(&self, now: UnixTime) -> HashMap<VendorId, u64> {
        let mut subjects = HashMap::new();
        let books = self.table.locked();
        for ((vendor, ..), bucket) in books.open.iter().filter(|(_, bucket)| bucket.hour == hour_of(now)) {
            if let Some(sketch) = bucket.subjects.sketch() {
                *subjects.entry(vendor.clone()).or_default() += sketch.estimate();
            }
        }
        subjects
    }

    fn fold(&self, cells: &RouteCells, open: &mut HashMap<RouteKey, ExposureBucket>) -> Option<ExposureBucket> {
        let left: Vec<_> = cells.callers.all().filter_map(|one| one.drain(&cells.profile.rules)).collect();
        let last_ms = left.iter().map(|one| one.last_ms).max()?;
        let hour = hour_of(UnixTime::from_millis(last_ms));
        let ExposureProfile { vendor, direction, route, .. } = &cells.profile;
        let fresh = || ExposureBucket::new(vendor.as_str(), *direction, route, hour, self.run.as_millis());
        let bucket = open.entry(cells.name()).or_insert_with(fresh);
        // Never go back an hour, even if the clock does: a stored hour would be overwritten with less.
        if hour > bucket.hour {
            *bucket = fresh();
            cells.turn.store(0, Ordering::Relaxed);
        }
        cells.drain_into(bucket, left);
        Some(bucket.clone())
    }
}

impl RouteCounters {
    /// Where the bodies count that leave by this caller.
    pub fn by(&self, caller: Option<&ClientId>) -> CallerCounters {
        CallerCounters { place: self.0.callers.place_of(caller), cells: Arc::clone(&self.0) }
    }
}

impl CallerCounters {
    /// Counts records and bytes that have left.
    pub fn add_left(&self, records: u64, bytes: u64, now: Moment) {
        let caller = self.caller();
        caller.records.fetch_add(records, Ordering::Relaxed);
        caller.bytes.fetch_add(bytes, Ordering::Relaxed);
        caller.touch(now.wall);
    }

    /// Counts values that a rule treated. Call [`CallerCounters::add_left`] after it.
    ///
    /// # Panics
    /// When the profile has no rule of this number: it must be that of the plan which counts.
    pub fn add_treated(&self, rule: usize, values: u64) {
        self.caller().values[rule].fetch_add(values, Ordering::Relaxed);
    }

    /// Whether the next body is looked at for what leaves in clear: the first [`CLEAR_BODIES`] of each hour are, and
    /// each [`CLEAR_EVERY`]th after them.
    pub fn samples_next_body(&self) -> bool {
        let turn = self.cells.turn.fetch_add(1, Ordering::Relaxed);
        turn < CLEAR_BODIES || turn.is_multiple_of(CLEAR_EVERY)
    }

    /// Counts a body that has left, and whether it was looked at. Call [`CallerCounters::add_left`] after it.
    pub fn add_body(&self, looked_at: bool) {
        self.cells.bodies.fetch_add(1, Ordering::Relaxed);
        self.cells.looked_at.fetch_add(u64::from(looked_at), Ordering::Relaxed);
    }

    /// Takes the paths of what has left in clear of a body that is looked at. Call [`CallerCounters::add_left`] after
    /// it.
    pub fn add_clear_paths(&self, paths: &mut ClearPathCounts) {
        self.cells.in_clear.locked().absorb(paths);
    }

    /// Counts the subject of a record. Call [`CallerCounters::add_left`] after it.
    pub fn add_subject(&self, subject: SubjectHash) {
        self.cells.subjects.add(subject);
    }

    fn caller(&self) -> &CallerCells {
        self.cells.callers.at(self.place)
    }
}

impl RouteCells {
    fn new(profile: ExposureProfile) -> Self {
        Self {
            callers: CallerTable::new(profile.rules.len()),
            profile,
            subjects: LiveSketch::default(),
            bodies: AtomicU64::new(0),
            looked_at: AtomicU64::new(0),
            turn: AtomicU64::new(0),
            in_clear: Mutex::new(clear::paths()),
        }
    }

    fn name(&self) -> RouteKey {
        (self.profile.vendor.clone(), self.profile.direction, Arc::clone(&self.profile.route))
    }

    fn is_touched(&self) -> bool {
        self.callers.all().any(CallerCells::is_touched)
    }

    fn drain_into(&self, bucket: &mut ExposureBucket, left: Vec<CallerCount>) {
        bucket.clear = self.profile.clear.as_ref().map(|fields| fields.iter().map(ToString::to_string).collect());
        for one in left {
            bucket.add_caller(one);
        }
        let drain = |cell: &AtomicU64| cell.swap(0, Ordering::AcqRel);
        let paths = std::mem::replace(&mut *self.in_clear.locked(), clear::paths());
        let in_clear = InClear::of(&paths, &self.profile.listed, drain(&self.bodies), drain(&self.looked_at));
        bucket.in_clear = InClear::joined(bucket.in_clear.take().into_iter().chain(in_clear));
        let mut seen = DistinctSketch::default();
        self.subjects.drain_into(&mut seen);
        if !seen.is_empty() {
            bucket.subjects.join(seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposure::ClearCount;
    use crate::model::{FieldPath, SubjectHash};
    use crate::pii::{Rules, TreatmentKind};

    const HOUR_MS: u64 = 3_600_000;

    fn at(ms: u64) -> Moment {
        Moment { wall: UnixTime::from_millis(ms), monotonic_ns: ms * 1_000_000 }
    }

    fn profile(rules: &[&str]) -> ExposureProfile {
        ExposureProfile {
            vendor: VendorId::parse("acme").unwrap(),
            direction: Direction::Ingress,
            route: "GET /v1/customers".into(),
            rules: rules
                .iter()
                .map(|field| RuleName { location: (*field).into(), treatment: TreatmentKind::Tokenize, category: None })
                .collect(),
            clear: None,
            listed: ClearList::of(&Rules { clear: vec![FieldPath::parse("$.id").unwrap()], ..Rules::default() }),
        }
    }

    fn body(handle: &RouteCounters, ms: u64) {
        let handle = handle.by(None);
        handle.add_treated(0, 3);
        handle.add_subject(SubjectHash::from_bits(ms << 52));
        handle.add_left(2, 100, at(ms));
    }

    /// What a store holds after the rolls were written into it.
    fn stored(store: &mut HashMap<String, ExposureBucket>, rolled: Vec<ExposureBucket>) -> Vec<(u64, u64, u64)> {
        store.extend(rolled.into_iter().map(|bucket| (bucket.key(), bucket)));
        let values = |bucket: &ExposureBucket| bucket.fields.iter().map(|line| line.values).sum();
        let mut hours: Vec<_> = store.values().map(|bucket| (bucket.hour, bucket.records, values(bucket))).collect();
        hours.sort_unstable();
        hours
    }

    #[test]
    fn rolls_add_up_by_the_hour_and_repeat_what_is_open() {
        let (ledger, mut store) = (ExposureCounters::new(UnixTime::from_millis(1)), HashMap::new());
        let handle = ledger.handle(profile(&["$.email"]));
        body(&handle, 10);
        body(&handle, 20);
        assert_eq!(stored(&mut store, ledger.roll(at(30))), [(0, 4, 6)]);
        assert_eq!(ledger.roll(at(40)), [], "nothing new, nothing to write");
        body(&handle, 50);
        let rolled = ledger.roll(at(60));
        assert_eq!((rolled[0].first_ms, rolled[0].last_ms, rolled[0].bytes), (10, 50, 300));
        assert_eq!(rolled[0].subjects.sketch().map(DistinctSketch::estimate), Some(3));
        assert_eq!(stored(&mut store, rolled), [(0, 6, 9)]);
        body(&handle, HOUR_MS);
        assert_eq!(stored(&mut store, ledger.roll(at(HOUR_MS + 1))), [(0, 6, 9), (1, 2, 3)]);
        body(&handle, 70);
        let back = stored(&mut store, ledger.roll(at(80)));
        assert_eq!(back, [(0, 6, 9), (1, 4, 6)], "a clock that goes back takes nothing away");
    }

    #[test]
    fn a_reload_loses_nothing_and_shares_what_did_not_change() {
        let (ledger, mut store) = (ExposureCounters::new(UnixTime::from_millis(1)), HashMap::new());
        let before = ledger.handle(profile(&["$.email"]));
        body(&before, 10);
        let (same, after) = (ledger.handle(profile(&["$.email"])), ledger.handle(profile(&["$.phone", "$.email"])));
        assert!(Arc::ptr_eq(&before.0, &same.0));
        body(&after, HOUR_MS + 20);
        drop(same);
        assert_eq!(stored(&mut store, ledger.roll(at(HOUR_MS + 30))), [(0, 2, 3), (1, 2, 3)]);
        body(&before, HOUR_MS + 35);
        drop(before);
        assert_eq!(stored(&mut store, ledger.roll(at(HOUR_MS + 40))), [(0, 2, 3), (1, 4, 6)]);
        assert_eq!(
            ledger.table.lock().unwrap().cells.len(),
            1,
            "cells go with their last handle, once they are rolled"
        );
        drop(after);
        assert_eq!(stored(&mut store, ledger.roll(at(3 * HOUR_MS))).len(), 2);
        assert!(ledger.table.lock().unwrap().open.is_empty());
    }

    #[test]
    fn the_first_bodies_of_an_hour_are_looked_at_and_then_some() {
        let ledger = ExposureCounters::new(UnixTime::from_millis(1));
        let handle = ledger.handle(profile(&[])).by(None);
        let hour = |bodies: u64, ms| {
            for _ in 0..bodies {
                let looked_at = handle.samples_next_body();
                if looked_at {
                    let mut seen = clear::paths();
                    ["$.id", "$.name"].iter().for_each(|path| seen.add(path, 1));
                    handle.add_clear_paths(&mut seen);
                    assert!(seen.is_empty());
                }
                handle.add_body(looked_at);
            }
            handle.add_left(bodies, bodies, at(ms));
            ledger.roll(at(ms)).remove(0).in_clear.unwrap_or_default()
        };
        let first = hour(CLEAR_BODIES, 10);
        assert_eq!((first.bodies, first.looked_at), (CLEAR_BODIES, CLEAR_BODIES));
        let whole = hour(3 * CLEAR_EVERY, 20);
        let looked_at = CLEAR_BODIES + 3;
        assert_eq!((whole.bodies, whole.looked_at), (CLEAR_BODIES + 3 * CLEAR_EVERY, looked_at));
        let line = |path: &str, listed| ClearCount { path: path.to_owned(), values: looked_at, listed };
        assert_eq!(whole.paths, [line("$.id", true), line("$.name", false)]);
        assert_eq!(hour(0, HOUR_MS).looked_at, 0, "the next hour's bucket has its own");
        assert_eq!(hour(7, HOUR_MS + 1).looked_at, 7);
    }

    #[test]
    fn threads_lose_no_count_between_rolls() {
        let (ledger, mut store) = (ExposureCounters::new(UnixTime::from_millis(1)), HashMap::new());
        let handle = ledger.handle(profile(&["$.email"]));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| (0..5_000).for_each(|_| body(&handle, 10)));
            }
            (0..200).for_each(|_| drop(stored(&mut store, ledger.roll(at(20)))));
        });
        assert_eq!(stored(&mut store, ledger.roll(at(30))), [(0, 30_000, 45_000)]);
    }
}
