//! The number of sockets that the pools of all vendors share. It follows from the number of file descriptors, which
//! callers' connections use too.
//!
//! When no socket is left, the idle connections of all pools are closed, since an idle connection only saves a
//! handshake.

use std::sync::{Arc, Mutex, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::shard::PoolShard;
use crate::model::Lock as _;

/// The right to open one socket, given back when this is dropped.
#[derive(Debug)]
pub(super) struct SocketPermit {
    _own: OwnedSemaphorePermit,
    _shared: OwnedSemaphorePermit,
}

/// The sockets that all pools share.
#[derive(Debug)]
pub struct SocketBudget {
    free: Arc<Semaphore>,
    /// The descriptors that callers' connections share with these sockets.
    shared: Arc<Semaphore>,
    pools: Mutex<Vec<Weak<[PoolShard]>>>,
}

impl SocketBudget {
    /// A budget of `most` sockets, at least one. Each of them also takes one permit of `shared`.
    pub fn new(most: usize, shared: Arc<Semaphore>) -> Arc<Self> {
        let free = Arc::new(Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS)));
        Arc::new(Self { free, shared, pools: Mutex::default() })
    }

    /// Adds a pool, whose idle connections can be closed to make room.
    pub(super) fn add_pool(&self, shards: &Arc<[PoolShard]>) {
        let mut pools = self.pools.locked();
        pools.retain(|pool| pool.strong_count() > 0);
        pools.push(Arc::downgrade(shards));
    }

    /// Takes a socket; `None` when all are in use.
    pub(super) fn take(&self) -> Option<SocketPermit> {
        let permit = |of: &Arc<Semaphore>| Arc::clone(of).try_acquire_owned().ok();
        let free = || Some(SocketPermit { _own: permit(&self.free)?, _shared: permit(&self.shared)? });
        free().or_else(|| {
            let pools = self.pools.locked();
            pools.iter().filter_map(Weak::upgrade).for_each(|pool| pool.iter().for_each(PoolShard::close_idle));
            free()
        })
    }
}
