//! The log says why a request was refused or broke off: cause, peer, client, route and the upstream's error, in its
//! line and in the gateway's memory.

use std::net::TcpListener;
use std::process::Command;

use serde_json::Value;

use crate::support::client::{Client, request};
use crate::support::fixture::GatewayFixture;
use crate::support::issuer::{reader, vendor};
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::{CHUNKED, Upstream};

const TERMS: &str = "limits: { requests: { rate: 1000/s } }
ingress:
  - { route: GET /v1/orders, scopes: [orders:read], upstream: crm }
  - { route: GET /v1/lost, scopes: [orders:read], upstream: gone }
";

fn fixture(crm: &Upstream, drain: &str) -> GatewayFixture {
    // No process listens here any more.
    let gone = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let fixture = GatewayFixture::new(crm.address).with(&format!("drain: {{ deadline: {drain} }}\n"));
    let fixture = fixture.contract("acme", &TERMS.replace("upstream: gone", "upstream: crm"));
    let main = std::fs::read_to_string(fixture.main()).expect("the main file");
    std::fs::write(
        fixture.main(),
        main.replace("upstreams:\n", &format!("upstreams:\n  gone: {{ url: \"http://{gone}\" }}\n")),
    )
    .expect("written");
    fixture.write_contract("acme", TERMS);
    fixture
}

/// The lines of refused and broken exchanges, once there are this many.
fn failures(gateway: &TestGateway, count: usize) -> Vec<Value> {
    let read = || -> Vec<Value> {
        let lines = gateway.log();
        let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        lines.filter(|line| line.get("cause").is_some()).collect()
    };
    until("the lines are written", || read().len() >= count);
    read()
}

fn why(gateway: &TestGateway, id: &str) -> (Option<i32>, String) {
    let socket = format!("unix:{}", gateway.fixture.path().join("state/admin.sock").display());
    let mut command = Command::new(env!("CARGO_BIN_EXE_vendorgate"));
    let output =
        command.env_remove("VENDORGATE_TOKEN").args(["why", id, "--admin", &socket]).output().expect("it runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn why_prints_cause_peer_and_upstream_error_of_each_refusal() {
    let crm = Upstream::json("{}");
    let gateway = TestGateway::start(fixture(&crm, "5s"));
    let mut client = Client::to(gateway.ingress());
    assert_eq!(client.get("/v1/orders", &reader()).status, 200);
    let wrong_scope = client.get("/v1/orders", &vendor("acme").scope("other").token());
    let stranger = client.get("/v1/orders", "not.a.token");
    let lost = client.get("/v1/lost", &reader());
    assert_eq!((wrong_scope.status, stranger.status, lost.status), (403, 401, 502));
    let lines = failures(&gateway, 3);
    assert_eq!(lines.len(), 3, "what went well has no cause: {lines:?}");
    for (line, answer) in lines.iter().zip([&wrong_scope, &stranger, &lost]) {
        assert_eq!(line["request_id"], answer.json()["request_id"]);
        assert!(line["peer"].as_str().expect("a peer").starts_with("127.0.0.1:"), "{line}");
        assert!(line["cause"].as_str().is_some_and(|cause| !cause.is_empty()), "{line}");
        let (code, told) = why(&gateway, line["request_id"].as_str().expect("an id"));
        assert_eq!(code, Some(0), "{told}");
        for word in [&line["cause"], &line["reason"], &line["peer"]] {
            assert!(told.contains(word.as_str().expect("text")), "{word}: {told}");
        }
    }
    assert_eq!(
        (lines[0]["client"].as_str(), lines[0]["route"].as_str()),
        (Some("acme-client"), Some("GET /v1/orders"))
    );
    assert!(lines[2]["cause"].as_str().is_some_and(|cause| cause.to_lowercase().contains("refused")), "{}", lines[2]);
    assert_eq!(lines[2]["upstream"], "gone");
}

#[test]
fn an_unknown_request_id_exits_1() {
    let crm = Upstream::json("{}");
    let gateway = TestGateway::start(fixture(&crm, "5s"));
    let (code, told) = why(&gateway, "00000000000000000000000000000000");
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("exchange lines"), "{told}");
    assert_eq!(why(&gateway, "nonsense").0, Some(2));
    let answer = gateway.admin("viewer", "GET", "/v1/requests", "");
    assert_eq!(answer.status, 400);
}

#[test]
fn an_answer_that_the_caller_aborts_is_not_logged_as_a_plain_200() {
    let crm = Upstream::start(|_, asker| {
        let _ = asker.write(CHUNKED);
        while asker.chunk("x".repeat(1000)).is_ok() {}
        false
    });
    let gateway = TestGateway::start(fixture(&crm, "5s"));
    let mut leaver = Client::to(gateway.ingress());
    leaver.send(request("GET", "/v1/orders", &reader(), ""));
    assert_eq!(leaver.head().status, 200);
    drop(leaver);
    let line = &failures(&gateway, 1)[0];
    assert_eq!(
        (line["status"].as_u64(), line["ended"].as_str(), line.get("reason")),
        (Some(200), Some("caller_left"), None)
    );
    let (code, told) = why(&gateway, line["request_id"].as_str().expect("an id"));
    assert!(code == Some(0) && told.contains("caller_left"), "{told}");
}

#[test]
fn a_caller_that_leaves_before_the_answer_is_logged() {
    let crm = Upstream::start(|_, asker| {
        // The upstream stays silent until the gateway gives up on it.
        until("the gateway has left", || asker.gone());
        false
    });
    let gateway = TestGateway::start(fixture(&crm, "5s"));
    let mut leaver = Client::to(gateway.ingress());
    leaver.send(request("GET", "/v1/orders", &reader(), ""));
    until("it is in flight", || gateway.in_flight() == 1);
    drop(leaver);
    let line = &failures(&gateway, 1)[0];
    assert_eq!((line["status"].as_u64(), line["ended"].as_str()), (Some(0), Some("caller_left")));
}

#[test]
fn an_answer_cut_by_the_drain_is_not_logged_as_a_plain_200() {
    let crm = Upstream::start(|_, asker| {
        let _ = asker.write(CHUNKED);
        let _ = asker.chunk("half");
        until("the gateway has left", || asker.gone());
        false
    });
    let mut gateway = TestGateway::start(fixture(&crm, "100ms"));
    let mut reading = Client::to(gateway.ingress());
    reading.send(request("GET", "/v1/orders", &reader(), ""));
    assert_eq!(reading.head().status, 200);
    gateway.begin_drain();
    let line = &failures(&gateway, 1)[0];
    assert_eq!((line["status"].as_u64(), line["ended"].as_str()), (Some(200), Some("gateway_stopped")));
}

#[test]
fn an_upstream_that_breaks_off_is_named_in_the_log_line() {
    let crm = Upstream::start(|_, asker| {
        let _ = asker.write("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf");
        false
    });
    let gateway = TestGateway::start(fixture(&crm, "5s"));
    let answer = gateway.get("/v1/orders", &reader());
    let line = &failures(&gateway, 1)[0];
    assert!(line["reason"].as_str().is_some_and(|reason| reason.starts_with("upstream")), "{line} {}", answer.status);
    assert!(line["cause"].as_str().is_some_and(|cause| !cause.is_empty()));
}
