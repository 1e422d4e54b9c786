//! TLS with one upstream: the authorities that vouch for it, the keys that it may have, and the certificate that the
//! gateway shows it.
//!
//! The files are read again in the background. What was read before stays in force while they cannot be used.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ClientConfig;

use super::HttpProtocol;
use super::connect::AlpnOffer;
use crate::http::{KeyPin, client_tls, native_roots, pem, pinned_client_tls};
use crate::identity::{FileKind, WatchedFiles};
use crate::model::with_causes;

/// What is particular about TLS with one upstream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpstreamTlsSettings {
    /// The authorities that vouch for it, PEM; `None` for those of the machine.
    pub ca: Option<PathBuf>,
    /// The keys that its own certificate may have; empty where any key may be.
    pub pins: Box<[KeyPin]>,
    /// The certificate chain that the gateway shows, and its private key, PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// The TLS settings of one upstream, for each choice of protocols that it can be given.
#[derive(Debug)]
pub(super) struct UpstreamTls {
    plain: Arc<ClientConfig>,
    /// Offers HTTP/2 alone, or both versions; made only where HTTP/2 may be spoken.
    http2: Option<[Arc<ClientConfig>; 2]>,
}

/// Where the TLS settings of connections come from.
#[derive(Debug)]
pub(super) enum TlsSource {
    Fixed(Arc<UpstreamTls>),
    /// Files that an operator may replace.
    Files(Arc<WatchedFiles<UpstreamTls>>),
}

impl TlsSource {
    /// The settings for an upstream. `usual` are those of an upstream about which nothing is particular.
    pub(super) fn new(
        of: &str,
        settings: &UpstreamTlsSettings,
        usual: &Arc<ClientConfig>,
        protocol: HttpProtocol,
    ) -> Self {
        if *settings == UpstreamTlsSettings::default() {
            return Self::Fixed(Arc::new(UpstreamTls::new(usual, protocol)));
        }
        let identity = settings.identity.iter().flat_map(|(cert, key)| [cert, key]);
        let files = settings.ca.iter().chain(identity).cloned().collect();
        let settings = settings.clone();
        let build = move |contents: &[Vec<u8>]| {
            let config = client_config(&settings, contents)?;
            Ok((UpstreamTls::new(&Arc::new(config), protocol), None))
        };
        let watched = WatchedFiles::open(FileKind::UpstreamTls, of, files, Box::new(build));
        // Without a runtime nothing is served, as in `vendorgate explain`.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            watched.start(&runtime);
        }
        Self::Files(watched)
    }

    /// The settings for the next connection; `None` while the files could never be used.
    pub(super) fn current(&self) -> Option<Arc<UpstreamTls>> {
        match self {
            Self::Fixed(tls) => Some(Arc::clone(tls)),
            Self::Files(watched) => watched.current().0,
        }
    }
}

/// The settings that follow from the contents of the files: the authorities, the certificate, the key, as far as there
/// are any.
fn client_config(settings: &UpstreamTlsSettings, contents: &[Vec<u8>]) -> Result<ClientConfig, String> {
    let mut contents = contents.iter();
    let mut next = || contents.next().map(Vec::as_slice).unwrap_or_default();
    let roots = match &settings.ca {
        None => native_roots(),
        Some(_) => pem::certificate_authorities(next()).map_err(|flaw| flaw.to_string())?.roots,
    };
    let identity = match &settings.identity {
        None => None,
        Some(_) => {
            let chain = pem::certificate_chain(next()).map_err(|flaw| flaw.to_string())?;
            Some((chain, pem::private_key(next()).map_err(|flaw| flaw.to_string())?))
        }
    };
    let made = match settings.pins.is_empty() {
        true => client_tls(roots, identity),
        false => pinned_client_tls(roots, identity, settings.pins.clone()),
    };
    made.map_err(|error| with_causes(&error))
}

/// The names of the versions in ALPN (RFC 9113 section 3.1, RFC 7301 section 6).
pub(super) const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

impl UpstreamTls {
    fn new(plain: &Arc<ClientConfig>, protocol: HttpProtocol) -> Self {
        let offering = |names: &[&[u8]]| {
            let mut config = ClientConfig::clone(plain);
            config.alpn_protocols = names.iter().map(|name| name.to_vec()).collect();
            Arc::new(config)
        };
        let http2 = (protocol != HttpProtocol::Http1).then(|| [offering(&[HTTP2]), offering(&[HTTP2, HTTP1])]);
        Self { plain: Arc::clone(plain), http2 }
    }

    pub(super) fn offering(&self, offer: AlpnOffer) -> &Arc<ClientConfig> {
        match (&self.http2, offer) {
            (Some([only, _]), AlpnOffer::Http2) => only,
            (Some([_, both]), AlpnOffer::Both) => both,
            (Some(_) | None, AlpnOffer::Nothing) | (None, AlpnOffer::Http2 | AlpnOffer::Both) => &self.plain,
        }
    }
}
