//! The shape that the path of the records describes, and whether a document has it.
//!
//! The path goes through containers to the one that holds the records. Three things show that a document is not what
//! the rules were written for, so that its values would pass untreated and uncounted: a value of another type on the
//! path, a record of a type in which no rule can select anything although rules go on below it, and an end of the
//! document before that container was found. An empty list, an empty object and `null` anywhere on the path mean that
//! there are no records, and are fine. After a `..` the path may lead anywhere, so then only a missing container of
//! records is reported.

use super::matcher::{JsonType, MatchState, MatcherSpec, PathRoot};
use super::path_readings::{PathPurpose, PathReading};
use crate::model::{FieldPath, PathStep};

/// How far the path of the records has been found in a document.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct RecordsProgress {
    /// The number of the deepest place on the path that was found, from 1.
    reach: u8,
    /// The number of the deepest place on the path that was `null`.
    nulls: u8,
    /// Whether the observer has been told that this document has an unexpected shape.
    pub(super) reported: bool,
}

impl RecordsProgress {
    /// Notes a value whose first byte has been read. Says whether its type is one that its place, or a row, may have.
    pub(super) fn observe(
        &mut self,
        matched: &MatchState,
        of: JsonType,
        is_root: bool,
        row: Option<ExpectedTypes>,
    ) -> bool {
        let choice = matched.choice(of);
        let vanishes = choice.is_some_and(|choice| choice.drops) || !(is_root || matched.keeps(of));
        let fits = vanishes || matched.fits[of as usize];
        if matched.records_step > 0 && fits {
            if vanishes || choice.is_some() {
                // What would be below is treated or left out with it.
                self.reach = u8::MAX;
            } else {
                let deepest = if of == JsonType::Null { &mut self.nulls } else { &mut self.reach };
                *deepest = (*deepest).max(matched.records_step);
            }
        }
        fits && row.filter(|_| choice.is_none()).is_none_or(|row| of.fits(row))
    }
}

/// The steps of the path of the records, if the shape of documents is to be checked.
#[derive(Debug, Clone, Default)]
pub(super) struct RecordsPath(Option<Box<[PathStep]>>);

impl RecordsPath {
    /// The path of a spec. A row is not checked, since it may be a record itself.
    pub(super) fn of(spec: &MatcherSpec<'_>) -> Self {
        Self(spec.records.filter(|_| spec.root == PathRoot::Document).map(|path| path.steps().into()))
    }

    /// Whether a complete document has the shape, given how far the path was found in it.
    pub(super) fn is_met(&self, progress: RecordsProgress) -> bool {
        let Some(steps) = &self.0 else { return true };
        let reach = usize::from(progress.reach);
        let ends_here = || reach > 0 && steps.get(reach - 1).is_some_and(PathStep::is_wildcard);
        reach >= steps.len() || ends_here() || usize::from(progress.nulls) > reach
    }
}

/// The number of a place on the path of the records, from 1, or 0; and whether an object, an array or a scalar is
/// expected there.
#[derive(Debug, Clone, Copy)]
pub(super) struct ExpectedTypes {
    pub(super) records_step: u8,
    pub(super) object: bool,
    pub(super) array: bool,
    pub(super) scalar: bool,
}

impl ExpectedTypes {
    const ANY: Self = Self { records_step: 0, object: true, array: true, scalar: true };

    /// The types that are expected where the paths have been followed so far.
    pub(super) fn of(readings: &[PathReading<'_>], set: &[(usize, usize)], records: Option<&FieldPath>) -> Self {
        let Some(path) = records else { return Self::ANY };
        let way = || set.iter().filter(|(reading, _)| readings[*reading].purpose == PathPurpose::Record);
        let open = || way().filter(|(reading, done)| *done < readings[*reading].steps.len());
        let reach = open().map(|(_, done)| u8::try_from(*done + 1).unwrap_or(u8::MAX)).max().unwrap_or(0);
        if way().count() > open().count() {
            return Self { records_step: reach, ..Self::of_record(readings, set, path.steps().len()) };
        }
        if reach == 0 || path.steps().iter().any(|step| step.descends) {
            return Self { records_step: reach, ..Self::ANY };
        }
        let into = |object| open().any(|(reading, done)| readings[*reading].crosses(*done, object));
        Self { records_step: reach, object: into(true), array: into(false), scalar: false }
    }

    /// The types that a row, or a record, may have: those in which the rules that go on below it can select
    /// something.
    pub(super) fn of_record(readings: &[PathReading<'_>], set: &[(usize, usize)], depth: usize) -> Self {
        let below = |reading: &PathReading<'_>, done: usize| {
            let asks = matches!(reading.purpose, PathPurpose::Treat { .. } | PathPurpose::Subject);
            asks && reading.steps.get(done).is_some_and(|step| !step.descends || done >= depth)
        };
        let below = || {
            set.iter()
                .map(|(reading, done)| (&readings[*reading], *done))
                .filter(|(reading, done)| below(reading, *done))
        };
        if below().next().is_none() {
            return Self::ANY;
        }
        let into = |object| below().any(|(reading, done)| reading.crosses(done, object));
        Self { records_step: 0, object: into(true), array: into(false), scalar: false }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{path, targets};
    use super::*;

    fn met(records: &str, reach: u8, nulls: u8) -> bool {
        let path = path(records);
        let spec = MatcherSpec { treat: targets(&[]), records: Some(&path), ..MatcherSpec::default() };
        RecordsPath::of(&spec).is_met(RecordsProgress { reach, nulls, reported: false })
    }

    #[test]
    fn the_path_may_end_early_only_in_an_empty_container_or_a_null() {
        for (records, reach, nulls, is_met) in [
            ("$", 0, 0, true),
            ("$[*]", 1, 0, true),
            ("$.a[*]", 1, 0, false),
            ("$.a[*]", 1, 2, true),
            ("$.a[*]", 0, 1, true),
            ("$.a[*]", 2, 0, true),
            ("$.a[*].b[*]", 2, 0, true),
            ("$.a[*].b[*]", 3, 0, false),
            ("$.a[*].b[*]", 3, 3, false),
            ("$.a[*].b[*]", 3, 4, true),
            ("$..a[*]", 1, 0, false),
            ("$..a[*]", 2, 0, true),
        ] {
            assert_eq!(met(records, reach, nulls), is_met, "{records} {reach} {nulls}");
        }
    }
}
