//! What one stream remembers between two bytes.
//!
//! About two kilobytes, whatever the size of the document; what an open token holds comes on top, within its bound.

use crate::bounds::DOCUMENT_DEPTH_MAX;
use crate::pii::Pieces;
use crate::pii::clear::Trail;

use super::{
    held::Held,
    matcher::{DEAD, StateId},
    scalar::Number,
    shape::Progress,
    skim::Skim,
};

/// The state of one document.
pub(super) struct Machine {
    pub(super) mode: Mode,
    frames: [Frame; DOCUMENT_DEPTH_MAX],
    pub(super) depth: usize,
    /// The place of the value that is open or comes next.
    pub(super) value: StateId,
    /// Where the bytes go that are being read.
    pub(super) sink: Sink,
    /// A comma, a key and the space around them, until their value's fate is known.
    pub(super) lead: Vec<u8>,
    /// What becomes of the container that is skimmed.
    pub(super) mute: Option<Fate>,
    /// What becomes of the open scalar; `None` when it passes as it is.
    pub(super) take: Option<Take>,
    /// The open token is held until it is complete.
    pub(super) holds_token: bool,
    /// What earlier chunks had of the held token.
    pub(super) held: Held,
    /// The open value, when it is treated piece by piece.
    pub(super) pieces: Option<Pieces>,
    /// The open string has an escape.
    pub(super) escaped: bool,
    /// Decoded text, of use only while one value is treated.
    pub(super) text: Held,
    /// The container that identifies a subject, by its depth, and what earlier chunks had of it.
    pub(super) tree: Option<usize>,
    pub(super) tree_held: Held,
    /// How far along the way to the records.
    pub(super) progress: Progress,
    /// Where the present value stands, where somebody asks what leaves in clear.
    pub(super) trail: Option<Trail>,
    /// Bytes of the document before the present input.
    pub(super) at: u64,
}

/// An open container.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Frame {
    pub(super) state: StateId,
    pub(super) object: bool,
    /// Something of it has been kept, so that the next one kept needs its comma.
    pub(super) any: bool,
    /// Commas and keys wait here: [`super::matcher::Level::holds`].
    pub(super) holds: bool,
    /// Where a leap may begin in it.
    pub(super) leaps: Leaps,
    /// The place of the present element.
    pub(super) index: u32,
}

/// Where, in a container, a leap over what nothing selects may begin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Leaps {
    /// Nowhere: all of it asks for the byte engine.
    #[default]
    Never,
    /// Behind a member that has been kept, so that the comma that follows is known to stay.
    BehindKept,
    /// Between any two tokens that are not a key and its value.
    Anywhere,
}

/// What may come next, or which token is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
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
    Text(Role),
    /// What follows a backslash.
    Escape(Role),
    /// So many more digits of a `\u` escape.
    Hex(Role, u8),
    /// The rest of a number.
    Number(Number),
    /// The rest of a container whose bytes go nowhere.
    Skim(Skim),
    /// The rest of `true`, `false` or `null`: the word, and how much of it there was.
    Word(&'static [u8], usize),
}

/// What a string is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Key,
    Value,
}

/// Where bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sink {
    /// On, as they are.
    Out,
    /// Into [`Machine::lead`].
    Lead,
    /// Nowhere.
    Void,
}

/// What becomes of a value that does not simply pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It passes, once it is complete.
    Pass,
    /// What the rule makes of it takes its place.
    Treat(usize),
    /// It is left out, by a rule or by the allow-list.
    Drop(Option<usize>),
    /// Nothing may be left where a whole document must stand: `null`, by a rule or by the allow-list.
    Null(Option<usize>),
}

/// The open scalar's fate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Take {
    pub(super) fate: Fate,
    pub(super) subject: bool,
}

impl Take {
    /// The rule, where nothing but its treatment needs the value.
    pub(super) fn rule_alone(self) -> Option<usize> {
        match self.fate {
            Fate::Treat(rule) if !self.subject => Some(rule),
            Fate::Treat(_) | Fate::Pass | Fate::Drop(_) | Fate::Null(_) => None,
        }
    }
}

impl Machine {
    /// Before the first byte of a document.
    pub(super) fn new(start: StateId) -> Self {
        Self {
            mode: Mode::Value,
            frames: [Frame::default(); DOCUMENT_DEPTH_MAX],
            depth: 0,
            value: start,
            sink: Sink::Out,
            lead: Vec::new(),
            mute: None,
            take: None,
            holds_token: false,
            held: Held::default(),
            pieces: None,
            escaped: false,
            text: Held::default(),
            tree: None,
            tree_held: Held::default(),
            progress: Progress::default(),
            trail: None,
            at: 0,
        }
    }

    /// Back to before the first byte, keeping buffers.
    pub(super) fn reset(&mut self, start: StateId) {
        self.mode = Mode::Value;
        self.depth = 0;
        self.value = start;
        self.sink = Sink::Out;
        self.lead.clear();
        self.mute = None;
        self.take = None;
        self.holds_token = false;
        self.held.clear();
        self.pieces = None;
        self.text.clear();
        self.tree = None;
        self.tree_held.clear();
        self.progress = Progress::default();
        self.trail.iter_mut().for_each(Trail::reset);
        self.at = 0;
    }

    /// The innermost open container.
    #[inline]
    pub(super) fn frame(&self) -> Option<&Frame> {
        self.frames.get(self.depth.wrapping_sub(1))
    }

    #[inline]
    pub(super) fn frame_mut(&mut self) -> Option<&mut Frame> {
        self.frames.get_mut(self.depth.wrapping_sub(1))
    }

    /// The container around it.
    #[inline]
    pub(super) fn outer(&self) -> Option<&Frame> {
        self.frames.get(self.depth.wrapping_sub(2))
    }

    /// Opens a container; `false` when it would be too deep.
    #[inline]
    pub(super) fn push(&mut self, frame: Frame) -> bool {
        let Some(free) = self.frames.get_mut(self.depth) else { return false };
        *free = frame;
        self.depth += 1;
        true
    }

    /// The place where the members and elements of the innermost container are found from.
    #[inline]
    pub(super) fn place(&self) -> StateId {
        self.frame().map_or(DEAD, |frame| frame.state)
    }

    /// The least depth from which on no path reaches further; more than the depth when one does.
    pub(super) fn dead_from(&self) -> usize {
        let reached = self.frames[..self.depth].iter().rposition(|frame| frame.state != DEAD);
        reached.map_or(1, |last| last + 2)
    }
}
