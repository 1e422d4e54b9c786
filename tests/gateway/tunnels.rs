//! Tunnels (CONNECT): decided before the 200, HTTP in clear in them treated as any call, TLS refused.

use std::net::SocketAddr;
use std::process::Command;

use crate::support::client::{Answer, BodyEnd, Client, exchange_raw};
use crate::support::fixture::GatewayFixture;
use crate::support::h2;
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::Upstream;

pub(crate) const RATE: &str = "requests: { rate: 100000/s }";

pub(crate) fn clear_terms(vendor: SocketAddr) -> String {
    format!(
        r#"limits: {{ {RATE} }}
egress:
  hosts: [api.acme.example, "{vendor}"]
  upstream: {{ url: "http://{vendor}", allow_networks: ["127.0.0.0/8"] }}
  routes:
    - {{ route: GET /v2/plain }}
    - route: POST /v2/events
      request: {{ pii: [ {{ field: "$..email", as: tokenize }} ] }}
"#
    )
}

pub(crate) fn connect(gateway: &TestGateway, target: &str, fields: &str) -> (Client, Answer) {
    let mut client = Client::to(gateway.egress());
    let head = client.send(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{fields}\r\n")).head();
    (client, head)
}

pub(crate) fn refused(gateway: &TestGateway, target: &str) -> (u16, String, String) {
    let mut client = Client::to(gateway.egress());
    let answer = client.send(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n")).answer();
    (answer.status, answer.reason(), answer.json()["detail"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn http_in_clear_in_a_tunnel_is_treated_as_any_call() {
    let vendor = Upstream::json(r#"{"ok":true}"#);
    let gateway = TestGateway::of_acme(vendor.address, &clear_terms(vendor.address));
    let own = vendor.address.to_string();
    for target in ["api.acme.example:80", "API.Acme.Example.:80", &own] {
        let (mut client, head) = connect(&gateway, target, "Proxy-Authorization: Basic c2VjcmV0\r\n");
        assert_eq!((head.status, head.field("content-length"), head.field("transfer-encoding")), (200, None, None));
        let host = target.strip_suffix(":80").unwrap_or(target);
        let body = r#"{"email":"ann@example.com"}"#;
        let fields = format!("Host: {host}\r\nProxy-Connection: keep-alive\r\nContent-Type: application/json");
        for (line, length) in [("GET /v2/plain", 0), ("POST /v2/events", body.len()), ("GET http://HOST/v2/plain", 0)] {
            let line = line.replace("HOST", host);
            let text = format!("{line} HTTP/1.1\r\n{fields}\r\nContent-Length: {length}\r\n\r\n{}", &body[..length]);
            let answer = client.send(text).answer();
            assert_eq!((answer.status, answer.text().as_str()), (200, r#"{"ok":true}"#), "{target} {line}");
        }
        let other = client.send("GET /v2/plain HTTP/1.1\r\nHost: evil.example\r\n\r\n").answer();
        assert_eq!((other.status, other.reason().as_str()), (400, "request_malformed"));
    }
    assert_eq!(vendor.seen().len(), 9);
    for seen in vendor.seen() {
        let raw = String::from_utf8_lossy(&seen.raw).to_ascii_lowercase();
        for held_back in ["ann@", "proxy-", "c2vjcmv0", "connect", "acme.example"] {
            assert!(!raw.contains(held_back), "{held_back}: {raw}");
        }
    }
}

#[test]
fn a_tunnel_to_no_contract_is_refused_before_its_200_in_words_that_say_why() {
    let vendor = Upstream::json("{}");
    let gateway = TestGateway::of_acme(vendor.address, &clear_terms(vendor.address));
    let (egress, admin) = (gateway.egress(), gateway.addresses.admin.expect("an address"));
    for (target, status, reason, word) in [
        ("evil.example:443", 403, "destination_unknown", "egress.hosts"),
        ("api.acme.example:8443", 403, "destination_unknown", "egress.hosts"),
        ("93.184.216.34:443", 403, "destination_unknown", "address"),
        ("169.254.169.254:80", 403, "destination_unknown", "address"),
        ("[fd00:ec2::254]:80", 403, "destination_unknown", "address"),
        ("api.acme.example:25", 403, "destination_unknown", "mail"),
        ("localhost:443", 403, "destination_unknown", "egress.hosts"),
        ("metadata.google.internal:80", 403, "destination_unknown", "egress.hosts"),
        (&egress.to_string(), 508, "loop_detected", ""),
        (&format!("localhost:{}", admin.port()), 508, "loop_detected", ""),
        ("api.acme.example:443", 403, "destination_unknown", "tunnel: intercept"),
    ] {
        let (got, because, detail) = refused(&gateway, target);
        assert_eq!((got, because.as_str()), (status, reason), "{target}");
        assert!(detail.contains(word), "{target}: {detail}");
    }
    for text in [
        "CONNECT api.acme.example:80 HTTP/1.1\r\nHost: other.example:80\r\n\r\n",
        "CONNECT api.acme.example:80 HTTP/1.1\r\nHost: api.acme.example:80\r\nContent-Length: 3\r\n\r\nabc",
        "CONNECT http://api.acme.example:80/ HTTP/1.1\r\nHost: api.acme.example:80\r\n\r\n",
        "CONNECT api.acme.example HTTP/1.1\r\nHost: api.acme.example\r\n\r\n",
    ] {
        let answer = Client::to(gateway.egress()).send(text).answer();
        assert_eq!((answer.status, answer.reason().as_str()), (400, "request_malformed"), "{text}");
    }
    assert_eq!(vendor.seen().len(), 0);
    // Vendors that call us get no tunnel at all.
    let ingress =
        exchange_raw(gateway.ingress(), b"CONNECT api.acme.example:80 HTTP/1.1\r\nHost: api.acme.example:80\r\n\r\n");
    assert!(ingress.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&ingress));
}

#[test]
fn there_is_no_tunnel_within_a_tunnel_nor_on_http_2() {
    let vendor = Upstream::json("{}");
    let gateway = TestGateway::of_acme(vendor.address, &clear_terms(vendor.address));
    let (mut client, head) = connect(&gateway, "api.acme.example:80", "");
    assert_eq!(head.status, 200);
    let inner = client.send("CONNECT api.acme.example:80 HTTP/1.1\r\nHost: api.acme.example:80\r\n\r\n").answer();
    assert_eq!((inner.status, inner.reason().as_str()), (400, "request_malformed"));
    h2::run(async {
        let mut session = h2::open(gateway.egress()).await;
        let request = http::Request::builder().method("CONNECT").uri("api.acme.example:80");
        session.ready().await.expect("open");
        let answer =
            session.send_request(request.body(Default::default()).expect("a request")).await.expect("an answer");
        assert_eq!(answer.status(), 400);
        let (body, _) = h2::read(answer.into_body()).await;
        assert!(String::from_utf8_lossy(&body).contains("HTTP/1.1"), "{}", String::from_utf8_lossy(&body));
    });
}

#[test]
fn what_is_sent_before_the_200_is_the_tunnels_own_whatever_the_split() {
    let vendor = Upstream::json("{}");
    let gateway = TestGateway::of_acme(vendor.address, &clear_terms(vendor.address));
    let connect = "CONNECT api.acme.example:80 HTTP/1.0\r\n\r\n";
    let call = "GET /v2/plain HTTP/1.1\r\nHost: api.acme.example\r\nConnection: close\r\n\r\n";
    let whole = format!("{connect}{call}");
    for at in [connect.len() - 1, connect.len(), connect.len() + 1, whole.len() - 1, whole.len()] {
        let mut client = Client::to(gateway.egress());
        client.send(&whole[..at]);
        std::thread::yield_now();
        assert_eq!(client.send(&whole[at..]).head().status, 200, "{at}");
        assert_eq!(client.answer().status, 200, "{at}");
        assert!(client.is_closed(), "{at}");
    }
    assert_eq!(vendor.seen().len(), 5);
    // What follows a refused one is not taken for a request of its own host without a look.
    let mut client = Client::to(gateway.egress());
    client.send(format!("{}{call}", connect.replace("api.acme", "evil")));
    assert_eq!(client.answer().status, 403);
}

/// A proxy that refuses makes old clients try again for ever: each try is answered, and the audit counts them.
#[test]
fn a_client_that_never_stops_asking_for_a_tunnel_is_answered_and_leaves_no_flood() {
    let vendor = Upstream::json("{}");
    let gateway = TestGateway::of_acme(vendor.address, &clear_terms(vendor.address));
    let mut client = Client::to(gateway.egress());
    for _ in 0..1000 {
        let text = "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n";
        assert_eq!(client.send(text).answer().status, 403);
    }
    let page = gateway.admin("viewer", "GET", "/v1/audit?limit=1000", "").text();
    let lines = page.matches("destination_unknown").count();
    assert!((1..200).contains(&lines), "{lines} lines for a thousand refusals");
}

#[test]
fn tls_in_a_tunnel_for_clear_text_is_closed_and_silence_too() {
    let vendor = Upstream::json("{}");
    let fixture = GatewayFixture::of_acme(vendor.address, &clear_terms(vendor.address));
    let gateway = TestGateway::start(fixture.listeners(
        "  egress: { bind: \"127.0.0.1:0\", anonymous: true, head_timeout: 1s }\n  admin: { bind: \"127.0.0.1:0\", operators: operators.yaml }\n",
    ));
    let (mut client, head) = connect(&gateway, "api.acme.example:80", "");
    assert_eq!(head.status, 200);
    assert!(client.send([0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0]).is_closed());
    let (mut silent, head) = connect(&gateway, "api.acme.example:80", "");
    assert_eq!(head.status, 200);
    assert!(silent.is_closed(), "a tunnel in which nothing is said holds no slot");
    assert_eq!(vendor.seen().len(), 0);
    until("the log says why", || gateway.log().contains("TLS in a tunnel"));
}

#[test]
fn a_killed_vendor_gets_no_tunnel_and_no_request_in_an_open_one() {
    let vendor = Upstream::json("{}");
    let gateway = TestGateway::of_acme(vendor.address, &clear_terms(vendor.address));
    let (mut open, head) = connect(&gateway, "api.acme.example:80", "");
    assert_eq!(head.status, 200);
    let killed = gateway.admin("operator", "POST", "/v1/vendors/acme/kill", r#"{"reason":"breach"}"#);
    assert_eq!(killed.status, 200);
    assert_eq!(refused(&gateway, "api.acme.example:80").1, "vendor_killed");
    let inside = open.send("GET /v2/plain HTTP/1.1\r\nHost: api.acme.example\r\n\r\n").answer();
    assert_eq!(inside.reason(), "vendor_killed");
    assert_eq!(vendor.seen().len(), 0);
}

#[test]
fn curl_tunnels_clear_text_and_shows_why_tls_is_refused() {
    let vendor = Upstream::json(r#"{"ok":true}"#);
    let gateway = TestGateway::of_acme(vendor.address, &clear_terms(vendor.address));
    let proxy = format!("http://{}", gateway.egress());
    let curl = |arguments: &[&str]| {
        let done = Command::new("curl").args(["-sS", "--noproxy", "", "-x", &proxy]).args(arguments).output();
        let done = done.expect("curl runs");
        String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned()
    };
    assert_eq!(curl(&["--proxytunnel", "http://api.acme.example/v2/plain"]), r#"{"ok":true}"#);
    let refused = curl(&["https://api.acme.example/v2/plain"]);
    assert!(refused.contains("403"), "{refused}");
    assert_eq!(vendor.seen().len(), 1);
}

#[test]
fn a_tunnel_ends_with_its_caller() {
    let vendor = Upstream::start(|_, asker| !asker.gone());
    let gateway = TestGateway::of_acme(vendor.address, &clear_terms(vendor.address));
    let (mut client, head) = connect(&gateway, "api.acme.example:80", "");
    assert_eq!(head.status, 200);
    client.send("GET /v2/plain HTTP/1.1\r\nHost: api.acme.example\r\n\r\n");
    until("the vendor has it", || vendor.seen().len() == 1);
    drop(client);
    until("the vendor's side is closed", || vendor.open() == 0);
    until("nothing is in flight", || gateway.in_flight() == 0);
    let (mut client, _) = connect(&gateway, "api.acme.example:80", "");
    client.send("GET /v2/plain HTTP/1.1\r\nHost: api.acme.example\r\n\r\n");
    until("the vendor has it", || vendor.seen().len() == 2);
    let killed = gateway.admin("operator", "POST", "/v1/vendors/acme/kill", r#"{"reason":"breach"}"#);
    assert_eq!(killed.json()["severed"].as_u64(), Some(1));
    let answer = client.answer();
    assert_eq!((answer.reason().as_str(), answer.ending), ("vendor_killed", BodyEnd::Whole));
}

#[test]
fn a_tunnel_is_asked_for_by_a_service_that_is_known_and_all_in_it_is_that_services() {
    use base64::Engine as _;
    use sha2::{Digest as _, Sha256};
    let vendor = Upstream::json("{}");
    let token = "checkout-token-of-32-characters-x";
    let hash: String = Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let terms = clear_terms(vendor.address).replace("egress:\n", "egress:\n  callers: [checkout]\n");
    let fixture = GatewayFixture::of_acme(vendor.address, &terms)
        .listeners(
            "  egress: { bind: \"127.0.0.1:0\" }\n  admin: { bind: \"127.0.0.1:0\", operators: operators.yaml }\n",
        )
        .with(&format!("callers: {{ checkout: {{ token_sha256: {hash} }} }}\n"));
    let gateway = TestGateway::start(fixture);
    let mut client = Client::to(gateway.egress());
    let unproven = client.send("CONNECT api.acme.example:80 HTTP/1.1\r\nHost: api.acme.example:80\r\n\r\n").answer();
    assert_eq!((unproven.status, unproven.reason().as_str()), (407, "caller_unknown"));
    assert!(unproven.field("proxy-authenticate").is_some(), "{:?}", unproven.fields);
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("checkout:{token}"));
    let (mut client, head) =
        connect(&gateway, "api.acme.example:80", &format!("Proxy-Authorization: Basic {basic}\r\n"));
    assert_eq!(head.status, 200);
    let answer = client.send("GET /v2/plain HTTP/1.1\r\nHost: api.acme.example\r\n\r\n").answer();
    assert_eq!(answer.status, 200);
    assert_eq!(vendor.seen().len(), 1);
}
