//! Checks values that occur in several sections: durations, lines of text and scopes.

use std::time::Duration;

use crate::config::file;
use crate::config::settings::Operator;
use crate::config::source::Cursor;
use crate::config::{suggest, units};
use crate::model::{Scope, ScopeSet};

/// A duration up to `most`; `None` where none is written, or where it is invalid, which is reported.
pub(super) fn duration(at: &Cursor<'_>, written: Option<&file::DurationText>, most: Duration) -> Option<Duration> {
    let duration = at.parsed(units::parse_duration(&written?.0))?;
    if duration > most {
        let most = units::format_duration(most);
        at.invalid(format!("must be at most {most}"), &most);
        return None;
    }
    Some(duration)
}

/// A line of text for people. Reports one that is empty, too long or not printable.
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

/// The name of an operator or a hook.
pub(super) fn name(at: &Cursor<'_>, text: &str, example: &str) -> String {
    if !Operator::is_name(text) {
        at.invalid_with_guess(
            "must be 1 to 64 of letters, digits, '-', '_', '.' and '@'",
            suggest::name(text),
            example,
        );
    }
    text.to_owned()
}

/// A list of scopes. Reports repeated and invalid ones.
pub(super) fn scopes(at: &Cursor<'_>, written: &[String]) -> ScopeSet {
    let mut scopes = Vec::new();
    for (i, text) in written.iter().enumerate() {
        match Scope::parse(text) {
            Ok(scope) if scopes.contains(&scope) => {
                at.item(i).invalid_with_remedy("is listed twice", "take one of them out")
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
