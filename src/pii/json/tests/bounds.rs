//! The bounds on values, keys, depth and pending space.

use crate::bounds::{DOCUMENT_DEPTH_MAX, KEY_BYTES_MAX, VALUE_BYTES_MAX};
use crate::pii::RewriteError;

use super::{
    super::{MatcherSpec, TreatedPath},
    path, rewriter, run, targets,
};

#[test]
fn bounds_are_kept_to_the_byte() {
    let spec = MatcherSpec { treat: targets(&["$.a"]), ..MatcherSpec::default() };
    let check = |body: String| run(rewriter(&spec), body.as_bytes().chunks(1000), None);
    let whole = |body: String| run(rewriter(&spec), [body.as_bytes()], None);
    for (length, fits) in [(VALUE_BYTES_MAX, true), (VALUE_BYTES_MAX + 1, false)] {
        let body = format!("{{\"b\":1,\"a\":\"{}\"}}", "x".repeat(length));
        let outcome = check(body.clone());
        assert_eq!(outcome.stop.is_none(), fits);
        assert!(fits || (outcome.out == "{\"b\":1,\"a\":" && matches!(outcome.stop, Some(RewriteError::Bound { .. }))));
        assert_eq!(outcome, whole(body));
    }
    for (depth, fits) in [(DOCUMENT_DEPTH_MAX, true), (DOCUMENT_DEPTH_MAX + 1, false)] {
        let body = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(check(body.clone()).stop.is_none(), fits);
        assert_eq!(check(body.clone()), whole(body));
    }
    for length in [KEY_BYTES_MAX - 1, KEY_BYTES_MAX, KEY_BYTES_MAX + 1, 10 * KEY_BYTES_MAX] {
        let body = format!("{{\"{}\":\"x\",\"a\":1}}", "k".repeat(length));
        let outcome = check(body.clone());
        assert_eq!(outcome.out, body.replace(":1}", ":\"<0:Number:1>\"}"));
        assert_eq!(outcome, whole(body));
    }
}

#[test]
fn a_long_key_is_kept_or_dropped_like_any_unlisted_one() {
    let key = "k".repeat(3 * KEY_BYTES_MAX);
    let body = format!("{{\"b\":1,\"{key}\":[2,{{}}],\"a\":3}}");
    let only = [path("$.a")];
    for (spec, expected) in [
        (
            MatcherSpec {
                treat: vec![TreatedPath { path: path("$.a"), rule: 2, only_type: None }],
                ..MatcherSpec::default()
            },
            body.replace(",\"a\":3", ""),
        ),
        (MatcherSpec { only: Some(&only), ..MatcherSpec::default() }, "{\"a\":3}".to_owned()),
    ] {
        for chunk in [1, 700, usize::MAX] {
            let outcome = run(rewriter(&spec), body.as_bytes().chunks(chunk), None);
            assert_eq!((outcome.out.as_str(), outcome.stop), (expected.as_str(), None));
        }
    }
}

#[test]
fn pending_space_around_a_member_is_bounded() {
    let spec = MatcherSpec {
        treat: vec![TreatedPath { path: path("$.a"), rule: 2, only_type: None }],
        ..MatcherSpec::default()
    };
    for body in [
        format!("{{{}\"b\":1}}", " ".repeat(5000)),
        format!("{{\"b\":{}1}}", " ".repeat(5000)),
        format!("{{{}x", " ".repeat(5000)),
    ] {
        for chunk in [1, 700, usize::MAX] {
            let outcome = run(rewriter(&spec), body.as_bytes().chunks(chunk), None);
            assert_eq!(outcome.out, "{");
            assert!(matches!(outcome.stop, Some(RewriteError::Bound { .. })), "{outcome:?}");
        }
    }
}
