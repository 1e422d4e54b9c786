//! Questions about the state of the switch: what is known, what is killed, since when, and the status of each vendor.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::answer::KillState;
use super::drill::DrillRecord;
use super::gate::VendorGate;
use super::order::{Kill, KillOrigin, KillSelector, KillTarget};
use super::switch::{KillSwitch, state};
use super::table::{KillTable, RestoreApproval};
use crate::model::{UnixTime, VendorId};

/// The kills, approvals and last drill of one vendor.
#[derive(Debug, Clone)]
pub struct VendorKillStatus {
    /// The vendor's id.
    pub vendor: String,
    /// How much of it is killed.
    pub state: KillState,
    /// Its kills in force.
    pub kills: Vec<Kill>,
    /// Who has agreed to restore it, while more must.
    pub approvals: Vec<RestoreApproval>,
    /// Requests severed since the process started.
    pub severed_total: u64,
    /// False while a change of its state is not on disk.
    pub persisted: bool,
    /// Its last drill.
    pub last_drill: Option<DrillRecord>,
}

impl KillSwitch {
    /// Whether a vendor has traffic or history here: a contract in this process, a kill that was in force or is to
    /// come, or a drill.
    pub fn knows(&self, vendor: &VendorId) -> bool {
        let target = KillTarget::Vendor(vendor.clone());
        self.require_known(&self.table(), &target).is_ok()
            || self.scheduled().iter().any(|row| row.vendor == vendor.as_str())
            || DrillRecord::last(&self.store, vendor.as_str()).is_some()
    }

    /// The kills in force against a vendor or against everything, oldest first.
    pub fn active_kills(&self, target: &KillTarget) -> Vec<Arc<Kill>> {
        self.table().entry(target).kills.clone()
    }

    /// Whether a kill is in force that covers this and that no drill is about to end.
    pub fn covers(&self, target: &KillTarget, selector: &KillSelector) -> bool {
        self.active_kills(target)
            .iter()
            .any(|kill| kill.origin != KillOrigin::Drill && kill.selector.contains(selector))
    }

    /// When the first of the kills was given that a restore of this would lift.
    pub fn killed_since(&self, target: &KillTarget, selector: &KillSelector) -> Option<UnixTime> {
        self.active_kills(target).iter().filter(|kill| selector.contains(&kill.selector)).map(|kill| kill.at).min()
    }

    /// The newest generation.
    pub fn generation(&self) -> u64 {
        self.table().generation()
    }

    /// Ensures that no generation up to this one is given out again.
    pub fn raise_generation(&self, generation: u64) {
        self.table().raise_generation(generation);
    }

    /// The status of every vendor, by name: those with a contract in this process, and those that were ever killed.
    pub fn status(&self) -> Vec<VendorKillStatus> {
        let mut all = self.status_without_drills();
        // The store is read when no lock is held that a kill needs.
        for status in &mut all {
            status.last_drill = DrillRecord::last(&self.store, &status.vendor);
        }
        all
    }

    /// The status of one vendor; `None` where it has no contract in this process and was never killed.
    pub fn vendor_status(&self, vendor: &VendorId) -> Option<VendorKillStatus> {
        let gate = self.gates.get(vendor).map(|gate| Arc::clone(&gate));
        let status = {
            let table = self.table();
            let is_known = gate.is_some() || table.vendors().any(|known| known == vendor);
            is_known.then(|| self.status_of(&table, gate.as_ref(), vendor))?
        };
        Some(VendorKillStatus { last_drill: DrillRecord::last(&self.store, vendor.as_str()), ..status })
    }

    /// Whether everything is killed because state could not be read, and no person has restored it yet: not ready.
    pub fn is_undecided(&self) -> bool {
        let table = self.table();
        table.entry(&KillTarget::Everything).kills.iter().any(|kill| kill.origin == KillOrigin::StateUnreadable)
    }

    /// As [`Self::status`], without the last drills: for who asks each second, since these are read from disk.
    pub fn status_without_drills(&self) -> Vec<VendorKillStatus> {
        let table = self.table();
        let mut vendors: BTreeSet<VendorId> = table.vendors().cloned().collect();
        vendors.extend(self.gates.iter().map(|gate| gate.key().clone()));
        let status = |vendor: &VendorId| self.status_of(&table, self.gates.get(vendor).as_deref(), vendor);
        vendors.iter().map(status).collect()
    }

    fn status_of(&self, table: &KillTable, gate: Option<&Arc<VendorGate>>, vendor: &VendorId) -> VendorKillStatus {
        let target = KillTarget::Vendor(vendor.clone());
        let entry = table.entry(&target);
        VendorKillStatus {
            vendor: vendor.as_str().to_owned(),
            state: state(table, &target),
            kills: entry.kills.iter().map(|kill| (**kill).clone()).collect(),
            approvals: entry.approvals.clone(),
            severed_total: gate.map_or(0, |gate| gate.severed_total()),
            persisted: self.store.is_durable() && !self.unconfirmed.holds(&target),
            last_drill: None,
        }
    }
}
