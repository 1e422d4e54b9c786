//! Where operators come in: the admin listener, in clear or under TLS, and the Unix socket beside the state.
//!
//! The socket is the way in when tokens are lost or no listener is set: whoever may open it is an administrator, so it
//! is its owner's alone from its first moment. Never stands on a data port.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;

use super::control::Helm;
use super::start::StartError;
use crate::admin::{self, Api, Hosts};
use crate::config::Config;
use crate::listener;
use crate::model::Clock;
use crate::telemetry::Metrics;

/// The socket's name in the state folder.
const SOCKET: &str = "admin.sock";
/// Where it is made, so that nobody can open it before its permissions are right.
const ANTEROOM: &str = "admin.new";

/// The admin sockets, bound and not yet served.
pub(super) struct Office {
    listener: Option<TcpListener>,
    tls: Option<Arc<ArcSwap<ServerConfig>>>,
    socket: Option<(UnixListener, SocketFile)>,
}

impl Office {
    /// Binds what the config asks for.
    ///
    /// # Errors
    /// When the listener's TLS or address cannot be had. A socket that cannot be made is only said: some volumes hold none.
    pub(super) async fn open(config: &Config) -> Result<Self, StartError> {
        const NAME: &str = "admin";
        let socket = SocketFile::bind(&config.state.path)
            .inspect_err(
                |error| tracing::error!(%error, "no admin socket beside the state: operators need the listener"),
            )
            .ok();
        let Some(settings) = &config.listeners.admin else { return Ok(Self { listener: None, tls: None, socket }) };
        let tls = settings.tls.as_ref().map(|tls| listener::server_config(tls, false)).transpose();
        let tls = tls.map_err(|source| StartError::Tls { name: NAME, source })?;
        let bound = TcpListener::bind(settings.bind).await;
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

    /// Serves in the background until told to close.
    pub(super) async fn serve(
        self,
        helm: &Arc<Helm>,
        metrics: &Metrics,
        clock: &Clock,
        closing: &watch::Receiver<bool>,
    ) {
        let hosts = self.address().map_or(Hosts::Listed(Vec::new()), |address| Hosts::for_bind(address.ip()));
        let api = Arc::new(Api::new(Arc::clone(helm) as _, metrics.clone(), clock.clone(), hosts));
        helm.lend(&api);
        helm.lend_operators(&*helm.config.lock().await);
        let closed = || {
            let mut closing = closing.clone();
            async move {
                let _ = closing.wait_for(|closing| *closing).await;
            }
        };
        match (self.listener, self.tls) {
            (Some(listener), Some(tls)) => {
                tokio::spawn(admin::serve_tls(listener, tls, Arc::clone(&api), closed()));
            }
            (Some(listener), None) => {
                tokio::spawn(admin::serve(listener, Arc::clone(&api), closed()));
            }
            (None, _) => {}
        }
        if let Some((socket, file)) = self.socket {
            let closed = closed();
            tokio::spawn(async move {
                admin::serve_unix(socket, api, closed).await;
                drop(file);
            });
        }
    }
}

/// The socket's file, which goes with it.
struct SocketFile(PathBuf);

impl SocketFile {
    /// Binds the socket in a folder that nobody else can enter, and moves it into place; an old one's file gives way.
    ///
    /// The state is locked by then, so no other gateway serves the old one.
    fn bind(state: &Path) -> io::Result<(UnixListener, Self)> {
        let (anteroom, place) = (state.join(ANTEROOM), state.join(SOCKET));
        if anteroom.exists() {
            fs::remove_dir_all(&anteroom)?;
        }
        DirBuilder::new().mode(0o700).create(&anteroom)?;
        let made = anteroom.join("s");
        let listener = UnixListener::bind(&made)?;
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
