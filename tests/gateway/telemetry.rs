//! What an operator sees: one log line for each exchange, metrics, and no secret in either.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::support::client::{Client, request};
use crate::support::issuer::{reader, vendor};
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::{Upstream, ok};

const TERMS: &str = r#"limits: { requests: { rate: 100000/s }, records: { budget: 10, window: 1h } }
ingress:
  - route: GET /v1/people/{id}
    scopes: [orders:read]
    upstream: crm
    records: "$.orders[*]"
    response: { pii: [ { field: "$.orders[*].email", as: redact } ] }
  - { route: POST /v1/orders, scopes: [orders:write], upstream: crm }
"#;

fn busy() -> (Upstream, TestGateway) {
    let crm = Upstream::start(|_, asker| {
        asker
            .write(ok("application/json", r#"{"orders":[{"email":"ann@example.com"},{"email":"bob@example.com"}]}"#))
            .is_ok()
    });
    let gateway = TestGateway::of_acme(crm.address, TERMS);
    let mut client = Client::to(gateway.ingress());
    assert_eq!(client.get("/v1/people/hidden-id?email=hidden%40query.example", &reader()).status, 200);
    client
        .send(request("GET", "/v1/people/1", &reader(), "").replace("\r\n\r\n", "\r\nX-Secret: hidden-header\r\n\r\n"))
        .answer();
    assert_eq!(client.get("/hidden-path", &reader()).status, 403);
    assert_eq!(client.get("/v1/people/1", "hidden.token.text").status, 401);
    client.send(request("HIDDENVERB", "/v1/people/1", &reader(), "")).answer();
    let writer = vendor("acme").scope("orders:write").token();
    assert_eq!(client.send(request("POST", "/v1/orders", &writer, r#"{"x":"hidden-body"}"#)).answer().status, 200);
    (crm, gateway)
}

#[test]
fn each_exchange_has_one_log_line_without_secrets() {
    let (_crm, gateway) = busy();
    until("six lines are written", || gateway.log().lines().count() == 6);
    let log = gateway.log();
    let token = reader();
    for secret in ["hidden", "HIDDENVERB", "ann@", "bob@", &token[token.len() - 20..], "Bearer", "eyJ"] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let first = &lines[0];
    assert_eq!((first["vendor"].as_str(), first["client"].as_str()), (Some("acme"), Some("acme-client")));
    assert_eq!((first["route"].as_str(), first["upstream"].as_str()), (Some("GET /v1/people/{id}"), Some("crm")));
    assert_eq!((first["status"].as_u64(), first["records"].as_u64()), (Some(200), Some(2)));
    assert!(first["duration_us"].as_u64() >= first["overhead_us"].as_u64());
    let reasons: Vec<_> = lines.iter().map(|line| line["reason"].as_str().unwrap_or("-")).collect();
    assert_eq!(reasons, ["-", "-", "route_unknown", "token_malformed", "route_unknown", "-"]);
}

#[test]
fn metrics_count_what_happened_and_name_nothing_that_a_stranger_chose() {
    let (_crm, gateway) = busy();
    until("all is counted", || gateway.in_flight() == 0);
    let text = gateway.admin("viewer", "GET", "/metrics", "").text();
    for family in [
        "requests_total",
        "request_duration_seconds",
        "overhead_seconds",
        "denials_total",
        "in_flight",
        "records_total",
        "bytes_total",
        "pii_values_total",
        "killed",
        "severed_total",
        "sever_seconds",
        "contract_end_timestamp_seconds",
        "config_generation",
        "config_reload_total",
        "state_errors_total",
        "build_info",
        "token_cache_total",
    ] {
        assert!(text.contains(&format!("# TYPE vendorgate_{family} ")), "{family} is missing: {text}");
    }
    for word in ["hidden", "HIDDENVERB", "example.com"] {
        assert!(!text.contains(word), "{word}");
    }
    let acme = r#"vendor="acme""#;
    let requests = |labels: &[&str]| {
        gateway.metric("vendorgate_requests_total", &[&[acme, r#"direction="ingress""#], labels].concat())
    };
    assert_eq!(requests(&[r#"route="GET /v1/people/{id}""#, r#"status="200""#]), Some(2));
    assert_eq!(requests(&[r#"route="POST /v1/orders""#, r#"status="200""#]), Some(1));
    assert_eq!(
        gateway.metric("vendorgate_denials_total", &[acme, r#"direction="ingress""#, r#"reason="route_unknown""#]),
        Some(2)
    );
    assert_eq!(gateway.metric("vendorgate_records_total", &[acme, r#"route="GET /v1/people/{id}""#]), Some(4));
    assert_eq!(
        gateway.metric(
            "vendorgate_pii_values_total",
            &[acme, r#"direction="ingress""#, r#"treatment="redact""#, "people"]
        ),
        Some(4)
    );
}

/// Prometheus' own linter.
#[test]
#[ignore = "needs promtool"]
fn prometheus_finds_no_fault_in_the_page_of_metrics() {
    let (_crm, gateway) = busy();
    until("all is counted", || gateway.in_flight() == 0);
    let text = gateway.admin("viewer", "GET", "/metrics", "").text();
    let mut judge = Command::new("promtool");
    judge.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut judge = judge.spawn().expect("promtool is installed");
    judge.stdin.take().expect("piped").write_all(text.as_bytes()).expect("read");
    let verdict = judge.wait_with_output().expect("ended");
    assert!(verdict.status.success(), "{}", String::from_utf8_lossy(&verdict.stderr));
}

#[test]
fn a_vendors_status_shows_its_traffic() {
    let (_crm, gateway) = busy();
    until("all is counted", || gateway.in_flight() == 0);
    let status = gateway.admin("viewer", "GET", "/v1/vendors/acme", "").json();
    assert_eq!((status["vendor"].as_str(), status["state"].as_str()), (Some("acme"), Some("live")), "{status}");
    assert!(status["days_left"].as_i64().is_some_and(|days| days > 0), "{status}");
    let all = gateway.admin("viewer", "GET", "/v1/vendors", "").json();
    assert_eq!(all["vendors"].as_array().map(Vec::len), Some(1), "{all}");
}
