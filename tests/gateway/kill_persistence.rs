//! Kills hold for what they name: over reloads, restarts, an older state and offline orders.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::support::client;
use crate::support::fixture::GatewayFixture;
use crate::support::issuer::{reader, vendor};
use crate::support::process::Process;
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::Upstream;

const WHY: &str = r#"{"reason":"ticket 4711"}"#;

fn routes(lines: &[&str]) -> String {
    let line = |route: &&str| format!("  - {{ route: \"{route}\", scopes: [orders:read], upstream: crm }}\n");
    format!("limits: {{ requests: {{ rate: 100000/s }} }}\ningress:\n{}", lines.iter().map(line).collect::<String>())
}

fn kill(gateway: &TestGateway, order: &str) -> serde_json::Value {
    let answer = gateway.admin("operator", "POST", "/v1/vendors/acme/kill", order);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn reload(gateway: &TestGateway) -> serde_json::Value {
    let answer = gateway.admin("admin", "POST", "/v1/reload", "{}");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[test]
fn a_killed_route_stays_killed_however_the_contract_writes_it() {
    let before = ["GET /v1/orders/{id}", "GET /v1/other"];
    for (after, path, told) in [
        (&["GET /v1/orders/{key}", "GET /v1/other"][..], "/v1/orders/7", false),
        (&["GET|POST /v1/orders/{id}", "GET /v1/other"], "/v1/orders/7", true),
        (&["* /v1/orders/{id}", "GET /v1/other"], "/v1/orders/7", true),
        (&["GET /v1/{*rest}"], "/v1/orders/7", true),
        (&["GET /v1/orders/{id}", "GET /v1/orders/special", "GET /v1/other"], "/v1/orders/special", true),
    ] {
        let crm = Upstream::json("{}");
        let gateway = TestGateway::of_acme(crm.address, &routes(&before));
        kill(&gateway, r#"{"reason":"x","route":"GET /v1/orders/{any}"}"#);
        assert_eq!(gateway.get(path, &reader()).reason(), "vendor_killed", "{after:?}");
        gateway.fixture.write_contract("acme", &routes(after));
        let report = reload(&gateway);
        assert_eq!(gateway.get(path, &reader()).reason(), "vendor_killed", "{after:?}: {report}");
        assert_eq!(report["still_cut_off"].is_array(), told, "{after:?}: {report}");
        if after.contains(&"GET /v1/other") {
            assert_eq!(gateway.get("/v1/other", &reader()).status, 200, "{after:?}: nothing else");
        }
        assert_eq!(gateway.admin("admin", "POST", "/v1/vendors/acme/restore", WHY).status, 200);
        reload(&gateway);
        assert_eq!(gateway.get(path, &reader()).status, 200, "{after:?}: what is let back stays so");
    }
}

#[test]
fn a_kill_of_a_removed_route_is_kept_and_holds_when_the_route_comes_back() {
    let crm = Upstream::json("{}");
    let gateway = TestGateway::of_acme(crm.address, &routes(&["GET /v1/orders", "GET /v1/other"]));
    kill(&gateway, r#"{"reason":"x","route":"GET /v1/orders"}"#);
    gateway.fixture.write_contract("acme", &routes(&["GET /v1/other"]));
    reload(&gateway);
    let status = gateway.admin("viewer", "GET", "/v1/vendors/acme", "").json();
    assert_eq!(status["kills"][0]["unmatched"], true, "{status}");
    gateway.fixture.write_contract("acme", &routes(&["GET /v1/orders", "GET /v1/other"]));
    reload(&gateway);
    assert_eq!(gateway.get("/v1/orders", &reader()).reason(), "vendor_killed");
}

#[test]
fn a_killed_vendor_stays_killed_under_another_name_and_after_its_file_was_away() {
    let crm = Upstream::json("{}");
    let gateway = TestGateway::of_acme(crm.address, &routes(&["GET /v1/orders"]));
    let file = gateway.fixture.path().join("contracts/acme.yaml");
    let text = fs::read_to_string(&file).expect("a contract");
    kill(&gateway, WHY);
    fs::remove_file(&file).expect("removed");
    gateway.fixture.write_contract("other", &routes(&["GET /v1/orders"]));
    reload(&gateway);
    let status = gateway.admin("viewer", "GET", "/v1/vendors/acme", "");
    assert_eq!((status.status, status.json()["state"].as_str()), (200, Some("killed")), "{}", status.text());
    fs::write(&file, &text).expect("written");
    reload(&gateway);
    assert_eq!(gateway.get("/v1/orders", &reader()).reason(), "vendor_killed");
    assert_eq!(gateway.get("/v1/orders", &vendor("other").scope("orders:read").token()).status, 200);
    fs::remove_file(&file).expect("removed");
    fs::write(gateway.fixture.path().join("contracts/new.yaml"), text.replace("vendor: acme", "vendor: new"))
        .expect("written");
    let report = reload(&gateway);
    assert!(
        report["still_cut_off"][0].as_str().is_some_and(|said| said.contains("new: it proves itself as acme")),
        "{report}"
    );
    assert_eq!(gateway.get("/v1/orders", &reader()).reason(), "vendor_killed");
    assert_eq!(gateway.admin("admin", "POST", "/v1/vendors/new/restore", WHY).status, 200);
    reload(&gateway);
    assert_eq!(gateway.get("/v1/orders", &reader()).status, 200, "a person has decided");
}

#[test]
fn a_vendor_that_is_gone_is_killed_by_name_also_after_a_restart() {
    let crm = Upstream::json("{}");
    let fixture =
        GatewayFixture::of_acme(crm.address, &format!("restore: {{ approvals: 2 }}\n{}", routes(&["GET /v1/orders"])));
    fixture.write_contract("other", &routes(&["GET /v1/orders"]));
    let process = Process::start(&fixture);
    let text = fs::read_to_string(fixture.path().join("contracts/acme.yaml")).expect("a contract");
    fs::remove_file(fixture.path().join("contracts/acme.yaml")).expect("removed");
    drop(process);
    let process = Process::start(&fixture);
    let (code, said) = process.cli(&fixture, "operator", &["kill", "acme", "--reason", "x"]);
    assert!(code == Some(0) && said.starts_with("acme is cut off"), "{said}");
    let (code, said) = process.cli(&fixture, "admin", &["restore", "acme", "--reason", "x"]);
    assert!(code == Some(1) && said.contains("1 more must approve"), "its contract asked for two: {said}");
    fs::write(fixture.path().join("contracts/acme.yaml"), text).expect("written");
    assert_eq!(process.admin(&fixture, "admin", "POST", "/v1/reload", "{}").status, 200);
    assert_eq!(client::get(process.ingress, "/v1/orders", &reader()).reason(), "vendor_killed");
}

#[test]
fn an_order_that_names_something_unseen_says_so() {
    let crm = Upstream::json("{}");
    let fixture = GatewayFixture::of_acme(crm.address, &routes(&["GET /v1/orders"]));
    let process = Process::start(&fixture);
    for (order, code, words) in [
        (
            &["kill", "acme", "--client", "nobody"][..],
            1,
            "no client by that name has been seen; the order holds all the same",
        ),
        (&["kill", "acme", "--client", "nobody", "--unseen"], 0, "acme (nobody) is cut off in part"),
        (&["kill", "acme", "--client", "acme-client"], 0, "acme (acme-client) is cut off in part"),
        (
            &["kill", "acme", "--direction", "egress"],
            1,
            "it has no traffic in that direction; the order holds all the same",
        ),
        (
            &["kill", "acme", "--direction", "egress", "--client", "acme-client"],
            1,
            "it has no traffic in that direction",
        ),
        (&["kill", "--all", "--direction", "egress"], 1, "it has no traffic in that direction"),
        (&["kill", "acme", "--route", "GET /v1/nothing"], 1, "route_unknown"),
        (
            &["kill", "acme", "--route", "GET /v1/orders", "--direction", "egress", "--dry-run"],
            1,
            "traffic in that direction",
        ),
        (&["kill", "nobody"], 1, "vendor_unknown"),
        (&["kill", "nobody", "--unseen"], 0, "no vendor by that name has been seen; the order holds all the same"),
        (&["kill", "acme", "--client", "noone", "--dry-run"], 1, "no client by that name has been seen"),
        (
            &["kill", "acme", "--client", "noone", "--in", "1h"],
            1,
            "no client by that name has been seen; the order holds all the same",
        ),
    ] {
        let (found, said) = process.cli(&fixture, "operator", &[order, &["--reason", "x"]].concat());
        assert!(found == Some(code) && (said.contains(words) || words.contains('_')), "{order:?}: {found:?} {said}");
    }
    let json = process.admin(&fixture, "operator", "POST", "/v1/vendors/acme/kill", r#"{"reason":"x","client":"zed"}"#);
    assert_eq!(json.json()["unseen"], json!(["client"]), "{}", json.text());
}

fn offline(state: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_vendorgate"));
    command.args(arguments).args(["--offline", "--reason", "it hangs", "--by", "carol", "--state"]).arg(state);
    let output = command.env_remove("VENDORGATE_ADMIN").output().expect("it runs");
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn an_offline_order_is_carried_out_by_a_gateway_that_was_down_or_hung() {
    let crm = Upstream::json("{}");
    let fixture = GatewayFixture::of_acme(crm.address, &routes(&["GET /v1/orders", "GET /v1/other"]));
    let state = fixture.path().join("state");
    assert_eq!(offline(&state, &["kill", "acme"]).0, Some(1), "no state there yet");
    let mut process = Process::start(&fixture);
    let get = |process: &Process, path: &str| client::get(process.ingress, path, &reader());
    process.signal("STOP");
    let (code, said) = offline(&state, &["kill", "acme", "--route", "GET /v1/other"]);
    assert!(code == Some(0) && said.contains("acme (GET /v1/other) will be cut off"), "{said}");
    process.signal("CONT");
    until("it is followed", || get(&process, "/v1/other").status == 403);
    assert_eq!(get(&process, "/v1/orders").status, 200, "that part and no other");
    process.signal("KILL");
    process.ended();
    assert_eq!(offline(&state, &["kill", "acme"]).0, Some(0));
    let mut process = Process::start(&fixture);
    assert_eq!(get(&process, "/v1/orders").reason(), "vendor_killed", "from its first request on");
    let trail = process.admin(&fixture, "viewer", "GET", "/v1/audit?limit=1000", "").text();
    assert!(trail.contains("shell:carol") && trail.contains("it hangs"), "{trail}");
    until("the order is done with", || fs::read_dir(state.join("orders")).expect("a folder").count() == 0);
    assert_eq!(process.admin(&fixture, "admin", "POST", "/v1/vendors/acme/restore", WHY).status, 200);
    process.signal("KILL");
    process.ended();
    assert_eq!(offline(&state, &["kill", "acme"]).0, Some(0));
    let order = fs::read_dir(state.join("orders")).expect("a folder").next().expect("an order").expect("read").path();
    fs::write(&order, "{\"vend").expect("torn");
    fixture.write_contract("other", &routes(&["GET /v1/orders"]));
    let process = Process::start(&fixture);
    for token in [reader(), vendor("other").scope("orders:read").token()] {
        assert_eq!(
            client::get(process.ingress, "/v1/orders", &token).reason(),
            "vendor_killed",
            "it may be about anybody"
        );
    }
    assert_eq!(process.admin(&fixture, "admin", "POST", "/v1/restore", WHY).status, 200);
    assert_eq!(get(&process, "/v1/orders").status, 200);
}

#[test]
fn a_restored_backup_of_the_state_keeps_every_kill_of_the_audit_trail() {
    let crm = Upstream::json("{}");
    let fixture = GatewayFixture::of_acme(crm.address, &routes(&["GET /v1/orders", "GET /v1/other"]));
    let state = fixture.path().join("state/state.redb");
    let copy = fixture.path().join("older");
    let mut process = Process::start(&fixture);
    let get = |process: &Process, path: &str| client::get(process.ingress, path, &reader());
    process.signal("KILL");
    process.ended();
    fs::copy(&state, &copy).expect("copied");
    let mut process = Process::start(&fixture);
    let order = r#"{"reason":"leak","route":"GET /v1/orders"}"#;
    assert_eq!(process.admin(&fixture, "operator", "POST", "/v1/vendors/acme/kill", order).status, 200);
    assert_eq!(
        process
            .admin(&fixture, "operator", "POST", "/v1/vendors/acme/kill", r#"{"reason":"x","route":"GET /v1/other"}"#)
            .status,
        200
    );
    assert_eq!(
        process
            .admin(&fixture, "admin", "POST", "/v1/vendors/acme/restore", r#"{"reason":"x","route":"GET /v1/other"}"#)
            .status,
        200
    );
    process.signal("KILL");
    process.ended();
    fs::copy(&copy, &state).expect("put back");
    let mut process = Process::start(&fixture);
    assert_eq!(get(&process, "/v1/orders").reason(), "vendor_killed");
    assert_eq!(get(&process, "/v1/other").status, 200, "what was let back stays so");
    assert_eq!(process.admin(&fixture, "admin", "POST", "/v1/vendors/acme/restore", WHY).status, 200);
    process.signal("KILL");
    process.ended();
    let process = Process::start(&fixture);
    assert_eq!(get(&process, "/v1/orders").status, 200, "a restore holds over a restart");
}

#[test]
fn a_changed_config_cannot_lower_the_approvals_of_an_active_kill() {
    let crm = Upstream::json("{}");
    let two = format!("restore: {{ approvals: 2 }}\n{}", routes(&["GET /v1/orders"]));
    let gateway = TestGateway::of_acme(crm.address, &two);
    kill(&gateway, WHY);
    let restore = |who: &str| gateway.admin(who, "POST", "/v1/vendors/acme/restore", WHY);
    assert_eq!(restore("admin").json()["approvals"], json!({ "given": 1, "needed": 2 }));
    let operators = gateway.fixture.path().join("operators.yaml");
    let text = fs::read_to_string(&operators).expect("operators");
    fs::write(&operators, text.replace("name: privacy, role: privacy", "name: privacy, role: admin")).expect("written");
    gateway.fixture.write_contract("acme", &routes(&["GET /v1/orders"]));
    reload(&gateway);
    assert_eq!(restore("privacy").json()["reason"], "operator_new", "it became an admin while the kill stood");
    assert_eq!(
        restore("admin").json()["approvals"],
        json!({ "given": 1, "needed": 2 }),
        "the contract had asked for two"
    );
    assert_eq!(gateway.get("/v1/orders", &reader()).reason(), "vendor_killed");
    assert_eq!(restore("second").json()["state"], "live");
}

#[test]
fn one_operator_cannot_fill_the_schedule() {
    let crm = Upstream::json("{}");
    let gateway = TestGateway::of_acme(crm.address, &routes(&["GET /v1/orders"]));
    let order = r#"{"reason":"x","at":"9h"}"#;
    let mut statuses = (0..=100).map(|_| gateway.admin("operator", "POST", "/v1/vendors/acme/kill", order).status);
    assert!(statuses.by_ref().take(100).all(|status| status == 200));
    assert_eq!(statuses.next(), Some(409));
    assert_eq!(gateway.admin("admin", "POST", "/v1/vendors/acme/kill", order).status, 200, "there is room for others");
}
