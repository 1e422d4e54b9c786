//! Single values: text, durations and lists of words.

use std::time::Duration;

use crate::config::file;
use crate::config::source::Cursor;
use crate::config::units;
use crate::model::{Scope, ScopeSet};

/// A duration up to a bound, or `None` where none is written or it is wrong, and reported.
pub(super) fn duration(at: &Cursor<'_>, written: Option<&file::DurationText>, most: Duration) -> Option<Duration> {
    match units::parse_duration(&written?.0) {
        Ok(duration) if duration <= most => Some(duration),
        Ok(_) => {
            let most = units::format_duration(most);
            at.invalid(format!("must be at most {most}"), &most);
            None
        }
        Err(error) => {
            at.invalid_unit(error);
            None
        }
    }
}

/// A line of text for people; reported when it is empty, too long or not printable.
pub(super) fn line(at: &Cursor<'_>, written: Option<&str>) -> String {
    const CHARS_MAX: usize = 200;
    let text = written.unwrap_or_default();
    if written.is_some() && text.trim().is_empty() {
        at.fault("must not be empty", "write a few words, or take the key out");
    } else if text.chars().any(char::is_control) || text.chars().count() > CHARS_MAX {
        at.invalid_with_remedy("must be one line of at most 200 characters", "");
    }
    text.to_owned()
}

/// A list of scopes.
pub(super) fn scopes(at: &Cursor<'_>, written: &[String]) -> ScopeSet {
    let mut scopes = Vec::new();
    for (i, text) in written.iter().enumerate() {
        match Scope::parse(text) {
            Ok(scope) if scopes.contains(&scope) => {
                at.item(i).invalid_with_remedy("stands twice in the list", "take one of them out")
            }
            Ok(scope) => scopes.push(scope),
            Err(error) if text.contains([' ', ',']) => {
                let split: Vec<&str> = text.split([' ', ',']).filter(|scope| !scope.is_empty()).collect();
                at.item(i).invalid(error.to_string(), split.join(", "));
            }
            Err(error) => at.item(i).invalid_with_guess(error.to_string(), None, "customers:read"),
        }
    }
    scopes.into_iter().collect()
}
