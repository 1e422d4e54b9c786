//! Signs a request with a shared secret, as the vendor asks for it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::Hmac;
use http::{HeaderMap, HeaderValue, Method, Uri};

use super::endpoint::sensitive;
use super::error::CredentialError;
use super::request_template::SignedRequest;
use super::settings::HmacSettings;
use crate::identity::{SignatureEncoding, TimestampFormat, WebhookProof};
use crate::model::{Secret, UnixTime, hex};

/// Signs a request: sets the headers of the time, of the key's id and of the signature.
pub(super) fn sign(
    settings: &HmacSettings,
    secret: &[u8],
    (method, uri, headers): (&Method, &Uri, &mut HeaderMap),
    body: Option<&[u8]>,
    now: UnixTime,
) -> Result<(), CredentialError> {
    let body = match body {
        Some(body) => body,
        None if settings.signed.reads_body() => return Err(CredentialError::BodyTooLarge),
        None => &[],
    };
    let mut timestamp = String::new();
    if let Some((name, format)) = &settings.timestamp {
        timestamp = written(*format, now);
        let value = HeaderValue::try_from(&timestamp);
        headers.insert(name, value.map_err(|_| CredentialError::Unusable("the time cannot be written"))?);
    }
    if let Some((name, id)) = &settings.key_id {
        let value = HeaderValue::try_from(id.as_str());
        headers.insert(name, value.map_err(|_| CredentialError::Unusable("the key's id cannot stand in a header"))?);
    }
    let signed = SignedRequest { method, uri, headers, body, timestamp: &timestamp };
    let parts = settings.signed.render(&signed);
    let bytes = match settings.digest {
        WebhookProof::HmacSha1 => mac_sha1(secret, &parts.concat()),
        WebhookProof::HmacSha256 => parts_of::<Hmac<sha2::Sha256>>(secret, &parts),
        WebhookProof::HmacSha512 => parts_of::<Hmac<sha2::Sha512>>(secret, &parts),
        WebhookProof::Token => return Err(CredentialError::Unusable("a signature needs a digest")),
    };
    drop(parts);
    let text = match settings.encoding {
        SignatureEncoding::HexOrBase64 | SignatureEncoding::Hex => hex(&bytes),
        SignatureEncoding::Base64 => STANDARD.encode(&bytes),
        SignatureEncoding::Base64Url => URL_SAFE_NO_PAD.encode(&bytes),
    };
    let (name, prefix) = &settings.header;
    let value = sensitive(&Secret::new(format!("{prefix}{text}")));
    headers.insert(name, value.ok_or(CredentialError::Unusable("the signature's prefix cannot stand in a header"))?);
    Ok(())
}

fn parts_of<M: hmac::KeyInit + hmac::Mac>(secret: &[u8], parts: &[std::borrow::Cow<'_, [u8]>]) -> Vec<u8> {
    // HMAC takes keys of any length, so this cannot fail; an empty signature would be refused by the vendor.
    let Ok(mut mac) = <M as hmac::KeyInit>::new_from_slice(secret) else { return Vec::new() };
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

/// HMAC-SHA-1, for vendors that have nothing better.
fn mac_sha1(secret: &[u8], message: &[u8]) -> Vec<u8> {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    aws_lc_rs::hmac::sign(&key, message).as_ref().to_vec()
}

fn written(format: TimestampFormat, now: UnixTime) -> String {
    match format {
        TimestampFormat::Seconds => now.as_secs().to_string(),
        TimestampFormat::Millis => now.as_millis().to_string(),
        TimestampFormat::Iso8601 => now.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::request_template::RequestTemplate;
    use crate::credentials::settings::{SecretSettings, SecretSource};
    use crate::identity::WebhookSecretEncoding;

    fn signed(digest: WebhookProof, encoding: SignatureEncoding, template: &str, body: Option<&[u8]>) -> String {
        let settings = HmacSettings {
            secret: SecretSettings {
                source: SecretSource::Environment("X".into()),
                encoding: WebhookSecretEncoding::Raw,
                max_age: None,
            },
            digest,
            encoding,
            signed: RequestTemplate::parse(template).expect("a template"),
            header: ("x-signature".parse().expect("a name"), "v1=".into()),
            timestamp: template
                .contains("timestamp")
                .then(|| ("x-time".parse().expect("a name"), TimestampFormat::Seconds)),
            key_id: Some(("x-key".parse().expect("a name"), "k1".into())),
        };
        let (mut headers, uri) = (HeaderMap::new(), Uri::from_static("/a?b"));
        match sign(&settings, b"key", (&Method::GET, &uri, &mut headers), body, UnixTime::from_secs(1_700_000_000)) {
            Ok(()) => {
                assert!(headers["x-signature"].is_sensitive() && headers["x-key"] == "k1");
                headers["x-signature"].to_str().expect("text").to_owned()
            }
            Err(error) => error.to_string(),
        }
    }

    /// The well-known example of each digest: the key `key` over the fox.
    #[test]
    fn a_signature_is_that_of_the_published_example() {
        let fox = Some(&b"The quick brown fox jumps over the lazy dog"[..]);
        for (digest, encoding, signature) in [
            (
                WebhookProof::HmacSha256,
                SignatureEncoding::Hex,
                "v1=f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8",
            ),
            (WebhookProof::HmacSha1, SignatureEncoding::Hex, "v1=de7c9b85b8b78aa6bc8a7a36f70a90701c9db4d9"),
            (WebhookProof::HmacSha1, SignatureEncoding::Base64, "v1=3nybhbi3iqa8ino29wqQcBydtNk="),
        ] {
            assert_eq!(signed(digest, encoding, "{body}", fox), signature);
        }
    }

    #[test]
    fn a_body_that_is_not_held_cannot_be_signed_and_need_not_be_where_no_part_is_the_body() {
        let error = CredentialError::BodyTooLarge.to_string();
        assert_eq!(signed(WebhookProof::HmacSha256, SignatureEncoding::Hex, "{timestamp}{body_sha256}", None), error);
        let stamped = signed(WebhookProof::HmacSha256, SignatureEncoding::Hex, "{timestamp}{method}", None);
        assert!(stamped.starts_with("v1=") && stamped.len() == 67, "{stamped}");
    }
}
