//! Rows of the store with one for each vendor, by which nothing is decided that a restart must not lose.

use crate::model::VendorId;
use crate::store::{Store, StoreRow, WriteAck, WriteBatch};

/// The rows of all vendors. What cannot be read is begun anew. `what` is for the log.
pub(super) fn load<R: StoreRow>(store: &Store, what: &str) -> Vec<(VendorId, R)> {
    let rows = store.range::<R>(&[], None, usize::MAX).unwrap_or_else(|error| {
        tracing::error!(%error, "{what} cannot be read, and is begun anew");
        Vec::new()
    });
    let named = |(key, row): (Vec<u8>, R)| Some((VendorId::parse(&String::from_utf8_lossy(&key)).ok()?, row));
    rows.into_iter().filter_map(named).collect()
}

/// Writes these rows; `None` where there are none.
pub(super) fn save<R: StoreRow>(
    store: &Store,
    what: &str,
    rows: impl IntoIterator<Item = (VendorId, R)>,
) -> Option<WriteAck> {
    let mut batch = WriteBatch::new();
    for (vendor, row) in rows {
        if let Err(error) = batch.put(vendor.as_str().as_bytes(), &row) {
            tracing::error!(%error, "{what} cannot be written");
        }
    }
    (!batch.is_empty()).then(|| store.write(batch))
}
