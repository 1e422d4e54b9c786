//! The counters of one route: exchanges by status, records, treated values, bodies of an unexpected shape, unmatched
//! rules.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use super::cells::ShardedCells;
use super::families::{self, ScrapePage};
use crate::bounds::ROUTE_STATUSES_MAX;
use crate::model::{Lock as _, TreatmentKind, debug_fields};

/// Statuses that have a counter of their own in every route: the gateway's, and those that are common in APIs.
const KNOWN: [u16; 15] = [200, 201, 204, 304, 400, 401, 403, 404, 413, 415, 429, 500, 502, 503, 504];
const RECORDS: usize = TreatmentKind::ALL.len();
const SHAPE_UNEXPECTED: usize = RECORDS + 1;
const FALLBACKS: usize = SHAPE_UNEXPECTED + 1;
const OTHER: usize = FALLBACKS + 1;
const STATUSES: usize = OTHER + 1;
/// Marks a status that came when all counters were taken.
const NO_PLACE: u8 = u8::MAX;
const PLACES: usize = KNOWN.len() + ROUTE_STATUSES_MAX;

/// The counters of one route.
///
/// An upstream chooses its statuses, so the number of counters is bounded: the common statuses, [`ROUTE_STATUSES_MAX`]
/// more, and `other`.
pub struct RouteMetrics {
    cells: ShardedCells,
    /// By status less 100: 0 for a status not seen yet, [`NO_PLACE`], else its place plus 1.
    places: Box<[AtomicU8; 500]>,
    /// The status at each place, in the order of arrival.
    taken: Mutex<Vec<u16>>,
    /// Rules that have never matched, as last set.
    unmatched: AtomicU64,
}

impl Default for RouteMetrics {
    fn default() -> Self {
        let metrics = Self {
            cells: ShardedCells::new(STATUSES + PLACES),
            places: Box::new([const { AtomicU8::new(0) }; 500]),
            taken: Mutex::default(),
            unmatched: AtomicU64::new(0),
        };
        for status in KNOWN {
            metrics.place(status);
        }
        metrics
    }
}

impl RouteMetrics {
    /// Counts an exchange by the status that its caller was sent.
    #[inline]
    pub fn request(&self, status: u16) {
        self.cells.of_this_thread().add(self.slot(status), 1);
    }

    /// Counts records that left.
    #[inline]
    pub fn records(&self, records: u64) {
        self.cells.of_this_thread().add(RECORDS, records);
    }

    /// Counts a body that was not of the shape that the contract's records describe.
    pub fn shape_unexpected(&self) {
        self.cells.of_this_thread().add(SHAPE_UNEXPECTED, 1);
    }

    /// Counts a request that was answered by the route's fallback.
    pub fn fallback(&self) {
        self.cells.of_this_thread().add(FALLBACKS, 1);
    }

    /// Sets how many of the route's rules have never matched.
    pub fn unmatched_rules(&self, rules: u64) {
        self.unmatched.store(rules, Ordering::Relaxed);
    }

    /// Counts values that were treated.
    #[inline]
    pub fn pii_values(&self, treated: TreatmentKind, values: u64) {
        self.cells.of_this_thread().add(treated as usize, values);
    }

    /// Records that left.
    pub fn records_sum(&self) -> u64 {
        self.cells.sum(RECORDS)
    }

    /// Bodies that were not of the shape that the contract's records describe.
    pub fn shape_unexpected_sum(&self) -> u64 {
        self.cells.sum(SHAPE_UNEXPECTED)
    }

    /// Exchanges that ended.
    pub fn requests_sum(&self) -> u64 {
        self.requests().iter().map(|(_, count)| count).sum()
    }

    /// Adds the samples to the page of a scrape.
    pub(super) fn read(&self, page: &mut ScrapePage, vendor: &str, way: &str, route: &str) {
        for (status, count) in self.requests() {
            let status = status.map_or_else(|| "other".to_owned(), |status| status.to_string());
            page.counter(&families::REQUESTS, &[vendor, way, route, &status], count as f64);
        }
        let labels = [vendor, way, route];
        page.counter(&families::RECORDS, &labels, self.records_sum() as f64);
        page.counter(&families::SHAPES, &labels, self.shape_unexpected_sum() as f64);
        page.counter(&families::FALLBACKS, &labels, self.cells.sum(FALLBACKS) as f64);
        page.gauge(&families::UNMATCHED, &labels, self.unmatched.load(Ordering::Relaxed) as f64);
        for treated in TreatmentKind::ALL {
            let values = self.pii_values_sum(treated);
            if values > 0 {
                page.counter(&families::PII_VALUES, &[vendor, way, route, treated.as_str()], values as f64);
            }
        }
    }

    /// Values that were treated in this way.
    pub fn pii_values_sum(&self, treated: TreatmentKind) -> u64 {
        self.cells.sum(treated as usize)
    }

    /// Exchanges by status; `None` is the sum of all statuses without a counter of their own.
    pub fn requests(&self) -> Vec<(Option<u16>, u64)> {
        let known = self.taken.locked().clone();
        let placed = known.iter().enumerate().map(|(place, status)| (Some(*status), self.cells.sum(STATUSES + place)));
        placed.chain([(None, self.cells.sum(OTHER))]).filter(|(_, count)| *count > 0).collect()
    }

    #[inline]
    fn slot(&self, status: u16) -> usize {
        let Some(place) = status.checked_sub(100).and_then(|index| self.places.get(usize::from(index))) else {
            return OTHER;
        };
        match place.load(Ordering::Relaxed) {
            0 => self.place(status),
            NO_PLACE => OTHER,
            found => STATUSES + usize::from(found) - 1,
        }
    }

    /// Gives a status a place, where one is left.
    fn place(&self, status: u16) -> usize {
        let mut taken = self.taken.locked();
        let known = taken.iter().position(|known| *known == status);
        let free = taken.len() < PLACES;
        if known.is_none() && free {
            taken.push(status);
        }
        let place = known.or(free.then(|| taken.len() - 1));
        if let Some(cell) = self.places.get(usize::from(status) - 100) {
            cell.store(place.map_or(NO_PLACE, |place| place as u8 + 1), Ordering::Relaxed);
        }
        place.map_or(OTHER, |place| STATUSES + place)
    }
}

debug_fields!(RouteMetrics: taken);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_cannot_make_more_series_than_the_bound() {
        let route = RouteMetrics::default();
        (0..=u16::MAX).chain(200..205).for_each(|status| route.request(status));
        let counts = route.requests();
        assert_eq!(counts.len(), PLACES + 1);
        assert_eq!(counts.iter().map(|(_, count)| count).sum::<u64>(), 65_536 + 5);
        assert!(counts.contains(&(Some(200), 2)) && counts.contains(&(Some(504), 1)));
        assert_eq!(route.slot(599), OTHER);
    }

    #[test]
    fn statuses_records_and_values_are_counted_apart() {
        let route = RouteMetrics::default();
        route.request(200);
        route.request(418);
        route.records(7);
        route.pii_values(TreatmentKind::Reveal, 3);
        assert_eq!(route.requests(), [(Some(200), 1), (Some(418), 1)]);
        assert_eq!((route.records_sum(), route.pii_values_sum(TreatmentKind::Reveal)), (7, 3));
        assert_eq!(route.pii_values_sum(TreatmentKind::Drop), 0);
    }
}
