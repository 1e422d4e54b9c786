//! What left to one vendor since a time: buckets added up, with what a notification under Article 33 GDPR asks for.
//!
//! A pure function of buckets. Counts are by the hour and start with the hour of `since`; different subjects start
//! with its hour too, or with its day where the day's sketches have been joined. Never more exact than it says.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bucket::{FieldCount, day_of, hour_of};
use super::caller_report::{CallerExposure, CallerSums};
use super::clear::ClearSum;
use super::{DistinctSketch, ExposureBucket, InClear, STANDARD_ERROR, SubjectSketch};
use crate::model::{Category, FieldPath, UnixTime, VendorId};
use crate::pii::{DETECT, TreatmentKind};

/// What left to a vendor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExposureReport {
    /// The vendor's id.
    pub vendor: String,
    /// From when: the hour of the time that was asked for.
    pub since: String,
    /// When the report was made.
    pub until: String,
    /// The first time that something left.
    #[serde(default)]
    pub first: Option<String>,
    /// The last time.
    #[serde(default)]
    pub last: Option<String>,
    /// Values that detectors found and, under `as: report`, let pass as they were.
    #[serde(default)]
    pub left_raw: u64,
    /// Records that left.
    pub records: u64,
    /// Body bytes that left.
    pub bytes: u64,
    /// Different people they were about, over all routes that name them.
    #[serde(default)]
    pub subjects: Option<Approximate>,
    /// Whether records left on routes that name no people, who are in no number here.
    pub subjects_incomplete: bool,
    /// Category by category, over all routes; values of which no category is known are in none.
    #[serde(default)]
    pub categories: Vec<CategoryExposure>,
    /// Route by route, the most records first.
    pub routes: Vec<RouteExposure>,
    /// Caller by caller, the most records first: by which client of the vendor, or by which of our services, it left.
    #[serde(default)]
    pub callers: Vec<CallerExposure>,
    /// Whether some of it is under no caller, because an earlier version counted it.
    #[serde(default)]
    pub callers_incomplete: bool,
}

/// What left of one category of personal data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CategoryExposure {
    /// The key, such as `user.contact.email`.
    pub category: String,
    /// How it was treated; `none` for values that were seen to leave in clear.
    pub treatment: String,
    /// What the treatment makes of the value for its receiver.
    pub left_as: Cow<'static, str>,
    /// Values that left so; of those in clear, the ones in the bodies that were looked at.
    pub values: u64,
}

/// A number, and the range in which it lies in 95 of 100 cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Approximate {
    /// The best guess.
    pub about: u64,
    /// The lower end of the range.
    pub at_least: u64,
    /// The upper end.
    pub at_most: u64,
}

/// What left through one route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RouteExposure {
    /// `ingress` or `egress`.
    pub direction: String,
    /// The route, as the contract writes it.
    pub route: String,
    /// Records that left.
    pub records: u64,
    /// Body bytes that left.
    pub bytes: u64,
    /// Different people they were about, where the route names them.
    #[serde(default)]
    pub subjects: Option<Approximate>,
    /// The first time that something left.
    pub first: String,
    /// The last time.
    pub last: String,
    /// Treated fields, by name.
    pub treated: Vec<FieldExposure>,
    /// The fields that could leave in clear; absent for every field that no rule names.
    #[serde(default)]
    pub clear: Option<Vec<String>>,
    /// What was seen to leave in clear, in the bodies that were looked at; absent where none left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_clear: Option<InClear>,
}

/// What left of one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FieldExposure {
    /// The field's place in the body, as the contract writes it.
    pub field: String,
    /// How it was treated.
    pub treatment: String,
    /// The category of personal data, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// What the treatment makes of the value for its receiver.
    pub left_as: Cow<'static, str>,
    /// Values that left so.
    pub values: u64,
}

impl FieldExposure {
    /// Whether the values left as they were.
    pub(super) fn is_raw(&self) -> bool {
        TreatmentKind::from_word(&self.treatment) == Some(TreatmentKind::Report)
    }
}

impl ExposureReport {
    /// Adds up a vendor's buckets; those of others and those before `since` are left out, so a range that is too wide
    /// does no harm. [`ExposureBucket::keys`] names the range to read.
    pub fn of(
        vendor: &VendorId,
        since: UnixTime,
        now: UnixTime,
        buckets: impl IntoIterator<Item = ExposureBucket>,
    ) -> Self {
        let mut routes: BTreeMap<(String, String), ExposureSum> = BTreeMap::new();
        let mut callers = CallerSums::default();
        for bucket in buckets.into_iter().filter(|bucket| bucket.vendor == vendor.as_str()) {
            if day_of(bucket.hour) >= day_of(hour_of(since)) {
                callers.add(&bucket, bucket.hour >= hour_of(since));
                let name = (bucket.direction.clone(), bucket.route.clone());
                routes.entry(name).or_default().add(bucket, hour_of(since));
            }
        }
        routes.retain(|_, sum| !sum.is_empty());
        let whole = routes.values().fold(ExposureSum::default(), ExposureSum::with);
        let mut lines: Vec<_> =
            routes.into_iter().map(|((direction, route), sum)| sum.line(direction, route)).collect();
        lines.sort_by(|a, b| {
            b.records.cmp(&a.records).then_with(|| (&a.direction, &a.route).cmp(&(&b.direction, &b.route)))
        });
        let hour = UnixTime::from_secs(hour_of(since).saturating_mul(3_600));
        Self {
            vendor: vendor.as_str().to_owned(),
            since: hour.to_string(),
            until: now.to_string(),
            first: (!lines.is_empty()).then(|| time(whole.first_ms)),
            last: (!lines.is_empty()).then(|| time(whole.last_ms)),
            left_raw: lines
                .iter()
                .flat_map(|line| &line.treated)
                .filter(|line| line.is_raw())
                .map(|line| line.values)
                .sum(),
            records: whole.records,
            bytes: whole.bytes,
            subjects: whole.seen.as_ref().map(approximate),
            categories: by_category(&lines),
            subjects_incomplete: lines.iter().any(|line| line.records > 0 && line.subjects.is_none()),
            callers_incomplete: callers.miss_some_of(&lines),
            callers: callers.done(),
            routes: lines,
        }
    }

    /// The report as JSON, for machines.
    ///
    /// # Errors
    /// None that a report can cause; the serialiser's type has them.
    #[cfg(test)]
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }
}

/// What was added up of one route, or of all.
#[derive(Debug, Default)]
struct ExposureSum {
    records: u64,
    bytes: u64,
    first_ms: u64,
    last_ms: u64,
    seen: Option<DistinctSketch>,
    fields: FieldSums,
    clear: BTreeSet<String>,
    all_clear: bool,
    in_clear: Option<ClearSum>,
}

impl ExposureSum {
    fn add(&mut self, bucket: ExposureBucket, since_hour: u64) {
        let within = bucket.hour >= since_hour;
        let counts = match &bucket.subjects {
            SubjectSketch::Nobody => None,
            SubjectSketch::InHour(sketch) => within.then_some(sketch),
            SubjectSketch::InDay(sketch) => Some(sketch),
        };
        self.see(counts);
        if let Some(in_clear) = bucket.in_clear.as_ref().filter(|in_clear| within || in_clear.whole_day) {
            self.in_clear.get_or_insert_default().add(in_clear);
        }
        if !within {
            return;
        }
        self.count(bucket.records, bucket.bytes, bucket.first_ms, bucket.last_ms);
        bucket.fields.into_iter().for_each(|line| self.fields.add(line));
        // What could leave in clear at any time could leave: lists are joined, and one hour without a list opens all.
        self.all_clear |= bucket.clear.is_none();
        self.clear.extend(bucket.clear.into_iter().flatten());
    }

    fn with(mut self, other: &Self) -> Self {
        self.see(other.seen.as_ref());
        self.count(other.records, other.bytes, other.first_ms, other.last_ms);
        self
    }

    fn see(&mut self, sketch: Option<&DistinctSketch>) {
        if let Some(sketch) = sketch {
            self.seen.get_or_insert_default().merge(sketch);
        }
    }

    fn count(&mut self, records: u64, bytes: u64, first_ms: u64, last_ms: u64) {
        self.records += records;
        self.bytes += bytes;
        self.first_ms = if self.last_ms == 0 { first_ms } else { self.first_ms.min(first_ms) };
        self.last_ms = self.last_ms.max(last_ms);
    }

    const fn is_empty(&self) -> bool {
        self.last_ms == 0
    }

    fn line(self, direction: String, route: String) -> RouteExposure {
        RouteExposure {
            direction,
            route,
            records: self.records,
            bytes: self.bytes,
            subjects: self.seen.as_ref().map(approximate),
            first: time(self.first_ms),
            last: time(self.last_ms),
            treated: self.fields.done(),
            clear: (!self.all_clear).then(|| self.clear.into_iter().collect()),
            in_clear: self.in_clear.map(ClearSum::done),
        }
    }
}

/// The values of treated fields, added up: by field, treatment and category.
#[derive(Debug, Default)]
pub(super) struct FieldSums(BTreeMap<(String, String, Option<String>), u64>);

impl FieldSums {
    pub(super) fn add(&mut self, FieldCount { field, treatment, category, values }: FieldCount) {
        *self.0.entry((field, treatment, category)).or_default() += values;
    }

    pub(super) fn join(&mut self, other: Self) {
        for (name, values) in other.0 {
            *self.0.entry(name).or_default() += values;
        }
    }

    /// By name, with those first that left as they were.
    pub(super) fn done(self) -> Vec<FieldExposure> {
        let field = |((field, treatment, category), values): ((String, String, Option<String>), u64)| FieldExposure {
            left_as: left_as(&field, &treatment).into(),
            field,
            treatment,
            category,
            values,
        };
        let mut treated: Vec<_> = self.0.into_iter().map(field).collect();
        treated.sort_by_key(|line| !line.is_raw());
        treated
    }
}

/// The treated fields and the paths in clear of all routes, by their categories. A path is of the category that its
/// name leads to.
fn by_category(routes: &[RouteExposure]) -> Vec<CategoryExposure> {
    let mut sums: BTreeMap<(String, String, Cow<'static, str>), u64> = BTreeMap::new();
    for route in routes {
        for line in &route.treated {
            if let Some(category) = &line.category {
                *sums.entry((category.clone(), line.treatment.clone(), line.left_as.clone())).or_default() +=
                    line.values;
            }
        }
        for line in route.in_clear.iter().flat_map(|in_clear| &in_clear.paths) {
            let path = FieldPath::parse(&line.path).ok();
            if let Some(category) = path.as_ref().and_then(Category::of_path) {
                let key = (category.as_str().to_owned(), "none".to_owned(), IN_CLEAR.into());
                *sums.entry(key).or_default() += line.values;
            }
        }
    }
    let line = |((category, treatment, left_as), values)| CategoryExposure { category, treatment, left_as, values };
    sums.into_iter().map(line).collect()
}

/// What a value in clear is to its receiver.
const IN_CLEAR: &str = "IN CLEAR, in the bodies that were looked at";

fn approximate(sketch: &DistinctSketch) -> Approximate {
    let about = sketch.estimate();
    let error = (about as f64 * 2.0 * STANDARD_ERROR) as u64;
    Approximate { about, at_least: about - error, at_most: about + error }
}

pub(super) fn time(ms: u64) -> String {
    UnixTime::from_millis(ms).to_string()
}

/// What a treated value is to its receiver. The words come from stored buckets: one of a later version is unknown.
fn left_as(field: &str, treatment: &str) -> &'static str {
    let Some(kind) = TreatmentKind::from_word(treatment) else {
        return "a value treated in a way that this version does not know";
    };
    // A detector masks the whole of what it finds.
    let keeps_length = kind == TreatmentKind::Mask && field == DETECT;
    if keeps_length { "its length" } else { kind.leaves() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_treatment_keeps_its_stored_word_and_what_it_leaves() {
        for line in include_str!("../../tests/golden/treatments.tsv").lines() {
            let (word, left) = line.split_once('\t').expect("two columns");
            assert_eq!(left_as("$.email", word), left);
        }
        assert_eq!(left_as("detect", "mask"), "its length");
        assert_eq!(left_as("$.email", "shred"), "a value treated in a way that this version does not know");
    }
}
