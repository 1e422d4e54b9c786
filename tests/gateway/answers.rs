//! Upstreams that misbehave: the caller gets the right status within a deadline, and no truncated answer looks
//! complete.

use crate::support::client::{BodyEnd, Client, request};
use crate::support::issuer::{reader, vendor};
use crate::support::test_gateway::TestGateway;
use crate::support::upstream::{CHUNKED, Upstream, ok};

const TERMS: &str = "limits: { requests: { rate: 100000/s } }
ingress:
  - { route: GET /v1/orders, scopes: [orders:read], upstream: crm }
  - { route: POST /v1/orders, scopes: [orders:write], upstream: crm }
";

#[test]
fn an_answer_that_cannot_be_read_is_502() {
    for (name, bytes) in [
        ("no HTTP", &b"hello\r\n\r\n"[..]),
        ("a bad status", b"HTTP/1.1 2000 OK\r\n\r\n"),
        ("no status", b"HTTP/1.1 OK\r\n\r\n"),
        ("a status out of range", b"HTTP/1.1 600 OK\r\nContent-Length: 0\r\n\r\n"),
        ("a bad version", b"HTTP/3.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("an empty line first", b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("a bad field", b"HTTP/1.1 200 OK\r\nbad name: x\r\n\r\n"),
        ("a space before a colon", b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n"),
        ("a folded field", b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n"),
        ("bare LF", b"HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
        ("one bare LF", b"HTTP/1.1 200 OK\r\nX: y\nContent-Length: 0\r\n\r\n"),
        ("a bare CR", b"HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n"),
        ("a NUL", b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n"),
        ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
        ("two equal lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na"),
        ("a list of lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\na"),
        ("a signed length", b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na"),
        ("length and coding", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("another coding", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        ("a coding in HTTP/1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("a coding of nothing", b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (
            "protocols switched unasked",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        ),
        ("two 100s", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 x\r\n\r\n"),
        ("a length of a 100", b"HTTP/1.1 100 Continue\r\nContent-Length: 1\r\n\r\naHTTP/1.1 204 x\r\n\r\n"),
    ] {
        let crm = Upstream::start(move |_, asker| {
            let _ = asker.write(bytes);
            // The upstream keeps the connection open, so that a close cannot be what makes the answer invalid.
            let _ = asker.gone();
            false
        });
        let gateway = TestGateway::of_acme(crm.address, TERMS);
        let answer = gateway.get("/v1/orders", &reader());
        assert_eq!(
            (answer.status, answer.reason().as_str()),
            (502, "upstream_unreadable"),
            "{name}: {}",
            answer.text()
        );
        assert_eq!(crm.seen().len(), 1, "{name}: sent once");
    }
    for (name, bytes) in [("nothing at all", &b""[..]), ("half a head", b"HTTP/1.1 200 OK\r\nContent-")] {
        let crm = Upstream::start(move |_, asker| {
            let _ = asker.write(bytes);
            false
        });
        let gateway = TestGateway::of_acme(crm.address, TERMS);
        let answer = gateway.get("/v1/orders", &reader());
        assert_eq!(answer.status, 502, "{name}: {}", answer.text());
        assert!(["upstream_unreadable", "upstream_refused"].contains(&answer.reason().as_str()), "{name}");
        assert_eq!(crm.seen().len(), 1, "{name}: sent once");
    }
}

#[test]
fn an_endless_run_of_interim_answers_is_502() {
    let crm = Upstream::start(|_, asker| {
        while asker.write("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n").is_ok() {}
        false
    });
    let gateway = TestGateway::of_acme(crm.address, TERMS);
    let answer = gateway.get("/v1/orders", &reader());
    assert_eq!((answer.status, answer.reason().as_str()), (502, "upstream_unreadable"));
}

#[test]
fn an_upstream_that_refuses_connections_is_502() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
    let gateway = TestGateway::of_acme(port, TERMS);
    let answer = gateway.get("/v1/orders", &reader());
    assert_eq!((answer.status, answer.reason().as_str()), (502, "upstream_refused"));
}

#[test]
fn an_upstream_that_does_not_answer_is_504() {
    let crm = Upstream::start(|_, asker| {
        let _ = asker.gone();
        false
    });
    let fixture = crate::support::fixture::GatewayFixture::of_acme(crm.address, TERMS);
    let main = std::fs::read_to_string(fixture.main())
        .expect("text")
        .replace("response_timeout: 10s", "response_timeout: 300ms");
    std::fs::write(fixture.main(), main).expect("written");
    let gateway = TestGateway::start(fixture);
    let answer = gateway.get("/v1/orders", &reader());
    assert_eq!((answer.status, answer.reason().as_str()), (504, "upstream_timeout"));
    crate::support::until("the upstream is let go", || crm.broken() == 1);
}

#[test]
fn a_truncated_answer_never_looks_complete() {
    for (name, head, body) in [
        ("chunked", CHUNKED, "5\r\nhello\r\n"),
        ("with a length", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", "hello"),
        ("in a chunk", CHUNKED, "ff\r\nhello"),
        ("with a bad chunk", CHUNKED, "5\r\nhello\r\nzz\r\n"),
    ] {
        let crm = Upstream::start(move |_, asker| {
            let _ = asker.write(head).and_then(|()| asker.write(body));
            false
        });
        let gateway = TestGateway::of_acme(crm.address, TERMS);
        let answer = gateway.get("/v1/orders", &reader());
        assert!(answer.status == 502 || answer.ending != BodyEnd::Whole, "{name}: {answer:?}");
        // The same over HTTP/2.
        crate::support::h2::run(async {
            use crate::support::h2;
            let mut session = h2::open(gateway.ingress()).await;
            let answer = h2::ask(&mut session, "/v1/orders", &reader()).await.expect("an answer");
            let status = answer.status();
            assert!(status == 502 || h2::read(answer.into_body()).await.1 == h2::StreamEnd::Reset, "{name}");
        });
    }
}

#[test]
fn bytes_after_an_answer_close_the_connection() {
    let json = |of: &str| ok("application/json", format!(r#"{{"of":"{of}"}}"#));
    let chunked = [CHUNKED.as_bytes(), b"c\r\n{\"of\":\"you\"}\r\n0\r\n\r\n"].concat();
    for (name, first) in [("with a length", json("you")), ("chunked", chunked)] {
        for (what, poison) in
            [("an answer", json("somebody else")), ("a line end", b"\r\n".to_vec()), ("a byte", b"x".to_vec())]
        {
            let bytes = [first.clone(), poison].concat();
            let crm = Upstream::start(move |_, asker| asker.write(&bytes).is_ok());
            let gateway = TestGateway::of_acme(crm.address, TERMS);
            let mut client = Client::to(gateway.ingress());
            for _ in 0..10 {
                let answer = client.get("/v1/orders", &reader());
                assert_eq!((answer.status, answer.text().as_str()), (200, r#"{"of":"you"}"#), "{name}, then {what}");
            }
            crate::support::until("poisoned connections are closed", || crm.open() == 0);
        }
    }
}

#[test]
fn bytes_without_a_request_close_the_connection() {
    let (tell, told) = std::sync::mpsc::channel();
    let tell = std::sync::Mutex::new(tell);
    let crm = Upstream::start(move |_, asker| {
        let _ = asker.write(ok("application/json", "{}"));
        let _ = tell.lock().expect("no panic").send(());
        // Surplus bytes after the answer, before the next request.
        std::thread::sleep(std::time::Duration::from_millis(50));
        asker.write(ok("application/json", "\"somebody else's\"")).is_ok()
    });
    let gateway = TestGateway::of_acme(crm.address, TERMS);
    let mut client = Client::to(gateway.ingress());
    assert_eq!(client.get("/v1/orders", &reader()).text(), "{}");
    told.recv().expect("it has answered");
    crate::support::until("the connection is closed", || crm.open() == 0);
    assert_eq!(client.get("/v1/orders", &reader()).text(), "{}");
}

#[test]
fn interim_answers_are_skipped() {
    let crm = Upstream::start(|_, asker| {
        let _ = asker.write("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
        asker.write(ok("application/json", "{}")).is_ok()
    });
    let gateway = TestGateway::of_acme(crm.address, TERMS);
    assert_eq!(gateway.get("/v1/orders", &reader()).status, 200);
}

#[test]
fn a_post_is_never_sent_twice() {
    // Each connection answers once and is closed at the second request, after it was read.
    let crm = Upstream::start(|seen, asker| {
        let first = seen.line().starts_with("GET");
        first && asker.write(ok("application/json", "{}")).is_ok()
    });
    let gateway = TestGateway::of_acme(crm.address, TERMS);
    let mut client = Client::to(gateway.ingress());
    assert_eq!(client.get("/v1/orders", &reader()).status, 200);
    let writer = vendor("acme").scope("orders:write").token();
    let answer = client.send(request("POST", "/v1/orders", &writer, r#"{"pay":1}"#)).answer();
    assert_eq!(answer.status, 502);
    let posts = crm.seen().iter().filter(|seen| seen.line().starts_with("POST")).count();
    assert_eq!(posts, 1);
}

#[test]
fn answers_without_a_body_have_none() {
    for (status, method) in [("204 No Content", "GET"), ("304 Not Modified", "GET"), ("200 OK", "HEAD")] {
        let crm =
            Upstream::saying(format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nETag: \"x\"\r\n\r\n"));
        let terms = TERMS.replace("GET /v1/orders", "GET|HEAD /v1/orders");
        let gateway = TestGateway::of_acme(crm.address, &terms);
        let mut client = Client::to(gateway.ingress());
        for _ in 0..2 {
            client.send(request(method, "/v1/orders", &reader(), ""));
            let answer = client.answer_to_head();
            assert_eq!(answer.status.to_string(), status[..3], "the next answer is in its place");
        }
    }
}
