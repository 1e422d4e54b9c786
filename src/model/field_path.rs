//! Where a value stands in a document: the part of JSONPath (RFC 9535) that can be matched while streaming.
//!
//! `$`, then steps: `.name`, `["name"]`, `[*]`, `.*`, `[n]`, `..name`, `..["name"]`. A path never looks at values.

use std::fmt;

/// Most steps of one path: deeper ones are a typing error or an attack.
const STEPS_MAX: usize = 32;

/// One step down from a container.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// The member of an object with this (decoded) name.
    Name(Box<str>),
    /// Every element of an array.
    Elements,
    /// Every member of an object.
    Members,
    /// The element of an array at this place, from 0.
    Index(u32),
    /// A member with this name, at any depth below.
    Descendant(Box<str>),
}

/// A path into a document; `$` alone is the whole document.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FieldPath {
    steps: Box<[Step]>,
}

/// Why a text is not a field path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldPathError {
    /// The text does not begin with `$`.
    #[error("must begin with '$', such as $.customers[*].email")]
    NoRoot,
    /// A step cannot be read.
    #[error("cannot read the step at character {at}; steps are .name, [\"name\"], [*], .*, [n] and ..name")]
    BadStep {
        /// Place in the text, from 1.
        at: usize,
    },
    /// There are more than 32 steps.
    #[error("has more than 32 steps")]
    TooDeep,
}

impl FieldPath {
    /// Parses a path.
    ///
    /// # Errors
    /// [`FieldPathError`] names the place that cannot be read.
    pub fn parse(text: &str) -> Result<Self, FieldPathError> {
        let mut rest = text.strip_prefix('$').ok_or(FieldPathError::NoRoot)?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let at = text.len() - rest.len() + 1;
            let (step, after) = parse_step(rest).ok_or(FieldPathError::BadStep { at })?;
            steps.push(step);
            rest = after;
            if steps.len() > STEPS_MAX {
                return Err(FieldPathError::TooDeep);
            }
        }
        Ok(Self { steps: steps.into() })
    }

    /// The steps from the root down; none for `$`.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The name of the last step, where it has one.
    pub fn last_name(&self) -> Option<&str> {
        match self.steps.last()? {
            Step::Name(name) | Step::Descendant(name) => Some(name),
            Step::Elements | Step::Members | Step::Index(_) => None,
        }
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        for step in &self.steps {
            match step {
                Step::Name(name) if is_plain(name) => write!(f, ".{name}")?,
                Step::Name(name) => write!(f, "[{}]", quoted(name))?,
                Step::Elements => f.write_str("[*]")?,
                Step::Members => f.write_str(".*")?,
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Descendant(name) if is_plain(name) => write!(f, "..{name}")?,
                Step::Descendant(name) => write!(f, "..[{}]", quoted(name))?,
            }
        }
        Ok(())
    }
}

fn parse_step(text: &str) -> Option<(Step, &str)> {
    if let Some(rest) = text.strip_prefix("..") {
        return match rest.strip_prefix('[') {
            Some(inner) => parse_quoted(inner).map(|(name, after)| (Step::Descendant(name), after)),
            None => parse_name(rest).map(|(name, after)| (Step::Descendant(name.into()), after)),
        };
    }
    if let Some(rest) = text.strip_prefix(".*") {
        return Some((Step::Members, rest));
    }
    if let Some(rest) = text.strip_prefix('.') {
        return parse_name(rest).map(|(name, after)| (Step::Name(name.into()), after));
    }
    let inner = text.strip_prefix('[')?;
    if let Some(rest) = inner.strip_prefix("*]") {
        return Some((Step::Elements, rest));
    }
    if inner.starts_with(['"', '\'']) {
        return parse_quoted(inner).map(|(name, after)| (Step::Name(name), after));
    }
    let (digits, rest) = inner.split_once(']')?;
    let canonical = digits == "0" || !digits.starts_with('0');
    let all_digits = digits.bytes().all(|b| b.is_ascii_digit());
    (canonical && all_digits).then(|| digits.parse().ok()).flatten().map(|index| (Step::Index(index), rest))
}

fn parse_name(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !is_name_char(c)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// Reads `"name"]` or `'name']`; a double-quoted name has JSON's escapes.
fn parse_quoted(text: &str) -> Option<(Box<str>, &str)> {
    if let Some(rest) = text.strip_prefix('\'') {
        let (name, after) = rest.split_once("']")?;
        return (!name.contains(['\'', '\\'])).then(|| (name.into(), after));
    }
    let mut names = serde_json::Deserializer::from_str(text).into_iter::<String>();
    let name = names.next()?.ok()?;
    let after = text[names.byte_offset()..].strip_prefix(']')?;
    Some((name.into(), after))
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
        for text in ["$", "$.customers[*].email", "$..ssn", "$[\"a b\"][0].*", "$..[\"a\\\"b\"]", "$.größe", "$.a-b_c"]
        {
            assert_eq!(FieldPath::parse(text).expect(text).to_string(), text);
        }
        assert_eq!(FieldPath::parse("$['a b']").expect("single quotes").to_string(), "$[\"a b\"]");
    }

    #[test]
    fn a_bad_step_is_named_by_its_place() {
        for (text, at) in
            [("$.", 2), ("$.a[", 4), ("$.a[01]", 4), ("$.a b", 4), ("$[-1]", 2), ("$.a[?(@.b)]", 4), ("$...a", 2)]
        {
            assert_eq!(FieldPath::parse(text), Err(FieldPathError::BadStep { at }), "{text}");
        }
        assert_eq!(FieldPath::parse("customers"), Err(FieldPathError::NoRoot));
        assert_eq!(FieldPath::parse(&format!("${}", ".a".repeat(33))), Err(FieldPathError::TooDeep));
    }
}
