//! The published Standard Webhooks example, and messages that are late, repeated, changed or signed by another.

use super::*;
use crate::bounds::WEBHOOK_TOLERANCE;
use crate::model::Reason;

/// The example that the Standard Webhooks reference libraries publish.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const SENT: u64 = 1_614_265_330;
const BODY: &[u8] = br#"{"test": 2432232314}"#;
const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

struct World {
    folder: tempfile::TempDir,
    webhook: Arc<Webhook>,
}

fn world(scheme: WebhookScheme, secrets: &[&str]) -> World {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |at: usize| folder.path().join(at.to_string());
    let secret_files = secrets.iter().enumerate().map(|(at, secret)| {
        std::fs::write(path(at), format!("{secret}\n")).expect("written");
        path(at)
    });
    let settings = WebhookSettings { scheme, secret_files: secret_files.collect(), tolerance: WEBHOOK_TOLERANCE };
    let vendor = VendorId::parse("acme").expect("an id");
    let cache = Arc::new(TokenCache::new(1 << 20).expect("randomness"));
    let webhook = Arc::new(Webhook::open(vendor, 5, settings, Arc::default(), Slot::default(), cache));
    World { folder, webhook }
}

impl World {
    /// As after a reload with other secrets, or a restart at some time.
    fn again(&self, secrets: &[usize], replays: Arc<Replays>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let Webhook { vendor, index, settings, cache, .. } = &*self.webhook;
        let secret_files = secrets.iter().map(|at| self.folder.path().join(at.to_string())).collect();
        let settings = WebhookSettings { secret_files, ..settings.clone() };
        let (vendor, cache) = (vendor.clone(), Arc::clone(cache));
        let webhook = Webhook::open(vendor, *index, settings, replays, Slot::default(), cache);
        Self { folder, webhook: Arc::new(webhook) }
    }
}

fn check(world: &World, headers: &[(&str, &str)], body: &[u8], at: u64) -> Result<Taken, Reason> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(http::HeaderName::from_bytes(name.as_bytes()).expect("a name"), value.parse().expect("a value"));
    }
    let now = Moment { wall: UnixTime::from_secs(at), monotonic_ns: (at - SENT + 10_000) * 1_000_000_000 };
    let mut check = world.webhook.begin(&map, now).map_err(|denial| denial.reason)?;
    body.chunks(7).for_each(|chunk| check.update(chunk));
    check.finish(now).map_err(|denial| denial.reason)
}

fn standard<'a>(id: &'a str, sent: &'a str, signature: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![("webhook-id", id), ("webhook-timestamp", sent), ("webhook-signature", signature)]
}

#[test]
fn the_published_example_passes_once() {
    let world = world(WebhookScheme::StandardWebhooks, &["whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", SECRET]);
    let sent = SENT.to_string();
    let good = standard(ID, &sent, SIGNATURE);
    let taken = check(&world, &good, BODY, SENT).expect("good");
    assert_eq!((taken.vendor_index, taken.caller.vendor.as_str()), (5, "acme"));
    assert_eq!(check(&world, &good, BODY, SENT + 300).err(), Some(Reason::TokenInvalid), "a replay");
    taken.give_back();
    let listed = format!("v2,AAAA v1a,AAAA {SIGNATURE}");
    assert!(check(&world, &standard(ID, &sent, &listed), BODY, SENT + 300).is_ok(), "after a failed delivery");
}

#[test]
fn messages_that_are_late_changed_or_malformed_are_refused() {
    let world = world(WebhookScheme::StandardWebhooks, &[SECRET]);
    let sent = SENT.to_string();
    let (late, missing, wrong) = (Some(Reason::TokenExpired), Some(Reason::TokenMissing), Some(Reason::TokenInvalid));
    let good = || standard(ID, &sent, SIGNATURE);
    assert_eq!(check(&world, &good(), BODY, SENT + 301).err(), late);
    let future = (SENT + 301).to_string();
    assert_eq!(check(&world, &standard(ID, &future, SIGNATURE), BODY, SENT).err(), late);
    assert_eq!(check(&world, &good(), b"{}", SENT).err(), wrong);
    assert_eq!(check(&world, &standard("msg_other", &sent, SIGNATURE), BODY, SENT).err(), wrong);
    let other = (SENT + 1).to_string();
    assert_eq!(check(&world, &standard(ID, &other, SIGNATURE), BODY, SENT).err(), wrong);
    for absent in 0..3 {
        let mut headers = good();
        headers.remove(absent);
        assert_eq!(check(&world, &headers, BODY, SENT).err(), missing, "{absent}");
        let mut headers = good();
        headers.push(headers[absent]);
        assert_eq!(check(&world, &headers, BODY, SENT).err(), missing, "{absent} twice");
    }
    for signature in ["", "v1,", "v1,AAAA", "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="] {
        assert_eq!(check(&world, &standard(ID, &sent, signature), BODY, SENT).err(), missing, "{signature}");
    }
    for timestamp in ["", "+1614265330", "1614265330.0", "99999999999999999999"] {
        assert_eq!(check(&world, &standard(ID, timestamp, SIGNATURE), BODY, SENT).err(), missing, "{timestamp}");
    }
    assert!(check(&world, &good(), BODY, SENT).is_ok(), "none of these took the message");
}

#[test]
fn a_plain_hmac_takes_hexadecimal_or_base64() {
    let secret = "It's a Secret to Everybody, long enough";
    let scheme = |timestamp_header: Option<&str>| WebhookScheme::Hmac {
        header: "x-hub-signature-256".into(),
        prefix: "sha256=".into(),
        timestamp_header: timestamp_header.map(str::to_owned),
    };
    let sign = |text: &[u8]| {
        let mut mac = HmacSha256::new_from_slice(secret.as_bytes()).expect("any length");
        mac.update(text);
        <[u8; 32]>::from(mac.finalize().into_bytes())
    };
    let hex = |digest: [u8; 32]| digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let body = b"Hello, World!";
    let plain = world(scheme(None), &[secret]);
    let header = format!("sha256={}", hex(sign(body)));
    assert!(check(&plain, &[("x-hub-signature-256", &header)], body, SENT).is_ok());
    assert_eq!(check(&plain, &[("x-hub-signature-256", &header)], body, SENT).err(), Some(Reason::TokenInvalid));
    assert_eq!(check(&plain, &[("x-hub-signature-256", &header[7..])], body, SENT).err(), Some(Reason::TokenMissing));
    let base64 = format!("sha256={}", STANDARD.encode(sign(b"other")));
    assert!(check(&plain, &[("x-hub-signature-256", &base64)], b"other", SENT).is_ok());

    let dated = world(scheme(Some("x-time")), &[secret]);
    let header = format!("sha256={}", hex(sign(format!("{SENT}.Hello, World!").as_bytes())));
    let headers = [("x-hub-signature-256", header.as_str()), ("x-time", "1614265330")];
    assert_eq!(check(&dated, &headers[..1], body, SENT).err(), Some(Reason::TokenMissing));
    assert_eq!(check(&dated, &headers, body, SENT + 301).err(), Some(Reason::TokenExpired));
    assert!(check(&dated, &headers, body, SENT).is_ok());
}

#[test]
fn neither_a_new_secret_nor_a_restart_lets_a_message_come_again() {
    let secrets = ["the secret that is being replaced", "the secret that will replace it, soon"];
    let scheme = WebhookScheme::Hmac { header: "x-sign".into(), prefix: String::new(), timestamp_header: None };
    let before = world(scheme, &secrets);
    let mut mac = HmacSha256::new_from_slice(secrets[1].as_bytes()).expect("any length");
    mac.update(BODY);
    let signed = STANDARD.encode(mac.finalize().into_bytes());
    let headers = [("x-sign", signed.as_str())];
    assert!(check(&before, &headers, BODY, SENT).is_ok());
    let after = before.again(&[1], Arc::clone(&before.webhook.replays));
    assert_eq!(check(&after, &headers, BODY, SENT + 1).err(), Some(Reason::TokenInvalid), "the same message");

    let dated = world(WebhookScheme::StandardWebhooks, &[SECRET]);
    let sent = SENT.to_string();
    let good = standard(ID, &sent, SIGNATURE);
    let restarted = |at: u64| dated.again(&[0], Arc::new(Replays::since((at - SENT + 10_000) * 1_000_000_000)));
    assert_eq!(check(&restarted(SENT + 1), &good, BODY, SENT + 2).err(), Some(Reason::TokenExpired));
    assert!(check(&restarted(SENT), &good, BODY, SENT + 2).is_ok(), "what is sent after the start passes");
}

#[test]
fn weak_or_missing_secrets_let_nothing_pass() {
    for secret in ["whsec_AAAA", "no prefix at all, though long enough", "whsec_!"] {
        let world = world(WebhookScheme::StandardWebhooks, &[secret]);
        assert!(world.webhook.last_error().is_some(), "{secret}");
        let sent = SENT.to_string();
        assert_eq!(check(&world, &standard(ID, &sent, SIGNATURE), BODY, SENT).err(), Some(Reason::TokenInvalid));
        assert!(world.folder.path().exists());
    }
    assert!(!format!("{:?}", world(WebhookScheme::StandardWebhooks, &[SECRET]).webhook).contains("MfKQ"));
}
