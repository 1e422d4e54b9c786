//! The durable tables in one redb file, behind a type of our own, so that the engine can be replaced.
//!
//! A read goes to the newest committed state and takes about a microsecond; writes go through one thread. Opening
//! verifies the checksum of every page, which redb does not do by default. A damaged file is never replaced by an empty
//! one.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, RwLock};
use std::thread::{Builder, JoinHandle};

use redb::backends::InMemoryBackend;
use redb::{Database, DatabaseError, ReadTransaction, ReadableDatabase, StorageBackend, TableError};

use super::error::StoreError;
use super::folder::{FolderContent, StateFolder};
use super::table::{StoreRow, StoreTable, WriteBatch, decode};
use super::writer::{self, WriteAck, WriteJob, definition};
use crate::bounds::{STORE_CACHE_BYTES, STORE_QUEUE_MAX};
use crate::model::ReadWriteLock as _;

/// The schema of the file: the set of tables and how keys are built.
const SCHEMA: u32 = 1;
const SCHEMA_KEY: &[u8] = b"schema";

/// Opens the database: at the start, and again after an engine error.
pub type DatabaseOpener = Box<dyn Fn() -> Result<Database, DatabaseError> + Send + Sync>;

/// A key and its value.
pub type KeyAndValue = (Vec<u8>, Vec<u8>);

/// The durable tables. A handle: clones share one file and one writer.
#[derive(Clone)]
pub struct Store(Arc<StoreInner>);

struct StoreInner {
    disk: Arc<ReopeningDatabase>,
    jobs: Option<SyncSender<WriteJob>>,
    writer: Option<JoinHandle<()>>,
    durable: bool,
    /// Keeps the folder locked for as long as any handle lives.
    _folder: Option<StateFolder>,
}

impl Store {
    /// Opens, or on a first start makes, the state in a folder.
    ///
    /// # Errors
    /// [`StoreError`]; where [`StoreError::is_unreadable`], the caller starts with every vendor killed.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let folder = StateFolder::lock(path)?;
        if folder.inspect()? == FolderContent::Nothing {
            initialize(&folder)?;
        }
        let file = folder.database();
        let target = file.clone();
        let disk = ReopeningDatabase::open(Box::new(move || engine().open(&target)), &file)?;
        disk.with(check_schema)?;
        folder.mark()?;
        Self::start(disk, true, Some(folder))
    }

    /// Whether a folder holds state, intact or not. Changes nothing.
    pub fn is_in(path: &Path) -> bool {
        StateFolder::is_state(path)
    }

    /// State in memory: for tests, and for a demo that writes nothing.
    ///
    /// # Errors
    /// [`StoreError`] when no thread can be started.
    pub fn in_memory() -> Result<Self, StoreError> {
        let memory = Arc::new(InMemoryBackend::new());
        Self::with_opener(Box::new(move || engine().create_with_backend(LastingMemory(Arc::clone(&memory)))))
    }

    /// State on the caller's backend, which counts as not durable. Tests inject faults with it.
    ///
    /// # Errors
    /// [`StoreError`] when the backend cannot be opened.
    pub fn with_opener(opener: DatabaseOpener) -> Result<Self, StoreError> {
        Self::start(ReopeningDatabase::open(opener, Path::new("memory"))?, false, None)
    }

    /// Whether what is acknowledged survives the process.
    pub fn is_durable(&self) -> bool {
        self.0.durable
    }

    /// Hands a batch to the writer. It is applied whole or not at all, in the order of the calls.
    pub fn write(&self, batch: WriteBatch) -> WriteAck {
        let (done, ack) = tokio::sync::oneshot::channel();
        let Some(jobs) = &self.0.jobs else { return WriteAck::failed(StoreError::Closed) };
        match jobs.try_send(WriteJob { batch, done }) {
            Ok(()) => WriteAck(ack),
            Err(TrySendError::Full(_)) => WriteAck::failed(StoreError::Busy),
            Err(TrySendError::Disconnected(_)) => WriteAck::failed(StoreError::Closed),
        }
    }

    /// Writes and waits on this thread: see [`WriteAck::wait`].
    ///
    /// # Errors
    /// [`StoreError`] when the batch is not durable.
    pub fn write_blocking(&self, batch: WriteBatch) -> Result<(), StoreError> {
        self.write(batch).wait()
    }

    /// Number of groups of writes that failed since the start, for the metric.
    pub fn write_errors(&self) -> u64 {
        self.0.disk.errors.load(Ordering::Relaxed)
    }

    /// One row.
    ///
    /// # Errors
    /// [`StoreError`] when the file or the row cannot be read.
    pub fn get<R: StoreRow>(&self, key: &[u8]) -> Result<Option<R>, StoreError> {
        self.get_bytes(R::TABLE, key)?.map(|bytes| row(&bytes)).transpose()
    }

    /// One value as bytes.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn get_bytes(&self, table: StoreTable, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(table) = self.0.disk.with(|database| open_table(&read(database)?, table))? else { return Ok(None) };
        let value = table.get(key).map_err(StoreError::read)?;
        Ok(value.map(|value| value.value().to_vec()))
    }

    /// Rows with `from <= key`, and `key < to` where given, in order of the keys; at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] when the file or a row cannot be read: one bad row fails the whole, since a table of kills
    /// with one missing is worse than none.
    pub fn range<R: StoreRow>(
        &self,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, R)>, StoreError> {
        let found = self.range_bytes(R::TABLE, from, to, limit)?;
        found.into_iter().map(|(key, bytes)| Ok((key, row(&bytes)?))).collect()
    }

    /// [`Store::range`] as bytes.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn range_bytes(
        &self,
        table: StoreTable,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<KeyAndValue>, StoreError> {
        let Some(table) = self.0.disk.with(|database| open_table(&read(database)?, table))? else {
            return Ok(Vec::new());
        };
        let entries = match to {
            Some(to) if from >= to => return Ok(Vec::new()),
            Some(to) => table.range(from..to),
            None => table.range(from..),
        };
        let copied = entries.map_err(StoreError::read)?.take(limit).map(|entry| {
            let (key, value) = entry.map_err(StoreError::read)?;
            Ok((key.value().to_vec(), value.value().to_vec()))
        });
        copied.collect()
    }

    fn start(disk: ReopeningDatabase, durable: bool, folder: Option<StateFolder>) -> Result<Self, StoreError> {
        let disk = Arc::new(disk);
        let (jobs, queue) = sync_channel(STORE_QUEUE_MAX);
        let theirs = Arc::clone(&disk);
        let writer = Builder::new()
            .name("store".to_owned())
            .spawn(move || writer::run(&queue, &theirs))
            .map_err(|error| StoreError::read(redb::Error::Io(error)))?;
        Ok(Self(Arc::new(StoreInner { disk, jobs: Some(jobs), writer: Some(writer), durable, _folder: folder })))
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("durable", &self.0.durable).finish_non_exhaustive()
    }
}

/// Lets the writer finish its queue, so that the file is closed when the last handle is dropped.
impl Drop for StoreInner {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(writer) = self.writer.take() {
            // After a panic of the writer there is nothing left to finish.
            let _ = writer.join();
        }
    }
}

/// The open database, which an engine error closes until it can be opened again.
pub(super) struct ReopeningDatabase {
    database: RwLock<Option<Database>>,
    errors: AtomicU64,
    opener: DatabaseOpener,
}

impl ReopeningDatabase {
    fn open(opener: DatabaseOpener, path: &Path) -> Result<Self, StoreError> {
        // The engine returns errors, but in debug builds it also panics on states that it believes impossible.
        let opened = catch_unwind(AssertUnwindSafe(&opener));
        let torn = |source| StoreError::Torn { path: path.to_owned(), source };
        let database = opened.map_err(|_| torn(None))?.map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => StoreError::InUse { path: path.to_owned() },
            error => torn(Some(Arc::new(error.into()))),
        })?;
        Ok(Self { database: RwLock::new(Some(database)), errors: AtomicU64::new(0), opener })
    }

    /// Calls `work` with the open database; opens it again first where an error has closed it.
    pub(super) fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, StoreError>) -> Result<T, StoreError> {
        if let Some(database) = &*self.database.read_locked() {
            return work(database);
        }
        self.reopen_if_closed()?;
        let database = self.database.read_locked();
        work(database.as_ref().ok_or(StoreError::Closed)?)
    }

    /// After an error the engine refuses everything until the file is opened anew.
    pub(super) fn close(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        *self.database.write_locked() = None;
    }

    fn reopen_if_closed(&self) -> Result<(), StoreError> {
        let mut database = self.database.write_locked();
        if database.is_none() {
            let opened = catch_unwind(AssertUnwindSafe(&self.opener)).map_err(|_| StoreError::Closed)?;
            *database = Some(opened.map_err(StoreError::write)?);
        }
        Ok(())
    }
}

/// Memory that outlives the database on top of it, so that it can be opened again.
#[derive(Debug)]
struct LastingMemory(Arc<InMemoryBackend>);

impl StorageBackend for LastingMemory {
    fn len(&self) -> std::io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> std::io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.0.write(offset, data)
    }
}

fn engine() -> redb::Builder {
    let mut engine = Database::builder();
    engine.set_cache_size(STORE_CACHE_BYTES).set_check_integrity_on_open(true);
    engine
}

fn initialize(folder: &StateFolder) -> Result<(), StoreError> {
    let path = folder.begin()?;
    let database = engine().create(&path).map_err(StoreError::write)?;
    write_schema(&database).map_err(StoreError::write)?;
    drop(database);
    folder.finish()
}

fn write_schema(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(definition(StoreTable::Meta.as_str()))?.insert(SCHEMA_KEY, SCHEMA.to_string().as_bytes())?;
    transaction.commit()?;
    Ok(())
}

fn check_schema(database: &Database) -> Result<(), StoreError> {
    let found = match open_table(&read(database)?, StoreTable::Meta)? {
        Some(table) => table.get(SCHEMA_KEY).map_err(StoreError::read)?.map(|value| value.value().to_vec()),
        None => None,
    };
    let found = String::from_utf8_lossy(&found.unwrap_or_default()).into_owned();
    if found == SCHEMA.to_string() { Ok(()) } else { Err(StoreError::Schema { found, known: SCHEMA }) }
}

fn read(database: &Database) -> Result<ReadTransaction, StoreError> {
    database.begin_read().map_err(StoreError::read)
}

type OpenTable = redb::ReadOnlyTable<&'static [u8], &'static [u8]>;

/// Opens a table; `None` for one that was never written to, which counts as empty.
fn open_table(transaction: &ReadTransaction, table: StoreTable) -> Result<Option<OpenTable>, StoreError> {
    match transaction.open_table(definition(table.as_str())) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(StoreError::read(error)),
    }
}

fn row<R: StoreRow>(bytes: &[u8]) -> Result<R, StoreError> {
    decode(bytes).map_err(|error| StoreError::Row { table: R::TABLE.as_str(), source: Arc::new(error) })
}
