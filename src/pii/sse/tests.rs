//! Event streams in and out, as lists of cases; and what holds for every rewriter, as property tests.

use super::*;
use crate::bounds::KEY_BYTES_MAX;
use crate::pii::json::{JsonRewriter, MatcherSpec};
use crate::pii::lines::DocumentRules;
use crate::pii::testing::{self, MarkingTransform, marked};
use crate::pii::{DetectAction, Detector};
use proptest::prelude::*;

fn events(detect_rule: Option<DetectRule>) -> impl Fn() -> EventStreamRewriter<JsonRewriter> + use<> {
    let transform = MarkingTransform::shared();
    let rules = crate::pii::Rules { records: Some(testing::path("$")), ..testing::rules(&["$..email"]) };
    let documents = DocumentRules::compile(&MatcherSpec::of(&rules), &*transform).unwrap();
    let detect_rule = detect_rule.map(|rule| (Arc::new(rule), 3));
    move || documents.events(detect_rule.clone(), true, Arc::clone(&transform))
}

fn json() -> impl Fn() -> EventStreamRewriter<JsonRewriter> + use<> {
    events(None)
}

/// `EMAIL` is replaced by the value in the input, and by its mark in the expected output.
fn check(body: &str) {
    let expected = body.replace("EMAIL", &marked(0, b"b@x"));
    assert_eq!(testing::output_text(json(), &body.replace("EMAIL", "b@x")), expected);
}

#[test]
fn the_data_of_each_event_is_treated_and_other_lines_pass() {
    for body in [
        "data: {\"email\":\"EMAIL\"}\n\n",
        ": hello\nevent: x\nid: 7\ndata:{\"email\": \"EMAIL\"}\n\ndata: [1]\n\n",
        "data: {\"email\":\"EMAIL\"}\r\nid: 8\r\n\r\n: bye\r\n",
        "data: {\"email\":\"EMAIL\"}\rid: 8\r\rdata: 7\r\r",
        "data: {\ndata: \"email\":\ndata: \"EMAIL\"}\n\n",
        "data:{\r\ndata:\"a\":1}\r\nid\r\n\r\n",
        "retry: 10\n\n\n\ndata:\n\ndata\n\ndata: \n\n",
        "data: {\"email\":\"EMAIL\"}\n\ndata: [DONE]\n\n",
        "data:  [DONE]",
        "data: {\"email\":\"EMAIL\"}",
        "id",
        "",
    ] {
        check(body);
    }
    assert_eq!(testing::output_text(json(), "data: [1\ndata\ndata:]\n\n"), "data: [1\ndata: \ndata: ]\n\n");
}

#[test]
fn data_lines_are_joined_over_other_lines_between_them() {
    let body = "data: {\"a\":\r\nid: 1\r\ndata:[2]}\nevent: x\n\n";
    assert_eq!(testing::output_text(json(), body), "data: {\"a\":\r\ndata: [2]}\r\nid: 1\r\nevent: x\n\n");
}

#[test]
fn data_that_is_not_json_is_refused_or_read_by_detectors() {
    for body in [
        "data: hello b@x.org\n\n",
        "data: [DONE\n\n",
        "data: [DONE]x\n\n",
        "data: {\"a\":\n\n",
        "data: {}\ndata: {}\n\n",
        "data: {\"a\":\"x\ndata: y\"}\n\n",
        "Data: {}\n\n",
        " data: {}\n",
        "\u{feff}data: {}\n",
        "datas: 1\n",
        "dat",
        "x: 1\n",
    ] {
        assert!(matches!(testing::error_of(json(), body.as_bytes()), RewriteError::Malformed { .. }), "{body}");
    }
    let detect_rule = || events(Some(DetectRule::new(Detector::default(), DetectAction::Redact)));
    let body = "data: hello b@x.org\ndata:and 1\n\ndata: {\"email\":\"b@x\"}\n\ndata: c@x.org\r\n\r\n";
    let expected = "data: hello [redacted]\ndata: and 1\n\ndata: {\"email\":\"SEAL\"}\n\ndata: [redacted]\r\n\r\n";
    assert_eq!(testing::output_text(detect_rule(), body), expected.replace("SEAL", &marked(0, b"b@x")));
    assert!(matches!(testing::error_of(detect_rule(), b"data: {x\n\n"), RewriteError::Malformed { .. }));
}

#[test]
fn data_must_be_json_where_a_rule_names_a_field() {
    let rules = testing::rules(&["$..email"]);
    let documents = DocumentRules::compile(&MatcherSpec::of(&rules), &*MarkingTransform::shared()).unwrap();
    let detect_rule = (Arc::new(DetectRule::new(Detector::default(), DetectAction::Redact)), 3);
    let make = || documents.events(Some(detect_rule.clone()), false, MarkingTransform::shared());
    assert!(matches!(testing::error_of(make, b"data: <email>b@x</email>\n\n"), RewriteError::Malformed { .. }));
    assert_eq!(testing::output_text(make, "data: {\"a\":\"b\"}\n\n"), "data: {\"a\":\"b\"}\n\n");
}

#[test]
fn lines_that_are_not_data_are_read_by_detectors_or_dropped() {
    let detect_rule = || events(Some(DetectRule::new(Detector::default(), DetectAction::Redact)));
    for line in [": b@x.org", "event: b@x.org", "id: b@x.org", "retry: b@x.org"] {
        for (body, ends) in
            [("LINE\ndata: 1\n\n", 1), ("data: 1\r\nLINE\r\n\r\n", 1), ("LINE", 1), ("data: 1\nLINE\nLINE\n\n", 2)]
        {
            let body = body.replace("LINE", line);
            let (out, seen, end) = testing::feed_at_every_split(detect_rule(), body.as_bytes());
            assert_eq!((String::from_utf8(out).unwrap(), end), (body.replace("b@x.org", "[redacted]"), Ok(())));
            assert_eq!(seen.treated, vec![3; ends]);
        }
    }
    let documents =
        DocumentRules::compile(&MatcherSpec::of(&testing::allow_list(&["$.id"])), &*MarkingTransform::shared())
            .unwrap();
    let only = || documents.events(None, false, MarkingTransform::shared());
    let body = ": x\r\nevent: x\r\nid: x\r\ndata: {\"id\":1,\"x\":2}\r\nretry: x\r\nid\r\n: x\r\n\r\n: x\n\ndata: [DONE]\n\nid: x";
    assert_eq!(testing::output_text(only, body), "data: {\"id\":1}\r\n\r\n\ndata: [DONE]\n\n");
}

#[test]
fn events_with_data_are_records() {
    let (_, seen, _) =
        testing::feed_at_every_split(json(), b": x\n\ndata: 1\n\nevent: y\n\ndata: [DONE]\n\ndata: {}\n\ndata:\n\n");
    assert_eq!(seen.records, 2);
}

#[test]
fn the_lines_held_after_the_data_are_bounded() {
    let body = format!("data: 1\n: {}\n\n", "x".repeat(KEY_BYTES_MAX));
    assert!(matches!(testing::error_of(json(), body.as_bytes()), RewriteError::Bound { .. }));
    let body = format!(": {}\ndata: 1\n\n", "x".repeat(KEY_BYTES_MAX));
    assert_eq!(testing::output_text(json(), &body), body);
}

#[test]
fn no_piece_of_a_selected_value_leaves_a_truncated_stream() {
    let body = b"data: {\"email\":\"canary-0123456789\"}\nid: 1\n\ndata: {\ndata: \"email\":\"canary-0123456789\"}\n\n";
    testing::assert_no_leak(json(), body, "canary-0123456789");
}

proptest! {
    #[test]
    fn random_bytes_never_panic_and_splits_never_matter(
        body in "(data: ?|id: |event|:|\n|\r|\r\n|[{}\\[\\],:1\u{e9}]|\"email\":|\"b@x\\.org\"|\\[DONE\\]|c@x\\.org ){0,30}",
        tail in prop::collection::vec(any::<u8>(), 0..3),
    ) {
        let body = [body.as_bytes(), &tail].concat();
        for detect_rule in [None, Some(DetectRule::new(Detector::default(), DetectAction::Mask))] {
            let (out, seen, end) = testing::feed_at_every_split(events(detect_rule), &body);
            prop_assert!(end.is_err() || !seen.treated.contains(&0) || out.contains(&b'~'));
        }
    }
}
