//! Limits on the rate of requests and on requests at once.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use crate::support::client::Client;
use crate::support::client::request;
use crate::support::fixture::GatewayFixture;
use crate::support::issuer::{reader, vendor};
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::{CHUNKED, Upstream, ok};

const ROUTES: &str = "ingress:\n  - { route: GET /v1/orders, scopes: [orders:read], upstream: crm }\n";

#[test]
fn beyond_the_rate_is_429_with_retry_after() {
    let crm = Upstream::json("{}");
    let fixture =
        GatewayFixture::of_acme(crm.address, &format!("limits: {{ requests: {{ rate: 2/m, burst: 3 }} }}\n{ROUTES}"));
    let gateway = TestGateway::start(fixture.contract("other", ROUTES));
    let mut client = Client::to(gateway.ingress());
    let statuses: Vec<u16> = (0..3).map(|_| client.get("/v1/orders", &reader()).status).collect();
    assert_eq!(statuses, [200, 200, 200]);
    let refused = client.get("/v1/orders", &reader());
    assert_eq!((refused.status, refused.reason().as_str()), (429, "rate_limited"));
    let retry: u64 = refused.field("retry-after").expect("a time").parse().expect("seconds");
    assert!((1..=30).contains(&retry), "{retry}");
    let other = vendor("other").scope("orders:read").token();
    assert_eq!(client.get("/v1/orders", &other).status, 200, "one vendor's rate is no other's");
    assert_eq!(crm.seen().len(), 4);
}

#[test]
fn a_request_that_is_refused_costs_no_budget() {
    let crm = Upstream::json("{}");
    let gateway =
        TestGateway::of_acme(crm.address, &format!("limits: {{ requests: {{ rate: 1/h, burst: 1 }} }}\n{ROUTES}"));
    let mut client = Client::to(gateway.ingress());
    for _ in 0..5 {
        assert_eq!(client.get("/v1/orders", &vendor("acme").scope("other").token()).status, 403);
        assert_eq!(client.get("/v1/nothing", &reader()).status, 403);
    }
    assert_eq!(client.get("/v1/orders", &reader()).status, 200);
    assert_eq!(client.get("/v1/orders", &reader()).status, 429);
}

#[test]
fn a_slot_is_held_until_the_body_has_ended() {
    let (end, ended) = mpsc::channel::<()>();
    let ended = Arc::new(Mutex::new(ended));
    let crm = Upstream::start(move |seen, asker| {
        if seen.line().contains("slow") {
            let _ = asker.write(CHUNKED);
            let _ = asker.chunk("{}");
            let _ = ended.lock().expect("no panic").recv();
            return asker.chunk("").is_ok();
        }
        asker.write(ok("application/json", "{}")).is_ok()
    });
    let terms = format!("limits: {{ concurrency: 1 }}\n{ROUTES}");
    let gateway = TestGateway::of_acme(crm.address, &terms.replace("GET /v1/orders", "\"GET /v1/{kind}\""));
    let mut slow = Client::to(gateway.ingress());
    slow.send(request("GET", "/v1/slow", &reader(), ""));
    assert_eq!(slow.head().status, 200);
    let refused = gateway.get("/v1/orders", &reader());
    assert_eq!((refused.status, refused.reason().as_str()), (429, "concurrency_exceeded"));
    end.send(()).expect("the upstream waits");
    until("the slot is free", || gateway.get("/v1/orders", &reader()).status == 200);
    // A caller that disconnects in the middle of a body frees its slot too.
    let mut gone = Client::to(gateway.ingress());
    gone.send(request("GET", "/v1/slow", &reader(), ""));
    assert_eq!(gone.head().status, 200);
    assert_eq!(gateway.get("/v1/orders", &reader()).status, 429);
    drop(gone);
    until("the slot is free", || gateway.get("/v1/orders", &reader()).status == 200);
    drop(end);
}

/// A contract with one route in each direction, under `limits`.
fn both_ways(vendor: &Upstream, limits: &str) -> String {
    format!(
        "limits: {limits}\n{ROUTES}egress:\n  upstream: {{ url: \"http://{}\", allow_networks: [\"127.0.0.0/8\"] }}\n  \
         routes: [ {{ route: GET /v2/plain }} ]\n",
        vendor.address
    )
}

fn call_out(gateway: &TestGateway) -> u16 {
    Client::to(gateway.egress()).send(request("GET", "/acme/v2/plain", "", "")).answer().status
}

#[test]
fn a_vendor_that_has_used_up_its_limits_never_stops_our_own_calls_to_it() {
    let (crm, api) = (Upstream::json("{}"), Upstream::json("{}"));
    for limits in [
        "{ requests: { rate: 1/h, burst: 2 } }",
        "{ bytes: { budget: 4B, window: 1h, over: sever } }",
        "{ requests: { rate: 9/s }, ingress: { requests: { rate: 1/h, burst: 2 } } }",
        "{ client_requests: { rate: 1/h, burst: 2 } }",
    ] {
        let gateway = TestGateway::of_acme(crm.address, &both_ways(&api, limits));
        let inward: Vec<u16> = (0..3).map(|_| gateway.get("/v1/orders", &reader()).status).collect();
        assert_eq!(inward, [200, 200, 429], "{limits}");
        assert_eq!(call_out(&gateway), 200, "{limits}: outward has limits of its own");
        assert_eq!(gateway.get("/v1/orders", &reader()).status, 429, "{limits}");
    }
    let gateway =
        TestGateway::of_acme(crm.address, &both_ways(&api, "{ requests: { rate: 1/h, burst: 2 }, shared: true }"));
    let mixed = [gateway.get("/v1/orders", &reader()).status, call_out(&gateway), call_out(&gateway)];
    assert_eq!(mixed, [200, 200, 429], "one pot where the contract says so");
    let gateway =
        TestGateway::of_acme(crm.address, &both_ways(&api, "{ egress: { requests: { rate: 1/h, burst: 1 } } }"));
    assert_eq!([call_out(&gateway), call_out(&gateway)], [200, 429]);
    assert_eq!(gateway.get("/v1/orders", &reader()).status, 200, "and the other way round");
}

#[test]
fn an_overrun_that_severs_spares_the_other_direction() {
    let crm = Upstream::json("{\"four\":4}");
    let (end, ended) = mpsc::channel::<()>();
    let ended = Arc::new(Mutex::new(ended));
    let api = Upstream::start(move |_, asker| {
        let _ = asker.write(CHUNKED);
        let _ = asker.chunk("half");
        let _ = ended.lock().expect("no panic").recv();
        asker.chunk("whole").is_ok() && asker.chunk("").is_ok()
    });
    let gateway =
        TestGateway::of_acme(crm.address, &both_ways(&api, "{ bytes: { budget: 100B, window: 1h, over: sever } }"));
    let mut outward = Client::to(gateway.egress());
    outward.send(request("GET", "/acme/v2/plain", "", ""));
    assert_eq!(outward.head().status, 200);
    // The tenth answer of ten bytes fits; the next one does not, and severs.
    let inward: Vec<u16> = (0..12).map(|_| gateway.get("/v1/orders", &reader()).status).collect();
    assert_eq!(inward.last(), Some(&429), "{inward:?}");
    end.send(()).expect("the vendor waits");
    let mut rest = Vec::new();
    while !rest.ends_with(b"0\r\n\r\n") {
        rest.extend(outward.more().expect("our own call goes on to its end"));
    }
    assert!(String::from_utf8_lossy(&rest).contains("whole"));
}

#[test]
fn status_and_explain_show_each_limit_in_force_and_where_it_comes_from() {
    let (crm, api) = (Upstream::json("{}"), Upstream::json("{}"));
    let limits = "{ requests: { rate: 60/h, burst: 4 }, egress: { concurrency: 7 } }";
    let gateway = TestGateway::of_acme(crm.address, &both_ways(&api, limits));
    assert_eq!(gateway.get("/v1/orders", &reader()).status, 200);
    let socket = format!("unix:{}", gateway.fixture.path().join("state/admin.sock").display());
    let vendorgate = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_vendorgate"));
        let output = command.env_remove("VENDORGATE_TOKEN").args(arguments).output().expect("it runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let status = vendorgate(&["status", "acme", "--admin", &socket]);
    let squeezed: Vec<String> =
        status.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for expected in [
        "requests ingress 60/h, burst 4 75 % contract",
        "concurrency ingress 100 100 % default",
        "records ingress 12000 in 1m, over: refuse 100 % default",
        "rotation.max_lifetime ingress 1h - contract",
        "requests egress 60/h, burst 4 100 % contract",
        "concurrency egress 7 100 % contract",
        "bytes egress 1GiB in 1m, over: refuse 100 % default",
    ] {
        assert!(squeezed.iter().any(|line| line == expected), "{expected}\n{status}");
    }
    let main = gateway.fixture.main();
    let explained =
        vendorgate(&["explain", "--vendor", "acme", "--config", main.to_str().expect("a path"), "GET", "/v1/orders"]);
    assert!(explained.contains("requests 60/h, burst 4 (contract); concurrency 100 (default)"), "{explained}");
}
