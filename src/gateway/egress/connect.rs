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
use super::super::peer::{ConnectionArrival, Peer};
use super::super::snapshot::{Snapshot, VendorRuntime};
use super::super::state::Gateway;
use super::granted::{GrantedTunnel, OpaqueTunnel, TunnelContent};
use super::reported::{ReportedDestination, pass_unlisted};
use super::{MAIL_PORT, identify_service};
use crate::config::TunnelMode;
use crate::http::{GatewayBody, HostPort, UrlScheme, screen_connect};
use crate::identity::IdentifiedService;
use crate::kill::{AdmissionProof, RouteTag};
use crate::model::{ClientId, Denial, Direction, Reason, with_causes};

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
        let found = match find_called(&snapshot, &head, &mut record) {
            Ok(found) => found,
            Err(denial) => return refuse_tunnel(record, denial).respond(),
        };
        let content = match plan(self, &found) {
            Err(denial) => return refuse_tunnel(record, denial).respond(),
            Ok(TunnelPlan::Clear) => granted(record, TunnelContent::Clear),
            Ok(TunnelPlan::Intercepted(tls)) => granted(record, TunnelContent::Intercepted(tls)),
            Ok(TunnelPlan::Opaque) => match open_opaque(&found, record).await {
                Ok(opened) => TunnelContent::Opaque(Box::new(opened)),
                Err(refused) => return refused,
            },
        };
        let opener = found.service.map(|service| service.proof);
        let destination = found.destination;
        peer.grant_tunnel(GrantedTunnel { upgrade, destination, content, gateway: Arc::clone(self), opener });
        Response::new(GatewayBody::full(""))
    }
}

/// A tunnel whose requests are admitted one by one: it is all that there is to record of itself.
pub(super) fn granted(mut record: Box<ExchangeRecord>, content: TunnelContent) -> TunnelContent {
    record.set_status(StatusCode::OK.as_u16());
    record.peer.seat().mark_proven();
    content
}

/// The vendor that a tunnel is for, and who asks for it.
pub(super) struct FoundTunnel<'s> {
    pub(super) destination: HostPort<'static>,
    pub(super) vendor: &'s Arc<VendorRuntime>,
    pub(super) service: Option<IdentifiedService<'s>>,
    /// With `Some`, no contract lists the destination, and it passes all the same.
    pub(super) reported: Option<ReportedDestination<'s>>,
}

/// What a tunnel may carry.
pub(super) enum TunnelPlan {
    /// HTTP in clear.
    Clear,
    /// HTTP in clear, or TLS that is ended here with these settings.
    Intercepted(Arc<ServerConfig>),
    /// HTTP in clear, or TLS that nothing reads.
    Opaque,
}

/// Finds the vendor that a `CONNECT` is for, before anything is granted.
fn find_called<'s>(
    snapshot: &'s Snapshot,
    head: &request::Parts,
    record: &mut ExchangeRecord,
) -> Result<FoundTunnel<'s>, Denial> {
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
    if record.peer.arrival() != ConnectionArrival::Direct {
        let text = "The listener takes redirected connections (listeners.egress.transparent), and is no proxy.";
        return Err(Denial::with_public_text(Reason::RequestMalformed, text));
    }
    let destination = screen_connect(head)?.into_owned();
    let service = identify_service(snapshot, head, record)?;
    find_tunnel(snapshot, destination, service, record)
}

/// Finds the vendor that a tunnel is for, before anything is granted.
pub(super) fn find_tunnel<'s>(
    snapshot: &'s Snapshot,
    destination: HostPort<'static>,
    service: Option<IdentifiedService<'s>>,
    record: &mut ExchangeRecord,
) -> Result<FoundTunnel<'s>, Denial> {
    let name = service.as_ref().map(|service| service.name);
    let (vendor, reported) = match snapshot.vendor_at(&destination) {
        Some(vendor) => (vendor, None),
        None => {
            let passed = pass_tunnel((&record.gateway, name), snapshot, &destination)?;
            (passed.vendor, Some(passed))
        }
    };
    record.set_vendor(vendor, name);
    if let Some(reported) = &reported {
        record.would_deny(&reported.would_deny());
    }
    if let Some(listed) = &vendor.contract.callers
        && !name.is_some_and(|name| listed.contains(name))
    {
        return Err(Denial::new(Reason::CallerNotAllowed, "the contract does not list the service"));
    }
    let in_flight = vendor.kill_gate.register(Direction::Egress, RouteTag::NONE, name);
    if in_flight.check().is_err() {
        reported.iter().for_each(|reported| reported.note(&record.gateway, name, false));
        return Err(Denial::new(Reason::VendorKilled, "a kill covers this vendor"));
    }
    Ok(FoundTunnel { destination, vendor, service, reported })
}

/// Lets a tunnel to a destination without a contract pass where the config does so; else says what to do.
fn pass_tunnel<'s>(
    (gateway, service): (&Gateway, Option<&ClientId>),
    snapshot: &'s Snapshot,
    destination: &HostPort<'_>,
) -> Result<ReportedDestination<'s>, Denial> {
    if gateway.own_addresses.are_named(destination) {
        return Err(Denial::new(Reason::LoopDetected, "a tunnel to the gateway itself"));
    }
    let text = match destination.port {
        MAIL_PORT => "Port 25 is mail, for which there is no tunnel.",
        _ if destination.address().is_some() => {
            "A tunnel is for a host, not for an address: name the vendor's host, which a contract lists."
        }
        _ => "No contract lists this host and port. Have egress.hosts of the vendor's contract list it.",
    };
    pass_unlisted((gateway, service), snapshot, UrlScheme::Https, destination).map_err(|denial| {
        let public_text = Some(text).filter(|_| denial.reason == Reason::DestinationUnknown).or(denial.public_text);
        Denial { public_text, ..denial }
    })
}

/// What the contract lets a tunnel to this destination carry.
pub(super) fn plan(gateway: &Gateway, found: &FoundTunnel<'_>) -> Result<TunnelPlan, Denial> {
    let (vendor, destination) = (found.vendor, &found.destination);
    match vendor.contract.reach.tunnel {
        _ if found.reported.is_some() => Ok(TunnelPlan::Opaque),
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
pub(super) async fn open_opaque(
    found: &FoundTunnel<'_>,
    record: Box<ExchangeRecord>,
) -> Result<OpaqueTunnel, Response<GatewayBody>> {
    let made;
    let (route, connector) = match (&found.reported, &found.vendor.direction(Direction::Egress).tunnel) {
        (Some(passed), _) => match passed.tunnels(&found.destination) {
            Ok(connector) => {
                made = connector;
                (&passed.route, &made)
            }
            Err(denial) => return Err(refuse_tunnel(record, denial).respond()),
        },
        (None, Some(tunnel)) => (&tunnel.route, &tunnel.connector),
        (None, None) => {
            let denial = Denial::new(Reason::DestinationUnknown, "the contract has nothing for tunnels");
            return Err(refuse_tunnel(record, denial).respond());
        }
    };
    let (vendor, service) = (found.vendor, found.service.as_ref());
    let caller = service.map(|service| super::service::caller(vendor, service.name));
    let proof = service.map(|service| Arc::clone(&service.proof) as AdmissionProof);
    let gateway = Arc::clone(&record.gateway);
    let admitted = admit_tunnel(vendor, route, (caller.as_ref(), proof.as_ref()), record);
    if let Some(reported) = &found.reported {
        reported.note(&gateway, service.map(|service| service.name), admitted.is_ok());
    }
    let mut admitted = admitted.map_err(|refused| refused.respond())?;
    let mut in_flight = admitted.share_in_flight();
    let since = admitted.record().gateway.clock.now();
    let opened = tokio::select! {
        biased;
        opened = connector.open(admitted.permit()) => opened.map_err(|error| send_denial(&error)),
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
