//! Requests with two readings, smuggling, and forged identity: as data, with what refuses each.

use crate::support::client::{Client, exchange_raw, request};
use crate::support::gate::Gate;
use crate::support::issuer::reader;
use crate::support::upstream::Upstream;

const TERMS: &str = "limits: { requests: { rate: 100000/s } }
ingress:
  - { route: \"* /v1/{*rest}\", scopes: [orders:read], upstream: crm }
";

/// What refuses a request, so that a change of library shows where we stand alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// hyper, with an empty answer and a close.
    Hyper,
    /// Our hygiene, with a problem document.
    Us,
    /// Nobody: hyper reads it in the one way that RFC 9112 section 6.3 leaves, and closes after the answer.
    OneReading,
    /// Nobody: equal lengths are one length (RFC 9110 section 8.6), and what is forwarded has it once.
    OneLength,
}

/// Fields and body after `POST /v1/a HTTP/1.1`; `~` stands for a line end.
const HEADS: &[(&str, &str, By)] = &[
    ("length and coding", "Host: a~Content-Length: 4~Transfer-Encoding: chunked~~0~~", By::OneReading),
    ("coding and length", "Host: a~Transfer-Encoding: chunked~Content-Length: 4~~0~~", By::OneReading),
    ("two lengths", "Host: a~Content-Length: 4~Content-Length: 5~~abcde", By::Hyper),
    ("two equal lengths", "Host: a~Content-Length: 4~Content-Length: 4~~abcd", By::OneLength),
    ("a list of lengths", "Host: a~Content-Length: 4, 4~~abcd", By::Hyper),
    ("a signed length", "Host: a~Content-Length: +4~~abcd", By::Hyper),
    ("a negative length", "Host: a~Content-Length: -4~~abcd", By::Hyper),
    ("a length in hex", "Host: a~Content-Length: 0x4~~abcd", By::Hyper),
    ("an empty length", "Host: a~Content-Length: ~~abcd", By::Hyper),
    ("an endless length", "Host: a~Content-Length: 99999999999999999999~~abcd", By::Hyper),
    ("an unknown coding", "Host: a~Transfer-Encoding: xchunked~~0~~", By::Hyper),
    ("chunked before another", "Host: a~Transfer-Encoding: chunked, identity~~0~~", By::Hyper),
    ("chunked twice", "Host: a~Transfer-Encoding: chunked, chunked~~0~~", By::Us),
    ("chunked twice in two fields", "Host: a~Transfer-Encoding: chunked~Transfer-Encoding: chunked~~0~~", By::Us),
    ("gzip before chunked", "Host: a~Transfer-Encoding: gzip, chunked~~0~~", By::Us),
    ("identity before chunked", "Host: a~Transfer-Encoding: identity, chunked~~0~~", By::Us),
    ("a space before the colon", "Host: a~Content-Length : 4~~abcd", By::Hyper),
    ("a space before the first name", " Host: a~Content-Length: 0~~", By::Hyper),
    ("obs-fold", "Host: a~X: b~ c~Content-Length: 0~~", By::Hyper),
    ("a NUL in a value", "Host: a~X: b\0c~Content-Length: 0~~", By::Hyper),
    ("a bare CR in a value", "Host: a~X: b\rc~Content-Length: 0~~", By::Hyper),
    ("a control in a name", "Host: a~X\x01: b~Content-Length: 0~~", By::Hyper),
    ("an empty name", "Host: a~: b~Content-Length: 0~~", By::Hyper),
    ("no colon", "Host: a~Xb~Content-Length: 0~~", By::Hyper),
    ("no host", "Content-Length: 0~~", By::Us),
    ("two hosts", "Host: a~Host: b~Content-Length: 0~~", By::Us),
    ("two equal hosts", "Host: a~Host: a~Content-Length: 0~~", By::Us),
    ("an empty host", "Host: ~Content-Length: 0~~", By::Us),
    ("a host with a path", "Host: a/b~Content-Length: 0~~", By::Us),
    ("a host with a user", "Host: u@a~Content-Length: 0~~", By::Us),
    ("an unknown expectation", "Host: a~Expect: 200-maybe~Content-Length: 0~~", By::Us),
];

/// Whole request lines.
const LINES: &[(&str, &str, By)] = &[
    ("HTTP/1.2", "GET /v1/a HTTP/1.2", By::Hyper),
    ("HTTP/2.0 in words", "GET /v1/a HTTP/2.0", By::Hyper),
    ("HTTP/0.9", "GET /v1/a", By::Hyper),
    ("a lower-case version", "GET /v1/a http/1.1", By::Hyper),
    ("a space in the target", "GET /v1/a b HTTP/1.1", By::Hyper),
    ("two spaces", "GET  /v1/a HTTP/1.1", By::Hyper),
    ("a tab", "GET\t/v1/a HTTP/1.1", By::Hyper),
    ("no path", "GET ?a HTTP/1.1", By::Hyper),
    ("asterisk form", "OPTIONS * HTTP/1.1", By::Us),
    ("CONNECT", "CONNECT a:443 HTTP/1.1", By::Us),
    ("TRACE", "TRACE /v1/a HTTP/1.1", By::Us),
    ("an encoded slash", "GET /v1%2fa HTTP/1.1", By::Us),
    ("a backslash", "GET /v1\\a HTTP/1.1", By::Us),
    ("an encoded backslash", "GET /v1/%5ca HTTP/1.1", By::Us),
    ("an encoded NUL", "GET /v1/%00 HTTP/1.1", By::Us),
    ("a double encoding", "GET /v1/%252e%252e/x HTTP/1.1", By::Us),
    ("a parameter before a slash", "GET /v1/a;x=1/b HTTP/1.1", By::Us),
    ("overlong UTF-8", "GET /v1/%c0%ae HTTP/1.1", By::Us),
    ("out of the root", "GET /v1/../../etc HTTP/1.1", By::Us),
    ("a broken escape", "GET /v1/%zz HTTP/1.1", By::Us),
    ("a token in the URL", "GET /v1/a?access_token=x HTTP/1.1", By::Us),
    ("another host in absolute form", "GET http://evil/v1/a HTTP/1.1", By::Us),
];

fn gate() -> (Upstream, Gate) {
    let crm = Upstream::json("{}");
    let gate = Gate::of_acme(crm.address, TERMS);
    (crm, gate)
}

/// The statuses of all that came back.
fn statuses(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    text.split("HTTP/1.1 ").skip(1).map(|answer| answer[..3].to_owned()).collect()
}

#[test]
fn what_has_two_readings_is_refused_and_closes() {
    let (crm, gate) = gate();
    // A second request behind the first: after a refusal for framing it must never be read as one.
    let next = format!(
        "GET /v1/smuggled HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\r\n",
        reader()
    );
    let mut wrong = Vec::new();
    for (name, head, by) in HEADS {
        let head = head.replace('~', "\r\n");
        let bytes = format!("POST /v1/a HTTP/1.1\r\nAuthorization: Bearer {}\r\n{head}{next}", reader());
        // The fold above must come first in the head, so that it folds nothing of ours.
        let bytes = if head.starts_with(' ') { format!("POST /v1/a HTTP/1.1\r\n{head}{next}") } else { bytes };
        judge(&gate, name, bytes.as_bytes(), *by, &mut wrong);
    }
    for (name, line, by) in LINES {
        let bytes = format!("{line}\r\nHost: a\r\nAuthorization: Bearer {}\r\n\r\n", reader());
        judge(&gate, name, bytes.as_bytes(), *by, &mut wrong);
    }
    let smuggled: Vec<String> = crm.seen().iter().map(|seen| seen.line().to_owned()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}\nand the upstream saw {smuggled:?}");
}

fn judge(gate: &Gate, name: &str, bytes: &[u8], by: By, wrong: &mut Vec<String>) {
    let answer = exchange_raw(gate.ingress(), bytes);
    let text = String::from_utf8_lossy(&answer).into_owned();
    let all = statuses(&answer);
    let closes = text.contains("connection: close");
    let found = match (all.first().map(String::as_str), text.contains("request_malformed")) {
        (Some("400"), true) if closes => Some(By::Us),
        (Some("400" | "431" | "414" | "505"), false) => Some(By::Hyper),
        (Some("200"), false) if all.len() == 1 && closes => Some(By::OneReading),
        (Some("200"), false) if all == ["200", "200"] => Some(By::OneLength),
        _ => None,
    };
    if found != Some(by) {
        wrong.push(format!("{name}: expected {by:?}, found {found:?}: {text}"));
    }
}

#[test]
fn a_broken_chunk_never_becomes_a_next_request() {
    let (crm, gate) = gate();
    let head = format!(
        "POST /v1/a HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nTransfer-Encoding: chunked\r\n\r\n",
        reader()
    );
    let next = format!(
        "GET /v1/smuggled HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\r\n",
        reader()
    );
    for chunk in [
        "5\r\nabc\r\n0\r\n\r\n",
        "-1\r\n\r\n",
        "g\r\n\r\n",
        "1 1\r\na\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\na",
        "0x1\r\na\r\n0\r\n\r\n",
    ] {
        let answer = exchange_raw(gate.ingress(), format!("{head}{chunk}{next}").as_bytes());
        assert!(!statuses(&answer).contains(&"200".to_owned()), "{chunk:?}: {}", String::from_utf8_lossy(&answer));
    }
    assert!(crm.seen().iter().all(|seen| !seen.head.contains("smuggled")));
}

#[test]
fn an_early_refusal_never_turns_the_body_into_a_request() {
    let (crm, gate) = gate();
    let smuggled = format!(
        "GET /v1/smuggled HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\r\n",
        reader()
    );
    let refused = format!(
        "POST /v1/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{smuggled}",
        smuggled.len()
    );
    let answer = exchange_raw(gate.ingress(), refused.as_bytes());
    assert_eq!(statuses(&answer), ["401"]);
    assert_eq!(crm.seen().len(), 0);
}

#[test]
fn what_is_judged_is_what_is_forwarded() {
    let (crm, gate) = gate();
    let mut client = Client::to(gate.ingress());
    for (sent, forwarded) in [
        ("/v1/a/./b/../c", "/v1/a/c"),
        ("/v1/%61", "/v1/a"),
        ("/v1/%e2%82%ac?q=%2f&r", "/v1/%E2%82%AC?q=%2f&r"),
        ("/v1/A", "/v1/A"),
        ("/v1/a//b", "/v1/a//b"),
    ] {
        assert_eq!(client.get(sent, &reader()).status, 200, "{sent}");
        assert_eq!(crm.last().line(), format!("GET {forwarded} HTTP/1.1"), "{sent}");
    }
    let out = client.get("/v1/../v2/a", &reader());
    assert_eq!(out.reason(), "route_unknown");
}

#[test]
fn a_caller_cannot_forge_who_it_is() {
    let (crm, gate) = gate();
    let forged = [
        "X-Vendorgate-Vendor: root",
        "x_vendorgate_vendor: root",
        "X-VENDORGATE-CLIENT: root",
        "X-Vendorgate_Client: root",
        "X-Forwarded-For: 10.9.9.9",
        "X_Forwarded_For: 10.9.9.9",
        "Forwarded: for=10.9.9.9",
        "X-Real-IP: 10.9.9.9",
        "X-Forwarded-Host: evil",
        "X-Forwarded-Proto: https",
        "X-Original-URL: /evil",
        "X-Rewrite-URL: /evil",
        "X-HTTP-Method-Override: DELETE",
        "X-Request-Id: forged",
        "Client-Cert: :root:",
        "Connection: x-vendorgate-vendor, x-request-id, x-forwarded-for, keep-alive",
        "Keep-Alive: 5",
        "Upgrade: h2c",
        "Proxy-Authorization: Basic eDp5",
    ];
    let text =
        request("GET", "/v1/a", &reader(), "").replace("\r\n\r\n", &format!("\r\n{}\r\n\r\n", forged.join("\r\n")));
    let answer = Client::to(gate.ingress()).send(text).answer();
    assert_eq!(answer.status, 200);
    let seen = crm.last();
    for word in ["root", "10.9.9.9", "evil", "DELETE", "forged", "h2c", "eDp5", "Bearer", "keep-alive: 5"] {
        assert!(!seen.head.to_lowercase().contains(&word.to_lowercase()), "{word}: {}", seen.head);
    }
    assert_eq!(seen.field("x-vendorgate-vendor"), Some("acme"));
    assert_eq!(seen.field("x-vendorgate-client"), Some("acme-client"));
    assert_eq!(seen.field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.field("x-forwarded-proto"), Some("http"));
    assert_eq!(seen.field("x-request-id"), answer.field("x-request-id"), "both sides are told one id");
}

#[test]
fn every_answer_has_an_id_of_its_own() {
    let (_crm, gate) = gate();
    let mut client = Client::to(gate.ingress());
    let id = |answer: &crate::support::client::Answer| answer.field("x-request-id").map(str::to_owned);
    let first = id(&client.get("/v1/a", &reader())).expect("an id");
    let second = id(&client.get("/v1/a", &reader())).expect("an id");
    assert_ne!(first, second);
    let refused = client.get("/v1/a", "");
    let told = refused.json()["request_id"].as_str().expect("an id").to_owned();
    assert!(![first, second].contains(&told));
    let raw = client.get("/other", &reader());
    assert!(!raw.holds("/other") && !raw.holds("Bearer ey"), "a refusal repeats nothing of the request");
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let (crm, gate) = gate();
    let long = "x".repeat(64 * 1024);
    let many: String = (0..200).map(|at| format!("X-{at}: y\r\n")).collect();
    for head in [
        format!("GET /v1/{long} HTTP/1.1\r\nHost: a\r\n\r\n"),
        format!("GET /v1/a HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"),
        format!("GET /v1/a HTTP/1.1\r\nHost: a\r\n{many}\r\n"),
    ] {
        let answer = exchange_raw(gate.ingress(), head.as_bytes());
        let status = statuses(&answer).first().cloned().unwrap_or_default();
        assert!(["400", "414", "431"].contains(&status.as_str()), "{}: {status}", &head[..40]);
    }
    assert_eq!(crm.seen().len(), 0);
}
