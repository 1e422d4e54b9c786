//! Events of the kill switch as records of the audit trail.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::event::{EventListener, KillEvent};
use crate::audit::{AuditRecord, AuditTrail};

/// Calls each of these listeners, in order.
pub fn notify_all(listeners: Vec<EventListener>) -> EventListener {
    Arc::new(move |event| listeners.iter().for_each(|listener| listener(event)))
}

/// Records events in the audit trail. The trail's own thread writes; the switch does not wait for it.
pub fn audit_listener(audit: Arc<AuditTrail>) -> EventListener {
    Arc::new(move |event| drop(audit.record(event.audit_entry())))
}

impl KillEvent {
    /// The event as a record of the audit trail.
    pub fn audit_entry(&self) -> AuditRecord {
        AuditRecord::new(self.at, &self.by, self.act, &self.vendor, &self.reason, self.detail())
    }

    fn detail(&self) -> Value {
        let mut detail = Map::new();
        if self.generation > 0 {
            detail.insert("generation".to_owned(), json!(self.generation));
        }
        if !self.selector.is_whole() {
            detail.insert("reach".to_owned(), json!(self.selector));
        }
        if let Some(origin) = self.origin {
            detail.insert("origin".to_owned(), json!(origin));
        }
        if !self.lifted.is_empty() {
            detail.insert("lifted".to_owned(), json!(self.lifted));
        }
        if let Some(gateway) = &self.gateway {
            detail.insert("gateway".to_owned(), json!(gateway));
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
