//! Checks `identity:` of a contract: tokens, a certificate or signed webhooks, and what tokens must be like.

use super::{certificate, claims, issuer, issuer_profile, values, webhook};
use crate::bounds::{CLOCK_SKEW, CLOCK_SKEW_MAX, ROTATION_MAX, TOKEN_LIFETIME_DEFAULT};
use crate::config::file::identity as written;
use crate::config::source::Cursor;
use crate::identity::{IdentitySettings, IssuerProfile, RotationRules, SenderBinding, SupersededBy, TokenSettings};
use crate::model::ClientId;

/// `identity:`; `None` when a required key is missing, which is reported.
pub(super) fn identity(
    at: &Cursor<'_>,
    written: &written::IdentityConfig,
    client_ca: Option<usize>,
) -> Option<IdentitySettings> {
    match (&written.certificate, &written.webhook) {
        (None, None) => token(at, written, client_ca).map(IdentitySettings::from),
        (Some(certificate), None) => {
            alone(at, written, "certificate");
            certificate::certificate(&at.key("certificate"), certificate, client_ca).map(IdentitySettings::Certificate)
        }
        (None, Some(webhook)) => {
            alone(at, written, "webhook");
            webhook::webhook(&at.key("webhook"), webhook).map(|settings| IdentitySettings::Webhook(settings.into()))
        }
        (Some(_), Some(_)) => {
            at.key("webhook").fault("is written beside certificate: a vendor proves itself in one way", "take one out");
            None
        }
    }
}

/// Reports keys about tokens beside a proof without tokens.
fn alone(at: &Cursor<'_>, written: &written::IdentityConfig, proof: &str) {
    let keys = [
        ("issuer", written.issuer.is_some()),
        ("issuer_profile", written.issuer_profile.is_some()),
        ("audience", written.audience.is_some()),
        ("clients", written.clients.is_some()),
        ("jwks", written.jwks.is_some()),
        ("introspection", written.introspection.is_some()),
        ("claims", written.claims.is_some()),
        ("ignore_header", written.ignore_header.is_some()),
        ("token_bytes_max", written.token_bytes_max.is_some()),
        ("algorithms", written.algorithms.is_some()),
        ("sender", written.sender.is_some()),
        ("typ", written.typ.is_some()),
        ("clock_skew", written.clock_skew.is_some()),
        ("rotation", written.rotation.is_some()),
        ("fetch", written.fetch.is_some()),
    ];
    for (key, _) in keys.into_iter().filter(|(_, there)| *there) {
        at.key(key).fault(format!("is about tokens, and {proof} is a proof without them"), "take one of them out");
    }
}

fn token(at: &Cursor<'_>, written: &written::IdentityConfig, client_ca: Option<usize>) -> Option<TokenSettings> {
    let asks = written.introspection.is_some();
    let missing = [
        ("issuer", written.issuer.is_none(), "https://id.example.com"),
        ("clients", written.clients.is_none(), "[acme-batch]"),
        ("jwks", written.jwks.is_none() && !asks, "{ … }"),
    ];
    for (key, _, example) in missing.into_iter().filter(|(_, missing, _)| *missing) {
        at.key(key).fault("is missing", format!("write {key}: {example}"));
    }
    let issuer = exact(&at.key("issuer"), written.issuer.as_deref());
    let profile = issuer_profile::profile(at, written);
    let audience = claims::audience(at, written, profile.is_some_and(IssuerProfile::lacks_audience));
    exact(&at.key("audience"), written.audience.as_deref());
    let names = claims::names(&at.key("claims"), written.claims.as_ref(), asks);
    let clients = written.clients.as_deref().map(|written| clients(&at.key("clients"), written)).unwrap_or_default();
    if asks && written.algorithms.is_some() {
        at.key("algorithms").fault("is about signed tokens, and introspection about opaque ones", "take it out");
    }
    let algorithms = claims::algorithms(&at.key("algorithms"), written.algorithms.as_deref());
    let sender = sender(&at.key("sender"), written.sender, client_ca);
    let shape = claims::shape(at, written);
    let clock_skew = values::duration(&at.key("clock_skew"), written.clock_skew.as_ref(), CLOCK_SKEW_MAX);
    let rotation = rotation(&at.key("rotation"), written.rotation.as_ref());
    let fetch = issuer::fetch(&at.key("fetch"), written.fetch.as_ref());
    let keys = issuer::source(at, written, &issuer, &fetch)?;
    let clock_skew = clock_skew.unwrap_or(CLOCK_SKEW);
    let mut settings = TokenSettings {
        issuer,
        audience,
        clients,
        keys,
        algorithms,
        sender,
        profile,
        claims: names,
        shape,
        clock_skew,
        rotation,
        fetch,
    };
    issuer_profile::fill(&mut settings, written);
    if settings.audience.is_none() && !asks {
        claims::check_id_tokens_excluded(&at.key("audience"), &settings.claims, &settings.shape);
    }
    Some(settings)
}

/// A text that a claim must equal, byte for byte.
fn exact(at: &Cursor<'_>, written: Option<&str>) -> String {
    let text = written.unwrap_or_default();
    if written.is_some() && (text.is_empty() || text.chars().any(|c| c.is_whitespace() || c.is_control())) {
        at.invalid("must be the exact text of the token's claim, without spaces", "https://id.example.com");
    }
    text.to_owned()
}

fn clients(at: &Cursor<'_>, written: &[String]) -> Vec<ClientId> {
    if written.is_empty() {
        at.fault("must list at least one client: without, no token is this vendor's", "write [acme-batch]");
    }
    for (i, client) in written.iter().enumerate() {
        if client.is_empty() || client.chars().any(char::is_control) {
            at.item(i).invalid("must be a client's id", "acme-batch");
        } else if written[..i].contains(client) {
            at.item(i).invalid("is listed twice", "");
        }
    }
    written.iter().map(|client| ClientId::new(client)).collect()
}

/// `client_ca`: the number of authorities whose client certificates the ingress listener accepts, where it is known.
fn sender(at: &Cursor<'_>, written: Option<SenderBinding>, client_ca: Option<usize>) -> SenderBinding {
    if written == Some(SenderBinding::Mtls) && client_ca == Some(0) {
        let instead = "give it a tls.client_ca, or write sender: none";
        at.fault("can never be proven: listeners.ingress asks for no client certificate", instead);
    }
    written.unwrap_or(SenderBinding::None)
}

fn rotation(at: &Cursor<'_>, written: Option<&written::RotationConfig>) -> RotationRules {
    let default = RotationRules { max_lifetime: Some(TOKEN_LIFETIME_DEFAULT), ..RotationRules::default() };
    let Some(written) = written else { return default };
    let read = |name: &str, value| values::duration(&at.key(name), value, ROTATION_MAX);
    let grace = read("superseded_grace", written.superseded_grace.as_ref());
    let off = written.superseded == Some(written::SupersededConfig::Off);
    if off && grace.is_some() {
        at.key("superseded").fault("leaves superseded_grace without effect", "take one of them out");
    }
    if written.superseded.is_some() && !off && written.superseded_grace.is_none() {
        at.key("superseded").fault("has no effect without a grace", "write superseded_grace: 2m");
    }
    RotationRules {
        max_lifetime: read("max_lifetime", written.max_lifetime.as_ref()).or(default.max_lifetime),
        max_lifetime_written: written.max_lifetime.is_some(),
        max_age: read("max_age", written.max_age.as_ref()),
        superseded_grace: grace.filter(|_| !off),
        superseded: match written.superseded {
            Some(written::SupersededConfig::PerSubject) => SupersededBy::PerSubject,
            Some(written::SupersededConfig::PerClient | written::SupersededConfig::Off) | None => {
                SupersededBy::PerClient
            }
        },
        max_key_age: read("max_key_age", written.max_key_age.as_ref()),
        expired_grace: read("expired_grace", written.expired_grace.as_ref()),
    }
}
