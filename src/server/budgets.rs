//! Stores what vendors have used of their limits, so that a restart does not refill their budgets.
//!
//! Written every second or so where it has changed, and at the end. A vendor whose row cannot be read is killed until a
//! person decides: its budget must not be refilled by a damaged disk.

use std::collections::HashMap;

use crate::gateway::VendorRuntime;
use crate::kill::{KillOrder, KillOrigin, KillSwitch, KillTarget};
use crate::meter::{KnownFleet, LedgerSnapshot};
use crate::model::{Direction, Moment, VendorId};
use crate::store::{Store, StoreRow, StoreTable, WriteAck, WriteBatch};

impl StoreRow for LedgerSnapshot {
    const TABLE: StoreTable = StoreTable::Budgets;
}

impl StoreRow for KnownFleet {
    const TABLE: StoreTable = StoreTable::FleetLeases;
}

/// The only row of what is known of the fleet.
const FLEET_KEY: &[u8] = b"engine";

/// What an earlier run knew of the fleet; nothing where that cannot be read, so that all is told again.
pub(super) fn known_fleet(store: &Store) -> KnownFleet {
    store.get(FLEET_KEY).ok().flatten().unwrap_or_default()
}

/// The snapshot last written under each key and when, so that an unchanged ledger is not written again.
#[derive(Debug, Default)]
pub(super) struct SavedBudgets {
    ledgers: HashMap<String, (LedgerSnapshot, Moment)>,
    fleet: Option<KnownFleet>,
}

impl SavedBudgets {
    /// Gives what has changed to the store; `None` where nothing has.
    pub(super) fn save<'a>(
        &mut self,
        vendors: impl Iterator<Item = &'a std::sync::Arc<VendorRuntime>>,
        fleet: Option<KnownFleet>,
        store: &Store,
        now: Moment,
    ) -> Option<WriteAck> {
        let mut batch = WriteBatch::new();
        for vendor in vendors {
            for (direction, snapshot) in vendor.ledgers.snapshots(now) {
                let key = key(vendor.id(), direction);
                // A snapshot that has only aged is unchanged: the stored row says when it was taken.
                let is_kept = self.ledgers.get(&key).is_some_and(|(kept, at)| snapshot.is_aged(now, kept, *at));
                if !is_kept && batch.put(key.as_bytes(), &snapshot).is_ok() {
                    self.ledgers.insert(key, (snapshot, now));
                }
            }
        }
        // In one write with what was used: a later run must not take what the engine has for something new.
        if let Some(known) = fleet
            && self.fleet.as_ref() != Some(&known)
            && batch.put(FLEET_KEY, &known).is_ok()
        {
            self.fleet = Some(known);
        }
        (!batch.is_empty()).then(|| store.write(batch))
    }

    /// After a failed write everything is written again.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

/// Restores what an earlier run had used of a vendor's limits.
pub(super) fn restore(vendor: &VendorRuntime, store: &Store, switch: &KillSwitch, now: Moment) {
    let get = |direction| store.get::<LedgerSnapshot>(key(vendor.id(), direction).as_bytes());
    let kept = get(Direction::Ingress).and_then(|ingress| Ok((ingress, get(Direction::Egress)?)));
    match kept {
        Ok((ingress, egress)) => vendor.ledgers.restore(ingress.as_ref(), egress.as_ref(), now),
        Err(error) => {
            tracing::error!(vendor = %vendor.id(), %error, "what the vendor has used of its limits cannot be read: it is killed");
            let (target, origin) = (KillTarget::Vendor(vendor.id().clone()), KillOrigin::StateUnreadable);
            let reason = "what it has used of its limits cannot be read";
            let order = KillOrder::by_gateway(target, origin, reason, now);
            // The vendor has a gate, so it is known and the kill cannot fail. There is no traffic yet that could be
            // waited for.
            drop(switch.kill(order));
        }
    }
}

/// The key of a ledger in the store: the vendor's id for the ingress ledger or the shared one, as it was before each
/// direction had one; an id holds no `/`.
fn key(vendor: &VendorId, direction: Direction) -> String {
    match direction {
        Direction::Ingress => vendor.to_string(),
        Direction::Egress => format!("{vendor}/egress"),
    }
}
