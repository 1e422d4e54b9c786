//! Property tests, over random documents, rules and splits.

use proptest::{prelude::*, sample::Index};

use crate::pii::RewriteError;

use super::{
    super::{JsonEngine, MatcherSpec, PathRoot, TreatedPath},
    Outcome, path,
    reference::{Rules, Tree, Writer, rules, tree},
    rewriter, run, with,
};

impl Rules {
    fn spec(&self) -> MatcherSpec<'_> {
        MatcherSpec {
            treat: self.treat.clone(),
            only: self.only.as_deref(),
            fallback: None,
            records: self.records.as_ref(),
            subject: self.subject.as_ref(),
            root: PathRoot::Document,
        }
    }
}

/// A document with rules, and the randomness of its space, escapes and splits.
fn case() -> impl Strategy<Value = (Tree, Rules, Vec<Index>)> {
    (tree(), rules(), prop::collection::vec(any::<Index>(), 1..80))
}

fn split<'a>(body: &'a [u8], at: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = at.iter().map(|index| index.index(body.len() + 1)).chain([0, body.len()]).collect();
    places.sort_unstable();
    places.windows(2).map(|pair| &body[pair[0]..pair[1]]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4 * ProptestConfig::default().cases, ..ProptestConfig::default() })]

    #[test]
    fn the_rewriter_does_what_the_reference_does((tree, rules, chance) in case()) {
        let writer = Writer::write(&tree, &rules, &chance);
        let outcome = run(rewriter(&rules.spec()), [writer.input.as_bytes()], None);
        prop_assert_eq!(&outcome.out, &writer.expected, "{}", &writer.input);
        prop_assert_eq!(&outcome.log, &writer.log);
        prop_assert_eq!(&outcome.stop, &None);
        prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&outcome.out).is_ok());
    }

    #[test]
    fn any_split_gives_the_same_output((tree, rules, chance) in case(), budget in prop::option::of(0..4_usize)) {
        let writer = Writer::write(&tree, &rules, &chance);
        let body = writer.input.as_bytes();
        let whole = run(rewriter(&rules.spec()), [body], budget);
        prop_assert_eq!(&run(rewriter(&rules.spec()), body.chunks(1), budget), &whole);
        prop_assert_eq!(&run(rewriter(&rules.spec()), split(body, &chance), budget), &whole);
        if whole.stop == Some(RewriteError::RecordBudgetSpent) {
            prop_assert_eq!(Some(whole.log.records), budget);
        }
    }

    /// A damaged document is refused, under every split alike, if serde_json refuses it; unless the damage is in what
    /// is dropped or replaced, since then the output is JSON all the same.
    #[test]
    fn a_damaged_document_is_refused_alike_under_any_split(
        (tree, mut rules, chance) in case(), damage in prop::collection::vec((any::<Index>(), damage()), 1..3),
        passes_whole in any::<bool>(),
    ) {
        if passes_whole {
            rules = Rules { treat: vec![TreatedPath { path: path("$..nowhere"), rule: 0, only_type: None }], only: None, ..rules };
        }
        let mut body = Writer::write(&tree, &rules, &chance).input.into_bytes();
        for (at, (remove, insert)) in damage {
            let at = at.index(body.len() + 1);
            body.splice(at..(at + remove).min(body.len()), insert);
        }
        let whole = run(rewriter(&rules.spec()), [body.as_slice()], None);
        prop_assert_eq!(&run(rewriter(&rules.spec()), body.chunks(1), None), &whole);
        prop_assert_eq!(&run(rewriter(&rules.spec()), split(&body, &chance), None), &whole);
        let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok() && std::str::from_utf8(&body).is_ok();
        let Outcome { stop, out, .. } = whole;
        if is_json {
            let lone = RewriteError::Malformed { what: "half a surrogate pair in a value of which some is kept", at: 0 };
            let fine = match stop {
                None => true,
                Some(RewriteError::Malformed { what, .. }) => matches!(&lone, RewriteError::Malformed { what: w, .. } if *w == what),
                Some(_) => false,
            };
            prop_assert!(fine, "refused a good body: {}", String::from_utf8_lossy(&body));
        } else if stop.is_none() {
            let leaves_json = serde_json::from_str::<serde::de::IgnoredAny>(&out).is_ok();
            prop_assert!(!passes_whole && leaves_json, "passed a bad body: {}", String::from_utf8_lossy(&body));
        }
    }
}

/// A body that is long enough for the fast path: copies of a tree in an array, in a member, and after long strings.
fn long(tree: &Tree, copies: usize) -> Tree {
    let padding = |n: usize| Tree::Text("\\\"é".repeat(n * 40));
    let members = (0..copies).map(|n| {
        let member = |name: &str, value| (name.to_owned(), value);
        Tree::Object(vec![
            member("b", padding(n % 5)),
            member("a", tree.clone()),
            member("x", Tree::Number("1.5".into())),
        ])
    });
    let array = Tree::Array(members.collect());
    Tree::Object(vec![("token".to_owned(), tree.clone()), ("a".to_owned(), array.clone()), ("q".to_owned(), array)])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases, ..ProptestConfig::default() })]

    /// Whole or damaged, in one piece or many: every engine has the same output, the same counts and the same error.
    #[test]
    fn all_engines_do_the_same(
        (tree, rules, chance) in case(), copies in 0..24_usize, budget in prop::option::weighted(0.3, 0..40_usize),
        damages in prop::option::of((any::<Index>(), damage())),
    ) {
        let tree = long(&tree, copies);
        let writer = Writer::write(&tree, &rules, &chance);
        let mut body = writer.input.into_bytes();
        let damaged = damages.is_some();
        if let Some((at, (remove, insert))) = damages {
            let at = at.index(body.len() + 1);
            body.splice(at..(at + remove).min(body.len()), insert);
        }
        let pieces = [vec![body.as_slice()], body.chunks(777).collect(), split(&body, &chance)];
        let mut engines = JsonEngine::available().into_iter();
        let expected = run(with(&rules.spec(), engines.next().expect("the plain one")), [body.as_slice()], budget);
        if !damaged && budget.is_none() && !matches!(expected.stop, Some(RewriteError::Bound { .. })) {
            prop_assert_eq!(&expected.out, &writer.expected);
        }
        for engine in engines {
            for pieces in &pieces {
                let outcome = run(with(&rules.spec(), engine), pieces.iter().copied(), budget);
                prop_assert_eq!(&outcome, &expected, "{:?}: {}", engine, String::from_utf8_lossy(&body));
            }
        }
    }
}

/// How many bytes are taken away, and what takes their place.
fn damage() -> impl Strategy<Value = (usize, Vec<u8>)> {
    let pieces: [&[u8]; 24] = [
        b"", b",", b":", b"\"", b"\\", b"{", b"}", b"[", b"]", b"0", b"-", b".", b"e", b"t", b"null", b"\n", b"\0",
        b"\xff", b"\xc3", b"\\ud800", b"\x1f", b" ", b"/", b"{}",
    ];
    (0..3_usize, prop::sample::select(pieces.map(<[u8]>::to_vec).to_vec()))
}
