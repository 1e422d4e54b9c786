//! The admin API on a socket: HTTP/1.1, bounded in connections, time and size.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use super::api::Api;
use super::control::Peer;
use super::reply::Reply;
use crate::bounds::{
    ADMIN_CLOSE_DEADLINE, ADMIN_CONNECTION_AGE_MAX, ADMIN_CONNECTIONS_MAX, ADMIN_READ_DEADLINE, HANDSHAKE_DEADLINE,
    HEAD_BYTES_MAX,
};
use crate::http::Wire;

/// After a failed accept, mostly for want of descriptors: trying at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves the API until `shutdown` resolves; calls that have begun then run to their end.
pub async fn serve(listener: TcpListener, api: Arc<Api>, shutdown: impl Future<Output = ()> + Send) {
    accept_until(listener, api, shutdown).await;
}

/// Serves the API under TLS; the configuration is looked at anew for each connection, so that certificates can change.
///
/// It must offer `http/1.1` alone.
pub async fn serve_tls(
    listener: TcpListener,
    config: Arc<ArcSwap<ServerConfig>>,
    api: Arc<Api>,
    shutdown: impl Future<Output = ()> + Send,
) {
    accept_until(TlsListener { listener, config }, api, shutdown).await;
}

/// Serves the API on a Unix socket, where the file's permissions say who may be an operator.
///
/// Whoever binds it must let only its owner open it. A call with a token is judged by the token.
pub async fn serve_unix(listener: UnixListener, api: Arc<Api>, shutdown: impl Future<Output = ()> + Send) {
    accept_until(listener, api, shutdown).await;
}

/// Serves one connection that someone else accepted, such as one under TLS, until its end or `shutdown`.
pub async fn serve_connection(stream: Box<dyn Wire>, peer: Peer, api: Arc<Api>, shutdown: impl Future<Output = ()>) {
    let service = service_fn(move |request| answer(Arc::clone(&api), request, peer));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(ADMIN_READ_DEADLINE)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        served = connection.as_mut() => return note(peer, served),
        () = shutdown => {}
        () = tokio::time::sleep(ADMIN_CONNECTION_AGE_MAX) => {}
    }
    connection.as_mut().graceful_shutdown();
    // A peer that does not read its answer must not hold up the end of the process, nor a slot for ever.
    if let Ok(served) = tokio::time::timeout(ADMIN_CLOSE_DEADLINE, connection).await {
        note(peer, served);
    }
}

fn note(peer: Peer, served: hyper::Result<()>) {
    if let Err(error) = served {
        tracing::debug!(%peer, %error, "admin connection ended early");
    }
}

/// A bound socket of either family.
trait Accept: Send + Sync {
    type Raw: Send + 'static;

    /// The next connection, and who is at its other end.
    fn next(&self) -> impl Future<Output = io::Result<(Self::Raw, Peer)>> + Send;

    /// Brings a connection to where HTTP begins, in a task of its own; none where it does not come so far.
    fn open(&self, raw: Self::Raw) -> impl Future<Output = Option<Box<dyn Wire>>> + Send + 'static;
}

impl Accept for TcpListener {
    type Raw = TcpStream;

    async fn next(&self) -> io::Result<(TcpStream, Peer)> {
        let (stream, address) = self.accept().await?;
        stream.set_nodelay(true)?;
        Ok((stream, Peer::Network(address)))
    }

    fn open(&self, raw: TcpStream) -> impl Future<Output = Option<Box<dyn Wire>>> + Send + 'static {
        ready(Some(Box::new(raw) as Box<dyn Wire>))
    }
}

impl Accept for UnixListener {
    type Raw = UnixStream;

    async fn next(&self) -> io::Result<(UnixStream, Peer)> {
        let (stream, _) = self.accept().await?;
        let uid = stream.peer_cred().ok().map(|peer| peer.uid());
        Ok((stream, Peer::Local { uid }))
    }

    fn open(&self, raw: UnixStream) -> impl Future<Output = Option<Box<dyn Wire>>> + Send + 'static {
        ready(Some(Box::new(raw) as Box<dyn Wire>))
    }
}

/// A socket whose connections are under TLS.
struct TlsListener {
    listener: TcpListener,
    config: Arc<ArcSwap<ServerConfig>>,
}

impl Accept for TlsListener {
    type Raw = TcpStream;

    async fn next(&self) -> io::Result<(TcpStream, Peer)> {
        self.listener.next().await
    }

    fn open(&self, raw: TcpStream) -> impl Future<Output = Option<Box<dyn Wire>>> + Send + 'static {
        let handshake = TlsAcceptor::from(self.config.load_full()).accept(raw);
        async move { Some(Box::new(tokio::time::timeout(HANDSHAKE_DEADLINE, handshake).await.ok()?.ok()?) as Box<dyn Wire>) }
    }
}

async fn accept_until(listener: impl Accept, api: Arc<Api>, shutdown: impl Future<Output = ()> + Send) {
    let slots = Arc::new(Semaphore::new(ADMIN_CONNECTIONS_MAX));
    let (stop, stopped) = watch::channel(());
    let mut shutdown = pin!(shutdown);
    loop {
        let next = async {
            // Nobody closes the semaphore, so a slot always comes.
            let slot = Arc::clone(&slots).acquire_owned().await;
            (slot, listener.next().await)
        };
        let (slot, accepted) = tokio::select! {
            () = shutdown.as_mut() => break,
            next = next => next,
        };
        match accepted {
            Ok((raw, peer)) => {
                let (api, mut stopped) = (Arc::clone(&api), stopped.clone());
                let opening = listener.open(raw);
                tokio::spawn(async move {
                    if let Some(stream) = opening.await {
                        let stop = async move { drop(stopped.changed().await) };
                        serve_connection(stream, peer, api, stop).await;
                    }
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the admin listener cannot accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(stop);
    // Every slot free means every connection has ended.
    drop(slots.acquire_many(ADMIN_CONNECTIONS_MAX as u32).await);
}

/// Runs a call as a task of its own: a caller who hangs up must not leave a kill half done.
async fn answer(api: Arc<Api>, request: hyper::Request<Incoming>, peer: Peer) -> Result<Reply, Infallible> {
    let theirs = Arc::clone(&api);
    let task = tokio::spawn(async move { theirs.handle(request, peer).await });
    Ok(task.await.unwrap_or_else(|error| {
        tracing::error!(%error, "an admin call broke off");
        api.broken(peer)
    }))
}
