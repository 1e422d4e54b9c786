//! Orders that need time or a second person: scheduled kills, and restores that two people must approve.

use std::time::Duration;

use serde_json::{Value, json};
use vendorgate::internals::model::Clock;

use crate::support::client::{self, BodyEnd, Client, request};
use crate::support::fixture::GatewayFixture;
use crate::support::issuer::reader;
use crate::support::process::Process;
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::{CHUNKED, Upstream};

const ROUTES: &str = "ingress:
  - { route: GET /v1/orders, scopes: [orders:read], upstream: crm }
  - { route: GET /v1/other, scopes: [orders:read], upstream: crm }
";

const WHY: &str = r#"{"reason":"ticket 4711"}"#;

/// The acts in a gateway's audit trail, with actor and reason.
fn acts(process: &Process, fixture: &GatewayFixture) -> Vec<(String, String, String)> {
    let page = process.admin(fixture, "viewer", "GET", "/v1/audit?limit=1000", "").json();
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    let entries = page["entries"].as_array().expect("entries").iter();
    entries.map(|entry| (text(entry, "act"), text(entry, "actor"), text(entry, "reason"))).collect()
}

/// The time this many seconds from now, as people write it.
fn soon(secs: u64) -> String {
    Clock::system().now().wall.plus(Duration::from_secs(secs)).to_string()
}

#[test]
fn a_scheduled_kill_severs_at_its_time() {
    let crm = Upstream::start(|_, asker| {
        let _ = asker.write(CHUNKED);
        let _ = asker.gone();
        false
    });
    let gateway = TestGateway::of_acme(crm.address, ROUTES);
    let mut stream = Client::to(gateway.ingress());
    stream.send(request("GET", "/v1/orders", &reader(), ""));
    assert_eq!(stream.head().status, 200);
    let at = soon(2);
    let order = json!({ "reason": "notice given", "route": "GET /v1/orders", "at": at }).to_string();
    let answer = gateway.admin("operator", "POST", "/v1/vendors/acme/kill", &order);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let ordered = answer.json();
    let expected = json!({ "id": 1, "vendor": "acme", "scope": { "route": "GET /v1/orders" }, "at": at,
        "by": "operator", "reason": "notice given" });
    assert_eq!(ordered, expected);
    let status = gateway.admin("viewer", "GET", "/v1/vendors/acme", "").json();
    assert_eq!((&status["state"], &status["scheduled"]), (&"live".into(), &json!([expected])), "{status}");
    let ended = loop {
        match stream.more() {
            Ok(_) => {}
            Err(ending) => break ending,
        }
    };
    assert_eq!(ended, BodyEnd::Reset);
    assert!(Clock::system().now().wall.to_string() >= at, "not before its time");
    assert_eq!(gateway.get("/v1/orders", &reader()).reason(), "vendor_killed");
    until("it is forgotten", || {
        gateway.admin("viewer", "GET", "/v1/scheduled-kills", "").json() == json!({ "scheduled": [] })
    });
    let trail = gateway.admin("viewer", "GET", "/v1/audit", "").json();
    let of =
        |act: &str| trail["entries"].as_array().expect("entries").iter().find(|entry| entry["act"] == act).cloned();
    let (schedule, kill) = (of("schedule").expect("an order"), of("kill").expect("a kill"));
    assert_eq!(schedule["detail"]["outcome"], format!("order 1 for {at}"), "{schedule}");
    assert_eq!((&kill["actor"], &kill["reason"]), (&"operator".into(), &"notice given".into()), "{kill}");
    assert_eq!((&kill["detail"]["origin"], &kill["detail"]["severed"]), (&"schedule".into(), &1.into()), "{kill}");
}

#[test]
fn scheduled_kills_survive_kill_9_and_are_listed_cancelled_and_carried_out() {
    let crm = Upstream::json("{}");
    let fixture = GatewayFixture::of_acme(crm.address, ROUTES);
    let mut process = Process::start(&fixture);
    let (code, said) = process.cli(&fixture, "operator", &["kill", "acme", "--in", "1h", "--reason", "first"]);
    assert_eq!(
        (code, said.starts_with("acme will be cut off at "), said.contains("kill 1,")),
        (Some(0), true, true),
        "{said}"
    );
    let at = soon(6);
    let (code, said) = process.cli(&fixture, "operator", &["kill", "--all", "--at", &at, "--reason", "second"]);
    assert_eq!((code, said.starts_with(&format!("every vendor will be cut off at {at}"))), (Some(0), true), "{said}");
    for (role, arguments) in [
        ("viewer", &["kill", "acme", "--in", "1h", "--reason", "x"][..]),
        ("operator", &["kill", "--cancel", "1", "--reason", "x"]),
        ("admin", &["kill", "--cancel", "77", "--reason", "x"]),
        ("operator", &["kill", "nobody", "--in", "1h", "--reason", "x"]),
        ("operator", &["kill", "acme", "--at", "2020-01-01T00:00:00Z", "--reason", "x"]),
        ("operator", &["kill", "acme", "--in", "1h", "--route", "GET /v1/nothing", "--reason", "x"]),
    ] {
        let (code, said) = process.cli(&fixture, role, arguments);
        assert_eq!(code, Some(1), "{arguments:?}: {said}");
    }
    process.signal("KILL");
    process.ended();
    let process = Process::start(&fixture);
    let (_, said) = process.cli(&fixture, "viewer", &["kill", "--list"]);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!((lines.len(), lines[1].contains("every vendor"), lines[2].contains("first")), (3, true, true), "{said}");
    let (_, said) = process.cli(&fixture, "viewer", &["status", "acme"]);
    assert!(said.contains("WILL CUT OFF") && said.contains("first") && said.contains("second"), "{said}");
    let (code, said) = process.cli(&fixture, "admin", &["kill", "--cancel", "1", "--reason", "they signed"]);
    assert_eq!((code, said.ends_with("kill 1 is cancelled\n")), (Some(0), true), "{said}");
    until("it is carried out", || client::get(process.ingress, "/v1/orders", &reader()).status == 403);
    let none = (Some(0), "no kill is scheduled\n".to_owned());
    until("its order is done with", || process.cli(&fixture, "viewer", &["kill", "--list"]) == none);
    let found = acts(&process, &fixture);
    let done = |act: &str, by: &str, why: &str| found.contains(&(act.to_owned(), by.to_owned(), why.to_owned()));
    assert!(done("schedule", "operator", "first") && done("schedule", "operator", "second"), "{found:?}");
    assert!(done("unschedule", "admin", "they signed") && done("kill", "operator", "second"), "{found:?}");
}

#[test]
fn a_restore_by_two_needs_two_people_also_after_a_restart() {
    let crm = Upstream::json("{}");
    let fixture = GatewayFixture::of_acme(crm.address, &format!("restore: {{ approvals: 2 }}\n{ROUTES}"));
    let get = |process: &Process| client::get(process.ingress, "/v1/orders", &reader());
    let restore = ["restore", "acme", "--reason", "new key in use"];
    let mut process = Process::start(&fixture);
    assert_eq!(process.admin(&fixture, "operator", "POST", "/v1/vendors/acme/kill", WHY).status, 200);
    let waits = (Some(1), "acme stays cut off: 1 more must approve, each with the same restore\n".to_owned());
    for _ in 0..2 {
        assert_eq!(process.cli(&fixture, "admin", &restore), waits, "the same person twice is one person");
    }
    assert_eq!(process.cli(&fixture, "operator", &restore).0, Some(1), "an operator's yes is none");
    process.signal("KILL");
    process.ended();
    let process = Process::start(&fixture);
    assert_eq!(get(&process).reason(), "vendor_killed");
    assert_eq!(process.cli(&fixture, "admin", &restore), waits, "nor after a restart");
    let (_, said) = process.cli(&fixture, "viewer", &["status", "acme"]);
    assert!(said.contains("RESTORE APPROVED") && said.contains("admin  new key in use"), "{said}");
    // An approval for a part does not count for the whole.
    let part = ["restore", "acme", "--direction", "ingress", "--reason", "a part"];
    assert_eq!(process.cli(&fixture, "second", &part).0, Some(1));
    assert_eq!(get(&process).reason(), "vendor_killed");
    let (code, said) = process.cli(&fixture, "second", &restore);
    assert_eq!((code, said.starts_with("acme is back (generation ")), (Some(0), true), "{said}");
    assert_eq!(get(&process).status, 200);
    let found = acts(&process, &fixture);
    let done: Vec<_> = found.iter().filter(|(act, ..)| act == "approve" || act == "restore").collect();
    let by: Vec<_> = done.iter().map(|(act, by, _)| (act.as_str(), by.as_str())).collect();
    assert_eq!(by.first(), Some(&("approve", "admin")), "{by:?}");
    assert_eq!(by.last(), Some(&("restore", "second")), "{by:?}");
    // The next kill needs new approvals: the earlier ones are used up.
    assert_eq!(process.admin(&fixture, "operator", "POST", "/v1/vendors/acme/kill", WHY).status, 200);
    assert_eq!(process.cli(&fixture, "second", &restore), waits);
}

#[test]
fn an_approval_over_the_socket_does_not_count_as_a_second_person() {
    let crm = Upstream::json("{}");
    let fixture = GatewayFixture::of_acme(crm.address, &format!("restore: {{ approvals: 2 }}\n{ROUTES}"));
    let process = Process::start(&fixture);
    let socket = format!("unix:{}", fixture.path().join("state/admin.sock").display());
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_vendorgate"));
        let output = command.args(arguments).env("VENDORGATE_ADMIN", &socket).env_remove("VENDORGATE_TOKEN").output();
        let output = output.expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(run(&["kill", "acme", "--reason", "x"]).0, Some(0), "it may kill");
    let (code, said) = run(&["restore", "acme", "--reason", "x"]);
    assert!(code == Some(1) && said.contains("send an operator's token"), "{said}");
    for operator in ["admin", "second"] {
        process.cli(&fixture, operator, &["restore", "acme", "--reason", "x"]);
    }
    assert_eq!(client::get(process.ingress, "/v1/orders", &reader()).status, 200);
}
