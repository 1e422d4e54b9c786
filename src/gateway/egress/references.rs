//! What a vendor says of its own place, brought to the way that the caller came.
//!
//! A caller who came in clear, or by path, would leave that way with the first redirect: `Location`, `Content-Location`
//! and `Link` name the vendor's own origin. What leads elsewhere, to another vendor too, stays as it is.

use ::http::HeaderValue;
use ::http::header::{CONTENT_LOCATION, HeaderMap, HeaderName, LINK, LOCATION, SET_COOKIE};

use super::cookies;
use super::way::CallerWay;
use crate::config::ReachSettings;
use crate::http::HostPort;
use crate::model::VendorId;

/// The vendor whose response is rewritten, and the way of its caller.
#[derive(Debug, Clone, Copy)]
pub(in crate::gateway) struct VendorPlace<'a> {
    pub(in crate::gateway) vendor: &'a VendorId,
    pub(in crate::gateway) reach: &'a ReachSettings,
    /// The upstream's authority and the path before every request's path.
    pub(in crate::gateway) upstream: (&'a HeaderValue, &'a str),
    pub(in crate::gateway) way: &'a CallerWay,
}

/// Rewrites the fields of a response that name the vendor's own place.
pub(in crate::gateway) fn rewrite_references(place: VendorPlace<'_>, headers: &mut HeaderMap) {
    rewrite_each(headers, &LOCATION, |text| place.reference(text));
    rewrite_each(headers, &CONTENT_LOCATION, |text| place.reference(text));
    rewrite_each(headers, &LINK, |text| place.links(text));
    let prefix = place.way.has_prefix().then(|| place.vendor.as_str());
    rewrite_each(headers, &SET_COOKIE, |text| {
        cookies::for_caller(text, place.way.is_clear(), prefix.map(|vendor| (vendor, place.upstream.1)))
    });
}

/// Rewrites every value of a field for which there is another one.
fn rewrite_each(headers: &mut HeaderMap, name: &HeaderName, rewrite: impl Fn(&str) -> Option<String>) {
    let mut values = headers.get_all(name).iter();
    if !values.any(|value| value.to_str().ok().and_then(&rewrite).is_some()) {
        return;
    }
    let rewritten = |value: &HeaderValue| {
        let new = value.to_str().ok().and_then(&rewrite).and_then(|text| HeaderValue::try_from(text).ok());
        new.unwrap_or_else(|| value.clone())
    };
    let values: Vec<HeaderValue> = headers.get_all(name).iter().map(rewritten).collect();
    headers.remove(name);
    for value in values {
        headers.append(name, value);
    }
}

impl VendorPlace<'_> {
    /// Another form of a URL reference (RFC 3986 section 4.1); `None` where it is right as it is.
    fn reference(&self, text: &str) -> Option<String> {
        let (origin, rest) = split_origin(text)?;
        if let Some((authority, default_port)) = origin
            && !HostPort::parse(authority, default_port).is_some_and(|host| self.is_own(&host))
        {
            return None;
        }
        let rest = rest.strip_prefix(self.upstream.1)?;
        if !(rest.is_empty() || rest.starts_with(['/', '?', '#'])) {
            return None;
        }
        let mut new = if origin.is_some() { self.way.origin()? } else { String::new() };
        if self.way.has_prefix() {
            new.push('/');
            new.push_str(self.vendor.as_str());
        }
        if !rest.starts_with('/') {
            new.push('/');
        }
        new.push_str(rest);
        Some(new).filter(|new| new != text)
    }

    /// Whether a destination is the vendor: a host of its contract, or its upstream.
    fn is_own(&self, host: &HostPort<'_>) -> bool {
        let is_upstream = |upstream: HostPort<'_>| upstream == *host;
        let upstream = self.upstream.0.to_str().unwrap_or_default();
        self.reach.has(host)
            || [80, 443].into_iter().any(|port| HostPort::parse(upstream, port).is_some_and(is_upstream))
    }

    /// The same for every target of a `Link` field (RFC 8288 section 3).
    fn links(&self, text: &str) -> Option<String> {
        let (mut new, mut rest, mut changed) = (String::new(), text, false);
        while let Some((before, target, after)) = next_target(rest) {
            let other = self.reference(target);
            changed |= other.is_some();
            new.push_str(before);
            new.push_str(other.as_deref().unwrap_or(target));
            rest = after;
        }
        new.push_str(rest);
        changed.then_some(new)
    }
}

/// An authority, and the port where it names none.
type Origin<'t> = (&'t str, u16);

/// Splits a reference into its origin, where it has one, and the rest. `None` for one that leads on from the request's
/// own path, and for another scheme.
fn split_origin(text: &str) -> Option<(Option<Origin<'_>>, &str)> {
    let (after, port) = match (text.strip_prefix("//"), text.split_once("://")) {
        // Without a scheme it is the vendor's own.
        (Some(after), _) => (after, 443),
        (None, Some((scheme, after))) if scheme.eq_ignore_ascii_case("https") => (after, 443),
        (None, Some((scheme, after))) if scheme.eq_ignore_ascii_case("http") => (after, 80),
        (None, _) => return text.starts_with('/').then_some((None, text)),
    };
    let end = after.find(['/', '?', '#']).unwrap_or(after.len());
    let (authority, rest) = after.split_at(end);
    Some((Some((authority, port)), rest))
}

/// Splits a `Link` field at its next `<target>`, leaving out what is quoted: what is before the target, with its `<`;
/// the target; what follows it, with its `>`.
fn next_target(text: &str) -> Option<(&str, &str, &str)> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if std::mem::replace(&mut is_escaped, false) => {}
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b'<' if !is_quoted => {
                let (before, target) = text.split_at(at + 1);
                let (target, after) = target.split_at(target.find('>')?);
                return Some((before, target, after));
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::Peer;
    use crate::http::SlotHolder;
    use crate::model::Direction;

    fn check(by_path: bool, base: &str, text: &str) -> String {
        let request = ::http::Request::builder().uri("/").header("host", "api.acme.example").body(()).expect("valid");
        let (mut head, ()) = request.into_parts();
        if by_path {
            head.headers.insert("host", HeaderValue::from_static("127.0.0.1:8081"));
        }
        let seat = std::sync::Arc::new(SlotHolder::default());
        let peer = Peer::plain(([127, 0, 0, 1], 50_000).into(), Direction::Egress, seat);
        let way = if by_path { CallerWay::by_path(&head, &peer) } else { CallerWay::by_host(&head, &peer) };
        let hosts = ["api.acme.example:80", "api.acme.example:443"].map(|it| HostPort::parse(it, 0).expect("a host"));
        let reach = ReachSettings { hosts: hosts.into(), ..ReachSettings::default() };
        let upstream = HeaderValue::from_static("internal.acme.example");
        let vendor = VendorId::parse("acme").expect("an id");
        let place = VendorPlace { vendor: &vendor, reach: &reach, upstream: (&upstream, base), way: &way };
        place.links(text).unwrap_or_else(|| text.to_owned())
    }

    #[test]
    fn a_reference_to_the_vendors_own_place_leads_the_same_way() {
        for (base, text, by_host, by_path) in [
            (
                "",
                "<https://api.acme.example/x?a=b#c>",
                "<http://api.acme.example/x?a=b#c>",
                "<http://127.0.0.1:8081/acme/x?a=b#c>",
            ),
            ("", "<HTTPS://API.acme.example:443>", "<http://api.acme.example/>", "<http://127.0.0.1:8081/acme/>"),
            ("", "<https://internal.acme.example/x>", "<http://api.acme.example/x>", "<http://127.0.0.1:8081/acme/x>"),
            ("", "<//api.acme.example/x>", "<http://api.acme.example/x>", "<http://127.0.0.1:8081/acme/x>"),
            ("", "</x>", "</x>", "</acme/x>"),
            (
                "/base",
                "</base/x>; rel=\"next\", </base?p=2>",
                "</x>; rel=\"next\", </?p=2>",
                "</acme/x>; rel=\"next\", </acme/?p=2>",
            ),
            ("/base", "<https://api.acme.example/base>", "<http://api.acme.example/>", "<http://127.0.0.1:8081/acme/>"),
            (
                "",
                "</a>; title=\"<\\\"/b>\", </c>",
                "</a>; title=\"<\\\"/b>\", </c>",
                "</acme/a>; title=\"<\\\"/b>\", </acme/c>",
            ),
        ] {
            assert_eq!(check(false, base, text), by_host, "{text}");
            assert_eq!(check(true, base, text), by_path, "{text}");
        }
    }

    #[test]
    fn a_reference_to_anywhere_else_stays() {
        for (base, text) in [
            ("", "<https://evil.example/x>"),
            ("", "<https://api.acme.example:8443/x>"),
            ("", "<https://user@api.acme.example/x>"),
            ("", "<https://api.acme.example.evil.example/x>"),
            ("", "<x/y>"),
            ("", "<?page=2>"),
            ("", "<mailto:a@acme.example>"),
            ("", "<ftp://api.acme.example/x>"),
            ("/base", "<https://api.acme.example/other>"),
            ("/base", "</basement>"),
            ("", "<unclosed"),
        ] {
            for by_path in [false, true] {
                assert_eq!(check(by_path, base, text), text);
            }
        }
    }
}
