//! What the rules say about each document of a sequence.
//!
//! A path begins at the document. A contract that was written for a list, at the root or below names, holds too when
//! the list's elements come one by one, or as lists: otherwise a change of the content type would let everything
//! pass. With `records`, a row of a type in which the rules can select nothing is reported as a document of another
//! shape.

use super::super::json::{JsonRewriter, Matcher, MatcherError, MatcherSpec, PathRoot};
use super::super::multipart::MultipartRewriter;
use super::super::sse::{EventStreamRewriter, EventStreamRules};
use super::super::{DetectRule, FieldRules, FileHandling, RewriteError, RewriteResult, Transform};
use super::{SequenceFraming, SequenceRewriter};
use std::sync::Arc;

/// The rules of a sequence of JSON documents, compiled once and shared.
#[derive(Debug, Clone)]
pub(crate) struct DocumentRules {
    matcher: Arc<Matcher>,
    /// Whether records are counted.
    counts_records: bool,
    /// Whether only listed fields may pass.
    has_allow_list: bool,
}

impl DocumentRules {
    /// Compiles the rules for a JSON document into the rules for each document of a sequence.
    ///
    /// # Errors
    /// [`MatcherError`] as for one document.
    pub(crate) fn compile(spec: &MatcherSpec<'_>, transform: &dyn Transform) -> Result<Self, MatcherError> {
        let spec = MatcherSpec { root: PathRoot::Row, ..spec.clone() };
        let (counts_records, has_allow_list) = (spec.records.is_some(), spec.only.is_some());
        Ok(Self { matcher: Arc::new(Matcher::compile(&spec, transform)?), counts_records, has_allow_list })
    }

    /// Compiles the rules for a JSON document into the rules for JSON in a form's fields. An allow-list is not among
    /// them: it decides by the fields' names.
    ///
    /// # Errors
    /// [`MatcherError`] as for one document.
    pub(crate) fn of_fields(spec: &MatcherSpec<'_>, transform: &dyn Transform) -> Result<Self, MatcherError> {
        let spec = MatcherSpec { only: None, root: PathRoot::Field, ..spec.clone() };
        let counts_records = spec.records.is_some();
        Ok(Self { matcher: Arc::new(Matcher::compile(&spec, transform)?), counts_records, has_allow_list: false })
    }

    /// A rewriter for one multipart form, by rules that are compiled [for fields](Self::of_fields).
    ///
    /// # Errors
    /// [`RewriteError::Malformed`] when the boundary is not valid.
    pub(crate) fn parts(
        &self,
        boundary: &str,
        fields: Arc<FieldRules>,
        transform: Arc<dyn Transform>,
        files: FileHandling,
    ) -> RewriteResult<MultipartRewriter<JsonRewriter>> {
        MultipartRewriter::new(boundary, self.document(Arc::clone(&transform)), fields, transform, files)
    }

    /// A rewriter for one sequence.
    pub(crate) fn sequence(
        &self,
        framing: SequenceFraming,
        transform: Arc<dyn Transform>,
    ) -> SequenceRewriter<JsonRewriter> {
        SequenceRewriter::new(self.document(transform), framing, self.counts_records)
    }

    /// A rewriter for one event stream. `detect_rule` has the detectors for everything that is not in a JSON document;
    /// with `detects_text`, also for data that is not JSON.
    pub(crate) fn events(
        &self,
        detect_rule: Option<(Arc<DetectRule>, usize)>,
        detects_text: bool,
        transform: Arc<dyn Transform>,
    ) -> EventStreamRewriter<JsonRewriter> {
        let (has_allow_list, counts_records) = (self.has_allow_list, self.counts_records);
        let rules = EventStreamRules { detect_rule, detects_text, has_allow_list, counts_records };
        EventStreamRewriter::new(self.document(transform), rules)
    }

    fn document(&self, transform: Arc<dyn Transform>) -> JsonRewriter {
        JsonRewriter::new(Arc::clone(&self.matcher), transform)
    }
}

/// Moves the offset of an error, which the inner rewriter counts from the start of its document, to the start of the
/// body.
pub(in crate::pii) fn shift_offset(stop: RewriteError, by: u64) -> RewriteError {
    match stop {
        RewriteError::Malformed { what, at } => RewriteError::Malformed { what, at: at + by },
        RewriteError::UnexpectedShape { what, at } => RewriteError::UnexpectedShape { what, at: at + by },
        RewriteError::Bound { .. }
        | RewriteError::Opaque { .. }
        | RewriteError::MissingColumn { .. }
        | RewriteError::GraphqlQuery { .. }
        | RewriteError::Untreatable { .. }
        | RewriteError::RecordBudgetSpent => stop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::testing::{self, MarkingTransform, marked};
    use crate::pii::{RewriteError, Rules};
    use proptest::prelude::*;

    fn make(rules: &Rules, framing: SequenceFraming) -> impl Fn() -> SequenceRewriter<JsonRewriter> + use<> {
        let transform = MarkingTransform::shared();
        let documents = DocumentRules::compile(&MatcherSpec::of(rules), &*transform).unwrap();
        move || documents.sequence(framing, Arc::clone(&transform))
    }

    fn rules(path: &str, records: &str) -> Rules {
        Rules { records: Some(testing::path(records)), ..testing::rules(&[path]) }
    }

    #[test]
    fn each_document_is_treated_and_counted() {
        let seal = marked(0, b"b@x");
        for path in ["$.email", "$[*].email", "$..email"] {
            for records in ["$", "$[*]"] {
                let body = "{\"id\": 1.0, \"email\":\"b\\u0040x\"}\r\n\n {\"id\":2} \n{\"email\":\"b@x\"}";
                let expected = body.replace("b\\u0040x", &seal).replace("b@x", &seal);
                assert_eq!(testing::output_text(make(&rules(path, records), SequenceFraming::Lines), body), expected);
                let (_, seen, _) =
                    testing::feed_at_every_split(make(&rules(path, records), SequenceFraming::Lines), body.as_bytes());
                assert_eq!((seen.records, seen.treated), (3, vec![0, 0]), "{path} {records}");
                let body = "\u{1e}{\"email\":\n\"b@x\"}\n\u{1e}[]\n\u{1e}7";
                let text = testing::output_text(make(&rules(path, records), SequenceFraming::TextSequence), body);
                assert_eq!(text, body.replace("b@x", &seal));
            }
        }
    }

    #[test]
    fn a_document_counts_as_one_record_or_as_those_in_it() {
        let make = make(&rules("$.rows[*].email", "$.rows[*]"), SequenceFraming::Lines);
        let (_, seen, _) =
            testing::feed_at_every_split(make, b"{\"rows\":[{\"email\":\"a\"},{}]}\n{\"rows\":[1]}\n{}\n");
        assert_eq!((seen.records, seen.treated), (4, vec![0]));
    }

    #[test]
    fn the_allow_list_holds_in_each_document() {
        for only in ["$.id", "$[*].id"] {
            let make = make(&testing::allow_list(&[only]), SequenceFraming::Lines);
            assert_eq!(testing::output_text(make, "{\"a\":1,\"id\":2}\n{\"id\":3}\n"), "{\"id\":2}\n{\"id\":3}\n");
        }
    }

    #[test]
    fn a_document_that_does_not_end_with_its_line_is_refused() {
        for body in ["{\"a\":\n1}\n", "{} {}\n", "{}\n{", "{}\n'x'\n", "{\"email\":\"a\nb\"}"] {
            assert!(matches!(
                testing::error_of(make(&rules("$.email", "$"), SequenceFraming::Lines), body.as_bytes()),
                RewriteError::Malformed { .. }
            ));
        }
        assert!(matches!(
            testing::error_of(make(&rules("$.email", "$"), SequenceFraming::TextSequence), b"\x1e{\x1e}"),
            RewriteError::Malformed { .. }
        ));
    }

    #[test]
    fn no_piece_of_a_selected_value_leaves_a_truncated_sequence() {
        let body = "{\"email\":\"canary-0123456789\"}\n{\"a\":{\"email\":[\"canary-0123456789\"]}}\n";
        testing::assert_no_leak(
            make(&rules("$..email", "$"), SequenceFraming::Lines),
            body.as_bytes(),
            "canary-0123456789",
        );
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic_and_splits_never_matter(body in "([{}\\[\\]:,\"a1\n\u{1e}\u{e9}]|\"email\":|\"b\"){0,30}", tail in prop::collection::vec(any::<u8>(), 0..3)) {
            let body = [body.as_bytes(), &tail].concat();
            for framing in [SequenceFraming::Lines, SequenceFraming::TextSequence] {
                let (out, seen, end) = testing::feed_at_every_split(make(&rules("$..email", "$"), framing), &body);
                prop_assert!(end.is_err() || out.len() >= body.len() || !seen.treated.is_empty());
            }
        }
    }
}
