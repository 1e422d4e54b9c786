//! Sessions of the dashboard and the live stream, over real sockets.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::fake::FakeListener;
use super::tests::{Answered, bearer, request, send};
use super::*;
use crate::bounds::LIVE_STREAMS_MAX;
use crate::config::OperatorRole;

/// The header fields by which a page proves its session.
struct Login {
    cookie: String,
    key: String,
}

impl Login {
    async fn of(listener: &FakeListener, role: OperatorRole) -> Self {
        let opened = send(listener, &request("POST", "/v1/session", &[&bearer(role)], "{}")).await;
        assert_eq!(opened.status, 200, "{}", opened.body);
        let key = opened.json()["key"].as_str().expect("a key").to_owned();
        let head = opened.raw_head.split("set-cookie: ").nth(1).expect("a cookie");
        let attributes = head.split("\r\n").next().unwrap();
        assert!(attributes.ends_with("; Path=/; Max-Age=28800; HttpOnly; SameSite=Strict"), "{attributes}");
        Self { cookie: attributes.split(';').next().unwrap().to_owned(), key }
    }

    async fn send(&self, listener: &FakeListener, method: &str, target: &str, body: &str) -> Answered {
        let (cookie, key) = (format!("Cookie: {}", self.cookie), format!("X-Vendorgate-Session: {}", self.key));
        send(listener, &request(method, target, &[&cookie, &key], body)).await
    }
}

#[tokio::test]
async fn a_session_acts_as_its_operator_and_ends_with_a_call_or_with_the_operator() {
    let listener = FakeListener::start().await;
    let operator = Login::of(&listener, OperatorRole::Operator).await;
    assert_eq!(listener.fake.last_act(), "operator * login");
    let me = operator.send(&listener, "GET", "/v1/session", "").await.json();
    assert_eq!((&me["operator"], &me["role"]), (&Value::from("operator"), &Value::from("operator")));
    assert!(me["ends"].is_string() && me.get("key").is_none());
    let reason = r#"{"reason":"leak"}"#;
    assert_eq!(operator.send(&listener, "POST", "/v1/vendors/acme/kill", reason).await.status, 200);
    assert_eq!(listener.fake.last_act(), "operator acme kill - - - \"leak\"");
    let restore = operator.send(&listener, "POST", "/v1/vendors/acme/restore", reason).await;
    assert_eq!((restore.status, restore.reason().as_str()), (403, "role_too_low"));
    let again = operator.send(&listener, "POST", "/v1/session", "{}").await;
    assert_eq!(again.reason(), "token_missing", "a session opens no other");

    let ended = operator.send(&listener, "POST", "/v1/session/end", "{}").await;
    assert!(ended.status == 200 && ended.head.contains("=; path=/; max-age=0; "), "{}", ended.head);
    assert_eq!(listener.fake.last_act(), "operator * logout");
    assert_eq!(operator.send(&listener, "GET", "/v1/vendors", "").await.reason(), "session_ended");

    let viewer = Login::of(&listener, OperatorRole::Viewer).await;
    assert_eq!(viewer.send(&listener, "GET", "/v1/vendors", "").await.status, 200);
    listener.api.set_operators(OperatorDirectory::default());
    assert_eq!(viewer.send(&listener, "GET", "/v1/vendors", "").await.reason(), "session_ended");
    listener.stop().await;
}

#[tokio::test]
async fn half_of_a_session_is_none() {
    let listener = FakeListener::start().await;
    let (one, other) =
        (Login::of(&listener, OperatorRole::Admin).await, Login::of(&listener, OperatorRole::Admin).await);
    let reason = r#"{"reason":"leak"}"#;
    let acts = listener.fake.acts.lock().unwrap().len();
    let cookie = format!("Cookie: {}", one.cookie);
    let (key, wrong) = (format!("X-Vendorgate-Session: {}", one.key), format!("X-Vendorgate-Session: {}", other.key));
    for (headers, why) in [
        (&[cookie.as_str()][..], "token_missing"),
        (&[key.as_str()], "session_ended"),
        (&[cookie.as_str(), wrong.as_str()], "session_ended"),
        (&[cookie.as_str(), key.as_str(), key.as_str()], "session_ended"),
    ] {
        let refused = send(&listener, &request("POST", "/v1/vendors/acme/kill", headers, reason)).await;
        assert_eq!((refused.status, refused.reason().as_str()), (401, why), "{headers:?}");
    }
    let site = "Sec-Fetch-Site: cross-site";
    let text = request("POST", "/v1/vendors/acme/kill", &[&cookie, &key, site], reason);
    assert_eq!(send(&listener, &text).await.reason(), "cross_site");
    assert_eq!(listener.fake.acts.lock().unwrap().len(), acts, "nothing was done");
    listener.stop().await;
}

/// Opens the live stream and reads its first event.
async fn watch(listener: &FakeListener) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(listener.address).await.unwrap();
    let text = request("GET", "/v1/live", &[&bearer(OperatorRole::Viewer)], "");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).trim_end_matches("\r\n").ends_with("}\n\n") {
        let count = stream.read_buf(&mut read).await.unwrap();
        if count == 0 {
            break;
        }
    }
    (stream, String::from_utf8(read).unwrap())
}

#[tokio::test]
async fn a_live_stream_has_every_vendor_first_and_ends_with_the_operators() {
    let listener = FakeListener::start().await;
    let (mut stream, text) = watch(&listener).await;
    assert!(text.contains("content-type: text/event-stream\r\n"), "{text}");
    let event: LiveEvent =
        serde_json::from_str(text.split("data: ").nth(1).unwrap().split('\n').next().unwrap()).unwrap();
    assert!(event.whole && event.vendors["acme"].requests == 1_234);
    listener.api.set_operators(OperatorDirectory::default());
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert!(rest.ends_with("0\r\n\r\n"), "the stream ends in order: {rest}");
    listener.stop().await;
}

#[tokio::test]
async fn only_so_many_streams_are_open_and_one_that_is_left_makes_room() {
    let listener = FakeListener::start().await;
    let mut open = Vec::new();
    for _ in 0..LIVE_STREAMS_MAX {
        open.push(watch(&listener).await.0);
    }
    let ask = request("GET", "/v1/live?once", &[&bearer(OperatorRole::Viewer)], "");
    assert_eq!(send(&listener, &ask).await.reason(), "live_full");
    open.pop();
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    while send(&listener, &ask).await.status != 200 {
        assert!(tokio::time::Instant::now() < deadline, "a stream that was left makes room");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    // Those that are open do not hold up the end.
    listener.stop().await;
}
