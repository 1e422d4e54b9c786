//! A route as a contract writes it: `GET /v1/customers/{id}`.
//!
//! `{name}` is one whole segment, `{*rest}` is the rest of the path, `*` is any method. A pattern that parses has only
//! one meaning: it holds no escapes, no empty segments, no dot segments, no query, and no capture within a word.

use std::fmt;

use http::Method;

use super::MethodSet;
use crate::bounds::ROUTE_CAPTURES_MAX;

/// Methods and a path pattern.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RoutePattern {
    methods: MethodSet,
    segments: Box<[PatternSegment]>,
    text: Box<str>,
}

/// One part of a path between slashes. A literal is empty only at the end of a path with a trailing slash.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum PatternSegment {
    Literal(Box<str>),
    Capture(Box<str>),
    Tail(Box<str>),
}

/// Why a text is not a route pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoutePatternError {
    /// The text is not methods, one space and a path.
    #[error("must be methods and a path, such as GET /v1/customers/{{id}}")]
    Shape,
    /// A method is unknown or repeated.
    #[error(
        "'{0}' is no method; methods are GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS, several as GET|POST, any as *"
    )]
    Method(String),
    /// The path does not begin with `/`.
    #[error("the path must begin with '/'")]
    NoSlash,
    /// The path has `//`, which is a mistake rather than intended.
    #[error("the path has an empty segment")]
    EmptySegment,
    /// The path has a segment `.` or `..`.
    #[error("the path has a dot segment")]
    DotSegment,
    /// A segment has a character that must be escaped, or that looks like a wildcard.
    #[error("'{0}' is not allowed in a path segment; write the path unescaped, without query or wildcard")]
    Character(char),
    /// A brace does not enclose a whole segment, or the name in it is not letters, digits and `_`.
    #[error("'{0}' is not a capture; write {{name}} for one whole segment, {{*rest}} for the tail")]
    Capture(String),
    /// Two captures have the same name.
    #[error("the name '{0}' is used twice")]
    RepeatedName(String),
    /// `{*rest}` is not the last segment.
    #[error("the tail {{*{0}}} must be the last segment")]
    TailNotLast(String),
    /// The path has more captures than [`ROUTE_CAPTURES_MAX`].
    #[error("has more than {ROUTE_CAPTURES_MAX} captures")]
    TooManyCaptures,
}

impl RoutePattern {
    /// Parses a route pattern.
    ///
    /// # Errors
    /// [`RoutePatternError`] names what is wrong.
    pub fn parse(text: &str) -> Result<Self, RoutePatternError> {
        let (methods, path) = text.split_once(' ').ok_or(RoutePatternError::Shape)?;
        let methods = MethodSet::parse(methods).ok_or_else(|| RoutePatternError::Method(methods.to_owned()))?;
        let segments = parse_path(path)?;
        let text = format!("{methods} {path}").into();
        Ok(Self { methods, segments, text })
    }

    /// The methods, with `HEAD` where `GET` is included.
    pub(super) const fn methods(&self) -> MethodSet {
        self.methods
    }

    /// Whether requests of this method match, as far as the method goes.
    pub fn allows(&self, method: &Method) -> bool {
        MethodSet::slot(method).is_some_and(|slot| self.methods().has(slot))
    }

    /// Methods and path in their canonical form: the name of the route in metrics, logs and reports.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The names of the captures, in the order of [`super::Captures`].
    pub fn capture_names(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(PatternSegment::name)
    }

    /// Whether some request matches both patterns.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.methods.intersects(other.methods) && self.path_overlaps(other)
    }

    /// Whether every request that matches this pattern matches the other too.
    pub fn is_within(&self, other: &Self) -> bool {
        self.methods.within(other.methods) && self.path_within(other)
    }

    /// This pattern for each of its methods apart. They are for comparing, and have this pattern's text.
    pub fn by_method(&self) -> Vec<Self> {
        self.methods.singles().map(|methods| Self { methods, ..self.clone() }).collect()
    }

    /// The place in the path of a capture, by its name.
    pub fn capture_place(&self, name: &str) -> Option<usize> {
        self.segments.iter().position(|segment| segment.name() == Some(name))
    }

    pub(super) fn segments(&self) -> &[PatternSegment] {
        &self.segments
    }

    pub(super) fn has_tail(&self) -> bool {
        matches!(self.segments.last(), Some(PatternSegment::Tail(_)))
    }

    /// Whether some path matches both patterns.
    pub(super) fn path_overlaps(&self, other: &Self) -> bool {
        let (mut left, mut right) = (self.segments.iter(), other.segments.iter());
        loop {
            match (left.next(), right.next()) {
                (Some(PatternSegment::Literal(a)), Some(PatternSegment::Literal(b))) if a != b => return false,
                (Some(PatternSegment::Literal(end)), Some(PatternSegment::Capture(_) | PatternSegment::Tail(_)))
                | (Some(PatternSegment::Capture(_) | PatternSegment::Tail(_)), Some(PatternSegment::Literal(end)))
                    if end.is_empty() =>
                {
                    return false;
                }
                (Some(PatternSegment::Tail(_)), Some(_)) | (Some(_), Some(PatternSegment::Tail(_))) | (None, None) => {
                    return true;
                }
                (Some(_), Some(_)) => {}
                (None, Some(_)) | (Some(_), None) => return false,
            }
        }
    }

    /// Whether every path that matches this pattern matches the other too.
    pub(super) fn path_within(&self, other: &Self) -> bool {
        let (mut inner, mut outer) = (self.segments.iter(), other.segments.iter());
        loop {
            match (inner.next(), outer.next()) {
                (Some(PatternSegment::Literal(end)), Some(PatternSegment::Capture(_) | PatternSegment::Tail(_)))
                    if end.is_empty() =>
                {
                    return false;
                }
                (Some(_), Some(PatternSegment::Tail(_))) | (None, None) => return true,
                (Some(PatternSegment::Literal(a)), Some(PatternSegment::Literal(b))) if a == b => {}
                (Some(PatternSegment::Literal(_) | PatternSegment::Capture(_)), Some(PatternSegment::Capture(_))) => {}
                (Some(_), Some(_)) | (None, Some(_)) | (Some(_), None) => return false,
            }
        }
    }
}

impl PatternSegment {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Capture(name) | Self::Tail(name) => Some(name),
        }
    }

    fn parse(text: &str) -> Result<Self, RoutePatternError> {
        if text.is_empty() {
            return Err(RoutePatternError::EmptySegment);
        }
        if text == "." || text == ".." {
            return Err(RoutePatternError::DotSegment);
        }
        if text.contains(['{', '}']) {
            return Self::parse_capture(text).ok_or_else(|| RoutePatternError::Capture(text.to_owned()));
        }
        match text.chars().find(|c| !is_literal_char(*c)) {
            Some(c) => Err(RoutePatternError::Character(c)),
            None => Ok(Self::Literal(text.into())),
        }
    }

    fn parse_capture(text: &str) -> Option<Self> {
        let inner = text.strip_prefix('{')?.strip_suffix('}')?;
        let (name, tail) = inner.strip_prefix('*').map_or((inner, false), |name| (name, true));
        let named = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        named.then(|| if tail { Self::Tail(name.into()) } else { Self::Capture(name.into()) })
    }
}

impl fmt::Display for RoutePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for RoutePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn parse_path(path: &str) -> Result<Box<[PatternSegment]>, RoutePatternError> {
    let inner = path.strip_prefix('/').ok_or(RoutePatternError::NoSlash)?;
    if inner.is_empty() {
        return Ok(Box::default());
    }
    let (inner, slash) = inner.strip_suffix('/').map_or((inner, false), |inner| (inner, true));
    let mut segments = inner.split('/').map(PatternSegment::parse).collect::<Result<Vec<_>, _>>()?;
    segments.extend(slash.then(|| PatternSegment::Literal("".into())));
    check_captures(&segments)?;
    Ok(segments.into())
}

fn check_captures(segments: &[PatternSegment]) -> Result<(), RoutePatternError> {
    for (i, segment) in segments.iter().enumerate() {
        let Some(name) = segment.name() else { continue };
        if segments[..i].iter().any(|earlier| earlier.name() == Some(name)) {
            return Err(RoutePatternError::RepeatedName(name.to_owned()));
        }
        if matches!(segment, PatternSegment::Tail(_)) && i + 1 < segments.len() {
            return Err(RoutePatternError::TailNotLast(name.to_owned()));
        }
    }
    let captures = segments.iter().filter(|segment| segment.name().is_some()).count();
    if captures > ROUTE_CAPTURES_MAX { Err(RoutePatternError::TooManyCaptures) } else { Ok(()) }
}

/// `pchar` of RFC 3986 without `%`, and without `*`, which here would look like a wildcard.
fn is_literal_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~!$&'()+,;=:@".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> RoutePattern {
        RoutePattern::parse(text).expect(text)
    }

    #[test]
    fn a_route_pattern_prints_in_its_canonical_form() {
        for text in
            ["GET /", "GET|POST /v1/customers", "* /v1/{*rest}", "DELETE /v1/a-b.c/{id}/x", "GET /a:b@c", "GET /a/"]
        {
            assert_eq!(parse(text).to_string(), text);
        }
        assert_eq!(parse("HEAD|GET /v1").to_string(), "GET /v1");
        let pattern = parse("GET /v1/{a}/x/{b}/{*c}");
        assert_eq!(pattern.capture_names().collect::<Vec<_>>(), ["a", "b", "c"]);
    }

    #[test]
    fn a_pattern_with_two_meanings_is_refused() {
        for (text, wrong) in [
            ("/v1", RoutePatternError::Shape),
            ("FETCH /v1", RoutePatternError::Method("FETCH".into())),
            ("GET v1", RoutePatternError::NoSlash),
            ("GET  /v1", RoutePatternError::NoSlash),
            ("GET /v1//a", RoutePatternError::EmptySegment),
            ("GET //", RoutePatternError::EmptySegment),
            ("GET /v1//", RoutePatternError::EmptySegment),
            ("GET /v1/../a", RoutePatternError::DotSegment),
            ("GET /v1/a%2fb", RoutePatternError::Character('%')),
            ("GET /v1?x=1", RoutePatternError::Character('?')),
            ("GET /v1/*", RoutePatternError::Character('*')),
            ("GET /v1/ä", RoutePatternError::Character('ä')),
            ("GET /v1/{id}.json", RoutePatternError::Capture("{id}.json".into())),
            ("GET /v1/{}", RoutePatternError::Capture("{}".into())),
            ("GET /v1/{a-b}", RoutePatternError::Capture("{a-b}".into())),
            ("GET /v1/{a}/{a}", RoutePatternError::RepeatedName("a".into())),
            ("GET /v1/{*a}/b", RoutePatternError::TailNotLast("a".into())),
            ("GET /{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}", RoutePatternError::TooManyCaptures),
        ] {
            assert_eq!(RoutePattern::parse(text), Err(wrong), "{text}");
        }
    }

    #[test]
    fn patterns_overlap_or_contain_each_other_as_listed() {
        for (left, right, overlaps, within) in [
            ("GET /a", "GET /a", true, true),
            ("GET /a", "GET /{x}", true, true),
            ("GET /{x}", "GET /a", true, false),
            ("GET /a", "GET /{*x}", true, true),
            ("GET /", "GET /{*x}", false, false),
            ("GET /a/{x}/c", "GET /a/b/{y}", true, false),
            ("GET /a/{x}/{*y}", "GET /a/{*y}", true, true),
            ("GET /a/{*y}", "GET /a/{x}", true, false),
            ("GET /a/", "GET /a/{x}", false, false),
            ("GET /a/", "GET /a/{*x}", false, false),
            ("GET /a/", "GET /a", false, false),
            ("GET /{x}/", "GET /{*y}", true, true),
            ("GET /a/b", "GET /a", false, false),
            ("GET /a/b", "GET /a/c", false, false),
        ] {
            let (left, right) = (parse(left), parse(right));
            assert_eq!(left.path_overlaps(&right), overlaps, "{left} {right}");
            assert_eq!(right.path_overlaps(&left), overlaps, "{right} {left}");
            assert_eq!(left.path_within(&right), within, "{left} {right}");
        }
    }
}
