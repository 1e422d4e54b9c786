//! WebSockets whose messages are under rules: each text message is treated and counted as one body, in both directions.

use vendorgate::internals::http::{FramePart, FrameReader, FrameWriter, MessageKind, WebSocketSide};

use crate::support::client::Client;
use crate::support::issuer::reader;
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::{CallerStream, ReceivedRequest, Upstream};

const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

const ASK: &str = "GET /acme/live HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";

fn terms(vendor: &Upstream, limits: &str, on_shape: &str) -> String {
    format!(
        "limits: {{ requests: {{ rate: 100000/s }}{limits} }}
egress:
  upstream: {{ url: \"http://{}\", allow_networks: [\"127.0.0.0/8\"] }}
  routes:
    - route: GET /live
      websocket: {{ messages: text }}
      records: \"$.events[*]\"{on_shape}
      request: {{ pii: [ {{ field: \"$..email\", as: redact }} ] }}
      response: {{ pii: [ {{ field: \"$..phone\", as: redact }} ] }}
",
        vendor.address
    )
}

/// A vendor that keeps the bytes that it receives, and sends these after the handshake.
fn vendor(first: Vec<u8>, fields: &'static str) -> (Upstream, std::sync::Arc<std::sync::Mutex<Vec<u8>>>) {
    let received = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let theirs = std::sync::Arc::clone(&received);
    let vendor = Upstream::start(move |_: &ReceivedRequest, asker: &mut CallerStream| {
        let mut said = [format!("{SWITCH}{fields}\r\n").as_bytes(), &first].concat();
        while asker.write(&said).is_ok() {
            said = Vec::new();
            let more = asker.read();
            if more.is_empty() {
                break;
            }
            theirs.lock().expect("no panic").extend(more);
        }
        false
    });
    (vendor, received)
}

fn open(gateway: &TestGateway) -> Client {
    let mut client = Client::to(gateway.egress());
    let head = client.send(ASK).head();
    assert_eq!((head.status, head.field("sec-websocket-extensions")), (101, None));
    client
}

/// Frames as a side sends them: `T` begins a text message, `t` ends one in one frame, `+` continues, `.` ends.
fn frames(side: WebSocketSide, parts: &[(&str, &[u8])]) -> Vec<u8> {
    let (writer, mut out) = (FrameWriter::new(side), Vec::new());
    for (kind, bytes) in parts {
        match *kind {
            "t" => writer.text(bytes, true, true, &mut out),
            "T" => writer.text(bytes, true, false, &mut out),
            "+" => writer.text(bytes, false, false, &mut out),
            "." => writer.text(bytes, false, true, &mut out),
            "close" => writer.close(1000, &mut out),
            other => panic!("{other}"),
        }
    }
    out
}

/// What a side has sent: whole messages, what is there of an unfinished one, and the close frame's bytes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    messages: Vec<String>,
    open: String,
    controls: Vec<String>,
}

fn said(side: WebSocketSide, bytes: &[u8]) -> Said {
    let (mut reader, mut said, mut rest) = (FrameReader::new(side), Said::default(), bytes);
    while let Some(part) = reader.read(&mut rest).expect("frames by the RFC") {
        match part {
            FramePart::Control(frame) => said.controls.push(format!("{frame:?}")),
            FramePart::Data { kind, bytes, is_last, .. } => {
                assert_eq!(kind, MessageKind::Text);
                said.open.push_str(std::str::from_utf8(bytes).expect("text"));
                if is_last {
                    said.messages.push(std::mem::take(&mut said.open));
                }
            }
        }
    }
    said
}

/// Reads what the client gets, up to the end of the connection.
fn rest(client: &mut Client) -> Vec<u8> {
    let mut all = Vec::new();
    while let Ok(more) = client.more() {
        all.extend(more);
    }
    all
}

fn closed_with(said: &Said, code: u16) -> bool {
    let bytes = code.to_be_bytes();
    said.controls.iter().any(|frame| frame.contains(&format!("payload: [{}, {}]", bytes[0], bytes[1])))
}

#[test]
fn each_message_is_treated_and_counted_in_both_directions() {
    let greeting =
        frames(WebSocketSide::Server, &[("t", br#"{"phone":"+49 151 2345678","ok":1}"#), ("T", br#"{"pho"#)]);
    let ping = b"\x89\x02hi".to_vec();
    let end = frames(WebSocketSide::Server, &[(".", br#"ne":"+49 151 2345678"}"#)]);
    let (vendor, received) = vendor([greeting, ping, end].concat(), "");
    let gateway = TestGateway::of_acme(vendor.address, &terms(&vendor, "", ""));
    let mut client = open(&gateway);
    let asked = vendor.last();
    assert_eq!(asked.field("sec-websocket-extensions"), None, "{}", asked.head);
    let mut sent = frames(
        WebSocketSide::Client,
        &[
            ("t", br#"{"events":[{"email":"ann@example.com"},{"email":"bob@example.com"}]}"#),
            ("T", br#"{"events":[{"em"#),
            ("+", br#"ail":"ann@"#),
            (".", br#"example.com"}]}"#),
        ],
    );
    sent.extend_from_slice(&frames(WebSocketSide::Client, &[("t", b"")]));
    // Cut in the middle of heads, masks and payloads.
    for piece in sent.chunks(7) {
        client.send(piece);
    }
    let vendor_has = || said(WebSocketSide::Client, &received.lock().expect("no panic"));
    until("all messages arrive", || vendor_has().messages.len() == 3);
    let expected =
        [r#"{"events":[{"email":"[redacted]"},{"email":"[redacted]"}]}"#, r#"{"events":[{"email":"[redacted]"}]}"#, ""];
    assert_eq!(vendor_has().messages, expected);
    let labels = ["vendor=\"acme\"", "direction=\"egress\""];
    assert_eq!(gateway.metric("vendorgate_records_total", &labels), Some(3));
    client.send(frames(WebSocketSide::Client, &[("close", b"")]));
    until("the close arrives", || closed_with(&vendor_has(), 1000));
    let mut got = Vec::new();
    while said(WebSocketSide::Server, &got).messages.len() < 2 {
        got.extend(client.more().expect("it comes"));
    }
    let got = said(WebSocketSide::Server, &got);
    assert_eq!(got.messages, [r#"{"phone":"[redacted]","ok":1}"#, r#"{"phone":"[redacted]"}"#]);
    assert_eq!(got.controls.len(), 1, "the ping between two fragments: {got:?}");
    drop(client);
    until("nothing is in flight", || gateway.in_flight() == 0);
}

#[test]
fn what_cannot_be_read_ends_it_with_its_code() {
    let text = |bytes: &[u8]| frames(WebSocketSide::Client, &[("t", bytes)]);
    let rows: Vec<(&str, Vec<u8>, u16)> = vec![
        ("no JSON", text(b"{\"email\": oops}"), 1007),
        ("an unfinished document", text(b"{\"events\":[{\"email\":\"ann@example.com\""), 1007),
        ("no UTF-8", text(b"{\"events\":[{\"x\":\"\xff\"}]}"), 1007),
        ("another shape", text(b"{\"email\":\"ann@example.com\"}"), 1008),
        ("binary", b"\x82\x81abcd\x00".to_vec(), 1003),
        ("no mask", b"\x81\x02{}".to_vec(), 1002),
        ("a reserved bit", b"\xc1\x82abcd\x1a\x1f".to_vec(), 1002),
        ("a length beyond the bound", b"\x81\xff\x00\x00\x00\x00\x7f\xff\xff\xffabcd".to_vec(), 1009),
    ];
    for (what, bytes, code) in rows {
        let (vendor, received) = vendor(Vec::new(), "");
        let gateway = TestGateway::of_acme(vendor.address, &terms(&vendor, "", ""));
        let mut client = open(&gateway);
        client.send(&bytes);
        let got = said(WebSocketSide::Server, &rest(&mut client));
        assert!(closed_with(&got, code), "{what}: {got:?}");
        until("the vendor's side is closed", || vendor.open() == 0);
        let seen = said(WebSocketSide::Client, &received.lock().expect("no panic"));
        assert!(closed_with(&seen, code), "{what}: {seen:?}");
        assert_eq!((seen.messages.len(), seen.open.as_str()), (0, ""), "{what}: nothing of it leaves");
        until("nothing is in flight", || gateway.in_flight() == 0);
    }
}

#[test]
fn a_spent_budget_ends_it_after_the_last_whole_record() {
    let (vendor, received) = vendor(Vec::new(), "");
    let gateway = TestGateway::of_acme(vendor.address, &terms(&vendor, ", records: { budget: 3, window: 1d }", ""));
    let mut client = open(&gateway);
    let event = |number: usize| format!("{{\"email\":\"ann@example.com\",\"n\":{number}}}");
    let message =
        |range: std::ops::Range<usize>| format!("{{\"events\":[{}]}}", range.map(event).collect::<Vec<_>>().join(","));
    client.send(frames(WebSocketSide::Client, &[("t", message(0..2).as_bytes())]));
    client.send(frames(WebSocketSide::Client, &[("t", message(2..5).as_bytes())]));
    let got = said(WebSocketSide::Server, &rest(&mut client));
    assert!(closed_with(&got, 1008), "{got:?}");
    until("the vendor's side is closed", || vendor.open() == 0);
    let seen = said(WebSocketSide::Client, &received.lock().expect("no panic"));
    assert_eq!(seen.messages.len(), 1, "{seen:?}");
    assert!(seen.open.contains("\"n\":2}") && !seen.open.contains("\"n\":3"), "{seen:?}");
    let labels = ["vendor=\"acme\"", "direction=\"egress\""];
    assert_eq!(gateway.metric("vendorgate_records_total", &labels), Some(3));
    let denied = ["vendor=\"acme\"", "reason=\"records_exceeded\""];
    assert_eq!(gateway.metric("vendorgate_denials_total", &denied), Some(1));
}

#[test]
fn messages_of_another_shape_count_as_one_each() {
    let (vendor, received) = vendor(Vec::new(), "");
    let shape = "\n      on_shape: pass";
    let gateway = TestGateway::of_acme(vendor.address, &terms(&vendor, "", shape));
    let mut client = open(&gateway);
    for _ in 0..3 {
        client.send(frames(WebSocketSide::Client, &[("t", br#"{"type":"subscribe"}"#)]));
    }
    client.send(frames(WebSocketSide::Client, &[("t", br#"{"events":[{"n":1},{"n":2}]}"#)]));
    until("all arrive", || said(WebSocketSide::Client, &received.lock().expect("no panic")).messages.len() == 4);
    let labels = ["vendor=\"acme\"", "direction=\"egress\""];
    assert_eq!(gateway.metric("vendorgate_records_total", &labels), Some(5));
}

#[test]
fn a_long_message_leaves_in_fragments_and_constant_memory() {
    let (vendor, received) = vendor(Vec::new(), "");
    let gateway = TestGateway::of_acme(vendor.address, &terms(&vendor, "", ""));
    let mut client = open(&gateway);
    let events: Vec<String> = (0..5_000).map(|n| format!("{{\"email\":\"ann@example.com\",\"n\":{n}}}")).collect();
    let message = format!("{{\"events\":[{}]}}", events.join(","));
    client.send(frames(WebSocketSide::Client, &[("t", message.as_bytes())]));
    until("it arrives", || said(WebSocketSide::Client, &received.lock().expect("no panic")).messages.len() == 1);
    let seen = said(WebSocketSide::Client, &received.lock().expect("no panic"));
    assert_eq!(seen.messages, [message.replace("ann@example.com", "[redacted]")]);
}

#[test]
fn an_upstream_with_an_extension_is_refused() {
    let (vendor, _) = vendor(Vec::new(), "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    let gateway = TestGateway::of_acme(vendor.address, &terms(&vendor, "", ""));
    let refused = Client::to(gateway.egress()).send(ASK).answer();
    assert_eq!((refused.status, refused.reason().as_str()), (502, "upstream_unreadable"));
}

#[test]
fn what_our_api_sends_a_vendor_is_treated_counted_and_cut_too() {
    let event = |number: usize| format!("{{\"events\":[{{\"email\":\"ann@example.com\",\"n\":{number}}}]}}");
    let messages: Vec<String> = (0..5).map(event).collect();
    let parts: Vec<(&str, &[u8])> = messages.iter().map(|message| ("t", message.as_bytes())).collect();
    let (api, received) = vendor(frames(WebSocketSide::Server, &parts), "");
    let terms = "limits: { requests: { rate: 100000/s }, records: { budget: 3, window: 1d } }
ingress:
  - route: GET /v1/live
    scopes: [orders:read]
    upstream: crm
    websocket: { messages: text }
    records: \"$.events[*]\"
    response: { pii: [ { field: \"$..email\", as: redact } ] }
";
    let gateway = TestGateway::of_acme(api.address, terms);
    let mut client = Client::to(gateway.ingress());
    let ask = ASK.replace("/acme/live", "/v1/live");
    let ask = ask.replace("\r\n\r\n", &format!("\r\nAuthorization: Bearer {}\r\n\r\n", reader()));
    assert_eq!(client.send(ask).head().status, 101);
    let got = said(WebSocketSide::Server, &rest(&mut client));
    let expected: Vec<String> = (0..3).map(|n| event(n).replace("ann@example.com", "[redacted]")).collect();
    assert_eq!(got.messages, expected);
    assert!(closed_with(&got, 1008), "{got:?}");
    until("our side is closed", || api.open() == 0);
    assert!(closed_with(&said(WebSocketSide::Client, &received.lock().expect("no panic")), 1008));
    let labels = ["vendor=\"acme\"", "direction=\"ingress\"", "route=\"GET /v1/live\""];
    assert_eq!(gateway.metric("vendorgate_records_total", &labels), Some(3));
    until("nothing is in flight", || gateway.in_flight() == 0);
}
