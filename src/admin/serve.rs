//! The admin API on a socket: HTTP/1.1, bounded in connections, time and size.
//!
//! Whoever comes gets a slot: those who have shown no operator's token make room, the oldest first, and never an operator
//! who waits for an answer. Descriptors are held in hand for when the process has none left.

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
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::api::Api;
use super::control::Peer;
use super::reply::Reply;
use super::spare::Spare;
use crate::bounds::{
    ADMIN_CLOSE_DEADLINE, ADMIN_CONNECTION_AGE_MAX, ADMIN_READ_DEADLINE, ADMIN_UNPROVEN_MAX, HANDSHAKE_DEADLINE,
    HEAD_BYTES_MAX,
};
use crate::http::{Group, Network, Screened, Seat, Slots, Turns, Wire, is_out_of_descriptors};

/// After a failed accept: trying at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// After one for want of a descriptor, while whoever makes room closes.
const ROOM_PAUSE: Duration = Duration::from_millis(1);

/// Serves the API until `shutdown` resolves; calls that have begun then run to their end.
pub async fn serve(listener: TcpListener, api: Arc<Api>, slots: Arc<Slots>, shutdown: impl Future<Output = ()> + Send) {
    accept_until(listener, api, slots, shutdown).await;
}

/// Serves the API under TLS; the configuration is looked at anew for each connection, so that certificates can change.
///
/// It must offer `http/1.1` alone.
pub async fn serve_tls(
    listener: TcpListener,
    config: Arc<ArcSwap<ServerConfig>>,
    api: Arc<Api>,
    slots: Arc<Slots>,
    shutdown: impl Future<Output = ()> + Send,
) {
    accept_until(TlsListener { listener, config }, api, slots, shutdown).await;
}

/// Serves the API on a Unix socket, where the file's permissions say who may be an operator.
///
/// Whoever binds it must let only its owner open it. A call with a token is judged by the token.
pub async fn serve_unix(
    listener: UnixListener,
    api: Arc<Api>,
    slots: Arc<Slots>,
    shutdown: impl Future<Output = ()> + Send,
) {
    accept_until(listener, api, slots, shutdown).await;
}

/// Serves one connection that someone else accepted, such as one under TLS, until its end or `shutdown`.
pub async fn serve_connection(
    stream: Box<dyn Wire>,
    peer: Peer,
    seat: Arc<Seat>,
    api: Arc<Api>,
    shutdown: impl Future<Output = ()>,
) {
    let theirs = Arc::clone(&seat);
    let turns = Arc::new(Turns::default());
    let stream = Screened::requests(stream, Arc::clone(&turns));
    let service = service_fn(move |request| {
        let (api, theirs, turns) = (Arc::clone(&api), Arc::clone(&theirs), Arc::clone(&turns));
        async move {
            let flaw = turns.begin();
            let reply = match flaw {
                Some(flaw) => Ok(api.malformed(peer, flaw)),
                None => answer(api, request, peer, theirs).await,
            };
            turns.answered(false);
            reply
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(ADMIN_READ_DEADLINE)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        served = connection.as_mut() => return note(peer, served),
        // Another needs the slot more: what it has not asked by now, it may ask again.
        () = seat.shed() => return,
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

async fn accept_until(
    listener: impl Accept,
    api: Arc<Api>,
    slots: Arc<Slots>,
    shutdown: impl Future<Output = ()> + Send,
) {
    let (stop, stopped) = watch::channel(());
    let spare = Spare::hold();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = shutdown.as_mut() => break,
            accepted = listener.next() => accepted,
        };
        match accepted {
            Ok((raw, peer)) => {
                spare.refill();
                let groups = group(peer);
                let slot = tokio::select! {
                    () = shutdown.as_mut() => break,
                    slot = slots.enter(&groups) => slot,
                };
                let (api, mut stopped, spare) = (Arc::clone(&api), stopped.clone(), spare.clone());
                let opening = listener.open(raw);
                tokio::spawn(async move {
                    let seat = Arc::clone(slot.seat());
                    let opened = tokio::select! {
                        opened = opening => opened,
                        () = seat.shed() => None,
                    };
                    if let Some(stream) = opened {
                        let stop = async move { drop(stopped.changed().await) };
                        serve_connection(stream, peer, seat, api, stop).await;
                    }
                    spare.refill();
                    drop(slot);
                });
            }
            Err(error) if is_out_of_descriptors(&error) => {
                // One who has shown no token goes; until then there may be one in hand.
                slots.make_room();
                if !spare.give_up_one() {
                    tokio::time::sleep(ROOM_PAUSE).await;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the admin listener cannot accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(stop);
    slots.all_free().await;
}

/// Those of one network share a bound; whoever may open the Unix socket is the same person.
fn group(peer: Peer) -> Vec<(Group, usize)> {
    match peer {
        Peer::Network(address) => vec![(Group::Sender(Network::of(address.ip())), ADMIN_UNPROVEN_MAX)],
        Peer::Local { .. } => Vec::new(),
    }
}

/// Runs a call as a task of its own: a caller who hangs up must not leave a kill half done.
async fn answer(
    api: Arc<Api>,
    mut request: hyper::Request<Incoming>,
    peer: Peer,
    seat: Arc<Seat>,
) -> Result<Reply, Infallible> {
    let theirs = Arc::clone(&api);
    seat.begin();
    request.extensions_mut().insert(Arc::clone(&seat));
    let task = tokio::spawn(async move { theirs.handle(request, peer).await });
    let reply = task.await.unwrap_or_else(|error| {
        tracing::error!(%error, "an admin call broke off");
        api.broken(peer)
    });
    seat.end(api.now().monotonic_ns);
    Ok(reply)
}
