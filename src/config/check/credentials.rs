//! Checks `egress.credentials` of a contract: its kind and where it stands in a request.

use http::HeaderName;
use ipnet::IpNet;

use super::oauth;
use super::secret_sources::secret;
use crate::config::file::credentials as written;
use crate::config::source::Cursor;
use crate::credentials::{ApiKeyPlace, CredentialSettings, HmacSettings, RequestTemplate, SigV4Settings};
use crate::identity::{SignatureEncoding, TimestampFormat, WebhookProof};

/// Fields that a credential must never be put into: they frame the message or name its target.
const TAKEN_HEADERS: [&str; 9] =
    ["host", "content-length", "transfer-encoding", "connection", "content-type", "te", "upgrade", "expect", "trailer"];

/// Checks what is written under `credentials:`. `networks` are those that the vendor's names may resolve to.
pub(super) fn credentials(
    at: &Cursor<'_>,
    written: &written::CredentialsConfig,
    networks: &[IpNet],
) -> Option<CredentialSettings> {
    let kinds = [
        written.oauth2.is_some(),
        written.bearer.is_some(),
        written.api_key.is_some(),
        written.basic.is_some(),
        written.hmac.is_some(),
        written.aws_sigv4.is_some(),
    ];
    if kinds.into_iter().filter(|is_there| *is_there).count() != 1 {
        let wrong = "must have exactly one of oauth2, bearer, api_key, basic, hmac and aws_sigv4";
        at.fault(wrong, "keep the one that the vendor asks for");
        return None;
    }
    if let Some(oauth2) = &written.oauth2 {
        return oauth::oauth(&at.key("oauth2"), oauth2, networks);
    }
    if let Some(bearer) = &written.bearer {
        return Some(CredentialSettings::Bearer(secret(&at.key("bearer").key("secret"), bearer.secret.as_ref()?)?));
    }
    if let Some(api_key) = &written.api_key {
        return self::api_key(&at.key("api_key"), api_key);
    }
    if let Some(basic) = &written.basic {
        return self::basic(&at.key("basic"), basic);
    }
    if let Some(hmac) = &written.hmac {
        return self::hmac(&at.key("hmac"), hmac);
    }
    written.aws_sigv4.as_ref().and_then(|aws| sigv4(&at.key("aws_sigv4"), aws))
}

fn api_key(at: &Cursor<'_>, written: &written::ApiKeyConfig) -> Option<CredentialSettings> {
    let place = match (&written.header, &written.query) {
        (Some(name), None) => {
            let prefix = prefix(&at.key("prefix"), written.prefix.as_deref());
            header(&at.key("header"), name).map(|name| ApiKeyPlace::Header(name, prefix))
        }
        (None, Some(name)) => {
            if written.prefix.is_some() {
                at.key("prefix").fault("belongs to a header", "take it out");
            }
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
            if name.is_empty() || !name.bytes().all(is_plain) {
                at.key("query").invalid("must be a name of letters, digits, '-', '_', '.' and '~'", "api_key");
            }
            Some(ApiKeyPlace::Query(name.clone()))
        }
        (None, None) | (Some(_), Some(_)) => {
            at.fault("must have exactly one of header and query", "write header: x-api-key");
            None
        }
    };
    let secret = secret(&at.key("secret"), written.secret.as_ref()?)?;
    Some(CredentialSettings::ApiKey(place?, secret))
}

fn basic(at: &Cursor<'_>, written: &written::BasicConfig) -> Option<CredentialSettings> {
    let username = written.username.clone()?;
    // RFC 7617 section 2: a colon would end it.
    if username.contains(':') || username.chars().any(char::is_control) {
        at.key("username").invalid("must hold no colon", "our-company");
    }
    Some(CredentialSettings::Basic(username, secret(&at.key("secret"), written.secret.as_ref()?)?))
}

fn hmac(at: &Cursor<'_>, written: &written::HmacConfig) -> Option<CredentialSettings> {
    let template = written.signed.as_deref().map(RequestTemplate::parse);
    let template = match template? {
        Ok(template) => Some(template),
        Err(wrong) => {
            at.key("signed").invalid(wrong, "\"{timestamp}{method}{target}{body}\"");
            None
        }
    };
    let timestamp = timestamp(at, written, template.as_ref());
    let digest = written.digest.unwrap_or(WebhookProof::HmacSha256);
    let key_id = match &written.key_id {
        Some(entries) if entries.len() == 1 => {
            let mut entries = entries.iter();
            entries.next().and_then(|(name, id)| Some((header(&at.key("key_id"), name)?, id.clone())))
        }
        Some(_) => {
            at.key("key_id").fault("must have one entry", "write key_id: { x-acme-key: our-company }");
            None
        }
        None => None,
    };
    let name = header(&at.key("header"), written.header.as_deref()?);
    let secret = secret(&at.key("secret"), written.secret.as_ref()?);
    Some(CredentialSettings::Hmac(Box::new(HmacSettings {
        secret: secret?,
        digest,
        encoding: written.encoding.unwrap_or(SignatureEncoding::Hex),
        signed: template?,
        header: (name?, prefix(&at.key("prefix"), written.prefix.as_deref())),
        timestamp,
        key_id,
    })))
}

fn timestamp(
    at: &Cursor<'_>,
    written: &written::HmacConfig,
    template: Option<&RequestTemplate>,
) -> Option<(HeaderName, TimestampFormat)> {
    let signs_time = template.is_some_and(RequestTemplate::has_timestamp);
    match &written.timestamp_header {
        Some(name) => {
            if template.is_some() && !signs_time {
                let wrong = "is not signed: whoever sees one request could send it again at any time";
                at.key("timestamp_header").warning(wrong, "put {timestamp} into signed, unless the vendor has it so");
            }
            let name = header(&at.key("timestamp_header"), name)?;
            Some((name, written.timestamp_format.unwrap_or(TimestampFormat::Seconds)))
        }
        None => {
            if signs_time {
                at.key("signed").fault("signs a time that is not sent", "write timestamp_header: x-acme-timestamp");
            }
            if written.timestamp_format.is_some() {
                at.key("timestamp_format").fault("has no effect without a time", "write timestamp_header too");
            }
            None
        }
    }
}

fn sigv4(at: &Cursor<'_>, written: &written::SigV4Config) -> Option<CredentialSettings> {
    let word = |name: &str, text: &Option<String>, example: &str| {
        let text = text.as_deref()?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if text.is_empty() || !text.bytes().all(is_plain) {
            at.key(name).invalid("must be of letters, digits, '-' and '_'", example);
        }
        Some(text.to_owned())
    };
    let access_key_id = word("access_key_id", &written.access_key_id, "AKIAIOSFODNN7EXAMPLE");
    let (region, service) =
        (word("region", &written.region, "eu-central-1"), word("service", &written.service, "execute-api"));
    let session_token = match &written.session_token {
        Some(token) => Some(secret(&at.key("session_token"), token)?),
        None => None,
    };
    Some(CredentialSettings::AwsSigV4(Box::new(SigV4Settings {
        access_key_id: access_key_id?,
        secret: secret(&at.key("secret"), written.secret.as_ref()?)?,
        session_token,
        region: region?,
        service: service?,
    })))
}

fn header(at: &Cursor<'_>, text: &str) -> Option<HeaderName> {
    match HeaderName::try_from(text) {
        Ok(name) if TAKEN_HEADERS.contains(&name.as_str()) => {
            at.invalid("is a header that the gateway sets itself", "x-api-key");
            None
        }
        Ok(name) => Some(name),
        Err(_) => {
            at.invalid("must be the name of a header", "x-api-key");
            None
        }
    }
}

fn prefix(at: &Cursor<'_>, text: Option<&str>) -> String {
    let text = text.unwrap_or_default();
    if text.bytes().any(|byte| !(byte.is_ascii_graphic() || byte == b' ')) {
        at.invalid("must be text that can stand in a header", "\"Token \"");
    }
    text.to_owned()
}
