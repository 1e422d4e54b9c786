//! Where secrets come from: the environment, systemd and Vault, as the program itself is given them.

use std::process::Command;
use std::sync::{Arc, Mutex};

use super::{SECRET, authorization, gateway, get, put, terms};
use crate::support::client::{Client, request};
use crate::support::fixture::GatewayFixture;
use crate::support::process::Process;
use crate::support::until;
use crate::support::upstream::{Upstream, ok};

#[test]
fn secrets_come_from_the_environment_and_from_the_folder_of_systemd() {
    let vendor = Upstream::json("{}");
    let fixture = GatewayFixture::new(vendor.address);
    let folder = fixture.path().join("credentials");
    std::fs::create_dir(&folder).expect("a folder");
    put(&folder, "acme-token", "of-systemd-1\n");
    let of = |source: &str| terms(&vendor, &format!("{{ bearer: {{ secret: {{ {source} }} }} }}"));
    let fixture = fixture
        .contract("by-systemd", &of("systemd: acme-token"))
        .contract("by-environment", &of("env: VENDORGATE_TEST_TOKEN"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_vendorgate"));
    command.env("CREDENTIALS_DIRECTORY", &folder).env("VENDORGATE_TEST_TOKEN", SECRET);
    let process = Process::start_by(command, &fixture);
    let shown = |name: &str| {
        let mut client = Client::to(process.egress.expect("a listener"));
        assert_eq!(client.send(request("GET", &format!("/{name}/v2/things"), "", "")).answer().status, 200);
        authorization(&vendor.last()).concat()
    };
    assert_eq!(shown("by-environment"), format!("Bearer {SECRET}"));
    assert_eq!(shown("by-systemd"), "Bearer of-systemd-1");
    put(&folder, "acme-token", "of-systemd-2\n");
    until("the next one is used", || shown("by-systemd") == "Bearer of-systemd-2");
    let status = process.admin(&fixture, "viewer", "GET", "/v1/vendors/by-environment", "").json();
    assert_eq!(status["credential"]["secrets"][0]["source"], "env", "{status}");
    // Neither is set here, and the check says which.
    let checked =
        Command::new(env!("CARGO_BIN_EXE_vendorgate")).args(["check", "--config"]).arg(fixture.main()).output();
    let checked = checked.expect("it runs");
    let said = String::from_utf8_lossy(&[checked.stdout, checked.stderr].concat()).into_owned();
    assert!(said.contains("VENDORGATE_TEST_TOKEN") && said.contains("CREDENTIALS_DIRECTORY"), "{said}");
}

#[test]
fn the_token_of_a_vault_agent_is_read_for_each_question_and_the_namespace_is_named() {
    let agent = Arc::new(Mutex::new("hvs.first".to_owned()));
    let theirs = Arc::clone(&agent);
    let vault = Upstream::start(move |seen, asker| {
        let token = theirs.lock().expect("no panic").clone();
        let is_known = seen.field("x-vault-token") == Some(&*token);
        if !is_known || seen.field("x-vault-namespace") != Some("team/acme") {
            return asker.write(super::status(403, "", r#"{"errors":["permission denied"]}"#)).is_ok();
        }
        assert_eq!(seen.line(), "GET /v1/secret/data/acme HTTP/1.1");
        let metadata = r#"{"created_time":"2026-01-01T07:08:09.1Z","version":1}"#;
        asker
            .write(ok(
                "application/json",
                format!(r#"{{"data":{{"data":{{"key":"for-{token}"}},"metadata":{metadata}}}}}"#),
            ))
            .is_ok()
    });
    let vendor = Upstream::json("{}");
    let credentials = format!(
        "{{ bearer: {{ secret: {{ vault: {{ address: \"http://{}\", path: acme, key: key, namespace: team/acme, \
         refresh: 5s, token_file: ../token }} }} }} }}",
        vault.address
    );
    let gateway = gateway(&vendor, &credentials, &[("token", "hvs.first\n")]);
    assert_eq!(get(&gateway).status, 200);
    assert_eq!(authorization(&vendor.last()), ["Bearer for-hvs.first"]);
    // What was read stays in use while Vault does not know us, and is replaced once it does.
    "hvs.second".clone_into(&mut agent.lock().expect("no panic"));
    let error =
        || gateway.admin("viewer", "GET", "/v1/vendors/acme", "").json()["credential"]["secrets"][0]["error"].clone();
    until("Vault refuses the old token", || error().as_str().is_some_and(|error| error.contains("403")));
    assert_eq!(get(&gateway).status, 200);
    assert_eq!(authorization(&vendor.last()), ["Bearer for-hvs.first"]);
    put(gateway.fixture.path(), "token", "hvs.second\n");
    until("the agent's next token is used", || {
        assert_eq!(get(&gateway).status, 200);
        authorization(&vendor.last()) == ["Bearer for-hvs.second"]
    });
    assert!(error().is_null());
}
