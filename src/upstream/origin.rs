//! Where an upstream is: scheme, host, port and a path in front.

use std::fmt;

use ::http::{HeaderValue, Uri};

/// A parsed upstream URL: `http` or `https`, no user, no query, no fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    tls: bool,
    host: String,
    port: u16,
    base_path: String,
}

/// Why a text is not an upstream's URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// It cannot be read as a URL.
    #[error("is not a URL; write http://host:port or https://host")]
    NotAUrl,
    /// The scheme is neither `http` nor `https`.
    #[error("must begin with http:// or https://")]
    Scheme,
    /// It has a user, password, query or fragment.
    #[error("must have no user, password, query or fragment")]
    Extra,
}

impl Origin {
    /// Parses `http(s)://host[:port][/path]`.
    ///
    /// # Errors
    /// [`OriginError`] says what to write instead.
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        if text.contains(['#', '@', '?']) {
            return Err(OriginError::Extra);
        }
        let uri: Uri = text.parse().map_err(|_| OriginError::NotAUrl)?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            Some(_) | None => return Err(OriginError::Scheme),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or(OriginError::NotAUrl)?.to_ascii_lowercase();
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let base_path = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { tls, host, port, base_path })
    }

    /// Whether connections are TLS.
    pub const fn tls(&self) -> bool {
        self.tls
    }

    /// The host as a name or address; an IPv6 address has no brackets.
    pub fn host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// The port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The path that goes in front of each request's, without a slash at its end.
    pub fn base_path(&self) -> &str {
        &self.base_path
    }

    /// The `Host` field of requests: the port only where it is not the scheme's own.
    pub fn host_header(&self) -> HeaderValue {
        let standard = if self.tls { 443 } else { 80 };
        let text = if self.port == standard { self.host.clone() } else { format!("{}:{}", self.host, self.port) };
        HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}:{}{}", self.host, self.port, self.base_path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_parse_or_say_why() {
        let origin = Origin::parse("https://API.acme.example/v2/").expect("valid");
        assert_eq!(origin.to_string(), "https://api.acme.example:443/v2");
        assert_eq!(origin.host_header(), "api.acme.example");
        assert_eq!(Origin::parse("http://127.0.0.1:9000").expect("valid").host_header(), "127.0.0.1:9000");
        assert_eq!(Origin::parse("http://[::1]:9000").expect("valid").host(), "::1");
        assert_eq!(Origin::parse("ftp://a"), Err(OriginError::Scheme));
        assert_eq!(Origin::parse("http://u:p@a"), Err(OriginError::Extra));
        assert_eq!(Origin::parse("http://a?x"), Err(OriginError::Extra));
        assert_eq!(Origin::parse("not a url"), Err(OriginError::NotAUrl));
    }
}
