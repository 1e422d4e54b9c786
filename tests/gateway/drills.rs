//! Orders during a drill, over the admin API of a running gateway, and a crash in the middle of a drill.

use serde_json::json;

use crate::support::client::{self, Client, request};
use crate::support::fixture::GatewayFixture;
use crate::support::issuer::reader;
use crate::support::process::Process;
use crate::support::test_gateway::TestGateway;
use crate::support::upstream::{CHUNKED, Upstream};

const ROUTES: &str = "ingress:
  - { route: GET /v1/orders, scopes: [orders:read], upstream: crm }
  - { route: GET /v1/flood, scopes: [orders:read], upstream: crm }
";

const WHY: &str = r#"{"reason":"tokens were stolen"}"#;

/// One answer without an end, of which little is read, beside short answers.
fn flood() -> Upstream {
    Upstream::start(|seen, asker| {
        if !seen.line().contains("/v1/flood") {
            return asker.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").is_ok();
        }
        let _ = asker.write(CHUNKED);
        let line = "x".repeat(64 * 1024);
        while asker.chunk(&line).is_ok() {}
        false
    })
}

fn begin(address: std::net::SocketAddr) -> Client {
    let mut client = Client::to(address);
    client.send(request("GET", "/v1/flood", &reader(), ""));
    assert_eq!(client.head().status, 200);
    client
}

#[test]
fn a_kill_during_a_drill_holds_after_it() {
    let crm = flood();
    let gateway = TestGateway::of_acme(crm.address, ROUTES);
    let mut met = 0;
    for _ in 0..20 {
        let readers: Vec<_> = (0..4).map(|_| begin(gateway.ingress())).collect();
        let drill = std::thread::scope(|scope| {
            let drill = scope.spawn(|| gateway.admin("operator", "POST", "/v1/vendors/acme/drill", "{}"));
            while gateway.get("/v1/orders", &reader()).status == 200 && !drill.is_finished() {}
            let kill = gateway.admin("operator", "POST", "/v1/vendors/acme/kill", WHY);
            assert_eq!((kill.status, kill.json()["persisted"].as_bool()), (200, Some(true)), "{}", kill.text());
            drill.join().expect("no panic")
        });
        drop(readers);
        assert_eq!(
            gateway.get("/v1/orders", &reader()).reason(),
            "vendor_killed",
            "whenever the kill came: {}",
            drill.text()
        );
        let status = gateway.admin("viewer", "GET", "/v1/vendors/acme", "").json();
        assert_eq!(status["kills"].as_array().map(Vec::len), Some(1), "the person's and no drill's: {status}");
        met += u32::from(drill.status == 200 && drill.json()["state"] == "killed");
        let restored = gateway.admin("admin", "POST", "/v1/vendors/acme/restore", WHY).json();
        assert_eq!((&restored["state"], &restored["scopes"]), (&json!("live"), &json!([{}])), "{restored}");
        if met > 1 {
            break;
        }
    }
    assert!(met > 0, "no kill met a drill, so nothing was shown");
}

#[test]
fn a_crash_during_a_drill_leaves_the_vendor_killed_until_a_person_restores_it() {
    let crm = flood();
    let fixture = GatewayFixture::of_acme(crm.address, ROUTES);
    let mut process = Process::start(&fixture);
    let refused = |process: &Process| client::get(process.ingress, "/v1/orders", &reader()).status == 403;
    let readers: Vec<_> = (0..4).map(|_| begin(process.ingress)).collect();
    let (admin, token) = (process.admin, fixture.operator("operator").to_owned());
    let drill = std::thread::spawn(move || {
        client::exchange_raw(admin, {
            let head =
                format!("POST /v1/vendors/acme/drill HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n");
            (head + "Content-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
                .as_bytes()
                .to_vec()
                .leak()
        })
    });
    while !refused(&process) && !drill.is_finished() {}
    let during = !drill.is_finished();
    let kill = process.admin(&fixture, "operator", "POST", "/v1/vendors/acme/kill", WHY);
    process.signal("KILL");
    process.ended();
    drop((readers, drill));
    assert!(kill.json()["persisted"].as_bool() == Some(true), "{}", kill.text());
    let process = Process::start(&fixture);
    assert!(refused(&process), "during the drill: {during}");
    let restored = process.admin(&fixture, "admin", "POST", "/v1/vendors/acme/restore", WHY).json();
    assert_eq!(restored["state"], "live", "{restored}");
    assert!(!refused(&process));
}
