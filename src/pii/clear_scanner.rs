//! Reads a body that no rule reads, to report the paths of the values that leave in it in clear.
//!
//! Never delays or changes the body: where it cannot read the body it stops reading, and the body passes all the same.

use std::sync::{Arc, LazyLock};

use super::body::Engines;
use super::encoding::{ContentCoding, DecodingRewriter};
use super::json::MatcherSpec;
use super::media::MediaType;
use super::{
    RecordBudgetSpent, Replacement, RewriteObserver, RewriteResult, Rewriter, Rules, SelectedValue, Transform,
};

/// The engines for an empty list of rules.
static ENGINES: LazyLock<Option<Engines>> = LazyLock::new(|| {
    let rules = Rules::default();
    Engines::compile(&rules, &MatcherSpec::of(&rules), Arc::new(NoTransform)).ok()
});

/// Reports the paths of the values in one body; of a body that no engine reads, the path `$` once.
pub(crate) struct ClearScanner {
    scan: BodyScan,
    /// Whether the body has any bytes.
    has_input: bool,
}

impl ClearScanner {
    /// A scanner for one body with these header values.
    pub(crate) fn new(content_type: Option<&str>, content_encoding: Option<&str>) -> Self {
        let engine = ENGINES.as_ref().and_then(|engines| engine_for(engines, content_type, content_encoding).ok());
        Self { scan: BodyScan::new(engine), has_input: false }
    }

    /// Reads the next bytes; `report` receives the path of each value.
    pub(crate) fn feed(&mut self, input: &[u8], report: &mut dyn FnMut(&str)) {
        if self.scan.wants(input) {
            self.has_input = true;
            if self.scan.feed(input, report) {
                report("$");
            }
        }
    }

    /// Takes the end of the body.
    pub(crate) fn finish(&mut self, report: &mut dyn FnMut(&str)) {
        if self.has_input && self.scan.finish(report) {
            report("$");
        }
    }
}

/// An engine that reads one body for the paths of its values.
pub(super) struct BodyScan {
    engine: Option<Box<dyn Rewriter>>,
    /// Whether a path has been reported.
    reported: bool,
    /// The engine's output, which is thrown away.
    out: Vec<u8>,
}

impl BodyScan {
    /// Without an engine, the body cannot be read.
    pub(super) fn new(engine: Option<Box<dyn Rewriter>>) -> Self {
        Self { engine, reported: false, out: Vec::new() }
    }

    /// Whether an engine reads the body so far.
    pub(super) const fn reads(&self) -> bool {
        self.engine.is_some()
    }

    /// Whether these bytes are to be read, or are the first of a body that cannot be read.
    pub(super) fn wants(&self, input: &[u8]) -> bool {
        !input.is_empty() && (self.reads() || !self.reported)
    }

    /// Reads the next bytes; `report` receives the path of each value. True where the body cannot be read and nothing
    /// of it was reported before: its path is `$` then, once.
    pub(super) fn feed(&mut self, input: &[u8], report: &mut dyn FnMut(&str)) -> bool {
        self.run(report, |engine, observer, out| engine.feed(input, observer, out))
    }

    /// Takes the end of a body that is read. True as [`Self::feed`].
    pub(super) fn finish(&mut self, report: &mut dyn FnMut(&str)) -> bool {
        self.reads() && self.run(report, |engine, observer, out| engine.finish(observer, out))
    }

    fn run(
        &mut self,
        report: &mut dyn FnMut(&str),
        act: impl FnOnce(&mut dyn Rewriter, &mut dyn RewriteObserver, &mut Vec<u8>) -> RewriteResult,
    ) -> bool {
        let reported = &mut self.reported;
        let mut observer = ClearPathObserver(&mut |path| {
            *reported = true;
            report(path);
        });
        self.out.clear();
        let done = self.engine.as_mut().map(|engine| act(&mut **engine, &mut observer, &mut self.out));
        if matches!(done, Some(Ok(()))) {
            return false;
        }
        self.engine = None;
        !std::mem::replace(&mut self.reported, true)
    }
}

/// The engine of a body with these header values, which also decodes it.
pub(super) fn engine_for(
    engines: &Engines,
    content_type: Option<&str>,
    content_encoding: Option<&str>,
) -> RewriteResult<Box<dyn Rewriter>> {
    let media = content_type.map_or(Ok(MediaType::NONE), MediaType::parse)?;
    let coding = content_encoding.map_or(Ok(None), ContentCoding::parse)?;
    let engine = engines.engine_for(&media)?;
    Ok(match coding {
        Some(coding) => Box::new(DecodingRewriter::new(coding, engine)),
        None => engine,
    })
}

/// Receives the paths of values in clear, and nothing else.
struct ClearPathObserver<'a>(&'a mut dyn FnMut(&str));

impl RewriteObserver for ClearPathObserver<'_> {
    fn on_record(&mut self) -> Result<(), RecordBudgetSpent> {
        Ok(())
    }

    fn on_treated(&mut self, _rule: usize) {}

    fn on_subject(&mut self, _value: &[u8]) {}

    fn wants_clear_paths(&self) -> bool {
        true
    }

    fn on_clear_path(&mut self, path: &str) {
        (self.0)(path);
    }
}

/// Changes nothing: without rules, no engine calls it.
struct NoTransform;

impl Transform for NoTransform {
    fn drops_member(&self, _rule: usize) -> bool {
        false
    }

    fn transform(&self, _rule: usize, _value: SelectedValue<'_>, _out: &mut Vec<u8>) -> RewriteResult<Replacement> {
        Ok(Replacement::Unchanged { counted: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(content_type: &str, body: &str) -> Vec<String> {
        let mut all = Vec::new();
        let mut scanner = ClearScanner::new(Some(content_type), None);
        body.as_bytes().chunks(3).for_each(|piece| scanner.feed(piece, &mut |path| all.push(path.to_owned())));
        scanner.finish(&mut |path| all.push(path.to_owned()));
        all.sort_unstable();
        all.dedup();
        all
    }

    #[test]
    fn the_paths_in_clear_of_every_format_are_reported() {
        let form = "multipart/form-data; boundary=x";
        let parts = "--x\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhi\r\n--x\r\n\
            Content-Disposition: form-data; name=\"j\"\r\nContent-Type: application/json\r\n\r\n{\"k\":[1]}\r\n--x--\r\n";
        let cases: [(&str, &str, &[&str]); 12] = [
            ("application/json", r#"{"a":[{"b":1},{"b":null,"c":"x"}],"d":{},"e":null}"#, &["$.a[*].b", "$.a[*].c"]),
            ("application/json", "7", &["$"]),
            ("application/x-ndjson", "{\"a\":1}\n{\"b\":2}\n", &["$[*].a", "$[*].b"]),
            ("text/csv", "id,mail,none\n1,x,\n", &["$[*].id", "$[*].mail"]),
            ("application/x-www-form-urlencoded", "a=1&b[0][c]=2&d=&e.f=%20", &["$.a", "$.b[*].c", "$.e.f"]),
            ("application/xml", "<r a='1' b=''>\n<x>t</x><y/></r>", &["$.r.x", "$.r[\"@a\"]"]),
            (form, parts, &["$.note", "$[*].k[*]"]),
            ("text/event-stream", "data: {\"a\":1}\n\n", &["$[*].a"]),
            ("text/event-stream", "data: words\n\n", &["$"]),
            ("image/png", "not read", &["$"]),
            ("application/json", "{not json", &["$"]),
            ("application/json", "", &[]),
        ];
        for (content_type, body, expected) in cases {
            assert_eq!(reported(content_type, body), expected, "{content_type}: {body}");
        }
    }
}
