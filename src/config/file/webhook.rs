//! `webhook:` of a contract's identity, as it is written in YAML: how a sender signs what it sends.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{DurationText, OneOrMore};
use crate::identity::{SignatureEncoding, TimestampFormat, WebhookPreset, WebhookProof, WebhookSecretEncoding};

/// A vendor known by signatures over what it sends: by `preset`, or by `scheme` and what belongs to it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct WebhookConfig {
    /// A vendor whose way to sign is known.
    pub(in crate::config) preset: Option<WebhookPreset>,
    /// How a message is signed.
    pub(in crate::config) scheme: Option<WebhookSchemeConfig>,
    /// File of the secret.
    #[schemars(required, example = "secrets/acme-webhook")]
    pub(in crate::config) secret_file: Option<String>,
    /// File of a second live secret, while one is being replaced.
    #[schemars(example = "secrets/acme-webhook-next")]
    pub(in crate::config) next_secret_file: Option<String>,
    /// How the file holds the secret (default as the preset has it; whsec for standard-webhooks, else raw).
    pub(in crate::config) secret_encoding: Option<WebhookSecretEncoding>,
    /// For hmac and token: the header of the signature.
    #[schemars(example = "x-acme-signature")]
    pub(in crate::config) header: Option<String>,
    /// For hmac and token: the text before the signature (default none).
    #[schemars(example = "sha256=")]
    pub(in crate::config) prefix: Option<String>,
    /// For hmac: the character between the parts of the header, where it has several.
    #[schemars(example = ",")]
    pub(in crate::config) separator: Option<String>,
    /// For hmac: what is signed (default `{timestamp}.{body}` where there is a timestamp, else `{body}`). The parts are
    /// {timestamp} {id} {body} {method} {url} {decoded_url} {path} {form} and {header:NAME}.
    #[schemars(example = "v0:{timestamp}:{body}")]
    pub(in crate::config) signed: Option<String>,
    /// For hmac: the digest (default sha256); sha1 is for senders that have nothing better.
    pub(in crate::config) digest: Option<WebhookProof>,
    /// For hmac: how the signature is written (default hexadecimal or base64, which differ in length).
    pub(in crate::config) encoding: Option<SignatureEncoding>,
    /// For hmac: the header of the time of sending, which must then be signed too; it may be the signature's own.
    #[schemars(example = "x-acme-timestamp")]
    pub(in crate::config) timestamp_header: Option<String>,
    /// For hmac: the text before the time (default none).
    #[schemars(example = "t=")]
    pub(in crate::config) timestamp_prefix: Option<String>,
    /// For hmac: how the time is written (default seconds).
    pub(in crate::config) timestamp_format: Option<TimestampFormat>,
    /// The header of the message's id: a message that comes again with the same is answered, and not delivered again.
    #[schemars(example = "x-acme-delivery")]
    pub(in crate::config) id_header: Option<String>,
    /// Scheme and host (and what a proxy before us took off the path) by which the sender knows us, where addresses are
    /// signed and ours differ (default as the request says).
    #[schemars(example = "https://hooks.example.com")]
    pub(in crate::config) url: Option<String>,
    /// First messages that are answered here and go no further: slack, zoom, ms_graph, meta, dropbox (default as the
    /// preset has it).
    #[schemars(extend("examples" = [["ms_graph"]]))]
    pub(in crate::config) handshake: Option<OneOrMore>,
    /// For the handshake meta: file of the verify token that was entered at Meta.
    #[schemars(example = "secrets/meta-verify-token")]
    pub(in crate::config) verify_token_file: Option<String>,
    /// How far the time of sending may be from ours (default 5m, at most 1h); a message is remembered for twice as
    /// long.
    pub(in crate::config) tolerance: Option<DurationText>,
}

/// How a webhook is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub(in crate::config) enum WebhookSchemeConfig {
    /// The Standard Webhooks specification 1.0.
    #[serde(rename = "standard-webhooks")]
    StandardWebhooks,
    /// An HMAC in a header of the sender's choice.
    #[serde(rename = "hmac")]
    Hmac,
    /// The secret itself in a header of the sender's choice: nothing is signed.
    #[serde(rename = "token")]
    Token,
}
