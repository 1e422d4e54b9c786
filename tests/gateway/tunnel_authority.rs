//! What proved who opened a tunnel is asked for again while the tunnel is open: a token that was replaced and a
//! certificate that has ended prove nothing.

use std::io::{Read, Write};
use std::time::Duration;

use rustls::{ClientConnection, StreamOwned};
use sha2::{Digest as _, Sha256};
use vendorgate::internals::model::Clock;

use crate::support::certificates::{Certificates, gateway_name};
use crate::support::client::{Client, request, tcp};
use crate::support::fixture::GatewayFixture;
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::Upstream;
use crate::tls_tunnels::{TlsVendor, said_back};
use crate::tunnels::{clear_terms, connect};

const OLD: &str = "the-token-of-checkout";
const ADMIN: &str = "  admin: { bind: \"127.0.0.1:0\", operators: operators.yaml }\n";

fn hash(token: &str) -> String {
    Sha256::digest(token).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn listed(terms: &str) -> String {
    terms.replace("egress:\n", "egress:\n  callers: [checkout]\n")
}

fn by_token(fixture: GatewayFixture) -> TestGateway {
    let listeners = format!("  egress: {{ bind: \"127.0.0.1:0\" }}\n{ADMIN}");
    let callers = format!("callers: {{ checkout: {{ token_sha256: {} }} }}\n", hash(OLD));
    TestGateway::start(fixture.listeners(&listeners).with(&callers))
}

/// Gives the service another token, as an operator does whose old one was stolen.
fn replace_token(gateway: &TestGateway) {
    let main = gateway.fixture.main();
    let text = std::fs::read_to_string(&main).expect("a config");
    std::fs::write(&main, text.replace(&hash(OLD), &hash("a-new-token"))).expect("written");
    assert_eq!(gateway.admin("admin", "POST", "/v1/reload", "{}").status, 200);
}

fn bearer() -> String {
    format!("Proxy-Authorization: Bearer {OLD}\r\n")
}

const INSIDE: &str = "GET /v2/plain HTTP/1.1\r\nHost: api.acme.example\r\n\r\n";

#[test]
fn a_replaced_token_opens_nothing_in_a_tunnel_that_it_has_opened() {
    let vendor = Upstream::json("{}");
    let gateway = by_token(GatewayFixture::of_acme(vendor.address, &listed(&clear_terms(vendor.address))));
    let (mut tunnel, head) = connect(&gateway, "api.acme.example:80", &bearer());
    assert_eq!((head.status, tunnel.send(INSIDE).answer().status), (200, 200));
    replace_token(&gateway);
    assert_eq!(tunnel.send(INSIDE).answer().reason(), "caller_unknown");
    assert_eq!(vendor.seen().len(), 1);
}

#[test]
fn a_replaced_token_ends_what_runs_under_it() {
    let vendor = TlsVendor::start();
    let gateway = by_token(GatewayFixture::of_acme(vendor.address, &listed(&vendor.terms("concurrency: 9"))));
    let mut tunnel = vendor.tunnel_over(tcp(gateway.egress()), &bearer(), "localhost").expect("a tunnel");
    said_back(&mut tunnel, b"hello");
    replace_token(&gateway);
    assert!(!matches!(tunnel.sock.read(&mut [0; 9]), Ok(1..)), "the bytes of the old token go on");
    until("nothing is in flight", || gateway.in_flight() == 0);
    let endless = Upstream::start(|_, asker| {
        let _ = asker.write(crate::support::upstream::CHUNKED);
        while asker.chunk("data\n").is_ok() {
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    });
    let gateway = by_token(GatewayFixture::of_acme(endless.address, &listed(&clear_terms(endless.address))));
    let mut stream = Client::to(gateway.egress());
    let ask = request("GET", "/acme/v2/plain", "", "");
    let head = stream.send(ask.replace("\r\n\r\n", &format!("\r\n{}\r\n", bearer()))).head();
    assert_eq!(head.status, 200);
    replace_token(&gateway);
    until("a stream of the old token is cut", || stream.more().is_err());
}

#[test]
fn a_certificate_that_has_ended_ends_what_it_has_opened() {
    let days = Duration::from_secs(86_400);
    for is_opaque in [false, true] {
        let (plain, tls) = (Upstream::json("{}"), TlsVendor::start());
        let (address, terms) = match is_opaque {
            true => (tls.address, tls.terms("concurrency: 9")),
            false => (plain.address, clear_terms(plain.address)),
        };
        let fixture = GatewayFixture::of_acme(address, &listed(&terms));
        let certificates = Certificates::write(fixture.path());
        let own = "tls: { cert: gateway.pem, key: gateway.key, client_ca: ca.pem }";
        let listeners = format!("  egress: {{ bind: \"127.0.0.1:0\", {own} }}\n{ADMIN}");
        let callers = "callers: { checkout: { certificate: \"spiffe://example.com/checkout\" } }\n";
        let clock = Clock::manual(Clock::system().now().wall);
        let gateway = TestGateway::start_at(fixture.listeners(&listeners).with(callers), clock.clone());
        let config = certificates.for_ten_days("spiffe://example.com/checkout").client(rustls::ALL_VERSIONS, &[], true);
        let mut outer = tcp(gateway.egress());
        let mut session = ClientConnection::new(config, gateway_name()).expect("a session");
        while session.is_handshaking() {
            session.complete_io(&mut outer).expect("a handshake");
        }
        let mut outer = StreamOwned::new(session, outer);
        if is_opaque {
            let mut tunnel = tls.tunnel_over(outer, "", "localhost").expect("a tunnel");
            said_back(&mut tunnel, b"hello");
            clock.advance(9 * days);
            said_back(&mut tunnel, b"hello");
            clock.advance(2 * days);
            assert!(!matches!(tunnel.sock.read(&mut [0; 9]), Ok(1..)), "the bytes go on");
            until("nothing is in flight", || gateway.in_flight() == 0);
        } else {
            let ask = "CONNECT api.acme.example:80 HTTP/1.1\r\nHost: api.acme.example:80\r\n\r\n";
            outer.write_all(ask.as_bytes()).expect("sent");
            let mut tunnel = Client::over(outer);
            assert_eq!(tunnel.head().status, 200);
            assert_eq!(tunnel.send(INSIDE).answer().status, 200);
            clock.advance(9 * days);
            assert_eq!(tunnel.send(INSIDE).answer().status, 200);
            clock.advance(2 * days);
            assert_eq!(tunnel.send(INSIDE).answer().reason(), "caller_unknown");
        }
    }
}

#[test]
fn a_kill_is_heard_by_a_tunnel_in_which_nothing_was_said_yet() {
    let vendor = TlsVendor::start();
    let listeners = format!("  egress: {{ bind: \"127.0.0.1:0\", anonymous: true, head_timeout: 5m }}\n{ADMIN}");
    let fixture = GatewayFixture::of_acme(vendor.address, &vendor.terms("concurrency: 9")).listeners(&listeners);
    let gateway = TestGateway::start(fixture);
    let (mut silent, head) = connect(&gateway, &vendor.target(), "");
    assert_eq!(head.status, 200);
    let killed = gateway.admin("operator", "POST", "/v1/vendors/acme/kill", r#"{"reason":"breach"}"#).json();
    assert_eq!((killed["severed"].as_u64(), killed["lingering"].as_u64()), (Some(1), None), "{killed}");
    assert!(silent.is_closed());
    until("the vendor's side is closed", || vendor.open.load(std::sync::atomic::Ordering::SeqCst) == 0);
    until("the log says why", || gateway.log().contains(r#""reason":"vendor_killed""#));
}

#[test]
fn a_contract_that_observes_and_takes_opaque_back_severs_the_tunnel() {
    let vendor = TlsVendor::start();
    let day = Clock::system().now().wall.plus(Duration::from_secs(3 * 86_400)).to_string()[..10].to_owned();
    let terms = format!("mode: observe\nobserve_until: {day}\n{}", vendor.terms("concurrency: 9"));
    let gateway = TestGateway::of_acme(vendor.address, &terms);
    let mut tunnel = vendor.tunnel_over(tcp(gateway.egress()), "", "localhost").expect("a tunnel");
    said_back(&mut tunnel, b"hello");
    gateway.fixture.write_contract("acme", &terms.replace("opaque", "refuse"));
    assert_eq!(gateway.admin("admin", "POST", "/v1/reload", "{}").status, 200);
    assert!(!matches!(tunnel.sock.read(&mut [0; 9]), Ok(1..)), "the bytes go on");
    until("nothing is in flight", || gateway.in_flight() == 0);
}
