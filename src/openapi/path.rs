//! From the path template of a description to a route.
//!
//! A capture of ours is one whole segment. A template such as `/{id}.json` becomes a capture with a pattern, so the
//! route matches no more than the template does.

use crate::bounds::ROUTE_CAPTURES_MAX;
use crate::route::RoutePattern;

/// A path as a route has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct RoutePath {
    pub(super) text: String,
    /// By capture: the name of the parameter that is the whole segment, or the pattern of a segment of several parts.
    pub(super) captures: Vec<(String, Segment)>,
    /// Parameters that the template itself has, such as `?beta=true`, with their values.
    pub(super) query: Vec<(String, String)>,
}

/// What a captured segment is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    /// One parameter.
    Parameter(String),
    /// Text and parameters, as a pattern.
    Pattern(String),
}

impl RoutePath {
    /// Reads a template such as `/v1/customers/{customer-id}`, below `base`.
    ///
    /// # Errors
    /// In words: the template cannot be said as a route.
    pub(super) fn parse(base: &str, template: &str) -> Result<Self, String> {
        if !template.starts_with('/') {
            return Err("does not begin with '/'".to_owned());
        }
        if template.contains('#') {
            return Err("holds a fragment, which no server is sent".to_owned());
        }
        let (template, query) = template.split_once('?').unwrap_or((template, ""));
        let mut path = Self { query: fixed_query(query)?, ..Self::default() };
        for segment in base.trim_end_matches('/').split('/').skip(1) {
            path.text.push('/');
            path.text.push_str(segment);
        }
        for segment in template.split('/').skip(1) {
            path.text.push('/');
            path.push(segment)?;
        }
        if path.captures.len() > ROUTE_CAPTURES_MAX {
            return Err(format!("has more than {ROUTE_CAPTURES_MAX} parameters"));
        }
        RoutePattern::parse(&format!("GET {}", path.text)).map_err(|error| error.to_string())?;
        Ok(path)
    }

    fn push(&mut self, segment: &str) -> Result<(), String> {
        let parts = parts(segment)?;
        if let [Part::Text(text)] = &parts[..] {
            self.text.push_str(text);
            return Ok(());
        }
        let names: Vec<&str> = parts.iter().filter_map(Part::name).collect();
        if names.is_empty() {
            return Ok(());
        }
        let whole = matches!(parts[..], [Part::Name(_)]);
        let name = self.free_name(&names.join("_"));
        self.text.push_str(&format!("{{{name}}}"));
        let segment = if whole { Segment::Parameter(names[0].to_owned()) } else { Segment::Pattern(pattern(&parts)) };
        self.captures.push((name, segment));
        Ok(())
    }

    /// A name that a capture can have, and that no other capture has.
    fn free_name(&self, wanted: &str) -> String {
        let plain: String = wanted.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let plain = if plain.starts_with(|c: char| c.is_ascii_digit()) { format!("p{plain}") } else { plain };
        let is_taken = |name: &str| self.captures.iter().any(|(taken, _)| taken.eq_ignore_ascii_case(name));
        let numbered = (2..).map(|n| format!("{plain}_{n}"));
        std::iter::once(plain.clone()).chain(numbered).find(|name| !is_taken(name)).unwrap_or(plain)
    }
}

/// The parameters of a template's query.
fn fixed_query(query: &str) -> Result<Vec<(String, String)>, String> {
    if query.contains(['{', '}', '%', '+']) {
        return Err("holds a query that is not plain, by which routes are not told apart".to_owned());
    }
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    Ok(pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect())
}

enum Part<'a> {
    Text(&'a str),
    Name(&'a str),
}

impl<'a> Part<'a> {
    fn name(&self) -> Option<&'a str> {
        match self {
            Self::Name(name) => Some(name),
            Self::Text(_) => None,
        }
    }
}

fn parts(segment: &str) -> Result<Vec<Part<'_>>, String> {
    let mut parts = Vec::new();
    let mut rest = segment;
    while let Some((text, behind)) = rest.split_once('{') {
        let (name, after) =
            behind.split_once('}').ok_or_else(|| format!("'{segment}' has a brace without its pair"))?;
        if name.is_empty() || name.starts_with(['+', '*', '/', '.', ';']) || name.ends_with('*') {
            return Err(format!("{{{name}}} may hold more than one segment, or none"));
        }
        parts.extend((!text.is_empty()).then_some(Part::Text(text)));
        parts.push(Part::Name(name));
        rest = after;
    }
    if !rest.is_empty() || parts.is_empty() {
        parts.push(Part::Text(rest));
    }
    Ok(parts)
}

/// The pattern of a segment of several parts, as [`crate::parameters::ParameterPattern`] reads it.
fn pattern(parts: &[Part<'_>]) -> String {
    let mut pattern = String::new();
    for part in parts {
        match part {
            Part::Name(_) => pattern.push_str(".+"),
            Part::Text(text) => pattern.push_str(&escape(text)),
        }
    }
    pattern
}

/// A text that matches itself alone.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if r"\.+*?()|[]{}^$#&-~".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::ParameterPattern;

    #[test]
    fn a_template_becomes_a_route_that_matches_no_more() {
        for (base, template, expected) in [
            ("", "/customers/{customer-id}", "/customers/{customer_id}"),
            ("/v1/", "/a/{id}/b/{id}", "/v1/a/{id}/b/{id_2}"),
            ("/", "/", "/"),
            ("", "/a/", "/a/"),
            ("/v1", "/Accounts/{Sid}.json", "/v1/Accounts/{Sid}"),
            ("", "/compare/{base}...{head}", "/compare/{base_head}"),
            ("", "/v1/{name}:cancel", "/v1/{name}"),
            ("", "/a/{3d}", "/a/{p3d}"),
        ] {
            assert_eq!(RoutePath::parse(base, template).map(|path| path.text), Ok(expected.to_owned()), "{template}");
        }
        let path = RoutePath::parse("", "/c/{base}...{head}").expect("a route");
        let Segment::Pattern(pattern) = &path.captures[0].1 else { panic!("a pattern") };
        let pattern = ParameterPattern::parse(pattern).expect("a pattern");
        assert!(pattern.matches("main...next") && !pattern.matches("main") && !pattern.matches("mainXXXnext"));
        for template in ["a", "/a?x={y}", "/a/{x", "/a/{+path}", "/a/{path*}", "/a//b", "/a/..", "/{a}/{}", "/ä"] {
            assert!(RoutePath::parse("", template).is_err(), "{template}");
        }
        assert!(RoutePath::parse("", &"/{a}".repeat(9)).is_err());
        let path = RoutePath::parse("", "/a?beta=true&x").expect("a route");
        assert_eq!((path.text.as_str(), path.query.len()), ("/a", 2));
    }

    #[test]
    fn an_escaped_text_matches_itself() {
        let text: Vec<char> = (' '..='~').collect();
        for some in text.chunks(8) {
            let some: String = some.iter().collect();
            assert!(ParameterPattern::parse(&escape(&some)).expect("a pattern").matches(&some), "{some}");
        }
    }
}
