//! PEM files (RFC 7468): certificates, private keys, certificate authorities, revocation lists.
//!
//! The one place that checks the content of such a file: for `check`, at start, and when a file is replaced while the
//! gateway runs. Never prints anything of the content.

use std::collections::HashSet;

use rustls::RootCertStore;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use crate::model::UnixTime;

/// Why the content of a PEM file cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// There is no certificate.
    #[error("holds no certificate in PEM")]
    NoCertificate,
    /// A certificate of a chain cannot be read: the chain is of no use without it.
    #[error("holds a certificate that cannot be read")]
    Certificate,
    /// There is no private key, or none that can be used.
    #[error("holds no private key in PEM that can be used")]
    Key,
    /// The key belongs to another certificate.
    #[error("is not the key of the certificate")]
    KeyMismatch,
    /// There are certificates, and none of them can be an authority.
    #[error("holds no certificate that can be an authority")]
    NoAuthority,
    /// There is no revocation list.
    #[error("holds no revocation list in PEM")]
    NoList,
    /// A revocation list cannot be read. It is not used in part: the entry that is lost may be the one that counts.
    #[error("holds a revocation list that cannot be read")]
    List,
}

/// Certificate authorities that are trusted.
#[derive(Debug)]
pub struct CertificateAuthorities {
    /// The authorities that can be read.
    pub roots: RootCertStore,
    /// How many certificates cannot be read. Nothing that they issued is trusted.
    pub unreadable: usize,
}

impl CertificateAuthorities {
    /// How many different authorities there are: the same name with the same key counts once.
    pub fn distinct_count(&self) -> usize {
        let named = self.roots.roots.iter().map(|root| (&root.subject, &root.subject_public_key_info));
        named.collect::<HashSet<_>>().len()
    }
}

/// The authorities of a bundle. An unreadable one is left out, since the others belong to other parties.
///
/// # Errors
/// When no authority is left.
pub fn certificate_authorities(content: &[u8]) -> Result<CertificateAuthorities, PemError> {
    let (mut roots, mut left_out) = (RootCertStore::empty(), 0);
    for certificate in CertificateDer::pem_slice_iter(content) {
        let added = certificate.is_ok_and(|certificate| roots.add(certificate).is_ok());
        left_out += usize::from(!added);
    }
    match (roots.is_empty(), left_out) {
        (false, _) => Ok(CertificateAuthorities { roots, unreadable: left_out }),
        (true, 0) => Err(PemError::NoCertificate),
        (true, _) => Err(PemError::NoAuthority),
    }
}

/// A certificate chain, the party's own certificate first.
///
/// # Errors
/// When there is no certificate, or one cannot be read.
pub fn certificate_chain(content: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(content).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err(PemError::NoCertificate),
        Ok(chain) => Ok(chain),
        Err(_) => Err(PemError::Certificate),
    }
}

/// When the first certificate of a chain ends: from then on no peer trusts the chain.
///
/// # Errors
/// As [`certificate_chain`].
pub fn chain_end(content: &[u8]) -> Result<UnixTime, PemError> {
    let end = |certificate: CertificateDer<'_>| {
        let (_, parsed) = x509_parser::parse_x509_certificate(&certificate).map_err(|_| PemError::Certificate)?;
        Ok(u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or(0))
    };
    let ends: Result<Vec<_>, _> = certificate_chain(content)?.into_iter().map(end).collect();
    ends?.into_iter().min().map(UnixTime::from_secs).ok_or(PemError::NoCertificate)
}

/// The private key of a file.
///
/// # Errors
/// When there is no private key.
pub fn private_key(content: &[u8]) -> Result<PrivateKeyDer<'static>, PemError> {
    PrivateKeyDer::from_pem_slice(content).map_err(|_| PemError::Key)
}

/// Checks that a chain and a key together can identify a TLS peer.
///
/// # Errors
/// When one of them cannot be used, or the key belongs to another certificate.
pub fn check_identity(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<(), PemError> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let private = provider.key_provider.load_private_key(key).map_err(|_| PemError::Key)?;
    match CertifiedKey::new(chain, private).keys_match() {
        // `Unknown`: a kind of key whose public half cannot be computed here.
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(()),
        Err(rustls::Error::InconsistentKeys(_)) => Err(PemError::KeyMismatch),
        Err(_) => Err(PemError::Certificate),
    }
}

/// The revocation lists of a file.
///
/// # Errors
/// When there is no list, or one is not PEM.
pub fn revocation_lists(content: &[u8]) -> Result<Vec<CertificateRevocationListDer<'static>>, PemError> {
    let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(content).collect();
    match lists {
        Ok(lists) if lists.is_empty() => Err(PemError::NoList),
        Ok(lists) => Ok(lists),
        Err(_) => Err(PemError::List),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

    use super::*;

    fn authority(name: &str) -> (String, String) {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        (params.self_signed(&key).expect("a certificate").pem(), key.serialize_pem())
    }

    /// A PEM section whose text is valid base64 and whose bytes are no certificate.
    const NOTHING: &str = "-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n-----END CERTIFICATE-----\n";
    const NO_BASE64: &str = "-----BEGIN CERTIFICATE-----\n%%%%\n-----END CERTIFICATE-----\n";
    const TORN: &str = "-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n";

    #[test]
    fn one_unreadable_authority_leaves_the_others_in_force() {
        let ((one, key), (other, _)) = (authority("one"), authority("other"));
        let check = |bundle: &[&str]| {
            certificate_authorities(bundle.concat().as_bytes())
                .map(|read| (read.roots.len(), read.distinct_count(), read.unreadable))
        };
        assert_eq!(check(&[&one]), Ok((1, 1, 0)));
        assert_eq!(check(&[&one, &one]).map(|(_, count, out)| (count, out)), Ok((1, 0)), "the same twice");
        assert_eq!(check(&[&one, "said by hand\n", &other]), Ok((2, 2, 0)));
        for broken in [NOTHING, NO_BASE64] {
            assert_eq!(check(&[broken, &one, &other]), Ok((2, 2, 1)));
            assert_eq!(check(&[&one, broken, &other]), Ok((2, 2, 1)), "{broken}");
            assert_eq!(check(&[broken]), Err(PemError::NoAuthority));
        }
        assert_eq!(check(&[&one, TORN]), Ok((1, 1, 1)));
        for none in ["", "correcthorse", &key] {
            assert_eq!(check(&[none]), Err(PemError::NoCertificate));
        }
    }

    #[test]
    fn a_chain_and_its_key_are_checked_together() {
        let ((one, key_one), (_, key_other)) = (authority("one"), authority("other"));
        let check = |cert: &str, private: &str| {
            check_identity(certificate_chain(cert.as_bytes())?, private_key(private.as_bytes())?)
        };
        assert_eq!(check(&one, &key_one), Ok(()));
        assert_eq!(check(&one, &key_other), Err(PemError::KeyMismatch));
        assert_eq!(check(&one, &one), Err(PemError::Key));
        assert_eq!(check(&key_one, &key_one), Err(PemError::NoCertificate));
        assert_eq!(check(&format!("{one}{NO_BASE64}"), &key_one), Err(PemError::Certificate));
        assert_eq!(check(NOTHING, &key_one), Err(PemError::Certificate));
        assert_eq!(revocation_lists(one.as_bytes()), Err(PemError::NoList));
    }
}
