//! What identity must remember, in the embedded store: newest tokens, first sights of keys, revocations.
//!
//! A store that cannot be read is an error, never an empty memory.

use std::io;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::identity::{DistrustedKey, MarkRecord, Marks, Revocation, RevocationStore, Revoked};
use crate::model::{ClientId, UnixTime, VendorId};
use crate::store::{Batch, Row, Store, StoreError, Table};

/// Identity's memory in the store.
#[derive(Debug, Clone)]
pub(super) struct Durable(pub(super) Store);

#[derive(Debug, Serialize, Deserialize)]
struct ClientRow {
    vendor: String,
    client: String,
    newest_ms: u64,
    since_ms: u64,
    floor_ms: u64,
}

impl Row for ClientRow {
    const TABLE: Table = Table::ROTATION_MARKS;
    const VERSION: u8 = 1;
}

#[derive(Debug, Serialize, Deserialize)]
struct KeyRow {
    thumbprint: [u8; 32],
    first_seen_ms: u64,
}

impl Row for KeyRow {
    const TABLE: Table = Table::SIGNING_KEYS;
    const VERSION: u8 = 1;
}

#[derive(Debug, Serialize, Deserialize)]
struct RevocationRow {
    vendor: String,
    what: What,
    at_ms: u64,
    until_ms: Option<u64>,
    reason: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    Token(String),
    Client(String),
    IssuedBefore(u64),
    Key(String, Vec<[u8; 32]>),
}

impl Row for RevocationRow {
    const TABLE: Table = Table::REVOCATIONS;
    const VERSION: u8 = 1;
}

impl Marks for Durable {
    fn load(&self) -> io::Result<Vec<MarkRecord>> {
        let clients = rows::<ClientRow>(&self.0)?.into_iter().map(|row| {
            Ok(MarkRecord::Client {
                vendor: vendor(&row.vendor)?,
                client: ClientId::new(&row.client),
                newest: UnixTime::from_millis(row.newest_ms),
                since: UnixTime::from_millis(row.since_ms),
                floor: UnixTime::from_millis(row.floor_ms),
            })
        });
        let keys = rows::<KeyRow>(&self.0)?.into_iter().map(|row| {
            let first_seen = UnixTime::from_millis(row.first_seen_ms);
            Ok(MarkRecord::Key { thumbprint: row.thumbprint, first_seen })
        });
        clients.chain(keys).collect()
    }

    fn save(&self, record: MarkRecord) {
        let mut batch = Batch::new();
        let put = match &record {
            MarkRecord::Client { vendor, client, newest, since, floor } => {
                let row = ClientRow {
                    vendor: vendor.as_str().to_owned(),
                    client: client.as_str().to_owned(),
                    newest_ms: newest.as_millis(),
                    since_ms: since.as_millis(),
                    floor_ms: floor.as_millis(),
                };
                batch.put(&key(&[vendor.as_str(), client.as_str()]), &row)
            }
            MarkRecord::Key { thumbprint, first_seen } => {
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
        let mut batch = Batch::new();
        batch.delete(KeyRow::TABLE, &thumbprint);
        drop(self.0.write(batch));
    }
}

impl RevocationStore for Durable {
    fn load(&self) -> io::Result<Vec<Revocation>> {
        rows::<RevocationRow>(&self.0)?.into_iter().map(RevocationRow::read).collect()
    }

    fn save(&self, revocation: &Revocation) -> io::Result<()> {
        let mut batch = Batch::new();
        batch.put(&revocation_key(revocation), &RevocationRow::of(revocation)).map_err(io::Error::other)?;
        self.0.write_blocking(batch).map_err(io::Error::other)
    }

    fn lift(&self, revocation: &Revocation) -> io::Result<()> {
        let mut batch = Batch::new();
        batch.delete(Table::REVOCATIONS, &revocation_key(revocation));
        self.0.write_blocking(batch).map_err(io::Error::other)
    }

    fn forget(&self, revocation: &Revocation) {
        let mut batch = Batch::new();
        batch.delete(Table::REVOCATIONS, &revocation_key(revocation));
        drop(self.0.write(batch));
    }
}

impl RevocationRow {
    fn of(revocation: &Revocation) -> Self {
        Self {
            vendor: revocation.vendor.as_str().to_owned(),
            what: match &revocation.what {
                Revoked::Token(id) => What::Token(id.as_ref().to_owned()),
                Revoked::Client(client) => What::Client(client.as_str().to_owned()),
                Revoked::IssuedBefore(time) => What::IssuedBefore(time.as_millis()),
                Revoked::Key(key) => What::Key(key.name.as_ref().to_owned(), key.thumbprints.clone()),
            },
            at_ms: revocation.at.as_millis(),
            until_ms: revocation.until.map(UnixTime::as_millis),
            reason: revocation.reason.clone(),
        }
    }

    fn read(self) -> io::Result<Revocation> {
        Ok(Revocation {
            vendor: vendor(&self.vendor)?,
            what: match self.what {
                What::Token(id) => Revoked::Token(Arc::from(id)),
                What::Client(client) => Revoked::Client(ClientId::new(&client)),
                What::IssuedBefore(millis) => Revoked::IssuedBefore(UnixTime::from_millis(millis)),
                What::Key(name, thumbprints) => Revoked::Key(DistrustedKey { name: Arc::from(name), thumbprints }),
            },
            at: UnixTime::from_millis(self.at_ms),
            until: self.until_ms.map(UnixTime::from_millis),
            reason: self.reason,
        })
    }
}

fn rows<R: Row>(store: &Store) -> io::Result<Vec<R>> {
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
    match &revocation.what {
        Revoked::Token(id) => key(&[vendor, "token", id]),
        Revoked::Client(client) => key(&[vendor, "client", client.as_str()]),
        Revoked::IssuedBefore(time) => key(&[vendor, "issued_before", &time.as_millis().to_string()]),
        Revoked::Key(name) => key(&[vendor, "key", &name.name]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_loaded() {
        let durable = Durable(Store::in_memory().unwrap());
        let vendor = VendorId::parse("acme").unwrap();
        let at = UnixTime::from_secs(1_000);
        let records = [
            MarkRecord::Client { vendor: vendor.clone(), client: ClientId::new("a"), newest: at, since: at, floor: at },
            MarkRecord::Key { thumbprint: [7; 32], first_seen: at },
        ];
        records.iter().for_each(|record| Marks::save(&durable, record.clone()));
        for what in [
            Revoked::Token("jti-1".into()),
            Revoked::Client(ClientId::new("a")),
            Revoked::IssuedBefore(UnixTime::from_secs(9)),
            Revoked::Key(DistrustedKey { name: "k1".into(), thumbprints: vec![[3; 32]] }),
        ] {
            let revocation =
                Revocation { vendor: vendor.clone(), what, at, until: Some(at), reason: "leaked".to_owned() };
            RevocationStore::save(&durable, &revocation).unwrap();
            assert!(RevocationStore::load(&durable).unwrap().contains(&revocation));
            if matches!(revocation.what, Revoked::Key(_)) {
                RevocationStore::lift(&durable, &revocation).unwrap();
            } else {
                durable.forget(&revocation);
            }
        }
        // A blocking write stands behind all that were queued before it.
        durable.0.write_blocking(Batch::new()).unwrap();
        assert_eq!(Marks::load(&durable).unwrap(), records);
        assert_eq!(RevocationStore::load(&durable).unwrap(), []);
    }
}
