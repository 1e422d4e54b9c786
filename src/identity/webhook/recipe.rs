//! What a sender signs and how, and where signature, time and id are in a message: the settings of a contract's
//! `webhook:` section, and presets for well-known vendors.

use std::path::PathBuf;
use std::time::Duration;

use super::template::{SignatureTemplate, TemplatePart};

/// `identity: { webhook: … }`: a vendor that calls back with a signature over what it sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookSettings {
    /// How a message is signed.
    pub recipe: WebhookRecipe,
    /// Files of the live secrets, one or two, so that one can be replaced without losing a message.
    pub secret_files: Vec<PathBuf>,
    /// How far the sender's timestamp may be from our clock. A message is remembered for twice as long: its timestamp
    /// can pass for no longer than that.
    pub tolerance: Duration,
    /// File of the token that the sender shows in a handshake of Meta's kind, which no other handshake needs.
    pub verify_token_file: Option<PathBuf>,
    /// Which handshakes of the sender are answered here.
    pub handshakes: Vec<WebhookHandshake>,
}

/// How a message is signed, and where its parts are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookRecipe {
    /// Where the signatures are.
    pub signature: HeaderPart,
    /// How they are made.
    pub proof: WebhookProof,
    /// How their bytes are encoded.
    pub encoding: SignatureEncoding,
    /// Where the time of sending is and how it is written, where the sender sends it.
    pub timestamp: Option<(HeaderPart, TimestampFormat)>,
    /// The header of the message's id, in lower case.
    pub id_header: Option<String>,
    /// What is signed.
    pub signed: SignatureTemplate,
    /// Scheme, host and path prefix of our address as the sender signs it, where it differs from the request's.
    pub url: Option<String>,
    /// How a secret is encoded in its file.
    pub secret: WebhookSecretEncoding,
}

/// A part of a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderPart {
    /// The header, in lower case.
    pub header: String,
    /// The character between the header's parts, where it has several.
    pub separator: Option<char>,
    /// The text before the value, by which the parts of one header are told apart; may be empty.
    pub prefix: String,
}

/// How a signature is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WebhookProof {
    /// HMAC-SHA-1 (RFC 2104), which only old senders use. It is not broken as a MAC, but no choice for anything new.
    #[serde(rename = "sha1")]
    HmacSha1,
    /// HMAC with SHA-256 (RFC 2104).
    #[serde(rename = "sha256")]
    HmacSha256,
    /// HMAC with SHA-512 (RFC 2104).
    #[serde(rename = "sha512")]
    HmacSha512,
    /// The secret itself is sent: who can read one message can forge any other. Contracts write `scheme: token`.
    #[serde(skip)]
    Token,
}

/// How the bytes of a signature are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignatureEncoding {
    /// Hexadecimal or base64, which differ in length: what holds where a contract names neither.
    #[serde(skip)]
    HexOrBase64,
    /// Hexadecimal digits, of either case.
    Hex,
    /// Base64 with padding.
    Base64,
    /// Base64url, with or without padding.
    #[serde(rename = "base64url")]
    Base64Url,
}

/// How a time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimestampFormat {
    /// Seconds since 1970.
    Seconds,
    /// Milliseconds since 1970.
    Millis,
    /// RFC 3339.
    Iso8601,
}

/// How a secret is encoded in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WebhookSecretEncoding {
    /// As it is, without the end of the line.
    Raw,
    /// In base64.
    Base64,
    /// In hexadecimal.
    Hex,
    /// In base64 after `whsec_`, as Standard Webhooks does it.
    Whsec,
}

/// A first message by which a sender checks that an address belongs to its customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookHandshake {
    /// Slack: a POST of `{"type":"url_verification","challenge":…}`, answered with the challenge.
    Slack,
    /// Zoom: a signed POST of `{"event":"endpoint.url_validation",…}`, answered with the token and its HMAC. Only a
    /// signed one is answered: otherwise a stranger could have any text signed with the vendor's secret.
    Zoom,
    /// Microsoft Graph: a POST with `?validationToken=…`, answered with the token.
    MsGraph,
    /// Meta: a GET with `?hub.mode=subscribe&hub.challenge=…&hub.verify_token=…`, answered with the challenge where the
    /// token is the one in `verify_token_file`.
    Meta,
    /// Dropbox: a GET with `?challenge=…`, answered with the challenge.
    Dropbox,
}

/// A well-known vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "each is a vendor's name")]
pub enum WebhookPreset {
    StandardWebhooks,
    Svix,
    Stripe,
    Github,
    Gitlab,
    Slack,
    Shopify,
    Zoom,
    Pagerduty,
    Square,
    Paddle,
    Hubspot,
    Twilio,
    Meta,
    Dropbox,
    Calendly,
    Typeform,
    Linear,
    Intercom,
}

impl WebhookPreset {
    /// How this vendor signs by its own documentation, and the handshakes that it uses.
    pub fn recipe(self) -> (WebhookRecipe, Vec<WebhookHandshake>) {
        use SignatureEncoding::{Base64, Hex};
        use TemplatePart::{Body, Id, Text, Timestamp};
        let body = || SignatureTemplate(vec![Body]);
        let timed = |dot: &str| SignatureTemplate(vec![Timestamp, Text(dot.into()), Body]);
        let plain = |header: &str, prefix: &str, encoding| {
            WebhookRecipe::hmac(HeaderPart::whole(header, prefix), encoding, body())
        };
        let parts = |header: &str, separator, time: &str, signature: &str, dot: &str| {
            let place = |prefix: &str| HeaderPart::part(header, separator, prefix);
            WebhookRecipe::hmac(place(signature), Hex, timed(dot)).at(place(time), TimestampFormat::Seconds)
        };
        let listed = |names: [&str; 3]| {
            let signed = SignatureTemplate(vec![Id, Text(".".into()), Timestamp, Text(".".into()), Body]);
            let recipe = WebhookRecipe::hmac(HeaderPart::part(names[2], ' ', "v1,"), Base64, signed);
            let recipe = recipe.at(HeaderPart::whole(names[1], ""), TimestampFormat::Seconds);
            WebhookRecipe { id_header: Some(names[0].to_owned()), secret: WebhookSecretEncoding::Whsec, ..recipe }
        };
        let versioned = |signature: &str, time: &str| {
            let signed = SignatureTemplate(vec![Text("v0:".into()), Timestamp, Text(":".into()), Body]);
            WebhookRecipe::hmac(HeaderPart::whole(signature, "v0="), Hex, signed)
                .at(HeaderPart::whole(time, ""), TimestampFormat::Seconds)
        };
        let recipe = match self {
            Self::StandardWebhooks => listed(["webhook-id", "webhook-timestamp", "webhook-signature"]),
            Self::Svix => listed(["svix-id", "svix-timestamp", "svix-signature"]),
            Self::Stripe => parts("stripe-signature", ',', "t=", "v1=", "."),
            Self::Calendly => parts("calendly-webhook-signature", ',', "t=", "v1=", "."),
            Self::Paddle => parts("paddle-signature", ';', "ts=", "h1=", ":"),
            Self::Github => plain("x-hub-signature-256", "sha256=", Hex).with_id("x-github-delivery"),
            Self::Meta => plain("x-hub-signature-256", "sha256=", Hex),
            Self::Gitlab => {
                let token = plain("x-gitlab-token", "", Hex).with_id("idempotency-key");
                WebhookRecipe { proof: WebhookProof::Token, ..token }
            }
            Self::Slack => versioned("x-slack-signature", "x-slack-request-timestamp"),
            Self::Zoom => versioned("x-zm-signature", "x-zm-request-timestamp"),
            Self::Shopify => plain("x-shopify-hmac-sha256", "", Base64).with_id("x-shopify-event-id"),
            Self::Pagerduty => WebhookRecipe::hmac(HeaderPart::part("x-pagerduty-signature", ',', "v1="), Hex, body()),
            Self::Square => {
                let signed = SignatureTemplate(vec![TemplatePart::Url, Body]);
                WebhookRecipe::hmac(HeaderPart::whole("x-square-hmacsha256-signature", ""), Base64, signed)
            }
            Self::Hubspot => {
                let signed = SignatureTemplate(vec![TemplatePart::Method, TemplatePart::DecodedUrl, Body, Timestamp]);
                let recipe = WebhookRecipe::hmac(HeaderPart::whole("x-hubspot-signature-v3", ""), Base64, signed);
                recipe.at(HeaderPart::whole("x-hubspot-request-timestamp", ""), TimestampFormat::Millis)
            }
            Self::Twilio => {
                let signed = SignatureTemplate(vec![TemplatePart::Url, TemplatePart::Form]);
                let recipe = WebhookRecipe::hmac(HeaderPart::whole("x-twilio-signature", ""), Base64, signed);
                WebhookRecipe { proof: WebhookProof::HmacSha1, ..recipe.with_id("i-twilio-idempotency-token") }
            }
            Self::Dropbox => plain("x-dropbox-signature", "", Hex),
            Self::Typeform => plain("typeform-signature", "sha256=", Base64),
            Self::Linear => plain("linear-signature", "", Hex).with_id("linear-delivery"),
            Self::Intercom => WebhookRecipe { proof: WebhookProof::HmacSha1, ..plain("x-hub-signature", "sha1=", Hex) },
        };
        let known = [
            (Self::Slack, WebhookHandshake::Slack),
            (Self::Zoom, WebhookHandshake::Zoom),
            (Self::Meta, WebhookHandshake::Meta),
            (Self::Dropbox, WebhookHandshake::Dropbox),
        ];
        let own = known.into_iter().filter(|(preset, _)| *preset == self);
        (recipe, own.map(|(_, handshake)| handshake).collect())
    }
}

impl WebhookRecipe {
    /// HMAC-SHA-256 over a template, without time and id.
    pub fn hmac(signature: HeaderPart, encoding: SignatureEncoding, signed: SignatureTemplate) -> Self {
        Self {
            signature,
            proof: WebhookProof::HmacSha256,
            encoding,
            timestamp: None,
            id_header: None,
            signed,
            url: None,
            secret: WebhookSecretEncoding::Raw,
        }
    }

    fn at(self, place: HeaderPart, format: TimestampFormat) -> Self {
        Self { timestamp: Some((place, format)), ..self }
    }

    fn with_id(self, header: &str) -> Self {
        Self { id_header: Some(header.to_owned()), ..self }
    }
}

impl HeaderPart {
    /// The only value of a header, after a prefix.
    pub fn whole(header: &str, prefix: &str) -> Self {
        Self { header: header.to_owned(), separator: None, prefix: prefix.to_owned() }
    }

    /// One of the parts of a header.
    pub fn part(header: &str, separator: char, prefix: &str) -> Self {
        Self { separator: Some(separator), ..Self::whole(header, prefix) }
    }
}
