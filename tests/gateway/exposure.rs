//! The exposure report, checked against the bytes that left: what detectors found, and what left in clear.

use serde_json::{Value, json};

use crate::evidence::{program, said};
use crate::support::issuer::reader;
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::Upstream;

const TERMS: &str = r#"ingress:
  - { route: GET /v1/reported, scopes: [orders:read], upstream: crm, response: { detect: { find: [card], as: report } } }
  - { route: GET /v1/masked, scopes: [orders:read], upstream: crm, response: { detect: { find: [card], as: mask } } }
  - { route: GET /v1/redacted, scopes: [orders:read], upstream: crm, response: { detect: { find: [card], as: redact } } }
  - { route: GET /v1/bare, scopes: [orders:read], upstream: crm }
  - route: GET /v1/listed
    scopes: [orders:read]
    upstream: crm
    response:
      pii: [ { field: "$.notes[*]", as: redact } ]
      clear: ["$.id"]
"#;

fn line<'a>(route: &'a Value, list: &str) -> Vec<&'a Value> {
    route[list].as_array().map(|lines| lines.iter().collect()).unwrap_or_default()
}

#[test]
fn finds_of_detectors_and_paths_in_clear_are_in_the_report() {
    let body = r#"{"id":7,"notes":["pay 4111 1111 1111 1111","none"],"byId":{"12345":{"city":"Oslo"},"67890":{"city":"Rome"}}}"#;
    let crm = Upstream::json(body);
    let gateway = TestGateway::of_acme(crm.address, TERMS);
    for path in ["/v1/reported", "/v1/masked", "/v1/redacted", "/v1/bare", "/v1/listed"] {
        for _ in 0..2 {
            assert_eq!(gateway.get(path, &reader()).status, 200, "{path}");
        }
    }
    until("the last byte is counted", || {
        gateway.series(r#"vendorgate_in_flight{vendor="acme",direction="ingress"}"#) == 0.0
    });
    let report = gateway.admin("viewer", "GET", "/v1/exposure?vendor=acme", "").json();
    assert_eq!(report["left_raw"], 2, "{report}");
    let route = |name: &str| {
        let all = report["routes"].as_array().expect("routes").iter();
        all.clone().find(|route| route["route"] == format!("GET /v1/{name}")).unwrap_or(&Value::Null).clone()
    };
    for (name, treatment) in [("reported", "report"), ("masked", "mask"), ("redacted", "redact")] {
        let route = route(name);
        let treated = line(&route, "treated");
        assert_eq!(treated.len(), 1, "{route}");
        assert_eq!((&treated[0]["field"], &treated[0]["treatment"]), (&json!("detect"), &json!(treatment)));
        assert_eq!(treated[0]["values"], 2, "{route}");
    }
    let in_clear = |name: &str| {
        let route = route(name);
        assert_eq!((&route["in_clear"]["bodies"], &route["in_clear"]["looked_at"]), (&json!(2), &json!(2)), "{route}");
        let paths = line(&route["in_clear"], "paths");
        let told = |line: &&Value| (line["path"].clone(), line["values"].clone(), line["listed"].clone());
        paths.iter().map(told).collect::<Vec<_>>()
    };
    let told = |path: &str, values: u64, listed: bool| (json!(path), json!(values), json!(listed));
    let all = [told("$.byId.*.city", 4, false), told("$.id", 2, false), told("$.notes[*]", 4, false)];
    assert_eq!((in_clear("bare"), in_clear("reported")), (all.to_vec(), all.to_vec()));
    assert_eq!(in_clear("masked")[2], told("$.notes[*]", 2, false), "the other was masked in part");
    assert_eq!(in_clear("listed"), [told("$.byId.*.city", 4, false), told("$.id", 2, true)]);

    let text = said(&program(Some(&gateway), &["exposure", "acme"]));
    let first = text.lines().nth(2).unwrap_or_default().to_owned();
    assert!(first.contains("LEFT RAW") && first.contains("2 values"), "{text}");
    assert!(text.contains("detect  report  2  THE VALUE ITSELF"), "{text}");
    assert!(text.contains("$.byId.*.city  4  NOT LISTED under clear"), "{text}");
    let page = said(&program(Some(&gateway), &["exposure", "acme", "--md"]));
    let table = page.lines().position(|line| line == "| --- | --- |").expect("a table");
    assert!(page.lines().nth(table + 1).is_some_and(|line| line.starts_with("| LEFT RAW |")), "{page}");
    assert!(page.contains("| `$.byId.*.city` | 4 | **no** |") && page.contains("| `$.id` | 2 | yes |"), "{page}");
    for page in [text, page, report.to_string()] {
        assert!(!page.contains("4111") && !page.contains("Oslo") && !page.contains("12345"), "{page}");
    }
}
