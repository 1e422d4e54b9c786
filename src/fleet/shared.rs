//! What the gateways of a fleet share: entries that only grow, so that any two gateways agree once each has seen what
//! the other has seen, in whatever order.
//!
//! Of two entries with one key the higher epoch wins, and on a tie the higher rank: a kill before its end. An entry is
//! never deleted before its time, so what was lost elsewhere (a failover, an old dump, a wiped engine) is brought back
//! by whoever still has it. Every entry is on this gateway's disk too, also one of a kind that only newer gateways
//! know.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::bounds::{FLEET_ENTRIES_MAX, FLEET_ENTRY_BYTES_MAX};
use crate::model::{Lock as _, Moment, UnixTime, debug_fields};
use crate::store::{Store, StoreError, StoreRow, StoreTable, WriteBatch};

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedEntry {
    /// The kind, a slash, and a name within it.
    pub key: String,
    /// The higher one wins. At most 2^53, which is what a script can compare.
    pub epoch: u64,
    /// Decides between equal epochs.
    pub rank: u8,
    /// When it may be forgotten; never where that is zero.
    pub expires: UnixTime,
    /// What it says, as JSON in one version that the JSON names.
    pub data: String,
}

/// A kind of entry: what happens here when one has come that is newer than what was known.
pub trait SharedKind: Send + Sync {
    /// What its keys begin with, before the slash.
    fn kind(&self) -> &'static str;

    /// Puts an entry in force. Called on the fleet's thread; it must not wait, and must not fail where the entry is in
    /// force already.
    fn apply(&self, entry: &SharedEntry, now: Moment);
}

/// All entries that this gateway knows, and those that the engine does not know yet.
pub struct SharedTable {
    store: Store,
    held: Mutex<BTreeMap<String, SharedEntry>>,
    /// Entries that are still to be sent, by key.
    outbox: Mutex<BTreeMap<String, SharedEntry>>,
    pub(super) queued: Notify,
    kinds: OnceLock<Vec<Arc<dyn SharedKind>>>,
}

debug_fields!(SharedTable: store);

/// An entry as it is stored, by its key.
#[derive(Debug, Serialize, Deserialize)]
struct SharedRow {
    epoch: u64,
    rank: u8,
    expires_ms: u64,
    data: String,
}

impl StoreRow for SharedRow {
    const TABLE: StoreTable = StoreTable::Fleet;
}

impl SharedEntry {
    /// Whether this entry replaces another of the same key.
    pub fn beats(&self, other: &Self) -> bool {
        (self.epoch, self.rank) > (other.epoch, other.rank)
    }

    /// The kind, before the slash.
    pub fn kind(&self) -> &str {
        self.key.split_once('/').map_or("", |(kind, _)| kind)
    }

    /// The name, behind the slash.
    pub fn name(&self) -> &str {
        self.key.split_once('/').map_or("", |(_, name)| name)
    }

    /// Whether its time is over.
    pub fn is_over(&self, now: UnixTime) -> bool {
        self.expires > UnixTime::default() && self.expires <= now
    }

    /// The entry as the engine keeps it: epoch, rank and end, then the JSON.
    pub(super) fn value(&self) -> String {
        format!("{} {} {} {}", self.epoch, self.rank, self.expires.as_millis(), self.data)
    }

    /// The entry of a key and the value that the engine keeps; none where it cannot be read or is larger than any.
    pub(super) fn read(key: &[u8], value: &[u8]) -> Option<Self> {
        if value.len() > FLEET_ENTRY_BYTES_MAX || key.len() > FLEET_ENTRY_BYTES_MAX {
            return None;
        }
        let mut parts = std::str::from_utf8(value).ok()?.splitn(4, ' ');
        let entry = Self {
            key: std::str::from_utf8(key).ok()?.to_owned(),
            epoch: parts.next()?.parse().ok()?,
            rank: parts.next()?.parse().ok()?,
            expires: UnixTime::from_millis(parts.next()?.parse().ok()?),
            data: parts.next()?.to_owned(),
        };
        (!entry.kind().is_empty()).then_some(entry)
    }
}

impl SharedTable {
    /// The entries as they were left.
    ///
    /// # Errors
    /// [`StoreError`] where they cannot be read.
    pub fn load(store: Store) -> Result<Self, StoreError> {
        let rows = store.range::<SharedRow>(b"", None, usize::MAX)?;
        let entry = |(key, row): (Vec<u8>, SharedRow)| {
            let key = String::from_utf8(key).ok()?;
            let expires = UnixTime::from_millis(row.expires_ms);
            let entry = SharedEntry { key: key.clone(), epoch: row.epoch, rank: row.rank, expires, data: row.data };
            Some((key, entry))
        };
        let held = Mutex::new(rows.into_iter().filter_map(entry).collect());
        Ok(Self { store, held, outbox: Mutex::default(), queued: Notify::new(), kinds: OnceLock::new() })
    }

    /// Says which kinds are put in force, once, and puts in force what was left on disk.
    pub fn serve(&self, kinds: Vec<Arc<dyn SharedKind>>, now: Moment) {
        let _ = self.kinds.set(kinds);
        // Sorted by key, so that an order comes before its exceptions.
        let held: Vec<SharedEntry> = self.held.locked().values().cloned().collect();
        held.iter().for_each(|entry| self.apply(entry, now));
    }

    /// Adds an entry that is made here: on disk, and sent as soon as the engine can be reached. Waits for neither.
    pub fn put(&self, entry: SharedEntry) {
        if self.merge(&entry) {
            self.outbox.locked().insert(entry.key.clone(), entry);
            self.queued.notify_one();
        }
    }

    /// Notes an entry that is made here, that is in force here, and that the engine has already.
    pub(super) fn note(&self, entry: SharedEntry) {
        self.merge(&entry);
    }

    /// Takes an entry that has come from the engine, and puts it in force where it is news.
    pub(super) fn take(&self, entry: &SharedEntry, now: Moment) {
        if !entry.is_over(now.wall) && self.merge(entry) {
            self.apply(entry, now);
        }
    }

    /// The entry of a key.
    pub fn get(&self, key: &str) -> Option<SharedEntry> {
        self.held.locked().get(key).cloned()
    }

    /// The entries of a kind.
    pub fn of_kind(&self, kind: &str) -> Vec<SharedEntry> {
        let (from, to) = (format!("{kind}/"), format!("{kind}0"));
        self.held.locked().range(from..to).map(|(_, entry)| entry.clone()).collect()
    }

    /// What this gateway knows better than the engine, which has these.
    pub(super) fn better_than(&self, theirs: &BTreeMap<String, SharedEntry>, now: UnixTime) -> Vec<SharedEntry> {
        let is_better =
            |entry: &&SharedEntry| !entry.is_over(now) && theirs.get(&entry.key).is_none_or(|known| entry.beats(known));
        self.held.locked().values().filter(is_better).cloned().collect()
    }

    /// Entries that are still to be sent.
    pub(super) fn unsent(&self, most: usize) -> Vec<SharedEntry> {
        self.outbox.locked().values().take(most).cloned().collect()
    }

    /// Whether an entry is still to be sent.
    pub(super) fn is_unsent(&self, key: &str) -> bool {
        self.outbox.locked().contains_key(key)
    }

    /// Notes that these were sent, unless a newer one has taken their place.
    pub(super) fn sent(&self, entries: &[SharedEntry]) {
        let mut outbox = self.outbox.locked();
        for entry in entries {
            if outbox.get(&entry.key) == Some(entry) {
                outbox.remove(&entry.key);
            }
        }
    }

    /// Forgets what is over.
    pub(super) fn sweep(&self, now: UnixTime) {
        let mut batch = WriteBatch::new();
        self.held.locked().retain(|key, entry| {
            if entry.is_over(now) {
                batch.delete(StoreTable::Fleet, key.as_bytes());
            }
            !entry.is_over(now)
        });
        if !batch.is_empty() {
            // What is not deleted is over all the same, and is deleted at the next time.
            drop(self.store.write(batch));
        }
    }

    fn merge(&self, entry: &SharedEntry) -> bool {
        {
            let mut held = self.held.locked();
            let known = held.get(&entry.key);
            // A kill is taken however full the table is.
            let fits = known.is_some() || held.len() < FLEET_ENTRIES_MAX || entry.kind() == "kill";
            if !fits || known.is_some_and(|known| !entry.beats(known)) {
                return false;
            }
            held.insert(entry.key.clone(), entry.clone());
        }
        let row = SharedRow {
            epoch: entry.epoch,
            rank: entry.rank,
            expires_ms: entry.expires.as_millis(),
            data: entry.data.clone(),
        };
        let mut batch = WriteBatch::new();
        if batch.put(entry.key.as_bytes(), &row).is_ok() {
            // A failed write is counted by the store; the engine and the other gateways have the entry too.
            drop(self.store.write(batch));
        }
        true
    }

    fn apply(&self, entry: &SharedEntry, now: Moment) {
        let kinds = self.kinds.get().into_iter().flatten();
        kinds.filter(|kind| kind.kind() == entry.kind()).for_each(|kind| kind.apply(entry, now));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(key: &str, epoch: u64, rank: u8) -> SharedEntry {
        SharedEntry {
            key: key.to_owned(),
            epoch,
            rank,
            expires: UnixTime::default(),
            data: format!(r#"{{"v":1,"is":"{epoch} {rank}"}}"#),
        }
    }

    fn table() -> SharedTable {
        SharedTable::load(Store::in_memory().unwrap()).unwrap()
    }

    fn at(secs: u64) -> Moment {
        Moment { wall: UnixTime::from_secs(secs), monotonic_ns: 0 }
    }

    #[test]
    fn an_entry_is_read_as_it_was_written_and_garbage_is_left_out() {
        let written = SharedEntry { expires: UnixTime::from_secs(9), ..entry("kill/a b", 2, 1) };
        assert_eq!(SharedEntry::read(b"kill/a b", written.value().as_bytes()), Some(written));
        let huge = format!("1 0 0 {}", "x".repeat(FLEET_ENTRY_BYTES_MAX));
        for (key, value) in [
            (&b"kill/a"[..], &b""[..]),
            (b"kill/a", b"1 0 0"),
            (b"kill/a", b"-1 0 0 {}"),
            (b"kill/a", b"1 999 0 {}"),
            (b"kill/a", b"1 0 0 \xff"),
            (b"nothing", b"1 0 0 {}"),
            (b"/a", b"1 0 0 {}"),
            (b"\xff/a", b"1 0 0 {}"),
            (b"kill/a", huge.as_bytes()),
        ] {
            assert_eq!(SharedEntry::read(key, value), None, "{key:?}");
        }
    }

    #[test]
    fn entries_survive_a_restart_and_end_with_their_time() {
        let store = Store::in_memory().unwrap();
        let table = SharedTable::load(store.clone()).unwrap();
        let ends = SharedEntry { expires: UnixTime::from_secs(10), ..entry("revocation/a", 1, 0) };
        table.put(ends.clone());
        table.put(entry("later-kind/x", 1, 0));
        store.write_blocking(WriteBatch::new()).unwrap();
        let table = SharedTable::load(store.clone()).unwrap();
        assert_eq!(table.get("revocation/a"), Some(ends.clone()));
        assert_eq!(table.better_than(&BTreeMap::new(), UnixTime::from_secs(9)).len(), 2);
        assert_eq!(table.better_than(&BTreeMap::new(), UnixTime::from_secs(10)).len(), 1);
        table.sweep(UnixTime::from_secs(10));
        table.take(&ends, at(10));
        assert_eq!(table.get("revocation/a"), None, "what is over does not come back");
        store.write_blocking(WriteBatch::new()).unwrap();
        assert_eq!(SharedTable::load(store).unwrap().of_kind("later-kind").len(), 1);
    }

    #[test]
    fn what_was_replaced_while_it_was_sent_is_sent_again() {
        let table = table();
        table.put(entry("kill/a", 1, 1));
        let sent = table.unsent(9);
        table.put(entry("kill/a", 2, 0));
        table.sent(&sent);
        assert_eq!(table.unsent(9), [entry("kill/a", 2, 0)]);
        table.sent(&table.unsent(9));
        assert!(!table.is_unsent("kill/a"));
        table.put(entry("kill/a", 1, 1));
        assert!(table.unsent(9).is_empty(), "an older one is no news");
    }

    proptest! {
        /// Join-semilattice: order and repetition do not matter, and what is known only grows.
        #[test]
        fn any_order_of_the_same_entries_ends_in_the_same_table(
            entries in prop::collection::vec((0..3_u8, 0..4_u64, 0..2_u8), 1..20),
            seed in prop::collection::vec(any::<prop::sample::Index>(), 40),
        ) {
            let entries: Vec<_> = entries.iter().map(|(key, epoch, rank)| entry(&format!("kill/{key}"), *epoch, *rank)).collect();
            let (one, other) = (table(), table());
            entries.iter().for_each(|entry| one.take(entry, at(1)));
            seed.iter().for_each(|index| other.take(index.get(&entries), at(1)));
            entries.iter().rev().for_each(|entry| other.take(entry, at(1)));
            prop_assert_eq!(one.of_kind("kill"), other.of_kind("kill"));
            let theirs: BTreeMap<_, _> = one.of_kind("kill").into_iter().map(|entry| (entry.key.clone(), entry)).collect();
            prop_assert!(other.better_than(&theirs, UnixTime::default()).is_empty());
        }
    }
}
