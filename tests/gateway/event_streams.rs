//! Server-sent events from a vendor and to it: each event leaves when it is whole, is treated and counted, and a kill
//! ends the stream.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use crate::support::client::{BodyEnd, Client, request};
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::{CallerStream, ReceivedRequest, Upstream, ok};

const EVENTS: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nCache-Control: no-store\r\n\r\n";

fn terms(vendor: &Upstream, more: &str) -> String {
    format!(
        "limits: {{ requests: {{ rate: 100000/s }}{more} }}
egress:
  upstream: {{ url: \"http://{}\", allow_networks: [\"127.0.0.0/8\"], body_pace: 1MiB/s, body_idle_timeout: 2s }}
  routes:
    - route: GET /events
      response: {{ pii: [ {{ field: \"$..email\", as: redact }} ] }}
    - route: POST /events
      records: \"$[*]\"
      request: {{ pii: [ {{ field: \"$..email\", as: redact }} ] }}
",
        vendor.address
    )
}

/// A vendor that sends what the test hands it, piece by piece.
fn vendor() -> (Upstream, mpsc::Sender<String>) {
    let (sender, pieces) = mpsc::channel::<String>();
    let pieces = Arc::new(Mutex::new(pieces));
    let vendor = Upstream::start(move |_: &ReceivedRequest, asker: &mut CallerStream| {
        if asker.write(EVENTS).is_err() {
            return false;
        }
        while let Ok(piece) = pieces.lock().expect("no panic").recv() {
            if asker.chunk(piece).is_err() {
                break;
            }
        }
        false
    });
    (vendor, sender)
}

fn open(gateway: &TestGateway) -> Client {
    let mut client = Client::to(gateway.egress());
    let head = client.send(request("GET", "/acme/events", "", "")).head();
    assert_eq!((head.status, head.field("content-type")), (200, Some("text/event-stream")));
    client
}

/// Reads until the text holds this.
fn read_until(client: &mut Client, all: &mut String, what: &str) {
    while !all.contains(what) {
        all.push_str(&String::from_utf8_lossy(&client.more().expect("it comes")));
    }
}

#[test]
fn each_event_leaves_when_it_is_whole() {
    let (vendor, pieces) = vendor();
    let gateway = TestGateway::of_acme(vendor.address, &terms(&vendor, ""));
    pieces.send(": hello\n\n".into()).expect("taken");
    let mut client = open(&gateway);
    let mut all = String::new();
    for number in 0..5 {
        // The end of an event is what sends it, although the stream stays open and its next event has begun.
        pieces
            .send(format!("id: {number}\ndata: {{\"email\":\"ann@example.com\",\"n\":{number}}}\n\ndata: {{"))
            .expect("taken");
        read_until(&mut client, &mut all, &format!("\"n\":{number}}}"));
        pieces.send("\"half\":1}\n\n".into()).expect("taken");
        read_until(&mut client, &mut all, "\"half\":1}");
        all = all.replace("\"half\":1}", "");
    }
    assert!(!all.contains("ann@"), "{all}");
    // A comment in time keeps the stream, however slow it is.
    for _ in 0..4 {
        std::thread::sleep(Duration::from_millis(700));
        pieces.send(": still here\n\n".into()).expect("taken");
    }
    pieces.send("data: {\"last\":1}\n\n".into()).expect("taken");
    read_until(&mut client, &mut all, "\"last\":1}");
    // A silent stream is broken off.
    while client.more().is_ok() {}
    until("nothing is in flight", || gateway.in_flight() == 0);
    drop(pieces);
}

#[test]
fn a_kill_ends_a_stream_between_two_events() {
    let (vendor, pieces) = vendor();
    let gateway = TestGateway::of_acme(vendor.address, &terms(&vendor, ""));
    pieces.send("data: {\"n\":1}\n\n".into()).expect("taken");
    let mut client = open(&gateway);
    let mut all = String::new();
    read_until(&mut client, &mut all, "\"n\":1}");
    let json = gateway.admin("operator", "POST", "/v1/vendors/acme/kill", r#"{"reason":"a leak"}"#).json();
    assert_eq!(json["severed"], 1, "{json}");
    let end = loop {
        if let Err(end) = client.more() {
            break end;
        }
    };
    assert_ne!(end, BodyEnd::Whole);
    until("nothing is in flight", || gateway.in_flight() == 0);
    drop(pieces);
}

#[test]
fn each_event_that_leaves_is_a_record() {
    let vendor = Upstream::saying(ok("application/json", "{}"));
    let gateway = TestGateway::of_acme(vendor.address, &terms(&vendor, ", records: { budget: 3, window: 1d }"));
    let event = |number: usize| format!("data: {{\"email\":\"ann@example.com\",\"n\":{number}}}\n\n");
    let send = |count: usize| {
        let body: String = (0..count).map(event).collect();
        let text = request("POST", "/acme/events", "", &body).replace("application/json", "text/event-stream");
        Client::to(gateway.egress()).send(text).answer()
    };
    assert_eq!(send(2).status, 200);
    let labels = ["vendor=\"acme\"", "direction=\"egress\"", "route=\"POST /events\""];
    assert_eq!(gateway.metric("vendorgate_records_total", &labels), Some(2));
    let seen = String::from_utf8_lossy(&vendor.last().body).into_owned();
    assert!(seen.contains("\"n\":1") && !seen.contains("ann@"), "{seen}");
    let refused = send(2);
    assert_eq!((refused.status, refused.reason().as_str()), (429, "records_exceeded"));
}
