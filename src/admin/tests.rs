//! The admin listener over real sockets: every call by every role, and what must be refused.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener, UnixStream};

use super::fake::{self, FakeListener};
use super::*;
use crate::config::OperatorRole;

pub(super) struct Answered {
    pub(super) status: u16,
    /// In lower case.
    pub(super) head: String,
    /// As it was sent.
    pub(super) raw_head: String,
    pub(super) body: String,
}

impl Answered {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    pub(super) fn reason(&self) -> String {
        let problem: Problem = serde_json::from_str(&self.body).expect("a problem");
        assert_eq!((problem.kind, problem.status), (format!("urn:vendorgate:{}", problem.reason), self.status));
        assert!(self.head.contains("content-type: application/problem+json\r\n"), "{}", self.head);
        assert_eq!(problem.request_id.len(), 32);
        problem.reason
    }
}

async fn exchange(mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin, request: &str) -> Answered {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_secs(5), read).await.expect("an answer in time").unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let raw_head = format!("{head}\r\n");
    Answered { status, head: raw_head.to_ascii_lowercase(), raw_head, body: body.to_owned() }
}

pub(super) async fn send(listener: &FakeListener, request: &str) -> Answered {
    exchange(TcpStream::connect(listener.address).await.unwrap(), request).await
}

pub(super) fn request(method: &str, target: &str, headers: &[&str], body: &str) -> String {
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    headers.iter().for_each(|header| text.push_str(&format!("{header}\r\n")));
    if !body.is_empty() {
        text.push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()));
    }
    format!("{text}\r\n{body}")
}

async fn until(condition: impl Fn() -> bool) {
    let met = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), met).await.expect("the condition is met");
}

pub(super) fn bearer(role: OperatorRole) -> String {
    format!("Authorization: Bearer {role}-token")
}

/// A body and query that each call of the table accepts.
fn filled(name: &str) -> (String, &'static str) {
    let target = name.split_once(' ').expect("a path").1.replace("{vendor}", fake::ACME);
    let body = match name {
        "POST /v1/vendors/{vendor}/kill" | "POST /v1/vendors/{vendor}/restore" => r#"{"reason":"x"}"#,
        "POST /v1/kill" | "POST /v1/restore" => r#"{"reason":"x"}"#,
        "POST /v1/vendors/{vendor}/revocations" | "POST /v1/vendors/{vendor}/revocations/lift" => {
            r#"{"reason":"x","jti":"1"}"#
        }
        "POST /v1/scheduled-kills/cancel" => r#"{"id":3,"reason":"x"}"#,
        "POST /v1/reveal" => r#"{"token":"tok1_x","reason":"x"}"#,
        "POST /v1/vendors/{vendor}/drill" | "POST /v1/reload" => "{}",
        "POST /v1/session" | "POST /v1/session/end" => "{}",
        _ => "",
    };
    let query = match name {
        "GET /v1/exposure" => "?vendor=acme&since=1h",
        "GET /v1/suggestion" => "?vendor=acme&direction=egress",
        "GET /v1/live" => "?once",
        "GET /v1/requests" => "?id=0af7651916cd43dd8448eb211c80319c",
        _ => "",
    };
    (target + query, body)
}

#[tokio::test]
async fn every_call_answers_those_who_may_and_no_others() {
    let listener = FakeListener::start().await;
    for endpoint in AdminApi::<fake::FakeControl>::endpoints() {
        let (target, body) = filled(&endpoint.name());
        let open = endpoint.role().is_none();
        let nobody = send(&listener, &request(endpoint.spec.method.as_str(), &target, &[], body)).await;
        assert_eq!(nobody.status, if open { 200 } else { 401 }, "{}", endpoint.name());
        for role in OperatorRole::ALL {
            let may = endpoint.role().is_none_or(|needs| role.permits(needs));
            let answered =
                send(&listener, &request(endpoint.spec.method.as_str(), &target, &[&bearer(role)], body)).await;
            assert_eq!(
                answered.status,
                if may { 200 } else { 403 },
                "{} as {role}: {}",
                endpoint.name(),
                answered.body
            );
            if !may {
                assert_eq!(answered.reason(), "role_too_low");
                assert_eq!(listener.fake.last_refusal(), format!("{role} {} role_too_low", endpoint.name()));
            }
        }
        let wrong =
            send(&listener, &request(endpoint.spec.method.as_str(), &target, &["Authorization: Bearer x"], body)).await;
        assert_eq!(wrong.status, if open { 200 } else { 401 }, "{}", endpoint.name());
    }
    listener.stop().await;
}

#[tokio::test]
async fn a_kill_answers_with_its_count_time_and_durability() {
    let listener = FakeListener::start().await;
    let body = r#"{"reason":"leak","direction":"egress","route":"GET /a","client":"c"}"#;
    let kill =
        send(&listener, &request("POST", "/v1/vendors/acme/kill", &[&bearer(OperatorRole::Operator)], body)).await;
    assert_eq!(
        kill.body,
        "{\"vendor\":\"acme\",\"state\":\"killed\",\"generation\":7,\"severed\":3,\"sever_micros\":412,\
         \"persisted\":true,\"fleet\":{\"acked\":1,\"of\":1}}\n"
    );
    assert_eq!(listener.fake.last_act(), "operator acme kill egress GET /a c \"leak\"");
    for header in
        ["cache-control: no-store\r\n", "x-content-type-options: nosniff\r\n", "content-type: application/json\r\n"]
    {
        assert!(kill.head.contains(header), "{}", kill.head);
    }
    listener.stop().await;
}

#[tokio::test]
async fn bytes_that_can_be_read_in_two_ways_are_refused() {
    let listener = FakeListener::start().await;
    let (admin, kill) = (bearer(OperatorRole::Admin), "/v1/vendors/acme/kill");
    let json = "Content-Type: application/json";
    for (fields, body) in [
        ("Content-Length: 14\r\nContent-Length: 14", r#"{"reason":"x"}"#),
        ("Content-Length: 14\r\nTransfer-Encoding: chunked", "e\r\n{\"reason\":\"x\"}\r\n0\r\n\r\n"),
        ("X: a\r\n b\r\nContent-Length: 14", r#"{"reason":"x"}"#),
        ("X: a\nContent-Length: 14", r#"{"reason":"x"}"#),
        ("Content-Length : 14", r#"{"reason":"x"}"#),
    ] {
        let text = format!("POST {kill} HTTP/1.1\r\nHost: localhost\r\n{admin}\r\n{json}\r\n{fields}\r\n\r\n{body}");
        let answered = send(&listener, &text).await;
        assert_eq!(
            (answered.status, answered.reason()),
            (400, "head_malformed".to_owned()),
            "{fields}: {}",
            answered.body
        );
        assert_eq!(listener.fake.last_refusal(), "- - head_malformed", "{fields}");
    }
    listener.stop().await;
}

#[tokio::test]
async fn what_is_wrong_is_refused_with_words_and_audited() {
    let listener = FakeListener::start().await;
    let (viewer, admin) = (bearer(OperatorRole::Viewer), bearer(OperatorRole::Admin));
    let (kill, good) = ("/v1/vendors/acme/kill", r#"{"reason":"x"}"#);
    let large = format!(r#"{{"reason":"{}"}}"#, "x".repeat(20_000));
    let form = format!(
        "POST {kill} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{admin}\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\n{good}"
    );
    for (text, status, reason) in [
        (request("GET", "/v1/nothing", &[&viewer], ""), 404, "call_unknown"),
        (request("GET", kill, &[&admin], ""), 405, "method_wrong"),
        (request("PUT", kill, &[&admin], good), 405, "method_wrong"),
        (request("GET", "/v1/vendors/other", &[&viewer], ""), 404, "vendor_unknown"),
        (request("GET", "/v1/vendors/..%2facme", &[&viewer], ""), 404, "vendor_unknown"),
        (request("POST", "/v1/vendors/other/kill", &[&admin], good), 404, "vendor_unknown"),
        (request("POST", kill, &[&admin], "{\"reason\":\"x\",\"scope\":\"all\"}"), 400, "body_malformed"),
        (request("POST", kill, &[&admin], "{\"reason\":\"\"}"), 400, "body_malformed"),
        (request("POST", kill, &[&admin], r#"{"reason":"x","at":"2h ago"}"#), 400, "body_malformed"),
        (request("POST", kill, &[&admin], r#"{"reason":"x","at":"2h","dry_run":true}"#), 400, "body_malformed"),
        (request("POST", "/v1/kill", &[&admin], r#"{"reason":"x","route":"GET /a"}"#), 400, "body_malformed"),
        (request("POST", "/v1/restore", &[&admin], r#"{"reason":"x","at":"2h"}"#), 400, "body_malformed"),
        (request("POST", kill, &[&admin], "{"), 400, "body_malformed"),
        (request("POST", kill, &[&admin], &large), 413, "body_too_large"),
        (request("POST", kill, &[&admin], ""), 415, "body_opaque"),
        (request("POST", "/v1/reload", &[&admin], "[]"), 400, "body_malformed"),
        (form, 415, "body_opaque"),
        (request("POST", kill, &[&admin, "Origin: http://evil.example"], good), 403, "cross_site"),
        (request("POST", kill, &[&admin, "Sec-Fetch-Site: cross-site"], good), 403, "cross_site"),
        (request("GET", "/metrics", &["Sec-Fetch-Site: same-site"], ""), 403, "cross_site"),
        ("GET /metrics HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n".into(), 421, "host_unknown"),
        (request("GET", "/v1/vendors", &[&viewer, &viewer], ""), 401, "token_malformed"),
        (request("GET", "/v1/vendors", &["Authorization: Basic dmlld2VyLXRva2Vu"], ""), 401, "token_malformed"),
        (request("GET", "/v1/vendors", &["Authorization: Bearer viewer-toke"], ""), 401, "token_invalid"),
        (request("GET", "/v1/vendors?access_token=viewer-token", &[], ""), 401, "token_missing"),
        (request("GET", "/v1/audit?limit=0", &[&viewer], ""), 400, "query_malformed"),
        (request("GET", "/v1/audit?since=soon", &[&viewer], ""), 400, "query_malformed"),
        (request("GET", "/v1/audit?sinse=1h", &[&viewer], ""), 400, "query_malformed"),
        (request("GET", "/v1/audit?limit=1&limit=2", &[&viewer], ""), 400, "query_malformed"),
        (request("GET", "/v1/exposure", &[&viewer], ""), 400, "query_malformed"),
    ] {
        let refusals = listener.fake.refusals.lock().unwrap().len();
        let answered = send(&listener, &text).await;
        assert_eq!((answered.status, answered.reason().as_str()), (status, reason), "{text}: {}", answered.body);
        assert_eq!(listener.fake.refusals.lock().unwrap().len(), refusals + 1, "{text}");
        assert!(listener.fake.last_refusal().ends_with(reason), "{text}");
        assert!(!answered.body.contains("viewer-tok") && !answered.body.contains("evil"), "{}", answered.body);
        assert_eq!(status == 401, answered.head.contains("www-authenticate: bearer realm="), "{}", answered.head);
    }
    assert!(listener.fake.acts.lock().unwrap().iter().all(|act| act.contains(" other ")), "nothing was done");
    listener.stop().await;
}

#[tokio::test]
async fn probes_answer_machines_and_people() {
    let listener = FakeListener::start().await;
    let ready = send(&listener, &request("GET", "/readyz", &[], "")).await;
    assert_eq!((ready.status, ready.body.as_str()), (200, "ok\n"));
    *listener.fake.unready.lock().unwrap() = true;
    let unready = send(&listener, &request("GET", "/readyz?verbose", &[], "")).await;
    let lines = "[-] state: as it is\n[-] fleet (not needed): as it is\nnot ready\n";
    assert_eq!((unready.status, unready.body.as_str()), (503, lines));
    let head = send(&listener, &request("HEAD", "/livez", &[], "")).await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    let open = send(&listener, &request("GET", "/metrics", &["Accept: application/openmetrics-text"], "")).await;
    assert!(open.head.contains("application/openmetrics-text; version=1.0.0") && open.body.ends_with("# EOF\n"));
    listener.stop().await;
}

#[tokio::test]
async fn a_faulty_config_is_answered_with_its_faults() {
    let listener = FakeListener::start().await;
    *listener.fake.faulty.lock().unwrap() = true;
    let reload = send(&listener, &request("POST", "/v1/reload", &[&bearer(OperatorRole::Admin)], "{}")).await;
    assert_eq!((reload.status, reload.reason().as_str()), (422, "config_faulty"));
    assert_eq!(reload.json()["faults"], json!(["contracts/acme.yaml:14:9 limits.requests.rate: must be at least 1/s"]));
    listener.stop().await;
}

#[tokio::test]
async fn a_reload_needs_no_body() {
    let listener = FakeListener::start().await;
    let reload = request("POST", "/v1/reload", &[&bearer(OperatorRole::Admin)], "");
    assert_eq!(send(&listener, &reload).await.status, 200);
    let form = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 0";
    let reload = request("POST", "/v1/reload", &[&bearer(OperatorRole::Admin), form], "");
    assert_eq!(send(&listener, &reload).await.status, 200, "what `curl -d ''` sends");
    listener.stop().await;
}

#[tokio::test]
async fn operators_change_without_a_restart() {
    let listener = FakeListener::start().await;
    let ask = request("GET", "/v1/vendors", &[&bearer(OperatorRole::Viewer)], "");
    assert_eq!(send(&listener, &ask).await.status, 200);
    listener.api.set_operators(OperatorDirectory::default());
    assert_eq!(send(&listener, &ask).await.status, 401);
    listener.stop().await;
}

#[tokio::test]
async fn the_unix_socket_is_an_admin_unless_a_token_says_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin.sock");
    let (fake, api) = fake::api();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let unix = UnixListener::bind(&path).unwrap();
    let task = tokio::spawn(serve(unix, api, crate::http::SlotPool::new(8), async move { drop(stopped.await) }));
    let viewer = bearer(OperatorRole::Viewer);
    for (headers, status) in [(&[][..], 200), (&[viewer.as_str()], 403), (&["Authorization: Bearer x"], 401)] {
        let text = request("POST", "/v1/vendors/acme/restore", headers, r#"{"reason":"x"}"#);
        assert_eq!(exchange(UnixStream::connect(&path).await.unwrap(), &text).await.status, status, "{headers:?}");
    }
    let act = fake.acts.lock().unwrap().first().cloned().unwrap();
    assert!(act.starts_with("uid:") && act.ends_with(" acme restore - - - \"x\""), "{act}");
    drop(stop);
    tokio::time::timeout(Duration::from_secs(5), task).await.expect("an end").unwrap();
}

#[tokio::test]
async fn a_shutdown_ends_idle_connections_and_lets_calls_finish() {
    let listener = FakeListener::start().await;
    let idle = TcpStream::connect(listener.address).await.unwrap();
    let fake = Arc::clone(&listener.fake);
    let held = fake.gate.write().await;
    let text = request("POST", "/v1/kill", &[&bearer(OperatorRole::Operator)], r#"{"reason":"x"}"#);
    let mut busy = TcpStream::connect(listener.address).await.unwrap();
    busy.write_all(text.as_bytes()).await.unwrap();
    until(|| fake.begun.load(Ordering::SeqCst) == 1).await;
    let stopping = tokio::spawn(listener.stop());
    drop(held);
    let answered = exchange(busy, "").await;
    assert_eq!(answered.status, 200);
    stopping.await.unwrap();
    drop(idle);
}

#[tokio::test]
async fn a_caller_who_hangs_up_does_not_undo_a_kill() {
    let listener = FakeListener::start().await;
    let held = listener.fake.gate.write().await;
    let text = request("POST", "/v1/kill", &[&bearer(OperatorRole::Operator)], r#"{"reason":"x"}"#);
    let mut caller = TcpStream::connect(listener.address).await.unwrap();
    caller.write_all(text.as_bytes()).await.unwrap();
    until(|| listener.fake.begun.load(Ordering::SeqCst) == 1).await;
    drop(caller);
    // The hang-up was seen by the time that this later call is answered.
    assert_eq!(send(&listener, &request("GET", "/livez", &[], "")).await.status, 200);
    drop(held);
    until(|| listener.fake.last_act() == "operator * kill - - - \"x\"").await;
    listener.stop().await;
}
