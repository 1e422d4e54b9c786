//! Checks `certificate:` of a contract's identity: a vendor known by its client certificate.

use std::path::PathBuf;

use super::files;
use crate::config::file::identity as written;
use crate::config::source::Cursor;
use crate::identity::{CertificateSettings, SubjectAltName, inspect_authorities};

/// `client_ca`: the number of authorities whose client certificates the ingress listener accepts, where it is known.
pub(super) fn certificate(
    at: &Cursor<'_>,
    written: &written::CertificateConfig,
    client_ca: Option<usize>,
) -> Option<CertificateSettings> {
    match client_ca {
        Some(0) => {
            at.fault(
                "can never be proven: listeners.ingress asks for no client certificate",
                "give it a tls.client_ca",
            );
        }
        // Each of the other authorities could issue a certificate with this vendor's name.
        Some(count @ 2..) if written.ca.is_none() => at.key("ca").fault(
            format!(
                "is missing: listeners.ingress trusts {count} authorities, and each could issue this vendor's name"
            ),
            "write ca: tls/acme-ca.pem, with the authorities that may issue this vendor's certificate",
        ),
        Some(_) | None => {}
    }
    let crl = written.crl.as_deref().unwrap_or_default();
    if written.ca.is_none() && !crl.is_empty() {
        at.key("crl").fault("needs the authority that signs it", "write ca: tls/acme-ca.pem");
    }
    let name = written.subject_alt_name.as_ref()?;
    if name.is_empty() || name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '*') {
        at.key("subject_alt_name").invalid("must be one whole name of a certificate", "spiffe://acme.example/batch");
    }
    let ca_file = written.ca.as_ref().map(|text| files::authorities(&at.key("ca"), text));
    let bundle = ca_file.as_deref().and_then(files::bundle);
    let list = |(i, text): (usize, &String)| revocation_list(&at.key("crl").item(i), text, bundle.as_deref());
    let crl_files = crl.iter().enumerate().map(list).collect();
    Some(CertificateSettings { subject_alt_name: SubjectAltName::parse(name), ca_file, crl_files })
}

/// Checks a revocation list together with the authorities that it is for.
fn revocation_list(at: &Cursor<'_>, text: &str, bundle: Option<&[u8]>) -> PathBuf {
    let path = files::beside_secrets(at, text);
    let list = files::content(at, &path);
    if let (Some(bundle), Some(list)) = (bundle, list)
        && let Err(wrong) = inspect_authorities(&[bundle.to_vec(), list.to_vec()])
    {
        files::unusable(
            at,
            &path,
            format!("cannot be used: {wrong}"),
            "put the authority's revocation list there, in PEM",
        );
    }
    path
}
