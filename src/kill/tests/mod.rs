//! The switch as a whole: its promises, its races, its model and its crashes.

mod crash;
mod drills;
mod model;
mod promises;
mod race;
mod wiring;

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};

use super::answer::ApprovalProgress;
use super::switch::QueuedEvent;
use super::*;
use crate::audit::AuditAct;
use crate::model::{Clock, VendorId};
use crate::store::Store;

/// A switch in memory, with what it told its listener.
struct Bench {
    switch: Arc<KillSwitch>,
    seen: Arc<Mutex<Vec<KillEvent>>>,
}

impl Bench {
    fn new() -> Self {
        Self::on(Store::in_memory().unwrap())
    }

    fn on(store: Store) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let listener = listener(&seen);
        Self { switch: Arc::new(KillSwitch::load(store, Clock::system(), listener).unwrap()), seen }
    }

    fn gate(&self, name: &str) -> Arc<VendorGate> {
        self.switch.gate(&vendor(name))
    }

    fn order(&self, name: &str, selector: &str) -> KillOrder {
        KillOrder {
            target: target(name),
            selector: serde_json::from_str(selector).unwrap(),
            origin: KillOrigin::Operator,
            by: "alice".to_owned(),
            reason: "breach".to_owned(),
            evidence: None,
            id: None,
            gateway: None,
            at: self.switch.clock.now(),
        }
    }

    async fn kill(&self, name: &str, selector: &str) -> KillReport {
        self.switch.kill(self.order(name, selector)).unwrap().finish().await
    }

    async fn restore(&self, name: &str, selector: &str, by: &str, approvals: u32) -> Result<RestoreReport, KillError> {
        self.switch.restore(self.restore_order(name, selector, by, approvals)).await
    }

    fn restore_order(&self, name: &str, selector: &str, by: &str, approvals: u32) -> RestoreOrder {
        RestoreOrder {
            target: target(name),
            selector: serde_json::from_str(selector).unwrap(),
            by: by.to_owned(),
            reason: "settled".to_owned(),
            approvals: NonZeroU32::new(approvals).unwrap(),
            at: self.switch.clock.now(),
        }
    }

    fn acts(&self) -> Vec<AuditAct> {
        self.seen.lock().unwrap().iter().map(|event| event.act).collect()
    }
}

fn listener(seen: &Arc<Mutex<Vec<KillEvent>>>) -> EventListener {
    let seen = Arc::clone(seen);
    Arc::new(move |event: &KillEvent| seen.lock().unwrap().push(event.clone()))
}

fn vendor(name: &str) -> VendorId {
    VendorId::parse(name).unwrap()
}

fn target(name: &str) -> KillTarget {
    if name == "*" { KillTarget::Everything } else { KillTarget::Vendor(vendor(name)) }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}
