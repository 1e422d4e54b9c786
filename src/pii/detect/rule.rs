//! A detector and what is done about its finds: on a whole text, or on one that streams.
//!
//! Never holds more of a stream than is needed to judge it, and never lets the start of a find leave.

use super::{DetectSearch, Detector, LOOKAHEAD_BYTES, PiiKind, secrets::SecretTail};
use crate::pii::{RewriteObserver, TreatmentKind};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Bytes of a stream that are looked at together: a multiple of the lookahead, so that little is looked at twice.
const STRIDE_BYTES: usize = 8 * 1024;

/// What is done about a find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DetectAction {
    /// Each of its characters becomes `*`.
    Mask,
    /// It becomes `[redacted]`.
    Redact,
    /// It passes, and the observer is told.
    Report,
}

/// A detector and its action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetectRule {
    detector: Detector,
    action: DetectAction,
}

impl DetectRule {
    /// A guard that does this about what the detector finds.
    pub const fn new(detector: Detector, action: DetectAction) -> Self {
        Self { detector, action }
    }

    /// Looks at a whole, decoded text, such as a string that no rule lists. True when another text must take its place:
    /// that has then been appended to `out`, else nothing has. Allocates nothing for a text without finds.
    pub fn apply(&self, text: &[u8], observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> bool {
        let mut copied = 0;
        self.detector.scan(text, |span| {
            observer.on_found(span.kind);
            if self.action != DetectAction::Report {
                out.extend_from_slice(&text[copied..span.start]);
                self.begin_replacement(out);
                self.replace_piece(&text[span.start..span.end], out);
                copied = span.end;
            }
        });
        if copied > 0 {
            out.extend_from_slice(&text[copied..]);
        }
        copied > 0
    }

    /// A find begins.
    fn begin_replacement(&self, out: &mut Vec<u8>) {
        if self.action == DetectAction::Redact {
            out.extend_from_slice(b"[redacted]");
        }
    }

    /// What takes the place of a piece of a find.
    fn replace_piece(&self, piece: &[u8], out: &mut Vec<u8>) {
        match self.action {
            DetectAction::Mask => out.extend(piece.iter().filter(|b| !matches!(b, 0x80..=0xbf)).map(|_| b'*')),
            DetectAction::Redact => {}
            DetectAction::Report => out.extend_from_slice(piece),
        }
    }
}

/// A guard over a text that comes in pieces.
#[derive(Debug)]
pub(crate) struct DetectStream {
    guard: Arc<DetectRule>,
    /// What has not left yet, behind at most one byte that has.
    pending: Zeroizing<Vec<u8>>,
    /// Where in `held` that begins.
    from: usize,
    /// With `Some`, a find goes on.
    tail: Option<SecretTail>,
}

impl DetectStream {
    /// A stream before its first byte.
    pub(crate) fn new(guard: Arc<DetectRule>) -> Self {
        Self { guard, pending: Zeroizing::default(), from: 0, tail: None }
    }

    /// Takes the next bytes, appends what may leave.
    pub(crate) fn feed(&mut self, input: &[u8], observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) {
        for piece in input.chunks(STRIDE_BYTES) {
            self.pending.extend_from_slice(piece);
            // Less than this would be looked at again and again.
            if self.pending.len() - self.from >= 4 * LOOKAHEAD_BYTES {
                self.read(self.pending.len() - LOOKAHEAD_BYTES, observer, out);
            }
        }
    }

    /// Takes the end, appends the rest; then begins anew.
    pub(crate) fn finish(&mut self, observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) {
        self.read(self.pending.len(), observer, out);
        self.pending.clear();
        (self.from, self.tail) = (0, None);
    }

    /// Decides on all finds that begin before `limit`.
    fn read(&mut self, limit: usize, observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) {
        let Self { guard, pending: held, from, tail: rest } = self;
        replace_tail(guard, rest, held, from, out);
        let mut search = if rest.is_none() { DetectSearch::new(&guard.detector, held, *from) } else { None };
        while rest.is_none()
            && let Some(search) = &mut search
            && let Some(hit) = search.next(held).filter(|hit| hit.span.start < limit)
        {
            observer.on_found(hit.span.kind);
            out.extend_from_slice(&held[*from..hit.span.start]);
            guard.begin_replacement(out);
            guard.replace_piece(&held[hit.span.start..hit.span.end], out);
            *from = hit.span.end;
            *rest = hit.tail;
            replace_tail(guard, rest, held, from, out);
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

/// Covers what goes on of an open find.
fn replace_tail(guard: &DetectRule, rest: &mut Option<SecretTail>, held: &[u8], from: &mut usize, out: &mut Vec<u8>) {
    if let Some(open) = rest {
        let (taken, ends) = open.read(&held[*from..]);
        guard.replace_piece(&held[*from..*from + taken], out);
        *from += taken;
        if ends {
            *rest = None;
        }
    }
}

impl DetectAction {
    /// What it makes of a find.
    pub const fn treatment_kind(self) -> TreatmentKind {
        match self {
            Self::Mask => TreatmentKind::Mask,
            Self::Redact => TreatmentKind::Redact,
            Self::Report => TreatmentKind::Report,
        }
    }
}

impl DetectRule {
    /// What is done about a find.
    pub const fn action(&self) -> DetectAction {
        self.action
    }

    /// Whether it looks for this sort.
    pub const fn looks_for(&self, sort: PiiKind) -> bool {
        self.detector.looks_for(sort)
    }
}
