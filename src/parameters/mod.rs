//! What a route allows of a request's target and header fields: which of them pass, and in which form.
//!
//! Pure: a checked query or a fault comes out. Parameters are compared by their decoded names, so that `%65mail` is
//! `email`; what could be read in two ways is refused. Never decodes twice, and never changes what it lets pass.

mod fields;
mod form;
mod pattern;
mod query;

use std::borrow::Cow;

pub use form::{ParameterForm, ParameterType};
pub use pattern::ParameterPattern;

use crate::model::{Denial, Reason};

/// What a route allows. `None` in a field allows everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParameterRules {
    /// The parameters of the query.
    pub query: Option<AllowList>,
    /// The header fields of the request.
    pub headers: Option<AllowList>,
    /// The form of captures of the path, by their names.
    pub captures: Vec<(Box<str>, ParameterForm)>,
    /// The form of parameters of the query, by their names. They pass as if `query` listed them.
    pub parameters: Vec<(Box<str>, ParameterForm)>,
}

/// The only names that pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowList {
    /// The names; of header fields in lower case.
    pub names: Vec<Box<str>>,
    /// What happens to others.
    pub other: OtherNames,
}

/// What happens to a name that is not listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OtherNames {
    /// The request is refused.
    #[default]
    Refuse,
    /// It does not go on.
    Drop,
}

/// Why a request is not what its route allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForbiddenParameter {
    /// The key of the route that forbids it, such as `params.limit`.
    pub key: String,
    /// What is wrong. It names a parameter, and holds nothing of its value.
    pub wrong: Cow<'static, str>,
}

impl ParameterRules {
    /// Whether everything passes.
    pub const fn is_empty(&self) -> bool {
        self.query.is_none() && self.headers.is_none() && self.captures.is_empty() && self.parameters.is_empty()
    }

    /// Whether a parameter of the query of this decoded name passes, in its form if it has one.
    pub fn lets_pass(&self, name: &str) -> bool {
        self.query.as_ref().is_none_or(|list| list.has(name)) || form_of(&self.parameters, name).is_some()
    }

    /// Checks the captures of the path, as they stand in it, and the query. Returns the query without what is dropped;
    /// `None` where it goes on as it came.
    ///
    /// # Errors
    /// [`ForbiddenParameter`] for the first that is not allowed.
    pub fn check_target<'a>(
        &self,
        captures: impl Iterator<Item = (&'a str, &'a str)>,
        query: Option<&str>,
    ) -> Result<Option<String>, ForbiddenParameter> {
        for (name, value) in captures {
            if let Some(form) = form_of(&self.captures, name) {
                let wrong = decoded(value, false).ok_or(NOT_TEXT).and_then(|text| form.check(&text));
                wrong.map_err(|wrong| of_form(name, wrong))?;
            }
        }
        match query.filter(|_| self.query.is_some() || !self.parameters.is_empty()) {
            Some(query) => self.check_query(query),
            None => Ok(None),
        }
    }
}

impl AllowList {
    /// Whether the name is listed.
    pub fn has(&self, name: &str) -> bool {
        self.names.iter().any(|listed| **listed == *name)
    }
}

impl From<ForbiddenParameter> for Denial {
    fn from(forbidden: ForbiddenParameter) -> Self {
        Self::new(Reason::ParameterForbidden, format!("{}: {}", forbidden.key, forbidden.wrong))
    }
}

/// The form that a name has in a list.
pub fn form_of<'a>(forms: &'a [(Box<str>, ParameterForm)], name: &str) -> Option<&'a ParameterForm> {
    forms.iter().find(|(known, _)| **known == *name).map(|(_, form)| form)
}

const NOT_TEXT: &str = "is not UTF-8, or a % stands without two digits";

/// The name is one of the contract: a name that a caller chose may be data.
fn of_form(name: &str, wrong: &'static str) -> ForbiddenParameter {
    ForbiddenParameter { key: format!("params.{name}"), wrong: wrong.into() }
}

/// A name that is not listed, shown where it looks like a name and not like data.
fn not_listed(key: &str, what: &str, name: &str) -> ForbiddenParameter {
    let is_good = |b: u8| b.is_ascii_alphabetic() || matches!(b, b'_' | b'-' | b'.' | b'[' | b']');
    let is_name = (1..=40).contains(&name.len()) && name.bytes().all(is_good);
    let shown = if is_name { format!(" '{name}'") } else { String::new() };
    ForbiddenParameter { key: key.to_owned(), wrong: format!("{what}{shown} is not listed").into() }
}

/// The text that a percent-encoded one stands for, where it is UTF-8 and every escape is whole; in a query `+` is a
/// space.
fn decoded(text: &str, is_query: bool) -> Option<Cow<'_, str>> {
    let is_whole = |(at, _): (usize, &str)| {
        text.as_bytes().get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !text.match_indices('%').all(is_whole) {
        return None;
    }
    if is_query && text.contains('+') {
        let spaced = text.replace('+', " ");
        return Some(Cow::Owned(percent_encoding::percent_decode_str(&spaced).decode_utf8().ok()?.into_owned()));
    }
    percent_encoding::percent_decode_str(text).decode_utf8().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_is_decoded_once_and_has_its_form() {
        let form = ParameterForm {
            kind: ParameterType::String,
            pattern: Some(ParameterPattern::parse("[a-z%0-9+]+").expect("a pattern")),
            max_length: Some(6),
        };
        let rules = ParameterRules { captures: vec![("id".into(), form)], ..ParameterRules::default() };
        let check = |value: &str| rules.check_target([("id", value), ("other", "%zz")].into_iter(), Some("id=%zz;"));
        for good in ["ann", "%61nn", "%2561nn", "a+b"] {
            assert_eq!(check(good), Ok(None), "{good}");
        }
        for bad in ["a%20b", "a%0a", "annannann", "%ff", "a%", "%4", ""] {
            assert_eq!(check(bad).expect_err(bad).key, "params.id");
        }
    }

    #[test]
    fn a_denial_shows_a_name_and_nothing_that_may_be_data() {
        let shown = |name| Denial::from(not_listed("query.allow", "a parameter", name)).detail.to_string();
        assert_eq!(shown("sort[by]"), "query.allow: a parameter 'sort[by]' is not listed");
        for data in ["ann@example.com", "0781", "", "a b", "ä"] {
            assert_eq!(shown(data), "query.allow: a parameter is not listed");
        }
    }
}
