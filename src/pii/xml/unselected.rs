//! What no path selects, under detectors: texts, attributes, comments and instructions.
//!
//! A text is everything between two tags, as readers see it: references and CDATA decoded, comments left out. If
//! detectors find something in it, it is put out escaped and without its comments, otherwise as it came. Comments and
//! instructions are read by the detectors one by one. Never lets a byte of a text or comment leave before its end,
//! and never holds more than the bound on values.

use super::tag;
use super::tree::XmlContext;
use crate::bounds::VALUE_BYTES_MAX;
use crate::pii::{Replacement, RewriteError, RewriteResult, SelectedValue, Transform, ValueKind};
use zeroize::Zeroizing;

/// The open text, and the open comment or instruction.
pub(super) struct UnselectedText {
    rule: Option<usize>,
    /// The text as it came, and decoded.
    raw: Zeroizing<Vec<u8>>,
    text: Zeroizing<Vec<u8>>,
    /// The comment or instruction that is open.
    misc: Zeroizing<Vec<u8>>,
    made: Zeroizing<Vec<u8>>,
}

impl UnselectedText {
    /// With the rule for texts that nothing else selects, if there is one.
    pub(super) fn new(rule: Option<usize>) -> Self {
        let none = Zeroizing::default;
        Self { rule, raw: none(), text: none(), misc: none(), made: none() }
    }

    /// Whether there is such a rule: otherwise nothing is held.
    pub(super) const fn is_active(&self) -> bool {
        self.rule.is_some()
    }

    /// Takes a piece of text, as it came and decoded.
    pub(super) fn hold(&mut self, raw: &[u8], decoded: &[u8]) -> RewriteResult {
        hold(&mut self.raw, raw)?;
        self.text.extend_from_slice(decoded);
        Ok(())
    }

    /// Takes a piece of a comment or an instruction.
    pub(super) fn hold_misc(&mut self, raw: &[u8]) -> RewriteResult {
        hold(&mut self.misc, raw)
    }

    /// A comment or an instruction is complete: `inside` an element it is held with the text around it, otherwise it
    /// is put out.
    pub(super) fn end_misc(
        &mut self,
        inside: bool,
        transform: &dyn Transform,
        context: &mut XmlContext<'_>,
    ) -> RewriteResult {
        let (head, tail): (usize, usize) = if self.misc.starts_with(b"<!--") { (4, 3) } else { (2, 2) };
        let end = self.misc.len().saturating_sub(tail);
        if let (Some(rule), Some(text)) = (self.rule, self.misc.get(head..end))
            && detect(rule, text, transform, &mut self.made, context)?
        {
            if memchr::memmem::find(&self.made, b"--").is_some() && memchr::memmem::find(text, b"--").is_none() {
                return Err(RewriteError::Untreatable { what: "a comment cannot hold the treated text" });
            }
            self.misc.splice(head..end, self.made.drain(..));
        }
        if inside {
            hold(&mut self.raw, &self.misc)?;
        } else {
            context.out.extend_from_slice(&self.misc);
        }
        self.misc.clear();
        Ok(())
    }

    /// A tag ends the open text: puts it out. Returns whether it was changed.
    pub(super) fn release(&mut self, transform: &dyn Transform, context: &mut XmlContext<'_>) -> RewriteResult<bool> {
        let Some(rule) = self.rule.filter(|_| !self.raw.is_empty()) else { return Ok(false) };
        let changed = !self.text.is_empty() && detect(rule, &self.text, transform, &mut self.made, context)?;
        if changed {
            escape(&self.made, tag::escape_content, context)?;
        } else {
            context.out.extend_from_slice(&self.raw);
        }
        self.raw.clear();
        self.text.clear();
        Ok(changed)
    }

    /// Puts out an attribute's value, given as it came and decoded. Returns whether it was changed.
    pub(super) fn attribute(
        &mut self,
        raw: &str,
        decoded: &[u8],
        transform: &dyn Transform,
        context: &mut XmlContext<'_>,
    ) -> RewriteResult<bool> {
        if let Some(rule) = self.rule
            && detect(rule, decoded, transform, &mut self.made, context)?
        {
            return escape(&self.made, tag::escape, context).map(|()| true);
        }
        context.out.extend_from_slice(raw.as_bytes());
        Ok(false)
    }
}

/// Lets the rule treat a text. Returns whether `made` takes the text's place.
fn detect(
    rule: usize,
    text: &[u8],
    transform: &dyn Transform,
    made: &mut Vec<u8>,
    context: &mut XmlContext<'_>,
) -> RewriteResult<bool> {
    made.clear();
    let shape = transform.transform(rule, SelectedValue { kind: ValueKind::String, text }, made)?;
    let (changed, counted) = match shape {
        Replacement::Unchanged { counted } => (false, counted),
        Replacement::Text | Replacement::Literal => (true, true),
    };
    if counted {
        context.observer.on_treated(rule);
    }
    Ok(changed)
}

fn escape(text: &[u8], by: fn(&[u8], &mut Vec<u8>) -> bool, context: &mut XmlContext<'_>) -> RewriteResult {
    if by(text, context.out) {
        Ok(())
    } else {
        Err(RewriteError::Untreatable { what: "XML cannot hold the treated text" })
    }
}

fn hold(held: &mut Vec<u8>, piece: &[u8]) -> RewriteResult {
    if held.len() + piece.len() > VALUE_BYTES_MAX {
        return Err(RewriteError::Bound { bound: "a text for detectors", limit: VALUE_BYTES_MAX as u64 });
    }
    held.extend_from_slice(piece);
    Ok(())
}
