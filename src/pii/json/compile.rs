//! Compiles paths to the table of a [`Matcher`], by the powerset construction over the sets that can be reached.
//!
//! Runs once per configuration, so it is written for readers and not for speed.

use std::collections::HashMap;

use crate::model::{FieldPath, PathSelector, PathStep};
use crate::pii::Transform;

use super::{
    matcher::{
        ChildNeeds, ELEMENT, FIRST_NAME, FastEntry, JsonType, MatchState, Matcher, MatcherError, MatcherSpec,
        OTHER_MEMBER, PathRoot, RuleChoice, StateId, StateSummary,
    },
    names::{NAME_BYTES_MAX, NameId, Names},
    path_readings::{PathPurpose, PathReading, path_readings},
    records_path::{ExpectedTypes, RecordsPath},
};

/// The largest table, in entries of two bytes. Only paths with many `..` steps each could need more.
const TABLE_ENTRIES_MAX: usize = 1 << 18;

impl Matcher {
    /// Compiles paths. `transform` says which rules drop their values.
    ///
    /// # Errors
    /// [`MatcherError`] when a name is too long, or the table would be too large.
    pub fn compile(spec: &MatcherSpec<'_>, transform: &dyn Transform) -> Result<Self, MatcherError> {
        let readings = path_readings(spec, transform);
        let too_long = |reading: &&PathReading<'_>| {
            reading.steps.iter().filter_map(PathStep::name).any(|name| name.len() > NAME_BYTES_MAX)
        };
        if let Some(reading) = readings.iter().find(too_long) {
            return Err(MatcherError::NameTooLong { path: reading.path.to_string().into() });
        }
        let names = Names::new(readings.iter().flat_map(|reading| reading.steps).filter_map(PathStep::name));
        let rest = spec.fallback.map(|rule| RuleChoice { rule, drops: false });
        let (only, ids, sets) = (spec.only.is_some(), HashMap::new(), vec![]);
        let records = spec.records.filter(|_| spec.root == PathRoot::Document);
        let mut build = MatcherBuilder { readings: &readings, only, rest, names: &names, records, ids, sets };
        build.id_of(vec![]);
        let all: PathPositions = (0..readings.len()).map(|reading| (reading, 0)).collect();
        let row =
            spec.records.filter(|_| spec.root == PathRoot::Row).map(|_| ExpectedTypes::of_record(&readings, &all, 0));
        let start = build.id_of(all);
        let (mut states, mut table) = (Vec::new(), Vec::new());
        let width = FIRST_NAME + names.len();
        while let Some(set) = build.sets.get(states.len()).cloned() {
            if (table.len() + width).max(states.len() * 4) > TABLE_ENTRIES_MAX {
                return Err(MatcherError::TooEntangled);
            }
            states.push(build.state(&set));
            table.extend(build.row(&set));
        }
        let mut matcher = Self {
            names,
            states,
            summaries: Vec::new(),
            table,
            width,
            start,
            records_path: RecordsPath::of(spec),
            row_types: row,
        };
        matcher.describe_levels();
        Ok(matcher)
    }

    fn describe_levels(&mut self) {
        for id in 0..self.states.len() {
            let row = &self.table[id * self.width..][..self.width];
            let named: Vec<StateId> =
                row.iter().enumerate().filter(|(at, _)| *at != ELEMENT).map(|(_, to)| *to).collect();
            let placed: Vec<StateId> = self.states[id].indices.iter().map(|(_, to)| *to).collect();
            let members = self.level(id, row[OTHER_MEMBER], &named, true);
            let elements = self.level(id, row[ELEMENT], &placed, false);
            let state = &mut self.states[id];
            (state.members, state.elements) = (members, elements);
            self.summaries.push(StateSummary {
                member: row[OTHER_MEMBER],
                element: row[ELEMENT],
                skippable: [elements, members].map(|level| level.fast_entry == FastEntry::Anywhere),
                names_matter: members.names_matter,
                needs_decision: state.subject || !state.always_passes(),
            });
        }
    }

    fn level(&self, of: usize, usual: StateId, listed: &[StateId], object: bool) -> ChildNeeds {
        let may_wait = |id: &StateId| {
            let state = self.state(*id);
            state.record || state.select.iter().flatten().any(|choice| choice.drops)
        };
        let holds_keys = !self.states[of].allowed || may_wait(&usual) || listed.iter().any(may_wait);
        let names_matter = listed.iter().any(|id| *id != usual);
        let usual = self.state(usual);
        let fast_entry = match object {
            _ if usual.subject || !usual.always_passes() => FastEntry::Never,
            true if holds_keys => FastEntry::AfterKept,
            false if holds_keys || names_matter => FastEntry::Never,
            _ => FastEntry::Anywhere,
        };
        ChildNeeds { holds_keys, names_matter, fast_entry }
    }
}

/// How far each path has been followed: its index, and the number of steps that have been taken. Sorted.
type PathPositions = Vec<(usize, usize)>;

/// The powerset construction: `ids` and `sets` are the sets of positions that have been reached so far.
struct MatcherBuilder<'a> {
    readings: &'a [PathReading<'a>],
    only: bool,
    rest: Option<RuleChoice>,
    names: &'a Names,
    records: Option<&'a FieldPath>,
    ids: HashMap<PathPositions, StateId>,
    sets: Vec<PathPositions>,
}

/// A step down in a document, as far as paths can distinguish it: `None` is a name or an index that no path has.
#[derive(Clone, Copy)]
enum DocumentEdge {
    Member(Option<NameId>),
    Element(Option<u32>),
}

impl MatcherBuilder<'_> {
    fn id_of(&mut self, mut set: PathPositions) -> StateId {
        set.sort_unstable();
        set.dedup();
        let next = StateId::try_from(self.sets.len()).unwrap_or(StateId::MAX);
        *self.ids.entry(set).or_insert_with_key(|set| {
            self.sets.push(set.clone());
            next
        })
    }

    fn row(&mut self, set: &PathPositions) -> Vec<StateId> {
        let names = (0..self.names.len()).map(|id| DocumentEdge::Member(NameId::try_from(id).ok()));
        let edges = [DocumentEdge::Member(None), DocumentEdge::Element(None)].into_iter().chain(names);
        edges.map(|edge| self.id_of(self.follow(set, edge))).collect()
    }

    fn follow(&self, set: &PathPositions, edge: DocumentEdge) -> PathPositions {
        let mut next = PathPositions::new();
        for (index, done) in set {
            let reading = &self.readings[*index];
            let Some(step) = reading.steps.get(*done) else {
                if reading.purpose == PathPurpose::Allow {
                    next.push((*index, *done));
                }
                continue;
            };
            if step.descends {
                next.push((*index, *done));
            }
            if reading.crosses(*done, matches!(edge, DocumentEdge::Member(_))) && self.selects(step, edge) {
                next.push((*index, *done + 1));
            }
        }
        next
    }

    fn selects(&self, step: &PathStep, edge: DocumentEdge) -> bool {
        match (&step.selector, edge) {
            (PathSelector::Name(name), DocumentEdge::Member(id)) => {
                id.is_some() && self.names.find(name.as_bytes()) == id
            }
            (PathSelector::Index(wanted), DocumentEdge::Element(index)) => index == Some(*wanted),
            (PathSelector::Wildcard, _) => true,
            (PathSelector::Name(_), DocumentEdge::Element(_)) | (PathSelector::Index(_), DocumentEdge::Member(_)) => {
                false
            }
        }
    }

    fn state(&mut self, set: &PathPositions) -> MatchState {
        let ended: Vec<PathPurpose> = set
            .iter()
            .filter(|(reading, done)| self.readings[*reading].steps.len() == *done)
            .map(|(reading, _)| self.readings[*reading].purpose)
            .collect();
        let chosen = JsonType::ALL.map(|of| ended.iter().find_map(|purpose| choose(*purpose, of)));
        let fit = ExpectedTypes::of(self.readings, set, self.records);
        MatchState {
            select: JsonType::ALL.map(|of| chosen[of as usize].or(self.rest.filter(|_| of.holds_text()))),
            record: ended.contains(&PathPurpose::Record),
            subject: ended.contains(&PathPurpose::Subject),
            allowed: !self.only || ended.contains(&PathPurpose::Allow),
            leads_to: [self.leads(set, true), self.leads(set, false)],
            records_step: fit.records_step,
            fits: JsonType::ALL.map(|of| of.fits(fit) || chosen[of as usize].is_some()),
            indices: self.indices(set),
            ..MatchState::default()
        }
    }

    fn leads(&self, set: &PathPositions, object: bool) -> bool {
        let mut allow = set.iter().filter(|(reading, _)| self.readings[*reading].purpose == PathPurpose::Allow);
        allow.any(|(reading, done)| self.readings[*reading].crosses(*done, object))
    }

    fn indices(&mut self, set: &PathPositions) -> Vec<(u32, StateId)> {
        let steps = set.iter().filter_map(|(reading, done)| self.readings[*reading].steps.get(*done));
        let mut listed: Vec<u32> = steps
            .filter_map(|step| if let PathSelector::Index(at) = step.selector { Some(at) } else { None })
            .collect();
        listed.sort_unstable();
        listed.dedup();
        listed.into_iter().map(|at| (at, self.id_of(self.follow(set, DocumentEdge::Element(Some(at)))))).collect()
    }
}

fn choose(purpose: PathPurpose, of: JsonType) -> Option<RuleChoice> {
    match purpose {
        PathPurpose::Treat { choice, only_type } => only_type.is_none_or(|wanted| of.is(wanted)).then_some(choice),
        PathPurpose::Allow | PathPurpose::Record | PathPurpose::Subject => None,
    }
}
