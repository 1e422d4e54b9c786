//! The writer thread, with group commit: all waiting batches are committed together.
//!
//! A synced commit costs milliseconds whether it holds one row or a hundred, so the thread takes everything that has
//! arrived since the last one. After an engine error it opens the file again before the next group, so that writing
//! works again once a full disk has room. A request never waits: a caller gets a [`WriteAck`] at once.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use redb::{Database, TableDefinition, WriteTransaction};
use tokio::sync::oneshot;

use super::embedded::ReopeningDatabase;
use super::error::StoreError;
use super::table::{RowChange, WriteBatch};
use crate::bounds::STORE_GROUP_MAX;

/// A batch, and the caller that waits for it.
pub(super) struct WriteJob {
    pub(super) batch: WriteBatch,
    pub(super) done: oneshot::Sender<Result<(), StoreError>>,
}

/// Resolves when the batch is durable, or has failed. Dropping it cancels nothing.
#[derive(Debug)]
#[must_use = "a write is durable only when its ack resolves; drop it on purpose where that does not matter"]
pub struct WriteAck(pub(super) oneshot::Receiver<Result<(), StoreError>>);

impl WriteAck {
    /// Waits on this thread. Only for threads that serve no requests: start-up, tests and command-line verbs.
    ///
    /// # Errors
    /// As the future has them.
    pub fn wait(self) -> Result<(), StoreError> {
        let waker = Waker::from(Arc::new(ThreadWaker(std::thread::current())));
        let mut ack = pin!(self);
        loop {
            match ack.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(result) => return result,
                Poll::Pending => std::thread::park(),
            }
        }
    }

    pub(super) fn failed(error: StoreError) -> Self {
        let (done, ack) = oneshot::channel();
        // The receiver exists, so this cannot fail.
        let _ = done.send(Err(error));
        Self(ack)
    }
}

impl Future for WriteAck {
    type Output = Result<(), StoreError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|got| got.unwrap_or(Err(StoreError::Closed)))
    }
}

struct ThreadWaker(Thread);

impl Wake for ThreadWaker {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Writes until every sender is gone.
pub(super) fn run(jobs: &Receiver<WriteJob>, disk: &ReopeningDatabase) {
    let mut group = Vec::new();
    while let Ok(first) = jobs.recv() {
        group.push(first);
        while group.len() < STORE_GROUP_MAX {
            let Ok(next) = jobs.try_recv() else { break };
            group.push(next);
        }
        let result = write_group(disk, &group);
        for job in group.drain(..) {
            // A caller that dropped its ack does not need the result.
            let _ = job.done.send(result.clone());
        }
    }
}

fn write_group(disk: &ReopeningDatabase, group: &[WriteJob]) -> Result<(), StoreError> {
    let result = disk.with(|database| commit(database, group.iter().map(|job| &job.batch)).map_err(StoreError::write));
    if result.is_err() {
        disk.close();
    }
    result
}

/// One transaction with every change of the batches, synced.
pub(super) fn commit<'a>(
    database: &Database,
    batches: impl Iterator<Item = &'a WriteBatch>,
) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    for change in batches.flat_map(|batch| &batch.changes) {
        apply(&transaction, change)?;
    }
    transaction.commit()?;
    Ok(())
}

fn apply(transaction: &WriteTransaction, change: &RowChange) -> Result<(), redb::Error> {
    match change {
        RowChange::Put { table, key, value } => {
            transaction.open_table(definition(table.as_str()))?.insert(key.as_slice(), value.as_slice())?;
        }
        RowChange::Delete { table, key } => {
            transaction.open_table(definition(table.as_str()))?.remove(key.as_slice())?;
        }
    }
    Ok(())
}

pub(super) const fn definition(name: &str) -> TableDefinition<'_, &'static [u8], &'static [u8]> {
    TableDefinition::new(name)
}
