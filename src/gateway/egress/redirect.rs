//! Connections that the kernel has redirected here, of services that know of no gateway.
//!
//! The vendor is found by the name that the caller gives, in its TLS client hello (SNI) or in `Host`, with the port
//! that it was calling. The address that it was calling is never dialled: the contract's host is resolved here and
//! checked, so that a name which leads elsewhere for the caller gains nothing.

use std::net::SocketAddr;
use std::sync::Arc;

use ::http::{HeaderMap, Method, StatusCode, Version, request};
use tokio::io::AsyncWriteExt as _;

use super::super::admission::refuse_tunnel;
use super::super::exchange::ExchangeRecord;
use super::super::peer::{ConnectionArrival, Peer};
use super::super::snapshot::Snapshot;
use super::super::state::Gateway;
use super::super::target::authority;
use super::connect::{FoundTunnel, TunnelPlan, find_tunnel, open_opaque, plan};
use super::granted::{EnteredTunnel, GrantedTunnel, TunnelContent, client_hello};
use super::way::CallerWay;
use super::{FoundVendor, pass_unlisted, scheme};
use crate::bounds;
use crate::config::TunnelMode;
use crate::http::{ByteStream, HostPort, PrefixedStream};
use crate::identity::PresentedService;
use crate::model::{ClientId, Denial, Reason};

/// The fatal TLS alert `access_denied` (RFC 8446 section 6), which a client names in its error.
const ACCESS_DENIED: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 49];

/// Where a redirected connection was going; `None` for one that has called the listener.
///
/// # Errors
/// For a connection that has called a listener of redirected ones, and for the gateway's own.
pub(super) fn original_of((gateway, peer): (&Gateway, &Peer)) -> Result<Option<SocketAddr>, Denial> {
    match peer.arrival() {
        ConnectionArrival::Direct => Ok(None),
        ConnectionArrival::Redirected(original) if gateway.own_addresses.has_dialled(peer.address(), original) => {
            let detail = "the kernel redirects the gateway's own connections: exempt its user from the redirection";
            Err(Denial::new(Reason::LoopDetected, detail))
        }
        ConnectionArrival::Redirected(original) => Ok(Some(original)),
        ConnectionArrival::NotRedirected => {
            let text = "This listener takes connections that the kernel redirects (listeners.egress.transparent), and this one was not. Call the vendor itself.";
            Err(Denial::with_public_text(Reason::RequestMalformed, text))
        }
    }
}

/// The vendor of a request in clear on a redirected connection.
pub(super) fn find_redirected<'s, 'p>(
    (gateway, peer, service): (&Gateway, &Peer, Option<&ClientId>),
    snapshot: &'s Snapshot,
    (head, original): (&request::Parts, SocketAddr),
    path: &'p str,
) -> Result<FoundVendor<'s, 'p>, Denial> {
    let named = HostPort::parse(authority(head), original.port()).filter(|named| named.port == original.port());
    let destination = named.ok_or_else(|| {
        let text = "The request names no host, or another port than the one that it was sent to.";
        Denial::with_public_text(Reason::RequestMalformed, text)
    })?;
    let way = CallerWay::by_host(head, peer);
    match snapshot.vendor_at(&destination) {
        Some(vendor) => Ok(FoundVendor::listed(vendor, path, way)),
        None => {
            let passed = pass_unlisted((gateway, service), snapshot, scheme(head), &destination)?;
            Ok(FoundVendor { vendor: passed.vendor, path, way, reported: Some(passed) })
        }
    }
}

impl Gateway {
    /// Decides on TLS that was redirected here, by the name that it asks for. `None` where it is refused, which is
    /// recorded and told in a TLS alert.
    pub async fn enter_redirected(
        self: &Arc<Self>,
        peer: &Arc<Peer>,
        mut stream: Box<dyn ByteStream>,
    ) -> Option<EnteredTunnel> {
        let hello = tokio::time::timeout(bounds::HANDSHAKE_DEADLINE, client_hello(&mut stream)).await;
        let (name, first) = match hello.unwrap_or(Err("no TLS client hello came in time")) {
            Ok((name, first)) => (Ok(name), first),
            Err(detail) => (Err(detail), Vec::new()),
        };
        let record = ExchangeRecord::begin(Arc::clone(self), Arc::clone(peer), Method::CONNECT, Version::HTTP_11);
        let Some((destination, content)) = self.open_redirected(name, record).await else {
            // A caller that has gone needs no reason.
            let _ = stream.write_all(&ACCESS_DENIED).await;
            let _ = stream.shutdown().await;
            return None;
        };
        let stream: Box<dyn ByteStream> = Box::new(PrefixedStream::new(first, stream));
        GrantedTunnel::enter_tls((destination, content, None), stream, (self, peer))
    }

    /// What becomes of redirected TLS that asks for this name; `None` where it is refused.
    async fn open_redirected(
        self: &Arc<Self>,
        name: Result<Option<String>, &'static str>,
        mut record: Box<ExchangeRecord>,
    ) -> Option<(HostPort<'static>, TunnelContent)> {
        let snapshot = self.snapshot.load_full();
        let found = find_named(&snapshot, name, &mut record);
        let planned = found.and_then(|found| plan(self, &found).map(|plan| (found, plan)));
        let denial = match planned {
            Ok((found, TunnelPlan::Opaque)) => {
                let opened = open_opaque(&found, record).await.ok()?;
                return Some((found.destination, TunnelContent::Opaque(Box::new(opened))));
            }
            Ok((found, TunnelPlan::Intercepted(tls))) => {
                record.set_status(StatusCode::OK.as_u16());
                return Some((found.destination, TunnelContent::Intercepted(tls)));
            }
            Ok((_, TunnelPlan::Clear)) => {
                Denial::new(Reason::DestinationUnknown, "TLS to a port at which the contract's vendor speaks none")
            }
            Err(denial) => denial,
        };
        // The response has no reader: no request was read.
        drop(refuse_tunnel(record, denial).respond());
        None
    }
}

/// Finds the vendor that redirected TLS asks for.
fn find_named<'s>(
    snapshot: &'s Snapshot,
    name: Result<Option<String>, &'static str>,
    record: &mut ExchangeRecord,
) -> Result<FoundTunnel<'s>, Denial> {
    let original = original_of((&record.gateway, &record.peer))?;
    if record.gateway.audit.must_stop() {
        return Err(Denial::new(Reason::Overloaded, "the audit trail cannot be written"));
    }
    let name = name.map_err(|detail| Denial::new(Reason::RequestMalformed, detail))?;
    let named = name.as_deref().zip(original).and_then(|(name, original)| HostPort::parse(name, original.port()));
    let unnamed = || Denial::new(Reason::DestinationUnknown, "the TLS client hello names no host (SNI)");
    let destination = named.ok_or_else(unnamed)?.into_owned();
    let vendor = snapshot.vendor_at(&destination);
    if let Some(vendor) = vendor.filter(|vendor| vendor.contract.reach.tunnel == TunnelMode::Intercept) {
        // Who calls is proven by each request.
        record.set_vendor(vendor, None);
        return Ok(FoundTunnel { destination, vendor, service: None, reported: None });
    }
    let headers = HeaderMap::new();
    let presented =
        PresentedService { headers: &headers, certificate: None, uid: None, of_tunnel: None, now: record.started.wall };
    let service = snapshot.services.identify(&presented)?;
    find_tunnel(snapshot, destination, service, record)
}
