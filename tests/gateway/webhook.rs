//! Vendors that sign their bodies: nothing is forwarded before the signature over the whole body is verified.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use vendorgate::internals::model::Clock;

use crate::support::client::{Answer, Client};
use crate::support::fixture::GatewayFixture;
use crate::support::issuer::reader;
use crate::support::test_gateway::TestGateway;
use crate::support::upstream::Upstream;

const SECRET: &[u8] = b"a secret of thirty-two bytes, yes";
const NEXT: &[u8] = b"the one that comes after it, soon";
const BODY: &str = r#"{"parcel":7}"#;

const ROUTES: &str = "scopes: [events:write]
ingress:
  - { route: POST /v1/events, scopes: [events:write], upstream: crm }
";

/// A gateway that knows the sender `acme` by Standard Webhooks and `hub` by HMAC, and `tokens` by tokens.
fn gateway(crm: &Upstream) -> TestGateway {
    let fixture = GatewayFixture::new(crm.address);
    let write = |name: &str, text: &[u8]| {
        use std::os::unix::fs::PermissionsExt;
        let path = fixture.path().join(name);
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("mode");
    };
    write("acme.secret", format!("whsec_{}\n", STANDARD.encode(SECRET)).as_bytes());
    write("acme.next", format!("whsec_{}\n", STANDARD.encode(NEXT)).as_bytes());
    write("hub.secret", SECRET);
    let acme = "identity: { webhook: { scheme: standard-webhooks, secret_file: ../acme.secret, next_secret_file: ../acme.next } }\n";
    let hub = "identity: { webhook: { scheme: hmac, header: X-Hub-Signature-256, prefix: \"sha256=\", secret_file: ../hub.secret } }\n";
    TestGateway::start(
        fixture
            .contract("acme", &format!("{acme}{ROUTES}"))
            .contract("hub", &format!("{hub}{ROUTES}"))
            .contract("tokens", "ingress:\n  - { route: POST /v1/events, scopes: [orders:write], upstream: crm }\n"),
    )
}

fn mac(secret: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

fn standard(secret: &[u8], id: &str, at: u64, body: &str) -> String {
    let signature = STANDARD.encode(mac(secret, format!("{id}.{at}.{body}").as_bytes()));
    format!("webhook-id: {id}\r\nwebhook-timestamp: {at}\r\nwebhook-signature: v1,{signature}\r\n")
}

fn post(gateway: &TestGateway, headers: &str, body: &str) -> Answer {
    let text = format!(
        "POST /v1/events HTTP/1.1\r\nHost: a\r\n{headers}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    Client::to(gateway.ingress()).send(text).answer()
}

fn now() -> u64 {
    Clock::system().now().wall.as_millis() / 1000
}

#[test]
fn a_signed_body_passes_once_and_a_changed_one_never() {
    let crm = Upstream::json("{\"ok\":true}");
    let gateway = gateway(&crm);
    let good = standard(SECRET, "m1", now(), BODY);
    assert_eq!(post(&gateway, &good, BODY).status, 200);
    let again = post(&gateway, &good, BODY);
    assert_eq!((again.status, again.body.len()), (200, 0), "a message that was delivered is answered");
    assert_eq!(crm.seen().len(), 1, "and not delivered again");
    assert!(String::from_utf8_lossy(&crm.seen()[0].body).contains("parcel"), "the body goes on as it came");
    assert_eq!(post(&gateway, &standard(NEXT, "m2", now(), BODY), BODY).status, 200, "the second live secret");
    for (what, headers, body, reason) in [
        ("another body", standard(SECRET, "m3", now(), BODY), r#"{"parcel":8}"#, "token_invalid"),
        ("another secret", standard(b"somebody else's, of enough bytes", "m4", now(), BODY), BODY, "token_invalid"),
        ("too old", standard(SECRET, "m5", now() - 301, BODY), BODY, "token_expired"),
        ("too new", standard(SECRET, "m6", now() + 301, BODY), BODY, "token_expired"),
        ("no signature", String::new(), BODY, "token_missing"),
        ("half of the headers", "webhook-signature: v1,AAAA\r\n".to_owned(), BODY, "token_missing"),
    ] {
        let refused = post(&gateway, &headers, body);
        assert_eq!((refused.status, refused.reason().as_str()), (401, reason), "{what}");
    }
    assert_eq!(crm.seen().len(), 2, "nothing else was forwarded");
}

#[test]
fn a_plain_hmac_authenticates_its_own_vendor_only() {
    let crm = Upstream::json("{}");
    let gateway = gateway(&crm);
    let hex: String = mac(SECRET, BODY.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let signed = format!("x-hub-signature-256: sha256={hex}\r\n");
    assert_eq!(post(&gateway, &signed, BODY).status, 200);
    let wrong = format!("x-hub-signature-256: sha256={}\r\n", "0".repeat(64));
    assert_eq!(post(&gateway, &wrong, BODY).reason(), "token_invalid");
    assert_eq!(gateway.get("/v1/events", &reader()).reason(), "vendor_unknown", "tokens are judged as ever");
    assert_eq!(crm.seen().len(), 1);
}

#[test]
fn an_undelivered_message_can_be_sent_again() {
    let crm = Upstream::json("{}");
    let gateway = gateway(&crm);
    let message = standard(SECRET, "m1", now(), BODY);
    gateway.admin("operator", "POST", "/v1/vendors/acme/kill", r#"{"reason":"test"}"#);
    assert_eq!(post(&gateway, &message, BODY).reason(), "vendor_killed", "a signature is no way around a kill");
    gateway.admin("admin", "POST", "/v1/vendors/acme/restore", r#"{"reason":"test"}"#);
    assert_eq!(post(&gateway, &message, BODY).status, 200);
    assert_eq!(crm.seen().len(), 1);
    assert_eq!(post(&gateway, &message, BODY).status, 200, "known by now");
    assert_eq!(crm.seen().len(), 1);
}

#[test]
fn a_body_beyond_the_bound_is_refused_before_anything_is_forwarded() {
    let crm = Upstream::json("{}");
    let gateway = gateway(&crm);
    let large = format!("\"{}\"", "x".repeat(1024 * 1024));
    let refused = post(&gateway, &standard(SECRET, "m1", now(), &large), &large);
    assert_eq!((refused.status, refused.reason().as_str()), (413, "body_too_large"));
    assert_eq!(crm.seen().len(), 0);
}

#[test]
fn half_sent_bodies_do_not_block_others() {
    let crm = Upstream::json("{\"ok\":true}");
    let gateway = gateway(&crm);
    let half = |vendor: &str| {
        let presented = match vendor {
            "acme" => standard(SECRET, "half", now(), BODY),
            _ => format!("x-hub-signature-256: sha256={}\r\n", "0".repeat(64)),
        };
        let mut client = Client::to(gateway.ingress());
        client.send(format!(
            "POST /v1/events HTTP/1.1\r\nHost: a\r\n{presented}Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{"
        ));
        client
    };
    let crowd: Vec<Client> = (0..100).map(|_| half("acme")).chain((0..100).map(|_| half("hub"))).collect();
    for id in ["m1", "m2", "m3"] {
        assert_eq!(
            post(&gateway, &standard(SECRET, id, now(), BODY), BODY).status,
            200,
            "the vendor whose name they use"
        );
    }
    drop(crowd);
}

/// A gateway with one sender, `acme`, whose `webhook:` says this, and whose limits let three messages pass.
fn of_acme(crm: &Upstream, webhook: &str) -> TestGateway {
    let fixture = GatewayFixture::new(crm.address);
    let path = fixture.path().join("acme.secret");
    std::fs::write(&path, SECRET).expect("written");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("mode");
    let identity = format!("identity: {{ webhook: {{ {webhook}, secret_file: ../acme.secret }} }}\n");
    let limits = "limits: { requests: { rate: 1/h, burst: 3 } }\n";
    TestGateway::start(fixture.contract("acme", &format!("{identity}{limits}{ROUTES}")))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A repeated text is a new delivery if its signed time differs, and a replay if everything is equal.
#[test]
fn two_heartbeats_are_two_deliveries_where_anything_signed_differs() {
    const HEARTBEAT: &str = r#"{"event":"heartbeat"}"#;
    let undated = |_: u64| format!("x-sign: {}\r\n", hex(&mac(SECRET, HEARTBEAT.as_bytes())));
    let dated =
        |at: u64| format!("x-sign: t={at},v1={}\r\n", hex(&mac(SECRET, format!("{at}.{HEARTBEAT}").as_bytes())));
    let by_id = |at: u64| format!("x-id: {at}\r\n{}", undated(at));
    let plain = "scheme: hmac, header: x-sign";
    let parts =
        "scheme: hmac, header: x-sign, separator: \",\", prefix: v1=, timestamp_header: x-sign, timestamp_prefix: t=";
    // Dated in the future, so that the message is never older than the start of a test's gateway.
    let at = now() + 120;
    let thrice = |signed: &dyn Fn(u64) -> String| [at, at + 1, at].map(signed);
    for (webhook, messages, deliveries) in [
        (plain, thrice(&undated), 1),
        (parts, thrice(&dated), 2),
        (&format!("{plain}, id_header: x-id"), thrice(&by_id), 2),
    ] {
        let crm = Upstream::json("{}");
        let gateway = of_acme(&crm, webhook);
        for message in messages {
            assert_eq!(post(&gateway, &message, HEARTBEAT).status, 200, "{webhook}");
        }
        assert_eq!(crm.seen().len(), deliveries, "{webhook}");
    }
}

#[test]
fn an_upstream_that_fails_leaves_the_message_undelivered() {
    let crm = Upstream::saying("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n");
    let gateway = gateway(&crm);
    let message = standard(SECRET, "m1", now(), BODY);
    for tries in 1..=2 {
        assert_eq!(post(&gateway, &message, BODY).status, 500);
        assert_eq!(crm.seen().len(), tries, "the sender's next try is delivered");
    }
}

#[test]
fn vendors_authenticate_by_their_webhook_presets() {
    // Dated in the future, so that the message is never older than the start of a test's gateway.
    let at = now() + 120;
    let stripe = format!("stripe-signature: t={at},v1={},v1={}\r\n", "0".repeat(64), {
        hex(&mac(SECRET, format!("{at}.{BODY}").as_bytes()))
    });
    let square = STANDARD.encode(mac(SECRET, format!("https://hooks.example.com/v1/events{BODY}").as_bytes()));
    let told = String::from_utf8_lossy(SECRET).into_owned();
    for (webhook, good, signs) in [
        ("preset: stripe", stripe, true),
        (
            "preset: square, url: \"https://hooks.example.com\"",
            format!("x-square-hmacsha256-signature: {square}\r\n"),
            true,
        ),
        ("preset: gitlab", format!("x-gitlab-token: {told}\r\n"), false),
    ] {
        let crm = Upstream::json("{}");
        let gateway = of_acme(&crm, webhook);
        let other = if signs { 401 } else { 200 };
        assert_eq!(post(&gateway, &good, r#"{"parcel":8}"#).status, other, "{webhook}: another body");
        assert_eq!(post(&gateway, &good, BODY).status, 200, "{webhook}");
        let wrong = good.replace(['1', 'a'], "b");
        assert_eq!(post(&gateway, &wrong, BODY).status, 401, "{webhook}: another signature");
        assert_eq!(crm.seen().len(), if signs { 1 } else { 2 }, "{webhook}");
    }
}

#[test]
fn a_webhook_handshake_is_answered_by_the_gateway_and_spends_no_budget() {
    let crm = Upstream::json("{}");
    let gateway = of_acme(&crm, "preset: slack, handshake: [slack, dropbox]");
    let verification =
        r#"{"type":"url_verification","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"}"#;
    let get =
        |target: &str| Client::to(gateway.ingress()).send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).answer();
    for _ in 0..5 {
        let answer = post(&gateway, "", verification);
        assert_eq!((answer.status, answer.text().len()), (200, 52), "{}", answer.text());
        assert_eq!(answer.field("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(get("/v1/events?challenge=abc").text(), "abc");
    }
    assert_eq!(get("/v1/other?challenge=abc").status, 401, "only on a route of the vendor");
    let at = now();
    let signed = |at: u64| {
        let signature = hex(&mac(SECRET, format!("v0:{at}:{BODY}").as_bytes()));
        format!("x-slack-signature: v0={signature}\r\nx-slack-request-timestamp: {at}\r\n")
    };
    assert_eq!([0, 1, 2, 3].map(|more| post(&gateway, &signed(at + more), BODY).status), [200, 200, 200, 429]);
    assert_eq!(post(&gateway, "", BODY).reason(), "token_missing", "no other message passes unsigned");
    gateway.admin("operator", "POST", "/v1/vendors/acme/kill", r#"{"reason":"test"}"#);
    assert_eq!(post(&gateway, "", verification).reason(), "vendor_killed");
    assert_eq!(get("/v1/events?challenge=abc").reason(), "vendor_killed");
    assert_eq!(crm.seen().len(), 3, "no handshake was forwarded");
}

#[test]
fn a_subscription_is_answered_for_the_agreed_token_only() {
    let crm = Upstream::json("{}");
    let fixture = GatewayFixture::new(crm.address);
    for (name, text) in [("app.secret", SECRET), ("verify", b"agreed-on\n".as_slice())] {
        let path = fixture.path().join(name);
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("mode");
    }
    let webhook = "preset: meta, secret_file: ../app.secret, verify_token_file: ../verify";
    let gateway =
        TestGateway::start(fixture.contract("acme", &format!("identity: {{ webhook: {{ {webhook} }} }}\n{ROUTES}")));
    let ask = |token: &str| {
        let target = format!("/v1/events?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token={token}");
        Client::to(gateway.ingress()).send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).answer()
    };
    assert_eq!((ask("agreed-on").status, ask("agreed-on").text()), (200, "1158201444".to_owned()));
    assert_eq!(ask("guessed").reason(), "token_missing");
    let signed = format!("x-hub-signature-256: sha256={}\r\n", hex(&mac(SECRET, BODY.as_bytes())));
    assert_eq!(post(&gateway, &signed, BODY).status, 200);
    assert_eq!(crm.seen().len(), 1);
}
