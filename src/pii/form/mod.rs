//! Forms: `application/x-www-form-urlencoded` bodies and the queries of URLs.
//!
//! Names are decoded before they are compared; selected values are decoded, treated and encoded again. All else
//! passes byte for byte. What two parsers could read in two ways is refused: a bad percent, NUL, text that is not
//! UTF-8, an unencoded `;`, a name encoded twice. So is a body of another format (`format_check`). Never lets a part
//! of a selected value leave before it is complete.

mod format_check;
mod percent;
mod value_check;

pub(super) use percent::{decode, decode_segment, encode, is_encoded_twice, push_percent};

use super::clear::OpenField;
use super::fields::{FieldDecision, FieldRules, clear_path};
use super::utf8::not_utf8;
use super::{
    PieceTransform, Replacement, RewriteError, RewriteObserver, RewriteResult, Rewriter, SelectedValue, Transform,
    ValueKind,
};
use crate::bounds::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
use std::sync::Arc;
use value_check::FormValueCheck;
use zeroize::Zeroizing;

/// Treats a form body while it streams (WHATWG URL, section 5).
pub(super) struct FormRewriter {
    fields: Arc<FieldRules>,
    transform: Arc<dyn Transform>,
    pairs: FormPairs,
    counted: bool,
}

impl FormRewriter {
    /// A rewriter for one body.
    pub(super) fn new(fields: Arc<FieldRules>, transform: Arc<dyn Transform>) -> Self {
        Self { fields, transform, pairs: FormPairs { in_body: true, ..FormPairs::default() }, counted: false }
    }
}

impl Rewriter for FormRewriter {
    fn feed(&mut self, input: &[u8], observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult {
        if self.fields.counts_records && !self.counted && !input.is_empty() {
            self.counted = true;
            observer.on_record()?;
        }
        self.pairs.feed(input, &mut FormContext { fields: &self.fields, transform: &*self.transform, observer }, out)
    }

    fn finish(&mut self, observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult {
        self.pairs.finish(&mut FormContext { fields: &self.fields, transform: &*self.transform, observer }, out)
    }
}

/// The rules, the treatments and the observer of a form's pairs.
pub(super) struct FormContext<'a> {
    pub(super) fields: &'a FieldRules,
    pub(super) transform: &'a dyn Transform,
    pub(super) observer: &'a mut dyn RewriteObserver,
}

/// The pairs of a form or a query, read piece by piece: the state between two pieces.
#[derive(Default)]
pub(super) struct FormPairs {
    state: FormState,
    /// The open name, or the open value that is held, as it came.
    raw: Zeroizing<Vec<u8>>,
    /// A decoded or a treated text. It is a field so that its memory is used again.
    text: Zeroizing<Vec<u8>>,
    /// The treatment under way of the open value, where the treatment keeps nothing of the value.
    pieces: Option<PieceTransform>,
    check: FormValueCheck,
    /// Offset of the next byte.
    at: u64,
    /// Whether a pair has been put out, so that the next one needs a `&` before it.
    begun: bool,
    /// Whether this is a body, which may be of another format than a form.
    in_body: bool,
    /// Whether the body's first pair has been read.
    paired: bool,
    /// The path of the open value, where the observer wants the paths of untreated values.
    open: OpenField,
}

#[derive(Clone, Copy, Default)]
enum FormState {
    /// In a name.
    #[default]
    Name,
    /// In a value that passes.
    Pass,
    /// In a value that is dropped.
    Skip,
    /// In a value that is treated piece by piece.
    Pieces { rule: usize },
    /// In a value that is held until it is complete: a rule needs it whole, or it identifies a subject.
    Held { rule: Option<usize>, subject: bool },
}

impl FormPairs {
    pub(super) fn feed(&mut self, mut input: &[u8], context: &mut FormContext<'_>, out: &mut Vec<u8>) -> RewriteResult {
        while !input.is_empty() {
            let used = match self.state {
                FormState::Name => self.hold(input, memchr::memchr2(b'&', b'=', input), 3 * KEY_BYTES_MAX, "a name")?,
                FormState::Held { .. } => {
                    self.hold(input, memchr::memchr(b'&', input), 3 * VALUE_BYTES_MAX, "a value")?
                }
                FormState::Pass => self.pass(input, Some(out))?,
                FormState::Skip => self.pass(input, None)?,
                FormState::Pieces { .. } => self.piece(input, out)?,
            };
            self.at += used as u64;
            let Some(&delimiter) = input.get(used) else { break };
            if delimiter == b'=' && matches!(self.state, FormState::Name) {
                self.end_name(true, context, out)?;
            } else {
                self.end_pair(context, out)?;
            }
            self.at += 1;
            input = &input[used + 1..];
        }
        Ok(())
    }

    pub(super) fn finish(&mut self, context: &mut FormContext<'_>, out: &mut Vec<u8>) -> RewriteResult {
        self.end_pair(context, out)
    }

    /// Holds the bytes before the delimiter; returns how many there are.
    fn hold(&mut self, input: &[u8], end: Option<usize>, limit: usize, bound: &'static str) -> RewriteResult<usize> {
        let piece = &input[..end.unwrap_or(input.len())];
        let room = limit - self.raw.len();
        if let Some(at) = memchr::memchr(b';', &piece[..piece.len().min(room)]) {
            return Err(semicolon(self.at + at as u64));
        }
        if piece.len() > room {
            return Err(RewriteError::Bound { bound, limit: limit as u64 });
        }
        self.raw.extend_from_slice(piece);
        Ok(piece.len())
    }

    /// Checks the bytes of a value before the delimiter, and puts them into `out`, if there is one; returns how many
    /// there are.
    fn pass(&mut self, input: &[u8], out: Option<&mut Vec<u8>>) -> RewriteResult<usize> {
        let (used, verdict) = self.check.read(input, self.at);
        self.open.fill(used > 0);
        if let Some(out) = out {
            out.extend_from_slice(&input[..used]);
        }
        verdict.map(|()| used)
    }

    /// Treats the bytes of a value before the delimiter; returns how many there are.
    fn piece(&mut self, input: &[u8], out: &mut Vec<u8>) -> RewriteResult<usize> {
        let used = memchr::memchr(b'&', input).unwrap_or(input.len());
        self.text.clear();
        for (at, byte) in input[..used].iter().enumerate() {
            let decoded = self.check.push(*byte, self.at + at as u64)?;
            self.text.extend(decoded.map(|decoded| if *byte == b'+' { b' ' } else { decoded }));
        }
        if let Some(pieces) = &mut self.pieces {
            pieces.push_and_drain(&self.text, out);
        }
        Ok(used)
    }

    /// A name is complete: decides about its pair. With `valued` a value follows.
    fn end_name(&mut self, valued: bool, context: &mut FormContext<'_>, out: &mut Vec<u8>) -> RewriteResult {
        let start = self.at - self.raw.len() as u64;
        let name = decode(&self.raw, start, &mut self.text)?;
        if self.in_body && (valued || !self.raw.is_empty()) {
            let first = !std::mem::replace(&mut self.paired, true);
            format_check::check_name(&self.raw, name, valued || !first, start)?;
        }
        if is_encoded_twice(name) {
            return Err(RewriteError::Malformed { what: "a name that is encoded twice", at: self.at });
        }
        let nothing = name.is_empty() && !valued;
        let decision = if nothing { FieldDecision::Pass } else { context.fields.decide(name) };
        let subject = valued && context.fields.is_subject(name);
        let leaves = match decision {
            FieldDecision::Pass => true,
            FieldDecision::Drop => false,
            FieldDecision::Treat(rule) => !context.transform.drops_member(rule),
        };
        self.open = OpenField::begin(self.in_body && context.observer.wants_clear_paths(), || clear_path(name));
        if let FieldDecision::Treat(rule) = decision
            && !leaves
        {
            context.observer.on_treated(rule);
        }
        self.pieces = match decision {
            FieldDecision::Treat(rule) if leaves && valued && !subject => context.transform.begin_pieces(rule),
            FieldDecision::Treat(_) | FieldDecision::Pass | FieldDecision::Drop => None,
        };
        self.state = match decision {
            FieldDecision::Treat(rule) if self.pieces.is_some() => FormState::Pieces { rule },
            FieldDecision::Treat(rule) if leaves => FormState::Held { rule: Some(rule), subject },
            FieldDecision::Pass if subject => FormState::Held { rule: None, subject },
            FieldDecision::Pass => FormState::Pass,
            FieldDecision::Drop | FieldDecision::Treat(_) => FormState::Skip,
        };
        if leaves {
            if std::mem::replace(&mut self.begun, true) {
                out.push(b'&');
            }
            put_name(&self.raw, name, context, out)?;
            out.extend_from_slice(if valued { b"=" } else { b"" });
        }
        self.raw.clear();
        Ok(())
    }

    fn end_pair(&mut self, context: &mut FormContext<'_>, out: &mut Vec<u8>) -> RewriteResult {
        match self.state {
            FormState::Name => self.end_name(false, context, out)?,
            FormState::Pass => {
                std::mem::take(&mut self.check).end(self.at)?;
                self.open.report(context.observer);
            }
            FormState::Skip => std::mem::take(&mut self.check).end(self.at)?,
            FormState::Pieces { rule } => {
                std::mem::take(&mut self.check).end(self.at)?;
                if let Some(pieces) = self.pieces.take() {
                    self.text.clear();
                    context.transform.finish_pieces(rule, pieces, &mut self.text);
                    encode(&self.text, out);
                    context.observer.on_treated(rule);
                }
            }
            FormState::Held { rule, subject } => self.end_held(rule, subject, context, out)?,
        }
        self.state = FormState::Name;
        Ok(())
    }

    fn end_held(
        &mut self,
        rule: Option<usize>,
        subject: bool,
        context: &mut FormContext<'_>,
        out: &mut Vec<u8>,
    ) -> RewriteResult {
        let start = self.at - self.raw.len() as u64;
        format_check::check_value(&self.raw, start)?;
        let text = decode(&self.raw, start, &mut self.text)?;
        if text.len() > VALUE_BYTES_MAX {
            return Err(RewriteError::Bound { bound: "a value", limit: VALUE_BYTES_MAX as u64 });
        }
        if subject {
            context.observer.on_subject(text.as_bytes());
        }
        self.open.fill(!self.raw.is_empty());
        match rule {
            None => {
                out.extend_from_slice(&self.raw);
                self.open.report(context.observer);
            }
            Some(rule) => {
                let came = self.raw.len();
                let value = SelectedValue { kind: ValueKind::String, text: text.as_bytes() };
                let shape = context.transform.transform(rule, value, &mut self.raw)?;
                match shape {
                    Replacement::Text | Replacement::Literal => encode(&self.raw[came..], out),
                    Replacement::Unchanged { .. } => {
                        out.extend_from_slice(&self.raw[..came]);
                        self.open.report(context.observer);
                    }
                }
                if shape != (Replacement::Unchanged { counted: false }) {
                    context.observer.on_treated(rule);
                }
            }
        }
        self.raw.clear();
        Ok(())
    }
}

/// Puts out a name as it came, or what the detectors' rule makes of it.
fn put_name(raw: &[u8], name: &str, context: &mut FormContext<'_>, out: &mut Vec<u8>) -> RewriteResult {
    let Some(rest) = context.fields.fallback_rule() else {
        out.extend_from_slice(raw);
        return Ok(());
    };
    let mut made = Zeroizing::new(Vec::new());
    let shape = context.transform.transform(
        rest,
        SelectedValue { kind: ValueKind::String, text: name.as_bytes() },
        &mut made,
    )?;
    match shape {
        Replacement::Text | Replacement::Literal => encode(&made, out),
        Replacement::Unchanged { .. } => out.extend_from_slice(raw),
    }
    if shape != (Replacement::Unchanged { counted: false }) {
        context.observer.on_treated(rest);
    }
    Ok(())
}

const fn semicolon(at: u64) -> RewriteError {
    RewriteError::Malformed { what: "a ';', which some parsers take for '&'", at }
}

const fn bad_percent(at: u64) -> RewriteError {
    RewriteError::Malformed { what: "a '%' without two hexadecimal digits", at }
}

#[cfg(test)]
mod tests;
