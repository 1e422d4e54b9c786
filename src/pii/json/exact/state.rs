//! What one stream remembers between two chunks.
//!
//! About two kilobytes, whatever the size of the document. An open token and the space around it come on top, each
//! within its bound.

use crate::bounds::DOCUMENT_DEPTH_MAX;
use crate::pii::clear::PathTracker;
use crate::pii::json::{
    fast::ContainerSkip,
    matcher::{FastEntry, NO_PATH, StateId},
    records_path::RecordsProgress,
};

use super::{output::OutputRoute, scalar::NumberState, subject::SubjectCapture, token::OpenToken};

/// The state of one document.
pub(in crate::pii::json) struct JsonState {
    /// Where in the grammar the reader is.
    pub(in crate::pii::json) mode: JsonMode,
    pub(in crate::pii::json) values: ValueState,
}

/// What the decisions about values need to remember.
pub(in crate::pii::json) struct ValueState {
    pub(in crate::pii::json) stack: ContainerStack,
    /// The match state of the value that is open or comes next.
    pub(in crate::pii::json) value: StateId,
    pub(in crate::pii::json) route: OutputRoute,
    pub(in crate::pii::json) token: OpenToken,
    pub(in crate::pii::json) subject: SubjectCapture,
    /// What is done at the end of the container that is skipped now.
    pub(super) pending_drop: Option<ValueAction>,
    /// What is done at the end of the open scalar; `None` when it passes as it is.
    pub(super) pending_value: Option<PendingValue>,
    pub(super) progress: RecordsProgress,
    /// The path of the present value, where the observer wants to know what leaves untreated.
    pub(super) path: Option<PathTracker>,
    /// Bytes of the document before the present chunk.
    pub(super) offset: u64,
}

/// The open containers, the innermost last.
pub(in crate::pii::json) struct ContainerStack {
    frames: [JsonFrame; DOCUMENT_DEPTH_MAX],
    pub(in crate::pii::json) depth: usize,
}

/// An open container.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::pii::json) struct JsonFrame {
    /// Its match state: where its members and elements are looked up.
    pub(in crate::pii::json) state: StateId,
    pub(in crate::pii::json) object: bool,
    /// A member or element of it has been put out, so that the next one needs a comma before it.
    pub(in crate::pii::json) has_kept: bool,
    /// Its commas and keys wait for their value's decision: [`crate::pii::json::matcher::ChildNeeds::holds_keys`].
    pub(in crate::pii::json) holds_keys: bool,
    /// Where in it the fast path may begin.
    pub(in crate::pii::json) fast_entry: FastEntry,
    /// The index of the present element.
    pub(super) index: u32,
}

/// What may come next, or which token is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pii::json) enum JsonMode {
    /// A value comes next.
    Value,
    /// A value, or the end of the array.
    FirstElement,
    /// A key, or the end of the object.
    FirstKey,
    /// A key comes next.
    Key,
    /// The colon after a key comes next.
    Colon,
    /// A comma, or the end of the container.
    After,
    /// The document is complete: only space may follow.
    End,
    /// Inside a string.
    Text(StringRole),
    /// After a backslash in a string.
    Escape(StringRole),
    /// In a `\u` escape, of which so many digits are still to come.
    Hex(StringRole, u8),
    /// Inside a number.
    Number(NumberState),
    /// Inside a container that is dropped or replaced as a whole.
    Skip(ContainerSkip),
    /// Inside `true`, `false` or `null`: the word, and how many of its bytes have been read.
    Keyword(&'static [u8], usize),
}

/// Whether a string is a member's name or a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pii::json) enum StringRole {
    Key,
    Value,
}

/// What is done with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pii::json) enum ValueAction {
    /// It passes unchanged.
    Pass,
    /// The rule's treatment makes its replacement.
    Treat(usize),
    /// It is left out: by this rule, or because the allow-list does not have it.
    Drop(Option<usize>),
    /// `null` takes its place, since a document cannot be empty: by this rule, or by the allow-list.
    ReplaceByNull(Option<usize>),
}

/// What is done with the open scalar once it is complete.
#[derive(Debug, Clone, Copy)]
pub(super) struct PendingValue {
    pub(super) action: ValueAction,
    /// It identifies a subject.
    pub(super) is_subject: bool,
}

impl PendingValue {
    /// The rule, where only the rule's treatment needs the value.
    pub(super) fn rule_alone(self) -> Option<usize> {
        match self.action {
            ValueAction::Treat(rule) if !self.is_subject => Some(rule),
            ValueAction::Treat(_) | ValueAction::Pass | ValueAction::Drop(_) | ValueAction::ReplaceByNull(_) => None,
        }
    }
}

impl JsonFrame {
    /// A container in which the fast path may begin anywhere, because nothing in it needs a decision at once.
    #[inline]
    pub(in crate::pii::json) fn skippable(state: StateId, object: bool) -> Self {
        Self { state, object, fast_entry: FastEntry::Anywhere, ..Self::default() }
    }
}

impl JsonMode {
    /// Whether the open token is a key.
    pub(super) fn is_in_key(self) -> bool {
        matches!(self, Self::Text(StringRole::Key) | Self::Escape(StringRole::Key) | Self::Hex(StringRole::Key, _))
    }
}

impl JsonState {
    /// The state before the first byte of a document.
    pub(in crate::pii::json) fn new(start: StateId) -> Self {
        let values = ValueState {
            stack: ContainerStack { frames: [JsonFrame::default(); DOCUMENT_DEPTH_MAX], depth: 0 },
            value: start,
            route: OutputRoute::default(),
            token: OpenToken::default(),
            subject: SubjectCapture::default(),
            pending_drop: None,
            pending_value: None,
            progress: RecordsProgress::default(),
            path: None,
            offset: 0,
        };
        Self { mode: JsonMode::Value, values }
    }

    /// Goes back to the state before the first byte, but keeps the buffers.
    pub(in crate::pii::json) fn reset(&mut self, start: StateId) {
        self.mode = JsonMode::Value;
        let values = &mut self.values;
        values.stack.depth = 0;
        values.value = start;
        values.route.reset();
        values.token.reset();
        values.subject.reset();
        values.pending_drop = None;
        values.pending_value = None;
        values.progress = RecordsProgress::default();
        values.path.iter_mut().for_each(PathTracker::reset);
        values.offset = 0;
    }

    /// Bytes of the document that have been read, for errors.
    pub(in crate::pii::json) fn offset(&self) -> u64 {
        self.values.offset
    }
}

impl ContainerStack {
    /// The innermost open container.
    #[inline]
    pub(in crate::pii::json) fn top(&self) -> Option<&JsonFrame> {
        self.frames.get(self.depth.wrapping_sub(1))
    }

    #[inline]
    pub(in crate::pii::json) fn top_mut(&mut self) -> Option<&mut JsonFrame> {
        self.frames.get_mut(self.depth.wrapping_sub(1))
    }

    /// The container around the innermost one.
    #[inline]
    pub(in crate::pii::json) fn outer(&self) -> Option<&JsonFrame> {
        self.frames.get(self.depth.wrapping_sub(2))
    }

    /// Opens a container; `false` when it would be too deep.
    #[inline]
    pub(in crate::pii::json) fn push(&mut self, frame: JsonFrame) -> bool {
        let Some(free) = self.frames.get_mut(self.depth) else { return false };
        *free = frame;
        self.depth += 1;
        true
    }

    /// The match state of the innermost container.
    #[inline]
    pub(in crate::pii::json) fn top_state(&self) -> StateId {
        self.top().map_or(NO_PATH, |frame| frame.state)
    }

    /// The least depth below which no path selects anything; more than the present depth when a path still may.
    pub(in crate::pii::json) fn unmatched_from(&self) -> usize {
        let reached = self.frames[..self.depth].iter().rposition(|frame| frame.state != NO_PATH);
        reached.map_or(1, |last| last + 2)
    }
}
