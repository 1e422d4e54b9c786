//! Which hosts are this machine.
//!
//! The one rule that decides who may be asked in plain text: to any other host, keys and tokens go under TLS only.

use std::net::IpAddr;

/// The host of a URL or of a `Host` field, without the brackets of an IPv6 address.
pub fn bare_host(host: &str) -> &str {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
}

/// Whether a host, with or without brackets, is this machine: `localhost` or a loopback address.
///
/// The name `localhost` can be made to resolve to another machine: who connects by name checks the address that is
/// dialled with [`is_loopback_address`].
pub fn is_loopback(host: &str) -> bool {
    let host = bare_host(host);
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(is_loopback_address)
}

/// Whether an address is this machine's: 127.0.0.0/8 or `::1`, and an IPv4 address that is written as IPv6.
pub fn is_loopback_address(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_localhost_and_loopback_addresses_are_this_machine() {
        for (host, expected) in [
            ("localhost", true),
            ("LocalHost", true),
            ("127.0.0.1", true),
            ("127.255.255.254", true),
            ("::1", true),
            ("[::1]", true),
            ("::ffff:127.0.0.1", true),
            ("[::ffff:127.0.0.1]", true),
            ("", false),
            ("localhost.", false),
            ("localhost.evil.example", false),
            ("evil.localhost", false),
            ("127.0.0.1.evil.example", false),
            ("127.1", false),
            ("0x7f000001", false),
            ("2130706433", false),
            ("0177.0.0.1", false),
            ("0.0.0.0", false),
            ("::", false),
            ("10.0.0.1", false),
            ("::ffff:10.0.0.1", false),
            ("[::1", false),
            ("::1]", false),
            ("[[::1]]", false),
        ] {
            assert_eq!(is_loopback(host), expected, "{host}");
        }
    }
}
