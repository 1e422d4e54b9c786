//! `query:`, `headers:` and `params:` of a route, in both directions: what is not listed, or not of its form, never
//! reaches the other side.

use std::process::Command;

use crate::support::client::{Client, request};
use crate::support::fixture::GatewayFixture;
use crate::support::issuer::reader;
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::{Upstream, ok};

fn terms(vendor: &Upstream) -> String {
    format!(
        r#"ingress:
  - route: GET /v1/people/{{id}}
    scopes: [orders:read]
    upstream: crm
    query: {{ allow: [page] }}
    headers: {{ allow: [x-tenant], other: drop }}
    params:
      id: {{ type: integer }}
      sort: {{ pattern: "[a-z]{{1,8}}" }}
  - {{ route: GET /v1/free, scopes: [orders:read], upstream: crm }}
egress:
  upstream: {{ url: "http://{}/base", allow_networks: ["127.0.0.0/8"] }}
  routes:
    - route: GET /v2/search
      query: {{ allow: [q], other: drop }}
      headers: {{ allow: [x-ours], other: refuse }}
      request: {{ pii: [ {{ query: q, as: hash }} ] }}
    - route: GET /v2/lists
      query: {{ allow: [] }}
"#,
        vendor.address
    )
}

fn gateway() -> (Upstream, Upstream, TestGateway) {
    let (crm, vendor) = (Upstream::json("{}"), Upstream::saying(ok("application/json", "{}")));
    let gateway = TestGateway::of_acme(crm.address, &terms(&vendor));
    (crm, vendor, gateway)
}

#[test]
fn what_a_vendor_may_not_ask_for_is_refused_before_the_upstream() {
    let (crm, _vendor, gateway) = gateway();
    for path in ["/v1/people/17", "/v1/people/17?page=1&page=2", "/v1/people/17?%70age=1&sort=name", "/v1/free?x=1"] {
        assert_eq!(gateway.get(path, &reader()).status, 200, "{path}");
        assert!(crm.last().line().contains(path), "as it was written: {}", crm.last().line());
    }
    let seen = crm.seen().len();
    for path in [
        "/v1/people/ann",
        "/v1/people/17%20",
        "/v1/people/17?email=x",
        "/v1/people/17?%65mail=x",
        "/v1/people/17?page[]=1",
        "/v1/people/17?page=1;email=x",
        "/v1/people/17?sort=a&sort=b",
        "/v1/people/17?s%6Frt=a&sort=b",
        "/v1/people/17?sort=a%0A",
        "/v1/people/17?sort=UNION",
        "/v1/people/17?PAGE=1",
        "/v1/people/17?page+=1",
        "/v1/people/17?page%00=1",
        "/v1/people/17?page%26email=1",
        "/v1/people/17?%2570age=1",
        "/v1/people/17?=x",
        "/v1/people/17?id=17",
        "/v1/people/%EF%BC%91",
    ] {
        let answer = gateway.get(path, &reader());
        assert_eq!((answer.status, answer.reason().as_str()), (403, "parameter_forbidden"), "{path}");
        assert!(!answer.text().contains("email"), "the answer holds nothing of the call: {}", answer.text());
    }
    let many = format!("/v1/people/17?{}page=1", "page=1&".repeat(256));
    assert_eq!(gateway.get(&many, &reader()).reason(), "parameter_forbidden");
    assert_eq!(gateway.get(&many.replacen("page=1&", "", 1), &reader()).status, 200);
    assert_eq!(crm.seen().len(), seen + 1);
    let denied = r#"vendorgate_denials_total{vendor="acme",direction="ingress",reason="parameter_forbidden"}"#;
    until("each is counted", || gateway.series(denied) == 19.0);
}

#[test]
fn header_fields_that_are_not_listed_do_not_reach_the_upstream() {
    let (crm, _vendor, gateway) = gateway();
    let text = request("GET", "/v1/people/17", &reader(), "")
        .replace("\r\n\r\n", "\r\nX-Tenant: t\r\nX-Admin: yes\r\nX_Tenant: u\r\nX-Forwarded-User: root\r\nCookie: a=b\r\nAccept-Language: de\r\n\r\n");
    assert_eq!(Client::to(gateway.ingress()).send(text).answer().status, 200);
    let seen = crm.last();
    assert_eq!((seen.field("x-tenant"), seen.field("accept-language")), (Some("t"), Some("de")));
    for dropped in ["x-admin", "x_tenant", "x-forwarded-user", "cookie"] {
        assert_eq!(seen.field(dropped), None, "{dropped}");
    }
    assert_eq!(seen.field("x-vendorgate-vendor"), Some("acme"), "the gateway's own are there");
}

#[test]
fn our_own_calls_drop_or_refuse_what_the_contract_does_not_list() {
    let (_crm, vendor, gateway) = gateway();
    let call = |path: &str, fields: &str| {
        let text = request("GET", path, "", "").replace("\r\n\r\n", &format!("\r\n{fields}\r\n"));
        Client::to(gateway.egress()).send(text).answer()
    };
    assert_eq!(call("/acme/v2/search?q=ann&email=ann@example.com&%65mail=x", "X-Ours: 1\r\n").status, 200);
    let line = vendor.last().line().to_owned();
    assert!(line.starts_with("GET /base/v2/search?q=h1") && !line.contains("mail") && !line.contains("ann"), "{line}");
    assert_eq!(call("/acme/v2/search?email=x", "").status, 200);
    assert_eq!(vendor.last().line(), "GET /base/v2/search HTTP/1.1", "no query is left");
    let fetch = "Sec-Fetch-Mode: cors\r\nUser-Agent: node\r\nProxy-Connection: keep-alive\r\n";
    assert_eq!(call("/acme/v2/search?q=a", fetch).status, 200, "what clients add by themselves");
    let seen = vendor.seen().len();
    assert_eq!(call("/acme/v2/search?q=a", "X-Customer: ann\r\n").reason(), "parameter_forbidden");
    assert_eq!(call("/acme/v2/lists?a=1", "").reason(), "parameter_forbidden");
    assert_eq!(vendor.seen().len(), seen);
    assert_eq!(call("/acme/v2/lists", "").status, 200);
}

#[test]
fn a_contract_that_observes_reports_parameters_and_lets_them_pass() {
    let (crm, vendor) = (Upstream::json("{}"), Upstream::saying(ok("application/json", "{}")));
    let day = vendorgate::internals::model::Clock::system().now().wall.to_string()[..10].to_owned();
    let observing = format!("mode: observe\nobserve_until: {day}\n{}", terms(&vendor));
    let gateway = TestGateway::of_acme(crm.address, &observing);
    assert_eq!(gateway.get("/v1/people/ann?email=x", &reader()).status, 200);
    assert_eq!(crm.last().line(), "GET /v1/people/ann?email=x HTTP/1.1");
    let series = r#"vendorgate_would_deny_total{vendor="acme",direction="ingress",reason="parameter_forbidden"}"#;
    until("it is reported", || gateway.series(series) == 1.0);
    let answer = Client::to(gateway.egress()).send(request("GET", "/acme/v2/search?q=a&email=x", "", "")).answer();
    assert_eq!(answer.status, 200);
    assert_eq!(vendor.last().line(), "GET /base/v2/search?q=a&email=x HTTP/1.1", "nothing is dropped");
}

#[test]
fn only_lets_listed_fields_pass_inward_and_outward() {
    let people = r#"{"people":[{"id":1,"email":"ann@example.com","home":{"city":"Bonn","street":"Weg 1"}}],"next":"ann@example.com"}"#;
    let (crm, vendor) = (Upstream::json(people), Upstream::saying(ok("application/json", "{}")));
    let terms = format!(
        r#"ingress:
  - route: GET /v1/people
    scopes: [orders:read]
    upstream: crm
    response: {{ only: ["$.people[*].id", "$.people[*].home.city"] }}
egress:
  upstream: {{ url: "http://{}", allow_networks: ["127.0.0.0/8"] }}
  routes:
    - route: POST /v2/events
      query: {{ allow: [v], other: drop }}
      headers: {{ allow: [], other: drop }}
      request: {{ only: ["$.events[*].kind"] }}
"#,
        vendor.address
    );
    let gateway = TestGateway::of_acme(crm.address, &terms);
    assert_eq!(gateway.get("/v1/people", &reader()).text(), r#"{"people":[{"id":1,"home":{"city":"Bonn"}}]}"#);
    let body =
        r#"{"sender":"ann@example.com","events":[{"kind":"signup","em\u0061il":"ann@example.com"},"ann@example.com"]}"#;
    let text = request("POST", "/acme/v2/events?v=1&mail=ann@example.com", "", body)
        .replace("\r\n\r\n", "\r\nX-Customer: ann@example.com\r\nReferer: http://ann@example.com\r\n\r\n");
    assert_eq!(Client::to(gateway.egress()).send(text).answer().status, 200);
    let seen = String::from_utf8_lossy(&vendor.last().raw).into_owned();
    assert!(seen.starts_with("POST /v2/events?v=1 HTTP/1.1") && seen.contains("signup"), "{seen}");
    assert!(!seen.contains("ann@") && !seen.contains("example.com"), "{seen}");
}

#[test]
fn explain_says_which_parameter_is_not_allowed() {
    let vendor = Upstream::saying(ok("application/json", "{}"));
    let fixture = GatewayFixture::of_acme("127.0.0.1:9".parse().expect("an address"), &terms(&vendor));
    let told = |direction: &str, target: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vendorgate"));
        command.args(["explain", "--vendor", "acme", "--direction", direction, "--config"]).arg(fixture.main());
        String::from_utf8(command.args(["GET", target]).output().expect("it runs").stdout).expect("text")
    };
    for (direction, target, says) in [
        ("ingress", "/v1/people/ann", "params.id: is not of its type"),
        ("ingress", "/v1/people/17?email=x", "query.allow: the parameter 'email' is not listed"),
        ("ingress", "/v1/people/17", "those that it has are allowed"),
        ("egress", "/v2/search?q=a&email=x", "those that are not listed are dropped"),
        ("egress", "/v2/search", "with any other the request is refused"),
    ] {
        let text = told(direction, target);
        assert!(text.contains(says), "{target}: {says}\n{text}");
    }
}
