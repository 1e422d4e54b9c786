//! TLS of a listener: its certificate, its key, and the authorities of client certificates.
//!
//! TLS 1.3 and 1.2 only, by rustls; ALPN offers `h2` and `http/1.1`. Never falls back to clear text.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use zeroize::Zeroizing;

use crate::config::{ClientCertificateSettings, TlsSettings};
use crate::http::pem::{self, PemError};

/// Why a TLS listener cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A file does not hold what it must.
    #[error("{path} {flaw}", path = path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        flaw: PemError,
    },
    /// The key does not belong to the certificate, or rustls refuses one of the two.
    #[error("certificate and key do not make a TLS identity")]
    Identity(#[source] rustls::Error),
    /// The client authorities cannot be used.
    #[error("the client authorities cannot be used")]
    ClientAuthorities(#[source] rustls::server::VerifierBuilderError),
}

/// Reads the files into a server's configuration that offers HTTP/1.1, and HTTP/2 where `http2` says so.
///
/// # Errors
/// [`TlsError`] names the file.
pub fn server_config(files: &TlsSettings, http2: bool) -> Result<Arc<ServerConfig>, TlsError> {
    let certs = read(&files.cert, pem::certificate_chain)?;
    let key = read(&files.key, pem::private_key)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Identity)?;
    let builder = match client_verifier(&files.client, provider)? {
        None => builder.with_no_client_auth(),
        Some(verifier) => builder.with_client_cert_verifier(verifier),
    };
    let mut config = builder.with_single_cert(certs, key).map_err(TlsError::Identity)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    if http2 {
        config.alpn_protocols.insert(0, b"h2".to_vec());
    }
    Ok(Arc::new(config))
}

fn client_verifier(
    client: &ClientCertificateSettings,
    provider: Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
    let (ClientCertificateSettings::Optional { ca } | ClientCertificateSettings::Required { ca }) = client else {
        return Ok(None);
    };
    let authorities = read(ca, pem::certificate_authorities)?;
    if authorities.unreadable > 0 {
        let (file, count) = (ca.display().to_string(), authorities.unreadable);
        tracing::warn!(file, count, "certificates of client authorities cannot be read: they are left out");
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities.roots), provider);
    let builder = match client {
        ClientCertificateSettings::Optional { .. } => builder.allow_unauthenticated(),
        ClientCertificateSettings::None | ClientCertificateSettings::Required { .. } => builder,
    };
    builder.build().map(Some).map_err(TlsError::ClientAuthorities)
}

fn read<T>(path: &Path, parse: impl FnOnce(&[u8]) -> Result<T, PemError>) -> Result<T, TlsError> {
    let content = std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })?;
    // Erased when it is dropped, as it may be a private key.
    let content = Zeroizing::new(content);
    parse(&content).map_err(|flaw| TlsError::Content { path: path.to_owned(), flaw })
}
