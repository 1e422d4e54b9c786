//! What the rules say about each document of a sequence.
//!
//! A path begins at the document. A contract that was written for a list, at the root or below names, still holds when
//! its elements come one by one, or as lists: else a change of the content type would let everything pass. With
//! `records`, a row that is nothing the rules can look into is told as a document of another shape.

use super::super::json::{JsonRewriter, Matcher, MatcherError, Root, Spec};
use super::super::{Events, Fields, Files, Guard, Multipart, Stop, Treat, Watched};
use super::{Framing, Lines};
use std::sync::Arc;

/// The rules of a sequence of JSON documents, compiled once and shared.
#[derive(Debug, Clone)]
pub struct Documents {
    matcher: Arc<Matcher>,
    /// Whether records are counted, and whether only listed fields may pass.
    counts: bool,
    limits: bool,
}

impl Documents {
    /// Compiles what a JSON document asks for into what each document of a sequence asks for.
    ///
    /// # Errors
    /// [`MatcherError`] as for one document.
    pub fn compile(spec: &Spec<'_>, treat: &dyn Treat) -> Result<Self, MatcherError> {
        let spec = Spec { root: Root::Row, ..spec.clone() };
        let (counts, limits) = (spec.records.is_some(), spec.only.is_some());
        Ok(Self { matcher: Arc::new(Matcher::compile(&spec, treat)?), counts, limits })
    }

    /// Compiles what the JSON values of a form's fields are asked for: which of them may pass is told by their names.
    ///
    /// # Errors
    /// [`MatcherError`] as for one document.
    pub fn of_fields(spec: &Spec<'_>, treat: &dyn Treat) -> Result<Self, MatcherError> {
        let spec = Spec { only: None, root: Root::Field, ..spec.clone() };
        let counts = spec.records.is_some();
        Ok(Self { matcher: Arc::new(Matcher::compile(&spec, treat)?), counts, limits: false })
    }

    /// An engine for one form in parts; of documents that are compiled [for fields](Self::of_fields).
    ///
    /// # Errors
    /// [`Stop::Malformed`] when the boundary is none.
    pub fn parts(
        &self,
        boundary: &str,
        fields: Arc<Fields>,
        treat: Arc<dyn Treat>,
        files: Files,
    ) -> Result<Multipart<JsonRewriter>, Stop> {
        Multipart::new(boundary, self.document(Arc::clone(&treat)), fields, treat, files)
    }

    /// An engine for one sequence.
    pub fn sequence(&self, framing: Framing, treat: Arc<dyn Treat>) -> Lines<JsonRewriter> {
        Lines::new(self.document(treat), framing, self.counts)
    }

    /// An engine for one event stream; a guard looks at all that is not in a document, with `texts` at data that is none too.
    pub fn events(&self, guard: Option<Arc<Guard>>, texts: bool, treat: Arc<dyn Treat>) -> Events<JsonRewriter> {
        let watched = Watched { guard, texts, limits: self.limits, counts: self.counts };
        Events::new(self.document(treat), watched)
    }

    fn document(&self, treat: Arc<dyn Treat>) -> JsonRewriter {
        JsonRewriter::new(Arc::clone(&self.matcher), treat)
    }
}

/// An inner engine's offset, counted from the start of the body.
pub(in crate::pii) fn shifted(stop: Stop, by: u64) -> Stop {
    match stop {
        Stop::Malformed { what, at } => Stop::Malformed { what, at: at + by },
        Stop::Shape { what, at } => Stop::Shape { what, at: at + by },
        Stop::Bound { .. }
        | Stop::Opaque { .. }
        | Stop::Column { .. }
        | Stop::Query { .. }
        | Stop::Untreatable { .. }
        | Stop::Cut => stop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::trial::{self, Sealed, sealed};
    use crate::pii::{Rules, Stop};
    use proptest::prelude::*;

    fn make(rules: &Rules, framing: Framing) -> impl Fn() -> Lines<JsonRewriter> + use<> {
        let treat = Sealed::shared();
        let documents = Documents::compile(&Spec::of(rules), &*treat).unwrap();
        move || documents.sequence(framing, Arc::clone(&treat))
    }

    fn rules(path: &str, records: &str) -> Rules {
        Rules { records: Some(trial::path(records)), ..trial::rules(&[path]) }
    }

    #[test]
    fn each_document_is_treated_and_counted() {
        let seal = sealed(0, b"b@x");
        for path in ["$.email", "$[*].email", "$..email"] {
            for records in ["$", "$[*]"] {
                let body = "{\"id\": 1.0, \"email\":\"b\\u0040x\"}\r\n\n {\"id\":2} \n{\"email\":\"b@x\"}";
                let expected = body.replace("b\\u0040x", &seal).replace("b@x", &seal);
                assert_eq!(trial::text(make(&rules(path, records), Framing::Lines), body), expected);
                let (_, seen, _) = trial::run(make(&rules(path, records), Framing::Lines), body.as_bytes());
                assert_eq!((seen.records, seen.treated), (3, vec![0, 0]), "{path} {records}");
                let body = "\u{1e}{\"email\":\n\"b@x\"}\n\u{1e}[]\n\u{1e}7";
                let text = trial::text(make(&rules(path, records), Framing::TextSequence), body);
                assert_eq!(text, body.replace("b@x", &seal));
            }
        }
    }

    #[test]
    fn a_document_is_one_record_or_those_in_it() {
        let make = make(&rules("$.rows[*].email", "$.rows[*]"), Framing::Lines);
        let (_, seen, _) = trial::run(make, b"{\"rows\":[{\"email\":\"a\"},{}]}\n{\"rows\":[1]}\n{}\n");
        assert_eq!((seen.records, seen.treated), (4, vec![0]));
    }

    #[test]
    fn only_what_may_pass_does_in_each_document() {
        for only in ["$.id", "$[*].id"] {
            let make = make(&trial::only(&[only]), Framing::Lines);
            assert_eq!(trial::text(make, "{\"a\":1,\"id\":2}\n{\"id\":3}\n"), "{\"id\":2}\n{\"id\":3}\n");
        }
    }

    #[test]
    fn a_document_that_is_not_whole_on_its_line_is_refused() {
        for body in ["{\"a\":\n1}\n", "{} {}\n", "{}\n{", "{}\n'x'\n", "{\"email\":\"a\nb\"}"] {
            assert!(matches!(
                trial::stop(make(&rules("$.email", "$"), Framing::Lines), body.as_bytes()),
                Stop::Malformed { .. }
            ));
        }
        assert!(matches!(
            trial::stop(make(&rules("$.email", "$"), Framing::TextSequence), b"\x1e{\x1e}"),
            Stop::Malformed { .. }
        ));
    }

    #[test]
    fn no_piece_of_a_selected_value_leaves_a_truncated_sequence() {
        let body = "{\"email\":\"canary-0123456789\"}\n{\"a\":{\"email\":[\"canary-0123456789\"]}}\n";
        trial::leaks_nothing(make(&rules("$..email", "$"), Framing::Lines), body.as_bytes(), "canary-0123456789");
    }

    proptest! {
        #[test]
        fn noise_never_panics_and_splits_never_matter(body in "([{}\\[\\]:,\"a1\n\u{1e}\u{e9}]|\"email\":|\"b\"){0,30}", tail in prop::collection::vec(any::<u8>(), 0..3)) {
            let body = [body.as_bytes(), &tail].concat();
            for framing in [Framing::Lines, Framing::TextSequence] {
                let (out, seen, end) = trial::run(make(&rules("$..email", "$"), framing), &body);
                prop_assert!(end.is_err() || out.len() >= body.len() || !seen.treated.is_empty());
            }
        }
    }
}
