//! Strict JSON for tokens, key sets and issuers' answers: every accepted text has exactly one reading.
//!
//! Two parsers must never disagree about the same bytes of a token. So a repeated member is refused at any depth,
//! however it is spelt (escapes are resolved before names are compared), and so is anything after the document. Numbers
//! are doubles, as RFC 8259 section 6 expects peers to read them. The text given is bounded, and so is what is kept of
//! it.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::bounds::{IDENTITY_JSON_DEPTH_MAX, IDENTITY_JSON_MEMBERS_MAX};

/// Why a text is not the JSON object that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not JSON by RFC 8259, not UTF-8, or not an object.
    #[error("not a JSON object")]
    Malformed,
    /// A member is repeated, or there are too many, or they nest too deeply.
    #[error("has a repeated member, or more or deeper ones than allowed")]
    Ambiguous,
    /// A member has another JSON type than its specification gives it.
    #[error("a member has the wrong JSON type")]
    WrongType,
}

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    /// The literal `null`.
    Null,
    /// `true` or `false`
    Bool(bool),
    /// Any number.
    Number(f64),
    /// A string, unescaped.
    Text(String),
    /// An array.
    List(Vec<Json>),
    /// An object.
    Object(Object),
}

/// A JSON object, in the order in which it was written.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Object(Vec<(String, Json)>);

impl Object {
    /// Parses exactly one object, with white space around it at most.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        let value = DepthLimit(IDENTITY_JSON_DEPTH_MAX).deserialize(&mut reader).map_err(classify)?;
        reader.end().map_err(classify)?;
        match value {
            Json::Object(object) => Ok(object),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) | Json::List(_) => Err(JsonError::Malformed),
        }
    }

    /// A member, whatever its type.
    pub(crate) fn get(&self, name: &str) -> Option<&Json> {
        self.0.iter().find(|(member, _)| member == name).map(|(_, value)| value)
    }

    /// The same object without members that are `null`: some issuers write `null` for a member that they could leave
    /// out.
    pub(crate) fn without_nulls(mut self) -> Self {
        self.0.retain(|(_, value)| *value != Json::Null);
        self
    }

    /// All members.
    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// A member that must be a string where it is present.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, JsonError> {
        match self.get(name) {
            None => Ok(None),
            Some(Json::Text(text)) => Ok(Some(text)),
            Some(_) => Err(JsonError::WrongType),
        }
    }

    /// A member that must be a number where it is present.
    pub(crate) fn number(&self, name: &str) -> Result<Option<f64>, JsonError> {
        match self.get(name) {
            None => Ok(None),
            Some(Json::Number(number)) => Ok(Some(*number)),
            Some(_) => Err(JsonError::WrongType),
        }
    }

    /// A member that must be an array of strings where it is present.
    pub(crate) fn texts(&self, name: &str) -> Result<Option<Vec<&str>>, JsonError> {
        match self.get(name) {
            None => Ok(None),
            Some(Json::List(items)) => {
                items.iter().map(Json::as_text).collect::<Option<_>>().map(Some).ok_or(JsonError::WrongType)
            }
            Some(_) => Err(JsonError::WrongType),
        }
    }
}

/// The members of these names, as they are written, out of a document of which nothing else is used. Other members may
/// be repeated, deep and many: a strange member must not make the wanted ones unreadable. A byte order mark is skipped.
pub(crate) fn pick<'a, const N: usize>(
    document: &'a [u8],
    names: [&'static str; N],
) -> Result<[Option<&'a RawValue>; N], JsonError> {
    let document = document.strip_prefix(BYTE_ORDER_MARK).unwrap_or(document);
    let mut reader = serde_json::Deserializer::from_slice(document);
    let picked = reader.deserialize_map(MemberPicker(names)).map_err(classify)?;
    reader.end().map_err(classify)?;
    Ok(picked)
}

/// What some editors and servers put before UTF-8, and RFC 8259 section 8.1 lets a reader skip.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

struct MemberPicker<const N: usize>([&'static str; N]);

impl<'de, const N: usize> Visitor<'de> for MemberPicker<N> {
    type Value = [Option<&'de RawValue>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut picked = [None; N];
        while let Some(name) = members.next_key::<Cow<'de, str>>()? {
            match self.0.iter().position(|wanted| *wanted == name) {
                None => drop(members.next_value::<serde::de::IgnoredAny>()?),
                Some(at) if picked[at].is_some() => return Err(A::Error::custom("a repeated member")),
                Some(at) => picked[at] = Some(members.next_value()?),
            }
        }
        Ok(picked)
    }
}

impl Json {
    /// The text, where it is a string.
    pub(crate) fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
}

fn classify(error: serde_json::Error) -> JsonError {
    if error.is_data() { JsonError::Ambiguous } else { JsonError::Malformed }
}

/// How many levels of nesting are still allowed.
#[derive(Clone, Copy)]
struct DepthLimit(usize);

impl DepthLimit {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        self.0.checked_sub(1).map(Self).ok_or_else(|| E::custom("nested too deeply"))
    }
}

impl<'de> DeserializeSeed<'de> for DepthLimit {
    type Value = Json;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for DepthLimit {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value as f64))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let inner = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let inner = self.deeper()?;
        let mut object: Vec<(String, Json)> = Vec::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.len() == IDENTITY_JSON_MEMBERS_MAX || object.iter().any(|(known, _)| *known == name) {
                return Err(A::Error::custom("repeated, or one too many"));
            }
            let value = members.next_value_seed(inner)?;
            object.push((name, value));
        }
        Ok(Json::Object(Object(object)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_read_by_their_exact_type() {
        let parsed = Object::parse(br#" {"a":"x","n":1.5,"l":["p","q"],"o":{"a":null}} "#).expect("an object");
        assert_eq!(parsed.text("a"), Ok(Some("x")));
        assert_eq!(parsed.number("n"), Ok(Some(1.5)));
        assert_eq!(parsed.texts("l"), Ok(Some(vec!["p", "q"])));
        assert_eq!(parsed.text("n"), Err(JsonError::WrongType));
        assert_eq!(parsed.text("absent"), Ok(None));
    }

    #[test]
    fn repeated_members_are_refused_however_they_are_spelt() {
        for text in
            [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":2}"#, r#"{"x":{"k":1,"k":2}}"#, r#"{"x":[{"k":1,"\u006b":2}]}"#]
        {
            assert_eq!(Object::parse(text.as_bytes()), Err(JsonError::Ambiguous), "{text}");
        }
    }

    #[test]
    fn dialects_and_bounds_are_refused() {
        let deep = format!("{}1{}", "{\"a\":".repeat(40), "}".repeat(40));
        let wide = format!("{{{}}}", (0..300).map(|i| format!("\"{i}\":1")).collect::<Vec<_>>().join(","));
        for text in [deep.as_str(), &wide] {
            assert_eq!(Object::parse(text.as_bytes()), Err(JsonError::Ambiguous));
        }
        let bad: [&[u8]; 9] = [
            b"",
            b"[]",
            b"{}x",
            b"\xef\xbb\xbf{}",
            b"{'a':1}",
            b"{\"a\":1,}",
            b"{\"a\":NaN}",
            b"{\"a\":1e999}",
            b"{\"a\":\"\xff\"}",
        ];
        for text in bad {
            assert_eq!(Object::parse(text), Err(JsonError::Malformed), "{text:?}");
        }
        assert_eq!(Object::parse(br#"{"a":"\ud800"}"#), Err(JsonError::Malformed));
    }
}
