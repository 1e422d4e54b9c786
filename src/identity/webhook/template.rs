//! What a sender signs: a list of texts and parts of the message, in the order in which they are signed.
//!
//! A part is used as it was sent and never normalised, so that the bytes that are verified are the bytes that are
//! forwarded.

use std::borrow::Cow;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;
use sha2::{Digest as _, Sha256};

use crate::bounds::{WEBHOOK_FORM_FIELDS_MAX, WEBHOOK_TEMPLATE_PARTS_MAX};
use crate::identity::error::AuthError;
use crate::model::hex;

use super::signature::single;

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureTemplate(pub Vec<TemplatePart>);

/// One piece of the signed text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplatePart {
    /// A fixed text.
    Text(String),
    /// The time of sending, as it is written.
    Timestamp,
    /// The message's id.
    Id,
    /// The raw body.
    Body,
    /// The method.
    Method,
    /// The address that was called, with its query.
    Url,
    /// The same address with the percent-codes decoded that HubSpot decodes.
    DecodedUrl,
    /// The path, without the query.
    Path,
    /// The value of a header.
    Header(String),
    /// The fields of a form, sorted by name and joined without separators. For any other body nothing: then the query
    /// must have its SHA-256 as `bodySHA256`.
    Form,
}

/// Splits a template such as `{timestamp}.{body}` into its fixed texts and its named parts.
///
/// # Errors
/// A text for the operator, which names what is not a part.
pub fn split_template<P>(
    text: &str,
    fixed: impl Fn(String) -> P,
    named: impl Fn(&str) -> Option<P>,
) -> Result<Vec<P>, String> {
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some(start) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(start);
        let inner = from.strip_prefix('{').and_then(|from| from.split_once('}'));
        let (name, after) = inner.ok_or("has a brace without its other")?;
        if !before.is_empty() {
            parts.push(fixed(before.to_owned()));
        }
        parts.push(named(name).ok_or_else(|| format!("has a part {{{name}}} that is none"))?);
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(fixed(rest.to_owned()));
    }
    Ok(parts)
}

/// The head of a request that may be a webhook.
#[derive(Debug, Clone, Copy)]
pub struct WebhookRequest<'a> {
    /// Its method.
    pub method: &'a Method,
    /// `https` or `http`: how the sender reached us.
    pub scheme: &'a str,
    /// The host that the sender asked for.
    pub authority: &'a str,
    /// Path and query as they were sent.
    pub target: &'a str,
    /// Its header fields.
    pub headers: &'a HeaderMap,
}

impl SignatureTemplate {
    /// Reads a template such as `{timestamp}.{body}`; the error names what is not a part.
    ///
    /// # Errors
    /// A text for the operator.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts = split_template(text, TemplatePart::Text, TemplatePart::parse)?;
        let bodies = parts.iter().filter(|part| matches!(part, TemplatePart::Body | TemplatePart::Form)).count();
        match (bodies, parts.len() <= WEBHOOK_TEMPLATE_PARTS_MAX) {
            (_, false) => Err(format!("has more than {WEBHOOK_TEMPLATE_PARTS_MAX} parts")),
            (1, true) => Ok(Self(parts)),
            (0, true) => Err("leaves the body out: whoever is in between could write another".to_owned()),
            (_, true) => Err("has the body more than once".to_owned()),
        }
    }

    /// Whether a part is signed.
    pub fn has(&self, part: &TemplatePart) -> bool {
        self.0.contains(part)
    }

    /// The signed pieces of a message, in order.
    pub(super) fn render<'a>(&'a self, message: &TemplateInput<'a>) -> Result<Vec<Cow<'a, [u8]>>, AuthError> {
        self.0.iter().map(|part| part.render(message)).collect()
    }
}

/// All that a template can refer to; `url` replaces scheme and host of the address.
pub(super) struct TemplateInput<'a> {
    pub(super) sent: &'a WebhookRequest<'a>,
    pub(super) body: &'a [u8],
    pub(super) timestamp: &'a str,
    pub(super) id: &'a str,
    pub(super) url: Option<&'a str>,
}

impl TemplatePart {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "timestamp" => Self::Timestamp,
            "id" => Self::Id,
            "body" => Self::Body,
            "method" => Self::Method,
            "url" => Self::Url,
            "decoded_url" => Self::DecodedUrl,
            "path" => Self::Path,
            "form" => Self::Form,
            _ => Self::Header(http::HeaderName::try_from(name.strip_prefix("header:")?).ok()?.as_str().to_owned()),
        })
    }

    fn render<'a>(&'a self, message: &TemplateInput<'a>) -> Result<Cow<'a, [u8]>, AuthError> {
        let sent = message.sent;
        Ok(match self {
            Self::Text(text) => Cow::Borrowed(text.as_bytes()),
            Self::Timestamp => Cow::Borrowed(message.timestamp.as_bytes()),
            Self::Id => Cow::Borrowed(message.id.as_bytes()),
            Self::Body => Cow::Borrowed(message.body),
            Self::Method => Cow::Borrowed(sent.method.as_str().as_bytes()),
            Self::Url => Cow::Owned(message.address().into_bytes()),
            Self::DecodedUrl => Cow::Owned(decode_some(&message.address()).into_bytes()),
            Self::Path => Cow::Borrowed(sent.target.split('?').next().unwrap_or_default().as_bytes()),
            Self::Header(name) => Cow::Borrowed(single(sent.headers, name)?.as_bytes()),
            Self::Form => Cow::Owned(form(message)?),
        })
    }
}

impl TemplateInput<'_> {
    fn address(&self) -> String {
        match self.url {
            Some(base) => format!("{base}{}", self.sent.target),
            None => format!("{}://{}{}", self.sent.scheme, self.sent.authority, self.sent.target),
        }
    }
}

/// Decodes what HubSpot decodes before it signs an address (version 3 of its signature), and nothing else.
fn decode_some(url: &str) -> String {
    const CODES: [(&str, &str); 12] = [
        ("3A", ":"),
        ("2F", "/"),
        ("3F", "?"),
        ("40", "@"),
        ("21", "!"),
        ("24", "$"),
        ("27", "'"),
        ("28", "("),
        ("29", ")"),
        ("2A", "*"),
        ("2C", ","),
        ("3B", ";"),
    ];
    let mut decoded = String::with_capacity(url.len());
    let mut rest = url;
    while let Some(at) = rest.find('%') {
        decoded.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 3).unwrap_or_default();
        let (text, after) = match CODES.iter().find(|(known, _)| known.eq_ignore_ascii_case(code)) {
            Some((_, text)) => (*text, at + 3),
            None => ("%", at + 1),
        };
        decoded.push_str(text);
        rest = &rest[after..];
    }
    decoded + rest
}

fn form(message: &TemplateInput<'_>) -> Result<Vec<u8>, AuthError> {
    let kind = message.sent.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return digest_is_signed(message).map(|()| Vec::new());
    }
    let text = std::str::from_utf8(message.body).map_err(|_| AuthError::SignatureHeaders)?;
    let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).collect::<Vec<u8>>();
    let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name), decode(value))
    });
    let mut pairs: Vec<_> = pairs.take(WEBHOOK_FORM_FIELDS_MAX + 1).collect();
    if pairs.len() > WEBHOOK_FORM_FIELDS_MAX {
        return Err(AuthError::SignatureHeaders);
    }
    pairs.sort();
    pairs.dedup();
    Ok(pairs.into_iter().flat_map(|(name, value)| [name, value]).flatten().collect())
}

/// Checks the digest of a body that is no form: the sender puts it into the query, which is part of the signed address.
/// An empty body needs none.
fn digest_is_signed(message: &TemplateInput<'_>) -> Result<(), AuthError> {
    if message.body.is_empty() {
        return Ok(());
    }
    let query = message.sent.target.split_once('?').map_or("", |(_, query)| query);
    let mut named = query.split('&').filter_map(|pair| pair.strip_prefix("bodySHA256="));
    let (Some(named), None) = (named.next(), named.next()) else { return Err(AuthError::WebhookSignature) };
    let digest = hex(&Sha256::digest(message.body));
    if named.eq_ignore_ascii_case(&digest) { Ok(()) } else { Err(AuthError::WebhookSignature) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_read_whole_or_not_at_all() {
        let template = SignatureTemplate::parse("v0:{timestamp}:{header:X-Nonce}{body}!").expect("good");
        let parts = [
            TemplatePart::Text("v0:".into()),
            TemplatePart::Timestamp,
            TemplatePart::Text(":".into()),
            TemplatePart::Header("x-nonce".into()),
            TemplatePart::Body,
            TemplatePart::Text("!".into()),
        ];
        assert_eq!(template.0, parts);
        for bad in ["", "{timestamp}", "{body}{body}", "{body", "body}", "{Body}", "{header:a b}{body}", "{}{body}"] {
            assert!(SignatureTemplate::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn hubspot_decodes_what_it_lists_and_nothing_else() {
        assert_eq!(decode_some("https://a/b?c=%3a%2F%20%zz%4"), "https://a/b?c=:/%20%zz%4");
    }
}
