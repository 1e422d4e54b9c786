//! A tunnel between its 200 and its end: what the listener's connection has become.

use std::sync::Arc;

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::super::admission::{Admitted, refuse_tunnel};
use super::super::exchange::ExchangeRecord;
use super::super::peer::Peer;
use super::super::state::Gateway;
use super::super::tunnel;
use crate::bounds;
use crate::http::{ByteStream, HostPort, PrefixedStream};
use crate::identity::ServiceProof;
use crate::model::{Denial, Reason};
use crate::upstream::UpstreamTunnel;

/// The first byte of TLS: a record of the handshake (RFC 8446 section 5.1).
pub const TLS_HANDSHAKE: u8 = 0x16;

/// A tunnel that was granted and that its connection has not entered yet.
#[derive(Debug)]
pub struct GrantedTunnel {
    pub(super) upgrade: OnUpgrade,
    pub(super) destination: HostPort<'static>,
    pub(super) content: TunnelContent,
    pub(super) gateway: Arc<Gateway>,
    /// What proved the service of ours that asked for it.
    pub(super) opener: Option<Arc<ServiceProof>>,
}

/// What a tunnel may carry beside HTTP in clear.
#[derive(Debug)]
pub(super) enum TunnelContent {
    Clear,
    /// TLS that the listener ends with these settings, which are for the tunnel's host alone.
    Intercepted(Arc<ServerConfig>),
    Opaque(Box<OpaqueTunnel>),
}

/// An admitted tunnel whose bytes pass unread, with the connection to the vendor.
#[derive(Debug)]
pub(in crate::gateway) struct OpaqueTunnel {
    pub(in crate::gateway) admitted: Admitted,
    pub(in crate::gateway) upstream: UpstreamTunnel,
}

/// A tunnel of which the first bytes have come, so that it is known what it carries.
#[derive(Debug)]
pub enum EnteredTunnel {
    /// HTTP in clear.
    Clear(Box<dyn ByteStream>),
    /// TLS that the listener ends, with these settings.
    Tls(Box<dyn ByteStream>, Arc<ServerConfig>),
    /// TLS that nothing reads.
    Opaque(Box<OpaqueRun>),
}

/// An opaque tunnel, ready to pass bytes.
#[derive(Debug)]
pub struct OpaqueRun {
    tunnel: OpaqueTunnel,
    host: HostPort<'static>,
    caller: Box<dyn ByteStream>,
}

/// The destination of the tunnel that a connection has become: every request in it is for this one.
#[derive(Debug)]
pub(in crate::gateway) struct TunnelTarget {
    pub(in crate::gateway) destination: HostPort<'static>,
    /// Whether the listener has ended TLS in the tunnel.
    pub(in crate::gateway) is_tls: bool,
    /// What proved the service of ours that opened it, whose requests all of them are. It is asked for again with each.
    pub(in crate::gateway) opener: Option<Arc<ServiceProof>>,
}

impl GrantedTunnel {
    /// Waits for the first byte, and says what the tunnel carries. `None` when the caller has gone, or when it sends
    /// what the contract does not let the tunnel carry, which is recorded.
    pub async fn enter(self, peer: &Arc<Peer>) -> Option<EnteredTunnel> {
        let Self { upgrade, destination, mut content, gateway, opener } = self;
        let (first, stream) = tokio::select! {
            biased;
            () = content.severed() => return None,
            first = first_byte(upgrade) => first?,
        };
        let stream: Box<dyn ByteStream> = Box::new(PrefixedStream::new(vec![first], stream));
        if first == TLS_HANDSHAKE {
            return Self::enter_tls((destination, content, opener), stream, (&gateway, peer));
        }
        // What was admitted for TLS is given back: each request in clear is admitted by itself.
        drop(content);
        peer.enter_tunnel(TunnelTarget { destination, is_tls: false, opener });
        Some(EnteredTunnel::Clear(stream))
    }

    /// Says what TLS to this destination becomes.
    pub(super) fn enter_tls(
        (destination, content, opener): (HostPort<'static>, TunnelContent, Option<Arc<ServiceProof>>),
        stream: Box<dyn ByteStream>,
        (gateway, peer): (&Arc<Gateway>, &Arc<Peer>),
    ) -> Option<EnteredTunnel> {
        match content {
            TunnelContent::Opaque(tunnel) => {
                let run = OpaqueRun { tunnel: *tunnel, host: destination, caller: stream };
                Some(EnteredTunnel::Opaque(Box::new(run)))
            }
            TunnelContent::Clear => {
                let detail = "TLS in a tunnel that the contract grants for HTTP in clear";
                deny(gateway, peer, Denial::new(Reason::DestinationUnknown, detail));
                None
            }
            TunnelContent::Intercepted(tls) => {
                peer.enter_tunnel(TunnelTarget { destination, is_tls: true, opener });
                Some(EnteredTunnel::Tls(stream, tls))
            }
        }
    }
}

/// The first byte of what a tunnel carries, and its connection.
async fn first_byte(upgrade: OnUpgrade) -> Option<(u8, TokioIo<Upgraded>)> {
    let mut stream = TokioIo::new(upgrade.await.ok()?);
    Some((stream.read_u8().await.ok()?, stream))
}

impl TunnelContent {
    /// Ready when a kill has cut a tunnel whose bytes pass unread, which is recorded. Other tunnels hold nothing until
    /// a request comes.
    async fn severed(&mut self) {
        let Self::Opaque(tunnel) = self else { return std::future::pending().await };
        let mut in_flight = tunnel.admitted.share_in_flight();
        in_flight.severed().await;
        tunnel.admitted.deny(&Denial::new(in_flight.sever_reason(), "severed before its first byte"));
    }
}

/// Records that a tunnel was closed for what it carried.
fn deny(gateway: &Arc<Gateway>, peer: &Arc<Peer>, denial: Denial) {
    let version = ::http::Version::HTTP_11;
    let record = ExchangeRecord::begin(Arc::clone(gateway), Arc::clone(peer), ::http::Method::CONNECT, version);
    // The response has no reader: the 200 of the tunnel was sent.
    drop(refuse_tunnel(record, denial).respond());
}

impl OpaqueRun {
    /// Reads the name that the caller's TLS asks for, within the time for a handshake; passes bytes both ways if it is
    /// the tunnel's host.
    pub async fn run(self) {
        let Self { mut tunnel, host, mut caller } = self;
        let mut in_flight = tunnel.admitted.share_in_flight();
        let hello = tokio::select! {
            biased;
            () = in_flight.severed() => Err("severed before its first bytes"),
            hello = tokio::time::timeout(bounds::HANDSHAKE_DEADLINE, client_hello(&mut caller)) => {
                hello.unwrap_or(Err("no TLS client hello came in time"))
            }
        };
        let detail = match hello {
            Ok((name, first)) if name.as_deref().and_then(|name| HostPort::parse(name, host.port)) == Some(host) => {
                return tunnel::run(tunnel, Box::new(PrefixedStream::new(first, caller))).await;
            }
            Ok(_) => "the name that TLS asks for (SNI) is not the tunnel's host",
            Err(detail) => detail,
        };
        let reason = if in_flight.is_severed() { in_flight.sever_reason() } else { Reason::DestinationUnknown };
        tunnel.admitted.deny(&Denial::new(reason, detail));
    }
}

/// The name in the client hello, and all bytes that were read.
pub(super) async fn client_hello(
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<(Option<String>, Vec<u8>), &'static str> {
    let (mut acceptor, mut all) = (Acceptor::default(), Vec::new());
    while all.len() < bounds::CLIENT_HELLO_BYTES_MAX {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).await.unwrap_or(0);
        let mut fresh = &piece[..read];
        if fresh.is_empty() {
            return Err("the caller has gone before its TLS client hello");
        }
        all.extend_from_slice(fresh);
        while !fresh.is_empty() {
            acceptor.read_tls(&mut fresh).map_err(|_| "not a TLS client hello")?;
            match acceptor.accept() {
                Ok(Some(accepted)) => return Ok((accepted.client_hello().server_name().map(str::to_owned), all)),
                Ok(None) => {}
                Err(_) => return Err("not a TLS client hello"),
            }
        }
    }
    Err("the TLS client hello is larger than its bound")
}
