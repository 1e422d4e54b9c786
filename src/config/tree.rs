//! A YAML document as a tree whose keys and values have their positions.
//!
//! The only file that uses the YAML crate. It knows no schema, and refuses duplicate keys.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::Spanned;

use crate::bounds::{OPENAPI_ALIASED_MAX, OPENAPI_DEPTH_MAX, OPENAPI_NODES_MAX};

use super::secrecy::{HIDDEN, is_secret};

/// A position in a file: line and column in characters, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct SourcePosition {
    pub(super) line: u64,
    pub(super) column: u64,
}

/// A value and its position.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct YamlNode {
    pub(super) position: SourcePosition,
    pub(super) value: YamlValue,
}

/// A value of YAML's core schema.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum YamlValue {
    Null,
    Boolean(bool),
    Integer(i64),
    /// Any other number.
    Float(f64),
    Text(String),
    /// A text in which `${NAME}` was replaced: `written` is from the file and may be shown, `text` never.
    FromEnvironment {
        text: String,
        written: String,
    },
    List(Vec<YamlNode>),
    Map(Vec<(YamlKey, YamlNode)>),
}

/// A key of a mapping and its position.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct YamlKey {
    pub(super) position: SourcePosition,
    pub(super) text: String,
}

/// Why a document cannot be parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct YamlError {
    pub(super) position: SourcePosition,
    pub(super) wrong: String,
}

/// Reads one document.
pub(super) fn parse(text: &str) -> Result<YamlNode, YamlError> {
    let options = serde_yaml::options! { with_snippet: false };
    serde_yaml::from_str_with_options(text, options).map_err(|error| {
        let place = error.location().map(position_of).unwrap_or(SourcePosition { line: 1, column: 1 });
        YamlError { position: place, wrong: first_line(&error.to_string(), place) }
    })
}

/// Reads a document that comes from outside, without positions; an error has its line, column and cause.
pub(crate) fn parse_yaml_value(text: &str) -> Result<serde_json::Value, (u64, u64, String)> {
    let budget = serde_yaml::budget! {
        max_depth: OPENAPI_DEPTH_MAX,
        max_nodes: OPENAPI_NODES_MAX,
        max_events: 2 * OPENAPI_NODES_MAX,
        flow_nesting_limit: OPENAPI_DEPTH_MAX,
    };
    let alias_limits = serde_yaml::alias_limits! { max_total_replayed_events: OPENAPI_ALIASED_MAX };
    let options = serde_yaml::options! { with_snippet: false, budget: budget, alias_limits: alias_limits };
    serde_yaml::from_str_with_options(text, options).map_err(|error| {
        let place = error.location().map(position_of).unwrap_or(SourcePosition { line: 1, column: 1 });
        (place.line, place.column, first_line(&error.to_string(), place))
    })
}

impl YamlNode {
    /// The value under a key of a mapping.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            YamlValue::Map(entries) => entries.iter().find(|(name, _)| name.text == key).map(|(_, node)| node),
            YamlValue::Null
            | YamlValue::Boolean(_)
            | YamlValue::Integer(_)
            | YamlValue::Float(_)
            | YamlValue::Text(_)
            | YamlValue::FromEnvironment { .. }
            | YamlValue::List(_) => None,
        }
    }

    /// The value as it may be shown to an operator: short, and without values from the environment or secrets.
    pub(super) fn shown(&self) -> String {
        match &self.value {
            YamlValue::Null => "nothing".to_owned(),
            YamlValue::Boolean(value) => value.to_string(),
            YamlValue::Integer(value) => value.to_string(),
            YamlValue::Float(value) => value.to_string(),
            YamlValue::Text(text) | YamlValue::FromEnvironment { written: text, .. } if is_secret(text) => {
                HIDDEN.to_owned()
            }
            YamlValue::Text(text) | YamlValue::FromEnvironment { written: text, .. } => shortened(text),
            YamlValue::List(_) => "a list".to_owned(),
            YamlValue::Map(_) => "a mapping".to_owned(),
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

fn position_of(location: serde_yaml::Location) -> SourcePosition {
    SourcePosition { line: location.line().max(1), column: location.column().max(1) }
}

/// The YAML crate's message without the position, which a fault has already, and without advice to programmers.
fn first_line(message: &str, place: SourcePosition) -> String {
    let line = message.lines().next().unwrap_or_default();
    let line = line.split(", set DuplicateKeyPolicy").next().unwrap_or(line);
    let line = line.split("; use from_str").next().unwrap_or(line);
    let suffix = format!(" at line {}, column {}", place.line, place.column);
    let prefix = format!("line {} column {}: ", place.line, place.column);
    line.trim_start_matches("error: ").trim_start_matches(&*prefix).replace(&suffix, "").trim().to_owned()
}

impl<'de> Deserialize<'de> for YamlNode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<YamlValue>::deserialize(deserializer)?;
        Ok(Self { position: position_of(spanned.referenced), value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for YamlValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(YamlValueVisitor)
    }
}

struct YamlValueVisitor;

impl<'de> Visitor<'de> for YamlValueVisitor {
    type Value = YamlValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<YamlValue, E> {
        Ok(YamlValue::Null)
    }

    fn visit_none<E>(self) -> Result<YamlValue, E> {
        Ok(YamlValue::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<YamlValue, D::Error> {
        YamlValue::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<YamlValue, E> {
        Ok(YamlValue::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<YamlValue, E> {
        Ok(YamlValue::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<YamlValue, E> {
        Ok(i64::try_from(value).map_or(YamlValue::Float(value as f64), YamlValue::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<YamlValue, E> {
        Ok(YamlValue::Float(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<YamlValue, E> {
        Ok(YamlValue::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<YamlValue, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(YamlValue::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<YamlValue, A::Error> {
        let mut map = Vec::new();
        while let Some((key, node)) = entries.next_entry::<Spanned<String>, YamlNode>()? {
            map.push((YamlKey { position: position_of(key.referenced), text: key.value }, node));
        }
        Ok(YamlValue::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_and_value_has_its_position() {
        let tree = parse("a: 1\nb:\n  - { c: ü, d: x }\n  - 2026-01-01\ne:\nf: 50/s\ng: \"7\"\n").expect("yaml");
        let at = |node: &YamlNode| (node.position.line, node.position.column);
        assert_eq!(at(tree.get("a").expect("a")), (1, 4));
        let YamlValue::List(items) = &tree.get("b").expect("b").value else { panic!("a list") };
        assert_eq!(at(items[0].get("d").expect("d")), (3, 16));
        assert_eq!(items[1].value, YamlValue::Text("2026-01-01".into()));
        assert_eq!(tree.get("e").expect("e").value, YamlValue::Null);
        assert_eq!(tree.get("f").expect("f").value, YamlValue::Text("50/s".into()));
        assert_eq!(tree.get("g").expect("g").value, YamlValue::Text("7".into()));
        let YamlValue::Map(entries) = &tree.value else { panic!("a map") };
        assert_eq!((entries[2].0.position.line, entries[2].0.position.column), (5, 1));
    }

    #[test]
    fn a_document_that_cannot_be_parsed_says_where_and_why() {
        for (text, line, wrong) in [
            ("a: 1\na: 2\n", 2, "duplicate mapping key: a"),
            ("a: [1, 2\n", 1, "unclosed"),
            ("a: 1\n b: 2\n", 2, ""),
            ("a: 1\n---\nb: 2\n", 3, "multiple YAML documents detected"),
        ] {
            let unreadable = parse(text).expect_err(text);
            assert_eq!(unreadable.position.line, line, "{text:?}: {unreadable:?}");
            assert!(unreadable.wrong.contains(wrong), "{unreadable:?}");
            let foreign = ["line ", "DuplicateKeyPolicy", "from_str"];
            assert!(!foreign.iter().any(|word| unreadable.wrong.contains(word)), "{unreadable:?}");
        }
    }
}
