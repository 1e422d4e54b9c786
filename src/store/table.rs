//! Tables, rows and batches: the interface of the store to other rooms.
//!
//! A row is one version byte and JSON: readable with ordinary tools in an incident, and cheap enough for what is
//! written here. A version that the program does not know is an error, never a default.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::words;

words! {
    /// A named table of byte keys. The list is closed so that two rooms can never share one by accident.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum StoreTable {
        /// The version of the schema.
        Meta = "meta",
        /// Kills by vendor, with who, why and the evidence.
        Kills = "kills",
        /// Kills to come, by time.
        ScheduledKills = "scheduled_kills",
        /// The last drill of each vendor.
        Drills = "drills",
        /// Events that hooks are still to be called for, in order.
        HookQueue = "hook_queue",
        /// Revoked tokens, clients and times of issue.
        Revocations = "revocations",
        /// The newest `iat` that each client has used.
        RotationMarks = "rotation_marks",
        /// When each signing key was first seen.
        SigningKeys = "signing_keys",
        /// What is used of each budget window.
        Budgets = "budgets",
        /// What this gateway knows of the engine that grants it leases.
        FleetLeases = "fleet_leases",
        /// Exposure by vendor, route, field and hour.
        Exposure = "exposure",
        /// What was seen of each vendor's calls, by pattern.
        Observations = "observations",
        /// What is usual of each vendor at each hour of the week.
        Anomalies = "anomalies",
        /// What each contract matched when it was last in force: its routes, its clients, and how many must approve a
        /// restore.
        Contracts = "contracts",
        /// Since when each operator has had its role and token.
        Operators = "operators",
        /// The age of secrets by which vendors know us, and refresh tokens, which are sealed.
        Credentials = "credentials",
        /// What the gateways of a fleet share, by key.
        Fleet = "fleet",
    }
}

/// A typed row: it knows its table and the version it is written in.
pub trait StoreRow: Serialize + DeserializeOwned {
    /// Where rows of this type live.
    const TABLE: StoreTable;
    /// The version that this program writes; raised when the format changes.
    const VERSION: u8 = 1;

    /// Reads a row of an older version. The default knows none.
    ///
    /// # Errors
    /// [`RowError::Version`] for versions that this program does not read.
    fn upgrade(version: u8, _json: &[u8]) -> Result<Self, RowError> {
        Err(RowError::Version { found: version, known: Self::VERSION })
    }
}

/// Why bytes are not a row, or a row cannot be encoded.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// Written by another version of this program.
    #[error("row has version {found}, and this program reads {known}")]
    Version {
        /// What the row says.
        found: u8,
        /// What this program reads.
        known: u8,
    },
    /// There are no bytes, so no version.
    #[error("row is empty")]
    Empty,
    /// Not the JSON of this type.
    #[error("row is not what its table holds")]
    Json(#[from] serde_json::Error),
}

/// A row as the bytes that are stored.
///
/// # Errors
/// [`RowError::Json`] where the type has no JSON form, such as a map with keys that are no text.
pub fn encode<R: StoreRow>(row: &R) -> Result<Vec<u8>, RowError> {
    let mut bytes = vec![R::VERSION];
    serde_json::to_writer(&mut bytes, row)?;
    Ok(bytes)
}

/// Stored bytes as the row that they are.
///
/// # Errors
/// [`RowError`] when they are not one.
pub fn decode<R: StoreRow>(bytes: &[u8]) -> Result<R, RowError> {
    let (version, json) = bytes.split_first().ok_or(RowError::Empty)?;
    if *version == R::VERSION { Ok(serde_json::from_slice(json)?) } else { R::upgrade(*version, json) }
}

/// Changes that happen together or not at all, across any tables.
#[derive(Debug, Default, Clone)]
pub struct WriteBatch {
    pub(super) changes: Vec<RowChange>,
}

#[derive(Debug, Clone)]
pub(super) enum RowChange {
    Put { table: StoreTable, key: Vec<u8>, value: Vec<u8> },
    Delete { table: StoreTable, key: Vec<u8> },
}

impl WriteBatch {
    /// A batch without changes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a row.
    ///
    /// # Errors
    /// [`RowError::Json`] as [`encode`] has it.
    pub fn put<R: StoreRow>(&mut self, key: &[u8], row: &R) -> Result<(), RowError> {
        let value = encode(row)?;
        self.put_bytes(R::TABLE, key, value);
        Ok(())
    }

    /// Sets opaque bytes, for owners with an encoding of their own.
    pub fn put_bytes(&mut self, table: StoreTable, key: &[u8], value: Vec<u8>) {
        self.changes.push(RowChange::Put { table, key: key.to_vec(), value });
    }

    /// Removes a key; one that is not there is no error.
    pub fn delete(&mut self, table: StoreTable, key: &[u8]) {
        self.changes.push(RowChange::Delete { table, key: key.to_vec() });
    }

    /// Whether there are no changes.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
    struct Mark {
        newest: u64,
    }

    impl StoreRow for Mark {
        const TABLE: StoreTable = StoreTable::RotationMarks;
        const VERSION: u8 = 2;

        fn upgrade(version: u8, json: &[u8]) -> Result<Self, RowError> {
            match version {
                1 => Ok(Self { newest: serde_json::from_slice(json)? }),
                found => Err(RowError::Version { found, known: Self::VERSION }),
            }
        }
    }

    #[test]
    fn rows_carry_their_version() {
        let bytes = encode(&Mark { newest: 7 }).unwrap();
        assert_eq!(bytes, b"\x02{\"newest\":7}");
        assert_eq!(decode::<Mark>(&bytes).unwrap(), Mark { newest: 7 });
        assert_eq!(decode::<Mark>(b"\x017").unwrap(), Mark { newest: 7 }, "an older version is upgraded");
    }

    #[test]
    fn what_is_not_a_row_is_an_error() {
        for bytes in [&b""[..], b"\x02", b"\x02{}", b"\x02{\"newest\":-1}", b"\x03{\"newest\":7}"] {
            assert!(decode::<Mark>(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn table_names_are_unique() {
        let names: std::collections::BTreeSet<_> = StoreTable::ALL.iter().map(|t| t.as_str()).collect();
        assert_eq!(names.len(), StoreTable::ALL.len());
    }
}
