//! Record and byte budgets: exactly the budget arrives, and the cut is visible.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use crate::support::client::{Answer, BodyEnd, Client, request};
use crate::support::h2;
use crate::support::issuer::reader;
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::{CHUNKED, Upstream, ok};

fn terms(records: &str) -> String {
    format!(
        r#"limits: {{ requests: {{ rate: 100000/s }}, records: {{ {records} }} }}
ingress:
  - route: GET /v1/{{kind}}
    scopes: [orders:read]
    upstream: crm
    records: "$.orders[*]"
    response:
      pii: [ {{ field: "$.orders[*].email", as: redact }} ]
"#
    )
}

fn record(number: usize) -> String {
    format!(r#"{{"id":{number},"email":"ann{number}@example.com","text":"{}"}}"#, "x".repeat(100))
}

/// Writes this many records; the script decides how many of them a chunk has.
fn endless(total: usize, each: usize) -> Upstream {
    Upstream::start(move |_, asker| {
        if asker.write(CHUNKED).is_err() || asker.chunk(r#"{"orders":["#).is_err() {
            return false;
        }
        let records: Vec<String> = (0..total).map(record).collect();
        for (at, group) in records.chunks(each).enumerate() {
            let lead = if at == 0 { "" } else { "," };
            if asker.chunk(format!("{lead}{}", group.join(","))).is_err() {
                return false;
            }
        }
        asker.chunk("]}").and_then(|()| asker.chunk("")).is_ok()
    })
}

/// The ids of the whole records of a cut document.
fn ids(body: &[u8]) -> Vec<u64> {
    let text = String::from_utf8_lossy(body);
    let records = text.split(r#"{"id":"#).skip(1);
    let whole = records.filter(|record| record.contains('}'));
    whole.filter_map(|record| record.split(',').next()?.parse().ok()).collect()
}

fn assert_exactly(budget: u64, body: &[u8]) {
    assert_eq!(ids(body), (0..budget).collect::<Vec<_>>());
    let text = String::from_utf8_lossy(body);
    assert!(!text.contains("example.com") && !text.contains(&format!("\"id\":{budget}")), "{text}");
}

#[test]
fn exactly_the_budget_arrives_and_the_body_is_visibly_cut() {
    for each in [1, 7, 1000] {
        let crm = endless(1000, each);
        let gateway = TestGateway::of_acme(crm.address, &terms("budget: 333, window: 1h, over: refuse"));
        let answer: Answer = gateway.get("/v1/orders", &reader());
        assert_eq!(answer.status, 200, "{each} a chunk");
        assert_ne!(answer.ending, BodyEnd::Whole, "{each} a chunk");
        assert_exactly(333, &answer.body);
        let refused = gateway.get("/v1/orders", &reader());
        assert_eq!((refused.status, refused.reason().as_str()), (429, "records_exceeded"));
        assert!(refused.field("retry-after").is_some());
        until("the upstream is reset", || crm.broken() > 0 || crm.open() == 0);
    }
}

#[test]
fn exactly_the_budget_arrives_on_http_2_and_the_stream_is_reset() {
    for (each, window) in [(1, 1 << 20), (7, 65_535), (1000, 1 << 20), (1000, 1024), (1, 300)] {
        let crm = endless(1000, each);
        let gateway = TestGateway::of_acme(crm.address, &terms("budget: 333, window: 1h, over: refuse"));
        h2::run(async {
            let mut session = h2::open_narrow(gateway.ingress(), window).await;
            let answer = h2::ask(&mut session, "/v1/orders", &reader()).await.expect("an answer");
            assert_eq!(answer.status(), 200);
            let (body, ending) = h2::read(answer.into_body()).await;
            assert_eq!(ending, h2::StreamEnd::Reset, "{each} a chunk, window {window}");
            assert_exactly(333, &body);
            let refused = h2::ask(&mut session, "/v1/orders", &reader()).await.expect("the connection lives on");
            assert_eq!(refused.status(), 429);
        });
    }
}

#[test]
fn a_body_within_the_budget_is_whole_and_counted() {
    let crm = endless(50, 10);
    let gateway = TestGateway::of_acme(crm.address, &terms("budget: 120, window: 1h, over: refuse"));
    for _ in 0..2 {
        let answer = gateway.get("/v1/orders", &reader());
        assert_eq!((answer.status, answer.ending), (200, BodyEnd::Whole));
        assert_eq!(answer.json()["orders"].as_array().map(Vec::len), Some(50));
    }
    let cut = gateway.get("/v1/orders", &reader());
    assert_eq!(ids(&cut.body).len(), 20, "what is left of the budget: {}", cut.status);
    let labels = [r#"vendor="acme""#, r#"direction="ingress""#, r#"route="GET /v1/{kind}""#];
    until("the records are counted", || gateway.metric("vendorgate_records_total", &labels) == Some(120));
}

/// One stream that stays open while another request overruns a budget.
fn beside(over: &str, act: impl FnOnce(&TestGateway, Client)) {
    let (end, ended) = mpsc::channel::<()>();
    let ended = Arc::new(Mutex::new(ended));
    let crm = Upstream::start(move |seen, asker| {
        if seen.line().contains("slow") {
            let _ = asker.write(CHUNKED);
            let _ = asker.chunk(r#"{"orders":[{"id":0}"#);
            let _ = ended.lock().expect("no panic").recv();
            return asker.chunk("]}").and_then(|()| asker.chunk("")).is_ok();
        }
        let all: Vec<String> = (0..50).map(record).collect();
        asker.write(ok("application/json", format!(r#"{{"orders":[{}]}}"#, all.join(",")))).is_ok()
    });
    let gateway = TestGateway::of_acme(crm.address, &terms(&format!("budget: 20, window: 1h, over: {over}")));
    let mut slow = Client::to(gateway.ingress());
    slow.send(request("GET", "/v1/slow", &reader(), ""));
    assert_eq!(slow.head().status, 200);
    let answer = gateway.get("/v1/orders", &reader());
    assert!(ids(&answer.body).len() <= 20, "{over}");
    act(&gateway, slow);
    drop(end);
}

fn rest(client: &mut Client) -> BodyEnd {
    loop {
        match client.more() {
            Ok(bytes) if bytes.ends_with(b"0\r\n\r\n") => return BodyEnd::Whole,
            Ok(_) => {}
            Err(ending) => return ending,
        }
    }
}

#[test]
fn over_sever_ends_what_else_is_in_flight() {
    beside("sever", |gateway, mut slow| {
        assert_eq!(rest(&mut slow), BodyEnd::Reset);
        assert_eq!(gateway.get("/v1/orders", &reader()).reason(), "records_exceeded");
        assert_eq!(gateway.metric("vendorgate_severed_total", &[r#"vendor="acme""#]), Some(1));
    });
}

#[test]
fn over_kill_kills_the_vendor_until_a_person_restores_it() {
    beside("kill", |gateway, mut slow| {
        assert_eq!(rest(&mut slow), BodyEnd::Reset);
        let refused = gateway.get("/v1/orders", &reader());
        assert_eq!((refused.status, refused.reason().as_str()), (403, "vendor_killed"));
        let status = gateway.admin("viewer", "GET", "/v1/vendors/acme", "").json();
        assert_eq!(status["state"], "killed", "{status}");
        assert_eq!(gateway.metric("vendorgate_killed", &[r#"vendor="acme""#]), Some(1));
    });
}

#[test]
fn over_refuse_does_not_affect_other_requests() {
    let (tell, told) = mpsc::channel();
    beside("refuse", move |gateway, mut slow| {
        assert_eq!(gateway.get("/v1/orders", &reader()).reason(), "records_exceeded");
        tell.send(std::thread::spawn(move || rest(&mut slow))).expect("somebody waits");
    });
    let ending = told.recv().expect("a thread").join().expect("no panic");
    assert_eq!(ending, BodyEnd::Whole);
}

#[test]
fn a_byte_budget_cuts_what_exceeds_it() {
    let crm = Upstream::saying(ok("application/octet-stream", "x".repeat(300_000)));
    let terms = "limits: { bytes: { budget: 100KB, window: 1h, over: refuse } }
ingress:
  - { route: GET /v1/file, scopes: [orders:read], upstream: crm }
";
    let gateway = TestGateway::of_acme(crm.address, terms);
    let answer = gateway.get("/v1/file", &reader());
    assert_ne!(answer.ending, BodyEnd::Whole);
    assert!(answer.body.len() <= 100_000, "{}", answer.body.len());
    let again = gateway.get("/v1/file", &reader());
    assert!(answer.body.len() + again.body.len() <= 100_000 + 1000, "{}", again.body.len());
}
