//! The sockets that the pools of all vendors share: as many as the system's descriptors leave room for, which peers'
//! connections take from too.
//!
//! Where none is left, connections that only rest are closed, whoever's they are: they save a handshake, no more.

use std::sync::{Arc, Mutex, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::pool::PoolShard;
use crate::model::Lock as _;

/// Leave for one socket, until it is dropped.
#[derive(Debug)]
pub(super) struct SocketPermit {
    _own: OwnedSemaphorePermit,
    _shared: OwnedSemaphorePermit,
}

/// A number of sockets.
#[derive(Debug)]
pub struct SocketBudget {
    free: Arc<Semaphore>,
    /// Descriptors, for sockets on either side.
    shared: Arc<Semaphore>,
    pools: Mutex<Vec<Weak<[PoolShard]>>>,
}

impl SocketBudget {
    /// So many sockets, at least one, each of which also takes one of what is shared.
    pub fn new(most: usize, shared: Arc<Semaphore>) -> Arc<Self> {
        let free = Arc::new(Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS)));
        Arc::new(Self { free, shared, pools: Mutex::default() })
    }

    /// Has a pool's resting connections among those that make room.
    pub(super) fn add_pool(&self, shards: &Arc<[PoolShard]>) {
        let mut pools = self.pools.locked();
        pools.retain(|pool| pool.strong_count() > 0);
        pools.push(Arc::downgrade(shards));
    }

    /// Takes a socket; none where all are in use.
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
