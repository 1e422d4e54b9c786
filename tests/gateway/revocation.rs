//! Revoked tokens are refused from the moment of the answer on, also after `kill -9`.

use crate::support::client;
use crate::support::fixture::GatewayFixture;
use crate::support::issuer::{reader, vendor};
use crate::support::process::Process;
use crate::support::test_gateway::TestGateway;
use crate::support::upstream::Upstream;

const TERMS: &str = "ingress:\n  - { route: GET /v1/orders, scopes: [orders:read], upstream: crm }\n";
const ORDER: &str = "/v1/vendors/acme/revocations";

fn token(id: &str) -> String {
    vendor("acme").scope("orders:read").claim("jti", id.into()).token()
}

#[test]
fn a_revoked_token_is_refused_from_the_next_request_on() {
    let crm = Upstream::json("{}");
    let gateway = TestGateway::of_acme(crm.address, TERMS);
    let (stolen, other) = (token("stolen"), token("other"));
    assert_eq!(gateway.get("/v1/orders", &stolen).status, 200, "remembered as verified");
    let done = gateway.admin("operator", "POST", ORDER, r#"{"jti":"stolen","reason":"seen in a log"}"#);
    assert_eq!((done.status, &done.json()["persisted"]), (200, &true.into()), "{}", done.text());
    for _ in 0..3 {
        assert_eq!(gateway.get("/v1/orders", &stolen).reason(), "token_revoked");
    }
    assert_eq!(gateway.get("/v1/orders", &other).status, 200, "no other token is touched");
    assert_eq!(gateway.admin("viewer", "POST", ORDER, r#"{"jti":"other","reason":"x"}"#).status, 403);
    let done = gateway.admin("operator", "POST", ORDER, r#"{"client":"acme-client","reason":"machine stolen"}"#);
    assert_eq!(done.status, 200);
    assert_eq!(gateway.get("/v1/orders", &other).reason(), "token_revoked", "all of the client's tokens");
}

#[test]
fn a_revocation_survives_kill_9() {
    let crm = Upstream::json("{}");
    let fixture = GatewayFixture::of_acme(crm.address, TERMS);
    let stolen = token("stolen");
    let mut process = Process::start(&fixture);
    assert_eq!(client::get(process.ingress, "/v1/orders", &stolen).status, 200);
    let done = process.admin(&fixture, "operator", "POST", ORDER, r#"{"jti":"stolen","reason":"seen in a log"}"#);
    assert_eq!(done.status, 200);
    process.signal("KILL");
    process.ended();
    let process = Process::start(&fixture);
    assert_eq!(client::get(process.ingress, "/v1/orders", &stolen).reason(), "token_revoked");
    assert_eq!(client::get(process.ingress, "/v1/orders", &reader()).status, 200);
}
