//! The admin listener and its socket: who is let in, with and without TLS; nothing of the admin API is on a data port.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::{Command, Output};
use std::sync::Arc;

use rustls::version::TLS13;
use rustls::{ClientConnection, StreamOwned};
use rustls_pki_types::ServerName;

use crate::support::certificates::Certificates;
use crate::support::client::{Client, request, tcp};
use crate::support::fixture::GatewayFixture;
use crate::support::issuer::reader;
use crate::support::process::Process;
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::Upstream;

const TERMS: &str = "ingress:
  - { route: GET /v1/orders, scopes: [orders:read], upstream: crm }
";

const KILL: &str = r#"{"reason":"drill"}"#;

#[test]
fn the_admin_socket_is_open_to_its_owner_only() {
    let crm = Upstream::json("{}");
    let mut gateway = TestGateway::of_acme(crm.address, TERMS);
    let path = gateway.fixture.path().join("state/admin.sock");
    let mode = std::fs::symlink_metadata(&path).expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let call = |method: &str, path_and: &str, body: &str| {
        let stream = UnixStream::connect(&path).expect("it accepts");
        let text = request(method, path_and, "", body).replace("api.example.com", "localhost");
        Client::over(stream).send(text).answer()
    };
    assert_eq!(call("GET", "/v1/vendors", "").status, 200);
    let killed = call("POST", "/v1/vendors/acme/kill", KILL);
    assert_eq!((killed.status, killed.json()["state"].as_str()), (200, Some("killed")));
    assert_eq!(gateway.get("/v1/orders", &reader()).reason(), "vendor_killed");
    assert_eq!(call("POST", "/v1/vendors/acme/restore", KILL).status, 200);
    assert_eq!(gateway.get("/v1/orders", &reader()).status, 200);
    gateway.begin_drain();
    until("the socket is gone", || !path.exists());
}

#[test]
fn the_socket_of_a_gateway_that_crashed_is_replaced() {
    let crm = Upstream::json("{}");
    let fixture = GatewayFixture::of_acme(crm.address, TERMS);
    let mut process = Process::start(&fixture);
    process.signal("KILL");
    process.ended();
    let path = fixture.path().join("state/admin.sock");
    assert!(path.exists(), "a crash tidies nothing");
    let _process = Process::start(&fixture);
    let stream = UnixStream::connect(&path).expect("it accepts");
    let text = request("GET", "/v1/vendors", "", "").replace("api.example.com", "localhost");
    assert_eq!(Client::over(stream).send(text).answer().status, 200);
}

fn vendorgate(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vendorgate"));
    command.env_remove("VENDORGATE_ADMIN").env_remove("VENDORGATE_TOKEN").args(arguments).output().expect("it runs")
}

#[test]
fn one_command_kills_and_one_restores() {
    let crm = Upstream::json("{}");
    let gateway = TestGateway::of_acme(crm.address, TERMS);
    let socket = format!("unix:{}", gateway.fixture.path().join("state/admin.sock").display());
    let killed = vendorgate(&["kill", "acme", "--reason", "stolen tokens", "--admin", &socket]);
    assert_eq!(killed.status.code(), Some(0), "{}", String::from_utf8_lossy(&killed.stderr));
    assert_eq!(gateway.get("/v1/orders", &reader()).reason(), "vendor_killed");
    let status = vendorgate(&["status", "acme", "--admin", &socket]);
    assert!(String::from_utf8_lossy(&status.stdout).contains("killed"));
    let restored = vendorgate(&["restore", "acme", "--reason", "rotated", "--admin", &socket]);
    assert_eq!(restored.status.code(), Some(0), "{}", String::from_utf8_lossy(&restored.stderr));
    assert_eq!(gateway.get("/v1/orders", &reader()).status, 200);
    assert_eq!(vendorgate(&["kill", "nobody", "--reason", "x", "--admin", &socket]).status.code(), Some(1));
}

#[test]
fn the_admin_listener_speaks_tls_when_configured() {
    let crm = Upstream::json("{}");
    let fixture = GatewayFixture::of_acme(crm.address, TERMS);
    let certificates = Certificates::write(fixture.path());
    let gateway = TestGateway::start(fixture.listeners(
        "  ingress: { bind: \"127.0.0.1:0\" }
  admin: { bind: \"127.0.0.1:0\", operators: operators.yaml, tls: { cert: gateway.pem, key: gateway.key } }
",
    ));
    let address = gateway.addresses.admin.expect("an address");
    let call = |certificates: &Certificates, method: &str, path: &str| {
        let config = certificates.client(&[&TLS13], &["h2", "http/1.1"], false);
        let name = ServerName::try_from("localhost").expect("a name");
        let mut session = ClientConnection::new(Arc::clone(&config), name).expect("a session");
        let mut stream = tcp(address);
        while session.is_handshaking() {
            if session.complete_io(&mut stream).is_err() {
                return None;
            }
        }
        let text = request(method, path, gateway.fixture.operator("admin"), if method == "POST" { "{}" } else { "" });
        let text = text.replace("api.example.com", "localhost");
        Some(Client::over(StreamOwned::new(session, stream)).send(text).answer().status)
    };
    assert_eq!(call(&certificates, "GET", "/v1/vendors"), Some(200));
    let mut clear = Client::to(address);
    assert_eq!(clear.send(request("GET", "/healthz", "", "")).answer().status, 0, "no clear text");
    // A renewed certificate is served after a reload, without a restart.
    let renewed = Certificates::write(gateway.fixture.path());
    assert_eq!(call(&renewed, "GET", "/v1/vendors"), None);
    assert_eq!(call(&certificates, "POST", "/v1/reload"), Some(200));
    assert_eq!(call(&renewed, "GET", "/v1/vendors"), Some(200));
    assert_eq!(call(&certificates, "GET", "/v1/vendors"), None);
}

#[test]
fn only_probes_need_no_token() {
    let crm = Upstream::json("{}");
    let gateway = TestGateway::of_acme(crm.address, TERMS);
    let address = gateway.addresses.admin.expect("an address");
    for path in ["/healthz", "/livez", "/readyz", "/readyz?verbose", "/metrics", "/openapi.json"] {
        assert_eq!(crate::support::client::admin(address, "", "GET", path, "").status, 200, "{path}");
    }
    let calls = ["vendors", "vendors/acme", "audit", "exposure?vendor=acme", "suggestion?vendor=acme"];
    for path in calls.map(|call| format!("/v1/{call}")) {
        assert_eq!(crate::support::client::admin(address, "", "GET", &path, "").status, 401, "{path}");
    }
    assert_eq!(crate::support::client::admin(address, &reader(), "GET", "/v1/vendors", "").status, 401);
}

#[test]
fn a_page_of_another_site_is_refused() {
    let crm = Upstream::json("{}");
    let gateway = TestGateway::of_acme(crm.address, TERMS);
    let address = gateway.addresses.admin.expect("an address");
    let text = request("POST", "/v1/vendors/acme/kill", gateway.fixture.operator("operator"), KILL);
    for (host, more) in [
        ("evil.example", ""),
        ("localhost", "Origin: http://evil.example\r\n"),
        ("localhost", "Sec-Fetch-Site: cross-site\r\n"),
    ] {
        let text = text.replace("Host: api.example.com\r\n", &format!("Host: {host}\r\n{more}"));
        let status = Client::to(address).send(text).answer().status;
        assert!((400..500).contains(&status), "{host} {more}: {status}");
    }
    assert_eq!(gateway.get("/v1/orders", &reader()).status, 200, "nothing was killed");
}
