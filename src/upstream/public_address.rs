//! Which addresses are those of the public Internet, and which never belong to a vendor.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses of the public Internet: none that RFC 6890 and its heirs keep for a host, a link, a site or a translation,
/// and none that leads to such a one by an address in it.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let benchmark = a == 198 && (b == 18 || b == 19);
    let protocol = a == 192 && b == 0 && c == 0;
    let relay = a == 192 && b == 88 && c == 99;
    !(a == 0 || a >= 224 || shared || benchmark || protocol || relay)
        && !(v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_documentation())
}

/// Only 2000::/3 is given out. NAT64 (64:ff9b::/96, 64:ff9b:1::/48), unique local and link-local addresses are not in
/// it.
fn is_public_v6(v6: Ipv6Addr) -> bool {
    let [first, second, _, _, fifth, sixth, high, low] = v6.segments();
    let documentation = first == 0x2001 && second == 0xdb8 || first == 0x3fff && second < 0x1000;
    let teredo_or_protocol = first == 0x2001 && second < 0x200;
    let six_to_four = first == 0x2002;
    // RFC 5214: an interface that is an IPv4 address, which a router of the site may send on to that one.
    let isatap = fifth & 0xfdff == 0 && sixth == 0x5efe;
    let [[a, b], [c, d]] = [high, low].map(u16::to_be_bytes);
    let leads_inside = isatap && !is_public_v4(Ipv4Addr::new(a, b, c, d));
    first & 0xe000 == 0x2000 && !(documentation || teredo_or_protocol || six_to_four || leads_inside)
}

/// Where clouds give a machine its own credentials: no vendor is there, whatever networks a contract lists. Two of them
/// look public or are in a range that a company may well use.
pub(super) fn is_metadata(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let octets = v4.octets();
            matches!(octets, [169, 254, 169, 254] | [169, 254, 170, 2 | 23] | [100, 100, 100, 200] | [168, 63, 129, 16])
        }
        IpAddr::V6(v6) => {
            let segments = v6.segments();
            let [_, second, third, .., seventh, eighth] = segments;
            let leads_to = |high: u16, low: u16| {
                let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
                is_metadata(Ipv4Addr::new(a, b, c, d).into())
            };
            // NAT64 and ISATAP have an IPv4 address at the end, 6to4 after its first segment.
            matches!(segments, [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254 | 0x23])
                || leads_to(seventh, eighth)
                || leads_to(second, third)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_spelling_of_a_private_address_is_public() {
        for (address, public) in [
            ("93.184.216.34", true),
            ("168.63.129.15", true),
            ("10.0.0.1", false),
            ("172.31.255.255", false),
            ("192.168.0.1", false),
            ("127.0.0.1", false),
            ("169.254.169.254", false),
            ("100.64.0.1", false),
            ("0.0.0.0", false),
            ("192.0.0.8", false),
            ("192.88.99.1", false),
            ("198.19.0.1", false),
            ("203.0.113.9", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("2606:4700::1111", true),
            ("2a00:1450:4001::5efe:7f00:1", false),
            ("2a00:1450:4001:1:0:5efe:5db8:d822", true),
            ("2a00:1450:4001:1:0:5efe:a00:1", false),
            ("2a00:1450:4001:1:200:5efe:7f00:1", false),
            ("::1", false),
            ("::", false),
            ("::7f00:1", false),
            ("64:ff9b::7f00:1", false),
            ("64:ff9b::5db8:d822", false),
            ("64:ff9b:1::a00:1", false),
            ("100::1", false),
            ("2001::1", false),
            ("2001:2::1", false),
            ("2001:20::1", false),
            ("2001:db8::1", false),
            ("2002:7f00:1::", false),
            ("3fff::1", false),
            ("5f00::1", false),
            ("fc00::1", false),
            ("fd00:ec2::254", false),
            ("fe80::1", false),
            ("fec0::1", false),
            ("ff02::1", false),
        ] {
            assert_eq!(is_public(address.parse().expect(address)), public, "{address}");
        }
        for metadata in ["169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "fd00:ec2::254"] {
            assert!(is_metadata(metadata.parse().expect(metadata)), "{metadata}");
        }
    }
}
