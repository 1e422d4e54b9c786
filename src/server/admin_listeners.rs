//! The listeners for operators: the admin listener, in clear or under TLS, and the Unix socket in the state folder.
//!
//! Each has a thread and slots of its own, so that neither vendors' traffic nor a crowd on the other makes it wait. The
//! socket serves where tokens are lost or no listener is set: every user who may open it is an administrator, so it
//! belongs to its owner alone from its first moment. Never on a data port.

use std::fs::{self, DirBuilder, Permissions};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;

use super::control::GatewayControl;
use super::start::StartError;
use crate::admin::{self, AdminApi, AllowedHosts, TlsListener};
use crate::config::GatewaySettings;
use crate::http::SlotPool;
use crate::listener::{self, PassedSockets};
use crate::model::Clock;
use crate::telemetry::{ConnectionCounts, ListenerGroup, Metrics};

/// The socket's name in the state folder.
const SOCKET: &str = "admin.sock";
/// The folder in which the socket is made, so that it cannot be opened before its permissions are right.
const STAGING: &str = "admin.new";

/// The admin sockets, bound and not yet served.
pub(super) struct AdminListeners {
    listener: Option<std::net::TcpListener>,
    tls: Option<Arc<ArcSwap<ServerConfig>>>,
    socket: Option<(StdUnixListener, SocketFile)>,
}

impl AdminListeners {
    /// Binds what the config asks for.
    ///
    /// # Errors
    /// When the listener's TLS or address cannot be had. A socket that cannot be made is only said: some volumes hold
    /// none.
    pub(super) async fn open(config: &GatewaySettings, passed: &mut PassedSockets) -> Result<Self, StartError> {
        const NAME: &str = "admin";
        let socket = SocketFile::bind(&config.state.path)
            .inspect_err(
                |error| tracing::error!(%error, "no admin socket beside the state: operators need the listener"),
            )
            .ok();
        let Some(settings) = &config.listeners.admin else { return Ok(Self { listener: None, tls: None, socket }) };
        let tls = settings.tls.as_ref().map(|tls| listener::server_config(tls, false)).transpose();
        let tls = tls.map_err(|source| StartError::Tls { name: NAME, source })?;
        let bound = match passed.take(settings.bind) {
            Some(socket) => Ok(socket),
            // The thread that serves it will take it up again.
            None => TcpListener::bind(settings.bind).await.and_then(TcpListener::into_std),
        };
        let bound = bound.map_err(|source| StartError::Bind { name: NAME, address: settings.bind, source })?;
        Ok(Self { listener: Some(bound), tls: tls.map(|tls| Arc::new(ArcSwap::new(tls))), socket })
    }

    /// Where the listener listens.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.listener.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// The listener's TLS, for a reload to swap.
    pub(super) fn tls(&self) -> Option<Arc<ArcSwap<ServerConfig>>> {
        self.tls.clone()
    }

    /// Serves in the background until `closing`; either listener has so many connections at once.
    ///
    /// # Errors
    /// [`StartError::Worker`] when the machine gives no thread.
    pub(super) async fn serve(
        self,
        control: &Arc<GatewayControl>,
        metrics: &Metrics,
        clock: &Clock,
        closing: &watch::Receiver<bool>,
        connections: usize,
    ) -> Result<AdminThreads, StartError> {
        let hosts =
            self.address().map_or(AllowedHosts::Listed(Vec::new()), |address| AllowedHosts::for_bind(address.ip()));
        let config = control.config.lock().await;
        let api = AdminApi::new(Arc::clone(control), metrics.clone(), clock.clone(), hosts);
        let api = Arc::new(api.with_page(config.listeners.admin_page));
        control.set_api(&api);
        control.set_operators(&config);
        drop(config);
        let closed = || {
            let mut closing = closing.clone();
            async move {
                let _ = closing.wait_for(|closing| *closing).await;
            }
        };
        let mut threads = AdminThreads::default();
        if let Some(listener) = self.listener {
            let slots = slots_of(metrics, ListenerGroup::Admin, connections);
            let (tls, api, closed) = (self.tls, Arc::clone(&api), closed());
            threads.spawn("admin", async move {
                // It was made non-blocking, which is all that can be wrong with it.
                let Ok(listener) = TcpListener::from_std(listener) else { return };
                match tls {
                    Some(tls) => admin::serve(TlsListener(listener, tls), api, slots, closed).await,
                    None => admin::serve(listener, api, slots, closed).await,
                }
            })?;
        }
        if let Some((socket, file)) = self.socket {
            let slots = slots_of(metrics, ListenerGroup::Socket, connections);
            let closed = closed();
            threads.spawn("admin-socket", async move {
                let Ok(socket) = UnixListener::from_std(socket) else { return };
                admin::serve(socket, api, slots, closed).await;
                drop(file);
            })?;
        }
        Ok(threads)
    }
}

/// The threads that serve operators.
#[derive(Debug, Default)]
pub(super) struct AdminThreads(Vec<JoinHandle<()>>);

impl AdminThreads {
    fn spawn(&mut self, name: &str, work: impl Future<Output = ()> + Send + 'static) -> Result<(), StartError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Worker)?;
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || runtime.block_on(work));
        self.0.push(thread.map_err(StartError::Worker)?);
        Ok(())
    }

    /// Waits for the end of what they have begun.
    pub(super) fn join(self) {
        // One that panicked has said so; there is nothing left to wait for.
        self.0.into_iter().for_each(|thread| drop(thread.join()));
    }
}

/// Slots for so many connections, whose counts each scrape shows.
fn slots_of(metrics: &Metrics, listeners: ListenerGroup, connections: usize) -> Arc<SlotPool> {
    let slots = SlotPool::new(connections);
    report_slots(metrics, listeners, &slots);
    slots
}

/// Shows the counts of a listener's connections at each scrape.
pub(super) fn report_slots(metrics: &Metrics, listeners: ListenerGroup, slots: &Arc<SlotPool>) {
    let (told, slots) = (metrics.clone(), Arc::clone(slots));
    metrics.before_scrape(move || {
        let counts = slots.counts();
        let crowd = ConnectionCounts {
            open: counts.taken as u64,
            most: counts.capacity as u64,
            shed_full: counts.shed_full,
            shed_sender: counts.shed_group,
            late: counts.late,
        };
        told.connections(listeners, crowd);
    });
}

/// The socket's file, which goes with it.
struct SocketFile(PathBuf);

impl SocketFile {
    /// Binds the socket in a folder that only its owner can enter, and moves it into place over an old one's file.
    ///
    /// The state is locked by then, so no other gateway serves the old one.
    fn bind(state: &Path) -> io::Result<(StdUnixListener, Self)> {
        let (anteroom, place) = (state.join(STAGING), state.join(SOCKET));
        if anteroom.exists() {
            fs::remove_dir_all(&anteroom)?;
        }
        DirBuilder::new().mode(0o700).create(&anteroom)?;
        let made = anteroom.join("s");
        let listener = StdUnixListener::bind(&made)?;
        listener.set_nonblocking(true)?;
        fs::set_permissions(&made, Permissions::from_mode(0o600))?;
        fs::rename(&made, &place)?;
        fs::remove_dir(&anteroom)?;
        Ok((listener, Self(place)))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // One that stays is replaced at the next start.
        let _ = fs::remove_file(&self.0);
    }
}
