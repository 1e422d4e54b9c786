//! What each path of a [`MatcherSpec`] is for, and how it is read in the rows of a sequence.
//!
//! A path begins at the document. In a sequence (lines, events, parts) a row may be that document, an element of a
//! list on the path, or such a list: which of these is not known before the row is read. So a rule's path is read in
//! all of these ways, since a change of the media type must not let a value pass. An allow-list is read in fewer
//! ways, so that it lets no more pass: a row is the document, a record, or a list of records.

use super::matcher::{MatcherSpec, PathRoot, RuleChoice, TreatedPath};
use crate::model::{FieldPath, PathStep};
use crate::pii::{Transform, ValueType};

/// One way to read one path, and what the path is for.
pub(super) struct PathReading<'a> {
    /// The path as it was written.
    pub(super) path: &'a FieldPath,
    /// Its steps from the root of the JSON text.
    pub(super) steps: &'a [PathStep],
    /// The first step selects elements of arrays only: the text may be a list or one of its elements, and the members
    /// of an element are no elements of the list.
    elements_only: bool,
    pub(super) purpose: PathPurpose,
}

/// What a path is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PathPurpose {
    Treat { choice: RuleChoice, only_type: Option<ValueType> },
    Allow,
    Record,
    Subject,
}

impl PathReading<'_> {
    /// Whether the step after the first `done` ones leads into an object, or an array.
    pub(super) fn crosses(&self, done: usize, object: bool) -> bool {
        self.steps.get(done).is_some_and(|step| step.crosses(object)) && !(self.elements_only && done == 0 && object)
    }
}

/// All ways to read all paths of a spec: those of one rule together, in the order of the rules.
pub(super) fn path_readings<'a>(spec: &'a MatcherSpec<'_>, transform: &dyn Transform) -> Vec<PathReading<'a>> {
    let mut readings = Vec::new();
    for TreatedPath { path, rule, only_type } in &spec.treat {
        let choice = RuleChoice { rule: *rule, drops: transform.drops_member(*rule) };
        let purpose = PathPurpose::Treat { choice, only_type: *only_type };
        match spec.root {
            PathRoot::Document => readings.push(from_root(path, purpose)),
            PathRoot::Row => readings.extend(row_readings(path, purpose)),
            // The first steps may be in the field's name. A value at the end of all steps is selected by the name
            // alone.
            PathRoot::Field => readings.extend((0..path.steps().len().max(1)).map(|at| from_step(path, at, purpose))),
        }
    }
    for path in spec.only.into_iter().flatten() {
        match spec.root {
            PathRoot::Document | PathRoot::Field => readings.push(from_root(path, PathPurpose::Allow)),
            PathRoot::Row => readings.extend(allow_list_readings(path, spec.records)),
        }
    }
    for (path, purpose) in [(spec.records, PathPurpose::Record), (spec.subject, PathPurpose::Subject)] {
        let Some(path) = path else { continue };
        match spec.root {
            PathRoot::Document => readings.push(from_root(path, purpose)),
            // Rows as such are counted by the caller, which separates them.
            PathRoot::Row | PathRoot::Field => readings.extend(
                row_readings(path, purpose)
                    .filter(|reading| purpose != PathPurpose::Record || !reading.steps.is_empty()),
            ),
        }
    }
    readings
}

fn from_root(path: &FieldPath, purpose: PathPurpose) -> PathReading<'_> {
    from_step(path, 0, purpose)
}

fn from_step(path: &FieldPath, at: usize, purpose: PathPurpose) -> PathReading<'_> {
    PathReading { path, steps: &path.steps()[at..], elements_only: false, purpose }
}

/// The path as it is, and from and behind each step into a list. A path that begins with such a step is about a list
/// of rows.
fn row_readings(path: &FieldPath, purpose: PathPurpose) -> impl Iterator<Item = PathReading<'_>> {
    let steps = path.steps();
    let document = (!steps.first().is_some_and(PathStep::is_into_list)).then(|| from_root(path, purpose));
    let lists = (0..steps.len()).filter(|at| steps[*at].is_into_list());
    let readings = lists.flat_map(move |at| {
        [PathReading { elements_only: true, ..from_step(path, at, purpose) }, from_step(path, at + 1, purpose)]
    });
    document.into_iter().chain(readings)
}

/// The path of an allow-list in rows: a row is a document, or by the records' path a record or a list of records.
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
