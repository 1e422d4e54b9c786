//! The clients of one vendor that owe, one by one.
//!
//! Never forgets one that owes: the table is bounded, only a client whose debt has gone makes room, and whoever finds
//! no room shares one account with all others who did not.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};

use crate::bounds;
use crate::model::{ClientId, Moment};

/// The clients that owe, as many as there is room for, and one account for all others.
#[derive(Debug, Default)]
pub(super) struct ClientDebts {
    by_key: HashMap<u64, (ClientId, u64), Ready>,
    others: u64,
    /// Before this time a sweep would find nobody who owes nothing.
    sweep_from: u64,
}

impl ClientDebts {
    /// When the client is out of debt.
    pub(super) fn arrival(&self, key: u64) -> u64 {
        // A newcomer may have spent among the others: it starts with their debt, which mostly is none.
        self.by_key.get(&key).map_or(self.others, |(_, arrival)| *arrival)
    }

    /// Notes when the client will be out of debt.
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

    /// Everybody who owes, and when they are out of debt; those who share an account are not among them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&ClientId, u64)> {
        self.by_key.values().map(|(client, arrival)| (client, *arrival))
    }

    /// How many are followed one by one.
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Lets go of everybody who owes nothing, at most ten times a second.
    fn sweep(&mut self, now: Moment) {
        if now.monotonic_ns < self.sweep_from {
            return;
        }
        self.by_key.retain(|_, (_, arrival)| *arrival > now.monotonic_ns);
        self.sweep_from = now.monotonic_ns.saturating_add(100_000_000);
    }
}

/// Keys are keyed hashes already.
#[derive(Debug, Default, Clone, Copy)]
struct Ready;

impl BuildHasher for Ready {
    type Hasher = ReadyHasher;

    fn build_hasher(&self) -> ReadyHasher {
        ReadyHasher(0)
    }
}

struct ReadyHasher(u64);

impl Hasher for ReadyHasher {
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
