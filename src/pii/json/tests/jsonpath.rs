//! The JSONPath compliance test suite (github.com/jsonpath-standard/jsonpath-compliance-test-suite, BSD-2-Clause):
//! its cases without filters, in `jsonpath.json`, as they are but for their tags and the paths of results.
//!
//! A selector is either matched with RFC 9535's result, by every engine and under every split, or refused by name.

use serde_json::Value;

use super::{super::MatcherSpec, every_split, run, with};
use crate::model::{FieldPath, FieldPathError};
use crate::pii::json::JsonEngine;

/// Invalid by the RFC, and accepted: a name that begins with a digit.
const LENIENT: &str = "$.1";

#[test]
fn selectors_select_what_the_standard_says_or_are_refused_by_name() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("jsonpath.json")).expect("the suite");
    let (mut selected, mut refused) = (0, 0);
    for case in &cases {
        let selector = case["selector"].as_str().expect("a selector");
        let parsed = FieldPath::parse(selector);
        if case["invalid_selector"] == true {
            assert_eq!(parsed.is_ok(), selector == LENIENT, "{selector:?}");
            continue;
        }
        match parsed {
            Ok(path) => {
                check(&path, case);
                selected += 1;
            }
            Err(FieldPathError::Unsupported { .. }) => refused += 1,
            Err(error) => panic!("{selector:?}: {error}"),
        }
    }
    assert!(selected > 70 && refused > 60, "{selected} selected, {refused} refused, of {}", cases.len());
}

/// Every selected value is a record; each that is in no other selected one, and no null, is reported as a subject.
fn check(path: &FieldPath, case: &Value) {
    let document = case["document"].to_string();
    let results = case.get("result").unwrap_or_else(|| &case["results"][0]).as_array().expect("results");
    let spec = MatcherSpec { records: Some(path), subject: Some(path), ..MatcherSpec::default() };
    let outcome = every_split(&spec, document.as_bytes(), None);
    assert_eq!(outcome.stop, None, "{path}");
    assert_eq!(outcome.log.records, results.len(), "{path} of {document}");
    assert_eq!(outcome.out, document);
    for engine in JsonEngine::available() {
        assert_eq!(run(with(&spec, engine), [document.as_bytes()], None), outcome, "{engine:?}: {path}");
    }
    if path.steps().iter().all(|step| !step.descends) {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let mut expected: Vec<String> = results.iter().filter(|value| !value.is_null()).map(text).collect();
        let mut reported = outcome.log.subjects;
        expected.sort();
        reported.sort();
        assert_eq!(reported, expected, "{path} of {document}");
    }
}
