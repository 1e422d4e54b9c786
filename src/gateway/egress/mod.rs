//! Requests of the company's own services: the vendor that they call, by its host or by the first segment of the path.
//!
//! The host that is dialled comes from the contract, never from the request.

mod connect;
mod cookies;
mod granted;
mod hosts;
mod opaque;
mod redirect;
mod references;
mod reported;
mod service;
mod unknown;
mod way;

use std::sync::Arc;

use ::http::uri::Scheme;
use ::http::{Version, request};

pub use self::granted::{EnteredTunnel, GrantedTunnel, TLS_HANDSHAKE};
pub(super) use self::granted::{OpaqueTunnel, TunnelTarget};
pub(super) use self::hosts::HostIndex;
pub(super) use self::opaque::{TUNNEL_ROUTE, tunnel_runtime};
pub(super) use self::references::{VendorPlace, rewrite_references};
pub(super) use self::reported::{ReportedDestination, ReportedDestinations, pass_unlisted};
pub(super) use self::service::{caller, identify_service};
pub use self::unknown::UnknownDestinations;
pub(super) use self::way::CallerWay;
use super::peer::Peer;
use super::snapshot::{Snapshot, VendorRuntime};
use super::state::Gateway;
use super::target::authority;
use crate::config::TunnelMode;
use crate::http::{HostPort, UrlScheme};
use crate::model::{ClientId, Denial, Reason, VendorId};

/// The port of mail, which is no HTTP: a proxy that reaches it sends mail for whoever asks.
const MAIL_PORT: u16 = 25;

/// The vendor that a request calls.
#[derive(Debug)]
pub(super) struct FoundVendor<'s, 'p> {
    pub(super) vendor: &'s Arc<VendorRuntime>,
    /// The path on the vendor's side.
    pub(super) path: &'p str,
    pub(super) way: CallerWay,
    /// With `Some`, no contract lists the destination, and it passes all the same.
    pub(super) reported: Option<ReportedDestination<'s>>,
}

impl<'s, 'p> FoundVendor<'s, 'p> {
    const fn listed(vendor: &'s Arc<VendorRuntime>, path: &'p str, way: CallerWay) -> Self {
        Self { vendor, path, way, reported: None }
    }
}

/// Finds the vendor that a request calls. A host of a contract decides before the path does; the path decides where the
/// host is none, as it is for the listener's own address, unless the caller uses the listener as a proxy.
///
/// # Errors
/// [`Reason::DestinationUnknown`] when no contract has the host or the path's first segment.
pub(super) fn find_vendor<'s, 'p>(
    (gateway, peer, service): (&Gateway, &Peer, Option<&ClientId>),
    snapshot: &'s Snapshot,
    head: &request::Parts,
    path: &'p str,
) -> Result<FoundVendor<'s, 'p>, Denial> {
    if let Some(tunnel) = peer.tunnel() {
        return in_tunnel((gateway, tunnel, peer, service), snapshot, head, path);
    }
    if let Some(original) = redirect::original_of((gateway, peer))? {
        return redirect::find_redirected((gateway, peer, service), snapshot, (head, original), path);
    }
    let destination = HostPort::parse(authority(head), default_port(head, peer));
    let known = destination.as_ref().and_then(|destination| snapshot.vendor_at(destination));
    if let Some(vendor) = known {
        return Ok(FoundVendor::listed(vendor, path, CallerWay::by_host(head, peer)));
    }
    // An HTTP/2 request always has its host in the target, also where the listener is called by its own address.
    let is_proxied = head.version < Version::HTTP_2 && head.uri.authority().is_some();
    let is_own = || destination.as_ref().is_some_and(|destination| gateway.own_addresses.are_named(destination));
    if is_proxied && !is_own() {
        let unread = || Denial::new(Reason::DestinationUnknown, "the host cannot be read");
        let destination = destination.as_ref().ok_or_else(unread)?;
        let passed = pass_unlisted((gateway, service), snapshot, scheme(head), destination)?;
        let way = CallerWay::by_host(head, peer);
        return Ok(FoundVendor { vendor: passed.vendor, path, way, reported: Some(passed) });
    }
    let (name, path) = split_vendor(path)?;
    let vendor = snapshot.vendor(name).ok_or_else(|| unknown_name(gateway, name, service))?;
    Ok(FoundVendor::listed(vendor, path, CallerWay::by_path(head, peer)))
}

/// The denial of a destination that no contract has, which is noted.
fn unknown_host(gateway: &Gateway, destination: &HostPort<'_>, service: Option<&ClientId>) -> Denial {
    let named = destination.to_string();
    let detail = format!("no contract has the host {named}");
    gateway.unknown_destinations.note(named, service.map(ClientId::as_str), gateway.clock.now().wall);
    Denial::new(Reason::DestinationUnknown, detail)
}

/// The denial of a path whose first segment is no vendor's name. What could not be a name is not noted: it may be
/// anything, and someone's address too.
fn unknown_name(gateway: &Gateway, name: &str, service: Option<&ClientId>) -> Denial {
    if VendorId::parse(name).is_ok() {
        gateway.unknown_destinations.note(format!("/{name}"), service.map(ClientId::as_str), gateway.clock.now().wall);
    }
    Denial::new(Reason::DestinationUnknown, "no contract for this vendor")
}

/// The vendor of a request in a tunnel, which has one destination from its start to its end.
fn in_tunnel<'s, 'p>(
    (gateway, tunnel, peer, service): (&Gateway, &TunnelTarget, &Peer, Option<&ClientId>),
    snapshot: &'s Snapshot,
    head: &request::Parts,
    path: &'p str,
) -> Result<FoundVendor<'s, 'p>, Denial> {
    let target = &tunnel.destination;
    if HostPort::parse(authority(head), target.port).as_ref() != Some(target) {
        let text = "The request names another host than the tunnel that it came through.";
        return Err(Denial::with_public_text(Reason::RequestMalformed, text));
    }
    let Some(vendor) = snapshot.vendor_at(target) else {
        if tunnel.is_tls {
            return Err(Denial::new(Reason::DestinationUnknown, "no contract has this host any more"));
        }
        let passed = pass_unlisted((gateway, service), snapshot, UrlScheme::Http, target)?;
        let way = CallerWay::by_host(head, peer);
        return Ok(FoundVendor { vendor: passed.vendor, path, way, reported: Some(passed) });
    };
    if tunnel.is_tls && vendor.contract.reach.tunnel != TunnelMode::Intercept {
        let text = "The contract no longer lets tunnels to its vendor be intercepted.";
        return Err(Denial::with_public_text(Reason::DestinationUnknown, text));
    }
    Ok(FoundVendor::listed(vendor, path, CallerWay::by_host(head, peer)))
}

/// The scheme that a target names; `http` where it names none.
fn scheme(head: &request::Parts) -> UrlScheme {
    let is_https = head.uri.scheme() == Some(&Scheme::HTTPS);
    if is_https { UrlScheme::Https } else { UrlScheme::Http }
}

/// The port of a host that is written without one.
fn default_port(head: &request::Parts, peer: &Peer) -> u16 {
    let is_https = head.uri.scheme().map_or(peer.is_tls(), |scheme| *scheme == Scheme::HTTPS);
    if is_https { 443 } else { 80 }
}

/// Splits a canonical egress path into the name of the vendor and the path on the vendor's side.
///
/// # Errors
/// [`Reason::DestinationUnknown`] when the path names no vendor.
fn split_vendor(path: &str) -> Result<(&str, &str), Denial> {
    let rest = path.strip_prefix('/').unwrap_or(path);
    let end = rest.find('/').unwrap_or(rest.len());
    let (vendor, path) = rest.split_at(end);
    if vendor.is_empty() {
        return Err(Denial::new(Reason::DestinationUnknown, "the path does not begin with a vendor's name"));
    }
    Ok((vendor, if path.is_empty() { "/" } else { path }))
}

/// The denial of a path with an encoded slash, which the route does not allow.
pub(super) fn encoded_slash() -> Denial {
    let text = "The path holds an encoded slash (%2F), and its route does not say allow_encoded_slash: true.";
    Denial::with_public_text(Reason::RequestMalformed, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_segment_of_an_egress_path_names_the_vendor() {
        assert_eq!(split_vendor("/acme/v2/events"), Ok(("acme", "/v2/events")));
        assert_eq!(split_vendor("/acme"), Ok(("acme", "/")));
        assert_eq!(split_vendor("/acme/"), Ok(("acme", "/")));
        for path in ["/", "//acme/v2"] {
            assert_eq!(split_vendor(path).map_err(|denial| denial.reason), Err(Reason::DestinationUnknown), "{path}");
        }
    }
}
