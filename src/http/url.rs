//! The URLs that the gateway calls: `http` or `https`, a host, a port, a path and a query.
//!
//! Read once, where the config or an argument is read. Never holds a user name, a password or a fragment, and never
//! prints its query, which may hold a key.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use ::http::Uri;
use ::http::uri::Authority;

use super::host::{bare_host, is_loopback};
use super::is_canonical;
use crate::model::words;

words! {
    /// The scheme of a [`Url`].
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum UrlScheme {
        /// Plain text.
        Http = "http",
        /// Under TLS.
        Https = "https",
    }
}

/// An absolute URL.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Url {
    scheme: UrlScheme,
    host: Box<str>,
    port: u16,
    path: Box<str>,
    query: Option<Box<str>>,
}

/// Why a text is not a URL that the gateway can call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It cannot be read as an absolute URL.
    #[error("must be a URL with a scheme and a host")]
    Unreadable,
    /// A scheme other than `http` and `https`.
    #[error("must begin with http:// or https://")]
    Scheme,
    /// It has `user:password@`.
    #[error("must not hold a user or password")]
    UserInfo,
    /// `?…`, where only a base can be.
    #[error("must not have a query")]
    Query,
    /// It has a fragment, `#…`.
    #[error("must not have a fragment")]
    Fragment,
    /// A base with dot segments, needless encoding, or anything else that can be read as another path.
    #[error("must have a path without dot segments, backslashes and needless percent-encoding")]
    Path,
    /// Plain text to another machine.
    #[error("must be https, or http to this machine")]
    PlainText,
}

impl Url {
    /// Parses `http[s]://host[:port][/path][?query]`.
    ///
    /// # Errors
    /// [`UrlError`] names what must not be there, or says that the text is no URL.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if text.contains('#') {
            return Err(UrlError::Fragment);
        }
        let uri: Uri = text.parse().map_err(|_| UrlError::Unreadable)?;
        let scheme = match uri.scheme_str() {
            Some("http") => UrlScheme::Http,
            Some("https") => UrlScheme::Https,
            Some(_) => return Err(UrlError::Scheme),
            None => return Err(UrlError::Unreadable),
        };
        let authority = uri.authority().ok_or(UrlError::Unreadable)?;
        if authority.as_str().contains('@') {
            return Err(UrlError::UserInfo);
        }
        let host = authority.host().to_ascii_lowercase();
        let port = port_of(authority, scheme).filter(|_| !host.is_empty()).ok_or(UrlError::Unreadable)?;
        let query = uri.query().map(Into::into);
        Ok(Self { scheme, host: host.into(), port, path: uri.path().into(), query })
    }

    /// Parses a URL to which the path of each request is appended: its own path has one reading, and there is no query.
    ///
    /// # Errors
    /// As [`Self::parse`], and [`UrlError::Query`] or [`UrlError::Path`].
    pub fn parse_base(text: &str) -> Result<Self, UrlError> {
        let url = Self::parse(text)?;
        if url.query.is_some() {
            return Err(UrlError::Query);
        }
        if !is_canonical(&url.path, false) {
            return Err(UrlError::Path);
        }
        Ok(Self { path: url.path.trim_end_matches('/').into(), ..url })
    }

    /// Parses a URL that keys or secrets are sent to or read from; plain text to another machine only where the
    /// operator allows it.
    ///
    /// # Errors
    /// As [`Self::parse`], and [`UrlError::PlainText`].
    pub fn parse_protected(text: &str, allow_plain_http: bool) -> Result<Self, UrlError> {
        let url = Self::parse(text)?;
        if url.is_protected() || allow_plain_http { Ok(url) } else { Err(UrlError::PlainText) }
    }

    /// The scheme.
    pub const fn scheme(&self) -> UrlScheme {
        self.scheme
    }

    /// The host in lower case, without the brackets of an IPv6 address.
    pub fn bare_host(&self) -> &str {
        bare_host(&self.host)
    }

    /// The port; the scheme's own where none is written.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The path. That of a base is empty, or has a leading and no trailing `/`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The path, at least `/`, and the query: what a request line holds.
    pub fn target(&self) -> String {
        let path = if self.path.is_empty() { "/" } else { &*self.path };
        self.query.as_ref().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))
    }

    /// The IP address, where the host is one.
    pub fn address(&self) -> Option<IpAddr> {
        self.bare_host().parse().ok()
    }

    /// Whether what is sent there never crosses a network in plain text: `https`, or `http` to this machine.
    pub fn is_protected(&self) -> bool {
        self.scheme == UrlScheme::Https || is_loopback(&self.host)
    }

    /// `host`, or `host:port` where the port is not the scheme's own: the form of the `Host` field.
    pub fn authority(&self) -> String {
        if self.port == self.scheme.default_port() {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Scheme and authority: `https://host[:port]`.
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme.as_str(), self.authority())
    }
}

/// Plain text to an address, with no path.
impl From<SocketAddr> for Url {
    fn from(address: SocketAddr) -> Self {
        let host = match address.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        Self { scheme: UrlScheme::Http, host: host.into(), port: address.port(), path: "".into(), query: None }
    }
}

impl UrlScheme {
    const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.path)?;
        f.write_str(if self.query.is_some() { "?…" } else { "" })
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn port_of(authority: &Authority, scheme: UrlScheme) -> Option<u16> {
    let after_host = authority.as_str().strip_prefix(authority.host())?;
    match after_host.strip_prefix(':') {
        // A port may be written as nothing at all (RFC 3986 section 3.2.3).
        None | Some("") => Some(scheme.default_port()),
        Some(_) => authority.port_u16().filter(|port| *port != 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_has_no_user_query_fragment_or_second_reading() {
        for (text, wrong) in [
            ("http://user:pw@host", UrlError::UserInfo),
            ("http://host/#top", UrlError::Fragment),
            ("http://host/?a=b", UrlError::Query),
            ("ftp://host", UrlError::Scheme),
            ("/only/a/path", UrlError::Unreadable),
            ("host:80", UrlError::Unreadable),
            ("http://", UrlError::Unreadable),
            ("http://:80", UrlError::Unreadable),
            ("http://host:0", UrlError::Unreadable),
            ("http://host:99999", UrlError::Unreadable),
            ("http://ho st", UrlError::Unreadable),
            ("http://host/a/../b", UrlError::Path),
            ("http://host/a%2fb", UrlError::Path),
            ("http://host/%61", UrlError::Path),
        ] {
            assert_eq!(Url::parse_base(text), Err(wrong), "{text}");
        }
    }

    #[test]
    fn a_url_prints_in_one_form_and_hides_its_query() {
        for (text, printed) in [
            ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
            ("HTTPS://API.acme.example:443/", "https://api.acme.example"),
            ("https://api.acme.example/v2/", "https://api.acme.example/v2"),
            ("https://api.acme.example:/v2", "https://api.acme.example/v2"),
            ("http://[::1]:8080/a", "http://[::1]:8080/a"),
        ] {
            assert_eq!(Url::parse_base(text).expect(text).to_string(), printed);
        }
        let url = Url::parse("https://host/a/?key=s3cret").expect("a URL");
        assert_eq!((url.to_string(), format!("{url:?}")), ("https://host/a/?…".into(), "https://host/a/?…".into()));
        assert_eq!((url.target(), url.authority(), url.port()), ("/a/?key=s3cret".into(), "host".into(), 443));
        assert_eq!(Url::from(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 80))).to_string(), "http://[::1]");
    }

    #[test]
    fn secrets_go_in_plain_text_to_this_machine_only() {
        for good in ["https://id.example.com/jwks", "http://127.0.0.1:9/x", "http://[::1]/x", "http://LOCALHOST/x"] {
            assert!(Url::parse_protected(good, false).is_ok(), "{good}");
        }
        for (bad, wrong) in [
            ("http://id.example.com/", UrlError::PlainText),
            ("http://127.0.0.1.a.com/", UrlError::PlainText),
            ("ftp://a/", UrlError::Scheme),
            ("/jwks", UrlError::Unreadable),
            ("https://u:p@a/", UrlError::UserInfo),
            ("https://a/#b", UrlError::Fragment),
        ] {
            assert_eq!(Url::parse_protected(bad, false), Err(wrong), "{bad}");
        }
        assert!(Url::parse_protected("http://id.example.com/", true).is_ok());
    }
}
