//! Authentication and authorisation: tokens, scopes, routes, dates. Every refusal over a real listener, with its reason
//! and challenge.

use vendorgate::internals::config::{ConfigLoader, FaultSeverity};
use vendorgate::internals::identity::{Algorithm, SigningKey};
use vendorgate::internals::model::{Clock, UnixTime};

use crate::attacks::Forge;
use crate::support::client::{Client, request};
use crate::support::fixture::GatewayFixture;
use crate::support::issuer::{AUDIENCE, ISSUER, keys, reader, vendor};
use crate::support::test_gateway::TestGateway;
use crate::support::upstream::Upstream;

const TERMS: &str = "limits: { requests: { rate: 100000/s } }
ingress:
  - { route: GET /v1/orders, scopes: [orders:read], upstream: crm }
  - { route: POST /v1/orders, scopes: [orders:read, orders:write], upstream: crm }
  - { route: GET /v1/secrets, scopes: [secrets:read], upstream: crm }
";

#[test]
fn a_token_without_the_routes_scopes_is_refused_with_a_challenge() {
    let crm = Upstream::json("{}");
    let gateway = TestGateway::of_acme(
        crm.address,
        &TERMS.replace("- { route: GET /v1/secrets, scopes: [secrets:read], upstream: crm }", ""),
    );
    let mut client = Client::to(gateway.ingress());
    client.send(request("POST", "/v1/orders", &reader(), "{}"));
    let refused = client.answer();
    assert_eq!((refused.status, refused.reason().as_str()), (403, "scope_missing"));
    let challenge = refused.field("www-authenticate").expect("a challenge");
    assert_eq!(challenge, r#"Bearer realm="vendorgate", error="insufficient_scope", scope="orders:read orders:write""#);
    assert_eq!(crm.seen().len(), 0);
    assert_eq!(client.get("/v1/orders", &reader()).status, 200, "the connection goes on");
}

#[test]
fn a_route_that_needs_more_than_the_contracts_scopes_is_a_fault() {
    let fixture = GatewayFixture::of_acme(([127, 0, 0, 1], 1).into(), TERMS);
    let loader =
        ConfigLoader { environment: &|_| None, missing_secrets: FaultSeverity::Fault, now: UnixTime::default() };
    let faults = loader.load(&fixture.main()).expect_err("a route asks for more than the vendor can have");
    assert!(faults.to_string().contains("secrets:read"), "{faults}");
}

#[test]
fn every_forged_or_stale_token_is_refused_for_its_reason() {
    let crm = Upstream::json("{}");
    let gateway = TestGateway::of_acme(
        crm.address,
        "limits: { requests: { rate: 100000/s } }\ningress:\n  - { route: GET /v1/orders, scopes: [orders:read], upstream: crm }\n",
    );
    let stranger = SigningKey::generate(Algorithm::ES256, "es").expect("a key");
    let signs =
        |key: &'static SigningKey| move |header: &str, payload: &str| key.sign_raw(header, payload).expect("signed");
    let forge = Forge {
        now: Clock::system().now().wall.as_millis() / 1000,
        too_early: 300,
        issuer: ISSUER,
        audience: AUDIENCE,
        client: "acme-client",
        es256_kid: "es",
        es256: &signs(&keys().es256),
        rs256_kid: "rs",
        rs256: &signs(&keys().rs256),
        eddsa_kid: "ed",
        eddsa: &signs(&keys().eddsa),
        stranger: &|header, payload| stranger.sign_raw(header, payload).expect("signed"),
        public_texts: vec![keys().es256.public_jwk(), keys().rs256.public_jwk(), String::new()],
    };
    for (name, token) in forge.controls() {
        assert_eq!(gateway.get("/v1/orders", &token).status, 200, "{name}");
    }
    let passed = crm.seen().len();
    let attacks = forge.attacks();
    assert!(attacks.len() >= 200, "{}", attacks.len());
    for attack in attacks {
        let query = attack.query.map(|query| format!("?{query}")).unwrap_or_default();
        let mut bytes = format!("GET /v1/orders{query} HTTP/1.1\r\nHost: a\r\n").into_bytes();
        for value in &attack.authorization {
            bytes.extend_from_slice(&[b"Authorization: ", &value[..], b"\r\n"].concat());
        }
        bytes.extend_from_slice(b"\r\n");
        let refused = Client::to(gateway.ingress()).send(bytes).answer();
        let status = match attack.reason {
            "request_malformed" => 400,
            "vendor_unknown" => 403,
            _ => 401,
        };
        assert_eq!((refused.status, refused.reason().as_str()), (status, attack.reason), "{}", attack.name);
    }
    assert_eq!(crm.seen().len(), passed, "nothing forged went through");
}

#[test]
fn a_token_with_one_changed_letter_is_refused() {
    let crm = Upstream::json("{}");
    let gateway = TestGateway::of_acme(
        crm.address,
        "ingress:\n  - { route: GET /v1/orders, scopes: [orders:read], upstream: crm }\n",
    );
    let token = reader();
    assert_eq!(gateway.get("/v1/orders", &token).status, 200, "the true one, which is remembered from here on");
    let mut client = Client::to(gateway.ingress());
    for at in 0..token.len() {
        for letter in *b"A-.7" {
            let mut changed = token.clone().into_bytes();
            changed[at] = letter;
            let changed = String::from_utf8(changed).expect("text");
            if changed != token {
                let refused = client.get("/v1/orders", &changed);
                // With one other letter in its issuer, the token belongs to no known issuer.
                assert!(refused.status == 401 || refused.reason() == "vendor_unknown", "{changed}: {}", refused.text());
            }
        }
    }
    assert_eq!(crm.seen().len(), 1);
}

#[test]
fn tokens_of_the_wrong_time_or_place_are_401() {
    let crm = Upstream::json("{}");
    let gateway = TestGateway::of_acme(
        crm.address,
        "ingress:\n  - { route: GET /v1/orders, scopes: [orders:read], upstream: crm }\n",
    );
    let draft = || vendor("acme").scope("orders:read");
    let unsigned = {
        use base64::Engine as _;
        let encode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.", encode(r#"{"alg":"none","typ":"at+jwt"}"#), encode(&draft().claims()))
    };
    for (token, reason) in [
        (draft().issued(700, 600).token(), "token_expired"),
        (draft().issued(0, 7200).token(), "token_lifetime"),
        (draft().claim("aud", "https://other.example".into()).token(), "token_invalid"),
        (unsigned, "token_malformed"),
        (String::new(), "token_missing"),
    ] {
        let refused = gateway.get("/v1/orders", &token);
        assert_eq!((refused.status, refused.reason().as_str()), (401, reason));
        let challenge = refused.field("www-authenticate").expect("a challenge");
        assert!(challenge.starts_with("Bearer realm="), "{challenge}");
        assert_eq!(challenge.contains("invalid_token"), reason != "token_missing", "{challenge}");
    }
    assert_eq!(gateway.get("/v1/orders", &draft().token()).status, 200);
}

#[test]
fn what_the_contract_does_not_list_is_refused() {
    let crm = Upstream::json("{}");
    let gateway = TestGateway::of_acme(
        crm.address,
        &TERMS.replace("limits:", "scopes: [orders:read, orders:write, secrets:read]\nlimits:"),
    );
    for path in [
        "/",
        "/v1",
        "/v1/orders/7",
        "/v1/orders/",
        "/v1/ORDERS",
        "/v2/orders",
        "/v1/secrets/../other",
        "/healthz",
        "/metrics",
        "/v1/vendors",
    ] {
        let refused = gateway.get(path, &reader());
        assert_eq!((refused.status, refused.reason().as_str()), (403, "route_unknown"), "{path}");
    }
    let mut client = Client::to(gateway.ingress());
    client.send(request("DELETE", "/v1/orders", &reader(), ""));
    assert_eq!(client.answer().reason(), "route_unknown");
    assert_eq!(crm.seen().len(), 0);
}

#[test]
fn a_contract_is_in_force_from_its_first_day_to_its_last() {
    let crm = Upstream::json("{}");
    let routes = "ingress:\n  - { route: GET /v1/orders, scopes: [orders:read], upstream: crm }\n";
    let fixture = GatewayFixture::new(crm.address)
        .contract("early", &format!("starts: 2098-01-01\n{routes}"))
        .contract("late", &format!("ends: 2020-12-31\n{routes}"))
        .contract("acme", routes);
    let gateway = TestGateway::start(fixture);
    for (name, reason) in [("early", "contract_not_started"), ("late", "contract_ended")] {
        let refused = gateway.get("/v1/orders", &vendor(name).scope("orders:read").token());
        assert_eq!((refused.status, refused.reason().as_str()), (403, reason));
    }
    assert_eq!(gateway.get("/v1/orders", &reader()).status, 200);
    let stranger = gateway.get("/v1/orders", &vendor("nobody").scope("orders:read").token());
    assert!(matches!(stranger.status, 401 | 403), "{}", stranger.text());
    assert_eq!(crm.seen().len(), 1);
}

#[test]
fn every_request_of_a_connection_is_authorised_by_itself() {
    let crm = Upstream::json("{\"a\":1}");
    let gateway = TestGateway::of_acme(
        crm.address,
        "ingress:\n  - { route: GET /v1/orders, scopes: [orders:read], upstream: crm }\n",
    );
    let good = request("GET", "/v1/orders", &reader(), "");
    let bad = request("GET", "/v1/orders", &vendor("acme").scope("other").token(), "");
    let mut client = Client::to(gateway.ingress());
    // Pipelined: the answers come in order, and a valid request does not help the invalid one beside it.
    client.send([&good, &bad, &good, &request("GET", "/v1/orders", "", "")[..]].concat());
    let statuses: Vec<u16> = (0..4).map(|_| client.answer().status).collect();
    assert_eq!(statuses, [200, 403, 200, 401]);
}
