//! A detector and what is done about its finds: on a whole text, or on one that streams.
//!
//! Never holds more of a stream than is needed to judge it, and never lets the start of a find leave.

use super::{Detector, LOOKAHEAD_BYTES, Search, Sort, secrets::Rest};
use crate::pii::{TreatmentKind, Watch};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Bytes of a stream that are looked at together: a multiple of the lookahead, so that little is looked at twice.
const STRIDE_BYTES: usize = 8 * 1024;

/// What is done about a find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Each of its characters becomes `*`.
    Mask,
    /// It becomes `[redacted]`.
    Redact,
    /// It passes, and the watch is told.
    Report,
}

/// A detector and its action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    detector: Detector,
    action: Action,
}

impl Guard {
    /// A guard that does this about what the detector finds.
    pub const fn new(detector: Detector, action: Action) -> Self {
        Self { detector, action }
    }

    /// Looks at a whole, decoded text, such as a string that no rule lists. True when another text must take its place:
    /// that has then been appended to `out`, else nothing has. Allocates nothing for a text without finds.
    pub fn apply(&self, text: &[u8], watch: &mut dyn Watch, out: &mut Vec<u8>) -> bool {
        let mut copied = 0;
        self.detector.scan(text, |span| {
            watch.found(span.sort);
            if self.action != Action::Report {
                out.extend_from_slice(&text[copied..span.start]);
                self.begin(out);
                self.cover(&text[span.start..span.end], out);
                copied = span.end;
            }
        });
        if copied > 0 {
            out.extend_from_slice(&text[copied..]);
        }
        copied > 0
    }

    /// A find begins.
    fn begin(&self, out: &mut Vec<u8>) {
        if self.action == Action::Redact {
            out.extend_from_slice(b"[redacted]");
        }
    }

    /// What takes the place of a piece of a find.
    fn cover(&self, piece: &[u8], out: &mut Vec<u8>) {
        match self.action {
            Action::Mask => out.extend(piece.iter().filter(|b| !matches!(b, 0x80..=0xbf)).map(|_| b'*')),
            Action::Redact => {}
            Action::Report => out.extend_from_slice(piece),
        }
    }
}

/// A guard over a text that comes in pieces.
#[derive(Debug)]
pub struct GuardStream {
    guard: Arc<Guard>,
    /// What has not left yet, behind at most one byte that has.
    held: Zeroizing<Vec<u8>>,
    /// Where in `held` that begins.
    from: usize,
    /// With `Some`, a find goes on.
    rest: Option<Rest>,
}

impl GuardStream {
    /// A stream before its first byte.
    pub fn new(guard: Arc<Guard>) -> Self {
        Self { guard, held: Zeroizing::default(), from: 0, rest: None }
    }

    /// Takes the next bytes, appends what may leave.
    pub fn feed(&mut self, input: &[u8], watch: &mut dyn Watch, out: &mut Vec<u8>) {
        for piece in input.chunks(STRIDE_BYTES) {
            self.held.extend_from_slice(piece);
            // Less than this would be looked at again and again.
            if self.held.len() - self.from >= 4 * LOOKAHEAD_BYTES {
                self.read(self.held.len() - LOOKAHEAD_BYTES, watch, out);
            }
        }
    }

    /// Takes the end, appends the rest; then begins anew.
    pub fn finish(&mut self, watch: &mut dyn Watch, out: &mut Vec<u8>) {
        self.read(self.held.len(), watch, out);
        self.held.clear();
        (self.from, self.rest) = (0, None);
    }

    /// Decides on all finds that begin before `limit`.
    fn read(&mut self, limit: usize, watch: &mut dyn Watch, out: &mut Vec<u8>) {
        let Self { guard, held, from, rest } = self;
        cover_rest(guard, rest, held, from, out);
        let mut search = if rest.is_none() { Search::new(&guard.detector, held, *from) } else { None };
        while rest.is_none()
            && let Some(search) = &mut search
            && let Some(hit) = search.next(held).filter(|hit| hit.span.start < limit)
        {
            watch.found(hit.span.sort);
            out.extend_from_slice(&held[*from..hit.span.start]);
            guard.begin(out);
            guard.cover(&held[hit.span.start..hit.span.end], out);
            *from = hit.span.end;
            *rest = hit.rest;
            cover_rest(guard, rest, held, from, out);
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
fn cover_rest(guard: &Guard, rest: &mut Option<Rest>, held: &[u8], from: &mut usize, out: &mut Vec<u8>) {
    if let Some(open) = rest {
        let (taken, ends) = open.read(&held[*from..]);
        guard.cover(&held[*from..*from + taken], out);
        *from += taken;
        if ends {
            *rest = None;
        }
    }
}

impl Action {
    /// What it makes of a find.
    pub const fn kind(self) -> TreatmentKind {
        match self {
            Self::Mask => TreatmentKind::Mask,
            Self::Redact => TreatmentKind::Redact,
            Self::Report => TreatmentKind::Report,
        }
    }
}

impl Guard {
    /// What is done about a find.
    pub const fn action(&self) -> Action {
        self.action
    }

    /// Whether it looks for this sort.
    pub const fn looks_for(&self, sort: Sort) -> bool {
        self.detector.looks_for(sort)
    }
}
