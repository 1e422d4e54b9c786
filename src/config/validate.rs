//! Validates a file's tree against its schema: all unknown keys, missing keys and wrong types in one pass.
//!
//! What remains can be deserialized into the types of `file` without an error: every invalid value was reported,
//! suppressed and left out. Knows the part of JSON Schema that `schema` produces, and none of the keys.

use serde_json::{Map, Value as Json};

use super::nearest::nearest;
use super::planned::not_yet;
use super::source::Cursor;
use super::tree::{YamlKey, YamlNode, YamlValue};
use super::{suggest, units};

/// The tree as JSON, without its invalid values.
pub(super) fn validate(at: &Cursor<'_>, schema: &Json) -> Json {
    let pass = SchemaCheck { root: schema };
    pass.value(at, schema).unwrap_or_else(|| pass.placeholder(schema))
}

struct SchemaCheck<'s> {
    root: &'s Json,
}

impl<'s> SchemaCheck<'s> {
    /// The value at a cursor; `None` when it is invalid, which is reported.
    fn value(&self, at: &Cursor<'_>, schema: &'s Json) -> Option<Json> {
        let resolved = self.resolve(schema);
        let node = at.node()?;
        let read = match self.kind(resolved) {
            ExpectedType::Words(words) => word(at, node, &words),
            ExpectedType::Object => self.object(at, node, resolved),
            ExpectedType::List(items) => self.list(at, node, items),
            ExpectedType::OneOrMore(items) => self.one_or_more(at, node, items),
            ExpectedType::Text => text(at, node, &example(schema, resolved)),
            ExpectedType::Integer => integer(at, node, schema, resolved),
            ExpectedType::Boolean => boolean(at, node),
            ExpectedType::TextOrSettings(settings) => match &node.value {
                YamlValue::Map(_) => self.value(at, settings),
                _ => text(at, node, &example(schema, resolved)),
            },
            ExpectedType::Switch(settings) => match &node.value {
                YamlValue::Map(_) => self.value(at, settings),
                _ => boolean(at, node),
            },
        };
        if read.is_none() {
            at.suppress();
        }
        read
    }

    fn object(&self, at: &Cursor<'_>, node: &YamlNode, schema: &'s Json) -> Option<Json> {
        let YamlValue::Map(entries) = &node.value else {
            return wrong_type(at, node, "must be a mapping of keys to values", None, "");
        };
        let mut object = Map::new();
        for (key, _) in entries {
            if let Some(inner) = self.member(at, key, schema) {
                object.extend(self.value(&at.key(&key.text), inner).map(|value| (key.text.clone(), value)));
            }
        }
        for required in schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str) {
            if node.get(required).is_none() {
                self.missing(at, required, &schema["properties"][required]);
            }
        }
        Some(Json::Object(object))
    }

    /// The schema of a member; an unknown member is reported.
    fn member(&self, at: &Cursor<'_>, key: &YamlKey, schema: &'s Json) -> Option<&'s Json> {
        let properties = schema["properties"].as_object();
        if let Some(known) = properties.and_then(|properties| properties.get(&key.text)) {
            return Some(known);
        }
        if schema["additionalProperties"].is_object() {
            return Some(&schema["additionalProperties"]);
        }
        let place = at.key(&key.text).moved_to(key.position);
        let known = || properties.into_iter().flat_map(Map::keys).map(String::as_str);
        if let Some(what) = not_yet(at.last_key(), &key.text) {
            place.fault(format!("not yet: {what} in this version"), "take the key out");
        } else if let Some(near) = nearest(&key.text, known()) {
            place.fault("unknown key", format!("did you mean {near}?"));
            // The key that was meant must not be reported as missing too.
            at.key(near).suppress();
        } else {
            place.fault("unknown key", format!("known here: {}", known().collect::<Vec<_>>().join(", ")));
        }
        place.suppress();
        None
    }

    fn missing(&self, at: &Cursor<'_>, name: &str, schema: &Json) {
        let resolved = self.resolve(schema);
        let example = match self.kind(resolved) {
            ExpectedType::Words(words) => words.first().map(|word| (*word).to_owned()).unwrap_or_default(),
            ExpectedType::Object => "{ … }".to_owned(),
            ExpectedType::List(_) if schema["examples"].is_null() => "[ … ]".to_owned(),
            ExpectedType::List(_)
            | ExpectedType::OneOrMore(_)
            | ExpectedType::Text
            | ExpectedType::Integer
            | ExpectedType::Boolean
            | ExpectedType::TextOrSettings(_)
            | ExpectedType::Switch(_) => example(schema, resolved),
        };
        let what = if example.is_empty() { "…" } else { &example };
        at.key(name).fault("is missing", format!("add it: it looks like {name}: {what}"));
        at.key(name).suppress();
    }

    fn list(&self, at: &Cursor<'_>, node: &YamlNode, items: &'s Json) -> Option<Json> {
        let YamlValue::List(list) = &node.value else {
            let only = match node.value {
                YamlValue::Map(_) => None,
                _ => Some(format!("[{}]", at.as_written().unwrap_or_else(|| node.shown()))),
            };
            return wrong_type(at, node, "must be a list", only, "");
        };
        let read = |index| self.value(&at.item(index), items).unwrap_or_else(|| self.placeholder(items));
        Some((0..list.len()).map(read).collect())
    }

    /// A list, or its only item.
    fn one_or_more(&self, at: &Cursor<'_>, node: &YamlNode, items: &'s Json) -> Option<Json> {
        match &node.value {
            YamlValue::List(_) => self.list(at, node, items),
            _ => self.value(at, items).map(|only| Json::Array(vec![only])),
        }
    }

    /// A value of the right type in the place of an invalid item, so that the other items keep their indexes.
    fn placeholder(&self, schema: &Json) -> Json {
        match self.kind(self.resolve(schema)) {
            ExpectedType::Words(words) => words.first().copied().unwrap_or_default().into(),
            ExpectedType::Object => Json::Object(Map::new()),
            ExpectedType::List(_) | ExpectedType::OneOrMore(_) => Json::Array(Vec::new()),
            ExpectedType::Text | ExpectedType::TextOrSettings(_) => "".into(),
            ExpectedType::Integer => 1.into(),
            ExpectedType::Boolean | ExpectedType::Switch(_) => false.into(),
        }
    }

    fn resolve<'a>(&'a self, schema: &'a Json) -> &'a Json {
        let name = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/$defs/"));
        name.map_or(schema, |name| &self.root["$defs"][name])
    }

    fn kind<'a>(&self, schema: &'a Json) -> ExpectedType<'a> {
        let choices = schema["oneOf"].as_array().into_iter().flatten().filter_map(|choice| choice["const"].as_str());
        let words: Vec<&str> =
            choices.chain(schema["enum"].as_array().into_iter().flatten().filter_map(Json::as_str)).collect();
        match schema["type"].as_str() {
            _ if !words.is_empty() => ExpectedType::Words(words),
            None if schema["anyOf"][0]["type"] == "boolean" => ExpectedType::Switch(&schema["anyOf"][1]),
            None if schema["anyOf"][1]["$ref"].is_string() => ExpectedType::TextOrSettings(&schema["anyOf"][1]),
            None if schema["anyOf"].is_array() => ExpectedType::OneOrMore(&schema["anyOf"][1]["items"]),
            Some("array") => ExpectedType::List(&schema["items"]),
            Some("string") => ExpectedType::Text,
            Some("integer") => ExpectedType::Integer,
            Some("boolean") => ExpectedType::Boolean,
            Some(_) | None => ExpectedType::Object,
        }
    }
}

/// The type that a schema asks for.
enum ExpectedType<'a> {
    Words(Vec<&'a str>),
    Object,
    List(&'a Json),
    /// A text, or a list of them.
    OneOrMore(&'a Json),
    Text,
    Integer,
    Boolean,
    /// A text, or a mapping in its place.
    TextOrSettings(&'a Json),
    /// Whether something is on, or a mapping that says how.
    Switch(&'a Json),
}

fn word(at: &Cursor<'_>, node: &YamlNode, words: &[&str]) -> Option<Json> {
    let written = match &node.value {
        YamlValue::Text(text) | YamlValue::FromEnvironment { text, .. } => text,
        // YAML before 1.2 reads a bare `off` as false.
        YamlValue::Boolean(false) if words.contains(&"off") => return Some("off".into()),
        YamlValue::Null
        | YamlValue::Boolean(_)
        | YamlValue::Integer(_)
        | YamlValue::Float(_)
        | YamlValue::List(_)
        | YamlValue::Map(_) => {
            return wrong_type(at, node, &format!("must be {}", one_of(words)), None, "");
        }
    };
    if words.contains(&written.as_str()) {
        return Some(written.as_str().into());
    }
    let near = nearest(written, words.iter().copied());
    at.invalid_with_guess(format!("must be {}", one_of(words)), near.map(str::to_owned), "");
    None
}

fn one_of(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}

fn text(at: &Cursor<'_>, node: &YamlNode, example: &str) -> Option<Json> {
    match &node.value {
        YamlValue::Text(text) | YamlValue::FromEnvironment { text, .. } => Some(text.as_str().into()),
        YamlValue::Boolean(_) | YamlValue::Integer(_) | YamlValue::Float(_) => {
            let written = at.as_written().unwrap_or_else(|| node.shown());
            let meant = with_unit(&written, example).unwrap_or_else(|| format!("\"{written}\""));
            wrong_type(at, node, "must be text", Some(meant), "")
        }
        YamlValue::Null | YamlValue::List(_) | YamlValue::Map(_) => wrong_type(at, node, "must be text", None, example),
    }
}

fn integer(at: &Cursor<'_>, node: &YamlNode, schema: &Json, resolved: &Json) -> Option<Json> {
    let value = match &node.value {
        YamlValue::Integer(value) => Some(*value),
        YamlValue::FromEnvironment { text, .. } => text.trim().parse().ok(),
        YamlValue::Null
        | YamlValue::Boolean(_)
        | YamlValue::Float(_)
        | YamlValue::Text(_)
        | YamlValue::List(_)
        | YamlValue::Map(_) => None,
    };
    let example = example(schema, resolved);
    let Some(value) = value else {
        let meant = suggest::integer(&at.as_written().unwrap_or_else(|| node.shown()));
        return wrong_type(at, node, "must be a whole number", meant, &example);
    };
    let bound = |name: &str| schema[name].as_i64().or_else(|| resolved[name].as_i64());
    if let Some(least) = bound("minimum").filter(|least| value < *least) {
        return wrong_type(at, node, &format!("must be at least {least}"), Some(least.to_string()), "");
    }
    if let Some(most) = bound("maximum").filter(|most| value > *most) {
        return wrong_type(at, node, &format!("must be at most {most}"), Some(most.to_string()), "");
    }
    Some(value.into())
}

fn boolean(at: &Cursor<'_>, node: &YamlNode) -> Option<Json> {
    match &node.value {
        YamlValue::Boolean(value) => Some((*value).into()),
        YamlValue::FromEnvironment { text, .. } if text == "true" || text == "false" => Some((text == "true").into()),
        YamlValue::Null
        | YamlValue::Integer(_)
        | YamlValue::Float(_)
        | YamlValue::Text(_)
        | YamlValue::FromEnvironment { .. }
        | YamlValue::List(_)
        | YamlValue::Map(_) => {
            let meant = match node.shown().to_lowercase().as_str() {
                "yes" | "on" | "y" | "1" | "true" => Some("true".to_owned()),
                "no" | "off" | "n" | "0" | "false" => Some("false".to_owned()),
                _ => None,
            };
            wrong_type(at, node, "must be true or false", meant, "")
        }
    }
}

/// The number with the unit that it needs; which unit that is comes from an example.
fn with_unit(written: &str, example: &str) -> Option<String> {
    let of = |read: bool, suggest: fn(&str) -> Option<String>| if read { suggest(written) } else { None };
    of(units::parse_duration(example).is_ok(), suggest::duration)
        .or_else(|| of(units::parse_size(example).is_ok(), suggest::size))
        .or_else(|| of(units::parse_rate(example).is_ok(), suggest::rate))
        .or_else(|| of(units::is_date(example), suggest::date))
}

fn wrong_type(at: &Cursor<'_>, node: &YamlNode, wrong: &str, meant: Option<String>, example: &str) -> Option<Json> {
    if node.value == YamlValue::Null {
        at.fault("has no value", "write one, or take the key out");
    } else {
        at.invalid_with_guess(wrong, meant, example);
    }
    None
}

/// The first example of a schema as YAML.
fn example(schema: &Json, resolved: &Json) -> String {
    let examples = [&schema["examples"][0], &resolved["examples"][0]];
    match examples.into_iter().find(|example| !example.is_null()) {
        Some(Json::String(text)) => text.clone(),
        Some(Json::Array(items)) => {
            let items: Vec<&str> = items.iter().filter_map(Json::as_str).collect();
            format!("[{}]", items.join(", "))
        }
        Some(other) => other.to_string(),
        None => String::new(),
    }
}
