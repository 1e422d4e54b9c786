//! The folder of a gateway of an earlier version, config and state, opened by this one: what was ordered then still
//! holds, what was promised still opens.
//!
//! `tests/versions` has a folder for each version that this one must follow. A release adds its own, made by the build
//! that is released: `VENDORGATE_VERSION_FOLDER=write cargo test --test gateway upgrades`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::fixture::GatewayFixture;
use crate::support::issuer::{reader, vendor};
use crate::support::process::Process;
use crate::support::upstream::Upstream;
use crate::support::{client, until};

/// What the folders have in place of the address of the internal API.
const CRM: &str = "127.0.0.1:1";
const RAW: &str = "ann@example.com";
const KEPT: [&str; 4] = ["vendorgate.yaml", "contracts", "state", "master.key"];

const TERMS: &str = r#"limits: { requests: { rate: 100/s, burst: 200 }, records: { budget: 100, window: 1h } }
ingress:
  - route: GET /v1/orders
    scopes: [orders:read]
    upstream: crm
    records: "$.orders[*]"
    response: { pii: [ { field: "$.orders[*].email", as: tokenize } ] }
  - { route: "GET /v1/invoices/{id}", scopes: [orders:read], upstream: crm }
"#;

fn crm() -> Upstream {
    Upstream::json(&format!(r#"{{"orders":[{{"email":"{RAW}"}}]}}"#))
}

fn versions() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/versions")
}

fn copy(from: &Path, to: &Path) {
    if from.is_file() {
        fs::copy(from, to).expect("copied");
        // A repository keeps no modes, and keys of others' making are refused.
        fs::set_permissions(to, fs::Permissions::from_mode(0o600)).expect("a mode");
        return;
    }
    fs::create_dir_all(to).expect("a folder");
    fs::set_permissions(to, fs::Permissions::from_mode(0o700)).expect("a mode");
    for entry in fs::read_dir(from).expect("a folder").map(|entry| entry.expect("an entry")) {
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}

fn client_of(vendor_name: &str, client: &str) -> String {
    vendor(vendor_name).claim("client_id", client.into()).claim("sub", client.into()).scope("orders:read").token()
}

fn ended(mut process: Process) {
    process.signal("TERM");
    assert!(process.ended().success());
}

/// Plays what leaves a mark in every table, and keeps the folder.
fn write(folder: &Path) {
    let crm = crm();
    let clients = TERMS.to_owned()
        + "identity:\n  issuer: https://id.example.com\n  audience: https://api.example.com\n  clients: [acme-client, other-client]\n  jwks: { file: ../jwks.json }\n  algorithms: [ES256, RS256]\n  rotation: { max_lifetime: 1h, max_age: 1h, superseded_grace: 1m }\n";
    let fixture = ["bolt", "cargo"]
        .into_iter()
        .fold(GatewayFixture::of_acme(crm.address, &clients), |all, name| all.contract(name, TERMS));
    let process = Process::start(&fixture);
    let token = client::get(process.ingress, "/v1/orders", &reader());
    let token = token.json()["orders"][0]["email"].as_str().expect("a token").to_owned();
    for (path, order) in [
        ("bolt/kill", json!({ "reason": "a breach" })),
        ("acme/kill", json!({ "reason": "a leak", "route": "GET /v1/invoices/{id}" })),
        ("acme/revocations", json!({ "reason": "a thief", "client": "other-client" })),
        ("acme/revocations", json!({ "reason": "a stolen token", "jti": "t" })),
        ("acme/revocations/lift", json!({ "reason": "found again", "jti": "t" })),
        ("cargo/kill", json!({ "reason": "the contract ends", "at": "2031-01-01T00:00:00Z" })),
    ] {
        let answer = process.admin(&fixture, "admin", "POST", &format!("/v1/vendors/{path}"), &order.to_string());
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    ended(process);
    fs::remove_dir_all(folder).ok();
    fs::create_dir_all(folder).expect("a folder");
    for name in KEPT {
        copy(&fixture.path().join(name), &folder.join(name));
    }
    let main = fs::read_to_string(fixture.main()).expect("a file").replace(&crm.address.to_string(), CRM);
    fs::write(folder.join("vendorgate.yaml"), main).expect("written");
    fs::write(folder.join("expected.json"), json!({ "token": token, "value": RAW }).to_string()).expect("written");
}

/// The folder as a gateway of this version finds it after the upgrade, with today's issuer, operators and API.
fn upgraded(folder: &Path, crm: &Upstream) -> GatewayFixture {
    let fixture = GatewayFixture::new(crm.address);
    for name in KEPT {
        copy(&folder.join(name), &fixture.path().join(name));
    }
    let main = fs::read_to_string(fixture.main()).expect("a file").replace(CRM, &crm.address.to_string());
    fs::write(fixture.main(), main).expect("written");
    fixture
}

fn check(folder: &Path) {
    let crm = crm();
    let fixture = upgraded(folder, &crm);
    let process = Process::start(&fixture);
    let get = |path: &str, token: &str| client::get(process.ingress, path, token);
    let of = |name: &str| vendor(name).scope("orders:read").token();
    assert_eq!(get("/v1/orders", &of("bolt")).reason(), "vendor_killed");
    assert_eq!(get("/v1/invoices/7", &of("acme")).reason(), "vendor_killed");
    assert_eq!(get("/v1/orders", &client_of("acme", "other-client")).reason(), "token_revoked");
    assert_eq!(get("/v1/orders", &of("acme")).status, 200, "a revocation that was lifted stays so");
    assert_eq!(get("/v1/orders", &of("cargo")).status, 200);
    let admin = |role: &str, path: &str, body: &Value| {
        let (method, body) = if body.is_null() { ("GET", String::new()) } else { ("POST", body.to_string()) };
        let answer = process.admin(&fixture, role, method, path, &body);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    };
    let scheduled = admin("viewer", "/v1/scheduled-kills", &Value::Null);
    assert_eq!(scheduled["scheduled"][0]["vendor"], "cargo", "{scheduled}");
    let expected = fs::read(folder.join("expected.json")).expect("a file");
    let expected: Value = serde_json::from_slice(&expected).expect("JSON");
    let revealed = admin("privacy", "/v1/reveal", &json!({ "token": expected["token"], "reason": "an upgrade" }));
    assert_eq!(revealed["value"], expected["value"], "{revealed}");
    let again = get("/v1/orders", &of("acme")).json();
    assert_eq!(again["orders"][0]["email"], expected["token"], "the same value has the same token");
    let left = admin("viewer", "/v1/exposure?vendor=acme", &Value::Null);
    assert_eq!(left["vendor"], "acme", "{left}");
    until("the status is read", || admin("viewer", "/v1/vendors", &Value::Null)["vendors"].as_array().is_some());
    ended(process);
    let verified = std::process::Command::new(env!("CARGO_BIN_EXE_vendorgate"))
        .args(["audit", "verify", "--key"])
        .arg(fixture.path().join("state/audit.key"))
        .arg(fixture.path().join("state/audit/audit.jsonl"))
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&[verified.stdout, verified.stderr].concat()).into_owned();
    assert!(verified.status.success(), "{said}");
}

#[test]
fn a_folder_of_an_earlier_version_is_opened_and_all_that_was_ordered_holds() {
    if std::env::var("VENDORGATE_VERSION_FOLDER").is_ok_and(|how| how == "write") {
        write(&versions().join(env!("CARGO_PKG_VERSION")));
    }
    let folders: Vec<_> = fs::read_dir(versions()).expect("a folder").map(|entry| entry.expect("one").path()).collect();
    assert!(!folders.is_empty(), "no version is there to upgrade from");
    for folder in folders {
        check(&folder);
    }
}
