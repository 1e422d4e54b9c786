//! `CONNECT` (RFC 9110 section 9.3.6): one of our services asks for a tunnel to a vendor.
//!
//! Everything that can be decided is decided before the 200: no contract, no tunnel. What then comes through it is HTTP
//! in clear, whose requests are admitted one by one; or TLS, which is ended here, or passed on unread where no rule of
//! the contract reads anything.

use std::sync::Arc;

use ::http::{Request, Response, StatusCode, request};
use hyper::body::Incoming;
use rustls::ServerConfig;

use super::super::admission::{admit_tunnel, refuse_tunnel};
use super::super::attempt::send_denial;
use super::super::exchange::ExchangeRecord;
use super::super::peer::Peer;
use super::super::snapshot::{Snapshot, VendorRuntime};
use super::super::state::Gateway;
use super::granted::{GrantedTunnel, OpaqueTunnel, TunnelContent};
use super::identify_service;
use super::unknown_host;
use crate::config::TunnelMode;
use crate::http::{GatewayBody, HostPort, UrlScheme, screen_connect};
use crate::identity::IdentifiedService;
use crate::kill::{AdmissionProof, RouteTag};
use crate::model::{ClientId, Denial, Direction, Reason, with_causes};

/// The port of mail, which is no HTTP: a proxy that reaches it sends mail for whoever asks.
const MAIL_PORT: u16 = 25;

impl Gateway {
    /// Responds to a request for a tunnel. Where it is granted, the connection finds it with the peer.
    pub(in crate::gateway) async fn connect(
        self: &Arc<Self>,
        peer: &Arc<Peer>,
        mut request: Request<Incoming>,
    ) -> Response<GatewayBody> {
        let upgrade = hyper::upgrade::on(&mut request);
        let (head, _) = request.into_parts();
        let mut record = ExchangeRecord::begin(Arc::clone(self), Arc::clone(peer), head.method.clone(), head.version);
        let snapshot = self.snapshot.load_full();
        let (destination, vendor, service) = match find_tunnel(&snapshot, &head, &mut record) {
            Ok(found) => found,
            Err(denial) => return refuse_tunnel(record, denial).respond(),
        };
        let opener = service.as_ref().map(|service| Arc::clone(&service.proof));
        let content = match plan(self, vendor, &destination) {
            Err(denial) => return refuse_tunnel(record, denial).respond(),
            Ok(TunnelPlan::Opaque) => match open_opaque(vendor, service.as_ref(), record).await {
                Ok(opened) => TunnelContent::Opaque(Box::new(opened)),
                Err(refused) => return refused,
            },
            Ok(plan) => {
                record.set_status(StatusCode::OK.as_u16());
                peer.seat().mark_proven();
                match plan {
                    TunnelPlan::Intercepted(tls) => TunnelContent::Intercepted(tls),
                    TunnelPlan::Clear | TunnelPlan::Opaque => TunnelContent::Clear,
                }
            }
        };
        peer.grant_tunnel(GrantedTunnel { upgrade, destination, content, gateway: Arc::clone(self), opener });
        Response::new(GatewayBody::full(""))
    }
}

/// What a tunnel may carry.
enum TunnelPlan {
    /// HTTP in clear.
    Clear,
    /// HTTP in clear, or TLS that is ended here with these settings.
    Intercepted(Arc<ServerConfig>),
    /// HTTP in clear, or TLS that nothing reads.
    Opaque,
}

/// Finds the vendor that a tunnel is for, before anything is granted.
fn find_tunnel<'s>(
    snapshot: &'s Snapshot,
    head: &request::Parts,
    record: &mut ExchangeRecord,
) -> Result<(HostPort<'static>, &'s Arc<VendorRuntime>, Option<IdentifiedService<'s>>), Denial> {
    if record.gateway.audit.must_stop() {
        return Err(Denial::new(Reason::Overloaded, "the audit trail cannot be written"));
    }
    if record.is_h2() {
        let text = "CONNECT is served on HTTP/1.1 alone. Use the listener as an HTTP/1.1 proxy.";
        return Err(Denial::with_public_text(Reason::RequestMalformed, text));
    }
    if record.peer.tunnel().is_some() {
        return Err(Denial::with_public_text(Reason::RequestMalformed, "There is no tunnel within a tunnel."));
    }
    let destination = screen_connect(head)?;
    let service = identify_service(snapshot, head, record)?;
    let name = service.as_ref().map(|service| service.name);
    let Some(vendor) = snapshot.vendor_at(&destination) else {
        return Err(unknown(&record.gateway, &destination, name));
    };
    record.set_vendor(vendor, name);
    if let Some(listed) = &vendor.contract.callers
        && !name.is_some_and(|name| listed.contains(name))
    {
        return Err(Denial::new(Reason::CallerNotAllowed, "the contract does not list the service"));
    }
    let in_flight = vendor.kill_gate.register(Direction::Egress, RouteTag::NONE, name);
    in_flight.check().map_err(|_| Denial::new(Reason::VendorKilled, "a kill covers this vendor"))?;
    Ok((destination.into_owned(), vendor, service))
}

/// Why a destination without a contract is refused, in words that say what to do.
fn unknown(gateway: &Gateway, destination: &HostPort<'_>, service: Option<&ClientId>) -> Denial {
    if gateway.own_addresses.are_named(destination) {
        return Denial::new(Reason::LoopDetected, "a tunnel to the gateway itself");
    }
    let text = match destination.port {
        MAIL_PORT => "Port 25 is mail, for which there is no tunnel.",
        _ if destination.address().is_some() => {
            "A tunnel is for a host, not for an address: name the vendor's host, which a contract lists."
        }
        _ => "No contract lists this host and port. Have egress.hosts of the vendor's contract list it.",
    };
    let public_text = Some(text);
    Denial { public_text, ..unknown_host(gateway, destination, service) }
}

/// What the contract lets a tunnel to this destination carry.
fn plan(gateway: &Gateway, vendor: &VendorRuntime, destination: &HostPort<'_>) -> Result<TunnelPlan, Denial> {
    match vendor.contract.reach.tunnel {
        TunnelMode::Opaque => Ok(TunnelPlan::Opaque),
        TunnelMode::Intercept if speaks_clear(vendor, destination.port) => Ok(TunnelPlan::Clear),
        TunnelMode::Intercept => intercepted(gateway, destination).map(TunnelPlan::Intercepted),
        TunnelMode::Refuse if speaks_clear(vendor, destination.port) => Ok(TunnelPlan::Clear),
        TunnelMode::Refuse => Err(Denial::with_public_text(
            Reason::DestinationUnknown,
            "The vendor's contract refuses TLS tunnels, whose content no rule could read. Call the vendor with http:// through this proxy or by path: it is called under TLS all the same. Or have egress.tunnel: intercept written in its contract.",
        )),
    }
}

/// The TLS settings by which a tunnel is intercepted. The certificate is made here, so that what stands against it is
/// known before the tunnel is granted.
fn intercepted(gateway: &Gateway, destination: &HostPort<'_>) -> Result<Arc<ServerConfig>, Denial> {
    let denied = |detail: String| Denial {
        detail: detail.into(),
        ..Denial::with_public_text(
            Reason::DestinationUnknown,
            "The tunnel cannot be intercepted: the gateway's authority may not sign for this host. Have one made with vendorgate ca generate.",
        )
    };
    let Some(interceptor) = gateway.interception.load_full() else {
        return Err(denied("no listeners.egress.interception".to_owned()));
    };
    let made = interceptor.server_config(&destination.host, gateway.clock.now().wall);
    made.map_err(|error| denied(with_causes(&error)))
}

/// Whether a tunnel to this port is for HTTP in clear, as some clients ask for one for every URL: port 80 is, port 443
/// is not, and another port is what the vendor's upstream is.
fn speaks_clear(vendor: &VendorRuntime, port: u16) -> bool {
    let upstream = vendor.contract.egress.as_slice().first().map(|route| route.upstream.base.scheme());
    port == 80 || port != 443 && upstream == Some(UrlScheme::Http)
}

/// Admits a tunnel whose bytes pass unread, and connects to the vendor.
async fn open_opaque(
    vendor: &Arc<VendorRuntime>,
    service: Option<&IdentifiedService<'_>>,
    record: Box<ExchangeRecord>,
) -> Result<OpaqueTunnel, Response<GatewayBody>> {
    let Some(tunnel) = &vendor.direction(Direction::Egress).tunnel else {
        let denial = Denial::new(Reason::DestinationUnknown, "the contract has nothing for tunnels");
        return Err(refuse_tunnel(record, denial).respond());
    };
    let caller = service.map(|service| super::service::caller(vendor, service.name));
    let proof = service.map(|service| Arc::clone(&service.proof) as AdmissionProof);
    let mut admitted = admit_tunnel(vendor, &tunnel.route, (caller.as_ref(), proof.as_ref()), record)
        .map_err(|refused| refused.respond())?;
    let mut in_flight = admitted.share_in_flight();
    let since = admitted.record().gateway.clock.now();
    let opened = tokio::select! {
        biased;
        opened = tunnel.connector.open(admitted.permit()) => opened.map_err(|error| send_denial(&error)),
        () = in_flight.severed() => Err(Denial::new(in_flight.sever_reason(), "severed while the vendor was awaited")),
    };
    admitted.record_mut().waited(since);
    match opened {
        Ok(upstream) => {
            admitted.record_mut().set_status(StatusCode::OK.as_u16());
            Ok(OpaqueTunnel { admitted, upstream })
        }
        Err(denial) => Err(admitted.refuse(&denial)),
    }
}
