//! The admin API on a socket: HTTP/1.1, bounded in connections, time and size.
//!
//! Every connection gets a slot. Connections that have shown no operator's token make room, the oldest first; an
//! operator who waits for an answer never does. Spare file descriptors are kept for when the process has none left.

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

use super::api::AdminApi;
use super::control::{AdminControl, AdminPeer};
use super::reply::AdminReply;
use super::spare_descriptors::SpareDescriptors;
use crate::bounds::{
    ADMIN_CLOSE_DEADLINE, ADMIN_CONNECTION_AGE_MAX, ADMIN_READ_DEADLINE, ADMIN_UNPROVEN_MAX, HANDSHAKE_DEADLINE,
    HEAD_BYTES_MAX,
};
use crate::http::{
    ByteStream, PeerNetwork, RequestSequence, ScreenedStream, SlotGroup, SlotHolder, SlotPool, is_out_of_descriptors,
};

/// After a failed accept: trying at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The pause after an accept that failed for want of a descriptor, while a connection that makes room closes.
const ROOM_PAUSE: Duration = Duration::from_millis(1);

/// Serves one connection that someone else accepted, such as one under TLS, until its end or `shutdown`.
pub async fn serve_connection<C: AdminControl>(
    stream: Box<dyn ByteStream>,
    peer: AdminPeer,
    seat: Arc<SlotHolder>,
    api: Arc<AdminApi<C>>,
    shutdown: impl Future<Output = ()>,
) {
    let theirs = Arc::clone(&seat);
    let turns = Arc::new(RequestSequence::default());
    let stream = ScreenedStream::requests(stream, Arc::clone(&turns));
    let service = service_fn(move |request| {
        let (api, theirs, turns) = (Arc::clone(&api), Arc::clone(&theirs), Arc::clone(&turns));
        async move {
            let flaw = turns.next_request();
            let reply = match flaw {
                Some(flaw) => Ok(api.malformed(peer, flaw)),
                None => answer(api, request, peer, theirs).await,
            };
            turns.response_sent(false);
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
        () = seat.shed_requested() => return,
        () = shutdown => {}
        () = tokio::time::sleep(ADMIN_CONNECTION_AGE_MAX) => {}
    }
    connection.as_mut().graceful_shutdown();
    // A peer that does not read its answer must not hold up the end of the process, nor a slot for ever.
    if let Ok(served) = tokio::time::timeout(ADMIN_CLOSE_DEADLINE, connection).await {
        note(peer, served);
    }
}

fn note(peer: AdminPeer, served: hyper::Result<()>) {
    if let Err(error) = served {
        tracing::debug!(%peer, %error, "admin connection ended early");
    }
}

/// A bound socket of either family.
pub trait AdminSocket: Send + Sync {
    /// A connection as it was accepted.
    type Raw: Send + 'static;

    /// The next connection, and who is at its other end.
    fn next(&self) -> impl Future<Output = io::Result<(Self::Raw, AdminPeer)>> + Send;

    /// Brings a connection to where HTTP begins, in a task of its own; none where it does not come so far.
    fn open(&self, raw: Self::Raw) -> impl Future<Output = Option<Box<dyn ByteStream>>> + Send + 'static;
}

impl AdminSocket for TcpListener {
    type Raw = TcpStream;

    async fn next(&self) -> io::Result<(TcpStream, AdminPeer)> {
        let (stream, address) = self.accept().await?;
        stream.set_nodelay(true)?;
        Ok((stream, AdminPeer::Network(address)))
    }

    fn open(&self, raw: TcpStream) -> impl Future<Output = Option<Box<dyn ByteStream>>> + Send + 'static {
        ready(Some(Box::new(raw) as Box<dyn ByteStream>))
    }
}

/// The file's permissions say who may be an operator: the caller must bind it so that only its owner can open it. A
/// call with a token is judged by the token.
impl AdminSocket for UnixListener {
    type Raw = UnixStream;

    async fn next(&self) -> io::Result<(UnixStream, AdminPeer)> {
        let (stream, _) = self.accept().await?;
        let uid = stream.peer_cred().ok().map(|peer| peer.uid());
        Ok((stream, AdminPeer::Local { uid }))
    }

    fn open(&self, raw: UnixStream) -> impl Future<Output = Option<Box<dyn ByteStream>>> + Send + 'static {
        ready(Some(Box::new(raw) as Box<dyn ByteStream>))
    }
}

/// A socket whose connections are under TLS. The configuration, which must offer `http/1.1` alone, is looked at anew
/// for each connection, so that certificates can change.
#[derive(Debug)]
pub struct TlsListener(pub TcpListener, pub Arc<ArcSwap<ServerConfig>>);

impl AdminSocket for TlsListener {
    type Raw = TcpStream;

    async fn next(&self) -> io::Result<(TcpStream, AdminPeer)> {
        self.0.next().await
    }

    fn open(&self, raw: TcpStream) -> impl Future<Output = Option<Box<dyn ByteStream>>> + Send + 'static {
        let handshake = TlsAcceptor::from(self.1.load_full()).accept(raw);
        async move {
            Some(Box::new(tokio::time::timeout(HANDSHAKE_DEADLINE, handshake).await.ok()?.ok()?) as Box<dyn ByteStream>)
        }
    }
}

/// Serves the API until `shutdown` resolves; calls that have begun then run to their end.
pub async fn serve<C: AdminControl>(
    listener: impl AdminSocket,
    api: Arc<AdminApi<C>>,
    slots: Arc<SlotPool>,
    shutdown: impl Future<Output = ()> + Send,
) {
    let (stop, stopped) = watch::channel(());
    let spare = SpareDescriptors::take();
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
                    slot = slots.acquire(&groups) => slot,
                };
                let (api, mut stopped, spare) = (Arc::clone(&api), stopped.clone(), spare.clone());
                let opening = listener.open(raw);
                tokio::spawn(async move {
                    let seat = Arc::clone(slot.holder());
                    let opened = tokio::select! {
                        opened = opening => opened,
                        () = seat.shed_requested() => None,
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
                slots.shed_one();
                if !spare.release_one() {
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
    api.live.end_all();
    slots.wait_until_empty().await;
}

/// Connections of one network share a bound; all users of the Unix socket are the same person.
fn group(peer: AdminPeer) -> Vec<(SlotGroup, usize)> {
    match peer {
        AdminPeer::Network(address) => vec![(SlotGroup::Sender(PeerNetwork::of(address.ip())), ADMIN_UNPROVEN_MAX)],
        AdminPeer::Local { .. } => Vec::new(),
    }
}

/// Runs a call as a task of its own: a caller who hangs up must not leave a kill half done.
async fn answer<C: AdminControl>(
    api: Arc<AdminApi<C>>,
    mut request: hyper::Request<Incoming>,
    peer: AdminPeer,
    seat: Arc<SlotHolder>,
) -> Result<AdminReply, Infallible> {
    let theirs = Arc::clone(&api);
    seat.begin_work();
    request.extensions_mut().insert(Arc::clone(&seat));
    let task = tokio::spawn(async move { theirs.handle(request, peer).await });
    let reply = task.await.unwrap_or_else(|error| {
        tracing::error!(%error, "an admin call broke off");
        api.internal_error(peer)
    });
    seat.end_work(api.now().monotonic_ns);
    Ok(reply)
}
