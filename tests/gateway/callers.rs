//! Which of our services calls a vendor: what proves it, who may call, and what follows from it.

use std::os::unix::net::UnixStream;
use std::process::Command;

use base64::Engine as _;
use rustls::version::TLS13;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::evidence::{program, said};
use crate::support::certificates::{Certificates, tls};
use crate::support::client::{Answer, Client, request};
use crate::support::fixture::GatewayFixture;
use crate::support::issuer::reader;
use crate::support::process::Process;
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::{Upstream, ok};

const CHECKOUT: &str = "token-of-checkout";
const BILLING: &str = "token-of-billing";

/// The hash of a token, as the config has it.
fn hash(token: &str) -> String {
    Sha256::digest(token).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn vendor() -> Upstream {
    Upstream::saying(ok("application/json", "{}"))
}

fn contract(vendor: &Upstream, egress: &str) -> String {
    format!(
        "limits: {{ egress: {{ client_requests: {{ rate: 3/h, burst: 3 }} }} }}\negress:\n  {egress}\n  upstream: {{ url: \"http://{}\", allow_networks: [\"127.0.0.0/8\"] }}\n  routes:\n    - route: GET /v2/plain\n",
        vendor.address
    )
}

fn by_token() -> String {
    format!(
        "callers:\n  checkout: {{ token_sha256: {} }}\n  billing: {{ token_sha256: {} }}\n",
        hash(CHECKOUT),
        hash(BILLING)
    )
}

fn fixture(vendor: &Upstream, egress: &str, bind: &str) -> GatewayFixture {
    let listeners = format!(
        "  ingress: {{ bind: \"127.0.0.1:0\" }}\n  egress: {{ {bind} }}\n  admin: {{ bind: \"127.0.0.1:0\", operators: operators.yaml }}\n"
    );
    GatewayFixture::of_acme(vendor.address, &contract(vendor, egress)).listeners(&listeners)
}

const LOOPBACK: &str = "bind: \"127.0.0.1:0\"";

fn ask(target: &str, fields: &str) -> String {
    request("GET", target, "", "").replace("\r\n\r\n", &format!("\r\n{fields}\r\n"))
}

fn basic(name: &str, token: &str) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(format!("{name}:{token}"));
    format!("Proxy-Authorization: Basic {text}\r\n")
}

fn own_field(token: &str) -> String {
    format!("X-Vendorgate-Caller-Token: {token}\r\n")
}

#[test]
fn a_service_is_known_by_its_token_and_nothing_of_it_leaves() {
    let vendor = vendor();
    let gateway = TestGateway::start(fixture(&vendor, "callers: [checkout]", LOOPBACK).with(&by_token()));
    let call = |fields: &str| Client::to(gateway.egress()).send(ask("/acme/v2/plain", fields)).answer();
    for fields in [
        basic("checkout", CHECKOUT),
        own_field(CHECKOUT),
        format!("Proxy-Authorization: Bearer {CHECKOUT}\r\nAuthorization: Bearer of-the-vendor\r\n"),
    ] {
        assert_eq!(call(&fields).status, 200, "{fields}");
    }
    for seen in vendor.seen() {
        let raw = String::from_utf8_lossy(&seen.raw).to_ascii_lowercase();
        for part in ["checkout", "proxy-auth", "caller", "vendorgate"] {
            assert!(!raw.contains(part), "{part}: {raw}");
        }
    }
    assert_eq!(vendor.last().field("authorization"), Some("Bearer of-the-vendor"));
    let refused = call(&basic("billing", BILLING));
    assert_eq!((refused.status, refused.reason().as_str()), (403, "caller_not_allowed"));
    for fields in [String::new(), basic("billing", CHECKOUT), own_field("guess")] {
        let refused = call(&fields);
        assert_eq!((refused.status, refused.reason().as_str()), (401, "caller_unknown"), "{fields}");
        assert!(refused.field("www-authenticate").is_some() && refused.field("proxy-authenticate").is_none());
    }
    assert_eq!(vendor.seen().len(), 3, "nothing was sent for what was refused");
    until("the line is written", || gateway.log().contains(r#""client":"checkout""#));
    assert_eq!(call(&own_field(CHECKOUT)).reason(), "rate_limited", "the rate of one client");
    let family = "vendorgate_caller_requests_total";
    let of = |caller: &str| gateway.metric(family, &[r#"vendor="acme""#, &format!("caller=\"{caller}\"")]);
    until("the exchanges are counted", || of("checkout") == Some(4) && of("billing") == Some(1));
    assert!(of("guess").is_none());
}

#[test]
fn a_proxy_asks_for_credentials_as_a_proxy_does() {
    let vendor = vendor();
    let terms = "hosts: [api.acme.example]";
    let gateway = TestGateway::start(fixture(&vendor, terms, LOOPBACK).with(&by_token()));
    let call = |fields: &str| -> Answer {
        let text = ask("http://api.acme.example/v2/plain", fields).replace("api.example.com", "api.acme.example");
        Client::to(gateway.egress()).send(text).answer()
    };
    let refused = call("");
    assert_eq!((refused.status, refused.reason().as_str()), (407, "caller_unknown"));
    assert_eq!(refused.field("proxy-authenticate"), Some("Basic realm=\"vendorgate\""));
    assert_eq!(call(&basic("billing", BILLING)).status, 200);
    // A real client: the name and the token are in the URL of its proxy.
    let proxy = format!("http://checkout:{CHECKOUT}@{}", gateway.egress());
    let curl = Command::new("curl")
        .args(["-sS", "-o", "/dev/null", "-w", "%{http_code}", "--noproxy", "", "-x", &proxy])
        .arg("http://api.acme.example/v2/plain")
        .output()
        .expect("curl runs");
    assert_eq!(String::from_utf8_lossy(&curl.stdout), "200", "{}", String::from_utf8_lossy(&curl.stderr));
    assert!(vendor.seen().iter().all(|seen| seen.field("proxy-authorization").is_none()));
}

#[test]
fn a_service_is_known_by_its_user_on_a_socket_that_goes_with_the_gateway() {
    let vendor = vendor();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("egress.sock");
    let bind = format!("bind: \"unix:{}\"", path.display());
    let uid = rustix::process::getuid().as_raw();
    let callers = format!("callers:\n  checkout: {{ uid: {uid} }}\n  other: {{ uid: 4000000000 }}\n");
    let mut gateway = TestGateway::start(fixture(&vendor, "callers: [checkout]", &bind).with(&callers));
    // More than one worker's worth of connections.
    for _ in 0..3 {
        let stream = UnixStream::connect(&path).expect("connected");
        assert_eq!(Client::over(stream).send(ask("/acme/v2/plain", "")).answer().status, 200);
    }
    until("the line is written", || gateway.log().contains(r#""client":"checkout""#));
    gateway.fixture.write_contract("acme", &contract(&vendor, "callers: [other]"));
    assert_eq!(gateway.admin("admin", "POST", "/v1/reload", "").status, 200);
    let stream = UnixStream::connect(&path).expect("connected");
    let refused = Client::over(stream).send(ask("/acme/v2/plain", "")).answer();
    assert_eq!(refused.reason(), "caller_not_allowed");
    gateway.begin_drain();
    until("the socket is removed", || gateway.is_drained() && !path.exists());
}

#[test]
fn a_service_is_known_by_its_certificate() {
    let vendor = vendor();
    let bind = "bind: \"127.0.0.1:0\", tls: { cert: gateway.pem, key: gateway.key, client_ca: ca.pem }";
    let callers = "callers:\n  checkout: { certificate: \"spiffe://example.com/checkout\" }\n";
    let fixture = GatewayFixture::of_acme(vendor.address, &contract(&vendor, "callers: [checkout]"));
    let certificates = Certificates::write(fixture.path());
    let listeners =
        format!("  egress: {{ {bind} }}\n  admin: {{ bind: \"127.0.0.1:0\", operators: operators.yaml }}\n");
    let gateway = TestGateway::start(fixture.listeners(&listeners).with(callers));
    let call = |name: &str| {
        let own = certificates.for_client(name, 1).client(&[&TLS13], &["http/1.1"], true);
        tls(gateway.egress(), &own).expect("a handshake").send(ask("/acme/v2/plain", "")).answer()
    };
    assert_eq!(call("spiffe://example.com/checkout").status, 200);
    assert_eq!(call("spiffe://example.com/other").reason(), "caller_unknown");
}

#[test]
fn a_kill_of_one_service_spares_the_others_and_a_lost_name_ends_what_runs() {
    let vendor = Upstream::start(|_, asker| {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n";
        if asker.write(head).is_err() {
            return false;
        }
        while asker.chunk("data\n").is_ok() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        false
    });
    let gateway = TestGateway::start(fixture(&vendor, "callers: [checkout, billing]", LOOPBACK).with(&by_token()));
    let begin = |token: &str| {
        let mut client = Client::to(gateway.egress());
        assert_eq!(client.send(ask("/acme/v2/plain", &own_field(token))).head().status, 200);
        client
    };
    let (mut checkout, mut billing) = (begin(CHECKOUT), begin(BILLING));
    let order = r#"{"client":"checkout","direction":"egress","reason":"it was broken into"}"#;
    let done = gateway.admin("operator", "POST", "/v1/vendors/acme/kill", order).json();
    assert_eq!((&done["severed"], &done["unseen"]), (&1.into(), &serde_json::Value::Null), "{done}");
    until("the killed one is cut", || checkout.more().is_err());
    assert!(billing.more().is_ok(), "the other goes on");
    let again = Client::to(gateway.egress()).send(ask("/acme/v2/plain", &own_field(CHECKOUT))).answer();
    assert_eq!(again.reason(), "vendor_killed");
    gateway.fixture.write_contract("acme", &contract(&vendor, "callers: [checkout]"));
    assert_eq!(gateway.admin("admin", "POST", "/v1/reload", "").status, 200);
    until("one that is no longer listed is cut", || billing.more().is_err());
}

#[test]
fn explain_says_whether_a_service_may_call() {
    let vendor = vendor();
    let fixture = fixture(&vendor, "callers: [checkout]", LOOPBACK).with(&by_token());
    let explain = |caller: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vendorgate"));
        command.args(["explain", "--config"]).arg(fixture.main()).args(["--vendor", "acme", "--direction", "egress"]);
        let output = command.args(caller).args(["GET", "/v2/plain"]).output().expect("it starts");
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let (code, said) = explain(&["--caller", "checkout"]);
    assert!(code == Some(0) && said.contains("the contract lists the service"), "{said}");
    let (code, said) = explain(&["--caller", "billing"]);
    assert!(code == Some(1) && said.contains("caller_not_allowed") && said.contains("egress.callers"), "{said}");
    let (code, said) = explain(&[]);
    assert!(code == Some(1) && said.contains("caller_unknown"), "{said}");
    assert_eq!(explain(&["--caller", "nobody"]).0, Some(2));
}

#[test]
fn the_exposure_says_by_which_caller_it_left() {
    let vendor = Upstream::saying(ok("application/json", r#"{"email":"ann@example.com"}"#));
    let terms = format!(
        "ingress:
  - {{ route: GET /v1/orders, scopes: [orders:read], upstream: crm, response: {{ pii: [ {{ field: $.email, as: hash }} ] }} }}
egress:
  upstream: {{ url: \"http://{}\", allow_networks: [\"127.0.0.0/8\"] }}
  routes:
    - {{ route: POST /v2/people, records: \"$[*]\", request: {{ pii: [ {{ field: \"$[*].email\", as: redact }} ] }} }}
    - route: GET /v2/plain
",
        vendor.address
    );
    let listeners = "  ingress: { bind: \"127.0.0.1:0\" }\n  egress: { bind: \"127.0.0.1:0\", anonymous: true }\n  admin: { bind: \"127.0.0.1:0\", operators: operators.yaml }\n";
    let fixture = GatewayFixture::of_acme(vendor.address, &terms).listeners(listeners).with(&by_token());
    let gateway = TestGateway::start(fixture);
    let body = r#"[{"email":"ann@example.com"},{"email":"bob@example.com"}]"#;
    let send = |own: &str| {
        let text = request("POST", "/acme/v2/people", "", body).replacen("\r\n\r\n", &format!("\r\n{own}\r\n"), 1);
        Client::to(gateway.egress()).send(text).answer().status
    };
    let (checkout, billing) = (own_field(CHECKOUT), own_field(BILLING));
    assert_eq!([send(&checkout), send(&checkout), send(&billing), send("")], [200; 4]);
    assert_eq!(gateway.get("/v1/orders", &reader()).status, 200);
    let report = || gateway.admin("viewer", "GET", "/v1/exposure?vendor=acme", "").json();
    let callers = |report: &Value| {
        let told = |line: &Value| {
            let treated = &line["routes"][0]["treated"][0];
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            (text(&line["direction"]), text(&line["caller"]), line["records"].as_u64(), treated["values"].as_u64())
        };
        report["callers"].as_array().map(|lines| lines.iter().map(told).collect::<Vec<_>>()).unwrap_or_default()
    };
    let line = |direction: &str, caller: &str, records, values| {
        (direction.to_owned(), caller.to_owned(), Some(records), Some(values))
    };
    let all = [
        line("egress", "checkout", 4, 4),
        line("egress", "_anonymous", 2, 2),
        line("egress", "billing", 2, 2),
        line("ingress", "acme-client", 0, 1),
    ];
    until("all of it is counted", || callers(&report()) == all);
    assert_eq!(report()["callers_incomplete"], false);
    let text = said(&program(Some(&gateway), &["exposure", "acme", "--by", "caller"]));
    assert!(text.contains("\negress by checkout\n  4 records, "), "{text}");
    assert!(
        text.contains("  POST /v2/people: 4 records, ") && text.contains("$[*].email  redact  4  nothing"),
        "{text}"
    );
    let page = said(&program(Some(&gateway), &["exposure", "acme", "--md"]));
    assert!(page.contains("| egress | `billing` | `POST /v2/people` | 2 |"), "{page}");
    let mut gateway = gateway;
    gateway.begin_drain();
    until("it has ended", || gateway.is_drained());
    let after = Process::start(&gateway.fixture);
    let told = after.admin(&gateway.fixture, "viewer", "GET", "/v1/exposure?vendor=acme", "").json();
    assert_eq!(callers(&told), all, "after a restart");
}
