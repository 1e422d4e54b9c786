//! What forms in parts must do, as data; and the laws of every engine.

use super::*;
use crate::bounds::VALUE_BYTES_MAX;
use crate::pii::Rules;
use crate::pii::json::{JsonRewriter, MatcherSpec};
use crate::pii::lines::DocumentRules;
use crate::pii::testing::{self, MarkingTransform, marked};
use proptest::prelude::*;

fn make(
    rules: &Rules,
    transform: Arc<dyn Transform>,
    files: FileHandling,
) -> impl Fn() -> MultipartRewriter<JsonRewriter> + use<> {
    let documents = DocumentRules::of_fields(&MatcherSpec::of(rules), &*transform).unwrap();
    let fields = Arc::new(FieldRules::tree(rules));
    move || documents.parts("B", Arc::clone(&fields), Arc::clone(&transform), files).unwrap()
}

fn email() -> impl Fn() -> MultipartRewriter<JsonRewriter> + use<> {
    make(&testing::rules(&["$..email"]), MarkingTransform::shared(), FileHandling::Refuse)
}

fn part(name: &str, more: &str, body: &str) -> String {
    format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n{body}\r\n")
}

const JSON: &str = "\r\nContent-Type: application/json";
const FILE: &str = "; filename=\"x\"\r\nContent-Type: image/png";
const END: &str = "--B--\r\n";

#[test]
fn fields_are_treated_by_name_and_json_by_path() {
    let seal = marked(0, b"b@x");
    for (name, more, body, expected) in [
        ("email", "", "b@x", seal.as_str()),
        ("customer[email]", "", "b@x", &seal),
        ("e%6Dail", "", "b@x", &seal),
        ("Email", "\r\nContent-Type: text/plain; charset=utf-8", "b@x", &seal),
        ("x", "", "b@x", "b@x"),
        ("x", "", "", ""),
        ("x", "", "a\r\n--\r\n\r\r\n\n-B--B\r", "a\r\n--\r\n\r\r\n\n-B--B\r"),
        ("x", "", "-\u{e9}", "-\u{e9}"),
        ("x", "\r\nContent-Length: 3", "b@x", "b@x"),
        ("x", JSON, "{\"a\": {\"email\":\"b@x\"}}", &format!("{{\"a\": {{\"email\":\"{seal}\"}}}}")),
    ] {
        let form = |text: &str| part("a", "", "1") + &part(name, more, text) + END;
        assert_eq!(testing::output_text(email(), &form(body)), form(expected));
    }
    for (more, bare) in [
        (JSON, "\r\nContent-Type: application/json; charset=utf-8"),
        (FILE, "; filename=\"file\"\r\nContent-Type: image/png"),
        (
            "; filename=\"b@x\"\r\nX: b@x\r\nContent-Type: image/png; name=\"b@x\"",
            "; filename=\"file\"\r\nContent-Type: image/png",
        ),
    ] {
        let body = part("email", more, "{\"any\":\"b@x\"}") + END;
        assert_eq!(
            testing::output_text(email(), &body),
            part("email", bare, "[redacted]") + END,
            "other fields of the header are dropped too"
        );
    }
    let long = part("email", "\r\nContent-Length: 3", "b@x") + END;
    assert_eq!(
        testing::output_text(email(), &long),
        part("email", "", &seal) + END,
        "a length that no longer holds goes"
    );
    assert_eq!(testing::output_text(email(), "--B--"), "--B--");
}

#[test]
fn files_are_refused_unless_they_are_allowed() {
    let body = part("x", FILE, "\u{0}b@x") + END;
    assert_eq!(testing::error_of(email(), body.as_bytes()), RewriteError::Opaque { what: "a file in a form" });
    let pass = || make(&testing::rules(&["$..email"]), MarkingTransform::shared(), FileHandling::Pass);
    assert_eq!(testing::output_text(pass(), &body), body);
    let bytes = [part("x", FILE, "").trim_end().as_bytes(), b"\r\n\r\n\xff\0\xfe\r\n--B--"].concat();
    assert_eq!(testing::feed_at_every_split(pass(), &bytes).0, bytes);
}

#[test]
fn dropped_parts_take_their_boundary_along() {
    let drop = || make(&testing::rules(&["$.email"]), MarkingTransform::dropping(0), FileHandling::Refuse);
    let (a, b, dropped) = (part("a", "", "1"), part("b", "", "2"), part("email", FILE, "x"));
    for parts in [[&dropped, &a, &b], [&a, &dropped, &b], [&a, &b, &dropped]] {
        let body = parts.map(String::as_str).concat() + END;
        assert_eq!(testing::output_text(drop(), &body), format!("{a}{b}{END}"));
    }
    assert_eq!(testing::output_text(drop(), &format!("{dropped}{END}")), END);
    let only = make(&testing::allow_list(&["$.a"]), MarkingTransform::shared(), FileHandling::Refuse);
    assert_eq!(testing::output_text(only, &format!("{a}{dropped}{b}{END}")), format!("{a}{END}"));
    let only = make(&testing::allow_list(&["$.j"]), MarkingTransform::shared(), FileHandling::Refuse);
    let json = |more: &str| part("j", &format!("{more}{JSON}"), "{\"a\":[1.0]}") + END;
    let bare = json("").replace("/json", "/json; charset=utf-8");
    assert_eq!(
        testing::output_text(only, &json("; x=\"canary\"\r\nX: canary")),
        bare,
        "what may pass passes whole, and nothing beside"
    );
}

#[test]
fn detectors_look_at_the_header_of_a_part() {
    let guard = crate::pii::DetectRule::new(crate::pii::Detector::default(), crate::pii::DetectAction::Redact);
    let plan = testing::plan(&Rules { detect: Some(guard), files: FileHandling::Pass, ..Rules::default() });
    let make = || plan.body_rewriter(Some("multipart/form-data; boundary=B"), None).unwrap();
    for (name, more, to_name, to_more) in [
        (
            "a",
            "; filename=\"b@x.org.png\"\r\nContent-Type: image/png",
            "a",
            "; filename=\"[redacted]\"\r\nContent-Type: image/png",
        ),
        ("b@x.org", "", "[redacted]", ""),
        ("b%40x.org", "", "[redacted]", ""),
        ("a", "; filename*=utf-8''b%40x.org", "a", "; filename=\"[redacted]\""),
        ("a", "\r\nX: to b@x.org!", "a", "\r\nX: to [redacted]!"),
        ("a", "; filename=x\r\nX: y", "a", "; filename=x\r\nX: y"),
    ] {
        let body = part(name, more, "b@x.org") + END;
        let value = if more.contains("filename") { "b@x.org" } else { "[redacted]" };
        assert_eq!(testing::output_text(make, &body), part(to_name, to_more, value) + END, "files pass unread");
    }
}

#[test]
fn boundaries_that_only_some_parsers_see_are_refused() {
    let head = "--B\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n";
    for body in [
        "",
        "\r\n--B--",
        "preamble\r\n--B--",
        "--C--",
        "--B",
        "--B\r\n\r\n\r\n--B--",
        "--B \r\n",
        "--Bx",
        "--B--x",
        &format!("{head}a\n--B--"),
        &format!("{head}--B--"),
        &format!("{head}a\r\n--Bx"),
        &format!("{head}a\r\n--B-x"),
        &format!("{head}a\r\n--B\n"),
        &format!("{head}a"),
        &format!("{head}a\r\n--B"),
        &format!("{head}a\0\r\n--B--"),
        &(part("x", JSON, "{]") + END),
        &(part("x", JSON, "") + END),
    ] {
        assert!(matches!(testing::error_of(email(), body.as_bytes()), RewriteError::Malformed { .. }), "{body:?}");
    }
    for (prefix, tail) in [(&b""[..], &b"\xff"[..]), (b"", b"\xc3"), (b"a", b"\xe2\x82")] {
        let body = [head.as_bytes(), prefix, tail, b"\r\n--B--"].concat();
        assert!(matches!(testing::error_of(email(), &body), RewriteError::Malformed { .. }));
    }
    let transform = MarkingTransform::ending("\r\n--B");
    let body = part("email", "", "x") + END;
    let stop = testing::error_of(make(&testing::rules(&["$.email"]), transform, FileHandling::Refuse), body.as_bytes());
    assert!(matches!(stop, RewriteError::Untreatable { .. }));
}

#[test]
fn a_boundary_must_be_one() {
    let transform = MarkingTransform::shared();
    let documents = DocumentRules::of_fields(&MatcherSpec::default(), &*transform).unwrap();
    for (boundary, good) in
        [("", false), ("a b", true), ("a ", false), ("a\r", false), (&"x".repeat(70), true), (&"x".repeat(71), false)]
    {
        let made = documents.parts(boundary, Arc::default(), Arc::clone(&transform), FileHandling::Refuse);
        assert_eq!(made.is_ok(), good, "{boundary:?}");
    }
}

#[test]
fn a_header_and_a_value_over_their_bounds_are_refused() {
    let bound = |body: String| matches!(testing::error_of(email(), body.as_bytes()), RewriteError::Bound { .. });
    assert!(bound(part("x", &format!("\r\nX: {}", "y".repeat(PART_HEAD_BYTES_MAX)), "") + END));
    assert!(bound(part("email", "", &"y".repeat(VALUE_BYTES_MAX + 1)) + END));
    let long = part("x", "", &"y\r".repeat(VALUE_BYTES_MAX)) + END;
    assert_eq!(testing::output_text(email(), &long), long);
}

#[test]
fn a_form_is_one_record_and_names_its_subject() {
    let rules = Rules {
        records: Some(testing::path("$[*]")),
        subject: Some(testing::path("$.id")),
        ..testing::rules(&["$.id"])
    };
    let body = part("id", "", "7") + &part("x", "", "7") + END;
    let (_, seen, _) =
        testing::feed_at_every_split(make(&rules, MarkingTransform::shared(), FileHandling::Refuse), body.as_bytes());
    assert_eq!((seen.records, seen.treated, seen.subjects), (1, vec![0], vec!["7".to_owned()]));
}

#[test]
fn no_piece_of_a_selected_value_leaves_a_truncated_form() {
    let secret = "canary-0123456789";
    let body = part("email", "", secret)
        + &part("j", JSON, &format!("{{\"email\":\"{secret}\"}}"))
        + &part("email", FILE, secret)
        + END;
    testing::assert_no_leak(email(), body.as_bytes(), secret);
}

proptest! {
    #[test]
    fn the_meaning_is_that_of_a_whole_buffer_reference(
        parts in prop::collection::vec(("(email|a|b)", "[a\r\n\u{e9}-]{0,8}"), 0..5),
    ) {
        let form = |seals: bool| parts.iter().map(|(name, text)| {
            let text = if seals && name == "email" { marked(0, text.as_bytes()) } else { text.clone() };
            part(name, "", &text)
        }).collect::<String>() + END;
        prop_assert_eq!(testing::output_text(email(), &form(false)), form(true));
    }

    #[test]
    fn random_bytes_never_panic_and_splits_never_matter(
        noise in "(--B|\r\n|Content-Disposition: form-data; name=email|Content-Type: application/json|--|[{}\":;=\r\n\u{e9}a-]){0,20}",
        tail in prop::collection::vec(any::<u8>(), 0..3),
    ) {
        for start in ["", "--B\r\nContent-Disposition: form-data; name=x\r\n", "--B\r\nContent-Disposition: form-data; name=email\r\n\r\nv"] {
            let (_, _, end) = testing::feed_at_every_split(email(), &[start.as_bytes(), noise.as_bytes(), &tail].concat());
            prop_assert!(end.is_err() || noise.contains("--B") || start.is_empty());
        }
    }
}
