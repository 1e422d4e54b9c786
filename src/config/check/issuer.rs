//! Checks how an issuer vouches for tokens: its keys or its introspection endpoint, and how both are fetched.

use std::path::PathBuf;
use std::time::Duration;

use super::{files, values};
use crate::bounds::{
    INTROSPECTION_ACTIVE_FOR, INTROSPECTION_FOR_MAX, INTROSPECTION_INACTIVE_FOR, ISSUER_DEADLINE_MAX, JWKS_REFRESH,
    JWKS_REFRESH_MAX, JWKS_REFRESH_MIN, KEYS_COOLDOWN_MAX, KEYS_HARD_AGE_MAX,
};
use crate::config::file::identity as written;
use crate::config::source::Cursor;
use crate::config::units;
use crate::http::Url;
use crate::identity::{FetchSettings, IntrospectionSettings, KeySource, inspect_client_secret};

/// `jwks:` or `introspection:`, exactly one of which is required.
pub(super) fn source(
    at: &Cursor<'_>,
    written: &written::IdentityConfig,
    issuer: &str,
    fetch: &FetchSettings,
) -> Option<KeySource> {
    match (&written.jwks, &written.introspection) {
        (Some(jwks), None) => keys(&at.key("jwks"), jwks, issuer, fetch),
        (None, Some(asked)) => introspection(&at.key("introspection"), asked, fetch),
        (Some(_), Some(_)) => {
            let wrong = "is written beside jwks: this issuer's tokens are either signed or opaque";
            at.key("introspection").fault(wrong, "take one out");
            None
        }
        // The caller has reported the missing key.
        (None, None) => None,
    }
}

/// Checks what is written under `fetch:`.
pub(super) fn fetch(at: &Cursor<'_>, written: Option<&written::IssuerFetchConfig>) -> FetchSettings {
    let default = FetchSettings::default();
    let Some(written) = written else { return default };
    let span = |name: &str, value, most| values::duration(&at.key(name), value, most);
    let client_certificate = match (&written.cert, &written.key) {
        (Some(cert), Some(key)) => Some(files::identity(&at.key("cert"), cert, &at.key("key"), key)),
        (None, None) => None,
        (cert, key) => {
            cert.as_ref().map(|text| files::beside_secrets(&at.key("cert"), text));
            key.as_ref().map(|text| secret(&at.key("key"), text));
            at.fault("must have both cert and key, or neither", "add the other");
            None
        }
    };
    FetchSettings {
        hard_age: span("hard_age", written.hard_age.as_ref(), KEYS_HARD_AGE_MAX).unwrap_or(default.hard_age),
        cooldown: span("cooldown", written.cooldown.as_ref(), KEYS_COOLDOWN_MAX).unwrap_or(default.cooldown),
        deadline: span("deadline", written.deadline.as_ref(), ISSUER_DEADLINE_MAX).unwrap_or(default.deadline),
        ca_file: written.ca.as_ref().map(|text| files::authorities(&at.key("ca"), text)),
        client_certificate,
        allow_plain_http: written.allow_plain_http.unwrap_or_default(),
    }
}

fn introspection(at: &Cursor<'_>, written: &written::IntrospectionConfig, fetch: &FetchSettings) -> Option<KeySource> {
    let (url, client_id) = (written.url.as_ref()?, written.client_id.as_ref()?);
    check_url(&at.key("url"), url, fetch);
    if client_id.is_empty() || client_id.chars().any(char::is_control) {
        at.key("client_id").invalid("must be the id of our client at the issuer", "vendorgate");
    }
    if written.secret_file.is_none() && fetch.client_certificate.is_none() {
        let instead = "write secret_file: secrets/introspection, or fetch: { cert: …, key: … }";
        at.fault("says nothing by which the issuer could know us", instead);
    }
    let prefix = written.token_prefix.clone().unwrap_or_default();
    if !prefix.bytes().all(|byte| byte.is_ascii_graphic()) {
        at.key("token_prefix").invalid("must be text that a token can start with", "acme_");
    }
    let span = |name: &str, value| values::duration(&at.key(name), value, INTROSPECTION_FOR_MAX);
    Some(KeySource::Introspection(IntrospectionSettings {
        url: url.clone(),
        client_id: client_id.clone(),
        secret_file: written.secret_file.as_ref().map(|text| secret(&at.key("secret_file"), text)),
        token_prefix: prefix,
        active_for: span("active_for", written.active_for.as_ref()).unwrap_or(INTROSPECTION_ACTIVE_FOR),
        inactive_for: span("inactive_for", written.inactive_for.as_ref()).unwrap_or(INTROSPECTION_INACTIVE_FOR),
    }))
}

fn secret(at: &Cursor<'_>, text: &str) -> PathBuf {
    let path = files::secret(at, text, files::AllowedReaders::Group, |path| format!("put it into {}", path.display()));
    let content = files::content(at, &path).map(|content| content.to_vec());
    if let Some(Err(wrong)) = content.map(inspect_client_secret) {
        files::unusable(at, &path, wrong, "put the secret that the issuer gave there");
    }
    path
}

fn keys(at: &Cursor<'_>, written: &written::JwksConfig, issuer: &str, fetch: &FetchSettings) -> Option<KeySource> {
    let discovery = written.discovery == Some(true);
    match (&written.url, &written.file, discovery) {
        (Some(url), None, false) => {
            check_url(&at.key("url"), url, fetch);
            Some(KeySource::Url { url: url.clone(), refresh: refresh(&at.key("refresh"), written) })
        }
        (None, Some(file), false) => {
            if written.refresh.is_some() {
                at.key("refresh").fault("belongs to a url: a file is read again when it changes", "take it out");
            }
            Some(KeySource::File(files::jwks(&at.key("file"), file)))
        }
        (None, None, true) => {
            if Url::parse_base(issuer).is_err() {
                at.key("discovery").fault("needs an issuer that is a URL", "write jwks: { url: … }");
            }
            Some(KeySource::Discovery { refresh: refresh(&at.key("refresh"), written) })
        }
        (None, None, false) => {
            at.fault("must have a url or a file", "write jwks: { url: \"https://id.example.com/jwks\" }");
            None
        }
        (Some(_), Some(_), _) | (Some(_), None, true) | (None, Some(_), true) => {
            at.fault("must have a url or a file, not both", "take one out");
            None
        }
    }
}

fn refresh(at: &Cursor<'_>, written: &written::JwksConfig) -> Duration {
    let refresh = values::duration(at, written.refresh.as_ref(), JWKS_REFRESH_MAX).unwrap_or(JWKS_REFRESH);
    if refresh < JWKS_REFRESH_MIN {
        let least = units::format_duration(JWKS_REFRESH_MIN);
        at.invalid(format!("must be at least {least}: an issuer is not to be flooded"), "5m");
    }
    refresh
}

/// Refuses plain HTTP beyond this machine: a man in the middle could replace the issuer's keys. The query is not
/// checked.
fn check_url(at: &Cursor<'_>, text: &str, fetch: &FetchSettings) {
    let (base, _) = text.split_once('?').unwrap_or((text, ""));
    match Url::parse_base(base) {
        Ok(url) if !url.is_protected() && !fetch.allow_plain_http => {
            at.invalid("must be https: whoever changes these keys on the way becomes the vendor", "https://…");
        }
        Ok(_) => {}
        Err(error) if base.contains('@') => at.fault_without_line(error.to_string(), "take it out of the URL"),
        Err(error) => at.invalid(error.to_string(), "https://id.example.com/jwks"),
    }
}
