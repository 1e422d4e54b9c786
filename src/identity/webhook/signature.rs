//! Reads the signature headers of a message strictly: each header once, its parts within bounds, each value in its own
//! encoding.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use http::HeaderMap;

use crate::bounds::{WEBHOOK_ID_BYTES_MAX, WEBHOOK_PARTS_MAX, WEBHOOK_SIGNATURES_MAX};
use crate::identity::error::AuthError;
use crate::model::UnixTime;

use super::recipe::{HeaderPart, SignatureEncoding, TimestampFormat, WebhookProof, WebhookRecipe};
use super::template::TemplatePart;

/// What the signature headers of a message say.
pub(super) struct WebhookHeaders {
    pub(super) id: Option<String>,
    pub(super) sent_at: Option<UnixTime>,
    pub(super) timestamp: String,
    /// The decoded signatures; a token as it is written.
    pub(super) signatures: Vec<Vec<u8>>,
}

impl WebhookHeaders {
    pub(super) fn read(recipe: &WebhookRecipe, headers: &HeaderMap) -> Result<Self, AuthError> {
        let texts = recipe.signature.values(headers)?;
        if texts.len() > WEBHOOK_SIGNATURES_MAX {
            return Err(AuthError::SignatureHeaders);
        }
        let signatures: Vec<Vec<u8>> = texts.into_iter().filter_map(|text| recipe.decode(text)).collect();
        if signatures.is_empty() {
            return Err(AuthError::SignatureHeaders);
        }
        let (timestamp, sent_at) = match &recipe.timestamp {
            None => (String::new(), None),
            Some((place, format)) => {
                let [text] = place.values(headers)?[..] else { return Err(AuthError::SignatureHeaders) };
                (text.to_owned(), Some(format.read(text).ok_or(AuthError::SignatureHeaders)?))
            }
        };
        let signed = recipe.signed.has(&TemplatePart::Id);
        let id = recipe.id_header.as_deref().map(|name| id(headers, name, signed)).transpose()?.flatten();
        Ok(Self { id, sent_at, timestamp, signatures })
    }
}

/// Reads the message's id. One that is signed must be present, and must not contain the dot that ends it in the signed
/// text.
fn id(headers: &HeaderMap, name: &str, signed: bool) -> Result<Option<String>, AuthError> {
    if !signed && !headers.contains_key(name) {
        return Ok(None);
    }
    let id = single(headers, name)?;
    let good = !id.is_empty() && id.len() <= WEBHOOK_ID_BYTES_MAX && !(signed && id.contains('.'));
    if good { Ok(Some(id.to_owned())) } else { Err(AuthError::SignatureHeaders) }
}

impl HeaderPart {
    /// The values after the prefix: one, or in a header of several parts all that have the prefix. Other parts are of
    /// signature versions that are not verified here.
    fn values<'a>(&self, headers: &'a HeaderMap) -> Result<Vec<&'a str>, AuthError> {
        let text = single(headers, &self.header)?;
        let Some(separator) = self.separator else {
            return text.strip_prefix(self.prefix.as_str()).map(|value| vec![value]).ok_or(AuthError::SignatureHeaders);
        };
        let parts: Vec<&str> = text.split(separator).take(WEBHOOK_PARTS_MAX + 1).collect();
        if parts.len() > WEBHOOK_PARTS_MAX {
            return Err(AuthError::SignatureHeaders);
        }
        let values: Vec<&str> =
            parts.into_iter().filter_map(|part| part.trim_matches(' ').strip_prefix(self.prefix.as_str())).collect();
        if values.is_empty() { Err(AuthError::SignatureHeaders) } else { Ok(values) }
    }
}

impl WebhookRecipe {
    fn decode(&self, text: &str) -> Option<Vec<u8>> {
        let bytes = match self.proof {
            WebhookProof::HmacSha1 => 20,
            WebhookProof::HmacSha256 => 32,
            WebhookProof::HmacSha512 => 64,
            WebhookProof::Token => return Some(text.as_bytes().to_vec()).filter(|token| !token.is_empty()),
        };
        let decoded = match self.encoding {
            SignatureEncoding::HexOrBase64 if text.len() == bytes * 2 => hex(text),
            SignatureEncoding::HexOrBase64 | SignatureEncoding::Base64 => STANDARD.decode(text).ok(),
            SignatureEncoding::Hex => hex(text),
            SignatureEncoding::Base64Url if text.ends_with('=') => URL_SAFE.decode(text).ok(),
            SignatureEncoding::Base64Url => URL_SAFE_NO_PAD.decode(text).ok(),
        };
        decoded.filter(|decoded| decoded.len() == bytes)
    }
}

impl TimestampFormat {
    fn read(self, text: &str) -> Option<UnixTime> {
        let digits = |most: usize| {
            let plain = !text.is_empty() && text.len() <= most && text.bytes().all(|byte| byte.is_ascii_digit());
            if plain { text.parse::<u64>().ok() } else { None }
        };
        match self {
            Self::Seconds => digits(12).map(UnixTime::from_secs),
            Self::Millis => digits(15).map(UnixTime::from_millis),
            Self::Iso8601 => {
                let time = humantime::parse_rfc3339(text).ok()?;
                let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
                Some(UnixTime::from_millis(u64::try_from(since.as_millis()).ok()?))
            }
        }
    }
}

/// The value of a header that occurs exactly once.
pub(super) fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, AuthError> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(AuthError::SignatureHeaders) };
    value.to_str().map_err(|_| AuthError::SignatureHeaders)
}

pub(super) fn hex(text: &str) -> Option<Vec<u8>> {
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some((char::from(*high).to_digit(16)? * 16 + char::from(*low).to_digit(16)?) as u8),
        _ => None,
    };
    text.as_bytes().chunks(2).map(pair).collect()
}
