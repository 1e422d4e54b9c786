//! What we sign of a request: a list of texts and parts of it, in the order in which they are signed.
//!
//! The counterpart of the template by which webhooks are verified, with the same words. A part is used as it leaves:
//! after treatment, and with the path and query that are sent.

use std::borrow::Cow;

use http::{HeaderMap, Method, Uri};
use sha2::{Digest as _, Sha256};

use crate::bounds::WEBHOOK_TEMPLATE_PARTS_MAX;
use crate::identity::split_template;
use crate::model::hex;

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestTemplate(Vec<RequestPart>);

/// One piece of the signed text.
#[derive(Debug, Clone, PartialEq, Eq)]
enum RequestPart {
    /// A fixed text.
    Text(String),
    /// The time, as its header has it.
    Timestamp,
    /// The method.
    Method,
    /// The host, with the port where it is not the scheme's own.
    Host,
    /// The path, without the query.
    Path,
    /// The query, without the question mark.
    Query,
    /// Path and query.
    Target,
    /// The body.
    Body,
    /// The body's SHA-256 in lower-case hexadecimal.
    BodySha256,
    /// The value of a header.
    Header(String),
}

/// The request that is signed.
pub(super) struct SignedRequest<'a> {
    pub(super) method: &'a Method,
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
    pub(super) timestamp: &'a str,
}

impl RequestTemplate {
    /// Reads a template such as `{timestamp}{method}{target}{body}`.
    ///
    /// # Errors
    /// A text for the operator, which names what is not a part.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts = split_template(text, RequestPart::Text, RequestPart::parse)?;
        match parts.len() {
            0 => Err("signs nothing".to_owned()),
            count if count > WEBHOOK_TEMPLATE_PARTS_MAX => {
                Err(format!("has more than {WEBHOOK_TEMPLATE_PARTS_MAX} parts"))
            }
            _ if parts.iter().all(|part| matches!(part, RequestPart::Text(_))) => {
                Err("signs nothing of the request".to_owned())
            }
            _ => Ok(Self(parts)),
        }
    }

    /// Whether the body is signed, so that it must be held whole.
    pub fn reads_body(&self) -> bool {
        self.0.iter().any(|part| matches!(part, RequestPart::Body | RequestPart::BodySha256))
    }

    /// Whether the time is signed.
    pub fn has_timestamp(&self) -> bool {
        self.0.contains(&RequestPart::Timestamp)
    }

    /// The signed pieces of a request, in order.
    pub(super) fn render<'a>(&'a self, request: &SignedRequest<'a>) -> Vec<Cow<'a, [u8]>> {
        self.0.iter().map(|part| part.render(request)).collect()
    }
}

impl RequestPart {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "timestamp" => Self::Timestamp,
            "method" => Self::Method,
            "host" => Self::Host,
            "path" => Self::Path,
            "query" => Self::Query,
            "target" => Self::Target,
            "body" => Self::Body,
            "body_sha256" => Self::BodySha256,
            _ => Self::Header(http::HeaderName::try_from(name.strip_prefix("header:")?).ok()?.as_str().to_owned()),
        })
    }

    fn render<'a>(&'a self, request: &SignedRequest<'a>) -> Cow<'a, [u8]> {
        let header = |name: &str| request.headers.get(name).map_or(&b""[..], http::HeaderValue::as_bytes);
        match self {
            Self::Text(text) => Cow::Borrowed(text.as_bytes()),
            Self::Timestamp => Cow::Borrowed(request.timestamp.as_bytes()),
            Self::Method => Cow::Borrowed(request.method.as_str().as_bytes()),
            Self::Host => Cow::Borrowed(header("host")),
            Self::Path => Cow::Borrowed(request.uri.path().as_bytes()),
            Self::Query => Cow::Borrowed(request.uri.query().unwrap_or_default().as_bytes()),
            Self::Target => {
                let target = request.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
                Cow::Borrowed(target.as_bytes())
            }
            Self::Body => Cow::Borrowed(request.body),
            Self::BodySha256 => Cow::Owned(hex(&Sha256::digest(request.body)).into_bytes()),
            Self::Header(name) => Cow::Borrowed(header(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_read_whole_or_not_at_all() {
        for bad in ["", "text", "{body", "body}", "{Body}", "{header:a b}{body}", "{}{body}", "{form}"] {
            assert!(RequestTemplate::parse(bad).is_err(), "{bad}");
        }
        let template = RequestTemplate::parse("v1:{timestamp}:{body}").expect("good");
        assert!(template.reads_body() && template.has_timestamp());
        let template = RequestTemplate::parse("{method}{header:X-Nonce}").expect("good");
        assert!(!template.reads_body() && !template.has_timestamp());
    }

    #[test]
    fn each_part_is_that_of_the_request_as_it_leaves() {
        let mut headers = HeaderMap::new();
        headers.insert("host", "api.acme.example".parse().expect("a value"));
        headers.insert("x-nonce", "n1".parse().expect("a value"));
        let uri: Uri = "/v1/orders?page=2&a=b".parse().expect("a target");
        let signed = SignedRequest {
            method: &Method::POST,
            uri: &uri,
            headers: &headers,
            body: b"abc",
            timestamp: "1700000000",
        };
        for (template, text) in [
            ("{timestamp}{method}{target}{body}", "1700000000POST/v1/orders?page=2&a=babc"),
            ("{host}|{path}|{query}|{header:X-Nonce}|{header:absent}", "api.acme.example|/v1/orders|page=2&a=b|n1|"),
            ("{body_sha256}", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ] {
            let parts = RequestTemplate::parse(template).expect(template);
            assert_eq!(String::from_utf8_lossy(&parts.render(&signed).concat()), text);
        }
    }
}
