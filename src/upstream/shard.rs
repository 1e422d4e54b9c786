//! The connections of one worker to one upstream, for one vendor.

use std::sync::Mutex;

use super::http1::PooledConnection;
use super::http2::SharedConnection;
use crate::bounds;
use crate::model::{Lock as _, Moment};

/// The connections of one worker. Other threads take the locks only to close idle connections.
#[derive(Debug, Default)]
pub(super) struct PoolShard {
    idle: Mutex<Vec<IdleConnection>>,
    shared: Mutex<Vec<SharedConnection>>,
    /// Held while a connection is made that other requests can share.
    pub(super) opening: tokio::sync::Mutex<()>,
}

impl PoolShard {
    /// Closes all idle connections.
    pub(super) fn close_idle(&self) {
        self.idle.locked().clear();
        self.shared.locked().retain(SharedConnection::is_busy);
    }

    /// Whether a connection of HTTP/1.1 is idle.
    pub(super) fn has_idle(&self) -> bool {
        !self.idle.locked().is_empty()
    }

    /// The connection of HTTP/1.1 that was idle for the shortest time.
    pub(super) fn pop_idle(&self, now: Moment) -> Option<PooledConnection> {
        let mut idle = self.idle.locked();
        while let Some(IdleConnection { sender, since_ns }) = idle.pop() {
            let age_ns = now.monotonic_ns.saturating_sub(since_ns);
            if sender.is_reusable(now) && age_ns < bounds::UPSTREAM_IDLE_MAX.as_nanos() as u64 {
                return Some(sender);
            }
        }
        None
    }

    /// Keeps a connection of HTTP/1.1 for its next exchange.
    pub(super) fn give_back(&self, sender: PooledConnection, now: Moment) {
        let mut idle = self.idle.locked();
        let oldest_ns = now.monotonic_ns.saturating_sub(bounds::UPSTREAM_IDLE_MAX.as_nanos() as u64);
        if idle.first().is_some_and(|oldest| oldest.since_ns < oldest_ns) {
            idle.retain(|entry| entry.since_ns >= oldest_ns);
        }
        if idle.len() < bounds::UPSTREAM_IDLE_CONNECTIONS_MAX {
            idle.push(IdleConnection { sender, since_ns: now.monotonic_ns });
        }
    }

    /// Adds a connection of HTTP/2.
    pub(super) fn share(&self, connection: SharedConnection) {
        self.shared.locked().push(connection);
    }

    /// A connection of HTTP/2 with room for another stream.
    pub(super) fn shared(&self, now: Moment) -> Option<SharedConnection> {
        let mut shared = self.shared.locked();
        shared.retain_mut(|connection| connection.is_usable(now));
        shared.iter().find(|connection| connection.has_room()).cloned()
    }
}

/// A connection of HTTP/1.1 that waits for its next exchange.
#[derive(Debug)]
struct IdleConnection {
    sender: PooledConnection,
    since_ns: u64,
}
