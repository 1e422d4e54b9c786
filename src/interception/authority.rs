//! The authority that signs the certificates of intercepted hosts, as it is read from its files.

use rcgen::{Issuer, KeyPair};
use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, GeneralSubtree};

use super::error::InterceptionError;
use crate::http::pem::{self, PemError};
use crate::model::UnixTime;

/// An authority with its key.
#[derive(Debug)]
pub struct InterceptionAuthority {
    issuer: Issuer<'static, KeyPair>,
    /// What is sent behind the certificate of a host: the authority and those above it, without a root.
    above: Vec<CertificateDer<'static>>,
    permitted: Option<Vec<String>>,
    excluded: Vec<String>,
    not_before: UnixTime,
    not_after: UnixTime,
}

impl InterceptionAuthority {
    /// Reads the certificate, with those above it, and the key; both are PEM.
    ///
    /// # Errors
    /// [`InterceptionError`] when one cannot be used, or the two do not belong together.
    pub fn read(certificate: &[u8], key: &[u8]) -> Result<Self, InterceptionError> {
        let chain = pem::certificate_chain(certificate)?;
        pem::check_identity(chain.clone(), pem::private_key(key)?)?;
        let own = chain.first().ok_or(PemError::NoCertificate)?;
        let (_, parsed) = x509_parser::parse_x509_certificate(own).map_err(|_| PemError::Certificate)?;
        if !may_sign(&parsed) {
            return Err(InterceptionError::NotAuthority);
        }
        let signing = KeyPair::try_from(&pem::private_key(key)?).map_err(|_| PemError::Key)?;
        let limits = parsed.name_constraints().map_err(|_| PemError::Certificate)?.map(|extension| extension.value);
        let names = |trees: Option<&Vec<GeneralSubtree<'_>>>| trees.map(|trees| dns_names(trees)).unwrap_or_default();
        let permitted = names(limits.and_then(|limits| limits.permitted_subtrees.as_ref()));
        let date = |seconds: i64| UnixTime::from_secs(u64::try_from(seconds).unwrap_or(0));
        let validity = parsed.validity();
        Ok(Self {
            issuer: Issuer::from_ca_cert_der(own, signing)?,
            permitted: Some(permitted).filter(|permitted| !permitted.is_empty()),
            excluded: names(limits.and_then(|limits| limits.excluded_subtrees.as_ref())),
            not_before: date(validity.not_before.timestamp()),
            not_after: date(validity.not_after.timestamp()),
            above: chain.iter().filter(|certificate| !is_root(certificate)).cloned().collect(),
        })
    }

    /// Whether it may sign for a host (RFC 5280 section 4.2.1.10). A host that is permitted permits its sub-domains.
    pub fn permits(&self, host: &str) -> bool {
        let lies_under = |base: &String| lies_under(host, base);
        self.permitted.as_ref().is_none_or(|permitted| permitted.iter().any(lies_under))
            && !self.excluded.iter().any(lies_under)
    }

    /// Whether it is limited to certain hosts. One that is not could sign for every site there is.
    pub const fn is_limited(&self) -> bool {
        self.permitted.is_some()
    }

    /// Whether it is valid at a time.
    pub fn is_in_force(&self, now: UnixTime) -> bool {
        (self.not_before..self.not_after).contains(&now)
    }

    /// When it begins to be valid.
    pub const fn not_before(&self) -> UnixTime {
        self.not_before
    }

    /// When it ends.
    pub const fn not_after(&self) -> UnixTime {
        self.not_after
    }

    pub(super) const fn issuer(&self) -> &Issuer<'static, KeyPair> {
        &self.issuer
    }

    pub(super) fn above(&self) -> &[CertificateDer<'static>] {
        &self.above
    }
}

fn may_sign(certificate: &X509Certificate<'_>) -> bool {
    let is_authority = certificate.basic_constraints().ok().flatten().is_some_and(|found| found.value.ca);
    let signs = match certificate.key_usage() {
        Ok(usage) => usage.is_none_or(|usage| usage.value.key_cert_sign()),
        Err(_) => false,
    };
    is_authority && signs
}

fn is_root(certificate: &CertificateDer<'_>) -> bool {
    let parsed = x509_parser::parse_x509_certificate(certificate);
    parsed.is_ok_and(|(_, parsed)| parsed.subject() == parsed.issuer())
}

fn dns_names(trees: &[GeneralSubtree<'_>]) -> Vec<String> {
    let dns = |tree: &GeneralSubtree<'_>| match &tree.base {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    };
    trees.iter().filter_map(dns).collect()
}

fn lies_under(host: &str, base: &str) -> bool {
    match host.strip_suffix(base) {
        Some("") => true,
        Some(rest) => base.is_empty() || base.starts_with('.') || rest.ends_with('.'),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{AuthorityFiles, AuthorityOrder};
    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

    fn made_for(hosts: &[&str]) -> AuthorityFiles {
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        AuthorityFiles::generate(&AuthorityOrder { hosts, days: 30 }, NOW).expect("an authority")
    }

    #[test]
    fn an_authority_signs_for_its_hosts_and_no_others() {
        let files = made_for(&["api.acme.example", "Events.Other.example."]);
        let read = InterceptionAuthority::read(files.certificate.as_bytes(), files.key.as_bytes()).expect("readable");
        for (host, permitted) in [
            ("api.acme.example", true),
            ("events.other.example", true),
            ("deep.api.acme.example", true),
            ("acme.example", false),
            ("otherapi.acme.example", false),
            ("api.acme.example.evil.example", false),
            ("192.0.2.1", false),
        ] {
            assert_eq!(read.permits(host), permitted, "{host}");
        }
        assert!(read.is_limited() && read.above().is_empty());
        assert!(read.is_in_force(NOW) && !read.is_in_force(NOW.plus(std::time::Duration::from_secs(30 * 86_400))));
    }

    #[test]
    fn what_is_no_authority_or_has_another_key_is_refused() {
        let (files, other) = (made_for(&["a.example"]), made_for(&["b.example"]));
        let why = |certificate: &str, key: &str| {
            InterceptionAuthority::read(certificate.as_bytes(), key.as_bytes()).err().map(|error| error.to_string())
        };
        assert_eq!(why(&files.certificate, &files.key), None);
        assert_eq!(
            why(&files.certificate, &other.key).as_deref(),
            Some("the authority is not the key of the certificate")
        );
        let leaf = rcgen::generate_simple_self_signed(["a.example".to_owned()]).expect("a certificate");
        let said = why(&leaf.cert.pem(), &leaf.signing_key.serialize_pem());
        assert_eq!(said.as_deref(), Some("the certificate is no authority: it may not sign certificates"));
    }
}
