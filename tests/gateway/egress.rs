//! Calls from our services to a vendor: the contract decides, and personal data is treated on its way out.

use crate::support::client::{Answer, Client, request};
use crate::support::fixture::GatewayFixture;
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::{Upstream, ok};

fn terms(vendor: &Upstream, limits: &str) -> String {
    format!(
        r#"limits: {{ {limits} }}
egress:
  upstream: {{ url: "http://{}/base", allow_networks: ["127.0.0.0/8"] }}
  routes:
    - route: POST /v2/events
      records: "$.events[*]"
      request:
        pii:
          - {{ field: "$..email", as: tokenize }}
          - {{ field: "$..ssn", as: drop }}
          - {{ query: email, as: hash }}
          - {{ header: x-customer, as: redact }}
    - route: GET /v2/people/{{email}}
      request: {{ pii: [ {{ segment: email, as: tokenize }} ] }}
    - route: GET /v2/plain
"#,
        vendor.address
    )
}

const RATE: &str = "requests: { rate: 100000/s }";

const BODY: &str = r#"{"events":[{"kind":"signup","e\u006dail":"ann@example.com","ssn":"078-05-1120"},{"em\u0061il":"ann@example.com"}],"keep":[1, 2]}"#;

fn vendors() -> Upstream {
    Upstream::saying(ok("application/json", r#"{"accepted":true}"#))
}

fn post(gateway: &TestGateway, path: &str, body: &str) -> Answer {
    Client::to(gateway.egress()).send(request("POST", path, "", body)).answer()
}

fn assert_no_raw(vendor: &Upstream) {
    for seen in vendor.seen() {
        let raw = String::from_utf8_lossy(&seen.raw).into_owned();
        for value in ["ann@", "ann%40", "example.com", "078-05"] {
            assert!(!raw.contains(value), "{value}: {raw}");
        }
    }
}

#[test]
fn no_raw_value_reaches_the_vendor() {
    let vendor = vendors();
    let gateway = TestGateway::of_acme(vendor.address, &terms(&vendor, RATE));
    let text = request("POST", "/acme/v2/events?email=ann%40example.com&a=1", "", BODY)
        .replace("api.example.com", "127.0.0.1")
        .replace("\r\n\r\n", "\r\nX-Customer: ann@example.com\r\nX-Forwarded-For: 10.0.0.7\r\n\r\n");
    let answer = Client::to(gateway.egress()).send(text).answer();
    assert_eq!((answer.status, answer.text().as_str()), (200, r#"{"accepted":true}"#));
    assert_no_raw(&vendor);
    let seen = vendor.last();
    assert!(seen.line().starts_with("POST /base/v2/events?email="), "{}", seen.line());
    assert!(seen.line().ends_with("&a=1 HTTP/1.1"), "{}", seen.line());
    let json: serde_json::Value = serde_json::from_slice(&seen.body).expect("JSON");
    assert_eq!(json["events"][0]["email"], json["events"][1]["email"], "joins work");
    assert_eq!(json["events"][0].get("ssn"), None);
    assert!(String::from_utf8_lossy(&seen.body).ends_with(r#""keep":[1, 2]}"#), "the rest is as it was");
    for ours in ["x-forwarded-for", "x-vendorgate-vendor", "via", "x-request-id"] {
        assert_eq!(seen.field(ours), None, "{ours}");
    }
    assert_eq!(seen.field("host"), Some(vendor.address.to_string().as_str()));
}

#[test]
fn a_segment_of_the_path_is_treated() {
    let vendor = vendors();
    let gateway = TestGateway::of_acme(vendor.address, &terms(&vendor, RATE));
    let answer =
        Client::to(gateway.egress()).send(request("GET", "/acme/v2/people/ann%40example.com", "", "")).answer();
    assert_eq!(answer.status, 200);
    assert_no_raw(&vendor);
    assert!(vendor.last().line().starts_with("GET /base/v2/people/"));
}

#[test]
fn no_split_of_a_request_lets_a_raw_value_out() {
    let vendor = vendors();
    let gateway = TestGateway::of_acme(vendor.address, &terms(&vendor, RATE));
    let mut client = Client::to(gateway.egress());
    let head = "POST /acme/v2/events HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut whole: Option<Vec<u8>> = None;
    for at in 1..BODY.len() {
        let (first, second) = BODY.split_at(at);
        client.send(head).send(format!("{:x}\r\n{first}\r\n", first.len()));
        std::thread::yield_now();
        client.send(format!("{:x}\r\n{second}\r\n0\r\n\r\n", second.len()));
        let answer = client.answer();
        assert_eq!(answer.status, 200, "split at {at}: {}", answer.text());
        let seen = vendor.last().body;
        assert_eq!(*whole.get_or_insert_with(|| seen.clone()), seen, "split at {at}");
    }
    assert_no_raw(&vendor);
}

#[test]
fn a_body_that_cannot_be_inspected_never_leaves() {
    let vendor = vendors();
    let gateway = TestGateway::of_acme(vendor.address, &terms(&vendor, RATE));
    for (kind, body, status, reason) in [
        ("text/html", "<p>ann@example.com</p>", 415, "body_opaque"),
        ("application/json\r\nContent-Encoding: lzma", BODY, 415, "body_opaque"),
        ("application/json", r#"{"email":"ann@example.com",}"#, 400, "body_malformed"),
        ("application/json", r#"{"email":"ann@example.com""#, 400, "body_malformed"),
    ] {
        let text = request("POST", "/acme/v2/events", "", body).replace("application/json", kind);
        let refused = Client::to(gateway.egress()).send(text).answer();
        assert_eq!((refused.status, refused.reason().as_str()), (status, reason), "{kind}: {body}");
    }
    assert_no_raw(&vendor);
    assert_eq!(vendor.seen().len(), 0);
}

#[test]
fn only_listed_destinations_are_called() {
    let vendor = vendors();
    let fixture = GatewayFixture::of_acme(vendor.address, &terms(&vendor, RATE))
        .contract("silent", "ingress:\n  - { route: GET /v1/orders, scopes: [orders:read], upstream: crm }\n");
    let gateway = TestGateway::start(fixture);
    for path in [
        "/",
        "/nobody/v2/events",
        "/acme",
        "/acme/",
        "/acme/v2",
        "/acme/v2/other",
        "/silent/v1/orders",
        "/v2/events",
        "/ACME/v2/events",
    ] {
        let refused = post(&gateway, path, "{}");
        assert_eq!((refused.status, refused.reason().as_str()), (403, "destination_unknown"), "{path}");
        assert_eq!(refused.field("www-authenticate"), None);
    }
    // A host of no contract is no destination: the dialled address comes from the contract.
    let other = Upstream::saying(ok("application/json", "{}"));
    let absolute = format!("GET http://{}/v2/plain HTTP/1.1\r\nHost: {}\r\n\r\n", other.address, other.address);
    let refused = Client::to(gateway.egress()).send(absolute).answer();
    assert_eq!(other.seen().len(), 0);
    assert_eq!((refused.status, refused.reason().as_str()), (403, "destination_unknown"));
    assert_eq!(vendor.seen().len(), 0);
}

#[test]
fn a_vendors_host_that_resolves_to_a_private_address_is_not_dialled() {
    let vendor = vendors();
    let terms = terms(&vendor, RATE)
        .replace(r#", allow_networks: ["127.0.0.0/8"]"#, "")
        .replace("http://127.0.0.1", "https://localhost");
    let gateway = TestGateway::of_acme(vendor.address, &terms);
    let refused = Client::to(gateway.egress()).send(request("GET", "/acme/v2/plain", "", "")).answer();
    assert_eq!((refused.status, refused.reason().as_str()), (403, "destination_unknown"));
    assert_eq!(vendor.seen().len(), 0);
}

#[test]
fn a_kill_also_stops_egress() {
    let vendor = Upstream::start(|seen, asker| {
        if seen.line().contains("plain") {
            let _ = asker.gone();
            return false;
        }
        asker.write(ok("application/json", "{}")).is_ok()
    });
    let gateway = TestGateway::of_acme(vendor.address, &terms(&vendor, RATE));
    assert_eq!(post(&gateway, "/acme/v2/events", BODY).status, 200);
    let mut waiting = Client::to(gateway.egress());
    waiting.send(request("GET", "/acme/v2/plain", "", ""));
    until("the vendor has it", || vendor.seen().len() == 2);
    let json = gateway.admin("operator", "POST", "/v1/vendors/acme/kill", r#"{"reason":"breach"}"#).json();
    assert_eq!(json["severed"], 1, "{json}");
    assert_eq!(waiting.answer().reason(), "vendor_killed");
    assert_eq!(post(&gateway, "/acme/v2/events", BODY).reason(), "vendor_killed");
    until("the vendor's side is reset", || vendor.broken() > 0);
    assert_eq!(vendor.seen().len(), 2);
}

#[test]
fn limits_also_hold_for_egress() {
    let vendor = vendors();
    let gateway = TestGateway::of_acme(
        vendor.address,
        &terms(&vendor, "requests: { rate: 1/h, burst: 3 }, records: { budget: 3, window: 1h }"),
    );
    assert_eq!(post(&gateway, "/acme/v2/events", BODY).status, 200);
    let over = post(&gateway, "/acme/v2/events", BODY);
    assert_eq!((over.status, over.reason().as_str()), (429, "records_exceeded"));
    assert_eq!(vendor.seen().len(), 1, "a call over the budget is not made");
    let plain = || Client::to(gateway.egress()).send(request("GET", "/acme/v2/plain", "", "")).answer().status;
    assert_eq!((plain(), plain()), (200, 429));
    assert_no_raw(&vendor);
}

#[test]
fn egress_allows_encoded_slashes_and_tokens_in_the_query() {
    let vendor = vendors();
    let terms = format!(
        r#"limits: {{ {RATE} }}
egress:
  upstream: {{ url: "http://{}", allow_networks: ["127.0.0.0/8"] }}
  routes:
    - {{ route: "GET /api/v4/projects/{{id}}", allow_encoded_slash: true }}
    - {{ route: "GET /api/v4/groups/{{id}}" }}
    - route: "GET /api/v4/users/{{name}}"
      allow_encoded_slash: true
      request: {{ pii: [ {{ segment: name, as: hash }} ] }}
"#,
        vendor.address
    );
    let gateway = TestGateway::of_acme(vendor.address, &terms);
    let get = |path: &str| Client::to(gateway.egress()).send(request("GET", path, "", "")).answer();
    for (path, forwarded) in [
        ("/acme/api/v4/projects/a%2Fb", "/api/v4/projects/a%2Fb"),
        ("/acme/api/v4/projects/a%2fb?access_token=x", "/api/v4/projects/a%2Fb?access_token=x"),
        ("/acme/api/v4/groups/a?private=1&access_token=x", "/api/v4/groups/a?private=1&access_token=x"),
    ] {
        assert_eq!(get(path).status, 200, "{path}");
        assert_eq!(vendor.last().line(), format!("GET {forwarded} HTTP/1.1"));
    }
    assert_eq!(get("/acme/api/v4/users/a%2Fb").status, 200);
    assert!(vendor.last().line().starts_with("GET /api/v4/users/h"), "{}", vendor.last().line());
    let asked = vendor.seen().len();
    for (path, told) in [
        ("/acme/api/v4/groups/a%2Fb", "allow_encoded_slash"),
        ("/acme/api/v4/projects/a%2F..%2Fb", "dot segments"),
        ("/acme/api/v4/projects/a%252Fb", "twice"),
        ("/acme/api/v4/projects/a%5Cb", "backslash"),
        ("/acme/api/v4/projects/a;b/../c", "parameters"),
        ("/acme/../acme/api", "no egress route"),
    ] {
        let refused = get(path);
        assert!([400, 403].contains(&refused.status), "{path}");
        assert!(refused.status == 403 || refused.text().contains(told), "{path}: {}", refused.text());
    }
    assert_eq!(vendor.seen().len(), asked);
}
