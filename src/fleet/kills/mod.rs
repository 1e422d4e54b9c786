//! Kills, restores, approvals, kills to come and drills as shared entries.
//!
//! An order to kill is the entry `kill/ID`: epoch 1 while it stands, epoch 2 once it was taken back. A vendor that was
//! let back out of a kill of everything is the entry `kill/ID/VENDOR`. A kill is in force by one order at least, so a
//! restore, which takes back the orders that were known where it was decided, never ends a kill that crossed it.

mod data;
mod kinds;
mod peers;

pub use kinds::kill_kinds;
pub use peers::FleetPeers;

use crate::kill::KillTarget;

/// The epoch of an order that stands.
const STANDS: u64 = 1;
/// The epoch of an order that was taken back or carried out.
const OVER: u64 = 2;

/// The key of an order to kill.
pub fn kill_key(id: &str) -> String {
    format!("kill/{id}")
}

/// The key under which an order is taken back: its own, or, for one vendor out of a kill of everything, the vendor's.
fn lift_key(id: &str, ordered: &str, target: &KillTarget) -> String {
    if ordered == target.as_str() { kill_key(id) } else { format!("kill/{id}/{}", target.as_str()) }
}
