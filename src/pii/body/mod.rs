//! Chooses the engine for a body by its media type: `MEDIA_TYPES` is the only list of them.
//!
//! A body of a type that is not in it is refused where a rule must read it. Text has no named values: only detectors
//! read it, and only where no rule selects by name.

use std::sync::Arc;

use encoding_rs::Encoding;

use super::body_settings::{BodySettings, FileHandling};
use super::bom::BomFilter;
use super::charset::{Charset, Transcoder};
use super::csv::{CsvDialect, CsvRewriter};
use super::detect::DetectRule;
use super::fields::FieldRules;
use super::form::FormRewriter;
use super::grpc::GrpcRewriter;
use super::json::{JsonRewriter, Matcher, MatcherError, MatcherSpec};
use super::lines::{DocumentRules, SequenceFraming};
use super::media::MediaType;
use super::rewriter::{RewriteError, RewriteResult, Rewriter};
use super::rule::Rules;
use super::text::TextRewriter;
use super::transform::Transform;
use super::xml::{XmlPaths, XmlRewriter};

/// A body format that an engine reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BodyFormat {
    /// One JSON document.
    Json,
    /// A JSON document on each line.
    #[serde(rename = "ndjson")]
    JsonLines,
    /// JSON text sequences (RFC 7464).
    #[serde(rename = "json_seq")]
    JsonSequence,
    /// Server-sent events.
    #[serde(rename = "sse")]
    EventStream,
    /// A form in one line (`application/x-www-form-urlencoded`).
    Form,
    /// Comma-separated values, or as the delimiter says.
    Csv,
    /// Tab-separated values.
    Tsv,
    /// `multipart/form-data`. Only a content type says so: no contract can write this.
    #[serde(skip)]
    Multipart,
    /// XML 1.0.
    Xml,
    /// Text without names, for detectors alone.
    Text,
    /// The messages of a gRPC call, which are counted and pass as they are. A contract says so under `records`.
    #[serde(skip)]
    GrpcMessages,
}

/// The media types of each format; `*` with a suffix such as `+json` means all types that end so. The first match
/// counts.
const MEDIA_TYPES: [(&str, &str, BodyFormat); 31] = [
    ("application", "json", BodyFormat::Json),
    ("text", "json", BodyFormat::Json),
    ("text", "x-json", BodyFormat::Json),
    ("application", "x-json", BodyFormat::Json),
    ("application", "x-amz-json-1.0", BodyFormat::Json),
    ("application", "x-amz-json-1.1", BodyFormat::Json),
    // Several documents, one after the other, although its suffix says JSON.
    ("application", "stream+json", BodyFormat::JsonLines),
    ("*", "+json", BodyFormat::Json),
    ("application", "x-www-form-urlencoded", BodyFormat::Form),
    ("application", "x-ndjson", BodyFormat::JsonLines),
    ("application", "ndjson", BodyFormat::JsonLines),
    ("application", "jsonl", BodyFormat::JsonLines),
    ("application", "x-jsonl", BodyFormat::JsonLines),
    ("application", "jsonlines", BodyFormat::JsonLines),
    ("application", "x-jsonlines", BodyFormat::JsonLines),
    ("application", "json-lines", BodyFormat::JsonLines),
    ("text", "x-ndjson", BodyFormat::JsonLines),
    ("application", "json-seq", BodyFormat::JsonSequence),
    ("*", "+json-seq", BodyFormat::JsonSequence),
    ("text", "event-stream", BodyFormat::EventStream),
    ("text", "csv", BodyFormat::Csv),
    ("text", "x-csv", BodyFormat::Csv),
    ("text", "comma-separated-values", BodyFormat::Csv),
    ("application", "csv", BodyFormat::Csv),
    ("application", "x-csv", BodyFormat::Csv),
    ("text", "tab-separated-values", BodyFormat::Tsv),
    ("text", "tsv", BodyFormat::Tsv),
    ("multipart", "form-data", BodyFormat::Multipart),
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
        MEDIA_TYPES.iter().find(is).map(|&(_, _, format)| format)
    }
}

/// Where the paths of rules begin in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyStructure {
    /// At the one document of the body.
    Document,
    /// At rows, fields or text.
    Rows,
}

/// The rules of one direction, compiled for the engines of all formats.
pub(super) struct Engines {
    json: Arc<Matcher>,
    documents: DocumentRules,
    multipart: DocumentRules,
    tree: Arc<FieldRules>,
    flat: Arc<FieldRules>,
    xml: Arc<XmlPaths>,
    files: FileHandling,
    reading: BodySettings,
    fallback: Option<FallbackRule>,
    pub(super) transform: Arc<dyn Transform>,
}

impl Engines {
    /// Compiles rules for every format; `spec` are the same rules as the JSON engine takes them.
    ///
    /// # Errors
    /// [`MatcherError`] when the paths cannot be matched.
    pub(super) fn compile(
        rules: &Rules,
        spec: &MatcherSpec<'_>,
        treat: Arc<dyn Transform>,
    ) -> Result<Self, MatcherError> {
        Ok(Self {
            json: Arc::new(Matcher::compile(spec, &*treat)?),
            documents: DocumentRules::compile(spec, &*treat)?,
            multipart: DocumentRules::of_fields(spec, &*treat)?,
            tree: Arc::new(FieldRules::tree(rules)),
            flat: Arc::new(FieldRules::flat(rules)),
            xml: Arc::new(XmlPaths::new(rules)),
            files: rules.files,
            reading: rules.body_settings.clone(),
            fallback: FallbackRule::of(rules),
            transform: treat,
        })
    }

    /// Where paths begin in bodies of this type; `None` when no engine reads them.
    pub(super) fn structure_of(&self, media: &MediaType<'_>) -> Option<BodyStructure> {
        match self.reading.format.or_else(|| BodyFormat::of(media)) {
            Some(BodyFormat::Json | BodyFormat::Xml) => Some(BodyStructure::Document),
            Some(_) => Some(BodyStructure::Rows),
            None => self
                .fallback
                .as_ref()
                .filter(|rest| rest.reads_text && media.has_type("text"))
                .map(|_| BodyStructure::Rows),
        }
    }

    /// Whether bodies are the messages of gRPC, which pass as they are.
    pub(super) fn counts_grpc_messages(&self) -> bool {
        self.reading.format == Some(BodyFormat::GrpcMessages)
    }

    /// The media types that engines read, without those of `MEDIA_TYPES` that are given by a suffix.
    pub(super) fn media_types(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        MEDIA_TYPES.iter().map(|(kind, subtype, _)| (*kind, *subtype)).filter(|(kind, _)| *kind != "*")
    }

    /// A fresh engine for one body of this type.
    ///
    /// # Errors
    /// [`RewriteError::Opaque`] when no engine reads the type or its charset, [`RewriteError::Malformed`] when the
    /// boundary of a form is not a valid one.
    pub(super) fn engine_for(&self, media: &MediaType<'_>) -> RewriteResult<Box<dyn Rewriter>> {
        let engine = self.engine(self.format(media)?, media)?;
        Ok(match self.declared_encoding(media)? {
            None => engine,
            Some(encoding) => Box::new(Transcoder::new(encoding, engine)),
        })
    }

    /// The media type of the body as it leaves, if its charset is decoded.
    pub(super) fn decoded_media_type(&self, media: &MediaType<'_>) -> Option<String> {
        self.declared_encoding(media).ok().flatten().map(|_| media.with_utf8_charset())
    }

    fn format(&self, media: &MediaType<'_>) -> RewriteResult<BodyFormat> {
        let text = || (self.reads_text() && media.has_type("text")).then_some(BodyFormat::Text);
        let format = self.reading.format.or_else(|| BodyFormat::of(media)).or_else(text);
        let unread =
            if *media == MediaType::NONE { "a body without a content type" } else { "a body of this content type" };
        format.ok_or(RewriteError::Opaque { what: unread })
    }

    /// The charset from which the body must be decoded; `None` for UTF-8.
    fn declared_encoding(&self, media: &MediaType<'_>) -> RewriteResult<Option<&'static Encoding>> {
        match media.charset() {
            Charset::Utf8 => Ok(None),
            // The parts of a form have charsets of their own.
            Charset::Other(encoding) if self.reading.decode_charsets && !media.is("multipart", "form-data") => {
                Ok(Some(encoding))
            }
            Charset::Other(_) | Charset::Unknown => {
                Err(RewriteError::Opaque { what: "a body in a charset other than UTF-8" })
            }
        }
    }

    fn reads_text(&self) -> bool {
        self.fallback.as_ref().is_some_and(|rest| rest.reads_text)
    }

    fn engine(&self, format: BodyFormat, media: &MediaType<'_>) -> RewriteResult<Box<dyn Rewriter>> {
        let treat = Arc::clone(&self.transform);
        Ok(match format {
            BodyFormat::Json => skipping_bom(JsonRewriter::new(Arc::clone(&self.json), treat)),
            BodyFormat::Form => Box::new(FormRewriter::new(Arc::clone(&self.tree), treat)),
            BodyFormat::JsonLines => skipping_bom(self.documents.sequence(SequenceFraming::Lines, treat)),
            BodyFormat::JsonSequence => skipping_bom(self.documents.sequence(SequenceFraming::TextSequence, treat)),
            BodyFormat::EventStream => match &self.fallback {
                Some(rest) => skipping_bom(self.documents.events(Some(rest.detect()), !rest.selects_by_name, treat)),
                None => skipping_bom(self.documents.events(None, false, treat)),
            },
            BodyFormat::Csv => self.table(self.reading.delimiter.unwrap_or(b','), media)?,
            BodyFormat::Tsv => self.table(b'\t', media)?,
            BodyFormat::Multipart => {
                let boundary =
                    media.parameter("boundary").ok_or(RewriteError::Opaque { what: "a form without a boundary" })?;
                Box::new(self.multipart.parts(boundary, Arc::clone(&self.tree), treat, self.files)?)
            }
            BodyFormat::Xml => skipping_bom(XmlRewriter::new(Arc::clone(&self.xml), treat)),
            BodyFormat::GrpcMessages => Box::new(GrpcRewriter::new(media)?),
            BodyFormat::Text => match &self.fallback {
                Some(rest) if rest.reads_text => Box::new(TextRewriter::new(Arc::clone(&rest.detect), rest.rule)),
                Some(_) | None => return Err(RewriteError::Opaque { what: "text, whose values have no names" }),
            },
        })
    }

    fn table(&self, delimiter: u8, media: &MediaType<'_>) -> RewriteResult<Box<dyn Rewriter>> {
        let header_is = |word: &str| media.parameter("header").is_some_and(|header| header.eq_ignore_ascii_case(word));
        let columns = self.reading.columns.as_deref();
        if columns.is_none() && header_is("absent") {
            return Err(RewriteError::Opaque { what: "a table without a header" });
        }
        if columns.is_some() && header_is("present") {
            return Err(RewriteError::Opaque { what: "a table with a header, where the contract gives its columns" });
        }
        let dialect = CsvDialect { delimiter, columns, headed: header_is("present") };
        let table = CsvRewriter::new(dialect, Arc::clone(&self.flat), Arc::clone(&self.transform))?;
        Ok(Box::new(BomFilter::new(table, true)))
    }
}

fn skipping_bom(engine: impl Rewriter + 'static) -> Box<dyn Rewriter> {
    Box::new(BomFilter::new(engine, false))
}

/// The rule for texts that no other rule selects: [`Rules::detect`].
struct FallbackRule {
    detect: Arc<DetectRule>,
    rule: usize,
    /// Whether plain text may be read: no other rule reads the body, so none needs a named value.
    reads_text: bool,
    /// Whether a rule selects by name, so that a text without names would escape it.
    selects_by_name: bool,
}

impl FallbackRule {
    fn of(rules: &Rules) -> Option<Self> {
        let (detect, rule) = rules.detect.clone().zip(rules.detect_rule())?;
        Some(Self {
            detect: Arc::new(detect),
            rule,
            reads_text: !rules.needs_names(),
            selects_by_name: rules.selects_by_name(),
        })
    }

    fn detect(&self) -> (Arc<DetectRule>, usize) {
        (Arc::clone(&self.detect), self.rule)
    }
}

#[cfg(test)]
mod tests;
