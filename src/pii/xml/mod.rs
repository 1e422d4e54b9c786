//! XML 1.0, treated while it streams, by element and attribute.
//!
//! A small strict lexer: document types, other entities, other charsets and what is not well-formed are refused, as a
//! laxer reader would see another document. What nothing selects passes byte for byte. Never resolves or fetches.

mod paths;
mod tag;
mod tree;
mod unselected;

pub(super) use paths::XmlPaths;

use super::skip::length_before;
use super::utf8::{Utf8Validator, not_utf8};
use super::{RewriteError, RewriteObserver, Rewriter, Transform};
use crate::bounds::XML_TAG_BYTES_MAX;
use std::sync::Arc;
use tag::{AttributeSpan, XmlTag};
use tree::{ElementTree, XmlContext};

/// The engine of XML documents.
pub(super) struct XmlRewriter {
    tree: ElementTree,
    state: XmlState,
    /// The markup that is open, behind its `<` or `&`.
    markup: Vec<u8>,
    /// Where a tag's attributes are in it: kept, so that no tag allocates.
    marks: Vec<AttributeSpan>,
    utf8: Utf8Validator,
    at: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum XmlState {
    /// In text; so many `]` have just been read, of those that may begin `]]>`.
    Text {
        brackets: u8,
    },
    Reference,
    /// Behind `<`.
    Open,
    /// Behind `<!`.
    Bang,
    Start {
        quote: Option<u8>,
    },
    End,
    Comment {
        dashes: u8,
    },
    Cdata {
        brackets: u8,
    },
    /// In the target of a processing instruction, in the declaration, in what follows a target.
    Target,
    Declaration,
    Instruction {
        question: bool,
    },
}

const CDATA: &[u8] = b"[CDATA[";
/// `#x10FFFF`, with leading zeros that nobody writes.
const REFERENCE_BYTES_MAX: usize = 10;

impl XmlRewriter {
    /// An engine for one document.
    pub(super) fn new(paths: Arc<XmlPaths>, treat: Arc<dyn Transform>) -> Self {
        let state = XmlState::Text { brackets: 0 };
        let tree = ElementTree::new(paths, treat);
        Self { tree, state, markup: Vec::new(), marks: Vec::new(), utf8: Utf8Validator::default(), at: 0 }
    }

    /// Takes some bytes; returns how many.
    fn step(&mut self, input: &[u8], desk: &mut XmlContext<'_>) -> Result<usize, RewriteError> {
        let byte = input[0];
        if is_control(byte) {
            return Err(desk.malformed("a control character"));
        }
        match self.state {
            XmlState::Text { brackets } => self.text(input, brackets, desk),
            XmlState::Cdata { brackets } => self.cdata(input, brackets, desk),
            XmlState::Reference => self.reference(byte, desk),
            XmlState::Open => self.open(byte),
            XmlState::Bang => self.bang(byte, desk),
            XmlState::Start { quote } => match tag_bytes(input, quote) {
                0 => self.start(byte, quote, desk),
                plain => self.hold(&input[..plain], XML_TAG_BYTES_MAX),
            },
            XmlState::End => match tag_bytes(input, None) {
                0 => self.end(byte, desk),
                plain => self.hold(&input[..plain], XML_TAG_BYTES_MAX),
            },
            XmlState::Comment { dashes: 0 } if byte != b'-' => {
                let plain = length_before(input, |b| b == b'-' || is_control(b));
                self.tree.misc(&input[..plain], desk)?;
                Ok(plain)
            }
            XmlState::Comment { dashes } => self.comment(byte, dashes, desk),
            XmlState::Target => self.target(byte, desk),
            XmlState::Declaration => self.declaration(byte, desk),
            XmlState::Instruction { question } => {
                self.tree.misc(&[byte], desk)?;
                self.state = XmlState::Instruction { question: byte == b'?' };
                if question && byte == b'>' {
                    self.state = TEXT;
                    self.tree.end_misc(desk)?;
                }
                Ok(1)
            }
        }
    }

    fn text(&mut self, input: &[u8], brackets: u8, desk: &mut XmlContext<'_>) -> Result<usize, RewriteError> {
        let plain = plain_bytes(input);
        if plain > 0 {
            self.state = TEXT;
            self.tree.text(&input[..plain], &input[..plain], desk)?;
            return Ok(plain);
        }
        self.markup.clear();
        match input[0] {
            b'<' => self.state = XmlState::Open,
            b'&' => self.state = XmlState::Reference,
            b'>' if brackets == 2 => return Err(desk.malformed("']]>' outside of CDATA")),
            byte => {
                self.state = XmlState::Text { brackets: if byte == b']' { (brackets + 1).min(2) } else { 0 } };
                self.tree.text(&[byte], &[byte], desk)?;
            }
        }
        Ok(1)
    }

    fn reference(&mut self, byte: u8, desk: &mut XmlContext<'_>) -> Result<usize, RewriteError> {
        if byte != b';' {
            return self.hold(&[byte], REFERENCE_BYTES_MAX).map_err(|_| desk.malformed(tag::BAD_REFERENCE));
        }
        let name = std::str::from_utf8(&self.markup).ok();
        let character = name.and_then(tag::reference).ok_or(desk.malformed(tag::BAD_REFERENCE))?;
        self.markup.insert(0, b'&');
        self.markup.push(b';');
        self.state = TEXT;
        self.tree.text(&self.markup, character.encode_utf8(&mut [0; 4]).as_bytes(), desk)?;
        Ok(1)
    }

    fn open(&mut self, byte: u8) -> Result<usize, RewriteError> {
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

    fn bang(&mut self, byte: u8, desk: &mut XmlContext<'_>) -> Result<usize, RewriteError> {
        self.markup.push(byte);
        if self.markup == b"--" {
            self.tree.misc(b"<!--", desk)?;
            self.state = XmlState::Comment { dashes: 0 };
        } else if self.markup == CDATA {
            self.state = XmlState::Cdata { brackets: 0 };
            self.tree.text(b"<![CDATA[", b"", desk)?;
        } else if !b"--".starts_with(&self.markup) && !CDATA.starts_with(&self.markup) {
            return Err(desk.malformed("a document type, or another declaration"));
        }
        Ok(1)
    }

    fn start(&mut self, byte: u8, quote: Option<u8>, desk: &mut XmlContext<'_>) -> Result<usize, RewriteError> {
        match (quote, byte) {
            (None, b'>') => {
                let text = std::str::from_utf8(&self.markup).map_err(|_| not_utf8(desk.at))?;
                let tag = XmlTag::parse(text, &mut self.marks).map_err(|what| desk.malformed(what))?;
                self.state = TEXT;
                self.tree.start(&tag, desk)?;
                return Ok(1);
            }
            (_, b'<') => return Err(desk.malformed("a '<' in a tag")),
            (None, b'"' | b'\'') => self.state = XmlState::Start { quote: Some(byte) },
            (Some(open), byte) if open == byte => self.state = XmlState::Start { quote: None },
            (None | Some(_), _) => {}
        }
        self.hold(&[byte], XML_TAG_BYTES_MAX)
    }

    fn end(&mut self, byte: u8, desk: &mut XmlContext<'_>) -> Result<usize, RewriteError> {
        if byte != b'>' {
            return self.hold(&[byte], XML_TAG_BYTES_MAX);
        }
        let tag = std::str::from_utf8(&self.markup).map_err(|_| not_utf8(desk.at))?;
        self.state = TEXT;
        self.tree.end(tag, desk)?;
        Ok(1)
    }

    fn hold(&mut self, run: &[u8], limit: usize) -> Result<usize, RewriteError> {
        if self.markup.len() + run.len() > limit {
            return Err(RewriteError::Bound { bound: "a tag", limit: limit as u64 });
        }
        self.markup.extend_from_slice(run);
        Ok(run.len())
    }

    fn comment(&mut self, byte: u8, dashes: u8, desk: &mut XmlContext<'_>) -> Result<usize, RewriteError> {
        self.state = match (dashes, byte) {
            (2, b'>') => TEXT,
            (2, _) => return Err(desk.malformed("'--' within a comment")),
            (_, b'-') => XmlState::Comment { dashes: dashes + 1 },
            (_, _) => XmlState::Comment { dashes: 0 },
        };
        self.tree.misc(&[byte], desk)?;
        if self.state == TEXT {
            self.tree.end_misc(desk)?;
        }
        Ok(1)
    }

    fn cdata(&mut self, input: &[u8], brackets: u8, desk: &mut XmlContext<'_>) -> Result<usize, RewriteError> {
        let seen = &b"]]"[..usize::from(brackets)];
        let (used, brackets) = match (input[0], brackets) {
            (b']', 2) => (1, 2),
            (b']', _) => {
                self.state = XmlState::Cdata { brackets: brackets + 1 };
                return Ok(1);
            }
            (b'>', 2) => {
                self.state = TEXT;
                self.tree.text(b"]]>", b"", desk)?;
                return Ok(1);
            }
            (_, _) => {
                self.tree.text(seen, seen, desk)?;
                let plain = plain_bytes(input).max(1);
                self.tree.text(&input[..plain], &input[..plain], desk)?;
                self.state = XmlState::Cdata { brackets: 0 };
                return Ok(plain);
            }
        };
        self.tree.text(b"]", b"]", desk)?;
        self.state = XmlState::Cdata { brackets };
        Ok(used)
    }

    fn target(&mut self, byte: u8, desk: &mut XmlContext<'_>) -> Result<usize, RewriteError> {
        if byte != b'?' && !tag::is_space(char::from(byte)) {
            return self.hold(&[byte], XML_TAG_BYTES_MAX);
        }
        if self.markup.eq_ignore_ascii_case(b"xml") {
            if self.markup != b"xml" || desk.at != b"<?xml".len() as u64 {
                return Err(desk.malformed("a declaration that is not at the start"));
            }
            self.state = XmlState::Declaration;
            return Ok(0);
        }
        if self.markup.is_empty() {
            return Err(desk.malformed("an instruction without a target"));
        }
        self.tree.misc(b"<?", desk)?;
        self.tree.misc(&self.markup, desk)?;
        self.state = XmlState::Instruction { question: false };
        Ok(0)
    }

    fn declaration(&mut self, byte: u8, desk: &mut XmlContext<'_>) -> Result<usize, RewriteError> {
        self.hold(&[byte], XML_TAG_BYTES_MAX)?;
        let Some(text) = self.markup.strip_suffix(b"?>") else { return Ok(1) };
        let text = std::str::from_utf8(text).map_err(|_| not_utf8(desk.at))?;
        check_declaration(text, &mut self.marks, desk)?;
        desk.out.extend_from_slice(b"<?");
        desk.out.extend_from_slice(&self.markup);
        self.state = TEXT;
        Ok(1)
    }
}

const TEXT: XmlState = XmlState::Text { brackets: 0 };

/// Bytes that mean nothing but themselves, in a tag: with a quote, in an attribute's value.
fn tag_bytes(input: &[u8], quote: Option<u8>) -> usize {
    match quote {
        Some(quote) => length_before(input, |b| b == quote || b == b'<' || b < b' '),
        None => length_before(input, |b| matches!(b, b'<' | b'>' | b'"' | b'\'') || b < b' '),
    }
}

/// Bytes that mean nothing but themselves, in text and CDATA.
fn plain_bytes(input: &[u8]) -> usize {
    length_before(input, |b| matches!(b, b'<' | b'&' | b'>' | b']') || is_control(b))
}

const fn is_control(b: u8) -> bool {
    b < b' ' && !matches!(b, b'\t' | b'\n' | b'\r')
}

fn check_declaration(text: &str, marks: &mut Vec<AttributeSpan>, desk: &XmlContext<'_>) -> Result<(), RewriteError> {
    let tag = XmlTag::parse(text, marks).map_err(|what| desk.malformed(what))?;
    for attribute in tag.attributes() {
        match (attribute.name, attribute.value) {
            ("version", "1.0") | ("standalone", "yes" | "no") => {}
            ("encoding", charset)
                if charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("us-ascii") => {}
            ("encoding", _) => return Err(RewriteError::Opaque { what: "the charset of an XML document" }),
            (_, _) => return Err(desk.malformed("a declaration of another XML")),
        }
    }
    let versioned = tag.attributes().next().is_some_and(|first| first.name == "version") && !tag.is_empty();
    if versioned { Ok(()) } else { Err(desk.malformed("a declaration without its version")) }
}

impl std::fmt::Debug for XmlRewriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Xml").field("state", &self.state).field("at", &self.at).finish_non_exhaustive()
    }
}

impl Rewriter for XmlRewriter {
    fn feed(
        &mut self,
        input: &[u8],
        observer: &mut dyn RewriteObserver,
        out: &mut Vec<u8>,
    ) -> Result<(), RewriteError> {
        let good = self.utf8.push_all(input);
        let mut rest = &input[..good];
        while !rest.is_empty() {
            let used = self.step(rest, &mut XmlContext { observer, out, at: self.at })?;
            self.at += used as u64;
            rest = &rest[used..];
        }
        if good == input.len() { Ok(()) } else { Err(not_utf8(self.at)) }
    }

    fn finish(&mut self, observer: &mut dyn RewriteObserver, _out: &mut Vec<u8>) -> Result<(), RewriteError> {
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
