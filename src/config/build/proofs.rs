//! Proofs without tokens: a client certificate, or a signature over each body.

use std::path::PathBuf;

use http::HeaderName;

use super::{files, values};
use crate::bounds::{WEBHOOK_TOLERANCE, WEBHOOK_TOLERANCE_MAX};
use crate::config::file::identity as written;
use crate::config::source::At;
use crate::identity::{CertificateSettings, SubjectAltName, WebhookScheme, WebhookSettings};

/// `certificate:`. `client_ca`: whether the ingress listener asks for client certificates, where that is known.
pub(super) fn certificate(
    at: &At<'_>,
    written: &written::Certificate,
    client_ca: Option<bool>,
) -> Option<CertificateSettings> {
    if client_ca == Some(false) {
        at.fault("can never hold: listeners.ingress asks for no client certificate", "give it a tls.client_ca");
    }
    let crl = written.crl.as_deref().unwrap_or_default();
    if written.ca.is_none() && !crl.is_empty() {
        at.key("crl").fault("needs the authority that signs it", "write ca: tls/acme-ca.pem");
    }
    let name = written.subject_alt_name.as_ref()?;
    if name.is_empty() || name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '*') {
        at.key("subject_alt_name").bad("must be one whole name of a certificate", "spiffe://acme.example/batch");
    }
    let file = |at: At<'_>, text: &String| files::beside_secrets(&at, text);
    Some(CertificateSettings {
        subject_alt_name: SubjectAltName::parse(name),
        ca_file: written.ca.as_ref().map(|text| file(at.key("ca"), text)),
        crl_files: crl.iter().enumerate().map(|(i, text)| file(at.key("crl").item(i), text)).collect(),
    })
}

/// `webhook:`
pub(super) fn webhook(at: &At<'_>, written: &written::Webhook) -> Option<WebhookSettings> {
    let scheme = scheme(at, written, written.scheme?)?;
    let secret = written.secret_file.as_ref()?;
    let mut secret_files = vec![secret_file(&at.key("secret_file"), secret)];
    if let Some(next) = &written.next_secret_file {
        if next == secret {
            at.key("next_secret_file").bad("is the same file", "");
        }
        secret_files.push(secret_file(&at.key("next_secret_file"), next));
    }
    let tolerance = values::duration(&at.key("tolerance"), written.tolerance.as_ref(), WEBHOOK_TOLERANCE_MAX);
    Some(WebhookSettings { scheme, secret_files, tolerance: tolerance.unwrap_or(WEBHOOK_TOLERANCE) })
}

fn scheme(at: &At<'_>, written: &written::Webhook, scheme: written::Scheme) -> Option<WebhookScheme> {
    let own = [
        ("header", written.header.is_some()),
        ("prefix", written.prefix.is_some()),
        ("timestamp_header", written.timestamp_header.is_some()),
    ];
    match scheme {
        written::Scheme::StandardWebhooks => {
            for (key, _) in own.into_iter().filter(|(_, there)| *there) {
                at.key(key).fault("belongs to scheme: hmac: Standard Webhooks names its own", "take it out");
            }
            Some(WebhookScheme::StandardWebhooks)
        }
        written::Scheme::Hmac => {
            let Some(name) = &written.header else {
                at.key("header").fault("is missing", "write header: x-acme-signature");
                return None;
            };
            let timestamp_header = written.timestamp_header.as_ref();
            Some(WebhookScheme::Hmac {
                header: header(&at.key("header"), name)?,
                prefix: written.prefix.clone().unwrap_or_default(),
                timestamp_header: timestamp_header.and_then(|name| header(&at.key("timestamp_header"), name)),
            })
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

fn secret_file(at: &At<'_>, text: &str) -> PathBuf {
    let instead = |path: &std::path::Path| format!("put the secret that the vendor gave into {}", path.display());
    files::secret(at, text, files::Readers::Group, instead)
}
