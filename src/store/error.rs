//! Errors of the store, distinguished by what the caller must do about them.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::table::RowError;

/// Why state could not be opened, read or written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Another process holds the folder: two gateways must not share one.
    #[error("state folder {path} is in use by another process")]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The folder cannot be made, locked or listed.
    #[error("state folder {path} cannot be prepared")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        source: Arc<io::Error>,
    },
    /// The file exists and is not an intact database.
    #[error("state file {path} is torn or unreadable")]
    Torn {
        /// The file.
        path: PathBuf,
        /// The engine's error; `None` where it panicked.
        source: Option<Arc<redb::Error>>,
    },
    /// The file existed before and is gone, which must not be taken for a first start.
    #[error("state file {path} existed before and is gone")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A newer program wrote the file, or none of ours did.
    #[error("state has schema {found}, and this program reads schema {known}")]
    Schema {
        /// What the file says.
        found: String,
        /// What this program reads.
        known: u32,
    },
    /// A row is not what its owner wrote.
    #[error("a row of table {table} cannot be read")]
    Row {
        /// The table.
        table: &'static str,
        /// What the cause was.
        source: Arc<RowError>,
    },
    /// The engine failed to read.
    #[error("state cannot be read")]
    Read(#[source] Arc<redb::Error>),
    /// The engine failed to write, as on a full disk. Nothing of the batch counts as written.
    #[error("state cannot be written")]
    Write(#[source] Arc<redb::Error>),
    /// More batches wait than the bound allows; the disk is slower than the traffic.
    #[error("too many writes to state are waiting")]
    Busy,
    /// The writer is gone, or the file is closed after an error and could not be opened again.
    #[error("state is closed")]
    Closed,
}

impl StoreError {
    /// Whether this says that existing state cannot be trusted: start with every vendor killed. False only for
    /// [`StoreError::InUse`], after which a second process must not start at all, and for errors of later writes.
    pub const fn is_unreadable(&self) -> bool {
        match self {
            Self::Folder { .. }
            | Self::Torn { .. }
            | Self::Missing { .. }
            | Self::Schema { .. }
            | Self::Row { .. }
            | Self::Read(_) => true,
            Self::InUse { .. } | Self::Write(_) | Self::Busy | Self::Closed => false,
        }
    }

    pub(super) fn read(error: impl Into<redb::Error>) -> Self {
        Self::Read(Arc::new(error.into()))
    }

    pub(super) fn write(error: impl Into<redb::Error>) -> Self {
        Self::Write(Arc::new(error.into()))
    }
}
