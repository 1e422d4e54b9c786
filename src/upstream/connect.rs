//! From an origin to an open connection: resolve, check every address, dial the checked one, TLS.
//!
//! The address that was checked is the address that is dialled, so a name that changes in between gains nothing.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ipnet::IpNet;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Origin;

/// Dials one origin.
#[derive(Debug)]
pub struct Connector {
    origin: Origin,
    deadline: Duration,
    allowed: Allowed,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

/// Why there is no connection. None of these names an address to the caller.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorError {
    /// The host of a TLS origin is not a name that a certificate can carry.
    #[error("the host is not a valid TLS server name")]
    ServerName,
    /// The name has no address.
    #[error("the name does not resolve")]
    Resolve(#[source] io::Error),
    /// The name resolves only to addresses outside the allowed networks.
    #[error("the name resolves to no allowed address")]
    Forbidden,
    /// The address does not accept, or the handshake failed.
    #[error("the connection failed")]
    Connect(#[source] io::Error),
    /// The deadline passed first.
    #[error("the connection took too long")]
    Deadline,
}

/// Which addresses may be dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Allowed {
    /// Any: an internal upstream, named by our own operators.
    Any,
    /// Public ones and those in the listed networks: a vendor's API.
    PublicAnd(Box<[IpNet]>),
}

impl Connector {
    /// A connector to an internal upstream.
    ///
    /// # Errors
    /// [`ConnectorError::ServerName`] when a TLS origin's host cannot stand in a certificate.
    pub fn internal(origin: Origin, deadline: Duration, tls: &Arc<ClientConfig>) -> Result<Self, ConnectorError> {
        Self::new(origin, deadline, Allowed::Any, tls)
    }

    /// A connector to a vendor's API: private, loopback and link-local addresses are dialled only if `networks` has them.
    ///
    /// # Errors
    /// As [`Connector::internal`].
    pub fn external(
        origin: Origin,
        deadline: Duration,
        networks: &[IpNet],
        tls: &Arc<ClientConfig>,
    ) -> Result<Self, ConnectorError> {
        Self::new(origin, deadline, Allowed::PublicAnd(networks.into()), tls)
    }

    fn new(
        origin: Origin,
        deadline: Duration,
        allowed: Allowed,
        tls: &Arc<ClientConfig>,
    ) -> Result<Self, ConnectorError> {
        let tls = if origin.tls() {
            let name = ServerName::try_from(origin.host().to_owned()).map_err(|_| ConnectorError::ServerName)?;
            Some((Arc::clone(tls), name))
        } else {
            None
        };
        Ok(Self { origin, deadline, allowed, tls })
    }

    /// The origin that is dialled.
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// [`ConnectorError`], at the latest when the deadline passes.
    pub async fn connect(&self) -> Result<Connection, ConnectorError> {
        tokio::time::timeout(self.deadline, self.dial()).await.map_err(|_| ConnectorError::Deadline)?
    }

    async fn dial(&self) -> Result<Connection, ConnectorError> {
        let stream = self.dial_tcp().await?;
        stream.set_nodelay(true).map_err(ConnectorError::Connect)?;
        match &self.tls {
            None => Ok(Connection::Plain(stream)),
            Some((config, name)) => {
                let connector = TlsConnector::from(Arc::clone(config));
                let stream = connector.connect(name.clone(), stream).await.map_err(ConnectorError::Connect)?;
                Ok(Connection::Tls(Box::new(stream)))
            }
        }
    }

    async fn dial_tcp(&self) -> Result<TcpStream, ConnectorError> {
        let mut last = ConnectorError::Forbidden;
        for address in self.addresses().await? {
            if !self.allowed.covers(address.ip()) {
                continue;
            }
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = ConnectorError::Connect(error),
            }
        }
        Err(last)
    }

    async fn addresses(&self) -> Result<Vec<SocketAddr>, ConnectorError> {
        let (host, port) = (self.origin.host(), self.origin.port());
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        Ok(tokio::net::lookup_host((host, port)).await.map_err(ConnectorError::Resolve)?.collect())
    }
}

impl Allowed {
    fn covers(&self, ip: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::PublicAnd(networks) => {
                let ip = ip.to_canonical();
                is_public(ip) || networks.iter().any(|network| network.contains(&ip))
            }
        }
    }
}

/// Whether an address is one that strangers can have, by the IANA special-purpose registries (RFC 6890).
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            let shared = a == 100 && (64..128).contains(&b);
            let protocol = a == 192 && b == 0 && c == 0;
            let benchmark = a == 198 && (b == 18 || b == 19);
            let special = ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_documentation();
            !(special || shared || protocol || benchmark || a == 0 || a >= 224)
        }
        IpAddr::V6(ip) => {
            let [first, second, ..] = ip.segments();
            let global_unicast = first & 0xe000 == 0x2000;
            let documentation = first == 0x2001 && second == 0x0db8;
            let embeds_v4 = first == 0x2002 || (first == 0x2001 && second == 0);
            global_unicast && !documentation && !embeds_v4
        }
    }
}

/// An open connection to an upstream.
#[derive(Debug)]
pub enum Connection {
    /// In clear.
    Plain(TcpStream),
    /// Under TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_public() {
        for public in ["1.1.1.1", "8.8.8.8", "2606:4700::1111", "198.51.101.1"] {
            assert!(is_public(public.parse().expect("valid")), "{public}");
        }
        for special in [
            "127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.0.1",
            "198.18.0.1",
            "192.0.2.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "2002:7f00:1::",
            "2001:db8::1",
            "64:ff9b::7f00:1",
            "2001::1",
        ] {
            assert!(!is_public(special.parse().expect("valid")), "{special}");
        }
    }

    #[test]
    fn an_embedded_address_is_judged_as_what_it_embeds() {
        let allowed = Allowed::PublicAnd(["10.2.0.0/16".parse().expect("valid")].into());
        assert!(allowed.covers("10.2.3.4".parse().expect("valid")));
        assert!(allowed.covers("::ffff:10.2.3.4".parse().expect("valid")));
        assert!(!allowed.covers("10.3.0.1".parse().expect("valid")));
        assert!(!allowed.covers("::ffff:127.0.0.1".parse().expect("valid")));
    }
}
