//! Secrets that change, age and are rotated while requests go on.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{BASIC, SECRET, TokenServer, authorization, call, gateway, get, put, status, terms, token};
use crate::support::fixture::GatewayFixture;
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::{Upstream, ok};

/// Another gateway with the state of this one, and secrets that are written anew.
fn restarted(mut first: TestGateway, vendor: &Upstream, credentials: &str, secrets: &[(&str, &str)]) -> TestGateway {
    first.begin_drain();
    until("it has ended", || first.is_drained());
    let fixture = GatewayFixture::new(vendor.address);
    for name in ["state", "master.key"] {
        let (from, to) = (first.fixture.path().join(name), fixture.path().join(name));
        let _ = std::fs::remove_file(&to);
        std::fs::rename(from, to).expect("moved");
    }
    secrets.iter().for_each(|(name, content)| put(fixture.path(), name, content));
    TestGateway::start(fixture.contract("acme", &terms(vendor, credentials)))
}

#[test]
fn a_replaced_secret_is_used_without_a_reload_and_a_broken_one_changes_nothing() {
    let live = Arc::new(Mutex::new("first-secret".to_owned()));
    let theirs = Arc::clone(&live);
    let vendor = Upstream::start(move |seen, asker| {
        let good = authorization(seen) == [format!("Bearer {}", theirs.lock().expect("no panic"))];
        asker.write(if good { ok("application/json", "{}") } else { status(401, "", "") }).is_ok()
    });
    let gateway = gateway(&vendor, "{ bearer: { secret: { file: ../own } } }", &[("own", "first-secret")]);
    assert_eq!(get(&gateway).status, 200);
    put(gateway.fixture.path(), "own", "second-secret");
    "second-secret".clone_into(&mut live.lock().expect("no panic"));
    assert_eq!(get(&gateway).status, 200, "after 401 the file is read at once");
    put(gateway.fixture.path(), "own", "\n");
    let unreadable = || gateway.metric("vendorgate_file_unreadable", &["file=\"credential\""]);
    until("it is told", || unreadable() == Some(1));
    assert_eq!(get(&gateway).status, 200, "the last good one");
    let json = gateway.admin("viewer", "GET", "/v1/vendors/acme", "").json();
    let told = (json["credential"]["secrets"][0]["error"].is_string(), json["files"][0]["file"].as_str());
    assert_eq!(told, (true, Some("credential")), "{json}");
    put(gateway.fixture.path(), "own", "second-secret");
    until("it is over", || unreadable() == Some(0));
}

#[test]
fn a_secret_past_its_age_is_refused_also_after_a_restart_with_a_file_written_anew() {
    let vendor = Upstream::json("{}");
    let credentials = "{ bearer: { secret: { file: ../own, max_age: 1d } } }";
    let fixture = GatewayFixture::new(vendor.address);
    put(fixture.path(), "own", SECRET);
    let file = std::fs::File::options().write(true).open(fixture.path().join("own")).expect("a file");
    let written = file.metadata().and_then(|found| found.modified()).expect("a time");
    file.set_modified(written - Duration::from_secs(2 * 86_400)).expect("set");
    let mut gateway = TestGateway::start(fixture.contract("acme", &terms(&vendor, credentials)));
    let answer = get(&gateway);
    assert_eq!((answer.status, answer.reason().as_str()), (503, "credential_expired"));
    gateway = restarted(gateway, &vendor, credentials, &[("own", SECRET)]);
    assert_eq!(get(&gateway).reason(), "credential_expired", "a file written just now holds the same secret");
    let age = || gateway.metric("vendorgate_credential_age_seconds", &["vendor=\"acme\""]).expect("a series");
    assert!((172_000..173_600).contains(&age()), "{}", age());
    put(gateway.fixture.path(), "own", "another-secret");
    until("a new secret is young", || get(&gateway).status == 200 && age() < 100);
    assert!(gateway.metric("vendorgate_credential_expiry_timestamp_seconds", &["vendor=\"acme\""]).is_some());
    assert!(vendor.seen().iter().all(|seen| authorization(seen) == ["Bearer another-secret"]));
}

/// The shapes of the answers are those of Vault 1.15 (`GET /v1/MOUNT/data/PATH`, `POST /v1/auth/approle/login`).
#[test]
fn a_secret_in_vault_is_read_by_approle_and_again_when_it_changes() {
    const LOGIN: &str = r#"{"request_id":"1","lease_id":"","renewable":false,"lease_duration":0,"data":null,"wrap_info":null,"warnings":null,"auth":{"client_token":"hvs.vault-token","accessor":"a","policies":["default"],"token_policies":["default"],"metadata":{"role_name":"vendorgate"},"lease_duration":3600,"renewable":true,"entity_id":"e","token_type":"service","orphan":true,"mfa_requirement":null,"num_uses":0}}"#;
    let version = Arc::new(AtomicU64::new(1));
    let theirs = Arc::clone(&version);
    let vault = Upstream::start(move |seen, asker| {
        let number = theirs.load(Ordering::SeqCst);
        let answer = match seen.line() {
            "POST /v1/auth/approle/login HTTP/1.1" => {
                let asked: serde_json::Value = serde_json::from_slice(&seen.body).expect("JSON");
                let shown = (asked["role_id"].as_str(), asked["secret_id"].as_str());
                assert_eq!(shown, (Some("role-1"), Some("the-secret-id")));
                LOGIN.to_owned()
            }
            "GET /v1/kv/data/vendors/acme HTTP/1.1" if seen.field("x-vault-token") == Some("hvs.vault-token") => {
                assert_eq!(seen.field("x-vault-namespace"), Some("team"));
                let metadata = format!(
                    r#"{{"created_time":"2026-01-0{number}T07:08:09.123456789Z","custom_metadata":null,"deletion_time":"","destroyed":false,"version":{number}}}"#
                );
                let data = format!(r#"{{"data":{{"api_key":"vault-secret-{number}"}},"metadata":{metadata}}}"#);
                format!(
                    r#"{{"request_id":"2","lease_id":"","renewable":false,"lease_duration":0,"data":{data},"wrap_info":null,"warnings":null,"auth":null}}"#
                )
            }
            other => panic!("{other}"),
        };
        asker.write(ok("application/json", answer)).is_ok()
    });
    let vendor = Upstream::start(|seen, asker| {
        let dead = seen.field("x-key") == Some("vault-secret-1") && seen.field("x-old-is-dead").is_some();
        asker.write(if dead { status(401, "", "") } else { ok("application/json", "{}") }).is_ok()
    });
    let approle = "approle: { role_id: role-1, secret_id_file: ../id }";
    let credentials = format!(
        "{{ api_key: {{ header: X-Key, secret: {{ vault: {{ address: \"http://{}\", mount: kv, path: vendors/acme, \
         key: api_key, namespace: team, {approle} }} }} }} }}",
        vault.address
    );
    let gateway = gateway(&vendor, &credentials, &[("id", "the-secret-id\n")]);
    assert_eq!(get(&gateway).status, 200);
    assert_eq!(vendor.last().field("x-key"), Some("vault-secret-1"));
    let age = gateway.metric("vendorgate_credential_age_seconds", &["vendor=\"acme\""]);
    assert!(age > Some(100 * 86_400), "as old as Vault says: {age:?}");
    version.store(2, Ordering::SeqCst);
    let answer = call(&gateway, "GET /acme/v2/things", "X-Old-Is-Dead: 1\r\n", "");
    assert_eq!(answer.status, 200, "after 401 Vault is asked at once");
    assert_eq!(vendor.last().field("x-key"), Some("vault-secret-2"));
    let own = &gateway.admin("viewer", "GET", "/v1/vendors/acme", "").json()["credential"]["secrets"][0];
    assert_eq!((own["source"].as_str(), own["error"].is_null()), (Some("vault"), true), "{own}");
}

#[test]
fn a_replaced_refresh_token_survives_a_restart_and_is_sealed_on_disk() {
    let spent: Arc<Mutex<HashMap<String, u64>>> = Arc::default();
    let theirs = Arc::clone(&spent);
    let tokens = TokenServer::start(move |number, seen| {
        let form = String::from_utf8_lossy(&seen.body).into_owned();
        let shown = form.split('&').find_map(|pair| pair.strip_prefix("refresh_token=")).expect("one");
        *theirs.lock().expect("no panic").entry(shown.to_owned()).or_default() += 1;
        token(number, &format!(r#","expires_in":3600,"refresh_token":"rotated-refresh-{number}""#))
    });
    let vendor = Upstream::json("{}");
    let more = format!("{BASIC}, grant: refresh_token, refresh_token: {{ file: ../seed }}");
    let (credentials, secrets) = (tokens.credentials(&more), [("client", SECRET), ("seed", "seed-refresh-token")]);
    let mut first = gateway(&vendor, &credentials, &secrets);
    assert_eq!(get(&first).status, 200);
    first.begin_drain();
    until("it has ended", || first.is_drained());
    let files = std::fs::read_dir(first.fixture.path().join("state")).expect("a folder").flatten();
    let state: Vec<u8> = files.filter_map(|file| std::fs::read(file.path()).ok()).flatten().collect();
    assert!(state.windows(8).any(|window| window == b"\"sealed\""), "it is there");
    for secret in ["rotated-refresh", "seed-refresh", SECRET, "token-1-abcdef"] {
        assert!(!state.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret} is on disk");
    }
    let again = restarted(first, &vendor, &credentials, &secrets);
    assert_eq!(get(&again).status, 200);
    let spent = spent.lock().expect("no panic").clone();
    assert_eq!((spent.get("seed-refresh-token"), spent.get("rotated-refresh-1")), (Some(&1), Some(&1)), "{spent:?}");
}

#[test]
fn secrets_and_tokens_rotate_under_load_and_no_request_fails() {
    // Tokens live for six seconds, and the client's secret changes twice meanwhile; the old one is dead at once.
    let live = Arc::new(Mutex::new("secret-0".to_owned()));
    let theirs = Arc::clone(&live);
    let tokens = TokenServer::start(move |number, seen| {
        let pair = STANDARD.encode(format!("us%20%26%20them:{}", theirs.lock().expect("no panic")));
        let is_good = seen.field("authorization") == Some(format!("Basic {pair}").as_str());
        if is_good { token(number, r#","expires_in":12"#) } else { status(401, "", r#"{"error":"invalid_client"}"#) }
    });
    let vendor = Upstream::json("{}");
    let gateway = gateway(&vendor, &tokens.credentials(BASIC), &[("client", "secret-0")]);
    let (stop, failed, done) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    failed.fetch_add(u64::from(get(&gateway).status != 200), Ordering::SeqCst);
                    done.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        for round in 1..=2 {
            std::thread::sleep(Duration::from_millis(5_000));
            let next = format!("secret-{round}");
            next.clone_into(&mut live.lock().expect("no panic"));
            put(gateway.fixture.path(), "client", &next);
        }
        until("a token by the last secret", || tokens.asked() >= 3);
        std::thread::sleep(Duration::from_secs(2));
        stop.store(true, Ordering::SeqCst);
    });
    let (done, failed) = (done.load(Ordering::SeqCst), failed.load(Ordering::SeqCst));
    eprintln!("{done} requests, {failed} failed, {} questions", tokens.asked());
    assert_eq!(failed, 0);
    assert!(done > 100);
}
