//! Single values: text, durations and lists of words.

use std::time::Duration;

use crate::config::file;
use crate::config::source::At;
use crate::config::units;
use crate::model::{Scope, ScopeSet};

/// A duration up to a bound, or `None` where none is written or it is wrong, and reported.
pub(super) fn duration(at: &At<'_>, written: Option<&file::Duration>, most: Duration) -> Option<Duration> {
    match units::duration(&written?.0) {
        Ok(duration) if duration <= most => Some(duration),
        Ok(_) => {
            let most = units::shown(most);
            at.bad(format!("must be at most {most}"), &most);
            None
        }
        Err(error) => {
            at.bad_unit(error);
            None
        }
    }
}

/// A line of text for people; reported when it is empty, too long or not printable.
pub(super) fn line(at: &At<'_>, written: Option<&str>) -> String {
    const CHARS_MAX: usize = 200;
    let text = written.unwrap_or_default();
    if written.is_some() && text.trim().is_empty() {
        at.fault("must not be empty", "write a few words, or take the key out");
    } else if text.chars().any(char::is_control) || text.chars().count() > CHARS_MAX {
        at.bad_so("must be one line of at most 200 characters", "");
    }
    text.to_owned()
}

/// A list of scopes.
pub(super) fn scopes(at: &At<'_>, written: &[String]) -> ScopeSet {
    let mut scopes = Vec::new();
    for (i, text) in written.iter().enumerate() {
        match Scope::parse(text) {
            Ok(scope) if scopes.contains(&scope) => {
                at.item(i).bad_so("stands twice in the list", "take one of them out")
            }
            Ok(scope) => scopes.push(scope),
            Err(error) if text.contains([' ', ',']) => {
                let split: Vec<&str> = text.split([' ', ',']).filter(|scope| !scope.is_empty()).collect();
                at.item(i).bad(error.to_string(), split.join(", "));
            }
            Err(error) => at.item(i).bad_or(error.to_string(), None, "customers:read"),
        }
    }
    scopes.into_iter().collect()
}
