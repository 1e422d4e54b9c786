//! Which header fields are removed from a message and which are added when it passes to the next hop.
//!
//! Hop-by-hop fields end here (RFC 9110 section 7.6.1). Before the gateway sets a field, it removes every copy that the
//! other side sent, in any spelling. Nothing that `Connection` names can remove a field of ours or one that the final
//! reader needs.

use ::http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, ETAG, EXPECT, HOST, HeaderMap,
    HeaderName, HeaderValue, IF_RANGE, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, RANGE, TE, TRAILER, TRANSFER_ENCODING,
    UPGRADE, VIA,
};
use ::http::{Uri, Version};

use super::spelling;
use crate::model::Direction;

/// The name of this gateway in `Via` fields.
pub const PSEUDONYM: &str = "vendorgate";

const WEBSOCKET_EXTENSIONS: HeaderName = HeaderName::from_static("sec-websocket-extensions");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const DPOP: HeaderName = HeaderName::from_static("dpop");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const VENDOR: HeaderName = HeaderName::from_static("x-vendorgate-vendor");
const CLIENT: HeaderName = HeaderName::from_static("x-vendorgate-client");
const DIGEST: HeaderName = HeaderName::from_static("digest");
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");
const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    EXPECT,
];

/// What the next hop may learn about the hop before.
#[derive(Debug)]
pub struct ForwardingContext<'a> {
    /// Which way the call goes. A vendor learns nothing about our side.
    pub direction: Direction,
    /// The next hop's authority.
    pub host: &'a HeaderValue,
    /// The peer's address as text, made once for each connection.
    pub peer: &'a HeaderValue,
    /// The version that the request came in.
    pub version: Version,
    /// The request's target: HTTP/2 names its host there, in `:authority`.
    pub target: &'a Uri,
    /// Whether the request came under TLS.
    pub tls: bool,
    /// The exchange's id.
    pub request_id: HeaderValue,
    /// The vendor's id.
    pub vendor: &'a HeaderValue,
    /// The client's id, if the caller is authenticated.
    pub client: Option<HeaderValue>,
    /// Whether the gateway will read the answer, so that it must come without content coding and as a whole.
    pub inspects_response: bool,
}

/// Turns a request's fields into those that the next hop may see.
pub fn prepare_request(headers: &mut HeaderMap, forwarding: ForwardingContext<'_>) {
    let original_host = headers.remove(HOST);
    let trailers_wanted = headers.get(TE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"trailers"));
    strip_hop_by_hop(headers);
    strip(headers, spelling::is_withheld_from_request);
    headers.insert(HOST, forwarding.host.clone());
    if trailers_wanted {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if forwarding.inspects_response {
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.remove(RANGE);
        headers.remove(IF_RANGE);
    }
    if forwarding.direction == Direction::Egress {
        return;
    }
    // The gateway has checked the token and its proof. The internal API gets the facts, not a token that it could leak.
    headers.remove(AUTHORIZATION);
    headers.remove(DPOP);
    headers.insert(VIA, via(forwarding.version));
    headers.insert(FORWARDED_FOR, forwarding.peer.clone());
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static(if forwarding.tls { "https" } else { "http" }));
    headers.insert(REQUEST_ID, forwarding.request_id);
    headers.insert(VENDOR, forwarding.vendor.clone());
    if let Some(client) = forwarding.client {
        headers.insert(CLIENT, client);
    }
    let named = || HeaderValue::try_from(forwarding.target.authority()?.as_str()).ok();
    if let Some(host) = original_host.or_else(named) {
        headers.insert(FORWARDED_HOST, host);
    }
}

/// The `Via` value: the version of the message and the name of this hop (RFC 9110 section 7.6.3).
fn via(version: Version) -> HeaderValue {
    HeaderValue::from_static(match version {
        Version::HTTP_10 => "1.0 vendorgate",
        Version::HTTP_2 => "2.0 vendorgate",
        _ => "1.1 vendorgate",
    })
}

/// Joins the pieces of a `Cookie` field, which HTTP/2 may send apart (RFC 9113 section 8.2.3).
pub fn join_cookies(headers: &mut HeaderMap) {
    let mut pieces = headers.get_all(COOKIE).iter();
    if pieces.next().is_none() || pieces.next().is_none() {
        return;
    }
    let pieces: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    match HeaderValue::from_bytes(&pieces.join(&b"; "[..])) {
        Ok(whole) => drop(headers.insert(COOKIE, whole)),
        // Cannot happen: valid values joined by `; ` are a valid value.
        Err(_) => drop(headers.remove(COOKIE)),
    }
}

/// Whether the fields ask for, or agree to, an upgrade to WebSocket (RFC 9110 section 7.8, RFC 6455 section 4).
pub fn is_websocket_upgrade(headers: &HeaderMap) -> bool {
    let mut protocols = headers.get_all(UPGRADE).iter();
    let is_websocket = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"websocket");
    let first = protocols.next().is_some_and(is_websocket);
    first && protocols.next().is_none() && nominated(headers).contains(&UPGRADE)
}

/// Asks for, or agrees to, an upgrade to WebSocket on this hop.
pub fn set_websocket_upgrade(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
}

/// Has a WebSocket use no extension: no message that an extension has changed can be read. Returns whether one was
/// asked for, or agreed to.
pub fn refuse_extensions(headers: &mut HeaderMap) -> bool {
    headers.remove(WEBSOCKET_EXTENSIONS).is_some()
}

/// Turns an answer's fields into those that the caller may see.
pub fn prepare_response(headers: &mut HeaderMap, request_id: HeaderValue) {
    strip_hop_by_hop(headers);
    strip(headers, spelling::is_withheld_from_answer);
    headers.insert(REQUEST_ID, request_id);
}

/// Removes the fields that describe the body as it was before the gateway changed it: lengths, validators, digests,
/// ranges.
pub fn strip_validators(headers: &mut HeaderMap) {
    for name in [CONTENT_LENGTH, ETAG, ACCEPT_RANGES, DIGEST, CONTENT_DIGEST, REPR_DIGEST, CONTENT_MD5, TRAILER] {
        headers.remove(name);
    }
}

/// Whether a trailer field may pass: only status and timing, never a field that could be taken for one of ours.
pub fn is_trailer_allowed(name: &HeaderName, body_changed: bool) -> bool {
    match name.as_str() {
        "grpc-status" | "grpc-message" | "grpc-status-details-bin" => !body_changed,
        "server-timing" => true,
        "content-digest" | "repr-digest" => !body_changed,
        _ => false,
    }
}

fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        for name in nominated(headers).iter().filter(|name| !spelling::is_end_to_end(name.as_str())) {
            headers.remove(name);
        }
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

/// The fields that `Connection` names: they end at this hop.
fn nominated(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|text| text.split(',')).filter_map(|name| name.trim().parse().ok()).collect()
}

/// Removes every field whose name is withheld.
fn strip(headers: &mut HeaderMap, is_withheld: impl Fn(&str) -> bool) {
    let withheld: Vec<HeaderName> = headers.keys().filter(|name| is_withheld(name.as_str())).cloned().collect();
    for name in withheld {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forwarded(direction: Direction, fields: &[(&'static str, &'static str)]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let host = HeaderValue::from_static("crm.internal");
        let peer = HeaderValue::from_static("192.0.2.1");
        let vendor = HeaderValue::from_static("acme");
        prepare_request(
            &mut headers,
            ForwardingContext {
                direction,
                host: &host,
                peer: &peer,
                version: Version::HTTP_11,
                target: &Uri::from_static("/v1/a"),
                tls: true,
                request_id: HeaderValue::from_static("id"),
                vendor: &vendor,
                client: Some(HeaderValue::from_static("batch")),
                inspects_response: false,
            },
        );
        let mut seen: Vec<String> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().expect("ASCII"))).collect();
        seen.sort();
        seen
    }

    #[test]
    fn a_caller_cannot_choose_a_field_that_the_gateway_sets() {
        let seen = forwarded(
            Direction::Ingress,
            &[
                ("host", "api.example.com"),
                ("authorization", "Bearer x"),
                ("dpop", "x"),
                ("connection", "x-vendorgate-vendor, x-keep, close"),
                ("x-keep", "1"),
                ("x_vendorgate_vendor", "root"),
                ("x-vendorgate-vendor", "root"),
                ("x-forwarded-for", "127.0.0.1"),
                ("x_forwarded_for", "127.0.0.1"),
                ("forwarded", "for=127.0.0.1"),
                ("x-original-url", "/admin"),
                ("x-http-method-override", "DELETE"),
                ("transfer-encoding", "chunked"),
                ("accept", "application/json"),
            ],
        );
        let expected = [
            "accept: application/json",
            "host: crm.internal",
            "via: 1.1 vendorgate",
            "x-forwarded-for: 192.0.2.1",
            "x-forwarded-host: api.example.com",
            "x-forwarded-proto: https",
            "x-request-id: id",
            "x-vendorgate-client: batch",
            "x-vendorgate-vendor: acme",
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_vendor_learns_nothing_of_our_side() {
        let seen =
            forwarded(Direction::Egress, &[("host", "127.0.0.1"), ("x-forwarded-for", "10.0.0.7"), ("accept", "*/*")]);
        assert_eq!(seen, ["accept: */*", "host: crm.internal"]);
    }

    #[test]
    fn connection_cannot_remove_an_end_to_end_field() {
        let fields = [
            ("connection", "content-type, cookie, content-encoding, te, x-keep"),
            ("content-type", "application/json"),
            ("content-encoding", "gzip"),
            ("x-keep", "1"),
        ];
        let seen = forwarded(Direction::Egress, &fields);
        assert_eq!(seen, ["content-encoding: gzip", "content-type: application/json", "host: crm.internal"]);
    }

    #[test]
    fn the_pieces_of_a_cookie_become_one_field() {
        let mut headers = HeaderMap::new();
        for piece in ["a=b", "c=d; e=f", "g=h"] {
            headers.append(COOKIE, HeaderValue::from_static(piece));
        }
        join_cookies(&mut headers);
        assert_eq!(headers.get_all(COOKIE).iter().collect::<Vec<_>>(), ["a=b; c=d; e=f; g=h"]);
    }

    #[test]
    fn a_websocket_upgrade_has_exactly_one_form() {
        for (connection, upgrade, names) in [
            ("Upgrade", &["websocket"][..], true),
            ("keep-alive, upgrade", &["WebSocket"], true),
            ("keep-alive", &["websocket"], false),
            ("upgrade", &["h2c"], false),
            ("upgrade", &["websocket, h2c"], false),
            ("upgrade", &["websocket", "websocket"], false),
            ("upgrade", &[], false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONNECTION, HeaderValue::from_static(connection));
            for protocol in upgrade {
                headers.append(UPGRADE, HeaderValue::from_static(protocol));
            }
            assert_eq!(is_websocket_upgrade(&headers), names, "{connection} {upgrade:?}");
        }
        let mut headers = HeaderMap::new();
        set_websocket_upgrade(&mut headers);
        assert!(is_websocket_upgrade(&headers));
    }

    #[test]
    fn only_listed_trailers_pass() {
        let name = HeaderName::from_static;
        assert!(is_trailer_allowed(&name("grpc-status"), false));
        assert!(!is_trailer_allowed(&name("x-vendorgate-vendor"), false));
        assert!(!is_trailer_allowed(&name("content-digest"), true));
    }
}
