//! After a kill was answered not a byte leaves: not from a reader's slow connection, not over HTTP/2.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::client::{request, tcp};
use crate::support::gate::Gate;
use crate::support::h2;
use crate::support::house::House;
use crate::support::issuer::{reader, vendor};
use crate::support::until;
use crate::support::upstream::{CHUNKED, Upstream};

const TERMS: &str = "limits: { requests: { rate: 100000/s }, concurrency: 5000 }
ingress:
  - { route: GET /v1/orders, scopes: [orders:read], upstream: crm }
";

const KILL: &str = r#"{"reason":"tokens were stolen"}"#;

/// Answers without an end, as fast as it is read; and how many pieces it has given.
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

/// Reads nothing until all buffers between are full, and then kills.
fn after_a_kill(gate: &Gate, given: &AtomicUsize, slow: TcpStream) -> usize {
    let mut before = 0;
    until("nothing moves any more", || {
        std::thread::sleep(Duration::from_millis(200));
        let now = given.load(Ordering::Relaxed);
        now > 0 && now == std::mem::replace(&mut before, now)
    });
    after_the_kill(gate, slow)
}

/// Kills, and reads what still comes.
fn after_the_kill(gate: &Gate, mut slow: TcpStream) -> usize {
    let json = gate.admin("operator", "POST", "/v1/vendors/acme/kill", KILL).json();
    assert!(json["severed"].as_u64() > Some(0) && json["lingering"].is_null(), "{json}");
    let mut arrived = vec![0; 64 * 1024 * 1024];
    let arrived = slow.peek(&mut arrived).unwrap_or(0);
    let mut all = Vec::new();
    // It ends by a reset, which is an error to read.
    let _ = slow.read_to_end(&mut all);
    all.len() - arrived
}

#[test]
fn nothing_arrives_after_a_kill_was_answered() {
    let (crm, given) = endless();
    let gate = Gate::of_acme(crm.address, TERMS);
    let mut slow = tcp(gate.ingress());
    slow.write_all(request("GET", "/v1/orders", &reader(), "").as_bytes()).expect("sent");
    assert_eq!(after_a_kill(&gate, &given, slow), 0);
}

#[test]
fn nothing_arrives_after_a_kill_was_answered_over_http_2() {
    let (crm, given) = endless();
    let gate = Gate::of_acme(crm.address, TERMS);
    let mut slow = tcp(gate.ingress());
    slow.write_all(&wide_open(3, &reader())).expect("sent");
    assert_eq!(after_a_kill(&gate, &given, slow), 0);
}

/// Where the connection was not blocked, the kernel holds what it has not sent.
#[test]
fn nothing_arrives_at_one_who_was_reading_over_http_2() {
    for _ in 0..5 {
        let (crm, _) = endless();
        let gate = Gate::of_acme(crm.address, TERMS);
        let mut slow = tcp(gate.ingress());
        slow.write_all(&wide_open(8, &reader())).expect("sent");
        let mut read = vec![0; 4 * 1024 * 1024];
        slow.read_exact(&mut read).expect("it flows");
        assert_eq!(after_the_kill(&gate, slow), 0);
    }
}

#[test]
fn who_shares_a_connection_with_a_killed_vendor_goes_on() {
    let (crm, _) = endless();
    let gate = Arc::new(Gate::start(House::of_acme(crm.address, TERMS).contract("zeta", TERMS)));
    h2::run(async {
        let mut session = h2::open(gate.ingress()).await;
        let killed = h2::ask(&mut session, "/v1/orders", &reader()).await.expect("an answer");
        let killed = tokio::spawn(h2::read(killed.into_body()));
        let other = vendor("zeta").scope("orders:read").token();
        let mut other = h2::ask(&mut session, "/v1/orders", &other).await.expect("an answer").into_body();
        let theirs = Arc::clone(&gate);
        // Elsewhere, so that this end goes on reading.
        let kill = move || theirs.admin("operator", "POST", "/v1/vendors/acme/kill", KILL).json();
        let json = tokio::task::spawn_blocking(kill).await.expect("an answer");
        assert_eq!(json["severed"], 1, "{json}");
        assert_eq!(killed.await.expect("no panic").1, h2::Ending::Reset);
        for _ in 0..100 {
            let frame = http_body_util::BodyExt::frame(&mut other).await.expect("it goes on");
            assert!(!frame.expect("unharmed").into_data().expect("data").is_empty());
        }
        let refused = h2::ask(&mut session, "/v1/orders", &reader()).await.expect("the connection lives on");
        assert_eq!(refused.status(), 403);
    });
}

/// A client's whole side of a connection (RFC 9113) with so many requests, and windows that never close.
fn wide_open(requests: u32, token: &str) -> Vec<u8> {
    const WIDE: u32 = (1 << 31) - 1;
    let mut out = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    frame(&mut out, 0x4, 0, 0, &[&[0, 4][..], &WIDE.to_be_bytes()].concat());
    frame(&mut out, 0x8, 0, 0, &(WIDE - 65_535).to_be_bytes());
    for at in 0..requests {
        let mut block = Vec::new();
        let authorization = format!("Bearer {token}");
        for (name, value) in [
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/v1/orders"),
            (":authority", "api.example.com"),
            ("authorization", authorization.as_str()),
        ] {
            // RFC 7541 section 6.2.2: a literal without indexing, with a new name.
            block.push(0);
            text(&mut block, name);
            text(&mut block, value);
        }
        frame(&mut out, 0x1, 0x4 | 0x1, 2 * at + 1, &block);
    }
    out
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// RFC 7541 section 5.2: a length with a prefix of seven bits, and the bytes as they are.
fn text(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.len();
    if rest < 127 {
        out.push(rest as u8);
    } else {
        out.push(127);
        rest -= 127;
        while rest >= 128 {
            out.push((rest % 128 + 128) as u8);
            rest /= 128;
        }
        out.push(rest as u8);
    }
    out.extend_from_slice(text.as_bytes());
}
