//! Our own services, which call vendors through the egress listener: who they are, and how each proves it.
//!
//! A service is known by a token, by the certificate of its connection, or by its user on a Unix socket. A token that
//! is presented decides: one that is nobody's is refused, whatever else the connection proves.

use std::collections::HashMap;
use std::sync::Arc;

use ::http::header::{HeaderMap, HeaderName, PROXY_AUTHORIZATION};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::certificate::peer::{PeerCertificate, ServiceCertificate, SubjectAltName};
use crate::model::{ClientId, Denial, Reason, UnixTime};

/// Where a service that calls by base URL may put its token. Like every field that begins so, it ends at the gateway.
const TOKEN_FIELD: HeaderName = HeaderName::from_static("x-vendorgate-caller-token");

/// One of our services, and what proves that a request is its own: any of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceSettings {
    /// Its name, by which it counts as a client.
    pub name: ClientId,
    /// Its user, on a Unix socket.
    pub uid: Option<u32>,
    /// A name in its certificate.
    pub certificate: Option<SubjectAltName>,
    /// SHA-256 of its token.
    pub token_sha256: Option<[u8; 32]>,
}

/// What proved that a call is a service's. It is kept for as long as the call or its tunnel runs, so that it can be
/// asked for again when the config or the time has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceProof {
    /// Its token, by SHA-256.
    Token([u8; 32]),
    /// The certificate of its connection.
    Certificate(ServiceCertificate),
    /// Its user, on a Unix socket.
    User(u32),
}

/// A service that a call is proven to come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentifiedService<'a> {
    /// Its name.
    pub name: &'a ClientId,
    /// What proved it.
    pub proof: Arc<ServiceProof>,
}

/// All our services, by what proves them.
#[derive(Debug, Default)]
pub struct ServiceDirectory {
    anonymous: bool,
    services: Box<[KnownService]>,
    by_user: HashMap<u32, usize>,
    by_name: HashMap<SubjectAltName, usize>,
    by_token: HashMap<[u8; 32], usize>,
}

/// A service, with its proofs, made once so that a request allocates none.
#[derive(Debug)]
struct KnownService {
    name: ClientId,
    token: Option<Arc<ServiceProof>>,
    user: Option<Arc<ServiceProof>>,
}

/// What a request of one of our services presents.
#[derive(Debug, Clone, Copy)]
pub struct PresentedService<'a> {
    /// The header fields of the request.
    pub headers: &'a HeaderMap,
    /// The certificate of the connection.
    pub certificate: Option<&'a PeerCertificate>,
    /// The user at the other end of a Unix socket.
    pub uid: Option<u32>,
    /// What proved the service that has opened the tunnel in which the request came. Its token stands for the requests
    /// too, which cannot carry it; a certificate and a user are those of the connection, and are read there.
    pub of_tunnel: Option<&'a ServiceProof>,
    /// The time of the request.
    pub now: UnixTime,
}

impl ServiceDirectory {
    /// The directory of a config. `anonymous` says whether a caller that proves nothing may call.
    pub fn new(services: &[ServiceSettings], anonymous: bool) -> Self {
        let all = || services.iter().enumerate();
        Self {
            anonymous,
            services: services.iter().map(KnownService::new).collect(),
            by_user: all().filter_map(|(index, service)| Some((service.uid?, index))).collect(),
            by_name: all().filter_map(|(index, service)| Some((service.certificate.clone()?, index))).collect(),
            by_token: all().filter_map(|(index, service)| Some((service.token_sha256?, index))).collect(),
        }
    }

    /// Whether a service has this name.
    pub fn has(&self, name: &str) -> bool {
        self.services.iter().any(|service| service.name.as_str() == name)
    }

    /// Whether a caller that proves nothing may call.
    pub const fn allows_anonymous(&self) -> bool {
        self.anonymous
    }

    /// The service that a request is proven to come from; `None` for one that may prove nothing.
    ///
    /// # Errors
    /// [`Reason::CallerUnknown`] where nothing is proven and something must be, or a token is nobody's.
    pub fn identify(&self, presented: &PresentedService<'_>) -> Result<Option<IdentifiedService<'_>>, Denial> {
        if self.services.is_empty() && self.anonymous {
            return Ok(None);
        }
        if let Some(token) = presented_token(presented.headers)? {
            return self.of_token(&token).map(Some);
        }
        if let Some(ServiceProof::Token(digest)) = presented.of_tunnel {
            let known = self.of_digest(digest);
            return known.map(Some).ok_or_else(|| unknown("the token that opened the tunnel is no service's any more"));
        }
        let certificate = presented.certificate.filter(|certificate| certificate.is_in_force(presented.now));
        if let Some((service, certificate)) = certificate.and_then(|own| Some((self.named(own.names())?, own))) {
            return Ok(Some(service.by(certificate.service_proof())));
        }
        let user = presented.uid.and_then(|uid| self.by_user.get(&uid)).and_then(|place| self.services.get(*place));
        match user.and_then(|service| Some(service.by(service.user.as_ref()?))) {
            Some(service) => Ok(Some(service)),
            None if self.anonymous => Ok(None),
            None => Err(unknown("nothing proves which service calls")),
        }
    }

    /// Checks once more what proved that a call is this service's.
    ///
    /// # Errors
    /// [`Reason::CallerUnknown`] where it proves that no longer.
    pub fn recheck(&self, name: &ClientId, proof: &ServiceProof, now: UnixTime) -> Result<(), Denial> {
        let found = match proof {
            ServiceProof::Token(digest) => self.of_digest(digest).map(|service| service.name),
            ServiceProof::Certificate(own) if !own.dates.contains(&now) => {
                return Err(unknown("the certificate of its service is no longer valid"));
            }
            ServiceProof::Certificate(own) => self.named(&own.names).map(|service| &service.name),
            ServiceProof::User(uid) => {
                self.by_user.get(uid).and_then(|place| self.services.get(*place)).map(|service| &service.name)
            }
        };
        let is_same = found.is_some_and(|found| found == name);
        if is_same { Ok(()) } else { Err(unknown("what proved its service is no longer in the config")) }
    }

    /// The service of the first of these names that is one's.
    fn named(&self, names: &[SubjectAltName]) -> Option<&KnownService> {
        self.services.get(*names.iter().find_map(|name| self.by_name.get(name))?)
    }

    fn of_digest(&self, digest: &[u8; 32]) -> Option<IdentifiedService<'_>> {
        let service = self.services.get(*self.by_token.get(digest)?)?;
        Some(service.by(service.token.as_ref()?))
    }

    fn of_token(&self, token: &PresentedToken) -> Result<IdentifiedService<'_>, Denial> {
        let digest: [u8; 32] = Sha256::digest(token.token.as_bytes()).into();
        let service = self.of_digest(&digest).ok_or_else(|| unknown("the token is no service's"))?;
        match &token.name {
            Some(name) if name != service.name.as_str() => Err(unknown("the token is another service's")),
            Some(_) | None => Ok(service),
        }
    }
}

impl KnownService {
    fn new(settings: &ServiceSettings) -> Self {
        Self {
            name: settings.name.clone(),
            token: settings.token_sha256.map(|digest| Arc::new(ServiceProof::Token(digest))),
            user: settings.uid.map(|uid| Arc::new(ServiceProof::User(uid))),
        }
    }

    fn by(&self, proof: &Arc<ServiceProof>) -> IdentifiedService<'_> {
        IdentifiedService { name: &self.name, proof: Arc::clone(proof) }
    }
}

/// A token as a request presents it.
struct PresentedToken {
    /// The name before it, in the Basic form.
    name: Option<String>,
    token: Zeroizing<String>,
}

/// The token in `Proxy-Authorization`, else in the field for calls by base URL. Credentials for the vendor stay where
/// they are.
fn presented_token(headers: &HeaderMap) -> Result<Option<PresentedToken>, Denial> {
    let mut fields = headers.get_all(&PROXY_AUTHORIZATION).iter().map(|value| (true, value));
    let mut own = headers.get_all(&TOKEN_FIELD).iter().map(|value| (false, value));
    let first = fields.next().or_else(|| own.next());
    let Some((is_proxy, value)) = first else { return Ok(None) };
    if fields.next().is_some() || own.next().is_some() {
        return Err(unknown("several tokens are presented"));
    }
    let text = value.to_str().map_err(|_| unknown("the token is not text"))?.trim();
    let read = if is_proxy { credentials(text) } else { Some(PresentedToken { name: None, token: owned(text) }) };
    read.filter(|read| !read.token.is_empty()).map(Some).ok_or_else(|| unknown("Proxy-Authorization cannot be read"))
}

/// Reads `Basic` (RFC 7617, the name of the service and its token) or `Bearer`.
fn credentials(text: &str) -> Option<PresentedToken> {
    let (scheme, rest) = text.split_once(' ')?;
    let rest = rest.trim_start();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(PresentedToken { name: None, token: owned(rest) });
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = Zeroizing::new(STANDARD.decode(rest).ok()?);
    let (name, token) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some(PresentedToken { name: Some(name.to_owned()), token: owned(token) })
}

fn owned(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.to_owned())
}

fn unknown(detail: &'static str) -> Denial {
    Denial::new(Reason::CallerUnknown, detail)
}

#[cfg(test)]
mod tests {
    use ::http::HeaderValue;

    use super::*;

    fn directory(anonymous: bool) -> ServiceDirectory {
        let service = |name: &str| ServiceSettings {
            name: ClientId::new(name),
            uid: None,
            certificate: None,
            token_sha256: None,
        };
        let hash = |token: &str| Some(Sha256::digest(token).into());
        let services = [
            ServiceSettings { uid: Some(1001), token_sha256: hash("of-checkout"), ..service("checkout") },
            ServiceSettings { token_sha256: hash("of:billing"), ..service("billing") },
        ];
        ServiceDirectory::new(&services, anonymous)
    }

    fn who(directory: &ServiceDirectory, fields: &[(&'static str, &str)], uid: Option<u32>) -> Result<String, String> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"));
        }
        let presented = PresentedService {
            headers: &headers,
            certificate: None,
            uid,
            of_tunnel: None,
            now: UnixTime::from_secs(1_790_000_000),
        };
        match directory.identify(&presented) {
            Ok(service) => Ok(service.map_or("-", |service| service.name.as_str()).to_owned()),
            Err(denial) => Err(format!("{}: {}", denial.reason.as_str(), denial.detail)),
        }
    }

    #[test]
    fn a_token_decides_and_a_wrong_one_is_refused_whatever_else_is_proven() {
        let strict = directory(false);
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        for (field, value, expected) in [
            ("proxy-authorization", basic("checkout:of-checkout"), Some("checkout")),
            ("proxy-authorization", basic("billing:of:billing"), Some("billing")),
            ("proxy-authorization", "bEARER  of-checkout".to_owned(), Some("checkout")),
            ("x-vendorgate-caller-token", "of-checkout".to_owned(), Some("checkout")),
            ("proxy-authorization", basic("billing:of-checkout"), None),
            ("proxy-authorization", basic("checkout:"), None),
            ("proxy-authorization", basic("of-checkout"), None),
            ("proxy-authorization", "Basic %%%".to_owned(), None),
            ("proxy-authorization", "Digest x".to_owned(), None),
            ("proxy-authorization", "of-checkout".to_owned(), None),
            ("x-vendorgate-caller-token", String::new(), None),
            ("x-vendorgate-caller-token", "other".to_owned(), None),
        ] {
            let said = who(&strict, &[(field, &value)], Some(1001));
            assert_eq!(said.as_deref().ok(), expected, "{field}: {value}: {said:?}");
        }
        let twice = [("proxy-authorization", "Bearer of-checkout"), ("x-vendorgate-caller-token", "of-checkout")];
        assert_eq!(who(&strict, &twice, None), Err("caller_unknown: several tokens are presented".to_owned()));
        assert!(who(&directory(true), &[("proxy-authorization", "Bearer other")], None).is_err(), "anonymous or not");
    }

    #[test]
    fn a_user_is_known_by_the_socket_and_a_stranger_only_where_it_is_allowed() {
        let (strict, open) = (directory(false), directory(true));
        assert_eq!(who(&strict, &[], Some(1001)).as_deref(), Ok("checkout"));
        let nobody = Err("caller_unknown: nothing proves which service calls".to_owned());
        assert_eq!((who(&strict, &[], Some(0)), who(&strict, &[], None)), (nobody.clone(), nobody));
        assert_eq!((who(&open, &[], Some(1)), who(&open, &[], Some(1001))), (Ok("-".into()), Ok("checkout".into())));
        let none = ServiceDirectory::new(&[], true);
        assert_eq!(who(&none, &[("proxy-authorization", "Basic x")], None).as_deref(), Ok("-"), "nobody is named");
    }
}
