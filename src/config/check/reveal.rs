//! Checks `reveal:` and `detect:` of a route: tokens that become values again, and detectors for all other texts.

use super::rules::{RuleSide, fields, related};
use crate::config::file::route::DetectConfig;
use crate::config::source::Cursor;
use crate::model::FieldPath;
use crate::pii::{DetectRule, Detector, Rules, ValueLocation};

/// The fields whose tokens become values again. `earlier` are the rules of the same message.
pub(super) fn reveal(at: &Cursor<'_>, written: Option<&[String]>, earlier: &Rules, side: RuleSide) -> Vec<FieldPath> {
    let Some(written) = written else { return Vec::new() };
    if !side.is_inward() {
        let instead = match side {
            RuleSide::Request(_) => "move it to response: there a vendor's tokens come back",
            RuleSide::Response(_) => "move it to request: there a vendor's tokens come back",
        };
        at.fault("would hand the vendor raw values: tokens are revealed on the way in only", instead);
        return Vec::new();
    }
    if written.is_empty() {
        at.fault("must list at least one field", "write [\"$.accepted[*].email\"]");
    }
    fields(at, written, |at, path| check_reached(at, path, earlier))
}

fn check_reached(at: &Cursor<'_>, path: &FieldPath, earlier: &Rules) {
    if earlier.treat.iter().any(|rule| matches!(&rule.location, ValueLocation::Field(treated) if treated == path)) {
        at.fault("is never reached: pii treats the same field", "take one of them out");
    }
    if let Some(only) = &earlier.only
        && !only.iter().any(|kept| related(kept, path))
    {
        at.invalid_with_remedy("is never reached: only drops it", "add the field to only, or take it out here");
    }
}

/// The detectors of a body.
pub(super) fn detect(at: &Cursor<'_>, written: &DetectConfig) -> Option<DetectRule> {
    let detector = match written.find.as_deref() {
        None => Detector::default(),
        Some([]) => {
            at.key("find").fault("must list at least one sort", "take it out to look for all");
            return None;
        }
        Some(find) => Detector::new(find.iter().copied()),
    };
    Some(DetectRule::new(detector, written.action?))
}
