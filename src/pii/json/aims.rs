//! What each path of a [`Spec`] is for, and how it reads in the rows of a sequence.
//!
//! A path begins at the document. In a sequence (lines, events, parts) a row may be that document, an element of one
//! of the lists that the path goes through, or such a list: which of these is not known before the row is read. So a
//! rule is read in all of these ways, since a change of the media type must not let a value pass. An allow-list is
//! read in fewer: a row is the document, or a record, or a list of records; so it lets no more pass.

use super::matcher::{Choice, Root, Spec, Target};
use crate::model::{FieldPath, Step};
use crate::pii::{Treat, ValueType};

/// One reading of one path, and what it is for.
pub(super) struct Aim<'a> {
    /// The path as it was written.
    pub(super) path: &'a FieldPath,
    /// Its steps from the root of what is read.
    pub(super) steps: &'a [Step],
    /// The first step selects elements of arrays alone: what is read may be a list, or one of its elements, whose
    /// members are no elements.
    lists: bool,
    pub(super) purpose: Purpose,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Treat { choice: Choice, only_type: Option<ValueType> },
    Allow,
    Record,
    Subject,
}

impl Aim<'_> {
    /// Whether the step behind so many done leads into an object, or an array.
    pub(super) fn crosses(&self, done: usize, object: bool) -> bool {
        self.steps.get(done).is_some_and(|step| step.crosses(object)) && !(self.lists && done == 0 && object)
    }
}

/// Every path of a spec, in each of its readings: those of one rule together, in the order of the rules.
pub(super) fn aims<'a>(spec: &'a Spec<'_>, treat: &dyn Treat) -> Vec<Aim<'a>> {
    let mut aims = Vec::new();
    for Target { path, rule, only_type } in &spec.treat {
        let choice = Choice { rule: *rule, drops: treat.drops(*rule) };
        let purpose = Purpose::Treat { choice, only_type: *only_type };
        match spec.root {
            Root::Document => aims.push(whole(path, purpose)),
            Root::Row => aims.extend(of_row(path, purpose)),
            // The steps before may be in the field's name; what stands at the end of all of them is decided by it.
            Root::Field => aims.extend((0..path.steps().len().max(1)).map(|at| behind(path, at, purpose))),
        }
    }
    for path in spec.only.into_iter().flatten() {
        match spec.root {
            Root::Document | Root::Field => aims.push(whole(path, Purpose::Allow)),
            Root::Row => aims.extend(kept(path, spec.records)),
        }
    }
    for (path, purpose) in [(spec.records, Purpose::Record), (spec.subject, Purpose::Subject)] {
        let Some(path) = path else { continue };
        match spec.root {
            Root::Document => aims.push(whole(path, purpose)),
            // Rows themselves are counted by whoever tells them apart.
            Root::Row | Root::Field => {
                aims.extend(of_row(path, purpose).filter(|aim| purpose != Purpose::Record || !aim.steps.is_empty()))
            }
        }
    }
    aims
}

fn whole(path: &FieldPath, purpose: Purpose) -> Aim<'_> {
    behind(path, 0, purpose)
}

fn behind(path: &FieldPath, at: usize, purpose: Purpose) -> Aim<'_> {
    Aim { path, steps: &path.steps()[at..], lists: false, purpose }
}

/// A path as it is, and from and behind each step into a list. One that begins with such a step is of a list of rows.
fn of_row(path: &FieldPath, purpose: Purpose) -> impl Iterator<Item = Aim<'_>> {
    let steps = path.steps();
    let document = (!steps.first().is_some_and(Step::is_into_list)).then(|| whole(path, purpose));
    let lists = (0..steps.len()).filter(|at| steps[*at].is_into_list());
    let readings =
        lists.flat_map(move |at| [Aim { lists: true, ..behind(path, at, purpose) }, behind(path, at + 1, purpose)]);
    document.into_iter().chain(readings)
}

/// A path of an allow-list in rows, which are documents or, by the records' path, records and lists of them.
fn kept<'a>(path: &'a FieldPath, records: Option<&FieldPath>) -> Vec<Aim<'a>> {
    let (steps, purpose) = (path.steps(), Purpose::Allow);
    let lists = steps.first().is_some_and(Step::is_wildcard);
    let mut readings = vec![Aim { lists, ..whole(path, purpose) }];
    let records = records.map_or(&[][..], FieldPath::steps);
    if lists && records.len() <= 1 {
        readings.push(behind(path, 1, purpose));
    } else if !records.is_empty() && steps.starts_with(records) {
        readings.push(Aim { lists: true, ..behind(path, records.len() - 1, purpose) });
        readings.push(behind(path, records.len(), purpose));
    }
    readings
}
