//! What was seen of calls, in the store: written every minute where something was, and read at the start.

use std::sync::Arc;

use crate::model::VendorId;
use crate::observation::{Observations, VendorSeenRow};
use crate::store::{Store, StoreRow, StoreTable, WriteAck, WriteBatch};

impl StoreRow for VendorSeenRow {
    const TABLE: StoreTable = StoreTable::Observations;
    const VERSION: u8 = 1;
}

/// What an earlier run had seen. What cannot be read is begun anew: nothing is decided by it.
pub(super) fn load(store: &Store) -> Arc<Observations> {
    let observations = Observations::default();
    match store.range::<VendorSeenRow>(&[], None, usize::MAX) {
        Ok(rows) => {
            for (key, row) in rows {
                if let Ok(vendor) = VendorId::parse(&String::from_utf8_lossy(&key)) {
                    observations.restore(&vendor, row);
                }
            }
        }
        Err(error) => tracing::error!(%error, "what was seen of calls cannot be read, and is begun anew"),
    }
    Arc::new(observations)
}

/// Gives what was seen since the last call to the store; `None` where nothing was.
pub(super) fn save(observations: &Observations, store: &Store) -> Option<WriteAck> {
    let mut batch = WriteBatch::new();
    for (vendor, row) in observations.changed() {
        if let Err(error) = batch.put(vendor.as_str().as_bytes(), &row) {
            tracing::error!(%error, "what was seen of calls cannot be written");
        }
    }
    (!batch.is_empty()).then(|| store.write(batch))
}
