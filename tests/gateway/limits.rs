//! Requests per time and requests at once.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use crate::support::client::Client;
use crate::support::client::request;
use crate::support::gate::Gate;
use crate::support::house::House;
use crate::support::issuer::{reader, vendor};
use crate::support::until;
use crate::support::upstream::{CHUNKED, Upstream, ok};

const ROUTES: &str = "ingress:\n  - { route: GET /v1/orders, scopes: [orders:read], upstream: crm }\n";

#[test]
fn beyond_the_rate_it_says_when_to_come_back() {
    let crm = Upstream::json("{}");
    let house = House::of_acme(crm.address, &format!("limits: {{ requests: {{ rate: 2/m, burst: 3 }} }}\n{ROUTES}"));
    let gate = Gate::start(house.contract("other", ROUTES));
    let mut client = Client::to(gate.ingress());
    let statuses: Vec<u16> = (0..3).map(|_| client.get("/v1/orders", &reader()).status).collect();
    assert_eq!(statuses, [200, 200, 200]);
    let refused = client.get("/v1/orders", &reader());
    assert_eq!((refused.status, refused.reason().as_str()), (429, "rate_limited"));
    let retry: u64 = refused.field("retry-after").expect("a time").parse().expect("seconds");
    assert!((1..=30).contains(&retry), "{retry}");
    let other = vendor("other").scope("orders:read").token();
    assert_eq!(client.get("/v1/orders", &other).status, 200, "one vendor's rate is no other's");
    assert_eq!(crm.seen().len(), 4);
}

#[test]
fn a_request_that_is_refused_costs_no_budget() {
    let crm = Upstream::json("{}");
    let gate = Gate::of_acme(crm.address, &format!("limits: {{ requests: {{ rate: 1/h, burst: 1 }} }}\n{ROUTES}"));
    let mut client = Client::to(gate.ingress());
    for _ in 0..5 {
        assert_eq!(client.get("/v1/orders", &vendor("acme").scope("other").token()).status, 403);
        assert_eq!(client.get("/v1/nothing", &reader()).status, 403);
    }
    assert_eq!(client.get("/v1/orders", &reader()).status, 200);
    assert_eq!(client.get("/v1/orders", &reader()).status, 429);
}

#[test]
fn a_slot_is_held_until_the_body_has_ended() {
    let (end, ended) = mpsc::channel::<()>();
    let ended = Arc::new(Mutex::new(ended));
    let crm = Upstream::start(move |seen, asker| {
        if seen.line().contains("slow") {
            let _ = asker.write(CHUNKED);
            let _ = asker.chunk("{}");
            let _ = ended.lock().expect("no panic").recv();
            return asker.chunk("").is_ok();
        }
        asker.write(ok("application/json", "{}")).is_ok()
    });
    let terms = format!("limits: {{ concurrency: 1 }}\n{ROUTES}");
    let gate = Gate::of_acme(crm.address, &terms.replace("GET /v1/orders", "\"GET /v1/{kind}\""));
    let mut slow = Client::to(gate.ingress());
    slow.send(request("GET", "/v1/slow", &reader(), ""));
    assert_eq!(slow.head().status, 200);
    let refused = gate.get("/v1/orders", &reader());
    assert_eq!((refused.status, refused.reason().as_str()), (429, "concurrency_exceeded"));
    end.send(()).expect("the upstream waits");
    until("the slot is free", || gate.get("/v1/orders", &reader()).status == 200);
    // A caller who vanishes in the middle of a body gives the slot back too.
    let mut gone = Client::to(gate.ingress());
    gone.send(request("GET", "/v1/slow", &reader(), ""));
    assert_eq!(gone.head().status, 200);
    assert_eq!(gate.get("/v1/orders", &reader()).status, 429);
    drop(gone);
    until("the slot is free", || gate.get("/v1/orders", &reader()).status == 200);
    drop(end);
}
