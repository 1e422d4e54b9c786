//! How our services reach a vendor: the hosts that its contract answers to.

use std::net::SocketAddr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::http::HostPort;
use crate::upstream::UpstreamSettings;

/// How our services reach one vendor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReachSettings {
    /// The destinations that are this vendor. A host without a port stands here with the ports of both schemes.
    pub hosts: Box<[HostPort<'static>]>,
    /// Whether the contract lists the hosts. Otherwise they are those of its upstream's URL, and another contract that
    /// lists one of them has it.
    pub is_listed: bool,
    /// What becomes of TLS in a tunnel.
    pub tunnel: TunnelMode,
    /// With `Some`, the contract stands for all destinations that no other lists, and they are called so.
    pub undeclared: Option<Arc<UpstreamSettings>>,
}

/// What becomes of TLS in a tunnel (CONNECT) to a vendor. HTTP in clear in a tunnel is treated as any call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TunnelMode {
    /// The tunnel is refused, with an answer that says what to write.
    #[default]
    Refuse,
    /// TLS is ended by the gateway, by a certificate of its own authority.
    Intercept,
    /// TLS passes unread: only where no rule reads anything, and nothing counts records.
    Opaque,
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
