//! What kills and restores a vendor: circuit breakers, drills, approvals, hooks, the contract's end.

use crate::support::client::{self, Client, request};
use crate::support::fixture::GatewayFixture;
use crate::support::issuer::{reader, vendor};
use crate::support::process::Process;
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::{CHUNKED, Upstream};

use vendorgate::internals::model::Clock;

const ROUTES: &str = "ingress:
  - { route: GET /v1/orders, scopes: [orders:read], upstream: crm }
  - { route: POST /v1/orders, scopes: [orders:write], upstream: crm }
  - { route: GET /v1/live, scopes: [orders:read], upstream: crm, websocket: true }
";

const WHY: &str = r#"{"reason":"ticket 4711"}"#;

fn status(gateway: &TestGateway) -> serde_json::Value {
    gateway.admin("viewer", "GET", "/v1/vendors/acme", "").json()
}

/// The day this many days from now.
fn day(offset: i64) -> String {
    let now = Clock::system().now().wall.as_millis();
    let then = now.saturating_add_signed(offset * 86_400_000);
    vendorgate::internals::model::UnixTime::from_millis(then).to_string()[..10].to_owned()
}

#[test]
fn a_burst_of_denials_kills_the_vendor_and_is_audited() {
    let crm = Upstream::json("{}");
    let gateway = TestGateway::of_acme(crm.address, &format!("trip: {{ denials: 3, window: 1m }}\n{ROUTES}"));
    // Forged tokens in a vendor's name are a stranger's doing and must not count against the vendor.
    let forged = format!("{}x", reader());
    (0..5).for_each(|_| assert_eq!(gateway.get("/v1/orders", &forged).status, 401));
    assert_eq!(gateway.get("/v1/orders", &reader()).status, 200);
    let probing = vendor("acme").token();
    (0..3).for_each(|_| assert_eq!(gateway.get("/v1/orders", &probing).reason(), "scope_missing"));
    assert_eq!(gateway.get("/v1/orders", &reader()).reason(), "vendor_killed");
    let status = status(&gateway);
    assert_eq!((&status["state"], &status["kills"][0]["by"]), (&"killed".into(), &"vendorgate".into()), "{status}");
    assert_eq!(gateway.series(r#"vendorgate_tripped{vendor="acme"}"#), 1.0);
    assert_eq!(status["last_denial"]["reason"], "vendor_killed");
    // The gateway's own kill does not wait for the disk, so its audit line may come a moment later.
    let mut kill = None;
    until("the kill is in the trail", || {
        let trail = gateway.admin("viewer", "GET", "/v1/audit", "").json();
        kill = trail["entries"]
            .as_array()
            .and_then(|entries| entries.iter().find(|entry| entry["act"] == "kill").cloned());
        kill.is_some()
    });
    assert_eq!(kill.expect("a kill")["detail"]["evidence"][0]["kind"], "denial_burst");
    assert_eq!(gateway.admin("admin", "POST", "/v1/vendors/acme/restore", WHY).status, 200);
    assert_eq!(gateway.series(r#"vendorgate_tripped{vendor="acme"}"#), 0.0);
    assert_eq!(gateway.get("/v1/orders", &reader()).status, 200, "what it was denied before is forgotten");
    assert_eq!(gateway.get("/v1/orders", &probing).reason(), "scope_missing");
    assert_eq!(gateway.get("/v1/orders", &reader()).status, 200);
}

#[test]
fn a_restore_can_need_two_people() {
    let crm = Upstream::json("{}");
    let gateway = TestGateway::of_acme(crm.address, &format!("restore: {{ approvals: 2 }}\n{ROUTES}"));
    assert_eq!(gateway.admin("operator", "POST", "/v1/vendors/acme/kill", WHY).status, 200);
    for _ in 0..2 {
        // Two approvals of one person count once.
        let answer = gateway.admin("admin", "POST", "/v1/vendors/acme/restore", WHY).json();
        assert_eq!((&answer["state"], &answer["lifted"]), (&"killed".into(), &0.into()), "{answer}");
        assert_eq!((&answer["approvals"]["given"], &answer["approvals"]["needed"]), (&1.into(), &2.into()));
    }
    assert_eq!(gateway.get("/v1/orders", &reader()).reason(), "vendor_killed");
}

#[test]
fn one_order_kills_or_restores_all_vendors_and_a_dry_run_changes_nothing() {
    let crm = Upstream::start(|_, asker| {
        let _ = asker.write(CHUNKED);
        let _ = asker.gone();
        false
    });
    let gateway = TestGateway::start(GatewayFixture::of_acme(crm.address, ROUTES).contract("bravo", ROUTES));
    let mut stream = Client::to(gateway.ingress());
    stream.send(request("GET", "/v1/orders", &reader(), ""));
    assert_eq!(stream.head().status, 200);
    let dry = r#"{"reason":"would it hurt?","dry_run":true}"#;
    for path in ["/v1/vendors/acme/kill", "/v1/kill"] {
        let preview = gateway.admin("operator", "POST", path, dry).json();
        assert_eq!((&preview["ingress"], &preview["state"]), (&1.into(), &"live".into()), "{preview}");
    }
    assert_eq!(gateway.admin("admin", "POST", "/v1/vendors/acme/restore", dry).status, 400);
    let all = gateway.admin("operator", "POST", "/v1/kill", WHY).json();
    let severed: Vec<_> = all["vendors"].as_array().expect("vendors").iter().map(|one| &one["severed"]).collect();
    assert_eq!(severed, [&serde_json::json!(1), &serde_json::json!(0)], "{all}");
    let bravo = vendor("bravo").scope("orders:read").token();
    assert_eq!(gateway.get("/v1/orders", &bravo).reason(), "vendor_killed");
    // The kill of every vendor also covers a vendor that is added later.
    gateway.fixture.write_contract("charlie", ROUTES);
    assert_eq!(gateway.admin("admin", "POST", "/v1/reload", "{}").status, 200);
    assert_eq!(gateway.get("/v1/orders", &vendor("charlie").scope("orders:read").token()).reason(), "vendor_killed");
    assert_eq!(gateway.admin("admin", "POST", "/v1/restore", WHY).json()["state"], "live");
    until("nothing is killed", || gateway.series(r#"vendorgate_killed{vendor="acme"}"#) == 0.0);
    let mut again = Client::to(gateway.ingress());
    again.send(request("GET", "/v1/orders", &bravo, ""));
    assert_eq!(again.head().status, 200);
}

#[test]
fn an_overdue_drill_is_reported_until_it_is_done() {
    let crm = Upstream::json("{}");
    let gateway = TestGateway::of_acme(crm.address, &format!("drills: {{ every: 30d }}\n{ROUTES}"));
    let series = r#"vendorgate_drill_overdue{vendor="acme"}"#;
    assert_eq!((status(&gateway)["drill_overdue"].as_bool(), gateway.series(series)), (Some(true), 1.0));
    assert_eq!(gateway.admin("operator", "POST", "/v1/vendors/acme/drill", r#"{"shadow":true}"#).status, 200);
    assert_eq!((status(&gateway)["drill_overdue"].as_bool(), gateway.series(series)), (Some(false), 0.0));
    assert!(status(&gateway)["last_drill"].is_string());
}

#[test]
fn after_a_contracts_end_only_reads_pass_for_the_grace_and_then_nothing() {
    let crm = Upstream::json("{}");
    let writer = vendor("acme").scope("orders:write").token();
    for (ended, read, state) in [(-2, 200, "read_only"), (-8, 403, "ended")] {
        let terms = format!("ends: {}\nafter_end: read_only\ngrace: 5d\n{ROUTES}", day(ended));
        let gateway = TestGateway::of_acme(crm.address, &terms);
        assert_eq!(gateway.get("/v1/orders", &reader()).status, read, "{ended}");
        let mut client = Client::to(gateway.ingress());
        client.send(request("POST", "/v1/orders", &writer, "{}"));
        assert_eq!(client.answer().reason(), "contract_ended");
        let socket = "\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
        client.send(request("GET", "/v1/live", &reader(), "").replace("\r\n\r\n", socket));
        assert_eq!(client.answer().reason(), "contract_ended", "nobody knows what goes over a WebSocket");
        assert_eq!(status(&gateway)["state"], state);
    }
}

#[test]
fn the_calendar_is_enforced_and_reported() {
    let crm = Upstream::json("{}");
    // Days, further terms, and the resulting answer, state and days left.
    for (starts, ends, more, answer, state, left) in [
        (1, 30, "", "contract_not_started", "not_started", 31),
        (-1, 0, "", "", "live", 1),
        (-1, 5, "", "", "live", 6),
        (-9, -1, "", "contract_ended", "ended", 0),
        (-9, -1, "after_end: block\n", "contract_ended", "ended", 0),
        (-1, 30, "mode: draft\n", "contract_not_started", "not_started", 31),
    ] {
        let what = format!("{starts} {ends} {more}");
        let terms = format!("starts: {}\nends: {}\n{more}{ROUTES}", day(starts), day(ends));
        let gateway = TestGateway::of_acme(crm.address, &terms);
        let got = gateway.get("/v1/orders", &reader());
        let reason = if got.status == 200 { String::new() } else { got.reason() };
        assert_eq!(reason, answer, "{what}");
        let status = status(&gateway);
        assert_eq!((&status["state"], &status["days_left"]), (&state.into(), &left.into()), "{what}: {status}");
        let end = gateway.series(r#"vendorgate_contract_end_timestamp_seconds{vendor="acme"}"#);
        let days = (end - (Clock::system().now().wall.as_millis() / 1000) as f64) / 86_400.0;
        assert!((days.ceil() - f64::from(left)).abs() < 0.5, "{what}: {days}");
    }
}

#[test]
fn a_slow_scraper_is_cut_off_at_the_budget_of_people() {
    let crm = Upstream::start(|seen, asker| {
        let id = seen.line().split(['/', ' ']).nth(3).unwrap_or_default().to_owned();
        asker
            .write(crate::support::upstream::ok("application/json", format!(r#"{{"people":[{{"id":"{id}"}}]}}"#)))
            .is_ok()
    });
    let terms = r#"limits: { requests: { rate: 100000/s }, subjects: { budget: 50, window: 1h, over: kill } }
ingress:
  - route: "GET /v1/{id}"
    scopes: [orders:read]
    upstream: crm
    records: "$.people[*]"
    subject: "$.people[*].id"
"#;
    let gateway = TestGateway::of_acme(crm.address, terms);
    let mut client = Client::to(gateway.ingress());
    // The same few people again and again are no enumeration.
    for round in 0..200 {
        assert_eq!(client.get(&format!("/v1/p{}", round % 20), &reader()).status, 200);
    }
    let left = gateway.series(r#"vendorgate_limit_remaining_ratio{vendor="acme",limit="subjects"}"#);
    assert!((0.5..0.7).contains(&left), "20 of 50 are used, and {left} is left");
    // The answer is cut in the middle, so its connection is closed too.
    let seen = (20..80).find(|new| gateway.get(&format!("/v1/p{new}"), &reader()).status != 200).expect("a cut");
    assert!((45..=60).contains(&seen), "{seen} of about 50");
    assert_eq!(gateway.get("/v1/p1", &reader()).reason(), "vendor_killed");
    let status = status(&gateway);
    assert_eq!((&status["state"], &status["kills"][0]["by"]), (&"killed".into(), &"vendorgate".into()), "{status}");
}

#[test]
fn a_drill_severs_live_requests_and_a_shadow_drill_does_not() {
    let crm = Upstream::start(|_, asker| {
        let _ = asker.write(CHUNKED);
        let _ = asker.gone();
        false
    });
    let gateway = TestGateway::of_acme(crm.address, ROUTES);
    let mut streams: Vec<Client> = (0..5).map(|_| Client::to(gateway.ingress())).collect();
    for stream in &mut streams {
        stream.send(request("GET", "/v1/orders", &reader(), ""));
        assert_eq!(stream.head().status, 200);
    }
    let drill = |body| gateway.admin("operator", "POST", "/v1/vendors/acme/drill", body).json();
    let shadow = drill(r#"{"shadow":true}"#);
    assert_eq!((&shadow["severed"], &shadow["state"], &shadow["shadow"]), (&5.into(), &"live".into(), &true.into()));
    assert_eq!(gateway.in_flight(), 5, "nothing of the vendor's was cut");
    let real = drill(r#"{"reason":"quarterly"}"#);
    assert_eq!((&real["severed"], &real["state"], &real["persisted"]), (&5.into(), &"live".into(), &true.into()));
    let micros = |key: &str| real[key].as_u64().expect("micros");
    assert!(micros("refuse_micros") <= micros("sever_micros") && micros("persist_micros") > 0, "{real}");
    streams.iter_mut().for_each(|stream| assert!(stream.is_closed()));
    let mut again = Client::to(gateway.ingress());
    again.send(request("GET", "/v1/orders", &reader(), ""));
    assert_eq!(again.head().status, 200, "it is back");
    let trail = gateway.admin("viewer", "GET", "/v1/audit", "").json();
    let drills = trail["entries"].as_array().expect("entries").iter().filter(|entry| entry["act"] == "drill");
    let told = drills.map(|entry| (entry["reason"].as_str(), entry["detail"]["outcome"]["severed"].as_u64()));
    assert_eq!(told.collect::<Vec<_>>(), [(Some("drill"), Some(5)), (Some("quarterly"), Some(5))], "{trail}");
}

#[test]
fn hooks_are_called_for_kills_and_restores_and_the_result_is_audited() {
    let crm = Upstream::json("{}");
    let pager = Upstream::saying("HTTP/1.1 204 No Content\r\n\r\n");
    let fixture = GatewayFixture::of_acme(crm.address, ROUTES);
    let (secret, note) = (fixture.path().join("secret"), fixture.path().join("note"));
    std::fs::write(&secret, "whsec_c2VjcmV0IHNlY3JldCBzZWNyZXQ=\n").expect("written");
    let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o600);
    std::fs::set_permissions(&secret, mode).expect("mode");
    let hooks = format!(
        "hooks:\n  - {{ name: pager, webhook: {{ url: \"http://{}/hook\", secret_file: secret }} }}\n  \
         - {{ name: tunnel, on: [kill], command: [/usr/bin/tee, \"{}\"] }}\n",
        pager.address,
        note.display()
    );
    let gateway = TestGateway::start(fixture.with(&hooks));
    assert_eq!(gateway.admin("operator", "POST", "/v1/vendors/acme/kill", WHY).status, 200);
    assert_eq!(gateway.admin("admin", "POST", "/v1/vendors/acme/restore", WHY).status, 200);
    until("the pager hears of both", || pager.seen().len() == 2);
    let told = pager.seen();
    let events: Vec<serde_json::Value> =
        told.iter().map(|seen| serde_json::from_slice(&seen.body).expect("JSON")).collect();
    assert_eq!((&events[0]["act"], &events[1]["act"]), (&"kill".into(), &"restore".into()));
    assert!(told[0].field("webhook-signature").is_some_and(|signature| signature.starts_with("v1,")), "{told:?}");
    until("the command has the event", || std::fs::read_to_string(&note).is_ok_and(|text| text.contains("\"kill\"")));
    until("it is audited", || {
        let trail = gateway.admin("viewer", "GET", "/v1/audit", "").json();
        let entries = trail["entries"].as_array().expect("entries").clone();
        entries.iter().filter(|entry| entry["act"] == "hook").count() == 3
    });
}

#[test]
fn an_undelivered_hook_is_sent_after_a_restart() {
    let crm = Upstream::json("{}");
    let fixture = GatewayFixture::of_acme(crm.address, ROUTES);
    let note = fixture.path().join("later/note");
    let hook = format!("hooks:\n  - {{ name: tunnel, command: [/usr/bin/tee, \"{}\"] }}\n", note.display());
    let fixture = fixture.with(&hook);
    let mut process = Process::start(&fixture);
    assert_eq!(process.admin(&fixture, "operator", "POST", "/v1/vendors/acme/kill", WHY).status, 200);
    process.signal("KILL");
    process.ended();
    std::fs::create_dir(fixture.path().join("later")).expect("a folder");
    let process = Process::start(&fixture);
    until("it is told", || std::fs::read_to_string(&note).is_ok_and(|text| text.contains("\"kill\"")));
    assert_eq!(client::get(process.ingress, "/v1/orders", &reader()).reason(), "vendor_killed");
}
