//! What the config says about an API that the gateway calls: an internal one, or a vendor's own.

use std::time::Duration;

use ipnet::IpNet;

use crate::http::Url;
use crate::model::UpstreamId;

/// One API to call, with its deadlines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// The name in `upstreams:`; the vendor's id for a contract's own `egress.upstream`.
    pub id: UpstreamId,
    /// Where it is.
    pub base: Url,
    /// Time for the connection, TLS included.
    pub connect_deadline: Duration,
    /// Time from the request's end to the head of the answer.
    pub response_deadline: Duration,
    /// How slowly bodies may come, either way.
    pub body: BodyLimits,
    /// What its name may resolve to.
    pub networks: AllowedNetworks,
}

/// How slowly the body of a request or an answer may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimits {
    /// Longest silence in the middle of it.
    pub idle: Duration,
    /// What must come while its sender is waited for. Event streams need not.
    pub min_rate: MinRate,
}

/// So many bytes in so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinRate {
    /// How many.
    pub bytes: u64,
    /// In how long.
    pub per: Duration,
}

/// The addresses that an upstream's name may resolve to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedNetworks {
    /// Any: an internal API that the operator has named.
    Any,
    /// Public addresses, and those listed: a vendor's API, whose DNS is the vendor's.
    PublicAnd(Box<[IpNet]>),
}

impl AllowedNetworks {
    /// Whether a connection to this address may be made.
    pub fn allows(&self, address: std::net::IpAddr) -> bool {
        let address = address.to_canonical();
        match self {
            Self::Any => true,
            Self::PublicAnd(listed) => is_public(address) || listed.iter().any(|net| net.contains(&address)),
        }
    }
}

/// Addresses of the public Internet: none that RFC 6890 and its heirs keep for a host, a link or a site.
fn is_public(address: std::net::IpAddr) -> bool {
    match address {
        std::net::IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            let shared = a == 100 && (64..128).contains(&b);
            let benchmark = a == 198 && (b == 18 || b == 19);
            let protocol = a == 192 && b == 0 && c == 0;
            !(a == 0 || a >= 224 || shared || benchmark || protocol)
                && !(v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_documentation())
        }
        std::net::IpAddr::V6(v6) => {
            let [first, second, ..] = v6.segments();
            let documentation = first == 0x2001 && second == 0xdb8;
            let teredo_or_protocol = first == 0x2001 && second < 0x200;
            let six_to_four = first == 0x2002;
            (first & 0xe000) == 0x2000 && !(documentation || teredo_or_protocol || six_to_four)
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
