//! What did not leave costs no budget and is not in the exposure report; what left is charged and counted exactly.

use std::io::Read;
use std::net::TcpListener;

use crate::support::client::{Answer, BodyEnd, Client, request};
use crate::support::issuer::reader;
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::{CHUNKED, Upstream, ok};

fn terms(upstream: &str, budget: u64) -> String {
    let side =
        r#"pii: [ { field: "$.o[*].email", as: redact }, { query: email, as: hash }, { header: x-name, as: redact } ]"#;
    let rules = r#"records: "$.o[*]", subject: "$.o[*].id""#;
    format!(
        r#"limits: {{ requests: {{ rate: 100000/s }}, shared: true, records: {{ budget: {budget}, window: 1h, over: refuse }}, subjects: {{ budget: 1000, window: 1h, over: refuse }} }}
ingress:
  - {{ route: GET|POST /v1/o, scopes: [orders:read], upstream: crm, {rules}, response: {{ {side} }} }}
egress:
  upstream: {{ url: "http://{upstream}", allow_networks: ["127.0.0.0/8"], body_idle_timeout: 500ms }}
  routes: [ {{ route: POST|GET /v1/o, {rules}, request: {{ {side} }} }} ]
"#
    )
}

/// This many records, and what follows them.
fn body(records: usize, tail: &str) -> String {
    let records: Vec<_> = (0..records).map(|at| format!(r#"{{"id":{at},"email":"ann@x.example"}}"#)).collect();
    format!(r#"{{"o":[{}]{tail}"#, records.join(","))
}

/// Waits until nothing is in flight, and asserts how much has left in all.
#[track_caller]
fn assert_left(gateway: &TestGateway, records: u64) {
    until("nothing is in flight", || gateway.in_flight() == 0);
    let report = gateway.admin("viewer", "GET", "/v1/exposure?vendor=acme", "").json();
    assert_eq!(report["records"].as_u64().unwrap_or_default(), records, "{report}");
    let values = |direction: &str| {
        gateway.series(&format!(
            r#"vendorgate_pii_values_total{{vendor="acme",direction="{direction}",treatment="redact"}}"#
        ))
    };
    assert_eq!((values("ingress") + values("egress")) as u64, records);
    let of = |limit: &str| gateway.series(&format!(r#"vendorgate_limit_remaining_ratio{{vendor="acme",{limit}}}"#));
    let used = ((1.0 - of(r#"limit="records""#)) * 100.0).round() as u64;
    assert_eq!(used, records, "of the record budget");
    let bytes = gateway.series(r#"vendorgate_bytes_total{vendor="acme",direction="ingress"}"#)
        + gateway.series(r#"vendorgate_bytes_total{vendor="acme",direction="egress"}"#);
    assert_eq!(bytes == 0.0, records == 0, "{bytes}");
    if records == 0 {
        assert_eq!(of(r#"limit="bytes""#), 1.0);
        assert_eq!(report["subjects"]["about"].as_u64().unwrap_or_default(), 0, "{report}");
        assert_eq!(report["routes"].as_array().map_or(0, Vec::len), 0, "{report}");
    }
}

#[test]
fn an_answer_that_is_refused_costs_nothing() {
    for bad in [body(7, "x"), body(7, ""), body(7, ",\"a\":\"\u{1}\"}")] {
        let crm = Upstream::saying(ok("application/json", &bad));
        let gateway = TestGateway::of_acme(crm.address, &terms("127.0.0.1:9", 100));
        for _ in 0..3 {
            assert_eq!(gateway.get("/v1/o", &reader()).reason(), "upstream_unreadable");
        }
        assert_left(&gateway, 0);
    }
}

#[test]
fn a_request_that_does_not_reach_the_vendor_costs_nothing() {
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
    let gateway = TestGateway::of_acme(closed, &terms(&closed.to_string(), 100));
    let head = |body: &str| {
        request("POST", "/acme/v1/o?email=ann%40x.example", "", body).replace("\r\n\r\n", "\r\nX-Name: ann\r\n\r\n")
    };
    for (bytes, reason) in [
        (head(&body(7, "}")), "upstream_refused"),
        (head(&body(7, "x")), "body_malformed"),
        (
            request("GET", "/acme/v1/o?email=a", "", "").replace("\r\n\r\n", "\r\nX-Name: ann\r\n\r\n"),
            "upstream_refused",
        ),
    ] {
        assert_eq!(Client::to(gateway.egress()).send(bytes).answer().reason(), reason);
    }
    assert_left(&gateway, 0);
}

#[test]
fn what_has_left_is_charged_however_the_exchange_ends() {
    // A whole answer, one that breaks off, one that is cut at the budget, and one whose reader leaves.
    let crm = Upstream::start(|seen, asker| {
        if seen.line().contains("whole") {
            return asker.write(ok("application/json", body(10, "}"))).is_ok();
        }
        let _ = asker.write(CHUNKED).and_then(|()| asker.chunk(body(20, ",\"o2\":[")));
        std::thread::sleep(std::time::Duration::from_millis(100));
        false
    });
    let gateway = TestGateway::of_acme(crm.address, &terms("127.0.0.1:9", 100));
    assert_eq!(gateway.get("/v1/o?whole", &reader()).status, 200);
    assert_left(&gateway, 10);
    let broken = gateway.get("/v1/o", &reader());
    assert_eq!(broken.status, 200);
    assert_ne!(broken.ending, BodyEnd::Whole);
    assert_left(&gateway, 30);
    for _ in 0..7 {
        assert_eq!(gateway.get("/v1/o?whole", &reader()).status, 200);
    }
    assert_left(&gateway, 100);
    assert_eq!(gateway.get("/v1/o?whole", &reader()).reason(), "records_exceeded");
}

#[test]
fn concurrent_requests_neither_exceed_nor_lose_a_budget_when_some_are_refused() {
    let crm = Upstream::start(|seen, asker| {
        let tail = if seen.line().contains("bad") { "x" } else { "}" };
        asker.write(ok("application/json", body(3, tail))).is_ok()
    });
    let gateway = TestGateway::of_acme(crm.address, &terms("127.0.0.1:9", 100));
    let token = reader();
    let records = |answer: &Answer| String::from_utf8_lossy(&answer.body).matches("\"id\":").count() as u64;
    let got: u64 = std::thread::scope(|scope| {
        let ask = |path: &'static str| {
            let (gateway, token) = (&gateway, &token);
            scope.spawn(move || (0..20).map(|_| records(&gateway.get(path, token))).sum::<u64>())
        };
        let threads = ["/v1/o?bad", "/v1/o", "/v1/o?bad", "/v1/o"].map(ask);
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    // A request that will be refused holds its share for a moment, so another may be cut before the budget is spent.
    assert!(got <= 100, "{got}");
    assert_left(&gateway, got);
    let rest: u64 = (0..40).map(|_| records(&gateway.get("/v1/o", &token))).sum();
    assert_eq!(got + rest, 100);
    assert_left(&gateway, 100);
}

#[test]
fn what_was_sent_is_charged_when_the_vendor_breaks_off() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let gateway = TestGateway::of_acme(address, &terms(&address.to_string(), 100));
    let mut client = Client::to(gateway.egress());
    client.send(request("POST", "/acme/v1/o", "", &body(7, "}")));
    let (mut vendor, _) = listener.accept().expect("a connection");
    let mut got = Vec::new();
    while !got.ends_with(b"0\r\n\r\n") && !got.ends_with(b"]}") {
        let mut piece = [0; 4096];
        let read = vendor.read(&mut piece).expect("the request");
        got.extend_from_slice(&piece[..read]);
    }
    drop(vendor);
    assert_eq!(client.answer().reason(), "upstream_refused");
    assert_left(&gateway, 7);
}
