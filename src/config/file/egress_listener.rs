//! `listeners.egress` as it is written in YAML: a listener, and who of our own services may call through it.

use schemars::JsonSchema;
use serde::Deserialize;

use super::contract::DateText;
use super::{DurationText, ListenerConfig, TlsConfig};

/// What an address begins with that is the path of a Unix socket.
pub(in crate::config) const UNIX: &str = "unix:";

/// Where our services call vendors.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct EgressListenerConfig {
    /// Address and port, where port 0 asks the system for a free one; or `unix:` and the path of a socket.
    #[schemars(required, example = "127.0.0.1:8081")]
    pub(in crate::config) bind: Option<String>,
    /// The listener's certificate; without it, plain HTTP is spoken.
    pub(in crate::config) tls: Option<TlsConfig>,
    /// Whether HTTP/2 is spoken beside HTTP/1.1 (default true).
    pub(in crate::config) http2: Option<bool>,
    /// Time for a whole request head, and for the first request of a connection whose caller is not proven yet (default
    /// 10s, at most 5m).
    pub(in crate::config) head_timeout: Option<DurationText>,
    /// How long a connection whose caller is proven may be idle between two requests (default 75s, at most 1h).
    pub(in crate::config) idle_timeout: Option<DurationText>,
    /// Most connections of one IPv4 address or IPv6 /64 whose caller is not proven yet; one more ends the oldest of
    /// them (default 1024).
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(in crate::config) unproven_per_address: Option<u32>,
    /// Whether a caller that proves nothing may call (default false).
    pub(in crate::config) anonymous: Option<bool>,
    /// The authority that signs for the hosts of contracts that intercept, made by `vendorgate ca generate`.
    pub(in crate::config) interception: Option<InterceptionConfig>,
    /// Whether what no contract lists is refused (default), or passes for a roll-out and is reported.
    pub(in crate::config) unknown: Option<UnknownConfig>,
    /// With `unknown: report`: the last day on which what no contract lists passes, at most 90 days ahead.
    #[schemars(example = "2026-12-31")]
    pub(in crate::config) report_until: Option<DateText>,
    /// With `unknown: report`: networks that are not public and in which what no contract lists may be.
    #[schemars(example = ["10.2.0.0/16"])]
    pub(in crate::config) allow_networks: Option<Vec<String>>,
    /// Whether the connections are redirected here by the kernel, of services that know of no gateway (default false).
    pub(in crate::config) transparent: Option<bool>,
}

/// What becomes of a destination that no contract lists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum UnknownConfig {
    /// It is refused and listed.
    #[default]
    Refuse,
    /// It passes raw until `report_until`, and is listed and reported.
    Report,
}

/// The authority that signs for the hosts of contracts that intercept. Paths are relative to the file that names them.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct InterceptionConfig {
    /// Its certificate, PEM.
    #[schemars(required, example = "ca/egress.pem")]
    pub(in crate::config) ca: Option<String>,
    /// Its private key, PEM; not readable by everyone.
    #[schemars(required, example = "ca/egress.key")]
    pub(in crate::config) key: Option<String>,
}

impl EgressListenerConfig {
    /// What it shares with every other listener.
    pub(in crate::config) fn listener(&self) -> ListenerConfig {
        let Self { bind, tls, http2, head_timeout, idle_timeout, unproven_per_address, .. } = self.clone();
        // What listens on a socket listens on no address.
        let bind = bind.filter(|bind| !bind.starts_with(UNIX));
        ListenerConfig { bind, tls, http2, head_timeout, idle_timeout, unproven_per_address }
    }
}
