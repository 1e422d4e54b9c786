//! `watch: true`: a changed config is put in force by itself, whole or not at all, and a fault is told everywhere.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::support::client;
use crate::support::fixture::GatewayFixture;
use crate::support::issuer::reader;
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::Upstream;

fn terms(path: &str) -> String {
    format!("ingress:\n  - {{ route: GET {path}, scopes: [orders:read], upstream: crm }}\n")
}

/// What the probe says of the config.
fn config(gateway: &TestGateway) -> String {
    let said = gateway.admin("viewer", "GET", "/readyz?verbose", "").text();
    said.lines().find(|line| line.contains("] config")).expect("the config").to_owned()
}

/// The token of an operator who is not in the fixture.
fn newcomer() -> (String, String) {
    let (token, hash) = vendorgate::internals::admin::mint().expect("a token");
    (token.expose().clone(), hash)
}

#[test]
fn contracts_and_operators_are_in_force_soon_after_they_change() {
    let crm = Upstream::json("{}");
    let fixture = GatewayFixture::new(crm.address).with("watch: true\n").contract("acme", &terms("/v1/orders"));
    let gateway = TestGateway::start(fixture);
    let token = reader();
    assert_eq!(gateway.get("/v1/new", &token).status, 403);
    gateway.fixture.write_contract("acme", &terms("/v1/new"));
    until("the new route is in force", || gateway.get("/v1/new", &token).status == 200);
    assert_eq!(gateway.get("/v1/orders", &token).status, 403, "whole: the old route is gone");
    gateway.fixture.write_contract("other", &terms("/v1/other"));
    until("a contract in a new file is there", || {
        gateway.admin("viewer", "GET", "/v1/vendors/other", "").status == 200
    });
    let (token, hash) = newcomer();
    let operators = gateway.fixture.path().join("operators.yaml");
    let text = fs::read_to_string(&operators).expect("text");
    fs::write(&operators, format!("{text}  - {{ name: newcomer, role: viewer, token_sha256: {hash} }}\n"))
        .expect("written");
    until("the new operator may ask", || {
        client::admin(gateway.addresses.admin.expect("an address"), &token, "GET", "/v1/vendors", "").status == 200
    });
    let audit = gateway.admin("viewer", "GET", "/v1/audit?limit=50", "").text();
    assert!(audit.contains(r#""actor":"watch""#), "{audit}");
}

#[test]
fn a_fault_changes_nothing_and_is_told_until_it_is_mended() {
    let crm = Upstream::json("{}");
    let fixture = GatewayFixture::new(crm.address).with("watch: true\n").contract("acme", &terms("/v1/orders"));
    let gateway = TestGateway::start(fixture);
    let token = reader();
    assert_eq!(config(&gateway), "[+] config");
    gateway.fixture.write_contract("acme", &terms("no path"));
    until("the fault is told", || config(&gateway).starts_with("[-]"));
    assert_eq!(gateway.get("/v1/orders", &token).status, 200, "what was in force stays");
    assert_eq!(gateway.admin("viewer", "GET", "/readyz", "").status, 200, "and the gateway is ready");
    let probe = config(&gateway);
    assert!(probe.contains("stays in force") && !probe.contains("no path"), "it quotes no file: {probe}");
    let status = gateway.admin("viewer", "GET", "/v1/vendors", "").json();
    assert!(status["config_fault"].as_str().is_some_and(|fault| fault.contains("acme.yaml")), "{status}");
    assert_eq!(gateway.metric("vendorgate_config_stale", &[]), Some(1));
    assert_eq!(gateway.metric("vendorgate_config_reload_total", &[r#"result="failure""#]), Some(1), "tried once");
    gateway.fixture.write_contract("acme", &terms("/v1/new"));
    until("the mended contract is in force", || gateway.get("/v1/new", &token).status == 200);
    until("the fault is over", || config(&gateway) == "[+] config");
    assert!(gateway.admin("viewer", "GET", "/v1/vendors", "").json()["config_fault"].is_null());
    assert_eq!(gateway.metric("vendorgate_config_stale", &[]), Some(0));
}

/// As a kubelet changes a mounted ConfigMap: a new folder, and one rename of the link to it.
#[test]
fn the_swap_of_a_link_is_a_change() {
    let crm = Upstream::json("{}");
    let fixture = GatewayFixture::new(crm.address).with("watch: true\n").contract("acme", &terms("/v1/orders"));
    let contracts = fixture.path().join("contracts");
    let first = contracts.join("..first");
    fs::create_dir(&first).expect("a folder");
    fs::rename(contracts.join("acme.yaml"), first.join("acme.yaml")).expect("moved");
    symlink("..first", contracts.join("..data")).expect("a link");
    symlink("..data/acme.yaml", contracts.join("acme.yaml")).expect("a link");
    let text = fs::read_to_string(first.join("acme.yaml")).expect("text");
    let gateway = TestGateway::start(fixture);
    let token = reader();
    assert_eq!(gateway.get("/v1/orders", &token).status, 200);
    swap(&contracts, "..second", &text.replace("/v1/orders", "/v1/new"));
    until("the new version is in force", || gateway.get("/v1/new", &token).status == 200);
}

fn swap(contracts: &Path, version: &str, text: &str) {
    fs::create_dir(contracts.join(version)).expect("a folder");
    fs::write(contracts.join(version).join("acme.yaml"), text).expect("written");
    symlink(version, contracts.join("..next")).expect("a link");
    fs::rename(contracts.join("..next"), contracts.join("..data")).expect("moved");
}

#[test]
fn without_the_key_a_change_waits_for_a_person() {
    let crm = Upstream::json("{}");
    let gateway = TestGateway::of_acme(crm.address, &terms("/v1/orders"));
    gateway.fixture.write_contract("acme", &terms("/v1/new"));
    // Longer than a change needs where it is watched for; a slow machine can only make this test weaker.
    std::thread::sleep(std::time::Duration::from_secs(7));
    assert_eq!(gateway.get("/v1/new", &reader()).status, 403);
    assert_eq!(gateway.admin("admin", "POST", "/v1/reload", "{}").status, 200);
    assert_eq!(gateway.get("/v1/new", &reader()).status, 200);
}
