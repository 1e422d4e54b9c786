//! TLS with a server whose own key is known beforehand, beside the authorities that vouch for it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest as _, Sha256};

/// The SHA-256 of a public key: of the SubjectPublicKeyInfo of a certificate (RFC 7469 section 2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPin([u8; 32]);

impl KeyPin {
    /// Reads 32 bytes in base64; `sha256/` or `sha256//` may stand before it, as OkHttp and curl write it.
    pub fn parse(text: &str) -> Option<Self> {
        let bare = text.strip_prefix("sha256//").or_else(|| text.strip_prefix("sha256/")).unwrap_or(text);
        STANDARD.decode(bare).ok()?.try_into().ok().map(Self)
    }
}

/// Takes a server whom an authority vouches for, and whose own certificate has one of the pinned keys. Of the other
/// certificates that a server sends none counts: anyone can send those.
#[derive(Debug)]
pub(super) struct PinVerifier {
    authorities: Arc<WebPkiServerVerifier>,
    pins: Box<[KeyPin]>,
}

impl PinVerifier {
    /// # Errors
    /// [`Error::General`] when there is no authority.
    pub(super) fn new(roots: RootCertStore, provider: Arc<CryptoProvider>, pins: Box<[KeyPin]>) -> Result<Self, Error> {
        let authorities = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let authorities = authorities.map_err(|error| Error::General(error.to_string()))?;
        Ok(Self { authorities, pins })
    }
}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified =
            self.authorities.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        let key = ParsedCertificate::try_from(end_entity)?.subject_public_key_info();
        let seen = KeyPin(Sha256::digest(&key).into());
        if self.pins.contains(&seen) {
            Ok(verified)
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls12_signature(message, cert, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls13_signature(message, cert, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_32_bytes_in_base64() {
        let text = STANDARD.encode([7; 32]);
        for written in [text.clone(), format!("sha256/{text}"), format!("sha256//{text}")] {
            assert_eq!(KeyPin::parse(&written), Some(KeyPin([7; 32])), "{written}");
        }
        for bad in ["", "AAAA", &STANDARD.encode([7; 31]), &format!("sha1/{text}"), &format!("{text} ")] {
            assert_eq!(KeyPin::parse(bad), None, "{bad}");
        }
    }
}
