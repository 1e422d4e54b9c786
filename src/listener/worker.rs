//! Workers: one thread per core with its own runtime, sockets and upstream connections.
//!
//! Workers share snapshots and counters, nothing else. A worker ends when its drain has ended its last connection, or
//! at the drain's deadline.

use std::io;
use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::sync::{mpsc, watch};

use super::accept::{Acceptor, SlotAssigner};
use super::serve::serve;
use super::timeouts::ConnectionTimeouts;
use crate::bounds;
use crate::gateway::{Gateway, ServiceStack};
use crate::http::SlotPool;
use crate::model::Direction;
use crate::telemetry::claim_worker;

/// What all sockets of one listener have in common.
#[derive(Debug)]
pub struct ListenerState {
    /// Which way calls through it go.
    pub direction: Direction,
    /// Whether HTTP/2 is spoken beside HTTP/1.1. Under TLS the handshake says the same.
    pub http2: bool,
    /// TLS, swapped when its files change.
    pub tls: Option<ArcSwap<ServerConfig>>,
    /// How long a connection may let its next request wait.
    pub patience: ConnectionTimeouts,
    /// Most connections of one network that have proven nothing.
    pub unproven_max: usize,
}

/// Tells connections to finish what they have begun and accept nothing more.
#[derive(Debug, Clone)]
pub(super) struct DrainSignal(watch::Receiver<bool>);

impl DrainSignal {
    /// Returns when the drain begins, or when nobody is left who could begin it.
    pub(super) async fn begun(mut self) {
        let _ = self.0.wait_for(|draining| *draining).await;
    }

    /// Returns when what was on its way as the drain began has arrived.
    pub(super) async fn grace_over(self) {
        self.begun().await;
        tokio::time::sleep(bounds::DRAIN_GRACE).await;
    }
}

/// A running worker.
#[derive(Debug)]
pub struct Worker {
    thread: JoinHandle<()>,
}

impl Worker {
    /// Waits for the thread to end.
    pub fn join(self) {
        // A worker that panicked has said so on stderr; the others still deserve their drain.
        let _ = self.thread.join();
    }
}

/// Starts a worker on its sockets.
///
/// All workers share the `slots`. `drain` begins the end: no new connections, and at most `deadline` for those that are
/// open.
///
/// # Errors
/// When the thread or its runtime cannot be made.
pub fn spawn(
    index: usize,
    fronts: Vec<(Arc<ListenerState>, StdListener)>,
    slots: Arc<SlotPool>,
    gateway: Arc<Gateway>,
    drain: watch::Receiver<bool>,
    deadline: Duration,
) -> io::Result<Worker> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    // What another thread wakes comes first: a kill's streams end before what follows from each end is done.
    let runtime = runtime.enable_all().global_queue_interval(1).build()?;
    let run = move || {
        let _claim = claim_worker();
        runtime.block_on(run(index, fronts, slots, gateway, DrainSignal(drain), deadline));
    };
    let thread = std::thread::Builder::new().name(format!("worker-{index}")).spawn(run)?;
    Ok(Worker { thread })
}

async fn run(
    index: usize,
    fronts: Vec<(Arc<ListenerState>, StdListener)>,
    slots: Arc<SlotPool>,
    gateway: Arc<Gateway>,
    drain: DrainSignal,
    deadline: Duration,
) {
    let (alive, mut last) = mpsc::channel(1);
    let stack = ServiceStack::new(Arc::clone(&gateway), index);
    let mut accepting = Vec::new();
    for (front, socket) in fronts {
        let door = SlotAssigner { slots: Arc::clone(&slots), unproven_max: front.unproven_max, alive: alive.clone() };
        match Acceptor::new(socket, door.clone()) {
            Ok(acceptor) => accepting.push(tokio::spawn(accept(acceptor, door, front, stack.clone(), drain.clone()))),
            Err(error) => tracing::error!(%error, worker = index, "a socket cannot be used"),
        }
    }
    // They end when the drain's grace is over: until then new connections are taken, of whoever has not yet heard.
    drain.clone().begun().await;
    for task in accepting {
        // One that panicked accepts nothing more, which is all that is waited for.
        let _ = task.await;
    }
    // Every open connection holds the other end: once nobody does, the last one has ended.
    drop(alive);
    if tokio::time::timeout(deadline, last.recv()).await.is_err() {
        gateway.stopping.store(true, Ordering::Relaxed);
        tracing::warn!(worker = index, "connections were still open at the drain's deadline");
    }
}

async fn accept(
    acceptor: Acceptor,
    door: SlotAssigner,
    front: Arc<ListenerState>,
    stack: ServiceStack,
    drain: DrainSignal,
) {
    let accepting = async {
        loop {
            let accepted = acceptor.accept().await;
            let (front, stack, drain) = (Arc::clone(&front), stack.clone(), drain.clone());
            tokio::spawn(async move { serve(accepted, &front, stack, drain).await });
        }
    };
    tokio::select! {
        () = accepting => {}
        () = drain.clone().grace_over() => {}
    }
    for (stream, address) in acceptor.close() {
        let (door, front, stack, drain) = (door.clone(), Arc::clone(&front), stack.clone(), drain.clone());
        tokio::spawn(async move { serve(door.assign_slot(stream, address).await, &front, stack, drain).await });
    }
}
