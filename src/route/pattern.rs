//! A route as a contract writes it: `GET /v1/customers/{id}`.
//!
//! `{name}` is one whole segment, `{*rest}` the tail, `*` any method. A pattern that parses cannot mean two things: it holds
//! no escapes, no empty or dot segments, no query, and no capture inside a word.

use std::fmt;

use super::Methods;
use crate::bounds::ROUTE_CAPTURES_MAX;

/// Methods and a path pattern.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RoutePattern {
    methods: Methods,
    segments: Box<[Segment]>,
    text: Box<str>,
}

/// One piece of a path between slashes; a literal is empty only as the end of a path with a trailing slash.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Segment {
    Literal(Box<str>),
    Capture(Box<str>),
    Tail(Box<str>),
}

/// Why a text is not a route.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Not one method, one space, one path.
    #[error("must be methods and a path, such as GET /v1/customers/{{id}}")]
    Shape,
    /// An unknown method.
    #[error(
        "'{0}' is no method; methods are GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS, several as GET|POST, any as *"
    )]
    Method(String),
    /// The path does not begin with `/`.
    #[error("the path must begin with '/'")]
    NoSlash,
    /// `//`: written so by nobody on purpose.
    #[error("the path has an empty segment")]
    EmptySegment,
    /// `.` or `..`.
    #[error("the path has a dot segment")]
    DotSegment,
    /// A character that cannot stand in a segment as it is.
    #[error("'{0}' cannot stand in a path segment; write the path unescaped, without query or wildcard")]
    Character(char),
    /// A brace that does not enclose a whole segment, or a bad name in it.
    #[error("'{0}' is no capture; write {{name}} for one whole segment, {{*rest}} for the tail")]
    Capture(String),
    /// The same name twice.
    #[error("the name '{0}' stands twice")]
    RepeatedName(String),
    /// `{*rest}` before the end.
    #[error("the tail {{*{0}}} must be the last segment")]
    TailNotLast(String),
    /// More captures than a lookup returns.
    #[error("has more than {ROUTE_CAPTURES_MAX} captures")]
    TooManyCaptures,
}

impl RoutePattern {
    /// Parses a route.
    ///
    /// # Errors
    /// [`PatternError`] says what cannot be read.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let (methods, path) = text.split_once(' ').ok_or(PatternError::Shape)?;
        let methods = Methods::parse(methods).ok_or_else(|| PatternError::Method(methods.to_owned()))?;
        let segments = parse_path(path)?;
        let text = format!("{methods} {path}").into();
        Ok(Self { methods, segments, text })
    }

    /// The methods, `HEAD` included where `GET` is.
    pub const fn methods(&self) -> Methods {
        self.methods
    }

    /// Methods and path in one form: the route's name in metrics, logs and reports.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The names of the captures, in the order of [`super::Captures`].
    pub fn capture_names(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(Segment::name)
    }

    /// Whether some request matches both patterns.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.methods.intersects(other.methods) && self.path_overlaps(other)
    }

    /// Whether every request that matches this pattern matches the other too.
    pub fn is_within(&self, other: &Self) -> bool {
        self.methods.within(other.methods) && self.path_within(other)
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    pub(super) fn has_tail(&self) -> bool {
        matches!(self.segments.last(), Some(Segment::Tail(_)))
    }

    /// Whether some path matches both patterns.
    pub(super) fn path_overlaps(&self, other: &Self) -> bool {
        let (mut left, mut right) = (self.segments.iter(), other.segments.iter());
        loop {
            match (left.next(), right.next()) {
                (Some(Segment::Literal(a)), Some(Segment::Literal(b))) if a != b => return false,
                (Some(Segment::Literal(end)), Some(Segment::Capture(_) | Segment::Tail(_)))
                | (Some(Segment::Capture(_) | Segment::Tail(_)), Some(Segment::Literal(end)))
                    if end.is_empty() =>
                {
                    return false;
                }
                (Some(Segment::Tail(_)), Some(_)) | (Some(_), Some(Segment::Tail(_))) | (None, None) => return true,
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
                (Some(Segment::Literal(end)), Some(Segment::Capture(_) | Segment::Tail(_))) if end.is_empty() => {
                    return false;
                }
                (Some(_), Some(Segment::Tail(_))) | (None, None) => return true,
                (Some(Segment::Literal(a)), Some(Segment::Literal(b))) if a == b => {}
                (Some(Segment::Literal(_) | Segment::Capture(_)), Some(Segment::Capture(_))) => {}
                (Some(_), Some(_)) | (None, Some(_)) | (Some(_), None) => return false,
            }
        }
    }
}

impl Segment {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Capture(name) | Self::Tail(name) => Some(name),
        }
    }

    fn parse(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::EmptySegment);
        }
        if text == "." || text == ".." {
            return Err(PatternError::DotSegment);
        }
        if text.contains(['{', '}']) {
            return Self::parse_capture(text).ok_or_else(|| PatternError::Capture(text.to_owned()));
        }
        match text.chars().find(|c| !is_literal_char(*c)) {
            Some(c) => Err(PatternError::Character(c)),
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

fn parse_path(path: &str) -> Result<Box<[Segment]>, PatternError> {
    let inner = path.strip_prefix('/').ok_or(PatternError::NoSlash)?;
    if inner.is_empty() {
        return Ok(Box::default());
    }
    let (inner, slash) = inner.strip_suffix('/').map_or((inner, false), |inner| (inner, true));
    let mut segments = inner.split('/').map(Segment::parse).collect::<Result<Vec<_>, _>>()?;
    segments.extend(slash.then(|| Segment::Literal("".into())));
    check_captures(&segments)?;
    Ok(segments.into())
}

fn check_captures(segments: &[Segment]) -> Result<(), PatternError> {
    for (i, segment) in segments.iter().enumerate() {
        let Some(name) = segment.name() else { continue };
        if segments[..i].iter().any(|earlier| earlier.name() == Some(name)) {
            return Err(PatternError::RepeatedName(name.to_owned()));
        }
        if matches!(segment, Segment::Tail(_)) && i + 1 < segments.len() {
            return Err(PatternError::TailNotLast(name.to_owned()));
        }
    }
    let captures = segments.iter().filter(|segment| segment.name().is_some()).count();
    if captures > ROUTE_CAPTURES_MAX { Err(PatternError::TooManyCaptures) } else { Ok(()) }
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
    fn routes_print_in_one_form() {
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
    fn a_route_that_could_mean_two_things_is_refused() {
        for (text, wrong) in [
            ("/v1", PatternError::Shape),
            ("FETCH /v1", PatternError::Method("FETCH".into())),
            ("GET v1", PatternError::NoSlash),
            ("GET  /v1", PatternError::NoSlash),
            ("GET /v1//a", PatternError::EmptySegment),
            ("GET //", PatternError::EmptySegment),
            ("GET /v1//", PatternError::EmptySegment),
            ("GET /v1/../a", PatternError::DotSegment),
            ("GET /v1/a%2fb", PatternError::Character('%')),
            ("GET /v1?x=1", PatternError::Character('?')),
            ("GET /v1/*", PatternError::Character('*')),
            ("GET /v1/ä", PatternError::Character('ä')),
            ("GET /v1/{id}.json", PatternError::Capture("{id}.json".into())),
            ("GET /v1/{}", PatternError::Capture("{}".into())),
            ("GET /v1/{a-b}", PatternError::Capture("{a-b}".into())),
            ("GET /v1/{a}/{a}", PatternError::RepeatedName("a".into())),
            ("GET /v1/{*a}/b", PatternError::TailNotLast("a".into())),
            ("GET /{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}", PatternError::TooManyCaptures),
        ] {
            assert_eq!(RoutePattern::parse(text), Err(wrong), "{text}");
        }
    }

    #[test]
    fn overlap_and_containment() {
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
