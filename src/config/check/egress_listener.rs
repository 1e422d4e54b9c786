//! Checks what only `listeners.egress` has: who of our own services may call through it.

use crate::config::file::egress_listener::EgressListenerConfig;
use crate::config::settings::EgressSettings;
use crate::config::source::Cursor;

/// Checks what is written under `listeners.egress` beside the listener itself.
pub(in crate::config) fn egress(at: &Cursor<'_>, written: Option<&EgressListenerConfig>) -> EgressSettings {
    let Some(written) = written else { return EgressSettings { anonymous: false } };
    let anonymous = written.anonymous.unwrap_or_default();
    if !anonymous {
        at.key("anonymous").fault(
            "is not true, so nobody may call: no service can prove its name yet",
            "write anonymous: true to let everyone call who reaches the address",
        );
    }
    EgressSettings { anonymous }
}
