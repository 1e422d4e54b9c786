//! The records that are kept: the audit trail, the exposure report, and the use of limits.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::client::{self, BodyEnd};
use crate::support::fixture::GatewayFixture;
use crate::support::issuer::{reader, vendor};
use crate::support::process::Process;
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::Upstream;
use vendorgate::internals::bounds::{EXPOSURE_ROLL_INTERVAL, LEDGER_STORE_INTERVAL};

const TERMS: &str = r#"ingress:
  - route: GET /v1/orders
    scopes: [orders:read]
    upstream: crm
    records: "$.orders[*]"
    subject: "$.orders[*].id"
    response: { pii: [ { field: "$.orders[*].email", as: tokenize }, { field: "$.orders[*].note", as: redact } ] }
  - { route: POST /v1/orders, scopes: [orders:write], upstream: crm }
"#;

/// This many orders, of as many people.
fn orders(count: usize) -> String {
    let order = |n: usize| format!(r#"{{"id":"p{n}","email":"p{n}@example.com","note":"n{n}"}}"#);
    format!(r#"{{"orders":[{}]}}"#, (0..count).map(order).collect::<Vec<_>>().join(","))
}

fn trail(gateway: &TestGateway, query: &str) -> Vec<Value> {
    let page = gateway.admin("viewer", "GET", &format!("/v1/audit?limit=1000{query}"), "");
    assert_eq!(page.status, 200, "{}", page.text());
    page.json()["entries"].as_array().expect("entries").clone()
}

fn acts(entries: &[Value]) -> Vec<(String, String, String)> {
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    entries.iter().map(|entry| (text(entry, "act"), text(entry, "actor"), text(entry, "reason"))).collect()
}

/// Runs the program against an admin listener, or without one.
pub(crate) fn program(gateway: Option<&TestGateway>, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vendorgate"));
    command.args(arguments).env_remove("VENDORGATE_CONFIG");
    if let Some(gateway) = gateway {
        command.env("VENDORGATE_ADMIN", format!("http://{}", gateway.addresses.admin.expect("an admin listener")));
        command.env("VENDORGATE_TOKEN", gateway.fixture.operator("viewer"));
    }
    command.output().expect("the program runs")
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn verify(trail: &Path) -> Output {
    program(None, &["audit", "verify", trail.to_str().expect("text")])
}

#[test]
fn a_missing_audit_trail_is_reported() {
    let output = verify(Path::new("/nowhere/audit.jsonl"));
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("FILE") && !said(&output).contains("key"), "{}", said(&output));
}

#[test]
fn every_admin_act_cut_and_denial_is_in_a_verifiable_audit_trail() {
    let crm = Upstream::json(&orders(8));
    let terms = format!("limits: {{ records: {{ budget: 5, window: 1h, over: refuse }} }}\n{TERMS}");
    let gateway = TestGateway::of_acme(crm.address, &terms);
    assert_ne!(client::get(gateway.ingress(), "/v1/orders", &reader()).ending, BodyEnd::Whole);
    assert_eq!(gateway.get("/v1/orders", &vendor("acme").token()).reason(), "scope_missing");
    let post = |role, path: &str, body: &str| gateway.admin(role, "POST", path, body).status;
    assert_eq!(post("operator", "/v1/vendors/acme/kill", r#"{"reason":"ticket 1"}"#), 200);
    assert_eq!(post("operator", "/v1/vendors/acme/restore", r#"{"reason":"not mine"}"#), 403);
    assert_eq!(post("admin", "/v1/vendors/acme/restore", r#"{"reason":"ticket 2"}"#), 200);
    assert_eq!(post("operator", "/v1/vendors/acme/drill", r#"{"shadow":true}"#), 200);
    assert_eq!(post("operator", "/v1/vendors/acme/revocations", r#"{"jti":"t9","reason":"ticket 3"}"#), 200);
    assert_eq!(post("admin", "/v1/reload", "{}"), 200);

    let entries = trail(&gateway, "");
    let found = acts(&entries);
    let expected = [
        ("started", "vendorgate", env!("CARGO_PKG_VERSION")),
        ("denied", "acme-client", "records_exceeded"),
        ("cut", "acme-client", "records_exceeded"),
        ("denied", "acme-client", "scope_missing"),
        ("kill", "operator", "ticket 1"),
        ("admin_refused", "operator", "role_too_low"),
        ("restore", "admin", "ticket 2"),
        ("drill", "operator", "drill"),
        ("revoke", "operator", "ticket 3"),
        ("reload", "admin", ""),
    ];
    let found: Vec<_> = found.iter().map(|(act, by, why)| (act.as_str(), by.as_str(), why.as_str())).collect();
    assert_eq!(found, expected);
    assert_eq!((&entries[2]["detail"]["limit"], &entries[2]["detail"]["records_sent"]), (&"records".into(), &5.into()));
    let after = trail(&gateway, "&after=5");
    assert_eq!(acts(&after), acts(&entries[5..]));

    let path = gateway.fixture.path().join("state/audit/audit.jsonl");
    let whole = verify(&path);
    assert!(whole.status.success() && said(&whole).starts_with("whole: 10 lines"), "{}", said(&whole));
    let tail = program(Some(&gateway), &["audit", "tail", "--once"]);
    assert_eq!(said(&tail).lines().count(), 10, "{}", said(&tail));

    let text = std::fs::read_to_string(&path).expect("a trail");
    std::fs::write(&path, text.replace("ticket 1", "ticket 7")).expect("written");
    let broken = verify(&path);
    assert_eq!(broken.status.code(), Some(1));
    assert!(said(&broken).contains("line 5: changed"), "{}", said(&broken));
    // Names are escaped in both forms, so that none acts on a terminal.
    let odd = gateway.fixture.path().join("state/audit\u{9b}2J\u{202e}\u{2028}");
    std::fs::rename(gateway.fixture.path().join("state/audit"), &odd).expect("renamed");
    let path = odd.join("audit.jsonl");
    for form in [&["--json"][..], &[]] {
        let broken = program(None, &[&["audit", "verify", path.to_str().expect("text")], form].concat());
        assert!(said(&broken).contains("changed") && !said(&broken).contains(['\u{9b}', '\u{202e}', '\u{2028}']));
    }
}

#[test]
fn a_cut_of_egress_is_audited_as_a_cut_and_a_refusal_is_not() {
    let vendor = Upstream::json("{}");
    let terms = format!(
        r#"limits: {{ records: {{ budget: 5, window: 1h, over: refuse }} }}
egress:
  upstream: {{ url: "http://{}", allow_networks: ["127.0.0.0/8"] }}
  routes:
    - {{ route: POST /events, records: "$[*]", request: {{ pii: [ {{ field: "$[*].email", as: redact }} ] }} }}
"#,
        vendor.address
    );
    let gateway = TestGateway::of_acme(vendor.address, &terms);
    let records = |count: usize| format!("{:x}\r\n{}\r\n", 9 * count, r#"{"id":1},"#.repeat(count));
    let mut sending = client::Client::to(gateway.egress());
    let head = client::request("POST", "/acme/events", "", "");
    let head = head.replace("\r\n\r\n", "\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
    sending.send(format!("{head}1\r\n[\r\n{}", records(3)));
    until("the first records are on their way", || vendor.open() == 1);
    sending.send(records(4));
    let refused = sending.answer();
    assert_eq!((refused.status, refused.reason().as_str()), (429, "records_exceeded"));
    assert!(vendor.seen().is_empty(), "the vendor has no whole request");
    // Nothing of the next request has left, so nothing was cut.
    let body = format!("[{}1]", r#"{"id":1},"#.repeat(4));
    let next = client::Client::to(gateway.egress()).send(client::request("POST", "/acme/events", "", &body)).answer();
    assert_eq!(next.reason(), "records_exceeded");
    until("all of it is in the trail", || trail(&gateway, "").len() == 4);
    let entries = trail(&gateway, "");
    let cuts: Vec<&Value> = entries.iter().filter(|entry| entry["act"] == "cut").collect();
    assert_eq!(cuts.len(), 1, "{entries:?}");
    let detail = &cuts[0]["detail"];
    assert_eq!((&cuts[0]["actor"], &cuts[0]["subject"]), (&"vendorgate".into(), &"acme".into()));
    assert_eq!((&detail["direction"], &detail["route"]), (&"egress".into(), &"POST /events".into()), "{detail}");
    assert_eq!((&detail["limit"], &detail["records_sent"]), (&"records".into(), &5.into()), "{detail}");
}

#[test]
fn a_flood_of_denials_is_counted_instead_of_listed() {
    let crm = Upstream::json("{\"orders\":[]}");
    let gateway = TestGateway::of_acme(crm.address, TERMS);
    let mut client = client::Client::to(gateway.ingress());
    let token = vendor("acme").token();
    for _ in 0..300 {
        assert_eq!(client.get("/v1/orders", &token).reason(), "scope_missing");
    }
    until("every denial is counted", || {
        let entries = trail(&gateway, "");
        let of = |act: &str| entries.iter().filter(|entry| entry["act"] == act).cloned().collect::<Vec<_>>();
        let counted: u64 = of("denials").iter().filter_map(|entry| entry["detail"]["count"].as_u64()).sum();
        assert!(of("denied").len() <= 60, "{}", of("denied").len());
        of("denied").len() as u64 + counted == 300
    });
}

#[test]
fn requests_are_refused_when_the_audit_trail_is_required_and_unwritable() {
    let crm = Upstream::json("{\"orders\":[]}");
    let fixture = GatewayFixture::of_acme(crm.address, TERMS);
    let serving = TestGateway::start(GatewayFixture::of_acme(crm.address, TERMS).with("audit: { rotate: 64KiB }\n"));
    let strict = TestGateway::start(fixture.with("audit: { path: trail/audit.jsonl, on_failure: stop }\n"));
    for (gateway, folder) in [(&serving, "state/audit"), (&strict, "trail")] {
        assert_eq!(gateway.get("/v1/orders", &reader()).status, 200);
        // From now on the sealed head cannot be written.
        std::fs::remove_dir_all(gateway.fixture.path().join(folder)).expect("removed");
        assert_eq!(gateway.admin("operator", "POST", "/v1/vendors/acme/drill", r#"{"shadow":true}"#).status, 200);
    }
    until("it refuses", || strict.get("/v1/orders", &reader()).status == 503);
    assert_eq!(strict.get("/v1/orders", &reader()).reason(), "overloaded");
    assert_eq!(serving.get("/v1/orders", &reader()).status, 200);
    until("the alarm is raised", || serving.series(r#"vendorgate_state_errors_total{store="audit"}"#) > 0.0);
    // A kill is the one act that does not wait for the audit trail.
    assert_eq!(
        strict.admin("operator", "POST", "/v1/vendors/acme/kill", r#"{"reason":"x"}"#).json()["state"],
        "killed"
    );
}

/// Runs the program in a mount namespace of its own, with this folder on a disk of this many KiB.
fn on_a_small_disk(folder: &Path, kib: u32) -> Command {
    let mount = format!("mount -t tmpfs -o size={kib}k none {} && exec \"$0\" \"$@\"", folder.display());
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", &mount, env!("CARGO_BIN_EXE_vendorgate")]);
    command
}

#[test]
#[ignore = "needs leave to mount in a namespace of its own (unshare -rm)"]
fn a_full_disk_stops_or_is_reported_as_configured_and_recovers() {
    let crm = Upstream::json("{\"orders\":[]}");
    for (on_failure, while_full) in [("stop", 503), ("keep_serving", 200)] {
        let fixture = GatewayFixture::of_acme(crm.address, TERMS);
        let folder = fixture.path().join("trail");
        std::fs::create_dir(&folder).expect("a folder");
        let fixture = fixture.with(&format!("audit: {{ path: trail/audit.jsonl, on_failure: {on_failure} }}\n"));
        let process = Process::start_by(on_a_small_disk(&folder, 128), &fixture);
        let status = || client::get(process.ingress, "/v1/orders", &reader()).status;
        let drill =
            || process.admin(&fixture, "operator", "POST", "/v1/vendors/acme/drill", r#"{"shadow":true}"#).status;
        let errors = || {
            let text = process.admin(&fixture, "viewer", "GET", "/metrics", "").text();
            let line = text.lines().find(|line| line.starts_with(r#"vendorgate_state_errors_total{store="audit"}"#));
            line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).unwrap_or_default()
        };
        assert_eq!((status(), drill(), errors()), (200, 200, 0.0));
        // Fill the disk to the last byte: files are written until a write fails.
        let filler = process.within(&folder.join("filler"));
        assert!(std::fs::write(&filler, vec![0; 1 << 20]).is_err(), "the disk is small");
        until("the alarm is raised", || {
            drill();
            errors() > 0.0
        });
        assert_eq!(status(), while_full, "{on_failure}");
        let killed = process.admin(&fixture, "operator", "POST", "/v1/vendors/acme/kill", r#"{"reason":"x"}"#).json();
        assert_eq!((&killed["state"], &killed["persisted"]), (&"killed".into(), &true.into()), "{on_failure}");
        std::fs::remove_file(&filler).expect("removed");
        assert_eq!(
            process.admin(&fixture, "admin", "POST", "/v1/vendors/acme/restore", r#"{"reason":"y"}"#).status,
            200
        );
        until("it serves again", || status() == 200);
        let trail = process.within(&folder.join("audit.jsonl"));
        let key = fixture.path().join("state/audit.key");
        let arguments = ["audit", "verify", trail.to_str().expect("text"), "--key", key.to_str().expect("text")];
        let whole = program(None, &arguments);
        assert!(whole.status.success(), "{on_failure}: {}", said(&whole));
        let text = std::fs::read_to_string(&trail).expect("a trail");
        assert!(
            text.contains(r#""act":"kill""#) && text.contains(r#""act":"restore""#),
            "what waited is there: {text}"
        );
    }
}

#[test]
fn the_exposure_report_lists_fields_people_and_treatments_also_after_a_restart() {
    let crm = Upstream::json(&orders(40));
    let gateway = TestGateway::of_acme(crm.address, TERMS);
    for _ in 0..3 {
        assert_eq!(gateway.get("/v1/orders", &reader()).status, 200);
    }
    until("the last byte is counted", || {
        gateway.series(r#"vendorgate_in_flight{vendor="acme",direction="ingress"}"#) == 0.0
    });
    let report = gateway.admin("viewer", "GET", "/v1/exposure?vendor=acme&since=1h", "").json();
    assert_eq!(report["records"], 120, "{report}");
    // An estimate under a key that is another in each run: 40, give or take five standard errors and a rounding.
    let people = report["subjects"]["about"].as_u64().unwrap_or_default();
    assert!((36..=44).contains(&people), "{report}");
    let route = &report["routes"][0];
    assert_eq!((&route["route"], &route["direction"]), (&"GET /v1/orders".into(), &"ingress".into()));
    let treated: Vec<_> = route["treated"].as_array().expect("fields").iter().collect();
    let of = |field: &Value| (field["field"].clone(), field["treatment"].clone(), field["values"].clone());
    assert_eq!(of(treated[0]), ("$.orders[*].email".into(), "tokenize".into(), 120.into()));
    assert_eq!(of(treated[1]), ("$.orders[*].note".into(), "redact".into(), 120.into()));
    assert_eq!(route["clear"], Value::Null, "every other field could leave");

    let page = program(Some(&gateway), &["exposure", "acme", "--since", "1h", "--md"]);
    assert!(said(&page).contains("Article 33") && said(&page).contains("| records | 120 |"), "{}", said(&page));
    let page = program(Some(&gateway), &["exposure", "acme"]);
    assert!(said(&page).contains(&format!("about {people}")), "{}", said(&page));
    assert_eq!(gateway.admin("viewer", "GET", "/v1/exposure?vendor=nobody", "").status, 404);

    let mut gateway = gateway;
    gateway.begin_drain();
    until("it has ended", || gateway.is_drained());
    let main = gateway.fixture.main();
    let after = Process::start(&gateway.fixture);
    let told = after.admin(&gateway.fixture, "viewer", "GET", "/v1/exposure?vendor=acme", "").json();
    assert_eq!((&told["records"], &told["subjects"]["about"]), (&120.into(), &people.into()), "{main:?}");
}

#[test]
fn a_restart_does_not_refill_a_budget() {
    let crm = Upstream::json(&orders(5));
    let terms =
        format!("limits: {{ records: {{ budget: 5, window: 1h }}, requests: {{ rate: 3/h, burst: 3 }} }}\n{TERMS}");
    let fixture = GatewayFixture::of_acme(crm.address, &terms);
    for signal in ["TERM", "KILL"] {
        let mut process = Process::start(&fixture);
        let answer = client::get(process.ingress, "/v1/orders", &reader());
        match signal {
            "TERM" => assert_eq!(answer.status, 200),
            _ => assert_eq!((answer.status, answer.reason().as_str()), (429, "records_exceeded")),
        }
        process.signal(signal);
        process.ended();
    }
    let process = Process::start(&fixture);
    assert_eq!(client::get(process.ingress, "/v1/orders", &reader()).reason(), "records_exceeded");
}

#[test]
fn a_crash_loses_no_more_than_documented() {
    let crm = Upstream::json(&orders(5));
    let terms = format!("limits: {{ records: {{ budget: 5, window: 1h }} }}\n{TERMS}");
    let fixture = GatewayFixture::of_acme(crm.address, &terms);
    let mut process = Process::start(&fixture);
    assert_eq!(client::get(process.ingress, "/v1/orders", &reader()).status, 200);
    // What is older than this is on disk; one more second for the disk itself.
    std::thread::sleep(EXPOSURE_ROLL_INTERVAL.max(LEDGER_STORE_INTERVAL) + std::time::Duration::from_secs(1));
    process.signal("KILL");
    process.ended();
    let process = Process::start(&fixture);
    assert_eq!(client::get(process.ingress, "/v1/orders", &reader()).reason(), "records_exceeded");
    let told = process.admin(&fixture, "viewer", "GET", "/v1/exposure?vendor=acme", "").json();
    assert_eq!((&told["records"], &told["subjects"]["about"]), (&5.into(), &5.into()), "{told}");
    let trail = fixture.path().join("state/audit/audit.jsonl");
    assert!(verify(&trail).status.success(), "{}", said(&verify(&trail)));
}

#[test]
fn answers_carry_the_state_of_the_rate_limits() {
    let crm = Upstream::json("{\"orders\":[]}");
    let gateway =
        TestGateway::of_acme(crm.address, &format!("limits: {{ requests: {{ rate: 1/h, burst: 2 }} }}\n{TERMS}"));
    let first = gateway.get("/v1/orders", &reader());
    assert_eq!(first.status, 200);
    assert_eq!(first.field("ratelimit-policy"), Some(r#""vendor";q=2;w=7200"#));
    assert_eq!(first.field("ratelimit").map(|field| field.starts_with(r#""vendor";r=1;t="#)), Some(true));
    gateway.get("/v1/orders", &reader());
    let series = |limit: &str| format!(r#"vendorgate_limit_remaining_ratio{{vendor="acme",limit="{limit}"}}"#);
    let left = |limit: &str| gateway.series(&series(limit));
    assert!(left("requests") < 0.01 && left("records") > 0.99, "{} {}", left("requests"), left("records"));
    assert_eq!(gateway.metric("vendorgate_limit_remaining_ratio", &[r#"limit="subjects""#]), None, "no such limit");
    let refused = gateway.get("/v1/orders", &reader());
    assert_eq!((refused.status, refused.reason().as_str()), (429, "rate_limited"));
    assert_eq!(refused.field("ratelimit").map(|field| field.starts_with(r#""vendor";r=0;t="#)), Some(true));
    assert!(refused.field("retry-after").is_some());
}
