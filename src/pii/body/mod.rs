//! Which engine reads which body: the one table of media types.
//!
//! A type that is not in it is not read, and so refused under a rule. Text has no names: only detectors read it, and only
//! where no rule asks for a name.

use std::sync::Arc;

use encoding_rs::Encoding;

use super::bom::Marked;
use super::charset::{Charset, Recoded};
use super::csv::{Csv, Dialect};
use super::detect::{Guard, Sort};
use super::fields::Fields;
use super::form::Form;
use super::json::{JsonRewriter, Matcher, MatcherError, Spec};
use super::lines::{Documents, Framing};
use super::media::MediaType;
use super::reading::{Files, Reading};
use super::rewriter::{Cut, Rewriter, Stop, Treat, Watch};
use super::rule::Rules;
use super::text::Text;
use super::xml::{Xml, XmlPaths};

/// A body format that an engine reads. A new one is a variant, its media types in `BodyFormat::of` and its line in
/// `Engines::engine`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFormat {
    /// One JSON document (RFC 8259).
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// A JSON document on each line.
    Lines,
    /// JSON text sequences (RFC 7464).
    TextSequence,
    /// Server-sent events.
    Events,
    /// Comma-separated values (RFC 4180).
    Comma,
    /// Tab-separated values.
    Tab,
    /// `multipart/form-data`.
    Parts,
    /// XML 1.0.
    Xml,
    /// Text without names, for detectors alone.
    Text,
}

/// The media types of each format; `*` with a `+` stands for all that end so.
const TYPES: [(&str, &str, BodyFormat); 31] = [
    ("application", "json", BodyFormat::Json),
    ("text", "json", BodyFormat::Json),
    ("text", "x-json", BodyFormat::Json),
    ("application", "x-json", BodyFormat::Json),
    ("application", "x-amz-json-1.0", BodyFormat::Json),
    ("application", "x-amz-json-1.1", BodyFormat::Json),
    // Documents one behind the other, whatever its suffix says.
    ("application", "stream+json", BodyFormat::Lines),
    ("*", "+json", BodyFormat::Json),
    ("application", "x-www-form-urlencoded", BodyFormat::Form),
    ("application", "x-ndjson", BodyFormat::Lines),
    ("application", "ndjson", BodyFormat::Lines),
    ("application", "jsonl", BodyFormat::Lines),
    ("application", "x-jsonl", BodyFormat::Lines),
    ("application", "jsonlines", BodyFormat::Lines),
    ("application", "x-jsonlines", BodyFormat::Lines),
    ("application", "json-lines", BodyFormat::Lines),
    ("text", "x-ndjson", BodyFormat::Lines),
    ("application", "json-seq", BodyFormat::TextSequence),
    ("*", "+json-seq", BodyFormat::TextSequence),
    ("text", "event-stream", BodyFormat::Events),
    ("text", "csv", BodyFormat::Comma),
    ("text", "x-csv", BodyFormat::Comma),
    ("text", "comma-separated-values", BodyFormat::Comma),
    ("application", "csv", BodyFormat::Comma),
    ("application", "x-csv", BodyFormat::Comma),
    ("text", "tab-separated-values", BodyFormat::Tab),
    ("text", "tsv", BodyFormat::Tab),
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

/// What a body is to the paths of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    /// The document that they begin at.
    Document,
    /// Rows, fields or text.
    Rows,
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
    reading: Reading,
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
            parts: Documents::of_fields(spec, &*treat)?,
            tree: Arc::new(Fields::tree(rules)),
            flat: Arc::new(Fields::flat(rules)),
            xml: Arc::new(XmlPaths::new(rules)),
            files: rules.files,
            reading: rules.reading.clone(),
            rest: Rest::of(rules),
            treat,
        })
    }

    /// Whether an engine reads bodies of this type, and what they are.
    pub(super) fn reads(&self, media: &MediaType<'_>) -> Option<Reads> {
        match self.reading.format.or_else(|| BodyFormat::of(media)) {
            Some(BodyFormat::Json | BodyFormat::Xml) => Some(Reads::Document),
            Some(_) => Some(Reads::Rows),
            None => self.rest.as_ref().filter(|rest| rest.reads_text && media.is_of("text")).map(|_| Reads::Rows),
        }
    }

    /// The types that are read, but for those that only end alike.
    pub(super) fn types(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        TYPES.iter().map(|(kind, subtype, _)| (*kind, *subtype)).filter(|(kind, _)| *kind != "*")
    }

    /// A fresh engine for one body of this type.
    ///
    /// # Errors
    /// [`Stop::Opaque`] when no engine reads the type or its charset, [`Stop::Malformed`] when its boundary is none.
    pub(super) fn body(&self, media: &MediaType<'_>) -> Result<Box<dyn Rewriter>, Stop> {
        let engine = self.engine(self.format(media)?, media)?;
        Ok(match self.encoding(media)? {
            None => engine,
            Some(encoding) => Box::new(Recoded::new(encoding, engine)),
        })
    }

    /// The type as it is when the body has been decoded, if that is another.
    pub(super) fn media_type(&self, media: &MediaType<'_>) -> Option<String> {
        self.encoding(media).ok().flatten().map(|_| media.in_utf8())
    }

    fn format(&self, media: &MediaType<'_>) -> Result<BodyFormat, Stop> {
        let text = || (self.reads_text() && media.is_of("text")).then_some(BodyFormat::Text);
        let format = self.reading.format.or_else(|| BodyFormat::of(media)).or_else(text);
        let unread =
            if *media == MediaType::NONE { "a body without a content type" } else { "a body of this content type" };
        format.ok_or(Stop::Opaque { what: unread })
    }

    /// What the body must be decoded from.
    fn encoding(&self, media: &MediaType<'_>) -> Result<Option<&'static Encoding>, Stop> {
        match media.charset() {
            Charset::Utf8 => Ok(None),
            // Its parts have charsets of their own.
            Charset::Other(encoding) if self.reading.decode_charsets && !media.is("multipart", "form-data") => {
                Ok(Some(encoding))
            }
            Charset::Other(_) | Charset::Unknown => Err(Stop::Opaque { what: "a body in a charset other than UTF-8" }),
        }
    }

    fn reads_text(&self) -> bool {
        self.rest.as_ref().is_some_and(|rest| rest.reads_text)
    }

    fn engine(&self, format: BodyFormat, media: &MediaType<'_>) -> Result<Box<dyn Rewriter>, Stop> {
        let treat = Arc::clone(&self.treat);
        Ok(match format {
            BodyFormat::Json => marked(JsonRewriter::new(Arc::clone(&self.json), treat)),
            BodyFormat::Form => Box::new(Form::new(Arc::clone(&self.tree), treat)),
            BodyFormat::Lines => marked(self.documents.sequence(Framing::Lines, treat)),
            BodyFormat::TextSequence => marked(self.documents.sequence(Framing::TextSequence, treat)),
            BodyFormat::Events => match &self.rest {
                Some(rest) => {
                    rest.telling(Marked::new(self.documents.events(Some(rest.guard()), !rest.names, treat), false))
                }
                None => marked(self.documents.events(None, false, treat)),
            },
            BodyFormat::Comma => self.table(self.reading.delimiter.unwrap_or(b','), media)?,
            BodyFormat::Tab => self.table(b'\t', media)?,
            BodyFormat::Parts => {
                let boundary = media.parameter("boundary").ok_or(Stop::Opaque { what: "a form without a boundary" })?;
                Box::new(self.parts.parts(boundary, Arc::clone(&self.tree), treat, self.files)?)
            }
            BodyFormat::Xml => marked(Xml::new(Arc::clone(&self.xml), treat)),
            BodyFormat::Text => match &self.rest {
                Some(rest) if rest.reads_text => rest.telling(Text::new(rest.guard())),
                Some(_) | None => return Err(Stop::Opaque { what: "text, whose values have no names" }),
            },
        })
    }

    fn table(&self, delimiter: u8, media: &MediaType<'_>) -> Result<Box<dyn Rewriter>, Stop> {
        let says = |word: &str| media.parameter("header").is_some_and(|header| header.eq_ignore_ascii_case(word));
        let columns = self.reading.columns.as_deref();
        if columns.is_none() && says("absent") {
            return Err(Stop::Opaque { what: "a table without a header" });
        }
        if columns.is_some() && says("present") {
            return Err(Stop::Opaque { what: "a table with a header, where the contract gives its columns" });
        }
        let dialect = Dialect { delimiter, columns, headed: says("present") };
        let table = Csv::new(dialect, Arc::clone(&self.flat), Arc::clone(&self.treat))?;
        Ok(Box::new(Marked::new(table, true)))
    }
}

fn marked(engine: impl Rewriter + 'static) -> Box<dyn Rewriter> {
    Box::new(Marked::new(engine, false))
}

/// The rule for texts that no other rule selects.
struct Rest {
    guard: Arc<Guard>,
    rule: usize,
    /// Whether no other rule asks for a name, which plain text does not have.
    reads_text: bool,
    /// Whether a rule selects by a name, so that text would go around it.
    names: bool,
}

impl Rest {
    fn of(rules: &Rules) -> Option<Self> {
        let (guard, rule) = rules.detect.clone().zip(rules.rest())?;
        Some(Self { guard: Arc::new(guard), rule, reads_text: !rules.needs_names(), names: rules.selects_by_name() })
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

    fn misshapen(&mut self, why: Stop) -> Result<(), Stop> {
        self.watch.misshapen(why)
    }

    fn subject(&mut self, value: &[u8]) {
        self.watch.subject(value);
    }

    fn asks_clear(&self) -> bool {
        self.watch.asks_clear()
    }

    fn clear(&mut self, path: &str) {
        self.watch.clear(path);
    }
}

#[cfg(test)]
mod tests;
