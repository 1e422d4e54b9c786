//! HTTP/2 towards upstreams: one connection for many exchanges, and one exchange's end is no other's.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ::h2::client::SendRequest;
use ::h2::{RecvStream, server};
use bytes::Bytes;
use http::{Method, Request, Response, Version};
use tokio::net::TcpStream;

use crate::support::client::{Answer, BodyEnd, Client, request};
use crate::support::h2_frames::{GOAWAY, RST_STREAM, frame};
use crate::support::h2_upstream::{FrameUpstream, Http2Call, Http2Upstream, answer, head};
use crate::support::test_gateway::TestGateway;
use crate::support::upstream::Upstream;
use crate::support::{h2, until};

fn terms(address: SocketAddr, more: &str) -> String {
    format!(
        "limits: {{ requests: {{ rate: 100000/s }}, concurrency: 1000 }}
egress:
  upstream: {{ url: \"http://{address}/base\", allow_networks: [\"127.0.0.0/8\"], protocol: http2{more} }}
  routes:
    - route: \"* /one/{{*rest}}\"
    - route: \"* /two/{{*rest}}\"
    - route: POST /treated
      records: \"$[*]\"
      request: {{ pii: [ {{ field: \"$..email\", as: redact }} ] }}
"
    )
}

/// A gateway whose vendor speaks HTTP/2.
pub(crate) fn gateway(address: SocketAddr) -> TestGateway {
    TestGateway::of_acme(address, &terms(address, ""))
}

/// A call of our service.
pub(crate) fn get(gateway: &TestGateway, path: &str) -> Answer {
    Client::to(gateway.egress()).send(request("GET", path, "", "")).answer()
}

/// A caller's HTTP/2 connection, all of whose requests are served by one worker.
async fn session(gateway: &TestGateway) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(gateway.egress()).await.expect("it accepts");
    // Wide enough that a response which is not read holds up no other on this hop.
    let mut builder = ::h2::client::Builder::new();
    builder.initial_connection_window_size(1 << 24);
    let (session, connection) = builder.handshake(stream).await.expect("a handshake");
    tokio::spawn(async move { drop(connection.await) });
    session
}

/// Sends the head of a request, and waits for the head of its response.
async fn begin(
    session: &SendRequest<Bytes>,
    path: &str,
    is_whole: bool,
) -> (::h2::SendStream<Bytes>, Result<Response<RecvStream>, ::h2::Error>) {
    let mut session = session.clone().ready().await.expect("it takes requests");
    let request = Request::builder().method(Method::POST).uri(format!("http://127.0.0.1{path}"));
    let (response, mut stream) =
        session.send_request(request.body(()).expect("a request"), is_whole).expect("it is sent");
    if !is_whole {
        stream.send_data(Bytes::from_static(b"begun"), false).expect("it is taken");
    }
    (stream, response.await)
}

async fn read(mut body: RecvStream) -> (Vec<u8>, Option<::h2::Error>) {
    let mut all = Vec::new();
    while let Some(piece) = body.data().await {
        match piece {
            Ok(piece) => {
                let _ = body.flow_control().release_capacity(piece.len());
                all.extend_from_slice(&piece);
            }
            Err(error) => return (all, Some(error)),
        }
    }
    (all, None)
}

/// Answers with a first piece at once, and with the body of the request once that has ended.
async fn late_echo(mut call: Http2Call) {
    let mut stream = call.answer.send_response(head(&[]), false).expect("an answer");
    stream.send_data("first ".into(), false).expect("it is taken");
    let body = call.read().await;
    let _ = stream.send_data(body.bytes.into(), true);
}

async fn echo(mut call: Http2Call) {
    let body = call.read().await;
    call.respond(&[("content-type", "text/plain")], body.bytes);
}

#[test]
fn the_exchanges_of_a_worker_share_a_connection() {
    let vendor = Http2Upstream::start(|mut call| async move { call.respond(&[("x-from", "vendor")], "hello") });
    let gateway = gateway(vendor.address);
    let mut client = Client::to(gateway.egress());
    for _ in 0..20 {
        let fields = "\r\nTE: trailers\r\nConnection: te\r\n\r\n";
        let text = request("GET", "/acme/one/a?b=c", "", "").replace("\r\n\r\n", fields);
        let answer = client.send(text).answer();
        assert_eq!((answer.status, answer.field("x-from"), answer.text().as_str()), (200, Some("vendor"), "hello"));
    }
    assert_eq!(vendor.connections(), 1);
    let seen = vendor.seen();
    assert_eq!(seen.len(), 20);
    let uri = format!("http://{}/base/one/a?b=c", vendor.address);
    for head in seen {
        assert_eq!((head.version(), head.uri().to_string()), (Version::HTTP_2, uri.clone()));
        for name in ["host", "connection", "transfer-encoding", "content-length"] {
            assert!(!head.headers().contains_key(name), "{name}");
        }
        assert_eq!(head.headers()["te"], "trailers");
    }
}

#[test]
fn bodies_of_every_size_pass_both_ways() {
    let vendor = Http2Upstream::start(echo);
    let gateway = gateway(vendor.address);
    let mut client = Client::to(gateway.egress());
    for size in [0, 1, 65_535, 65_536, 1_000_000] {
        let body: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        let head = format!("POST /acme/one/a HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n");
        let answer = client.send(head).send(&body).answer();
        assert_eq!((answer.status, answer.body == body, answer.ending), (200, true, BodyEnd::Whole), "{size}");
        assert_eq!(vendor.seen().last().expect("a request").headers()["content-length"], size.to_string().as_str());
    }
    let chunked =
        "POST /acme/one/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    assert_eq!(client.send(chunked).answer().text(), "abcde");
    let answer = client.send(request("POST", "/acme/treated", "", r#"[{"email":"ann@example.com"}]"#)).answer();
    assert_eq!(answer.status, 200);
    assert!(!answer.holds("ann@"), "{}", answer.text());
    let answer = client.send(request("HEAD", "/acme/one/a", "", "")).answer_to_head();
    assert_eq!((answer.status, answer.field("content-type")), (200, Some("text/plain")));
    assert_eq!(client.get("/acme/one/a", "").status, 200, "a HEAD leaves the connection as it was");
}

#[test]
fn a_kill_of_one_route_severs_only_its_streams() {
    let vendor = Http2Upstream::start(late_echo);
    let gateway = gateway(vendor.address);
    h2::run(async {
        let session = session(&gateway).await;
        let (mut spared, response) = begin(&session, "/acme/one/a", false).await;
        let spared_body = tokio::spawn(read(response.expect("a response").into_body()));
        let (_severed, response) = begin(&session, "/acme/two/a", false).await;
        let severed_body = tokio::spawn(read(response.expect("a response").into_body()));
        let kill = r#"{"reason":"a leak","route":"* /two/{*rest}"}"#;
        let json = gateway.admin("operator", "POST", "/v1/vendors/acme/kill", kill).json();
        assert_eq!(json["severed"], 1, "{json}");
        let (bytes, error) = severed_body.await.expect("no panic");
        assert!(error.is_some_and(|error| error.is_reset()), "{}", String::from_utf8_lossy(&bytes));
        until("the vendor learns of it", || vendor.bodies().iter().any(|body| body.broken.is_some()));
        let broken: Vec<_> = vendor.bodies();
        let cause = broken[0].broken.as_deref().unwrap_or_default();
        assert!(cause.contains("stream error"), "its stream alone is reset: {cause}");
        spared.send_data(Bytes::from_static(b" and ended"), true).expect("it goes on");
        let (bytes, error) = spared_body.await.expect("no panic");
        assert_eq!((String::from_utf8_lossy(&bytes).as_ref(), error.is_none()), ("first begun and ended", true));
    });
    assert_eq!(vendor.connections(), 1);
    until("nothing is in flight", || gateway.in_flight() == 0);
}

#[test]
fn a_kill_of_the_vendor_resets_the_connection() {
    let vendor = Http2Upstream::start(late_echo);
    let gateway = gateway(vendor.address);
    h2::run(async {
        let session = session(&gateway).await;
        let mut streams = Vec::new();
        for path in ["/acme/one/a", "/acme/two/a", "/acme/two/b"] {
            let (stream, response) = begin(&session, path, false).await;
            streams.push((stream, response.expect("a response")));
        }
        let json = gateway.admin("operator", "POST", "/v1/vendors/acme/kill", r#"{"reason":"a leak"}"#).json();
        assert_eq!((json["severed"].as_u64(), json["lingering"].as_u64()), (Some(3), None), "{json}");
    });
    until("the vendor learns of it", || vendor.bodies().len() == 3);
    let causes: Vec<_> = vendor.bodies().into_iter().filter_map(|body| body.broken).collect();
    assert_eq!(causes.len(), 3);
    assert!(causes.iter().any(|cause| !cause.contains("stream error")), "the connection went too: {causes:?}");
    until("nothing is in flight", || gateway.in_flight() == 0);
}

#[test]
fn a_body_that_breaks_off_looks_so_to_the_other_end() {
    let vendor = Http2Upstream::start(|mut call: Http2Call| async move {
        let mut stream = call.answer.send_response(head(&[]), false).expect("an answer");
        stream.send_data("half".into(), false).expect("it is taken");
        tokio::time::sleep(Duration::from_millis(50)).await;
        stream.send_reset(::h2::Reason::CANCEL);
        call.read().await;
    });
    let gateway = gateway(vendor.address);
    let answer = get(&gateway, "/acme/one/a");
    assert_eq!((answer.status, answer.ending), (200, BodyEnd::Closed));
    let mut client = Client::to(gateway.egress());
    client.send("POST /acme/one/b HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
    drop(client);
    until("the vendor learns of it", || vendor.bodies().iter().any(|body| body.broken.is_some()));
    until("nothing is in flight", || gateway.in_flight() == 0);
}

#[test]
fn what_an_upstream_has_not_processed_goes_to_another_connection() {
    // The first connection refuses its streams, the second says that it goes away before it has read them.
    let vendor = FrameUpstream::start(|connection, stream| {
        let mut out = Vec::new();
        match connection {
            0 => frame(&mut out, RST_STREAM, 0, stream, &7_u32.to_be_bytes()),
            1 => frame(&mut out, GOAWAY, 0, 0, &[0; 8]),
            _ => out = answer(stream, &[], b"here"),
        }
        out
    });
    let gateway = gateway(vendor.address);
    let answer = Client::to(gateway.egress()).send(request("POST", "/acme/one/a", "", "{}")).answer();
    assert_eq!((answer.status, answer.reason().as_str()), (502, "upstream_refused"), "its body was taken");
    // The connection refuses every stream, and is full for that.
    let answer = get(&gateway, "/acme/one/a");
    assert!(matches!(answer.status, 200 | 503), "{}", answer.status);
    let going = FrameUpstream::start(|connection, stream| {
        let mut out = Vec::new();
        match connection {
            0 | 1 => frame(&mut out, GOAWAY, 0, 0, &[0; 8]),
            _ => out = self::answer(stream, &[], b"here"),
        }
        out
    });
    let gateway = TestGateway::of_acme(going.address, &terms(going.address, ""));
    assert_eq!(get(&gateway, "/acme/one/a").text(), "here");
    assert_eq!(going.connections.load(Ordering::SeqCst), 3);
}

#[test]
fn a_connection_that_goes_away_finishes_what_it_has_begun() {
    let vendor = FrameUpstream::start(|connection, stream| {
        let mut out = Vec::new();
        if connection == 0 {
            // The stream is the last that is processed, and its body follows.
            frame(&mut out, GOAWAY, 0, 0, &[&stream.to_be_bytes()[..], &[0; 4]].concat());
        }
        [out, answer(stream, &[], b"here")].concat()
    });
    let gateway = gateway(vendor.address);
    let mut client = Client::to(gateway.egress());
    for connections in 1..3 {
        let answer = client.get("/acme/one/a", "");
        assert_eq!((answer.status, answer.text().as_str(), answer.ending), (200, "here", BodyEnd::Whole));
        assert_eq!(vendor.connections.load(Ordering::SeqCst), connections);
    }
}

#[test]
fn an_old_connection_takes_no_further_stream() {
    let vendor = Http2Upstream::start(late_echo);
    let gateway = TestGateway::of_acme(vendor.address, &terms(vendor.address, ", max_connection_age: 1s"));
    h2::run(async {
        let session = session(&gateway).await;
        let (mut stream, response) = begin(&session, "/acme/one/a", false).await;
        let body = response.expect("a response").into_body();
        while vendor.connections() == 1 {
            let (_, other) = begin(&session, "/acme/one/a", true).await;
            assert_eq!(read(other.expect("a response").into_body()).await.0, b"first ");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stream.send_data(Bytes::new(), true).expect("it goes on");
        assert_eq!(read(body).await.0, b"first begun", "what it has begun is finished");
    });
}

#[test]
fn streams_keep_to_the_upstreams_bound() {
    let mut settings = server::Builder::new();
    settings.max_concurrent_streams(2);
    let vendor = Http2Upstream::with(settings, late_echo);
    let gateway = gateway(vendor.address);
    h2::run(async {
        let session = session(&gateway).await;
        let mut open = Vec::new();
        for _ in 0..5 {
            let (stream, response) = begin(&session, "/acme/one/a", false).await;
            open.push((stream, response.expect("a response")));
        }
        assert_eq!(vendor.connections(), 3);
        for (mut stream, response) in open {
            stream.send_data(Bytes::new(), true).expect("it ends");
            assert_eq!(read(response.into_body()).await.0, b"first begun");
        }
        let (_, response) = begin(&session, "/acme/one/a", true).await;
        assert_eq!(response.expect("a response").status(), 200);
    });
    assert_eq!(vendor.connections(), 3, "a connection that has room again is used again");
}

#[test]
fn a_caller_who_does_not_read_holds_up_no_other() {
    let vendor = Http2Upstream::start(|mut call: Http2Call| async move {
        let size = if call.head.uri().path().ends_with("big") { 8 << 20 } else { 5 };
        call.respond(&[], vec![b'x'; size]);
    });
    let gateway = gateway(vendor.address);
    h2::run(async {
        let session = session(&gateway).await;
        let mut paused = Vec::new();
        for _ in 0..8 {
            paused.push(begin(&session, "/acme/one/big", true).await.1.expect("a response"));
        }
        let (_, response) = begin(&session, "/acme/one/small", true).await;
        assert_eq!(response.expect("a response").status(), 200);
        let whole = read(paused.remove(0).into_body()).await;
        assert_eq!((whole.0.len(), whole.1.is_none()), (8 << 20, true));
    });
}

#[test]
fn an_upstream_without_http2_gets_no_request() {
    let vendor = Upstream::json("{}");
    let gateway = gateway(vendor.address);
    let answer = get(&gateway, "/acme/one/a");
    assert_eq!((answer.status, answer.reason().as_str()), (502, "upstream_refused"));
    let seen: Vec<_> = vendor.seen().iter().map(|seen| seen.line().to_owned()).collect();
    assert!(seen.iter().all(|line| matches!(line.as_str(), "PRI * HTTP/2.0" | "SM")), "the preface alone: {seen:?}");
}

#[test]
fn a_silent_upstream_is_left_after_the_deadline() {
    let vendor = FrameUpstream::start(|connection, stream| match connection {
        0 => {
            std::thread::sleep(Duration::from_secs(3600));
            Vec::new()
        }
        _ => answer(stream, &[], b"here"),
    });
    let gateway = TestGateway::of_acme(vendor.address, &terms(vendor.address, ", response_timeout: 1s"));
    let mut client = Client::to(gateway.egress());
    let refused = client.get("/acme/one/a", "");
    assert_eq!((refused.status, refused.reason().as_str()), (504, "upstream_timeout"));
    assert_eq!(client.get("/acme/one/a", "").text(), "here", "the next request does not wait for it");
}

#[test]
fn a_request_that_waits_for_a_place_is_not_sent_by_the_kill_that_frees_it() {
    let vendor = Http2Upstream::start(late_echo);
    let gateway = TestGateway::of_acme(vendor.address, &terms(vendor.address, ", max_requests: 2, max_pending: 50"));
    let order = |what: &str| {
        let text = r#"{"reason":"a leak","route":"* /two/{*rest}"}"#;
        gateway.admin("admin", "POST", &format!("/v1/vendors/acme/{what}"), text).json()
    };
    h2::run(async {
        // The stream of another route keeps the connection open, whatever is killed.
        let mut sessions = Vec::new();
        for _ in 0..6 {
            sessions.push(session(&gateway).await);
        }
        let (_spared, response) = begin(&sessions[0], "/acme/one/a", false).await;
        let _spared_response = response.expect("a response");
        for round in 1..=20 {
            let (_held, response) = begin(&sessions[round % 6], "/acme/two/held", false).await;
            let _held_response = response.expect("a response");
            let waiting: Vec<_> = (0..12)
                .map(|number| {
                    let session = sessions[number % 6].clone();
                    tokio::spawn(async move { begin(&session, "/acme/two/late", true).await.1 })
                })
                .collect();
            let begun = tokio::time::Instant::now();
            while gateway.in_flight() < 14 && begun.elapsed() < crate::support::PATIENCE {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let kill = order("kill");
            assert!(kill["severed"].as_u64() >= Some(1), "{kill}");
            for one in waiting {
                assert_eq!(one.await.expect("no panic").expect("an answer").status(), 403);
            }
            let late = vendor.seen().iter().filter(|head| head.uri().path().ends_with("late")).count();
            assert_eq!(late, 0, "in round {round}, only what had a place was sent");
            order("restore");
        }
    });
}
