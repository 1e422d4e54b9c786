//! From paths to the table of a [`Matcher`]: the powerset construction, over the sets that can be reached.
//!
//! Runs once per config, so it is written to be read.

use std::collections::HashMap;

use crate::model::{FieldPath, Selector, Step};
use crate::pii::Treat;

use super::{
    aims::{Aim, Purpose, aims},
    machine::Leaps,
    matcher::{
        Choice, ELEMENT, FIRST_NAME, Level, Matcher, MatcherError, OTHER_MEMBER, Quick, Root, Spec, State, StateId,
        Type,
    },
    names::{NAME_BYTES_MAX, NameId, Names},
    shape::{Fit, Shape},
};

/// Largest table, in entries of two bytes: only paths with many `..` steps each could need more.
const TABLE_ENTRIES_MAX: usize = 1 << 18;

impl Matcher {
    /// Compiles paths. `treat` is asked which rules drop.
    ///
    /// # Errors
    /// [`MatcherError`] when a name is too long or the table would be too large.
    pub fn compile(spec: &Spec<'_>, treat: &dyn Treat) -> Result<Self, MatcherError> {
        let aims = aims(spec, treat);
        let too_long = |aim: &&Aim<'_>| aim.steps.iter().filter_map(Step::name).any(|name| name.len() > NAME_BYTES_MAX);
        if let Some(aim) = aims.iter().find(too_long) {
            return Err(MatcherError::NameTooLong { path: aim.path.to_string().into() });
        }
        let names = Names::new(aims.iter().flat_map(|aim| aim.steps).filter_map(Step::name));
        let rest = spec.rest.map(|rule| Choice { rule, drops: false });
        let (only, ids, sets) = (spec.only.is_some(), HashMap::new(), vec![]);
        let records = spec.records.filter(|_| spec.root == Root::Document);
        let mut build = Build { aims: &aims, only, rest, names: &names, records, ids, sets };
        build.id_of(vec![]);
        let all: Set = (0..aims.len()).map(|aim| (aim, 0)).collect();
        let row = spec.records.filter(|_| spec.root == Root::Row).map(|_| Fit::of_record(&aims, &all, 0));
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
        let mut matcher = Self { names, states, quick: Vec::new(), table, width, start, shape: Shape::of(spec), row };
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
            self.quick.push(Quick {
                member: row[OTHER_MEMBER],
                element: row[ELEMENT],
                plain: [elements, members].map(|level| level.leaps == Leaps::Anywhere),
                names: members.names,
                asks: state.subject || !state.surely_passes(),
            });
        }
    }

    fn level(&self, of: usize, usual: StateId, listed: &[StateId], object: bool) -> Level {
        let waits = |id: &StateId| {
            let state = self.state(*id);
            state.record || state.select.iter().flatten().any(|choice| choice.drops)
        };
        let holds = !self.states[of].allowed || waits(&usual) || listed.iter().any(waits);
        let names = listed.iter().any(|id| *id != usual);
        let usual = self.state(usual);
        let leaps = match object {
            _ if usual.subject || !usual.surely_passes() => Leaps::Never,
            true if holds => Leaps::BehindKept,
            false if holds || names => Leaps::Never,
            _ => Leaps::Anywhere,
        };
        Level { holds, names, leaps }
    }
}

/// How far each path has been followed: (aim, steps done), sorted.
type Set = Vec<(usize, usize)>;

/// The powerset construction, from the sets that can be reached.
struct Build<'a> {
    aims: &'a [Aim<'a>],
    only: bool,
    rest: Option<Choice>,
    names: &'a Names,
    records: Option<&'a FieldPath>,
    ids: HashMap<Set, StateId>,
    sets: Vec<Set>,
}

/// An edge of a document, as paths see it.
#[derive(Clone, Copy)]
enum Edge {
    Member(Option<NameId>),
    Element(Option<u32>),
}

impl Build<'_> {
    fn id_of(&mut self, mut set: Set) -> StateId {
        set.sort_unstable();
        set.dedup();
        let next = StateId::try_from(self.sets.len()).unwrap_or(StateId::MAX);
        *self.ids.entry(set).or_insert_with_key(|set| {
            self.sets.push(set.clone());
            next
        })
    }

    fn row(&mut self, set: &Set) -> Vec<StateId> {
        let names = (0..self.names.len()).map(|id| Edge::Member(NameId::try_from(id).ok()));
        let edges = [Edge::Member(None), Edge::Element(None)].into_iter().chain(names);
        edges.map(|edge| self.id_of(self.follow(set, edge))).collect()
    }

    fn follow(&self, set: &Set, edge: Edge) -> Set {
        let mut next = Set::new();
        for (aim, done) in set {
            let aim_of = &self.aims[*aim];
            let Some(step) = aim_of.steps.get(*done) else {
                if aim_of.purpose == Purpose::Allow {
                    next.push((*aim, *done));
                }
                continue;
            };
            if step.descends {
                next.push((*aim, *done));
            }
            if aim_of.crosses(*done, matches!(edge, Edge::Member(_))) && self.selects(step, edge) {
                next.push((*aim, *done + 1));
            }
        }
        next
    }

    fn selects(&self, step: &Step, edge: Edge) -> bool {
        match (&step.selector, edge) {
            (Selector::Name(name), Edge::Member(id)) => id.is_some() && self.names.find(name.as_bytes()) == id,
            (Selector::Index(wanted), Edge::Element(index)) => index == Some(*wanted),
            (Selector::Wildcard, _) => true,
            (Selector::Name(_), Edge::Element(_)) | (Selector::Index(_), Edge::Member(_)) => false,
        }
    }

    fn state(&mut self, set: &Set) -> State {
        let ended: Vec<Purpose> = set
            .iter()
            .filter(|(aim, done)| self.aims[*aim].steps.len() == *done)
            .map(|(aim, _)| self.aims[*aim].purpose)
            .collect();
        let chosen = Type::ALL.map(|of| ended.iter().find_map(|purpose| choose(*purpose, of)));
        let fit = Fit::of(self.aims, set, self.records);
        State {
            select: Type::ALL.map(|of| chosen[of as usize].or(self.rest.filter(|_| of.holds_text()))),
            record: ended.contains(&Purpose::Record),
            subject: ended.contains(&Purpose::Subject),
            allowed: !self.only || ended.contains(&Purpose::Allow),
            leads_to: [self.leads(set, true), self.leads(set, false)],
            reach: fit.reach,
            fits: Type::ALL.map(|of| of.fits(fit) || chosen[of as usize].is_some()),
            indices: self.indices(set),
            ..State::default()
        }
    }

    fn leads(&self, set: &Set, object: bool) -> bool {
        let mut allow = set.iter().filter(|(aim, _)| self.aims[*aim].purpose == Purpose::Allow);
        allow.any(|(aim, done)| self.aims[*aim].crosses(*done, object))
    }

    fn indices(&mut self, set: &Set) -> Vec<(u32, StateId)> {
        let steps = set.iter().filter_map(|(aim, done)| self.aims[*aim].steps.get(*done));
        let mut listed: Vec<u32> =
            steps.filter_map(|step| if let Selector::Index(at) = step.selector { Some(at) } else { None }).collect();
        listed.sort_unstable();
        listed.dedup();
        listed.into_iter().map(|at| (at, self.id_of(self.follow(set, Edge::Element(Some(at)))))).collect()
    }
}

fn choose(purpose: Purpose, of: Type) -> Option<Choice> {
    match purpose {
        Purpose::Treat { choice, only_type } => only_type.is_none_or(|wanted| of.is(wanted)).then_some(choice),
        Purpose::Allow | Purpose::Record | Purpose::Subject => None,
    }
}
