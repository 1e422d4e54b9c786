//! Requests with two readings, smuggling, and forged identity: a table of each with what refuses it.

use crate::support::client::{Client, exchange_raw, request};
use crate::support::issuer::reader;
use crate::support::test_gateway::TestGateway;
use crate::support::upstream::Upstream;

const TERMS: &str = "limits: { requests: { rate: 100000/s } }
ingress:
  - { route: \"* /v1/{*rest}\", scopes: [orders:read], upstream: crm }
";

/// Fields and body after `POST /v1/a HTTP/1.1`, and the public text of the refusal; `~` stands for a line end.
const HEADS: &[(&str, &str, &str)] = &[
    ("length and coding", "Host: a~Content-Length: 4~Transfer-Encoding: chunked~~0~~", "are both there"),
    ("coding and length", "Host: a~Transfer-Encoding: chunked~Content-Length: 4~~0~~", "are both there"),
    ("two lengths", "Host: a~Content-Length: 4~Content-Length: 5~~abcde", "more than once"),
    ("two equal lengths", "Host: a~Content-Length: 4~Content-Length: 4~~abcd", "more than once"),
    ("a list of lengths", "Host: a~Content-Length: 4, 4~~abcd", "plain decimal"),
    ("a signed length", "Host: a~Content-Length: +4~~abcd", "plain decimal"),
    ("a negative length", "Host: a~Content-Length: -4~~abcd", "plain decimal"),
    ("a length in hex", "Host: a~Content-Length: 0x4~~abcd", "plain decimal"),
    ("a spaced length", "Host: a~Content-Length: 4 4~~abcd", "plain decimal"),
    ("a length in octal", "Host: a~Content-Length: 04~~abcd", "plain decimal"),
    ("an empty length", "Host: a~Content-Length: ~~abcd", "plain decimal"),
    ("an endless length", "Host: a~Content-Length: 99999999999999999999~~abcd", "plain decimal"),
    ("an unknown coding", "Host: a~Transfer-Encoding: xchunked~~0~~", "single chunked"),
    ("chunked before another", "Host: a~Transfer-Encoding: chunked, identity~~0~~", "single chunked"),
    ("chunked twice", "Host: a~Transfer-Encoding: chunked, chunked~~0~~", "single chunked"),
    (
        "chunked twice in two fields",
        "Host: a~Transfer-Encoding: chunked~Transfer-Encoding: chunked~~0~~",
        "single chunked",
    ),
    ("gzip before chunked", "Host: a~Transfer-Encoding: gzip, chunked~~0~~", "single chunked"),
    ("identity before chunked", "Host: a~Transfer-Encoding: identity, chunked~~0~~", "single chunked"),
    ("a coding with a vertical tab", "Host: a~Transfer-Encoding: \x0bchunked~~0~~", "control character"),
    ("a space before the colon", "Host: a~Content-Length : 4~~abcd", "space before its colon"),
    ("a tab before the colon", "Host: a~Transfer-Encoding\t: chunked~~0~~", "space before its colon"),
    ("a space before the first name", " Host: a~Content-Length: 0~~", "begins with a space"),
    ("obs-fold", "Host: a~X: b~ c~Content-Length: 0~~", "begins with a space"),
    ("obs-fold of a coding", "Host: a~Transfer-Encoding:~ chunked~~0~~", "single chunked"),
    ("a NUL in a value", "Host: a~X: b\0c~Content-Length: 0~~", "control character"),
    ("a DEL in a value", "Host: a~X: b\x7fc~Content-Length: 0~~", "control character"),
    ("a bare CR in a value", "Host: a~X: b\rc~Content-Length: 0~~", "no LF follows"),
    ("a bare LF", "Host: a\nX: b~Content-Length: 0~~", "LF alone"),
    ("a head that ends in bare LF", "Host: a~Content-Length: 0~\n", "LF alone"),
    ("two bare LF", "Host: a\n\n", "LF alone"),
    ("a control in a name", "Host: a~X\x01: b~Content-Length: 0~~", "control character"),
    ("an empty name", "Host: a~: b~Content-Length: 0~~", "no token"),
    ("a space in a name", "Host: a~X b: c~Content-Length: 0~~", "no token"),
    ("no colon", "Host: a~Xb~Content-Length: 0~~", "no colon"),
    ("no host", "Content-Length: 0~~", "names no host"),
    ("two hosts", "Host: a~Host: b~Content-Length: 0~~", "more than one Host"),
    ("two equal hosts", "Host: a~Host: a~Content-Length: 0~~", "more than one Host"),
    ("an empty host", "Host: ~Content-Length: 0~~", "host name or address"),
    ("a host with a path", "Host: a/b~Content-Length: 0~~", "host name or address"),
    ("a host with a user", "Host: u@a~Content-Length: 0~~", "host name or address"),
    ("an unknown expectation", "Host: a~Expect: 200-maybe~Content-Length: 0~~", "100-continue"),
];

/// Whole request lines, and the public text of their refusal.
const LINES: &[(&str, &str, &str)] = &[
    ("HTTP/1.2", "GET /v1/a HTTP/1.2", "neither 1.1"),
    ("HTTP/2.0 in words", "GET /v1/a HTTP/2.0", "neither 1.1"),
    ("HTTP/0.9", "GET /v1/a", "request line"),
    ("a lower-case version", "GET /v1/a http/1.1", "neither 1.1"),
    ("a space in the target", "GET /v1/a b HTTP/1.1", "request line"),
    ("two spaces", "GET  /v1/a HTTP/1.1", "request line"),
    ("a tab", "GET\t/v1/a HTTP/1.1", "request line"),
    ("no path", "GET ?a HTTP/1.1", "no path"),
    ("a fragment", "GET /v1/a#b HTTP/1.1", "fragment"),
    ("asterisk form", "OPTIONS * HTTP/1.1", "no path"),
    ("CONNECT", "CONNECT a:443 HTTP/1.1", "CONNECT"),
    ("TRACE", "TRACE /v1/a HTTP/1.1", "TRACE"),
    ("an encoded slash", "GET /v1%2fa HTTP/1.1", "encoded slash"),
    ("a backslash", "GET /v1\\a HTTP/1.1", "backslash"),
    ("an encoded backslash", "GET /v1/%5ca HTTP/1.1", "backslash"),
    ("an encoded NUL", "GET /v1/%00 HTTP/1.1", "control character"),
    ("a double encoding", "GET /v1/%252e%252e/x HTTP/1.1", "twice"),
    ("a double encoding of its own digits", "GET /v1/a/%25%32%65%25%32%65/b HTTP/1.1", "twice"),
    ("a parameter before a slash", "GET /v1/a;x=1/b HTTP/1.1", "parameters"),
    ("overlong UTF-8", "GET /v1/%c0%ae HTTP/1.1", "UTF-8"),
    ("raw non-ASCII", "GET /v1/\u{e9} HTTP/1.1", "percent-encoded"),
    ("raw non-ASCII in the query", "GET /v1/a?\u{e9} HTTP/1.1", "percent-encoded"),
    ("out of the root", "GET /v1/../../etc HTTP/1.1", "leave its root"),
    ("a broken escape", "GET /v1/%zz HTTP/1.1", "hexadecimal"),
    ("a token in the URL", "GET /v1/a?access_token=x HTTP/1.1", "access token"),
    ("another host in absolute form", "GET http://evil/v1/a HTTP/1.1", "different hosts"),
];

fn gateway() -> (Upstream, TestGateway) {
    let crm = Upstream::json("{}");
    let gateway = TestGateway::of_acme(crm.address, TERMS);
    (crm, gateway)
}

/// The statuses of all that came back.
fn statuses(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    text.split("HTTP/1.1 ").skip(1).map(|answer| answer[..3].to_owned()).collect()
}

#[test]
fn a_request_with_two_readings_is_refused_and_the_connection_closed() {
    let (crm, gateway) = gateway();
    // A second request after the first: after a refusal for framing it must never be read as a request.
    let next = format!(
        "GET /v1/smuggled HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\r\n",
        reader()
    );
    let mut wrong = Vec::new();
    for (name, head, told) in HEADS {
        let head = head.replace('~', "\r\n");
        let bytes = format!("POST /v1/a HTTP/1.1\r\nAuthorization: Bearer {}\r\n{head}{next}", reader());
        // The folded line must come first in the head, so that it continues none of the test's own fields.
        let bytes = if head.starts_with(' ') { format!("POST /v1/a HTTP/1.1\r\n{head}{next}") } else { bytes };
        judge(&gateway, name, bytes.as_bytes(), told, &mut wrong);
    }
    for (name, line, told) in LINES {
        let bytes = format!("{line}\r\nHost: a\r\nAuthorization: Bearer {}\r\n\r\n", reader());
        judge(&gateway, name, bytes.as_bytes(), told, &mut wrong);
    }
    let smuggled: Vec<String> = crm.seen().iter().map(|seen| seen.line().to_owned()).collect();
    assert!(wrong.is_empty() && smuggled.is_empty(), "{wrong:#?}\nand the upstream saw {smuggled:?}");
    let labels = ["vendor=\"_unknown\"", "direction=\"ingress\"", "reason=\"request_malformed\""];
    let counted = gateway.metric("vendorgate_denials_total", &labels);
    assert_eq!(counted, Some((HEADS.len() + LINES.len()) as u64), "each is counted like any other denial");
}

/// One problem document that names the cause, and a close.
fn judge(gateway: &TestGateway, name: &str, bytes: &[u8], told: &str, wrong: &mut Vec<String>) {
    let answer = exchange_raw(gateway.ingress(), bytes);
    let text = String::from_utf8_lossy(&answer).into_owned();
    let is_refused = statuses(&answer) == ["400"] && text.contains("request_malformed");
    if !is_refused || !text.contains("connection: close") || !text.contains(told) {
        wrong.push(format!("{name}: expected to be told of '{told}': {text}"));
    }
}

#[test]
fn split_and_pipelined_requests_are_validated_alike() {
    let (crm, gateway) = gateway();
    let good = request("GET", "/v1/a", &reader(), "");
    let bad = good.replace("\r\n\r\n", "\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\n");
    // Two valid requests in one piece, and an invalid one after them.
    let answer = exchange_raw(gateway.ingress(), format!("{good}{good}{bad}{good}").as_bytes());
    assert_eq!(statuses(&answer), ["200", "200", "400"]);
    let mut client = Client::to(gateway.ingress());
    for piece in bad.as_bytes().chunks(7) {
        client.send(piece);
    }
    let refused = client.answer();
    assert_eq!((refused.status, refused.reason().as_str()), (400, "request_malformed"));
    assert!(client.is_closed());
    // A valid request in pieces, with a body and trailers, and another after it.
    let posted = good.replace("GET", "POST").replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n")
        + "5\r\nhello\r\n0\r\nX: y\r\n\r\n";
    let mut client = Client::to(gateway.ingress());
    for piece in format!("{posted}{good}").as_bytes().chunks(3) {
        client.send(piece);
    }
    assert_eq!((client.answer().status, client.answer().status), (200, 200));
    assert_eq!(crm.seen().len(), 4);
}

#[test]
fn a_broken_chunk_never_becomes_a_next_request() {
    let (crm, gateway) = gateway();
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
        let answer = exchange_raw(gateway.ingress(), format!("{head}{chunk}{next}").as_bytes());
        assert!(!statuses(&answer).contains(&"200".to_owned()), "{chunk:?}: {}", String::from_utf8_lossy(&answer));
    }
    assert!(crm.seen().iter().all(|seen| !seen.head.contains("smuggled")));
}

#[test]
fn each_request_of_a_connection_is_authenticated() {
    let (crm, gateway) = gateway();
    let with = request("GET", "/v1/a", &reader(), "");
    let without = request("GET", "/v1/b", "", "");
    let last = without.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    let answer = exchange_raw(gateway.ingress(), format!("{with}{without}{with}{last}").as_bytes());
    assert_eq!(statuses(&answer), ["200", "401", "200", "401"]);
    assert!(crm.seen().iter().all(|seen| seen.line().contains("/v1/a")));
}

#[test]
fn an_early_refusal_never_turns_the_body_into_a_request() {
    let (crm, gateway) = gateway();
    let smuggled = format!(
        "GET /v1/smuggled HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\r\n",
        reader()
    );
    let refused = format!(
        "POST /v1/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{smuggled}",
        smuggled.len()
    );
    let answer = exchange_raw(gateway.ingress(), refused.as_bytes());
    assert_eq!(statuses(&answer), ["401"]);
    assert_eq!(crm.seen().len(), 0);
}

#[test]
fn the_validated_path_is_the_forwarded_path() {
    let (crm, gateway) = gateway();
    let mut client = Client::to(gateway.ingress());
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
    let (crm, gateway) = gateway();
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
        "Proxy: http://evil",
        "X.Vendorgate.Client: root",
        "X~Vendorgate~Vendor: root",
        "X!Forwarded|For: 10.9.9.9",
        "Client.Cert: :root:",
        "True-Client-IP: 10.9.9.9",
        "X-Client-IP: 10.9.9.9",
        "X-Host: evil",
        "X_Original_URL: /evil",
        "X-Forwarded-Prefix: /evil",
        "Content_Length: 999evil",
        "Transfer.Encoding: evil",
        "Content_Type: evil",
        "Via: 1.1 evil",
    ];
    let text =
        request("GET", "/v1/a", &reader(), "").replace("\r\n\r\n", &format!("\r\n{}\r\n\r\n", forged.join("\r\n")));
    let answer = Client::to(gateway.ingress()).send(text).answer();
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
    let (_crm, gateway) = gateway();
    let mut client = Client::to(gateway.ingress());
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
    let (crm, gateway) = gateway();
    let long = "x".repeat(64 * 1024);
    let many: String = (0..200).map(|at| format!("X-{at}: y\r\n")).collect();
    for head in [
        format!("GET /v1/{long} HTTP/1.1\r\nHost: a\r\n\r\n"),
        format!("GET /v1/a HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"),
        format!("GET /v1/a HTTP/1.1\r\nHost: a\r\n{many}\r\n"),
    ] {
        let answer = exchange_raw(gateway.ingress(), head.as_bytes());
        let status = statuses(&answer).first().cloned().unwrap_or_default();
        assert!(["400", "414", "431"].contains(&status.as_str()), "{}: {status}", &head[..40]);
    }
    assert_eq!(crm.seen().len(), 0);
}
