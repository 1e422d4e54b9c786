//! The authority of a request or a URL in one form, under which all spellings of one destination are equal.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};

/// A host and a port. The host is in lower case, without a trailing dot and without the brackets of an IPv6 address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPort<'a> {
    /// The name or the address.
    pub host: Cow<'a, str>,
    /// The port; never 0.
    pub port: u16,
}

/// The longest name of a host (RFC 1035 section 2.3.4), without the dot at its end.
const NAME_BYTES_MAX: usize = 253;

impl<'a> HostPort<'a> {
    /// Reads `host`, `host:port` or `[IPv6 address]:port`. `None` for anything else, such as a user name before the
    /// host, or an IPv6 address without brackets. Allocates nothing where the host is in its one form already.
    pub fn parse(text: &'a str, default_port: u16) -> Option<Self> {
        let (host, port) = split_port(text)?;
        let port = match port {
            // A port may be written as nothing at all (RFC 3986 section 3.2.3).
            None | Some("") => default_port,
            Some(digits) => port_number(digits)?,
        };
        Some(Self { host: one_form(host)?, port })
    }

    /// Whether a port is written in `host[:port]`.
    pub fn has_port(text: &str) -> bool {
        split_port(text).is_some_and(|(_, port)| port.is_some_and(|port| !port.is_empty()))
    }

    /// The address, where the host is one.
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// The same, owned.
    pub fn into_owned(self) -> HostPort<'static> {
        HostPort { host: Cow::Owned(self.host.into_owned()), port: self.port }
    }
}

impl std::fmt::Display for HostPort<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

fn split_port(text: &str) -> Option<(&str, Option<&str>)> {
    if text.starts_with('[') {
        let (host, rest) = text.split_at(text.find(']')? + 1);
        return if rest.is_empty() { Some((host, None)) } else { Some((host, Some(rest.strip_prefix(':')?))) };
    }
    match text.split_once(':') {
        None => Some((text, None)),
        Some((_, port)) if port.contains(':') => None,
        Some((host, port)) => Some((host, Some(port))),
    }
}

/// Digits only: a sign, which Rust's parser takes, is no part of a port.
fn port_number(digits: &str) -> Option<u16> {
    let number = || digits.parse().ok().filter(|port| *port != 0);
    if digits.bytes().all(|byte| byte.is_ascii_digit()) { number() } else { None }
}

fn one_form(host: &str) -> Option<Cow<'_, str>> {
    if let Some(rest) = host.strip_prefix('[') {
        let inside = rest.strip_suffix(']')?;
        let canonical = inside.parse::<Ipv6Addr>().ok()?.to_string();
        return Some(if canonical == inside { Cow::Borrowed(inside) } else { Cow::Owned(canonical) });
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if name.is_empty() || name.ends_with('.') || name.len() > NAME_BYTES_MAX || !name.bytes().all(is_good) {
        return None;
    }
    let is_lower = !name.bytes().any(|byte| byte.is_ascii_uppercase());
    Some(if is_lower { Cow::Borrowed(name) } else { Cow::Owned(name.to_ascii_lowercase()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_destination_are_equal() {
        for (text, expected) in [
            ("api.acme.example", Some("api.acme.example:80")),
            ("API.Acme.Example.", Some("api.acme.example:80")),
            ("api.acme.example:", Some("api.acme.example:80")),
            ("api.acme.example:0443", Some("api.acme.example:443")),
            ("[::1]", Some("[::1]:80")),
            ("[0:0:0:0:0:0:0:1]:9000", Some("[::1]:9000")),
            ("127.0.0.1:9000", Some("127.0.0.1:9000")),
            ("", None),
            (".", None),
            ("a..", None),
            ("::1", None),
            ("[::1", None),
            ("[::1]9", None),
            ("[a]", None),
            ("user@a", None),
            ("a b", None),
            ("ä.example", None),
            ("a:+80", None),
            ("a:0", None),
            ("a:65536", None),
            ("a:80:80", None),
        ] {
            let read = HostPort::parse(text, 80).map(|read| read.to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
        assert_eq!(HostPort::parse(&"a".repeat(254), 80), None);
        assert!(HostPort::has_port("a:1") && !HostPort::has_port("a:") && !HostPort::has_port("[::1]"));
    }

    #[test]
    fn the_usual_spelling_is_borrowed() {
        let read = HostPort::parse("api.acme.example:443", 80).expect("a host");
        assert!(matches!(read.host, Cow::Borrowed(_)));
        assert_eq!(HostPort::parse("127.0.0.1", 80).expect("a host").address(), "127.0.0.1".parse().ok());
    }
}
