//! Checks `clear:` of a route: the fields that a person has approved to leave in clear.

use super::rules::{RuleSide, fields, related};
use crate::bounds::CLEAR_LISTED_MAX;
use crate::config::source::Cursor;
use crate::model::{FieldPath, PathSelector, PathStep};
use crate::pii::{Rules, ValueLocation};

/// The listed fields. `earlier` are the rules of the same message.
pub(super) fn build(at: &Cursor<'_>, written: Option<&[String]>, earlier: &Rules, side: RuleSide) -> Vec<FieldPath> {
    let Some(written) = written else { return Vec::new() };
    if side.is_inward() {
        let instead = match side {
            RuleSide::Request(_) => "move it to response: that is what leaves",
            RuleSide::Response(_) => "move it to request: that is what leaves",
        };
        at.fault("has no effect: this message comes from the vendor", instead);
        return Vec::new();
    }
    if written.len() > CLEAR_LISTED_MAX {
        at.fault(
            format!("must list at most {CLEAR_LISTED_MAX} fields"),
            "list the field above them: it covers all below it",
        );
        return Vec::new();
    }
    fields(at, written, |at, path| check(at, path, earlier))
}

fn check(at: &Cursor<'_>, path: &FieldPath, earlier: &Rules) {
    if path.steps().iter().any(|step| matches!(step.selector, PathSelector::Index(_))) {
        at.invalid_with_remedy(
            "can cover nothing: elements of lists are not told from each other",
            "write [*] in the place of the number",
        );
    }
    let treats = |rule: &&crate::pii::Rule| match &rule.location {
        ValueLocation::Field(treated) => rule.only_type.is_none() && covers_all(treated, path),
        ValueLocation::Query(_) | ValueLocation::Header(_) | ValueLocation::Cookie(_) | ValueLocation::Segment(_) => {
            false
        }
    };
    if let Some(rule) = earlier.treat.iter().find(treats) {
        let wrong = format!("never leaves in clear: pii treats {} ({})", rule.location, rule.treatment.as_str());
        at.invalid_with_remedy(wrong, "take one of them out");
    }
    if let Some(only) = &earlier.only
        && !only.iter().any(|kept| related(kept, path))
    {
        at.invalid_with_remedy("never leaves: only drops it", "add the field to only, or take it out here");
    }
}

/// Whether `above` selects every value that `path` selects, or one that contains it. False where that is not certain.
pub(super) fn covers_all(above: &FieldPath, path: &FieldPath) -> bool {
    let (above, path) = (above.steps(), path.steps());
    let same = |(above, step): (&PathStep, &PathStep)| (above.is_wildcard() && !step.descends) || above == step;
    let below = above.len() <= path.len() && above.iter().zip(path).all(same);
    let anywhere = match above {
        [step] if step.descends => path.iter().any(|own| own.name().is_some() && own.selector == step.selector),
        _ => false,
    };
    below || anywhere
}
