//! What others ask of what stands: whether a name is known, what is cut off of a vendor, how far the generations are.

use std::sync::Arc;

use super::drill::DrillReport;
use super::order::{Kill, Origin, Reach, Subject};
use super::switch::Switch;
use crate::model::{UnixTime, VendorId};

impl Switch {
    /// Whether a vendor has traffic or history here: a contract in this process, an order that stood or is to come, or
    /// a drill.
    pub fn knows(&self, vendor: &VendorId) -> bool {
        let subject = Subject::Vendor(vendor.clone());
        self.require_known(&self.ledger(), &subject).is_ok()
            || self.scheduled().iter().any(|row| row.vendor == vendor.as_str())
            || DrillReport::last(&self.store, vendor.as_str()).is_some()
    }

    /// The kills that stand against a vendor or against everything, oldest first.
    pub fn standing(&self, subject: &Subject) -> Vec<Arc<Kill>> {
        self.ledger().entry(subject).kills.clone()
    }

    /// Whether a kill stands that covers this and that no drill is about to end.
    pub fn covers(&self, subject: &Subject, reach: &Reach) -> bool {
        self.standing(subject).iter().any(|kill| kill.origin != Origin::Drill && kill.reach.contains(reach))
    }

    /// When the first of the kills was given that a restore of this would lift.
    pub fn since(&self, subject: &Subject, reach: &Reach) -> Option<UnixTime> {
        self.standing(subject).iter().filter(|kill| reach.contains(&kill.reach)).map(|kill| kill.at).min()
    }

    /// The newest generation.
    pub fn generation(&self) -> u64 {
        self.ledger().generation()
    }

    /// Sees to it that no generation up to this one is given out again.
    pub fn pass_generation(&self, generation: u64) {
        self.ledger().pass(generation);
    }
}
