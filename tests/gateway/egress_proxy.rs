//! Calls from our services by the vendor's host: through the listener as an HTTP proxy, and with the host as a virtual
//! one. What the vendor receives is read byte by byte.

use std::net::SocketAddr;
use std::process::Command;

use crate::support::client::{Answer, Client, request};
use crate::support::fixture::GatewayFixture;
use crate::support::h2;
use crate::support::test_gateway::TestGateway;
use crate::support::upstream::{Upstream, ok};

/// A vendor with the names `api.acme.example` and `eu.acme.example:8443`, whose API is on this machine.
fn terms(vendor: SocketAddr) -> String {
    format!(
        r#"limits: {{ requests: {{ rate: 100000/s }} }}
egress:
  hosts: [api.acme.example, "eu.acme.example:8443", "127.0.0.1:{}"]
  upstream: {{ url: "http://{vendor}/base", allow_networks: ["127.0.0.0/8"] }}
  routes:
    - route: POST /v2/events
      request: {{ pii: [ {{ field: "$..email", as: tokenize }} ] }}
    - {{ route: GET /v2/plain }}
    - route: GET /v2/people
      response: {{ pii: [ {{ field: "$..email", as: redact }} ] }}
"#,
        vendor.port()
    )
}

fn start(vendor: &Upstream) -> TestGateway {
    TestGateway::of_acme(vendor.address, &terms(vendor.address))
}

fn ask(gateway: &TestGateway, target: &str, host: &str, fields: &str) -> Answer {
    let text = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n");
    Client::to(gateway.egress()).send(text).answer()
}

fn told(answer: &Answer) -> (u16, String) {
    (answer.status, answer.reason())
}

#[test]
fn a_call_in_absolute_form_goes_to_the_contracts_upstream_and_is_treated() {
    let vendor = Upstream::json(r#"{"ok":true}"#);
    let gateway = start(&vendor);
    let body = r#"{"email":"ann@example.com"}"#;
    let text = request("POST", "http://api.acme.example/v2/events?a=1", "", body)
        .replace("Host: api.example.com", "Host: api.acme.example");
    let fields = "Proxy-Authorization: Basic c2VjcmV0OnNlY3JldA==\r\nProxy-Connection: keep-alive\r\nConnection: X-Hop\r\nX-Hop: 1\r\n";
    let text = text.replace("Content-Type", &format!("{fields}Content-Type"));
    let answer = Client::to(gateway.egress()).send(text).answer();
    assert_eq!((answer.status, answer.text().as_str()), (200, r#"{"ok":true}"#));
    let seen = vendor.last();
    assert_eq!(seen.line(), "POST /base/v2/events?a=1 HTTP/1.1");
    assert_eq!(seen.field("host"), Some(vendor.address.to_string().as_str()));
    let raw = String::from_utf8_lossy(&seen.raw).to_ascii_lowercase();
    for held_back in ["ann@", "c2vjcmv0", "proxy-", "x-hop", "acme.example", "via:", "vendorgate"] {
        assert!(!raw.contains(held_back), "{held_back}: {raw}");
    }
}

#[test]
fn a_host_of_the_contract_is_the_vendor_in_every_spelling() {
    let vendor = Upstream::json("{}");
    let gateway = start(&vendor);
    let own = vendor.address.to_string();
    for (target, host) in [
        ("http://api.acme.example/v2/plain", "api.acme.example"),
        ("http://API.acme.example:80/v2/plain", "api.acme.example"),
        ("https://api.acme.example/v2/plain", "api.acme.example:443"),
        ("http://api.acme.example./v2/plain", "api.acme.example"),
        ("http://eu.acme.example:8443/v2/plain", "eu.acme.example:8443"),
        (&format!("http://{own}/v2/plain"), &own),
        ("/v2/plain", "api.acme.example"),
        ("/v2/plain", "Api.Acme.Example.:443"),
        ("/v2/plain", &own),
        // The listener's own name: by path, also where the caller takes it for a proxy.
        ("/acme/v2/plain", "127.0.0.1"),
        (&format!("http://{}/acme/v2/plain", gateway.egress()), &gateway.egress().to_string()),
        (
            &format!("http://localhost:{}/acme/v2/plain", gateway.egress().port()),
            &format!("localhost:{}", gateway.egress().port()),
        ),
    ] {
        assert_eq!(ask(&gateway, target, host, "").status, 200, "{target} {host}");
        assert_eq!(vendor.last().line(), "GET /base/v2/plain HTTP/1.1", "{target} {host}");
    }
}

#[test]
fn a_host_of_no_contract_is_refused_and_a_second_host_too() {
    let vendor = Upstream::json("{}");
    let gateway = start(&vendor);
    for (target, host, expected) in [
        ("http://evil.example/v2/plain", "evil.example", (403, "destination_unknown")),
        ("http://evil.example/acme/v2/plain", "evil.example", (403, "destination_unknown")),
        ("http://eu.acme.example/v2/plain", "eu.acme.example", (403, "destination_unknown")),
        ("http://api.acme.example:8443/v2/plain", "api.acme.example:8443", (403, "destination_unknown")),
        ("http://169.254.169.254/latest", "169.254.169.254", (403, "destination_unknown")),
        ("/v2/plain", "evil.example", (403, "destination_unknown")),
        // By its host the vendor is found, and its own routes decide: the path is not the gateway's.
        ("/acme/v2/plain", "api.acme.example", (403, "destination_unknown")),
        ("http://api.acme.example/v2/plain", "evil.example", (400, "request_malformed")),
        ("http://api.acme.example/v2/plain", "api.acme.example:443", (400, "request_malformed")),
        ("http://evil.example/v2/plain", "api.acme.example", (400, "request_malformed")),
        ("http://user@api.acme.example/v2/plain", "api.acme.example", (400, "request_malformed")),
        ("ftp://api.acme.example/v2/plain", "api.acme.example", (400, "request_malformed")),
    ] {
        let refused = ask(&gateway, target, host, "");
        assert_eq!(told(&refused), (expected.0, expected.1.to_owned()), "{target} {host}");
    }
    assert_eq!(vendor.seen().len(), 0);
}

#[test]
fn an_http_2_call_finds_its_vendor_by_its_authority() {
    let vendor = Upstream::json("{}");
    let gateway = start(&vendor);
    let own = format!("http://{}/acme/v2/plain", gateway.egress());
    h2::run(async {
        let mut session = h2::open(gateway.egress()).await;
        for (uri, status) in
            [("https://api.acme.example/v2/plain", 200), (&own, 200), ("http://evil.example/v2/plain", 403)]
        {
            session.ready().await.expect("open");
            let request = http::Request::get(uri).body(Default::default()).expect("a request");
            assert_eq!(session.send_request(request).await.expect("an answer").status(), status, "{uri}");
        }
    });
    assert_eq!(vendor.seen().len(), 2);
}

#[test]
fn a_redirect_within_the_vendor_leads_back_the_same_way() {
    let vendor = Upstream::start(|_, asker| {
        let fields = "Location: https://api.acme.example/base/v3?a=b\r\nLink: <https://eu.acme.example:8443/base/p?n=2>; rel=\"next\", <https://evil.example/>; rel=\"x\"\r\nSet-Cookie: s=1; Secure; Path=/base; Domain=acme.example\r\n";
        asker.write(format!("HTTP/1.1 307 Away\r\n{fields}Content-Length: 0\r\n\r\n")).is_ok()
    });
    let gateway = start(&vendor);
    let told = |target: &str, host: &str| {
        let answer = ask(&gateway, target, host, "");
        let field = |name| answer.field(name).unwrap_or_default().to_owned();
        assert_eq!(answer.status, 307);
        [field("location"), field("link"), field("set-cookie")]
    };
    let by_host = [
        "http://api.acme.example/v3?a=b",
        "<http://api.acme.example/p?n=2>; rel=\"next\", <https://evil.example/>; rel=\"x\"",
        "s=1; Path=/base; Domain=acme.example",
    ];
    assert_eq!(told("http://api.acme.example/v2/plain", "api.acme.example"), by_host);
    assert_eq!(told("/v2/plain", "api.acme.example"), by_host);
    let by_path = [
        "http://127.0.0.1:1/acme/v3?a=b",
        "<http://127.0.0.1:1/acme/p?n=2>; rel=\"next\", <https://evil.example/>; rel=\"x\"",
        "s=1; Path=/acme",
    ];
    assert_eq!(told("/acme/v2/plain", "127.0.0.1:1"), by_path);
    assert_eq!(vendor.seen().len(), 3, "no redirect is followed");
}

#[test]
fn a_call_that_has_passed_the_gateway_before_is_a_loop() {
    let vendor = Upstream::json("{}");
    let gateway = start(&vendor);
    for via in ["1.1 vendorgate", "1.0 front, 2.0 vendorgate (x)"] {
        let refused = ask(&gateway, "http://api.acme.example/v2/plain", "api.acme.example", &format!("Via: {via}\r\n"));
        assert_eq!(told(&refused), (508, "loop_detected".to_owned()), "{via}");
    }
    assert_eq!(vendor.seen().len(), 0);
    let other = ask(&gateway, "http://api.acme.example/v2/plain", "api.acme.example", "Via: 1.1 front\r\n");
    assert_eq!((other.status, vendor.last().field("via")), (200, None));
}

#[test]
fn an_upstream_that_is_the_gateway_itself_is_not_dialled() {
    let vendor = Upstream::json("{}");
    let gateway = start(&vendor);
    for own in [gateway.egress(), gateway.ingress(), gateway.addresses.admin.expect("an address")] {
        // Another name of the address, so that no check of the text sees it.
        let terms = terms(vendor.address)
            .replace(&format!("http://{}", vendor.address), &format!("http://localhost:{}", own.port()));
        gateway.fixture.write_contract("acme", &terms.replace("127.0.0.0/8", "127.0.0.0/8\", \"::1/128"));
        assert_eq!(gateway.admin("admin", "POST", "/v1/reload", "{}").status, 200);
        let refused = ask(&gateway, "/acme/v2/plain", "127.0.0.1", "");
        assert_eq!(told(&refused), (508, "loop_detected".to_owned()));
    }
}

#[test]
fn an_answer_that_is_decoded_here_is_framed_for_a_client_without_accept_encoding() {
    use std::io::Write as _;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(br#"{"email":"ann@example.com"}"#).expect("written");
    let body = gzip.finish().expect("whole");
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n";
    let whole = [format!("{head}Content-Length: {}\r\n\r\n", body.len()).as_bytes(), &body].concat();
    let vendor = Upstream::saying(whole);
    let gateway = start(&vendor);
    let mut client = Client::to(gateway.egress());
    // On one connection: an answer without framing would end it.
    for _ in 0..2 {
        let text = "GET http://api.acme.example/v2/people HTTP/1.1\r\nHost: api.acme.example\r\n\r\n";
        let answer = client.send(text).answer();
        assert_eq!((answer.status, answer.field("content-encoding")), (200, None));
        assert!(answer.field("transfer-encoding").or(answer.field("content-length")).is_some(), "{:?}", answer.fields);
        assert!(answer.holds(r#"{"email":""#) && !answer.holds("ann@"), "{}", answer.text());
    }
}

#[test]
fn curl_takes_the_listener_for_its_proxy() {
    let vendor = Upstream::json(r#"{"ok":true}"#);
    let gateway = start(&vendor);
    let curl = |url: &str| {
        let proxy = format!("http://{}", gateway.egress());
        let arguments = ["-sS", "--noproxy", "", "-x", &proxy, "-w", " %{http_code}", url];
        let done = Command::new("curl").args(arguments).output().expect("curl runs");
        String::from_utf8_lossy(&done.stdout).into_owned()
    };
    assert_eq!(curl("http://api.acme.example/v2/plain"), r#"{"ok":true} 200"#);
    let refused = curl("http://evil.example/");
    assert!(refused.contains("destination_unknown") && refused.ends_with(" 403"), "{refused}");
}

#[test]
fn of_two_contracts_with_one_upstream_the_one_that_lists_the_host_has_it() {
    let vendor = Upstream::saying(ok("text/plain", "hello"));
    let by_default = terms(vendor.address)
        .lines()
        .filter(|line| !line.contains("hosts:"))
        .map(|line| format!("{line}\n"))
        .collect::<String>();
    let fixture = GatewayFixture::of_acme(vendor.address, &by_default).contract("other", &by_default);
    let gateway = TestGateway::start(fixture);
    let own = vendor.address.to_string();
    assert_eq!(
        told(&ask(&gateway, "/v2/plain", &own, "")),
        (403, "destination_unknown".to_owned()),
        "it would be a guess"
    );
    for vendor in ["acme", "other"] {
        assert_eq!(ask(&gateway, &format!("/{vendor}/v2/plain"), &own, "").status, 200);
    }
    gateway.fixture.write_contract("acme", &terms(vendor.address));
    assert_eq!(gateway.admin("admin", "POST", "/v1/reload", "{}").status, 200);
    assert_eq!(ask(&gateway, "/v2/plain", &own, "").status, 200);
    let of_acme = ["vendor=\"acme\"", "route=\"GET /v2/plain\"", "status=\"200\""];
    assert_eq!(gateway.metric("vendorgate_requests_total", &of_acme), Some(2));
}
