//! Examples that vendors publish, every preset as its vendor documents it, and what a contract can spell out.

use super::*;

/// The examples that GitHub, Slack and Twilio publish in their documentation.
#[test]
fn published_examples_of_vendors_pass() {
    let github = world(preset(WebhookPreset::Github), &["It's a Secret to Everybody"]);
    let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let headers = [("x-hub-signature-256", signature), ("x-github-delivery", "d1")];
    assert!(check(&github, &headers, b"Hello, World!", SENT).is_ok());
    let slack = world(preset(WebhookPreset::Slack), &["8f742231b10e8888abcd99yyyzzz85a5"]);
    let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
    let headers = [("x-slack-signature", signature), ("x-slack-request-timestamp", "1531420618")];
    assert!(check(&slack, &headers, body.as_bytes(), 1_531_420_618).is_ok());
    let twilio = world(preset(WebhookPreset::Twilio), &["12345"]);
    let body = "To=%2B18005551212&Digits=1234&From=%2B14158675309&CallSid=CA1234567890ABCDE&Caller=%2B14158675309";
    let form = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");
    let headers = [("x-twilio-signature", "RSOYDt4T1cUTdK1PDd93/VVr8B8="), form];
    assert!(check(&twilio, &headers, body.as_bytes(), SENT).is_ok());
    let changed = body.replace("1234&", "1235&");
    assert_eq!(check(&twilio, &headers, changed.as_bytes(), SENT).err(), Some(Reason::TokenInvalid));
    let no_form = [headers[0], ("content-type", "application/json")];
    assert_eq!(
        check(&twilio, &no_form, body.as_bytes(), SENT).err(),
        Some(Reason::TokenInvalid),
        "a body that is unsigned"
    );
}

#[test]
fn every_preset_signs_as_its_vendor_documents_it() {
    let secret = "whsec_0123456789abcdef0123456789abcdef";
    let body = r#"{"event":"heartbeat"}"#;
    let (now, millis) = (SENT.to_string(), format!("{SENT}123"));
    let sha256 = |text: &str| mac(WebhookProof::HmacSha256, secret, text);
    let base64 = |text: &str| STANDARD.encode(sha256(text));
    let timed = format!("{now}.{body}");
    let url = format!("https://mycompany.com{TARGET}");
    let raw = |preset: WebhookPreset| WebhookRecipe { secret: WebhookSecretEncoding::Raw, ..preset.recipe().0 };
    let cases: Vec<(WebhookPreset, Vec<(&str, String)>)> = vec![
        (
            WebhookPreset::Svix,
            vec![
                ("svix-id", "m1".into()),
                ("svix-timestamp", now.clone()),
                ("svix-signature", format!("v1,AAAA v1,{}", base64(&format!("m1.{timed}")))),
            ],
        ),
        (
            WebhookPreset::Stripe,
            vec![(
                "stripe-signature",
                format!("t={now},v1={},v1={},v0=6ffbb59b", "0".repeat(64), hex_of(&sha256(&timed))),
            )],
        ),
        (
            WebhookPreset::Calendly,
            vec![("calendly-webhook-signature", format!("t={now}, v1={}", hex_of(&sha256(&timed))))],
        ),
        (
            WebhookPreset::Paddle,
            vec![("paddle-signature", format!("ts={now};h1={}", hex_of(&sha256(&format!("{now}:{body}")))))],
        ),
        (WebhookPreset::Gitlab, vec![("x-gitlab-token", secret.into())]),
        (
            WebhookPreset::Zoom,
            vec![
                ("x-zm-signature", format!("v0={}", hex_of(&sha256(&format!("v0:{now}:{body}"))))),
                ("x-zm-request-timestamp", now.clone()),
            ],
        ),
        (WebhookPreset::Shopify, vec![("x-shopify-hmac-sha256", base64(body))]),
        (
            WebhookPreset::Pagerduty,
            vec![("x-pagerduty-signature", format!("v1={},v1={}", "1".repeat(64), hex_of(&sha256(body))))],
        ),
        (WebhookPreset::Square, vec![("x-square-hmacsha256-signature", base64(&format!("{url}{body}")))]),
        (
            WebhookPreset::Hubspot,
            vec![
                ("x-hubspot-signature-v3", base64(&format!("POST{url}{body}{millis}"))),
                ("x-hubspot-request-timestamp", millis),
            ],
        ),
        (WebhookPreset::Meta, vec![("x-hub-signature-256", format!("sha256={}", hex_of(&sha256(body))))]),
        (WebhookPreset::Dropbox, vec![("x-dropbox-signature", hex_of(&sha256(body)))]),
        (WebhookPreset::Typeform, vec![("typeform-signature", format!("sha256={}", base64(body)))]),
        (WebhookPreset::Linear, vec![("linear-signature", hex_of(&sha256(body)))]),
        (
            WebhookPreset::Intercom,
            vec![("x-hub-signature", format!("sha1={}", hex_of(&mac(WebhookProof::HmacSha1, secret, body))))],
        ),
    ];
    for (preset, headers) in cases {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let fresh = || world(raw(preset), &["the secret that is being replaced", secret]);
        assert!(check(&fresh(), &headers, body.as_bytes(), SENT).is_ok(), "{preset:?}");
        let other = world(raw(preset), &["somebody else's secret, long enough"]);
        assert_eq!(check(&other, &headers, body.as_bytes(), SENT).err(), Some(Reason::TokenInvalid), "{preset:?}");
        let changed = check(&fresh(), &headers, b"{}", SENT).err();
        let signs = preset != WebhookPreset::Gitlab;
        assert_eq!(changed, signs.then_some(Reason::TokenInvalid), "{preset:?}: another body");
        let twice = [headers.as_slice(), &headers[..1]].concat();
        assert_eq!(check(&fresh(), &twice, body.as_bytes(), SENT).err(), Some(Reason::TokenMissing), "{preset:?}");
        let late = check(&fresh(), &headers, body.as_bytes(), SENT + 301).err();
        let dated = raw(preset).timestamp.is_some();
        assert_eq!(late, dated.then_some(Reason::TokenExpired), "{preset:?}: late");
        if raw(preset).signed.has(&TemplatePart::Url) {
            let elsewhere = check_to(&fresh(), (&Method::POST, "/other"), &headers, body.as_bytes(), SENT).err();
            assert_eq!(elsewhere, Some(Reason::TokenInvalid), "{preset:?}: another address");
        }
    }
}

#[test]
fn a_header_of_several_parts_must_have_exactly_one_time() {
    let stripe = world(preset(WebhookPreset::Stripe), &["a secret of thirty-two bytes, yes"]);
    let signature =
        hex_of(&mac(WebhookProof::HmacSha256, "a secret of thirty-two bytes, yes", &format!("{SENT}.{{}}")));
    let check = |header: String| check(&stripe, &[("stripe-signature", &header)], b"{}", SENT).err();
    for header in [
        format!("t={SENT},t={SENT},v1={signature}"),
        format!("v1={signature}"),
        format!("t=,v1={signature}"),
        format!("t={SENT}"),
        format!("t={SENT},v1"),
        format!("t={SENT};v1={signature}"),
        format!("T={SENT},v1={signature}"),
    ] {
        assert_eq!(check(header.clone()), Some(Reason::TokenMissing), "{header}");
    }
    assert_eq!(check(format!("t={},v1={signature}", SENT + 1)), Some(Reason::TokenInvalid), "the time is signed");
    assert_eq!(check(format!("v0=x,t={SENT},v1={signature},scheme=x")), None);
}

#[test]
fn times_and_encodings_are_read_as_the_contract_says() {
    let secret = "a secret of thirty-two bytes, yes";
    let recipe = |format, encoding, proof| WebhookRecipe {
        timestamp: Some((HeaderPart::whole("x-time", ""), format)),
        proof,
        ..WebhookRecipe::hmac(
            HeaderPart::whole("x-sign", ""),
            encoding,
            SignatureTemplate::parse("{timestamp}|{body}").expect("good"),
        )
    };
    let url_safe = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    for (format, time) in [
        (TimestampFormat::Seconds, "1614265330"),
        (TimestampFormat::Millis, "1614265330999"),
        (TimestampFormat::Iso8601, "2021-02-25T15:02:10Z"),
    ] {
        for proof in [WebhookProof::HmacSha1, WebhookProof::HmacSha256, WebhookProof::HmacSha512] {
            let tag = mac(proof, secret, &format!("{time}|{{}}"));
            for (encoding, written) in [
                (SignatureEncoding::Hex, hex_of(&tag)),
                (SignatureEncoding::Base64, STANDARD.encode(&tag)),
                (SignatureEncoding::Base64Url, url_safe.encode(&tag)),
                (SignatureEncoding::HexOrBase64, STANDARD.encode(&tag)),
                (SignatureEncoding::HexOrBase64, hex_of(&tag).to_uppercase()),
            ] {
                let world = world(recipe(format, encoding, proof), &[secret]);
                let headers = [("x-time", time), ("x-sign", written.as_str())];
                assert!(check(&world, &headers, b"{}", SENT).is_ok(), "{format:?} {proof:?} {encoding:?}");
                let short = [("x-time", time), ("x-sign", &written[..written.len() - 4])];
                assert_eq!(check(&world, &short, b"{}", SENT).err(), Some(Reason::TokenMissing));
            }
        }
    }
}
