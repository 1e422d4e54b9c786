//! `reveal:` and `detect:` of a route: tokens that become values again, and what looks at all other texts.

use super::rules::{Towards, fields, related};
use crate::config::file::route::{Action as WrittenAction, Detect, Sort as WrittenSort};
use crate::config::source::At;
use crate::model::FieldPath;
use crate::pii::{Action, Detector, Guard, Place, Rules, Sort};

/// The fields whose tokens become values again. `earlier` are the rules of the same side.
pub(super) fn reveal(at: &At<'_>, written: Option<&[String]>, earlier: &Rules, towards: Towards) -> Vec<FieldPath> {
    let Some(written) = written else { return Vec::new() };
    if !towards.is_inward() {
        let instead = match towards {
            Towards::Upstream(_) => "move it to response: there a vendor's tokens come back",
            Towards::Caller(_) => "move it to request: there a vendor's tokens come back",
        };
        at.fault("would hand the vendor raw values: tokens are revealed on the way in only", instead);
        return Vec::new();
    }
    if written.is_empty() {
        at.fault("must list at least one field", "write [\"$.accepted[*].email\"]");
    }
    fields(at, written, |at, path| check_reached(at, path, earlier))
}

fn check_reached(at: &At<'_>, path: &FieldPath, earlier: &Rules) {
    if earlier.treat.iter().any(|rule| matches!(&rule.place, Place::Field(treated) if treated == path)) {
        at.fault("is never reached: pii treats the same field", "take one of them out");
    }
    if let Some(only) = &earlier.only
        && !only.iter().any(|kept| related(kept, path))
    {
        at.bad_so("is never reached: only drops it", "add the field to only, or take it out here");
    }
}

/// The detectors of a body.
pub(super) fn detect(at: &At<'_>, written: &Detect) -> Option<Guard> {
    let detector = match written.find.as_deref() {
        None => Detector::default(),
        Some([]) => {
            at.key("find").fault("must list at least one sort", "take it out to look for all");
            return None;
        }
        Some(find) => Detector::new(find.iter().copied().map(sort)),
    };
    let action = match written.action? {
        WrittenAction::Mask => Action::Mask,
        WrittenAction::Redact => Action::Redact,
        WrittenAction::Report => Action::Report,
    };
    Some(Guard::new(detector, action))
}

const fn sort(written: WrittenSort) -> Sort {
    match written {
        WrittenSort::Key => Sort::Key,
        WrittenSort::Jwt => Sort::Jwt,
        WrittenSort::Email => Sort::Email,
        WrittenSort::Iban => Sort::Iban,
        WrittenSort::Card => Sort::Card,
        WrittenSort::Ssn => Sort::Ssn,
        WrittenSort::Phone => Sort::Phone,
    }
}
