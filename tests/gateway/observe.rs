//! `mode: observe`: what a contract would do is reported, what it must never give up still holds.

use serde_json::Value;
use vendorgate::internals::model::{Clock, UnixTime};

use crate::support::client::{Client, request};
use crate::support::fixture::GatewayFixture;
use crate::support::issuer::{reader, vendor};
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::{Upstream, ok};

const PEOPLE: &str = r#"{"people":[{"id":1,"email":"ann@example.com","card":"4111111111111111"},{"id":2,"email":"bob@example.com","card":"x"}]}"#;

/// The day this many days from now.
fn day(offset: i64) -> String {
    let now = Clock::system().now().wall.as_millis();
    UnixTime::from_millis(now.saturating_add_signed(offset * 86_400_000)).to_string()[..10].to_owned()
}

fn observing(rest: &str) -> String {
    format!("mode: observe\nobserve_until: {}\n{rest}", day(5))
}

const INGRESS: &str = r#"trip: { denials: 1, window: 1m }
ingress:
  - route: GET /v1/people
    scopes: [orders:read]
    upstream: crm
    records: "$.people[*]"
    limits: { records: { budget: 3, window: 1h, over: kill } }
    response:
      only: ["$.people[*].email"]
      pii: [ { field: "$.people[*].email", as: tokenize } ]
  - { route: GET /v1/write, scopes: [orders:write], upstream: crm }
"#;

fn would_deny(gateway: &TestGateway, direction: &str, reason: &str) -> f64 {
    gateway
        .series(&format!(r#"vendorgate_would_deny_total{{vendor="acme",direction="{direction}",reason="{reason}"}}"#))
}

/// The line of the exchange log with this route and reason.
fn line(gateway: &TestGateway, route: &str, reason: &str) -> Value {
    let mut found = None;
    until("the line is in the log", || {
        let log = gateway.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        found = { lines }.find(|line| line["route"] == route && line["would_deny"][0] == reason);
        found.is_some()
    });
    found.expect("a line")
}

#[test]
fn what_ingress_would_refuse_treat_or_cut_passes_and_is_reported() {
    let crm = Upstream::json(PEOPLE);
    let gateway = TestGateway::of_acme(crm.address, &observing(INGRESS));
    let answer = gateway.get("/v1/people", &reader());
    assert_eq!((answer.status, answer.text().as_str()), (200, PEOPLE), "the raw body, byte for byte");
    assert_eq!(gateway.get("/v1/people", &reader()).text(), PEOPLE, "also the fourth record of a budget of three");
    until("the overrun is reported", || would_deny(&gateway, "ingress", "records_exceeded") == 1.0);
    assert_eq!(gateway.get("/v1/write", &reader()).status, 200, "a scope that the token lacks");
    until("the scope is reported", || would_deny(&gateway, "ingress", "scope_missing") == 1.0);
    assert_eq!(line(&gateway, "GET /v1/write", "scope_missing")["status"], 200);
    assert_eq!(gateway.get("/admin/everything?x=1", &reader()).status, 200, "no route covers it");
    until("the route is reported", || would_deny(&gateway, "ingress", "route_unknown") == 1.0);
    assert_eq!(crm.last().line(), "GET /admin/everything?x=1 HTTP/1.1");
    assert_eq!(line(&gateway, "_unmatched", "route_unknown")["reason"], Value::Null);
    let status = gateway.admin("viewer", "GET", "/v1/vendors/acme", "").json();
    assert_eq!(status["state"], "live", "neither trip nor over: kill has killed it");
    assert!(status["observes_until"].is_string(), "{status}");
    assert_eq!(status["traffic"][0]["would_deny"]["scope_missing"], 1, "{status}");
    assert_eq!(gateway.series(r#"vendorgate_observes{vendor="acme"}"#), 1.0);
    let ready = gateway.admin("viewer", "GET", "/readyz?verbose", "").text();
    assert!(ready.contains("observe/acme"), "{ready}");
    let treated = r#"vendorgate_pii_values_total{vendor="acme",direction="ingress",route="GET /v1/people","#;
    assert_eq!(gateway.series(&format!(r#"{treated}treatment="report"}}"#)), 4.0);
    assert_eq!(gateway.series(&format!(r#"{treated}treatment="tokenize"}}"#)), 0.0, "nothing was tokenized");
}

#[test]
fn the_exposure_of_a_contract_that_observes_says_that_values_left_raw() {
    let crm = Upstream::json(PEOPLE);
    let gateway = TestGateway::of_acme(crm.address, &observing(INGRESS));
    assert_eq!(gateway.get("/v1/people", &reader()).text(), PEOPLE);
    let mut report = Value::Null;
    until("the exposure has it", || {
        report = gateway.admin("viewer", "GET", "/v1/exposure?vendor=acme", "").json();
        report["routes"][0]["treated"][0]["values"] == 2
    });
    let line = &report["routes"][0]["treated"][0];
    assert_eq!((line["field"].as_str(), line["treatment"].as_str()), (Some("$.people[*].email"), Some("report")));
    assert_eq!(report["routes"][0]["records"], 2);
}

#[test]
fn each_reason_is_in_the_audit_trail_without_the_denial_of_anything() {
    let crm = Upstream::json(PEOPLE);
    let gateway = TestGateway::of_acme(crm.address, &observing(INGRESS));
    assert_eq!(gateway.get("/v1/write", &reader()).status, 200);
    let mut entries = Vec::new();
    until("it is in the trail", || {
        let trail = gateway.admin("viewer", "GET", "/v1/audit", "").json();
        entries = trail["entries"].as_array().cloned().unwrap_or_default();
        entries.iter().any(|entry| entry["act"] == "would_deny")
    });
    let entry = entries.iter().find(|entry| entry["act"] == "would_deny").expect("an entry");
    assert_eq!((entry["subject"].as_str(), entry["reason"].as_str()), (Some("acme"), Some("scope_missing")));
    assert!(!entries.iter().any(|entry| entry["act"] == "denied"), "{entries:?}");
}

#[test]
fn identity_dates_kills_and_hygiene_still_hold() {
    let crm = Upstream::json("{}");
    let gateway = TestGateway::of_acme(crm.address, &observing(INGRESS));
    assert_eq!(gateway.get("/v1/people", &format!("{}x", reader())).status, 401, "a forged token");
    assert_eq!(gateway.get("/v1/people", &vendor("stranger").token()).status, 403, "nobody's client");
    assert_eq!(gateway.get("/v1/%2fpeople", &reader()).reason(), "request_malformed");
    assert_eq!(gateway.get("/admin", &format!("{}x", reader())).status, 401, "also where no route covers it");
    let why = r#"{"reason":"ticket 4711"}"#;
    assert_eq!(gateway.admin("operator", "POST", "/v1/vendors/acme/kill", why).status, 200);
    assert_eq!(gateway.get("/v1/people", &reader()).reason(), "vendor_killed");
    assert_eq!(gateway.get("/admin", &reader()).reason(), "vendor_killed");
    let seen = crm.seen().len();
    gateway.fixture.write_contract("acme", &observing(&format!("ends: 2021-01-01\n{INGRESS}")));
    assert_eq!(gateway.admin("admin", "POST", "/v1/vendors/acme/restore", why).status, 200);
    assert_eq!(gateway.admin("admin", "POST", "/v1/reload", "{}").status, 200);
    assert_eq!(gateway.get("/v1/people", &reader()).reason(), "contract_ended");
    assert_eq!(gateway.get("/admin", &reader()).reason(), "contract_ended");
    assert_eq!(crm.seen().len(), seen);
}

fn egress(vendor: &Upstream) -> String {
    format!(
        r#"egress:
  upstream: {{ url: "http://{}/base", allow_networks: ["127.0.0.0/8"] }}
  routes:
    - route: POST /v2/events
      records: "$.events[*]"
      request:
        pii:
          - {{ field: "$..email", as: tokenize }}
          - {{ query: email, as: hash }}
          - {{ header: x-customer, as: redact }}
"#,
        vendor.address
    )
}

#[test]
fn egress_passes_heads_and_bodies_as_they_are_and_reports_undeclared_calls() {
    let vendor = Upstream::saying(ok("application/json", "{}"));
    let gateway = TestGateway::of_acme(vendor.address, &observing(&egress(&vendor)));
    let body = r#"{"events":[{"email":"ann@example.com"}]}"#;
    let text = request("POST", "/acme/v2/events?email=ann%40example.com", "", body)
        .replace("\r\n\r\n", "\r\nX-Customer: ann@example.com\r\n\r\n");
    assert_eq!(Client::to(gateway.egress()).send(text).answer().status, 200);
    let seen = vendor.last();
    assert_eq!(seen.line(), "POST /base/v2/events?email=ann%40example.com HTTP/1.1");
    assert_eq!((seen.field("x-customer"), &*seen.body), (Some("ann@example.com"), body.as_bytes()));
    let values =
        r#"vendorgate_pii_values_total{vendor="acme",direction="egress",route="POST /v2/events",treatment="report"}"#;
    until("all three are counted", || gateway.series(values) == 3.0);
    let call = |method: &str, path: &str, body: &str| {
        Client::to(gateway.egress()).send(request(method, path, "", body)).answer()
    };
    assert_eq!(call("DELETE", "/acme/v2/undeclared", "").status, 200);
    until("the destination is reported", || would_deny(&gateway, "egress", "destination_unknown") == 1.0);
    assert_eq!(vendor.last().line(), "DELETE /base/v2/undeclared HTTP/1.1");
    assert_eq!(call("POST", "/acme/v2/events", r#"{"events":"#).status, 200, "a body that the rules cannot read");
    until("the body is reported", || would_deny(&gateway, "egress", "body_malformed") == 1.0);
    assert_eq!(&*vendor.last().body, br#"{"events":"#);
    assert_eq!(call("GET", "/nobody/v2/events", "").reason(), "destination_unknown", "no contract at all");
}

#[test]
fn undeclared_calls_are_refused_where_it_is_open_which_upstream_they_mean() {
    let crm = Upstream::json("{}");
    let other = Upstream::json("[]");
    let two = INGRESS.replace("upstream: crm }", "upstream: other }");
    let fixture = GatewayFixture::new(crm.address).upstream("other", other.address);
    let gateway = TestGateway::start(fixture.contract("acme", &observing(&two)));
    assert_eq!(gateway.get("/admin", &reader()).reason(), "route_unknown");
    gateway.fixture.write_contract("acme", &observing(&format!("observe_upstream: other\n{two}")));
    assert_eq!(gateway.admin("admin", "POST", "/v1/reload", "{}").status, 200);
    assert_eq!(gateway.get("/admin", &reader()).text(), "[]");
}

#[test]
fn a_contract_whose_observation_is_over_is_enforced() {
    let crm = Upstream::json(PEOPLE);
    let over = format!("mode: observe\nobserve_until: {}\n{INGRESS}", day(-1));
    let gateway = TestGateway::of_acme(crm.address, &over.replace("over: kill", "over: refuse"));
    assert_eq!(gateway.get("/v1/write", &reader()).reason(), "scope_missing");
    assert_eq!(gateway.series(r#"vendorgate_observes{vendor="acme"}"#), 0.0);
}

#[test]
fn a_reload_from_observe_to_enforce_and_back_changes_what_passes() {
    let crm = Upstream::json(PEOPLE);
    let rules = INGRESS.replace("trip: { denials: 1, window: 1m }\n", "").replace("budget: 3,", "budget: 300,");
    let gateway = TestGateway::of_acme(crm.address, &observing(&rules));
    assert_eq!(gateway.get("/v1/people", &reader()).text(), PEOPLE);
    gateway.fixture.write_contract("acme", &rules);
    assert_eq!(gateway.admin("admin", "POST", "/v1/reload", "{}").status, 200);
    let treated = gateway.get("/v1/people", &reader()).text();
    assert!(!treated.contains('@') && !treated.contains("4111"), "{treated}");
    assert_eq!(gateway.get("/admin", &reader()).reason(), "route_unknown");
    gateway.fixture.write_contract("acme", &observing(&rules));
    assert_eq!(gateway.admin("admin", "POST", "/v1/reload", "{}").status, 200);
    assert_eq!(gateway.get("/v1/people", &reader()).text(), PEOPLE);
}

#[test]
fn check_warns_of_raw_data_and_asks_for_an_end_within_a_bound() {
    let fault = |keys: &str| {
        let fixture =
            GatewayFixture::of_acme("127.0.0.1:1".parse().expect("an address"), &format!("{keys}\n{INGRESS}"));
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_vendorgate"));
        let out = command.args(["check", "--config"]).arg(fixture.main()).output().expect("the program starts");
        (out.status.code(), String::from_utf8_lossy(&out.stdout).into_owned())
    };
    for (keys, words) in [
        ("mode: observe", "observe_until: is missing"),
        ("mode: observe\nobserve_until: 2099-01-01", "must be at most 90 days ahead"),
        ("observe_until: 2026-01-01", "belongs to mode: observe"),
        ("observe_upstream: crm", "belongs to mode: observe"),
        (&format!("mode: observe\nobserve_upstream: nobody\nobserve_until: {}", day(3)), "no such upstream"),
    ] {
        let (code, said) = fault(keys);
        assert!(code == Some(2) || code == Some(1), "{keys}: {said}");
        assert!(said.contains(words), "{keys}: {said}");
    }
    let (code, said) = fault(&format!("mode: observe\nobserve_until: {}", day(3)));
    assert!(said.contains("RAW DATA PASSES"), "{said}");
    assert_eq!(code, Some(0), "{said}");
}
