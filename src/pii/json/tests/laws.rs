//! Laws, over random documents, rules and splits.

use proptest::{prelude::*, sample::Index};

use crate::pii::Stop;

use super::{
    super::Spec,
    Outcome,
    reference::{Rules, Tree, Writer, rules, tree},
    rewriter, run,
};

impl Rules {
    fn spec(&self) -> Spec<'_> {
        Spec {
            treat: self.treat.clone(),
            only: self.only.as_deref(),
            records: self.records.as_ref(),
            subject: self.subject.as_ref(),
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
    fn the_engine_does_what_the_plain_way_does((tree, rules, chance) in case()) {
        let writer = Writer::write(&tree, &rules, &chance);
        let outcome = run(rewriter(&rules.spec()), [writer.input.as_bytes()], None);
        prop_assert_eq!(&outcome.out, &writer.expected, "{}", &writer.input);
        prop_assert_eq!(&outcome.log, &writer.log);
        prop_assert_eq!(&outcome.stop, &None);
        prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&outcome.out).is_ok());
    }

    #[test]
    fn any_split_gives_the_same((tree, rules, chance) in case(), budget in prop::option::of(0..4_usize)) {
        let writer = Writer::write(&tree, &rules, &chance);
        let body = writer.input.as_bytes();
        let whole = run(rewriter(&rules.spec()), [body], budget);
        prop_assert_eq!(&run(rewriter(&rules.spec()), body.chunks(1), budget), &whole);
        prop_assert_eq!(&run(rewriter(&rules.spec()), split(body, &chance), budget), &whole);
        if whole.stop == Some(Stop::Cut) {
            prop_assert_eq!(Some(whole.log.records), budget);
        }
    }

    /// What is damaged is refused exactly if serde_json refuses it, and leaves nothing that a whole one would not.
    #[test]
    fn damage_is_refused_alike_under_any_split(
        (tree, rules, chance) in case(), damage in prop::collection::vec((any::<Index>(), damage()), 1..3),
    ) {
        let mut body = Writer::write(&tree, &rules, &chance).input.into_bytes();
        for (at, (remove, insert)) in damage {
            let at = at.index(body.len() + 1);
            body.splice(at..(at + remove).min(body.len()), insert);
        }
        let whole = run(rewriter(&rules.spec()), [body.as_slice()], None);
        prop_assert_eq!(&run(rewriter(&rules.spec()), body.chunks(1), None), &whole);
        prop_assert_eq!(&run(rewriter(&rules.spec()), split(&body, &chance), None), &whole);
        let judged = serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok() && std::str::from_utf8(&body).is_ok();
        let Outcome { stop, .. } = whole;
        if judged {
            let lone = Stop::Malformed { what: "half a surrogate pair in a value to be treated", at: 0 };
            let fine = match stop {
                None => true,
                Some(Stop::Malformed { what, .. }) => matches!(&lone, Stop::Malformed { what: w, .. } if *w == what),
                Some(_) => false,
            };
            prop_assert!(fine, "refused a good body: {}", String::from_utf8_lossy(&body));
        } else {
            prop_assert!(stop.is_some(), "passed a bad body: {}", String::from_utf8_lossy(&body));
        }
    }
}

/// So many bytes taken away, and what is put in their place.
fn damage() -> impl Strategy<Value = (usize, Vec<u8>)> {
    let pieces: [&[u8]; 24] = [
        b"", b",", b":", b"\"", b"\\", b"{", b"}", b"[", b"]", b"0", b"-", b".", b"e", b"t", b"null", b"\n", b"\0",
        b"\xff", b"\xc3", b"\\ud800", b"\x1f", b" ", b"/", b"{}",
    ];
    (0..3_usize, prop::sample::select(pieces.map(<[u8]>::to_vec).to_vec()))
}
