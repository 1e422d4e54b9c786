//! The clients of one vendor whose request rate is in debt.
//!
//! A client in debt is never dropped. The table is bounded, only clients without debt are removed, and clients for
//! which there is no room share one debt.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::bounds;
use crate::model::{ClientId, Moment};

/// The clients in debt, as many as there is room for, and one shared debt for all others.
#[derive(Debug, Default)]
pub(super) struct ClientDebts {
    by_key: HashMap<u64, (ClientId, u64), BuildHasherDefault<KeyHasher>>,
    others: u64,
    /// Before this time no client is searched for that could be removed.
    sweep_from: u64,
}

impl ClientDebts {
    /// When the client is out of debt.
    pub(super) fn arrival(&self, key: u64) -> u64 {
        // A client that is not in the table may have spent from the shared debt, so it starts with that; mostly it is
        // none.
        self.by_key.get(&key).map_or(self.others, |(_, arrival)| *arrival)
    }

    /// Records when the client will be out of debt.
    pub(super) fn put(&mut self, key: u64, client: &ClientId, arrival: u64, now: Moment) {
        if let Some((_, mine)) = self.by_key.get_mut(&key) {
            *mine = arrival.max(*mine);
            return;
        }
        if self.by_key.len() >= bounds::RATED_CLIENTS_MAX {
            self.sweep(now);
        }
        if self.by_key.len() >= bounds::RATED_CLIENTS_MAX {
            self.others = self.others.max(arrival);
        } else {
            self.by_key.insert(key, (client.clone(), arrival));
        }
    }

    /// The clients in the table, and when each is out of debt; those of the shared debt are not included.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&ClientId, u64)> {
        self.by_key.values().map(|(client, arrival)| (client, *arrival))
    }

    /// How many clients are in the table.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Removes the clients without debt, at most ten times a second.
    fn sweep(&mut self, now: Moment) {
        if now.monotonic_ns < self.sweep_from {
            return;
        }
        self.by_key.retain(|_, (_, arrival)| *arrival > now.monotonic_ns);
        self.sweep_from = now.monotonic_ns.saturating_add(100_000_000);
    }
}

/// Passes keys through: they are keyed hashes already.
#[derive(Debug, Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}
