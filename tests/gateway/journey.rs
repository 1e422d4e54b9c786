//! The stages of the customers' journey: which of them are degraded, and why, as operators and alerts see it.

use crate::support::fixture::GatewayFixture;
use crate::support::test_gateway::TestGateway;
use crate::support::upstream::Upstream;
use crate::upstream_targets::{fixture, get, nobody, saying};

fn stages(gateway: &TestGateway) -> serde_json::Value {
    gateway.admin("viewer", "GET", "/v1/journey", "").json()["stages"].clone()
}

fn degraded(gateway: &TestGateway, stage: &str) -> Option<u64> {
    gateway.metric("vendorgate_journey_degraded", &[&format!("stage=\"{stage}\"")])
}

#[test]
fn a_stage_is_degraded_while_a_vendor_of_it_is_killed() {
    let crm = Upstream::json("{}");
    let terms = |stages: &str| format!("journey: [{stages}]\n");
    let fixture = GatewayFixture::new(crm.address)
        .contract("acme", &terms("signup, checkout"))
        .contract("globex", &terms("checkout"))
        .contract("initech", "");
    let gateway = TestGateway::start(fixture);
    let calm = serde_json::json!([
        { "stage": "checkout", "degraded": false, "vendors": ["acme", "globex"] },
        { "stage": "signup", "degraded": false, "vendors": ["acme"] },
    ]);
    assert_eq!(stages(&gateway), calm);
    for vendor in ["globex", "initech"] {
        let path = format!("/v1/vendors/{vendor}/kill");
        assert_eq!(gateway.admin("operator", "POST", &path, r#"{"reason":"leak"}"#).status, 200);
    }
    let found = stages(&gateway);
    assert_eq!(found[0]["causes"], serde_json::json!([{ "vendor": "globex", "why": ["killed"] }]));
    assert_eq!((&found[0]["degraded"], &found[1]["degraded"]), (&true.into(), &false.into()));
    assert_eq!((degraded(&gateway, "checkout"), degraded(&gateway, "signup")), (Some(1), Some(0)));
    let status = gateway.admin("viewer", "GET", "/v1/vendors/globex", "").json();
    assert_eq!(
        (&status["journey"], &status["degraded"]),
        (&serde_json::json!(["checkout"]), &serde_json::json!(["killed"]))
    );
    assert_eq!(gateway.admin("admin", "POST", "/v1/vendors/globex/restore", r#"{"reason":"clean"}"#).status, 200);
    assert_eq!(stages(&gateway), calm);
}

#[test]
fn a_stage_is_degraded_while_a_circuit_is_open_or_fallbacks_answer() {
    let failing = saying(500);
    let keys = "breaker: { min_requests: 2, open_for: 30m, max_open_for: 1h }, ";
    let gateway = TestGateway::start(fixture(&[failing.address], keys, ""));
    assert_eq!(degraded(&gateway, "checkout"), Some(0));
    (0..2).for_each(|_| drop(get(&gateway)));
    assert_eq!(stages(&gateway)[0]["causes"][0]["why"], serde_json::json!(["circuit_open"]));
    assert_eq!(degraded(&gateway, "checkout"), Some(1));

    let gateway = TestGateway::start(fixture(&[nobody()], "", ", fallback: { status: 204 }"));
    assert_eq!(degraded(&gateway, "checkout"), Some(0));
    assert_eq!(get(&gateway).status, 204);
    assert_eq!(stages(&gateway)[0]["causes"][0]["why"], serde_json::json!(["fallback"]));
    assert_eq!(degraded(&gateway, "checkout"), Some(1));
}
