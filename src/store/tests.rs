//! Tests of the store: a failing disk, a damaged file and a second process.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use super::*;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kill {
    reason: String,
}

impl StoreRow for Kill {
    const TABLE: StoreTable = StoreTable::Kills;
}

fn kill(reason: &str) -> Kill {
    Kill { reason: reason.to_owned() }
}

fn put(key: &[u8], reason: &str) -> WriteBatch {
    let mut batch = WriteBatch::new();
    batch.put(key, &kill(reason)).unwrap();
    batch
}

#[test]
fn rows_survive_closing_and_come_back_in_order() {
    let folder = tempfile::tempdir().unwrap();
    {
        let store = Store::open(folder.path()).unwrap();
        assert_eq!(store.get::<Kill>(b"acme").unwrap(), None, "a table without writes is empty");
        for (key, reason) in [("b", "2"), ("a", "1"), ("c", "3")] {
            store.write_blocking(put(key.as_bytes(), reason)).unwrap();
        }
        let mut batch = put(b"d", "4");
        batch.delete(StoreTable::Kills, b"a");
        batch.put_bytes(StoreTable::Exposure, b"x", vec![1, 2]);
        store.write_blocking(batch).unwrap();
    }
    let store = Store::open(folder.path()).unwrap();
    let all: Vec<_> =
        store.range::<Kill>(b"", None, 10).unwrap().into_iter().map(|(key, row)| (key, row.reason)).collect();
    assert_eq!(all, [("b", "2"), ("c", "3"), ("d", "4")].map(|(k, r)| (k.as_bytes().to_vec(), r.to_owned())));
    assert_eq!(store.range::<Kill>(b"b", Some(b"d"), 1).unwrap().len(), 1);
    assert_eq!(store.range::<Kill>(b"d", Some(b"b"), 9).unwrap(), []);
    assert_eq!(store.get_bytes(StoreTable::Exposure, b"x").unwrap(), Some(vec![1, 2]));
    assert!(store.is_durable());
}

#[test]
fn the_folder_is_private_and_locked_against_a_second_process() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("deep/state");
    let store = Store::open(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(path.join("state.redb")).unwrap().permissions().mode() & 0o777, 0o600);
    let second = Store::open(&path).unwrap_err();
    assert!(matches!(second, StoreError::InUse { .. }) && !second.is_unreadable(), "{second}");
    drop(store);
    let other = redb::Database::open(path.join("state.redb")).unwrap();
    assert!(matches!(Store::open(&path), Err(StoreError::InUse { .. })), "by a tool that knows no lock of ours");
    drop(other);
    Store::open(&path).unwrap();
}

#[test]
fn a_lost_file_is_not_taken_for_a_first_start() {
    let folder = tempfile::tempdir().unwrap();
    drop(Store::open(folder.path()).unwrap());
    fs::remove_file(folder.path().join("state.redb")).unwrap();
    let error = Store::open(folder.path()).unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }) && error.is_unreadable(), "{error}");
}

#[test]
fn a_first_start_that_was_interrupted_begins_again() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("state.redb.new"), b"half a databa").unwrap();
    Store::open(folder.path()).unwrap().write_blocking(put(b"a", "1")).unwrap();
}

#[test]
fn a_damaged_file_is_an_error_and_is_left_as_it_is() {
    let whole = whole_file();
    for cut in [0, 1, 100, 4096, whole.len() / 2, whole.len() - 1] {
        let (folder, error) = open_with(&whole[..cut]);
        let error = error.unwrap_err();
        assert!(matches!(error, StoreError::Torn { .. } | StoreError::Schema { .. }), "{cut}: {error}");
        assert!(error.is_unreadable());
        assert!(folder.path().join("state.redb").exists());
    }
}

/// Every page is reached: a flip is either refused, or falls where nothing is stored and every row is whole.
#[test]
fn a_flipped_byte_never_changes_a_row() {
    let whole = whole_file();
    let mut refused = 0;
    for at in (0..whole.len()).step_by(4001).chain(0..64) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x41;
        match open_with(&bytes).1 {
            Ok(store) => match store.range::<Kill>(b"", None, 100) {
                Ok(rows) => assert_eq!(rows, rows_of_whole_file(), "byte {at}"),
                Err(error) => assert!(error.is_unreadable(), "byte {at}: {error}"),
            },
            Err(error) => {
                assert!(error.is_unreadable(), "byte {at}: {error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 0, "no flip was noticed");
}

#[test]
fn another_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(Store::open(folder.path()).unwrap());
    let database = redb::Database::open(folder.path().join("state.redb")).unwrap();
    let mut batch = WriteBatch::new();
    batch.put_bytes(StoreTable::Meta, b"schema", b"99".to_vec());
    writer::commit(&database, [&batch].into_iter()).unwrap();
    drop(database);
    let error = Store::open(folder.path()).unwrap_err();
    assert_eq!(error.to_string(), "state has schema 99, and this program reads schema 1");
}

#[test]
fn writes_to_a_full_disk_fail_and_succeed_again_once_it_has_room() {
    let full = Arc::new(AtomicBool::new(false));
    let store = faulty::store(&full);
    store.write_blocking(put(b"a", "before")).unwrap();
    full.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        let error = store.write_blocking(put(b"b", &"x".repeat(100_000))).unwrap_err();
        assert!(matches!(error, StoreError::Write(_)) && !error.is_unreadable(), "{error:?}");
    }
    assert!(store.write_errors() > 0);
    full.store(false, Ordering::SeqCst);
    store.write_blocking(put(b"c", "after")).unwrap();
    let keys: Vec<_> = store.range::<Kill>(b"", None, 9).unwrap().into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, [b"a".to_vec(), b"c".to_vec()], "what failed is not there, what was there is");
}

#[test]
fn many_waiting_writes_are_all_made_durable() {
    let store = Store::in_memory().unwrap();
    let acks: Vec<_> = (0..5_000_u32).map(|i| store.write(put(&i.to_be_bytes(), "n"))).collect();
    for ack in acks {
        ack.wait().unwrap();
    }
    assert_eq!(store.range::<Kill>(b"", None, usize::MAX).unwrap().len(), 5_000);
    assert!(!store.is_durable());
}

fn whole_file() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    for (key, row) in rows_of_whole_file() {
        store.write_blocking(put(&key, &row.reason)).unwrap();
    }
    drop(store);
    fs::read(folder.path().join("state.redb")).unwrap()
}

fn rows_of_whole_file() -> Vec<(Vec<u8>, Kill)> {
    (0..20_u8).map(|i| (vec![b'k', i], kill(&"why".repeat(usize::from(i) * 40)))).collect()
}

fn open_with(bytes: &[u8]) -> (tempfile::TempDir, Result<Store, StoreError>) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "state.initialized", b"");
    write(folder.path(), "state.redb", bytes);
    let opened = Store::open(folder.path());
    (folder, opened)
}

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    fs::write(folder.join(name), bytes).unwrap();
}
