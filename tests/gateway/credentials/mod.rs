//! The credentials by which vendors know us: given to requests, rotated under load, and never seen by our services.

mod aws;
mod echoes;
mod judge;
mod kinds;
mod refused;
mod secrets;
mod sources;
mod stops;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::client::{Answer, Client};
use crate::support::fixture::GatewayFixture;
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::{ReceivedRequest, Upstream, ok};

/// A secret of ours: nothing but the vendor may ever see it.
const SECRET: &str = "S3cr3t-0f-0urs+/=&?";
const BASIC: &str = "secret: { file: ../client }";

fn terms(vendor: &Upstream, credentials: &str) -> String {
    format!(
        r#"limits: {{ requests: {{ rate: 100000/s }}, concurrency: 1000 }}
egress:
  upstream: {{ url: "http://{}/base", allow_networks: ["127.0.0.0/8"] }}
  credentials: {credentials}
  routes:
    - {{ route: GET /v2/things }}
    - {{ route: POST /v2/things, request: {{ pii: [ {{ field: "$.email", as: redact }} ] }} }}
"#,
        vendor.address
    )
}

/// Writes a secret as an operator does: whole, under another name, and moved into its place.
fn put(folder: &Path, name: &str, content: &str) {
    let (path, next) = (folder.join(name), folder.join(format!("{name}.next")));
    std::fs::write(&next, content).expect("written");
    std::fs::set_permissions(&next, std::fs::Permissions::from_mode(0o600)).expect("mode");
    std::fs::rename(next, path).expect("moved");
}

fn gateway(vendor: &Upstream, credentials: &str, secrets: &[(&str, &str)]) -> TestGateway {
    let fixture = GatewayFixture::new(vendor.address);
    secrets.iter().for_each(|(name, content)| put(fixture.path(), name, content));
    TestGateway::start(fixture.contract("acme", &terms(vendor, credentials)))
}

/// A call of one of our services, with these header fields.
fn call(gateway: &TestGateway, line: &str, fields: &str, body: &str) -> Answer {
    let length = if body.is_empty() {
        String::new()
    } else {
        format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len())
    };
    let text = format!("{line} HTTP/1.1\r\nHost: {}\r\n{fields}{length}\r\n{body}", gateway.egress());
    Client::to(gateway.egress()).send(text).answer()
}

fn get(gateway: &TestGateway) -> Answer {
    call(gateway, "GET /acme/v2/things", "", "")
}

fn authorization(seen: &ReceivedRequest) -> Vec<String> {
    let lines = seen.head.lines().filter(|line| line.to_ascii_lowercase().starts_with("authorization:"));
    lines.map(|line| line.split_once(':').expect("a field").1.trim().to_owned()).collect()
}

fn status(code: u16, fields: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {code} X\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn token(number: u64, more: &str) -> Vec<u8> {
    ok("application/json", format!(r#"{{"access_token":"token-{number}-abcdef","token_type":"Bearer"{more}}}"#))
}

/// A token endpoint that gives `token-1`, `token-2`, and so on, as `answer` writes it.
struct TokenServer {
    upstream: Upstream,
    issued: Arc<AtomicU64>,
}

impl TokenServer {
    fn start(answer: impl Fn(u64, &ReceivedRequest) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let issued = Arc::new(AtomicU64::new(0));
        let theirs = Arc::clone(&issued);
        let upstream = Upstream::start(move |seen, asker| {
            let number = theirs.fetch_add(1, Ordering::SeqCst) + 1;
            asker.write(answer(number, seen)).is_ok()
        });
        Self { upstream, issued }
    }

    fn plain() -> Self {
        Self::start(|number, _| token(number, r#","expires_in":3600"#))
    }

    fn asked(&self) -> u64 {
        self.issued.load(Ordering::SeqCst)
    }

    fn credentials(&self, more: &str) -> String {
        let address = self.upstream.address;
        format!(r#"{{ oauth2: {{ token_url: "http://{address}/token", client_id: "us & them", {more} }} }}"#)
    }
}

#[test]
fn many_first_requests_cause_one_question_and_the_secret_is_encoded_for_its_form() {
    let (vendor, tokens) = (Upstream::json("{}"), TokenServer::plain());
    let gateway = gateway(&vendor, &tokens.credentials(BASIC), &[("client", SECRET)]);
    std::thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| assert_eq!(get(&gateway).status, 200));
        }
    });
    assert_eq!(tokens.asked(), 1);
    assert!(vendor.seen().iter().all(|seen| authorization(seen) == ["Bearer token-1-abcdef"]));
    let asked = tokens.upstream.last();
    let known = STANDARD.encode("us%20%26%20them:S3cr3t-0f-0urs%2B%2F%3D%26%3F");
    assert_eq!(asked.field("authorization"), Some(format!("Basic {known}").as_str()), "RFC 6749 section 2.3.1");
    assert_eq!(String::from_utf8_lossy(&asked.body), "grant_type=client_credentials");
}

#[test]
fn after_401_the_request_is_sent_once_more_with_a_new_token_and_counted_once() {
    let tokens = TokenServer::plain();
    let vendor = Upstream::start(|seen, asker| {
        let refused = seen.head.contains("token-1-");
        asker.write(if refused { status(401, "", "no") } else { ok("application/json", "{}") }).is_ok()
    });
    let gateway = gateway(&vendor, &tokens.credentials(BASIC), &[("client", SECRET)]);
    let answer = call(&gateway, "POST /acme/v2/things", "", r#"{"email":"ann@example.com","n":1}"#);
    assert_eq!((answer.status, tokens.asked()), (200, 2));
    let seen = vendor.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].body, seen[1].body, "treated once, sent twice");
    assert!(!String::from_utf8_lossy(&seen[1].body).contains("ann@"));
    assert_eq!(authorization(&seen[1]), ["Bearer token-2-abcdef"]);
    let of = ["vendor=\"acme\"", "direction=\"egress\""];
    assert_eq!(gateway.metric("vendorgate_bytes_total", &of), Some(seen[0].body.len() as u64), "counted once");
    assert_eq!(get(&gateway).status, 200);
    assert_eq!((vendor.seen().len(), tokens.asked()), (3, 2), "the new one is used from then on");
}

#[test]
fn endless_401_pass_and_flood_nobody_and_403_is_never_answered_with_a_retry() {
    for (code, most) in [(401, 5), (403, 1)] {
        let tokens = TokenServer::plain();
        let vendor = Upstream::saying(status(code, "WWW-Authenticate: Bearer\r\n", "no"));
        let gateway = gateway(&vendor, &tokens.credentials(BASIC), &[("client", SECRET)]);
        for _ in 0..30 {
            let answer = get(&gateway);
            assert_eq!((answer.status, answer.text().as_str()), (code, "no"));
        }
        assert!(tokens.asked() <= most, "{} questions", tokens.asked());
        assert!(vendor.seen().len() < 30 + most as usize, "{} requests", vendor.seen().len());
    }
}

#[test]
fn without_a_token_a_request_is_refused_and_never_sent() {
    let slow = |_: u64, _: &ReceivedRequest| {
        std::thread::sleep(std::time::Duration::from_secs(2));
        token(1, "")
    };
    let huge = |_: u64, _: &ReceivedRequest| ok("application/json", "x".repeat(200_000));
    let away = |_: u64, _: &ReceivedRequest| status(500, "", "{}");
    let html = |_: u64, _: &ReceivedRequest| ok("text/html", "<p>maintenance</p>");
    let moved = |_: u64, _: &ReceivedRequest| status(302, "Location: http://127.0.0.1:1/\r\n", "");
    let refused = |_: u64, _: &ReceivedRequest| status(400, "", r#"{"error":"invalid_client"}"#);
    let servers: [(&str, TokenServer); 6] = [
        ("slow", TokenServer::start(slow)),
        ("huge", TokenServer::start(huge)),
        ("away", TokenServer::start(away)),
        ("html", TokenServer::start(html)),
        ("moved", TokenServer::start(moved)),
        ("refused", TokenServer::start(refused)),
    ];
    for (what, tokens) in servers {
        let vendor = Upstream::json("{}");
        let credentials = tokens.credentials(&format!("{BASIC}, deadline: 500ms"));
        let gateway = gateway(&vendor, &credentials, &[("client", SECRET)]);
        for _ in 0..20 {
            let answer = get(&gateway);
            assert_eq!((answer.status, answer.reason().as_str()), (503, "credential_unavailable"), "{what}");
            assert!(answer.field("retry-after").is_some() && !answer.holds(SECRET), "{what}");
        }
        assert!(vendor.seen().is_empty(), "{what}");
        assert!(tokens.asked() <= 4, "{what}: {} questions", tokens.asked());
        assert_eq!(gateway.metric("vendorgate_credential_ready", &["vendor=\"acme\""]), Some(0), "{what}");
        let result = if what == "refused" { "result=\"refused\"" } else { "result=\"failed\"" };
        assert!(gateway.metric("vendorgate_credential_refresh_total", &[result]) >= Some(1), "{what}");
        let of = ["reason=\"credential_unavailable\"", "direction=\"egress\"", "acme"];
        assert_eq!(gateway.metric("vendorgate_denials_total", &of), Some(20), "{what}");
    }
}

#[test]
fn a_refused_client_is_asked_for_again_as_soon_as_its_secret_changes() {
    let tokens = TokenServer::start(|number, seen| {
        let good = format!("Basic {}", STANDARD.encode("us%20%26%20them:new"));
        let is_good = seen.field("authorization") == Some(good.as_str());
        if is_good { token(number, "") } else { status(401, "", r#"{"error":"invalid_client"}"#) }
    });
    let vendor = Upstream::json("{}");
    let gateway = gateway(&vendor, &tokens.credentials(BASIC), &[("client", "old")]);
    for _ in 0..20 {
        assert_eq!(get(&gateway).reason(), "credential_unavailable");
    }
    assert_eq!(tokens.asked(), 1);
    put(gateway.fixture.path(), "client", "new");
    until("the new secret is used", || get(&gateway).status == 200);
    assert_eq!(tokens.asked(), 2);
    let own = &gateway.admin("viewer", "GET", "/v1/vendors/acme", "").json()["credential"];
    let shown = (own["ready"].as_bool(), own["fetches"]["refused"].as_u64(), own["last_error"].is_null());
    assert_eq!(shown, (Some(true), Some(1), true), "{own}");
}
