//! The client certificate of a connection: its thumbprint, names and dates.
//!
//! The TLS handshake has proven that the peer holds its key. Who issued it, and whether it is revoked, is checked for
//! each vendor in [`super::vendor`]. Read once per connection. Names are only compared exactly, never parsed or matched
//! by pattern.

use std::ops::RangeInclusive;
use std::sync::{Arc, OnceLock};

use rustls_pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use x509_parser::extensions::GeneralName;

use crate::bounds::CERTIFICATE_NAMES_MAX;
use crate::identity::ServiceProof;
use crate::model::UnixTime;

/// Why a certificate was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The peer sent no certificate.
    #[error("no certificate")]
    Absent,
    /// Not X.509 in DER.
    #[error("the certificate is not readable")]
    Unreadable,
    /// It has more names than the bound.
    #[error("the certificate has more than {CERTIFICATE_NAMES_MAX} names")]
    TooManyNames,
}

/// A name in a certificate's `subjectAltName`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SubjectAltName {
    /// A DNS name, in lower case. A wildcard is compared as text, so it never names a client.
    Dns(String),
    /// A URI, such as a SPIFFE id, exactly as written.
    Uri(String),
    /// An e-mail address, exactly as written.
    Email(String),
}

impl SubjectAltName {
    /// The name without its kind; it is also the client's id.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Dns(name) | Self::Uri(name) | Self::Email(name) => name,
        }
    }

    /// Reads a contract's `subject_alt_name`: with `://` a URI, with `@` an address, else a DNS name.
    pub fn parse(text: &str) -> Self {
        if text.contains("://") {
            Self::Uri(text.to_owned())
        } else if text.contains('@') {
            Self::Email(text.to_owned())
        } else {
            Self::Dns(text.to_ascii_lowercase())
        }
    }
}

/// What is kept of the certificate of one of our services while its calls run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceCertificate {
    /// The names that it was issued for.
    pub(crate) names: Box<[SubjectAltName]>,
    /// The first and the last time at which it is valid.
    pub(crate) dates: RangeInclusive<UnixTime>,
}

/// The peer's certificate chain, read once when its connection was made.
#[derive(Debug, Clone)]
pub struct PeerCertificate {
    thumbprint: [u8; 32],
    names: Vec<SubjectAltName>,
    not_before: UnixTime,
    not_after: UnixTime,
    chain: Vec<CertificateDer<'static>>,
    /// Made with the first call of a service that it proves.
    service: OnceLock<Arc<ServiceProof>>,
}

impl PeerCertificate {
    /// Reads the chain that rustls holds after the handshake, the peer's own certificate first.
    ///
    /// # Errors
    /// [`CertificateError`] when it is not readable or over its bounds.
    pub fn read(chain: &[CertificateDer<'_>]) -> Result<Self, CertificateError> {
        let own = chain.first().ok_or(CertificateError::Absent)?;
        let (rest, parsed) = x509_parser::parse_x509_certificate(own).map_err(|_| CertificateError::Unreadable)?;
        if !rest.is_empty() {
            return Err(CertificateError::Unreadable);
        }
        let date =
            |time: x509_parser::time::ASN1Time| UnixTime::from_secs(u64::try_from(time.timestamp()).unwrap_or(0));
        Ok(Self {
            thumbprint: Sha256::digest(own).into(),
            names: names(&parsed)?,
            not_before: date(parsed.validity().not_before),
            not_after: date(parsed.validity().not_after),
            chain: chain.iter().map(|certificate| certificate.clone().into_owned()).collect(),
            service: OnceLock::new(),
        })
    }

    /// SHA-256 of the certificate: what `cnf.x5t#S256` must be (RFC 8705 section 3.1).
    pub const fn thumbprint(&self) -> &[u8; 32] {
        &self.thumbprint
    }

    /// Bytes that it takes in the cache.
    pub(crate) fn weight(&self) -> usize {
        let names = self.names.len() * size_of::<SubjectAltName>();
        size_of::<Self>() + names + self.chain.iter().map(|certificate| certificate.len()).sum::<usize>()
    }

    /// The names that it was issued for.
    pub fn names(&self) -> &[SubjectAltName] {
        &self.names
    }

    /// Whether `now` lies within its dates: a connection may outlive its certificate.
    pub fn is_in_force(&self, now: UnixTime) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }

    /// The certificate as the proof of one of our services.
    pub(crate) fn service_proof(&self) -> &Arc<ServiceProof> {
        let kept = || ServiceCertificate { names: self.names.clone().into(), dates: self.not_before..=self.not_after };
        self.service.get_or_init(|| Arc::new(ServiceProof::Certificate(kept())))
    }

    pub(crate) fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }
}

fn names(certificate: &x509_parser::certificate::X509Certificate<'_>) -> Result<Vec<SubjectAltName>, CertificateError> {
    let extension = certificate.subject_alternative_name().map_err(|_| CertificateError::Unreadable)?;
    let Some(extension) = extension else { return Ok(Vec::new()) };
    if extension.value.general_names.len() > CERTIFICATE_NAMES_MAX {
        return Err(CertificateError::TooManyNames);
    }
    let known = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(SubjectAltName::Dns(name.to_ascii_lowercase())),
        GeneralName::URI(uri) => Some(SubjectAltName::Uri((*uri).to_owned())),
        GeneralName::RFC822Name(address) => Some(SubjectAltName::Email((*address).to_owned())),
        _ => None,
    };
    Ok(extension.value.general_names.iter().filter_map(known).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_read_by_its_alternative_names_only() {
        let mut params = rcgen::CertificateParams::new(vec!["Client.Acme.example".to_owned()]).expect("a name");
        let uri = "spiffe://acme/batch".try_into().expect("ascii");
        params.subject_alt_names.push(rcgen::SanType::URI(uri));
        params.distinguished_name.push(rcgen::DnType::CommonName, "other.example");
        let key = rcgen::KeyPair::generate().expect("a key");
        let der = params.self_signed(&key).expect("a certificate").der().clone();
        let read = PeerCertificate::read(std::slice::from_ref(&der)).expect("readable");
        let want = [SubjectAltName::parse("client.acme.example"), SubjectAltName::parse("spiffe://acme/batch")];
        assert_eq!(read.names(), want);
        assert_eq!(read.thumbprint()[..], Sha256::digest(&der)[..]);
        assert!(read.is_in_force(UnixTime::from_secs(1_700_000_000)));
        assert!(!read.is_in_force(UnixTime::from_secs(1)) && !read.is_in_force(UnixTime::from_secs(99_999_999_999)));
        assert_eq!(PeerCertificate::read(&[]).err(), Some(CertificateError::Absent));
        let longer = CertificateDer::from([&der[..], b"x"].concat());
        assert_eq!(PeerCertificate::read(&[longer]).err(), Some(CertificateError::Unreadable));
    }
}
