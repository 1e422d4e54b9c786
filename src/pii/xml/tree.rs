//! The open elements, and what is done with their content.
//!
//! The text of a selected element is held, and treated at the element's end; a selected element that has elements
//! within is replaced as a whole. Never lets a comment or a nested element carry a piece of a selected value out.

use super::held::{HeldElement, hold};
use super::paths::{PathMatch, XmlPaths};
use super::stack::{ElementContent, ElementStack};
use super::tag::{self, XmlAttribute, XmlTag};
use super::unselected::UnselectedText;
use crate::bounds::DOCUMENT_DEPTH_MAX;
use crate::pii::clear;
use crate::pii::{Replacement, RewriteError, RewriteObserver, RewriteResult, SelectedValue, Transform, ValueKind};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The state of a document's elements.
pub(super) struct ElementTree {
    paths: Arc<XmlPaths>,
    transform: Arc<dyn Transform>,
    open: ElementStack,
    /// How far each path has been followed: one word a path for each open element whose content may be selected.
    positions: Vec<u64>,
    /// The selected element that is open.
    held: HeldElement,
    /// The decoded text of the element that identifies the subject, while it is open.
    subject_text: Zeroizing<Vec<u8>>,
    /// The depth of that element.
    subject_depth: Option<usize>,
    treated: Vec<u8>,
    /// An attribute's decoded value.
    decoded: Zeroizing<Vec<u8>>,
    unselected: UnselectedText,
    /// Whether the root element has begun.
    rooted: bool,
    /// Whether the list of the records has been seen, or the rules have no path of records to a list.
    listed: bool,
}

/// The observer, the output and the position of the call at hand.
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
    pub(super) fn new(paths: Arc<XmlPaths>, transform: Arc<dyn Transform>) -> Self {
        let positions = paths.start();
        let unselected = UnselectedText::new(paths.detect_rule);
        let listed = !paths.leads_to_list();
        Self {
            paths,
            transform,
            open: ElementStack::default(),
            positions,
            held: HeldElement::default(),
            subject_text: Zeroizing::default(),
            subject_depth: None,
            treated: Vec::new(),
            decoded: Zeroizing::default(),
            unselected,
            rooted: false,
            listed,
        }
    }

    /// Whether a whole document has been read.
    pub(super) fn is_complete(&self) -> bool {
        self.rooted && self.open.is_empty()
    }

    /// The document has ended: reports it when the list of the records was not in it.
    pub(super) fn end_document(&self, observer: &mut dyn RewriteObserver, at: u64) -> RewriteResult {
        let what = "no container where the records should be";
        if self.listed { Ok(()) } else { observer.on_unexpected_shape(RewriteError::UnexpectedShape { what, at }) }
    }

    /// A start tag, or the tag of an empty element.
    pub(super) fn start(&mut self, tag: &XmlTag<'_>, context: &mut XmlContext<'_>) -> RewriteResult {
        self.release(context)?;
        if self.open.is_empty() && std::mem::replace(&mut self.rooted, true) {
            return Err(context.malformed("a second root element"));
        }
        if self.open.depth() >= DOCUMENT_DEPTH_MAX {
            return Err(RewriteError::Bound { bound: "the depth of the document", limit: DOCUMENT_DEPTH_MAX as u64 });
        }
        match self.open.content() {
            Some(ElementContent::Held(_)) => {
                self.held.add_element();
                self.open.push(tag, ElementContent::Dropped, false, false);
            }
            Some(ElementContent::Dropped) => self.open.push(tag, ElementContent::Dropped, false, false),
            Some(ElementContent::Pass | ElementContent::ListedOnly) | None => self.start_reached(tag, context)?,
        }
        Ok(())
    }

    /// A start tag whose element may be selected, or have selected elements within.
    fn start_reached(&mut self, tag: &XmlTag<'_>, context: &mut XmlContext<'_>) -> RewriteResult {
        let mut above = !self.paths.has_allow_list;
        let mut index = 0;
        if let Some(frame) = self.open.top_mut() {
            (above, index) = (frame.allowed, frame.children);
            frame.children = frame.children.saturating_add(1);
        }
        let matched = self.paths.element(&mut self.positions, tag::local(tag.name), index);
        let allowed = above || matched.allowed;
        self.listed |= matched.list;
        let drops = matched.rule.is_some_and(|rule| self.transform.drops_member(rule));
        let root = self.open.is_empty();
        if drops && root {
            return Err(RewriteError::Untreatable { what: "the root element cannot be left out" });
        }
        if drops || !(allowed || matched.leads || root) {
            if let Some(rule) = matched.rule.filter(|_| drops) {
                context.observer.on_treated(rule);
            }
            self.positions.truncate(self.positions.len() - self.paths.width());
            self.open.push(tag, ElementContent::Dropped, false, false);
            return Ok(());
        }
        if matched.record {
            context.observer.on_record()?;
        }
        self.put_start(tag, &matched, allowed, context)?;
        let content = match matched.rule {
            Some(rule) => ElementContent::Held(rule),
            None if allowed => ElementContent::Pass,
            None => ElementContent::ListedOnly,
        };
        if tag.is_empty() {
            self.positions.truncate(self.positions.len() - self.paths.width());
            return Ok(());
        }
        self.open.push(tag, content, allowed, true);
        if matched.subject && self.subject_depth.is_none() {
            self.subject_depth = Some(self.open.depth());
            self.subject_text.clear();
        }
        if let Some(rule) = matched.rule {
            self.held.begin(self.transform.begin_pieces(rule));
        }
        Ok(())
    }

    fn put_start(
        &mut self,
        tag: &XmlTag<'_>,
        matched: &PathMatch,
        allowed: bool,
        context: &mut XmlContext<'_>,
    ) -> RewriteResult {
        let from = context.out.len();
        context.out.push(b'<');
        context.out.extend_from_slice(tag.name.as_bytes());
        for attribute in tag.attributes() {
            self.put_attribute(tag.name, &attribute, matched.rule, allowed, context)
                .inspect_err(|_| context.out.truncate(from))?;
        }
        context.out.extend_from_slice(tag.rest.as_bytes());
        context.out.push(b'>');
        Ok(())
    }

    /// The rule of a selected element treats its attributes too, unless they belong to XML itself.
    fn put_attribute(
        &mut self,
        within: &str,
        attribute: &XmlAttribute<'_>,
        element: Option<usize>,
        allowed: bool,
        context: &mut XmlContext<'_>,
    ) -> RewriteResult {
        let matched = self.paths.attribute(&self.positions, tag::local(attribute.name));
        let rule = matched.rule.or(element.filter(|_| !attribute.is_of_xml()));
        let drops = rule.is_some_and(|rule| self.transform.drops_member(rule));
        self.decoded.clear();
        tag::decode(attribute.value, &mut self.decoded).map_err(|what| context.malformed(what))?;
        if let Some(rule) = rule.filter(|_| drops) {
            context.observer.on_treated(rule);
        }
        if drops || !(allowed || matched.allowed || attribute.is_namespace()) {
            return Ok(());
        }
        if matched.subject {
            context.observer.on_subject(&self.decoded);
        }
        context.out.extend_from_slice(attribute.lead.as_bytes());
        context.out.push(attribute.quote as u8);
        match rule {
            Some(rule) => {
                let decoded = std::mem::take(&mut self.decoded);
                self.put_treated(rule, SelectedValue { kind: ValueKind::String, text: &decoded }, context)?;
                self.decoded = decoded;
            }
            None => {
                let changed = self.unselected.attribute(attribute.value, &self.decoded, &*self.transform, context)?;
                if !changed
                    && !attribute.is_of_xml()
                    && !attribute.value.is_empty()
                    && context.observer.wants_clear_paths()
                {
                    let mut path = self.open.path(Some(within));
                    clear::push_name(&mut path, &format!("@{}", tag::local(attribute.name)));
                    context.observer.on_clear_path(&path);
                }
            }
        }
        context.out.push(attribute.quote as u8);
        Ok(())
    }

    /// Puts out the open text.
    fn release(&mut self, context: &mut XmlContext<'_>) -> RewriteResult {
        let changed = self.unselected.release(&*self.transform, context)?;
        if let Some(frame) = self.open.top_mut().filter(|_| changed) {
            frame.has_clear_text = false;
        }
        Ok(())
    }

    fn put_treated(&mut self, rule: usize, value: SelectedValue<'_>, context: &mut XmlContext<'_>) -> RewriteResult {
        self.treated.clear();
        if let Replacement::Unchanged { .. } = self.transform.transform(rule, value, &mut self.treated)? {
            // The text as it came is no longer there, so the decoded text is escaped again.
            self.treated.extend_from_slice(value.text);
        }
        if !tag::escape(&self.treated, context.out) {
            return Err(RewriteError::Untreatable { what: "XML cannot hold the treated text" });
        }
        context.observer.on_treated(rule);
        Ok(())
    }

    /// Puts out what takes the place of a selected element's content.
    fn put_held(&mut self, rule: usize, mut held: HeldElement, context: &mut XmlContext<'_>) -> RewriteResult {
        match held.take_pieces() {
            Some(mut pieces) => {
                // What such a treatment makes needs no escape in XML.
                pieces.drain(context.out);
                self.transform.finish_pieces(rule, pieces, context.out);
                context.observer.on_treated(rule);
            }
            None => self.put_treated(rule, held.value(), context)?,
        }
        self.held = held;
        Ok(())
    }

    /// An end tag, given without `</` and `>`.
    pub(super) fn end(&mut self, tag: &str, context: &mut XmlContext<'_>) -> RewriteResult {
        self.release(context)?;
        if self.open.top().is_some_and(|frame| frame.has_clear_text) && context.observer.wants_clear_paths() {
            context.observer.on_clear_path(&self.open.path(None));
        }
        let name = tag.trim_end_matches(tag::is_space);
        let frame = self.open.pop(name).ok_or_else(|| context.malformed("an end tag unlike its start tag"))?;
        if self.subject_depth == Some(self.open.depth() + 1) {
            self.subject_depth = None;
            context.observer.on_subject(&self.subject_text);
        }
        if let ElementContent::Held(rule) = frame.content {
            let held = std::mem::take(&mut self.held);
            self.put_held(rule, held, context)?;
        }
        if frame.leaves {
            self.positions.truncate(self.positions.len() - self.paths.width());
            context.out.extend_from_slice(b"</");
            context.out.extend_from_slice(tag.as_bytes());
            context.out.push(b'>');
        }
        Ok(())
    }

    /// A piece of text, as it came and decoded.
    pub(super) fn text(&mut self, raw: &[u8], decoded: &[u8], context: &mut XmlContext<'_>) -> RewriteResult {
        let space = |b: &&u8| tag::is_space(char::from(**b));
        if self.subject_depth == Some(self.open.depth()) {
            hold(&mut self.subject_text, decoded)?;
        }
        if let Some(frame) = self.open.top_mut().filter(|frame| frame.content == ElementContent::Pass) {
            frame.has_clear_text = frame.has_clear_text || !decoded.iter().all(|b| space(&b));
        }
        match self.open.content() {
            None => {
                let good = raw.iter().take_while(space).count();
                context.out.extend_from_slice(&raw[..good]);
                context.at += good as u64;
                if good < raw.len() { Err(context.malformed("text outside of the root element")) } else { Ok(()) }
            }
            Some(ElementContent::Pass) if self.unselected.is_active() => self.unselected.hold(raw, decoded),
            Some(ElementContent::Pass) => {
                context.out.extend_from_slice(raw);
                Ok(())
            }
            Some(ElementContent::ListedOnly) if raw == decoded => {
                context.out.extend(raw.iter().filter(space));
                Ok(())
            }
            Some(ElementContent::Held(_)) => self.held.push(decoded, context.out),
            Some(ElementContent::ListedOnly | ElementContent::Dropped) => Ok(()),
        }
    }

    /// A piece of a comment or a processing instruction.
    pub(super) fn misc(&mut self, raw: &[u8], context: &mut XmlContext<'_>) -> RewriteResult {
        let passes = match self.open.content() {
            None => !self.paths.has_allow_list,
            Some(ElementContent::Pass) => true,
            Some(ElementContent::ListedOnly | ElementContent::Held(_) | ElementContent::Dropped) => false,
        };
        if passes && self.unselected.is_active() {
            return self.unselected.hold_misc(raw);
        }
        if passes {
            context.out.extend_from_slice(raw);
        }
        Ok(())
    }

    /// The comment or processing instruction is whole.
    pub(super) fn end_misc(&mut self, context: &mut XmlContext<'_>) -> RewriteResult {
        self.unselected.end_misc(!self.open.is_empty(), &*self.transform, context)
    }
}
