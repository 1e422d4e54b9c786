//! Deadlines: for an answer from the end of the request on, for a body as long as it moves.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use crate::fault_attribution::{both_ways, ways};
use crate::support::client::BodyEnd;
use crate::support::fixture::GatewayFixture;
use crate::support::test_gateway::TestGateway;
use crate::support::upstream::{Upstream, ok};

/// A gateway under these deadlines, in both directions.
fn gateway(upstream: &Upstream, deadlines: &str) -> TestGateway {
    let terms = both_ways(upstream, "", "");
    let terms = terms.replace("allow_networks:", &format!("{deadlines}, allow_networks:"));
    let fixture = GatewayFixture::of_acme(upstream.address, &terms);
    let main = std::fs::read_to_string(fixture.main()).expect("text");
    std::fs::write(fixture.main(), main.replace("response_timeout: 10s", deadlines)).expect("written");
    TestGateway::start(fixture)
}

const HEAD: &str = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Sends one byte at each interval.
fn drip(times: u64, mut byte: impl FnMut()) {
    for _ in 0..times {
        std::thread::sleep(Duration::from_millis(20));
        byte();
    }
}

#[test]
fn an_upload_may_take_longer_than_its_answer() {
    let crm = Upstream::json("{}");
    let gateway = gateway(&crm, "response_timeout: 2s");
    for (mut client, head) in ways(&gateway) {
        client.send(format!("POST {head}{HEAD}"));
        drip(150, || {
            client.send("1\r\nx\r\n");
        });
        assert_eq!(client.send("0\r\n\r\n").answer().status, 200);
    }
    assert_eq!(crm.last().body.len(), 150);
}

#[test]
fn a_request_that_stops_or_drips_is_408_and_frees_its_upstream() {
    let crm = Upstream::json("{}");
    for (deadlines, drips) in
        [("response_timeout: 2s, body_idle_timeout: 300ms", 0), ("response_timeout: 2s, body_pace: 10KiB/s", 75)]
    {
        let gateway = gateway(&crm, deadlines);
        for (mut client, head) in ways(&gateway) {
            client.send(format!("POST {head}{HEAD}1\r\nx\r\n"));
            drip(drips, || {
                client.send("1\r\nx\r\n");
            });
            let answer = client.answer();
            assert_eq!((answer.status, answer.reason().as_str()), (408, "body_timeout"), "{deadlines}");
            assert_eq!(answer.field("connection"), Some("close"));
            crate::support::until("the upstream is let go", || crm.open() == 0);
        }
    }
    assert!(crm.seen().is_empty(), "no request was whole");
}

#[test]
fn an_answer_that_stops_or_drips_is_broken_off_but_an_event_stream_may_pause() {
    for (deadlines, media, drips, whole) in [
        ("body_idle_timeout: 300ms", "text/event-stream", 0, false),
        ("body_pace: 10KiB/s", "application/json", 75, false),
        ("body_pace: 10KiB/s", "text/event-stream; charset=utf-8", 75, true),
    ] {
        let crm = Upstream::start(move |_, asker| {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {media}\r\nTransfer-Encoding: chunked\r\n\r\n");
            let _ = asker.write(head).and_then(|()| asker.chunk("x"));
            drip(drips, || {
                let _ = asker.chunk(":");
            });
            (whole && asker.chunk("").is_ok()) || asker.gone()
        });
        let gateway = gateway(&crm, deadlines);
        for (mut client, head) in ways(&gateway) {
            let answer = client.send(format!("GET {head}\r\n")).answer();
            assert_eq!((answer.status, answer.ending == BodyEnd::Whole), (200, whole), "{deadlines} {media}");
        }
    }
}

/// An upstream that is given the bare connection.
fn raw(act: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || listener.incoming().flatten().for_each(&act));
    address
}

#[test]
fn an_upstream_that_does_not_read_is_504() {
    let address = raw(|stream| {
        std::thread::spawn(move || {
            std::thread::sleep(crate::support::PATIENCE);
            drop(stream);
        });
    });
    let fixture = GatewayFixture::of_acme(
        address,
        "ingress:\n  - { route: POST /v1/orders, scopes: [orders:write], upstream: crm }\n",
    );
    let main = std::fs::read_to_string(fixture.main()).expect("text");
    std::fs::write(fixture.main(), main.replace("response_timeout: 10s", "body_idle_timeout: 500ms")).expect("written");
    let gateway = TestGateway::start(fixture);
    let [(mut client, head), _] = ways(&gateway);
    let body = vec![b'x'; 64 << 20];
    client.send(format!("POST {head}Content-Length: {}\r\n\r\n", body.len())).send(body);
    let answer = client.answer();
    assert_eq!((answer.status, answer.reason().as_str()), (504, "upstream_timeout"));
}

#[test]
fn an_early_answer_passes_and_its_connection_is_not_reused() {
    let address = raw(|mut stream| {
        let mut piece = [0; 4096];
        let _ = stream.read(&mut piece);
        let _ = stream.write_all(&ok("application/json", r#"{"early":true}"#));
        // Anything else on the connection is no request.
        while stream.read(&mut piece).is_ok_and(|read| read > 0) {}
    });
    let gateway = TestGateway::of_acme(
        address,
        "ingress:\n  - { route: POST /v1/orders, scopes: [orders:write], upstream: crm }\n",
    );
    for _ in 0..3 {
        let [(mut client, head), _] = ways(&gateway);
        client.send(format!("POST {head}{HEAD}1\r\nx\r\n"));
        let answer = client.answer();
        assert_eq!((answer.status, answer.text().as_str()), (200, r#"{"early":true}"#));
    }
}
