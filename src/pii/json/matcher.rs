//! Compiled paths: a table that says for each member and element of a document what the paths select there.
//!
//! All paths become one deterministic automaton over the steps of a document, so that a step costs one look-up
//! however many rules there are. A matcher is compiled once per configuration and shared. It holds no value and no
//! key.

use crate::model::FieldPath;
use crate::pii::{Rule, Rules, ValueLocation, ValueType};

use super::names::{NAME_BYTES_MAX, Names};
use super::records_path::{ExpectedTypes, RecordsPath};

/// The number of a match state. Two places in a document have the same state when all paths select the same below
/// them.
pub(super) type StateId = u16;

/// The state from which no path selects anything.
pub(super) const NO_PATH: StateId = 0;

/// The table's column for members that no path names. After this and the next column each listed name has its own.
pub(super) const OTHER_MEMBER: usize = 0;
/// The table's column for elements whose index no path names.
pub(super) const ELEMENT: usize = 1;
pub(super) const FIRST_NAME: usize = 2;

/// Values to treat: their path, and the rule that treats them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreatedPath {
    /// The path of the values.
    pub path: FieldPath,
    /// The rule's index in its list: [`crate::pii::Transform`] and [`crate::pii::RewriteObserver`] get it.
    pub rule: usize,
    /// Only values of this type; `None` for all.
    pub only_type: Option<ValueType>,
}

/// All paths of one matcher.
#[derive(Debug, Clone, Default)]
pub struct MatcherSpec<'a> {
    /// Values to treat. The first rule that selects a value treats it.
    pub treat: Vec<TreatedPath>,
    /// The allow-list: with `Some`, every value outside of these paths is dropped. Containers on the way to them
    /// stay.
    pub only: Option<&'a [FieldPath]>,
    /// The rule for every string and number that nothing else selects.
    pub fallback: Option<usize>,
    /// Every value that this path selects is a record.
    pub records: Option<&'a FieldPath>,
    /// The values that identify the subjects of records. A container identifies one as a whole, by its text as it
    /// is in the document (the first [`crate::bounds::VALUE_BYTES_MAX`] bytes); nothing in it is a subject of its
    /// own.
    pub subject: Option<&'a FieldPath>,
    /// What the matched JSON text is: the document at which the paths begin, or a part of it.
    pub root: PathRoot,
}

/// What a JSON text is to the paths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PathRoot {
    /// The document at which the paths begin.
    #[default]
    Document,
    /// One row of a sequence: that document, an element of a list on the paths, or such a list.
    Row,
    /// The value of a form's field, which may be at any place of the paths.
    Field,
}

impl<'a> MatcherSpec<'a> {
    /// The paths of a route's rules, each with the index of its rule in [`Rules::treat`]. Fields to reveal
    /// ([`Rules::reveal`]) are not among them: they have a matcher of their own.
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
    /// A name is longer than names that are compared can be.
    #[error("the name in {path} is longer than {NAME_BYTES_MAX} bytes")]
    NameTooLong {
        /// The path that holds it.
        path: Box<str>,
    },
    /// The paths would need too large a table.
    #[error("the paths are too many, or too many of them have several '..' steps")]
    TooEntangled,
}

/// Compiled paths.
pub struct Matcher {
    pub(super) names: Names,
    pub(super) states: Vec<MatchState>,
    /// For each state what the fast path needs at every bracket.
    pub(super) summaries: Vec<StateSummary>,
    pub(super) table: Vec<StateId>,
    pub(super) width: usize,
    pub(super) start: StateId,
    pub(super) records_path: RecordsPath,
    /// The types that a row may have, where the text is a row and rows are records.
    pub(super) row_types: Option<ExpectedTypes>,
}

impl std::fmt::Debug for Matcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Matcher({} states, {} names)", self.states.len(), self.names.len())
    }
}

/// What the paths select at one place of a document.
#[derive(Debug, Clone, Default)]
pub(super) struct MatchState {
    /// The rule for a value of each type: string, number, boolean, null, object, array.
    pub(super) select: [Option<RuleChoice>; 6],
    /// The values at this place are records.
    pub(super) record: bool,
    /// The values at this place identify a subject.
    pub(super) subject: bool,
    /// The number of this place on the path of the records, from 1; 0 when it is not on the path.
    pub(super) records_step: u8,
    /// Whether a value of each type is expected here, by the path of the records and the rules below it.
    pub(super) fits: [bool; 6],
    /// Whether the allow-list has this place or one above it. Always true without an allow-list.
    pub(super) allowed: bool,
    /// Whether the allow-list has something below: in members, and in elements.
    pub(super) leads_to: [bool; 2],
    /// What the members of an object here need.
    pub(super) members: ChildNeeds,
    /// What the elements of an array here need.
    pub(super) elements: ChildNeeds,
    /// The states of elements whose index a path names.
    pub(super) indices: Vec<(u32, StateId)>,
}

/// What the hot paths need of a state: it is smaller than [`MatchState`], and so more of it is in the cache.
#[derive(Debug, Clone, Copy)]
pub(super) struct StateSummary {
    pub(super) member: StateId,
    pub(super) element: StateId,
    pub(super) skippable: [bool; 2],
    /// Whether a member's state depends on its name.
    pub(super) names_matter: bool,
    /// Whether a value here needs a decision: it may be treated, dropped, a record, a subject, or on the path of the
    /// records.
    pub(super) needs_decision: bool,
}

impl StateSummary {
    /// The state of a member that no path names, or of an element whose index no path names.
    #[inline]
    pub(super) fn below(self, object: bool) -> StateId {
        if object { self.member } else { self.element }
    }

    /// Whether the fast path may begin anywhere in an object, or an array, here.
    #[inline]
    pub(super) fn is_skippable(self, object: bool) -> bool {
        self.skippable[usize::from(object)]
    }
}

/// What the members or elements of a container need of the reader.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ChildNeeds {
    /// Some may be dropped or are records, so commas and keys wait until their value's action is decided.
    pub(super) holds_keys: bool,
    /// Their state depends on their name, or their index.
    pub(super) names_matter: bool,
    /// Where among them the fast path may begin.
    pub(super) fast_entry: FastEntry,
}

/// Where in a container the fast path may begin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum FastEntry {
    /// Nowhere: each value in it needs a decision.
    #[default]
    Never,
    /// After a member that was put out: then the comma that follows is known to stay.
    AfterKept,
    /// Between any two tokens, except between a key and its value.
    Anywhere,
}

/// The rule that selects a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RuleChoice {
    pub(super) rule: usize,
    pub(super) drops: bool,
}

/// The types of JSON values.
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

    /// Whether this type is among the expected ones.
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

    /// Whether the allow-list keeps a value of this type: as it is, or because something in it is kept.
    #[inline]
    pub(super) fn keeps(&self, of: JsonType) -> bool {
        self.allowed || (of == JsonType::Object && self.leads_to[0]) || (of == JsonType::Array && self.leads_to[1])
    }

    /// Whether a value here passes whatever its type is, and needs no decision.
    pub(super) fn always_passes(&self) -> bool {
        self.allowed && !self.record && !self.is_on_records_path() && self.select.iter().all(Option::is_none)
    }

    /// The rule that treats every string here, if nothing else about it needs a decision.
    pub(super) fn plain_text_rule(&self) -> Option<usize> {
        let choice = self.choice(JsonType::String).filter(|choice| !choice.drops)?;
        (self.allowed && !self.record && !self.subject && !self.is_on_records_path()).then_some(choice.rule)
    }

    /// Whether the shape of the document must be checked at a value here: it is on the path of the records, or not
    /// every type is expected.
    pub(super) fn is_on_records_path(&self) -> bool {
        self.records_step > 0 || self.fits.contains(&false)
    }

    /// Whether a value here is dropped whatever its type is.
    pub(super) fn always_drops(&self) -> bool {
        JsonType::ALL.into_iter().all(|of| !self.keeps(of))
    }
}
