//! What forms must do, as data; and the laws of every engine.

use super::*;
use crate::pii::testing::{self, MarkingTransform, marked};
use proptest::prelude::*;

fn form(rules: &crate::pii::Rules, transform: Arc<dyn Transform>) -> impl Fn() -> FormRewriter + use<> {
    let fields = Arc::new(FieldRules::tree(rules));
    move || FormRewriter::new(Arc::clone(&fields), Arc::clone(&transform))
}

fn email() -> impl Fn() -> FormRewriter + use<> {
    form(&testing::rules(&["$..email"]), MarkingTransform::shared())
}

/// How `~0…`, the sealed value, looks in a form.
fn coded(text: &str) -> String {
    marked(0, text.as_bytes()).replace('~', "%7E")
}

#[test]
fn selected_values_are_treated_under_every_spelling_of_their_name() {
    let token = coded("bob@x.org");
    for (body, expected) in [
        ("email=bob@x.org", format!("email={token}")),
        ("email=bob%40x.org&a=1", format!("email={token}&a=1")),
        ("a=%7e&%65mail=%62ob%40x.org", format!("a=%7e&%65mail={token}")),
        ("EMAIL=bob@x.org", format!("EMAIL={token}")),
        ("email=bob@x.org&email=bob@x.org", format!("email={token}&email={token}")),
        ("customer[email]=bob@x.org", format!("customer[email]={token}")),
        ("customer%5Bemail%5d=bob@x.org", format!("customer%5Bemail%5d={token}")),
        ("email[]=bob@x.org&&=&x", format!("email[]={token}&&=&x")),
        ("email=b+c&b=b+c", format!("email={}&b=b+c", coded("b c"))),
        ("email=a=b", format!("email={}", coded("a=b"))),
        ("a=1&email", "a=1&email".to_owned()),
        ("", String::new()),
        ("&", "&".to_owned()),
        ("gr%C3%B6%C3%9Fe=%e2%82%ac&x=\u{20ac}", "gr%C3%B6%C3%9Fe=%e2%82%ac&x=\u{20ac}".to_owned()),
    ] {
        assert_eq!(testing::output_text(email(), body), expected);
    }
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    for body in [
        &b"a=%"[..],
        b"a=%4",
        b"a=%4&b=1",
        b"a=%zz",
        b"%=1",
        b"email=%4x",
        b"a=%00",
        b"a=\0",
        b"email=%00",
        b"%00=1",
        b"a=%ff",
        b"a=\xc3",
        b"a=%c3&b=1",
        b"email=%c3",
        b"\xff=1",
        b"a=1;email=bob@x.org",
        b"email=x;bob@x.org",
        b"a;b=1",
        b"%2565mail=bob@x.org",
    ] {
        assert!(matches!(testing::error_of(email(), body), RewriteError::Malformed { .. }));
    }
}

/// Bodies that are declared as forms and are of other formats.
const OTHER_FORMATS: [&str; 24] = [
    r#"{"email":"canary@x.example"}"#,
    r#" {"email":"canary@x.example"}"#,
    r#"["canary@x.example"]"#,
    r#"[1,2]"#,
    r#"[["email","canary=x"]]"#,
    r#""canary@x.example""#,
    r#"{"url":"https://x/?a=b&c=d","email":"canary@x.example"}"#,
    "%7B%22email%22%3A%22canary%40x.example%22%7D=",
    "%5B%7B%22email%22%3A%22canary%40x.example%22%7D%5D",
    "4111111111111111",
    "canary-0123456789",
    "<a email=\"canary@x.example\"/>",
    "<?xml version=\"1.0\"?><email>canary@x.example</email>",
    "\u{feff}a=1",
    "id,email\n1,canary@x.example\n",
    "id,a=b,canary@x.example",
    "id\temail\n1\tcanary@x.example\n",
    "x=1\nemail=canary@x.example\n",
    "user=jane email=canary@x.example",
    "email: canary@x.example",
    "data: a=1\n\n",
    "--b\r\nContent-Disposition: form-data; name=\"email\"\r\n\r\ncanary@x.example\r\n--b--",
    "Dear Jane, a=b",
    "mutation{f(email:1)}",
];

#[test]
fn a_body_of_another_format_is_refused_as_such() {
    for body in OTHER_FORMATS {
        for rules in [testing::rules(&["$..email"]), testing::allow_list(&["$.id"])] {
            let (out, _, end) = testing::feed_at_every_split(form(&rules, MarkingTransform::shared()), body.as_bytes());
            assert!(
                matches!(&end, Err(RewriteError::Malformed { what, .. }) if what.contains("form") || what.contains(';')),
                "{body}: {end:?}"
            );
            assert_eq!(memchr::memmem::find(&out, b"canary"), None, "{body}");
        }
    }
    for body in [
        "payload={\"text\":\"<b>a, b</b>\"}",
        "name=Jane Doe&x=1",
        "a.b-c_d~e!$'()*:@/?|^=1",
        "sig=YWI==&u=http://x/?a=b",
        "a=1&flag&b",
        "&a=1",
        "=&a",
        "gr\u{f6}\u{df}e=\u{20ac}",
        "a%20b=1",
    ] {
        assert_eq!(testing::output_text(email(), body), body);
    }
}

#[test]
fn detectors_find_personal_data_in_names_too() {
    let guard = crate::pii::DetectRule::new(crate::pii::Detector::default(), crate::pii::DetectAction::Redact);
    let plan = testing::plan(&crate::pii::Rules { detect: Some(guard), ..Default::default() });
    let make = || plan.body_rewriter(Some("application/x-www-form-urlencoded"), None).unwrap();
    let (out, seen, end) = testing::feed_at_every_split(make, b"a=1&b%40x.org=2&c@x.org&d=e@x.org");
    let expected = "a=1&%5Bredacted%5D=2&%5Bredacted%5D&d=%5Bredacted%5D";
    assert_eq!((String::from_utf8(out).unwrap().as_str(), seen.treated.len(), end), (expected, 3, Ok(())));
}

#[test]
fn a_refused_treatment_lets_nothing_of_the_value_leave() {
    let (out, _, end) = testing::feed_at_every_split(email(), b"a=1&email=untreatable&b=2");
    assert_eq!(
        (out.as_slice(), end),
        (&b"a=1&email="[..], Err(RewriteError::Untreatable { what: "the word says so" }))
    );
}

#[test]
fn a_dropped_pair_leaves_no_ampersand_behind() {
    for (body, expected) in [
        ("email=1&a=2", "a=2"),
        ("a=2&email=1", "a=2"),
        ("a=2&email=1&b=3", "a=2&b=3"),
        ("email=1&email", ""),
        ("a=&email=1&&", "a=&&"),
    ] {
        assert_eq!(
            testing::output_text(form(&testing::rules(&["$..email"]), MarkingTransform::dropping(0)), body),
            expected
        );
    }
    let only = form(&testing::allow_list(&["$.id", "$.to[*].zip"]), MarkingTransform::shared());
    assert_eq!(testing::output_text(only, "id=1&ID=2&x=%20&to[0][zip]=3&to[0][name]=4"), "id=1&to[0][zip]=3");
}

#[test]
fn a_name_and_a_value_over_their_bounds_are_refused() {
    let long = |prefix: &str, len: usize| [prefix.as_bytes(), &vec![b'x'; len]].concat();
    let bound = |body: &[u8]| matches!(testing::error_of(email(), body), RewriteError::Bound { .. });
    assert!(bound(&long("", 3 * KEY_BYTES_MAX + 1)));
    assert!(bound(&long("email=", VALUE_BYTES_MAX + 1)));
    assert!(bound(&long("email=", 3 * VALUE_BYTES_MAX + 1)));
    assert_eq!(testing::feed_at_every_split(email(), &long("a=", 4 * VALUE_BYTES_MAX)).2, Ok(()));
    assert_eq!(testing::feed_at_every_split(email(), &long("email=", VALUE_BYTES_MAX)).2, Ok(()));
}

#[test]
fn a_form_is_one_record_and_its_subject_is_reported() {
    let rules = crate::pii::Rules {
        records: Some(testing::path("$")),
        subject: Some(testing::path("$.id")),
        ..testing::rules(&["$.email"])
    };
    let make = form(&rules, MarkingTransform::shared());
    let (out, seen, _) = testing::feed_at_every_split(&make, b"id=a%20b&email=x");
    assert_eq!(String::from_utf8_lossy(&out), format!("id=a%20b&email={}", coded("x")));
    assert_eq!((seen.records, seen.treated, seen.subjects), (1, vec![0], vec!["a b".to_owned()]));
    let seen = testing::RecordingObserver { budget: Some(0), ..testing::RecordingObserver::default() };
    assert_eq!(
        testing::feed_chunks(&mut make(), seen, [&b"id=1"[..]]),
        (
            vec![],
            testing::RecordingObserver { budget: Some(0), ..Default::default() },
            Err(RewriteError::RecordBudgetSpent)
        )
    );
}

#[test]
fn no_piece_of_a_selected_value_leaves_a_truncated_form() {
    testing::assert_no_leak(
        email(),
        b"a=1&email=canary-0123456789&b=2&c[email]=canary-0123456789",
        "canary-0123456789",
    );
}

proptest! {
    /// Decoding what left gives what a tree of decoded pairs gives.
    #[test]
    fn the_meaning_is_that_of_a_whole_buffer_reference(
        pairs in prop::collection::vec(("(email|e%6Dail|a|[a-z]{1,3}|x\\[email\\])", "[ -~\u{e9}]{0,12}"), 0..6),
    ) {
        let spell = |text: &str| { let mut out = Vec::new(); encode(text.as_bytes(), &mut out); String::from_utf8(out).unwrap() };
        let body: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", spell(value))).collect();
        let out = testing::output_text(email(), &body.join("&"));
        let expected: Vec<(String, String)> = pairs.iter().map(|(name, value)| {
            let selected = matches!(name.as_str(), "email" | "e%6Dail" | "x[email]");
            (name.clone(), if selected { marked(0, value.as_bytes()) } else { value.clone() })
        }).collect();
        let mut text = Vec::new();
        let got: Vec<(String, String)> = out.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap();
            (name.to_owned(), decode(value.as_bytes(), 0, &mut text).unwrap().to_owned())
        }).collect();
        prop_assert_eq!(got, expected);
    }

    #[test]
    fn random_bytes_never_panic_and_splits_never_matter(body in "a=[a-c=&%;+\\[\\]0-9\u{e9}]{0,40}", tail in prop::collection::vec(any::<u8>(), 0..4)) {
        let (_, _, end) = testing::feed_at_every_split(email(), &[body.as_bytes(), &tail].concat());
        prop_assert!(end.is_ok() || !tail.is_empty() || body.contains(['%', ';', '[']));
    }
}
