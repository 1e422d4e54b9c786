//! Upgrades to WebSocket: only where the contract allows them, and always under the gateway's control.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::client::{BodyEnd, Client, request, tcp};
use crate::support::issuer::reader;
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::{CallerStream, ReceivedRequest, Upstream, ok};

const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

fn terms(limits: &str) -> String {
    format!(
        r#"limits: {{ requests: {{ rate: 100000/s }}, {limits} }}
ingress:
  - {{ route: GET /v1/live, scopes: [orders:read], upstream: crm, websocket: true }}
  - {{ route: GET /v1/plain, scopes: [orders:read], upstream: crm }}
"#
    )
}

/// Upgrades every request that asks for it, and echoes what it receives.
fn echo() -> Upstream {
    Upstream::start(|seen: &ReceivedRequest, asker: &mut CallerStream| {
        if seen.field("upgrade").is_none() {
            return asker.write(ok("text/plain", "plain")).is_ok();
        }
        let mut said = SWITCH.as_bytes().to_vec();
        while asker.write(&said).is_ok() {
            said = asker.read();
            if said.is_empty() {
                break;
            }
        }
        false
    })
}

fn ask(path: &str, token: &str) -> String {
    let fields = "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13";
    request("GET", path, token, "").replace("\r\n\r\n", &format!("\r\n{fields}\r\n\r\n"))
}

fn open(gateway: &TestGateway) -> Client {
    let mut client = Client::to(gateway.ingress());
    let head = client.send(ask("/v1/live", &reader())).head();
    assert_eq!(head.status, 101);
    client
}

fn said_back(client: &mut Client, words: &[u8]) {
    client.send(words);
    let mut back = Vec::new();
    while back.len() < words.len() {
        back.extend(client.more().expect("it is said back"));
    }
    assert_eq!(back, words);
}

fn ending(client: &mut Client) -> (usize, BodyEnd) {
    let mut bytes = 0;
    loop {
        match client.more() {
            Ok(more) => bytes += more.len(),
            Err(ending) => return (bytes, ending),
        }
    }
}

#[test]
fn bytes_pass_both_ways_and_are_counted() {
    let crm = echo();
    let gateway = TestGateway::of_acme(crm.address, &terms("concurrency: 1"));
    let mut client = Client::to(gateway.ingress());
    // What is sent before the answer belongs to the WebSocket.
    let head = client.send([ask("/v1/live", &reader()).as_bytes(), b"early"].concat()).head();
    assert_eq!(
        (head.status, head.field("upgrade"), head.field("connection")),
        (101, Some("websocket"), Some("upgrade"))
    );
    assert_eq!(head.field("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    let seen = crm.last();
    assert_eq!((seen.field("upgrade"), seen.field("connection")), (Some("websocket"), Some("upgrade")));
    assert_eq!(seen.field("sec-websocket-key"), Some("dGhlIHNhbXBsZSBub25jZQ=="));
    assert_eq!((seen.field("authorization"), seen.field("x-vendorgate-vendor")), (None, Some("acme")));
    let mut back = Vec::new();
    while back.len() < 5 {
        back.extend(client.more().expect("early bytes come back"));
    }
    assert_eq!(back, b"early");
    said_back(&mut client, &[0x5a; 100_000]);
    let other = gateway.get("/v1/plain", &reader());
    assert_eq!((other.status, other.reason().as_str()), (429, "concurrency_exceeded"), "it holds its slot");
    drop(client);
    until("the upstream's side is closed", || crm.open() == 0);
    until("the books are closed", || gateway.in_flight() == 0);
    let labels = ["vendor=\"acme\"", "direction=\"ingress\""];
    assert_eq!(gateway.metric("vendorgate_bytes_total", &labels), Some(100_005));
    let by_status = ["vendor=\"acme\"", "route=\"GET /v1/live\"", "status=\"101\""];
    assert_eq!(gateway.metric("vendorgate_requests_total", &by_status), Some(1));
    assert_eq!(gateway.get("/v1/plain", &reader()).status, 200);
}

/// Clients take what follows the first piece for messages.
#[test]
fn the_head_of_the_switch_comes_in_one_piece() {
    use std::io::{Read as _, Write as _};
    let crm = echo();
    let gateway = TestGateway::of_acme(crm.address, &terms("concurrency: 9"));
    for _ in 0..20 {
        let mut stream = tcp(gateway.ingress());
        stream.write_all(ask("/v1/live", &reader()).as_bytes()).expect("sent");
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).expect("an answer");
        let text = String::from_utf8_lossy(&piece[..read]);
        assert!(text.starts_with("HTTP/1.1 101") && text.ends_with("\r\n\r\n"), "{text}");
    }
}

#[test]
fn a_kill_severs_it_in_both_hops() {
    let crm = echo();
    let gateway = TestGateway::of_acme(crm.address, &terms("concurrency: 100"));
    let mut clients: Vec<Client> = (0..20).map(|_| open(&gateway)).collect();
    clients.iter_mut().for_each(|client| said_back(client, b"hello"));
    let json = gateway.admin("operator", "POST", "/v1/vendors/acme/kill", r#"{"reason":"their key leaked"}"#).json();
    assert_eq!((json["severed"].as_u64(), json["persisted"].as_bool()), (Some(20), Some(true)), "{json}");
    for client in &mut clients {
        assert_eq!(ending(client), (0, BodyEnd::Reset));
    }
    until("the upstream's sides are closed", || crm.open() == 0);
    until("nothing is in flight", || gateway.in_flight() == 0);
    let refused = Client::to(gateway.ingress()).send(ask("/v1/live", &reader())).answer();
    assert_eq!((refused.status, refused.reason().as_str()), (403, "vendor_killed"));
}

#[test]
fn a_websocket_with_a_paused_reader_is_severed_too() {
    let full = Arc::new(AtomicUsize::new(0));
    let given = Arc::clone(&full);
    let crm = Upstream::start(move |_, asker| {
        let mut piece = SWITCH.as_bytes().to_vec();
        while asker.write(&piece).is_ok() {
            given.fetch_add(1, Ordering::Relaxed);
            piece = vec![0x5a; 64 * 1024];
        }
        false
    });
    let gateway = TestGateway::of_acme(crm.address, &terms("concurrency: 100"));
    let mut client = open(&gateway);
    let mut before = 0;
    until("nothing moves any more", || {
        std::thread::sleep(Duration::from_millis(200));
        let now = full.load(Ordering::Relaxed);
        now > 1 && now == std::mem::replace(&mut before, now)
    });
    let json = gateway.admin("operator", "POST", "/v1/vendors/acme/kill", r#"{"reason":"their key leaked"}"#).json();
    assert_eq!(json["severed"].as_u64(), Some(1), "{json}");
    until("the upstream's side is closed", || crm.open() == 0);
    assert_eq!(ending(&mut client).1, BodyEnd::Reset);
}

#[test]
fn a_spent_byte_budget_cuts_it() {
    let crm = echo();
    let gateway = TestGateway::of_acme(crm.address, &terms("concurrency: 9, bytes: { budget: 10KB, window: 1h }"));
    let mut client = open(&gateway);
    said_back(&mut client, &[0x5a; 10_000]);
    client.send("more");
    assert_eq!(ending(&mut client).0, 0, "more than the budget");
    until("the upstream's side is closed", || crm.open() == 0);
    let refused = Client::to(gateway.ingress()).send(ask("/v1/live", &reader())).answer();
    assert_eq!((refused.status, refused.reason().as_str()), (429, "bytes_exceeded"));
    let audit = gateway.admin("viewer", "GET", "/v1/audit", "").text();
    assert!(audit.contains("\"cut\"") && audit.contains("bytes_exceeded"), "{audit}");
}

#[test]
fn an_upgrade_needs_a_route_that_allows_it_and_a_request_that_asks() {
    let crm = echo();
    let gateway = TestGateway::of_acme(crm.address, &terms("concurrency: 9"));
    for text in [
        ask("/v1/plain", &reader()),
        ask("/v1/live", &reader()).replace("Upgrade: WebSocket", "Upgrade: h2c"),
        ask("/v1/live", &reader()).replace("keep-alive, Upgrade", "keep-alive"),
        ask("/v1/live", &reader()).replace("\r\n\r\n", "\r\nContent-Length: 2\r\n\r\n{}"),
    ] {
        let mut client = Client::to(gateway.ingress());
        let answer = client.send(&text).answer();
        assert_eq!((answer.status, answer.text().as_str()), (200, "plain"), "{text}");
        assert_eq!(crm.last().field("upgrade"), None, "{text}");
    }
    let refused = Client::to(gateway.ingress()).send(ask("/v1/live", "")).answer();
    assert_eq!(refused.status, 401);
}

#[test]
fn an_upstream_that_declines_the_upgrade_answers_as_usual() {
    let crm = Upstream::saying("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 3\r\n\r\nno.");
    let gateway = TestGateway::of_acme(crm.address, &terms("concurrency: 9"));
    let mut client = Client::to(gateway.ingress());
    for _ in 0..2 {
        let answer = client.send(ask("/v1/live", &reader())).answer();
        assert_eq!((answer.status, answer.text().as_str()), (426, "no."));
    }
}

#[test]
fn a_websocket_works_the_same_for_egress() {
    let vendor = echo();
    let terms = format!(
        r#"limits: {{ requests: {{ rate: 100000/s }}, bytes: {{ budget: 10KB, window: 1h }} }}
egress:
  upstream: {{ url: "http://{}", allow_networks: ["127.0.0.0/8"] }}
  routes: [ {{ route: GET /live, websocket: true }} ]
"#,
        vendor.address
    );
    let gateway = TestGateway::of_acme(vendor.address, &terms);
    let mut client = Client::to(gateway.egress());
    assert_eq!(client.send(ask("/acme/live", "")).head().status, 101);
    assert_eq!(vendor.last().field("x-forwarded-for"), None);
    said_back(&mut client, &[0x5a; 10_000]);
    client.send("more");
    assert_eq!(ending(&mut client).0, 0);
    let refused = Client::to(gateway.egress()).send(ask("/acme/live", "")).answer();
    assert_eq!((refused.status, refused.reason().as_str()), (429, "bytes_exceeded"));
    until("nothing is in flight", || gateway.in_flight() == 0);
    let sent = || -> Vec<Option<u64>> {
        let trail = gateway.admin("viewer", "GET", "/v1/audit", "").json();
        let cuts = trail["entries"].as_array().expect("entries").iter().filter(|entry| entry["act"] == "cut");
        cuts.map(|cut| cut["detail"]["bytes_sent"].as_u64()).collect()
    };
    until("the cut is audited", || !sent().is_empty());
    assert_eq!(sent(), [Some(10_000)], "one cut, by what left");
}
