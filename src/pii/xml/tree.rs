//! The open elements, and what becomes of what stands in them.
//!
//! A selected element's text is held and treated at its end; one that has elements within is redacted whole. Never
//! lets a comment or a nested element carry a piece of a selected value out.

use super::paths::{PathMatch, XmlPaths};
use super::tag::{self, XmlAttribute, XmlTag};
use super::unselected::UnselectedText;
use crate::bounds::{DOCUMENT_DEPTH_MAX, VALUE_BYTES_MAX};
use crate::pii::clear;
use crate::pii::{PieceTransform, Replacement, RewriteError, RewriteObserver, SelectedValue, Transform, ValueKind};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The state of a document's elements.
pub(super) struct ElementTree {
    paths: Arc<XmlPaths>,
    treat: Arc<dyn Transform>,
    frames: Vec<OpenElement>,
    /// The names of the open elements, one behind the other.
    names: Vec<u8>,
    /// Where the paths stand: as many words for each open element that they reach.
    positions: Vec<u64>,
    /// The decoded text of the element that is held.
    value: Zeroizing<Vec<u8>>,
    /// That text, where nothing of it is kept.
    pieces: Option<PieceTransform>,
    /// The decoded text of the element that tells the subject, and its depth.
    subject_text: Zeroizing<Vec<u8>>,
    subject_depth: Option<usize>,
    /// Whether the element that is held has elements within.
    has_elements: bool,
    treated: Vec<u8>,
    /// An attribute's decoded value.
    decoded: Zeroizing<Vec<u8>>,
    unlisted: UnselectedText,
    rooted: bool,
    /// Whether the list of the records was there, or none is asked for.
    listed: bool,
}

/// An open element.
struct OpenElement {
    name_from: usize,
    content: ElementContent,
    children: u32,
    allowed: bool,
    /// Whether its tags leave.
    leaves: bool,
    /// Whether text in it has left as it came.
    has_clear_text: bool,
}

/// What becomes of an element's content.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ElementContent {
    Pass,
    /// Only what an allow-list has below.
    ListedOnly,
    Held(usize),
    /// Nothing leaves.
    Dropped,
}

/// With what a document's events are worked on.
pub(super) struct XmlContext<'a> {
    pub(super) observer: &'a mut dyn RewriteObserver,
    pub(super) out: &'a mut Vec<u8>,
    /// Offset in the document, for errors.
    pub(super) at: u64,
}

impl XmlContext<'_> {
    pub(super) const fn malformed(&self, what: &'static str) -> RewriteError {
        RewriteError::Malformed { what, at: self.at }
    }
}

impl ElementTree {
    pub(super) fn new(paths: Arc<XmlPaths>, treat: Arc<dyn Transform>) -> Self {
        let positions = paths.start();
        let unlisted = UnselectedText::new(paths.rest);
        let listed = !paths.leads_to_list();
        Self {
            paths,
            treat,
            frames: Vec::new(),
            names: Vec::new(),
            positions,
            value: Zeroizing::default(),
            pieces: None,
            subject_text: Zeroizing::default(),
            subject_depth: None,
            has_elements: false,
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
    pub(super) fn end_document(&self, observer: &mut dyn RewriteObserver, at: u64) -> Result<(), RewriteError> {
        let what = "no container where the records stand";
        if self.listed { Ok(()) } else { observer.on_unexpected_shape(RewriteError::UnexpectedShape { what, at }) }
    }

    /// An element begins, or is empty.
    pub(super) fn start(&mut self, tag: &XmlTag<'_>, desk: &mut XmlContext<'_>) -> Result<(), RewriteError> {
        self.release(desk)?;
        if self.frames.is_empty() && std::mem::replace(&mut self.rooted, true) {
            return Err(desk.malformed("a second root element"));
        }
        if self.frames.len() >= DOCUMENT_DEPTH_MAX {
            return Err(RewriteError::Bound { bound: "the depth of the document", limit: DOCUMENT_DEPTH_MAX as u64 });
        }
        match self.frames.last().map(|frame| frame.content) {
            Some(ElementContent::Held(_)) => {
                self.has_elements = true;
                self.value.clear();
                self.push(tag, ElementContent::Dropped, false, false);
            }
            Some(ElementContent::Dropped) => self.push(tag, ElementContent::Dropped, false, false),
            Some(ElementContent::Pass | ElementContent::ListedOnly) | None => self.start_reached(tag, desk)?,
        }
        Ok(())
    }

    /// An element begins that the paths reach.
    fn start_reached(&mut self, tag: &XmlTag<'_>, desk: &mut XmlContext<'_>) -> Result<(), RewriteError> {
        let mut above = !self.paths.limits;
        let mut index = 0;
        if let Some(frame) = self.frames.last_mut() {
            (above, index) = (frame.allowed, frame.children);
            frame.children = frame.children.saturating_add(1);
        }
        let verdict = self.paths.element(&mut self.positions, tag::local(tag.name), index);
        let allowed = above || verdict.allowed;
        self.listed |= verdict.list;
        let drops = verdict.rule.is_some_and(|rule| self.treat.drops_member(rule));
        let root = self.frames.is_empty();
        if drops && root {
            return Err(RewriteError::Untreatable { what: "the root element cannot be left out" });
        }
        if drops || !(allowed || verdict.leads || root) {
            if let Some(rule) = verdict.rule.filter(|_| drops) {
                desk.observer.on_treated(rule);
            }
            self.positions.truncate(self.positions.len() - self.paths.width());
            self.push(tag, ElementContent::Dropped, false, false);
            return Ok(());
        }
        if verdict.record {
            desk.observer.on_record()?;
        }
        self.put_start(tag, &verdict, allowed, desk)?;
        let content = match verdict.rule {
            Some(rule) => ElementContent::Held(rule),
            None if allowed => ElementContent::Pass,
            None => ElementContent::ListedOnly,
        };
        if tag.is_empty() {
            self.positions.truncate(self.positions.len() - self.paths.width());
            return Ok(());
        }
        self.push(tag, content, allowed, true);
        if verdict.subject && self.subject_depth.is_none() {
            self.subject_depth = Some(self.frames.len());
            self.subject_text.clear();
        }
        if let Some(rule) = verdict.rule {
            self.has_elements = false;
            self.value.clear();
            self.pieces = self.treat.begin_pieces(rule);
        }
        Ok(())
    }

    fn push(&mut self, tag: &XmlTag<'_>, content: ElementContent, allowed: bool, leaves: bool) {
        if tag.is_empty() {
            return;
        }
        self.frames.push(OpenElement {
            name_from: self.names.len(),
            content,
            children: 0,
            allowed,
            leaves,
            has_clear_text: false,
        });
        self.names.extend_from_slice(tag.name.as_bytes());
    }

    fn put_start(
        &mut self,
        tag: &XmlTag<'_>,
        verdict: &PathMatch,
        allowed: bool,
        desk: &mut XmlContext<'_>,
    ) -> Result<(), RewriteError> {
        let from = desk.out.len();
        let put = self.put_tag(tag, verdict, allowed, desk);
        if put.is_err() {
            desk.out.truncate(from);
        }
        put
    }

    fn put_tag(
        &mut self,
        tag: &XmlTag<'_>,
        verdict: &PathMatch,
        allowed: bool,
        desk: &mut XmlContext<'_>,
    ) -> Result<(), RewriteError> {
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
        attribute: &XmlAttribute<'_>,
        element: Option<usize>,
        allowed: bool,
        desk: &mut XmlContext<'_>,
    ) -> Result<(), RewriteError> {
        let verdict = self.paths.attribute(&self.positions, tag::local(attribute.name));
        let rule = verdict.rule.or(element.filter(|_| !attribute.is_of_xml()));
        let drops = rule.is_some_and(|rule| self.treat.drops_member(rule));
        self.decoded.clear();
        tag::decode(attribute.value, &mut self.decoded).map_err(|what| desk.malformed(what))?;
        if let Some(rule) = rule.filter(|_| drops) {
            desk.observer.on_treated(rule);
        }
        if drops || !(allowed || verdict.allowed || attribute.is_namespace()) {
            return Ok(());
        }
        if verdict.subject {
            desk.observer.on_subject(&self.decoded);
        }
        desk.out.extend_from_slice(attribute.lead.as_bytes());
        desk.out.push(attribute.quote as u8);
        match rule {
            Some(rule) => {
                let decoded = std::mem::take(&mut self.decoded);
                self.put_treated(rule, SelectedValue { kind: ValueKind::String, text: &decoded }, desk)?;
                self.decoded = decoded;
            }
            None => {
                let changed = self.unlisted.attribute(attribute.value, &self.decoded, &*self.treat, desk)?;
                if !changed
                    && !attribute.is_of_xml()
                    && !attribute.value.is_empty()
                    && desk.observer.wants_clear_paths()
                {
                    let mut path = self.path(Some(within));
                    clear::push_name(&mut path, &format!("@{}", tag::local(attribute.name)));
                    desk.observer.on_clear_path(&path);
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
    fn release(&mut self, desk: &mut XmlContext<'_>) -> Result<(), RewriteError> {
        let changed = self.unlisted.release(&*self.treat, desk)?;
        if let Some(frame) = self.frames.last_mut().filter(|_| changed) {
            frame.has_clear_text = false;
        }
        Ok(())
    }

    fn put_treated(
        &mut self,
        rule: usize,
        value: SelectedValue<'_>,
        desk: &mut XmlContext<'_>,
    ) -> Result<(), RewriteError> {
        self.treated.clear();
        if let Replacement::Unchanged { .. } = self.treat.transform(rule, value, &mut self.treated)? {
            // What was decoded cannot leave as it came: the raw text is not kept.
            self.treated.extend_from_slice(value.text);
        }
        if !tag::escape(&self.treated, desk.out) {
            return Err(RewriteError::Untreatable { what: "XML cannot hold the treated text" });
        }
        desk.observer.on_treated(rule);
        Ok(())
    }

    /// The result of a text of which nothing is kept needs no escape.
    fn put_pieces(&self, rule: usize, mut pieces: PieceTransform, desk: &mut XmlContext<'_>) {
        pieces.drain(desk.out);
        self.treat.finish_pieces(rule, pieces, desk.out);
        desk.observer.on_treated(rule);
    }

    /// An element ends; its tag is given without `</` and `>`.
    pub(super) fn end(&mut self, tag: &str, desk: &mut XmlContext<'_>) -> Result<(), RewriteError> {
        self.release(desk)?;
        if self.frames.last().is_some_and(|frame| frame.has_clear_text) && desk.observer.wants_clear_paths() {
            desk.observer.on_clear_path(&self.path(None));
        }
        let name = tag.trim_end_matches(tag::is_space);
        let unlike = "an end tag unlike its start tag";
        let frame = self.frames.pop().ok_or_else(|| desk.malformed(unlike))?;
        if self.names[frame.name_from..] != *name.as_bytes() {
            return Err(desk.malformed(unlike));
        }
        self.names.truncate(frame.name_from);
        if self.subject_depth == Some(self.frames.len() + 1) {
            self.subject_depth = None;
            desk.observer.on_subject(&self.subject_text);
        }
        if let ElementContent::Held(rule) = frame.content {
            let value = std::mem::take(&mut self.value);
            let kind = if self.has_elements { ValueKind::Container } else { ValueKind::String };
            match self.pieces.take().filter(|_| !self.has_elements) {
                Some(pieces) => self.put_pieces(rule, pieces, desk),
                None => self.put_treated(rule, SelectedValue { kind, text: &value }, desk)?,
            }
            self.value = value;
        }
        if frame.leaves {
            self.positions.truncate(self.positions.len() - self.paths.width());
            desk.out.extend_from_slice(b"</");
            desk.out.extend_from_slice(tag.as_bytes());
            desk.out.push(b'>');
        }
        Ok(())
    }

    /// Text, as it came and decoded.
    pub(super) fn text(&mut self, raw: &[u8], decoded: &[u8], desk: &mut XmlContext<'_>) -> Result<(), RewriteError> {
        let space = |b: &&u8| tag::is_space(char::from(**b));
        if self.subject_depth == Some(self.frames.len()) {
            hold(&mut self.subject_text, decoded)?;
        }
        if let Some(frame) = self.frames.last_mut().filter(|frame| frame.content == ElementContent::Pass) {
            frame.has_clear_text = frame.has_clear_text || !decoded.iter().all(|b| space(&b));
        }
        match self.frames.last().map(|frame| frame.content) {
            None => {
                let good = raw.iter().take_while(space).count();
                desk.out.extend_from_slice(&raw[..good]);
                desk.at += good as u64;
                if good < raw.len() { Err(desk.malformed("text outside of the root element")) } else { Ok(()) }
            }
            Some(ElementContent::Pass) if self.unlisted.is_active() => self.unlisted.hold(raw, decoded),
            Some(ElementContent::Pass) => {
                desk.out.extend_from_slice(raw);
                Ok(())
            }
            Some(ElementContent::ListedOnly) if raw == decoded => {
                desk.out.extend(raw.iter().filter(space));
                Ok(())
            }
            Some(ElementContent::Held(_)) if !self.has_elements => match &mut self.pieces {
                Some(pieces) => {
                    pieces.push(decoded);
                    if pieces.ready_bytes() > VALUE_BYTES_MAX {
                        pieces.drain(desk.out);
                    }
                    Ok(())
                }
                None => hold(&mut self.value, decoded),
            },
            Some(ElementContent::ListedOnly | ElementContent::Held(_) | ElementContent::Dropped) => Ok(()),
        }
    }

    /// A piece of a comment or a processing instruction.
    pub(super) fn misc(&mut self, raw: &[u8], desk: &mut XmlContext<'_>) -> Result<(), RewriteError> {
        let passes = match self.frames.last().map(|frame| frame.content) {
            None => !self.paths.limits,
            Some(ElementContent::Pass) => true,
            Some(ElementContent::ListedOnly | ElementContent::Held(_) | ElementContent::Dropped) => false,
        };
        if passes && self.unlisted.is_active() {
            return self.unlisted.hold_misc(raw);
        }
        if passes {
            desk.out.extend_from_slice(raw);
        }
        Ok(())
    }

    /// The comment or processing instruction is whole.
    pub(super) fn end_misc(&mut self, desk: &mut XmlContext<'_>) -> Result<(), RewriteError> {
        self.unlisted.end_misc(!self.frames.is_empty(), &*self.treat, desk)
    }
}

fn hold(value: &mut Vec<u8>, decoded: &[u8]) -> Result<(), RewriteError> {
    if value.len() + decoded.len() > VALUE_BYTES_MAX {
        return Err(RewriteError::Bound { bound: "a value", limit: VALUE_BYTES_MAX as u64 });
    }
    value.extend_from_slice(decoded);
    Ok(())
}
