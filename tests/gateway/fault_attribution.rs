//! An error in a body is blamed on its sender: a request's has its own reason, an answer's is the upstream's.

use std::io::Write;

use crate::support::client::{Answer, Client};
use crate::support::issuer::vendor;
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::{Upstream, ok};

/// The same route in both directions, with rules for both of its messages.
pub(crate) fn both_ways(upstream: &Upstream, request: &str, response: &str) -> String {
    format!(
        r#"limits: {{ requests: {{ rate: 100000/s }} }}
ingress:
  - route: POST|GET|HEAD /v1/orders
    scopes: [orders:write]
    upstream: crm
    request: {{ {request} }}
    response: {{ {response} }}
egress:
  upstream: {{ url: "http://{}", allow_networks: ["127.0.0.0/8"] }}
  routes:
    - route: POST|GET|HEAD /v1/orders
      request: {{ {request} }}
      response: {{ {response} }}
"#,
        upstream.address
    )
}

/// A connection of either direction, and the head of a request there.
pub(crate) fn ways(gateway: &TestGateway) -> [(Client, String); 2] {
    let token = vendor("acme").scope("orders:write").token();
    [
        (Client::to(gateway.ingress()), format!("/v1/orders HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n")),
        (Client::to(gateway.egress()), "/acme/v1/orders HTTP/1.1\r\nHost: a\r\n".to_owned()),
    ]
}

const RULE: &str = r#"pii: [ { field: "$..email", as: redact } ]"#;

const JSON: &str = "Content-Type: application/json\r\n";

fn gzip(text: &str) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    out.write_all(text.as_bytes()).and_then(|()| out.finish()).expect("in memory")
}

/// Bodies that a rule cannot read: their fields, their bytes, and the status and reason of a request that has one.
fn unreadable() -> Vec<(&'static str, &'static str, Vec<u8>, u16, &'static str)> {
    let form = "Content-Type: multipart/form-data; boundary=b\r\n";
    let file = "--b\r\nContent-Disposition: form-data; name=\"a\"; filename=\"a.bin\"\r\n\r\nx\r\n--b--\r\n";
    let long = format!(r#"{{"email":"{}"}}"#, "x".repeat(1 << 17));
    let mut cut = gzip(r#"{"email":"ann@example.com"}"#);
    cut.truncate(20);
    let gz = "Content-Type: application/json\r\nContent-Encoding: gzip\r\n";
    vec![
        ("truncated", JSON, br#"{"email":"#.to_vec(), 400, "body_malformed"),
        ("two documents", JSON, b"{}{}".to_vec(), 400, "body_malformed"),
        ("no UTF-8", JSON, b"{\"a\":\"\xff\"}".to_vec(), 400, "body_malformed"),
        ("a name twice in no JSON", JSON, b"{a:1}".to_vec(), 400, "body_malformed"),
        ("ragged", "Content-Type: text/csv\r\n", b"id,email\n1,a@x.example,z\n".to_vec(), 400, "body_malformed"),
        ("no XML", "Content-Type: text/xml\r\n", b"<a><b></a>".to_vec(), 400, "body_malformed"),
        ("no gzip", gz, b"{}".to_vec(), 400, "body_malformed"),
        ("half a gzip", gz, cut, 400, "body_malformed"),
        ("too deep", JSON, "[".repeat(1_000).into_bytes(), 413, "body_too_large"),
        (
            "too long a tag",
            "Content-Type: text/xml\r\n",
            format!("<a b='{}'/>", "x".repeat(1 << 19)).into_bytes(),
            413,
            "body_too_large",
        ),
        ("a bomb", gz, gzip(&" ".repeat(1 << 23)), 413, "body_too_large"),
        ("a file", form, file.as_bytes().to_vec(), 415, "body_opaque"),
        ("another charset", "Content-Type: application/json; charset=utf-16\r\n", b"{}".to_vec(), 415, "body_opaque"),
        (
            "another coding",
            "Content-Type: application/json\r\nContent-Encoding: compress\r\n",
            b"{}".to_vec(),
            415,
            "body_opaque",
        ),
        ("another type", "Content-Type: image/png\r\n", long.into_bytes(), 415, "body_opaque"),
        ("no type", "", b"{}".to_vec(), 415, "body_opaque"),
        (
            "two types",
            "Content-Type: application/json\r\nContent-Type: text/csv\r\n",
            b"{}".to_vec(),
            415,
            "body_opaque",
        ),
    ]
}

fn with_length(head: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST {head}{fields}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn assert_refused(answer: &Answer, (status, reason): (u16, &str), name: &str) {
    assert_eq!((answer.status, answer.reason().as_str()), (status, reason), "{name}");
}

#[test]
fn an_unreadable_request_is_blamed_on_its_sender() {
    let crm = Upstream::json("{}");
    let gateway = TestGateway::of_acme(crm.address, &both_ways(&crm, RULE, ""));
    for (name, fields, body, status, reason) in unreadable() {
        for (mut client, head) in ways(&gateway) {
            let answer = client.send(with_length(&head, fields, &body)).answer();
            assert_refused(&answer, (status, reason), name);
        }
    }
}

#[test]
fn an_unreadable_answer_is_blamed_on_the_upstream() {
    for (name, fields, body, ..) in unreadable() {
        let head = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\n\r\n", body.len());
        let crm = Upstream::saying([head.as_bytes(), &body].concat());
        let gateway = TestGateway::of_acme(crm.address, &both_ways(&crm, "", RULE));
        for (mut client, head) in ways(&gateway) {
            let answer = client.send(format!("GET {head}\r\n")).answer();
            if answer.status == 200 {
                assert_ne!(answer.ending, crate::support::client::BodyEnd::Whole, "{name}");
            } else {
                assert_refused(&answer, (502, "upstream_unreadable"), name);
            }
            assert!(!answer.holds("example.com"), "{name}");
        }
    }
}

#[test]
fn an_error_in_the_middle_of_a_body_is_blamed_on_its_sender_and_frees_the_upstream() {
    let crm = Upstream::saying(ok("application/json", "{}"));
    let gateway = TestGateway::of_acme(crm.address, &both_ways(&crm, RULE, ""));
    let chunk = |bytes: &str| format!("{:x}\r\n{bytes}\r\n", bytes.len());
    let long = |open: &str| format!(r#"{open}"{}""#, "x".repeat(100_000));
    for (name, tail, status, reason) in [
        ("no JSON", chunk(",x"), 400, "body_malformed"),
        ("an early end", "0\r\n\r\n".to_owned(), 400, "body_malformed"),
        ("too deep", chunk(&format!(",{}", "[".repeat(1_000))), 413, "body_too_large"),
        ("no chunk", "zz\r\n".to_owned(), 400, "body_malformed"),
    ] {
        for (mut client, head) in ways(&gateway) {
            client.send(format!("POST {head}{JSON}Transfer-Encoding: chunked\r\n\r\n{}", chunk(&long("["))));
            until("the upstream has the beginning", || crm.open() == 1);
            let answer = client.send(&tail).answer();
            assert_refused(&answer, (status, reason), name);
            until("the upstream is let go", || crm.open() == 0);
        }
    }
    assert!(crm.seen().is_empty(), "no request was whole");
}
