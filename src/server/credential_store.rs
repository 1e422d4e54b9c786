//! What credentials remember in the embedded store: the age of secrets, and refresh tokens, which are sealed.

use std::io;

use crate::credentials::CredentialStore;
use crate::store::{Store, StoreTable, WriteBatch};

/// The memory of credentials in the store.
#[derive(Debug, Clone)]
pub(super) struct StoredCredentials(pub(super) Store);

impl CredentialStore for StoredCredentials {
    fn load(&self, key: &str) -> io::Result<Option<Vec<u8>>> {
        self.0.get_bytes(StoreTable::Credentials, key.as_bytes()).map_err(io::Error::other)
    }

    fn save(&self, key: &str, value: &[u8]) -> io::Result<()> {
        self.0.write_blocking(one(key, value)).map_err(io::Error::other)
    }

    fn remember(&self, key: &str, value: &[u8]) {
        // Written within milliseconds by the store's own thread.
        drop(self.0.write(one(key, value)));
    }
}

fn one(key: &str, value: &[u8]) -> WriteBatch {
    let mut batch = WriteBatch::new();
    batch.put_bytes(StoreTable::Credentials, key.as_bytes(), value.to_vec());
    batch
}
