//! What a line records, before it has a position in the chain.

use std::fmt;

use serde_json::Value;

use crate::model::UnixTime;

/// What was done. The list is closed, and its words never change: people search for them years later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditAct {
    /// The gateway started.
    Started,
    /// The gateway stopped in order.
    Stopped,
    /// A vendor, or part of one, or all were killed.
    Kill,
    /// The same kill again.
    KillAgain,
    /// A killed vendor was restored.
    Restore,
    /// One of several people agreed to a restore.
    Approve,
    /// A kill was ordered for later.
    Schedule,
    /// A kill that was ordered for later was cancelled.
    Unschedule,
    /// The kill switch was exercised.
    Drill,
    /// A hook was called for a kill or a restore.
    Hook,
    /// A response was cut while it streamed.
    Cut,
    /// More responses were cut for the same reason; the detail has their count.
    Cuts,
    /// A token, a client or a key was revoked.
    Revoke,
    /// A revocation was lifted.
    Lift,
    /// The config was loaded again, or was refused.
    Reload,
    /// A token was turned back into its value.
    Reveal,
    /// Keys were made or rotated.
    Keys,
    /// An admin call was refused.
    AdminRefused,
    /// More admin calls were refused for the same reason; the detail has their count.
    AdminRefusals,
    /// A request was refused.
    Denied,
    /// More requests were refused for the same reason; the detail has their count.
    Denials,
    /// Lines could not be written; the detail has their count.
    Lost,
    /// The trail goes on after a crash or a break.
    Resumed,
    /// The last line of a file.
    Sealed,
    /// The first line of a file that follows another.
    Continued,
}

impl AuditAct {
    /// The word in the trail.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::Kill => "kill",
            Self::KillAgain => "kill_again",
            Self::Restore => "restore",
            Self::Approve => "approve",
            Self::Schedule => "schedule",
            Self::Unschedule => "unschedule",
            Self::Drill => "drill",
            Self::Hook => "hook",
            Self::Cut => "cut",
            Self::Cuts => "cuts",
            Self::Revoke => "revoke",
            Self::Lift => "lift",
            Self::Reload => "reload",
            Self::Reveal => "reveal",
            Self::Keys => "keys",
            Self::AdminRefused => "admin_refused",
            Self::AdminRefusals => "admin_refusals",
            Self::Denied => "denied",
            Self::Denials => "denials",
            Self::Lost => "lost",
            Self::Resumed => "resumed",
            Self::Sealed => "sealed",
            Self::Continued => "continued",
        }
    }

    /// Whether the line is synced to disk at once. Lines that a stranger can cause may wait up to a second.
    pub(super) const fn is_synced_at_once(self) -> bool {
        !matches!(
            self,
            Self::Denied | Self::Denials | Self::Cut | Self::Cuts | Self::AdminRefused | Self::AdminRefusals
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
    /// A record of what the gateway did with its own trail.
    pub(super) fn gateway(act: AuditAct, detail: Value, at: UnixTime) -> Self {
        Self { at, actor: "vendorgate".to_owned(), act, subject: "audit".to_owned(), reason: String::new(), detail }
    }
}
