//! Vendors that are known by their client certificate alone: issued by the contract's authority, for the contract's
//! name, not revoked.
//!
//! webpki checks chain, purpose, dates and revocation lists, once for each certificate and then once a minute. Where
//! the contract names a revocation list and that list is not fresh, no certificate passes.

use std::sync::Arc;
use std::time::Duration;

use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use crate::bounds::CERTIFICATE_RECHECK;
use crate::http::pem;
use crate::identity::caller::verified::{CertificateCheck, VerifiedBy, VerifiedCaller};
use crate::identity::error::AuthError;
use crate::identity::files::watched::{BuildResult, FileKind, WatchedFiles};
use crate::identity::revocation::RevocationSlot;
use crate::identity::settings::CertificateSettings;
use crate::model::{Caller, ClientId, Moment, UnixTime, VendorId};

use super::peer::{PeerCertificate, SubjectAltName};

/// A vendor that proves itself by a client certificate.
#[derive(Debug)]
pub(crate) struct CertificateVendor {
    pub(crate) id: VendorId,
    pub(crate) index: u32,
    pub(crate) settings_version: u64,
    /// The id of the vendor's only client: the name in its certificate.
    pub(crate) client: ClientId,
    revocations: RevocationSlot,
    name: SubjectAltName,
    /// Absent where the contract names no authority: the listener's own check of the chain is enough then.
    pub(crate) authorities: Option<Arc<WatchedFiles<Arc<dyn ClientCertVerifier>>>>,
}

impl CertificateVendor {
    pub(crate) fn open(
        id: VendorId,
        index: u32,
        settings_version: u64,
        settings: CertificateSettings,
        revocations: RevocationSlot,
    ) -> Self {
        let authorities = settings.ca_file.map(|ca_file| {
            let files = std::iter::once(ca_file).chain(settings.crl_files).collect();
            WatchedFiles::open(FileKind::Authorities, id.as_str(), files, Box::new(build))
        });
        let name = settings.subject_alt_name;
        let client = match &name {
            SubjectAltName::Dns(name) | SubjectAltName::Uri(name) | SubjectAltName::Email(name) => ClientId::new(name),
        };
        Self { id, index, settings_version, client, revocations, name, authorities }
    }

    /// Whether an operator has revoked the vendor's client.
    pub(crate) fn check_revoked(&self) -> Result<(), AuthError> {
        self.revocations.load().check_client(&self.client)
    }

    /// Verifies a certificate that has the vendor's name.
    pub(crate) fn verify(&self, certificate: &PeerCertificate, now: Moment) -> Result<VerifiedCaller, AuthError> {
        self.check_dates(certificate, now.wall)?;
        let generation = self.check_chain(certificate, now.wall)?;
        let check = CertificateCheck::new(generation, now.wall.plus(CERTIFICATE_RECHECK));
        Ok(VerifiedCaller {
            vendor_index: self.index,
            settings_version: self.settings_version,
            settings: None,
            caller: Caller { vendor: self.id.clone(), client: self.client.clone(), claims: None },
            verified_by: VerifiedBy::Certificate { certificate: Arc::new(certificate.clone()), check },
            newest_token: None,
        })
    }

    /// Whether a request that was admitted by a certificate may continue.
    pub(crate) fn check_still_valid(&self, known: &VerifiedCaller, now: Moment) -> Result<(), AuthError> {
        let VerifiedBy::Certificate { certificate, check } = &known.verified_by else {
            return Err(AuthError::TermsChanged);
        };
        self.check_revoked()?;
        self.check_dates(certificate, now.wall)?;
        if known.settings_version != self.settings_version && !certificate.names().contains(&self.name) {
            return Err(AuthError::TermsChanged);
        }
        if known.settings_version != self.settings_version || !check.holds(self.generation(), now.wall) {
            check.renew(self.check_chain(certificate, now.wall)?, now.wall.plus(CERTIFICATE_RECHECK));
        }
        Ok(())
    }

    fn generation(&self) -> u64 {
        self.authorities.as_ref().map_or(0, |authorities| authorities.generation())
    }

    /// Whether a cached result is still valid.
    pub(crate) fn is_current(&self, known: &VerifiedCaller, certificate: &PeerCertificate, now: UnixTime) -> bool {
        let fresh = match &known.verified_by {
            VerifiedBy::Certificate { check, .. } => check.holds(self.generation(), now),
            VerifiedBy::Key { .. } | VerifiedBy::Introspection { .. } => false,
        };
        fresh
            && known.settings_version == self.settings_version
            && known.vendor_index == self.index
            && certificate.is_in_force(now)
    }

    fn check_dates(&self, certificate: &PeerCertificate, now: UnixTime) -> Result<(), AuthError> {
        if certificate.is_in_force(now) { Ok(()) } else { Err(AuthError::CertificateExpired) }
    }

    fn check_chain(&self, certificate: &PeerCertificate, now: UnixTime) -> Result<u64, AuthError> {
        let Some(authorities) = &self.authorities else { return Ok(0) };
        let (verifier, generation) = authorities.current();
        let verifier = verifier.ok_or(AuthError::CertificateRevoked)?;
        let (own, rest) = certificate.chain().split_first().ok_or(AuthError::CertificateMissing)?;
        let time = rustls_pki_types::UnixTime::since_unix_epoch(Duration::from_millis(now.as_millis()));
        verifier.verify_client_cert(own, rest, time).map(|_| generation).map_err(|error| classify(&error))
    }
}

/// Whether a revocation list refused the certificate, or the authorities did.
fn classify(error: &rustls::Error) -> AuthError {
    use rustls::CertificateError as E;
    let by_list = matches!(
        error,
        rustls::Error::InvalidCertRevocationList(_)
            | rustls::Error::InvalidCertificate(
                E::Revoked
                    | E::UnknownRevocationStatus
                    | E::ExpiredRevocationList
                    | E::ExpiredRevocationListContext { .. }
            )
    );
    if by_list { AuthError::CertificateRevoked } else { AuthError::VendorUnknown }
}

/// Builds the verifier: the first content holds authorities, the others revocation lists.
pub(crate) fn build(contents: &[Vec<u8>]) -> BuildResult<Arc<dyn ClientCertVerifier>> {
    let (bundle, lists) = contents.split_first().ok_or("no file of authorities")?;
    let authorities =
        pem::certificate_authorities(bundle).map_err(|error| format!("the file of authorities {error}"))?;
    let lists: Result<Vec<_>, _> = lists.iter().map(|list| pem::revocation_lists(list)).collect();
    let revoked = lists.map_err(|error| format!("a file of revocation lists {error}"))?.concat();
    let left_out = match authorities.unreadable {
        0 => None,
        count => Some(format!("{count} of the authorities' certificates cannot be read: they are left out")),
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities.roots), provider)
        .with_crls(revoked)
        .only_check_end_entity_revocation()
        .enforce_revocation_expiration();
    let verifier = builder.build().map_err(|error| format!("a file of revocation lists cannot be used: {error}"))?;
    Ok((verifier, left_out))
}

#[cfg(test)]
mod tests;
