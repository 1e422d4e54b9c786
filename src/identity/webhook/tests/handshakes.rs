//! Handshakes: each is answered in its own form, and nothing is signed for a stranger.

use super::*;

/// All handshakes at once, so that each is seen to leave the others' messages alone. `signed`: as under the vendor's
/// secret.
fn ask(method: &Method, target: &str, body: &str, signed: bool) -> Option<String> {
    let all = [
        WebhookHandshake::Slack,
        WebhookHandshake::Zoom,
        WebhookHandshake::MsGraph,
        WebhookHandshake::Meta,
        WebhookHandshake::Dropbox,
    ];
    let (secret, token) = (Secret::new(b"verify-me".to_vec()), Secret::new(b"agreed-on".to_vec()));
    let shared = SharedSecrets { signer: Some(&secret).filter(|_| signed), verify: Some(&token) };
    let headers = HeaderMap::new();
    let sent = WebhookRequest { method, scheme: "https", authority: "a", target, headers: &headers };
    let fitting = all.into_iter().filter(|handshake| handshake.fits(&sent));
    let mut answers = fitting.filter_map(|one| one.answer(&sent, body.as_bytes(), shared));
    answers.next().map(|greeting| greeting.body)
}

const ZOOM: &str = r#"{"event":"endpoint.url_validation","payload":{"plainToken":"qgg8"},"event_ts":1}"#;

#[test]
fn a_handshake_is_answered_in_its_own_form_and_in_no_other() {
    let slack = r#"{"token":"t","challenge":"3eZbrw1a","type":"url_verification"}"#;
    assert_eq!(ask(&Method::POST, "/e", slack, false), Some("3eZbrw1a".into()));
    let encrypted = hex_of(&mac(WebhookProof::HmacSha256, "verify-me", "qgg8"));
    let want = serde_json::json!({ "plainToken": "qgg8", "encryptedToken": encrypted });
    let said = ask(&Method::POST, "/e", ZOOM, true).and_then(|text| serde_json::from_str(&text).ok());
    assert_eq!(said, Some(want));
    assert_eq!(ask(&Method::POST, "/e", ZOOM, false), None, "nothing is signed for a stranger");
    assert_eq!(ask(&Method::POST, "/e?validationToken=Validation%3A+a", "", false), Some("Validation: a".into()));
    assert_eq!(ask(&Method::GET, "/e?challenge=abc", "", false), Some("abc".into()));
    let meta = "/e?hub.mode=subscribe&hub.challenge=115&hub.verify_token=";
    assert_eq!(ask(&Method::GET, &format!("{meta}agreed-on"), "", false), Some("115".into()));
    for (method, target, body) in [
        (Method::GET, format!("{meta}agreed-o"), ""),
        (Method::GET, format!("{meta}verify-me"), ""),
        (Method::GET, "/e?hub.mode=subscribe&hub.challenge=115".into(), ""),
        (Method::GET, "/e?hub.challenge=115&hub.verify_token=agreed-on".into(), ""),
        (Method::POST, format!("{meta}agreed-on"), ""),
        (Method::GET, "/e?challenge=<script>".into(), ""),
        (Method::GET, "/e?challenge=%3Cscript%3E".into(), ""),
        (Method::GET, "/e?challenge=a&challenge=b".into(), ""),
        (Method::GET, format!("/e?challenge={}", "x".repeat(5000)), ""),
        (Method::GET, "/e?challenge=%0D%0Ax".into(), ""),
        (Method::POST, "/e?challenge=abc".into(), ""),
        (Method::POST, "/e?validationToken=a".into(), r#"{"value":[]}"#),
        (Method::POST, "/e".into(), r#"{"type":"event_callback","challenge":"x"}"#),
        (Method::POST, "/e".into(), r#"{"type":"url_verification","type":"x","challenge":"x"}"#),
        (Method::POST, "/e".into(), r#"{"event":"endpoint.url_validation"}"#),
        (Method::POST, "/e".into(), ""),
    ] {
        assert_eq!(ask(&method, &target, body, true), None, "{method} {target} {body}");
    }
}

#[test]
fn a_signed_handshake_is_answered_and_not_recorded_as_a_message() {
    let secret = "a secret of thirty-two bytes, yes";
    let recipe = preset(WebhookPreset::Zoom);
    let mut zoom = world(recipe, &[secret]);
    let settings = WebhookSettings { handshakes: WebhookPreset::Zoom.recipe().1, ..zoom.webhook.settings.clone() };
    let (vendor, cache) = (zoom.webhook.vendor.clone(), Arc::clone(&zoom.webhook.cache));
    zoom.webhook =
        Arc::new(WebhookVerifier::open(vendor, 5, settings, Arc::default(), RevocationSlot::default(), cache));
    let mut headers = HeaderMap::new();
    let signature = hex_of(&mac(WebhookProof::HmacSha256, secret, &format!("v0:{SENT}:{ZOOM}")));
    headers.insert("x-zm-signature", format!("v0={signature}").parse().expect("a value"));
    headers.insert("x-zm-request-timestamp", SENT.into());
    let now = Moment { wall: UnixTime::from_secs(SENT), monotonic_ns: 1 };
    let sent =
        WebhookRequest { method: &Method::POST, scheme: "https", authority: "a", target: "/e", headers: &headers };
    for _ in 0..2 {
        let outcome = zoom.webhook.begin(&headers, now).and_then(|check| check.finish(&sent, ZOOM.as_bytes(), now));
        assert!(matches!(outcome, Ok(WebhookOutcome::Greeting(_))), "{outcome:?}");
    }
    let other = zoom.webhook.begin(&headers, now).and_then(|check| check.finish(&sent, b"{}", now));
    assert_eq!(other.map(|_| ()).map_err(|denial| denial.reason), Err(Reason::TokenInvalid));
    assert!(!zoom.webhook.may_be_handshake(&sent) && zoom.webhook.answer_handshake(&sent, ZOOM.as_bytes()).is_none());
}
