//! Checks what only `listeners.egress` has: who of our own services may call through it, and the authority by which it
//! intercepts them.

use std::path::PathBuf;

use super::callers::callers;
use super::files;
use super::undeclared::undeclared;
use crate::bounds::AUTHORITY_WARNING;
use crate::config::file::MainConfig;
use crate::config::file::egress_listener::{EgressListenerConfig, InterceptionConfig, UNIX};
use crate::config::settings::{EgressSettings, ListenerSettings};
use crate::config::source::Cursor;
use crate::interception::{InterceptionAuthority, InterceptionSettings};
use crate::model::UnixTime;

/// The longest path of a socket: what Linux takes, with its end.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Checks what is written under `listeners.egress` beside the listener itself, and the main file's `callers:`.
pub(in crate::config) fn egress(
    root: &Cursor<'_>,
    written: &MainConfig,
    listener: Option<&ListenerSettings>,
    now: UnixTime,
) -> EgressSettings {
    let at = root.key("listeners").key("egress");
    let callers_at = root.key("callers");
    let own = written.listeners.as_ref().and_then(|listeners| listeners.egress.as_ref());
    let mut settings = EgressSettings {
        anonymous: own.and_then(|own| own.anonymous).unwrap_or_default(),
        callers: Vec::new(),
        socket: own.and_then(|own| socket(&at.key("bind"), own.bind.as_deref()?)),
        interception: own.and_then(|own| Some(interception(&at.key("interception"), own.interception.as_ref()?, now))),
        undeclared: own.and_then(|own| undeclared(&at, own, written.residency.is_some(), now)),
    };
    if let Some(own) = own.filter(|own| own.transparent == Some(true)) {
        check_transparent(&at.key("transparent"), own, settings.socket.is_some());
    }
    settings.callers = callers(&callers_at, written.callers.as_ref(), listener, &settings);
    if own.is_some() && !settings.anonymous && settings.callers.is_empty() && !callers_at.is_suppressed() {
        at.key("anonymous").fault(
            "is not true, and callers: names no service, so nobody may call",
            "name our services under callers:, or write anonymous: true to let everyone call who reaches the address",
        );
    }
    if own.is_none() && written.callers.is_some() {
        callers_at.warning("has no effect: the main file has no listeners.egress", "take it out, or add the listener");
    }
    settings
}

/// Refuses what cannot be where connections are redirected by the kernel.
fn check_transparent(at: &Cursor<'_>, own: &EgressListenerConfig, has_socket: bool) {
    if !cfg!(target_os = "linux") {
        at.fault("needs Linux, whose kernel says where a redirected connection was going", "take it out");
    }
    if has_socket {
        at.fault("needs an address: no connection is redirected to a Unix socket", "write bind: \"127.0.0.1:8081\"");
    }
    if own.tls.is_some() {
        let wrong = "cannot have tls: what is redirected brings the caller's own TLS, or none";
        at.fault(wrong, "take tls out of listeners.egress");
    }
}

/// The path of `unix:/path`.
fn socket(at: &Cursor<'_>, bind: &str) -> Option<PathBuf> {
    let path = PathBuf::from(bind.strip_prefix(UNIX)?);
    if !path.is_absolute() || path.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
        at.invalid(
            format!("must be unix: and an absolute path of at most {SOCKET_PATH_BYTES_MAX} bytes"),
            "\"unix:/run/vendorgate/egress.sock\"",
        );
    }
    Some(path)
}

fn interception(at: &Cursor<'_>, written: &InterceptionConfig, now: UnixTime) -> InterceptionSettings {
    let [ca, key] = [&written.ca, &written.key].map(|text| text.as_deref().unwrap_or_default());
    let (ca, key) = files::identity(&at.key("ca"), ca, &at.key("key"), key);
    let files = InterceptionSettings { ca, key };
    if let Some(authority) = authority(&files) {
        check_authority(&at.key("ca"), &authority, now);
    }
    files
}

/// The authority, where its files can be read; what is wrong with them is reported by [`files::identity`].
pub(super) fn authority(
    InterceptionSettings { ca, key }: &InterceptionSettings,
) -> Option<Result<InterceptionAuthority, crate::interception::InterceptionError>> {
    let [ca, key] = [ca, key].map(|path| std::fs::read(path).ok().map(zeroize::Zeroizing::new));
    let (ca, key) = (ca?, key?);
    crate::http::pem::check_identity(
        crate::http::pem::certificate_chain(&ca).ok()?,
        crate::http::pem::private_key(&key).ok()?,
    )
    .ok()?;
    Some(InterceptionAuthority::read(&ca, &key))
}

fn check_authority(
    at: &Cursor<'_>,
    authority: &Result<InterceptionAuthority, crate::interception::InterceptionError>,
    now: UnixTime,
) {
    const ANEW: &str = "make one with `vendorgate ca generate`, and give its certificate to every service";
    match authority {
        Err(error) => at.fault(error.to_string(), ANEW),
        Ok(authority) if !authority.is_in_force(now) => at.fault("is not valid at this time", ANEW),
        Ok(authority) => {
            let left = authority.not_after().since(now);
            if left < AUTHORITY_WARNING {
                at.warning(format!("ends in {} days", left.as_secs() / 86_400), ANEW);
            }
            if !authority.is_limited() {
                let wrong =
                    "may sign for every host there is: who has its key can impersonate any site to our services";
                at.warning(wrong, ANEW);
            }
        }
    }
}
