//! Callers that authenticate by a key or a certificate, beside a token or instead of one, over real listeners.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::ClientConfig;
use rustls::version::{TLS12, TLS13};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use vendorgate::internals::identity::{Algorithm, SigningKey};
use vendorgate::internals::model::Clock;

use crate::support::certificates::{Certificates, tls};
use crate::support::client::{Answer, Client};
use crate::support::fixture::GatewayFixture;
use crate::support::issuer::{reader, vendor};
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::Upstream;

const TERMS: &str = "limits: { requests: { rate: 100000/s } }
ingress:
  - { route: GET /v1/orders, scopes: [orders:read], upstream: crm }
";
const TLS: &str =
    "  ingress: { bind: \"127.0.0.1:0\", tls: { cert: gateway.pem, key: gateway.key, client_ca: ca.pem } }
  admin: { bind: \"127.0.0.1:0\", operators: operators.yaml }
";

fn identity(sender: &str) -> String {
    format!(
        "identity:
  issuer: https://id.example.com
  audience: https://api.example.com
  clients: [acme-client]
  jwks: {{ file: ../jwks.json }}
  sender: {sender}
"
    )
}

fn digest(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(bytes))
}

/// A vendor's key and a token that is bound to it.
struct Holder {
    key: SigningKey,
    jwk: Value,
    token: String,
}

impl Holder {
    fn new() -> Self {
        let key = SigningKey::generate(Algorithm::ES256, "proof").expect("a key");
        let mut jwk: Value = serde_json::from_str(&key.public_jwk()).expect("json");
        jwk.as_object_mut().expect("an object").retain(|name, _| ["kty", "crv", "x", "y"].contains(&name.as_str()));
        // RFC 7638: the required members in the order of their names.
        let canonical = format!(r#"{{"crv":{},"kty":{},"x":{},"y":{}}}"#, jwk["crv"], jwk["kty"], jwk["x"], jwk["y"]);
        let bound = vendor("acme").scope("orders:read").claim("cnf", json!({ "jkt": digest(canonical) }));
        Self { key, jwk, token: bound.token() }
    }

    fn header(&self) -> Value {
        json!({ "alg": "ES256", "typ": "dpop+jwt", "jwk": self.jwk })
    }

    /// The claims of a proof for `GET /v1/orders` at the gateway, never seen before.
    fn claims(&self) -> Value {
        static LAST: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let id = LAST.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        json!({
            "jti": format!("p{id}"), "htm": "GET", "htu": "http://api.example.com/v1/orders",
            "iat": Clock::system().now().wall.as_secs(), "ath": digest(&self.token),
        })
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        self.key.sign_raw(&header.to_string(), &claims.to_string()).expect("a proof")
    }

    fn proof(&self) -> String {
        self.sign(&self.header(), &self.claims())
    }
}

fn ask(gateway: &TestGateway, authorization: &str, proofs: &[&str]) -> Answer {
    let proofs: String = proofs.iter().map(|proof| format!("DPoP: {proof}\r\n")).collect();
    let head = format!("GET /v1/orders HTTP/1.1\r\nHost: api.example.com\r\nAuthorization: {authorization}\r\n");
    Client::to(gateway.ingress()).send(format!("{head}{proofs}\r\n")).answer()
}

fn with(mut object: Value, name: &str, value: impl Into<Value>) -> Value {
    object[name] = value.into();
    object
}

fn without(mut object: Value, name: &str) -> Value {
    object.as_object_mut().expect("an object").remove(name);
    object
}

#[test]
fn a_token_bound_to_a_key_needs_a_fresh_proof_for_each_request() {
    let crm = Upstream::json("{}");
    let fixture = GatewayFixture::new(crm.address).contract("acme", &format!("{}{TERMS}", identity("dpop")));
    let gateway = TestGateway::start(fixture);
    let holder = Holder::new();
    let dpop = format!("DPoP {}", holder.token);
    let used = holder.proof();
    assert_eq!(ask(&gateway, &dpop, &[&used]).status, 200);
    for _ in 0..2 {
        assert_eq!(ask(&gateway, &dpop, &[&holder.proof()]).status, 200, "a fresh one each time, the token remembered");
    }
    let changed = |name: &str, value: Value| holder.sign(&holder.header(), &with(holder.claims(), name, value));
    let headed = |name: &str, value: Value| holder.sign(&with(holder.header(), name, value), &holder.claims());
    assert_eq!(
        ask(&gateway, &dpop, &[&changed("htu", json!("HTTP://API.example.com:80/v1/orders?a=1#b"))]).status,
        200
    );
    let now = Clock::system().now().wall.as_secs();
    let thief = Holder::new();
    let good = || holder.proof();
    let refused: Vec<(&str, String, Vec<String>)> = vec![
        ("used before", dpop.clone(), vec![used]),
        ("another method", dpop.clone(), vec![changed("htm", json!("POST"))]),
        ("a method in lower case", dpop.clone(), vec![changed("htm", json!("get"))]),
        ("another path", dpop.clone(), vec![changed("htu", json!("http://api.example.com/v1/orders/"))]),
        ("another host", dpop.clone(), vec![changed("htu", json!("http://api.example.org/v1/orders"))]),
        ("another scheme", dpop.clone(), vec![changed("htu", json!("https://api.example.com/v1/orders"))]),
        ("another port", dpop.clone(), vec![changed("htu", json!("http://api.example.com:8080/v1/orders"))]),
        ("another token's hash", dpop.clone(), vec![changed("ath", json!(digest("other")))]),
        ("no hash", dpop.clone(), vec![holder.sign(&holder.header(), &without(holder.claims(), "ath"))]),
        ("no jti", dpop.clone(), vec![holder.sign(&holder.header(), &without(holder.claims(), "jti"))]),
        ("an empty jti", dpop.clone(), vec![changed("jti", json!(""))]),
        ("no iat", dpop.clone(), vec![holder.sign(&holder.header(), &without(holder.claims(), "iat"))]),
        ("an iat in words", dpop.clone(), vec![changed("iat", json!(now.to_string()))]),
        ("too old", dpop.clone(), vec![changed("iat", json!(now - 62))]),
        ("made before the gateway began", dpop.clone(), vec![changed("iat", json!(now - 50))]),
        ("too new", dpop.clone(), vec![changed("iat", json!(now + 300))]),
        ("another key", dpop.clone(), vec![thief.sign(&thief.header(), &holder.claims())]),
        ("another key's signature", dpop.clone(), vec![thief.sign(&holder.header(), &holder.claims())]),
        ("no key", dpop.clone(), vec![holder.sign(&without(holder.header(), "jwk"), &holder.claims())]),
        ("a private key", dpop.clone(), vec![headed("jwk", with(holder.jwk.clone(), "d", "AA"))]),
        ("another type", dpop.clone(), vec![headed("typ", json!("JWT"))]),
        ("no algorithm", dpop.clone(), vec![headed("alg", json!("none"))]),
        ("a critical extension", dpop.clone(), vec![headed("crit", json!(["b64"]))]),
        ("the token as its own proof", dpop.clone(), vec![holder.token.clone()]),
        ("no proof", dpop.clone(), vec![]),
        ("two proofs", dpop.clone(), vec![good(), good()]),
        ("two proofs in one", dpop.clone(), vec![format!("{}, {}", good(), good())]),
        ("as a bearer token", format!("Bearer {}", holder.token), vec![good()]),
        ("as a bearer token without a proof", format!("Bearer {}", holder.token), vec![]),
        ("a token that is not bound", format!("DPoP {}", reader()), vec![good()]),
        ("a bearer token that is not bound", format!("Bearer {}", reader()), vec![]),
        ("another holder's token", format!("DPoP {}", thief.token), vec![good()]),
    ];
    let passed = crm.seen().len();
    for (what, authorization, proofs) in &refused {
        let proofs: Vec<&str> = proofs.iter().map(String::as_str).collect();
        let answer = ask(&gateway, authorization, &proofs);
        assert_eq!((answer.status, answer.reason().as_str()), (401, "token_unbound"), "{what}");
        let challenges: Vec<_> = answer.fields.iter().filter(|(name, _)| name == "www-authenticate").collect();
        assert!(challenges.iter().any(|(_, value)| value.starts_with("DPoP ")), "{what}: {challenges:?}");
    }
    assert_eq!(crm.seen().len(), passed, "none of these went through");
    assert!(crm.seen().iter().all(|seen| seen.field("dpop").is_none()), "our services see no proofs");
}

#[test]
fn a_proof_with_one_changed_letter_is_refused() {
    let crm = Upstream::json("{}");
    let gateway =
        TestGateway::start(GatewayFixture::new(crm.address).contract("acme", &format!("{}{TERMS}", identity("dpop"))));
    let holder = Holder::new();
    let dpop = format!("DPoP {}", holder.token);
    let proof = holder.proof();
    let mut client = Client::to(gateway.ingress());
    for at in (0..proof.len()).step_by(7) {
        let mut changed = proof.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).expect("text");
        let head = format!("GET /v1/orders HTTP/1.1\r\nHost: api.example.com\r\nAuthorization: {dpop}\r\n");
        let answer = client.send(format!("{head}DPoP: {changed}\r\n\r\n")).answer();
        assert_eq!((answer.status, answer.reason().as_str()), (401, "token_unbound"), "at {at}");
    }
    assert_eq!(ask(&gateway, &dpop, &[&proof]).status, 200, "and none of them used it up");
}

#[test]
fn a_vendor_can_authenticate_by_its_certificate_until_it_is_revoked() {
    let crm = Upstream::json("{}");
    let terms = |crl: &str| {
        format!(
            "identity: {{ certificate: {{ subject_alt_name: \"spiffe://acme.example/batch\", ca: ../ca.pem{crl} }} }}\n{TERMS}"
        )
    };
    let fixture = GatewayFixture::new(crm.address).contract("acme", &terms(", crl: [../acme.crl]"));
    let certificates = Certificates::write(fixture.path());
    let list = fixture.path().join("acme.crl");
    std::fs::write(&list, certificates.revoking(&[7])).expect("written");
    let gateway = TestGateway::start(fixture.listeners(TLS));
    let named = |name: &str, serial: u64| certificates.for_client(name, serial);
    let (good, bad) = (named("spiffe://acme.example/batch", 6), named("spiffe://acme.example/batch", 7));
    let get = |client: &Certificates, version| {
        let config = client.client(&[version], &["http/1.1"], true);
        tls(gateway.ingress(), &config).expect("a handshake").get("/v1/orders", "")
    };
    for version in [&TLS12, &TLS13] {
        assert_eq!(get(&good, version).status, 200, "by its name alone");
        let refused = get(&bad, version);
        assert_eq!((refused.status, refused.reason().as_str()), (401, "token_revoked"), "{version:?}");
    }
    for (what, other) in [
        ("another path", "spiffe://acme.example/batch/2"),
        ("another case", "spiffe://ACME.example/batch"),
        ("the start of it", "spiffe://acme.example/"),
        ("a DNS name", "acme.example"),
    ] {
        assert_eq!(get(&named(other, 8), &TLS13).reason(), "token_missing", "{what}");
    }
    let bare = tls(gateway.ingress(), &certificates.client(&[&TLS13], &["http/1.1"], false))
        .expect("a handshake")
        .get("/v1/orders", "");
    assert_eq!((bare.status, bare.reason().as_str()), (401, "token_missing"));
    let with_token = {
        let config = good.client(&[&TLS13], &["http/1.1"], true);
        tls(gateway.ingress(), &config).expect("a handshake").get("/v1/orders", &reader())
    };
    assert_eq!(with_token.reason(), "vendor_unknown", "a token is judged as a token, whoever shows it");

    // A connection that was opened before the revocation ends with it.
    let config = good.client(&[&TLS13], &["http/1.1"], true);
    let mut open = tls(gateway.ingress(), &config).expect("a handshake");
    assert_eq!(open.get("/v1/orders", "").status, 200);
    std::fs::write(&list, certificates.revoking(&[6, 7])).expect("written");
    until("the new list is read", || open.get("/v1/orders", "").status == 401);
    assert_eq!(get(&good, &TLS13).reason(), "token_revoked");
    std::fs::write(&list, "garbage").expect("written");
    assert_eq!(get(&good, &TLS13).reason(), "token_revoked");
    std::fs::write(&list, certificates.revoking(&[])).expect("written");
    until("the vendor is let in again", || get(&good, &TLS13).status == 200);
}

#[test]
fn a_token_bound_to_a_certificate_needs_that_certificate() {
    let crm = Upstream::json("{}");
    let fixture = GatewayFixture::new(crm.address);
    let fixture = fixture.contract("acme", &format!("{}{TERMS}", identity("mtls")));
    let certificates = Certificates::write(fixture.path());
    let gateway = TestGateway::start(fixture.listeners(TLS));
    let bound = |thumbprint: String| {
        vendor("acme").scope("orders:read").claim("cnf", json!({ "x5t#S256": thumbprint })).token()
    };
    let shown = certificates.client(&[&TLS13], &["http/1.1"], true);
    let bare = certificates.client(&[&TLS13], &["http/1.1"], false);
    let get = |config: &Arc<ClientConfig>, token: &str| {
        tls(gateway.ingress(), config).expect("a handshake").get("/v1/orders", token)
    };
    let good = bound(certificates.thumbprint());
    assert_eq!(get(&shown, &good).status, 200);
    assert_eq!(get(&bare, &good).reason(), "token_unbound");
    assert_eq!(get(&shown, &reader()).reason(), "token_unbound");
    assert_eq!(get(&shown, &bound("A".repeat(43))).reason(), "token_unbound");
}
