//! The transport: TLS versions and client certificates, ALPN, keep-alive, streaming, trailers, `Expect`.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use rustls::ClientConfig;
use rustls::version::{TLS12, TLS13};

use crate::support::certificates::{Certificates, gateway_name, tls};
use crate::support::client::{BodyEnd, Client, request};
use crate::support::fixture::GatewayFixture;
use crate::support::h2;
use crate::support::issuer::{reader, vendor};
use crate::support::test_gateway::TestGateway;
use crate::support::upstream::{CHUNKED, Upstream, ok};

const TERMS: &str = "limits: { requests: { rate: 100000/s } }
ingress:
  - { route: GET /v1/orders, scopes: [orders:read], upstream: crm }
  - { route: POST /v1/orders, scopes: [orders:write], upstream: crm }
";

fn secure(crm: &Upstream, tls: &str) -> (TestGateway, Certificates) {
    let fixture = GatewayFixture::of_acme(crm.address, TERMS);
    let certificates = Certificates::write(fixture.path());
    let fixture = fixture.listeners(&format!(
        "  ingress: {{ bind: \"127.0.0.1:0\", tls: {{ cert: gateway.pem, key: gateway.key{tls} }} }}\n  admin: {{ bind: \"127.0.0.1:0\", operators: operators.yaml }}\n"
    ));
    (TestGateway::start(fixture), certificates)
}

#[test]
fn tls_1_2_and_1_3_are_spoken_and_plain_text_is_not() {
    let crm = Upstream::json("{}");
    let (gateway, certificates) = secure(&crm, "");
    for version in [&TLS12, &TLS13] {
        let config = certificates.client(&[version], &["http/1.1"], false);
        let mut client = tls(gateway.ingress(), &config).expect("a handshake");
        for _ in 0..2 {
            assert_eq!(client.get("/v1/orders", &reader()).status, 200, "{version:?}");
        }
        assert_eq!(crm.last().field("x-forwarded-proto"), Some("https"));
    }
    let mut clear = Client::to(gateway.ingress());
    assert_eq!(clear.send(request("GET", "/v1/orders", &reader(), "")).answer().status, 0);
    assert_eq!(crm.seen().len(), 4);
    // 4096-01-01, the end that rcgen writes where none is asked for.
    let end = gateway.series(r#"vendorgate_certificate_expiry_timestamp_seconds{certificate="listeners.ingress.tls"}"#);
    assert_eq!(end, 67_090_118_400.0);
}

#[test]
fn alpn_chooses_http_2() {
    let crm = Upstream::json("{}");
    let (gateway, certificates) = secure(&crm, "");
    let config = certificates.client(&[&TLS13], &["h2", "http/1.1"], false);
    h2::run(async {
        let stream = tokio::net::TcpStream::connect(gateway.ingress()).await.expect("it accepts");
        let stream =
            tokio_rustls::TlsConnector::from(config).connect(gateway_name(), stream).await.expect("a handshake");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let mut session = h2::over(stream, 1 << 20).await;
        let answer = h2::ask(&mut session, "/v1/orders", &reader()).await.expect("an answer");
        assert_eq!(answer.status(), 200);
        assert_eq!(h2::read(answer.into_body()).await, (b"{}".to_vec(), h2::StreamEnd::Whole));
    });
}

#[test]
fn client_certificates_are_optional_or_required() {
    let crm = Upstream::json("{}");
    for (auth, bare) in [(", client_ca: ca.pem", true), (", client_ca: ca.pem, client_auth: required", false)] {
        let (gateway, certificates) = secure(&crm, auth);
        let other = Certificates::write(tempfile::tempdir().expect("a folder").path());
        let asks = |config: &Arc<ClientConfig>| match tls(gateway.ingress(), config) {
            Ok(mut client) => client.get("/v1/orders", &reader()).status,
            Err(_) => 0,
        };
        for version in [&TLS12, &TLS13] {
            let shown = certificates.client(&[version], &["http/1.1"], true);
            assert_eq!(asks(&shown), 200, "{auth}");
            let without = certificates.client(&[version], &["http/1.1"], false);
            assert_eq!(asks(&without), if bare { 200 } else { 0 }, "{auth}");
            let foreign = other.showing_to(&certificates, version);
            assert_eq!(asks(&foreign), 0, "{auth}: a certificate of another authority");
        }
    }
}

#[test]
fn http_2_can_be_left_out() {
    let crm = Upstream::json("{}");
    let fixture = GatewayFixture::of_acme(crm.address, TERMS);
    let gateway = TestGateway::start(fixture.listeners("  ingress: { bind: \"127.0.0.1:0\", http2: false }\n"));
    assert_eq!(gateway.get("/v1/orders", &reader()).status, 200);
    let answer = crate::support::client::exchange_raw(gateway.ingress(), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&answer));
}

#[test]
fn keep_alive_and_close_are_honoured() {
    let crm = Upstream::json("{}");
    let gateway = TestGateway::of_acme(crm.address, TERMS);
    let mut client = Client::to(gateway.ingress());
    assert_eq!(client.get("/v1/orders", &reader()).status, 200);
    let last = request("GET", "/v1/orders", &reader(), "").replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    assert_eq!(client.send(last).answer().status, 200);
    assert!(client.is_closed());
    let mut old = Client::to(gateway.ingress());
    assert_eq!(
        old.send(request("GET", "/v1/orders", &reader(), "").replace("HTTP/1.1", "HTTP/1.0")).answer().status,
        200
    );
    assert!(old.is_closed());
}

#[test]
fn bodies_stream_both_ways() {
    // The upstream answers with what it has received so far, before the request has ended.
    let crm = Upstream::start(|seen, asker| asker.write(ok("text/plain", &seen.body)).is_ok());
    let gateway = TestGateway::of_acme(crm.address, TERMS);
    let writer = vendor("acme").scope("orders:write").token();
    let body = "0123456789".repeat(100_000);
    let mut client = Client::to(gateway.ingress());
    let answer = client.send(request("POST", "/v1/orders", &writer, &body)).answer();
    assert_eq!((answer.status, answer.body.len(), answer.ending), (200, body.len(), BodyEnd::Whole));
    let head = request("POST", "/v1/orders", &writer, "").replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n");
    let answer = client.send(format!("{head}5\r\nhello\r\n6\r\n world\r\n0\r\nX-Trailer: y\r\n\r\n")).answer();
    assert_eq!(answer.text(), "hello world");
    assert!(!String::from_utf8_lossy(&crm.last().raw).contains("X-Trailer"), "trailers pass by name only");
    h2::run(async {
        let mut session = h2::open(gateway.ingress()).await;
        let request = http::Request::post("http://a/v1/orders").header("authorization", format!("Bearer {writer}"));
        let sent = session.send_request(request.body(Full::new(Bytes::from(body.clone()))).expect("a request"));
        let (bytes, ending) = h2::read(sent.await.expect("an answer").into_body()).await;
        assert_eq!((bytes.len(), ending), (body.len(), h2::StreamEnd::Whole));
    });
}

#[test]
fn only_listed_trailers_pass() {
    let crm = Upstream::start(|_, asker| {
        let _ = asker.write(CHUNKED.replace("\r\n\r\n", "\r\nTrailer: Server-Timing, X-Secret\r\n\r\n"));
        let _ = asker.chunk("{}");
        asker
            .write(
                "0\r\nServer-Timing: db;dur=1\r\nX-Secret: s\r\nX-Vendorgate-Vendor: root\r\nContent-Length: 9\r\n\r\n",
            )
            .is_ok()
    });
    let gateway = TestGateway::of_acme(crm.address, TERMS);
    h2::run(async {
        let mut session = h2::open(gateway.ingress()).await;
        let mut body = h2::ask(&mut session, "/v1/orders", &reader()).await.expect("an answer").into_body();
        let mut trailers = None;
        while let Some(frame) = body.frame().await {
            trailers = frame.expect("whole").into_trailers().ok().or(trailers);
        }
        let trailers = trailers.expect("trailers");
        assert_eq!(trailers.len(), 1, "{trailers:?}");
        assert_eq!(trailers["server-timing"], "db;dur=1");
    });
    let mut client = Client::to(gateway.ingress());
    let answer = client
        .send(request("GET", "/v1/orders", &reader(), "").replace("\r\n\r\n", "\r\nTE: trailers\r\n\r\n"))
        .answer();
    assert_eq!(answer.ending, BodyEnd::Whole);
    assert!(!answer.holds("X-Secret: s") && !answer.holds("root"), "{answer:?}");
}

#[test]
fn continue_is_sent_only_after_admission() {
    let crm = Upstream::start(|seen, asker| asker.write(ok("text/plain", &seen.body)).is_ok());
    let gateway = TestGateway::of_acme(crm.address, TERMS);
    let expecting = |token: &str| {
        request("POST", "/v1/orders", token, "")
            .replace("\r\n\r\n", "\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
    };
    let mut client = Client::to(gateway.ingress());
    client.send(expecting(&vendor("acme").scope("orders:write").token()));
    assert_eq!(client.any_answer().status, 100);
    assert_eq!(client.send("hello").answer().text(), "hello");
    assert_eq!(crm.last().field("expect"), None, "the expectation ends here");
    let mut client = Client::to(gateway.ingress());
    client.send(expecting(&reader()));
    let refused = client.any_answer();
    assert_eq!((refused.status, crm.seen().len()), (403, 1), "no 100 for what is refused");
}

#[test]
fn header_rules_apply_to_every_head_and_trailer() {
    const RULES: &str = "limits: { requests: { rate: 100000/s } }
ingress:
  - route: GET|HEAD|POST /v1/{name}
    scopes: [orders:read]
    upstream: crm
    websocket: true
    request: { pii: [ { header: x-customer, as: redact }, { header: server-timing, as: redact } ] }
    response:
      pii:
        - { header: x-customer, as: redact }
        - { header: server-timing, as: redact }
        - { header: grpc-message, as: drop }
        - { cookie: who, as: redact }
";
    const FIELDS: &str = "X-Customer: ann@example.com\r\nSet-Cookie: who=ann@example.com; Path=/\r\n";
    let crm = Upstream::start(|seen, asker| {
        let trailers = "Trailer: Server-Timing\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nServer-Timing: ann@example.com\r\nGrpc-Message: ann@example.com\r\n\r\n";
        let answer = match seen.line().split([' ', '/']).nth(3).unwrap_or_default() {
            "live" => {
                format!("HTTP/1.1 101 ann@example.com\r\n{FIELDS}Upgrade: websocket\r\nConnection: upgrade\r\n\r\n")
            }
            "trailers" => format!("HTTP/1.1 200 OK\r\n{FIELDS}{trailers}"),
            "interim" => format!("HTTP/1.1 103 Hints\r\n{FIELDS}\r\nHTTP/1.1 204 ann@example.com\r\n{FIELDS}\r\n"),
            "missing" => format!("HTTP/1.1 404 No ann@example.com here\r\n{FIELDS}Content-Length: 0\r\n\r\n"),
            "moved" => format!("HTTP/1.1 302 Found\r\n{FIELDS}Content-Length: 0\r\n\r\n"),
            "same" => format!("HTTP/1.1 304 ann@example.com\r\n{FIELDS}\r\n"),
            "broken" => format!("HTTP/1.1 500 ann@example.com\r\n{FIELDS}Connection: close\r\n\r\n"),
            _ => format!("HTTP/1.1 200 ann@example.com\r\n{FIELDS}Content-Length: 0\r\n\r\n"),
        };
        asker.write(answer).is_ok() && !seen.line().contains("broken")
    });
    let gateway = TestGateway::of_acme(crm.address, RULES);
    let customer = "\r\nX-Customer: ann@example.com\r\nTE: trailers\r\n";
    for (name, status) in [
        ("live", 101),
        ("trailers", 200),
        ("interim", 204),
        ("missing", 404),
        ("moved", 302),
        ("same", 304),
        ("broken", 500),
        ("plain", 200),
    ] {
        let upgrade = if name == "live" { "Connection: upgrade\r\nUpgrade: websocket\r\n" } else { "" };
        let text = request("GET", &format!("/v1/{name}"), &reader(), "").replacen(
            "\r\n\r\n",
            &format!("{customer}{upgrade}\r\n"),
            1,
        );
        let answer = Client::to(gateway.ingress()).send(text).any_answer();
        assert_eq!(answer.status, status, "{name}");
        assert!(!answer.holds("ann@"), "{name}: {}", String::from_utf8_lossy(&answer.raw));
        assert!(answer.field("x-customer").is_some(), "{name}: it is redacted, not lost");
        assert!(!String::from_utf8_lossy(&crm.last().raw).contains("ann@"), "{name}");
    }
    let head = request("POST", "/v1/a", &reader(), "").replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n");
    let body = "1\r\nx\r\n0\r\nServer-Timing: ann@example.com\r\n\r\n";
    assert_eq!(Client::to(gateway.ingress()).send(format!("{head}{body}")).answer().status, 200);
    assert!(!String::from_utf8_lossy(&crm.last().raw).contains("ann@"), "a request's trailers");
    h2::run(async {
        let mut session = h2::open(gateway.ingress()).await;
        let answer = h2::ask(&mut session, "/v1/trailers", &reader()).await.expect("an answer");
        assert!(answer.headers().values().all(|value| !value.as_bytes().starts_with(b"ann@")));
        let mut body = answer.into_body();
        let mut trailers = None;
        while let Some(frame) = body.frame().await {
            trailers = frame.expect("whole").into_trailers().ok().or(trailers);
        }
        let trailers = trailers.expect("trailers");
        assert!(trailers.contains_key("server-timing") && !trailers.contains_key("grpc-message"), "{trailers:?}");
        assert!(trailers["server-timing"] != "ann@example.com");
    });
}
