//! The kill switch under traffic: it refuses, severs both hops, is reported, survives a crash, and can be restored.

use std::time::Duration;

use crate::support::client::{BodyEnd, Client, request};
use crate::support::fixture::GatewayFixture;
use crate::support::h2;
use crate::support::issuer::reader;
use crate::support::process::Process;
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::{CHUNKED, Upstream};

const TERMS: &str = r#"limits: { requests: { rate: 100000/s, burst: 100000 }, concurrency: 5000 }
ingress:
  - { route: GET /v1/plain, scopes: [orders:read], upstream: crm }
  - route: GET /v1/orders
    scopes: [orders:read]
    upstream: crm
    records: "$.orders[*]"
    response: { pii: [ { field: "$.orders[*].email", as: redact } ] }
"#;

const KILL: &str = r#"{"reason":"tokens were stolen"}"#;

/// Begins an answer and never ends it.
fn slow() -> Upstream {
    Upstream::start(|_, asker| {
        let _ = asker.write(CHUNKED);
        let _ = asker.chunk(r#"{"orders":[{"email":"ann@example.com"}"#);
        let _ = asker.gone();
        false
    })
}

fn begin(gateway: &TestGateway, path: &str) -> Client {
    let mut client = Client::to(gateway.ingress());
    client.send(request("GET", path, &reader(), ""));
    assert_eq!(client.head().status, 200);
    client
}

fn ending(client: &mut Client) -> BodyEnd {
    loop {
        match client.more() {
            Ok(bytes) => assert!(!bytes.ends_with(b"0\r\n\r\n"), "an aborted answer looks whole"),
            Err(ending) => return ending,
        }
    }
}

#[test]
fn a_kill_ends_a_thousand_streams_and_the_next_request() {
    let crm = slow();
    let gateway = TestGateway::of_acme(crm.address, TERMS);
    let mut clients: Vec<Client> =
        (0..1000).map(|at| begin(&gateway, if at % 2 == 0 { "/v1/orders" } else { "/v1/plain" })).collect();
    let answer = gateway.admin("operator", "POST", "/v1/vendors/acme/kill", KILL);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let json = answer.json();
    assert_eq!(json["vendor"], "acme");
    assert_eq!((json["state"].as_str(), json["severed"].as_u64()), (Some("killed"), Some(1000)), "{json}");
    assert_eq!((json["persisted"].as_bool(), json["generation"].as_u64()), (Some(true), Some(1)), "{json}");
    assert!(json["sever_micros"].as_u64().is_some_and(|micros| micros > 0), "{json}");
    assert_eq!((json["fleet"]["acked"].as_u64(), json["fleet"]["of"].as_u64()), (Some(1), Some(1)));
    for client in &mut clients {
        assert_eq!(ending(client), BodyEnd::Reset);
    }
    let refused = gateway.get("/v1/plain", &reader());
    assert_eq!((refused.status, refused.reason().as_str()), (403, "vendor_killed"));
    until("every upstream connection is closed", || crm.open() == 0);
    assert_eq!(crm.broken(), 1000);
    until("nothing is in flight", || gateway.in_flight() == 0);
}

#[test]
fn a_kill_ends_a_thousand_streams_on_http_2() {
    let crm = slow();
    let gateway = TestGateway::of_acme(crm.address, TERMS);
    h2::run(async {
        let mut bodies = Vec::new();
        let mut sessions = Vec::new();
        for _ in 0..10 {
            let mut session = h2::open(gateway.ingress()).await;
            for _ in 0..100 {
                let answer = h2::ask(&mut session, "/v1/orders", &reader()).await.expect("an answer");
                assert_eq!(answer.status(), 200);
                bodies.push(answer.into_body());
            }
            sessions.push(session);
        }
        let json = gateway.admin("operator", "POST", "/v1/vendors/acme/kill", KILL).json();
        assert_eq!((json["severed"].as_u64(), json["persisted"].as_bool()), (Some(1000), Some(true)), "{json}");
        for body in bodies {
            let (bytes, ending) = h2::read(body).await;
            // The connection serves no other vendor: it is reset with what the kernel still holds, perhaps even the
            // stream's own reset.
            assert_ne!(ending, h2::StreamEnd::Whole);
            assert!(!String::from_utf8_lossy(&bytes).contains("ann@"));
        }
        drop(sessions);
        let refused =
            h2::ask(&mut h2::open(gateway.ingress()).await, "/v1/orders", &reader()).await.expect("an answer");
        assert_eq!(refused.status(), 403);
    });
    until("every upstream connection is closed", || crm.open() == 0);
}

#[test]
fn a_request_that_waits_for_its_upstream_is_severed_too() {
    let crm = Upstream::start(|_, asker| {
        let _ = asker.gone();
        false
    });
    let gateway = TestGateway::of_acme(crm.address, TERMS);
    let mut waiting = Client::to(gateway.ingress());
    waiting.send(request("GET", "/v1/orders", &reader(), ""));
    until("the upstream has it", || crm.seen().len() == 1);
    let json = gateway.admin("operator", "POST", "/v1/vendors/acme/kill", KILL).json();
    assert_eq!(json["severed"], 1, "{json}");
    let refused = waiting.answer();
    assert_eq!((refused.status, refused.reason().as_str()), (403, "vendor_killed"));
    until("the upstream is reset", || crm.open() == 0);
}

#[test]
fn a_request_body_on_its_way_is_severed_too() {
    let crm = slow();
    let terms = format!("{TERMS}  - {{ route: POST /v1/orders, scopes: [orders:write], upstream: crm }}\n");
    let gateway = TestGateway::of_acme(crm.address, &terms);
    let writer = crate::support::issuer::vendor("acme").scope("orders:write").token();
    let mut sending = Client::to(gateway.ingress());
    let head = request("POST", "/v1/orders", &writer, "").replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n");
    sending.send(head).send("5\r\nhello\r\n");
    until("it is in flight", || gateway.in_flight() == 1);
    let json = gateway.admin("operator", "POST", "/v1/vendors/acme/kill", KILL).json();
    assert_eq!(json["severed"], 1, "{json}");
    assert_eq!(sending.answer().reason(), "vendor_killed");
    until("the upstream is reset", || crm.open() == 0);
}

#[test]
fn a_kill_can_be_of_one_direction_route_or_client_and_is_undone_by_name() {
    let crm = Upstream::json("{\"orders\":[]}");
    let gateway = TestGateway::of_acme(crm.address, TERMS);
    let part = r#"{"reason":"one route","route":"GET /v1/orders"}"#;
    assert_eq!(gateway.admin("operator", "POST", "/v1/vendors/acme/kill", part).status, 200);
    assert_eq!(gateway.get("/v1/orders", &reader()).reason(), "vendor_killed");
    assert_eq!(gateway.get("/v1/plain", &reader()).status, 200);
    let restored = gateway.admin("admin", "POST", "/v1/vendors/acme/restore", part);
    assert_eq!(restored.status, 200, "{}", restored.text());
    assert_eq!(gateway.get("/v1/orders", &reader()).status, 200);
}

#[test]
fn only_operators_kill_and_only_admins_restore() {
    let crm = Upstream::json("{\"orders\":[]}");
    let gateway = TestGateway::of_acme(crm.address, TERMS);
    let kill = "/v1/vendors/acme/kill";
    assert_eq!(gateway.admin("viewer", "POST", kill, KILL).status, 403);
    let address = gateway.addresses.admin.expect("an address");
    assert_eq!(crate::support::client::admin(address, "vgo_wrong", "POST", kill, KILL).status, 401);
    assert_eq!(crate::support::client::admin(address, "", "POST", kill, KILL).status, 401);
    assert_eq!(gateway.admin("operator", "POST", kill, "{}").status, 400, "a reason is asked for");
    assert_eq!(gateway.admin("operator", "POST", "/v1/vendors/nobody/kill", KILL).status, 404);
    assert_eq!(gateway.get("/v1/plain", &reader()).status, 200, "nothing was killed");
    assert_eq!(gateway.admin("operator", "POST", kill, KILL).status, 200);
    assert_eq!(gateway.admin("operator", "POST", "/v1/vendors/acme/restore", KILL).status, 403);
    assert_eq!(gateway.get("/v1/plain", &reader()).status, 403);
    assert_eq!(gateway.admin("admin", "POST", "/v1/vendors/acme/restore", KILL).status, 200);
    assert_eq!(gateway.get("/v1/plain", &reader()).status, 200);
}

#[test]
fn a_killed_vendor_stays_killed_after_kill_9() {
    let crm = Upstream::json("{\"orders\":[]}");
    let fixture = GatewayFixture::of_acme(crm.address, TERMS);
    let get = |process: &Process| crate::support::client::get(process.ingress, "/v1/plain", &reader());
    let mut process = Process::start(&fixture);
    assert_eq!(get(&process).status, 200);
    let json = process.admin(&fixture, "operator", "POST", "/v1/vendors/acme/kill", KILL).json();
    assert_eq!((json["state"].as_str(), json["persisted"].as_bool()), (Some("killed"), Some(true)), "{json}");
    process.signal("KILL");
    process.ended();
    let mut process = Process::start(&fixture);
    assert_eq!(get(&process).reason(), "vendor_killed");
    let status = process.admin(&fixture, "viewer", "GET", "/v1/vendors/acme", "").json();
    assert_eq!(status["state"], "killed");
    assert_eq!(status["kills"][0]["by"], "operator", "{status}");
    assert_eq!(process.admin(&fixture, "admin", "POST", "/v1/vendors/acme/restore", KILL).status, 200);
    assert_eq!(get(&process).status, 200);
    process.signal("KILL");
    process.ended();
    let process = Process::start(&fixture);
    assert_eq!(get(&process).status, 200, "a restore is as durable");
}

#[test]
fn unreadable_state_kills_every_vendor_until_a_person_decides() {
    let crm = Upstream::json("{\"orders\":[]}");
    let fixture = GatewayFixture::of_acme(crm.address, TERMS);
    drop(Process::start(&fixture));
    let database = fixture.path().join("state/state.redb");
    std::fs::write(&database, b"no database").expect("written");
    let process = Process::start(&fixture);
    assert_eq!(crate::support::client::get(process.ingress, "/v1/plain", &reader()).reason(), "vendor_killed");
    let ready = crate::support::client::admin(process.admin, "", "GET", "/readyz", "");
    assert_eq!(ready.status, 503);
    let live = crate::support::client::admin(process.admin, "", "GET", "/livez", "");
    assert_eq!(live.status, 200);
}

#[test]
fn a_kill_does_not_wait_for_slow_readers() {
    let filler = "y".repeat(1 << 20);
    let crm = Upstream::start(move |_, asker| {
        let _ = asker.write("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n");
        while asker.chunk(&filler).is_ok() {}
        false
    });
    let gateway = TestGateway::of_acme(crm.address, TERMS);
    // HTTP/1: the head is read and then nothing more, so that every buffer on the way fills.
    let mut stuck = begin(&gateway, "/v1/plain");
    h2::run(async {
        // HTTP/2: the window is never opened again.
        let mut session = h2::open_narrow(gateway.ingress(), 65_535).await;
        let answer = h2::ask(&mut session, "/v1/plain", &reader()).await.expect("an answer");
        let body = answer.into_body();
        tokio::time::sleep(Duration::from_millis(300)).await;
        let json = gateway.admin("operator", "POST", "/v1/vendors/acme/kill", KILL).json();
        assert_eq!((json["severed"].as_u64(), json["lingering"].as_u64().unwrap_or(0)), (Some(2), 0), "{json}");
        assert_ne!(h2::read(body).await.1, h2::StreamEnd::Whole);
    });
    assert_eq!(ending(&mut stuck), BodyEnd::Reset);
    until("the upstream is reset", || crm.open() == 0);
}
