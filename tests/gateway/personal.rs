//! Personal data in answers: treated for any split of the body, refused where the body cannot be read, never sent raw.

use crate::support::client::Client;
use crate::support::client::{BodyEnd, request};
use crate::support::issuer::reader;
use crate::support::test_gateway::TestGateway;
use crate::support::upstream::{CHUNKED, Upstream, ok};

const TERMS: &str = r#"limits: { requests: { rate: 100000/s } }
ingress:
  - route: GET /v1/orders
    scopes: [orders:read]
    upstream: crm
    response:
      pii:
        - { field: "$.orders[*].email", as: tokenize }
        - { field: "$.orders[*].name", as: hash }
        - { field: "$.orders[*].phone", as: mask, keep_last: 2 }
        - { field: "$..ssn", as: redact }
        - { field: "$..note", as: drop }
        - { header: x-customer, as: redact }
"#;

/// One value for each rule, with an escape in a key, an escape in a value, a repeated key and names beyond ASCII.
const BODY: &str = r#"{"orders":[{"id":1,"em\u0061il":"ann@example.com","name":"Zoë Weiß","phone":"+49 151 2345678","ssn":"078-05-1120","note":"call her"},{"id":2.50,"email":"ann\u0040example.com","email":"bob@example.com","deep":{"ssn":["219-09-9999",{"x":"457-55-5462"}]}}],"total": 2}"#;

/// Pieces of the raw values, long enough not to occur in an id or token by chance.
const RAW: [&str; 12] = [
    "ann@exam",
    "example.com",
    "bob@exam",
    "Zoë W",
    "Weiß",
    "49 151 2",
    "345678",
    "078-05-1",
    "05-1120",
    "call her",
    "219-09",
    "457-55",
];

fn chunked(pieces: &[&[u8]]) -> Vec<u8> {
    let mut bytes = CHUNKED.as_bytes().to_vec();
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        bytes.extend_from_slice(&[format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat());
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

#[test]
fn no_split_of_the_answer_lets_a_raw_value_out() {
    // The upstream writes up to the split, waits until that part has surely been read, and writes the rest.
    let crm = Upstream::start(|seen, asker| {
        let at: usize = seen.field("x-split").expect("told").parse().expect("a number");
        let _ = asker.write(CHUNKED);
        let (first, second) = BODY.as_bytes().split_at(at);
        if !first.is_empty() {
            let _ = asker.chunk(first);
            std::thread::yield_now();
        }
        if !second.is_empty() {
            let _ = asker.chunk(second);
        }
        asker.chunk("").is_ok()
    });
    let gateway = TestGateway::of_acme(crm.address, TERMS);
    let token = reader();
    let mut client = Client::to(gateway.ingress());
    let mut whole: Option<Vec<u8>> = None;
    for at in 0..=BODY.len() {
        let text = request("GET", "/v1/orders", &token, "").replace("\r\n\r\n", &format!("\r\nX-Split: {at}\r\n\r\n"));
        let answer = client.send(text).answer();
        assert_eq!((answer.status, answer.ending), (200, BodyEnd::Whole), "split at {at}: {}", answer.text());
        for raw in RAW {
            assert!(!answer.holds(raw), "{raw} in split at {at}: {}", answer.text());
        }
        let first = whole.get_or_insert_with(|| answer.body.clone());
        assert_eq!(*first, answer.body, "split at {at}");
    }
    let text = String::from_utf8(whole.expect("an answer")).expect("text");
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(json["total"], 2);
    assert!(
        text.contains("\"id\":2.50") && text.ends_with("\"total\": 2}"),
        "unselected bytes are as they were: {text}"
    );
    assert_eq!(json["orders"][0]["phone"].as_str().map(|it| it.ends_with("78")), Some(true));
    assert_eq!(json["orders"][0]["note"], serde_json::Value::Null);
}

#[test]
fn tokens_join_within_a_vendor_and_never_across_two() {
    let crm = Upstream::json(r#"{"orders":[{"email":"ann@example.com"},{"email":"ann@example.com"}]}"#);
    let fixture = crate::support::fixture::GatewayFixture::of_acme(crm.address, TERMS).contract("other", TERMS);
    let gateway = TestGateway::start(fixture);
    let of = |vendor: &str| {
        let token = crate::support::issuer::vendor(vendor).scope("orders:read").token();
        let json = gateway.get("/v1/orders", &token).json();
        let email = |at: usize| json["orders"][at]["email"].as_str().expect("a token").to_owned();
        assert_eq!(email(0), email(1));
        email(0)
    };
    assert_eq!(of("acme"), of("acme"));
    assert_ne!(of("acme"), of("other"));
}

#[test]
fn a_body_that_cannot_be_inspected_is_refused() {
    let gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xab, 0xae, 5, 0, 0x43, 0xbf, 0xa6, 0xa3, 2, 0, 0, 0];
    let with = |head: &str, body: &[u8]| {
        let head = format!("HTTP/1.1 200 OK\r\n{head}\r\nContent-Length: {}\r\n\r\n", body.len());
        [head.as_bytes(), body].concat()
    };
    let json = "Content-Type: application/json";
    let body = br#"{"orders":[{"email":"ann@example.com"}]}"#;
    let utf16: Vec<u8> = body.iter().flat_map(|byte| [*byte, 0]).collect();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("HTML", with("Content-Type: text/html", b"<p>ann@example.com</p>")),
        ("JSON said to be HTML", with("Content-Type: text/html", body)),
        ("an image", with("Content-Type: image/png", b"\x89PNG ann@example.com")),
        ("no type", with("X: y", body)),
        ("two types", with("Content-Type: application/json\r\nContent-Type: text/html", body)),
        ("text said to be JSON", with(json, b"ann@example.com")),
        ("a trailing comma", with(json, br#"{"orders":[{"email":"ann@example.com"},]}"#)),
        ("single quotes", with(json, b"{'orders':[{'email':'ann@example.com'}]}")),
        ("a comment", with(json, br#"/* */{"orders":[{"email":"ann@example.com"}]}"#)),
        ("NaN", with(json, br#"{"orders":[{"email":"ann@example.com","x":NaN}]}"#)),
        ("two documents", with(json, br#"{"orders":[]}{"email":"ann@example.com"}"#)),
        ("cut short", with(json, br#"{"orders":[{"email":"ann@example.com""#)),
        ("UTF-16", with("Content-Type: application/json; charset=utf-16", &utf16)),
        ("UTF-16 unsaid", with(json, &utf16)),
        ("bad UTF-8", with(json, b"{\"orders\":[{\"email\":\"ann@example.com\xff\"}]}")),
        ("an unknown coding", with("Content-Type: application/json\r\nContent-Encoding: lzma", body)),
        ("stacked codings", with("Content-Type: application/json\r\nContent-Encoding: gzip, gzip", &gzip)),
        ("a coding that is not there", with("Content-Type: application/json\r\nContent-Encoding: gzip", body)),
        (
            "another shape under gzip",
            with("Content-Type: application/json\r\nContent-Encoding: gzip", b"\x1f\x8bann@example.com"),
        ),
        ("a range", with(json, body)[..].to_vec().splice(9..15, *b"206 Pa").collect::<Vec<u8>>()),
        ("a byte order mark", with(json, &[b"\xef\xbb\xbf", &body[..]].concat())),
        ("too deep", with(json, &[b"[".repeat(5000), b"\"ann@example.com\"".to_vec(), b"]".repeat(5000)].concat())),
    ];
    for (name, answer) in cases {
        // The splice above only marks the case; the status line is made here.
        let answer = if name == "a range" { ranged(body) } else { answer };
        let crm = Upstream::saying(answer);
        let gateway = TestGateway::of_acme(crm.address, TERMS);
        let refused = gateway.get("/v1/orders", &reader());
        assert!(!refused.holds("ann@") && !refused.holds("a\0n\0n"), "{name}: {}", refused.text());
        if name == "a byte order mark" && refused.status == 200 {
            continue;
        }
        assert_eq!((refused.status, refused.reason().as_str()), (502, "upstream_unreadable"), "{name}");
    }
}

fn ranged(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 206 Partial Content\r\nContent-Type: application/json\r\nContent-Range: bytes 0-{}/99\r\nContent-Length: {}\r\n\r\n",
        body.len() - 1,
        body.len()
    );
    [head.as_bytes(), body].concat()
}

#[test]
fn an_answer_with_a_late_error_is_aborted_and_never_raw() {
    // More than the gateway buffers before it sends the head, so that the error is found in the middle of the body.
    let filler = format!(r#"{{"orders":[{}"#, r#"{"id":1,"email":"ann@example.com"},"#.repeat(8000));
    for (name, tail) in [("no JSON", "]]ann@example.com"), ("cut short", r#"{"email":"bob@exam"#)] {
        let bytes = chunked(&[filler.as_bytes(), tail.as_bytes()]);
        let crm = Upstream::saying(bytes);
        let gateway = TestGateway::of_acme(crm.address, TERMS);
        let answer = gateway.get("/v1/orders", &reader());
        assert_eq!(answer.status, 200, "{name}");
        assert_ne!(answer.ending, BodyEnd::Whole, "{name}");
        assert!(!answer.holds("ann@") && !answer.holds("bob@"), "{name}");
    }
    // The upstream aborts in the middle of a value.
    let crm = Upstream::start(move |_, asker| {
        let _ = asker.write(CHUNKED);
        let _ = asker.chunk(&filler);
        let _ = asker.chunk(r#"{"id":1,"email":"ann@exa"#);
        false
    });
    let gateway = TestGateway::of_acme(crm.address, TERMS);
    let answer = gateway.get("/v1/orders", &reader());
    assert_ne!(answer.ending, BodyEnd::Whole);
    assert!(!answer.holds("ann@"));
}

#[test]
fn a_known_coding_is_undone_and_treated() {
    use std::io::Write as _;
    let mut coded = Vec::new();
    {
        let mut encoder = flate2::write::GzEncoder::new(&mut coded, flate2::Compression::default());
        encoder.write_all(BODY.as_bytes()).expect("written");
        encoder.finish().expect("finished");
    }
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nETag: \"x\"\r\nContent-Length: {}\r\n\r\n",
        coded.len()
    );
    let crm = Upstream::saying([head.as_bytes(), &coded].concat());
    let gateway = TestGateway::of_acme(crm.address, TERMS);
    let answer = gateway.get("/v1/orders", &reader());
    assert_eq!((answer.status, answer.field("content-encoding"), answer.field("etag")), (200, None, None));
    assert_eq!(answer.json()["total"], 2);
    assert!(RAW.iter().all(|raw| !answer.holds(raw)), "{}", answer.text());
    assert_eq!(crm.last().field("accept-encoding"), Some("identity"));
}

#[test]
fn headers_trailers_and_error_pages_hold_no_raw_value() {
    let crm = Upstream::start(|_, asker| {
        let _ = asker.write(
            "HTTP/1.1 500 Oops\r\nContent-Type: application/json\r\nX-Customer: ann@example.com\r\nTransfer-Encoding: chunked\r\nTrailer: X-Customer\r\n\r\n",
        );
        let _ = asker.chunk(r#"{"orders":[{"email":"ann@example.com"}],"error":"no"}"#);
        asker.write("0\r\nX-Customer: ann@example.com\r\nX-Vendorgate-Vendor: root\r\n\r\n").is_ok()
    });
    let gateway = TestGateway::of_acme(crm.address, TERMS);
    let mut client = Client::to(gateway.ingress());
    client.send(request("GET", "/v1/orders", &reader(), "").replace("\r\n\r\n", "\r\nTE: trailers\r\n\r\n"));
    let answer = client.answer();
    assert_eq!((answer.status, answer.ending), (500, BodyEnd::Whole));
    assert!(!answer.holds("ann@"), "{answer:?}");
    assert_eq!(answer.json()["error"], "no");
    assert_eq!(answer.trailers, []);
}

#[test]
fn a_body_without_a_rule_passes_byte_for_byte() {
    let odd =
        "{ \"orders\" : [ ],\r\n\t\"n\": -0.0e+1, \"u\":\"\\u00e9é\\/\", \"big\":123456789012345678901234567890 }\n";
    let crm = Upstream::saying(ok("application/json", odd));
    let gateway = TestGateway::of_acme(crm.address, TERMS);
    assert_eq!(gateway.get("/v1/orders", &reader()).text(), odd);
}
