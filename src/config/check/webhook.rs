//! `webhook:` of a contract's identity: a known vendor's way to sign, or one that is spelt out.

use std::path::PathBuf;

use http::HeaderName;

use super::files;
use super::values;
use crate::bounds::{WEBHOOK_TOLERANCE, WEBHOOK_TOLERANCE_MAX};
use crate::config::file::OneOrMore;
use crate::config::file::webhook as written;
use crate::config::source::Cursor;
use crate::http::Url;
use crate::identity::{
    HeaderPart, SignatureEncoding, SignatureTemplate, TemplatePart, TimestampFormat, WebhookHandshake, WebhookPreset,
    WebhookProof, WebhookRecipe, WebhookSecretEncoding, WebhookSettings, inspect_secret,
};

/// `webhook:`
pub(super) fn webhook(at: &Cursor<'_>, written: &written::WebhookConfig) -> Option<WebhookSettings> {
    let (mut recipe, known) = recipe(at, written)?;
    if let Some(encoding) = written.secret_encoding {
        recipe.secret = secret_encoding(encoding);
    }
    recipe.url = written.url.as_deref().and_then(|text| base(&at.key("url"), text));
    let signs_address = [TemplatePart::Url, TemplatePart::DecodedUrl].iter().any(|part| recipe.signed.has(part));
    if recipe.url.is_some() && !signs_address {
        at.key("url").fault("has no effect: the address is not signed", "take it out, or write signed with {url}");
    }
    let handshakes = match &written.handshake {
        Some(listed) => handshakes(&at.key("handshake"), listed),
        // Who has subscribed already needs no handshake any more.
        None if written.verify_token_file.is_none() => {
            known.into_iter().filter(|one| *one != WebhookHandshake::Meta).collect()
        }
        None => known,
    };
    let verify_token_file = verify_token_file(at, written, &handshakes);
    let tolerance = values::duration(&at.key("tolerance"), written.tolerance.as_ref(), WEBHOOK_TOLERANCE_MAX);
    let secret = written.secret_file.as_ref()?;
    let mut secret_files = vec![secret_file(&at.key("secret_file"), secret, recipe.secret)];
    if let Some(next) = &written.next_secret_file {
        if next == secret {
            at.key("next_secret_file").invalid("is the same file", "");
        }
        secret_files.push(secret_file(&at.key("next_secret_file"), next, recipe.secret));
    }
    let tolerance = tolerance.unwrap_or(WEBHOOK_TOLERANCE);
    Some(WebhookSettings { recipe, secret_files, tolerance, verify_token_file, handshakes })
}

/// Meta shows a token that its customer has made up; the secret of its signatures is no such token, for it would be in a URL.
fn verify_token_file(
    at: &Cursor<'_>,
    written: &written::WebhookConfig,
    handshakes: &[WebhookHandshake],
) -> Option<PathBuf> {
    let (at, wanted) = (at.key("verify_token_file"), handshakes.contains(&WebhookHandshake::Meta));
    match &written.verify_token_file {
        Some(_) if !wanted => {
            at.fault("has no effect without the handshake meta", "take it out, or write handshake: meta");
            None
        }
        Some(text) => Some(secret_file(&at, text, WebhookSecretEncoding::Raw)),
        None if wanted => {
            at.fault("is missing: the handshake meta shows it", "write verify_token_file: secrets/meta-verify-token");
            None
        }
        None => None,
    }
}

/// Keys that spell a recipe out, and whether they are written.
fn recipe_keys(written: &written::WebhookConfig) -> [(&'static str, bool); 10] {
    [
        ("header", written.header.is_some()),
        ("prefix", written.prefix.is_some()),
        ("separator", written.separator.is_some()),
        ("signed", written.signed.is_some()),
        ("digest", written.digest.is_some()),
        ("encoding", written.encoding.is_some()),
        ("timestamp_header", written.timestamp_header.is_some()),
        ("timestamp_prefix", written.timestamp_prefix.is_some()),
        ("timestamp_format", written.timestamp_format.is_some()),
        ("id_header", written.id_header.is_some()),
    ]
}

fn recipe(at: &Cursor<'_>, written: &written::WebhookConfig) -> Option<(WebhookRecipe, Vec<WebhookHandshake>)> {
    let only = |allowed: &[&str], why: &str| {
        for (key, _) in recipe_keys(written).into_iter().filter(|(key, there)| *there && !allowed.contains(key)) {
            at.key(key).fault(why, "take it out");
        }
    };
    match (written.preset, written.scheme) {
        (Some(preset), None) => {
            only(&["id_header"], "is known of this preset");
            let (mut recipe, handshakes) = preset_of(preset).recipe();
            if let Some(name) = &written.id_header {
                recipe.id_header = header(&at.key("id_header"), name);
            }
            Some((recipe, handshakes))
        }
        (None, Some(written::WebhookSchemeConfig::StandardWebhooks)) => {
            only(&[], "belongs to scheme: hmac: Standard Webhooks names its own");
            Some(WebhookPreset::StandardWebhooks.recipe())
        }
        (None, Some(written::WebhookSchemeConfig::Token)) => {
            only(&["header", "prefix", "id_header"], "belongs to scheme: hmac: a token signs nothing");
            let signed = SignatureTemplate(vec![TemplatePart::Body]);
            let id_header = written.id_header.as_ref().and_then(|name| header(&at.key("id_header"), name));
            let recipe = WebhookRecipe {
                id_header,
                ..WebhookRecipe::hmac(signature(at, written)?, SignatureEncoding::Hex, signed)
            };
            Some((WebhookRecipe { proof: WebhookProof::Token, ..recipe }, Vec::new()))
        }
        (None, Some(written::WebhookSchemeConfig::Hmac)) => Some((hmac(at, written)?, Vec::new())),
        (Some(_), Some(_)) => {
            at.key("scheme").fault("stands beside preset, which says it", "take one of them out");
            None
        }
        (None, None) => {
            at.key("scheme").fault("is missing", "write scheme: standard-webhooks, or preset: stripe");
            None
        }
    }
}

fn hmac(at: &Cursor<'_>, written: &written::WebhookConfig) -> Option<WebhookRecipe> {
    let signature = signature(at, written)?;
    let timestamp = timestamp(at, written, signature.separator);
    let default = if timestamp.is_some() { "{timestamp}.{body}" } else { "{body}" };
    let signed = match SignatureTemplate::parse(written.signed.as_deref().unwrap_or(default)) {
        Ok(signed) => signed,
        Err(wrong) => {
            at.key("signed").invalid(wrong, "\"{timestamp}.{body}\"");
            return None;
        }
    };
    let id_header = written.id_header.as_ref().and_then(|name| header(&at.key("id_header"), name));
    check_signed(at, &signed, timestamp.is_some(), id_header.is_some());
    Some(WebhookRecipe {
        proof: match written.digest {
            Some(written::DigestConfig::Sha1) => WebhookProof::HmacSha1,
            Some(written::DigestConfig::Sha256) | None => WebhookProof::HmacSha256,
            Some(written::DigestConfig::Sha512) => WebhookProof::HmacSha512,
        },
        timestamp,
        id_header,
        ..WebhookRecipe::hmac(signature, encoding(written.encoding), signed)
    })
}

/// A time that is not signed can be rewritten by whoever sends a copy.
fn check_signed(at: &Cursor<'_>, signed: &SignatureTemplate, has_time: bool, has_id: bool) {
    match (signed.has(&TemplatePart::Timestamp), has_time) {
        (true, false) => {
            at.key("signed").fault("has a {timestamp} of no header", "write timestamp_header: x-acme-timestamp")
        }
        (false, true) => {
            at.key("timestamp_header").fault("is not signed: anybody could change it", "put {timestamp} into signed")
        }
        (true, true) | (false, false) => {}
    }
    if signed.has(&TemplatePart::Id) && !has_id {
        at.key("signed").fault("has an {id} of no header", "write id_header: x-acme-delivery");
    }
}

fn signature(at: &Cursor<'_>, written: &written::WebhookConfig) -> Option<HeaderPart> {
    let Some(name) = &written.header else {
        at.key("header").fault("is missing", "write header: x-acme-signature");
        return None;
    };
    let separator = written.separator.as_deref().and_then(|text| separator(&at.key("separator"), text));
    let prefix = written.prefix.clone().unwrap_or_default();
    Some(HeaderPart { header: header(&at.key("header"), name)?, separator, prefix })
}

fn timestamp(
    at: &Cursor<'_>,
    written: &written::WebhookConfig,
    separator: Option<char>,
) -> Option<(HeaderPart, TimestampFormat)> {
    let own = [
        ("timestamp_prefix", written.timestamp_prefix.is_some()),
        ("timestamp_format", written.timestamp_format.is_some()),
    ];
    let Some(name) = &written.timestamp_header else {
        for (key, _) in own.into_iter().filter(|(_, there)| *there) {
            at.key(key).fault("has no effect without a time", "write timestamp_header: x-acme-timestamp");
        }
        return None;
    };
    let name = header(&at.key("timestamp_header"), name)?;
    // Only the signature's own header has parts.
    let separator = separator.filter(|_| written.header.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(&name)));
    let place = HeaderPart { header: name, separator, prefix: written.timestamp_prefix.clone().unwrap_or_default() };
    let format = match written.timestamp_format {
        Some(written::TimeFormatConfig::Seconds) | None => TimestampFormat::Seconds,
        Some(written::TimeFormatConfig::Millis) => TimestampFormat::Millis,
        Some(written::TimeFormatConfig::Iso8601) => TimestampFormat::Iso8601,
    };
    Some((place, format))
}

fn separator(at: &Cursor<'_>, text: &str) -> Option<char> {
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(only), None) if only == ' ' || only.is_ascii_punctuation() => Some(only),
        _ => {
            at.invalid("must be one character", "\",\"");
            None
        }
    }
}

fn handshakes(at: &Cursor<'_>, OneOrMore(listed): &OneOrMore) -> Vec<WebhookHandshake> {
    const KNOWN: [(&str, WebhookHandshake); 5] = [
        ("slack", WebhookHandshake::Slack),
        ("zoom", WebhookHandshake::Zoom),
        ("ms_graph", WebhookHandshake::MsGraph),
        ("meta", WebhookHandshake::Meta),
        ("dropbox", WebhookHandshake::Dropbox),
    ];
    let find = |text: &String| {
        let known = KNOWN.iter().find(|(name, _)| name == text).map(|(_, handshake)| *handshake);
        if known.is_none() {
            at.fault(format!("{text} is no handshake"), "write slack, zoom, ms_graph, meta or dropbox");
        }
        known
    };
    listed.iter().filter_map(find).collect()
}

fn base(at: &Cursor<'_>, text: &str) -> Option<String> {
    match Url::parse_base(text) {
        Ok(_) => Some(text.trim_end_matches('/').to_owned()),
        Err(error) => {
            at.invalid(error.to_string(), "https://hooks.example.com");
            None
        }
    }
}

/// A header's name, in the form in which requests have it.
fn header(at: &Cursor<'_>, text: &str) -> Option<String> {
    match HeaderName::try_from(text) {
        Ok(name) => Some(name.as_str().to_owned()),
        Err(_) => {
            at.invalid("must be the name of a header", "x-acme-signature");
            None
        }
    }
}

fn secret_file(at: &Cursor<'_>, text: &str, encoding: WebhookSecretEncoding) -> PathBuf {
    let instead = |path: &std::path::Path| format!("put the secret that the vendor gave into {}", path.display());
    let path = files::secret(at, text, files::AllowedReaders::Group, instead);
    files::secret_content(at, &path, |content| inspect_secret(content, encoding));
    path
}

const fn encoding(written: Option<written::SignatureEncodingConfig>) -> SignatureEncoding {
    match written {
        None => SignatureEncoding::HexOrBase64,
        Some(written::SignatureEncodingConfig::Hex) => SignatureEncoding::Hex,
        Some(written::SignatureEncodingConfig::Base64) => SignatureEncoding::Base64,
        Some(written::SignatureEncodingConfig::Base64url) => SignatureEncoding::Base64Url,
    }
}

const fn secret_encoding(written: written::SecretEncodingConfig) -> WebhookSecretEncoding {
    match written {
        written::SecretEncodingConfig::Raw => WebhookSecretEncoding::Raw,
        written::SecretEncodingConfig::Base64 => WebhookSecretEncoding::Base64,
        written::SecretEncodingConfig::Hex => WebhookSecretEncoding::Hex,
        written::SecretEncodingConfig::Whsec => WebhookSecretEncoding::Whsec,
    }
}

const fn preset_of(written: written::WebhookPresetConfig) -> WebhookPreset {
    match written {
        written::WebhookPresetConfig::StandardWebhooks => WebhookPreset::StandardWebhooks,
        written::WebhookPresetConfig::Svix => WebhookPreset::Svix,
        written::WebhookPresetConfig::Stripe => WebhookPreset::Stripe,
        written::WebhookPresetConfig::Github => WebhookPreset::Github,
        written::WebhookPresetConfig::Gitlab => WebhookPreset::Gitlab,
        written::WebhookPresetConfig::Slack => WebhookPreset::Slack,
        written::WebhookPresetConfig::Shopify => WebhookPreset::Shopify,
        written::WebhookPresetConfig::Zoom => WebhookPreset::Zoom,
        written::WebhookPresetConfig::Pagerduty => WebhookPreset::Pagerduty,
        written::WebhookPresetConfig::Square => WebhookPreset::Square,
        written::WebhookPresetConfig::Paddle => WebhookPreset::Paddle,
        written::WebhookPresetConfig::Hubspot => WebhookPreset::Hubspot,
        written::WebhookPresetConfig::Twilio => WebhookPreset::Twilio,
        written::WebhookPresetConfig::Meta => WebhookPreset::Meta,
        written::WebhookPresetConfig::Dropbox => WebhookPreset::Dropbox,
        written::WebhookPresetConfig::Calendly => WebhookPreset::Calendly,
        written::WebhookPresetConfig::Typeform => WebhookPreset::Typeform,
        written::WebhookPresetConfig::Linear => WebhookPreset::Linear,
        written::WebhookPresetConfig::Intercom => WebhookPreset::Intercom,
    }
}
