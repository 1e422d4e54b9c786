//! The rows of identity in the embedded store: newest tokens, first sights of keys, revocations.
//!
//! A store that cannot be read is an error, never an empty memory.

use std::io;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::identity::{DistrustedKey, Revocation, RevocationStore, RevocationTarget, RotationRecord, RotationStore};
use crate::model::{ClientId, UnixTime, VendorId};
use crate::store::{Store, StoreError, StoreRow, StoreTable, WriteBatch};

/// Identity's memory in the store.
#[derive(Debug, Clone)]
pub(super) struct IdentityStore(pub(super) Store);

#[derive(Debug, Serialize, Deserialize)]
struct ClientRow {
    vendor: String,
    client: String,
    newest_ms: u64,
    since_ms: u64,
    floor_ms: u64,
}

impl StoreRow for ClientRow {
    const TABLE: StoreTable = StoreTable::RotationMarks;
}

#[derive(Debug, Serialize, Deserialize)]
struct KeyRow {
    thumbprint: [u8; 32],
    first_seen_ms: u64,
}

impl StoreRow for KeyRow {
    const TABLE: StoreTable = StoreTable::SigningKeys;
}

#[derive(Debug, Serialize, Deserialize)]
struct RevocationRow {
    vendor: String,
    what: RevokedColumn,
    at_ms: u64,
    until_ms: Option<u64>,
    reason: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RevokedColumn {
    Token(String),
    Client(String),
    IssuedBefore(u64),
    Key(String, Vec<[u8; 32]>),
}

impl StoreRow for RevocationRow {
    const TABLE: StoreTable = StoreTable::Revocations;
}

impl RotationStore for IdentityStore {
    fn load(&self) -> io::Result<Vec<RotationRecord>> {
        let clients = rows::<ClientRow>(&self.0)?.into_iter().map(|row| {
            Ok(RotationRecord::Client {
                vendor: vendor(&row.vendor)?,
                client: ClientId::new(&row.client),
                newest: UnixTime::from_millis(row.newest_ms),
                since: UnixTime::from_millis(row.since_ms),
                floor: UnixTime::from_millis(row.floor_ms),
            })
        });
        let keys = rows::<KeyRow>(&self.0)?.into_iter().map(|row| {
            let first_seen = UnixTime::from_millis(row.first_seen_ms);
            Ok(RotationRecord::Key { thumbprint: row.thumbprint, first_seen })
        });
        clients.chain(keys).collect()
    }

    fn save(&self, record: RotationRecord) {
        let mut batch = WriteBatch::new();
        let put = match &record {
            RotationRecord::Client { vendor, client, newest, since, floor } => {
                let row = ClientRow {
                    vendor: vendor.as_str().to_owned(),
                    client: client.as_str().to_owned(),
                    newest_ms: newest.as_millis(),
                    since_ms: since.as_millis(),
                    floor_ms: floor.as_millis(),
                };
                batch.put(&key(&[vendor.as_str(), client.as_str()]), &row)
            }
            RotationRecord::Key { thumbprint, first_seen } => {
                let row = KeyRow { thumbprint: *thumbprint, first_seen_ms: first_seen.as_millis() };
                batch.put(thumbprint, &row)
            }
        };
        if put.is_ok() {
            // Written within milliseconds by the store's own thread; a request never waits for a disk.
            drop(self.0.write(batch));
        }
    }

    fn forget_key(&self, thumbprint: [u8; 32]) {
        let mut batch = WriteBatch::new();
        batch.delete(KeyRow::TABLE, &thumbprint);
        drop(self.0.write(batch));
    }
}

impl RevocationStore for IdentityStore {
    fn load(&self) -> io::Result<Vec<Revocation>> {
        rows::<RevocationRow>(&self.0)?.into_iter().map(RevocationRow::read).collect()
    }

    fn save(&self, revocation: &Revocation) -> io::Result<()> {
        let mut batch = WriteBatch::new();
        batch.put(&revocation_key(revocation), &RevocationRow::of(revocation)).map_err(io::Error::other)?;
        self.0.write_blocking(batch).map_err(io::Error::other)
    }

    fn lift(&self, revocation: &Revocation) -> io::Result<()> {
        let mut batch = WriteBatch::new();
        batch.delete(StoreTable::Revocations, &revocation_key(revocation));
        self.0.write_blocking(batch).map_err(io::Error::other)
    }

    fn forget(&self, revocation: &Revocation) {
        let mut batch = WriteBatch::new();
        batch.delete(StoreTable::Revocations, &revocation_key(revocation));
        drop(self.0.write(batch));
    }
}

impl RevocationRow {
    fn of(revocation: &Revocation) -> Self {
        Self {
            vendor: revocation.vendor.as_str().to_owned(),
            what: match &revocation.target {
                RevocationTarget::Token(id) => RevokedColumn::Token(id.as_ref().to_owned()),
                RevocationTarget::Client(client) => RevokedColumn::Client(client.as_str().to_owned()),
                RevocationTarget::IssuedBefore(time) => RevokedColumn::IssuedBefore(time.as_millis()),
                RevocationTarget::Key(key) => RevokedColumn::Key(key.name.as_ref().to_owned(), key.thumbprints.clone()),
            },
            at_ms: revocation.ordered_at.as_millis(),
            until_ms: revocation.keep_until.map(UnixTime::as_millis),
            reason: revocation.reason.clone(),
        }
    }

    fn read(self) -> io::Result<Revocation> {
        Ok(Revocation {
            vendor: vendor(&self.vendor)?,
            target: match self.what {
                RevokedColumn::Token(id) => RevocationTarget::Token(Arc::from(id)),
                RevokedColumn::Client(client) => RevocationTarget::Client(ClientId::new(&client)),
                RevokedColumn::IssuedBefore(millis) => RevocationTarget::IssuedBefore(UnixTime::from_millis(millis)),
                RevokedColumn::Key(name, thumbprints) => {
                    RevocationTarget::Key(DistrustedKey { name: Arc::from(name), thumbprints })
                }
            },
            ordered_at: UnixTime::from_millis(self.at_ms),
            keep_until: self.until_ms.map(UnixTime::from_millis),
            reason: self.reason,
        })
    }
}

fn rows<R: StoreRow>(store: &Store) -> io::Result<Vec<R>> {
    let found: Result<Vec<(Vec<u8>, R)>, StoreError> = store.range(&[], None, usize::MAX);
    Ok(found.map_err(io::Error::other)?.into_iter().map(|(_, row)| row).collect())
}

fn vendor(text: &str) -> io::Result<VendorId> {
    VendorId::parse(text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Parts with their lengths in front, so that two keys are equal only if all their parts are.
fn key(parts: &[&str]) -> Vec<u8> {
    parts.iter().flat_map(|part| (part.len() as u64).to_be_bytes().into_iter().chain(part.bytes())).collect()
}

fn revocation_key(revocation: &Revocation) -> Vec<u8> {
    let vendor = revocation.vendor.as_str();
    match &revocation.target {
        RevocationTarget::Token(id) => key(&[vendor, "token", id]),
        RevocationTarget::Client(client) => key(&[vendor, "client", client.as_str()]),
        RevocationTarget::IssuedBefore(time) => key(&[vendor, "issued_before", &time.as_millis().to_string()]),
        RevocationTarget::Key(name) => key(&[vendor, "key", &name.name]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_identity_are_loaded_as_they_were_saved() {
        let durable = IdentityStore(Store::in_memory().unwrap());
        let vendor = VendorId::parse("acme").unwrap();
        let at = UnixTime::from_secs(1_000);
        let records = [
            RotationRecord::Client {
                vendor: vendor.clone(),
                client: ClientId::new("a"),
                newest: at,
                since: at,
                floor: at,
            },
            RotationRecord::Key { thumbprint: [7; 32], first_seen: at },
        ];
        records.iter().for_each(|record| RotationStore::save(&durable, record.clone()));
        for what in [
            RevocationTarget::Token("jti-1".into()),
            RevocationTarget::Client(ClientId::new("a")),
            RevocationTarget::IssuedBefore(UnixTime::from_secs(9)),
            RevocationTarget::Key(DistrustedKey { name: "k1".into(), thumbprints: vec![[3; 32]] }),
        ] {
            let revocation = Revocation {
                vendor: vendor.clone(),
                target: what,
                ordered_at: at,
                keep_until: Some(at),
                reason: "leaked".to_owned(),
            };
            RevocationStore::save(&durable, &revocation).unwrap();
            assert!(RevocationStore::load(&durable).unwrap().contains(&revocation));
            if matches!(revocation.target, RevocationTarget::Key(_)) {
                RevocationStore::lift(&durable, &revocation).unwrap();
            } else {
                durable.forget(&revocation);
            }
        }
        // A blocking write comes after all that were queued before it.
        durable.0.write_blocking(WriteBatch::new()).unwrap();
        assert_eq!(RotationStore::load(&durable).unwrap(), records);
        assert_eq!(RevocationStore::load(&durable).unwrap(), []);
    }
}
