//! The listeners of vendors and services: bound, or taken from the service manager, and not yet served.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::start::{ListenAddresses, StartError};
use crate::config::{GatewaySettings, ListenerSettings};
use crate::gateway::Gateway;
use crate::http::SlotPool;
use crate::listener::{
    self, BoundSocket, ConnectionTimeouts, ListenerState, PassedSockets, Worker, share_tcp, share_unix,
};
use crate::model::{Direction, Lock as _};

/// Everything bound, nothing served yet.
pub(super) struct BoundListeners {
    pub(super) addresses: ListenAddresses,
    pub(super) fronts: Vec<Arc<ListenerState>>,
    sockets: Vec<Vec<(Arc<ListenerState>, BoundSocket)>>,
}

impl BoundListeners {
    /// Binds what the config asks for, for this many workers.
    pub(super) fn bind(
        config: &GatewaySettings,
        workers: usize,
        passed: &mut PassedSockets,
    ) -> Result<Self, StartError> {
        let mut all = Self {
            addresses: ListenAddresses::default(),
            fronts: Vec::new(),
            sockets: (0..workers).map(|_| Vec::new()).collect(),
        };
        if let Some(listener) = &config.listeners.ingress {
            all.addresses.ingress = Some(all.bind_address(Direction::Ingress, listener, passed)?);
        }
        if let Some(listener) = &config.listeners.egress {
            match config.egress.socket.as_deref() {
                Some(path) => all.bind_path(Direction::Egress, listener, path, passed)?,
                None => all.addresses.egress = Some(all.bind_address(Direction::Egress, listener, passed)?),
            }
        }
        Ok(all)
    }

    fn bind_address(
        &mut self,
        direction: Direction,
        listener: &ListenerSettings,
        passed: &mut PassedSockets,
    ) -> Result<SocketAddr, StartError> {
        let name = direction.as_str();
        let failed = |source| StartError::Bind { name, address: listener.bind, source };
        let workers = self.sockets.len();
        let (sockets, address, is_passed): (Vec<TcpListener>, _, _) = match passed.take(listener.bind) {
            Some(socket) => (share_tcp(&socket, workers).map_err(failed)?, listener.bind, true),
            None => {
                let bound = listener::bind(listener.bind, workers).map_err(failed)?;
                let address = bound.address();
                (bound.into_sockets(), address, false)
            }
        };
        let front = Self::front(direction, listener, is_passed)?;
        self.add(front, sockets.into_iter().map(BoundSocket::Tcp));
        Ok(address)
    }

    fn bind_path(
        &mut self,
        direction: Direction,
        listener: &ListenerSettings,
        path: &Path,
        passed: &mut PassedSockets,
    ) -> Result<(), StartError> {
        let failed = |source| StartError::Socket { path: path.to_owned(), source };
        let workers = self.sockets.len();
        let (sockets, file): (Vec<UnixListener>, _) = match passed.take_unix(path) {
            Some(socket) => (share_unix(&socket, workers).map_err(failed)?, None),
            None => {
                let (file, sockets) = listener::bind_unix(path, workers).map_err(failed)?;
                (sockets, Some(file))
            }
        };
        let address = format_args!("unix:{}", path.display());
        tracing::info!(listener = direction.as_str(), %address, "listening");
        let front = Self::front(direction, listener, file.is_none())?;
        *front.socket_file.locked() = file;
        self.add(front, sockets.into_iter().map(BoundSocket::Unix));
        Ok(())
    }

    fn front(
        direction: Direction,
        listener: &ListenerSettings,
        outlives_gateway: bool,
    ) -> Result<Arc<ListenerState>, StartError> {
        let tls = listener.tls.as_ref().map(|tls| listener::server_config(tls, listener.http2)).transpose();
        let tls = tls.map_err(|source| StartError::Tls { name: direction.as_str(), source })?;
        Ok(Arc::new(ListenerState {
            direction,
            http2: listener.http2,
            tls: tls.map(ArcSwap::new),
            transparent: listener.transparent,
            patience: ConnectionTimeouts { head: listener.head_timeout, idle: listener.idle_timeout },
            unproven_max: listener.unproven_per_address.get() as usize,
            outlives_gateway,
            socket_file: Mutex::default(),
        }))
    }

    fn add(&mut self, front: Arc<ListenerState>, sockets: impl Iterator<Item = BoundSocket>) {
        for (worker, socket) in self.sockets.iter_mut().zip(sockets) {
            worker.push((Arc::clone(&front), socket));
        }
        self.fronts.push(front);
    }

    /// Starts the workers.
    pub(super) fn spawn(
        self,
        slots: &Arc<SlotPool>,
        gateway: &Arc<Gateway>,
        draining: &watch::Receiver<bool>,
        deadline: Duration,
    ) -> Result<Vec<Worker>, StartError> {
        let sockets = self.sockets.into_iter().enumerate();
        let spawn = |(index, fronts)| {
            listener::spawn(index, fronts, Arc::clone(slots), Arc::clone(gateway), draining.clone(), deadline)
        };
        sockets.map(spawn).collect::<io::Result<_>>().map_err(StartError::Worker)
    }
}
