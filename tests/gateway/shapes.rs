//! Bodies of another shape than a route's records describe: refused for their own reason, or passed and reported.

use crate::support::client::{BodyEnd, Client, request};
use crate::support::issuer::reader;
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::{CHUNKED, Upstream, ok};

fn terms(on_shape: &str) -> String {
    format!(
        r#"limits: {{ requests: {{ rate: 100000/s }}, records: {{ budget: 1000, window: 1h, over: refuse }} }}
ingress:
  - route: GET /v1/{{kind}}
    scopes: [orders:read]
    upstream: crm
    records: "$.customers[*]"
    {on_shape}
    response:
      pii:
        - {{ field: "$.customers[*].email", as: redact }}
        - {{ field: "$.customers[*].fax", as: redact }}
"#
    )
}

/// Answers with what the query says: `?STATUS|TYPE|BODY`, percent-coded.
fn echo() -> Upstream {
    Upstream::start(|seen, asker| {
        let line = seen.line().to_owned();
        let query = line.split('?').nth(1).and_then(|rest| rest.split(' ').next()).expect("a query");
        let text = percent_encoding::percent_decode_str(query).decode_utf8().expect("text").into_owned();
        let mut parts = text.splitn(3, '|');
        let mut part = || parts.next().expect("status, media type and body");
        let (status, media, body) = (part(), part(), part());
        let head = String::from_utf8(ok(media, body)).expect("text");
        asker.write(head.replacen("200 OK", status, 1)).is_ok()
    })
}

fn ask(gateway: &TestGateway, status: &str, media: &str, body: &str) -> crate::support::client::Answer {
    let text = format!("{status}|{media}|{body}");
    let query = percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC);
    gateway.get(&format!("/v1/customers?{query}"), &reader())
}

const JSON: &str = "application/json";

/// Two records in one part.
const PARTS: &str = "--b\r\nContent-Disposition: form-data; name=\"page\"\r\nContent-Type: application/json\r\n\r\n\
    {\"customers\":[{\"email\":\"a@x.example\"},{\"email\":\"a@x.example\"}]}\r\n--b--\r\n";

#[test]
fn an_answer_of_another_shape_is_refused_and_reported() {
    let crm = echo();
    let gateway = TestGateway::of_acme(crm.address, &terms(""));
    let bad = [
        r#"{"customers":{"email":"a@x.example"}}"#,
        r#"{"data":{"customers":[{"email":"a@x.example"}]}}"#,
        r#"[{"email":"a@x.example"}]"#,
        r#"{"customers":["a@x.example"]}"#,
        r#"{"customers":[["a@x.example"]]}"#,
        r#"{"customers":[{"email":1},[{"email":"a@x.example"}]]}"#,
        r#"{"customers":"a@x.example"}"#,
        r#"{"Customer":[{"email":"a@x.example"}]}"#,
        r#"{"email":"a@x.example"}"#,
        r#""a@x.example""#,
        "{}",
        r#"{"customers":[],"customers":7}"#,
    ];
    for body in bad {
        let answer = ask(&gateway, "200 OK", JSON, body);
        assert_eq!((answer.status, answer.reason().as_str()), (502, "shape_unexpected"), "{body}");
        assert!(!answer.holds("a@x"), "{body}");
    }
    let line = ask(&gateway, "200 OK", "application/x-ndjson", "\"a@x.example\"\n");
    assert_eq!((line.status, line.reason().as_str()), (502, "shape_unexpected"));
    let labels = [r#"vendor="acme""#, r#"direction="ingress""#, r#"route="GET /v1/{kind}""#];
    let told = bad.len() as u64 + 1;
    until("the shapes are counted", || gateway.metric("vendorgate_shape_unexpected_total", &labels) == Some(told));
    assert_eq!(
        gateway.metric(
            "vendorgate_denials_total",
            &[r#"vendor="acme""#, r#"direction="ingress""#, r#"reason="shape_unexpected""#]
        ),
        Some(told)
    );
    let status = gateway.admin("viewer", "GET", "/v1/vendors/acme", "").json();
    assert_eq!(status["unexpected_shapes"][0]["bodies"], told);
    assert_eq!(status["last_denial"]["reason"], "shape_unexpected");
}

#[test]
fn an_answer_of_the_right_shape_passes_and_so_does_an_error() {
    let crm = echo();
    let gateway = TestGateway::of_acme(crm.address, &terms(""));
    for (status, media, body) in [
        ("200 OK", JSON, r#"{"customers":{"c1":{"email":"a@x.example"},"c2":{}}}"#),
        ("200 OK", JSON, r#"{"customers":[{"email":"a@x.example"},null]}"#),
        ("200 OK", JSON, r#"{"customers":[]}"#),
        ("200 OK", JSON, r#"{"customers":{}}"#),
        ("200 OK", JSON, r#"{"customers":null}"#),
        ("200 OK", JSON, "null"),
        ("200 OK", JSON, ""),
        ("200 OK", "application/x-ndjson", "{\"email\":\"a@x.example\"}\n[{\"email\":\"a@x.example\"},{}]\n"),
        ("200 OK", "text/event-stream", "data: {\"email\":\"a@x.example\"}\n\n"),
        ("200 OK", "text/csv", "id,email,fax\r\n1,a@x.example,7\r\n"),
        ("200 OK", "application/x-www-form-urlencoded", "id=1&email=a%40x.example"),
        ("200 OK", "multipart/form-data; boundary=b", PARTS),
        ("404 Not Found", JSON, r#"{"error":"no such customer"}"#),
        ("503 Service Unavailable", JSON, r#"["down"]"#),
        ("302 Found", JSON, r#"{"see":"there"}"#),
    ] {
        let answer = ask(&gateway, status, media, body);
        let expected: u16 = status.split(' ').next().unwrap().parse().unwrap();
        assert_eq!((answer.status, answer.ending), (expected, BodyEnd::Whole), "{media} {body}: {}", answer.text());
        assert!(!answer.holds("a@x") && !answer.holds("a%40x"), "{media} {body}: {}", answer.text());
        assert!(!body.contains("email") || answer.holds("redacted"), "{media} {body}");
    }
    let head = request("HEAD", "/v1/customers?200%20OK%7Capplication%2Fjson%7C%7B%7D", &reader(), "");
    assert_eq!(Client::to(gateway.ingress()).send(head).answer_to_head().status, 200);
    let labels = [r#"vendor="acme""#, r#"direction="ingress""#, r#"route="GET /v1/{kind}""#];
    until("the records are counted", || {
        gateway.metric("vendorgate_records_total", &labels) == Some(2 + 2 + 3 + 1 + 1 + 1 + 2)
    });
    assert_eq!(gateway.metric("vendorgate_shape_unexpected_total", &labels), Some(0));
}

#[test]
fn the_upstream_is_asked_only_for_forms_that_the_rules_cover() {
    let crm = Upstream::json(r#"{"customers":[]}"#);
    let gateway = TestGateway::of_acme(crm.address, &terms(""));
    for (accept, forwarded) in [
        ("application/x-ndjson, application/json;q=0.5", "application/json;q=0.5"),
        ("application/json", "application/json"),
        ("*/*", "*/*"),
        ("text/csv, application/vnd.acme+json", "application/vnd.acme+json"),
    ] {
        let text = request("GET", "/v1/customers", &reader(), "");
        let text = text.replacen("\r\n\r\n", &format!("\r\nAccept: {accept}\r\n\r\n"), 1);
        assert_eq!(Client::to(gateway.ingress()).send(text).answer().status, 200);
        assert_eq!(crm.last().field("accept"), Some(forwarded), "{accept}");
    }
}

#[test]
fn an_answer_without_its_container_is_broken_off() {
    let crm = Upstream::start(|_, asker| {
        let _ = asker.write(CHUNKED);
        let _ = asker.chunk(r#"{"padding":""#);
        for _ in 0..40 {
            let _ = asker.chunk("x".repeat(8 * 1024));
        }
        let _ = asker.chunk(r#"","customers":["a@x.example"]}"#);
        asker.chunk("").is_ok()
    });
    let gateway = TestGateway::of_acme(crm.address, &terms(""));
    let answer = gateway.get("/v1/customers", &reader());
    assert_eq!(answer.status, 200);
    assert_ne!(answer.ending, BodyEnd::Whole);
    assert!(!answer.holds("a@x"));
    until("the reason is in the log", || gateway.log().contains("shape_unexpected"));
}

#[test]
fn a_route_can_count_another_shape_as_one_record() {
    let crm = echo();
    let gateway = TestGateway::of_acme(crm.address, &terms("on_shape: pass"));
    for body in [r#"{"data":[1,2]}"#, r#"[{"id":1},{"id":2}]"#, r#"{"customers":{"id":1}}"#] {
        let answer = ask(&gateway, "200 OK", JSON, body);
        assert_eq!((answer.status, answer.text().as_str()), (200, body));
    }
    let labels = [r#"vendor="acme""#, r#"direction="ingress""#, r#"route="GET /v1/{kind}""#];
    until("each is a record", || gateway.metric("vendorgate_records_total", &labels) == Some(3));
    assert_eq!(gateway.metric("vendorgate_shape_unexpected_total", &labels), Some(3));
    until("it is told", || gateway.log().contains(r#""shape_unexpected":true"#));
}

#[test]
fn a_rule_that_never_matched_is_reported() {
    let crm = echo();
    let gateway = TestGateway::of_acme(crm.address, &terms(""));
    let labels = [r#"vendor="acme""#, r#"direction="ingress""#, r#"route="GET /v1/{kind}""#];
    let never = || {
        let status = gateway.admin("viewer", "GET", "/v1/vendors/acme", "").json();
        let rules = status["unmatched_rules"].as_array().cloned().unwrap_or_default();
        rules.iter().map(|rule| rule["rule"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(never(), ["$.customers[*].email", "$.customers[*].fax"]);
    assert_eq!(gateway.metric("vendorgate_pii_rules_unmatched", &labels), Some(2));
    let answer = ask(&gateway, "200 OK", JSON, r#"{"customers":[{"email":"a@x.example"}]}"#);
    assert_eq!(answer.status, 200);
    until("it has matched", || never() == ["$.customers[*].fax"]);
    assert_eq!(gateway.metric("vendorgate_pii_rules_unmatched", &labels), Some(1));
}

#[test]
fn an_egress_request_of_another_shape_is_refused() {
    let vendor = Upstream::saying(ok(JSON, "{}"));
    let terms = format!(
        r#"egress:
  upstream: {{ url: "http://{}", allow_networks: ["127.0.0.0/8"] }}
  routes:
    - route: POST /v2/events
      records: "$.events[*]"
      request: {{ pii: [ {{ field: "$.events[*].email", as: redact }} ] }}
"#,
        vendor.address
    );
    let gateway = TestGateway::of_acme(vendor.address, &terms);
    let mut client = Client::to(gateway.egress());
    let mut send = |body: &str| {
        let head = format!(
            "POST /acme/v2/events HTTP/1.1\r\nHost: x\r\nContent-Type: {JSON}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        client.send(head).answer()
    };
    let refused = send(r#"[{"email":"a@x.example"}]"#);
    assert_eq!((refused.status, refused.reason().as_str()), (422, "shape_unexpected"));
    assert_eq!(vendor.seen().len(), 0);
    assert_eq!(send(r#"{"events":[{"email":"a@x.example"}]}"#).status, 200);
    assert!(!String::from_utf8_lossy(&vendor.last().body).contains("a@x"));
}
