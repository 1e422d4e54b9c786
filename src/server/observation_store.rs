//! What was seen of calls, in the store: written every minute where something was, and read at the start.

use std::sync::Arc;

use super::vendor_rows;
use crate::observation::{Observations, VendorSeenRow};
use crate::store::{Store, StoreRow, StoreTable, WriteAck};

impl StoreRow for VendorSeenRow {
    const TABLE: StoreTable = StoreTable::Observations;
    const VERSION: u8 = 1;
}

/// The rows, in words for the log.
const SEEN: &str = "what was seen of calls";

/// What an earlier run had seen. What cannot be read is begun anew: nothing is decided by it.
pub(super) fn load(store: &Store) -> Arc<Observations> {
    let observations = Observations::default();
    vendor_rows::load(store, SEEN).into_iter().for_each(|(vendor, row)| observations.restore(&vendor, row));
    Arc::new(observations)
}

/// Gives what was seen since the last call to the store; `None` where nothing was.
pub(super) fn save(observations: &Observations, store: &Store) -> Option<WriteAck> {
    vendor_rows::save(store, SEEN, observations.changed())
}
