//! What orders bind to: to what is matched, over reloads, restarts, older state and whatever a shell leaves.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::support::client;
use crate::support::gate::Gate;
use crate::support::house::House;
use crate::support::issuer::{reader, vendor};
use crate::support::process::Process;
use crate::support::until;
use crate::support::upstream::Upstream;

const WHY: &str = r#"{"reason":"ticket 4711"}"#;

fn routes(lines: &[&str]) -> String {
    let line = |route: &&str| format!("  - {{ route: \"{route}\", scopes: [orders:read], upstream: crm }}\n");
    format!("limits: {{ requests: {{ rate: 100000/s }} }}\ningress:\n{}", lines.iter().map(line).collect::<String>())
}

fn kill(gate: &Gate, order: &str) -> serde_json::Value {
    let answer = gate.admin("operator", "POST", "/v1/vendors/acme/kill", order);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn reload(gate: &Gate) -> serde_json::Value {
    let answer = gate.admin("admin", "POST", "/v1/reload", "{}");
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
        let gate = Gate::of_acme(crm.address, &routes(&before));
        kill(&gate, r#"{"reason":"x","route":"GET /v1/orders/{any}"}"#);
        assert_eq!(gate.get(path, &reader()).reason(), "vendor_killed", "{after:?}");
        gate.house.write_contract("acme", &routes(after));
        let report = reload(&gate);
        assert_eq!(gate.get(path, &reader()).reason(), "vendor_killed", "{after:?}: {report}");
        assert_eq!(report["still_cut_off"].is_array(), told, "{after:?}: {report}");
        if after.contains(&"GET /v1/other") {
            assert_eq!(gate.get("/v1/other", &reader()).status, 200, "{after:?}: nothing else");
        }
        assert_eq!(gate.admin("admin", "POST", "/v1/vendors/acme/restore", WHY).status, 200);
        reload(&gate);
        assert_eq!(gate.get(path, &reader()).status, 200, "{after:?}: what is let back stays so");
    }
}

#[test]
fn a_killed_route_without_a_line_keeps_its_order_and_comes_back_killed() {
    let crm = Upstream::json("{}");
    let gate = Gate::of_acme(crm.address, &routes(&["GET /v1/orders", "GET /v1/other"]));
    kill(&gate, r#"{"reason":"x","route":"GET /v1/orders"}"#);
    gate.house.write_contract("acme", &routes(&["GET /v1/other"]));
    reload(&gate);
    let status = gate.admin("viewer", "GET", "/v1/vendors/acme", "").json();
    assert_eq!(status["kills"][0]["unmatched"], true, "{status}");
    gate.house.write_contract("acme", &routes(&["GET /v1/orders", "GET /v1/other"]));
    reload(&gate);
    assert_eq!(gate.get("/v1/orders", &reader()).reason(), "vendor_killed");
}

#[test]
fn a_killed_vendor_stays_killed_under_another_name_and_after_its_file_was_away() {
    let crm = Upstream::json("{}");
    let gate = Gate::of_acme(crm.address, &routes(&["GET /v1/orders"]));
    let file = gate.house.path().join("contracts/acme.yaml");
    let text = fs::read_to_string(&file).expect("a contract");
    kill(&gate, WHY);
    fs::remove_file(&file).expect("removed");
    gate.house.write_contract("other", &routes(&["GET /v1/orders"]));
    reload(&gate);
    let status = gate.admin("viewer", "GET", "/v1/vendors/acme", "");
    assert_eq!((status.status, status.json()["state"].as_str()), (200, Some("killed")), "{}", status.text());
    fs::write(&file, &text).expect("written");
    reload(&gate);
    assert_eq!(gate.get("/v1/orders", &reader()).reason(), "vendor_killed");
    assert_eq!(gate.get("/v1/orders", &vendor("other").scope("orders:read").token()).status, 200);
    fs::remove_file(&file).expect("removed");
    fs::write(gate.house.path().join("contracts/new.yaml"), text.replace("vendor: acme", "vendor: new"))
        .expect("written");
    let report = reload(&gate);
    assert!(
        report["still_cut_off"][0].as_str().is_some_and(|said| said.contains("new: it proves itself as acme")),
        "{report}"
    );
    assert_eq!(gate.get("/v1/orders", &reader()).reason(), "vendor_killed");
    assert_eq!(gate.admin("admin", "POST", "/v1/vendors/new/restore", WHY).status, 200);
    reload(&gate);
    assert_eq!(gate.get("/v1/orders", &reader()).status, 200, "a person has decided");
}

#[test]
fn a_vendor_that_is_gone_is_killed_by_name_also_after_a_restart() {
    let crm = Upstream::json("{}");
    let house = House::of_acme(crm.address, &format!("restore: {{ approvals: 2 }}\n{}", routes(&["GET /v1/orders"])));
    house.write_contract("other", &routes(&["GET /v1/orders"]));
    let process = Process::start(&house);
    let text = fs::read_to_string(house.path().join("contracts/acme.yaml")).expect("a contract");
    fs::remove_file(house.path().join("contracts/acme.yaml")).expect("removed");
    drop(process);
    let process = Process::start(&house);
    let (code, said) = process.cli(&house, "operator", &["kill", "acme", "--reason", "x"]);
    assert!(code == Some(0) && said.starts_with("acme is cut off"), "{said}");
    let (code, said) = process.cli(&house, "admin", &["restore", "acme", "--reason", "x"]);
    assert!(code == Some(1) && said.contains("1 more must approve"), "its contract asked for two: {said}");
    fs::write(house.path().join("contracts/acme.yaml"), text).expect("written");
    assert_eq!(process.admin(&house, "admin", "POST", "/v1/reload", "{}").status, 200);
    assert_eq!(client::get(process.ingress, "/v1/orders", &reader()).reason(), "vendor_killed");
}

#[test]
fn an_order_about_nobody_says_so() {
    let crm = Upstream::json("{}");
    let house = House::of_acme(crm.address, &routes(&["GET /v1/orders"]));
    let process = Process::start(&house);
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
        let (found, said) = process.cli(&house, "operator", &[order, &["--reason", "x"]].concat());
        assert!(found == Some(code) && (said.contains(words) || words.contains('_')), "{order:?}: {found:?} {said}");
    }
    let json = process.admin(&house, "operator", "POST", "/v1/vendors/acme/kill", r#"{"reason":"x","client":"zed"}"#);
    assert_eq!(json.json()["unseen"], json!(["client"]), "{}", json.text());
}

fn offline(state: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_vendorgate"));
    command.args(arguments).args(["--offline", "--reason", "it hangs", "--by", "carol", "--state"]).arg(state);
    let output = command.env_remove("VENDORGATE_ADMIN").output().expect("it runs");
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn an_order_for_a_gateway_that_is_down_or_hangs_is_followed_by_it() {
    let crm = Upstream::json("{}");
    let house = House::of_acme(crm.address, &routes(&["GET /v1/orders", "GET /v1/other"]));
    let state = house.path().join("state");
    assert_eq!(offline(&state, &["kill", "acme"]).0, Some(1), "no state there yet");
    let mut process = Process::start(&house);
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
    let mut process = Process::start(&house);
    assert_eq!(get(&process, "/v1/orders").reason(), "vendor_killed", "from its first request on");
    let trail = process.admin(&house, "viewer", "GET", "/v1/audit?limit=1000", "").text();
    assert!(trail.contains("shell:carol") && trail.contains("it hangs"), "{trail}");
    until("the order is done with", || fs::read_dir(state.join("orders")).expect("a folder").count() == 0);
    assert_eq!(process.admin(&house, "admin", "POST", "/v1/vendors/acme/restore", WHY).status, 200);
    process.signal("KILL");
    process.ended();
    assert_eq!(offline(&state, &["kill", "acme"]).0, Some(0));
    let order = fs::read_dir(state.join("orders")).expect("a folder").next().expect("an order").expect("read").path();
    fs::write(&order, "{\"vend").expect("torn");
    house.write_contract("other", &routes(&["GET /v1/orders"]));
    let process = Process::start(&house);
    for token in [reader(), vendor("other").scope("orders:read").token()] {
        assert_eq!(
            client::get(process.ingress, "/v1/orders", &token).reason(),
            "vendor_killed",
            "it may be about anybody"
        );
    }
    assert_eq!(process.admin(&house, "admin", "POST", "/v1/restore", WHY).status, 200);
    assert_eq!(get(&process, "/v1/orders").status, 200);
}

#[test]
fn an_older_state_forgets_no_kill_that_the_audit_trail_knows() {
    let crm = Upstream::json("{}");
    let house = House::of_acme(crm.address, &routes(&["GET /v1/orders", "GET /v1/other"]));
    let state = house.path().join("state/state.redb");
    let copy = house.path().join("older");
    let mut process = Process::start(&house);
    let get = |process: &Process, path: &str| client::get(process.ingress, path, &reader());
    process.signal("KILL");
    process.ended();
    fs::copy(&state, &copy).expect("copied");
    let mut process = Process::start(&house);
    let order = r#"{"reason":"leak","route":"GET /v1/orders"}"#;
    assert_eq!(process.admin(&house, "operator", "POST", "/v1/vendors/acme/kill", order).status, 200);
    assert_eq!(
        process
            .admin(&house, "operator", "POST", "/v1/vendors/acme/kill", r#"{"reason":"x","route":"GET /v1/other"}"#)
            .status,
        200
    );
    assert_eq!(
        process
            .admin(&house, "admin", "POST", "/v1/vendors/acme/restore", r#"{"reason":"x","route":"GET /v1/other"}"#)
            .status,
        200
    );
    process.signal("KILL");
    process.ended();
    fs::copy(&copy, &state).expect("put back");
    let mut process = Process::start(&house);
    assert_eq!(get(&process, "/v1/orders").reason(), "vendor_killed");
    assert_eq!(get(&process, "/v1/other").status, 200, "what was let back stays so");
    assert_eq!(process.admin(&house, "admin", "POST", "/v1/vendors/acme/restore", WHY).status, 200);
    process.signal("KILL");
    process.ended();
    let process = Process::start(&house);
    assert_eq!(get(&process, "/v1/orders").status, 200, "a restore holds over a restart");
}

#[test]
fn who_writes_the_config_while_a_kill_stands_is_no_second_person() {
    let crm = Upstream::json("{}");
    let two = format!("restore: {{ approvals: 2 }}\n{}", routes(&["GET /v1/orders"]));
    let gate = Gate::of_acme(crm.address, &two);
    kill(&gate, WHY);
    let restore = |who: &str| gate.admin(who, "POST", "/v1/vendors/acme/restore", WHY);
    assert_eq!(restore("admin").json()["approvals"], json!({ "given": 1, "needed": 2 }));
    let operators = gate.house.path().join("operators.yaml");
    let text = fs::read_to_string(&operators).expect("operators");
    fs::write(&operators, text.replace("name: privacy, role: privacy", "name: privacy, role: admin")).expect("written");
    gate.house.write_contract("acme", &routes(&["GET /v1/orders"]));
    reload(&gate);
    assert_eq!(restore("privacy").json()["reason"], "operator_new", "it became an admin while the kill stood");
    assert_eq!(
        restore("admin").json()["approvals"],
        json!({ "given": 1, "needed": 2 }),
        "the contract had asked for two"
    );
    assert_eq!(gate.get("/v1/orders", &reader()).reason(), "vendor_killed");
    assert_eq!(restore("second").json()["state"], "live");
}

#[test]
fn one_operator_cannot_fill_the_schedule() {
    let crm = Upstream::json("{}");
    let gate = Gate::of_acme(crm.address, &routes(&["GET /v1/orders"]));
    let order = r#"{"reason":"x","at":"9h"}"#;
    let mut statuses = (0..=100).map(|_| gate.admin("operator", "POST", "/v1/vendors/acme/kill", order).status);
    assert!(statuses.by_ref().take(100).all(|status| status == 200));
    assert_eq!(statuses.next(), Some(409));
    assert_eq!(gate.admin("admin", "POST", "/v1/vendors/acme/kill", order).status, 200, "there is room for others");
}
