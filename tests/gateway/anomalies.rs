//! A vendor that takes far more than is usual at this hour of the week is killed, where its contract says so.

use std::time::Duration;

use vendorgate::internals::anomaly::{TICK, VendorAnomalies, VendorTick};
use vendorgate::internals::model::{Clock, UnixTime};
use vendorgate::internals::store::{Store, WriteBatch};

use crate::support::client::Client;
use crate::support::fixture::GatewayFixture;
use crate::support::issuer::reader;
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::Upstream;

const TERMS: &str = r#"trip: { anomaly: { signal: records, score: 8, for: 5s } }
limits: { requests: { rate: 100000/s }, records: { budget: 1000000, window: 1h } }
ingress:
  - { route: GET /v1/orders, scopes: [orders:read], upstream: crm, records: "$.orders[*]" }
"#;

/// A state folder in which two weeks of the vendor's usual traffic were learned: two records in ten seconds.
fn learned(crm: &Upstream) -> GatewayFixture {
    let fixture = GatewayFixture::of_acme(crm.address, TERMS);
    let now = Clock::system().now().wall.as_secs();
    let mut vendor = VendorAnomalies::default();
    for second in (now - 14 * 86_400..now).step_by(TICK.as_secs() as usize) {
        vendor.tick(UnixTime::from_secs(second), &VendorTick { counts: [1, 2, 100, 0, 0], ..VendorTick::default() });
    }
    let store = Store::open(&fixture.path().join("state")).expect("a store");
    let mut batch = WriteBatch::new();
    batch.put(b"acme", &vendor.row()).expect("a row");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(store.write(batch)).expect("written");
    fixture
}

#[test]
fn a_vendor_that_takes_far_more_than_usual_is_killed_with_the_evidence() {
    let orders: Vec<_> = (0..50).map(|i| format!("{{\"id\":{i}}}")).collect();
    let crm = Upstream::json(&format!("{{\"orders\":[{}]}}", orders.join(",")));
    let gateway = TestGateway::start(learned(&crm));
    assert_eq!(gateway.get("/v1/orders", &reader()).status, 200);
    let mut client = Client::to(gateway.ingress());
    until("the gateway kills the vendor", || {
        std::thread::sleep(Duration::from_millis(20));
        client.get("/v1/orders", &reader()).status != 200
    });
    let status = gateway.admin("viewer", "GET", "/v1/vendors/acme", "").json();
    let kill = &status["kills"][0];
    assert_eq!((&status["state"], &kill["by"]), (&"killed".into(), &"vendorgate".into()), "{status}");
    until("the kill is in the trail", || {
        let trail = gateway.admin("viewer", "GET", "/v1/audit", "").json();
        let entries = trail["entries"].as_array().expect("entries");
        let kill = entries.iter().find(|entry| entry["act"] == "kill");
        kill.is_some_and(|kill| {
            let evidence = &kill["detail"]["evidence"][0];
            let detail = evidence["detail"].as_str().unwrap_or_default();
            evidence["kind"] == "anomaly" && detail.starts_with("records scored ") && detail.contains("are usual")
        })
    });
    let why = r#"{"reason":"an announced export"}"#;
    assert_eq!(gateway.admin("admin", "POST", "/v1/vendors/acme/restore", why).status, 200);
    assert_eq!(gateway.get("/v1/orders", &reader()).status, 200);
    // What the windows held is forgotten, so the restore does not meet it again.
    std::thread::sleep(TICK + Duration::from_secs(1));
    assert_eq!(gateway.get("/v1/orders", &reader()).status, 200);
}
