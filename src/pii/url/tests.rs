//! The treatment of queries, path segments, header fields and cookies, as tables of inputs and results.

use super::*;
use crate::pii::testing::{MarkingTransform, RecordingObserver, marked, rule};
use proptest::prelude::*;

const MARK: MarkingTransform = MarkingTransform { drops: Vec::new(), tail: "" };

/// Runs one call under these rules; returns what it gave, and how many values were treated.
fn rewrite<T>(
    places: Vec<ValueLocation>,
    treat: &MarkingTransform,
    call: impl FnOnce(&mut HeadRewriter<'_>) -> T,
) -> (T, usize) {
    let rules = Rules { treat: places.into_iter().map(rule).collect(), ..Rules::default() };
    let mut observer = RecordingObserver::default();
    let places = HeadRules::new(&rules);
    let given = call(&mut HeadRewriter { rules: &places, transform: treat, observer: &mut observer });
    (given, observer.treated.len())
}

fn query(name: &str) -> Vec<ValueLocation> {
    vec![ValueLocation::Query(name.into())]
}

fn header(
    places: Vec<ValueLocation>,
    treat: &MarkingTransform,
    name: &str,
    value: &str,
) -> RewriteResult<Option<String>> {
    let call = |rewrite: &mut HeadRewriter<'_>| {
        let value = rewrite.header(name, value.as_bytes())?;
        Ok(value.map(|value| String::from_utf8(value.into_owned()).expect("text")))
    };
    rewrite(places, treat, call).0
}

#[test]
fn query_parameters_are_treated_by_their_decoded_name() {
    let token = marked(0, b"b@x").replace('~', "%7E");
    for (text, expected) in [
        ("email=b%40x&a=%7e", format!("email={token}&a=%7e")),
        ("%65mail=b@x", format!("%65mail={token}")),
        ("email[]=b@x&Email=b@x", format!("email[]={token}&Email={token}")),
        ("x[email]=b@x", "x[email]=b@x".to_owned()),
    ] {
        assert_eq!(rewrite(query("email"), &MARK, |s| s.query(text).map(Cow::into_owned)).0, Ok(expected));
    }
    let (given, treated) = rewrite(query("c[email]"), &MARK, |s| s.query("c%5Bemail%5D=b@x").map(Cow::into_owned));
    assert_eq!((given, treated), (Ok(format!("c%5Bemail%5D={token}")), 1));
    for bad in ["a=%", "a;b", "a=%00", "a=%ff", "%2565mail=x"] {
        assert!(rewrite(query("email"), &MARK, |s| s.query(bad).map(Cow::into_owned)).0.is_err(), "{bad}");
    }
}

#[test]
fn a_text_without_selected_values_comes_back_borrowed() {
    let given = rewrite(query("email"), &MARK, |s| matches!(s.query("a=%41+b&&c"), Ok(Cow::Borrowed(_)))).0;
    assert!(given);
    let given = rewrite(vec![], &MARK, |s| matches!(s.query("a=%;"), Ok(Cow::Borrowed(_)))).0;
    assert!(given, "without a rule on the query nothing is read");
    assert!(rewrite(query("q"), &MARK, |s| matches!(s.header("accept", b"\xff"), Ok(Some(Cow::Borrowed(_))))).0);
}

#[test]
fn a_path_segment_is_treated_by_its_capture() {
    let segment = |treat: &MarkingTransform, text: &str| {
        rewrite(vec![ValueLocation::Segment("id".into())], treat, |s| s.segment("id", text).map(Cow::into_owned)).0
    };
    assert_eq!(segment(&MARK, "b%40x+"), Ok(marked(0, b"b@x+")));
    let tail = MarkingTransform { tail: "/?#% \u{e9}\r", ..MarkingTransform::default() };
    assert_eq!(segment(&tail, "a"), Ok(marked(0, b"a") + "%2F%3F%23%25%20%C3%A9%0D"));
    assert!(segment(&MarkingTransform { drops: vec![0], tail: "" }, "a").is_err());
    assert!(segment(&MARK, "a%").is_err());
    assert!(segment(&MARK, "a%ff").is_err());
    let other = rewrite(vec![ValueLocation::Segment("id".into())], &MARK, |s| s.segment("x", "%").map(Cow::into_owned));
    assert_eq!(other, (Ok("%".to_owned()), 0));
    let path = |captures: &[(&str, Range<usize>)]| {
        let places = vec![ValueLocation::Segment("id".into()), ValueLocation::Segment("x".into())];
        rewrite(places, &MARK, |s| s.path("/c/b%40x/o/7", captures).map(Cow::into_owned)).0
    };
    assert_eq!(path(&[("id", 3..8), ("n", 11..12)]), Ok(format!("/c/{}/o/7", marked(0, b"b@x"))));
    assert_eq!(path(&[("id", 3..8), ("x", 11..12)]), Ok(format!("/c/{}/o/{}", marked(0, b"b@x"), marked(1, b"7"))));
    assert!(
        path(&[("id", 3..8), ("x", 5..6)]).is_err()
            && path(&[("id", 3..80)]).is_err()
            && path(&[("n", 3..80)]).is_err()
    );
}

#[test]
fn a_header_is_treated_whole_or_left_out() {
    let places = || vec![ValueLocation::Header("x-user".into())];
    assert_eq!(header(places(), &MARK, "x-user", "bob"), Ok(Some(marked(0, b"bob"))));
    assert_eq!(header(places(), &MARK, "x-other", "bob"), Ok(Some("bob".to_owned())));
    assert_eq!(header(places(), &MarkingTransform { drops: vec![0], tail: "" }, "x-user", "bob"), Ok(None));
    assert!(
        header(places(), &MarkingTransform { tail: "\r\nx: y", ..MarkingTransform::default() }, "x-user", "bob")
            .is_err()
    );
    assert!(rewrite(places(), &MARK, |s| s.header("x-user", b"\xff").is_err()).0);
}

#[test]
fn cookies_are_treated_by_their_name() {
    let places = || vec![ValueLocation::Cookie("user".into())];
    let token = marked(0, b"bob");
    for (text, expected) in [
        ("a=1; user=bob; b=2", format!("a=1; user={token}; b=2")),
        ("user=\"bob\"", format!("user={token}")),
        ("User=bob;b", format!("User={token};b")),
        ("a=1; b=2", "a=1; b=2".to_owned()),
    ] {
        assert_eq!(header(places(), &MARK, "cookie", text), Ok(Some(expected)));
    }
    let drop = MarkingTransform { drops: vec![0], tail: "" };
    for (text, expected) in [("user=bob; b=2", Some("b=2")), ("a=1; user=bob", Some("a=1")), ("user=bob", None)] {
        assert_eq!(header(places(), &drop, "cookie", text), Ok(expected.map(str::to_owned)));
    }
    let set = "user=bob; Path=/; HttpOnly";
    assert_eq!(header(places(), &MARK, "set-cookie", set), Ok(Some(format!("user={token}; Path=/; HttpOnly"))));
    assert_eq!(header(places(), &drop, "set-cookie", set), Ok(None));
    let tail = MarkingTransform { tail: "; x=\"1\"", ..MarkingTransform::default() };
    assert_eq!(header(places(), &tail, "set-cookie", "user=bob"), Ok(Some(format!("user={token}%3B%20x=%221%22"))));
}

#[test]
fn the_urls_of_redirects_and_links_are_looked_into() {
    let token = marked(0, b"b@x").replace('~', "%7E");
    for (name, text, expected) in [
        ("location", "https://h/p?email=b@x#top".to_owned(), format!("https://h/p?email={token}#top")),
        ("location", "/p?a=1#email=b@x&b=2".to_owned(), format!("/p?a=1#email={token}&b=2")),
        ("location", "/plain".to_owned(), "/plain".to_owned()),
        ("referer", "http://h/?email=b@x".to_owned(), format!("http://h/?email={token}")),
        (
            "link",
            "</a?email=b@x>; rel=next, </b>; rel=prev".to_owned(),
            format!("</a?email={token}>; rel=next, </b>; rel=prev"),
        ),
    ] {
        assert_eq!(header(query("email"), &MARK, name, &text), Ok(Some(expected)));
    }
    assert!(header(query("email"), &MARK, "link", "</a").is_err());
    assert!(header(query("email"), &MARK, "location", "/?a=%").is_err());
}

proptest! {
    #[test]
    fn a_selected_value_never_passes_whatever_is_around_it(noise in "[ -~\u{e9}]{0,30}", bytes in prop::collection::vec(any::<u8>(), 0..20)) {
        let places = || vec![ValueLocation::Query("email".into()), ValueLocation::Cookie("email".into())];
        for (name, text) in [
            ("location", format!("/?{noise}&email=canary")),
            ("link", format!("<?x={}&email=canary>", noise.replace(['<', '>'], ""))),
            ("cookie", format!("{noise}; email=canary; {noise}")),
            ("set-cookie", format!("email=canary; {noise}")),
        ] {
            if let Ok(Some(value)) = header(places(), &MARK, name, &text) {
                prop_assert!(!value.contains("canary"), "{}: {}", name, value);
            }
            let read = rewrite(places(), &MARK, |s| s.header(name, &bytes).is_ok()).0;
            prop_assert!(!read || std::str::from_utf8(&bytes).is_ok());
        }
    }
}
