//! What every format must do with long values: a treatment that keeps nothing of a value accepts one of any length, and
//! its result is the same in every format.

use super::testing::{self, RecordingObserver, path, plan};
use super::{Plan, RewriteError, RewriteResult, Rule, Rules, TokenClass, Treatment, ValueLocation};
use crate::bounds::{ROW_BYTES_MAX, VALUE_BYTES_MAX};

/// Every format, with the value where `$..email` selects it.
const FORMATS: [(&str, &str); 10] = [
    ("application/json", r#"{"a":1,"email":"VALUE","b":[{"email":"VALUE"}]}"#),
    ("application/x-ndjson", "{\"email\":\"VALUE\"}\n{\"a\":2}\n"),
    ("text/event-stream", "data: {\"email\":\"VALUE\"}\n\n"),
    ("application/x-www-form-urlencoded", "a=1&email=VALUE&b=2"),
    ("text/csv", "id,email\r\n1,VALUE\r\n2,\"VALUE\"\r\n"),
    ("text/tab-separated-values", "email\tid\nVALUE\t1\n"),
    (
        "multipart/form-data; boundary=B",
        "--B\r\nContent-Disposition: form-data; name=\"email\"\r\n\r\nVALUE\r\n--B--\r\n",
    ),
    ("application/xml", "<c><email>VALUE</email><a/></c>"),
    ("application/xml", "<c><email><![CDATA[VALUE]]></email></c>"),
    ("application/json-seq", "\u{1e}{\"email\":\"VALUE\"}\n"),
];

const LENGTHS: [usize; 8] =
    [0, 1, 63, 64, 65, VALUE_BYTES_MAX, VALUE_BYTES_MAX + 1, 3 * VALUE_BYTES_MAX + VALUE_BYTES_MAX / 2];

fn of(treatment: Treatment) -> Plan {
    let location = ValueLocation::Field(path("$..email"));
    plan(&Rules {
        treat: vec![Rule {
            location,
            treatment,
            class: TokenClass::from_name("email"),
            only_type: None,
            category: None,
        }],
        ..Rules::default()
    })
}

fn sent(plan: &Plan, media: &str, body: &str, chunk: usize) -> RewriteResult<String> {
    let mut engine = plan.body_rewriter(Some(media), None)?;
    let (out, _, end) = testing::feed_chunks(&mut *engine, RecordingObserver::default(), body.as_bytes().chunks(chunk));
    end.map(|()| String::from_utf8(out).expect("text"))
}

/// What a rule makes of a value, as JSON shows it.
fn made(plan: &Plan, value: &str) -> String {
    let body = sent(plan, "application/json", &format!("{{\"email\":\"{value}\"}}"), 7_000).expect("made");
    body[r#"{"email":""#.len()..body.len() - r#""}"#.len()].to_owned()
}

#[test]
fn treatments_that_keep_nothing_take_values_of_any_length_in_every_format() {
    for treatment in [Treatment::Redact, Treatment::Mask { keep_first: 0, keep_last: 0 }, Treatment::Hash] {
        let plan = of(treatment.clone());
        for length in LENGTHS {
            let value = "v".repeat(length);
            let result = made(&plan, &value);
            match treatment {
                Treatment::Redact => assert_eq!(result, "[redacted]"),
                Treatment::Mask { .. } => assert_eq!(result, "*".repeat(length)),
                _ => assert_eq!(result.len(), 27, "{result}"),
            }
            for (media, body) in FORMATS {
                let written = if media.contains("form-url") {
                    result.replace('[', "%5B").replace(']', "%5D")
                } else {
                    result.clone()
                };
                let expected = body.replace("<![CDATA[VALUE]]>", "VALUE").replace("VALUE", &written);
                for chunk in [1_000, 64 * 1024, usize::MAX] {
                    let outcome = sent(&plan, media, &body.replace("VALUE", &value), chunk);
                    assert!(
                        outcome == Ok(expected.clone()),
                        "{} of {length} in {media}, by {chunk}",
                        treatment.as_str()
                    );
                }
            }
        }
    }
}

#[test]
fn a_dropped_value_may_have_any_length() {
    let plan = of(Treatment::Drop);
    let value = "v".repeat(2 * ROW_BYTES_MAX);
    for (media, body) in FORMATS {
        let outcome = sent(&plan, media, &body.replace("VALUE", &value), 10_000).expect(media);
        assert!(!outcome.contains('v') || outcome.len() < 200, "{media}");
    }
}

#[test]
fn treatments_that_keep_a_part_or_can_be_reversed_refuse_long_values() {
    let long = "v".repeat(VALUE_BYTES_MAX + 1);
    for treatment in [Treatment::Tokenize, Treatment::Mask { keep_first: 0, keep_last: 4 }] {
        let plan = of(treatment);
        for (media, body) in FORMATS {
            let outcome = sent(&plan, media, &body.replace("VALUE", &long), 10_000);
            assert!(matches!(outcome, Err(RewriteError::Bound { .. })), "{media}");
        }
    }
    // A row of a table is held until it is complete, so the masked text in it is bounded too.
    let stars = of(Treatment::Mask { keep_first: 0, keep_last: 0 });
    let row = format!("email\r\n{}\r\n", "v".repeat(ROW_BYTES_MAX + 1));
    assert!(matches!(sent(&stars, "text/csv", &row, 10_000), Err(RewriteError::Bound { .. })));
}

#[test]
fn numbers_of_any_length_and_half_surrogate_pairs_are_treated() {
    let digits = "7".repeat(VALUE_BYTES_MAX + 9);
    for (treatment, number, half) in [
        (Treatment::Redact, "[redacted]".to_owned(), "[redacted]".to_owned()),
        (Treatment::Mask { keep_first: 0, keep_last: 0 }, "*".repeat(digits.len()), "***".to_owned()),
    ] {
        let plan = of(treatment);
        for chunk in [1, 5, 9_000] {
            let body = format!("{{\"email\":{digits},\"b\":1}}");
            let expected = format!("{{\"email\":\"{number}\",\"b\":1}}");
            assert!(chunk < 9_000 || sent(&plan, "application/json", &body, chunk) == Ok(expected));
            let body = sent(&plan, "application/json", r#"{"email":"Zo\ud83d","b":1}"#, chunk);
            assert_eq!(body.as_deref(), Ok(format!("{{\"email\":\"{half}\",\"b\":1}}").as_str()));
        }
    }
    let hash = of(Treatment::Hash);
    let halves = [r"Zo\ud83d", r"Zo\ud83e", r"Zo\ude00", r"\ud83dZo", r"Zo\ud83d\ude00"].map(|text| made(&hash, text));
    assert_eq!(std::collections::BTreeSet::from(halves.clone()).len(), halves.len(), "each has a hash of its own");
    let long = |end: &str| made(&hash, &format!("{}{end}", "v".repeat(VALUE_BYTES_MAX)));
    assert_eq!(long(r"\uD83D\uDE00"), long("😀"), "a pair is the character, also in pieces");
    assert_ne!(long(r"\ud83d"), long(r"\ude00"));
    assert!(sent(&of(Treatment::Tokenize), "application/json", r#"{"email":"Zo\ud83d"}"#, 3).is_err());
    // What no rule treats passes as it came, also under detectors.
    let guard = Some(super::DetectRule::new(super::Detector::default(), super::DetectAction::Redact));
    let detects = plan(&Rules { detect: guard, ..Rules::default() });
    let body = r#"{"a":"Zo\ud83d","b":"\ud83d a@x.example"}"#;
    assert!(sent(&detects, "application/json", body, 3).is_err(), "a find beside half a pair cannot be written");
    let body = r#"{"a":"Zo\ud83d"}"#;
    assert_eq!(sent(&detects, "application/json", body, 3).as_deref(), Ok(body));
}
