//! What one stream remembers between two bytes.
//!
//! About two kilobytes, whatever the size of the document; what an open token holds comes on top, within its bound.

use crate::bounds::DOCUMENT_DEPTH_MAX;
use crate::pii::PieceTransform;
use crate::pii::clear::PathTracker;

use super::{
    held::SecretBuffer,
    matcher::{NO_PATH, StateId},
    records_path::RecordsProgress,
    scalar::NumberState,
    skim::Skim,
};

/// The state of one document.
pub(super) struct JsonState {
    pub(super) mode: JsonMode,
    frames: [JsonFrame; DOCUMENT_DEPTH_MAX],
    pub(super) depth: usize,
    /// The place of the value that is open or comes next.
    pub(super) value: StateId,
    /// Where the bytes go that are being read.
    pub(super) sink: ByteSink,
    /// A comma, a key and the space around them, until their value's fate is known.
    pub(super) pending_separator: Vec<u8>,
    /// What becomes of the container that is skimmed.
    pub(super) pending_drop: Option<ValueAction>,
    /// What becomes of the open scalar; `None` when it passes as it is.
    pub(super) pending_value: Option<PendingValue>,
    /// The open token is held until it is complete.
    pub(super) holds_token: bool,
    /// What earlier chunks had of the held token.
    pub(super) held: SecretBuffer,
    /// The open value, when it is treated piece by piece.
    pub(super) pieces: Option<PieceTransform>,
    /// The open string has an escape.
    pub(super) escaped: bool,
    /// Decoded text, of use only while one value is treated.
    pub(super) text: SecretBuffer,
    /// The container that identifies a subject, by its depth, and what earlier chunks had of it.
    pub(super) subject_depth: Option<usize>,
    pub(super) subject_buffer: SecretBuffer,
    /// How far along the way to the records.
    pub(super) progress: RecordsProgress,
    /// Where the present value stands, where somebody asks what leaves in clear.
    pub(super) trail: Option<PathTracker>,
    /// Bytes of the document before the present input.
    pub(super) at: u64,
}

/// An open container.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct JsonFrame {
    pub(super) state: StateId,
    pub(super) object: bool,
    /// Something of it has been kept, so that the next one kept needs its comma.
    pub(super) has_kept: bool,
    /// Commas and keys wait here: [`super::matcher::Level::holds`].
    pub(super) holds_keys: bool,
    /// Where a leap may begin in it.
    pub(super) fast_entry: FastEntry,
    /// The place of the present element.
    pub(super) index: u32,
}

/// Where, in a container, a leap over what nothing selects may begin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum FastEntry {
    /// Nowhere: all of it asks for the byte engine.
    #[default]
    Never,
    /// Behind a member that has been kept, so that the comma that follows is known to stay.
    AfterKept,
    /// Between any two tokens that are not a key and its value.
    Anywhere,
}

/// What may come next, or which token is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JsonMode {
    /// A value.
    Value,
    /// A value, or the end of the array.
    FirstElement,
    /// A key, or the end of the object.
    FirstKey,
    /// A key.
    Key,
    /// The colon.
    Colon,
    /// A comma, or the end of the container.
    After,
    /// Nothing but space.
    End,
    /// The rest of a string.
    Text(StringRole),
    /// What follows a backslash.
    Escape(StringRole),
    /// So many more digits of a `\u` escape.
    Hex(StringRole, u8),
    /// The rest of a number.
    Number(NumberState),
    /// The rest of a container whose bytes go nowhere.
    Skip(Skim),
    /// The rest of `true`, `false` or `null`: the word, and how much of it there was.
    Keyword(&'static [u8], usize),
}

/// What a string is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StringRole {
    Key,
    Value,
}

/// Where bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ByteSink {
    /// On, as they are.
    Out,
    /// Into [`JsonState::lead`].
    Pending,
    /// Nowhere.
    Discard,
}

/// What becomes of a value that does not simply pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueAction {
    /// It passes, once it is complete.
    Pass,
    /// What the rule makes of it takes its place.
    Treat(usize),
    /// It is left out, by a rule or by the allow-list.
    Drop(Option<usize>),
    /// Nothing may be left where a whole document must stand: `null`, by a rule or by the allow-list.
    ReplaceByNull(Option<usize>),
}

/// The open scalar's fate.
#[derive(Debug, Clone, Copy)]
pub(super) struct PendingValue {
    pub(super) fate: ValueAction,
    pub(super) subject: bool,
}

impl PendingValue {
    /// The rule, where nothing but its treatment needs the value.
    pub(super) fn rule_alone(self) -> Option<usize> {
        match self.fate {
            ValueAction::Treat(rule) if !self.subject => Some(rule),
            ValueAction::Treat(_) | ValueAction::Pass | ValueAction::Drop(_) | ValueAction::ReplaceByNull(_) => None,
        }
    }
}

impl JsonState {
    /// Before the first byte of a document.
    pub(super) fn new(start: StateId) -> Self {
        Self {
            mode: JsonMode::Value,
            frames: [JsonFrame::default(); DOCUMENT_DEPTH_MAX],
            depth: 0,
            value: start,
            sink: ByteSink::Out,
            pending_separator: Vec::new(),
            pending_drop: None,
            pending_value: None,
            holds_token: false,
            held: SecretBuffer::default(),
            pieces: None,
            escaped: false,
            text: SecretBuffer::default(),
            subject_depth: None,
            subject_buffer: SecretBuffer::default(),
            progress: RecordsProgress::default(),
            trail: None,
            at: 0,
        }
    }

    /// Back to before the first byte, keeping buffers.
    pub(super) fn reset(&mut self, start: StateId) {
        self.mode = JsonMode::Value;
        self.depth = 0;
        self.value = start;
        self.sink = ByteSink::Out;
        self.pending_separator.clear();
        self.pending_drop = None;
        self.pending_value = None;
        self.holds_token = false;
        self.held.clear();
        self.pieces = None;
        self.text.clear();
        self.subject_depth = None;
        self.subject_buffer.clear();
        self.progress = RecordsProgress::default();
        self.trail.iter_mut().for_each(PathTracker::reset);
        self.at = 0;
    }

    /// The innermost open container.
    #[inline]
    pub(super) fn frame(&self) -> Option<&JsonFrame> {
        self.frames.get(self.depth.wrapping_sub(1))
    }

    #[inline]
    pub(super) fn frame_mut(&mut self) -> Option<&mut JsonFrame> {
        self.frames.get_mut(self.depth.wrapping_sub(1))
    }

    /// The container around it.
    #[inline]
    pub(super) fn outer(&self) -> Option<&JsonFrame> {
        self.frames.get(self.depth.wrapping_sub(2))
    }

    /// Opens a container; `false` when it would be too deep.
    #[inline]
    pub(super) fn push(&mut self, frame: JsonFrame) -> bool {
        let Some(free) = self.frames.get_mut(self.depth) else { return false };
        *free = frame;
        self.depth += 1;
        true
    }

    /// The place where the members and elements of the innermost container are found from.
    #[inline]
    pub(super) fn place(&self) -> StateId {
        self.frame().map_or(NO_PATH, |frame| frame.state)
    }

    /// The least depth from which on no path reaches further; more than the depth when one does.
    pub(super) fn unmatched_from(&self) -> usize {
        let reached = self.frames[..self.depth].iter().rposition(|frame| frame.state != NO_PATH);
        reached.map_or(1, |last| last + 2)
    }
}
