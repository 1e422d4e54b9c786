//! What each kind of credential puts into a request, and what nobody else may see of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{BASIC, SECRET, TokenServer, authorization, call, gateway, get, status, token};
use crate::support::client::Answer;
use crate::support::until;
use crate::support::upstream::{Upstream, ok};

#[test]
fn a_fixed_credential_takes_the_place_of_what_the_service_sends() {
    let basic = format!("Basic {}", STANDARD.encode(format!("us:{SECRET}")));
    let (bearer, key) = (format!("Bearer {SECRET}"), format!("Key {SECRET}"));
    let (mine, own) = ("?a=1&api_key=mine", "?a=1&api_key=S3cr3t%2D0f%2D0urs%2B%2F%3D%26%3F");
    for (credentials, field, query) in [
        ("{ bearer: { secret: { file: ../own } } }", Some(("authorization", bearer)), mine),
        ("{ basic: { username: us, secret: { file: ../own } } }", Some(("authorization", basic)), mine),
        (
            "{ api_key: { header: X-Api-Key, prefix: \"Key \", secret: { file: ../own } } }",
            Some(("x-api-key", key)),
            mine,
        ),
        ("{ api_key: { query: api_key, secret: { file: ../own } } }", None, own),
    ] {
        let vendor = Upstream::json("{}");
        let gateway = gateway(&vendor, credentials, &[("own", &format!("{SECRET}\n"))]);
        let sent = "Authorization: Bearer stolen\r\nX_Api_Key: stolen\r\nX-Api-Key: stolen\r\n";
        assert_eq!(call(&gateway, "GET /acme/v2/things?a=1&api_key=mine", sent, "").status, 200, "{credentials}");
        let seen = vendor.last();
        assert_eq!(seen.line(), format!("GET /base/v2/things{query} HTTP/1.1"), "{credentials}");
        let is_header = credentials.contains("X-Api-Key");
        assert_eq!(seen.head.contains("stolen"), !is_header, "what stands in its place goes: {}", seen.head);
        assert!(!seen.head.contains("Bearer stolen"), "{}", seen.head);
        let in_authorization = matches!(field, Some(("authorization", _)));
        assert_eq!(authorization(&seen).len(), usize::from(in_authorization), "{credentials}");
        if let Some((name, value)) = field {
            assert_eq!(seen.field(name), Some(value.as_str()), "{credentials}");
        }
    }
}

#[test]
fn a_redirect_of_the_vendor_takes_the_credential_nowhere() {
    let other = Upstream::json("{}");
    let place = format!("Location: http://{}/v2/things\r\n", other.address);
    let vendor = Upstream::saying(status(307, &place, ""));
    let gateway = gateway(&vendor, "{ bearer: { secret: { file: ../own } } }", &[("own", SECRET)]);
    assert_eq!(get(&gateway).status, 307);
    assert!(other.seen().is_empty());
}

#[test]
fn a_signature_is_made_over_what_really_leaves() {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let vendor = Upstream::json("{}");
    let credentials = "{ hmac: { secret: { file: ../own }, header: X-Signature, prefix: \"v1=\", \
        signed: \"{timestamp}.{method}.{target}.{body}\", timestamp_header: X-Time, key_id: { X-Key-Id: ours } } }";
    let gateway = gateway(&vendor, credentials, &[("own", SECRET)]);
    let fields = "X-Signature: v1=forged\r\nX-Time: 1\r\nX_Key_Id: theirs\r\n";
    let body = r#"{"email":"ann@example.com"}"#;
    assert_eq!(call(&gateway, "POST /acme/v2/things?a=b", fields, body).status, 200);
    let seen = vendor.last();
    let time = seen.field("x-time").expect("a time");
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).expect("a key");
    mac.update(format!("{time}.POST./base/v2/things?a=b.").as_bytes());
    mac.update(&seen.body);
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(seen.field("x-signature"), Some(format!("v1={hex}").as_str()));
    assert_eq!(seen.field("x-key-id"), Some("ours"));
    assert!(!seen.head.contains("forged") && !seen.head.contains("theirs"), "{}", seen.head);
    let large = format!(r#"{{"n":"{}"}}"#, "x".repeat(60_000));
    let large = format!(r#"[{large},{large}]"#);
    let answer = call(&gateway, "POST /acme/v2/things", "", &large);
    assert_eq!((answer.status, answer.reason().as_str()), (413, "body_too_large"));
    assert_eq!(vendor.seen().len(), 1, "what cannot be signed is not sent");
}

#[test]
fn each_callers_token_is_exchanged_for_one_of_its_own() {
    let tokens = TokenServer::start(|_, seen| {
        let form = String::from_utf8_lossy(&seen.body).into_owned();
        assert!(form.contains("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange"), "{form}");
        let subject = form.split('&').find_map(|pair| pair.strip_prefix("subject_token=")).expect("a subject");
        if subject == "bad" {
            return status(400, "", r#"{"error":"invalid_grant"}"#);
        }
        let kind = "urn:ietf:params:oauth:token-type:access_token";
        let token = format!(r#""access_token":"for-{subject}-abcdef","issued_token_type":"{kind}""#);
        ok("application/json", format!(r#"{{{token},"token_type":"Bearer","expires_in":60}}"#))
    });
    let vendor = Upstream::json("{}");
    let credentials = tokens.credentials(&format!("{BASIC}, grant: token_exchange"));
    let gateway = gateway(&vendor, &credentials, &[("client", SECRET)]);
    let as_caller =
        |token: &str| call(&gateway, "GET /acme/v2/things", &format!("Authorization: Bearer {token}\r\n"), "");
    std::thread::scope(|scope| {
        for i in 0..30 {
            let as_caller = &as_caller;
            scope.spawn(move || assert_eq!(as_caller(["ann", "bob"][i % 2]).status, 200));
        }
    });
    assert_eq!(tokens.asked(), 2, "one question for each caller");
    let seen: Vec<_> = vendor.seen().iter().flat_map(authorization).collect();
    for caller in ["ann", "bob"] {
        let own = format!("Bearer for-{caller}-abcdef");
        assert_eq!(seen.iter().filter(|value| **value == own).count(), 15, "{caller}");
    }
    for _ in 0..10 {
        let refused = as_caller("bad");
        assert_eq!((refused.status, refused.reason().as_str()), (401, "subject_token_refused"));
        assert_eq!(get(&gateway).reason(), "subject_token_refused", "no token at all");
    }
    assert_eq!((tokens.asked(), vendor.seen().len()), (3, 30));
}

#[test]
fn nothing_that_operators_or_services_read_holds_a_secret() {
    let tokens = TokenServer::start(|number, seen| {
        // A server that repeats in its errors what it was sent.
        let sent = format!("{} {}", seen.head, String::from_utf8_lossy(&seen.body));
        let sent = sent.replace(['"', '\r', '\n', '\\'], " ");
        let error = format!(r#"{{"error":"{sent}","error_description":"{sent}"}}"#);
        if number % 2 == 1 { status(400, "", &error) } else { token(number, "") }
    });
    let vendor = Upstream::start(|seen, asker| {
        asker.write(status(401, &format!("X-Echo: {}\r\n", authorization(seen).concat()), "no")).is_ok()
    });
    let credentials = tokens.credentials("client_auth: client_secret_post, secret: { file: ../client }");
    let gateway = gateway(&vendor, &credentials, &[("client", SECRET)]);
    let mut said: Vec<Answer> = Vec::new();
    until("a token", || {
        said.push(get(&gateway));
        said.last().is_some_and(|answer| answer.status == 401)
    });
    let id = said[0].json()["request_id"].as_str().expect("an id").to_owned();
    let request = format!("/v1/requests?id={id}");
    for path in ["/v1/vendors", "/v1/vendors/acme", "/metrics", "/readyz?verbose", "/v1/audit", &request] {
        said.push(gateway.admin("viewer", "GET", path, ""));
    }
    let encoded = STANDARD.encode(SECRET);
    for secret in [SECRET, "token-", "S3cr3t", "0urs%2B", encoded.as_str()] {
        assert!(said.iter().all(|answer| !answer.holds(secret)), "{secret}");
        assert!(!gateway.log().contains(secret), "{secret} is in the log");
    }
}
