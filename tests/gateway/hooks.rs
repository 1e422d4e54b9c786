//! Hooks of the running product: they are called for each event and never delay it.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::support::client::{self};
use crate::support::fixture::GatewayFixture;
use crate::support::issuer::reader;
use crate::support::process::Process;
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::{ReceivedRequest, Upstream};

const ROUTES: &str = "ingress:\n  - { route: GET /v1/orders, scopes: [orders:read], upstream: crm }\n";
const WHY: &str = r#"{"reason":"ticket 4711"}"#;
const NO_CONTENT: &str = "HTTP/1.1 204 No Content\r\n\r\n";
const SECRET: &str = "secret secret secret";

/// A fixture whose pager is a hook, with the hook's secret.
fn fixture(crm: &Upstream, pager: &Upstream) -> GatewayFixture {
    let fixture = GatewayFixture::of_acme(crm.address, ROUTES);
    let path = fixture.path().join("secret");
    std::fs::write(&path, format!("whsec_{}\n", STANDARD.encode(SECRET))).expect("written");
    let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o600);
    std::fs::set_permissions(&path, mode).expect("mode");
    let url = format!("http://{}/hook", pager.address);
    fixture.with(&format!("hooks:\n  - {{ name: pager, webhook: {{ url: \"{url}\", secret_file: secret }} }}\n"))
}

/// Verifies a webhook as its receiver would (Standard Webhooks 1.0).
fn is_signed(seen: &ReceivedRequest) -> bool {
    let field = |name: &str| seen.field(name).unwrap_or_default().to_owned();
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any length");
    mac.update(format!("{}.{}.", field("webhook-id"), field("webhook-timestamp")).as_bytes());
    mac.update(&seen.body);
    field("webhook-signature") == format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

fn outcomes(entries: &serde_json::Value) -> Vec<String> {
    let hooks = entries["entries"].as_array().expect("entries").iter().filter(|entry| entry["act"] == "hook");
    hooks.map(|entry| entry["detail"]["outcome"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_failed_webhook_is_sent_again_with_the_same_id_and_a_valid_signature() {
    let crm = Upstream::json("{}");
    let failures = AtomicUsize::new(2);
    let pager = Upstream::start(move |_, asker| {
        let fails = failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        asker
            .write(if fails { "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n" } else { NO_CONTENT })
            .is_ok()
    });
    let gateway = TestGateway::start(fixture(&crm, &pager));
    assert_eq!(gateway.admin("operator", "POST", "/v1/vendors/acme/kill", WHY).status, 200);
    // One second after the first failure, two after the second.
    until("it is told", || pager.seen().len() == 3);
    let seen = pager.seen();
    assert!(seen.iter().all(is_signed), "{seen:?}");
    let ids: Vec<_> = seen.iter().map(|seen| seen.field("webhook-id").expect("an id").to_owned()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "whoever gets it twice can know: {ids:?}");
    let times: Vec<u64> =
        seen.iter().map(|seen| seen.field("webhook-timestamp").expect("a time").parse().expect("seconds")).collect();
    assert!(times[1] > times[0] && times[2] > times[1], "with a pause between: {times:?}");
    until("it is audited", || !outcomes(&gateway.admin("viewer", "GET", "/v1/audit", "").json()).is_empty());
}

#[test]
fn a_kill_is_answered_while_its_hooks_hang() {
    let crm = Upstream::json("{}");
    let (release, released) = mpsc::channel::<()>();
    let released = Arc::new(Mutex::new(released));
    let pager = Upstream::start(move |_, asker| {
        let _ = released.lock().expect("no panic").recv();
        asker.write(NO_CONTENT).is_ok()
    });
    let fixture = fixture(&crm, &pager);
    let hang = "  - { name: hang, command: [/bin/sleep, \"600\"], deadline: 300ms }\n";
    let gateway = TestGateway::start(fixture.with(hang));
    let killed = gateway.admin("operator", "POST", "/v1/vendors/acme/kill", WHY).json();
    assert_eq!((&killed["state"], &killed["persisted"]), (&"killed".into(), &true.into()));
    assert_eq!(gateway.get("/v1/orders", &reader()).reason(), "vendor_killed");
    until("the pager has been asked", || pager.seen().len() == 1);
    assert!(
        outcomes(&gateway.admin("viewer", "GET", "/v1/audit", "").json()).iter().all(|said| !said.contains("pager"))
    );
    release.send(()).expect("it waits");
    until("what came of the pager is audited", || {
        outcomes(&gateway.admin("viewer", "GET", "/v1/audit", "").json()).iter().any(|said| said.contains("204"))
    });
    drop(release);
}

#[test]
fn a_command_gets_its_arguments_as_they_are_and_no_secret() {
    let crm = Upstream::json("{}");
    let fixture = GatewayFixture::of_acme(crm.address, ROUTES);
    let note = fixture.path().join("note");
    let script = fixture.path().join("script");
    let text = format!("#!/bin/sh\n(printf '%s\\n' \"$@\"; env) > {0}.part; mv {0}.part {0}\n", note.display());
    std::fs::write(&script, text).expect("written");
    let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o700);
    std::fs::set_permissions(&script, mode).expect("mode");
    let argument = "$(touch pwned); {vendor} {act}";
    let hook = format!("hooks:\n  - {{ name: tunnel, command: [\"{}\", \"{argument}\"] }}\n", script.display());
    let fixture = fixture.with(&hook);
    let process = Process::start(&fixture);
    assert_eq!(process.admin(&fixture, "operator", "POST", "/v1/vendors/acme/kill", WHY).status, 200);
    until("it has run", || note.exists());
    let said = std::fs::read_to_string(&note).expect("a note");
    assert_eq!(said.lines().next(), Some("$(touch pwned); acme kill"), "{said}");
    assert!(!Path::new("pwned").exists() && !said.contains("CARGO"), "{said}");
}

#[test]
fn a_queued_webhook_outlives_kill_9() {
    let crm = Upstream::json("{}");
    let well = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&well);
    let pager = Upstream::start(move |_, asker| {
        // The receiver is down: it accepts the connection and closes it.
        theirs.load(Ordering::SeqCst) == 1 && asker.write(NO_CONTENT).is_ok()
    });
    let fixture = fixture(&crm, &pager);
    let mut process = Process::start(&fixture);
    assert_eq!(process.admin(&fixture, "operator", "POST", "/v1/vendors/acme/kill", WHY).status, 200);
    until("it has been tried in vain", || !pager.seen().is_empty());
    process.signal("KILL");
    process.ended();
    let before = pager.seen().len();
    well.store(1, Ordering::SeqCst);
    let process = Process::start(&fixture);
    until("it is told after the restart", || pager.seen().len() > before);
    assert!(is_signed(&pager.last()));
    let event: serde_json::Value = serde_json::from_slice(&pager.last().body).expect("JSON");
    assert_eq!((&event["act"], &event["vendor"]), (&"kill".into(), &"acme".into()), "{event}");
    assert_eq!(client::get(process.ingress, "/v1/orders", &reader()).reason(), "vendor_killed");
}
