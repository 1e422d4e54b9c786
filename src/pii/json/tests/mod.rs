//! What the tests share: a transform and an observer whose work can be seen, and runs under any split.

mod bounds;
mod cases;
mod jsonpath;
mod properties;
mod reference;
mod suite;

use std::sync::Arc;

use crate::model::FieldPath;
use crate::pii::{
    RecordBudgetSpent, Replacement, RewriteError, RewriteObserver, RewriteResult, Rewriter, SelectedValue, Transform,
    ValueKind,
};

use super::{JsonEngine, JsonRewriter, Matcher, MatcherSpec, TreatedPath};

/// Makes replacements that show the rule and the value. Rules 0, 5, 10 … make a text, 1, 6, … a text full of escapes,
/// 3, 8, … a number, 4, 9, … a constant; 2, 7, … drop.
pub(super) struct Show;

impl Transform for Show {
    fn drops_member(&self, rule: usize) -> bool {
        rule % 5 == 2
    }

    fn transform(&self, rule: usize, value: SelectedValue<'_>, out: &mut Vec<u8>) -> RewriteResult<Replacement> {
        assert_ne!(value.kind, ValueKind::Null, "a null passes");
        assert!(!self.drops_member(rule), "a dropped value is not treated");
        let text = std::str::from_utf8(value.text).expect("utf-8");
        match rule % 5 {
            0 => out.extend_from_slice(format!("<{rule}:{:?}:{text}>", value.kind).as_bytes()),
            1 => out.extend_from_slice(format!("\"\\\n\u{1}é{text}").as_bytes()),
            3 => {
                out.extend_from_slice(format!("-{}.5e3", text.len()).as_bytes());
                return Ok(Replacement::Literal);
            }
            _ => out.extend_from_slice(b"[redacted]"),
        }
        Ok(Replacement::Text)
    }
}

/// Counts, and refuses record `budget + 1`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Log {
    pub(super) budget: Option<usize>,
    pub(super) records: usize,
    pub(super) treated: Vec<usize>,
    pub(super) subjects: Vec<String>,
    pub(super) misshapen: bool,
}

impl RewriteObserver for Log {
    fn on_record(&mut self) -> Result<(), RecordBudgetSpent> {
        if self.budget == Some(self.records) {
            return Err(RecordBudgetSpent);
        }
        self.records += 1;
        Ok(())
    }

    fn on_treated(&mut self, rule: usize) {
        self.treated.push(rule);
    }

    fn on_unexpected_shape(&mut self, why: RewriteError) -> RewriteResult {
        assert!(!std::mem::replace(&mut self.misshapen, true), "reported twice: {why}");
        Ok(())
    }

    fn on_subject(&mut self, value: &[u8]) {
        self.subjects.push(String::from_utf8_lossy(value).into_owned());
    }
}

/// The result of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) out: String,
    pub(super) stop: Option<RewriteError>,
    pub(super) log: Log,
}

pub(super) fn path(text: &str) -> FieldPath {
    FieldPath::parse(text).expect(text)
}

/// These paths, treated by rules 0, 1, 2 …
pub(super) fn targets(paths: &[&str]) -> Vec<TreatedPath> {
    paths.iter().enumerate().map(|(rule, text)| TreatedPath { path: path(text), rule, only_type: None }).collect()
}

pub(super) fn rewriter(spec: &MatcherSpec<'_>) -> JsonRewriter {
    with(spec, JsonEngine::fastest())
}

pub(super) fn with(spec: &MatcherSpec<'_>, engine: JsonEngine) -> JsonRewriter {
    let matcher = Matcher::compile(spec, &Show).expect("a matcher");
    JsonRewriter::with_engine(Arc::new(matcher), Arc::new(Show), engine)
}

/// Runs a body in pieces, which must not change what was put out before.
pub(super) fn run<'a>(
    mut json: JsonRewriter,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    budget: Option<usize>,
) -> Outcome {
    let (mut log, mut out) = (Log { budget, ..Log::default() }, Vec::new());
    let fed = pieces.into_iter().try_for_each(|piece| json.feed(piece, &mut log, &mut out));
    let stop = fed.and_then(|()| json.finish(&mut log, &mut out)).err();
    Outcome { out: String::from_utf8_lossy(&out).into_owned(), stop, log }
}

/// Runs a body whole, by single bytes and cut in two at each place: always with the same outcome.
pub(super) fn every_split(spec: &MatcherSpec<'_>, body: &[u8], budget: Option<usize>) -> Outcome {
    let whole = run(rewriter(spec), [body], budget);
    assert_eq!(
        run(rewriter(spec), body.chunks(1), budget),
        whole,
        "by single bytes: {}",
        String::from_utf8_lossy(body)
    );
    for at in 1..body.len() {
        let (head, tail) = body.split_at(at);
        assert_eq!(run(rewriter(spec), [head, tail], budget), whole, "cut at {at}: {}", String::from_utf8_lossy(body));
    }
    whole
}

/// The output of rules over a good body, under every split.
pub(super) fn treated(paths: &[&str], body: &str) -> String {
    let outcome = every_split(&MatcherSpec { treat: targets(paths), ..MatcherSpec::default() }, body.as_bytes(), None);
    assert_eq!(outcome.stop, None, "{body}");
    outcome.out
}
