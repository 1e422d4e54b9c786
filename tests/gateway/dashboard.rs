//! The dashboard: what is served of it, and its whole story in a real browser.
//!
//! The story is `tests/page/story.mjs`: it drives Debian's Chromium by what `npm ci --prefix tests/page` installs, and
//! leaves its screenshots in `target/page`. With `VENDORGATE_PAGE_FILES=src/admin/page` the browser gets the files of
//! the page from that folder instead of the program, so that a change of them needs no build.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use vendorgate::internals::model::Clock;

use crate::support::client::{Answer, Client, get, request, tcp};
use crate::support::fixture::GatewayFixture;
use crate::support::issuer::{reader, vendor};
use crate::support::test_gateway::TestGateway;
use crate::support::upstream::{CHUNKED, Upstream, ok};

const ACME: &str = r#"name: ACME Analytics Ltd
restore: { approvals: 2 }
journey: [checkout]
drills: { every: 30d }
limits:
  requests: { rate: 100000/s }
  concurrency: 50
  records: { budget: 50000, window: 1h, over: sever }
ingress:
  - route: GET /v1/customers
    scopes: [orders:read]
    upstream: crm
    records: "$.customers[*]"
    subject: "$.customers[*].id"
    response:
      pii: [ { field: "$.customers[*].email", as: tokenize }, { field: "$.customers[*].phone", as: mask } ]
      clear: ["$.customers[*].id"]
  - { route: GET /v1/exports, scopes: [orders:read], upstream: crm }
  - { route: POST /v1/customers, scopes: [orders:write], upstream: crm }
"#;

const PARCEL: &str = r#"name: Swift Parcel
journey: [checkout, delivery]
egress:
  upstream: { url: "https://parcel.example" }
  routes:
    - route: POST /v2/labels
      fallback: { status: 200, body: '{"queued": true}' }
      request: { pii: [ { field: "$.to.email", as: redact } ] }
"#;

/// A slow export without an end, and a page of customers for every other call.
fn crm() -> Upstream {
    let page = r#"{"customers":[{"id":"c1","email":"ann@mail.example","phone":"+49 151 1234567"},{"id":"c2","email":"bob@mail.example","phone":"+49 151 7654321"}]}"#;
    Upstream::start(move |asked, caller| {
        if !asked.line().contains("/v1/exports") {
            return caller.write(ok("application/json", page)).is_ok();
        }
        let _ = caller.write(CHUNKED);
        while caller.chunk(b" ".repeat(256)).is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    })
}

fn fixture(crm: &Upstream) -> GatewayFixture {
    let fixture = GatewayFixture::new(crm.address).contract("acme", ACME).contract("swift-parcel", PARCEL);
    let plain = "ingress:\n  - { route: GET /v1/customers, scopes: [orders:read], upstream: crm }\n";
    let soon = |days: u64| Clock::system().now().wall.plus(Duration::from_secs(days * 86_400)).to_string();
    let (observed, ending) = (soon(30), soon(9));
    let others = [
        ("beacon", format!("name: Beacon Support\nmode: observe\nobserve_until: {}\n", &observed[..10])),
        ("old-ledger", "name: Old Ledger\nstarts: 2020-01-01\nends: 2021-12-31\n".to_owned()),
        ("kite-mail", format!("name: Kite Mail\njourney: [welcome]\nends: {}\n", &ending[..10])),
        ("northwind", "name: Northwind Reports\n".to_owned()),
    ];
    others.into_iter().fold(fixture, |fixture, (id, terms)| fixture.contract(id, &format!("{terms}{plain}")))
}

/// A request as a browser sends it, with these fields.
fn ask(gateway: &TestGateway, line: &str, headers: &str) -> Answer {
    let address = gateway.addresses.admin.expect("an admin listener");
    Client::to(address).send(format!("{line} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n")).answer()
}

fn page(gateway: &TestGateway, path: &str, headers: &str) -> (u16, String) {
    let answer = ask(gateway, &format!("GET {path}"), headers);
    let policy = answer.field("content-security-policy").unwrap_or_default();
    (answer.status, format!("{policy}\n{}", answer.text()))
}

#[test]
fn half_a_session_is_of_no_use_and_a_whole_one_ends_with_its_operator() {
    let crm = Upstream::json("{}");
    let gateway = TestGateway::start(GatewayFixture::of_acme(crm.address, ACME));
    let token = format!("Authorization: Bearer {}\r\nContent-Length: 0\r\n", gateway.fixture.operator("viewer"));
    let opened = ask(&gateway, "POST /v1/session", &token);
    let cookie = opened.field("set-cookie").and_then(|cookie| cookie.split(';').next()).expect("a cookie");
    let (cookie, key) = (format!("Cookie: {cookie}\r\n"), opened.json()["key"].as_str().expect("a key").to_owned());
    let key = format!("X-Vendorgate-Session: {key}\r\n");
    let both = format!("{cookie}{key}");
    let status = |headers: &str| ask(&gateway, "GET /v1/vendors", headers).status;
    assert_eq!([status(&cookie), status(&key), status(&both)], [401, 401, 200]);

    let operators = gateway.fixture.path().join("operators.yaml");
    let text = std::fs::read_to_string(&operators).expect("readable");
    let others: String =
        text.lines().filter(|line| !line.contains("name: viewer")).map(|line| format!("{line}\n")).collect();
    std::fs::write(&operators, others).expect("written");
    assert_eq!(gateway.admin("admin", "POST", "/v1/reload", "{}").status, 200);
    assert_eq!(ask(&gateway, "GET /v1/vendors", &both).reason(), "session_ended");
}

#[test]
fn the_page_is_for_everyone_runs_only_its_own_files_and_can_be_left_out() {
    let crm = Upstream::json("{}");
    let gateway = TestGateway::start(GatewayFixture::of_acme(crm.address, ACME));
    let (status, document) = page(&gateway, "/", "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Site: cross-site\r\n");
    assert_eq!(status, 200, "a link in a runbook leads to it");
    for part in
        ["default-src 'none'", "script-src 'self'", "require-trusted-types-for 'script'", "frame-ancestors 'none'"]
    {
        assert!(document.contains(part), "{document}");
    }
    let inline = ["<script>", "style=", "onclick", "http://", "https://"];
    assert!(inline.iter().all(|text| !document.contains(text)), "nothing inline and nothing from elsewhere");
    assert_eq!(page(&gateway, "/page/main.js", "Sec-Fetch-Site: cross-site\r\n").0, 403, "no other site runs it");
    for (_, name) in document
        .match_indices("\"/page/")
        .map(|(at, _)| document[at + 1..].split_once('"').unwrap())
        .map(|(name, _)| ((), name))
    {
        assert_eq!(page(&gateway, name, "").0, 200, "{name}");
    }
    let fixture = GatewayFixture::new(crm.address).listeners(
        "  ingress: { bind: \"127.0.0.1:0\" }\n  admin: { bind: \"127.0.0.1:0\", operators: operators.yaml, page: false }\n",
    );
    let without = TestGateway::start(fixture);
    assert_eq!((page(&without, "/", "").0, page(&without, "/page/main.js", "").0), (404, 404));
    let login = without.admin("admin", "POST", "/v1/session", "{}");
    assert_eq!((login.status, login.reason().as_str()), (404, "no_page"));
}

#[test]
fn the_lines_that_decide_are_shown_beside_what_they_refused() {
    let crm = Upstream::json(r#"{"customers":[]}"#);
    let gateway = TestGateway::start(GatewayFixture::of_acme(crm.address, ACME));
    let writer = vendor("acme").scope("orders:write").token();
    assert_eq!(gateway.get("/v1/customers", &writer).status, 403);
    assert_eq!(gateway.get("/v1/nothing", &reader()).status, 403);
    let denials = gateway.admin("viewer", "GET", "/v1/vendors/acme/denials", "").json();
    let told = |place: usize, key: &str| denials["denials"][place][key].as_str().unwrap_or("-").to_owned();
    let lines = std::fs::read_to_string(gateway.fixture.path().join("contracts/acme.yaml")).unwrap();
    let line_of = |text: &str| lines.lines().position(|line| line.contains(text)).unwrap() + 1;
    for (place, reason, rule, line) in [
        (0, "route_unknown", "ingress", line_of("ingress:")),
        (1, "scope_missing", "ingress[0].scopes", line_of("    scopes: [orders:read]")),
    ] {
        assert_eq!((told(place, "reason"), told(place, "rule")), (reason.to_owned(), rule.to_owned()), "{denials}");
        assert!(told(place, "at").ends_with(&format!("acme.yaml:{line}")), "{denials}");
    }
    let contract = gateway.admin("viewer", "GET", "/v1/vendors/acme/contract", "").json();
    assert_eq!(contract["routes"][0]["response"]["treated"][1]["treatment"], "mask");
    assert_eq!((contract["approvals"].as_u64(), contract["routes"].as_array().unwrap().len()), (Some(2), 3));
    gateway.admin("operator", "POST", "/v1/vendors/acme/kill", r#"{"reason":"leak"}"#);
    let history = gateway.admin("viewer", "GET", "/v1/vendors/acme/history", "").json();
    assert_eq!((&history["entries"][0]["act"], &history["entries"][0]["reason"]), (&json!("kill"), &json!("leak")));
    assert!(!history.to_string().contains("scope_missing"), "refused requests are not among them");
    let all = gateway.admin("viewer", "GET", "/v1/history", "").json();
    let acts: Vec<_> = all["entries"].as_array().unwrap().iter().map(|entry| entry["act"].as_str().unwrap()).collect();
    assert_eq!(acts, ["kill", "started"], "the newest first");
    assert_eq!(gateway.admin("viewer", "GET", "/v1/vendors/nobody/contract", "").status, 404);
}

/// Calls as a vendor does, until it is told to stop; some calls are refused.
fn traffic(gateway: &TestGateway, stop: &Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
    let (address, stop) = (gateway.ingress(), Arc::clone(stop));
    std::thread::spawn(move || {
        for turn in 0_u32.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let token = reader();
            get(address, if turn % 7 == 0 { "/v1/nothing" } else { "/v1/customers" }, &token);
            std::thread::sleep(Duration::from_millis(u64::from(turn % 9) * 30 + 20));
        }
    })
}

#[test]
#[ignore = "needs chromium, node and `npm ci --prefix tests/page`"]
fn two_people_cut_off_and_restore_a_vendor_in_a_browser() {
    let crm = crm();
    let gateway = TestGateway::start(fixture(&crm));
    let stop = Arc::default();
    let traffic = traffic(&gateway, &stop);
    let mut download = tcp(gateway.ingress());
    download.write_all(request("GET", "/v1/exports", &reader(), "").as_bytes()).expect("sent");
    let tokens = ["viewer", "operator", "admin", "second"].map(|name| (name, gateway.fixture.operator(name)));
    let told = json!({
        "address": format!("http://{}", gateway.addresses.admin.expect("an admin listener")),
        "tokens": tokens.into_iter().collect::<std::collections::BTreeMap<_, _>>(),
    });
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut node = Command::new("node");
    let mut browser = node
        .arg("story.mjs")
        .current_dir(root.join("tests/page"))
        .env("VENDORGATE_PAGE_SHOTS", root.join("target/page"))
        .stdin(Stdio::piped())
        .spawn()
        .expect("node is installed");
    browser.stdin.take().expect("piped").write_all(told.to_string().as_bytes()).expect("it reads");
    let ended = browser.wait().expect("it ends");
    stop.store(true, Ordering::Relaxed);
    traffic.join().expect("no panic");
    assert!(ended.success(), "see what the story says above");
    let mut rest = Vec::new();
    // The kill that was ordered on the page ended it, by a reset that the reader may see as an error.
    let _ = download.read_to_end(&mut rest);
    assert!(!rest.ends_with(b"0\r\n\r\n"), "the download was cut, not finished");
}
