//! The residency policy: proven before anything runs, and held in the bytes that leave.

use std::fs;

use crate::support::client::{Client, request};
use crate::support::fixture::GatewayFixture;
use crate::support::issuer::reader;
use crate::support::test_gateway::TestGateway;
use crate::support::upstream::{Upstream, ok};

const POLICY: &str = "otherwise: treated
categories:
  user: { clear: [eu], elsewhere: treated }
  user.government_id: { clear: [eu], elsewhere: never }
  user.authorization: { clear: [eu], elsewhere: never }
";

const BODY: &str = r#"{"id":7,"note":"write to ann@example.com or 078-05-1120, pay 4111 1111 1111 1111"}"#;

fn terms(region: &str, vendor: &Upstream, more: &str) -> String {
    format!(
        r#"region: {region}
ingress:
  - {{ route: GET /v1/notes, scopes: [orders:read], upstream: crm{more} }}
egress:
  upstream: {{ url: "http://{}", allow_networks: ["127.0.0.0/8"] }}
  routes: [ {{ route: POST /v2/notes }} ]
"#,
        vendor.address
    )
}

fn fixture(region: &str, crm: &Upstream, vendor: &Upstream) -> GatewayFixture {
    let fixture = GatewayFixture::of_acme(crm.address, &terms(region, vendor, "")).with("residency: residency.yaml\n");
    fs::write(fixture.path().join("residency.yaml"), POLICY).expect("written");
    fixture
}

/// What the vendor gets of the body, in both directions.
fn received(gateway: &TestGateway, vendor: &Upstream) -> [String; 2] {
    let read = gateway.get("/v1/notes", &reader());
    assert_eq!(read.status, 200, "{}", read.text());
    let text = request("POST", "/acme/v2/notes", "", BODY).replace("api.example.com", "127.0.0.1");
    let sent = Client::to(gateway.egress()).send(text).answer();
    assert_eq!(sent.status, 200, "{}", sent.text());
    let seen = vendor.seen();
    let raw = String::from_utf8_lossy(&seen.last().expect("a request").raw).into_owned();
    [read.text(), raw]
}

#[test]
fn what_may_not_leave_is_masked_or_redacted_where_no_rule_names_it() {
    let (crm, vendor) = (Upstream::json(BODY), Upstream::saying(ok("application/json", "{}")));
    let gateway = TestGateway::start(fixture("us", &crm, &vendor));
    for left in received(&gateway, &vendor) {
        assert!(left.contains("\"id\":7"), "{left}");
        assert!(left.contains("write to *************** or [redacted], pay *******************"), "{left}");
    }
}

#[test]
fn where_everything_may_leave_nothing_is_read() {
    let (crm, vendor) = (Upstream::json(BODY), Upstream::saying(ok("application/json", "{}")));
    let gateway = TestGateway::start(fixture("EU", &crm, &vendor));
    for left in received(&gateway, &vendor) {
        assert!(left.contains(BODY), "{left}");
    }
    let crm = Upstream::saying(ok("image/png", "\u{1}PNG ann@example.com"));
    let gateway = TestGateway::start(fixture("eu", &crm, &vendor));
    assert_eq!(gateway.get("/v1/notes", &reader()).status, 200);
    let gateway = TestGateway::start(fixture("us", &crm, &vendor));
    let refused = gateway.get("/v1/notes", &reader());
    assert!(refused.status >= 400 && !refused.text().contains("ann@"), "{}", refused.text());
}

#[test]
fn a_reload_proves_the_policy_again_and_keeps_what_is_in_force() {
    let (crm, vendor) = (Upstream::json(BODY), Upstream::saying(ok("application/json", "{}")));
    let gateway = TestGateway::start(fixture("eu", &crm, &vendor));
    let reload = || gateway.admin("admin", "POST", "/v1/reload", "");
    let listed = ", response: { only: [\"$.id\", \"$.email\"] }";
    gateway.fixture.write_contract("acme", &terms("us", &vendor, listed));
    let refused = reload();
    assert!((400..500).contains(&refused.status), "{}", refused.text());
    let said = "user.contact.email may leave only treated to acme in us";
    assert!(refused.text().contains(said), "{}", refused.text());
    assert!(gateway.get("/v1/notes", &reader()).text().contains("ann@example.com"), "the old config is in force");
    gateway.fixture.write_contract("acme", &terms("eu", &vendor, listed));
    assert_eq!(reload().status, 200);
    fs::write(gateway.fixture.path().join("residency.yaml"), POLICY.replace("[eu]", "[uk]")).expect("written");
    assert!(reload().text().contains(said.replace("in us", "in eu").as_str()), "a stricter policy is proven too");
}
