//! The elements that are open.

use super::tag::{self, XmlTag};
use crate::pii::clear;

/// The open elements, the innermost last.
#[derive(Default)]
pub(super) struct ElementStack {
    elements: Vec<OpenElement>,
    /// The names of the open elements, one after the other: [`OpenElement::name_from`] is where each begins.
    names: Vec<u8>,
}

/// An open element.
pub(super) struct OpenElement {
    name_from: usize,
    pub(super) content: ElementContent,
    /// How many elements have begun in it.
    pub(super) children: u32,
    /// The allow-list has it, or there is none.
    pub(super) allowed: bool,
    /// Whether its tags are put out.
    pub(super) leaves: bool,
    /// Whether text in it has been put out as it came.
    pub(super) has_clear_text: bool,
}

/// What is done with an element's content.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ElementContent {
    /// It passes, except for what is selected in it.
    Pass,
    /// Only elements and attributes of the allow-list pass.
    ListedOnly,
    /// It is held, and treated by this rule.
    Held(usize),
    /// Nothing of it is put out.
    Dropped,
}

impl ElementStack {
    pub(super) fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    pub(super) fn depth(&self) -> usize {
        self.elements.len()
    }

    /// The innermost element.
    pub(super) fn top(&self) -> Option<&OpenElement> {
        self.elements.last()
    }

    pub(super) fn top_mut(&mut self) -> Option<&mut OpenElement> {
        self.elements.last_mut()
    }

    /// What is done with the content of the innermost element.
    pub(super) fn content(&self) -> Option<ElementContent> {
        self.top().map(|element| element.content)
    }

    /// Opens an element, unless its tag is that of an empty one.
    pub(super) fn push(&mut self, tag: &XmlTag<'_>, content: ElementContent, allowed: bool, leaves: bool) {
        if tag.is_empty() {
            return;
        }
        let name_from = self.names.len();
        self.elements.push(OpenElement { name_from, content, children: 0, allowed, leaves, has_clear_text: false });
        self.names.extend_from_slice(tag.name.as_bytes());
    }

    /// Closes the innermost element; `None` when it does not have this name.
    pub(super) fn pop(&mut self, name: &str) -> Option<OpenElement> {
        let element = self.elements.pop().filter(|element| self.names[element.name_from..] == *name.as_bytes())?;
        self.names.truncate(element.name_from);
        Some(element)
    }

    /// The path of the innermost element, or of the element `within` it.
    pub(super) fn path(&self, within: Option<&str>) -> String {
        let mut path = "$".to_owned();
        let ends = self.elements.iter().skip(1).map(|element| element.name_from).chain([self.names.len()]);
        let open = self.elements.iter().zip(ends).map(|(element, end)| &self.names[element.name_from..end]);
        for name in open.filter_map(|name| std::str::from_utf8(name).ok()).chain(within) {
            clear::push_name(&mut path, tag::local(name));
        }
        path
    }
}
