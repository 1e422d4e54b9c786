//! `webhook:` of a contract's identity: a known vendor's way to sign, or one that is spelt out.

use std::path::PathBuf;

use http::HeaderName;

use super::files;
use super::values;
use crate::bounds::{WEBHOOK_TOLERANCE, WEBHOOK_TOLERANCE_MAX};
use crate::config::file::OneOrMore;
use crate::config::file::webhook as written;
use crate::config::source::At;
use crate::identity::{
    Encoding, Handshake, Part, Place, Preset, Proof, Recipe, SecretEncoding, Template, TimeFormat, WebhookSettings,
    inspect_secret,
};
use crate::upstream::BaseUrl;

/// `webhook:`
pub(super) fn webhook(at: &At<'_>, written: &written::Webhook) -> Option<WebhookSettings> {
    let (mut recipe, known) = recipe(at, written)?;
    if let Some(encoding) = written.secret_encoding {
        recipe.secret = secret_encoding(encoding);
    }
    recipe.url = written.url.as_deref().and_then(|text| base(&at.key("url"), text));
    let signs_address = [Part::Url, Part::DecodedUrl].iter().any(|part| recipe.signed.has(part));
    if recipe.url.is_some() && !signs_address {
        at.key("url").fault("has no effect: the address is not signed", "take it out, or write signed with {url}");
    }
    let handshakes = match &written.handshake {
        Some(listed) => handshakes(&at.key("handshake"), listed),
        // Who has subscribed already needs no handshake any more.
        None if written.verify_token_file.is_none() => {
            known.into_iter().filter(|one| *one != Handshake::Meta).collect()
        }
        None => known,
    };
    let verify_token_file = verify_token_file(at, written, &handshakes);
    let tolerance = values::duration(&at.key("tolerance"), written.tolerance.as_ref(), WEBHOOK_TOLERANCE_MAX);
    let secret = written.secret_file.as_ref()?;
    let mut secret_files = vec![secret_file(&at.key("secret_file"), secret, recipe.secret)];
    if let Some(next) = &written.next_secret_file {
        if next == secret {
            at.key("next_secret_file").bad("is the same file", "");
        }
        secret_files.push(secret_file(&at.key("next_secret_file"), next, recipe.secret));
    }
    let tolerance = tolerance.unwrap_or(WEBHOOK_TOLERANCE);
    Some(WebhookSettings { recipe, secret_files, tolerance, verify_token_file, handshakes })
}

/// Meta shows a token that its customer has made up; the secret of its signatures is no such token, for it would be in a URL.
fn verify_token_file(at: &At<'_>, written: &written::Webhook, handshakes: &[Handshake]) -> Option<PathBuf> {
    let (at, wanted) = (at.key("verify_token_file"), handshakes.contains(&Handshake::Meta));
    match &written.verify_token_file {
        Some(_) if !wanted => {
            at.fault("has no effect without the handshake meta", "take it out, or write handshake: meta");
            None
        }
        Some(text) => Some(secret_file(&at, text, SecretEncoding::Raw)),
        None if wanted => {
            at.fault("is missing: the handshake meta shows it", "write verify_token_file: secrets/meta-verify-token");
            None
        }
        None => None,
    }
}

/// Keys that spell a recipe out, and whether they are written.
fn spelt(written: &written::Webhook) -> [(&'static str, bool); 10] {
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

fn recipe(at: &At<'_>, written: &written::Webhook) -> Option<(Recipe, Vec<Handshake>)> {
    let only = |allowed: &[&str], why: &str| {
        for (key, _) in spelt(written).into_iter().filter(|(key, there)| *there && !allowed.contains(key)) {
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
        (None, Some(written::Scheme::StandardWebhooks)) => {
            only(&[], "belongs to scheme: hmac: Standard Webhooks names its own");
            Some(Preset::StandardWebhooks.recipe())
        }
        (None, Some(written::Scheme::Token)) => {
            only(&["header", "prefix", "id_header"], "belongs to scheme: hmac: a token signs nothing");
            let signed = Template(vec![Part::Body]);
            let id_header = written.id_header.as_ref().and_then(|name| header(&at.key("id_header"), name));
            let recipe = Recipe { id_header, ..Recipe::hmac(signature(at, written)?, Encoding::Hex, signed) };
            Some((Recipe { proof: Proof::Token, ..recipe }, Vec::new()))
        }
        (None, Some(written::Scheme::Hmac)) => Some((hmac(at, written)?, Vec::new())),
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

fn hmac(at: &At<'_>, written: &written::Webhook) -> Option<Recipe> {
    let signature = signature(at, written)?;
    let timestamp = timestamp(at, written, signature.separator);
    let default = if timestamp.is_some() { "{timestamp}.{body}" } else { "{body}" };
    let signed = match Template::parse(written.signed.as_deref().unwrap_or(default)) {
        Ok(signed) => signed,
        Err(wrong) => {
            at.key("signed").bad(wrong, "\"{timestamp}.{body}\"");
            return None;
        }
    };
    let id_header = written.id_header.as_ref().and_then(|name| header(&at.key("id_header"), name));
    check_signed(at, &signed, timestamp.is_some(), id_header.is_some());
    Some(Recipe {
        proof: match written.digest {
            Some(written::Digest::Sha1) => Proof::HmacSha1,
            Some(written::Digest::Sha256) | None => Proof::HmacSha256,
            Some(written::Digest::Sha512) => Proof::HmacSha512,
        },
        timestamp,
        id_header,
        ..Recipe::hmac(signature, encoding(written.encoding), signed)
    })
}

/// A time that is not signed can be rewritten by whoever sends a copy.
fn check_signed(at: &At<'_>, signed: &Template, has_time: bool, has_id: bool) {
    match (signed.has(&Part::Timestamp), has_time) {
        (true, false) => {
            at.key("signed").fault("has a {timestamp} of no header", "write timestamp_header: x-acme-timestamp")
        }
        (false, true) => {
            at.key("timestamp_header").fault("is not signed: anybody could change it", "put {timestamp} into signed")
        }
        (true, true) | (false, false) => {}
    }
    if signed.has(&Part::Id) && !has_id {
        at.key("signed").fault("has an {id} of no header", "write id_header: x-acme-delivery");
    }
}

fn signature(at: &At<'_>, written: &written::Webhook) -> Option<Place> {
    let Some(name) = &written.header else {
        at.key("header").fault("is missing", "write header: x-acme-signature");
        return None;
    };
    let separator = written.separator.as_deref().and_then(|text| separator(&at.key("separator"), text));
    let prefix = written.prefix.clone().unwrap_or_default();
    Some(Place { header: header(&at.key("header"), name)?, separator, prefix })
}

fn timestamp(at: &At<'_>, written: &written::Webhook, separator: Option<char>) -> Option<(Place, TimeFormat)> {
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
    let place = Place { header: name, separator, prefix: written.timestamp_prefix.clone().unwrap_or_default() };
    let format = match written.timestamp_format {
        Some(written::TimeFormat::Seconds) | None => TimeFormat::Seconds,
        Some(written::TimeFormat::Millis) => TimeFormat::Millis,
        Some(written::TimeFormat::Iso8601) => TimeFormat::Iso8601,
    };
    Some((place, format))
}

fn separator(at: &At<'_>, text: &str) -> Option<char> {
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(only), None) if only == ' ' || only.is_ascii_punctuation() => Some(only),
        _ => {
            at.bad("must be one character", "\",\"");
            None
        }
    }
}

fn handshakes(at: &At<'_>, OneOrMore(listed): &OneOrMore) -> Vec<Handshake> {
    const KNOWN: [(&str, Handshake); 5] = [
        ("slack", Handshake::Slack),
        ("zoom", Handshake::Zoom),
        ("ms_graph", Handshake::MsGraph),
        ("meta", Handshake::Meta),
        ("dropbox", Handshake::Dropbox),
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

fn base(at: &At<'_>, text: &str) -> Option<String> {
    match BaseUrl::parse(text) {
        Ok(_) => Some(text.trim_end_matches('/').to_owned()),
        Err(error) => {
            at.bad(error.to_string(), "https://hooks.example.com");
            None
        }
    }
}

/// A header's name, in the form in which requests have it.
fn header(at: &At<'_>, text: &str) -> Option<String> {
    match HeaderName::try_from(text) {
        Ok(name) => Some(name.as_str().to_owned()),
        Err(_) => {
            at.bad("must be the name of a header", "x-acme-signature");
            None
        }
    }
}

fn secret_file(at: &At<'_>, text: &str, encoding: SecretEncoding) -> PathBuf {
    let instead = |path: &std::path::Path| format!("put the secret that the vendor gave into {}", path.display());
    let path = files::secret(at, text, files::Readers::Group, instead);
    files::secret_content(at, &path, |content| inspect_secret(content, encoding));
    path
}

const fn encoding(written: Option<written::Encoding>) -> Encoding {
    match written {
        None => Encoding::HexOrBase64,
        Some(written::Encoding::Hex) => Encoding::Hex,
        Some(written::Encoding::Base64) => Encoding::Base64,
        Some(written::Encoding::Base64url) => Encoding::Base64Url,
    }
}

const fn secret_encoding(written: written::SecretEncoding) -> SecretEncoding {
    match written {
        written::SecretEncoding::Raw => SecretEncoding::Raw,
        written::SecretEncoding::Base64 => SecretEncoding::Base64,
        written::SecretEncoding::Hex => SecretEncoding::Hex,
        written::SecretEncoding::Whsec => SecretEncoding::Whsec,
    }
}

const fn preset_of(written: written::Preset) -> Preset {
    match written {
        written::Preset::StandardWebhooks => Preset::StandardWebhooks,
        written::Preset::Svix => Preset::Svix,
        written::Preset::Stripe => Preset::Stripe,
        written::Preset::Github => Preset::Github,
        written::Preset::Gitlab => Preset::Gitlab,
        written::Preset::Slack => Preset::Slack,
        written::Preset::Shopify => Preset::Shopify,
        written::Preset::Zoom => Preset::Zoom,
        written::Preset::Pagerduty => Preset::Pagerduty,
        written::Preset::Square => Preset::Square,
        written::Preset::Paddle => Preset::Paddle,
        written::Preset::Hubspot => Preset::Hubspot,
        written::Preset::Twilio => Preset::Twilio,
        written::Preset::Meta => Preset::Meta,
        written::Preset::Dropbox => Preset::Dropbox,
        written::Preset::Calendly => Preset::Calendly,
        written::Preset::Typeform => Preset::Typeform,
        written::Preset::Linear => Preset::Linear,
        written::Preset::Intercom => Preset::Intercom,
    }
}
