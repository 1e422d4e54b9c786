//! A contract's `identity:`

use std::time::Duration;

use super::{files, values};
use crate::bounds::{
    CLOCK_SKEW, CLOCK_SKEW_MAX, JWKS_REFRESH, JWKS_REFRESH_MAX, JWKS_REFRESH_MIN, ROTATION_MAX, TOKEN_LIFETIME_DEFAULT,
};
use crate::config::file::contract as written;
use crate::config::source::At;
use crate::config::units;
use crate::identity::{Algorithm, FetchSettings, Identity, KeySource, Rotation, Sender, Settings};
use crate::model::ClientId;
use crate::upstream::{BaseUrl, Scheme};

/// `identity:`; `None` when it lacks what has been reported as missing.
pub(super) fn identity(at: &At<'_>, written: &written::Identity, client_ca: Option<bool>) -> Option<Identity> {
    let issuer = exact(&at.key("issuer"), written.issuer.as_deref());
    let audience = exact(&at.key("audience"), written.audience.as_deref());
    let clients = clients(&at.key("clients"), written.clients.as_deref().unwrap_or_default());
    let algorithms = algorithms(&at.key("algorithms"), written.algorithms.as_deref());
    let sender = sender(&at.key("sender"), written.sender, client_ca);
    let accept_plain_jwt = plain_jwt(&at.key("typ"), written.typ.as_deref());
    let clock_skew = values::duration(&at.key("clock_skew"), written.clock_skew.as_ref(), CLOCK_SKEW_MAX);
    let rotation = rotation(&at.key("rotation"), written.rotation.as_ref());
    let keys = keys(&at.key("jwks"), written.jwks.as_ref()?)?;
    let clock_skew = clock_skew.unwrap_or(CLOCK_SKEW);
    let fetch = FetchSettings::default();
    Some(Identity::from(Settings {
        issuer,
        audience,
        clients,
        keys,
        algorithms,
        sender,
        accept_plain_jwt,
        clock_skew,
        rotation,
        fetch,
    }))
}

/// A text that tokens are compared with, byte for byte.
fn exact(at: &At<'_>, written: Option<&str>) -> String {
    let text = written.unwrap_or_default();
    if written.is_some() && (text.is_empty() || text.chars().any(|c| c.is_whitespace() || c.is_control())) {
        at.bad("must be the exact text of the token's claim, without spaces", "https://id.example.com");
    }
    text.to_owned()
}

fn clients(at: &At<'_>, written: &[String]) -> Vec<ClientId> {
    if written.is_empty() {
        at.fault("must list at least one client: without, no token is this vendor's", "write [acme-batch]");
    }
    for (i, client) in written.iter().enumerate() {
        if client.is_empty() || client.chars().any(char::is_control) {
            at.item(i).bad("must be a client's id", "acme-batch");
        } else if written[..i].contains(client) {
            at.item(i).bad("stands twice in the list", "");
        }
    }
    written.iter().map(|client| ClientId::new(client)).collect()
}

fn keys(at: &At<'_>, written: &written::Jwks) -> Option<KeySource> {
    match (&written.url, &written.file) {
        (Some(url), None) => {
            check_key_url(&at.key("url"), url);
            Some(KeySource::Url { url: url.clone(), refresh: refresh(&at.key("refresh"), written) })
        }
        (None, Some(file)) => {
            if written.refresh.is_some() {
                at.key("refresh").fault("belongs to a url: a file is read again when it changes", "take it out");
            }
            Some(KeySource::File(files::jwks(&at.key("file"), file)))
        }
        (Some(_), Some(_)) => {
            at.fault("must have a url or a file, not both", "take one out");
            None
        }
        (None, None) => {
            at.fault("must have a url or a file", "write jwks: { url: \"https://id.example.com/jwks\" }");
            None
        }
    }
}

fn refresh(at: &At<'_>, written: &written::Jwks) -> Duration {
    let refresh = values::duration(at, written.refresh.as_ref(), JWKS_REFRESH_MAX).unwrap_or(JWKS_REFRESH);
    if refresh < JWKS_REFRESH_MIN {
        let least = units::shown(JWKS_REFRESH_MIN);
        at.bad(format!("must be at least {least}: an issuer is not to be flooded"), "5m");
    }
    refresh
}

/// Whoever reads keys in clear takes them from whoever is in between. The query is the issuer's business.
fn check_key_url(at: &At<'_>, text: &str) {
    let (base, _) = text.split_once('?').unwrap_or((text, ""));
    match BaseUrl::parse(base) {
        Ok(url) if url.scheme() == Scheme::Http && !url.is_loopback() => {
            at.bad("must be https: whoever changes these keys on the way becomes the vendor", "https://…");
        }
        Ok(_) => {}
        Err(error) if base.contains('@') => at.fault_unshown(error.to_string(), "take it out of the URL"),
        Err(error) => at.bad(error.to_string(), "https://id.example.com/jwks"),
    }
}

fn algorithms(at: &At<'_>, written: Option<&[written::Algorithm]>) -> Vec<Algorithm> {
    let Some(written) = written else { return vec![Algorithm::ES256] };
    if written.is_empty() {
        at.fault("must list at least one algorithm", "write [ES256]");
    }
    for (i, algorithm) in written.iter().enumerate() {
        if written[..i].contains(algorithm) {
            at.item(i).bad("stands twice in the list", "");
        }
    }
    written.iter().copied().map(algorithm).collect()
}

fn algorithm(written: written::Algorithm) -> Algorithm {
    match written {
        written::Algorithm::ES256 => Algorithm::ES256,
        written::Algorithm::ES384 => Algorithm::ES384,
        written::Algorithm::RS256 => Algorithm::RS256,
        written::Algorithm::PS256 => Algorithm::PS256,
        written::Algorithm::EdDSA => Algorithm::EdDSA,
    }
}

/// `client_ca`: whether the ingress listener asks for client certificates, where that is known.
fn sender(at: &At<'_>, written: Option<written::Sender>, client_ca: Option<bool>) -> Sender {
    match written {
        None | Some(written::Sender::None) => Sender::None,
        Some(written::Sender::Mtls) => {
            if client_ca == Some(false) {
                let instead = "give it a tls.client_ca, or write sender: none";
                at.fault("can never hold: listeners.ingress asks for no client certificate", instead);
            }
            Sender::Mtls
        }
    }
}

fn plain_jwt(at: &At<'_>, written: Option<&[written::TokenType]>) -> bool {
    let Some(written) = written else { return false };
    if !written.contains(&written::TokenType::AccessToken) {
        at.fault("must list at+jwt: RFC 9068 tokens always pass", "write [at+jwt, JWT], or take the key out");
    }
    written.contains(&written::TokenType::Jwt)
}

fn rotation(at: &At<'_>, written: Option<&written::Rotation>) -> Rotation {
    let default = Rotation { max_lifetime: Some(TOKEN_LIFETIME_DEFAULT), ..Rotation::default() };
    let Some(written) = written else { return default };
    let read = |name: &str, value| values::duration(&at.key(name), value, ROTATION_MAX);
    Rotation {
        max_lifetime: read("max_lifetime", written.max_lifetime.as_ref()).or(default.max_lifetime),
        max_age: read("max_age", written.max_age.as_ref()),
        superseded_grace: read("superseded_grace", written.superseded_grace.as_ref()),
        max_key_age: read("max_key_age", written.max_key_age.as_ref()),
    }
}
