//! The state folder: readable by its owner only, locked against a second process, and never mistaken for a new one.
//!
//! The database is built under another name and renamed once it is complete, and a marker file is left beside it. So a
//! damaged file was intact once, and a marker without a file means that state was lost: neither is a first start.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::StoreError;

const DATABASE: &str = "state.redb";
const UNFINISHED: &str = "state.redb.new";
const MARKER: &str = "state.initialized";
const LOCK: &str = "lock";

/// A locked state folder. The lock ends with this value, or with the process, however that ends.
#[derive(Debug)]
pub(super) struct StateFolder {
    path: PathBuf,
    _lock: File,
}

/// The content of a folder.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FolderContent {
    /// No state was ever here.
    Nothing,
    /// A database, intact or not.
    Database,
}

impl StateFolder {
    /// Locks the folder, and makes it first where there is none. An existing folder keeps its permissions: a mounted
    /// volume belongs to its orchestrator.
    pub(super) fn lock(path: &Path) -> Result<Self, StoreError> {
        let failed = |source: io::Error| StoreError::Folder { path: path.to_owned(), source: Arc::new(source) };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let lock = private_file(&path.join(LOCK)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// Whether a folder was ever used as a state folder.
    pub(super) fn is_state(path: &Path) -> bool {
        path.join(DATABASE).exists() || path.join(MARKER).exists()
    }

    pub(super) fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// Tells a first start from existing state.
    pub(super) fn inspect(&self) -> Result<FolderContent, StoreError> {
        let file = self.exists(DATABASE)?;
        let marker = self.exists(MARKER)?;
        match (file, marker) {
            (true, _) => Ok(FolderContent::Database),
            (false, true) => Err(StoreError::Missing { path: self.database() }),
            (false, false) => Ok(FolderContent::Nothing),
        }
    }

    /// Where a new database is built, empty and private.
    pub(super) fn begin(&self) -> Result<PathBuf, StoreError> {
        let path = self.path.join(UNFINISHED);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(self.failed(error)),
            Ok(()) | Err(_) => {}
        }
        private_file(&path).map_err(|error| self.failed(error))?;
        Ok(path)
    }

    /// Gives the new database its name, durably.
    pub(super) fn finish(&self) -> Result<(), StoreError> {
        fs::rename(self.path.join(UNFINISHED), self.database())
            .and_then(|()| self.sync())
            .map_err(|error| self.failed(error))
    }

    /// Makes the marker file, durably.
    pub(super) fn mark(&self) -> Result<(), StoreError> {
        if self.exists(MARKER)? {
            return Ok(());
        }
        private_file(&self.path.join(MARKER))
            .and_then(|file| file.sync_all())
            .and_then(|()| self.sync())
            .map_err(|error| self.failed(error))
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    fn exists(&self, name: &str) -> Result<bool, StoreError> {
        self.path.join(name).try_exists().map_err(|error| self.failed(error))
    }

    fn failed(&self, source: io::Error) -> StoreError {
        StoreError::Folder { path: self.path.clone(), source: Arc::new(source) }
    }
}

fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}
