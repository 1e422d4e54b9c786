//! Personal data outside of bodies: queries, path segments, header fields and cookies.
//!
//! What a rule selects is decoded, treated, and encoded for its place again; a text that holds nothing selected
//! comes back borrowed, byte for byte. Refuses what two parsers could read in two ways. Never lets a treated text
//! bring a delimiter, a line break or a dot segment into its place.

use super::fields::{FieldRules, equals_ignoring_case};
use super::form::{FormContext, FormPairs, decode_segment, push_percent};
use super::{Replacement, RewriteError, RewriteObserver, Rules, SelectedValue, Transform, ValueKind, ValueLocation};
use std::borrow::Cow;
use std::ops::Range;

/// The rules of one direction for everything that is not a body.
#[derive(Debug, Clone, Default)]
pub struct HeadRules {
    query: FieldRules,
    headers: Vec<(Box<str>, usize)>,
    cookies: Vec<(Box<str>, usize)>,
    segments: Vec<(Box<str>, usize)>,
}

impl HeadRules {
    /// Picks the rules that have such a place.
    pub fn new(rules: &Rules) -> Self {
        let mut places = Self { query: FieldRules::query(rules), ..Self::default() };
        for (number, rule) in rules.treat.iter().enumerate() {
            match &rule.location {
                ValueLocation::Header(name) => places.headers.push((name.clone(), number)),
                ValueLocation::Cookie(name) => places.cookies.push((name.clone(), number)),
                ValueLocation::Segment(name) => places.segments.push((name.clone(), number)),
                ValueLocation::Field(_) | ValueLocation::Query(_) => {}
            }
        }
        places
    }

    /// The rules for a body, as they stand for the parameters of a URL; without those for queries, which have places of
    /// their own.
    pub fn for_references(rules: &Rules) -> Self {
        Self { query: FieldRules::references(rules), ..Self::default() }
    }

    /// Whether no rule has such a place.
    pub fn is_empty(&self) -> bool {
        self.query.is_empty() && self.headers.is_empty() && self.cookies.is_empty() && self.segments.is_empty()
    }
}

/// One message's use of the rules: with what values are treated, and who is told.
pub struct HeadRewriter<'a> {
    /// The rules.
    pub rules: &'a HeadRules,
    /// What applies treatments.
    pub transform: &'a dyn Transform,
    /// Told of each treated value.
    pub observer: &'a mut dyn RewriteObserver,
}

impl std::fmt::Debug for HeadRewriter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scene").field("places", &self.rules).finish_non_exhaustive()
    }
}

impl HeadRewriter<'_> {
    /// Treats the parameters of a query, given without its `?` (the code of forms; a raw `;` is refused).
    ///
    /// # Errors
    /// [`RewriteError`] when it is not a query that every parser reads alike, or a value cannot be treated.
    pub fn query<'q>(&mut self, query: &'q str) -> Result<Cow<'q, str>, RewriteError> {
        if self.rules.query.is_empty() {
            return Ok(Cow::Borrowed(query));
        }
        let mut out = Vec::with_capacity(query.len() + 128);
        let mut means = FormContext { fields: &self.rules.query, treat: self.transform, observer: self.observer };
        let mut pairs = FormPairs::default();
        pairs.feed(query.as_bytes(), &mut means, &mut out)?;
        pairs.finish(&mut means, &mut out)?;
        unless_equal(query, out)
    }

    /// Treats the segment that the route captured under this name, still percent-encoded as it stands in the path.
    ///
    /// # Errors
    /// [`RewriteError`] when it cannot be decoded, and when it would be left out or become a dot segment: a path has no gaps.
    pub fn segment<'s>(&mut self, capture: &str, segment: &'s str) -> Result<Cow<'s, str>, RewriteError> {
        let Some(rule) = rule_named(&self.rules.segments, |name| name == capture) else {
            return Ok(Cow::Borrowed(segment));
        };
        if self.transform.drops_member(rule) {
            return Err(RewriteError::Untreatable { what: "a path segment cannot be left out" });
        }
        let mut text = Vec::new();
        let decoded = decode_segment(segment.as_bytes(), &mut text)?;
        let treated = self.transformed(rule, decoded.as_bytes())?;
        if matches!(treated.as_slice(), b"" | b"." | b"..") {
            return Err(RewriteError::Untreatable { what: "a path segment cannot become empty or a dot segment" });
        }
        let mut out = Vec::with_capacity(treated.len());
        for &byte in &treated {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'@' | b':' => out.push(byte),
                byte => push_percent(byte, &mut out),
            }
        }
        unless_equal(segment, out)
    }

    /// Treats the segments of a path that its route has captured: the name of each, and where it stands, in their order.
    ///
    /// # Errors
    /// As [`Self::segment`]; and when the places are none of this path's.
    pub fn path<'p>(&mut self, path: &'p str, captures: &[(&str, Range<usize>)]) -> Result<Cow<'p, str>, RewriteError> {
        let mut out = String::with_capacity(path.len());
        let mut copied = 0;
        for (name, place) in captures {
            let outside = RewriteError::Untreatable { what: "a capture that is not in its path" };
            let segment = path.get(place.clone()).ok_or(outside.clone())?;
            out.push_str(path.get(copied..place.start).ok_or(outside)?);
            out.push_str(&self.segment(name, segment)?);
            copied = place.end;
        }
        out.push_str(&path[copied..]);
        unless_equal(path, out.into_bytes())
    }

    /// Treats one header field by its lower-case name; `None` leaves the field out. A rule on the name takes the whole
    /// value; else cookies, and the URLs of `location`, `content-location`, `referer` and `link`, are looked into.
    ///
    /// # Errors
    /// [`RewriteError`] when the value cannot be read or treated.
    pub fn header<'v>(&mut self, name: &str, value: &'v [u8]) -> Result<Option<Cow<'v, [u8]>>, RewriteError> {
        if let Some(rule) = rule_named(&self.rules.headers, |listed| equals_ignoring_case(listed, name)) {
            return self.whole_header(rule, value);
        }
        match name {
            "cookie" if !self.rules.cookies.is_empty() => self.cookies(as_text(value)?),
            "set-cookie" if !self.rules.cookies.is_empty() => self.set_cookie(as_text(value)?),
            "location" | "content-location" | "referer" if !self.rules.query.is_empty() => {
                Ok(Some(bytes(self.location(as_text(value)?)?)))
            }
            "link" if !self.rules.query.is_empty() => Ok(Some(bytes(self.rewrite_link(as_text(value)?)?))),
            _ => Ok(Some(Cow::Borrowed(value))),
        }
    }

    /// Treats the query of a URL or a relative reference, and its fragment where that has parameters too.
    ///
    /// # Errors
    /// As [`Self::query`].
    pub fn location<'u>(&mut self, url: &'u str) -> Result<Cow<'u, str>, RewriteError> {
        let (rest, fragment) = url.split_once('#').map_or((url, None), |(rest, fragment)| (rest, Some(fragment)));
        let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
        let mut out = path.to_owned();
        if let Some(query) = query {
            out.push('?');
            out.push_str(&self.query(query)?);
        }
        if let Some(fragment) = fragment {
            out.push('#');
            out.push_str(&if fragment.contains('=') { self.query(fragment)? } else { Cow::Borrowed(fragment) });
        }
        unless_equal(url, out.into_bytes())
    }

    /// Each `<URL>` of a `Link` field (RFC 8288, section 3).
    fn rewrite_link<'v>(&mut self, value: &'v str) -> Result<Cow<'v, str>, RewriteError> {
        let mut out = String::with_capacity(value.len());
        let mut rest = value;
        while let Some((before, after)) = rest.split_once('<') {
            let malformed = RewriteError::Malformed { what: "a link without its '>'", at: 0 };
            let (url, after) = after.split_once('>').ok_or(malformed)?;
            out.extend([before, "<", &*self.location(url)?, ">"]);
            rest = after;
        }
        out.push_str(rest);
        unless_equal(value, out.into_bytes())
    }

    /// The pairs of a `Cookie` field (RFC 6265, section 4.2): those left out take their `; ` along.
    fn cookies<'v>(&mut self, value: &'v str) -> Result<Option<Cow<'v, [u8]>>, RewriteError> {
        let mut out = Vec::with_capacity(value.len());
        let mut left = 0;
        for pair in value.split(';') {
            let bare = pair.trim_start_matches([' ', '\t']);
            let Some(kept) = self.cookie(bare)? else { continue };
            let gap = if left == 0 { "" } else { &pair[..pair.len() - bare.len()] };
            out.extend_from_slice(if left == 0 { b"" } else { b";" });
            out.extend_from_slice(gap.as_bytes());
            out.extend_from_slice(&kept);
            left += 1;
        }
        Ok((left > 0).then(|| bytes(Cow::Owned(String::from_utf8_lossy(&out).into_owned()))))
    }

    /// A `Set-Cookie` field (RFC 6265, section 4.1): its attributes pass.
    fn set_cookie<'v>(&mut self, value: &'v str) -> Result<Option<Cow<'v, [u8]>>, RewriteError> {
        let end = value.find(';').unwrap_or(value.len());
        let kept = self.cookie(&value[..end])?;
        Ok(kept.map(|pair| Cow::Owned([&pair, &value.as_bytes()[end..]].concat())))
    }

    /// One `name=value`; `None` when it is left out. The value is treated as it stands, but for its quotes.
    fn cookie<'v>(&mut self, pair: &'v str) -> Result<Option<Cow<'v, [u8]>>, RewriteError> {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let Some(rule) = rule_named(&self.rules.cookies, |listed| equals_ignoring_case(listed, name.trim())) else {
            return Ok(Some(Cow::Borrowed(pair.as_bytes())));
        };
        if self.transform.drops_member(rule) {
            self.observer.on_treated(rule);
            return Ok(None);
        }
        let bare = value.trim().strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value.trim());
        let mut out = format!("{name}=").into_bytes();
        for byte in self.transformed(rule, bare.as_bytes())? {
            match byte {
                b'"' | b',' | b';' | b'\\' | b'%' | 0..=b' ' | 0x7f.. => push_percent(byte, &mut out),
                byte => out.push(byte),
            }
        }
        Ok(Some(Cow::Owned(out)))
    }

    /// A whole header value.
    fn whole_header<'v>(&mut self, rule: usize, value: &[u8]) -> Result<Option<Cow<'v, [u8]>>, RewriteError> {
        if self.transform.drops_member(rule) {
            self.observer.on_treated(rule);
            return Ok(None);
        }
        let treated = self.transformed(rule, as_text(value)?.as_bytes())?;
        if treated.iter().any(u8::is_ascii_control) {
            return Err(RewriteError::Untreatable { what: "a header value cannot hold control characters" });
        }
        Ok(Some(Cow::Owned(treated)))
    }

    fn transformed(&mut self, rule: usize, text: &[u8]) -> Result<Vec<u8>, RewriteError> {
        let mut out = Vec::with_capacity(text.len() + 64);
        match self.transform.transform(rule, SelectedValue { kind: ValueKind::String, text }, &mut out)? {
            Replacement::Text | Replacement::Literal => {}
            Replacement::Unchanged { .. } => out.extend_from_slice(text),
        }
        self.observer.on_treated(rule);
        Ok(out)
    }
}

fn rule_named(listed: &[(Box<str>, usize)], same: impl Fn(&str) -> bool) -> Option<usize> {
    listed.iter().find(|(name, _)| same(name)).map(|&(_, rule)| rule)
}

fn as_text(value: &[u8]) -> Result<&str, RewriteError> {
    simdutf8::basic::from_utf8(value).map_err(|_| RewriteError::Opaque { what: "a header value that is not UTF-8" })
}

fn bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

/// The text that takes the place of `old`: borrowed when it is the same.
fn unless_equal(old: &str, new: Vec<u8>) -> Result<Cow<'_, str>, RewriteError> {
    if new == old.as_bytes() {
        return Ok(Cow::Borrowed(old));
    }
    String::from_utf8(new)
        .map(Cow::Owned)
        .map_err(|_| RewriteError::Untreatable { what: "the treated text is not UTF-8" })
}

#[cfg(test)]
mod tests;
