//! TLS as a client: the one configuration for issuers, webhooks, upstreams and the admin API.

use std::sync::{Arc, OnceLock};

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::key_pin::{KeyPin, PinVerifier};

/// TLS 1.2 or 1.3 with a server that one of these authorities vouches for. `identity` is what we present, if anything:
/// a certificate chain, our own certificate first, and its private key.
///
/// # Errors
/// [`rustls::Error`] when the certificate and the key cannot be used together.
pub fn client_tls(
    roots: RootCertStore,
    identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    match identity {
        None => Ok(builder.with_no_client_auth()),
        Some((chain, key)) => builder.with_client_auth_cert(chain, key),
    }
}

/// As [`client_tls`], with a server whose own certificate must also have one of these keys.
///
/// # Errors
/// As [`client_tls`], and when there is no authority.
pub fn pinned_client_tls(
    roots: RootCertStore,
    identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    pins: Box<[KeyPin]>,
) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = PinVerifier::new(roots, Arc::clone(&provider), pins)?;
    // What rustls calls dangerous is a verifier of one's own: this one takes less than rustls does.
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    match identity {
        None => Ok(builder.with_no_client_auth()),
        Some((chain, key)) => builder.with_client_auth_cert(chain, key),
    }
}

/// The machine's own certificate authorities. One that cannot be read is left out, so that fewer are trusted.
pub fn native_roots() -> RootCertStore {
    /// Reading the authorities takes milliseconds, and each vendor may have a client of its own.
    static NATIVE: OnceLock<RootCertStore> = OnceLock::new();
    let native = NATIVE.get_or_init(|| {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        store
    });
    native.clone()
}
