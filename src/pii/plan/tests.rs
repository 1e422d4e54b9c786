//! What a plan reads, numbers and refuses.

use super::*;
use crate::pii::testing::{RecordingObserver, feed_chunks, path, plan};
use crate::pii::{Generalization, Rule, TokenClass, Treatment, ValueLocation};

fn rule(place: ValueLocation, treatment: Treatment, class: &str) -> Rule {
    Rule { location: place, treatment, class: TokenClass::from_name(class), only_type: None, category: None }
}

fn field(field: &str, treatment: Treatment) -> Rule {
    rule(ValueLocation::Field(path(field)), treatment, path(field).last_name().unwrap())
}

fn treats() -> Rules {
    let treat = vec![
        field("$..email", Treatment::Tokenize),
        field("$..ssn", Treatment::Drop),
        field("$..age", Treatment::Generalize(Generalization::Bucket(10.try_into().unwrap()))),
        rule(ValueLocation::Query("email".into()), Treatment::Tokenize, "email"),
    ];
    Rules { treat, records: Some(path("$.customers[*]")), ..Rules::default() }
}

fn run(plan: &Plan, content_type: &str, body: &str) -> (String, RecordingObserver) {
    let mut engine = plan.body_rewriter(Some(content_type), None).unwrap();
    let (out, seen, end) = feed_chunks(&mut *engine, RecordingObserver::default(), body.as_bytes().chunks(7));
    assert_eq!(end, Ok(()), "{body}");
    (String::from_utf8(out).unwrap(), seen)
}

const BODY: &str = r#"{"customers": [{"email":"a@b.example", "ssn":"123", "age": 47, "id": 1}, {"email": 7}]}"#;

#[test]
fn what_one_direction_tokenizes_the_other_reveals() {
    let (out, seen) = run(&plan(&treats()), "application/json", BODY);
    assert!(!out.contains("a@b") && !out.contains("ssn") && out.contains("\"age\": 40"), "{out}");
    assert_eq!((seen.records, seen.treated), (2, vec![0, 1, 2, 0]));
    let reveals = plan(&Rules { reveal: vec![path("$..email"), path("$.customers")], ..Rules::default() });
    let (back, seen) = run(&reveals, "application/problem+json; charset=UTF-8", &out);
    assert_eq!(back, BODY.replace("\"ssn\":\"123\", ", "").replace("47", "40"), "{out}");
    assert_eq!((reveals.reveal_counts().opened(), seen.treated), (2, vec![0, 0]));
}

#[test]
fn detectors_look_at_what_no_rule_selects_and_at_nothing_else() {
    let guard = |action| Some(DetectRule::new(crate::pii::Detector::default(), action));
    let body = r#"{"note":"mail b@c.example \u00e9","email":"a@b.example","n":[1,"\u0062@c.example",{"x":"no"}]}"#;
    let masked = plan(&Rules { detect: guard(crate::pii::DetectAction::Mask), ..treats() });
    let (out, seen) = run(&masked, "application/json", body);
    assert!(out.starts_with(r#"{"note":"mail *********** é","email":"tok1_"#), "{out}");
    assert!(out.ends_with(r#","n":[1,"***********",{"x":"no"}]}"#), "{out}");
    assert_eq!(seen.treated, vec![4, 0, 4]);
    let reports = plan(&Rules { detect: guard(crate::pii::DetectAction::Report), ..Rules::default() });
    let (out, seen) = run(&reports, "application/json", body);
    assert_eq!((out.as_str(), seen.treated), (body, vec![0, 0, 0]));
    assert!(
        plan(&Rules { detect: guard(crate::pii::DetectAction::Mask), ..treats() })
            .body_rewriter(Some("text/plain"), None)
            .is_err()
    );
}

#[test]
fn detectors_find_a_card_in_a_number_however_it_is_written() {
    let card =
        DetectRule::new(crate::pii::Detector::new([crate::pii::PiiKind::Card]), crate::pii::DetectAction::Redact);
    let plan = plan(&Rules { detect: Some(card), ..Rules::default() });
    for (body, expected) in [
        ("[4111111111111111]", "[\"[redacted]\"]"),
        ("{\"a\":4111111111111111 , \"b\":1}", "{\"a\":\"[redacted]\" , \"b\":1}"),
        (
            "[4.111111111111111e15,4111111111111111.0,4111111111111111e0]",
            "[\"[redacted]\",\"[redacted]\",\"[redacted]\"]",
        ),
        (
            "[41111111111111110e-1,-4111111111111111,4111111111111111.00E+0]",
            "[\"[redacted]\",\"[redacted]\",\"[redacted]\"]",
        ),
        ("[4111111111111112,1.5,1e400,0,-0.0,1E-7,12345678,4111111111111111.5]", ""),
        ("4111111111111111", "\"[redacted]\""),
    ] {
        let expected = if expected.is_empty() { body } else { expected };
        assert_eq!(run(&plan, "application/json", body).0, expected, "{body}");
    }
}

#[test]
fn equal_values_have_equal_tokens_in_every_format() {
    let plan = plan(&treats());
    let (json, _) = run(&plan, "application/json", r#"{"email":"a\u0040b.example"}"#);
    let token = json.split('"').nth(3).unwrap().to_owned();
    let (form, _) = run(&plan, "application/x-www-form-urlencoded", "email=a%40b.example&x=1");
    assert_eq!(form, format!("email={token}&x=1"));
    let mut seen = RecordingObserver::default();
    let query = plan.head_rewriter(&mut seen).query("email=a@b.example").unwrap().into_owned();
    assert_eq!((query, seen.treated), (format!("email={token}"), vec![3]));
}

#[test]
fn a_body_that_no_engine_reads_is_refused() {
    let plan = plan(&treats());
    let opaque = |content_type, encoding| {
        matches!(plan.body_rewriter(content_type, encoding), Err(crate::pii::RewriteError::Opaque { .. }))
    };
    assert!(opaque(None, None));
    assert!(opaque(Some("application/octet-stream"), None));
    assert!(opaque(Some("application/json; charset=utf-16"), None));
    assert!(opaque(Some("application/json"), Some("gzip, br")));
    assert!(!opaque(Some("application/json"), Some("gzip")) && !opaque(Some("application/json"), None));
}

#[test]
fn a_body_passes_where_no_rule_reads_it() {
    let head = Rules { treat: treats().treat.split_off(3), ..Rules::default() };
    let plan = plan(&head);
    assert!(!plan.reads_body() && plan.reads_head());
    assert_eq!(run(&plan, "image/png", "not an image").0, "not an image");
}

#[test]
fn rules_are_named_in_the_order_of_their_numbers() {
    let rules = Rules { reveal: vec![path("$.id")], ..treats() };
    let named: Vec<_> =
        plan(&rules).rules().iter().map(|rule| format!("{} {}", rule.treatment.as_str(), rule.location)).collect();
    let expected = ["tokenize $..email", "drop $..ssn", "generalize $..age", "tokenize query:email", "reveal $.id"];
    assert_eq!(named, expected);
}
