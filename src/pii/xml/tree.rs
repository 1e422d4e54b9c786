//! The open elements, and what becomes of what stands in them.
//!
//! A selected element's text is held and treated at its end; one that has elements within is redacted whole. Never
//! lets a comment or a nested element carry a piece of a selected value out.

use super::paths::{Verdict, XmlPaths};
use super::tag::{self, Attribute, Tag};
use super::unlisted::Unlisted;
use crate::bounds::{DOCUMENT_DEPTH_MAX, VALUE_BYTES_MAX};
use crate::pii::clear;
use crate::pii::{Kind, Pieces, Shape, Stop, Treat, Value, Watch};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The state of a document's elements.
pub(super) struct Tree {
    paths: Arc<XmlPaths>,
    treat: Arc<dyn Treat>,
    frames: Vec<Frame>,
    /// The names of the open elements, one behind the other.
    names: Vec<u8>,
    /// Where the paths stand: as many words for each open element that they reach.
    live: Vec<u64>,
    /// The decoded text of the element that is held.
    value: Zeroizing<Vec<u8>>,
    /// That text, where nothing of it is kept.
    pieces: Option<Pieces>,
    /// The decoded text of the element that tells the subject, and its depth.
    told: Zeroizing<Vec<u8>>,
    told_at: Option<usize>,
    /// Whether the element that is held has elements within.
    contains: bool,
    treated: Vec<u8>,
    /// An attribute's decoded value.
    decoded: Zeroizing<Vec<u8>>,
    unlisted: Unlisted,
    rooted: bool,
    /// Whether the list of the records was there, or none is asked for.
    listed: bool,
}

/// An open element.
struct Frame {
    name_from: usize,
    content: Content,
    children: u32,
    allowed: bool,
    /// Whether its tags leave.
    leaves: bool,
    /// Whether text in it has left as it came.
    told: bool,
}

/// What becomes of an element's content.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Content {
    Pass,
    /// Only what an allow-list has below.
    Shell,
    Held(usize),
    /// Nothing leaves.
    Void,
}

/// With what a document's events are worked on.
pub(super) struct Desk<'a> {
    pub(super) watch: &'a mut dyn Watch,
    pub(super) out: &'a mut Vec<u8>,
    /// Offset in the document, for errors.
    pub(super) at: u64,
}

impl Desk<'_> {
    pub(super) const fn malformed(&self, what: &'static str) -> Stop {
        Stop::Malformed { what, at: self.at }
    }
}

impl Tree {
    pub(super) fn new(paths: Arc<XmlPaths>, treat: Arc<dyn Treat>) -> Self {
        let live = paths.start();
        let unlisted = Unlisted::new(paths.rest);
        let listed = !paths.leads_to_list();
        Self {
            paths,
            treat,
            frames: Vec::new(),
            names: Vec::new(),
            live,
            value: Zeroizing::default(),
            pieces: None,
            told: Zeroizing::default(),
            told_at: None,
            contains: false,
            treated: Vec::new(),
            decoded: Zeroizing::default(),
            unlisted,
            rooted: false,
            listed,
        }
    }

    /// Whether a whole document has been read.
    pub(super) fn is_complete(&self) -> bool {
        self.rooted && self.frames.is_empty()
    }

    /// The document has ended.
    pub(super) fn end_document(&self, watch: &mut dyn Watch, at: u64) -> Result<(), Stop> {
        let what = "no container where the records stand";
        if self.listed { Ok(()) } else { watch.misshapen(Stop::Shape { what, at }) }
    }

    /// An element begins, or is empty.
    pub(super) fn start(&mut self, tag: &Tag<'_>, desk: &mut Desk<'_>) -> Result<(), Stop> {
        self.release(desk)?;
        if self.frames.is_empty() && std::mem::replace(&mut self.rooted, true) {
            return Err(desk.malformed("a second root element"));
        }
        if self.frames.len() >= DOCUMENT_DEPTH_MAX {
            return Err(Stop::Bound { bound: "the depth of the document", limit: DOCUMENT_DEPTH_MAX as u64 });
        }
        match self.frames.last().map(|frame| frame.content) {
            Some(Content::Held(_)) => {
                self.contains = true;
                self.value.clear();
                self.push(tag, Content::Void, false, false);
            }
            Some(Content::Void) => self.push(tag, Content::Void, false, false),
            Some(Content::Pass | Content::Shell) | None => self.start_reached(tag, desk)?,
        }
        Ok(())
    }

    /// An element begins that the paths reach.
    fn start_reached(&mut self, tag: &Tag<'_>, desk: &mut Desk<'_>) -> Result<(), Stop> {
        let mut above = !self.paths.limits;
        let mut index = 0;
        if let Some(frame) = self.frames.last_mut() {
            (above, index) = (frame.allowed, frame.children);
            frame.children = frame.children.saturating_add(1);
        }
        let verdict = self.paths.element(&mut self.live, tag::local(tag.name), index);
        let allowed = above || verdict.allowed;
        self.listed |= verdict.list;
        let drops = verdict.rule.is_some_and(|rule| self.treat.drops(rule));
        let root = self.frames.is_empty();
        if drops && root {
            return Err(Stop::Untreatable { what: "the root element cannot be left out" });
        }
        if drops || !(allowed || verdict.leads || root) {
            if let Some(rule) = verdict.rule.filter(|_| drops) {
                desk.watch.treated(rule);
            }
            self.live.truncate(self.live.len() - self.paths.width());
            self.push(tag, Content::Void, false, false);
            return Ok(());
        }
        if verdict.record {
            desk.watch.record()?;
        }
        self.put_start(tag, &verdict, allowed, desk)?;
        let content = match verdict.rule {
            Some(rule) => Content::Held(rule),
            None if allowed => Content::Pass,
            None => Content::Shell,
        };
        if tag.is_empty() {
            self.live.truncate(self.live.len() - self.paths.width());
            return Ok(());
        }
        self.push(tag, content, allowed, true);
        if verdict.subject && self.told_at.is_none() {
            self.told_at = Some(self.frames.len());
            self.told.clear();
        }
        if let Some(rule) = verdict.rule {
            self.contains = false;
            self.value.clear();
            self.pieces = self.treat.pieces(rule);
        }
        Ok(())
    }

    fn push(&mut self, tag: &Tag<'_>, content: Content, allowed: bool, leaves: bool) {
        if tag.is_empty() {
            return;
        }
        self.frames.push(Frame { name_from: self.names.len(), content, children: 0, allowed, leaves, told: false });
        self.names.extend_from_slice(tag.name.as_bytes());
    }

    fn put_start(&mut self, tag: &Tag<'_>, verdict: &Verdict, allowed: bool, desk: &mut Desk<'_>) -> Result<(), Stop> {
        let from = desk.out.len();
        let put = self.put_tag(tag, verdict, allowed, desk);
        if put.is_err() {
            desk.out.truncate(from);
        }
        put
    }

    fn put_tag(&mut self, tag: &Tag<'_>, verdict: &Verdict, allowed: bool, desk: &mut Desk<'_>) -> Result<(), Stop> {
        desk.out.push(b'<');
        desk.out.extend_from_slice(tag.name.as_bytes());
        for attribute in tag.attributes() {
            self.put_attribute(tag.name, &attribute, verdict.rule, allowed, desk)?;
        }
        desk.out.extend_from_slice(tag.rest.as_bytes());
        desk.out.push(b'>');
        Ok(())
    }

    /// An attribute of an element that a rule has selected is a piece of it, unless it belongs to XML itself.
    fn put_attribute(
        &mut self,
        within: &str,
        attribute: &Attribute<'_>,
        element: Option<usize>,
        allowed: bool,
        desk: &mut Desk<'_>,
    ) -> Result<(), Stop> {
        let verdict = self.paths.attribute(&self.live, tag::local(attribute.name));
        let rule = verdict.rule.or(element.filter(|_| !attribute.is_of_xml()));
        let drops = rule.is_some_and(|rule| self.treat.drops(rule));
        self.decoded.clear();
        tag::decode(attribute.value, &mut self.decoded).map_err(|what| desk.malformed(what))?;
        if let Some(rule) = rule.filter(|_| drops) {
            desk.watch.treated(rule);
        }
        if drops || !(allowed || verdict.allowed || attribute.is_namespace()) {
            return Ok(());
        }
        if verdict.subject {
            desk.watch.subject(&self.decoded);
        }
        desk.out.extend_from_slice(attribute.lead.as_bytes());
        desk.out.push(attribute.quote as u8);
        match rule {
            Some(rule) => {
                let decoded = std::mem::take(&mut self.decoded);
                self.put_treated(rule, Value { kind: Kind::String, text: &decoded }, desk)?;
                self.decoded = decoded;
            }
            None => {
                let changed = self.unlisted.attribute(attribute.value, &self.decoded, &*self.treat, desk)?;
                if !changed && !attribute.is_of_xml() && !attribute.value.is_empty() && desk.watch.asks_clear() {
                    let mut path = self.path(Some(within));
                    clear::push_name(&mut path, &format!("@{}", tag::local(attribute.name)));
                    desk.watch.clear(&path);
                }
            }
        }
        desk.out.push(attribute.quote as u8);
        Ok(())
    }

    /// The path of the innermost element, or of one within it.
    fn path(&self, within: Option<&str>) -> String {
        let mut path = "$".to_owned();
        let ends = self.frames.iter().skip(1).map(|frame| frame.name_from).chain([self.names.len()]);
        let open = self.frames.iter().zip(ends).map(|(frame, end)| &self.names[frame.name_from..end]);
        for name in open.filter_map(|name| std::str::from_utf8(name).ok()).chain(within) {
            clear::push_name(&mut path, tag::local(name));
        }
        path
    }

    /// Lets the text that is open leave.
    fn release(&mut self, desk: &mut Desk<'_>) -> Result<(), Stop> {
        let changed = self.unlisted.release(&*self.treat, desk)?;
        if let Some(frame) = self.frames.last_mut().filter(|_| changed) {
            frame.told = false;
        }
        Ok(())
    }

    fn put_treated(&mut self, rule: usize, value: Value<'_>, desk: &mut Desk<'_>) -> Result<(), Stop> {
        self.treated.clear();
        if let Shape::AsItCame { .. } = self.treat.treat(rule, value, &mut self.treated)? {
            // What was decoded cannot leave as it came: the raw text is not kept.
            self.treated.extend_from_slice(value.text);
        }
        if !tag::escape(&self.treated, desk.out) {
            return Err(Stop::Untreatable { what: "XML cannot hold the treated text" });
        }
        desk.watch.treated(rule);
        Ok(())
    }

    /// The result of a text of which nothing is kept needs no escape.
    fn put_pieces(&self, rule: usize, mut pieces: Pieces, desk: &mut Desk<'_>) {
        pieces.drain(desk.out);
        self.treat.finish(rule, pieces, desk.out);
        desk.watch.treated(rule);
    }

    /// An element ends; its tag is given without `</` and `>`.
    pub(super) fn end(&mut self, tag: &str, desk: &mut Desk<'_>) -> Result<(), Stop> {
        self.release(desk)?;
        if self.frames.last().is_some_and(|frame| frame.told) && desk.watch.asks_clear() {
            desk.watch.clear(&self.path(None));
        }
        let name = tag.trim_end_matches(tag::is_space);
        let unlike = "an end tag unlike its start tag";
        let frame = self.frames.pop().ok_or_else(|| desk.malformed(unlike))?;
        if self.names[frame.name_from..] != *name.as_bytes() {
            return Err(desk.malformed(unlike));
        }
        self.names.truncate(frame.name_from);
        if self.told_at == Some(self.frames.len() + 1) {
            self.told_at = None;
            desk.watch.subject(&self.told);
        }
        if let Content::Held(rule) = frame.content {
            let value = std::mem::take(&mut self.value);
            let kind = if self.contains { Kind::Container } else { Kind::String };
            match self.pieces.take().filter(|_| !self.contains) {
                Some(pieces) => self.put_pieces(rule, pieces, desk),
                None => self.put_treated(rule, Value { kind, text: &value }, desk)?,
            }
            self.value = value;
        }
        if frame.leaves {
            self.live.truncate(self.live.len() - self.paths.width());
            desk.out.extend_from_slice(b"</");
            desk.out.extend_from_slice(tag.as_bytes());
            desk.out.push(b'>');
        }
        Ok(())
    }

    /// Text, as it came and decoded.
    pub(super) fn text(&mut self, raw: &[u8], decoded: &[u8], desk: &mut Desk<'_>) -> Result<(), Stop> {
        let space = |b: &&u8| tag::is_space(char::from(**b));
        if self.told_at == Some(self.frames.len()) {
            hold(&mut self.told, decoded)?;
        }
        if let Some(frame) = self.frames.last_mut().filter(|frame| frame.content == Content::Pass) {
            frame.told = frame.told || !decoded.iter().all(|b| space(&b));
        }
        match self.frames.last().map(|frame| frame.content) {
            None => {
                let good = raw.iter().take_while(space).count();
                desk.out.extend_from_slice(&raw[..good]);
                desk.at += good as u64;
                if good < raw.len() { Err(desk.malformed("text outside of the root element")) } else { Ok(()) }
            }
            Some(Content::Pass) if self.unlisted.is_watched() => self.unlisted.hold(raw, decoded),
            Some(Content::Pass) => {
                desk.out.extend_from_slice(raw);
                Ok(())
            }
            Some(Content::Shell) if raw == decoded => {
                desk.out.extend(raw.iter().filter(space));
                Ok(())
            }
            Some(Content::Held(_)) if !self.contains => match &mut self.pieces {
                Some(pieces) => {
                    pieces.push(decoded);
                    if pieces.ready() > VALUE_BYTES_MAX {
                        pieces.drain(desk.out);
                    }
                    Ok(())
                }
                None => hold(&mut self.value, decoded),
            },
            Some(Content::Shell | Content::Held(_) | Content::Void) => Ok(()),
        }
    }

    /// A piece of a comment or a processing instruction.
    pub(super) fn aside(&mut self, raw: &[u8], desk: &mut Desk<'_>) -> Result<(), Stop> {
        let passes = match self.frames.last().map(|frame| frame.content) {
            None => !self.paths.limits,
            Some(Content::Pass) => true,
            Some(Content::Shell | Content::Held(_) | Content::Void) => false,
        };
        if passes && self.unlisted.is_watched() {
            return self.unlisted.hold_aside(raw);
        }
        if passes {
            desk.out.extend_from_slice(raw);
        }
        Ok(())
    }

    /// The comment or processing instruction is whole.
    pub(super) fn end_aside(&mut self, desk: &mut Desk<'_>) -> Result<(), Stop> {
        self.unlisted.end_aside(!self.frames.is_empty(), &*self.treat, desk)
    }
}

fn hold(value: &mut Vec<u8>, decoded: &[u8]) -> Result<(), Stop> {
    if value.len() + decoded.len() > VALUE_BYTES_MAX {
        return Err(Stop::Bound { bound: "a value", limit: VALUE_BYTES_MAX as u64 });
    }
    value.extend_from_slice(decoded);
    Ok(())
}
