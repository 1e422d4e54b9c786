//! AWS Signature Version 4: the canonical request, the string to sign and the `Authorization` field.
//!
//! Every header that leaves and that no proxy may change on the way is signed, and the body where it is held whole. Of
//! S3 the path is signed as it is sent; of other services it is encoded once more, as AWS documents.

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, HeaderValue, Method, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use zeroize::Zeroizing;

use super::endpoint::sensitive;
use super::error::CredentialError;
use super::settings::SigV4Settings;
use crate::model::{Secret, UnixTime, hex};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// What stands for the digest of a body that is not held whole. Only S3 takes it, and only over TLS.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
/// The characters that RFC 3986 reserves nothing for: all others are encoded.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PATH: &AsciiSet = &UNRESERVED.remove(b'/');

/// The keys that a request is signed with.
pub(super) struct SigningKeys<'a> {
    pub(super) secret: &'a str,
    pub(super) session_token: Option<&'a str>,
}

/// The head of the request to be signed.
pub(super) struct SignedHead<'a> {
    pub(super) method: &'a Method,
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a mut HeaderMap,
}

/// Whether a service signs its path as it is sent, and takes a body without a digest.
pub(super) fn is_s3(settings: &SigV4Settings) -> bool {
    matches!(settings.service.as_str(), "s3" | "s3-object-lambda" | "s3-outposts" | "s3express")
}

/// Signs a request: sets `X-Amz-Date`, `X-Amz-Security-Token`, for S3 `X-Amz-Content-Sha256`, and `Authorization`.
/// `body` is the whole body; `None` where it is streamed.
pub(super) fn sign(
    settings: &SigV4Settings,
    keys: &SigningKeys<'_>,
    head: SignedHead<'_>,
    body: Option<&[u8]>,
    now: UnixTime,
) -> Result<(), CredentialError> {
    let unusable = |what: &'static str| CredentialError::Unusable(what);
    let payload = match body {
        Some(body) => hex(&Sha256::digest(body)),
        None if is_s3(settings) => UNSIGNED.to_owned(),
        None => return Err(CredentialError::BodyTooLarge),
    };
    let time = date_time(now);
    let (date, _) = time.split_at(8);
    let headers = head.headers;
    headers.insert("x-amz-date", HeaderValue::try_from(&time).map_err(|_| unusable("the time cannot be written"))?);
    if let Some(token) = keys.session_token {
        let token = sensitive(&Secret::new(token.trim_end().to_owned()));
        headers.insert("x-amz-security-token", token.ok_or(unusable("the session token cannot stand in a header"))?);
    }
    if is_s3(settings) {
        let digest = HeaderValue::try_from(&payload).map_err(|_| unusable("the digest cannot be written"))?;
        headers.insert("x-amz-content-sha256", digest);
    }
    let (canonical, signed_headers) = canonical_request(settings, (head.method, head.uri, headers), &payload);
    let scope = format!("{date}/{}/{}/aws4_request", settings.region, settings.service);
    let to_sign = format!("{ALGORITHM}\n{time}\n{scope}\n{}", hex(&Sha256::digest(canonical.as_bytes())));
    let key = signing_key(keys.secret.trim_end(), [date, &settings.region, &settings.service, "aws4_request"]);
    let signature = hex(&mac(&key[..], to_sign.as_bytes()));
    let text = format!(
        "{ALGORITHM} Credential={}/{scope}, SignedHeaders={signed_headers}, Signature={signature}",
        settings.access_key_id
    );
    let value = sensitive(&Secret::new(text)).ok_or(unusable("the access key's id cannot stand in a header"))?;
    headers.insert(AUTHORIZATION, value);
    Ok(())
}

fn canonical_request(
    settings: &SigV4Settings,
    (method, uri, headers): (&Method, &Uri, &HeaderMap),
    payload: &str,
) -> (String, String) {
    let path = if uri.path().is_empty() { "/" } else { uri.path() };
    let path = if is_s3(settings) { path.to_owned() } else { utf8_percent_encode(path, PATH).to_string() };
    let query = canonical_query(uri.query().unwrap_or_default());
    let mut names: Vec<&str> = headers.keys().map(http::HeaderName::as_str).filter(|name| is_signed(name)).collect();
    names.sort_unstable();
    let mut fields = String::new();
    for name in &names {
        let values: Vec<String> = headers.get_all(*name).iter().map(trimmed).collect();
        let _ = writeln!(fields, "{name}:{}", values.join(","));
    }
    let signed = names.join(";");
    (format!("{method}\n{path}\n{query}\n{fields}\n{signed}\n{payload}"), signed)
}

/// Signed: what AWS demands, and what says how the body is read. A proxy may change other fields.
fn is_signed(name: &str) -> bool {
    name == HOST.as_str()
        || name == "content-type"
        || name == "content-md5"
        || name == "range"
        || name.starts_with("x-amz-")
}

/// A header's value without space around it, and with one space for several within it.
fn trimmed(value: &HeaderValue) -> String {
    let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
    text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// The parameters, encoded and sorted by name and value.
fn canonical_query(query: &str) -> String {
    let encode = |text: &str| {
        let decoded: Vec<u8> = percent_decode_str(text).collect();
        percent_encoding::percent_encode(&decoded, UNRESERVED).to_string()
    };
    let parameters = query.split('&').filter(|parameter| !parameter.is_empty()).map(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        (encode(name), encode(value))
    });
    let mut parameters: Vec<_> = parameters.collect();
    parameters.sort();
    let written: Vec<String> = parameters.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    written.join("&")
}

fn signing_key(secret: &str, steps: [&str; 4]) -> Zeroizing<[u8; 32]> {
    let first = Zeroizing::new(format!("AWS4{secret}").into_bytes());
    let mut key = Zeroizing::new(mac(&first, steps[0].as_bytes()));
    for step in &steps[1..] {
        key = Zeroizing::new(mac(&key[..], step.as_bytes()));
    }
    key
}

fn mac(key: &[u8], message: &[u8]) -> [u8; 32] {
    // HMAC takes keys of any length, so this cannot fail; a wrong signature would be refused by AWS.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// The time as `20150830T123600Z`.
fn date_time(now: UnixTime) -> String {
    let text = UnixTime::from_secs(now.as_secs()).to_string();
    let (seconds, _) = text.split_once('.').unwrap_or((&text, ""));
    let mut short: String = seconds.chars().filter(|c| c.is_ascii_digit() || *c == 'T').collect();
    short.push('Z');
    short
}

#[cfg(test)]
mod tests;
