//! The published Standard Webhooks example, and messages that are late, repeated, changed or malformed.

mod handshakes;
mod vendors;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;

use crate::bounds::{WEBHOOK_PARTS_MAX, WEBHOOK_SIGNATURES_MAX, WEBHOOK_TOLERANCE};
use crate::model::{Reason, UnixTime};

use super::*;

/// The example that the Standard Webhooks reference libraries publish (MIT).
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const SENT: u64 = 1_614_265_330;
const BODY: &[u8] = br#"{"test": 2432232314}"#;
const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

struct World {
    folder: tempfile::TempDir,
    webhook: Arc<WebhookVerifier>,
}

fn world(recipe: WebhookRecipe, secrets: &[&str]) -> World {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |at: usize| folder.path().join(at.to_string());
    let secret_files = secrets.iter().enumerate().map(|(at, secret)| {
        std::fs::write(path(at), format!("{secret}\n")).expect("written");
        path(at)
    });
    let settings = WebhookSettings {
        recipe,
        secret_files: secret_files.collect(),
        tolerance: WEBHOOK_TOLERANCE,
        verify_token_file: None,
        handshakes: Vec::new(),
    };
    let vendor = VendorId::parse("acme").expect("an id");
    let cache = Arc::new(TokenCache::new(1 << 20).expect("randomness"));
    let webhook =
        Arc::new(WebhookVerifier::open(vendor, 5, settings, Arc::default(), RevocationSlot::default(), cache));
    World { folder, webhook }
}

impl World {
    /// As after a reload with other secrets, or a restart at some time.
    fn again(&self, secrets: &[usize], replays: Arc<ReplayCache>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let WebhookVerifier { vendor, index, settings, cache, .. } = &*self.webhook;
        let secret_files = secrets.iter().map(|at| self.folder.path().join(at.to_string())).collect();
        let settings = WebhookSettings { secret_files, ..settings.clone() };
        let (vendor, cache) = (vendor.clone(), Arc::clone(cache));
        let webhook = WebhookVerifier::open(vendor, *index, settings, replays, RevocationSlot::default(), cache);
        Self { folder, webhook: Arc::new(webhook) }
    }
}

fn preset(preset: WebhookPreset) -> WebhookRecipe {
    preset.recipe().0
}

const TARGET: &str = "/myapp.php?foo=1&bar=2";

fn check(world: &World, headers: &[(&str, &str)], body: &[u8], at: u64) -> Result<AcceptedWebhook, Reason> {
    check_to(world, (&Method::POST, TARGET), headers, body, at)
}

fn check_to(
    world: &World,
    (method, target): (&Method, &str),
    headers: &[(&str, &str)],
    body: &[u8],
    at: u64,
) -> Result<AcceptedWebhook, Reason> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(http::HeaderName::from_bytes(name.as_bytes()).expect("a name"), value.parse().expect("a value"));
    }
    let now = Moment { wall: UnixTime::from_secs(at), monotonic_ns: (at - 1_531_000_000) * 1_000_000_000 };
    let check = world.webhook.begin(&map, now).map_err(|denial| denial.reason)?;
    let sent = WebhookRequest { method, scheme: "https", authority: "mycompany.com", target, headers: &map };
    match check.finish(&sent, body, now).map_err(|denial| denial.reason)? {
        WebhookOutcome::Message(taken) => Ok(taken),
        WebhookOutcome::Greeting(greeting) => panic!("{greeting:?}"),
    }
}

fn standard<'a>(id: &'a str, sent: &'a str, signature: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![("webhook-id", id), ("webhook-timestamp", sent), ("webhook-signature", signature)]
}

fn mac(proof: WebhookProof, secret: &str, text: &str) -> Vec<u8> {
    signature_of(proof, secret.as_bytes(), &[text.as_bytes()])
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_published_example_is_delivered_once_and_answered_again() {
    let world = world(preset(WebhookPreset::StandardWebhooks), &["whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", SECRET]);
    let sent = SENT.to_string();
    let good = standard(ID, &sent, SIGNATURE);
    let taken = check(&world, &good, BODY, SENT).expect("good");
    assert_eq!((taken.caller.vendor.as_str(), taken.was_delivered), ("acme", false));
    assert_eq!(check(&world, &good, BODY, SENT).err(), Some(Reason::Overloaded), "while it is under way");
    taken.give_back();
    let listed = format!("v2,AAAA v1a,AAAA {SIGNATURE}");
    let taken = check(&world, &standard(ID, &sent, &listed), BODY, SENT + 300).expect("after a failed delivery");
    assert!(!taken.was_delivered);
    taken.mark_delivered();
    let again = check(&world, &good, BODY, SENT + 300).expect("known");
    assert!(again.was_delivered);
    again.give_back();
    assert!(check(&world, &good, BODY, SENT + 300).expect("known").was_delivered, "to answer it again forgets nothing");
}

#[test]
fn messages_that_are_late_changed_or_malformed_are_refused() {
    let world = world(preset(WebhookPreset::StandardWebhooks), &[SECRET]);
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
    let many = [SIGNATURE; WEBHOOK_SIGNATURES_MAX + 1].join(" ");
    assert_eq!(check(&world, &standard(ID, &sent, &many), BODY, SENT).err(), missing, "too many signatures");
    let long = format!("{}{SIGNATURE}", "v9,A ".repeat(WEBHOOK_PARTS_MAX));
    assert_eq!(check(&world, &standard(ID, &sent, &long), BODY, SENT).err(), missing, "too many parts");
    assert!(check(&world, &good(), BODY, SENT).is_ok(), "none of these took the message");
}

/// A sender's heartbeats are equal each time and differ by their id only.
#[test]
fn messages_with_equal_bodies_differ_by_their_id() {
    let secret = "a secret of thirty-two bytes, yes";
    let body = br#"{"event":"heartbeat"}"#;
    let signature = format!("sha256={}", hex_of(&signature_of(WebhookProof::HmacSha256, secret.as_bytes(), &[body])));
    let github = world(preset(WebhookPreset::Github), &[secret]);
    let send = |id: &str, body: &[u8], signature: &str, at: u64| {
        let taken = check(&github, &[("x-hub-signature-256", signature), ("x-github-delivery", id)], body, at);
        taken.map(|taken| (taken.was_delivered, taken.mark_delivered()).0)
    };
    assert_eq!(send("d1", body, &signature, SENT), Ok(false));
    assert_eq!(send("d2", body, &signature, SENT), Ok(false), "another heartbeat");
    assert_eq!(send("d1", body, &signature, SENT + 1), Ok(true), "the first one again");
    let other = format!("sha256={}", hex_of(&signature_of(WebhookProof::HmacSha256, secret.as_bytes(), &[b"{}"])));
    assert_eq!(send("d2", b"{}", &other, SENT), Ok(false), "a copy in another's name does not make that one known");
    assert_eq!(send("d1", body, &signature, SENT + 600), Ok(true), "for twice the tolerance");
    assert_eq!(send("d1", body, &signature, SENT + 601), Ok(false), "and no longer");
}

/// Without an id they differ by their signed time; an id that is not signed makes no difference.
#[test]
fn messages_with_equal_bodies_differ_by_their_signed_time() {
    let secret = "a secret of thirty-two bytes, yes";
    let signed = SignatureTemplate::parse("{timestamp}.{body}").expect("good");
    let plain = WebhookRecipe::hmac(HeaderPart::whole("x-sign", ""), SignatureEncoding::Hex, signed);
    let plain = WebhookRecipe { timestamp: Some((HeaderPart::whole("x-time", ""), TimestampFormat::Seconds)), ..plain };
    let named = WebhookRecipe { id_header: Some("x-id".into()), ..plain.clone() };
    let send = |world: &World, at: u64, id: &str| {
        let time = at.to_string();
        let signature = hex_of(&mac(WebhookProof::HmacSha256, secret, &format!("{time}.{{}}")));
        let taken = check(world, &[("x-sign", &signature), ("x-time", &time), ("x-id", id)], b"{}", SENT);
        taken.map(|taken| (taken.was_delivered, taken.mark_delivered()).0)
    };
    let without = world(plain, &[secret]);
    assert_eq!([SENT, SENT + 1, SENT].map(|at| send(&without, at, "1")), [Ok(false), Ok(false), Ok(true)]);
    let with = world(named, &[secret]);
    assert_eq!(send(&with, SENT, "1"), Ok(false));
    assert_eq!(send(&with, SENT, "2"), Ok(true), "a copy under another id");
    assert_eq!(send(&with, SENT + 1, "1"), Ok(true), "the sender's own second try");
    assert_eq!(send(&with, SENT + 1, "2"), Ok(false), "another message");
}

#[test]
fn neither_a_new_secret_nor_a_restart_lets_a_message_be_delivered_twice() {
    let secrets = ["the secret that is being replaced", "the secret that will replace it, soon"];
    let recipe = WebhookRecipe::hmac(
        HeaderPart::whole("x-sign", ""),
        SignatureEncoding::HexOrBase64,
        SignatureTemplate::parse("{body}").expect("good"),
    );
    let before = world(recipe, &secrets);
    let signed = STANDARD.encode(signature_of(WebhookProof::HmacSha256, secrets[1].as_bytes(), &[BODY]));
    let headers = [("x-sign", signed.as_str())];
    check(&before, &headers, BODY, SENT).expect("good").mark_delivered();
    let after = before.again(&[1], Arc::clone(&before.webhook.replays));
    assert!(check(&after, &headers, BODY, SENT + 1).expect("known").was_delivered, "the same message");

    let dated = world(preset(WebhookPreset::StandardWebhooks), &[SECRET]);
    let sent = SENT.to_string();
    let good = standard(ID, &sent, SIGNATURE);
    let restarted = |at: u64| dated.again(&[0], Arc::new(ReplayCache::since((at - 1_531_000_000) * 1_000_000_000)));
    assert_eq!(check(&restarted(SENT + 1), &good, BODY, SENT + 2).err(), Some(Reason::TokenExpired));
    assert!(check(&restarted(SENT), &good, BODY, SENT + 2).is_ok(), "what is sent after the start passes");
}

#[test]
fn secrets_may_have_any_length_and_a_short_one_gives_a_warning() {
    use WebhookSecretEncoding::{Base64, Hex, Raw, Whsec};
    for (text, encoding, warns) in [
        ("correcthorse", Raw, true),
        ("0123456789abcdef", Raw, false),
        ("a secret of thirty-two bytes, yes\n", Raw, false),
        ("QUJDREVGR0hJSktMTU5PUA==", Base64, false),
        ("QUJD", Base64, true),
        ("00112233445566778899aabbccddeeff", Hex, false),
        ("00FF", Hex, true),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Whsec, false),
        ("whsec_AAAA", Whsec, true),
    ] {
        assert_eq!(inspect_secret(text.as_bytes(), encoding).map(|told| told.is_some()), Ok(warns), "{text}");
    }
    for (text, encoding) in [
        ("", Raw),
        (" \n", Raw),
        ("!!", Base64),
        ("0g", Hex),
        ("000", Hex),
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Whsec),
        ("whsec_!", Whsec),
        ("whsec_", Whsec),
    ] {
        let why = inspect_secret(text.as_bytes(), encoding).expect_err(text);
        assert!(text.trim().len() < 2 || !why.contains(text), "{why}");
    }
}

#[test]
fn without_a_usable_secret_nothing_passes() {
    for secret in ["no prefix at all, though long enough", "whsec_!", ""] {
        let world = world(preset(WebhookPreset::StandardWebhooks), &[secret]);
        assert!(world.webhook.last_error().is_some(), "{secret}");
        let sent = SENT.to_string();
        assert_eq!(check(&world, &standard(ID, &sent, SIGNATURE), BODY, SENT).err(), Some(Reason::TokenInvalid));
        assert!(world.folder.path().exists());
    }
    assert!(!format!("{:?}", world(preset(WebhookPreset::StandardWebhooks), &[SECRET]).webhook).contains("MfKQ"));
}

/// A half-written file leaves the old secret in force.
#[test]
fn a_secret_that_no_longer_parses_leaves_the_old_one() {
    let world = world(preset(WebhookPreset::StandardWebhooks), &[SECRET]);
    for bad in ["", "whsec_!", "torn"] {
        std::fs::write(world.folder.path().join("0"), bad).expect("written");
        world.webhook.secrets.reload_if_changed();
        assert!(world.webhook.last_error().is_some(), "{bad}");
    }
    let sent = SENT.to_string();
    assert!(check(&world, &standard(ID, &sent, SIGNATURE), BODY, SENT).is_ok());
}
