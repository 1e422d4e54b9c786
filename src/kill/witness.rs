//! Who hears of what happens at the switch: the audit trail, and whoever else is listed.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::event::{Act, Event, Witness};
use crate::telemetry::audit::{self, Audit, Entry};

/// Tells each of these, in order.
pub fn tell_all(witnesses: Vec<Witness>) -> Witness {
    Arc::new(move |event| witnesses.iter().for_each(|witness| witness(event)))
}

/// Records events in the audit trail. The trail's own thread writes; the switch does not wait for it.
pub fn tell_audit(audit: Arc<Audit>) -> Witness {
    Arc::new(move |event| drop(audit.record(event.entry())))
}

impl Event {
    /// The event as a line of the audit trail.
    pub fn entry(&self) -> Entry {
        Entry {
            at: self.at,
            actor: self.by.clone(),
            act: self.act.audited(),
            subject: self.vendor.clone(),
            reason: self.reason.clone(),
            detail: self.detail(),
        }
    }

    fn detail(&self) -> Value {
        let mut detail = Map::new();
        if self.generation > 0 {
            detail.insert("generation".to_owned(), json!(self.generation));
        }
        if !self.reach.is_whole() {
            detail.insert("reach".to_owned(), json!(self.reach));
        }
        if let Some(origin) = self.origin {
            detail.insert("origin".to_owned(), json!(origin));
        }
        if !self.lifted.is_empty() {
            detail.insert("lifted".to_owned(), json!(self.lifted));
        }
        if self.severed > 0 {
            detail.insert("severed".to_owned(), json!(self.severed));
        }
        if !self.evidence.is_empty() {
            detail.insert("evidence".to_owned(), json!(self.evidence));
        }
        if let Some(outcome) = &self.outcome {
            detail.insert("outcome".to_owned(), json!(outcome));
        }
        if detail.is_empty() { Value::Null } else { Value::Object(detail) }
    }
}

impl Act {
    const fn audited(self) -> audit::Act {
        match self {
            Self::Kill => audit::Act::Kill,
            Self::KillAgain => audit::Act::KillAgain,
            Self::Restore => audit::Act::Restore,
            Self::Approve => audit::Act::Approve,
            Self::Schedule => audit::Act::Schedule,
            Self::Unschedule => audit::Act::Unschedule,
            Self::Drill => audit::Act::Drill,
            Self::Hook => audit::Act::Hook,
        }
    }
}
