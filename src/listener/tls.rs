//! TLS as a server: certificate, key, and who may come with a client certificate.
//!
//! TLS 1.3 and 1.2 only, by rustls; ALPN offers `h2` and `http/1.1`. Never falls back to clear text.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::{Error as PemError, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::{ClientCertificate, Tls};

/// Why a TLS listener cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is not PEM of the right kind.
    #[error("{path}: {what}", path = path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
        /// The reader's own words.
        #[source]
        source: io::Error,
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
pub fn server_config(files: &Tls, http2: bool) -> Result<Arc<ServerConfig>, TlsError> {
    let certs = certificates(&files.cert)?;
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|error| file_error(&files.key, "no private key", error))?;
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
    client: &ClientCertificate,
    provider: Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
    let (ClientCertificate::Optional { ca } | ClientCertificate::Required { ca }) = client else { return Ok(None) };
    let mut roots = RootCertStore::empty();
    for cert in certificates(ca)? {
        roots.add(cert).map_err(TlsError::Identity)?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = match client {
        ClientCertificate::Optional { .. } => builder.allow_unauthenticated(),
        ClientCertificate::None | ClientCertificate::Required { .. } => builder,
    };
    builder.build().map(Some).map_err(TlsError::ClientAuthorities)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let error = |error| file_error(path, "no certificates", error);
    let certs = CertificateDer::pem_file_iter(path).map_err(error)?.collect::<Result<Vec<_>, _>>().map_err(error)?;
    if certs.is_empty() { Err(error(PemError::NoItemsFound)) } else { Ok(certs) }
}

fn file_error(path: &Path, what: &'static str, error: PemError) -> TlsError {
    let source = match error {
        PemError::Io(error) => error,
        other => io::Error::new(io::ErrorKind::InvalidData, other.to_string()),
    };
    TlsError::File { path: path.to_owned(), what, source }
}
