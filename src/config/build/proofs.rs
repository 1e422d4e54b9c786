//! Proof without tokens by a client certificate.

use super::files;
use crate::config::file::identity as written;
use crate::config::source::At;
use crate::identity::{CertificateSettings, SubjectAltName};

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
