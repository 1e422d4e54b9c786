//! A store on a disk that is full for as long as a test wants.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::backends::InMemoryBackend;
use redb::{Database, StorageBackend};

use super::Store;

/// A store on such a disk.
pub(crate) fn store(full: &Arc<AtomicBool>) -> Store {
    let memory = Arc::new(InMemoryBackend::new());
    let full = Arc::clone(full);
    let open = move || Database::builder().create_with_backend(Faulty(Arc::clone(&memory), Arc::clone(&full)));
    Store::with_opener(Box::new(open)).unwrap()
}

#[derive(Debug)]
struct Faulty(Arc<InMemoryBackend>, Arc<AtomicBool>);

impl Faulty {
    fn room(&self) -> std::io::Result<()> {
        let full = self.1.load(Ordering::SeqCst);
        if full { Err(std::io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl StorageBackend for Faulty {
    fn len(&self) -> std::io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.room()?;
        self.0.set_len(len)
    }

    fn sync_data(&self) -> std::io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.room()?;
        self.0.write(offset, data)
    }
}
