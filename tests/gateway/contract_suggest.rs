//! `contract suggest`: a contract that grants what was seen, passes `check`, works when it is put in force, and holds
//! no value of any call.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use vendorgate::internals::model::{Clock, UnixTime};

use crate::support::client::{Client, request};
use crate::support::issuer::{reader, vendor};
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::{Upstream, ok};

const PEOPLE: &str = r#"{"total":2,"people":[{"id":71,"email":"canary-ann@example.com","note":"canary words"},{"id":72,"email":"canary-bob@example.com","note":"x"}],"index":{"canary-zoe@example.com":1},"staff":{"canaryalice":{"email":"canary-ann@example.com"},"canarybobby":{"email":"x"}}}"#;

/// Values of calls, in every place that one can be.
const CANARIES: [&str; 10] = [
    "canary-zoe",
    "canary-ann",
    "canary-bob",
    "canary words",
    "4711081500",
    "f47ac10b-58cc-4372-a567-0e02b2c3d479",
    "canaryquery",
    "canaryheader",
    "canarybody",
    "canarymember",
];

fn day(offset: u64) -> String {
    UnixTime::from_millis(Clock::system().now().wall.as_millis() + offset * 86_400_000).to_string()[..10].to_owned()
}

fn observing(vendor: &Upstream) -> String {
    format!(
        r#"mode: observe
observe_until: {}
observe_upstream: crm
ingress:
  - {{ route: GET /v1/nothing, scopes: [orders:read], upstream: crm }}
egress:
  upstream: {{ url: "http://{}", allow_networks: ["127.0.0.0/8"] }} # theirs
  routes:
    - route: GET /v2/nothing
"#,
        day(5),
        vendor.address
    )
}

fn suggestion(gateway: &TestGateway, query: &str) -> String {
    let answer = gateway.admin("viewer", "GET", &format!("/v1/suggestion?vendor=acme{query}"), "");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["contract"].as_str().expect("a text").to_owned()
}

fn call(gateway: &TestGateway) {
    for path in [
        "/v1/people/4711081500?page=canaryquery&canary-ann%40example.com=1",
        "/v1/people/f47ac10b-58cc-4372-a567-0e02b2c3d479",
        "/v1/people/canarymember",
    ] {
        assert_eq!(gateway.get(path, &reader()).status, 200);
    }
    let body = r#"{"events":[{"mail":"canary-ann@example.com","text":"canarybody"}]}"#;
    let text = request("POST", "/acme/v2/events", "", body).replace("\r\n\r\n", "\r\nX-Tenant: canaryheader\r\n\r\n");
    assert_eq!(Client::to(gateway.egress()).send(text).answer().status, 200);
}

#[test]
fn a_suggestion_says_what_was_seen_and_why_and_holds_no_value() {
    let crm = Upstream::json(PEOPLE);
    let theirs = Upstream::saying(ok("application/json", "{}"));
    let gateway = TestGateway::of_acme(crm.address, &observing(&theirs));
    call(&gateway);
    let mut text = String::new();
    until("all is noted", || {
        text = suggestion(&gateway, "");
        text.contains("$.people[*].email") && text.contains("$.events[*].mail") && text.contains("2xx 3")
    });
    for expected in [
        "route: \"GET /v1/people/{id}\"",
        "seen 3 times, by \"acme-client\", 2xx 3",
        "the contract would refuse: route_unknown 3",
        "scopes: [\"orders:read\"]",
        "upstream: \"crm\"",
        "query parameters: \"page\" (1)",
        "records: \"$.people[*]\"",
        "{ field: \"$.people[*].email\", as: tokenize } # likely email, 6 values",
        "route: \"POST /v2/events\"",
        "header fields: \"x-tenant\" (1)",
        "{ field: \"$.events[*].mail\", as: tokenize } # likely email, 1 values",
        "# TODO: names that look like data are left out: response: \"$.index.*\"",
        "# theirs",
        "security_contact: s@example.com",
    ] {
        assert!(text.contains(expected), "{expected}:\n{text}");
    }
    assert!(!text.contains("mode: observe"), "{text}");
    assert!(!suggestion(&gateway, "&direction=egress").contains("/v1/people"));
    // Names of a map are values too. Only the exposure report has them, which lists what left in clear by path.
    for canary in CANARIES.into_iter().chain(["canaryalice", "canarybobby"]) {
        assert!(!text.contains(canary), "{canary}:\n{text}");
    }
    assert_eq!(gateway.admin("viewer", "GET", "/v1/suggestion?vendor=nobody", "").status, 404);
    assert_eq!(gateway.admin("viewer", "GET", "/v1/suggestion?vendor=acme&direction=up", "").status, 400);
}

#[test]
fn a_suggestion_put_in_force_grants_what_was_seen_and_treats_it() {
    let crm = Upstream::json(PEOPLE);
    let theirs = Upstream::saying(ok("application/json", "{}"));
    let gateway = TestGateway::of_acme(crm.address, &observing(&theirs));
    call(&gateway);
    until("all is noted", || {
        let text = suggestion(&gateway, "");
        text.contains("$.people[*].email") && text.contains("$.events[*].mail")
    });
    let path = gateway.fixture.path().join("contracts/acme.yaml");
    std::fs::write(&path, suggestion(&gateway, "")).expect("written");
    let mut check = Command::new(env!("CARGO_BIN_EXE_vendorgate"));
    let said = check.args(["check", "--config"]).arg(gateway.fixture.main()).output().expect("the program starts");
    assert_eq!(said.status.code(), Some(0), "{}", String::from_utf8_lossy(&said.stdout));
    let reload = gateway.admin("admin", "POST", "/v1/reload", "{}");
    assert_eq!(reload.status, 200, "{}", reload.text());
    let answer = gateway.get("/v1/people/99", &reader());
    assert_eq!(answer.status, 200);
    assert!(!answer.text().contains('@') && answer.text().contains("\"id\":71"), "{}", answer.text());
    assert_eq!(gateway.get("/v1/people", &reader()).reason(), "route_unknown");
    assert_eq!(gateway.get("/v1/people/99", &vendor("acme").token()).reason(), "scope_missing");
}

#[test]
fn refused_calls_are_listed_as_comments_and_all_survives_a_restart_without_a_value() {
    let crm = Upstream::json(PEOPLE);
    let routes = "ingress:\n  - { route: GET /v1/orders, scopes: [orders:read], upstream: crm }\n";
    let mut gateway = TestGateway::of_acme(crm.address, routes);
    assert_eq!(gateway.get("/v1/people/4711081500", &reader()).reason(), "route_unknown");
    assert_eq!(gateway.get("/v1/orders", &vendor("acme").token()).reason(), "scope_missing");
    assert_eq!(gateway.get("/v1/orders", &reader()).status, 200);
    let expected = ["refused: route_unknown 1", "# - route: \"GET /v1/people/{id}\"", "refused: scope_missing 1"];
    let holds = |text: &str| expected.iter().all(|line| text.contains(line));
    let text = suggestion(&gateway, "");
    assert!(holds(&text), "{text}");
    assert!(!text.contains("seen 1 times"), "an enforced contract's own traffic is not noted: {text}");
    gateway.begin_drain();
    until("it has stopped", || gateway.is_drained());
    let fixture = gateway.into_fixture();
    assert_no_canary(&fixture.path().join("state"));
    let gateway = TestGateway::start(fixture);
    let text = suggestion(&gateway, "");
    assert!(holds(&text), "{text}");
}

#[test]
fn the_state_folder_holds_no_value_of_a_call_that_was_observed() {
    let crm = Upstream::json(PEOPLE);
    let theirs = Upstream::saying(ok("application/json", "{}"));
    let mut gateway = TestGateway::of_acme(crm.address, &observing(&theirs));
    call(&gateway);
    until("all is noted", || suggestion(&gateway, "").contains("$.events[*].mail"));
    gateway.begin_drain();
    until("it has stopped", || gateway.is_drained());
    let state = gateway.fixture.path().join("state");
    assert!(assert_no_canary(&state) > 0, "files were read");
    let all = std::fs::read_dir(&state).expect("a folder").filter_map(|it| std::fs::read(it.ok()?.path()).ok());
    assert!(all.into_iter().any(|bytes| String::from_utf8_lossy(&bytes).contains("$.events[*].mail")), "it was stored");
}

/// The number of files below a folder, none of which holds a canary.
fn assert_no_canary(folder: &Path) -> usize {
    let mut files = 0;
    for entry in std::fs::read_dir(folder).expect("a folder").filter_map(Result::ok) {
        if entry.path().is_dir() {
            files += assert_no_canary(&entry.path());
        } else if let Ok(bytes) = std::fs::read(entry.path()) {
            files += 1;
            let text = String::from_utf8_lossy(&bytes);
            for canary in CANARIES {
                assert!(!text.contains(canary), "{canary} is in {}", entry.path().display());
            }
        }
    }
    files
}

#[test]
fn many_patterns_stay_within_their_bounds() {
    let crm = Upstream::json("{}");
    let theirs = Upstream::saying(ok("application/json", "{}"));
    let gateway = TestGateway::of_acme(crm.address, &observing(&theirs));
    let mut client = Client::to(gateway.ingress());
    for number in 0..60u32 {
        let word: String = number.to_string().chars().map(|digit| char::from(b'a' + digit as u8 - b'0')).collect();
        assert_eq!(client.get(&format!("/v1/tariff/w{word}"), &reader()).status, 200);
    }
    let text = suggestion(&gateway, "&direction=ingress");
    let routes: Vec<&str> = text.lines().filter(|line| line.contains("- route: \"")).collect();
    assert_eq!(routes, ["  - route: \"GET /v1/tariff/{id}\""], "{text}");
    assert!(text.contains("seen 60 times"), "{text}");
    let value: Value = gateway.admin("viewer", "GET", "/v1/suggestion?vendor=acme", "").json();
    assert_eq!(value["vendor"], "acme");
}
