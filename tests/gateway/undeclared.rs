//! `listeners.egress.unknown: report`: what no contract lists passes for a time, loudly, and under control.

use std::io::Read;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use vendorgate::internals::model::Clock;

use crate::support::client::{Answer, Client, tcp};
use crate::support::fixture::GatewayFixture;
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::{CHUNKED, Upstream};
use crate::tls_tunnels::{TlsVendor, said_back};
use crate::tunnels::{clear_terms, connect};

const DAY: Duration = Duration::from_secs(86_400);

/// A gateway that reports for three days, with a contract that lists other hosts.
fn reporting(acme: SocketAddr, clock: &Clock) -> TestGateway {
    let until = clock.now().wall.plus(2 * DAY).to_string()[..10].to_owned();
    let own = format!("unknown: report, report_until: {until}, allow_networks: [\"127.0.0.0/8\"]");
    let listeners = format!(
        "  egress: {{ bind: \"127.0.0.1:0\", anonymous: true, {own} }}\n  admin: {{ bind: \"127.0.0.1:0\", operators: operators.yaml }}\n"
    );
    let terms = clear_terms(acme).replace(&format!(", \"{acme}\""), "");
    TestGateway::start_at(GatewayFixture::of_acme(acme, &terms).listeners(&listeners), clock.clone())
}

fn started(acme: SocketAddr) -> TestGateway {
    reporting(acme, &Clock::system())
}

fn call(gateway: &TestGateway, url: &str) -> Answer {
    let (host, body) = (url.split('/').nth(2).expect("a host"), r#"{"name":"Ann"}"#);
    let text = format!(
        "POST {url} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer the-vendors-own\r\nProxy-Connection: keep-alive\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    Client::to(gateway.egress()).send(text).answer()
}

fn shadow(gateway: &TestGateway, destination: &str) -> (u64, u64) {
    let json = gateway.admin("viewer", "GET", "/v1/shadow", "").json();
    let rows = json["destinations"].as_array().cloned().unwrap_or_default();
    let row = rows.into_iter().find(|row| row["destination"] == destination).unwrap_or(Value::Null);
    (row["count"].as_u64().unwrap_or_default(), row["passed"].as_u64().unwrap_or_default())
}

#[test]
fn a_call_to_an_undeclared_host_passes_as_it_is_and_is_told_everywhere() {
    let (acme, other) = (Upstream::json("{}"), Upstream::json(r#"{"email":"ann@example.com"}"#));
    let gateway = started(acme.address);
    let own = format!("localhost:{}", other.address.port());
    let answer = call(&gateway, &format!("http://{own}/people?email=ann%40example.com"));
    assert_eq!((answer.status, answer.text().as_str()), (200, r#"{"email":"ann@example.com"}"#));
    let seen = other.last();
    assert_eq!(seen.line(), "POST /people?email=ann%40example.com HTTP/1.1");
    assert_eq!(&*seen.body, br#"{"name":"Ann"}"#);
    assert_eq!((seen.field("host"), seen.field("authorization")), (Some(own.as_str()), Some("Bearer the-vendors-own")));
    assert_eq!(seen.field("proxy-connection"), None);
    until("the line is written", || gateway.log().contains(r#""vendor":"undeclared""#));
    let log = gateway.log();
    assert!(log.contains(r#""route":"localhost""#) && log.contains(r#""would_deny":["destination_unknown"]"#), "{log}");
    assert!(!log.contains("ann"), "{log}");
    let would = r#"vendorgate_would_deny_total{vendor="undeclared",direction="egress",reason="destination_unknown"}"#;
    until("it is counted", || gateway.series(would) == 1.0);
    until("it is in the trail", || {
        let trail = gateway.admin("viewer", "GET", "/v1/audit", "").json();
        let entries = trail["entries"].as_array().cloned().unwrap_or_default();
        entries.iter().any(|entry| entry["act"] == "would_deny" && entry["subject"] == "undeclared")
    });
    assert_eq!(shadow(&gateway, &own), (1, 1));
    let mut exposure = Value::Null;
    until("the exposure has the host", || {
        exposure = gateway.admin("viewer", "GET", "/v1/exposure?vendor=undeclared", "").json();
        exposure["routes"][0]["route"] == "localhost"
    });
    let status = gateway.admin("viewer", "GET", "/v1/vendors/undeclared", "").json();
    assert_eq!(status["state"], "live", "{status}");
    let table = Command::new(env!("CARGO_BIN_EXE_vendorgate"))
        .args(["status", "--shadow", "--admin"])
        .arg(format!("http://{}", gateway.addresses.admin.expect("an address")))
        .env("VENDORGATE_TOKEN", gateway.fixture.operator("viewer"))
        .output()
        .expect("it runs");
    let table = String::from_utf8(table.stdout).expect("text");
    assert!(table.contains("PASSED") && table.contains(&own), "{table}");
}

#[test]
fn a_tunnel_to_an_undeclared_host_passes_unread_holds_its_slot_and_hears_a_kill() {
    let (acme, vendor) = (Upstream::json("{}"), TlsVendor::start());
    for everything in [false, true] {
        let gateway = started(acme.address);
        let mut tunnel = vendor.tunnel_over(tcp(gateway.egress()), "", "localhost").expect("a tunnel");
        said_back(&mut tunnel, &[0x5a; 20_000]);
        let in_flight = ["vendor=\"undeclared\"", "direction=\"egress\""];
        assert_eq!(gateway.metric("vendorgate_in_flight", &in_flight), Some(1));
        let path = if everything { "/v1/kill" } else { "/v1/vendors/undeclared/kill" };
        let killed = gateway.admin("operator", "POST", path, r#"{"reason":"breach"}"#);
        assert_eq!(killed.status, 200, "{}", killed.text());
        assert!(!matches!(tunnel.sock.read(&mut [0; 9]), Ok(1..)), "the bytes go on");
        until("the vendor's side is closed", || vendor.open.load(Ordering::SeqCst) == 0);
        until("the bytes are counted", || gateway.metric("vendorgate_bytes_total", &in_flight) > Some(20_000));
        let (_, refused) = connect(&gateway, &vendor.target(), "");
        assert_eq!(refused.status, 403);
        assert_eq!(shadow(&gateway, &vendor.target()), (2, 1), "the second was refused");
    }
}

#[test]
fn clear_text_in_a_tunnel_to_an_undeclared_host_is_admitted_by_request() {
    let (acme, other) = (Upstream::json("{}"), Upstream::json("[]"));
    let gateway = started(acme.address);
    let own = format!("localhost:{}", other.address.port());
    let (mut tunnel, head) = connect(&gateway, &own, "");
    assert_eq!(head.status, 200);
    assert_eq!(tunnel.send(format!("GET /a HTTP/1.1\r\nHost: {own}\r\n\r\n")).answer().text(), "[]");
    assert_eq!(tunnel.send("GET /a HTTP/1.1\r\nHost: evil.example\r\n\r\n").answer().status, 400);
    assert_eq!(other.seen().len(), 1);
}

#[test]
fn what_must_never_be_called_is_refused_while_the_rest_passes() {
    let acme = Upstream::json("{}");
    let gateway = started(acme.address);
    let egress = gateway.egress().port();
    for url in [
        "http://169.254.169.254/latest/meta-data".to_owned(),
        format!("http://{}/", acme.address),
        "http://localhost:25/".to_owned(),
        // The contract's own host, at a port that it does not list.
        "http://api.acme.example:8443/".to_owned(),
        format!("http://localhost:{egress}/nobody"),
        "http://2852039166/latest/meta-data".to_owned(),
    ] {
        let answer = call(&gateway, &url);
        assert!([403, 502, 504].contains(&answer.status), "{url}: {} {}", answer.status, answer.text());
    }
    for target in ["93.184.216.34:443", "localhost:25", "api.acme.example:8443"] {
        let (_, head) = connect(&gateway, target, "");
        assert_eq!(head.status, 403, "{target}");
    }
    let (_, own) = connect(&gateway, &format!("localhost:{egress}"), "");
    assert_eq!(own.status, 508);
    assert_eq!(Client::to(gateway.egress()).send("GET /nobody/x HTTP/1.1\r\nHost: a\r\n\r\n").answer().status, 403);
    assert_eq!(acme.seen().len(), 0);
}

#[test]
fn it_ends_with_its_last_day_without_a_reload_and_takes_what_runs_with_it() {
    let (acme, vendor) = (Upstream::json("{}"), TlsVendor::start());
    let clock = Clock::manual(Clock::system().now().wall);
    let gateway = reporting(acme.address, &clock);
    let mut tunnel = vendor.tunnel_over(tcp(gateway.egress()), "", "localhost").expect("a tunnel");
    said_back(&mut tunnel, b"hello");
    clock.advance(DAY);
    said_back(&mut tunnel, b"hello");
    clock.advance(2 * DAY);
    let (_, refused) = connect(&gateway, &vendor.target(), "");
    assert_eq!(refused.status, 403);
    assert_eq!(call(&gateway, &format!("http://{}/", vendor.target())).reason(), "destination_unknown");
    assert!(!matches!(tunnel.sock.read(&mut [0; 9]), Ok(1..)), "the bytes go on");
    assert_eq!(shadow(&gateway, &vendor.target()), (3, 1));
}

#[test]
fn a_contract_that_comes_to_list_the_host_ends_what_passed_without_one() {
    let acme = Upstream::json("{}");
    let other = Upstream::start(|_, asker| {
        let _ = asker.write(CHUNKED);
        while asker.chunk("data\n").is_ok() {
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    });
    let gateway = started(acme.address);
    let own = format!("localhost:{}", other.address.port());
    let mut stream = Client::to(gateway.egress());
    let head = stream.send(format!("GET http://{own}/ HTTP/1.1\r\nHost: {own}\r\n\r\n")).head();
    assert_eq!(head.status, 200);
    assert!(stream.more().is_ok());
    let terms = clear_terms(other.address).replace("api.acme.example", "localhost");
    gateway.fixture.write_contract("other", &terms);
    let reloaded = gateway.admin("admin", "POST", "/v1/reload", "{}");
    assert_eq!(reloaded.status, 200, "{}", reloaded.text());
    until("it is cut", || stream.more().is_err());
    assert_eq!(
        call(&gateway, &format!("http://{own}/")).reason(),
        "destination_unknown",
        "the contract has no such route"
    );
}
