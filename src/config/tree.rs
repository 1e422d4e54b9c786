//! A YAML document as a tree in which every key and value knows its place.
//!
//! The only file that knows the YAML crate. Knows no schema; duplicate keys are refused here already.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::Spanned;

use super::secrecy::{HIDDEN, is_secret};

/// A place in a file: line and column in characters, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Place {
    pub(super) line: u64,
    pub(super) column: u64,
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

/// A value of YAML's core schema.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Boolean(bool),
    Integer(i64),
    /// Any other number.
    Float(f64),
    Text(String),
    /// A text out of which `${NAME}` has been filled in: `written` may be shown, `text` never.
    Filled {
        text: String,
        written: String,
    },
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Key {
    pub(super) place: Place,
    pub(super) text: String,
}

/// A document that cannot be read at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unreadable {
    pub(super) place: Place,
    pub(super) wrong: String,
}

/// Reads one document.
pub(super) fn parse(text: &str) -> Result<Node, Unreadable> {
    let options = serde_yaml::options! { with_snippet: false };
    serde_yaml::from_str_with_options(text, options).map_err(|error| {
        let place = error.location().map(place_of).unwrap_or(Place { line: 1, column: 1 });
        Unreadable { place, wrong: first_line(&error.to_string(), place) }
    })
}

impl Node {
    /// The value under a key of a mapping.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|(name, _)| name.text == key).map(|(_, node)| node),
            Value::Null
            | Value::Boolean(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Text(_)
            | Value::Filled { .. }
            | Value::List(_) => None,
        }
    }

    /// The value as it may be shown to an operator: short, and without what the environment filled in.
    pub(super) fn shown(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Boolean(value) => value.to_string(),
            Value::Integer(value) => value.to_string(),
            Value::Float(value) => value.to_string(),
            Value::Text(text) | Value::Filled { written: text, .. } if is_secret(text) => HIDDEN.to_owned(),
            Value::Text(text) | Value::Filled { written: text, .. } => shortened(text),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        }
    }
}

fn shortened(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 60;
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match plain.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &plain[..end]),
        None => plain,
    }
}

fn place_of(location: serde_yaml::Location) -> Place {
    Place { line: location.line().max(1), column: location.column().max(1) }
}

/// The crate's message without the place, which a fault prints in its own way, and without advice to programmers.
fn first_line(message: &str, place: Place) -> String {
    let line = message.lines().next().unwrap_or_default();
    let line = line.split(", set DuplicateKeyPolicy").next().unwrap_or(line);
    let line = line.split("; use from_str").next().unwrap_or(line);
    let suffix = format!(" at line {}, column {}", place.line, place.column);
    let prefix = format!("line {} column {}: ", place.line, place.column);
    line.trim_start_matches("error: ").trim_start_matches(&*prefix).replace(&suffix, "").trim().to_owned()
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self { place: place_of(spanned.referenced), value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or(Value::Float(value as f64), Value::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some((key, node)) = entries.next_entry::<Spanned<String>, Node>()? {
            map.push((Key { place: place_of(key.referenced), text: key.value }, node));
        }
        Ok(Value::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_knows_its_place() {
        let tree = parse("a: 1\nb:\n  - { c: ü, d: x }\n  - 2026-01-01\ne:\nf: 50/s\ng: \"7\"\n").expect("yaml");
        let at = |node: &Node| (node.place.line, node.place.column);
        assert_eq!(at(tree.get("a").expect("a")), (1, 4));
        let Value::List(items) = &tree.get("b").expect("b").value else { panic!("a list") };
        assert_eq!(at(items[0].get("d").expect("d")), (3, 16));
        assert_eq!(items[1].value, Value::Text("2026-01-01".into()));
        assert_eq!(tree.get("e").expect("e").value, Value::Null);
        assert_eq!(tree.get("f").expect("f").value, Value::Text("50/s".into()));
        assert_eq!(tree.get("g").expect("g").value, Value::Text("7".into()));
        let Value::Map(entries) = &tree.value else { panic!("a map") };
        assert_eq!((entries[2].0.place.line, entries[2].0.place.column), (5, 1));
    }

    #[test]
    fn a_document_that_cannot_be_read_says_where() {
        for (text, line, wrong) in [
            ("a: 1\na: 2\n", 2, "duplicate mapping key: a"),
            ("a: [1, 2\n", 1, "unclosed"),
            ("a: 1\n b: 2\n", 2, ""),
            ("a: 1\n---\nb: 2\n", 3, "multiple YAML documents detected"),
        ] {
            let unreadable = parse(text).expect_err(text);
            assert_eq!(unreadable.place.line, line, "{text:?}: {unreadable:?}");
            assert!(unreadable.wrong.contains(wrong), "{unreadable:?}");
            let foreign = ["line ", "DuplicateKeyPolicy", "from_str"];
            assert!(!foreign.iter().any(|word| unreadable.wrong.contains(word)), "{unreadable:?}");
        }
    }
}
