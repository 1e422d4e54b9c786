//! A detector and what is done about its finds, in a whole text or in one that streams.
//!
//! Holds no more of a stream than is needed to recognize a find, and never lets the first bytes of a find leave.

use super::{DetectSearch, Detector, LOOKAHEAD_BYTES, secrets::SecretTail};
use crate::model::Category;
use crate::pii::{PiiKind, RewriteObserver, TreatmentKind};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Bytes of a stream that are searched together: many times the lookahead, so that little is searched twice.
const STRIDE_BYTES: usize = 8 * 1024;

/// What happens to what a detector finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DetectAction {
    /// Each of its characters becomes *.
    Mask,
    /// It is replaced by a constant text.
    Redact,
    /// It passes and is counted.
    Report,
}

/// A detector, and what is done about its finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetectRule {
    detector: Detector,
    /// By the number of the kind.
    actions: [DetectAction; PiiKind::ALL.len()],
}

impl DetectRule {
    /// Does `action` about what `detector` finds.
    pub const fn new(detector: Detector, action: DetectAction) -> Self {
        Self { detector, actions: [action; PiiKind::ALL.len()] }
    }

    /// The same rule that looks for this kind too, and does `action` about what it finds of it.
    #[must_use]
    pub fn with(mut self, kind: PiiKind, action: DetectAction) -> Self {
        self.detector = Detector::new(self.kinds().chain([kind]));
        self.actions[kind as usize] = action;
        self
    }

    /// What happens to a find of this kind.
    pub const fn action_for(&self, kind: PiiKind) -> DetectAction {
        self.actions[kind as usize]
    }

    /// The kinds that it looks for.
    pub fn kinds(&self) -> impl Iterator<Item = PiiKind> {
        PiiKind::ALL.into_iter().filter(|kind| self.detector.looks_for(*kind))
    }

    /// What happens to finds; where kinds differ, what leaves the most of one.
    pub fn action(&self) -> DetectAction {
        self.kinds()
            .map(|kind| self.action_for(kind))
            .max_by_key(|action| action.leaves())
            .unwrap_or(DetectAction::Redact)
    }

    /// The category of all its finds, where it looks for one kind or for kinds of one category.
    pub(in crate::pii) fn category(&self) -> Option<Category> {
        let mut all = self.kinds().map(PiiKind::category);
        let first = all.next()??;
        all.all(|other| other.as_ref() == Some(&first)).then_some(first)
    }

    /// The name of the rule's treatment in metrics and in the exposure report.
    pub(in crate::pii) fn treatment_kind(&self) -> TreatmentKind {
        match self.action() {
            DetectAction::Mask => TreatmentKind::Mask,
            DetectAction::Redact => TreatmentKind::Redact,
            DetectAction::Report => TreatmentKind::Report,
        }
    }

    /// Searches a whole, decoded text. True when another text must replace it, which has then been appended to `out`;
    /// nothing is appended otherwise. `found` receives each find. A text without finds costs no allocation.
    pub(in crate::pii) fn apply(&self, text: &[u8], mut found: impl FnMut(PiiKind), out: &mut Vec<u8>) -> bool {
        let mut copied = 0;
        self.detector.scan(text, |span| {
            found(span.kind);
            let action = self.action_for(span.kind);
            if action != DetectAction::Report {
                out.extend_from_slice(&text[copied..span.start]);
                action.begin_replacement(out);
                action.replace_piece(&text[span.start..span.end], out);
                copied = span.end;
            }
        });
        if copied > 0 {
            out.extend_from_slice(&text[copied..]);
        }
        copied > 0
    }
}

impl DetectAction {
    /// How much of a find is left: more for a greater number.
    pub(crate) const fn leaves(self) -> u8 {
        match self {
            Self::Redact => 0,
            Self::Mask => 1,
            Self::Report => 2,
        }
    }

    /// Appends what replaces the start of a find.
    fn begin_replacement(self, out: &mut Vec<u8>) {
        if self == Self::Redact {
            out.extend_from_slice(b"[redacted]");
        }
    }

    /// Appends what replaces a piece of a find.
    fn replace_piece(self, piece: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Mask => out.extend(piece.iter().filter(|b| !matches!(b, 0x80..=0xbf)).map(|_| b'*')),
            Self::Redact => {}
            Self::Report => out.extend_from_slice(piece),
        }
    }
}

/// Applies a [`DetectRule`] to a text that comes in pieces.
#[derive(Debug)]
pub(crate) struct DetectStream {
    detect: Arc<DetectRule>,
    /// Its number, as [`crate::pii::Plan::rules`] counts.
    rule: usize,
    /// The bytes that have not left yet, after at most one byte that has: a find depends on the byte before it.
    pending: Zeroizing<Vec<u8>>,
    /// Offset in `pending` of the first byte that has not left.
    from: usize,
    /// With `Some`, the last find continues, and this is done about it.
    tail: Option<(SecretTail, DetectAction)>,
}

impl DetectStream {
    /// A stream before its first byte.
    pub(crate) fn new(detect: Arc<DetectRule>, rule: usize) -> Self {
        Self { detect, rule, pending: Zeroizing::default(), from: 0, tail: None }
    }

    /// Takes the next bytes, and appends what may leave. Each find counts as a value that the rule has treated.
    pub(crate) fn feed(&mut self, input: &[u8], observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) {
        for piece in input.chunks(STRIDE_BYTES) {
            self.pending.extend_from_slice(piece);
            // Wait for more: with less, most of the bytes would be searched again.
            if self.pending.len() - self.from >= 4 * LOOKAHEAD_BYTES {
                self.read(self.pending.len() - LOOKAHEAD_BYTES, observer, out);
            }
        }
    }

    /// Takes the end of the text, and appends the rest. The stream can then take another text.
    pub(crate) fn finish(&mut self, observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) {
        self.read(self.pending.len(), observer, out);
        self.pending.clear();
        (self.from, self.tail) = (0, None);
    }

    /// Treats all finds that begin before `limit`, and appends all bytes before it.
    fn read(&mut self, limit: usize, observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) {
        let Self { detect, rule, pending: held, from, tail: rest } = self;
        replace_tail(rest, held, from, out);
        let mut search = if rest.is_none() { DetectSearch::new(&detect.detector, held, *from) } else { None };
        while rest.is_none()
            && let Some(search) = &mut search
            && let Some(hit) = search.next(held).filter(|hit| hit.span.start < limit)
        {
            observer.on_treated(*rule);
            out.extend_from_slice(&held[*from..hit.span.start]);
            let action = detect.action_for(hit.span.kind);
            action.begin_replacement(out);
            action.replace_piece(&held[hit.span.start..hit.span.end], out);
            *from = hit.span.end;
            *rest = hit.tail.map(|tail| (tail, action));
            replace_tail(rest, held, from, out);
            search.skip_to(*from);
        }
        if *from < limit {
            out.extend_from_slice(&held[*from..limit]);
            *from = limit;
        }
        let left = from.saturating_sub(1);
        held.drain(..left);
        *from -= left;
    }
}

/// Replaces the bytes that continue the last find.
fn replace_tail(rest: &mut Option<(SecretTail, DetectAction)>, held: &[u8], from: &mut usize, out: &mut Vec<u8>) {
    if let Some((open, action)) = rest {
        let (taken, ends) = open.read(&held[*from..]);
        action.replace_piece(&held[*from..*from + taken], out);
        *from += taken;
        if ends {
            *rest = None;
        }
    }
}
