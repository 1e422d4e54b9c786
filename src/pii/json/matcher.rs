//! Paths, compiled: one table that says for each step down what lies there.
//!
//! All paths become one deterministic automaton over the steps of a document, so that a step costs one look-up
//! however many rules there are. A matcher is built once per config and shared; it holds no value and no key.

use crate::model::FieldPath;
use crate::pii::{Rule, Rules, ValueLocation, ValueType};

use super::machine::FastEntry;
use super::names::{NAME_BYTES_MAX, Names};
use super::records_path::{ExpectedTypes, RecordsPath};

/// The number of a state; a state is a place in a document as far as the paths can tell places apart.
pub(super) type StateId = u16;

/// The place below which no path reaches.
pub(super) const NO_PATH: StateId = 0;

/// Columns of the table before those of the names.
pub(super) const OTHER_MEMBER: usize = 0;
pub(super) const ELEMENT: usize = 1;
pub(super) const FIRST_NAME: usize = 2;

/// Values to treat: where they stand, and by which rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreatedPath {
    /// Where the value stands.
    pub path: FieldPath,
    /// What [`crate::pii::Transform`] and [`crate::pii::RewriteObserver`] are told: the rule's place in its list.
    pub rule: usize,
    /// Only values of this type; `None` for all.
    pub only_type: Option<ValueType>,
}

/// Everything that one matcher looks for.
#[derive(Debug, Clone, Default)]
pub struct MatcherSpec<'a> {
    /// Values to treat; where several select a value, the first wins.
    pub treat: Vec<TreatedPath>,
    /// With `Some`, what may pass; every other value is dropped, the containers on the way kept.
    pub only: Option<&'a [FieldPath]>,
    /// The rule for every string that nothing else selects.
    pub fallback: Option<usize>,
    /// Every value that this selects is a record.
    pub records: Option<&'a FieldPath>,
    /// The values that identify the subjects of records. A container does so as a whole, by its text as it stands
    /// (the first [`crate::bounds::VALUE_BYTES_MAX`] bytes), and what is in it is no subject of its own.
    pub subject: Option<&'a FieldPath>,
    /// What is read: the document that the paths begin at, or a piece of it.
    pub root: PathRoot,
}

/// What the root of a JSON text is to the paths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PathRoot {
    /// The document that they begin at.
    #[default]
    Document,
    /// One row of a sequence: that document, an element of a list that they go through, or such a list.
    Row,
    /// The value of a form's field: what stands at the end of any steps.
    Field,
}

impl<'a> MatcherSpec<'a> {
    /// What a route's rules ask of a body; targets have the places of their rules in [`Rules::treat`]. Without
    /// [`Rules::reveal`], whose fields are targets of another treatment.
    pub fn of(rules: &'a Rules) -> Self {
        let field = |(rule, asked): (usize, &Rule)| match &asked.location {
            ValueLocation::Field(path) => Some(TreatedPath { path: path.clone(), rule, only_type: asked.only_type }),
            ValueLocation::Query(_)
            | ValueLocation::Header(_)
            | ValueLocation::Cookie(_)
            | ValueLocation::Segment(_) => None,
        };
        Self {
            treat: rules.treat.iter().enumerate().filter_map(field).collect(),
            only: rules.only.as_deref(),
            fallback: rules.detect_rule(),
            records: rules.records.as_ref(),
            subject: rules.subject.as_ref(),
            root: PathRoot::Document,
        }
    }
}

/// Why paths cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MatcherError {
    /// A name is longer than the engine compares.
    #[error("the name in {path} is longer than {NAME_BYTES_MAX} bytes")]
    NameTooLong {
        /// The path that holds it.
        path: Box<str>,
    },
    /// The paths need too large a table.
    #[error("the paths are too many, or too many of them have several '..' steps")]
    TooEntangled,
}

/// Compiled paths, to be shared.
pub struct Matcher {
    pub(super) names: Names,
    pub(super) states: Vec<MatchState>,
    /// Of each state what the fast engine asks at every bracket.
    pub(super) summaries: Vec<StateSummary>,
    pub(super) table: Vec<StateId>,
    pub(super) width: usize,
    pub(super) start: StateId,
    pub(super) records_path: RecordsPath,
    /// What a row may be, where rows are read and are records.
    pub(super) row_types: Option<ExpectedTypes>,
}

impl std::fmt::Debug for Matcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Matcher({} states, {} names)", self.states.len(), self.names.len())
    }
}

/// What lies at a place.
#[derive(Debug, Clone, Default)]
pub(super) struct MatchState {
    /// The rule for a value of each kind: string, number, boolean, null, object, array.
    pub(super) select: [Option<RuleChoice>; 6],
    /// The values at this place are records.
    pub(super) record: bool,
    /// The values at this place identify a subject.
    pub(super) subject: bool,
    /// Where on the way to the records this is, from 1; 0 when it is not on it.
    pub(super) records_step: u8,
    /// Whether a value of each kind fits here, by the rules' idea of the document.
    pub(super) fits: [bool; 6],
    /// Whether the value may pass whole. Always, without an allow-list.
    pub(super) allowed: bool,
    /// Whether an allow-list reaches members, or elements, below.
    pub(super) leads_to: [bool; 2],
    /// What the level below an object here asks for.
    pub(super) members: ChildNeeds,
    /// What the level below an array here asks for.
    pub(super) elements: ChildNeeds,
    /// States of elements at a listed index.
    pub(super) indices: Vec<(u32, StateId)>,
}

/// A state in short.
#[derive(Debug, Clone, Copy)]
pub(super) struct StateSummary {
    pub(super) member: StateId,
    pub(super) element: StateId,
    pub(super) skippable: [bool; 2],
    /// Names of members make a difference.
    pub(super) names_matter: bool,
    /// A value here is of interest itself, not only as a way to others.
    pub(super) needs_decision: bool,
}

impl StateSummary {
    /// The state of what no path names in an object, or of an array's elements where places make no difference.
    #[inline]
    pub(super) fn below(self, object: bool) -> StateId {
        if object { self.member } else { self.element }
    }

    /// Whether the fast engine may leap anywhere in an object, or array, here.
    #[inline]
    pub(super) fn is_skippable(self, object: bool) -> bool {
        self.skippable[usize::from(object)]
    }
}

/// What the members or elements of one container ask of an engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ChildNeeds {
    /// Some may be dropped, or are records: commas, and keys, wait until their value's fate is known.
    pub(super) holds_keys: bool,
    /// Names, or places in the array, make a difference.
    pub(super) names_matter: bool,
    /// Where among them the fast engine may leap.
    pub(super) fast_entry: FastEntry,
}

/// A rule's hold on a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RuleChoice {
    pub(super) rule: usize,
    pub(super) drops: bool,
}

/// The types that rules tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JsonType {
    String,
    Number,
    Boolean,
    Null,
    Object,
    Array,
}

impl JsonType {
    pub(super) const ALL: [Self; 6] =
        [Self::String, Self::Number, Self::Boolean, Self::Null, Self::Object, Self::Array];

    /// The type of the value that begins with this byte, if one can.
    #[inline]
    pub(super) const fn of(first: u8) -> Option<Self> {
        Some(match first {
            b'"' => Self::String,
            b'-' | b'0'..=b'9' => Self::Number,
            b't' | b'f' => Self::Boolean,
            b'n' => Self::Null,
            b'{' => Self::Object,
            b'[' => Self::Array,
            _ => return None,
        })
    }

    /// Whether detectors read values of this type.
    pub(super) const fn holds_text(self) -> bool {
        matches!(self, Self::String | Self::Number)
    }

    /// Whether a value of this type fits a place.
    pub(super) const fn fits(self, fit: ExpectedTypes) -> bool {
        match self {
            Self::Object => fit.object,
            Self::Array => fit.array,
            Self::Null => true,
            Self::String | Self::Number | Self::Boolean => fit.scalar,
        }
    }

    pub(super) const fn is(self, wanted: ValueType) -> bool {
        matches!(
            (self, wanted),
            (Self::String, ValueType::String)
                | (Self::Number, ValueType::Number)
                | (Self::Boolean, ValueType::Boolean)
                | (Self::Object, ValueType::Object)
                | (Self::Array, ValueType::Array)
        )
    }
}

impl Matcher {
    #[inline]
    pub(super) fn state(&self, id: StateId) -> &MatchState {
        &self.states[usize::from(id)]
    }

    #[inline]
    pub(super) fn summary(&self, id: StateId) -> StateSummary {
        self.summaries[usize::from(id)]
    }

    /// The state of a member, by its decoded name; `None` for a name that cannot be a listed one.
    #[inline]
    pub(super) fn member(&self, of: StateId, name: Option<&[u8]>) -> StateId {
        let id = name.and_then(|name| self.names.find(name));
        self.at(of, id.map_or(OTHER_MEMBER, |id| FIRST_NAME + usize::from(id)))
    }

    /// The state of an element, by its place in the array.
    #[inline]
    pub(super) fn element(&self, of: StateId, index: u32) -> StateId {
        let found = self.state(of).indices.iter().find(|(at, _)| *at == index);
        found.map_or_else(|| self.at(of, ELEMENT), |(_, state)| *state)
    }

    #[inline]
    fn at(&self, of: StateId, column: usize) -> StateId {
        self.table[usize::from(of) * self.width + column]
    }
}

impl MatchState {
    /// The rule for a value of this type.
    #[inline]
    pub(super) fn choice(&self, of: JsonType) -> Option<RuleChoice> {
        self.select[of as usize]
    }

    /// Whether the allow-list keeps a value of this type: as it is, or as the way to what it keeps.
    #[inline]
    pub(super) fn keeps(&self, of: JsonType) -> bool {
        self.allowed || (of == JsonType::Object && self.leads_to[0]) || (of == JsonType::Array && self.leads_to[1])
    }

    /// Whether a value here passes for sure, with nothing to be asked first.
    pub(super) fn always_passes(&self) -> bool {
        self.allowed && !self.record && !self.is_on_records_path() && self.select.iter().all(Option::is_none)
    }

    /// The rule that every string here is treated by, with nothing else to be asked.
    pub(super) fn plain_text_rule(&self) -> Option<usize> {
        let choice = self.choice(JsonType::String).filter(|choice| !choice.drops)?;
        (self.allowed && !self.record && !self.subject && !self.is_on_records_path()).then_some(choice.rule)
    }

    /// Whether a value here is on the way to the records.
    pub(super) fn is_on_records_path(&self) -> bool {
        self.records_step > 0 || self.fits.contains(&false)
    }

    /// Whether no value here is kept.
    pub(super) fn always_drops(&self) -> bool {
        JsonType::ALL.into_iter().all(|of| !self.keeps(of))
    }
}
