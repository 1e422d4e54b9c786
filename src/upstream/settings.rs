//! What the config says about an API that the gateway calls: an internal one, or a vendor's own.

use std::fmt;
use std::time::Duration;

use ipnet::IpNet;

use crate::http::is_canonical;
use crate::model::UpstreamId;

/// One API to call, with its deadlines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// The name in `upstreams:`; the vendor's id for a contract's own `egress.upstream`.
    pub id: UpstreamId,
    /// Where it is.
    pub base: BaseUrl,
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

/// The scheme of a URL that the gateway calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UrlScheme {
    /// In clear.
    Http,
    /// Under TLS.
    Https,
}

/// A scheme, a host, a port and the path that stands before every request's path. Never user information.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BaseUrl {
    scheme: UrlScheme,
    host: Box<str>,
    port: u16,
    path: Box<str>,
}

/// Why a text is not a base URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BaseUrlError {
    /// It cannot be read as an absolute URL.
    #[error("must be a URL with a scheme and a host")]
    Unreadable,
    /// Another scheme than the two that can be spoken.
    #[error("must begin with http:// or https://")]
    Scheme,
    /// `user:password@`.
    #[error("must not hold a user or password")]
    UserInfo,
    /// `?…`
    #[error("must not have a query")]
    Query,
    /// `#…`
    #[error("must not have a fragment")]
    Fragment,
    /// Dot segments, an encoding that is not needed, or anything else that can be read as another path.
    #[error("must have a path without dot segments, backslashes and needless percent-encoding")]
    Path,
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

impl BaseUrl {
    /// Parses `http[s]://host[:port][/path]`.
    ///
    /// # Errors
    /// [`BaseUrlError`] names what must not be there, or that the text is no URL.
    pub fn parse(text: &str) -> Result<Self, BaseUrlError> {
        if text.contains('#') {
            return Err(BaseUrlError::Fragment);
        }
        let uri: http::Uri = text.parse().map_err(|_| BaseUrlError::Unreadable)?;
        let scheme = match uri.scheme_str() {
            Some("http") => UrlScheme::Http,
            Some("https") => UrlScheme::Https,
            Some(_) => return Err(BaseUrlError::Scheme),
            None => return Err(BaseUrlError::Unreadable),
        };
        let authority = uri.authority().ok_or(BaseUrlError::Unreadable)?;
        if authority.as_str().contains('@') {
            return Err(BaseUrlError::UserInfo);
        }
        if uri.query().is_some() {
            return Err(BaseUrlError::Query);
        }
        let port = port_of(authority, scheme).ok_or(BaseUrlError::Unreadable)?;
        if !is_canonical(uri.path(), false) {
            return Err(BaseUrlError::Path);
        }
        let host = authority.host().to_ascii_lowercase();
        Ok(Self { scheme, host: host.into(), port, path: uri.path().trim_end_matches('/').into() })
    }

    /// The scheme.
    pub const fn scheme(&self) -> UrlScheme {
        self.scheme
    }

    /// The host in lower case; an IPv6 address keeps its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, the scheme's own where none is written.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The path before every request's path: empty, or with a leading and no trailing `/`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The address, where the host is one.
    pub fn address(&self) -> Option<std::net::IpAddr> {
        self.host.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    /// Whether the host is this machine by name or address.
    pub fn is_loopback(&self) -> bool {
        &*self.host == "localhost" || self.address().is_some_and(|address| address.to_canonical().is_loopback())
    }

    /// `host`, or `host:port` where the port is not the scheme's own: the `Host` header's form.
    pub fn authority(&self) -> String {
        if self.port == self.scheme.default_port() {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl UrlScheme {
    /// The name in a URL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port where a URL names none.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme.as_str(), self.authority(), self.path)
    }
}

fn port_of(authority: &http::uri::Authority, scheme: UrlScheme) -> Option<u16> {
    let after_host = authority.as_str().strip_prefix(authority.host())?;
    match after_host.strip_prefix(':') {
        None => Some(scheme.default_port()),
        Some(_) => authority.port_u16().filter(|port| *port != 0),
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
    fn a_base_url_has_no_place_for_a_password() {
        for (text, wrong) in [
            ("http://user:pw@host", BaseUrlError::UserInfo),
            ("http://host/#top", BaseUrlError::Fragment),
            ("http://host/?a=b", BaseUrlError::Query),
            ("ftp://host", BaseUrlError::Scheme),
            ("/only/a/path", BaseUrlError::Unreadable),
            ("host:80", BaseUrlError::Unreadable),
            ("http://", BaseUrlError::Unreadable),
            ("http://host:0", BaseUrlError::Unreadable),
            ("http://host:99999", BaseUrlError::Unreadable),
            ("http://ho st", BaseUrlError::Unreadable),
            ("http://host/a/../b", BaseUrlError::Path),
            ("http://host/a%2fb", BaseUrlError::Path),
            ("http://host/%61", BaseUrlError::Path),
        ] {
            assert_eq!(BaseUrl::parse(text), Err(wrong), "{text}");
        }
    }

    #[test]
    fn a_base_url_prints_in_one_form() {
        for (text, printed) in [
            ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
            ("HTTPS://API.acme.example:443/", "https://api.acme.example"),
            ("https://api.acme.example/v2/", "https://api.acme.example/v2"),
            ("http://[::1]:8080/a", "http://[::1]:8080/a"),
        ] {
            assert_eq!(BaseUrl::parse(text).expect(text).to_string(), printed);
        }
        assert!(BaseUrl::parse("http://[::1]").expect("loopback").is_loopback());
    }

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
