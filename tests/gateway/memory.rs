//! Memory per stream is constant, for a body of any size and a reader of any slowness.

use crate::support::client::{BodyEnd, Client, request};
use crate::support::fixture::GatewayFixture;
use crate::support::issuer::reader;
use crate::support::process::Process;
use crate::support::upstream::{CHUNKED, Upstream};

const TERMS: &str = r#"limits: { requests: { rate: 1000/s }, records: { budget: 10000000, window: 1h }, bytes: { budget: 10GB, window: 1h } }
ingress:
  - route: GET /v1/orders/{megabytes}
    scopes: [orders:read]
    upstream: crm
    records: "$.orders[*]"
    response: { pii: [ { field: "$.orders[*].email", as: tokenize }, { field: "$.orders[*].name", as: hash } ] }
"#;

/// As many megabytes of records as the path asks for.
fn records() -> Upstream {
    let record = format!(
        r#"{{"id":1,"email":"ann@example.com","name":"Zoë","text":"{}"}},"#,
        "some text of no interest, as most of a record is; ".repeat(18)
    );
    let group = record.repeat(64);
    Upstream::start(move |seen, asker| {
        let megabytes: usize = number_in(seen.line());
        let _ = asker.write(CHUNKED);
        let _ = asker.chunk(r#"{"orders":["#);
        for _ in 0..(megabytes << 20) / group.len() {
            if asker.chunk(&group).is_err() {
                return false;
            }
        }
        asker.chunk("{}]}").and_then(|()| asker.chunk("")).is_ok()
    })
}

/// How long the long body is: 10 MiB, or as many as `VENDORGATE_MEGABYTES` says. The promise is for 1024 and more.
fn megabytes() -> usize {
    std::env::var("VENDORGATE_MEGABYTES").map_or(10, |text| text.parse().expect("a number"))
}

fn number_in(line: &str) -> usize {
    line.split(['/', ' ']).find_map(|part| part.parse().ok()).expect("a number")
}

#[test]
fn a_body_of_any_size_is_treated_in_less_than_four_megabytes() {
    let crm = records();
    let fixture = GatewayFixture::of_acme(crm.address, TERMS);
    let process = Process::start(&fixture);
    let mut client = Client::to(process.ingress);
    // The first body pays for what is allocated once: buffers, the runtime's own, the allocator's pools.
    let warm = client.get("/v1/orders/1", &reader());
    assert_eq!((warm.status, warm.ending), (200, BodyEnd::Whole));
    let before = process.memory();
    let size = megabytes();
    client.send(request("GET", &format!("/v1/orders/{size}"), &reader(), ""));
    assert_eq!(client.head().status, 200);
    let (mut read, mut most) = (0, before);
    let mut tail = Vec::new();
    while !tail.ends_with(b"0\r\n\r\n") {
        let bytes = client.more().expect("whole");
        if read / (1 << 20) != (read + bytes.len()) / (1 << 20) {
            most = most.max(process.memory());
        }
        read += bytes.len();
        assert!(!bytes.windows(5).any(|window| window == b"ann@e"));
        tail.extend_from_slice(&bytes);
        tail.drain(..tail.len().saturating_sub(8));
    }
    most = most.max(process.memory());
    assert!(read > (size - 1) << 20, "{read}");
    eprintln!("{size} MiB: {read} bytes left, memory grew by {} KiB from {} KiB", (most - before) >> 10, before >> 10);
    assert!(most - before < 4 << 20, "grew by {} KiB", (most - before) >> 10);
}

#[test]
fn a_paused_reader_costs_no_more_memory() {
    let crm = records();
    let fixture = GatewayFixture::of_acme(crm.address, TERMS);
    let process = Process::start(&fixture);
    assert_eq!(Client::to(process.ingress).get("/v1/orders/1", &reader()).status, 200);
    let before = process.memory();
    let mut resting = Client::to(process.ingress);
    resting.send(request("GET", "/v1/orders/200", &reader(), ""));
    assert_eq!(resting.head().status, 200);
    // While the reader is paused, others are served, and the gateway holds little for it.
    let mut busy = Client::to(process.ingress);
    for _ in 0..20 {
        assert_eq!(busy.get("/v1/orders/1", &reader()).ending, BodyEnd::Whole);
        let grown = process.memory().saturating_sub(before);
        assert!(grown < 6 << 20, "grew by {} KiB", grown >> 10);
    }
}
