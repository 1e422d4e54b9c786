//! Workers: threads, each with its own runtime, sockets and upstream connections.
//!
//! Workers share snapshots and counters, nothing else. When the gateway drains, a worker ends after its last
//! connection, or at the drain's deadline.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use super::accept::{Acceptor, BoundSocket, SlotAssigner};
use super::serve::serve;
use super::timeouts::ConnectionTimeouts;
use super::unix_socket::UnixSocketFile;
use crate::bounds;
use crate::gateway::{Gateway, ServiceStack};
use crate::http::SlotPool;
use crate::model::{Direction, Lock as _};
use crate::telemetry::claim_worker;

/// What all sockets of one listener share.
#[derive(Debug)]
pub struct ListenerState {
    /// The direction of the requests that come through the listener.
    pub direction: Direction,
    /// Whether HTTP/2 is allowed beside HTTP/1.1. Under TLS this is negotiated in the handshake.
    pub http2: bool,
    /// The TLS settings, swapped when their files change; `None` for a listener in clear.
    pub tls: Option<ArcSwap<ServerConfig>>,
    /// Whether the connections are redirected here by the kernel. Only in clear.
    pub transparent: bool,
    /// How long a connection may take to send its next request.
    pub patience: ConnectionTimeouts,
    /// The most connections of one network whose peers have proven nothing.
    pub unproven_max: usize,
    /// Whether a service manager holds the socket: it goes on listening after the gateway has ended, and connections
    /// that nobody has accepted wait in it for the next start.
    pub outlives_gateway: bool,
    /// The file of a Unix socket of our own. It is removed before the socket closes, so that a client finds no socket
    /// instead of one that resets it.
    pub socket_file: Mutex<Option<UnixSocketFile>>,
}

/// Tells connections that the gateway drains: they finish what they have begun and accept nothing more.
#[derive(Debug, Clone)]
pub(super) struct DrainSignal(watch::Receiver<bool>);

impl DrainSignal {
    /// Returns when the drain begins, or when the sender of the signal is gone.
    pub(super) async fn begun(mut self) {
        let _ = self.0.wait_for(|draining| *draining).await;
    }

    /// Returns [`bounds::DRAIN_GRACE`] after the drain has begun, when the requests that were on their way have
    /// arrived.
    pub(super) async fn grace_over(self) {
        self.begun().await;
        tokio::time::sleep(bounds::DRAIN_GRACE).await;
    }
}

/// A running worker.
#[derive(Debug)]
pub struct Worker {
    thread: JoinHandle<()>,
    runtime: Handle,
}

impl Worker {
    /// Tells whether the worker runs.
    pub fn pulse(&self) -> WorkerPulse {
        WorkerPulse(self.runtime.clone())
    }

    /// Waits for the thread to end.
    pub fn join(self) {
        // A worker that panicked has printed that to stderr; the other workers still drain.
        let _ = self.thread.join();
    }
}

/// Whether a worker is alive.
#[derive(Debug)]
pub struct WorkerPulse(Handle);

impl WorkerPulse {
    /// Returns once the worker has run something new. One that hangs or has ended never does.
    pub async fn answers(&self) {
        if self.0.spawn(std::future::ready(())).await.is_err() {
            std::future::pending().await
        }
    }
}

/// Starts a worker on its sockets.
///
/// All workers share the `slots`. When `drain` becomes true, the worker accepts no more connections, and those that are
/// open have at most `deadline` to end.
///
/// # Errors
/// When the thread or its runtime cannot be made.
pub fn spawn(
    index: usize,
    fronts: Vec<(Arc<ListenerState>, BoundSocket)>,
    slots: Arc<SlotPool>,
    gateway: Arc<Gateway>,
    drain: watch::Receiver<bool>,
    deadline: Duration,
) -> io::Result<Worker> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    // Tasks that another thread wakes run first, so that a kill ends all its streams before the work that follows from
    // each.
    let runtime = runtime.enable_all().global_queue_interval(1).build()?;
    let handle = runtime.handle().clone();
    let run = move || {
        let _claim = claim_worker();
        runtime.block_on(run(index, fronts, slots, gateway, DrainSignal(drain), deadline));
    };
    let thread = std::thread::Builder::new().name(format!("worker-{index}")).spawn(run)?;
    Ok(Worker { thread, runtime: handle })
}

async fn run(
    index: usize,
    fronts: Vec<(Arc<ListenerState>, BoundSocket)>,
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
    // They end when the drain's grace is over. Until then connections of clients that do not know of the drain are
    // accepted.
    drain.clone().begun().await;
    for task in accepting {
        // A task that panicked accepts nothing more, which is what this waits for.
        let _ = task.await;
    }
    // Every open connection holds a sender of this channel, so it closes when the last connection has.
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
    let ending = async {
        drain.clone().grace_over().await;
        if !front.outlives_gateway {
            acceptor.stop_listening();
            drop(front.socket_file.locked().take());
        }
        // A handshake that has begun may end, since its client may have sent a request already.
        tokio::time::sleep(bounds::DRAIN_HANDSHAKES).await;
    };
    tokio::select! {
        () = accepting => {}
        () = ending => {}
    }
    let last = if front.outlives_gateway { Vec::new() } else { acceptor.close() };
    for connection in last {
        let (door, front, stack, drain) = (door.clone(), Arc::clone(&front), stack.clone(), drain.clone());
        tokio::spawn(async move { serve(door.assign_slot(connection).await, &front, stack, drain).await });
    }
}
