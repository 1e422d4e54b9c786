//! What an intercepted tunnel keeps of the gateway's promises: kills and reloads end what runs in it, trailers pass,
//! and a client that asks for no name, or for another, is served nothing.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::fixture::GatewayFixture;
use crate::support::h2::{self, Session, StreamEnd};
use crate::support::h2_upstream::{Http2Upstream, head};
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::{CHUNKED, Upstream};
use crate::tls_tunnels::authority;

const HOST: &str = "api.acme.example";

fn terms(vendor: std::net::SocketAddr, mode: &str, routes: &str) -> String {
    format!(
        "limits: {{ requests: {{ rate: 100000/s }} }}\negress:\n  tunnel: {mode}\n  hosts: [{HOST}]\n  upstream: {{ url: \"http://{vendor}\", allow_networks: [\"127.0.0.0/8\"]{} }}\n  routes: [ {routes} ]\n",
        if routes.contains("shop") { ", protocol: http2" } else { "" }
    )
}

fn start(vendor: std::net::SocketAddr, routes: &str) -> TestGateway {
    TestGateway::start(authority(GatewayFixture::of_acme(vendor, &terms(vendor, "intercept", routes)), HOST))
}

/// TLS as this name in a tunnel to the vendor.
async fn tunnel(gateway: &TestGateway, name: &'static str, protocol: &str) -> std::io::Result<TlsStream<TcpStream>> {
    let mut stream = TcpStream::connect(gateway.egress()).await?;
    stream.write_all(format!("CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n").as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_file(gateway.fixture.path().join("ca/egress.pem")).expect("a certificate");
    roots.add(ca).expect("an authority");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = builder.expect("versions").with_root_certificates(roots).with_no_client_auth();
    config.enable_sni = name != "nothing";
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let asked = if name == "nothing" { HOST } else { name };
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(asked).expect("a name"), stream).await
}

async fn over_h2(gateway: &TestGateway) -> Session {
    h2::over(tunnel(gateway, HOST, "h2").await.expect("a handshake"), 1 << 20).await
}

fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(format!("https://{HOST}{path}")).body(Full::default()).expect("a request")
}

/// A vendor whose answers never end.
fn endless() -> Upstream {
    Upstream::start(|_, asker| {
        asker.write(CHUNKED).expect("the gateway reads");
        while asker.chunk("[1]").is_ok() {
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    })
}

/// Two streams of one HTTP/2 tunnel and one of an HTTP/1.1 tunnel are under way; what is done then ends all three.
fn ends_what_runs(act: impl FnOnce(&TestGateway, &Upstream)) {
    let vendor = endless();
    let gateway = start(vendor.address, "{ route: GET /v2/stream }");
    h2::run(async {
        let mut session = over_h2(&gateway).await;
        let mut bodies = Vec::new();
        for _ in 0..2 {
            session.ready().await.expect("open");
            let answer = session.send_request(get("/v2/stream")).await.expect("an answer");
            assert_eq!(answer.status(), 200);
            bodies.push(answer.into_body());
        }
        let mut plain = tunnel(&gateway, HOST, "http/1.1").await.expect("a handshake");
        let text = format!("GET /v2/stream HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
        plain.write_all(text.as_bytes()).await.expect("sent");
        let mut first = [0; 12];
        plain.read_exact(&mut first).await.expect("an answer");
        assert_eq!(&first, b"HTTP/1.1 200");
        until("all three are in flight", || gateway.in_flight() == 3);
        act(&gateway, &vendor);
        for body in bodies {
            assert_ne!(h2::read(body).await.1, StreamEnd::Whole);
        }
        let mut rest = Vec::new();
        let ended = plain.read_to_end(&mut rest).await;
        assert!(ended.is_err() && !rest.ends_with(b"0\r\n\r\n"), "it breaks off, and looks broken off: {ended:?}");
    });
    until("nothing is in flight", || gateway.in_flight() == 0);
    until("the vendor's side is closed", || vendor.open() == 0);
}

#[test]
fn a_kill_severs_the_streams_in_intercepted_tunnels() {
    ends_what_runs(|gateway, _| {
        let answer = gateway.admin("operator", "POST", "/v1/vendors/acme/kill", r#"{"reason":"breach"}"#);
        assert_eq!(answer.json()["severed"].as_u64(), Some(3), "{}", answer.text());
    });
}

#[test]
fn a_reload_that_takes_the_route_or_the_interception_back_ends_what_runs() {
    for (mode, route) in [("intercept", "{ route: GET /v2/other }"), ("refuse", "{ route: GET /v2/stream }")] {
        ends_what_runs(|gateway, vendor| {
            gateway.fixture.write_contract("acme", &terms(vendor.address, mode, route));
            assert_eq!(gateway.admin("admin", "POST", "/v1/reload", "{}").status, 200);
        });
    }
}

#[test]
fn an_open_tunnel_serves_nothing_more_once_its_contract_refuses_tunnels() {
    let vendor = Upstream::json("{}");
    let route = "{ route: GET /v2/plain }";
    let gateway = start(vendor.address, route);
    h2::run(async {
        let mut session = over_h2(&gateway).await;
        session.ready().await.expect("open");
        assert_eq!(session.send_request(get("/v2/plain")).await.expect("an answer").status(), 200);
        gateway.fixture.write_contract("acme", &terms(vendor.address, "refuse", route));
        assert_eq!(gateway.admin("admin", "POST", "/v1/reload", "{}").status, 200);
        session.ready().await.expect("open");
        let refused = session.send_request(get("/v2/plain")).await.expect("an answer");
        assert_eq!(refused.status(), 403);
        let (body, _) = h2::read(refused.into_body()).await;
        let body = String::from_utf8(body).expect("text");
        assert!(body.contains("destination_unknown") && body.contains("intercepted"), "{body}");
    });
    assert_eq!(vendor.seen().len(), 1);
}

#[test]
fn a_name_that_is_not_the_tunnels_or_none_fails_the_handshake() {
    let vendor = Upstream::json("{}");
    let gateway = start(vendor.address, "{ route: GET /v2/plain }");
    h2::run(async {
        for name in ["nothing", "evil.example", "www.api.acme.example", "192.0.2.1"] {
            assert!(tunnel(&gateway, name, "h2").await.is_err(), "{name}");
        }
        let mut session = over_h2(&gateway).await;
        session.ready().await.expect("open");
        assert_eq!(session.send_request(get("/v2/plain")).await.expect("an answer").status(), 200);
    });
    assert_eq!(vendor.seen().len(), 1);
}

#[test]
fn grpc_passes_an_intercepted_tunnel_with_its_trailers() {
    let vendor = Http2Upstream::start(|mut call| async move {
        let body = call.read().await;
        let mut stream = call.answer.send_response(head(&[("content-type", "application/grpc")]), false).expect("sent");
        stream.send_data(body.bytes.into(), false).expect("it is taken");
        let mut trailers = http::HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().expect("a value"));
        stream.send_trailers(trailers).expect("they are taken");
    });
    let gateway = start(vendor.address, "{ route: \"POST /shop.Orders/{method}\" }");
    h2::run(async {
        let stream = tunnel(&gateway, HOST, "h2").await.expect("a handshake");
        let (session, connection) = ::h2::client::handshake(stream).await.expect("a handshake");
        tokio::spawn(async move { drop(connection.await) });
        let mut session = session.ready().await.expect("it takes requests");
        let request = Request::post(format!("https://{HOST}/shop.Orders/List"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .expect("a request");
        let (response, mut stream) = session.send_request(request, false).expect("sent");
        let message = Bytes::from_static(b"\0\0\0\0\x03one");
        stream.send_data(message.clone(), true).expect("it is taken");
        let (head, mut body) = response.await.expect("a response").into_parts();
        assert_eq!(head.status, 200);
        assert_eq!(body.data().await.expect("a piece").expect("whole"), message);
        assert!(body.data().await.is_none());
        assert_eq!(body.trailers().await.expect("whole").expect("trailers")["grpc-status"], "0");
    });
}
