//! What each path of a [`MatcherSpec`] is for, and how it reads in the rows of a sequence.
//!
//! A path begins at the document. In a sequence (lines, events, parts) a row may be that document, an element of one
//! of the lists that the path goes through, or such a list: which of these is not known before the row is read. So a
//! rule is read in all of these ways, since a change of the media type must not let a value pass. An allow-list is
//! read in fewer: a row is the document, or a record, or a list of records; so it lets no more pass.

use super::matcher::{MatcherSpec, PathRoot, RuleChoice, TreatedPath};
use crate::model::{FieldPath, PathStep};
use crate::pii::{Transform, ValueType};

/// One reading of one path, and what it is for.
pub(super) struct PathReading<'a> {
    /// The path as it was written.
    pub(super) path: &'a FieldPath,
    /// Its steps from the root of what is read.
    pub(super) steps: &'a [PathStep],
    /// The first step selects elements of arrays alone: what is read may be a list, or one of its elements, whose
    /// members are no elements.
    elements_only: bool,
    pub(super) purpose: PathPurpose,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PathPurpose {
    Treat { choice: RuleChoice, only_type: Option<ValueType> },
    Allow,
    Record,
    Subject,
}

impl PathReading<'_> {
    /// Whether the step behind so many done leads into an object, or an array.
    pub(super) fn crosses(&self, done: usize, object: bool) -> bool {
        self.steps.get(done).is_some_and(|step| step.crosses(object)) && !(self.elements_only && done == 0 && object)
    }
}

/// Every path of a spec, in each of its readings: those of one rule together, in the order of the rules.
pub(super) fn path_readings<'a>(spec: &'a MatcherSpec<'_>, treat: &dyn Transform) -> Vec<PathReading<'a>> {
    let mut aims = Vec::new();
    for TreatedPath { path, rule, only_type } in &spec.treat {
        let choice = RuleChoice { rule: *rule, drops: treat.drops_member(*rule) };
        let purpose = PathPurpose::Treat { choice, only_type: *only_type };
        match spec.root {
            PathRoot::Document => aims.push(from_root(path, purpose)),
            PathRoot::Row => aims.extend(row_readings(path, purpose)),
            // The steps before may be in the field's name; what stands at the end of all of them is decided by it.
            PathRoot::Field => aims.extend((0..path.steps().len().max(1)).map(|at| from_step(path, at, purpose))),
        }
    }
    for path in spec.only.into_iter().flatten() {
        match spec.root {
            PathRoot::Document | PathRoot::Field => aims.push(from_root(path, PathPurpose::Allow)),
            PathRoot::Row => aims.extend(allow_list_readings(path, spec.records)),
        }
    }
    for (path, purpose) in [(spec.records, PathPurpose::Record), (spec.subject, PathPurpose::Subject)] {
        let Some(path) = path else { continue };
        match spec.root {
            PathRoot::Document => aims.push(from_root(path, purpose)),
            // Rows themselves are counted by whoever tells them apart.
            PathRoot::Row | PathRoot::Field => aims.extend(
                row_readings(path, purpose).filter(|aim| purpose != PathPurpose::Record || !aim.steps.is_empty()),
            ),
        }
    }
    aims
}

fn from_root(path: &FieldPath, purpose: PathPurpose) -> PathReading<'_> {
    from_step(path, 0, purpose)
}

fn from_step(path: &FieldPath, at: usize, purpose: PathPurpose) -> PathReading<'_> {
    PathReading { path, steps: &path.steps()[at..], elements_only: false, purpose }
}

/// A path as it is, and from and behind each step into a list. One that begins with such a step is of a list of rows.
fn row_readings(path: &FieldPath, purpose: PathPurpose) -> impl Iterator<Item = PathReading<'_>> {
    let steps = path.steps();
    let document = (!steps.first().is_some_and(PathStep::is_into_list)).then(|| from_root(path, purpose));
    let lists = (0..steps.len()).filter(|at| steps[*at].is_into_list());
    let readings = lists.flat_map(move |at| {
        [PathReading { elements_only: true, ..from_step(path, at, purpose) }, from_step(path, at + 1, purpose)]
    });
    document.into_iter().chain(readings)
}

/// A path of an allow-list in rows, which are documents or, by the records' path, records and lists of them.
fn allow_list_readings<'a>(path: &'a FieldPath, records: Option<&FieldPath>) -> Vec<PathReading<'a>> {
    let (steps, purpose) = (path.steps(), PathPurpose::Allow);
    let lists = steps.first().is_some_and(PathStep::is_wildcard);
    let mut readings = vec![PathReading { elements_only: lists, ..from_root(path, purpose) }];
    let records = records.map_or(&[][..], FieldPath::steps);
    if lists && records.len() <= 1 {
        readings.push(from_step(path, 1, purpose));
    } else if !records.is_empty() && steps.starts_with(records) {
        readings.push(PathReading { elements_only: true, ..from_step(path, records.len() - 1, purpose) });
        readings.push(from_step(path, records.len(), purpose));
    }
    readings
}
