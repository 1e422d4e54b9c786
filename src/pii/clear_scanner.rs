//! Looks at a body that passes byte for byte, to tell what of it leaves in clear.
//!
//! Stands beside the body, never in its way: what it cannot read it stops reading, and the body passes all the same.

use std::sync::{Arc, LazyLock};

use super::body::Engines;
use super::encoding::{ContentCoding, DecodingRewriter};
use super::json::MatcherSpec;
use super::media::MediaType;
use super::{RecordBudgetSpent, Replacement, RewriteError, RewriteObserver, Rewriter, Rules, SelectedValue, Transform};

/// The engines of no rules at all.
static ENGINES: LazyLock<Option<Engines>> = LazyLock::new(|| {
    let rules = Rules::default();
    Engines::compile(&rules, &MatcherSpec::of(&rules), Arc::new(NoTransform)).ok()
});

/// Looks at one body, and tells the paths of its values; of a body that nothing reads, that it is there.
pub(crate) struct ClearScanner {
    engine: Option<Box<dyn Rewriter>>,
    /// Whether there was any of the body, and whether something of it has been told.
    has_input: bool,
    reported: bool,
    /// What the engine gives back, which nobody needs.
    out: Vec<u8>,
}

impl ClearScanner {
    /// For one body with these header values.
    pub(crate) fn new(content_type: Option<&str>, content_encoding: Option<&str>) -> Self {
        Self {
            engine: unruled_engine(content_type, content_encoding).ok(),
            has_input: false,
            reported: false,
            out: Vec::new(),
        }
    }

    /// Looks at the next bytes; `tell` is given the path of each value.
    pub(crate) fn feed(&mut self, input: &[u8], tell: &mut dyn FnMut(&str)) {
        if !input.is_empty() && (self.engine.is_some() || !self.reported) {
            self.has_input = true;
            self.run_engine(tell, |engine, observer, out| engine.feed(input, observer, out));
        }
    }

    /// The body is complete.
    pub(crate) fn finish(&mut self, tell: &mut dyn FnMut(&str)) {
        if self.has_input && self.engine.is_some() {
            self.run_engine(tell, |engine, observer, out| engine.finish(observer, out));
        }
    }

    fn run_engine(
        &mut self,
        tell: &mut dyn FnMut(&str),
        act: impl FnOnce(&mut dyn Rewriter, &mut dyn RewriteObserver, &mut Vec<u8>) -> Result<(), RewriteError>,
    ) {
        let told = &mut self.reported;
        let mut observer = ClearPathObserver(&mut |path| {
            *told = true;
            tell(path);
        });
        self.out.clear();
        let done = self.engine.as_mut().map(|engine| act(&mut **engine, &mut observer, &mut self.out));
        if !matches!(done, Some(Ok(()))) {
            self.engine = None;
            if !self.reported {
                self.reported = true;
                tell("$");
            }
        }
    }
}

impl std::fmt::Debug for ClearScanner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Witness").field("reads", &self.engine.is_some()).finish_non_exhaustive()
    }
}

fn unruled_engine(
    content_type: Option<&str>,
    content_encoding: Option<&str>,
) -> Result<Box<dyn Rewriter>, RewriteError> {
    let media = content_type.map_or(Ok(MediaType::NONE), MediaType::parse)?;
    let coding = content_encoding.map_or(Ok(None), ContentCoding::parse)?;
    let engines = ENGINES.as_ref().ok_or(RewriteError::Opaque { what: "a body" })?;
    let engine = engines.engine_for(&media)?;
    Ok(match coding {
        Some(coding) => Box::new(DecodingRewriter::new(coding, engine)),
        None => engine,
    })
}

/// Hears of nothing but what is in clear.
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

/// What no rule ever asks for.
struct NoTransform;

impl Transform for NoTransform {
    fn drops_member(&self, _rule: usize) -> bool {
        false
    }

    fn transform(
        &self,
        _rule: usize,
        _value: SelectedValue<'_>,
        _out: &mut Vec<u8>,
    ) -> Result<Replacement, RewriteError> {
        Ok(Replacement::Unchanged { counted: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(content_type: &str, body: &str) -> Vec<String> {
        let mut all = Vec::new();
        let mut witness = ClearScanner::new(Some(content_type), None);
        body.as_bytes().chunks(3).for_each(|piece| witness.feed(piece, &mut |path| all.push(path.to_owned())));
        witness.finish(&mut |path| all.push(path.to_owned()));
        all.sort_unstable();
        all.dedup();
        all
    }

    #[test]
    fn every_format_tells_its_places() {
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
            assert_eq!(told(content_type, body), expected, "{content_type}: {body}");
        }
    }
}
