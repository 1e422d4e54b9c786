//! A real introspection endpoint: what it is asked, how often, and what happens when it does not answer.

use std::sync::atomic::AtomicUsize;

use http::{Request, Response};
use http_body_util::Full;

use crate::identity::fixture::{IssuerFixture, plain, serve, settings};
use crate::identity::settings::{KeySource, TokenSettings};
use crate::model::Reason;

use super::*;

/// What the endpoint answers to tokens by their first letters.
#[derive(Default)]
struct Endpoint {
    asked: AtomicUsize,
    down: std::sync::atomic::AtomicBool,
}

impl Endpoint {
    async fn start() -> (Arc<Self>, String) {
        let endpoint = Arc::new(Self::default());
        let serving = Arc::clone(&endpoint);
        let address = serve(move |request| {
            let endpoint = Arc::clone(&serving);
            async move { endpoint.answer(request).await }
        });
        (endpoint, format!("{}/introspect", address.await))
    }

    async fn answer(&self, request: Request<Vec<u8>>) -> Response<Full<Bytes>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let authorization = request.headers().get(AUTHORIZATION).map(|value| value.as_bytes().to_vec());
        assert_eq!(authorization.as_deref(), Some(&b"Basic Z2F0ZSUzQXdheTpzMyUyNmNyZXQ="[..]), "gate%3Away:s3%26cret");
        let form = String::from_utf8(request.into_body()).expect("text");
        let token = form.strip_prefix("token=").and_then(|rest| rest.strip_suffix("&token_type_hint=access_token"));
        tokio::time::sleep(Duration::from_millis(30)).await;
        if self.down.load(Ordering::SeqCst) {
            return plain(503, String::new());
        }
        plain(200, verdict(token.expect("a token")))
    }
}

fn verdict(token: &str) -> String {
    let now = Clock::system().now().wall.as_secs();
    let good = format!(r#""active":true,"client_id":"c","aud":"https://api.test","iat":{now},"scope":"a""#);
    match &token[..4] {
        "good" => format!(r#"{{{good},"exp":{}}}"#, now + 600),
        "slow" => format!(r#"{{{good},"exp":{}}}"#, now + 1),
        "evil" => format!(r#"{{{good},"exp":{},"iss":"https://evil.test"}}"#, now + 600),
        "noex" => format!("{{{good}}}"),
        "bare" => r#"{"active":true,"client_id":"c"}"#.into(),
        "else" => format!(r#"{{{},"exp":{}}}"#, good.replace("\"c\"", "\"d\""), now + 600),
        "odd1" => r#"{"active":"true"}"#.into(),
        "odd2" => "<html>".into(),
        _ => r#"{"active":false}"#.into(),
    }
}

struct Gateway {
    _folder: tempfile::TempDir,
    stand: IssuerFixture,
}

fn gateway(url: &str) -> Gateway {
    gateway_with(url, |_| {})
}

fn gateway_with(url: &str, change: impl FnOnce(&mut TokenSettings)) -> Gateway {
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "s3&cret\n").expect("written");
    let asked = IntrospectionSettings {
        url: url.into(),
        client_id: "gate:way".into(),
        secret_file: Some(secret),
        token_prefix: String::new(),
        active_for: Duration::from_secs(60),
        inactive_for: Duration::from_secs(60),
    };
    let mut settings = settings("https://id.test", KeySource::Introspection(asked));
    change(&mut settings);
    let stand = IssuerFixture::with(settings);
    Gateway { _folder: folder, stand }
}

impl std::ops::Deref for Gateway {
    type Target = IssuerFixture;

    fn deref(&self) -> &IssuerFixture {
        &self.stand
    }
}

#[tokio::test]
async fn an_answer_is_asked_for_once_and_cached() {
    let (endpoint, url) = Endpoint::start().await;
    let mut set = tokio::task::JoinSet::new();
    let gateway = Arc::new(gateway(&url));
    for _ in 0..50 {
        let gateway = Arc::clone(&gateway);
        set.spawn(async move { gateway.ask_patiently("good-token").await });
    }
    while let Some(done) = set.join_next().await {
        assert_eq!(done.expect("finished"), Ok(()));
    }
    assert_eq!(endpoint.asked.load(Ordering::SeqCst), 1, "one flight for one token");
    for _ in 0..3 {
        assert_eq!(gateway.ask_patiently("bad-token").await, Err(Reason::TokenInvalid));
    }
    assert_eq!(endpoint.asked.load(Ordering::SeqCst), 2, "a no is kept too");
    assert!(gateway.authority.cache_status().hits >= 49, "and a yes is remembered as any token");
}

#[tokio::test]
async fn only_a_readable_positive_answer_for_this_vendor_counts() {
    let (_endpoint, url) = Endpoint::start().await;
    let gateway = gateway(&url);
    for (token, reason) in [
        ("evil-issuer", Reason::TokenInvalid),
        ("noexpiry", Reason::TokenInvalid),
        ("else-client", Reason::VendorUnknown),
        ("odd1", Reason::IssuerUnavailable),
        ("odd2", Reason::IssuerUnavailable),
    ] {
        assert_eq!(gateway.ask_patiently(token).await, Err(reason), "{token}");
    }
    let status = || gateway.directory.introspection_status(0).expect("asked");
    assert!(status().last_error.is_some_and(|error| !error.contains("odd")));
    assert_eq!(gateway.ask_patiently("good-token").await, Ok(()));
    let status = status();
    assert_eq!(status.outcomes[..3], [3, 1, 2], "another client's token is active, too: {status:?}");
    assert_eq!(status.outcomes[3..], [6, 0], "each read by whoever asked");
    assert_eq!(status.last_error, None, "the last question got an answer");
}

/// RFC 7662 section 2.2 lets an issuer leave claims out; such an answer is refused unless the contract allows it.
#[tokio::test]
async fn an_answer_may_lack_what_its_contract_does_not_ask_for() {
    let (endpoint, url) = Endpoint::start().await;
    let lenient = gateway_with(&url, |settings| {
        settings.audience = None;
        settings.claims.expiry_optional = true;
    });
    for round in ["asked", "kept"] {
        assert_eq!(lenient.ask_patiently("bare").await, Ok(()), "{round}");
    }
    assert_eq!(endpoint.asked.load(Ordering::SeqCst), 1);
    for spare in ["audience", "expiry"] {
        let strict = gateway_with(&url, |settings| {
            settings.claims.expiry_optional = spare == "expiry";
            settings.audience = settings.audience.take().filter(|_| spare == "expiry");
        });
        assert_eq!(strict.ask_patiently("bare").await, Err(Reason::TokenInvalid), "only {spare} is spared");
    }
}

#[tokio::test]
async fn a_positive_answer_does_not_outlive_the_token_and_an_outage_refuses() {
    let (endpoint, url) = Endpoint::start().await;
    let gateway = gateway(&url);
    assert_eq!(gateway.ask_patiently("slow").await, Ok(()));
    assert_eq!(gateway.ask_patiently("good-token").await, Ok(()));
    endpoint.down.store(true, Ordering::SeqCst);
    let deadline = gateway.clock.now().wall.plus(Duration::from_secs(10));
    while gateway.ask("slow").is_ok() && gateway.clock.now().wall < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(gateway.ask_patiently("slow").await, Err(Reason::IssuerUnavailable));
    let asked = endpoint.asked.load(Ordering::SeqCst);
    assert_eq!(gateway.ask_patiently("slow").await, Err(Reason::IssuerUnavailable));
    assert_eq!(endpoint.asked.load(Ordering::SeqCst), asked, "not asked again at once");
    assert_eq!(gateway.ask_patiently("good-token").await, Ok(()), "what is known holds through the outage");
}

#[tokio::test]
async fn a_flood_of_random_tokens_does_not_reach_the_issuer() {
    let (endpoint, url) = Endpoint::start().await;
    let gateway = gateway(&url);
    let before = gateway.clock.now().wall;
    let waits = (0..5000).filter(|at| gateway.ask(&format!("random{at}")).is_err_and(|no| no.wait.is_some())).count();
    let seconds = gateway.clock.now().wall.since(before).as_secs() + 2;
    assert!(waits as u64 <= seconds * u64::from(INTROSPECTIONS_PER_SECOND_MAX), "{waits} in {seconds} s");
    assert_eq!(endpoint.asked.load(Ordering::SeqCst), 0, "and what is not awaited is not asked");
    let outcomes = gateway.directory.introspection_status(0).expect("asked").outcomes;
    assert_eq!(outcomes, [0, 0, 0, 0, 5000 - waits as u64]);
}
