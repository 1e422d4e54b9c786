//! The sessions of the dashboard, in memory: each belongs to an operator, is short, and can be ended.
//!
//! A session has two secrets. The cookie is out of reach of scripts, and a browser sends it to every port of our host;
//! the key is kept by the page, which belongs to one port, and no browser sends it by itself. Neither is of use without
//! the other, so another site, or another program on the same host, can use neither. Only hashes of both are kept here.
//! Never holds a role: who the operator is and what they may do is looked up again at each call.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{self, HeaderMap, HeaderName};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::bounds::{SESSION_AGE_MAX, SESSION_IDLE_MAX, SESSIONS_EACH_MAX, SESSIONS_MAX};
use crate::model::{Lock as _, Secret, UnixTime};

/// The header field with the key of a session.
pub(super) const SESSION_KEY: HeaderName = HeaderName::from_static("x-vendorgate-session");

/// The SHA-256 of a cookie, which names the session here.
pub(super) type SessionId = [u8; 32];

/// All sessions of a gateway.
#[derive(Debug, Default)]
pub(super) struct SessionStore(Mutex<HashMap<SessionId, Session>>);

/// Whose session it is, and until when.
#[derive(Debug)]
struct Session {
    owner: SessionOwner,
    key_sha256: [u8; 32],
    began_ns: u64,
    used_ns: u64,
}

/// By what an operator proved to be the one: a session lasts no longer than this is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionOwner {
    /// The token with this SHA-256.
    Token([u8; 32]),
}

/// The secrets of a new session, which only its page gets.
#[derive(Debug)]
pub(super) struct SessionSecrets {
    pub(super) cookie: Secret<String>,
    pub(super) key: Secret<String>,
}

impl SessionStore {
    /// Opens a session. Where an operator has too many, or all have, the one that was used least lately ends.
    pub(super) fn open(
        &self,
        owner: SessionOwner,
        now_ns: u64,
    ) -> Result<SessionSecrets, aws_lc_rs::error::Unspecified> {
        let secrets = SessionSecrets { cookie: random_text()?, key: random_text()? };
        let session = Session { owner, key_sha256: sha256(secrets.key.expose()), began_ns: now_ns, used_ns: now_ns };
        let mut all = self.0.locked();
        all.retain(|_, session| session.lasts(now_ns));
        while all.values().filter(|session| session.owner == owner).count() >= SESSIONS_EACH_MAX {
            remove_least_used(&mut all, |session| session.owner == owner);
        }
        while all.len() >= SESSIONS_MAX {
            remove_least_used(&mut all, |_| true);
        }
        all.insert(sha256(secrets.cookie.expose()), session);
        Ok(secrets)
    }

    /// The session of a cookie and a key, where both are right and it has not ended. It is used by this.
    pub(super) fn find(&self, cookie: &str, key: &str, now_ns: u64) -> Option<(SessionId, SessionOwner)> {
        let id = sha256(cookie);
        let mut all = self.0.locked();
        let session = all.get_mut(&id).filter(|session| session.lasts(now_ns))?;
        if !bool::from(session.key_sha256.ct_eq(&sha256(key))) {
            return None;
        }
        session.used_ns = now_ns;
        Some((id, session.owner))
    }

    /// Ends a session.
    pub(super) fn end(&self, id: &SessionId) {
        self.0.locked().remove(id);
    }

    /// When a session ends at the latest.
    pub(super) fn ends_at(&self, id: &SessionId, now_ns: u64, wall: UnixTime) -> Option<UnixTime> {
        let all = self.0.locked();
        let age = Duration::from_nanos(now_ns.saturating_sub(all.get(id)?.began_ns));
        Some(wall.plus(SESSION_AGE_MAX.saturating_sub(age)))
    }
}

impl Session {
    fn lasts(&self, now_ns: u64) -> bool {
        let since = |then_ns: u64| Duration::from_nanos(now_ns.saturating_sub(then_ns));
        since(self.began_ns) < SESSION_AGE_MAX && since(self.used_ns) < SESSION_IDLE_MAX
    }
}

fn remove_least_used(all: &mut HashMap<SessionId, Session>, which: impl Fn(&Session) -> bool) {
    let oldest = all.iter().filter(|(_, session)| which(session)).min_by_key(|(_, session)| session.used_ns);
    if let Some(id) = oldest.map(|(id, _)| *id) {
        all.remove(&id);
    }
}

fn sha256(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// 256 random bits.
fn random_text() -> Result<Secret<String>, aws_lc_rs::error::Unspecified> {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    aws_lc_rs::rand::fill(bytes.as_mut())?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(*bytes)))
}

/// The name of the cookie. It holds the port that the browser knows us by: cookies are shared by all ports of a host,
/// and two gateways on one machine must not overwrite each other's.
fn cookie_name(headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let port =
        host.rsplit_once(':').map(|(_, port)| port).filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    format!("vendorgate-{}", port.filter(|port| !port.is_empty()).unwrap_or("session"))
}

/// Whether the browser says that its page came over TLS, ours or that of a proxy in front.
fn is_secure(headers: &HeaderMap) -> bool {
    headers.get(header::ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https://"))
}

/// The `Set-Cookie` of a session; without a value, the one that ends it.
pub(super) fn set_cookie(headers: &HeaderMap, value: Option<&Secret<String>>) -> String {
    let (prefix, secure) = if is_secure(headers) { ("__Host-", "; Secure") } else { ("", "") };
    let age = value.map_or(0, |_| SESSION_AGE_MAX.as_secs());
    let (name, value) = (cookie_name(headers), value.map_or("", |value| value.expose()));
    format!("{prefix}{name}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}")
}

/// The value of our cookie in a request.
pub(super) fn cookie(headers: &HeaderMap) -> Option<&str> {
    let name = cookie_name(headers);
    let pairs =
        headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|it| it.split(';'));
    pairs.filter_map(|pair| pair.trim().split_once('=')).find_map(|(found, value)| {
        let found = found.strip_prefix("__Host-").unwrap_or(found);
        (found == name).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_NS: u64 = 3_600_000_000_000;

    fn owner(number: u8) -> SessionOwner {
        SessionOwner::Token([number; 32])
    }

    #[test]
    fn a_session_needs_both_secrets_and_ends_by_age_idleness_and_order() {
        let store = SessionStore::default();
        let [one, other] = [1, 2].map(|number| store.open(owner(number), 0).unwrap());
        let found = |cookie: &Secret<String>, key: &Secret<String>, now| {
            store.find(cookie.expose(), key.expose(), now).map(|(_, owner)| owner)
        };
        assert_eq!(found(&one.cookie, &one.key, 1), Some(owner(1)));
        assert_eq!(found(&one.cookie, &other.key, 1), None);
        assert_eq!(found(&one.key, &one.cookie, 1), None);
        assert_eq!(found(&other.cookie, &other.key, HOUR_NS), None, "idle for an hour");
        for minutes in 0..32 {
            let now = minutes * HOUR_NS / 4;
            assert_eq!(found(&one.cookie, &one.key, now), Some(owner(1)), "{minutes}");
        }
        assert_eq!(found(&one.cookie, &one.key, 8 * HOUR_NS), None, "busy for eight hours");
        let last = store.open(owner(3), 0).unwrap();
        let (id, _) = store.find(last.cookie.expose(), last.key.expose(), 1).unwrap();
        assert!(store.ends_at(&id, 1, UnixTime::from_secs(0)).unwrap() > UnixTime::from_secs(8 * 3600 - 1));
        store.end(&id);
        assert_eq!(found(&last.cookie, &last.key, 1), None);
    }

    #[test]
    fn one_more_session_ends_the_one_that_was_used_least_lately() {
        let store = SessionStore::default();
        let mine: Vec<_> = (0..SESSIONS_EACH_MAX as u64).map(|now| store.open(owner(1), now).unwrap()).collect();
        let theirs = store.open(owner(2), 0).unwrap();
        let is_there = |one: &SessionSecrets| store.find(one.cookie.expose(), one.key.expose(), 100).is_some();
        assert!(is_there(&mine[0]), "it is used by this");
        let next = store.open(owner(1), 101).unwrap();
        assert!(is_there(&mine[0]) && !is_there(&mine[1]) && is_there(&theirs) && is_there(&next));
    }

    #[test]
    fn a_cookie_belongs_to_the_port_and_is_secure_where_the_page_is() {
        let headers = |list: &[(&'static str, &'static str)]| {
            let pair = |(name, value): &(&'static str, &'static str)| {
                (HeaderName::from_static(name), http::HeaderValue::from_static(value))
            };
            list.iter().map(pair).collect::<HeaderMap>()
        };
        let value = Secret::new("v".to_owned());
        for (list, expected) in [
            (&[("host", "localhost:9901")][..], "vendorgate-9901=v; Path=/; Max-Age=28800; HttpOnly; SameSite=Strict"),
            (
                &[("host", "gate.example"), ("origin", "https://gate.example")],
                "__Host-vendorgate-session=v; Path=/; Max-Age=28800; HttpOnly; SameSite=Strict; Secure",
            ),
            (&[("host", "[::1]")], "vendorgate-session=v; Path=/; Max-Age=28800; HttpOnly; SameSite=Strict"),
        ] {
            assert_eq!(set_cookie(&headers(list), Some(&value)), expected);
        }
        assert!(set_cookie(&headers(&[]), None).contains("=; Path=/; Max-Age=0; "));
        for (cookies, expected) in [
            ("vendorgate-1=a; vendorgate-9901=b; x=c", Some("b")),
            ("__Host-vendorgate-9901=b", Some("b")),
            ("vendorgate-990=b; xvendorgate-9901=c", None),
        ] {
            let pair = [("host", "localhost:9901"), ("cookie", cookies)];
            assert_eq!(cookie(&headers(&pair)), expected, "{cookies}");
        }
        assert!(!format!("{:?}", SessionStore::default().open(owner(1), 0).unwrap()).contains("key: \""));
    }
}
