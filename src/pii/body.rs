//! Which engine reads which body: the one table of media types.
//!
//! A type that is not in it is not read, and so refused under a rule. Text has no names: only detectors read it, and only
//! where no rule asks for a name.

use std::sync::Arc;

use super::csv::Csv;
use super::detect::{Guard, Sort};
use super::fields::Fields;
use super::form::Form;
use super::json::{JsonRewriter, Matcher, MatcherError, Spec};
use super::lines::{Documents, Framing};
use super::media::MediaType;
use super::multipart::Files;
use super::rewriter::{Cut, Rewriter, Stop, Treat, Watch};
use super::rule::Rules;
use super::text::Text;
use super::xml::{Xml, XmlPaths};

/// A body format that an engine reads. A new one is a variant, its media types in [`BodyFormat::of`] and its line in
/// [`Engines::body`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyFormat {
    Json,
    Form,
    Lines,
    TextSequence,
    Events,
    Comma,
    Tab,
    Parts,
    Xml,
}

/// The media types of each format; `*` with a `+` stands for all that end so.
const TYPES: [(&str, &str, BodyFormat); 20] = [
    ("application", "json", BodyFormat::Json),
    ("*", "+json", BodyFormat::Json),
    ("application", "x-www-form-urlencoded", BodyFormat::Form),
    ("application", "x-ndjson", BodyFormat::Lines),
    ("application", "ndjson", BodyFormat::Lines),
    ("application", "jsonl", BodyFormat::Lines),
    ("application", "x-jsonl", BodyFormat::Lines),
    ("application", "jsonlines", BodyFormat::Lines),
    ("application", "x-jsonlines", BodyFormat::Lines),
    ("application", "json-lines", BodyFormat::Lines),
    ("application", "json-seq", BodyFormat::TextSequence),
    ("*", "+json-seq", BodyFormat::TextSequence),
    ("text", "event-stream", BodyFormat::Events),
    ("text", "csv", BodyFormat::Comma),
    ("application", "csv", BodyFormat::Comma),
    ("text", "tab-separated-values", BodyFormat::Tab),
    ("multipart", "form-data", BodyFormat::Parts),
    ("application", "xml", BodyFormat::Xml),
    ("text", "xml", BodyFormat::Xml),
    ("*", "+xml", BodyFormat::Xml),
];

impl BodyFormat {
    fn of(media: &MediaType<'_>) -> Option<Self> {
        let is = |&&(kind, subtype, _): &&(&str, &str, Self)| match kind {
            "*" => media.has_suffix(subtype),
            kind => media.is(kind, subtype),
        };
        TYPES.iter().find(is).map(|&(_, _, format)| format)
    }
}

/// What engines are made of, compiled once.
pub(super) struct Engines {
    json: Arc<Matcher>,
    documents: Documents,
    parts: Documents,
    tree: Arc<Fields>,
    flat: Arc<Fields>,
    xml: Arc<XmlPaths>,
    files: Files,
    rest: Option<Rest>,
    pub(super) treat: Arc<dyn Treat>,
}

impl Engines {
    /// Compiles rules for every format; `spec` is what they ask of JSON.
    ///
    /// # Errors
    /// [`MatcherError`] when the paths cannot be matched.
    pub(super) fn compile(rules: &Rules, spec: &Spec<'_>, treat: Arc<dyn Treat>) -> Result<Self, MatcherError> {
        Ok(Self {
            json: Arc::new(Matcher::compile(spec, &*treat)?),
            documents: Documents::compile(spec, &*treat)?,
            parts: Documents::of_parts(spec, &*treat)?,
            tree: Arc::new(Fields::tree(rules)),
            flat: Arc::new(Fields::flat(rules)),
            xml: Arc::new(XmlPaths::new(rules)),
            files: rules.files,
            rest: Rest::of(rules),
            treat,
        })
    }

    /// A fresh engine for one body of this type.
    ///
    /// # Errors
    /// [`Stop::Opaque`] when no engine reads the type, [`Stop::Malformed`] when its boundary is none.
    pub(super) fn body(&self, media: &MediaType<'_>) -> Result<Box<dyn Rewriter>, Stop> {
        let opaque = Stop::Opaque { what: "a body of this content type" };
        let treat = Arc::clone(&self.treat);
        let flat = || Arc::clone(&self.flat);
        let Some(format) = BodyFormat::of(media) else {
            return match &self.rest {
                Some(rest) if rest.reads_text && media.is_of("text") => Ok(rest.telling(Text::new(rest.guard()))),
                Some(_) | None => Err(opaque),
            };
        };
        Ok(match format {
            BodyFormat::Json => Box::new(JsonRewriter::new(Arc::clone(&self.json), treat)),
            BodyFormat::Form => Box::new(Form::new(Arc::clone(&self.tree), treat)),
            BodyFormat::Lines => Box::new(self.documents.sequence(Framing::Lines, treat)),
            BodyFormat::TextSequence => Box::new(self.documents.sequence(Framing::TextSequence, treat)),
            BodyFormat::Events => match &self.rest {
                Some(rest) => rest.telling(self.documents.events(Some(rest.guard()), treat)),
                None => Box::new(self.documents.events(None, treat)),
            },
            BodyFormat::Comma | BodyFormat::Tab if is_without_header(media) => {
                return Err(Stop::Opaque { what: "a table without a header" });
            }
            BodyFormat::Comma => Box::new(Csv::comma(flat(), treat)),
            BodyFormat::Tab => Box::new(Csv::tab(flat(), treat)),
            BodyFormat::Parts => {
                let boundary = media.parameter("boundary").ok_or(Stop::Opaque { what: "a form without a boundary" })?;
                Box::new(self.parts.parts(boundary, Arc::clone(&self.tree), treat, self.files)?)
            }
            BodyFormat::Xml => Box::new(Xml::new(Arc::clone(&self.xml), treat)),
        })
    }
}

/// The rule for texts that no other rule selects.
struct Rest {
    guard: Arc<Guard>,
    rule: usize,
    /// Whether no other rule asks for a name, which plain text does not have.
    reads_text: bool,
}

impl Rest {
    fn of(rules: &Rules) -> Option<Self> {
        let (guard, rule) = rules.detect.clone().zip(rules.rest())?;
        Some(Self { guard: Arc::new(guard), rule, reads_text: !rules.needs_names() })
    }

    fn guard(&self) -> Arc<Guard> {
        Arc::clone(&self.guard)
    }

    /// An engine whose detectors' finds count as values that this rule has treated.
    fn telling(&self, engine: impl Rewriter + 'static) -> Box<dyn Rewriter> {
        Box::new(Telling { engine, rule: self.rule })
    }
}

struct Telling<R> {
    engine: R,
    rule: usize,
}

impl<R: Rewriter> Rewriter for Telling<R> {
    fn feed(&mut self, input: &[u8], watch: &mut dyn Watch, out: &mut Vec<u8>) -> Result<(), Stop> {
        self.engine.feed(input, &mut Finds { watch, rule: self.rule }, out)
    }

    fn finish(&mut self, watch: &mut dyn Watch, out: &mut Vec<u8>) -> Result<(), Stop> {
        self.engine.finish(&mut Finds { watch, rule: self.rule }, out)
    }
}

struct Finds<'a> {
    watch: &'a mut dyn Watch,
    rule: usize,
}

impl Watch for Finds<'_> {
    fn record(&mut self) -> Result<(), Cut> {
        self.watch.record()
    }

    fn treated(&mut self, rule: usize) {
        self.watch.treated(rule);
    }

    fn found(&mut self, _sort: Sort) {
        self.watch.treated(self.rule);
    }

    fn subject(&mut self, value: &[u8]) {
        self.watch.subject(value);
    }
}

/// Whether a table says that its first row is data (RFC 4180, section 3).
fn is_without_header(media: &MediaType<'_>) -> bool {
    media.parameter("header").is_some_and(|header| header.eq_ignore_ascii_case("absent"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::trial::{self, Sealed, Seen};
    use std::io::Write;

    const SECRET: &str = "canary-0123456789";

    /// Every format, with the secret in every place that the rule names.
    const BODIES: [(&str, &str); 12] = [
        ("application/json; charset=utf-8", r#"[{"email":"SECRET","a":{"e\u006dail":["SECRET"]}}]"#),
        ("application/problem+json", r#"{"email":{"any":"SECRET"}}"#),
        ("application/x-www-form-urlencoded", "a=1&email=SECRET&c%5Be%6Dail%5D=SECRET&Email[]=SECRET"),
        ("application/x-ndjson", "{\"email\":\"SECRET\"}\n\n{\"email\":\"SECRET\"}\n"),
        ("application/json-seq", "\u{1e}{\"email\":\"SECRET\"}\n\u{1e}[{\"email\":\"SECRET\"}]\n"),
        ("text/event-stream", ": x\ndata: {\"email\":\ndata: \"SECRET\"}\nid: 1\n\n"),
        ("text/csv; header=present", "id,Email\r\n1,SECRET\r\n2,\"SECRET\"\r\n"),
        ("text/tab-separated-values", "email\tid\nSECRET\t1\n"),
        (
            "multipart/form-data; boundary=\"b c\"",
            "--b c\r\nContent-Disposition: form-data; name=\"email\"\r\n\r\nSECRET\r\n--b c\r\nContent-Disposition: form-data; \
             name=\"j\"\r\nContent-Type: application/json\r\n\r\n{\"email\":\"SECRET\"}\r\n--b c--",
        ),
        ("application/xml", "<c email='SECRET'><email>SECRET</email><email><a>SECRET</a></email></c>"),
        ("application/soap+xml", "<c><x:email>SEC<!-- SECRET -->RET</x:email></c>"),
        ("text/xml", "<c><email><![CDATA[SECRET]]></email></c>"),
    ];

    fn engines(rules: &Rules) -> Engines {
        Engines::compile(rules, &Spec::of(rules), Sealed::shared()).expect("rules")
    }

    fn body(engines: &Engines, content_type: &str) -> Result<Box<dyn Rewriter>, Stop> {
        engines.body(&MediaType::parse(content_type)?)
    }

    #[test]
    fn no_format_lets_a_piece_of_a_selected_value_leave() {
        let engines = engines(&trial::rules(&["$..email"]));
        for (content_type, text) in BODIES {
            let text = text.replace("SECRET", SECRET).replace("SEC<!", "canary-0123<!").replace(">RET<", ">456789<");
            let (out, seen, end) = trial::run(|| body(&engines, content_type).expect(content_type), text.as_bytes());
            assert_eq!((end, seen.treated.is_empty()), (Ok(()), false), "{content_type}");
            assert!(!out.is_empty());
            trial::leaks_nothing(|| body(&engines, content_type).expect(content_type), text.as_bytes(), "canary-0123");
        }
    }

    #[test]
    fn every_format_is_read_behind_a_coding_too() {
        let engines = engines(&trial::rules(&["$..email"]));
        for (content_type, text) in BODIES {
            let text = text.replace("SECRET", SECRET);
            let (plain, ..) = trial::run(|| body(&engines, content_type).expect(content_type), text.as_bytes());
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            let coded = gzip.write_all(text.as_bytes()).and_then(|()| gzip.finish()).expect("in memory");
            let engine = body(&engines, content_type).expect(content_type);
            let mut decoding = crate::pii::Decoding::new(crate::pii::Coding::Gzip, engine);
            let (out, _, end) = trial::push(&mut decoding, Seen::default(), coded.chunks(5));
            assert_eq!((out, end), (plain, Ok(())), "{content_type}");
        }
    }

    #[test]
    fn every_format_lets_nothing_pass_that_no_list_has() {
        let engines = engines(&trial::only(&["$..id"]));
        for (content_type, text) in BODIES {
            let text = text.replace("SECRET", SECRET);
            let (out, _, end) = trial::run(|| body(&engines, content_type).expect(content_type), text.as_bytes());
            assert_eq!(end, Ok(()), "{content_type}");
            assert_eq!(memchr::memmem::find(&out, b"canary"), None, "{}", String::from_utf8_lossy(&out));
        }
    }

    #[test]
    fn detectors_read_every_format_and_text_too() {
        let mail = "canary-0123456789@example.com";
        let guard = Guard::new(crate::pii::Detector::default(), crate::pii::Action::Redact);
        let plan = trial::plan(&Rules { detect: Some(guard), ..Rules::default() });
        let text = ("text/plain", "Dear SECRET,");
        for (content_type, text) in BODIES.into_iter().chain([text, ("text/event-stream", "data: hi SECRET\n\n")]) {
            let text = text.replace("SECRET", &format!("to {mail}!"));
            let text = text.replace("=to ", "=to+");
            let make = || plan.body(Some(content_type), None).expect(content_type);
            let (out, seen, end) = trial::run(make, text.as_bytes());
            assert_eq!(end, Ok(()), "{content_type}");
            assert!(seen.treated.iter().all(|rule| *rule == 0) && !seen.treated.is_empty(), "{content_type}");
            assert_eq!(memchr::memmem::find(&out, b"canary"), None, "{}", String::from_utf8_lossy(&out));
            assert!(memchr::memmem::find(&out, b"redacted").is_some(), "{}", String::from_utf8_lossy(&out));
        }
    }

    #[test]
    fn what_no_engine_reads_is_refused() {
        let engines = engines(&trial::rules(&["$..email"]));
        for content_type in [
            "text/plain",
            "application/octet-stream",
            "multipart/form-data",
            "multipart/mixed; boundary=b",
            "multipart/byteranges; boundary=b",
            "text/csv; header=absent",
            "text/csv; charset=latin1",
            "application/xmlx",
        ] {
            assert!(matches!(body(&engines, content_type), Err(Stop::Opaque { .. })), "{content_type}");
        }
        let long = format!("multipart/form-data; boundary={}", "b".repeat(71));
        assert!(body(&engines, &long).is_err());
    }
}
