//! Revealing tokens: our side gets the values, a vendor never does; also after key rotations, and never after a shred.

use std::fs;
use std::path::Path;

use vendorgate::internals::model::VendorId;
use vendorgate::pii::keys::{SaltFolder, rotate_key_file};

use crate::support::client::{Answer, Client, request};
use crate::support::fixture::GatewayFixture;
use crate::support::issuer::{reader, vendor};
use crate::support::test_gateway::TestGateway;
use crate::support::upstream::{Upstream, ok};

const RAW: &str = "zq7kv9xw2jb5@yp4nt8rm.example";

fn terms(theirs: &Upstream) -> String {
    format!(
        r#"limits: {{ requests: {{ rate: 100000/s }} }}
ingress:
  - route: GET /v1/orders
    scopes: [orders:read]
    upstream: crm
    response: {{ pii: [ {{ field: "$.email", as: tokenize }} ] }}
  - route: POST /v1/orders
    scopes: [orders:write]
    upstream: crm
    request: {{ reveal: ["$.email", "$.any"] }}
egress:
  upstream: {{ url: "http://{}", allow_networks: ["127.0.0.0/8"] }}
  routes:
    - route: POST /v2/events
      request: {{ pii: [ {{ field: "$.email", as: tokenize }} ] }}
      response: {{ reveal: ["$.email"] }}
"#,
        theirs.address
    )
}

/// Our API, which always answers with the raw value.
fn ours() -> Upstream {
    Upstream::json(&format!(r#"{{"email":"{RAW}"}}"#))
}

/// A vendor's API, which sends back twice what it was sent.
fn echo() -> Upstream {
    Upstream::start(|seen, asker| {
        let sent: serde_json::Value = serde_json::from_slice(&seen.body).expect("JSON");
        let back = serde_json::json!({ "email": sent["email"], "other": sent["email"] });
        asker.write(ok("application/json", back.to_string())).is_ok()
    })
}

/// The token that the vendor gets for the raw value.
fn token(gateway: &TestGateway, name: &str) -> String {
    let answer = gateway.get("/v1/orders", &vendor(name).scope("orders:read").token());
    assert!(!answer.holds("zq7kv9"), "{}", answer.text());
    answer.json()["email"].as_str().unwrap_or_else(|| panic!("no token: {}", answer.text())).to_owned()
}

/// The vendor sends a body; returns the body that reaches our API.
fn sends(gateway: &TestGateway, crm: &Upstream, body: &str) -> String {
    let token = vendor("acme").scope("orders:write").token();
    let answer = Client::to(gateway.ingress()).send(request("POST", "/v1/orders", &token, body)).answer();
    assert_eq!(answer.status, 200, "{}", answer.text());
    String::from_utf8(crm.last().body).expect("text")
}

fn reveal(gateway: &TestGateway, role: &str, token: &str) -> Answer {
    gateway.admin(role, "POST", "/v1/reveal", &format!(r#"{{"token":"{token}","reason":"ticket 4711"}}"#))
}

fn reload(gateway: &TestGateway) {
    let answer = gateway.admin("admin", "POST", "/v1/reload", "{}");
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Whether a piece of the raw value is in any file of a folder.
fn is_on_disk(folder: &Path) -> bool {
    fs::read_dir(folder).expect("a folder").any(|entry| {
        let path = entry.expect("an entry").path();
        let holds = |bytes: Vec<u8>| bytes.windows(6).any(|piece| piece == b"zq7kv9");
        if path.is_dir() { is_on_disk(&path) } else { fs::read(&path).is_ok_and(holds) }
    })
}

#[test]
fn tokens_in_a_vendors_answer_are_revealed_in_the_listed_fields() {
    let (crm, theirs) = (ours(), echo());
    let gateway = TestGateway::of_acme(crm.address, &terms(&theirs));
    let body = format!(r#"{{"email":"{RAW}"}}"#);
    let answer = Client::to(gateway.egress()).send(request("POST", "/acme/v2/events", "", &body)).answer();
    let sent = String::from_utf8(theirs.last().body).expect("text");
    assert!(sent.contains("tok1_") && !sent.contains("zq7kv9"), "{sent}");
    let json = answer.json();
    assert_eq!(json["email"], RAW);
    assert!(json["other"].as_str().is_some_and(|other| other.starts_with("tok1_")), "{json}");
    assert!(gateway.series(r#"vendorgate_pii_values_total{vendor="acme",direction="egress",route="POST /v2/events",treatment="reveal"}"#) >= 1.0);
}

#[test]
fn tokens_in_a_vendors_request_are_revealed_in_the_listed_fields_only() {
    let (crm, theirs) = (ours(), echo());
    let fixture = GatewayFixture::of_acme(crm.address, &terms(&theirs)).contract("other", &terms(&theirs));
    let gateway = TestGateway::start(fixture);
    let (own, foreign) = (token(&gateway, "acme"), token(&gateway, "other"));
    assert_ne!(own, foreign);
    let seen = sends(&gateway, &crm, &format!(r#"{{"email":"{own}","note":"{own}","any":"to {own}, thanks"}}"#));
    assert_eq!(seen, format!(r#"{{"email":"{RAW}","note":"{own}","any":"to {RAW}, thanks"}}"#));
    let forged = format!("{}{}", &own[..own.len() - 1], if own.ends_with('A') { 'B' } else { 'A' });
    for left in [foreign.as_str(), &forged, &own[..own.len() - 2], "tok1_"] {
        let body = format!(r#"{{"email":"{left}"}}"#);
        assert_eq!(sends(&gateway, &crm, &body), body);
    }
    let counted = |result| gateway.series(&format!(r#"vendorgate_reveals_total{{vendor="acme",result="{result}"}}"#));
    let expected = [("opened", 2.0), ("foreign", 1.0), ("forged", 1.0), ("malformed", 2.0), ("unknown_key", 0.0)];
    assert_eq!(expected.map(|(result, _)| (result, counted(result))), expected);
    reload(&gateway);
    assert_eq!(expected.map(|(result, _)| (result, counted(result))), expected, "a reload forgets nothing");
}

#[test]
fn after_a_rotation_the_new_key_writes_and_the_old_one_still_reads() {
    let (crm, theirs) = (ours(), echo());
    let gateway = TestGateway::of_acme(crm.address, &terms(&theirs));
    let old = token(&gateway, "acme");
    assert_eq!(rotate_key_file(&gateway.fixture.path().join("master.key")).expect("rotated").number(), 2);
    assert_eq!(token(&gateway, "acme"), old, "until the reload the old version writes");
    reload(&gateway);
    let new = token(&gateway, "acme");
    assert_ne!(new, old);
    for token in [&old, &new] {
        let seen = sends(&gateway, &crm, &format!(r#"{{"email":"{token}"}}"#));
        assert_eq!(seen, format!(r#"{{"email":"{RAW}"}}"#));
        assert_eq!(reveal(&gateway, "privacy", token).json()["value"], RAW);
    }
}

#[test]
fn a_shredded_vendors_tokens_never_open_again_and_others_do() {
    let (crm, theirs) = (ours(), echo());
    let fixture = GatewayFixture::of_acme(crm.address, &terms(&theirs)).contract("other", &terms(&theirs));
    let gateway = TestGateway::start(fixture);
    let (lost, kept) = (token(&gateway, "acme"), token(&gateway, "other"));
    let salts = SaltFolder::new(gateway.fixture.path().join("state/salts"));
    assert!(salts.shred(&VendorId::parse("acme").expect("an id")).expect("shredded"));
    reload(&gateway);
    let body = format!(r#"{{"email":"{lost}"}}"#);
    assert_eq!(sends(&gateway, &crm, &body), body);
    let refused = reveal(&gateway, "privacy", &lost);
    assert_eq!((refused.status, refused.reason().as_str()), (404, "token_unopened"));
    assert_eq!(reveal(&gateway, "privacy", &kept).json()["value"], RAW);
    assert_ne!(token(&gateway, "acme"), lost, "new values go on, under a new salt");
}

#[test]
fn a_lost_salt_stops_a_reload_but_not_the_gateway() {
    let (crm, theirs) = (ours(), echo());
    let gateway = TestGateway::of_acme(crm.address, &terms(&theirs));
    let before = token(&gateway, "acme");
    let salt = gateway.fixture.path().join("state/salts/acme.salt");
    let kept = fs::read(&salt).expect("a salt");
    for damage in [None, Some(&b"damaged"[..])] {
        fs::remove_file(&salt).unwrap_or_default();
        if let Some(bytes) = damage {
            private_file(&salt, bytes);
        }
        let refused = gateway.admin("admin", "POST", "/v1/reload", "{}");
        assert!(refused.status >= 400 && refused.text().contains("keys shred acme"), "{}", refused.text());
        assert_eq!(token(&gateway, "acme"), before, "what is in force goes on");
    }
    fs::remove_file(&salt).expect("removed");
    private_file(&salt, &kept);
    reload(&gateway);
    assert_eq!(token(&gateway, "acme"), before);
}

#[test]
fn key_commands_are_audited_with_actor_and_reason() {
    let (crm, theirs) = (ours(), echo());
    let gateway = TestGateway::of_acme(crm.address, &terms(&theirs));
    let (before, folder) = (token(&gateway, "acme"), gateway.fixture.path());
    let keys = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_vendorgate"));
        let status = command.arg("keys").args(arguments).args(["--by", "carol", "--reason", "ticket 4711"]).status();
        assert!(status.expect("the program runs").success());
    };
    keys(&["rotate", "--file", folder.join("master.key").to_str().expect("text")]);
    keys(&["shred", "acme", "--yes", "--state", folder.join("state").to_str().expect("text")]);
    assert_eq!(token(&gateway, "acme"), before, "until the reload the old keys hold");
    reload(&gateway);
    assert_ne!(token(&gateway, "acme"), before);
    assert_eq!(reveal(&gateway, "privacy", &before).status, 404, "its salt is gone for good");
    let trail = gateway.admin("viewer", "GET", "/v1/audit", "").json();
    let acts = trail["entries"].as_array().expect("entries").iter().filter(|entry| entry["act"] == "keys");
    let acts: Vec<_> =
        acts.map(|it| ["actor", "subject", "reason"].map(|key| it[key].as_str().unwrap_or(""))).collect();
    assert_eq!(acts, [["shell:carol", "master", "ticket 4711"], ["shell:carol", "acme", "ticket 4711"]]);
}

fn private_file(path: &Path, bytes: &[u8]) {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path).expect("a new file");
    std::io::Write::write_all(&mut file, bytes).expect("written");
}

#[test]
fn a_token_is_revealed_to_the_privacy_role_and_audited_without_its_value() {
    let (crm, theirs) = (ours(), echo());
    let gateway = TestGateway::of_acme(crm.address, &terms(&theirs));
    let token = token(&gateway, "acme");
    let answer = reveal(&gateway, "privacy", &token);
    assert_eq!(answer.json(), serde_json::json!({ "vendor": "acme", "value": RAW }));
    for role in ["viewer", "operator", "admin"] {
        let refused = reveal(&gateway, role, &token);
        assert_eq!((refused.status, refused.reason().as_str()), (403, "role_too_low"), "{role}");
    }
    for body in [r#"{"token":"x"}"#, r#"{"token":"","reason":"x"}"#, r#"{"token":"x","reason":""}"#, "{}"] {
        assert_eq!(gateway.admin("privacy", "POST", "/v1/reveal", body).status, 400, "{body}");
    }
    let forged = reveal(&gateway, "privacy", "tok1_dabcd");
    assert_eq!((forged.status, forged.reason().as_str()), (404, "token_unopened"));
    let trail = gateway.admin("viewer", "GET", "/v1/audit", "").json();
    let acts = trail["entries"].as_array().expect("entries").iter().filter(|entry| entry["act"] == "reveal");
    let acts: Vec<_> = acts.map(|it| (it["actor"].as_str(), it["subject"].as_str(), it["reason"].as_str())).collect();
    let line = |subject| (Some("privacy"), Some(subject), Some("ticket 4711"));
    assert_eq!(acts, [line("acme"), line("-")]);
    assert!(!trail.to_string().contains("zq7kv9") && !trail.to_string().contains(&token));
    assert!(!is_on_disk(gateway.fixture.path()));
    assert!(gateway.get("/v1/orders", &reader()).status == 200);
}
