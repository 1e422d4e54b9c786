//! The settings of an upstream: an API of the company or of a vendor that the gateway calls.

use std::time::Duration;

use ipnet::IpNet;

use super::GroupSettings;
use super::UpstreamTlsSettings;
use super::public_address::{is_metadata, is_public};
use crate::http::Url;
use crate::model::UpstreamId;

/// The settings of one upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// Its name in `upstreams:`; for the `egress.upstream` of a contract, the vendor's id.
    pub id: UpstreamId,
    /// The URL before the path of every request.
    pub base: Url,
    /// The time for making a connection, with its TLS handshake.
    pub connect_deadline: Duration,
    /// The time from the end of the request to the head of the response.
    pub response_deadline: Duration,
    /// How slowly the bodies of requests and responses may come.
    pub body: BodyLimits,
    /// The addresses that its name may resolve to.
    pub networks: AllowedNetworks,
    /// Which version of HTTP is spoken.
    pub protocol: HttpProtocol,
    /// What is particular about TLS with it.
    pub tls: UpstreamTlsSettings,
    /// Its targets, and what stands above their connections.
    pub group: GroupSettings,
}

/// Which version of HTTP is spoken to an upstream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HttpProtocol {
    /// What the upstream chooses under TLS (ALPN), HTTP/2 if it can; in clear HTTP/1.1.
    Auto,
    /// HTTP/1.1 alone.
    #[default]
    Http1,
    /// HTTP/2 alone; in clear without asking ('prior knowledge').
    Http2,
}

/// How slowly the body of a request or a response may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimits {
    /// The longest time without a byte.
    pub idle: Duration,
    /// The least that must come while the gateway waits for the sender. Event streams may be slower.
    pub min_rate: MinRate,
}

/// A minimum rate of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinRate {
    /// The number of bytes.
    pub bytes: u64,
    /// The time in which they must come.
    pub per: Duration,
}

/// The addresses that an upstream's name may resolve to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedNetworks {
    /// Any address, for an API of the company, whose name the operator has configured.
    Any,
    /// Public addresses and the listed networks, for a vendor's API, whose DNS the vendor controls.
    PublicAnd(Box<[IpNet]>),
}

impl AllowedNetworks {
    /// Whether a connection to this address may be made.
    pub fn allows(&self, address: std::net::IpAddr) -> bool {
        let address = address.to_canonical();
        match self {
            Self::Any => true,
            Self::PublicAnd(_) if is_metadata(address) => false,
            Self::PublicAnd(listed) => is_public(address) || listed.iter().any(|net| net.contains(&address)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_must_be_listed() {
        let vendor = AllowedNetworks::PublicAnd(Box::new(["10.2.0.0/16".parse().expect("net")]));
        for (address, permitted) in [
            ("93.184.216.34", true),
            ("10.2.3.4", true),
            ("::ffff:10.2.3.4", true),
            ("10.3.0.1", false),
            ("127.0.0.1", false),
            ("169.254.169.254", false),
            ("100.64.0.1", false),
            ("0.0.0.0", false),
            ("::1", false),
            ("::ffff:127.0.0.1", false),
            ("fd00::1", false),
            ("fe80::1", false),
            ("2002:7f00:1::", false),
            ("2606:4700::1111", true),
        ] {
            assert_eq!(vendor.allows(address.parse().expect(address)), permitted, "{address}");
        }
        assert!(AllowedNetworks::Any.allows("127.0.0.1".parse().expect("address")));
    }
}
