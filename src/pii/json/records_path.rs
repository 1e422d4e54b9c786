//! What the path of the records says about a document's shape, and whether a document has it.
//!
//! The path leads through containers to the one that holds the records. A value on that way of another kind, a record
//! that no rule can look into although rules go on below it, and a document in which the way ends before that
//! container is not what the rules were written for: its values would pass untreated and uncounted. An empty list, an
//! empty object and `null` anywhere on the way are no records, and fine. Behind a `..` the way may lead anywhere, so
//! there only a container of records that is nowhere is told.

use super::engine::ExactReader;
use super::matcher::{JsonType, MatchState, MatcherSpec, PathRoot};
use super::path_readings::{PathPurpose, PathReading};
use crate::model::{FieldPath, PathStep};
use crate::pii::RewriteError;

/// How far along the records' path a document has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct RecordsProgress {
    /// Containers of the way that have been seen: the deepest, from 1.
    reach: u8,
    /// The same of `null`s in their place.
    nulls: u8,
    /// Whether the observer has been told of this document.
    pub(super) reported: bool,
}

impl RecordsProgress {
    /// A value on the way stands here; `reach` is its place, from 1.
    pub(super) fn advance(&mut self, reach: u8, null: bool) {
        let deepest = if null { &mut self.nulls } else { &mut self.reach };
        *deepest = (*deepest).max(reach);
    }

    /// A value on the way is treated or left out as a whole, with all that would be below.
    pub(super) fn complete(&mut self) {
        self.reach = u8::MAX;
    }
}

/// The way to the records.
#[derive(Debug, Clone, Default)]
pub(super) struct RecordsPath(Option<Box<[PathStep]>>);

impl RecordsPath {
    /// What a spec asks for: nothing of a row, which may be a record.
    pub(super) fn of(spec: &MatcherSpec<'_>) -> Self {
        Self(spec.records.filter(|_| spec.root == PathRoot::Document).map(|path| path.steps().into()))
    }

    /// Whether a document that has come so far, and has ended, has the shape.
    pub(super) fn is_met(&self, progress: RecordsProgress) -> bool {
        let Some(steps) = &self.0 else { return true };
        let reach = usize::from(progress.reach);
        let ends_here = || reach > 0 && steps.get(reach - 1).is_some_and(PathStep::is_wildcard);
        reach >= steps.len() || ends_here() || usize::from(progress.nulls) > reach
    }
}

/// Of a place in a document: its place on the way to the records, from 1, or 0; and whether a value that is an object,
/// an array or a scalar fits there.
#[derive(Debug, Clone, Copy)]
pub(super) struct ExpectedTypes {
    pub(super) records_step: u8,
    pub(super) object: bool,
    pub(super) array: bool,
    pub(super) scalar: bool,
}

impl ExpectedTypes {
    const ANY: Self = Self { records_step: 0, object: true, array: true, scalar: true };

    /// What fits where these aims have come so far.
    pub(super) fn of(aims: &[PathReading<'_>], set: &[(usize, usize)], records: Option<&FieldPath>) -> Self {
        let Some(path) = records else { return Self::ANY };
        let way = || set.iter().filter(|(aim, _)| aims[*aim].purpose == PathPurpose::Record);
        let open = || way().filter(|(aim, done)| *done < aims[*aim].steps.len());
        let reach = open().map(|(_, done)| u8::try_from(*done + 1).unwrap_or(u8::MAX)).max().unwrap_or(0);
        if way().count() > open().count() {
            return Self { records_step: reach, ..Self::of_record(aims, set, path.steps().len()) };
        }
        if reach == 0 || path.steps().iter().any(|step| step.descends) {
            return Self { records_step: reach, ..Self::ANY };
        }
        let into = |object| open().any(|(aim, done)| aims[*aim].crosses(*done, object));
        Self { records_step: reach, object: into(true), array: into(false), scalar: false }
    }

    /// What a row, or a record, may be: something that the rules which go on below it lead into.
    pub(super) fn of_record(aims: &[PathReading<'_>], set: &[(usize, usize)], depth: usize) -> Self {
        let below = |aim: &PathReading<'_>, done: usize| {
            let asks = matches!(aim.purpose, PathPurpose::Treat { .. } | PathPurpose::Subject);
            asks && aim.steps.get(done).is_some_and(|step| !step.descends || done >= depth)
        };
        let below = || set.iter().map(|(aim, done)| (&aims[*aim], *done)).filter(|(aim, done)| below(aim, *done));
        if below().next().is_none() {
            return Self::ANY;
        }
        let into = |object| below().any(|(aim, done)| aim.crosses(done, object));
        Self { records_step: 0, object: into(true), array: into(false), scalar: false }
    }
}

impl ExactReader<'_, '_> {
    /// A value begins that is on the way to the records, is one, or is a row: notes it, and tells when it does not fit.
    pub(super) fn check_shape(&mut self, state: &MatchState, of: JsonType) -> Result<(), RewriteError> {
        let root = self.state.depth == 0;
        let choice = state.choice(of);
        let vanishes = choice.is_some_and(|choice| choice.drops) || !(root || state.keeps(of));
        let fits = vanishes || state.fits[of as usize];
        if state.records_step > 0 && fits {
            match vanishes || choice.is_some() {
                true => self.state.progress.complete(),
                false => self.state.progress.advance(state.records_step, of == JsonType::Null),
            }
        }
        let row = self.context.matcher.row_types.filter(|_| root && choice.is_none());
        if fits && row.is_none_or(|row| of.fits(row)) {
            return Ok(());
        }
        self.report_shape("a value of another kind than the rules were written for")
    }

    /// The document has ended.
    ///
    /// # Errors
    /// What the observer says of a document in which the records' container was nowhere.
    pub(super) fn end_document(&mut self) -> Result<(), RewriteError> {
        if self.context.matcher.records_path.is_met(self.state.progress) {
            return Ok(());
        }
        self.report_shape("no container where the records stand")
    }

    fn report_shape(&mut self, what: &'static str) -> Result<(), RewriteError> {
        if std::mem::replace(&mut self.state.progress.reported, true) {
            return Ok(());
        }
        self.context
            .observer
            .on_unexpected_shape(RewriteError::UnexpectedShape { what, at: self.state.at + self.pos as u64 })
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
    fn a_way_may_end_in_an_empty_container_or_a_null_and_nowhere_else() {
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
