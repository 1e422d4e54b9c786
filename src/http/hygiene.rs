//! The strict reading of a request: what two servers could read differently is refused before anything is decided.
//!
//! The path is brought to its canonical form here, once; routing, authorisation and forwarding all use that string.
//! Never repairs what an attacker could have meant in two ways. The bytes of the head were validated before: by
//! [`super::ScreenedStream`] for HTTP/1.1, by hyper for HTTP/2.

use std::borrow::Cow;

use ::http::header::{
    AUTHORIZATION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING, VIA,
};
use ::http::uri::Scheme;
use ::http::{Method, Uri, Version, request};

use super::path::{self, CanonicalPath};
use super::{FramingError, HostPort, PSEUDONYM, malformed};
use crate::bounds;
use crate::model::{Denial, Direction, Reason};

/// The target of a request, in canonical form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestTarget<'a> {
    /// The path: normalised percent-encoding, no dot segments.
    pub path: Cow<'a, str>,
    /// The query as it came, without `?`.
    pub query: Option<&'a str>,
    /// Whether a segment of the path holds a slash as `%2F`: never for ingress; for egress where the route allows it.
    pub encoded_slash: bool,
}

/// Reads the head strictly. For egress the caller is one of our own services: it may send encoded slashes, and a token
/// in the query if the vendor wants one there.
///
/// # Errors
/// [`crate::model::Reason::RequestMalformed`] for anything with two readings (RFC 9110 sections 4.2.4, 7.2; RFC 9112
/// section 3; RFC 9113 section 8); the denial says which rule was broken.
pub fn screen(head: &request::Parts, direction: Direction) -> Result<RequestTarget<'_>, Denial> {
    if let Some(error) = head.extensions.get::<FramingError>() {
        return Err(malformed(error.as_str()));
    }
    screen_method(&head.method)?;
    screen_headers(&head.headers)?;
    if head.version == Version::HTTP_2 {
        screen_h2(head)?;
    }
    screen_host(head, direction)?;
    if direction == Direction::Egress {
        screen_via(&head.headers)?;
    }
    screen_target(&head.uri, direction)
}

/// Reads the head of a request for a tunnel (RFC 9110 section 9.3.6) strictly, and returns the destination.
///
/// # Errors
/// [`Reason::RequestMalformed`] for anything with two readings, [`Reason::LoopDetected`] as [`screen`].
pub fn screen_connect(head: &request::Parts) -> Result<HostPort<'_>, Denial> {
    screen_headers(&head.headers)?;
    screen_via(&head.headers)?;
    let empty = |value: &HeaderValue| value.as_bytes() == b"0";
    if head.headers.contains_key(TRANSFER_ENCODING) || !head.headers.get(CONTENT_LENGTH).is_none_or(empty) {
        return Err(malformed("A CONNECT request has no body: what follows it belongs to the tunnel."));
    }
    let is_authority = head.uri.scheme().is_none() && head.uri.path_and_query().is_none();
    let target = head.uri.authority().map(|authority| authority.as_str()).filter(|_| is_authority);
    let target = target.filter(|text| HostPort::has_port(text)).and_then(|text| HostPort::parse(text, 443));
    let target = target.ok_or_else(|| malformed("CONNECT names a host and a port, and nothing else."))?;
    let mut hosts = head.headers.get_all(HOST).iter();
    // A client of HTTP/1.0 sends none.
    let host = hosts.next().map(|host| host.to_str().ok().and_then(|host| HostPort::parse(host, target.port)));
    if hosts.next().is_some() || host.is_some_and(|host| host.as_ref() != Some(&target)) {
        return Err(malformed("The Host field and the target of CONNECT name different hosts."));
    }
    Ok(target)
}

fn screen_method(method: &Method) -> Result<(), Denial> {
    match *method {
        Method::CONNECT | Method::TRACE => Err(malformed("The methods CONNECT and TRACE are not served.")),
        _ => Ok(()),
    }
}

/// Fields that may be sent once only: of two, each server could pick another one.
const SINGLE: [(HeaderName, &str); 3] = [
    (AUTHORIZATION, "The request has more than one Authorization field. Send one."),
    (CONTENT_LENGTH, "The request has more than one Content-Length field. Send one."),
    (EXPECT, "The request has more than one Expect field. Send one."),
];

fn screen_headers(headers: &HeaderMap) -> Result<(), Denial> {
    if headers.len() > bounds::HEADERS_MAX {
        return Err(malformed(FramingError::ManyFields.as_str()));
    }
    if !is_framed_once(headers) {
        return Err(malformed(FramingError::Coding.as_str()));
    }
    for (name, repeated) in &SINGLE {
        let mut values = headers.get_all(name).iter();
        if values.next().is_some() && values.next().is_some() {
            return Err(malformed(repeated));
        }
    }
    match headers.get(EXPECT) {
        Some(value) if !value.as_bytes().eq_ignore_ascii_case(b"100-continue") => {
            Err(malformed("The Expect field asks for something other than 100-continue."))
        }
        Some(_) | None => Ok(()),
    }
}

/// Whether the fields give one length of the body: a `Content-Length`, or one `chunked`, or neither (RFC 9112 section
/// 6.1).
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

/// What hyper accepts although RFC 9113 section 8 forbids it, and what would be read differently once HTTP/1.1 carries
/// it. Hyper itself already resets names in capitals, connection fields, control characters in values, and lengths that
/// differ from the DATA.
fn screen_h2(head: &request::Parts) -> Result<(), Denial> {
    let is_space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let is_padded = |value: &[u8]| is_space(value.first()) || is_space(value.last());
    if head.headers.values().any(|value| is_padded(value.as_bytes())) {
        return Err(malformed("A field's value begins or ends with a space, which HTTP/2 does not allow."));
    }
    Ok(())
}

/// Exactly one host, and the same one in `Host`, `:authority` and an absolute target.
fn screen_host(head: &request::Parts, direction: Direction) -> Result<(), Denial> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(malformed("The request has more than one Host field. Send one."));
    }
    let authority = head.uri.authority().map(|authority| authority.as_str());
    match (host.map(|host| host.as_bytes()), authority) {
        (Some(host), Some(authority)) if host.eq_ignore_ascii_case(authority.as_bytes()) => valid_host(host),
        // A client of a proxy may write the port of the scheme, or a trailing dot, in one of the two alone.
        (Some(host), Some(_)) if direction == Direction::Egress && is_same_host(host, &head.uri) => valid_host(host),
        (Some(_), Some(_)) => Err(malformed("The Host field and the target's authority name different hosts.")),
        (Some(host), None) => valid_host(host),
        (None, Some(authority)) if head.version == Version::HTTP_2 => valid_host(authority.as_bytes()),
        (None, _) => Err(malformed("The request names no host. Send a Host field, or :authority in HTTP/2.")),
    }
}

/// Whether a `Host` field and an absolute target name the same host and port.
fn is_same_host(host: &[u8], target: &Uri) -> bool {
    let default_port = if target.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
    let read = |text| HostPort::parse(text, default_port);
    let named = std::str::from_utf8(host).ok().and_then(read);
    named.is_some() && named == target.authority().and_then(|authority| read(authority.as_str()))
}

/// Refuses a call that has passed this gateway before (RFC 9110 section 7.6.3). Ingress does not ask: behind a gateway
/// at the edge there may be another one, of the same name.
fn screen_via(headers: &HeaderMap) -> Result<(), Denial> {
    let mut hops = headers.get_all(VIA).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let is_ours = |hop: &[u8]| {
        let mut words = hop.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
        words.nth(1).is_some_and(|name| name.eq_ignore_ascii_case(PSEUDONYM.as_bytes()))
    };
    if hops.any(is_ours) {
        let text = "By its Via field, the request has passed this gateway before. Send a request of your own.";
        return Err(Denial::with_public_text(Reason::LoopDetected, text));
    }
    Ok(())
}

fn valid_host(host: &[u8]) -> Result<(), Denial> {
    let good = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    if !host.is_empty() && host.len() <= 255 && host.iter().all(good) {
        Ok(())
    } else {
        Err(malformed("The request's host is not a host name or address with an optional port."))
    }
}

fn screen_target(uri: &Uri, direction: Direction) -> Result<RequestTarget<'_>, Denial> {
    if !matches!(uri.scheme_str(), Some("http" | "https") | None) {
        return Err(malformed("The scheme of the target is neither http nor https."));
    }
    let path = uri.path();
    if path.len() + uri.query().map_or(0, str::len) > bounds::TARGET_BYTES_MAX {
        return Err(malformed("The target is longer than 8 KiB."));
    }
    if !path.starts_with('/') {
        return Err(malformed("The target has no path. Begin it with a slash."));
    }
    if let Some(query) = uri.query() {
        screen_query(query, direction)?;
    }
    let CanonicalPath { path, encoded_slash } = path::canonicalize(path)?;
    if encoded_slash && direction == Direction::Ingress {
        return Err(malformed("The path holds an encoded slash (%2F), which some servers read as a slash."));
    }
    Ok(RequestTarget { path, query: uri.query(), encoded_slash })
}

fn screen_query(query: &str, direction: Direction) -> Result<(), Denial> {
    // RFC 6750 section 2.3: a token in the query ends up in logs and histories. For egress that is the vendor's own
    // choice.
    let names_token = || query.split('&').any(|pair| pair.starts_with("access_token="));
    if direction == Direction::Ingress && names_token() {
        return Err(malformed("The query holds an access token. Send it as 'Authorization: Bearer'."));
    }
    if query.is_ascii() {
        Ok(())
    } else {
        Err(malformed("The query holds raw bytes that are not ASCII. Send them percent-encoded."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(build: impl Fn(request::Builder) -> request::Builder) -> Result<(), Reason> {
        let (parts, ()) = build(request::Request::builder().uri("/v1")).body(()).expect("valid").into_parts();
        screen(&parts, Direction::Ingress).map(|_| ()).map_err(|denial| denial.reason)
    }

    #[test]
    fn egress_allows_an_encoded_slash_and_a_token_in_the_query() {
        for uri in ["/v1/a%2fb", "/v1?a=b&access_token=x"] {
            let (parts, ()) =
                request::Request::builder().uri(uri).header("host", "a").body(()).expect("valid").into_parts();
            assert!(screen(&parts, Direction::Ingress).is_err_and(|denial| denial.public_text.is_some()), "{uri}");
            assert_eq!(screen(&parts, Direction::Egress).expect(uri).encoded_slash, uri.contains("%2f"));
        }
    }

    #[test]
    fn a_host_and_an_absolute_target_of_a_call_to_a_vendor_may_differ_in_spelling_alone() {
        let of = |uri: &str, host: &str, direction| {
            let (parts, ()) =
                request::Request::builder().uri(uri).header("host", host).body(()).expect("valid").into_parts();
            screen(&parts, direction).map(|_| ()).map_err(|denial| denial.reason)
        };
        for (uri, host, same) in [
            ("http://a/v1", "a:80", true),
            ("http://a:80/v1", "A", true),
            ("https://a/v1", "a:443", true),
            ("http://a./v1", "a", true),
            ("http://a/v1", "a:443", false),
            ("http://a/v1", "b", false),
            ("http://a:8080/v1", "a", false),
        ] {
            let expected = if same { Ok(()) } else { Err(Reason::RequestMalformed) };
            assert_eq!(of(uri, host, Direction::Egress), expected, "{uri} {host}");
            assert!(of(uri, host, Direction::Ingress).is_err(), "{uri} {host}");
        }
    }

    #[test]
    fn a_request_for_a_tunnel_names_one_host_and_port() {
        let of = |uri: &str, fields: &[(&str, &str)]| {
            let mut builder = request::Request::builder().method("CONNECT").uri(uri);
            for (name, value) in fields {
                builder = builder.header(*name, *value);
            }
            let (parts, ()) = builder.body(()).expect("valid").into_parts();
            screen_connect(&parts).map(|target| target.to_string()).map_err(|denial| denial.reason)
        };
        let read = |text: &str| Ok(text.to_owned());
        assert_eq!(of("API.example:443", &[]), read("api.example:443"), "HTTP/1.0");
        assert_eq!(of("api.example:443", &[("host", "api.example")]), read("api.example:443"));
        assert_eq!(
            of("api.example:443", &[("host", "API.example.:443"), ("content-length", "0")]),
            read("api.example:443")
        );
        assert_eq!(of("[::1]:443", &[("host", "[::1]:443")]), read("[::1]:443"));
        for (uri, fields) in [
            ("api.example", &[][..]),
            ("api.example:", &[]),
            ("http://api.example:443/", &[]),
            ("u@api.example:443", &[]),
            ("api.example:443", &[("host", "api.example:80")]),
            ("api.example:443", &[("host", "other.example")]),
            ("api.example:443", &[("host", "api.example"), ("host", "api.example")]),
            ("api.example:443", &[("host", "")]),
            ("api.example:443", &[("content-length", "5")]),
            ("api.example:443", &[("transfer-encoding", "chunked")]),
        ] {
            assert_eq!(of(uri, fields), Err(Reason::RequestMalformed), "{uri} {fields:?}");
        }
        assert_eq!(of("api.example:443", &[("via", "1.1 vendorgate")]), Err(Reason::LoopDetected));
    }

    #[test]
    fn a_call_that_has_passed_this_gateway_is_a_loop() {
        let via = |value: &str, direction| {
            let builder = request::Request::builder().uri("/v1").header("host", "a").header("via", value);
            let (parts, ()) = builder.body(()).expect("valid").into_parts();
            screen(&parts, direction).map(|_| ()).map_err(|denial| denial.reason)
        };
        for value in ["1.1 vendorgate", "1.1 a, 2.0\tVendorgate (x)", "1.0 b,1.1  vendorgate"] {
            assert_eq!(via(value, Direction::Egress), Err(Reason::LoopDetected), "{value}");
            assert_eq!(via(value, Direction::Ingress), Ok(()), "{value}");
        }
        for value in ["1.1 nginx", "1.1 vendorgate-2", "vendorgate", "1.1 a (vendorgate)"] {
            assert_eq!(via(value, Direction::Egress), Ok(()), "{value}");
        }
    }

    #[test]
    fn what_rfc_9113_forbids_is_refused() {
        let h2 = |b: request::Builder| b.version(Version::HTTP_2).uri("https://a/v1");
        assert_eq!(head(h2), Ok(()));
        assert_eq!(head(|b| h2(b).header("host", "A")), Ok(()));
        for (name, value) in [("x", " a"), ("x", "a "), ("x", "\ta"), ("host", "b"), ("content-length", "4 ")] {
            assert_eq!(head(|b| h2(b).header(name, value)), Err(Reason::RequestMalformed), "{name}: {value:?}");
        }
        for uri in ["ftp://a/v1", "https://u@a/v1", "https://a:b@c/v1"] {
            assert_eq!(head(|b| h2(b).uri(uri)), Err(Reason::RequestMalformed), "{uri}");
        }
        let twice = |b: request::Builder| h2(b).header("content-length", "4").header("content-length", "4");
        assert_eq!(head(twice), Err(Reason::RequestMalformed));
    }

    #[test]
    fn a_request_has_exactly_one_host_and_at_most_one_authorization() {
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
