//! Webhook handshakes: first messages by which a sender checks that an address belongs to its customer. They are never
//! forwarded. They are answered here, and only in the form that this sender documents.
//!
//! Never signs anything for a stranger, and never echoes anything but a bounded text of printable ASCII, as plain text
//! or as a JSON string.

use http::Method;
use percent_encoding::percent_decode_str;
use subtle::ConstantTimeEq as _;

use crate::bounds::WEBHOOK_CHALLENGE_BYTES_MAX;
use crate::identity::json::{Json, Object};
use crate::model::{Secret, hex};

use super::recipe::WebhookHandshake;
use super::template::WebhookRequest;
use super::{WebhookProof, signature_of};

/// The reply to a handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandshakeReply {
    /// `text/plain` or `application/json`.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

/// The secrets that a reply may need.
#[derive(Clone, Copy, Default)]
pub(super) struct SharedSecrets<'a> {
    /// The secret that signed the message, if it is signed.
    pub(super) signer: Option<&'a Secret<Vec<u8>>>,
    /// The token that was agreed on for a handshake.
    pub(super) verify: Option<&'a Secret<Vec<u8>>>,
}

impl WebhookHandshake {
    /// Whether only a signed message is answered.
    pub(super) const fn is_signed(self) -> bool {
        match self {
            Self::Zoom => true,
            Self::Slack | Self::MsGraph | Self::Meta | Self::Dropbox => false,
        }
    }

    /// Whether a request can be this handshake, before its body is there.
    pub(super) fn fits(self, sent: &WebhookRequest<'_>) -> bool {
        match self {
            Self::Slack | Self::Zoom => sent.method == Method::POST,
            Self::MsGraph => sent.method == Method::POST && parameter(sent, "validationToken").is_some(),
            Self::Meta => sent.method == Method::GET && parameter(sent, "hub.challenge").is_some(),
            Self::Dropbox => sent.method == Method::GET && parameter(sent, "challenge").is_some(),
        }
    }

    /// The reply, where the message is this handshake.
    pub(super) fn answer(
        self,
        sent: &WebhookRequest<'_>,
        body: &[u8],
        shared: SharedSecrets<'_>,
    ) -> Option<HandshakeReply> {
        match self {
            Self::Slack => {
                let object = Object::parse(body).ok()?;
                let is_one = object.text("type") == Ok(Some("url_verification"));
                plain(object.text("challenge").ok()??.to_owned()).filter(|_| is_one)
            }
            Self::Zoom => zoom(&Object::parse(body).ok()?, shared.signer?),
            Self::MsGraph => plain(parameter(sent, "validationToken")?).filter(|_| body.is_empty()),
            Self::Meta => {
                let token = parameter(sent, "hub.verify_token")?;
                let is_known = shared.verify.is_some_and(|known| bool::from(known.expose().ct_eq(token.as_bytes())));
                let is_one = parameter(sent, "hub.mode")? == "subscribe" && is_known;
                plain(parameter(sent, "hub.challenge")?).filter(|_| is_one)
            }
            Self::Dropbox => plain(parameter(sent, "challenge")?),
        }
    }
}

fn zoom(object: &Object, secret: &Secret<Vec<u8>>) -> Option<HandshakeReply> {
    let Some(Json::Object(payload)) = object.get("payload") else { return None };
    let is_one = object.text("event") == Ok(Some("endpoint.url_validation"));
    let token = payload.text("plainToken").ok()?.filter(|token| is_one && is_plain(token))?;
    let mac = signature_of(WebhookProof::HmacSha256, secret.expose(), &[token.as_bytes()]);
    let encrypted = hex(&mac);
    let body = serde_json::json!({ "plainToken": token, "encryptedToken": encrypted }).to_string();
    Some(HandshakeReply { content_type: "application/json", body })
}

fn plain(text: String) -> Option<HandshakeReply> {
    is_plain(&text).then_some(HandshakeReply { content_type: "text/plain; charset=utf-8", body: text })
}

fn is_plain(text: &str) -> bool {
    let graphic = |byte: u8| byte == b' ' || byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>');
    !text.is_empty() && text.len() <= WEBHOOK_CHALLENGE_BYTES_MAX && text.bytes().all(graphic)
}

/// The value of a query parameter that occurs exactly once.
fn parameter(sent: &WebhookRequest<'_>, name: &str) -> Option<String> {
    let (_, query) = sent.target.split_once('?')?;
    let mut values = query.split('&').filter_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name));
    let (Some((_, value)), None) = (values.next(), values.next()) else { return None };
    percent_decode_str(&value.replace('+', " ")).decode_utf8().ok().map(|text| text.into_owned())
}
