//! One strict reading of a request: what has two readings is refused before anything is decided on it.
//!
//! The path is brought to one canonical form here, once; routing, authorisation and forwarding all use that string.
//! Never repairs what an attacker could have meant in two ways.

use std::borrow::Cow;

use ::http::header::{AUTHORIZATION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, TRANSFER_ENCODING};
use ::http::{Method, Uri, Version, request};

use crate::bounds;
use crate::model::{Denial, Reason};

/// The target of a request, in canonical form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target<'a> {
    /// The path: normalised percent-encoding, no dot segments.
    pub path: Cow<'a, str>,
    /// The query as it came, without `?`.
    pub query: Option<&'a str>,
}

/// Reads the head strictly.
///
/// # Errors
/// [`Reason::RequestMalformed`] for anything with two readings (RFC 9110 sections 4.2.4, 7.2; RFC 9112 section 3).
pub fn screen(head: &request::Parts) -> Result<Target<'_>, Denial> {
    screen_method(&head.method)?;
    screen_headers(&head.headers)?;
    screen_host(head)?;
    screen_target(&head.uri)
}

fn malformed(what: &'static str) -> Denial {
    Denial::new(Reason::RequestMalformed, what)
}

fn screen_method(method: &Method) -> Result<(), Denial> {
    match *method {
        Method::CONNECT | Method::TRACE => Err(malformed("this method is not served")),
        _ => Ok(()),
    }
}

/// Fields of which two would leave it to each reader which one counts.
const SINGLE: [HeaderName; 3] = [AUTHORIZATION, CONTENT_LENGTH, EXPECT];

fn screen_headers(headers: &HeaderMap) -> Result<(), Denial> {
    if headers.len() > bounds::HEADERS_MAX {
        return Err(malformed("too many header fields"));
    }
    screen_coding(headers)?;
    for name in &SINGLE {
        let mut values = headers.get_all(name).iter();
        if values.next().is_some() && values.next().is_some() {
            return Err(malformed("a header field that must be single is repeated"));
        }
    }
    match headers.get(EXPECT) {
        Some(value) if !value.as_bytes().eq_ignore_ascii_case(b"100-continue") => Err(malformed("unknown expectation")),
        Some(_) | None => Ok(()),
    }
}

/// RFC 9112 section 6.1: how long a body is must be said in one way, and stacked codings are read in several.
fn screen_coding(headers: &HeaderMap) -> Result<(), Denial> {
    if is_framed_once(headers) { Ok(()) } else { Err(malformed("a transfer coding other than a single chunked")) }
}

/// Whether the fields tell one length of the body: a `Content-Length`, or `chunked` once, or neither.
pub fn is_framed_once(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => {
            coding.as_bytes().eq_ignore_ascii_case(b"chunked") && !headers.contains_key(CONTENT_LENGTH)
        }
        (Some(_), Some(_)) => false,
    }
}

/// Exactly one host, and the same one in `Host`, `:authority` and an absolute target.
fn screen_host(head: &request::Parts) -> Result<(), Denial> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(malformed("more than one host"));
    }
    let authority = head.uri.authority().map(|authority| authority.as_str());
    match (host.map(|host| host.as_bytes()), authority) {
        (Some(host), Some(authority)) if host.eq_ignore_ascii_case(authority.as_bytes()) => valid_host(host),
        (Some(_), Some(_)) => Err(malformed("the host and the target's authority differ")),
        (Some(host), None) => valid_host(host),
        (None, Some(authority)) if head.version == Version::HTTP_2 => valid_host(authority.as_bytes()),
        (None, _) => Err(malformed("no host")),
    }
}

fn valid_host(host: &[u8]) -> Result<(), Denial> {
    let good = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    if !host.is_empty() && host.len() <= 255 && host.iter().all(good) { Ok(()) } else { Err(malformed("invalid host")) }
}

fn screen_target(uri: &Uri) -> Result<Target<'_>, Denial> {
    let path = uri.path();
    if path.len() + uri.query().map_or(0, str::len) > bounds::TARGET_BYTES_MAX {
        return Err(malformed("the target is too long"));
    }
    if !path.starts_with('/') {
        return Err(malformed("the target has no path"));
    }
    if let Some(query) = uri.query() {
        screen_query(query)?;
    }
    Ok(Target { path: canonical_path(path)?, query: uri.query() })
}

fn screen_query(query: &str) -> Result<(), Denial> {
    let lower = query.as_bytes();
    // RFC 6750 section 2.3: a token in the query ends in logs and histories.
    let names_token = lower.split(|b| *b == b'&').any(|pair| pair.starts_with(b"access_token="));
    if names_token {
        return Err(malformed("a token in the query is not accepted"));
    }
    if !lower.is_ascii() { Err(malformed("raw non-ASCII in the query")) } else { Ok(()) }
}

/// The one form of a path that is routed, authorised and forwarded.
fn canonical_path(path: &str) -> Result<Cow<'_, str>, Denial> {
    let bytes = path.as_bytes();
    if bytes.iter().all(|b| is_path_byte(*b)) && !has_dot_segment(bytes) {
        return Ok(Cow::Borrowed(path));
    }
    let decoded = normalise_percent(bytes)?;
    remove_dot_segments(&decoded).map(Cow::Owned)
}

/// Bytes that mean themselves in a path; `;`, `%`, `\` and controls need a closer look or a refusal.
const fn is_path_byte(b: u8) -> bool {
    is_unreserved(b)
        || matches!(b, b'/' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@')
}

const fn is_unreserved(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~')
}

fn has_dot_segment(path: &[u8]) -> bool {
    path.split(|b| *b == b'/').any(|segment| segment == b"." || segment == b"..")
}

fn normalise_percent(path: &[u8]) -> Result<String, Denial> {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    let mut encoded = Vec::new();
    while let [first, tail @ ..] = rest {
        rest = match first {
            b'%' => {
                let (byte, tail) = percent_byte(tail)?;
                screen_decoded(byte, tail)?;
                push_byte(byte, &mut out);
                encoded.push(byte);
                tail
            }
            b';' if tail.contains(&b'/') => return Err(malformed("path parameters before a slash")),
            b';' => {
                out.push(';');
                tail
            }
            b if is_path_byte(*b) => {
                out.push(char::from(*b));
                tail
            }
            _ => return Err(malformed("a raw character that a path cannot hold")),
        };
        if !rest.starts_with(b"%") {
            // Each run of encoded bytes must be whole, shortest-form UTF-8.
            std::str::from_utf8(&encoded).map_err(|_| malformed("the path does not decode to UTF-8"))?;
            encoded.clear();
        }
    }
    Ok(out)
}

fn percent_byte(tail: &[u8]) -> Result<(u8, &[u8]), Denial> {
    let [high, low, tail @ ..] = tail else { return Err(malformed("a broken percent-encoding")) };
    match (char::from(*high).to_digit(16), char::from(*low).to_digit(16)) {
        (Some(high), Some(low)) => Ok(((high * 16 + low) as u8, tail)),
        _ => Err(malformed("a broken percent-encoding")),
    }
}

fn screen_decoded(byte: u8, tail: &[u8]) -> Result<(), Denial> {
    match byte {
        b'/' | b'\\' => Err(malformed("an encoded slash")),
        0..=0x1f | 0x7f => Err(malformed("an encoded control character")),
        b'%' if tail.iter().take(2).filter(|b| b.is_ascii_hexdigit()).count() == 2 => {
            Err(malformed("a double encoding"))
        }
        _ => Ok(()),
    }
}

fn push_byte(byte: u8, out: &mut String) {
    use std::fmt::Write;
    if is_unreserved(byte) {
        out.push(char::from(byte));
    } else {
        let _ = write!(out, "%{byte:02X}");
    }
}

/// RFC 3986 section 5.2.4, but a path that climbs over its root is refused instead of clipped.
fn remove_dot_segments(path: &str) -> Result<String, Denial> {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path[1..].split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            ".." => {
                kept.pop().ok_or_else(|| malformed("dot segments leave the root"))?;
                if last {
                    kept.push("");
                }
            }
            "." if last => kept.push(""),
            "." => {}
            other => kept.push(other),
        }
    }
    Ok(format!("/{}", kept.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Option<String> {
        canonical_path(text).ok().map(Cow::into_owned)
    }

    #[test]
    fn a_path_has_one_form() {
        for (raw, canonical) in [
            ("/v1/customers", "/v1/customers"),
            ("/v1/%63ustomers", "/v1/customers"),
            ("/v1/./customers/../orders", "/v1/orders"),
            ("/v1/a/..", "/v1/"),
            ("/v1/a/.", "/v1/a/"),
            ("/v1/%e2%82%ac", "/v1/%E2%82%AC"),
            ("/a%20b", "/a%20b"),
            ("/a;v=1", "/a;v=1"),
            ("/100%25", "/100%25"),
            ("/", "/"),
        ] {
            let once = path(raw).unwrap_or_default();
            assert_eq!(once, canonical, "{raw}");
            assert_eq!(path(&once).as_deref(), Some(canonical), "canonical form is stable: {raw}");
        }
    }

    #[test]
    fn two_readings_are_refused() {
        for raw in [
            "/a%2fb",
            "/a%5Cb",
            "/a\\b",
            "/a%00",
            "/a%0d%0a",
            "/a%7f",
            "/%252e",
            "/a;x/../b",
            "/../a",
            "/a/../../b",
            "/%c0%af",
            "/%ff",
            "/a%",
            "/a%4",
            "/a%zz",
            "/a|b",
            "/%e2%82/b",
        ] {
            assert_eq!(path(raw), None, "{raw}");
        }
    }

    fn head(build: impl Fn(request::Builder) -> request::Builder) -> Result<(), Reason> {
        let (parts, ()) = build(request::Request::builder().uri("/v1")).body(()).expect("valid").into_parts();
        screen(&parts).map(|_| ()).map_err(|denial| denial.reason)
    }

    #[test]
    fn exactly_one_host_and_authorization() {
        assert_eq!(head(|b| b.header("host", "a")), Ok(()));
        assert_eq!(head(|b| b), Err(Reason::RequestMalformed));
        assert_eq!(head(|b| b.header("host", "a").header("host", "a")), Err(Reason::RequestMalformed));
        assert_eq!(head(|b| b.header("host", "a b")), Err(Reason::RequestMalformed));
        assert_eq!(head(|b| b.uri("http://b/v1").header("host", "a")), Err(Reason::RequestMalformed));
        assert_eq!(head(|b| b.uri("http://a/v1").header("host", "A")), Ok(()));
        assert_eq!(head(|b| b.uri("http://a/v1").version(Version::HTTP_2)), Ok(()));
        let twice =
            |b: request::Builder| b.header("host", "a").header("authorization", "x").header("authorization", "x");
        assert_eq!(head(twice), Err(Reason::RequestMalformed));
        assert_eq!(head(|b| b.header("host", "a").method("CONNECT")), Err(Reason::RequestMalformed));
        assert_eq!(head(|b| b.header("host", "a").uri("/v1?access_token=x")), Err(Reason::RequestMalformed));
        assert_eq!(head(|b| b.header("host", "a").header("expect", "200-ok")), Err(Reason::RequestMalformed));
        let coded = |coding: &'static str| head(|b| b.header("host", "a").header("transfer-encoding", coding));
        assert_eq!((coded("chunked"), coded("Chunked")), (Ok(()), Ok(())));
        for coding in ["chunked, chunked", "gzip, chunked", "identity", "chunked,"] {
            assert_eq!(coded(coding), Err(Reason::RequestMalformed), "{coding}");
        }
    }
}
