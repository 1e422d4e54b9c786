//! Reports as they are read, word for word, and the work that a year of them takes.

use super::*;
use crate::model::{Direction, Secret, SubjectKey, UnixTime, VendorId};

const HOUR_MS: u64 = 3_600_000;
/// 2026-11-23T00:00:00Z in hours.
const DAY_START: u64 = 498_720;

fn seen(subjects: std::ops::Range<u64>) -> DistinctSketch {
    let key = SubjectKey::new(Secret::new([1; 32]));
    let mut sketch = DistinctSketch::default();
    subjects.for_each(|i| sketch.add(key.hash(&i.to_le_bytes())));
    sketch
}

fn bucket(direction: Direction, route: &str, hour: u64, records: u64) -> ExposureBucket {
    ExposureBucket {
        records,
        bytes: records * 211,
        first_ms: hour * HOUR_MS + 61_000,
        last_ms: hour * HOUR_MS + 1_999_500,
        ..ExposureBucket::new("acme-analytics", direction, route, hour, 7)
    }
}

fn customers(hour: u64, subjects: std::ops::Range<u64>) -> ExposureBucket {
    let mut bucket = bucket(Direction::Ingress, "GET /v1/customers", hour, 25_000);
    bucket.add_field("$.customers[*].email", "tokenize", Some("user.contact.email"), 25_000);
    bucket.add_field("$.customers[*].phone", "mask", Some("user.contact.phone_number"), 24_100);
    bucket.add_field("$..ssn", "redact", None, 901);
    bucket.subjects = SubjectSketch::InHour(seen(subjects));
    bucket.by_caller = Some(LeftByCaller { callers: vec![all_by("acme-batch", &bucket)], whole_day: false });
    bucket
}

/// All of a bucket as what left by one caller.
fn all_by(caller: &str, bucket: &ExposureBucket) -> CallerCount {
    let ExposureBucket { records, bytes, first_ms, last_ms, fields, .. } = bucket.clone();
    CallerCount { caller: caller.to_owned(), records, bytes, first_ms, last_ms, fields }
}

fn sample() -> ExposureReport {
    let mut events = bucket(Direction::Egress, "POST /v2/events", DAY_START + 1, 12);
    events.clear = Some(vec!["$.event".to_owned(), "$.at".to_owned()]);
    events.add_field("$..email", "hash", Some("user.contact.email"), 12);
    let half = CallerCount { records: 4, bytes: 900, ..all_by("billing", &events) };
    let rest = CallerCount { records: 8, bytes: 1_632, fields: Vec::new(), ..all_by("checkout", &events) };
    events.by_caller = Some(LeftByCaller { callers: vec![half, rest], whole_day: false });
    let other = ExposureBucket { vendor: "other".to_owned(), ..customers(DAY_START + 1, 0..10) };
    let early = customers(DAY_START - 1, 50_000..60_000);
    let buckets = [early, other, events, customers(DAY_START, 0..8_000), customers(DAY_START + 5, 4_000..12_000)];
    let at = |hour: u64| UnixTime::from_millis(hour * HOUR_MS + 1_800_000);
    ExposureReport::of(&VendorId::parse("acme-analytics").unwrap(), at(DAY_START), at(DAY_START + 20), buckets)
}

fn check(name: &str, actual: &str, expected: &str) {
    assert!(actual == expected, "{name} is now:\n{actual}");
}

#[test]
fn the_text_report_equals_its_golden_file() {
    check("the text", &sample().to_text(ExposureGrouping::Route), include_str!("golden/report.txt"));
}

#[test]
fn the_text_by_caller_equals_its_golden_file() {
    check("the text", &sample().to_text(ExposureGrouping::Caller), include_str!("golden/by_caller.txt"));
}

#[test]
fn callers_of_a_joined_day_count_whole_and_what_was_counted_before_them_is_told() {
    let report = |buckets: Vec<ExposureBucket>, since_hour: u64| {
        let since = UnixTime::from_millis(since_hour * HOUR_MS);
        ExposureReport::of(&VendorId::parse("acme-analytics").unwrap(), since, since, buckets)
    };
    let mut day = vec![customers(DAY_START, 0..10), customers(DAY_START + 9, 5..20), customers(DAY_START + 10, 0..1)];
    assert_eq!(fold_day(&mut day), [0, 1, 2]);
    assert!(fold_day(&mut day).is_empty(), "what is joined stays as it is");
    assert_eq!(day.iter().filter(|bucket| bucket.by_caller.is_some()).count(), 1);
    let whole = report(day.clone(), DAY_START);
    let [caller] = &whole.callers[..] else { panic!("{:?}", whole.callers) };
    assert_eq!((caller.records, caller.routes[0].treated[2].values), (75_000, 72_300));
    assert_eq!((whole.callers_incomplete, report(day, DAY_START + 9).callers[0].records), (false, 75_000));
    let old = ExposureBucket { by_caller: None, ..customers(DAY_START + 30, 0..1) };
    let report = report(vec![customers(DAY_START, 0..1), old], DAY_START);
    assert!(report.callers_incomplete && report.callers[0].records == 25_000);
    assert!(report.to_text(ExposureGrouping::Caller).contains("is under none of them"));
}

#[test]
fn a_report_lists_the_callers_by_whom_most_left() {
    let max = crate::bounds::EXPOSURE_REPORT_CALLERS_MAX as u64;
    let hours = (0..3).map(|hour| {
        let mut bucket = bucket(Direction::Egress, "POST /a", DAY_START + hour, 0);
        let counts = (0..100).map(|one| (format!("service-{}", hour * 100 + one), hour * 100 + one + 1));
        let count = |(name, records): (String, u64)| CallerCount { records, ..all_by(&name, &bucket) };
        bucket.by_caller = Some(LeftByCaller { callers: counts.map(count).collect(), whole_day: false });
        bucket.records = bucket.by_caller.iter().flat_map(|left| &left.callers).map(|one| one.records).sum();
        bucket
    });
    let now = UnixTime::from_millis(DAY_START * HOUR_MS);
    let report = ExposureReport::of(&VendorId::parse("acme-analytics").unwrap(), now, now, hours);
    assert_eq!(report.callers.len() as u64, max + 1);
    let others = report.callers.iter().find(|one| one.caller == "_other").unwrap();
    assert_eq!(others.records, (1..=300 - max).sum::<u64>());
    assert_eq!(report.callers.iter().map(|one| one.records).sum::<u64>(), report.records);
    assert!(!report.callers_incomplete);
}

#[test]
fn the_markdown_report_equals_its_golden_file() {
    check("the Markdown", &sample().to_markdown(), include_str!("golden/report.md"));
}

#[test]
fn the_json_report_equals_its_golden_file() {
    check("the JSON", &(sample().to_json().unwrap() + "\n"), include_str!("golden/report.json"));
}

#[test]
fn what_left_raw_is_the_first_line_and_a_later_version_s_word_still_prints() {
    let mut raw = bucket(Direction::Ingress, "GET /v1/customers", DAY_START, 10);
    raw.add_field("$.email", "tokenize", None, 9);
    raw.add_field("detect", "report", None, 1_203);
    raw.add_field("detect", "mask", None, 2);
    raw.add_field("$.age", "blurred", None, 4);
    let report = ExposureReport::of(
        &VendorId::parse("acme-analytics").unwrap(),
        UnixTime::from_secs(0),
        UnixTime::from_secs(1),
        [raw],
    );
    assert_eq!((report.left_raw, report.routes[0].treated[0].treatment.as_str()), (1_203, "report"));
    let text = report.to_text(ExposureGrouping::Route);
    assert!(text.lines().nth(2).unwrap().contains("LEFT RAW            1,203 values"), "{text}");
    assert!(text.contains("detect   report    1,203  THE VALUE ITSELF"), "{text}");
    assert!(text.contains("detect   mask          2  its length"), "{text}");
    assert!(
        text.contains("$.age    blurred       4  a value treated in a way that this version does not know"),
        "{text}"
    );
    let page = report.to_markdown();
    assert!(page.contains("| --- | --- |\n| LEFT RAW | 1,203 values"), "{page}");
}

#[test]
fn a_bucket_of_an_earlier_version_opens() {
    let text = r#"{"vendor":"acme-analytics","direction":"ingress","route":"GET /a","hour":498720,"run":7,"records":3,"bytes":9,
        "fields":[{"field":"$.email","treatment":"tokenize","values":3}],"clear":null,"first_ms":1795392061000,
        "last_ms":1795392061000,"subjects":"nobody"}"#;
    let old: ExposureBucket = serde_json::from_str(text).unwrap();
    assert_eq!((old.records, &old.in_clear), (3, &None));
    let written: serde_json::Value = serde_json::to_value(&old).unwrap();
    assert_eq!(written, serde_json::from_str::<serde_json::Value>(text).unwrap(), "and is written as it was");
}

#[test]
fn paths_in_clear_add_up_over_hours_and_joined_days() {
    let seen = |hour: u64, path: &str, listed: bool| {
        let paths = vec![ClearCount { path: path.to_owned(), values: 3, listed }];
        let in_clear = Some(InClear { bodies: 10, looked_at: 5, paths, ..InClear::default() });
        ExposureBucket { in_clear, ..bucket(Direction::Ingress, "GET /a", hour, 1) }
    };
    let hours =
        vec![seen(DAY_START, "$.id", true), seen(DAY_START + 1, "$.id", false), seen(DAY_START + 2, "$.name", true)];
    let report = |buckets: Vec<ExposureBucket>, since: u64| {
        let since = UnixTime::from_millis(since * HOUR_MS);
        ExposureReport::of(&VendorId::parse("acme-analytics").unwrap(), since, since, buckets).routes.remove(0).in_clear
    };
    let line = |path: &str, values, listed| ClearCount { path: path.to_owned(), values, listed };
    let whole = report(hours.clone(), DAY_START).unwrap();
    assert_eq!((whole.bodies, whole.looked_at), (30, 15));
    assert_eq!(whole.paths, [line("$.id", 6, false), line("$.name", 3, true)]);
    assert_eq!(report(hours.clone(), DAY_START + 2).unwrap().paths, [line("$.name", 3, true)]);
    let mut joined = hours;
    assert_eq!(fold_day(&mut joined), [0, 1, 2]);
    assert!(fold_day(&mut joined).is_empty(), "what is joined stays as it is");
    assert_eq!(joined.iter().filter(|bucket| bucket.in_clear.is_some()).count(), 1);
    assert_eq!(report(joined.clone(), DAY_START), Some(whole.clone()));
    assert_eq!(report(joined, DAY_START + 2), Some(whole), "joined, those of the day");
}

#[test]
fn a_report_of_nothing_says_that_nothing_left() {
    let nobody = VendorId::parse("nobody").unwrap();
    let report = ExposureReport::of(&nobody, UnixTime::from_secs(0), UnixTime::from_secs(60), [customers(3, 0..9)]);
    assert!(report.to_text(ExposureGrouping::Route).contains("Nothing left."));
    assert!(report.to_markdown().contains("Nothing left in this period."));
    assert_eq!((report.first, report.subjects), (None, None));
}

#[test]
fn a_name_cannot_break_out_of_its_table() {
    let mut evil = bucket(Direction::Ingress, "GET /a|b`c\n# d", DAY_START, 1);
    evil.add_field("$[\"x`|\n| y\"]", "hash", None, 1);
    let report = ExposureReport::of(
        &VendorId::parse("acme-analytics").unwrap(),
        UnixTime::from_secs(0),
        UnixTime::from_secs(1),
        [evil],
    );
    let markdown = report.to_markdown();
    assert!(markdown.contains("### ingress `GET /a\\|bc# d`"), "{markdown}");
    assert!(markdown.contains("| `$[\"x\\|\\| y\"]` | hash |"), "{markdown}");
}

#[test]
fn joined_days_count_whole_and_separate_hours_exactly() {
    let report = |buckets: Vec<ExposureBucket>, since_hour: u64| {
        let since = UnixTime::from_millis(since_hour * HOUR_MS);
        let report = ExposureReport::of(&VendorId::parse("acme-analytics").unwrap(), since, since, buckets);
        (report.records, report.subjects.map_or(0, |subjects| subjects.about.div_ceil(100)))
    };
    let day = vec![customers(DAY_START, 0..1_000), customers(DAY_START + 9, 1_000..1_900)];
    let mut joined = day.clone();
    fold_day(&mut joined);
    assert_eq!(report(day.clone(), DAY_START), report(joined.clone(), DAY_START));
    assert_eq!(report(day, DAY_START + 9), (25_000, 9), "by the hour, subjects are those of the hour");
    assert_eq!(report(joined, DAY_START + 9), (25_000, 19), "joined, those of the day");
}

/// A year of ten routes by the hour, as the store holds it: sketches of a week by the hour, older ones by the day.
#[test]
fn a_year_is_small_and_takes_one_pass() {
    let one_day = |day: u64| {
        let hours = (0..24u64).map(move |hour| customers(DAY_START - day * 24 - hour, hour * 40..hour * 40 + 80));
        let mut buckets: Vec<ExposureBucket> = hours.collect();
        if day > 7 {
            fold_day(&mut buckets);
        }
        buckets
    };
    let texts: Vec<String> = (0..365).flat_map(one_day).map(|bucket| serde_json::to_string(&bucket).unwrap()).collect();
    let bytes: usize = texts.iter().map(String::len).sum();
    assert!(bytes < 6_100_000, "ten routes must be read in a fraction of a second: {bytes} bytes each");
    let mut read = 0;
    let buckets = texts.iter().map(|text| {
        read += 1;
        serde_json::from_str(text).unwrap()
    });
    let report = ExposureReport::of(
        &VendorId::parse("acme-analytics").unwrap(),
        UnixTime::from_secs(0),
        UnixTime::from_secs(1),
        buckets,
    );
    assert_eq!((read, report.records), (365 * 24, 365 * 24 * 25_000), "each bucket is read once");
    assert_eq!(report.routes.len(), 1);
    assert!(report.subjects.unwrap().about.abs_diff(1_000) < 50);
}
