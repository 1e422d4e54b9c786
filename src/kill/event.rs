//! What happened at the switch, for the audit trail, the hooks and the metrics.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::order::{Evidence, Kill, KillOrder, KillOrigin, KillSelector, KillTarget};
use crate::audit::AuditAct;
use crate::model::UnixTime;

/// Is called for every event, on the thread where it happens, so it must not wait.
pub type EventListener = Arc<dyn Fn(&KillEvent) + Send + Sync>;

/// One thing that happened at the switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KillEvent {
    /// What happened: one of the acts of the switch.
    pub act: AuditAct,
    /// The vendor, or `*`.
    pub vendor: String,
    /// The operator's name, or the gateway's.
    pub by: String,
    /// The reason, in that person's words.
    pub reason: String,
    /// When it happened.
    pub at: UnixTime,
    /// The generation that it made, or belongs to.
    pub generation: u64,
    /// How much of the vendor.
    #[serde(rename = "reach", default, skip_serializing_if = "KillSelector::is_whole")]
    pub selector: KillSelector,
    /// What made it happen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<KillOrigin>,
    /// The generations of the kills that a restore has lifted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lifted: Vec<u64>,
    /// The gateway of the fleet where it was ordered, where that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<Arc<str>>,
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

impl KillEvent {
    /// The event of an order: operator and reason are those of the order, also where the same kill was in force
    /// already.
    pub(super) fn kill(order: &KillOrder, kill: &Kill, is_new: bool, severed: u64) -> Self {
        let act = if is_new { AuditAct::Kill } else { AuditAct::KillAgain };
        Self {
            selector: order.selector.clone(),
            origin: Some(order.origin),
            gateway: order.gateway.clone(),
            severed,
            evidence: order.evidence.iter().cloned().collect(),
            ..Self::of(act, &order.target, &order.by, &order.reason, order.at.wall, kill.generation)
        }
    }

    /// An event by a person, with nothing severed.
    pub(super) fn of(
        act: AuditAct,
        target: &KillTarget,
        by: &str,
        reason: &str,
        at: UnixTime,
        generation: u64,
    ) -> Self {
        Self {
            act,
            vendor: target.as_str().to_owned(),
            by: by.to_owned(),
            reason: reason.to_owned(),
            at,
            generation,
            selector: KillSelector::default(),
            origin: None,
            lifted: Vec::new(),
            gateway: None,
            severed: 0,
            evidence: Vec::new(),
            outcome: None,
        }
    }

    /// Whether hooks are notified of it: of kills and restores that are meant, not of an exercise, and by the gateway
    /// that the order was given to.
    pub fn is_for_hooks(&self) -> bool {
        self.gateway.is_none()
            && matches!(self.act, AuditAct::Kill | AuditAct::Restore)
            && self.origin != Some(KillOrigin::Drill)
    }
}
