//! Checks what only `listeners.egress` has: who of our own services may call through it, and the authority by which it
//! intercepts them.

use super::files;
use crate::bounds::AUTHORITY_WARNING;
use crate::config::file::egress_listener::{EgressListenerConfig, InterceptionConfig};
use crate::config::settings::EgressSettings;
use crate::config::source::Cursor;
use crate::interception::{InterceptionAuthority, InterceptionSettings};
use crate::model::UnixTime;

/// Checks what is written under `listeners.egress` beside the listener itself.
pub(in crate::config) fn egress(
    at: &Cursor<'_>,
    written: Option<&EgressListenerConfig>,
    now: UnixTime,
) -> EgressSettings {
    let Some(written) = written else { return EgressSettings { anonymous: false, interception: None } };
    let anonymous = written.anonymous.unwrap_or_default();
    if !anonymous {
        at.key("anonymous").fault(
            "is not true, so nobody may call: no service can prove its name yet",
            "write anonymous: true to let everyone call who reaches the address",
        );
    }
    let at = at.key("interception");
    EgressSettings {
        anonymous,
        interception: written.interception.as_ref().map(|written| interception(&at, written, now)),
    }
}

fn interception(at: &Cursor<'_>, written: &InterceptionConfig, now: UnixTime) -> InterceptionSettings {
    let [ca, key] = [&written.ca, &written.key].map(|text| text.as_deref().unwrap_or_default());
    let (ca, key) = files::identity(&at.key("ca"), ca, &at.key("key"), key);
    if let Some(authority) = authority(&ca, &key) {
        check_authority(&at.key("ca"), &authority, now);
    }
    InterceptionSettings { ca, key }
}

/// The authority, where its files can be read; what is wrong with them is reported by [`files::identity`].
fn authority(
    ca: &std::path::Path,
    key: &std::path::Path,
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
