//! Checks `webhook:` of a contract's identity: a preset, or a recipe that is written out.

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

/// Checks what is written under `webhook:`.
pub(super) fn webhook(at: &Cursor<'_>, written: &written::WebhookConfig) -> Option<WebhookSettings> {
    let (mut recipe, known) = recipe(at, written)?;
    if let Some(encoding) = written.secret_encoding {
        recipe.secret = encoding;
    }
    recipe.url = written.url.as_deref().and_then(|text| base(&at.key("url"), text));
    let signs_address = [TemplatePart::Url, TemplatePart::DecodedUrl].iter().any(|part| recipe.signed.has(part));
    if recipe.url.is_some() && !signs_address {
        at.key("url").fault("has no effect: the address is not signed", "take it out, or write signed with {url}");
    }
    let handshakes = match &written.handshake {
        Some(listed) => handshakes(&at.key("handshake"), listed),
        // Without a verify token the subscription exists already, so Meta's handshake is not needed.
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

/// The file of the verify token, which Meta sends in a URL: so the secret of its signatures cannot serve for it.
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

/// The keys of a recipe, and whether they are written.
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
            let (mut recipe, handshakes) = preset.recipe();
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
            at.key("scheme").fault("is written beside preset, which includes it", "take one of them out");
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
        proof: written.digest.unwrap_or(WebhookProof::HmacSha256),
        timestamp,
        id_header,
        ..WebhookRecipe::hmac(signature, written.encoding.unwrap_or(SignatureEncoding::HexOrBase64), signed)
    })
}

/// Refuses a timestamp that is not signed: anyone who sends a copy of a message could change it.
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
    // Only the signature's own header has several parts.
    let separator = separator.filter(|_| written.header.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(&name)));
    let place = HeaderPart { header: name, separator, prefix: written.timestamp_prefix.clone().unwrap_or_default() };
    Some((place, written.timestamp_format.unwrap_or(TimestampFormat::Seconds)))
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

/// A header's name in lower case, as requests have it.
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
