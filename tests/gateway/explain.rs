//! `vendorgate explain` says what the gateway would do, by the line of the contract that decides, and sends nothing.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use vendorgate::internals::identity::{Algorithm, SigningKey};

use crate::support::fixture::GatewayFixture;
use crate::support::issuer::{reader, vendor};
use crate::support::test_gateway::TestGateway;
use crate::support::upstream::Upstream;
use crate::tls_tunnels::authority;
use crate::tunnels::clear_terms;

const TERMS: &str = "ingress:
  - route: GET /v1/orders/{id}
    scopes: [orders:read]
    upstream: crm
    response: { pii: [ { field: \"$.email\", as: redact } ] }
  - { route: POST /v1/orders, scopes: [orders:write], upstream: crm }
";

fn explain(fixture: &GatewayFixture, token: Option<&str>, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vendorgate"));
    command.args(["explain", "--vendor", "acme", "--config"]).arg(fixture.main());
    if let Some(token) = token {
        let file = fixture.path().join("token.jwt");
        std::fs::write(&file, format!("{token}\n")).expect("written");
        command.arg("--token").arg(file);
    }
    command.args(arguments).output().expect("it runs")
}

fn told(fixture: &GatewayFixture, token: Option<&str>, arguments: &[&str]) -> (Option<i32>, Value) {
    let output = explain(fixture, token, &[&["--json"], arguments].concat());
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {text}")))
}

fn step<'a>(object: &'a Value, rule: &str) -> &'a Value {
    let steps = object["steps"].as_array().expect("steps");
    steps.iter().find(|step| step["rule"] == rule).unwrap_or_else(|| panic!("no {rule}: {object:#}"))
}

/// The line of a contract that starts with these words.
fn line(fixture: &GatewayFixture, words: &str) -> String {
    let path = fixture.path().join("contracts/acme.yaml");
    let text = std::fs::read_to_string(&path).expect("a contract");
    let number = text.lines().position(|line| line.trim_start().starts_with(words)).expect(words);
    format!("{}:{}", path.display(), number + 1)
}

#[test]
fn explain_says_what_becomes_of_tls_and_that_a_pinned_client_cannot_be_intercepted() {
    let crm = Upstream::json("{}");
    let said = "a client that pins the vendor's certificate cannot be intercepted";
    for (mode, words) in [("intercept", said), ("refuse", "tls in a tunnel is refused")] {
        let terms = clear_terms(crm.address).replace(&format!(", \"{}\"", crm.address), "");
        let terms = terms.replace("egress:\n", &format!("egress:\n  tunnel: {mode}\n"));
        let fixture = authority(GatewayFixture::of_acme(crm.address, &terms), "api.acme.example");
        let (_, object) = told(&fixture, None, &["--direction", "egress", "GET", "/v2/plain"]);
        let says = step(&object, "egress.tunnel")["says"].as_str().expect("words").to_lowercase();
        assert!(says.contains(words), "{says}");
    }
}

#[test]
fn every_rule_is_printed_with_its_line_and_nothing_is_sent() {
    let crm = Upstream::json("{}");
    let fixture = GatewayFixture::of_acme(crm.address, TERMS);
    let (code, object) = told(&fixture, Some(&reader()), &["GET", "/v1/orders/7?x=1"]);
    assert_eq!((code, &object["answer"]), (Some(0), &"allowed".into()), "{object:#}");
    assert_eq!(step(&object, "identity.rotation.max_age")["at"], line(&fixture, "rotation:"));
    assert_eq!(step(&object, "identity.jwks")["at"], line(&fixture, "jwks:"));
    assert_eq!(step(&object, "ingress[0]")["says"], "GET /v1/orders/{id}");
    assert_eq!(step(&object, "ingress[0].scopes")["outcome"], "yes");
    assert_eq!(step(&object, "ends")["at"], line(&fixture, "ends:"));
    assert!(step(&object, "ingress[0].response")["says"].as_str().expect("words").contains("redact $.email"));
    let text = String::from_utf8(explain(&fixture, Some(&reader()), &["GET", "/v1/orders/7"]).stdout).expect("text");
    assert!(text.contains("acme: allowed") && text.contains("contracts/acme.yaml:"), "{text}");
    assert_eq!(crm.seen().len(), 0);
    assert!(!Path::new(&fixture.path().join("state")).exists(), "and nothing is left behind");
}

#[test]
fn explain_gives_the_same_reason_as_the_gateway() {
    let crm = Upstream::json("{}");
    let fixture = GatewayFixture::of_acme(crm.address, TERMS);
    let stranger = SigningKey::generate(Algorithm::ES256, "es").expect("a key");
    let forged = stranger.sign(&vendor("acme").scope("orders:read").claims()).expect("signed");
    let cases = [
        (reader(), "POST", "/v1/orders", "scope_missing"),
        (reader(), "GET", "/v1/other", "route_unknown"),
        (reader(), "GET", "/v1/orders/%00", "request_malformed"),
        (vendor("acme").scope("orders:read").issued(0, 7200).token(), "GET", "/v1/orders/1", "token_lifetime"),
        (vendor("acme").scope("orders:read").issued(900, 600).token(), "GET", "/v1/orders/1", "token_expired"),
        (vendor("other").token(), "GET", "/v1/orders/1", "vendor_unknown"),
        (forged, "GET", "/v1/orders/1", "token_invalid"),
        ("x.y".to_owned(), "GET", "/v1/orders/1", "token_malformed"),
    ];
    let explained: Vec<_> =
        cases.iter().map(|(token, method, path, _)| told(&fixture, Some(token), &[method, path])).collect();
    let gateway = TestGateway::start(fixture);
    for ((token, method, path, reason), (code, object)) in cases.iter().zip(explained) {
        assert_eq!((code, &object["reason"]), (Some(1), &Value::from(*reason)), "{path} {object:#}");
        let request = crate::support::client::request(method, path, token, "");
        let refused = crate::support::client::Client::to(gateway.ingress()).send(request).answer();
        assert_eq!(refused.reason(), *reason, "{path}");
    }
    let (code, object) = told(&gateway.fixture, None, &["GET", "/v1/orders/1"]);
    assert_eq!((code, &object["reason"]), (Some(1), &Value::from("token_missing")));
    assert!(object["unread"].is_string(), "a running gateway holds the state: {object:#}");
}

#[test]
fn unusable_arguments_exit_with_2() {
    let fixture = GatewayFixture::of_acme("127.0.0.1:9".parse().expect("an address"), TERMS);
    assert_eq!(explain(&fixture, None, &["G T", "/"]).status.code(), Some(2));
    assert_eq!(explain(&fixture, None, &["GET", "http://[/"]).status.code(), Some(2));
    let missing = explain(&fixture, None, &["--token", "/nowhere", "GET", "/"]);
    assert_eq!(missing.status.code(), Some(2), "{}", String::from_utf8_lossy(&missing.stderr));
}

#[test]
fn keys_that_only_the_issuer_has_leave_the_result_open() {
    let terms = format!(
        "identity:\n  issuer: https://id.example.com\n  audience: https://api.example.com\n  clients: [acme-client]\n  jwks: {{ url: \"http://127.0.0.1:1/jwks\" }}\n{TERMS}"
    );
    let fixture = GatewayFixture::of_acme("127.0.0.1:9".parse().expect("an address"), &terms);
    let (code, object) = told(&fixture, Some(&reader()), &["GET", "/v1/orders/7"]);
    assert_eq!((code, &object["answer"]), (Some(1), &Value::from("open")), "{object:#}");
    assert_eq!(step(&object, "identity.jwks")["outcome"], "open");
    assert_eq!(step(&object, "identity.rotation.max_lifetime")["outcome"], "yes");
}
