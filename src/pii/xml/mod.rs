//! XML 1.0, treated while it streams, by element and attribute.
//!
//! A small strict lexer: document types, other entities, other charsets and what is not well-formed are refused, as a
//! laxer reader would see another document. What nothing selects passes byte for byte. Never resolves or fetches.

mod held;
mod paths;
mod stack;
mod tag;
mod tree;
mod unselected;

pub(super) use paths::XmlPaths;

use super::skip::length_before;
use super::utf8::{Utf8Validator, not_utf8};
use super::{RewriteError, RewriteObserver, RewriteResult, Rewriter, Transform};
use crate::bounds::XML_TAG_BYTES_MAX;
use std::sync::Arc;
use tag::{AttributeSpan, XmlTag};
use tree::{ElementTree, XmlContext};

/// Treats an XML document while it streams.
pub(super) struct XmlRewriter {
    tree: ElementTree,
    state: XmlState,
    /// The open tag, reference or instruction, after its `<` or `&`.
    markup: Vec<u8>,
    /// Where a tag's attributes are in the markup. It is a field so that its memory is used again.
    marks: Vec<AttributeSpan>,
    utf8: Utf8Validator,
    at: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum XmlState {
    /// In text, where `brackets` counts the `]` just read: two of them may begin `]]>`.
    Text { brackets: u8 },
    /// In a reference, after its `&`.
    Reference,
    /// After `<`.
    Open,
    /// After `<!`.
    Bang,
    /// In a start tag; `quote` is the one that ends the open attribute.
    Start { quote: Option<u8> },
    /// In an end tag.
    End,
    /// In a comment, of whose `-->` so many dashes have just been read.
    Comment { dashes: u8 },
    /// In CDATA, of whose `]]>` so many brackets have just been read.
    Cdata { brackets: u8 },
    /// In the target of a processing instruction.
    Target,
    /// In the XML declaration.
    Declaration,
    /// In a processing instruction, after its target; `question` when a `?` has just been read.
    Instruction { question: bool },
}

const CDATA: &[u8] = b"[CDATA[";
/// Enough for `#x10FFFF` and some leading zeros.
const REFERENCE_BYTES_MAX: usize = 10;

impl XmlRewriter {
    /// A rewriter for one document.
    pub(super) fn new(paths: Arc<XmlPaths>, transform: Arc<dyn Transform>) -> Self {
        let state = XmlState::Text { brackets: 0 };
        let tree = ElementTree::new(paths, transform);
        Self { tree, state, markup: Vec::new(), marks: Vec::new(), utf8: Utf8Validator::default(), at: 0 }
    }

    /// Takes some bytes, at least one unless the state changes; returns how many.
    fn step(&mut self, input: &[u8], context: &mut XmlContext<'_>) -> RewriteResult<usize> {
        let byte = input[0];
        if is_control(byte) {
            return Err(context.malformed("a control character"));
        }
        match self.state {
            XmlState::Text { brackets } => self.text(input, brackets, context),
            XmlState::Cdata { brackets } => self.cdata(input, brackets, context),
            XmlState::Reference => self.reference(byte, context),
            XmlState::Open => self.open(byte),
            XmlState::Bang => self.bang(byte, context),
            XmlState::Start { quote } => match tag_bytes(input, quote) {
                0 => self.start(byte, quote, context),
                plain => self.hold(&input[..plain], XML_TAG_BYTES_MAX),
            },
            XmlState::End => match tag_bytes(input, None) {
                0 => self.end(byte, context),
                plain => self.hold(&input[..plain], XML_TAG_BYTES_MAX),
            },
            XmlState::Comment { dashes: 0 } if byte != b'-' => {
                let plain = length_before(input, |b| b == b'-' || is_control(b));
                self.tree.misc(&input[..plain], context)?;
                Ok(plain)
            }
            XmlState::Comment { dashes } => self.comment(byte, dashes, context),
            XmlState::Target => self.target(byte, context),
            XmlState::Declaration => self.declaration(byte, context),
            XmlState::Instruction { question } => {
                self.tree.misc(&[byte], context)?;
                self.state = XmlState::Instruction { question: byte == b'?' };
                if question && byte == b'>' {
                    self.state = TEXT;
                    self.tree.end_misc(context)?;
                }
                Ok(1)
            }
        }
    }

    fn text(&mut self, input: &[u8], brackets: u8, context: &mut XmlContext<'_>) -> RewriteResult<usize> {
        let plain = plain_bytes(input);
        if plain > 0 {
            self.state = TEXT;
            self.tree.text(&input[..plain], &input[..plain], context)?;
            return Ok(plain);
        }
        self.markup.clear();
        match input[0] {
            b'<' => self.state = XmlState::Open,
            b'&' => self.state = XmlState::Reference,
            b'>' if brackets == 2 => return Err(context.malformed("']]>' outside of CDATA")),
            byte => {
                self.state = XmlState::Text { brackets: if byte == b']' { (brackets + 1).min(2) } else { 0 } };
                self.tree.text(&[byte], &[byte], context)?;
            }
        }
        Ok(1)
    }

    fn reference(&mut self, byte: u8, context: &mut XmlContext<'_>) -> RewriteResult<usize> {
        if byte != b';' {
            return self.hold(&[byte], REFERENCE_BYTES_MAX).map_err(|_| context.malformed(tag::BAD_REFERENCE));
        }
        let name = std::str::from_utf8(&self.markup).ok();
        let character = name.and_then(tag::reference).ok_or(context.malformed(tag::BAD_REFERENCE))?;
        self.markup.insert(0, b'&');
        self.markup.push(b';');
        self.state = TEXT;
        self.tree.text(&self.markup, character.encode_utf8(&mut [0; 4]).as_bytes(), context)?;
        Ok(1)
    }

    fn open(&mut self, byte: u8) -> RewriteResult<usize> {
        self.state = match byte {
            b'/' => XmlState::End,
            b'!' => XmlState::Bang,
            b'?' => XmlState::Target,
            _ => {
                self.state = XmlState::Start { quote: None };
                return Ok(0);
            }
        };
        Ok(1)
    }

    fn bang(&mut self, byte: u8, context: &mut XmlContext<'_>) -> RewriteResult<usize> {
        self.markup.push(byte);
        if self.markup == b"--" {
            self.tree.misc(b"<!--", context)?;
            self.state = XmlState::Comment { dashes: 0 };
        } else if self.markup == CDATA {
            self.state = XmlState::Cdata { brackets: 0 };
            self.tree.text(b"<![CDATA[", b"", context)?;
        } else if !b"--".starts_with(&self.markup) && !CDATA.starts_with(&self.markup) {
            return Err(context.malformed("a document type, or another declaration"));
        }
        Ok(1)
    }

    fn start(&mut self, byte: u8, quote: Option<u8>, context: &mut XmlContext<'_>) -> RewriteResult<usize> {
        match (quote, byte) {
            (None, b'>') => {
                let text = std::str::from_utf8(&self.markup).map_err(|_| not_utf8(context.at))?;
                let tag = XmlTag::parse(text, &mut self.marks).map_err(|what| context.malformed(what))?;
                self.state = TEXT;
                self.tree.start(&tag, context)?;
                return Ok(1);
            }
            (_, b'<') => return Err(context.malformed("a '<' in a tag")),
            (None, b'"' | b'\'') => self.state = XmlState::Start { quote: Some(byte) },
            (Some(open), byte) if open == byte => self.state = XmlState::Start { quote: None },
            (None | Some(_), _) => {}
        }
        self.hold(&[byte], XML_TAG_BYTES_MAX)
    }

    fn end(&mut self, byte: u8, context: &mut XmlContext<'_>) -> RewriteResult<usize> {
        if byte != b'>' {
            return self.hold(&[byte], XML_TAG_BYTES_MAX);
        }
        let tag = std::str::from_utf8(&self.markup).map_err(|_| not_utf8(context.at))?;
        self.state = TEXT;
        self.tree.end(tag, context)?;
        Ok(1)
    }

    fn hold(&mut self, run: &[u8], limit: usize) -> RewriteResult<usize> {
        if self.markup.len() + run.len() > limit {
            return Err(RewriteError::Bound { bound: "a tag", limit: limit as u64 });
        }
        self.markup.extend_from_slice(run);
        Ok(run.len())
    }

    fn comment(&mut self, byte: u8, dashes: u8, context: &mut XmlContext<'_>) -> RewriteResult<usize> {
        self.state = match (dashes, byte) {
            (2, b'>') => TEXT,
            (2, _) => return Err(context.malformed("'--' within a comment")),
            (_, b'-') => XmlState::Comment { dashes: dashes + 1 },
            (_, _) => XmlState::Comment { dashes: 0 },
        };
        self.tree.misc(&[byte], context)?;
        if self.state == TEXT {
            self.tree.end_misc(context)?;
        }
        Ok(1)
    }

    fn cdata(&mut self, input: &[u8], brackets: u8, context: &mut XmlContext<'_>) -> RewriteResult<usize> {
        let seen = &b"]]"[..usize::from(brackets)];
        let (used, brackets) = match (input[0], brackets) {
            (b']', 2) => (1, 2),
            (b']', _) => {
                self.state = XmlState::Cdata { brackets: brackets + 1 };
                return Ok(1);
            }
            (b'>', 2) => {
                self.state = TEXT;
                self.tree.text(b"]]>", b"", context)?;
                return Ok(1);
            }
            (_, _) => {
                self.tree.text(seen, seen, context)?;
                let plain = plain_bytes(input).max(1);
                self.tree.text(&input[..plain], &input[..plain], context)?;
                self.state = XmlState::Cdata { brackets: 0 };
                return Ok(plain);
            }
        };
        self.tree.text(b"]", b"]", context)?;
        self.state = XmlState::Cdata { brackets };
        Ok(used)
    }

    fn target(&mut self, byte: u8, context: &mut XmlContext<'_>) -> RewriteResult<usize> {
        if byte != b'?' && !tag::is_space(char::from(byte)) {
            return self.hold(&[byte], XML_TAG_BYTES_MAX);
        }
        if self.markup.eq_ignore_ascii_case(b"xml") {
            if self.markup != b"xml" || context.at != b"<?xml".len() as u64 {
                return Err(context.malformed("a declaration that is not at the start"));
            }
            self.state = XmlState::Declaration;
            return Ok(0);
        }
        if self.markup.is_empty() {
            return Err(context.malformed("an instruction without a target"));
        }
        self.tree.misc(b"<?", context)?;
        self.tree.misc(&self.markup, context)?;
        self.state = XmlState::Instruction { question: false };
        Ok(0)
    }

    fn declaration(&mut self, byte: u8, context: &mut XmlContext<'_>) -> RewriteResult<usize> {
        self.hold(&[byte], XML_TAG_BYTES_MAX)?;
        let Some(text) = self.markup.strip_suffix(b"?>") else { return Ok(1) };
        let text = std::str::from_utf8(text).map_err(|_| not_utf8(context.at))?;
        check_declaration(text, &mut self.marks, context)?;
        context.out.extend_from_slice(b"<?");
        context.out.extend_from_slice(&self.markup);
        self.state = TEXT;
        Ok(1)
    }
}

const TEXT: XmlState = XmlState::Text { brackets: 0 };

/// How many bytes from the start are plain in a tag; with `quote`, in an attribute's value.
fn tag_bytes(input: &[u8], quote: Option<u8>) -> usize {
    match quote {
        Some(quote) => length_before(input, |b| b == quote || b == b'<' || b < b' '),
        None => length_before(input, |b| matches!(b, b'<' | b'>' | b'"' | b'\'') || b < b' '),
    }
}

/// How many bytes from the start are plain in text and CDATA.
fn plain_bytes(input: &[u8]) -> usize {
    length_before(input, |b| matches!(b, b'<' | b'&' | b'>' | b']') || is_control(b))
}

const fn is_control(b: u8) -> bool {
    b < b' ' && !matches!(b, b'\t' | b'\n' | b'\r')
}

fn check_declaration(text: &str, marks: &mut Vec<AttributeSpan>, context: &XmlContext<'_>) -> RewriteResult {
    let tag = XmlTag::parse(text, marks).map_err(|what| context.malformed(what))?;
    for attribute in tag.attributes() {
        match (attribute.name, attribute.value) {
            ("version", "1.0") | ("standalone", "yes" | "no") => {}
            ("encoding", charset)
                if charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("us-ascii") => {}
            ("encoding", _) => return Err(RewriteError::Opaque { what: "the charset of an XML document" }),
            (_, _) => return Err(context.malformed("a declaration of another XML")),
        }
    }
    let versioned = tag.attributes().next().is_some_and(|first| first.name == "version") && !tag.is_empty();
    if versioned { Ok(()) } else { Err(context.malformed("a declaration without its version")) }
}

impl Rewriter for XmlRewriter {
    fn feed(&mut self, input: &[u8], observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult {
        let good = self.utf8.push_all(input);
        let mut rest = &input[..good];
        while !rest.is_empty() {
            let used = self.step(rest, &mut XmlContext { observer, out, at: self.at })?;
            self.at += used as u64;
            rest = &rest[used..];
        }
        if good == input.len() { Ok(()) } else { Err(not_utf8(self.at)) }
    }

    fn finish(&mut self, observer: &mut dyn RewriteObserver, _out: &mut Vec<u8>) -> RewriteResult {
        let whole = self.utf8.is_whole() && matches!(self.state, XmlState::Text { .. }) && self.tree.is_complete();
        if whole {
            self.tree.end_document(observer, self.at)
        } else {
            Err(RewriteError::Malformed { what: "a document that is not complete", at: self.at })
        }
    }
}

#[cfg(test)]
mod tests;
