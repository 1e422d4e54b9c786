//! Authentication of operators, and the refusal of requests that a web page of another site made a browser send.
//!
//! A browser on an operator's machine can reach a loopback port for any page that it shows. Such a page cannot send
//! JSON, an operator's token or our `Host` without help, so each of these is demanded.

use std::net::IpAddr;

use http::header::{self, HeaderMap, HeaderName};
use http::request::Parts;
use sha2::{Digest, Sha256};

use super::control::{Actor, AdminPeer};
use super::operators::OperatorDirectory;
use super::problem::AdminError;
use super::sessions::{self, SESSION_KEY, SessionId, SessionOwner, SessionStore};
use crate::config::{Operator, OperatorRole};
use crate::http::{bare_host, is_loopback, is_loopback_address};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// Which `Host` values are taken for this listener: a page whose name was pointed at our address has another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedHosts {
    /// An IP address, `localhost`, or one of these names: right for a listener on loopback.
    Listed(Vec<String>),
    /// Any: right for a listener that the network reaches by names we cannot know.
    Any,
}

impl AllowedHosts {
    /// The rule for a listener on this address that lists no names.
    pub fn for_bind(address: IpAddr) -> Self {
        if is_loopback_address(address) { Self::Listed(Vec::new()) } else { Self::Any }
    }

    fn permit(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(names) => {
                let name = without_port(host);
                bare_host(name).parse::<IpAddr>().is_ok()
                    || is_loopback(name)
                    || names.iter().any(|listed| listed.eq_ignore_ascii_case(name))
            }
        }
    }
}

/// By what the caller proved to be the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallProof {
    /// The right to open the Unix socket.
    Socket,
    /// The token with this SHA-256.
    Token([u8; 32]),
    /// A session of the dashboard.
    Session(SessionId),
}

/// Who may call, and who has logged in.
#[derive(Debug, Clone, Copy)]
pub(super) struct KnownCallers<'a> {
    pub(super) operators: &'a OperatorDirectory,
    pub(super) sessions: &'a SessionStore,
    pub(super) now_ns: u64,
}

/// Whether a browser opens a page because a person followed a link to it, from wherever: a runbook, an alert. What is
/// opened so may hold nothing that is not for everyone.
pub(super) fn is_navigation(headers: &HeaderMap) -> bool {
    matches!(single_value(headers, &SEC_FETCH_MODE), Ok(Some("navigate")))
}

/// Refuses a name that is not ours: a page whose name was pointed at our address has another.
pub(super) fn check_host(head: &Parts, hosts: &AllowedHosts) -> Result<(), AdminError> {
    let host = single_value(&head.headers, &header::HOST).map_err(|_| AdminError::HostUnknown)?;
    // Every browser names a host; health checks of old load balancers do not.
    if host.is_some_and(|host| !hosts.permit(host)) { Err(AdminError::HostUnknown) } else { Ok(()) }
}

/// Refuses what a page of another site, or one with a borrowed name, made a browser send.
pub(super) fn check_origin(head: &Parts, hosts: &AllowedHosts) -> Result<(), AdminError> {
    check_host(head, hosts)?;
    let host = single_value(&head.headers, &header::HOST).map_err(|_| AdminError::HostUnknown)?;
    if let Some(site) = single_value(&head.headers, &SEC_FETCH_SITE).map_err(|_| AdminError::CrossSite)?
        && !matches!(site, "same-origin" | "none")
    {
        return Err(AdminError::CrossSite);
    }
    match single_value(&head.headers, &header::ORIGIN).map_err(|_| AdminError::CrossSite)? {
        None => Ok(()),
        Some(origin) => {
            let ours = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
            if ours.is_some() && ours == host { Ok(()) } else { Err(AdminError::CrossSite) }
        }
    }
}

/// Who makes the call, when their role permits it; else why not, and their name where it is known.
pub(super) fn authorize(
    headers: &HeaderMap,
    peer: AdminPeer,
    needs: OperatorRole,
    known: KnownCallers<'_>,
) -> Result<(Actor, CallProof), (AdminError, Option<String>)> {
    let (actor, proof) = identify(headers, peer, known).map_err(|no| (no, None))?;
    if actor.role.permits(needs) {
        Ok((actor, proof))
    } else {
        Err((AdminError::RoleTooLow { has: actor.role, needs }, Some(actor.name)))
    }
}

fn identify(headers: &HeaderMap, peer: AdminPeer, known: KnownCallers<'_>) -> Result<(Actor, CallProof), AdminError> {
    let named = |operator: &Operator| Actor { name: operator.name.clone(), role: operator.role, peer };
    let credentials = single_value(headers, &header::AUTHORIZATION).map_err(|_| AdminError::TokenMalformed)?;
    let Some(credentials) = credentials else {
        if let AdminPeer::Local { .. } = peer {
            let user = Actor { name: peer.to_string(), role: OperatorRole::Admin, peer };
            return Ok((user, CallProof::Socket));
        }
        let (session, operator) = session_of(headers, known)?;
        return Ok((named(operator), CallProof::Session(session)));
    };
    let (scheme, token) = credentials.split_once(' ').ok_or(AdminError::TokenMalformed)?;
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || token.contains(' ') {
        return Err(AdminError::TokenMalformed);
    }
    let operator = known.operators.find(token).ok_or(AdminError::TokenWrong)?;
    Ok((named(operator), CallProof::Token(Sha256::digest(token.as_bytes()).into())))
}

/// The session whose key and cookie are sent, and its operator, who must still be one.
fn session_of<'a>(headers: &HeaderMap, known: KnownCallers<'a>) -> Result<(SessionId, &'a Operator), AdminError> {
    let key = single_value(headers, &SESSION_KEY).map_err(|_| AdminError::SessionEnded)?;
    let key = key.ok_or(AdminError::TokenMissing)?;
    let cookie = sessions::cookie(headers).ok_or(AdminError::SessionEnded)?;
    let (session, owner) = known.sessions.find(cookie, key, known.now_ns).ok_or(AdminError::SessionEnded)?;
    let SessionOwner::Token(token_sha256) = owner;
    let operator = known.operators.holder(&token_sha256).ok_or(AdminError::SessionEnded)?;
    Ok((session, operator))
}

/// Whether the body is said to be JSON.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let Ok(Some(media)) = single_value(headers, &header::CONTENT_TYPE) else { return false };
    let essence = media.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

/// More than one value, or one that is not text.
struct AmbiguousHeader;

fn single_value<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, AmbiguousHeader> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| AmbiguousHeader),
        (Some(_), Some(_)) => Err(AmbiguousHeader),
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(headers: &[(&str, &str)]) -> Parts {
        let request =
            headers.iter().fold(http::Request::builder(), |builder, (name, value)| builder.header(*name, *value));
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        let strict = AllowedHosts::Listed(vec!["gate.example".into()]);
        let ok: Result<(), AdminError> = Ok(());
        for (headers, expected) in [
            (&[("host", "127.0.0.1:9901")][..], ok.clone()),
            (&[("host", "[::1]:9901")], ok.clone()),
            (&[("host", "LOCALHOST")], ok.clone()),
            (&[("host", "gate.example:9901")], ok.clone()),
            (&[("host", "evil.example:9901")], Err(AdminError::HostUnknown)),
            (&[("host", "localhost.evil.example")], Err(AdminError::HostUnknown)),
            (&[("host", "127.0.0.1.evil.example")], Err(AdminError::HostUnknown)),
            (&[("host", "localhost"), ("host", "localhost")], Err(AdminError::HostUnknown)),
            (&[], ok.clone()),
            (&[("origin", "http://localhost")], Err(AdminError::CrossSite)),
            (&[("origin", "null")], Err(AdminError::CrossSite)),
            (&[("host", "localhost:1"), ("origin", "http://localhost:1")], ok.clone()),
            (&[("host", "localhost:1"), ("origin", "http://localhost:2")], Err(AdminError::CrossSite)),
            (&[("host", "localhost:1"), ("origin", "null")], Err(AdminError::CrossSite)),
            (&[("host", "localhost:1"), ("origin", "http://evil.example")], Err(AdminError::CrossSite)),
            (&[("host", "localhost"), ("sec-fetch-site", "same-origin")], ok.clone()),
            (&[("host", "localhost"), ("sec-fetch-site", "none")], ok),
            (&[("host", "localhost"), ("sec-fetch-site", "same-site")], Err(AdminError::CrossSite)),
            (&[("host", "localhost"), ("sec-fetch-site", "cross-site")], Err(AdminError::CrossSite)),
        ] {
            assert_eq!(check_origin(&head(headers), &strict), expected, "{headers:?}");
        }
        assert_eq!(check_origin(&head(&[("host", "gateway.svc:9901")]), &AllowedHosts::Any), Ok(()));
        assert_eq!(AllowedHosts::for_bind([127, 0, 0, 1].into()), AllowedHosts::Listed(Vec::new()));
        assert_eq!(AllowedHosts::for_bind([0, 0, 0, 0].into()), AllowedHosts::Any);
    }

    #[test]
    fn only_the_content_type_of_json_counts_as_json() {
        for (value, json) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("text/plain", false),
            ("application/x-www-form-urlencoded", false),
            ("application/jsonp", false),
            ("text/plain; application/json", false),
        ] {
            assert_eq!(is_json(&head(&[("content-type", value)]).headers), json, "{value}");
        }
        assert!(!is_json(&head(&[]).headers));
    }
}
