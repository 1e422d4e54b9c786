//! Paths into a document: the part of JSONPath (RFC 9535) that can be matched while streaming.
//!
//! `$`, then steps: `.name`, `["name"]`, `['name']`, `[*]` or `.*` (every member of an object and every element of an
//! array alike, section 2.3.2), `[n]`, and each of them behind `..`, at any depth below. The rest of JSONPath is
//! refused with its reason: a negative index and a slice need the end of a list, a filter needs values, and several
//! selectors in one bracket can be written as several rules. Unlike in JSONPath, names may begin with a digit and hold
//! `-`.

use std::fmt;

/// Most steps of one path: a longer one is a typing error or an attack.
const STEPS_MAX: usize = 32;

/// One step down from a container.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PathStep {
    /// Whether the selector matches at any depth below (`..`), and not only the container's own children.
    pub descends: bool,
    /// Which children it selects.
    pub selector: PathSelector,
}

/// Which children of a container a step selects (RFC 9535 section 2.3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PathSelector {
    /// The member of an object with this (decoded) name.
    Name(Box<str>),
    /// Every member of an object, every element of an array.
    Wildcard,
    /// The element of an array at this place, from 0.
    Index(u32),
}

impl PathStep {
    /// The name that the step selects by, where it does.
    pub fn name(&self) -> Option<&str> {
        match &self.selector {
            PathSelector::Name(name) => Some(name),
            PathSelector::Wildcard | PathSelector::Index(_) => None,
        }
    }

    /// Whether it selects all children of a container and nothing below them.
    pub fn is_wildcard(&self) -> bool {
        !self.descends && self.selector == PathSelector::Wildcard
    }

    /// Whether it leads from a list to one of its elements.
    pub fn is_into_list(&self) -> bool {
        !self.descends && self.crosses(false)
    }

    /// Whether it can select a child of an object (`object`) or of an array (not `object`).
    pub fn crosses(&self, object: bool) -> bool {
        self.descends
            || match self.selector {
                PathSelector::Name(_) => object,
                PathSelector::Wildcard => true,
                PathSelector::Index(_) => !object,
            }
    }
}

/// A path into a document; `$` alone is the whole document.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FieldPath {
    steps: Box<[PathStep]>,
}

/// Why a text is not a field path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldPathError {
    /// The text does not begin with `$`.
    #[error("must begin with '$', such as $.customers[*].email")]
    NoRoot,
    /// A step cannot be read.
    #[error("cannot read the step at character {at}; steps are .name, [\"name\"], [*], .*, [n], and these behind '..'")]
    BadStep {
        /// Place in the text, from 1.
        at: usize,
    },
    /// A step of JSONPath that cannot be matched in a stream.
    #[error("has {what} (the step at character {at})")]
    Unsupported {
        /// Place in the text, from 1.
        at: usize,
        /// What it is, why not, and what to write instead.
        what: &'static str,
    },
    /// There are more than 32 steps.
    #[error("has more than 32 steps")]
    TooDeep,
}

impl FieldPath {
    /// Parses a path.
    ///
    /// # Errors
    /// [`FieldPathError`] names the place that cannot be read, or that is not supported.
    pub fn parse(text: &str) -> Result<Self, FieldPathError> {
        let mut rest = text.strip_prefix('$').ok_or(FieldPathError::NoRoot)?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let at = text.len() - rest.len() + 1;
            let (step, after) = parse_step(skip_space(rest)).map_err(|why| match why {
                StepError::Bad => FieldPathError::BadStep { at },
                StepError::Unsupported(what) => FieldPathError::Unsupported { at, what },
            })?;
            steps.push(step);
            rest = after;
            if steps.len() > STEPS_MAX {
                return Err(FieldPathError::TooDeep);
            }
        }
        Ok(Self { steps: steps.into() })
    }

    /// The steps from the root down; none for `$`.
    pub fn steps(&self) -> &[PathStep] {
        &self.steps
    }

    /// The name of the last step, where it has one.
    pub fn last_name(&self) -> Option<&str> {
        self.steps.last()?.name()
    }

    /// The nearest name to the end: `$.emails[*]` selects what `emails` holds.
    pub fn nearest_name(&self) -> Option<&str> {
        self.steps.iter().rev().find_map(PathStep::name)
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        for PathStep { descends, selector } in &self.steps {
            f.write_str(if *descends { ".." } else { "" })?;
            match selector {
                PathSelector::Name(name) if !is_plain(name) => write!(f, "[{}]", quoted(name))?,
                PathSelector::Name(name) if *descends => f.write_str(name)?,
                PathSelector::Name(name) => write!(f, ".{name}")?,
                PathSelector::Wildcard => f.write_str("[*]")?,
                PathSelector::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// Why a step was not read.
enum StepError {
    Bad,
    Unsupported(&'static str),
}

const FROM_THE_END: &str =
    "an index from the end of a list, which is not known while the list streams: write [*], or [n] from the start";
const SLICE: &str = "a slice: write [*], or a rule for each [n]";
const FILTER: &str = "a filter, and a path never looks at values: write [*]";
const UNION: &str = "several selectors in one bracket: write a rule for each";
const FAR: &str = "an index over 4294967295: write [*]";

fn parse_step(text: &str) -> Result<(PathStep, &str), StepError> {
    let (descends, rest) = match text.strip_prefix("..") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let step = |selector, after| Ok((PathStep { descends, selector }, after));
    if let Some(inner) = rest.strip_prefix('[') {
        let (selector, after) = parse_bracket(skip_space(inner))?;
        return step(selector, after);
    }
    let rest = if descends { rest } else { rest.strip_prefix('.').ok_or(StepError::Bad)? };
    if let Some(after) = rest.strip_prefix('*') {
        return step(PathSelector::Wildcard, after);
    }
    let end = rest.find(|c: char| !is_name_char(c)).unwrap_or(rest.len());
    if end == 0 {
        return Err(StepError::Bad);
    }
    step(PathSelector::Name(rest[..end].into()), &rest[end..])
}

/// Reads the selector after a `[`, up to and with its `]`.
fn parse_bracket(inner: &str) -> Result<(PathSelector, &str), StepError> {
    let (selector, rest) = match inner.as_bytes().first() {
        Some(b'*') => (PathSelector::Wildcard, &inner[1..]),
        Some(b'?') => return Err(StepError::Unsupported(FILTER)),
        Some(b'"') => parse_quoted(inner, '"')?,
        Some(b'\'') => parse_quoted(inner, '\'')?,
        Some(b'-' | b':' | b'0'..=b'9') => parse_number(inner)?,
        Some(_) | None => return Err(StepError::Bad),
    };
    match skip_space(rest).split_at_checked(1) {
        Some(("]", after)) => Ok((selector, after)),
        Some((",", _)) => Err(StepError::Unsupported(UNION)),
        Some((":", _)) if matches!(selector, PathSelector::Index(_)) => Err(StepError::Unsupported(SLICE)),
        Some(_) | None => Err(StepError::Bad),
    }
}

fn parse_number(text: &str) -> Result<(PathSelector, &str), StepError> {
    let (negative, unsigned) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let end = unsigned.find(|c: char| !c.is_ascii_digit()).unwrap_or(unsigned.len());
    let (digits, rest) = unsigned.split_at(end);
    if skip_space(rest).starts_with(':') {
        return Err(StepError::Unsupported(SLICE));
    }
    if digits.is_empty() || (digits.starts_with('0') && (negative || digits.len() > 1)) {
        return Err(StepError::Bad);
    }
    match digits.parse() {
        Ok(_) if negative => Err(StepError::Unsupported(FROM_THE_END)),
        Ok(index) => Ok((PathSelector::Index(index), rest)),
        Err(_) => Err(StepError::Unsupported(FAR)),
    }
}

/// Reads a name between quotes, with JSON's escapes and that of its own quote (RFC 9535 section 2.3.1).
fn parse_quoted(text: &str, quote: char) -> Result<(PathSelector, &str), StepError> {
    let mut json = String::from("\"");
    let mut characters = text.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        match c {
            _ if c == quote => {
                json.push('"');
                let name: String = serde_json::from_str(&json).map_err(|_| StepError::Bad)?;
                return Ok((PathSelector::Name(name.into()), &text[at + 1..]));
            }
            '\\' => match characters.next() {
                Some((_, '\'')) if quote == '\'' => json.push('\''),
                Some((_, '"')) if quote == '\'' => return Err(StepError::Bad),
                Some((_, escaped)) => json.extend(['\\', escaped]),
                None => return Err(StepError::Bad),
            },
            '"' => json.push_str("\\\""),
            _ => json.push(c),
        }
    }
    Err(StepError::Bad)
}

/// Skips blank space, which is allowed between steps and within brackets.
fn skip_space(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\n', '\r'])
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-' || !c.is_ascii()
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(is_name_char)
}

fn quoted(name: &str) -> String {
    serde_json::Value::from(name).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_print_as_they_parse() {
        for text in [
            "$",
            "$.customers[*].email",
            "$..ssn",
            "$[\"a b\"][0][*]",
            "$..[\"a\\\"b\"]",
            "$.größe",
            "$.a-b_c",
            "$..[*]",
            "$.a..[3]",
        ] {
            assert_eq!(FieldPath::parse(text).expect(text).to_string(), text);
        }
        for (text, printed) in [
            ("$['a b']", "$[\"a b\"]"),
            ("$['it\\'s \"x\"']", "$[\"it's \\\"x\\\"\"]"),
            ("$[\"a\\u0062\"]", "$.ab"),
            ("$.*.email", "$[*].email"),
            ("$..*", "$..[*]"),
            ("$..['a']", "$..a"),
            ("$ .a [ 'b' ]\n[ * ]", "$.a.b[*]"),
        ] {
            assert_eq!(FieldPath::parse(text).expect(text).to_string(), printed);
        }
    }

    #[test]
    fn a_bad_step_is_named_by_its_place() {
        for (text, at) in [
            ("$.", 2),
            ("$.a[", 4),
            ("$.a[01]", 4),
            ("$.a b", 4),
            ("$[-0]", 2),
            ("$...a", 2),
            ("$.a ", 4),
            ("$[a]", 2),
            ("$[]", 2),
            ("$['a\\\"']", 2),
            ("$. a", 2),
            ("$['a", 2),
            ("$..", 2),
            ("$.a]", 4),
        ] {
            assert_eq!(FieldPath::parse(text), Err(FieldPathError::BadStep { at }), "{text}");
        }
        assert_eq!(FieldPath::parse("customers"), Err(FieldPathError::NoRoot));
        assert_eq!(FieldPath::parse(&format!("${}", ".a".repeat(33))), Err(FieldPathError::TooDeep));
    }

    #[test]
    fn a_step_that_a_stream_cannot_match_is_refused_with_its_reason() {
        for (text, what) in [
            ("$[-1]", FROM_THE_END),
            ("$.a[1:3]", SLICE),
            ("$.a[:]", SLICE),
            ("$.a[-2:]", SLICE),
            ("$.a[1 :3]", SLICE),
            ("$.a[?(@.b)]", FILTER),
            ("$.a[?@.b == 1]", FILTER),
            ("$['a','b']", UNION),
            ("$[0, 1]", UNION),
            ("$[*,'a']", UNION),
            ("$[4294967296]", FAR),
        ] {
            let at = text.find('[').expect("a bracket") + 1;
            assert_eq!(FieldPath::parse(text), Err(FieldPathError::Unsupported { at, what }), "{text}");
        }
    }
}
