//! How a caller named its vendor, so that what the vendor says of itself leads the caller back the same way.

use ::http::header::HOST;
use ::http::uri::Authority as UriAuthority;
use ::http::{HeaderValue, request};

use super::super::peer::Peer;

/// The scheme, the host and the kind of path by which a caller names its vendor. Making it copies no text.
#[derive(Debug)]
pub(in crate::gateway) struct CallerWay {
    scheme: &'static str,
    host: NamedHost,
    /// Whether the path begins with the vendor's name.
    has_prefix: bool,
}

#[derive(Debug)]
enum NamedHost {
    Field(HeaderValue),
    Target(UriAuthority),
    Nowhere,
}

impl CallerWay {
    /// The way of a caller who names the vendor by its host.
    pub(super) fn by_host(head: &request::Parts, peer: &Peer) -> Self {
        Self::new(head, peer, false)
    }

    /// The way of a caller who names the vendor by the first segment of the path.
    pub(super) fn by_path(head: &request::Parts, peer: &Peer) -> Self {
        Self::new(head, peer, true)
    }

    fn new(head: &request::Parts, peer: &Peer, has_prefix: bool) -> Self {
        let host = match (head.uri.authority(), head.headers.get(HOST)) {
            (Some(target), _) => NamedHost::Target(target.clone()),
            (None, Some(field)) => NamedHost::Field(field.clone()),
            (None, None) => NamedHost::Nowhere,
        };
        let is_https = peer.speaks_tls() || head.uri.scheme_str() == Some("https");
        Self { scheme: if is_https { "https" } else { "http" }, host, has_prefix }
    }

    /// Whether the caller speaks in clear, so that it may not store a cookie that is for TLS only.
    pub(super) fn is_clear(&self) -> bool {
        self.scheme == "http"
    }

    /// Whether the path begins with the vendor's name.
    pub(super) const fn has_prefix(&self) -> bool {
        self.has_prefix
    }

    /// Scheme and authority as the caller wrote them; `None` where it named no host.
    pub(super) fn origin(&self) -> Option<String> {
        let authority = match &self.host {
            NamedHost::Field(field) => field.to_str().ok()?,
            NamedHost::Target(target) => target.as_str(),
            NamedHost::Nowhere => return None,
        };
        Some(format!("{}://{authority}", self.scheme))
    }
}
