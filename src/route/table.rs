//! The table of all routes of one contract and direction, in which the route of a request is looked up.
//!
//! Literal segments win over captures, and captures over tails. Of two routes with the same path, the one with fewer
//! methods wins. No table can be built of routes for which these rules leave it open which of them a request takes.

use http::Method;
use matchit::Router;

use super::pattern::PatternSegment;
use super::{MethodSet, RoutePattern};
use crate::bounds::{ROUTE_CAPTURES_MAX, ROUTES_MAX};

/// The index of a route in the list of its contract, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteIndex(u16);

/// The captures of a matched pattern, as ranges of the path, so that nothing is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Captures {
    ranges: [(u16, u16); ROUTE_CAPTURES_MAX],
    count: u8,
}

/// Two routes for which it is open which of them a request takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteConflict {
    /// The route that is listed first.
    pub first: RouteIndex,
    /// The route that is listed later.
    pub second: RouteIndex,
    /// How they collide.
    pub overlap: RouteOverlap,
}

/// How two routes collide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteOverlap {
    /// Both match the same requests.
    Same,
    /// Some requests match both, and neither route is more specific.
    Ambiguous,
}

/// Finds the route of a request.
#[derive(Debug, Default)]
pub struct RouteTable {
    by_method: [MethodRoutes; MethodSet::SLOTS],
    patterns: Box<[RoutePattern]>,
}

/// The routes of one method.
#[derive(Debug, Default)]
struct MethodRoutes {
    /// The patterns without a tail.
    exact: Router<RouteIndex>,
    /// The patterns with a tail, the most specific first. They are few, so they are scanned.
    tails: Vec<RouteIndex>,
}

impl RouteIndex {
    /// The index as a number.
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

impl Captures {
    /// The range of the path that the capture of this index matched, in the order of [`RoutePattern::capture_names`].
    pub fn range(&self, index: usize) -> Option<std::ops::Range<usize>> {
        let (start, end) = *self.ranges[..usize::from(self.count)].get(index)?;
        Some(usize::from(start)..usize::from(end))
    }

    fn push(&mut self, start: usize, end: usize) -> Option<()> {
        let range = (u16::try_from(start).ok()?, u16::try_from(end).ok()?);
        *self.ranges.get_mut(usize::from(self.count))? = range;
        self.count += 1;
        Some(())
    }
}

impl RouteTable {
    /// Builds the table. The index of a route is its position in the iteration.
    ///
    /// # Errors
    /// All pairs of routes that conflict. Routes beyond [`ROUTES_MAX`] are ignored: the config refuses them.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a RoutePattern>) -> Result<Self, Vec<RouteConflict>> {
        let patterns: Box<[RoutePattern]> = patterns.into_iter().take(ROUTES_MAX).cloned().collect();
        let conflicts = conflicts(&patterns);
        if !conflicts.is_empty() {
            return Err(conflicts);
        }
        let by_method = std::array::from_fn(|slot| MethodRoutes::new(&patterns, slot));
        Ok(Self { by_method, patterns })
    }

    /// The route of a request, by its canonical path without query. `None` when no route has this method and path, also
    /// where a route has the path for other methods.
    pub fn find(&self, method: &Method, path: &str) -> Option<(RouteIndex, Captures)> {
        let slot = &self.by_method[MethodSet::slot(method)?];
        if let Ok(found) = slot.exact.at(path) {
            return Some((*found.value, captures_of(path, &found.params)?));
        }
        slot.tails.iter().find_map(|index| Some((*index, match_tail(self.pattern(*index), path)?)))
    }

    fn pattern(&self, index: RouteIndex) -> &RoutePattern {
        &self.patterns[index.get()]
    }
}

impl MethodRoutes {
    fn new(patterns: &[RoutePattern], slot: usize) -> Self {
        let mut reachable: Vec<(RouteIndex, &RoutePattern)> =
            indexed(patterns).filter(|(_, pattern)| pattern.methods().has(slot)).collect();
        reachable.sort_by_key(|(_, pattern)| pattern.methods().size());
        let mut made = Self::default();
        let mut seen = std::collections::HashSet::new();
        for (index, pattern) in reachable {
            if !seen.insert(shape(pattern)) {
                continue;
            }
            if pattern.has_tail() {
                made.tails.push(index);
            } else {
                // Cannot fail: the pattern is valid, has no tail, and is the first one of its shape.
                let inserted = made.exact.insert(shape(pattern), index);
                debug_assert!(inserted.is_ok(), "{pattern}: {inserted:?}");
            }
        }
        made.tails.sort_by_key(|index| std::cmp::Reverse(specificity(&patterns[index.get()])));
        made
    }
}

fn indexed(patterns: &[RoutePattern]) -> impl Iterator<Item = (RouteIndex, &RoutePattern)> {
    (0u16..).map(RouteIndex).zip(patterns)
}

fn conflicts(patterns: &[RoutePattern]) -> Vec<RouteConflict> {
    let mut found = Vec::new();
    for (second, later) in indexed(patterns) {
        for (first, earlier) in indexed(&patterns[..second.get()]) {
            if let Some(overlap) = overlap(earlier, later) {
                found.push(RouteConflict { first, second, overlap });
            }
        }
    }
    found
}

fn overlap(left: &RoutePattern, right: &RoutePattern) -> Option<RouteOverlap> {
    if !left.methods().intersects(right.methods()) || !left.path_overlaps(right) {
        return None;
    }
    match (left.path_within(right), right.path_within(left)) {
        (true, true) if left.methods() == right.methods() => Some(RouteOverlap::Same),
        (true, true) => {
            let nested = left.methods().within(right.methods()) || right.methods().within(left.methods());
            (!nested).then_some(RouteOverlap::Ambiguous)
        }
        (true, false) | (false, true) => None,
        (false, false) => Some(RouteOverlap::Ambiguous),
    }
}

/// The path in the notation of `matchit`, with the captures numbered, so that equal shapes give equal texts.
fn shape(pattern: &RoutePattern) -> String {
    let mut text = String::new();
    for (place, segment) in pattern.segments().iter().enumerate() {
        match segment {
            PatternSegment::Literal(literal) => text.extend(["/", literal]),
            PatternSegment::Capture(_) => text.push_str(&format!("/{{c{place}}}")),
            PatternSegment::Tail(_) => text.push_str("/{*tail}"),
        }
    }
    if text.is_empty() { "/".to_owned() } else { text }
}

/// A key that orders patterns with tails by how specific they are: first by length, then by the number of literals.
fn specificity(pattern: &RoutePattern) -> (usize, usize) {
    let literals = pattern.segments().iter().filter(|segment| matches!(segment, PatternSegment::Literal(_))).count();
    (pattern.segments().len(), literals)
}

fn captures_of(path: &str, params: &matchit::Params<'_, '_>) -> Option<Captures> {
    let mut captures = Captures::default();
    for (_, value) in params.iter() {
        let start = value.as_ptr() as usize - path.as_ptr() as usize;
        captures.push(start, start + value.len())?;
    }
    Some(captures)
}

fn match_tail(pattern: &RoutePattern, path: &str) -> Option<Captures> {
    let mut captures = Captures::default();
    let mut at = 0;
    for segment in pattern.segments() {
        let rest = path[at..].strip_prefix('/')?;
        let length = rest.find('/').unwrap_or(rest.len());
        let start = at + 1;
        match segment {
            PatternSegment::Literal(literal) if rest[..length] == **literal => {}
            PatternSegment::Literal(_) => return None,
            PatternSegment::Capture(_) if length > 0 => captures.push(start, start + length)?,
            PatternSegment::Tail(_) if !rest.is_empty() => {
                captures.push(start, path.len())?;
                return Some(captures);
            }
            PatternSegment::Capture(_) | PatternSegment::Tail(_) => return None,
        }
        at = start + length;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(routes: &[&str]) -> Result<RouteTable, Vec<RouteConflict>> {
        let patterns: Vec<_> = routes.iter().map(|text| RoutePattern::parse(text).expect(text)).collect();
        RouteTable::new(&patterns)
    }

    /// The route of `request` among `routes` and what its captures hold.
    fn check(routes: &[&str], request: &str) -> Option<(usize, Vec<String>)> {
        let table = table(routes).expect("no conflict");
        let (method, path) = request.split_once(' ').expect(request);
        let (index, captures) = table.find(&method.parse().expect(method), path)?;
        let texts = (0..).map_while(|index| captures.range(index));
        Some((index.get(), texts.map(|range| path[range].to_owned()).collect()))
    }

    #[test]
    fn the_most_specific_route_wins() {
        let routes = [
            "GET /v1/customers",
            "GET /v1/customers/{id}",
            "GET /v1/customers/export",
            "* /v1/customers/{id}/{*rest}",
            "POST|PUT /v1/customers/{id}",
            "* /v1/{*rest}",
            "* /v1/customers",
            "GET /v1/customers/",
            "HEAD /v1/customers/export",
        ];
        for (request, expected) in [
            ("GET /v1/customers", Some((0, vec![]))),
            ("HEAD /v1/customers", Some((0, vec![]))),
            ("POST /v1/customers", Some((6, vec![]))),
            ("GET /v1/customers/", Some((7, vec![]))),
            ("GET /v1/customers/7", Some((1, vec!["7"]))),
            ("PUT /v1/customers/7", Some((4, vec!["7"]))),
            ("DELETE /v1/customers/7", Some((5, vec!["customers/7"]))),
            ("GET /v1/customers/export", Some((2, vec![]))),
            ("HEAD /v1/customers/export", Some((8, vec![]))),
            ("GET /v1/customers/7/a/b", Some((3, vec!["7", "a/b"]))),
            ("PURGE /v1/x", Some((5, vec!["x"]))),
            ("TRACE /v1/x", None),
            ("CONNECT /v1/x", None),
            ("GET /v1", None),
            ("GET /v1/", None),
            ("GET /v2/customers", None),
            ("GET ", None),
        ] {
            let expected =
                expected.map(|(at, texts): (_, Vec<&str>)| (at, texts.into_iter().map(str::to_owned).collect()));
            assert_eq!(check(&routes, request), expected, "{request}");
        }
    }

    #[test]
    fn a_method_without_a_route_finds_nothing() {
        assert_eq!(check(&["GET /a"], "POST /a"), None);
        assert_eq!(check(&["HEAD /a"], "GET /a"), None);
        assert_eq!(check(&[], "GET /"), None);
        assert_eq!(check(&["GET /"], "GET /"), Some((0, vec![])));
    }

    #[test]
    fn routes_that_conflict_are_named() {
        for (left, right, expected) in [
            ("GET /a", "GET /a", Some(RouteOverlap::Same)),
            ("GET /a/{x}", "GET|HEAD /a/{y}", Some(RouteOverlap::Same)),
            ("GET|POST /a", "POST|PUT /a", Some(RouteOverlap::Ambiguous)),
            ("GET /{a}/x", "GET /y/{b}", Some(RouteOverlap::Ambiguous)),
            ("* /{a}/x", "GET /y/{*b}", Some(RouteOverlap::Ambiguous)),
            ("GET /{a}/x", "POST /y/{b}", None),
            ("GET /a", "* /a", None),
            ("GET /a/{x}", "GET /a/{*x}", None),
        ] {
            let conflicts = table(&[left, right]).err().unwrap_or_default();
            assert_eq!(conflicts.first().map(|conflict| conflict.overlap), expected, "{left} {right}");
        }
    }

    /// The reference: tries every pattern by itself, and takes the most specific of those that match.
    fn reference(patterns: &[RoutePattern], method: &Method, path: &str) -> Option<usize> {
        let matches = |pattern: &RoutePattern| pattern.methods().contains(method) && path_matches(pattern, path);
        let fits: Vec<usize> = (0..patterns.len()).filter(|at| matches(&patterns[*at])).collect();
        let narrower = |a: usize, b: usize| {
            let (a, b) = (&patterns[a], &patterns[b]);
            a.path_within(b) && (!b.path_within(a) || a.methods().within(b.methods()))
        };
        fits.iter().copied().find(|at| fits.iter().all(|other| narrower(*at, *other)))
    }

    fn path_matches(pattern: &RoutePattern, path: &str) -> bool {
        let mut parts = path.strip_prefix('/').unwrap_or_default().split('/');
        for segment in pattern.segments() {
            let part = parts.next();
            let fits = match segment {
                PatternSegment::Literal(literal) => part == Some(literal),
                PatternSegment::Capture(_) => part.is_some_and(|part| !part.is_empty()),
                PatternSegment::Tail(_) => return part.is_some_and(|part| !part.is_empty() || parts.next().is_some()),
            };
            if !fits {
                return false;
            }
        }
        parts.next().is_none() || (pattern.segments().is_empty() && path == "/")
    }

    fn route() -> impl Strategy<Value = String> {
        let segment = prop_oneof![3 => "[ab]{1,2}", 2 => Just("{}".to_owned())];
        let tail = prop_oneof![3 => Just(""), 1 => Just("/{*t}"), 1 => Just("/")];
        let methods = prop_oneof![Just("GET"), Just("POST"), Just("*"), Just("HEAD"), Just("GET|POST")];
        (methods, prop::collection::vec(segment, 1..4), tail).prop_map(|(methods, segments, tail)| {
            let name =
                |(i, text): (usize, &String)| if text == "{}" { format!("/{{c{i}}}") } else { format!("/{text}") };
            let path: String = segments.iter().enumerate().map(name).collect();
            format!("{methods} {path}{tail}")
        })
    }

    proptest! {
        #[test]
        fn the_table_agrees_with_trying_every_route(
            routes in prop::collection::vec(route(), 1..8),
            path in "(/[ab]{0,2}){1,5}",
            method in prop_oneof![Just(Method::GET), Just(Method::HEAD), Just(Method::POST), Just(Method::DELETE)],
        ) {
            let mut patterns: Vec<RoutePattern> = Vec::new();
            for pattern in routes.iter().map(|text| RoutePattern::parse(text).expect("generated")) {
                if patterns.iter().all(|earlier| overlap(earlier, &pattern).is_none()) {
                    patterns.push(pattern);
                }
            }
            let table = RouteTable::new(&patterns).expect("no conflict");
            let found = table.find(&method, &path);
            prop_assert_eq!(found.map(|(index, _)| index.get()), reference(&patterns, &method, &path));
            if let Some((index, captures)) = found {
                prop_assert_eq!(usize::from(captures.count), table.pattern(index).capture_names().count());
            }
        }
    }
}
