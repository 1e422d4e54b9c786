//! gRPC in both directions: messages and trailers pass, and a refusal is one that gRPC clients read.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use ::h2::client::SendRequest;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use tokio::net::TcpStream;

use crate::support::client::{Client, request};
use crate::support::fixture::GatewayFixture;
use crate::support::h2;
use crate::support::h2_upstream::{Http2Call, Http2Upstream, head};
use crate::support::issuer::reader;
use crate::support::python;
use crate::support::test_gateway::TestGateway;

fn terms(address: SocketAddr) -> String {
    format!(
        "limits: {{ requests: {{ rate: 100000/s }} }}
ingress:
  - {{ route: \"POST /shop.Orders/{{method}}\", scopes: [orders:read], upstream: crm }}
egress:
  upstream: {{ url: \"http://{address}\", allow_networks: [\"127.0.0.0/8\"], protocol: http2 }}
  routes:
    - route: POST /shop.Orders/{{method}}
    - route: POST /shop.Treated/{{method}}
      request: {{ pii: [ {{ field: \"$..email\", as: redact }} ] }}
"
    )
}

/// A message as gRPC frames it: not compressed, with its length.
pub(crate) fn message(text: &str) -> Vec<u8> {
    [&[0][..], &(text.len() as u32).to_be_bytes(), text.as_bytes()].concat()
}

/// Echoes the messages and says so in its trailers; `/Fail` answers with trailers alone.
async fn orders(mut call: Http2Call) {
    if call.head.uri().path().ends_with("/Fail") {
        let fields = [("content-type", "application/grpc"), ("grpc-status", "5"), ("grpc-message", "none")];
        call.answer.send_response(head(&fields), true).expect("an answer");
        return;
    }
    let mut stream = call.answer.send_response(head(&[("content-type", "application/grpc")]), false).expect("sent");
    let body = call.read().await;
    stream.send_data(body.bytes.into(), false).expect("it is taken");
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().expect("a value"));
    trailers.insert("x-forwarded-for", "10.0.0.1".parse().expect("a value"));
    stream.send_trailers(trailers).expect("they are taken");
}

pub(crate) async fn session(address: SocketAddr) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(address).await.expect("it accepts");
    let (session, connection) = ::h2::client::handshake(stream).await.expect("a handshake");
    tokio::spawn(async move { drop(connection.await) });
    session
}

/// Makes a call with two messages. Returns the head, the body and the trailers.
async fn call(address: SocketAddr, path: &str, token: &str) -> (Response<()>, Vec<u8>, Option<HeaderMap>) {
    let mut session = session(address).await.ready().await.expect("it takes requests");
    let request = Request::post(format!("http://127.0.0.1{path}"))
        .header("content-type", "application/grpc+proto")
        .header("te", "trailers")
        .header("grpc-timeout", "5S")
        .header(if token.is_empty() { "x-none" } else { "authorization" }, format!("Bearer {token}").trim_end());
    let (response, mut stream) = session.send_request(request.body(()).expect("a request"), false).expect("sent");
    let _ = stream.send_data(message("one").into(), false);
    let _ = stream.send_data(message("two").into(), true);
    let (head, mut body) = response.await.expect("a response").into_parts();
    let mut bytes = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece.expect("it is whole");
        let _ = body.flow_control().release_capacity(piece.len());
        bytes.extend_from_slice(&piece);
    }
    let trailers = body.trailers().await.expect("it is whole");
    (Response::from_parts(head, ()), bytes, trailers)
}

#[test]
fn messages_and_trailers_pass_in_both_directions() {
    let vendor = Http2Upstream::start(orders);
    let gateway = TestGateway::start(both_ways(&vendor));
    let echoed = [message("one"), message("two")].concat();
    h2::run(async {
        for (address, path) in [(gateway.egress(), "/acme/shop.Orders/List"), (gateway.ingress(), "/shop.Orders/List")]
        {
            let (head, body, trailers) = call(address, path, &reader()).await;
            assert_eq!((head.status().as_u16(), &body), (200, &echoed), "{path}");
            let trailers = trailers.expect("trailers");
            assert_eq!(trailers["grpc-status"], "0");
            assert!(!trailers.contains_key("x-forwarded-for"), "only what says how the call went");
        }
        let (head, body, trailers) = call(gateway.egress(), "/acme/shop.Orders/Fail", "").await;
        assert_eq!((head.headers()["grpc-status"].as_bytes(), body.len(), trailers), (&b"5"[..], 0, None));
    });
    for seen in vendor.seen() {
        assert_eq!(
            (&seen.headers()["te"], &seen.headers()["grpc-timeout"]),
            (&"trailers".parse().expect("a value"), &"5S".parse().expect("a value"))
        );
        assert_eq!(seen.headers()["content-type"], "application/grpc+proto");
    }
}

/// A gateway whose vendor and internal API are the same HTTP/2 server.
fn both_ways(upstream: &Http2Upstream) -> GatewayFixture {
    let fixture = GatewayFixture::of_acme(upstream.address, &terms(upstream.address));
    let main = std::fs::read_to_string(fixture.main()).expect("readable");
    let main = main.replace("connect_timeout: 2s", "connect_timeout: 2s, protocol: http2");
    std::fs::write(fixture.main(), main).expect("written");
    fixture
}

#[test]
fn a_refusal_is_trailers_only() {
    let vendor = Http2Upstream::start(orders);
    let gateway = TestGateway::start(both_ways(&vendor));
    h2::run(async {
        for (address, path, token, code, word) in [
            (gateway.ingress(), "/shop.Orders/List", "", "16", "token_m"),
            (gateway.egress(), "/acme/shop.Other/List", "", "7", "destination_unknown"),
            (gateway.egress(), "/acme/shop.Treated/List", "", "3", "body_opaque"),
        ] {
            let (head, body, trailers) = call(address, path, token).await;
            let field = |name: &str| head.headers().get(name).map_or("", |value| value.to_str().expect("ASCII"));
            assert_eq!((head.status().as_u16(), field("content-type")), (200, "application/grpc"), "{path}");
            assert_eq!((field("grpc-status"), body.len(), trailers), (code, 0, None), "{path}");
            assert!(field("grpc-message").starts_with(word), "{}", field("grpc-message"));
        }
    });
    assert_eq!(vendor.seen().len(), 0);
    let by_status = ["vendor=\"acme\"", "direction=\"egress\"", "status=\"415\""];
    assert_eq!(gateway.metric("vendorgate_requests_total", &by_status), Some(1), "counted as over HTTP");
    let json = Client::to(gateway.egress()).send(request("POST", "/acme/shop.Other/List", "", "{}")).answer();
    assert_eq!((json.status, json.reason().as_str()), (403, "destination_unknown"), "others get a problem document");
}

fn script(name: &str) -> String {
    format!("{}/tests/grpc/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A server of Python's `grpcio`.
pub(crate) struct GrpcServer {
    pub(crate) address: SocketAddr,
    process: Child,
}

impl GrpcServer {
    pub(crate) fn start() -> Self {
        let mut process = Command::new(python())
            .arg(script("server.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it runs");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("it says its port");
        let address = SocketAddr::from(([127, 0, 0, 1], line.trim().parse().expect("a port")));
        Self { address, process }
    }
}

impl Drop for GrpcServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
#[ignore = "needs grpcio in the Python that VENDORGATE_TEST_PYTHON names"]
fn grpcio_calls_through_the_gateway() {
    let server = GrpcServer::start();
    let address = server.address;
    let fixture = GatewayFixture::of_acme(address, &terms(address));
    let main = std::fs::read_to_string(fixture.main()).expect("readable");
    let main = main.replace("connect_timeout: 2s", "connect_timeout: 2s, protocol: http2");
    std::fs::write(fixture.main(), main).expect("written");
    let gateway = TestGateway::start(fixture);
    let out = Command::new(python())
        .arg(script("client.py"))
        .args([gateway.ingress().to_string(), reader()])
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&out.stderr).into_owned();
    let expected = "unary: b'hello'\nmessages: 1000\nbidi: [b'a', b'b', b'c']\nfails: NOT_FOUND none\n\
                    refused: UNAUTHENTICATED token_missing\nunknown: PERMISSION_DENIED route_unknown\n";
    assert_eq!(said, expected, "{wrong}");
}
