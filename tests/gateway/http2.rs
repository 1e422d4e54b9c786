//! HTTP/2 as RFC 9113 says: what must not be passed on to HTTP/1.1, and floods of every kind of frame.

use std::io::Write;
use std::net::TcpStream;

use crate::support::client::tcp;
use crate::support::h2_frames::{
    self, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, Outcome, PING, PREFACE, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, block, frame, outcome,
};
use crate::support::issuer::reader;
use crate::support::test_gateway::TestGateway;
use crate::support::upstream::{Upstream, ok};

const TERMS: &str = "limits: { requests: { rate: 100000/s }, concurrency: 1000 }
ingress:
  - { route: \"* /v1/{*rest}\", scopes: [orders:read], upstream: crm }
";

/// The vendor's rate and concurrency limits are high, so that HTTP/2 itself must stop a flood.
fn gateway() -> (Upstream, TestGateway) {
    let crm = Upstream::json("{}");
    let gateway = TestGateway::of_acme(crm.address, TERMS);
    (crm, gateway)
}

fn open(gateway: &TestGateway) -> TcpStream {
    let mut stream = tcp(gateway.ingress());
    let mut out = PREFACE.to_vec();
    frame(&mut out, SETTINGS, 0, 0, &[]);
    stream.write_all(&out).expect("it is taken");
    stream
}

/// Sends frames on a new connection, as far as they are taken, and returns the result of a stream.
fn sent(gateway: &TestGateway, frames: &[u8], stream: u32) -> Outcome {
    let mut connection = open(gateway);
    let _ = connection.write_all(frames);
    outcome(&mut connection, stream)
}

/// The fields of a valid request, with some removed and others added at the end.
fn fields<'a>(token: &'a str, without: &[&str], with: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let good = [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "api.example.com"),
        (":path", "/v1/a"),
        ("authorization", token),
    ];
    good.into_iter().filter(|(name, _)| !without.contains(name)).chain(with.iter().copied()).collect()
}

/// What is wrong, the fields that are removed, and those that are added.
type Row = (&'static str, &'static [&'static str], &'static [(&'static str, &'static str)]);

#[test]
fn what_rfc_9113_forbids_never_reaches_http_1() {
    let (crm, gateway) = gateway();
    let bearer = format!("Bearer {}", reader());
    let rows: &[Row] = &[
        ("connection", &[], &[("connection", "close")]),
        ("keep-alive", &[], &[("keep-alive", "5")]),
        ("proxy-connection", &[], &[("proxy-connection", "close")]),
        ("a transfer coding", &[], &[("transfer-encoding", "chunked")]),
        ("an upgrade", &[], &[("upgrade", "websocket")]),
        ("te other than trailers", &[], &[("te", "gzip")]),
        ("te with more than trailers", &[], &[("te", "trailers, gzip")]),
        ("a name in capitals", &[], &[("X-A", "b")]),
        ("a space in a name", &[], &[("x a", "b")]),
        ("a colon in a name", &[], &[("x:a", "b")]),
        ("an empty name", &[], &[("", "b")]),
        ("CR LF in a value", &[], &[("x", "a\r\ny: b")]),
        ("CR in a value", &[], &[("x", "a\rb")]),
        ("LF in a value", &[], &[("x", "a\nb")]),
        ("NUL in a value", &[], &[("x", "a\0b")]),
        ("a space before a value", &[], &[("x", " a")]),
        ("a space after a value", &[], &[("x", "a ")]),
        ("a tab after a value", &[], &[("x", "a\t")]),
        ("CR LF in a path", &[":path"], &[(":path", "/v1/a HTTP/1.1\r\nx: y")]),
        ("a space in a path", &[":path"], &[(":path", "/v1/a b")]),
        ("LF in a method", &[":method"], &[(":method", "GET\n")]),
        ("no method", &[":method"], &[]),
        ("no scheme", &[":scheme"], &[]),
        ("no path", &[":path"], &[]),
        ("an empty path", &[":path"], &[(":path", "")]),
        ("a path without a slash", &[":path"], &[(":path", "v1/a")]),
        ("a path that is a URL", &[":path"], &[(":path", "http://evil/v1/a")]),
        ("an asterisk", &[":path"], &[(":path", "*")]),
        ("no authority and no host", &[":authority"], &[]),
        ("an empty authority", &[":authority"], &[(":authority", "")]),
        ("an authority with a user", &[":authority"], &[(":authority", "u@api.example.com")]),
        ("another host beside", &[], &[("host", "evil")]),
        ("two hosts", &[], &[("host", "api.example.com"), ("host", "api.example.com")]),
        ("two methods", &[":authority"], &[(":method", "GET"), (":authority", "a")]),
        ("another scheme", &[":scheme"], &[(":scheme", "ftp")]),
        ("an unknown pseudo-header", &[], &[(":x", "y")]),
        ("a status", &[], &[(":status", "200")]),
        ("a protocol", &[], &[(":protocol", "websocket")]),
        ("a pseudo-header behind a field", &[":path"], &[("x", "y"), (":path", "/v1/a")]),
        ("CONNECT", &[":method"], &[(":method", "CONNECT")]),
        ("two equal lengths", &[], &[("content-length", "0"), ("content-length", "0")]),
        ("a signed length", &[], &[("content-length", "+0")]),
        ("a length of nothing", &[], &[("content-length", "4")]),
    ];
    let mut wrong = Vec::new();
    for (name, without, with) in rows {
        let mut fields = fields(&bearer, without, with);
        // Pseudo-headers come first, except in the row that puts one later.
        if *name != "a pseudo-header behind a field" {
            fields.sort_by_key(|(name, _)| !name.starts_with(':'));
        }
        let mut frames = Vec::new();
        frame(&mut frames, HEADERS, END_STREAM | END_HEADERS, 1, &block(&fields));
        let found = sent(&gateway, &frames, 1);
        if matches!(found, Outcome::Answer(status) if status != 400) {
            wrong.push(format!("{name}: {found:?}"));
        }
    }
    let seen: Vec<String> = crm.seen().into_iter().map(|seen| seen.head).collect();
    assert!(wrong.is_empty() && seen.is_empty(), "{wrong:#?} {seen:?}");
}

#[test]
fn a_content_length_must_match_the_data() {
    let (crm, gateway) = gateway();
    let bearer = format!("Bearer {}", reader());
    for (length, pieces) in [("4", &["abc"][..]), ("4", &["ab", "abc"]), ("0", &["a"]), ("4", &["abcd", "e"])] {
        let mut frames = Vec::new();
        let fields = fields(&bearer, &[], &[("content-length", length)]);
        frame(&mut frames, HEADERS, END_HEADERS, 1, &block(&fields));
        for (at, piece) in pieces.iter().enumerate() {
            let flags = if at + 1 == pieces.len() { END_STREAM } else { 0 };
            frame(&mut frames, DATA, flags, 1, piece.as_bytes());
        }
        let found = sent(&gateway, &frames, 1);
        assert_ne!(found, Outcome::Answer(200), "{length} {pieces:?}");
    }
    assert_eq!(crm.seen().len(), 0, "none of them was whole");
}

#[test]
fn host_and_authority_are_forwarded_alike() {
    let (crm, gateway) = gateway();
    let bearer = format!("Bearer {}", reader());
    let with = [
        ("cookie", "a=b"),
        ("cookie", "c=d"),
        ("cookie", "e=f"),
        ("te", "trailers"),
        ("x-forwarded-host", "evil"),
        ("x_forwarded_host", "evil"),
        ("via", "1.1 evil"),
        ("content-length", "5"),
    ];
    let mut frames = Vec::new();
    frame(&mut frames, HEADERS, END_HEADERS, 1, &block(&fields(&bearer, &[], &with)));
    frame(&mut frames, DATA, 0, 1, b"hello");
    // Trailers that may not pass, one that would frame, and one that may.
    let trailers = [("x-vendorgate-vendor", "root"), ("content-length", "9"), ("x-secret", "s")];
    frame(&mut frames, HEADERS, END_STREAM | END_HEADERS, 1, &block(&trailers));
    assert_eq!(sent(&gateway, &frames, 1), Outcome::Answer(200));
    let seen = crm.last();
    assert_eq!(seen.field("x-forwarded-host"), Some("api.example.com"), "{}", seen.head);
    assert_eq!(seen.field("via"), Some("2.0 vendorgate"));
    assert_eq!(seen.field("cookie"), Some("a=b; c=d; e=f"));
    assert_eq!(seen.head.matches("cookie").count(), 1);
    assert_eq!(seen.body, b"hello");
    let raw = String::from_utf8_lossy(&seen.raw).into_owned();
    assert!(!raw.contains("evil") && !raw.contains("root") && !raw.contains("x-secret"), "{raw}");
    // The same over HTTP/1.1.
    let answer = gateway.get("/v1/a", &reader());
    assert_eq!(answer.status, 200);
    let seen = crm.last();
    assert_eq!((seen.field("x-forwarded-host"), seen.field("via")), (Some("api.example.com"), Some("1.1 vendorgate")));
}

#[test]
fn trailers_with_pseudo_headers_or_connection_fields_are_refused() {
    let (crm, gateway) = gateway();
    let bearer = format!("Bearer {}", reader());
    for trailers in
        [&[("connection", "close")][..], &[("transfer-encoding", "chunked")], &[("x", "a\r\nb")], &[("X", "a")]]
    {
        let mut frames = Vec::new();
        frame(&mut frames, HEADERS, END_HEADERS, 1, &block(&fields(&bearer, &[], &[])));
        frame(&mut frames, DATA, 0, 1, b"hello");
        frame(&mut frames, HEADERS, END_STREAM | END_HEADERS, 1, &block(trailers));
        assert_ne!(sent(&gateway, &frames, 1), Outcome::Answer(200), "{trailers:?}");
    }
    assert_eq!(crm.seen().len(), 0);
    // hyper leaves these out.
    let mut frames = Vec::new();
    frame(&mut frames, HEADERS, END_HEADERS, 1, &block(&fields(&bearer, &[], &[])));
    frame(&mut frames, HEADERS, END_STREAM | END_HEADERS, 1, &block(&[(":path", "/v1/evil"), (":method", "DELETE")]));
    sent(&gateway, &frames, 1);
    assert!(crm.seen().iter().all(|seen| !String::from_utf8_lossy(&seen.raw).contains("evil")));
}

/// What a flood has cost, and that others are served during and after it.
fn withstood(gateway: &TestGateway, crm: &Upstream, requests_max: usize, name: &str) {
    let seen = crm.seen().len();
    assert!(seen <= requests_max, "{name}: the upstream was asked {seen} times");
    assert_eq!(gateway.get("/v1/a", &reader()).status, 200, "{name}");
    crate::support::until("nothing is in flight", || gateway.in_flight() == 0);
}

/// The connection is ended within this many bytes, by a GOAWAY or a close.
fn ended(mut connection: TcpStream, name: &str) {
    assert_eq!(outcome(&mut connection, u32::MAX), Outcome::Gone, "{name}");
}

#[test]
fn a_rapid_reset_attack_is_ended() {
    let (crm, gateway) = gateway();
    let mut frames = Vec::new();
    for at in 0..2000 {
        h2_frames::get(&mut frames, at, "/v1/a", &reader());
        frame(&mut frames, RST_STREAM, 0, 2 * at + 1, &8_u32.to_be_bytes());
    }
    let mut connection = open(&gateway);
    let _ = connection.write_all(&frames);
    ended(connection, "rapid reset");
    withstood(&gateway, &crm, 200, "rapid reset");
}

#[test]
fn a_made_you_reset_attack_is_ended() {
    let (crm, gateway) = gateway();
    let mut frames = Vec::new();
    for at in 0..2000 {
        h2_frames::get(&mut frames, at, "/v1/a", &reader());
        // RFC 9113 section 6.9: an increment of 0 is an error of the stream, which the server resets.
        frame(&mut frames, WINDOW_UPDATE, 0, 2 * at + 1, &[0; 4]);
    }
    let mut connection = open(&gateway);
    let _ = connection.write_all(&frames);
    ended(connection, "made you reset");
    withstood(&gateway, &crm, 200, "made you reset");
}

#[test]
fn more_streams_than_were_agreed_are_refused() {
    let crm = Upstream::start(|_, asker| {
        let _ = asker.gone();
        false
    });
    let gateway = TestGateway::of_acme(crm.address, TERMS);
    let mut frames = Vec::new();
    (0..200).for_each(|at| h2_frames::get(&mut frames, at, "/v1/a", &reader()));
    assert!(!matches!(sent(&gateway, &frames, 399), Outcome::Answer(_)));
    assert!(crm.seen().len() <= 128, "{}", crm.seen().len());
}

#[test]
fn a_flood_of_continuations_is_ended() {
    let (crm, gateway) = gateway();
    for (name, piece) in [("full", block(&[("x", &"y".repeat(8000))])), ("empty", Vec::new())] {
        let mut connection = open(&gateway);
        let mut frames = Vec::new();
        frame(&mut frames, HEADERS, 0, 1, &block(&fields("x", &[], &[])));
        (0..4000).for_each(|_| frame(&mut frames, CONTINUATION, 0, 1, &piece));
        let _ = connection.write_all(&frames);
        ended(connection, name);
    }
    withstood(&gateway, &crm, 0, "continuations");
}

#[test]
fn floods_of_frames_that_need_answers_stop_when_the_answers_are_not_read() {
    let (crm, gateway) = gateway();
    for (name, kind, payload) in [("settings", SETTINGS, &[0, 3, 0, 0, 0, 9][..]), ("ping", PING, &[0; 8])] {
        let mut connection = narrow(&gateway);
        let mut flood = Vec::new();
        (0..4000).for_each(|_| frame(&mut flood, kind, 0, 0, payload));
        let mut taken = 0;
        // The gateway stops reading when its answers are not read, so that it holds a bounded amount.
        while taken < FLOOD_BYTES {
            match connection.write(&flood) {
                Ok(0) | Err(_) => break,
                Ok(written) => taken += written,
            }
        }
        assert!(taken < FLOOD_BYTES, "{name}: all of it was taken");
        withstood(&gateway, &crm, 2, name);
    }
}

/// More than the kernel buffers for both directions of one connection.
const FLOOD_BYTES: usize = 32 << 20;

/// A connection of a client that reads nothing, and for which the kernel holds little.
fn narrow(gateway: &TestGateway) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a size");
    socket.set_write_timeout(Some(std::time::Duration::from_secs(2))).expect("a timeout");
    socket.connect(&gateway.ingress().into()).expect("it accepts");
    let mut stream = TcpStream::from(socket);
    let mut out = PREFACE.to_vec();
    frame(&mut out, SETTINGS, 0, 0, &[]);
    stream.write_all(&out).expect("it is taken");
    stream
}

#[test]
fn a_flood_of_empty_frames_is_ended() {
    let crm = Upstream::start(|seen, asker| asker.write(ok("text/plain", &seen.body)).is_ok());
    let gateway = TestGateway::of_acme(crm.address, TERMS);
    let bearer = format!("Bearer {}", reader());
    let mut frames = Vec::new();
    frame(&mut frames, HEADERS, END_HEADERS, 1, &block(&fields(&bearer, &[], &[])));
    (0..20_000).for_each(|_| frame(&mut frames, DATA, 0, 1, &[]));
    frame(&mut frames, DATA, END_STREAM, 1, b"x");
    assert!(matches!(sent(&gateway, &frames, 1), Outcome::Answer(200) | Outcome::Gone | Outcome::Reset(_)));
    withstood(&gateway, &crm, 1, "empty frames");
}

#[test]
fn windows_and_tables_are_bounded() {
    let (crm, gateway) = gateway();
    let full = (1_u32 << 31) - 1;
    // RFC 9113 section 6.9.1: a window that overflows ends the connection.
    let mut connection = open(&gateway);
    let mut frames = Vec::new();
    (0..2).for_each(|_| frame(&mut frames, WINDOW_UPDATE, 0, 0, &full.to_be_bytes()));
    let _ = connection.write_all(&frames);
    ended(connection, "window");
    // RFC 7541 section 4.2: a table larger than was agreed.
    let mut connection = open(&gateway);
    let mut frames = Vec::new();
    frame(&mut frames, HEADERS, END_STREAM | END_HEADERS, 1, &[0x3f, 0xff, 0xff, 0xff, 0x07]);
    let _ = connection.write_all(&frames);
    ended(connection, "table");
    // One large field is put into the table and referenced again and again: few bytes that would expand to many.
    let mut bomb = block(&fields("x", &[], &[]));
    let value = "y".repeat(3000);
    bomb.extend_from_slice(&[0x40, 1, b'x', 127]);
    bomb.extend_from_slice(&[(((3000 - 127) % 128) | 128) as u8, ((3000 - 127) / 128) as u8]);
    bomb.extend_from_slice(value.as_bytes());
    bomb.extend_from_slice(&[0xbe; 10_000]);
    let mut frames = Vec::new();
    frame(&mut frames, HEADERS, END_STREAM | END_HEADERS, 1, &bomb);
    assert_ne!(sent(&gateway, &frames, 1), Outcome::Answer(200));
    withstood(&gateway, &crm, 0, "tables");
}
