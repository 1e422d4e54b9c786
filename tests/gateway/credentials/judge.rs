//! A real authorization server is a vendor's: it judges by what we are known there, and what is rotated while requests
//! go on. The vendor's own API asks it about every token that it is sent.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::KeyPair;
use serde_json::{Value, json};
use vendorgate::internals::model::Clock;

use super::{authorization, gateway, get, put, status, terms};
use crate::authorization_server::{Authorization, SECRET};
use crate::support::certificates::Certificates;
use crate::support::fixture::GatewayFixture;
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::{Upstream, ok};

/// The vendor's API: it takes a token until the time that the server says of it.
fn vendor_of(server: &Arc<Authorization>) -> Upstream {
    let (server, known) = (Arc::clone(server), Mutex::new(HashMap::<String, u64>::new()));
    Upstream::start(move |seen, asker| {
        let sent = authorization(seen).concat();
        let token = sent.strip_prefix("Bearer ").unwrap_or_default().to_owned();
        let mut known = known.lock().expect("no panic");
        let ends = *known.entry(token.clone()).or_insert_with(|| {
            let told = server.post("/token/introspection", "vendorgate", &format!("token={token}")).json();
            if told["active"] == true { told["exp"].as_u64().expect("an end") } else { 0 }
        });
        let is_good = Clock::system().now().wall.as_secs() < ends;
        asker.write(if is_good { ok("application/json", "{}") } else { status(401, "", "no") }).is_ok()
    })
}

fn oauth(server: &Authorization, more: &str) -> String {
    format!(r#"{{ oauth2: {{ token_url: "http://{}/token", {more} }} }}"#, server.address)
}

fn control(server: &Authorization, name: &str, said: &Value) -> Value {
    let answer = server.post(&format!("/control/{name}"), "", &said.to_string());
    assert_eq!(answer.status, 200, "{name}: {}", answer.text());
    answer.json()
}

fn asked(server: &Authorization) -> u64 {
    control(server, "asked", &json!({}))["asked"].as_u64().expect("a number")
}

/// A new key pair for our client; from now on the server takes no other.
fn registered(server: &Authorization) -> KeyPair {
    let key = KeyPair::generate().expect("a key");
    let point = key.public_key_raw();
    let of = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
    let public = json!({
        "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "x": of(&point[1..33]), "y": of(&point[33..65]),
    });
    control(server, "client", &json!({ "id": "signing-client", "jwks": { "keys": [public] } }));
    key
}

/// Ends the load, also where the test fails: its threads are waited for.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn fetches(gateway: &TestGateway) -> Value {
    gateway.admin("viewer", "GET", "/v1/vendors/acme", "").json()["credential"].clone()
}

#[test]
#[ignore = "needs node and `npm ci --prefix tests/oauth`"]
fn secrets_and_keys_rotate_at_a_real_server_under_load_and_no_request_fails() {
    let server = Arc::new(Authorization::start());
    let vendor = vendor_of(&server);
    let secret = oauth(&server, r#"client_id: "us & them", secret: { file: ../client }"#);
    let by_secret = gateway(&vendor, &secret, &[("client", "the first secret")]);
    let assertion = "client_id: signing-client, client_auth: private_key_jwt, private_key: { file: ../key }";
    let first = registered(&server).serialize_pem();
    let by_key = gateway(&vendor, &oauth(&server, assertion), &[("key", &first)]);
    let (stop, failed, done) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let _stop = StopOnDrop(&stop);
        for gateway in [&by_secret, &by_key, &by_secret, &by_key] {
            let (stop, failed, done) = (&stop, &failed, &done);
            scope.spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    let answer = get(gateway);
                    if answer.status != 200 {
                        eprintln!("{}", answer.text());
                        failed.fetch_add(1, Ordering::SeqCst);
                    }
                    done.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        // The old secret and the old key are void at once, and the server's own keys change meanwhile.
        for round in 1..=2 {
            std::thread::sleep(Duration::from_secs(4));
            let next = format!("{} {round}", super::SECRET);
            control(&server, "client", &json!({ "id": "us & them", "client_secret": next }));
            put(by_secret.fixture.path(), "client", &next);
            let key = registered(&server);
            put(by_key.fixture.path(), "key", &key.serialize_pem());
            control(&server, "rotate", &json!({}));
        }
        let renewed = |gateway| fetches(gateway)["fetches"]["success"].as_u64() >= Some(2);
        until("tokens by the last secret and key", || renewed(&by_secret) && renewed(&by_key));
        std::thread::sleep(Duration::from_secs(3));
    });
    let (done, failed) = (done.load(Ordering::SeqCst), failed.load(Ordering::SeqCst));
    eprintln!("{done} requests, {failed} failed, {} questions", asked(&server));
    assert_eq!(failed, 0);
    assert!(done > 100);
    assert!(vendor.seen().len() as u64 >= done, "the vendor has answered them");
}

#[test]
#[ignore = "needs node and `npm ci --prefix tests/oauth`"]
fn a_real_server_knows_us_by_our_client_certificate_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let certificates = Certificates::write(folder.path());
    let server = Arc::new(Authorization::with_certificate(Some(folder.path())));
    let vendor = vendor_of(&server);
    let port = server.secure.expect("a listener").port();
    let credentials = format!(
        "{{ oauth2: {{ token_url: \"https://localhost:{port}/token\", client_id: certified-client, \
         client_auth: tls_client_auth, cert: ../client.pem, key: ../client.key, ca: ../ca.pem }} }}"
    );
    for (name, reason) in [("acme.example", None), ("thief.example", Some("credential_unavailable"))] {
        let fixture = GatewayFixture::new(vendor.address);
        certificates.for_client(name, 7).write_client(fixture.path());
        std::fs::copy(folder.path().join("ca.pem"), fixture.path().join("ca.pem")).expect("copied");
        let gateway = TestGateway::start(fixture.contract("acme", &terms(&vendor, &credentials)));
        let answer = get(&gateway);
        let told = fetches(&gateway)["last_error"].as_str().unwrap_or_default().to_owned();
        match reason {
            None => assert_eq!(answer.status, 200, "{name}: {told}"),
            Some(reason) => {
                assert_eq!(answer.reason(), reason, "{name}");
                assert!(told.contains("invalid_client"), "{told}");
            }
        }
    }
    assert_eq!(vendor.seen().len(), 1);
}

#[test]
#[ignore = "needs node and `npm ci --prefix tests/oauth`"]
fn a_refresh_token_is_replaced_at_a_real_server_and_its_end_is_remembered() {
    let server = Arc::new(Authorization::start());
    let vendor = vendor_of(&server);
    let given = control(&server, "refresh", &json!({}));
    let seed = |given: &Value| given["token"].as_str().expect("a token").to_owned();
    let more = "client_id: refreshing-client, secret: { file: ../client }, grant: refresh_token, \
        refresh_token: { file: ../seed }";
    let gateway = gateway(&vendor, &oauth(&server, more), &[("client", SECRET), ("seed", &seed(&given))]);
    assert_eq!(get(&gateway).status, 200);
    // The server ends a grant of which a spent token is shown again: each one is shown once.
    until("it is renewed by the token that replaced the first", || {
        assert_eq!(get(&gateway).status, 200);
        fetches(&gateway)["fetches"]["success"].as_u64() >= Some(2)
    });
    control(&server, "withdraw", &json!({ "grantId": given["grantId"] }));
    until("the grant is known to be over", || {
        let error = fetches(&gateway)["last_error"].as_str().unwrap_or_default().to_owned();
        error.contains("invalid_grant")
    });
    let before = asked(&server);
    until("the last token is over too", || get(&gateway).status == 503);
    for _ in 0..20 {
        assert_eq!(get(&gateway).reason(), "credential_unavailable");
    }
    assert_eq!(asked(&server), before, "it is not asked the same again");
    put(gateway.fixture.path(), "seed", &seed(&control(&server, "refresh", &json!({}))));
    until("another consent is used", || get(&gateway).status == 200);
}
