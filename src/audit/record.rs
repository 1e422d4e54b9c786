//! What a line records, before it has a position in the chain.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{UnixTime, words};

words! {
    /// What was done. The list is closed, and its words never change: people search for them years later.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum AuditAct {
        /// The gateway started.
        Started = "started",
        /// The gateway stopped in order.
        Stopped = "stopped",
        /// A vendor, or part of one, or all were killed.
        Kill = "kill",
        /// The same kill again.
        KillAgain = "kill_again",
        /// A killed vendor was restored.
        Restore = "restore",
        /// One of several people agreed to a restore.
        Approve = "approve",
        /// A kill was ordered for later.
        Schedule = "schedule",
        /// A kill that was ordered for later was cancelled.
        Unschedule = "unschedule",
        /// The kill switch was exercised.
        Drill = "drill",
        /// A hook was called for a kill or a restore.
        Hook = "hook",
        /// A response was cut while it streamed.
        Cut = "cut",
        /// More responses were cut for the same reason; the detail has their count.
        Cuts = "cuts",
        /// A token, a client or a key was revoked.
        Revoke = "revoke",
        /// A revocation was lifted.
        Lift = "lift",
        /// An operator opened a session of the dashboard.
        Login = "login",
        /// An operator ended a session of the dashboard.
        Logout = "logout",
        /// The config was loaded again, or was refused.
        Reload = "reload",
        /// A token was turned back into its value.
        Reveal = "reveal",
        /// Keys were made or rotated.
        Keys = "keys",
        /// An admin call was refused.
        AdminRefused = "admin_refused",
        /// More admin calls were refused for the same reason; the detail has their count.
        AdminRefusals = "admin_refusals",
        /// A request was refused.
        Denied = "denied",
        /// More requests were refused for the same reason; the detail has their count.
        Denials = "denials",
        /// A request passed that the contract would have refused if it did not only observe.
        WouldDeny = "would_deny",
        /// More such requests passed for the same reason; the detail has their count.
        WouldDenials = "would_denials",
        /// Lines could not be written; the detail has their count.
        Lost = "lost",
        /// The trail goes on after a crash or a break.
        Resumed = "resumed",
        /// The last line of a file.
        Sealed = "sealed",
        /// The first line of a file that follows another.
        Continued = "continued",
    }
}

impl AuditAct {
    /// Whether the line is synced to disk at once. Lines that a stranger can cause may wait up to a second.
    pub(super) const fn is_synced_at_once(self) -> bool {
        !matches!(
            self,
            Self::Denied
                | Self::Denials
                | Self::WouldDeny
                | Self::WouldDenials
                | Self::Cut
                | Self::Cuts
                | Self::AdminRefused
                | Self::AdminRefusals
        )
    }
}

impl fmt::Display for AuditAct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that was done. Texts over [`AUDIT_TEXT_BYTES_MAX`](crate::bounds::AUDIT_TEXT_BYTES_MAX) are cut when it is
/// written.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditRecord {
    /// When it was done.
    pub at: UnixTime,
    /// The operator's name, the vendor's client, or the gateway itself.
    pub actor: String,
    /// What was done.
    pub act: AuditAct,
    /// What it was done to: a vendor, a token's fingerprint, a file.
    pub subject: String,
    /// Why: a person's words, or a stable reason.
    pub reason: String,
    /// Figures and names, as a JSON object; `Null` for none. Never a secret or a personal value.
    pub detail: Value,
}

impl AuditRecord {
    /// A record of what `actor` did to `subject`.
    pub fn new(at: UnixTime, actor: &str, act: AuditAct, subject: &str, reason: &str, detail: Value) -> Self {
        let [actor, subject, reason] = [actor, subject, reason].map(str::to_owned);
        Self { at, actor, act, subject, reason, detail }
    }

    /// A record of what the gateway did with its own trail.
    pub(super) fn gateway(act: AuditAct, detail: Value, at: UnixTime) -> Self {
        Self::new(at, "vendorgate", act, "audit", "", detail)
    }
}
