//! What the tests share: a treatment and a watch that can be looked at, and runs under any split.

mod cases;
mod jsonpath;
mod laws;
mod reference;
mod suite;

use std::sync::Arc;

use crate::model::FieldPath;
use crate::pii::{Cut, Kind, Rewriter, Shape, Stop, Treat, Value, Watch};

use super::{Engine, JsonRewriter, Matcher, Spec, Target};

/// Shows rule and value in what it makes: rule 0, 5, 10 … as a text, 1, 6, … as a text full of escapes, 2, 7, …
/// drop, 3, 8, … as a number, 4, 9, … as a constant.
pub(super) struct Show;

impl Treat for Show {
    fn drops(&self, rule: usize) -> bool {
        rule % 5 == 2
    }

    fn treat(&self, rule: usize, value: Value<'_>, out: &mut Vec<u8>) -> Result<Shape, Stop> {
        assert_ne!(value.kind, Kind::Null, "a null passes");
        assert!(!self.drops(rule), "a dropped value is not treated");
        let text = std::str::from_utf8(value.text).expect("utf-8");
        match rule % 5 {
            0 => out.extend_from_slice(format!("<{rule}:{:?}:{text}>", value.kind).as_bytes()),
            1 => out.extend_from_slice(format!("\"\\\n\u{1}é{text}").as_bytes()),
            3 => {
                out.extend_from_slice(format!("-{}.5e3", text.len()).as_bytes());
                return Ok(Shape::Literal);
            }
            _ => out.extend_from_slice(b"[redacted]"),
        }
        Ok(Shape::Text)
    }
}

/// Counts, and cuts before record `budget + 1`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Log {
    pub(super) budget: Option<usize>,
    pub(super) records: usize,
    pub(super) treated: Vec<usize>,
    pub(super) subjects: Vec<String>,
    pub(super) misshapen: bool,
}

impl Watch for Log {
    fn record(&mut self) -> Result<(), Cut> {
        if self.budget == Some(self.records) {
            return Err(Cut);
        }
        self.records += 1;
        Ok(())
    }

    fn treated(&mut self, rule: usize) {
        self.treated.push(rule);
    }

    fn misshapen(&mut self, why: Stop) -> Result<(), Stop> {
        assert!(!std::mem::replace(&mut self.misshapen, true), "told twice: {why}");
        Ok(())
    }

    fn subject(&mut self, value: &[u8]) {
        self.subjects.push(String::from_utf8_lossy(value).into_owned());
    }
}

/// What came of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) out: String,
    pub(super) stop: Option<Stop>,
    pub(super) log: Log,
}

pub(super) fn path(text: &str) -> FieldPath {
    FieldPath::parse(text).expect(text)
}

/// Paths as rules 0, 1, 2 …
pub(super) fn targets(paths: &[&str]) -> Vec<Target> {
    paths.iter().enumerate().map(|(rule, text)| Target { path: path(text), rule, only_type: None }).collect()
}

pub(super) fn rewriter(spec: &Spec<'_>) -> JsonRewriter {
    with(spec, Engine::fastest())
}

pub(super) fn with(spec: &Spec<'_>, engine: Engine) -> JsonRewriter {
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
pub(super) fn every_split(spec: &Spec<'_>, body: &[u8], budget: Option<usize>) -> Outcome {
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
    let outcome = every_split(&Spec { treat: targets(paths), ..Spec::default() }, body.as_bytes(), None);
    assert_eq!(outcome.stop, None, "{body}");
    outcome.out
}
