//! The circuit breaker and the bulkhead: a vendor's trouble stays the vendor's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::client::Client;
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::{Upstream, ok};
use crate::upstream_targets::{call, fixture, gateway, get, nobody, saying, send};

const OPEN_LONG: &str =
    "breaker: { failure_percent: 50, window: 1m, min_requests: 4, open_for: 30m, max_open_for: 1h }, ";

#[test]
fn an_open_circuit_spares_the_upstream_and_tells_when_to_come_back() {
    let upstream = saying(500);
    let gateway = gateway(&[&upstream], OPEN_LONG);
    for _ in 0..4 {
        assert_eq!(get(&gateway).status, 500);
    }
    for method in ["GET", "POST"] {
        let answer = send(&gateway, true, method, "{}");
        assert_eq!((answer.status, answer.reason().as_str()), (503, "upstream_circuit_open"));
        let wait: u64 = answer.field("retry-after").and_then(|secs| secs.parse().ok()).expect("seconds");
        assert!((1..=1800).contains(&wait), "{wait}");
    }
    assert_eq!(upstream.seen().len(), 4);
    // The other direction has a circuit of its own, though the targets are the same.
    assert_eq!(send(&gateway, false, "GET", "").status, 500);
    let labels = [r#"vendor="acme""#, r#"direction="egress""#];
    assert_eq!(gateway.metric("vendorgate_upstream_circuit_open", &labels), Some(1));
    assert_eq!(gateway.metric("vendorgate_upstream_circuit_open", &[r#"direction="ingress""#]), Some(0));
    assert_eq!(gateway.admin("admin", "POST", "/v1/reload", "").status, 200);
    assert_eq!(get(&gateway).reason(), "upstream_circuit_open", "a reload does not close it");
}

#[test]
fn an_upstream_that_cannot_be_reached_opens_the_circuit_and_a_callers_fault_does_not() {
    let gateway = TestGateway::start(fixture(&[nobody()], OPEN_LONG, ""));
    let reasons: Vec<String> = (0..6).map(|_| get(&gateway).reason()).collect();
    assert_eq!(reasons[3..5], ["upstream_refused", "upstream_circuit_open"]);

    let upstream = Upstream::json("{}");
    let gateway = crate::upstream_targets::gateway(&[&upstream], OPEN_LONG);
    for _ in 0..8 {
        let (address, text) = call(&gateway, false, "PUT", "7", "{}");
        let head = text.replace("Content-Length: 2\r\n\r\n{}", "Content-Length: 50\r\n\r\n{");
        let mut client = Client::to(address);
        client.send(head);
        until("the upstream has a part of it", || upstream.open() > 0);
        drop(client);
        until("the upstream is let go", || upstream.open() == 0);
    }
    assert_eq!(send(&gateway, false, "GET", "").status, 200, "uploads that break off say nothing about the upstream");
}

#[test]
fn a_half_open_circuit_lets_a_few_through_and_closes_when_they_succeed() {
    let (fails, holds) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(true)));
    let (failing, holding) = (Arc::clone(&fails), Arc::clone(&holds));
    let upstream = Upstream::start(move |_, asker| {
        if failing.load(Ordering::SeqCst) {
            return asker.write("HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n").is_ok();
        }
        until("it may answer", || !holding.load(Ordering::SeqCst));
        asker.write(ok("application/json", "{}")).is_ok()
    });
    let keys =
        "response_timeout: 1m, breaker: { window: 1m, min_requests: 4, open_for: 100ms, half_open_requests: 2 }, ";
    let gateway = gateway(&[&upstream], keys);
    while get(&gateway).status == 500 {}
    fails.store(false, Ordering::SeqCst);
    let before = upstream.seen().len();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| until("the circuit is closed", || get(&gateway).status == 200));
        }
        until("some are let through to try", || upstream.seen().len() == before + 2);
        until("the others are refused", || {
            let labels = [r#"vendor="acme""#, r#"direction="egress""#, r#"reason="upstream_circuit_open""#];
            gateway.metric("vendorgate_denials_total", &labels) >= Some(10)
        });
        assert_eq!(upstream.seen().len(), before + 2, "a storm does not reach an upstream that is coming back");
        holds.store(false, Ordering::SeqCst);
    });
    let labels = [r#"direction="egress""#];
    assert_eq!(gateway.metric("vendorgate_upstream_circuit_open", &labels), Some(0));
}

#[test]
fn a_bulkhead_bounds_what_is_under_way_and_what_waits() {
    let holds = Arc::new(AtomicBool::new(true));
    let holding = Arc::clone(&holds);
    let upstream = Upstream::start(move |_, asker| {
        until("it may answer", || !holding.load(Ordering::SeqCst));
        asker.write(ok("application/json", "{}")).is_ok()
    });
    let keys = "max_requests: 1, max_pending: 1, ";
    let gateway = {
        let fixture = fixture(&[upstream.address], keys, "");
        let contract = fixture.path().join("contracts/acme.yaml");
        let text = std::fs::read_to_string(&contract).expect("text");
        // How long a request may wait for its place.
        std::fs::write(&contract, text.replace(keys, &format!("{keys}connect_timeout: 1m, "))).expect("written");
        TestGateway::start(fixture)
    };
    let (address, text) = call(&gateway, true, "GET", "7", "");
    let mut clients = [Client::to(address), Client::to(address)];
    clients[0].send(&text);
    until("the first is under way", || upstream.seen().len() == 1);
    clients[1].send(&text);
    until("the second waits", || gateway.in_flight() == 2);
    let refused = get(&gateway);
    assert_eq!((refused.status, refused.reason().as_str()), (503, "overloaded"));
    holds.store(false, Ordering::SeqCst);
    assert_eq!(clients.map(|mut client| client.answer().status), [200, 200]);
    assert_eq!(get(&gateway).status, 200, "its place is free again");
}
