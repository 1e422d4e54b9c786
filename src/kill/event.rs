//! What happened at the switch, for the audit trail, the hooks and the metrics.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::order::{Evidence, Kill, Order, Origin, Reach, Subject, rfc3339};
use crate::model::UnixTime;

/// Hears of every event, on the thread where it happens: it must not wait.
pub type Witness = Arc<dyn Fn(&Event) + Send + Sync>;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// A kill that did not stand before.
    Kill,
    /// The same kill again.
    KillAgain,
    /// Kills were lifted.
    Restore,
    /// One of several people agreed to a restore.
    Approve,
    /// A kill was ordered for later.
    Schedule,
    /// Such an order was taken back.
    Unschedule,
    /// A drill ended.
    Drill,
    /// A hook was told of an event, or given up on.
    Hook,
}

impl Act {
    /// The word for it in the audit trail.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::KillAgain => "kill_again",
            Self::Restore => "restore",
            Self::Approve => "approve",
            Self::Schedule => "schedule",
            Self::Unschedule => "unschedule",
            Self::Drill => "drill",
            Self::Hook => "hook",
        }
    }
}

/// One thing that happened at the switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What.
    pub act: Act,
    /// The vendor, or `*`.
    pub vendor: String,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    #[serde(with = "rfc3339")]
    pub at: UnixTime,
    /// The generation that it made, or belongs to.
    pub generation: u64,
    /// How much of the vendor.
    #[serde(default, skip_serializing_if = "Reach::is_whole")]
    pub reach: Reach,
    /// What made it happen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// The generations of the kills that a restore has lifted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lifted: Vec<u64>,
    /// Requests that it cut.
    #[serde(default)]
    pub severed: u64,
    /// What was seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// Figures of a drill, or the outcome of a hook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<serde_json::Value>,
}

impl Event {
    /// What an order came to: who and why are those of the order, also where the same kill stood already.
    pub(super) fn kill(order: &Order, kill: &Kill, is_new: bool, severed: u64) -> Self {
        Self {
            act: if is_new { Act::Kill } else { Act::KillAgain },
            vendor: order.subject.as_str().to_owned(),
            by: order.by.clone(),
            reason: order.reason.clone(),
            at: order.at.wall,
            generation: kill.generation,
            reach: order.reach.clone(),
            origin: Some(order.origin),
            lifted: Vec::new(),
            severed,
            evidence: order.evidence.iter().cloned().collect(),
            outcome: None,
        }
    }

    /// An event by a person, with nothing severed.
    pub(super) fn of(act: Act, subject: &Subject, by: &str, reason: &str, at: UnixTime, generation: u64) -> Self {
        Self {
            act,
            vendor: subject.as_str().to_owned(),
            by: by.to_owned(),
            reason: reason.to_owned(),
            at,
            generation,
            reach: Reach::default(),
            origin: None,
            lifted: Vec::new(),
            severed: 0,
            evidence: Vec::new(),
            outcome: None,
        }
    }

    /// Whether hooks are told of it: of kills and restores that are meant, not of an exercise.
    pub fn is_for_hooks(&self) -> bool {
        matches!(self.act, Act::Kill | Act::Restore) && self.origin != Some(Origin::Drill)
    }
}
