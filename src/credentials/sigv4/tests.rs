//! The signatures of the AWS Signature Version 4 test suite (published by AWS, Apache-2.0, as in its SDKs), and of the
//! examples in the S3 API reference. Of the suite are those whose target a client can send: it is percent-encoded.

use super::*;
use crate::credentials::settings::{SecretSettings, SecretSource};
use crate::identity::WebhookSecretEncoding;

const SUITE_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
/// The time of the suite: 2015-08-30T12:36:00Z.
const SUITE_TIME: UnixTime = UnixTime::from_secs(1_440_938_160);

fn settings(id: &str, service: &str) -> SigV4Settings {
    let source = SecretSource::Environment("X".into());
    SigV4Settings {
        access_key_id: id.into(),
        secret: SecretSettings { source, encoding: WebhookSecretEncoding::Raw, max_age: None },
        session_token: None,
        region: "us-east-1".into(),
        service: service.into(),
    }
}

fn authorization(
    settings: &SigV4Settings,
    keys: &SigningKeys<'_>,
    (method, target): (&Method, &str),
    fields: &[(&'static str, &str)],
    (body, now): (Option<&[u8]>, UnixTime),
) -> Result<String, CredentialError> {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, value.parse().expect("a value"));
    }
    let uri: Uri = target.parse().expect("a target");
    sign(settings, keys, SignedHead { method, uri: &uri, headers: &mut headers }, body, now)?;
    assert!(headers[AUTHORIZATION].is_sensitive());
    Ok(headers[AUTHORIZATION].to_str().expect("text").to_owned())
}

#[test]
fn signatures_are_those_of_the_published_suite() {
    let keys = SigningKeys { secret: SUITE_KEY, session_token: None };
    let form = ("content-type", "application/x-www-form-urlencoded");
    for (name, method, target, field, body, signature) in [
        (
            "get-vanilla",
            &Method::GET,
            "/",
            None,
            "",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "get-vanilla-empty-query-key",
            &Method::GET,
            "/?Param1=value1",
            None,
            "",
            "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb",
        ),
        (
            "get-vanilla-query-order-key-case",
            &Method::GET,
            "/?Param2=value2&Param1=value1",
            None,
            "",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            "get-vanilla-query-unreserved",
            &Method::GET,
            "/?-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz=-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            None,
            "",
            "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
        ),
        (
            "get-vanilla-utf8-query",
            &Method::GET,
            "/?%E1%88%B4=bar",
            None,
            "",
            "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
        ),
        (
            "post-vanilla",
            &Method::POST,
            "/",
            None,
            "",
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
        (
            "post-x-www-form-urlencoded",
            &Method::POST,
            "/",
            Some(form),
            "Param1=value1",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
    ] {
        let fields: Vec<_> = [Some(("host", "example.amazonaws.com")), field].into_iter().flatten().collect();
        let settings = settings("AKIDEXAMPLE", "service");
        let signed = authorization(&settings, &keys, (method, target), &fields, (Some(body.as_bytes()), SUITE_TIME))
            .expect(name);
        let signed_headers = if field.is_some() { "content-type;host;x-amz-date" } else { "host;x-amz-date" };
        let expected = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders={signed_headers}, Signature={signature}"
        );
        assert_eq!(signed, expected, "{name}");
    }
}

/// "Example: GET Object" of the S3 API reference.
#[test]
fn a_signature_for_s3_is_that_of_its_reference() {
    let keys = SigningKeys { secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", session_token: None };
    let settings = settings("AKIAIOSFODNN7EXAMPLE", "s3");
    let fields = [("host", "examplebucket.s3.amazonaws.com"), ("range", "bytes=0-9")];
    // 2013-05-24T00:00:00Z.
    let now = UnixTime::from_secs(1_369_353_600);
    let signed = authorization(&settings, &keys, (&Method::GET, "/test.txt"), &fields, (Some(b""), now));
    let signed = signed.expect("signed");
    assert!(signed.ends_with("Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"), "{signed}");
}

#[test]
fn a_body_that_is_not_held_is_signed_for_s3_alone() {
    let keys = SigningKeys { secret: SUITE_KEY, session_token: Some("the-session") };
    let put = |service: &str| {
        let fields = [("host", "example.amazonaws.com")];
        authorization(&settings("A", service), &keys, (&Method::PUT, "/a"), &fields, (None, SUITE_TIME))
    };
    let signed = put("s3").expect("unsigned payload");
    assert!(signed.contains("SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token"), "{signed}");
    assert_eq!(put("execute-api"), Err(CredentialError::BodyTooLarge));
}
