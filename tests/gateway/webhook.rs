//! Vendors that sign their bodies: nothing is forwarded before the signature over all of it was verified.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use vendorgate::model::Clock;

use crate::support::client::{Answer, Client};
use crate::support::gate::Gate;
use crate::support::house::House;
use crate::support::issuer::reader;
use crate::support::upstream::Upstream;

const SECRET: &[u8] = b"a secret of thirty-two bytes, yes";
const NEXT: &[u8] = b"the one that comes after it, soon";
const BODY: &str = r#"{"parcel":7}"#;

const ROUTES: &str = "scopes: [events:write]
ingress:
  - { route: POST /v1/events, scopes: [events:write], upstream: crm }
";

/// A gateway that knows the sender `acme` by Standard Webhooks and `hub` by HMAC, and `tokens` by tokens.
fn gate(crm: &Upstream) -> Gate {
    let house = House::new(crm.address);
    let write = |name: &str, text: &[u8]| {
        use std::os::unix::fs::PermissionsExt;
        let path = house.path().join(name);
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("mode");
    };
    write("acme.secret", format!("whsec_{}\n", STANDARD.encode(SECRET)).as_bytes());
    write("acme.next", format!("whsec_{}\n", STANDARD.encode(NEXT)).as_bytes());
    write("hub.secret", SECRET);
    let acme = "identity: { webhook: { scheme: standard-webhooks, secret_file: ../acme.secret, next_secret_file: ../acme.next } }\n";
    let hub = "identity: { webhook: { scheme: hmac, header: X-Hub-Signature-256, prefix: \"sha256=\", secret_file: ../hub.secret } }\n";
    Gate::start(
        house
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

fn post(gate: &Gate, headers: &str, body: &str) -> Answer {
    let text = format!(
        "POST /v1/events HTTP/1.1\r\nHost: a\r\n{headers}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    Client::to(gate.ingress()).send(text).answer()
}

fn now() -> u64 {
    Clock::system().now().wall.as_millis() / 1000
}

#[test]
fn a_signed_body_passes_once_and_a_changed_one_never() {
    let crm = Upstream::json("{\"ok\":true}");
    let gate = gate(&crm);
    let good = standard(SECRET, "m1", now(), BODY);
    assert_eq!(post(&gate, &good, BODY).status, 200);
    assert_eq!(crm.seen().len(), 1);
    assert!(String::from_utf8_lossy(&crm.seen()[0].body).contains("parcel"), "the body goes on as it came");
    assert_eq!(post(&gate, &standard(NEXT, "m2", now(), BODY), BODY).status, 200, "the second live secret");
    for (what, headers, body, reason) in [
        ("again", good, BODY, "token_invalid"),
        ("another body", standard(SECRET, "m3", now(), BODY), r#"{"parcel":8}"#, "token_invalid"),
        ("another secret", standard(b"somebody else's, of enough bytes", "m4", now(), BODY), BODY, "token_invalid"),
        ("too old", standard(SECRET, "m5", now() - 301, BODY), BODY, "token_expired"),
        ("too new", standard(SECRET, "m6", now() + 301, BODY), BODY, "token_expired"),
        ("no signature", String::new(), BODY, "token_missing"),
        ("half of the headers", "webhook-signature: v1,AAAA\r\n".to_owned(), BODY, "token_missing"),
    ] {
        let refused = post(&gate, &headers, body);
        assert_eq!((refused.status, refused.reason().as_str()), (401, reason), "{what}");
    }
    assert_eq!(crm.seen().len(), 2, "nothing else was forwarded");
}

#[test]
fn a_plain_hmac_names_its_own_vendor() {
    let crm = Upstream::json("{}");
    let gate = gate(&crm);
    let hex: String = mac(SECRET, BODY.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let signed = format!("x-hub-signature-256: sha256={hex}\r\n");
    assert_eq!(post(&gate, &signed, BODY).status, 200);
    let wrong = format!("x-hub-signature-256: sha256={}\r\n", "0".repeat(64));
    assert_eq!(post(&gate, &wrong, BODY).reason(), "token_invalid");
    assert_eq!(gate.get("/v1/events", &reader()).reason(), "vendor_unknown", "tokens are judged as ever");
    assert_eq!(crm.seen().len(), 1);
}

#[test]
fn what_could_not_be_delivered_may_come_again() {
    let crm = Upstream::json("{}");
    let gate = gate(&crm);
    let message = standard(SECRET, "m1", now(), BODY);
    gate.admin("operator", "POST", "/v1/vendors/acme/kill", r#"{"reason":"test"}"#);
    assert_eq!(post(&gate, &message, BODY).reason(), "vendor_killed", "a signature is no way around a kill");
    gate.admin("admin", "POST", "/v1/vendors/acme/restore", r#"{"reason":"test"}"#);
    assert_eq!(post(&gate, &message, BODY).status, 200);
    assert_eq!(post(&gate, &message, BODY).reason(), "token_invalid");
}

#[test]
fn a_body_beyond_the_bound_is_refused_before_anything_is_forwarded() {
    let crm = Upstream::json("{}");
    let gate = gate(&crm);
    let large = format!("\"{}\"", "x".repeat(1024 * 1024));
    let refused = post(&gate, &standard(SECRET, "m1", now(), &large), &large);
    assert_eq!((refused.status, refused.reason().as_str()), (413, "body_too_large"));
    assert_eq!(crm.seen().len(), 0);
}

#[test]
fn half_sent_bodies_keep_nobody_out() {
    let crm = Upstream::json("{\"ok\":true}");
    let gate = gate(&crm);
    let half = |vendor: &str| {
        let presented = match vendor {
            "acme" => standard(SECRET, "half", now(), BODY),
            _ => format!("x-hub-signature-256: sha256={}\r\n", "0".repeat(64)),
        };
        let mut client = Client::to(gate.ingress());
        client.send(format!(
            "POST /v1/events HTTP/1.1\r\nHost: a\r\n{presented}Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{"
        ));
        client
    };
    let crowd: Vec<Client> = (0..100).map(|_| half("acme")).chain((0..100).map(|_| half("hub"))).collect();
    for id in ["m1", "m2", "m3"] {
        assert_eq!(post(&gate, &standard(SECRET, id, now(), BODY), BODY).status, 200, "the vendor whose name they use");
    }
    drop(crowd);
}
