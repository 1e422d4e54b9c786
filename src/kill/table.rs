//! Which kills are in force against whom: the state behind the switch, and the rows that it is stored in.
//!
//! Pure: no clock, no lock, no file. A kill of everything is a kill of each vendor known, so that they can be restored
//! one by one, and of every vendor still to come. Generations only grow. A kill is known by its generation, never by
//! what it covers: a restore lifts the kills that were in force when it was decided, a drill lifts its own kill only.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::order::{Evidence, Kill, KillOrder, KillOrigin, KillSelector, KillTarget};
use crate::bounds::{APPROVAL_LIFETIME, KILL_EVIDENCE_MAX};
use crate::model::{UnixTime, VendorId};
use crate::store::{RowError, StoreRow, StoreTable, WriteBatch};

/// The kills in force and the approvals of all vendors.
#[derive(Debug, Default)]
pub(super) struct KillTable {
    vendors: BTreeMap<VendorId, VendorKills>,
    /// The kills of everything, which hold for vendors that have no entry.
    everything: VendorKills,
    generation: u64,
}

/// The kills in force against one vendor, and the approvals of their end.
#[derive(Debug, Default, Clone)]
pub(super) struct VendorKills {
    pub(super) kills: Vec<Arc<Kill>>,
    pub(super) approvals: Vec<RestoreApproval>,
    /// Kills whose end is being written, once for each restore that writes it; a new order does not lean on them.
    restoring: Vec<u64>,
}

/// A first person's yes to a restore that needs more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreApproval {
    /// The operator who agreed.
    pub by: String,
    /// The reason, in that person's words.
    pub reason: String,
    /// When; it lapses after a day.
    pub at: UnixTime,
    /// What would be restored: approvals of different selectors do not add up.
    #[serde(rename = "reach", default)]
    pub selector: KillSelector,
    /// The generations of the kills that it was given for; a kill that came later is not approved by it.
    #[serde(default)]
    pub kills: Vec<u64>,
}

/// An entry as it is stored, by the vendor's id or `*`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KillsRow {
    generation: u64,
    kills: Vec<Kill>,
    approvals: Vec<RestoreApproval>,
}

impl StoreRow for KillsRow {
    const TABLE: StoreTable = StoreTable::Kills;
}

/// The effect of an order on the table.
pub(super) struct AppliedKill {
    pub(super) kill: Arc<Kill>,
    /// False where the same kill was in force already.
    pub(super) is_new: bool,
    /// False where nothing changed that is worth writing.
    pub(super) changed: bool,
}

impl KillTable {
    /// Takes over what was stored.
    pub(super) fn load(rows: Vec<(Vec<u8>, KillsRow)>) -> Result<Self, KillKeyError> {
        let (mut table, mut written_at) = (Self::default(), BTreeMap::new());
        for (key, row) in rows {
            table.generation = table.generation.max(row.generation);
            let kills = row.kills.into_iter().map(Arc::new).collect();
            let entry = VendorKills { kills, approvals: row.approvals, restoring: Vec::new() };
            let text = std::str::from_utf8(&key).map_err(|_| KillKeyError)?;
            match KillTarget::parse(text).map_err(|_| KillKeyError)? {
                KillTarget::Everything => table.everything = entry,
                KillTarget::Vendor(vendor) => {
                    written_at.insert(vendor.clone(), row.generation);
                    table.vendors.insert(vendor, entry);
                }
            }
        }
        table.catch_up(&written_at);
        Ok(table)
    }

    /// A row that was written before a kill of everything says nothing about that kill, so the kill is put in force.
    fn catch_up(&mut self, written_at: &BTreeMap<VendorId, u64>) {
        for (vendor, entry) in &mut self.vendors {
            let generation = written_at.get(vendor).copied().unwrap_or_default();
            let later = |kill: &&Arc<Kill>| kill.generation > generation && !entry.holds(kill.generation);
            let missed: Vec<_> = self.everything.kills.iter().filter(later).cloned().collect();
            entry.kills.extend(missed);
        }
    }

    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn raise_generation(&mut self, generation: u64) {
        self.generation = self.generation.max(generation);
    }

    pub(super) fn knows(&self, vendor: &VendorId) -> bool {
        self.vendors.contains_key(vendor)
    }

    pub(super) fn vendors(&self) -> impl Iterator<Item = &VendorId> {
        self.vendors.keys()
    }

    /// The kills in force against a vendor, or against everything.
    pub(super) fn entry(&self, target: &KillTarget) -> &VendorKills {
        match target {
            KillTarget::Vendor(vendor) => self.vendors.get(vendor).unwrap_or(&self.everything),
            KillTarget::Everything => &self.everything,
        }
    }

    /// Adds a kill, or evidence to one that says the same and that no drill and no restore is about to end. An order
    /// that is known by its id changes nothing.
    pub(super) fn kill(&mut self, order: &KillOrder) -> AppliedKill {
        if let Some(kill) = order.id.as_ref().and_then(|id| self.standing_by(&order.target, id)) {
            return AppliedKill { kill, is_new: false, changed: false };
        }
        let evidence = order.evidence();
        let everything = order.target == KillTarget::Everything;
        let next = self.generation + 1;
        let lean_on = self.reusable(order, everything);
        let mut applied = self.entry_mut(&order.target).apply(order, everything, evidence, lean_on.unwrap_or(next));
        // The id is worth writing, whatever else is known.
        applied.changed |= order.id.is_some();
        if applied.is_new {
            self.generation = next;
        }
        if everything {
            for entry in self.vendors.values_mut() {
                if !entry.holds(applied.kill.generation) {
                    entry.kills.push(Arc::clone(&applied.kill));
                }
                if order.is_ordered() {
                    entry.approvals.clear();
                }
            }
        }
        applied
    }

    /// The kill that a new order only adds evidence to: one of the same target and selector that lasts. A drill's kill
    /// does not, since it ends by itself; nor does one whose end is being written; and a kill of everything must still
    /// be in force against every vendor.
    fn reusable(&self, order: &KillOrder, everything: bool) -> Option<u64> {
        let entry = self.entry(&order.target);
        let same = |kill: &&Arc<Kill>| {
            kill.selector.is_same(&order.selector)
                && kill.everything == everything
                && kill.origin != KillOrigin::Drill
                && order.origin != KillOrigin::Drill
                && !entry.restoring.contains(&kill.generation)
                && (!everything || self.vendors.values().all(|vendor| vendor.holds_lastingly(kill.generation)))
        };
        entry.kills.iter().find(same).map(|kill| kill.generation)
    }

    fn standing_by(&self, target: &KillTarget, id: &Arc<str>) -> Option<Arc<Kill>> {
        self.entry(target).kills.iter().find(|kill| kill.orders.contains(id)).cloned()
    }

    /// Those of these kills that are in force.
    pub(super) fn active(&self, target: &KillTarget, kills: &[u64]) -> Vec<Arc<Kill>> {
        let entry = self.entry(target);
        entry.kills.iter().filter(|kill| kills.contains(&kill.generation)).cloned().collect()
    }

    /// The kills that a restore would lift.
    pub(super) fn restorable(&self, target: &KillTarget, selector: &KillSelector) -> Vec<u64> {
        let covered = |kill: &&Arc<Kill>| selector.contains(&kill.selector);
        self.entry(target).kills.iter().filter(covered).map(|kill| kill.generation).collect()
    }

    /// Adds a person's approval in place of an earlier one of theirs; returns how many people have now approved the
    /// end of every kill that it names.
    pub(super) fn approve(&mut self, target: &KillTarget, approval: RestoreApproval) -> u32 {
        let now = approval.at;
        let entry = self.entry_mut(target);
        let of_same = |known: &RestoreApproval| known.selector.is_same(&approval.selector);
        entry.approvals.retain(|known| now.since(known.at) < APPROVAL_LIFETIME);
        entry.approvals.retain(|known| known.by != approval.by || !of_same(known));
        entry.approvals.push(approval.clone());
        let counts =
            |known: &&RestoreApproval| of_same(known) && approval.kills.iter().all(|kill| known.kills.contains(kill));
        u32::try_from(entry.approvals.iter().filter(counts).count()).unwrap_or(u32::MAX)
    }

    /// Says that these kills are about to end: from now on a new order makes a new kill.
    pub(super) fn begin_restore(&mut self, target: &KillTarget, kills: &[u64]) -> u64 {
        self.generation += 1;
        self.each(target, |entry| entry.restoring.extend(kills));
        self.generation
    }

    /// Ends them; or, where that could not be written, leaves them in force.
    pub(super) fn end_restore(&mut self, target: &KillTarget, kills: &[u64], written: bool) {
        self.each(target, |entry| {
            for kill in kills {
                let place = entry.restoring.iter().position(|lifting| lifting == kill);
                place.map(|place| entry.restoring.swap_remove(place));
            }
            let stood = entry.kills.len();
            entry.kills.retain(|kill| !written || !kills.contains(&kill.generation));
            if entry.kills.len() < stood {
                entry.approvals.clear();
            }
        });
    }

    /// The rows of a vendor or of all, as they must be found after a restart.
    pub(super) fn write(&self, target: &KillTarget, batch: &mut WriteBatch) -> Result<(), RowError> {
        match target {
            // A vendor without an entry is killed by the kills of everything, and has no row: a row would hide it from
            // the next kill of everything.
            KillTarget::Vendor(vendor) => match self.vendors.get(vendor) {
                Some(entry) => self.write_entry(vendor.as_str(), entry, batch),
                None => self.write_entry(KillTarget::Everything.as_str(), &self.everything, batch),
            },
            KillTarget::Everything => {
                self.write_entry(target.as_str(), &self.everything, batch)?;
                self.vendors.iter().try_for_each(|(vendor, entry)| self.write_entry(vendor.as_str(), entry, batch))
            }
        }
    }

    fn write_entry(&self, key: &str, entry: &VendorKills, batch: &mut WriteBatch) -> Result<(), RowError> {
        let stays = |kill: &&Arc<Kill>| !entry.restoring.contains(&kill.generation);
        let kills: Vec<Kill> = entry.kills.iter().filter(stays).map(|kill| (**kill).clone()).collect();
        let approvals = if entry.restoring.is_empty() { entry.approvals.clone() } else { Vec::new() };
        batch.put(key.as_bytes(), &KillsRow { generation: self.generation, kills, approvals })
    }

    /// A vendor's own entry, which begins with the kills of everything.
    fn entry_mut(&mut self, target: &KillTarget) -> &mut VendorKills {
        match target {
            KillTarget::Vendor(vendor) => {
                // An approval to restore everything says nothing about this vendor alone.
                let fresh = || VendorKills { approvals: Vec::new(), ..self.everything.clone() };
                self.vendors.entry(vendor.clone()).or_insert_with(fresh)
            }
            KillTarget::Everything => &mut self.everything,
        }
    }

    pub(super) fn each(&mut self, target: &KillTarget, mut change: impl FnMut(&mut VendorKills)) {
        change(self.entry_mut(target));
        if *target == KillTarget::Everything {
            self.vendors.values_mut().for_each(change);
        }
    }
}

impl VendorKills {
    fn holds(&self, generation: u64) -> bool {
        self.kills.iter().any(|kill| kill.generation == generation)
    }

    /// Whether the kill is in force here and no restore is about to end it.
    fn holds_lastingly(&self, generation: u64) -> bool {
        self.holds(generation) && !self.restoring.contains(&generation)
    }

    /// Adds evidence to the kill of this generation, or makes it.
    fn apply(&mut self, order: &KillOrder, everything: bool, evidence: Evidence, generation: u64) -> AppliedKill {
        if let Some(kill) = self.kills.iter_mut().find(|kill| kill.generation == generation) {
            let changed = order.is_ordered() || kill.evidence.len() < KILL_EVIDENCE_MAX;
            Arc::make_mut(kill).add(evidence);
            let kill = Arc::clone(kill);
            if order.is_ordered() {
                self.approvals.clear();
            }
            return AppliedKill { kill, is_new: false, changed };
        }
        let kill = Arc::new(Kill {
            generation,
            selector: order.selector.clone(),
            everything,
            at: order.at.wall,
            by: order.by.clone(),
            reason: order.reason.clone(),
            origin: order.origin,
            evidence: vec![evidence],
            more_evidence: 0,
            orders: Vec::new(),
        });
        self.kills.push(Arc::clone(&kill));
        self.approvals.clear();
        AppliedKill { kill, is_new: true, changed: true }
    }
}

impl Kill {
    fn add(&mut self, evidence: Evidence) {
        if self.evidence.len() < KILL_EVIDENCE_MAX {
            self.evidence.push(evidence);
        } else {
            self.more_evidence += 1;
        }
    }
}

/// A stored key that is no vendor's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a kill is stored for something that is no vendor")]
pub struct KillKeyError;
