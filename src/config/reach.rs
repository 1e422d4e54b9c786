//! How our services reach a vendor: the hosts that its contract answers to.

use std::net::SocketAddr;

use crate::http::HostPort;

/// How our services reach one vendor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReachSettings {
    /// The destinations that are this vendor. A host without a port stands here with the ports of both schemes.
    pub hosts: Box<[HostPort<'static>]>,
    /// Whether the contract lists the hosts. Otherwise they are those of its upstream's URL, and another contract that
    /// lists one of them has it.
    pub is_listed: bool,
}

impl ReachSettings {
    /// Whether a destination is this vendor.
    pub fn has(&self, destination: &HostPort<'_>) -> bool {
        self.hosts.contains(destination)
    }
}

/// The ports of a host that is written without one: those of `http` and of `https`.
pub(super) const DEFAULT_PORTS: [u16; 2] = [80, 443];

/// Whether a listener that is bound to an address would get what is sent to a destination, as far as both texts tell.
pub(super) fn is_bound_to(bind: SocketAddr, host: &str, port: u16) -> bool {
    let ip = if host == "localhost" { Some(std::net::Ipv4Addr::LOCALHOST.into()) } else { host.parse().ok() };
    ip.is_some_and(|ip: std::net::IpAddr| {
        bind.port() != 0 && bind.port() == port && (bind.ip() == ip || bind.ip().is_unspecified() && ip.is_loopback())
    })
}
