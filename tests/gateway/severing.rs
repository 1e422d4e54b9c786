//! After a kill was answered, no byte leaves any more: not to a slow reader, not over HTTP/2.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::fault_attribution::both_ways;
use crate::support::client::{request, tcp};
use crate::support::fixture::GatewayFixture;
use crate::support::h2;
use crate::support::h2_frames::{self, PREFACE, SETTINGS, WINDOW_UPDATE, frame};
use crate::support::issuer::{reader, vendor};
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::{CHUNKED, Upstream};

const TERMS: &str = "limits: { requests: { rate: 100000/s }, concurrency: 5000 }
ingress:
  - { route: GET /v1/orders, scopes: [orders:read], upstream: crm }
";

const KILL: &str = r#"{"reason":"tokens were stolen"}"#;

/// Answers without an end, as fast as the answer is read, and counts the pieces.
fn endless() -> (Upstream, Arc<AtomicUsize>) {
    let given = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&given);
    let upstream = Upstream::start(move |_, asker| {
        let _ = asker.write(CHUNKED);
        while asker.chunk([b'x'; 16 * 1024]).is_ok() {
            count.fetch_add(1, Ordering::Relaxed);
        }
        false
    });
    (upstream, given)
}

/// Reads nothing until all buffers in between are full, and then kills.
fn after_a_kill(gateway: &TestGateway, given: &AtomicUsize, slow: TcpStream) -> usize {
    let mut before = 0;
    until("nothing moves any more", || {
        std::thread::sleep(Duration::from_millis(200));
        let now = given.load(Ordering::Relaxed);
        now > 0 && now == std::mem::replace(&mut before, now)
    });
    after_the_kill(gateway, slow)
}

/// Kills, and reads what still arrives.
fn after_the_kill(gateway: &TestGateway, mut slow: TcpStream) -> usize {
    let json = gateway.admin("operator", "POST", "/v1/vendors/acme/kill", KILL).json();
    assert!(json["severed"].as_u64() > Some(0) && json["lingering"].is_null(), "{json}");
    let mut arrived = vec![0; 64 * 1024 * 1024];
    let arrived = slow.peek(&mut arrived).unwrap_or(0);
    let mut all = Vec::new();
    // The stream ends by a reset, which the reader sees as an error.
    let _ = slow.read_to_end(&mut all);
    all.len() - arrived
}

#[test]
fn nothing_arrives_after_a_kill_was_answered() {
    let (crm, given) = endless();
    let gateway = TestGateway::of_acme(crm.address, TERMS);
    let mut slow = tcp(gateway.ingress());
    slow.write_all(request("GET", "/v1/orders", &reader(), "").as_bytes()).expect("sent");
    assert_eq!(after_a_kill(&gateway, &given, slow), 0);
}

#[test]
fn nothing_arrives_after_a_kill_was_answered_over_http_2() {
    let (crm, given) = endless();
    let gateway = TestGateway::of_acme(crm.address, TERMS);
    let mut slow = tcp(gateway.ingress());
    slow.write_all(&wide_open(3, &reader())).expect("sent");
    assert_eq!(after_a_kill(&gateway, &given, slow), 0);
}

/// The kernel still holds bytes of a connection that was not blocked.
#[test]
fn nothing_reaches_an_active_reader_after_a_kill_over_http_2() {
    for _ in 0..5 {
        let (crm, _) = endless();
        let gateway = TestGateway::of_acme(crm.address, TERMS);
        let mut slow = tcp(gateway.ingress());
        slow.write_all(&wide_open(8, &reader())).expect("sent");
        let mut read = vec![0; 4 * 1024 * 1024];
        slow.read_exact(&mut read).expect("it flows");
        assert_eq!(after_the_kill(&gateway, slow), 0);
    }
}

#[test]
fn another_vendor_on_the_same_connection_is_not_affected_by_a_kill() {
    // Slow enough that nothing waits: a connection whose severed streams cannot leave in time is reset as a whole.
    let crm = Upstream::start(|_, asker| {
        let _ = asker.write(CHUNKED);
        while asker.chunk([b'x'; 1024]).is_ok() {
            std::thread::sleep(Duration::from_millis(2));
        }
        false
    });
    let gateway = Arc::new(TestGateway::start(GatewayFixture::of_acme(crm.address, TERMS).contract("zeta", TERMS)));
    h2::run(async {
        let mut session = h2::open(gateway.ingress()).await;
        let killed = h2::ask(&mut session, "/v1/orders", &reader()).await.expect("an answer");
        let killed = tokio::spawn(h2::read(killed.into_body()));
        let other = vendor("zeta").scope("orders:read").token();
        let mut other = h2::ask(&mut session, "/v1/orders", &other).await.expect("an answer").into_body();
        let theirs = Arc::clone(&gateway);
        // On another thread, so that this one goes on reading.
        let kill = move || theirs.admin("operator", "POST", "/v1/vendors/acme/kill", KILL).json();
        let json = tokio::task::spawn_blocking(kill).await.expect("an answer");
        assert_eq!(json["severed"], 1, "{json}");
        assert_eq!(killed.await.expect("no panic").1, h2::StreamEnd::Reset);
        for _ in 0..100 {
            let frame = http_body_util::BodyExt::frame(&mut other).await.expect("it goes on");
            assert!(!frame.expect("unharmed").into_data().expect("data").is_empty());
        }
        let refused = h2::ask(&mut session, "/v1/orders", &reader()).await.expect("the connection lives on");
        assert_eq!(refused.status(), 403);
    });
}

/// Sends a body without an end until the other side has gone, and counts the pieces that were taken.
fn upload(mut stream: TcpStream, head: String) -> Arc<AtomicUsize> {
    let given = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&given);
    std::thread::spawn(move || {
        let piece = [&b"4000\r\n"[..], &[b'x'; 16 * 1024], b"\r\n"].concat();
        let mut sent = stream.write_all(head.as_bytes());
        while sent.is_ok() {
            count.fetch_add(1, Ordering::Relaxed);
            sent = stream.write_all(&piece);
        }
    });
    given
}

/// The upstream, ours or the vendor's, reads nothing until the kill, and then everything that its socket still holds.
#[test]
fn nothing_of_a_request_arrives_after_a_kill_was_answered() {
    for way in 0..2 {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let upstream = Upstream::json("{}");
        let terms = both_ways(&upstream, "", "").replace(&upstream.address.to_string(), &address.to_string());
        let gateway = TestGateway::of_acme(address, &terms);
        let (to, head) = if way == 0 {
            let token = vendor("acme").scope("orders:write").token();
            (gateway.ingress(), format!("POST /v1/orders HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n"))
        } else {
            (gateway.egress(), "POST /acme/v1/orders HTTP/1.1\r\nHost: a\r\n".to_owned())
        };
        let given = upload(tcp(to), format!("{head}Transfer-Encoding: chunked\r\n\r\n"));
        let (slow, _) = listener.accept().expect("a connection");
        slow.set_read_timeout(Some(crate::support::PATIENCE)).expect("a timeout");
        assert_eq!(after_a_kill(&gateway, &given, slow), 0, "way {way}");
    }
}

/// A client's whole side of a connection (RFC 9113) with so many requests, and windows that never close.
fn wide_open(requests: u32, token: &str) -> Vec<u8> {
    const WIDE: u32 = (1 << 31) - 1;
    const INITIAL_WINDOW_SIZE: [u8; 2] = [0, 4];
    let mut out = PREFACE.to_vec();
    frame(&mut out, SETTINGS, 0, 0, &[&INITIAL_WINDOW_SIZE[..], &WIDE.to_be_bytes()].concat());
    frame(&mut out, WINDOW_UPDATE, 0, 0, &(WIDE - 65_535).to_be_bytes());
    (0..requests).for_each(|at| h2_frames::get(&mut out, at, "/v1/orders", token));
    out
}
