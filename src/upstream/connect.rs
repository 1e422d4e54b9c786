//! Connects to an upstream: resolves its name, checks every address, connects to one that is allowed, makes the TLS
//! handshake.
//!
//! The address that was checked is the address that is connected to, so it does not help to change the name in between.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use super::resolver::NameResolver;
use super::tls::{HTTP2, TlsSource};
use super::{AllowedNetworks, OwnAddresses, UpstreamSettings};
use crate::bounds;
use crate::http::{Url, UrlScheme};

/// Makes connections to one upstream.
#[derive(Debug)]
pub struct UpstreamConnector {
    base: Url,
    /// Where connections go, where that is not the host of the URL.
    target: Option<Url>,
    deadline: Duration,
    networks: AllowedNetworks,
    tls: Option<(TlsSource, ServerName<'static>)>,
    own: Arc<OwnAddresses>,
    resolver: NameResolver,
}

/// Which versions of HTTP an upstream may choose from (ALPN, RFC 7301).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AlpnOffer {
    /// Nothing is offered: HTTP/1.1.
    Nothing,
    /// Both, where there is TLS.
    Both,
    /// HTTP/2 alone: in clear it is spoken without asking.
    Http2,
}

/// Why there is no connection. No error names an address, since a caller may read it.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The host of an `https` URL is not a name that a certificate can have.
    #[error("the host is not a valid TLS server name")]
    ServerName,
    /// The name does not resolve.
    #[error("the name does not resolve")]
    Resolve(#[source] io::Error),
    /// The name resolves only to addresses outside of the allowed networks.
    #[error("the name resolves to no allowed address")]
    Forbidden,
    /// The address is the gateway's own.
    #[error("the address is the gateway's own")]
    OwnAddress,
    /// The upstream does not speak HTTP/2, although it must.
    #[error("the upstream does not speak HTTP/2")]
    Http2,
    /// The files of the TLS settings could never be used.
    #[error("the files of the TLS settings cannot be used")]
    TlsFiles,
    /// No connection was accepted, or the TLS handshake failed.
    #[error("the connection failed")]
    Connect(#[source] io::Error),
    /// The deadline passed first.
    #[error("the connection took too long")]
    Deadline,
}

impl UpstreamConnector {
    /// A connector to an upstream.
    ///
    /// # Errors
    /// [`ConnectError::ServerName`] when the host of an `https` URL is not a name that a certificate can have.
    pub fn new(settings: &UpstreamSettings, tls: &Arc<ClientConfig>) -> Result<Self, ConnectError> {
        let base = settings.base.clone();
        let tls = match base.scheme() {
            UrlScheme::Http => None,
            UrlScheme::Https => {
                let name = ServerName::try_from(base.bare_host().to_owned()).map_err(|_| ConnectError::ServerName)?;
                Some((TlsSource::new(settings.id.as_str(), &settings.tls, tls, settings.protocol), name))
            }
        };
        Ok(Self {
            base,
            target: None,
            deadline: settings.connect_deadline,
            networks: settings.networks.clone(),
            tls,
            own: Arc::default(),
            resolver: NameResolver::default(),
        })
    }

    /// Refuses to connect to the gateway's own addresses.
    #[must_use]
    pub fn avoiding(mut self, own: &Arc<OwnAddresses>) -> Self {
        self.own = Arc::clone(own);
        self
    }

    /// Connects to this target, which may be another machine than the host of the URL. The name that its certificate
    /// must have stays that of the URL.
    pub(super) fn dialling(self, target: &Url) -> Self {
        Self { target: Some(target.clone()).filter(|target| *target != self.base), ..self }
    }

    /// The URL of the upstream.
    pub const fn base(&self) -> &Url {
        &self.base
    }

    /// Opens a connection. Returns beside it whether HTTP/2 is to be spoken.
    ///
    /// # Errors
    /// [`ConnectError`], at the latest when the deadline passes.
    pub(super) async fn connect(&self, offer: AlpnOffer) -> Result<(UpstreamStream, bool), ConnectError> {
        tokio::time::timeout(self.deadline, self.dial(offer)).await.map_err(|_| ConnectError::Deadline)?
    }

    async fn dial(&self, offer: AlpnOffer) -> Result<(UpstreamStream, bool), ConnectError> {
        let stream = self.dial_ready().await?;
        match &self.tls {
            None => Ok((Either::Left(stream), offer == AlpnOffer::Http2)),
            Some((source, name)) => {
                let tls = source.current().ok_or(ConnectError::TlsFiles)?;
                let connector = TlsConnector::from(Arc::clone(tls.offering(offer)));
                let stream = connector.connect(name.clone(), stream).await.map_err(ConnectError::Connect)?;
                let is_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
                if offer == AlpnOffer::Http2 && !is_http2 {
                    return Err(ConnectError::Http2);
                }
                Ok((Either::Right(Box::new(stream)), is_http2))
            }
        }
    }

    /// Opens a connection for another's TLS.
    ///
    /// # Errors
    /// [`ConnectError`], at the latest when the deadline passes.
    pub(super) async fn connect_in_clear(&self) -> Result<TcpStream, ConnectError> {
        tokio::time::timeout(self.deadline, self.dial_ready()).await.map_err(|_| ConnectError::Deadline)?
    }

    /// A connection whose kernel keeps little that is not sent, so that a kill can take it back.
    async fn dial_ready(&self) -> Result<TcpStream, ConnectError> {
        let stream = self.dial_tcp().await?;
        stream.set_nodelay(true).map_err(ConnectError::Connect)?;
        #[cfg(target_os = "linux")]
        socket2::SockRef::from(&stream)
            .set_tcp_notsent_lowat(bounds::UNSENT_BYTES_MAX)
            .map_err(ConnectError::Connect)?;
        Ok(stream)
    }

    async fn dial_tcp(&self) -> Result<TcpStream, ConnectError> {
        let mut last = ConnectError::Forbidden;
        for address in self.addresses().await? {
            if !self.networks.allows(address.ip()) {
                continue;
            }
            if self.own.include(address) {
                return Err(ConnectError::OwnAddress);
            }
            match TcpStream::connect(address).await {
                Ok(stream) if self.ends_here(&stream, address) => return Err(ConnectError::OwnAddress),
                Ok(stream) => {
                    if let Ok(from) = stream.local_addr() {
                        self.own.note_dialled(from, address);
                    }
                    return Ok(stream);
                }
                Err(error) => last = ConnectError::Connect(error),
            }
        }
        Err(last)
    }

    fn ends_here(&self, stream: &TcpStream, to: SocketAddr) -> bool {
        // An unspecified address is connected to as a loopback one.
        let reached = stream.peer_addr().unwrap_or(to);
        stream.local_addr().is_ok_and(|from| self.own.are_reached(from, reached))
    }

    async fn addresses(&self) -> Result<Vec<SocketAddr>, ConnectError> {
        let target = self.target.as_ref().unwrap_or(&self.base);
        let port = target.port();
        if let Some(address) = target.address() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        self.resolver.resolve(target.bare_host(), port).await.map_err(ConnectError::Resolve)
    }
}

/// An open connection to an upstream: in clear, or under TLS.
pub(super) type UpstreamStream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// Has the close be a reset, so that the kernel throws away what it has not sent yet.
pub(super) fn reset_on_close(stream: &UpstreamStream) {
    let tcp = match stream {
        Either::Left(tcp) => tcp,
        Either::Right(tls) => tls.get_ref().0,
    };
    // Where this fails the connection is closed without a reset.
    let _ = tcp.set_zero_linger();
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::model::UpstreamId;
    use crate::upstream::HttpProtocol;
    use crate::upstream::{BodyLimits, MinRate};

    fn connector(allowed: &str, answers: Vec<Vec<SocketAddr>>) -> UpstreamConnector {
        let limits = BodyLimits { idle: Duration::MAX, min_rate: MinRate { bytes: 1, per: Duration::MAX } };
        let settings = UpstreamSettings {
            id: UpstreamId::parse("acme").expect("an id"),
            base: Url::parse_base("http://api.acme.example").expect("a URL"),
            connect_deadline: Duration::from_secs(5),
            response_deadline: Duration::from_secs(5),
            body: limits,
            networks: AllowedNetworks::PublicAnd(Box::new([allowed.parse().expect("a network")])),
            protocol: HttpProtocol::default(),
            tls: super::super::UpstreamTlsSettings::default(),
            group: super::super::GroupSettings::default(),
        };
        let tls = Arc::new(crate::http::client_tls(crate::http::native_roots(), None).expect("TLS"));
        let resolver = NameResolver::Double(answers.into());
        UpstreamConnector { resolver, ..UpstreamConnector::new(&settings, &tls).expect("a connector") }
    }

    /// A name that is public when it is checked and private when it is dialled gains nothing: it is asked for once, and
    /// what was checked is what is dialled.
    #[tokio::test]
    async fn a_name_that_changes_its_address_reaches_no_private_one() {
        let inside = TcpListener::bind("127.0.0.2:0").expect("a port");
        let port = inside.local_addr().expect("an address").port();
        let outside = TcpListener::bind(("127.0.0.1", port)).expect("the same port");
        inside.set_nonblocking(true).expect("set");
        let [public, private] = ["127.0.0.1", "127.0.0.2"].map(|ip| SocketAddr::new(ip.parse().expect("an IP"), port));
        // As if 127.0.0.1 were public.
        let connector =
            connector("127.0.0.1/32", vec![vec![public], vec![private], vec![private, public], vec![public, private]]);
        let reached = || async { connector.connect_in_clear().await.map(|stream| stream.peer_addr().ok()) };
        assert_eq!(reached().await.expect("public"), Some(public));
        assert!(matches!(reached().await, Err(ConnectError::Forbidden)), "private");
        assert_eq!(reached().await.expect("the public one of both"), Some(public));
        drop(outside);
        assert!(matches!(reached().await, Err(ConnectError::Connect(_))), "the private one is no second choice");
        assert!(inside.accept().is_err(), "nobody came to the private one");
    }

    #[tokio::test]
    async fn a_metadata_address_is_dialled_in_no_spelling_and_for_no_network() {
        for address in
            ["169.254.169.254:80", "[::ffff:169.254.169.254]:80", "[fd00:ec2::254]:80", "[64:ff9b::a9fe:a9fe]:80"]
        {
            for allowed in ["169.254.0.0/16", "fd00::/8", "0.0.0.0/1", "64:ff9b::/96", "::/0"] {
                let connector = connector(allowed, vec![vec![address.parse().expect("an address")]]);
                let outcome = connector.connect_in_clear().await;
                assert!(matches!(outcome, Err(ConnectError::Forbidden)), "{address} {allowed}: {outcome:?}");
            }
        }
    }
}
