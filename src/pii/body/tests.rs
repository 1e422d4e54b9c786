//! What every format must do, as tables of formats, of places in them, and of pairs of formats.

use super::*;
use crate::pii::Rules;
use crate::pii::testing::{self, MarkingTransform, RecordingObserver};
use std::io::Write;

const SECRET: &str = "canary-0123456789";

/// Every format, with the secret in every place that the rule selects.
const BODIES: [(&str, &str); 12] = [
    ("application/json; charset=utf-8", r#"[{"email":"SECRET","a":{"e\u006dail":["SECRET"]}}]"#),
    ("application/problem+json", r#"{"email":{"any":"SECRET"}}"#),
    ("application/x-www-form-urlencoded", "a=1&email=SECRET&c%5Be%6Dail%5D=SECRET&Email[]=SECRET"),
    ("application/x-ndjson", "{\"email\":\"SECRET\"}\n\n{\"email\":\"SECRET\"}\n"),
    ("application/json-seq", "\u{1e}{\"email\":\"SECRET\"}\n\u{1e}[{\"email\":\"SECRET\"}]\n"),
    ("text/event-stream", ": x\ndata: {\"email\":\ndata: \"SECRET\"}\nid: 1\n\n"),
    ("text/csv; header=present", "id,Email\r\n1,SECRET\r\n2,\"SECRET\"\r\n"),
    ("text/tab-separated-values", "email\tid\nSECRET\t1\n"),
    (
        "multipart/form-data; boundary=\"b c\"",
        "--b c\r\nContent-Disposition: form-data; name=\"email\"\r\n\r\nSECRET\r\n--b c\r\nContent-Disposition: form-data; \
         name=\"j\"\r\nContent-Type: application/json\r\n\r\n{\"email\":\"SECRET\"}\r\n--b c--",
    ),
    ("application/xml", "<c email='SECRET'><email>SECRET</email><email><a>SECRET</a></email></c>"),
    ("application/soap+xml", "<c><x:email>SEC<!-- SECRET -->RET</x:email></c>"),
    ("text/xml", "<c><email><![CDATA[SECRET]]></email></c>"),
];

fn engines(rules: &Rules) -> Engines {
    Engines::compile(rules, &MatcherSpec::of(rules), MarkingTransform::shared()).expect("rules")
}

fn body(engines: &Engines, content_type: &str) -> RewriteResult<Box<dyn Rewriter>> {
    engines.engine_for(&MediaType::parse(content_type)?)
}

#[test]
fn no_format_lets_a_piece_of_a_selected_value_leave() {
    let engines = engines(&testing::rules(&["$..email"]));
    for (content_type, text) in BODIES {
        let text = text.replace("SECRET", SECRET).replace("SEC<!", "canary-0123<!").replace(">RET<", ">456789<");
        let (out, seen, end) =
            testing::feed_at_every_split(|| body(&engines, content_type).expect(content_type), text.as_bytes());
        assert_eq!((end, seen.treated.is_empty()), (Ok(()), false), "{content_type}");
        assert!(!out.is_empty());
        testing::assert_no_leak(|| body(&engines, content_type).expect(content_type), text.as_bytes(), "canary-0123");
    }
}

#[test]
fn every_format_is_read_in_a_content_coding_too() {
    let engines = engines(&testing::rules(&["$..email"]));
    for (content_type, text) in BODIES {
        let text = text.replace("SECRET", SECRET);
        let (plain, ..) =
            testing::feed_at_every_split(|| body(&engines, content_type).expect(content_type), text.as_bytes());
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        let coded = gzip.write_all(text.as_bytes()).and_then(|()| gzip.finish()).expect("in memory");
        let engine = body(&engines, content_type).expect(content_type);
        let mut decoding =
            crate::pii::encoding::DecodingRewriter::new(crate::pii::encoding::ContentCoding::Gzip, engine);
        let (out, _, end) = testing::feed_chunks(&mut decoding, RecordingObserver::default(), coded.chunks(5));
        assert_eq!((out, end), (plain, Ok(())), "{content_type}");
    }
}

#[test]
fn no_format_lets_a_value_pass_that_is_not_on_the_allow_list() {
    let engines = engines(&testing::allow_list(&["$..id"]));
    for (content_type, text) in BODIES {
        let text = text.replace("SECRET", SECRET);
        let (out, _, end) =
            testing::feed_at_every_split(|| body(&engines, content_type).expect(content_type), text.as_bytes());
        assert_eq!(end, Ok(()), "{content_type}");
        assert_eq!(memchr::memmem::find(&out, b"canary"), None, "{}", String::from_utf8_lossy(&out));
    }
}

#[test]
fn detectors_read_every_format_and_plain_text() {
    let mail = "canary-0123456789@example.com";
    let detect_rule = DetectRule::new(crate::pii::Detector::default(), crate::pii::DetectAction::Redact);
    let plan = testing::plan(&Rules { detect: Some(detect_rule), ..Rules::default() });
    let text = ("text/plain", "Dear SECRET,");
    for (content_type, text) in BODIES.into_iter().chain([text, ("text/event-stream", "data: hi SECRET\n\n")]) {
        let text = text.replace("SECRET", &format!("to {mail}!"));
        let text = text.replace("=to ", "=to+");
        let make = || plan.body_rewriter(Some(content_type), None).expect(content_type);
        let (out, seen, end) = testing::feed_at_every_split(make, text.as_bytes());
        assert_eq!(end, Ok(()), "{content_type}");
        assert!(seen.treated.iter().all(|rule| *rule == 0) && !seen.treated.is_empty(), "{content_type}");
        assert_eq!(memchr::memmem::find(&out, b"canary"), None, "{}", String::from_utf8_lossy(&out));
        assert!(memchr::memmem::find(&out, b"redacted").is_some(), "{}", String::from_utf8_lossy(&out));
    }
}

#[test]
fn a_body_that_no_engine_reads_is_refused() {
    let engines = engines(&testing::rules(&["$..email"]));
    for content_type in [
        "text/plain",
        "application/octet-stream",
        "multipart/form-data",
        "multipart/mixed; boundary=b",
        "multipart/byteranges; boundary=b",
        "text/csv; header=absent",
        "text/csv; charset=latin1",
        "application/xmlx",
    ] {
        assert!(matches!(body(&engines, content_type), Err(RewriteError::Opaque { .. })), "{content_type}");
    }
    let long = format!("multipart/form-data; boundary={}", "b".repeat(71));
    assert!(body(&engines, &long).is_err());
}

/// Bodies of all formats, some in more than one shape: what is really sent, whatever its content type says.
fn real_bodies() -> Vec<String> {
    let mut bodies: Vec<String> = BODIES.iter().map(|(_, text)| (*text).to_owned()).collect();
    bodies.extend(
        [
            r#"{"email":"SECRET"}"#,
            r#"{"url":"https://x/?a=b&c=d;e","email":"SECRET"}"#,
            "{\n  \"id\": 1,\n  \"email\": \"SECRET\"\n}\n",
            "\u{feff}{\"email\":\"SECRET\"}",
            "{\"email\":\"SECRET\"}\n{\"email\":\"SECRET\"}\n",
            "id=1&email=SECRET",
            "email=SECRET\n",
            "id,email\n1,SECRET\n",
            "email\nSECRET\n",
            "id;email\n1;SECRET\n",
            "sep=;\nid;email\n1;SECRET\n",
            "Customers\nid,email\n1,SECRET\n",
            "id\temail\n1\tSECRET\n",
            "id|email\n1|SECRET\n",
            "data: {\"email\":\"SECRET\"}\n\n",
            "data: <email>SECRET</email>\n\n",
            "data: email=SECRET\n\n",
            "<email>SECRET</email>",
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<c email=\"SECRET\"/>",
            "email: SECRET\n",
            "id=1 email=SECRET",
            "user=1&to=x email=SECRET",
            "{user(email: \"SECRET\") {id}}",
        ]
        .map(str::to_owned),
    );
    bodies
}

/// The content types under which each of them is sent.
const DECLARED: [&str; 12] = [
    "application/json",
    "application/vnd.api+json",
    "application/x-www-form-urlencoded",
    "application/x-ndjson",
    "application/json-seq",
    "text/event-stream",
    "text/csv",
    "text/tab-separated-values",
    "multipart/form-data; boundary=b",
    "multipart/form-data; boundary=\"b c\"",
    "application/xml",
    "text/plain",
];

#[test]
fn a_body_of_one_format_declared_as_another_lets_no_treated_value_leave() {
    let detect_rule = || DetectRule::new(crate::pii::Detector::default(), crate::pii::DetectAction::Redact);
    let detect = |rules: Rules| Rules { detect: Some(detect_rule()), ..rules };
    let of_rules = |make: fn(&[&str]) -> Rules, path: &str| make(&[path]);
    let plans: Vec<(&str, crate::pii::Plan)> = [
        ("any depth", of_rules(testing::rules, "$..email")),
        ("any depth, detectors", detect(of_rules(testing::rules, "$..email"))),
        ("only", of_rules(testing::allow_list, "$..id")),
        ("only, detectors", detect(of_rules(testing::allow_list, "$..id"))),
        ("detectors", detect(Rules::default())),
    ]
    .map(|(name, rules)| (name, testing::plan(&rules)))
    .into();
    let optional = crate::pii::BodySettings { delimiter: Some(b';'), ..Default::default() };
    let semicolons = testing::plan(&Rules { body_settings: optional, ..testing::rules(&["$..email"]) });
    let plans = plans.iter().map(|(name, plan)| (*name, plan)).chain([("semicolons", &semicolons)]);
    let mail = "canary-0123456789@example.com";
    let mut passed = 0;
    for (rules, plan) in plans {
        for text in real_bodies() {
            let text = text.replace("SECRET", mail);
            for declared in DECLARED {
                let Ok(mut engine) = plan.body_rewriter(Some(declared), None) else { continue };
                let (out, _, end) =
                    testing::feed_chunks(&mut engine, RecordingObserver::default(), text.as_bytes().chunks(5));
                let left = memchr::memmem::find(&out, b"canary").is_some();
                assert!(!left, "{rules}: {text:?} as {declared} left as {:?}", String::from_utf8_lossy(&out));
                passed += usize::from(end.is_ok());
            }
        }
    }
    assert!(passed > 60, "most of what is what it says passes, treated: {passed}");
}

/// Every format, with a secret in every place that no rule can select.
const PLACES: [(&str, &str); 29] = [
    ("application/json", "{\"x\":\"SECRET\",\"id\":1}"),
    ("application/json", "\"SECRET\""),
    ("application/json", "[\"SECRET\",[\"SECRET\"]]"),
    ("application/x-www-form-urlencoded", "id=1&SECRET=1"),
    ("application/x-www-form-urlencoded", "id=1&SECRET"),
    ("application/x-www-form-urlencoded", "id=1&x=SECRET"),
    ("application/x-ndjson", "\"SECRET\"\n{\"id\":1}\n"),
    ("application/json-seq", "\u{1e}[\"SECRET\"]\n"),
    ("text/event-stream", ": SECRET\ndata: {\"id\":1}\n\n"),
    ("text/event-stream", "data: {\"id\":1}\n: SECRET\n\n"),
    ("text/event-stream", "event: SECRET\ndata: {\"id\":1}\n\n"),
    ("text/event-stream", "id: SECRET\n\n"),
    ("text/event-stream", "retry: SECRET\n\n"),
    ("text/event-stream", "SECRET: 1\n\n"),
    ("text/event-stream", "data: SECRET\n\n"),
    ("text/event-stream", "data: \"SECRET\"\n\n"),
    ("text/csv", "1,SECRET\n2,x\n"),
    ("text/csv", "SECRET\n"),
    ("text/csv", "id,SECRET\n2,x\n"),
    ("text/tab-separated-values", "1\tSECRET\n"),
    ("multipart/form-data; boundary=b", "SECRET\r\n--b--"),
    ("multipart/form-data; boundary=b", "--b--\r\nSECRET"),
    ("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"SECRET\"\r\n\r\n1\r\n--b--"),
    (
        "multipart/form-data; boundary=b",
        "--b\r\nContent-Disposition: form-data; name=\"id\"; filename=\"SECRET\"\r\nX: SECRET\r\n\r\n1\r\n--b--",
    ),
    (
        "multipart/form-data; boundary=b",
        "--b\r\nContent-Disposition: form-data; name=\"id\"\r\nX: SECRET\r\nContent-Type: text/plain; x=\"SECRET\"\r\n\r\n1\r\n--b--",
    ),
    ("application/xml", "<!-- SECRET --><c><id>1</id><!-- SECRET --></c><!-- SECRET -->"),
    ("application/xml", "<?p SECRET?><c a='SECRET' xmlnsa='SECRET'>SECRET<b>SECRET</b><id>1</id></c>"),
    ("application/xml", "<!DOCTYPE c [<!ENTITY a 'SECRET'>]><c/>"),
    ("text/plain", "SECRET"),
];

#[test]
fn no_place_of_any_format_escapes_the_allow_list_and_the_detectors() {
    let detect_rule = DetectRule::new(crate::pii::Detector::default(), crate::pii::DetectAction::Mask);
    let only = Rules { files: FileHandling::Pass, ..testing::allow_list(&["$..id"]) };
    let rules = [only, Rules { detect: Some(detect_rule), files: FileHandling::Pass, ..Rules::default() }];
    for plan in rules.map(|rules| testing::plan(&rules)) {
        for (declared, text) in PLACES {
            let text = text.replace("SECRET", "canary-0123456789@example.com");
            let Ok(probe) = plan.body_rewriter(Some(declared), None) else { continue };
            drop(probe);
            let (out, ..) = testing::feed_at_every_split(
                || plan.body_rewriter(Some(declared), None).expect(declared),
                text.as_bytes(),
            );
            assert_eq!(memchr::memmem::find(&out, b"canary"), None, "{text} left as {}", String::from_utf8_lossy(&out));
        }
    }
}

#[test]
fn the_format_of_the_settings_takes_precedence_over_the_content_type() {
    let rules = |format| {
        let reading = crate::pii::BodySettings { format: Some(format), ..Default::default() };
        testing::plan(&Rules { body_settings: reading, ..testing::rules(&["$..email"]) })
    };
    for (format, text) in [
        (BodyFormat::Json, "{\"email\":\"SECRET\"}"),
        (BodyFormat::JsonLines, "{\"email\":\"SECRET\"}\n{}\n"),
        (BodyFormat::JsonSequence, "\u{1e}{\"email\":\"SECRET\"}\n"),
        (BodyFormat::EventStream, "data: {\"email\":\"SECRET\"}\n\n"),
        (BodyFormat::Form, "email=SECRET"),
        (BodyFormat::Csv, "id,email\n1,SECRET\n"),
        (BodyFormat::Tsv, "id\temail\n1\tSECRET\n"),
        (BodyFormat::Xml, "<email>SECRET</email>"),
    ] {
        for declared in [None, Some("application/octet-stream"), Some("text/html"), Some("text/plain; charset=UTF8")] {
            let text = text.replace("SECRET", SECRET);
            let (out, seen, end) = testing::feed_at_every_split(
                || rules(format).body_rewriter(declared, None).expect("a body"),
                text.as_bytes(),
            );
            assert_eq!((end, seen.treated.len()), (Ok(()), 1), "{format:?} {declared:?}");
            assert_eq!(memchr::memmem::find(&out, b"canary"), None);
        }
        assert!(rules(format).body_rewriter(Some("text/plain; charset=latin1"), None).is_err());
        assert!(rules(format).body_rewriter(Some("json"), None).is_err());
    }
    assert!(matches!(rules(BodyFormat::Text).body_rewriter(None, None), Err(RewriteError::Opaque { .. })));
}

#[test]
fn the_known_names_of_media_types_and_of_utf_8_are_read() {
    let plan = testing::plan(&testing::rules(&["$..email"]));
    for declared in [
        "application/json; charset=utf8",
        "application/json; charset=\"UTF-8\"",
        "application/json; charset=unicode-1-1-utf-8",
        "application/json; charset=us-ascii",
        "application/json; odata.metadata=minimal; odata.streaming=true; IEEE754Compatible=false",
        "application/x-amz-json-1.1",
        "application/vnd.api+json; ext=\"https://jsonapi.org/ext/atomic\"",
        "text/json",
    ] {
        let (out, seen, end) = testing::feed_at_every_split(
            || plan.body_rewriter(Some(declared), None).expect(declared),
            b"{\"email\":\"b@x\"}",
        );
        assert_eq!((end, seen.treated.len(), out.len() > 20), (Ok(()), 1, true), "{declared}");
    }
}

#[test]
fn a_byte_order_mark_passes_before_a_table_and_is_removed_elsewhere() {
    let plan = testing::plan(&testing::rules(&["$..email"]));
    for (declared, text, stays) in [
        ("application/json", "{\"x\":1}", false),
        ("application/x-ndjson", "{\"x\":1}\n", false),
        ("text/event-stream", "data: {\"x\":1}\n\n", false),
        ("application/xml", "<?xml version=\"1.0\"?><c/>", false),
        ("text/csv", "\"email\",x\n", true),
        ("text/tab-separated-values", "email\tx\n", true),
    ] {
        let marked = format!("\u{feff}{text}");
        let make = || plan.body_rewriter(Some(declared), None).expect(declared);
        assert_eq!(testing::output_text(make, &marked), if stays { &marked } else { text }, "{declared}");
        if !stays {
            assert!(
                testing::feed_at_every_split(make, format!("\u{feff}{marked}").as_bytes()).2.is_err(),
                "{declared}: only one is skipped"
            );
        }
        assert!(
            testing::feed_at_every_split(make, &marked.as_bytes()[1..]).2.is_err(),
            "{declared}: a piece of one is none"
        );
    }
    for declared in ["application/x-www-form-urlencoded", "multipart/form-data; boundary=b"] {
        let make = || plan.body_rewriter(Some(declared), None).expect(declared);
        assert!(testing::feed_at_every_split(make, "\u{feff}a=1".as_bytes()).2.is_err(), "{declared}");
    }
}

#[test]
fn declared_charsets_are_decoded_where_the_settings_say_so() {
    let reading = crate::pii::BodySettings { decode_charsets: true, ..Default::default() };
    let decodes = testing::plan(&Rules { body_settings: reading, ..testing::rules(&["$..email"]) });
    let strict = testing::plan(&testing::rules(&["$..email"]));
    let wide: Vec<u8> = "{\"x\":\"\u{e9}\",\"email\":\"b@x\"}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (declared, body, told) in [
        ("application/json; charset=utf-16le", wide.as_slice(), "application/json; charset=utf-8"),
        ("application/json;Charset=Latin1", b"{\"x\":\"\xe9\",\"email\":\"b@x\"}", "application/json; charset=utf-8"),
    ] {
        assert!(matches!(strict.body_rewriter(Some(declared), None), Err(RewriteError::Opaque { .. })));
        assert_eq!(strict.content_type(declared), None);
        assert_eq!(decodes.content_type(declared).as_deref(), Some(told));
        let (out, seen, end) =
            testing::feed_at_every_split(|| decodes.body_rewriter(Some(declared), None).expect(declared), body);
        let out = String::from_utf8(out).unwrap();
        assert!(out.starts_with("{\"x\":\"\u{e9}\",\"email\":\"") && !out.contains("b@x"), "{out}");
        assert_eq!((seen.treated.len(), end), (1, Ok(())));
    }
    assert_eq!(decodes.content_type("application/json; charset=utf8"), None);
    assert!(decodes.body_rewriter(Some("application/json; charset=utf-7"), None).is_err());
    assert!(decodes.body_rewriter(Some("multipart/form-data; boundary=b; charset=latin1"), None).is_err());
}
