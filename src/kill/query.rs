//! What others ask of what stands: whether a name is known, what is cut off of a vendor, how far the generations are.

use std::sync::Arc;

use super::drill::DrillRecord;
use super::order::{Kill, KillOrigin, KillSelector, KillTarget};
use super::switch::KillSwitch;
use crate::model::{UnixTime, VendorId};

impl KillSwitch {
    /// Whether a vendor has traffic or history here: a contract in this process, an order that stood or is to come, or
    /// a drill.
    pub fn knows(&self, vendor: &VendorId) -> bool {
        let subject = KillTarget::Vendor(vendor.clone());
        self.require_known(&self.table(), &subject).is_ok()
            || self.scheduled().iter().any(|row| row.vendor == vendor.as_str())
            || DrillRecord::last(&self.store, vendor.as_str()).is_some()
    }

    /// The kills that stand against a vendor or against everything, oldest first.
    pub fn active_kills(&self, subject: &KillTarget) -> Vec<Arc<Kill>> {
        self.table().entry(subject).kills.clone()
    }

    /// Whether a kill stands that covers this and that no drill is about to end.
    pub fn covers(&self, subject: &KillTarget, reach: &KillSelector) -> bool {
        self.active_kills(subject).iter().any(|kill| kill.origin != KillOrigin::Drill && kill.reach.contains(reach))
    }

    /// When the first of the kills was given that a restore of this would lift.
    pub fn killed_since(&self, subject: &KillTarget, reach: &KillSelector) -> Option<UnixTime> {
        self.active_kills(subject).iter().filter(|kill| reach.contains(&kill.reach)).map(|kill| kill.at).min()
    }

    /// The newest generation.
    pub fn generation(&self) -> u64 {
        self.table().generation()
    }

    /// Sees to it that no generation up to this one is given out again.
    pub fn raise_generation(&self, generation: u64) {
        self.table().raise_generation(generation);
    }
}
