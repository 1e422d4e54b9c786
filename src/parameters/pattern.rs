//! The pattern of a parameter: a regular expression as RE2 reads it, matched in time linear in the text.

use std::fmt;
use std::sync::Arc;

use regex_automata::meta::{Builder, Config, Regex};

use crate::bounds::{PARAMETER_PATTERN_BYTES_MAX, PARAMETER_PATTERN_CACHE_BYTES_MAX, PARAMETER_PATTERN_TEXT_BYTES_MAX};

/// A regular expression without look-around and back references. It must match the whole text.
#[derive(Clone)]
pub struct ParameterPattern {
    text: Arc<str>,
    regex: Regex,
}

/// Why a text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParameterPatternError(String);

impl ParameterPattern {
    /// Parses a pattern; it is anchored at both ends.
    ///
    /// # Errors
    /// [`ParameterPatternError`] where it is no regular expression, needs look-around or back references, or is too
    /// large.
    pub fn parse(text: &str) -> Result<Self, ParameterPatternError> {
        if text.len() > PARAMETER_PATTERN_TEXT_BYTES_MAX {
            return Err(ParameterPatternError(format!("it is longer than {PARAMETER_PATTERN_TEXT_BYTES_MAX} bytes")));
        }
        let ascii = with_ascii_classes(text);
        // Alone it must be an expression too: `a)|(b` would escape from the anchors.
        build(&ascii)?;
        Ok(Self { text: text.into(), regex: build(&format!("\\A(?:{ascii})\\z"))? })
    }

    /// Whether it matches the whole text.
    pub fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

fn build(text: &str) -> Result<Regex, ParameterPatternError> {
    let limits = Config::new()
        .nfa_size_limit(Some(PARAMETER_PATTERN_BYTES_MAX))
        .onepass_size_limit(Some(PARAMETER_PATTERN_BYTES_MAX))
        .hybrid_cache_capacity(PARAMETER_PATTERN_CACHE_BYTES_MAX);
    Builder::new().configure(limits).build(text).map_err(|error| {
        let cause = error.syntax_error().map(ToString::to_string);
        let cause =
            cause.as_deref().and_then(|text| text.lines().last()).map(|line| line.trim_start_matches("error: "));
        ParameterPatternError(cause.unwrap_or("it is too large once it is compiled").to_owned())
    })
}

/// The pattern with `\d`, `\w`, `\s` and their opposites as RE2 reads them: in ASCII. A number in other digits is none
/// to most of those who read it behind us.
fn with_ascii_classes(text: &str) -> String {
    let mut ascii = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let escaped = if c == '\\' { rest.next() } else { None };
        match escaped {
            Some('d') => ascii.push_str("[0-9]"),
            Some('D') => ascii.push_str("[^0-9]"),
            Some('w') => ascii.push_str("[0-9A-Za-z_]"),
            Some('W') => ascii.push_str("[^0-9A-Za-z_]"),
            Some('s') => ascii.push_str("[\\t\\n\\x0b\\x0c\\r\\x20]"),
            Some('S') => ascii.push_str("[^\\t\\n\\x0b\\x0c\\r\\x20]"),
            Some(other) => ascii.extend([c, other]),
            None => ascii.push(c),
        }
    }
    ascii
}

impl PartialEq for ParameterPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for ParameterPattern {}

impl fmt::Debug for ParameterPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for ParameterPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_the_whole_text_and_stays_linear_and_small() {
        let matches = |pattern: &str, text: &str| ParameterPattern::parse(pattern).expect(pattern).matches(text);
        for (pattern, good, bad) in [
            ("a|b", "a", "ab"),
            ("a", "a", "a\n"),
            ("^a$", "a", "b\na"),
            ("(?i)ann", "ANN", "ANNA"),
            ("\\d+", "17", "１７"),
            ("[\\w-]+", "a_b-c", "ä"),
            ("[^\\d]", "x", "7"),
            ("\\\\d", "\\d", "7"),
            (".{2}", "äö", "äöü"),
            ("[a-zäöü]+", "müller", "mëller"),
            ("(a+)+", "aaa", &format!("{}b", "a".repeat(4_000))),
        ] {
            assert!(matches(pattern, good) && !matches(pattern, bad), "{pattern} {good} {bad}");
        }
        for bad in ["(", "a)|(b", "(?=a)", "(a)\\1", "(a{1000}){1000}", "\\", "[a", &"a".repeat(2_000)] {
            let error = ParameterPattern::parse(bad).expect_err(bad).to_string();
            assert!(!error.is_empty() && !error.contains('\n'), "{error}");
        }
    }
}
