//! What left on one route in one hour: the unit that the store keeps.
//!
//! A bucket is named by vendor, direction, route, hour and run (the gateway's start), so two runs in one hour, or two
//! gateways, never overwrite each other; a report adds them up. A year of a route is some 9,000 of them, at some
//! hundred bytes each once [`fold_day`] has joined the sketches of a day.

use std::collections::BTreeMap;

use super::{CallerCount, DistinctSketch, InClear, LeftByCaller};
use crate::model::{Direction, UnixTime};

/// Milliseconds in an hour.
const HOUR_MS: u64 = 3_600_000;
/// Hours in a day.
const DAY_HOURS: u64 = 24;

/// What left on one route in one hour.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ExposureBucket {
    /// The vendor's id.
    pub vendor: String,
    /// `ingress` or `egress`.
    pub direction: String,
    /// The route as the contract writes it.
    pub route: String,
    /// Hours since the epoch.
    pub hour: u64,
    /// When the gateway that counted started, in milliseconds since the epoch.
    pub run: u64,
    /// Records that left.
    pub records: u64,
    /// Body bytes that left.
    pub bytes: u64,
    /// Treated values, field by field.
    pub fields: Vec<FieldCount>,
    /// The fields that can leave in clear, where the contract lists them; without, all that no rule names can.
    pub clear: Option<Vec<String>>,
    /// What was seen to leave in clear; `None` also where an earlier version counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_clear: Option<InClear>,
    /// By which callers it left; `None` also where an earlier version counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_caller: Option<LeftByCaller>,
    /// The first time that something left, in milliseconds since the epoch.
    pub first_ms: u64,
    /// The last time.
    pub last_ms: u64,
    /// The different subjects, where the route names one.
    pub subjects: SubjectSketch,
}

/// Values of one field that were treated in one way.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FieldCount {
    /// The field's place in the body, as the contract writes it.
    pub field: String,
    /// How it was treated.
    pub treatment: String,
    /// The category of personal data, where one is known; `None` also where an earlier version counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// How many values.
    pub values: u64,
}

/// Different subjects, and of how long.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectSketch {
    /// None were counted, or they are in another bucket of the day.
    #[default]
    Nobody,
    /// Those of this bucket's hour.
    InHour(DistinctSketch),
    /// Those of the whole day, all its hours and runs joined.
    InDay(DistinctSketch),
}

impl ExposureBucket {
    /// A bucket in which nothing has left yet.
    pub fn new(vendor: &str, direction: Direction, route: &str, hour: u64, run: u64) -> Self {
        Self {
            vendor: vendor.to_owned(),
            direction: direction.as_str().to_owned(),
            route: route.to_owned(),
            hour,
            run,
            records: 0,
            bytes: 0,
            fields: Vec::new(),
            clear: None,
            in_clear: None,
            by_caller: None,
            first_ms: u64::MAX,
            last_ms: 0,
            subjects: SubjectSketch::Nobody,
        }
    }

    /// A key for an ordered store: a vendor's buckets are side by side, in the order of time.
    pub fn key(&self) -> String {
        format!("{}\u{0}{:010}\u{0}{}\u{0}{}\u{0}{:013}", self.vendor, self.hour, self.direction, self.route, self.run)
    }

    /// The keys of a vendor from a time on: at or after the first, before the second.
    pub fn keys(vendor: &str, since: UnixTime) -> (String, String) {
        (format!("{vendor}\u{0}{:010}", day_of(hour_of(since)) * DAY_HOURS), format!("{vendor}\u{1}"))
    }

    /// Adds values of a field.
    #[cfg(any(test, feature = "internals"))]
    pub fn add_field(&mut self, field: &str, treatment: &str, category: Option<&str>, values: u64) {
        add_values(&mut self.fields, field, treatment, category, values);
    }

    /// Adds what left by one caller.
    pub(super) fn add_caller(&mut self, count: CallerCount) {
        self.records += count.records;
        self.bytes += count.bytes;
        self.first_ms = self.first_ms.min(count.first_ms);
        self.last_ms = self.last_ms.max(count.last_ms);
        for FieldCount { field, treatment, category, values } in &count.fields {
            add_values(&mut self.fields, field, treatment, category.as_deref(), *values);
        }
        self.by_caller.get_or_insert_default().add(count);
    }
}

/// Adds values to the line of their field, treatment and category.
pub(super) fn add_values(
    lines: &mut Vec<FieldCount>,
    field: &str,
    treatment: &str,
    category: Option<&str>,
    values: u64,
) {
    let same = |line: &&mut FieldCount| {
        line.field == field && line.treatment == treatment && line.category.as_deref() == category
    };
    match lines.iter_mut().find(same) {
        Some(line) => line.values += values,
        None if values == 0 => {}
        None => lines.push(FieldCount {
            field: field.to_owned(),
            treatment: treatment.to_owned(),
            category: category.map(str::to_owned),
            values,
        }),
    }
}

impl SubjectSketch {
    /// The sketch, of an hour or a day.
    pub const fn sketch(&self) -> Option<&DistinctSketch> {
        match self {
            Self::Nobody => None,
            Self::InHour(sketch) | Self::InDay(sketch) => Some(sketch),
        }
    }

    /// Joins more subjects of the bucket's hour. A day's sketch covers its hours, and becomes one of them.
    pub(super) fn join(&mut self, mut seen: DistinctSketch) {
        if let Some(kept) = self.sketch() {
            seen.merge(kept);
        }
        *self = Self::InHour(seen);
    }
}

/// Joins the sketches, the paths in clear and the callers of each route's day into its first bucket of that day, which
/// makes old data small.
///
/// Give it whole days that are over; the counts stay by the hour. Answers with the places of the buckets that changed.
pub fn fold_day(buckets: &mut [ExposureBucket]) -> Vec<usize> {
    let mut days: BTreeMap<(String, String, String, u64), Vec<usize>> = BTreeMap::new();
    let large = |bucket: &ExposureBucket| {
        bucket.subjects.sketch().is_some() || bucket.in_clear.is_some() || bucket.by_caller.is_some()
    };
    for (place, bucket) in buckets.iter().enumerate().filter(|(_, bucket)| large(bucket)) {
        let route = (bucket.vendor.clone(), bucket.direction.clone(), bucket.route.clone(), day_of(bucket.hour));
        days.entry(route).or_default().push(place);
    }
    let mut changed = Vec::new();
    for places in days.into_values() {
        let first = &buckets[places[0]];
        let folded = places.len() == 1
            && !matches!(first.subjects, SubjectSketch::InHour(_))
            && first.by_caller.as_ref().is_none_or(|left| left.whole_day);
        if !folded {
            fold(buckets, &places);
            changed.extend(places);
        }
    }
    changed.sort_unstable();
    changed
}

fn fold(buckets: &mut [ExposureBucket], places: &[usize]) {
    let mut day: Option<DistinctSketch> = None;
    let (mut in_clear, mut by_caller) = (Vec::new(), Vec::new());
    for place in places {
        if let Some(sketch) = std::mem::take(&mut buckets[*place].subjects).sketch() {
            day.get_or_insert_default().merge(sketch);
        }
        in_clear.extend(buckets[*place].in_clear.take());
        by_caller.extend(buckets[*place].by_caller.take());
    }
    if let Some(first) = places.iter().copied().min_by_key(|place| (buckets[*place].hour, buckets[*place].run)) {
        buckets[first].subjects = day.map_or(SubjectSketch::Nobody, SubjectSketch::InDay);
        buckets[first].in_clear = InClear::joined(in_clear).map(|day| InClear { whole_day: true, ..day });
        buckets[first].by_caller = LeftByCaller::joined(by_caller).map(|day| LeftByCaller { whole_day: true, ..day });
    }
}

/// The hour of a time.
pub(super) const fn hour_of(time: UnixTime) -> u64 {
    time.as_millis() / HOUR_MS
}

/// The day of an hour.
pub(super) const fn day_of(hour: u64) -> u64 {
    hour / DAY_HOURS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SubjectHash;

    fn bucket(route: &str, hour: u64, run: u64, subjects: std::ops::Range<u64>) -> ExposureBucket {
        let mut seen = DistinctSketch::default();
        subjects.for_each(|i| seen.add(SubjectHash::from_bits(i << 52 | 1)));
        let mut bucket =
            ExposureBucket { records: 1, ..ExposureBucket::new("acme", Direction::Ingress, route, hour, run) };
        bucket.subjects.join(seen);
        bucket
    }

    #[test]
    fn a_day_is_joined_once_and_loses_nothing() {
        let mut buckets = vec![
            bucket("GET /a", 49, 1, 5..9),
            bucket("GET /a", 48, 2, 0..6),
            bucket("GET /a", 72, 1, 0..3),
            bucket("GET /b", 50, 1, 0..2),
            ExposureBucket::new("acme", Direction::Ingress, "GET /b", 51, 1),
        ];
        assert_eq!(fold_day(&mut buckets), [0, 1, 2, 3]);
        assert_eq!(buckets[0].subjects, SubjectSketch::Nobody);
        let SubjectSketch::InDay(joined) = &buckets[1].subjects else { panic!("the first hour of the day holds all") };
        assert_eq!(joined.estimate(), 9);
        assert!(fold_day(&mut buckets).is_empty(), "what is joined stays as it is");
        buckets.push(bucket("GET /a", 60, 3, 20..22));
        assert_eq!(fold_day(&mut buckets), [1, 5]);
        assert_eq!(buckets[1].subjects.sketch().map(DistinctSketch::estimate), Some(11));
        assert_eq!(buckets.iter().map(|bucket| bucket.records).sum::<u64>(), 5);
    }

    #[test]
    fn keys_are_ordered_by_vendor_and_time() {
        let key = |vendor: &str, hour| {
            ExposureBucket { hour, ..ExposureBucket::new(vendor, Direction::Egress, "POST /x", 0, 7) }.key()
        };
        let (from, to) = ExposureBucket::keys("acme", UnixTime::from_millis(50 * HOUR_MS));
        for (key, inside) in [
            (key("acme", 47), false),
            (key("acme", 48), true),
            (key("acme", 1_000_000), true),
            (key("acme-2", 50), false),
            (key("acm", 50), false),
        ] {
            assert_eq!(from <= key && key < to, inside, "{key:?}");
        }
    }

    #[test]
    fn a_bucket_is_read_back_as_it_was_written() {
        let mut bucket = bucket("GET /a", 49, 1, 5..9);
        bucket.add_field("$.email", "tokenize", None, 3);
        bucket.add_field("$.email", "tokenize", None, 4);
        assert_eq!(bucket.fields.len(), 1);
        let text = serde_json::to_string(&bucket).unwrap();
        assert!(text.len() < 400, "{text}");
        assert_eq!(serde_json::from_str::<ExposureBucket>(&text).unwrap(), bucket);
    }
}
