//! Personal data outside of bodies: queries, path segments, header fields and cookies.
//!
//! A value that a rule selects is decoded, treated, and encoded for its place again. A text in which no rule selects
//! anything comes back borrowed, byte for byte. A text that two parsers could read in two ways is refused. Never lets
//! a treated value bring a delimiter, a line break or a dot segment into its place.

use super::fields::{FieldRules, equals_ignoring_case};
use super::form::{FormContext, FormPairs, decode_segment, push_percent};
use super::{
    Replacement, RewriteError, RewriteObserver, RewriteResult, Rules, SelectedValue, Transform, ValueKind,
    ValueLocation,
};
use std::borrow::Cow;
use std::ops::Range;

/// The rules of one direction for a message's URL, header fields and cookies.
#[derive(Debug, Clone, Default)]
pub(super) struct HeadRules {
    query: FieldRules,
    headers: Vec<(Box<str>, usize)>,
    cookies: Vec<(Box<str>, usize)>,
    segments: Vec<(Box<str>, usize)>,
}

impl HeadRules {
    /// The rules that look at one of these places.
    pub(super) fn new(rules: &Rules) -> Self {
        let mut picked = Self { query: FieldRules::query(rules), ..Self::default() };
        for (number, rule) in rules.treat.iter().enumerate() {
            match &rule.location {
                ValueLocation::Header(name) => picked.headers.push((name.clone(), number)),
                ValueLocation::Cookie(name) => picked.cookies.push((name.clone(), number)),
                ValueLocation::Segment(name) => picked.segments.push((name.clone(), number)),
                ValueLocation::Field(_) | ValueLocation::Query(_) => {}
            }
        }
        picked
    }

    /// The rules for the fields of a body, applied to the parameters of a URL in an answer's head. A parameter that a
    /// rule for queries selects is left to that rule.
    pub(super) fn for_references(rules: &Rules) -> Self {
        Self { query: FieldRules::references(rules), ..Self::default() }
    }

    /// Whether no rule looks at any of these places.
    pub(super) fn is_empty(&self) -> bool {
        self.query.is_empty() && self.headers.is_empty() && self.cookies.is_empty() && self.segments.is_empty()
    }
}

/// Treats the URL, header fields and cookies of one message. [`super::Plan::head_rewriter`] makes it.
pub struct HeadRewriter<'a> {
    pub(super) rules: &'a HeadRules,
    pub(super) transform: &'a dyn Transform,
    pub(super) observer: &'a mut dyn RewriteObserver,
}

impl std::fmt::Debug for HeadRewriter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeadRewriter").field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl HeadRewriter<'_> {
    /// Treats the parameters of a query, given without its `?` and encoded as a form is. A raw `;` is refused, because
    /// some parsers take it for a separator.
    ///
    /// # Errors
    /// [`RewriteError`] when parsers could read the query in two ways, or a value cannot be treated.
    pub fn query<'q>(&mut self, query: &'q str) -> RewriteResult<Cow<'q, str>> {
        if self.rules.query.is_empty() {
            return Ok(Cow::Borrowed(query));
        }
        let mut out = Vec::with_capacity(query.len() + 128);
        let mut context = FormContext { fields: &self.rules.query, transform: self.transform, observer: self.observer };
        let mut pairs = FormPairs::default();
        pairs.feed(query.as_bytes(), &mut context, &mut out)?;
        pairs.finish(&mut context, &mut out)?;
        unless_equal(query, out)
    }

    /// Treats one percent-encoded segment of a path by the name of its capture. It must not be left out or become a dot
    /// segment, since the path would then name another resource.
    fn segment<'s>(&mut self, capture: &str, segment: &'s str) -> RewriteResult<Cow<'s, str>> {
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

    /// Treats the segments of a path that its route has captured. `captures` gives the name and the byte range of each,
    /// in the order of the ranges.
    ///
    /// # Errors
    /// [`RewriteError`] when a segment cannot be decoded, would be left out, or would become a dot segment, and when a
    /// range is not one of this path.
    pub fn path<'p>(&mut self, path: &'p str, captures: &[(&str, Range<usize>)]) -> RewriteResult<Cow<'p, str>> {
        let outside = || RewriteError::Untreatable { what: "a capture that is not in its path" };
        let mut out = String::with_capacity(path.len());
        let mut copied = 0;
        for (name, range) in captures {
            out.push_str(path.get(copied..range.start).ok_or_else(outside)?);
            out.push_str(&self.segment(name, path.get(range.clone()).ok_or_else(outside)?)?);
            copied = range.end;
        }
        out.push_str(path.get(copied..).ok_or_else(outside)?);
        unless_equal(path, out.into_bytes())
    }

    /// Treats one header field by its lower-case name; `None` leaves the field out. A rule on the name treats the whole
    /// value. Without one, the cookies in `cookie` and `set-cookie` and the URLs in `location`, `content-location`,
    /// `referer` and `link` are treated by their own rules.
    ///
    /// # Errors
    /// [`RewriteError`] when the value cannot be read or treated.
    pub fn header<'v>(&mut self, name: &str, value: &'v [u8]) -> RewriteResult<Option<Cow<'v, [u8]>>> {
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
    pub fn location<'u>(&mut self, url: &'u str) -> RewriteResult<Cow<'u, str>> {
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
    fn rewrite_link<'v>(&mut self, value: &'v str) -> RewriteResult<Cow<'v, str>> {
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

    /// The pairs of a `Cookie` field (RFC 6265, section 4.2). A pair that is left out takes its `; ` with it.
    fn cookies<'v>(&mut self, value: &'v str) -> RewriteResult<Option<Cow<'v, [u8]>>> {
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

    /// A `Set-Cookie` field (RFC 6265, section 4.1). Its attributes pass as they came.
    fn set_cookie<'v>(&mut self, value: &'v str) -> RewriteResult<Option<Cow<'v, [u8]>>> {
        let end = value.find(';').unwrap_or(value.len());
        let kept = self.cookie(&value[..end])?;
        Ok(kept.map(|pair| Cow::Owned([&pair, &value.as_bytes()[end..]].concat())))
    }

    /// One `name=value` pair; `None` when it is left out. The value is treated without its quotes, and not decoded.
    fn cookie<'v>(&mut self, pair: &'v str) -> RewriteResult<Option<Cow<'v, [u8]>>> {
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

    /// Treats a whole header value; `None` when it is left out.
    fn whole_header<'v>(&mut self, rule: usize, value: &[u8]) -> RewriteResult<Option<Cow<'v, [u8]>>> {
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

    fn transformed(&mut self, rule: usize, text: &[u8]) -> RewriteResult<Vec<u8>> {
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

fn as_text(value: &[u8]) -> RewriteResult<&str> {
    simdutf8::basic::from_utf8(value).map_err(|_| RewriteError::Opaque { what: "a header value that is not UTF-8" })
}

fn bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

/// The text that takes the place of `old`; borrowed when it is the same.
fn unless_equal(old: &str, new: Vec<u8>) -> RewriteResult<Cow<'_, str>> {
    if new == old.as_bytes() {
        return Ok(Cow::Borrowed(old));
    }
    String::from_utf8(new)
        .map(Cow::Owned)
        .map_err(|_| RewriteError::Untreatable { what: "the treated text is not UTF-8" })
}

#[cfg(test)]
mod tests;
