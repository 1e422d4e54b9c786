//! Serves one connection: handshake, protocol, and requests into the gateway, until it ends or the gateway drains.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::header::{CONNECTION, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;

use super::accept::AcceptedConnection;
use super::guarded_stream::{GuardedStream, ProtocolBytes, ServerStream};
use super::redirect::arrival;
use super::timeouts::{ConnectionDeadline, HeadBegun, Overdue};
use super::tunnel::{serve_redirected, serve_tunnel};
use super::worker::{DrainSignal, ListenerState};
use crate::bounds;
use crate::gateway::{ConnectionArrival, Peer, ServiceStack, TLS_HANDSHAKE};
use crate::http::{GatewayBody, RequestSequence, ScreenedStream, SlotHolder};
use crate::identity::PeerCertificate;

/// The first bytes of a client that uses HTTP/2 with prior knowledge (RFC 9113 section 3.4): enough of them to
/// recognise it.
const PREFACE: &[u8] = b"PRI ";

/// Serves one connection to its end. Why it ended early matters only to the peer, so nothing is returned.
pub(super) async fn serve(
    accepted: AcceptedConnection,
    front: &ListenerState,
    stack: ServiceStack,
    drain: DrainSignal,
) {
    let tls = front.tls.as_ref().map(|tls| tls.load_full());
    let seat = Arc::clone(accepted.held.holder());
    let patience = if tls.is_some() { bounds::HANDSHAKE_DEADLINE } else { front.patience.head };
    let opened = tokio::select! {
        // What has arrived is served, also where a busy machine lets us see it only after the time is over.
        biased;
        opened = tokio::time::timeout(patience, open(accepted, front, tls)) => opened,
        () = seat.shed_requested() => return,
        () = drain.clone().grace_over() => return,
    };
    let (mut guard, peer, protocol) = match opened {
        Ok(Some(opened)) => opened,
        Ok(None) => return,
        Err(_) => return seat.count_late(),
    };
    let begun = if protocol == OpenedProtocol::Http2 { Arc::default() } else { guard.watch_heads() };
    let connection = ServedConnection { front, stack, peer, seat, begun, drain };
    match protocol {
        OpenedProtocol::Http1 => connection.serve_h1(guard).await,
        OpenedProtocol::Http2 => return connection.serve_h2(guard).await,
        OpenedProtocol::RedirectedTls => return Box::pin(serve_redirected(Box::new(guard), connection)).await,
    }
    // What was granted is always taken out: it holds the peer, which would hold it for ever.
    if let Some(tunnel) = connection.peer.take_tunnel() {
        serve_tunnel(tunnel, connection).await;
    }
}

/// A connection that speaks HTTP, by itself or within its tunnel.
pub(super) struct ServedConnection<'a> {
    pub(super) front: &'a ListenerState,
    pub(super) stack: ServiceStack,
    pub(super) peer: Arc<Peer>,
    pub(super) seat: Arc<SlotHolder>,
    /// Set with the first byte of a head; stays unset for HTTP/2, where what is read between two requests may be a
    /// ping.
    pub(super) begun: Arc<HeadBegun>,
    pub(super) drain: DrainSignal,
}

impl ServedConnection<'_> {
    /// Serves HTTP/2 to its end.
    pub(super) async fn serve_h2<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(&self, stream: S) {
        let (stack, peer) = (self.stack.clone(), Arc::clone(&self.peer));
        let service = service_fn(move |request| {
            let (stack, peer) = (stack.clone(), Arc::clone(&peer));
            async move { Ok::<_, Infallible>(stack.answer(peer, request).await) }
        });
        let connection = h2().serve_connection(TokioIo::new(stream), service);
        // The peer is told the last stream that is served, so that no request of it is lost.
        let leaving = self.drain.clone().begun();
        let limits = ConnectionLimits { begun: Arc::default(), ..self.limits() };
        run(pin!(connection), &self.peer, limits, leaving, http2::Connection::graceful_shutdown).await;
    }

    /// Serves HTTP/1.1 to its end, or until the connection has become a tunnel.
    pub(super) async fn serve_h1<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(&self, stream: S) {
        let (stack, peer) = (self.stack.clone(), Arc::clone(&self.peer));
        let turns = Arc::new(RequestSequence::default());
        let io = TokioIo::new(ScreenedStream::requests(stream, Arc::clone(&turns)));
        let service = service_fn(move |request| {
            let (stack, peer, turns) = (stack.clone(), Arc::clone(&peer), Arc::clone(&turns));
            async move { Ok::<_, Infallible>(answer_h1(stack, peer, &turns, request).await) }
        });
        let connection = h1().serve_connection(io, service).with_upgrades();
        // A request may be on its way on an idle connection. It gets its response, which says `close`.
        let leaving = async {
            self.drain.clone().begun().await;
            self.peer.start_draining();
            self.drain.clone().grace_over().await;
        };
        let shut_down = http1::UpgradeableConnection::graceful_shutdown;
        run(pin!(connection), &self.peer, self.limits(), leaving, shut_down).await;
    }

    fn limits(&self) -> ConnectionLimits {
        let deadline = ConnectionDeadline::new(self.front.patience);
        ConnectionLimits { seat: Arc::clone(&self.seat), begun: Arc::clone(&self.begun), deadline }
    }
}

/// What ends a connection on which no request comes.
struct ConnectionLimits {
    seat: Arc<SlotHolder>,
    begun: Arc<HeadBegun>,
    deadline: ConnectionDeadline,
}

impl ConnectionLimits {
    /// Ready when the connection is to end, with how: at once, or gracefully for a known peer that was only idle.
    fn poll(&mut self, shed: Pin<&mut impl Future<Output = ()>>, cx: &mut Context<'_>) -> Poll<ConnectionEnd> {
        if shed.poll(cx).is_ready() {
            return Poll::Ready(ConnectionEnd::AtOnce);
        }
        match ready!(self.deadline.poll(&self.seat, &self.begun, cx)) {
            Overdue::Request => Poll::Ready(ConnectionEnd::Gracefully),
            Overdue::Head => {
                self.seat.count_late();
                Poll::Ready(ConnectionEnd::AtOnce)
            }
        }
    }
}

/// How a connection on which no request comes is ended.
#[derive(PartialEq, Eq)]
enum ConnectionEnd {
    AtOnce,
    Gracefully,
}

async fn answer_h1(
    stack: ServiceStack,
    peer: Arc<Peer>,
    turns: &RequestSequence,
    mut request: Request<Incoming>,
) -> Response<GatewayBody> {
    if let Some(flaw) = turns.next_request() {
        request.extensions_mut().insert(flaw);
    }
    let is_connect = request.method() == Method::CONNECT;
    let mut response = stack.answer(Arc::clone(&peer), request).await;
    let status = response.status();
    let has_switched = status == StatusCode::SWITCHING_PROTOCOLS || is_connect && status.is_success();
    turns.response_sent(has_switched);
    if peer.is_draining() && !has_switched {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Polls a connection until it ends. When `leaving` is ready, the connection is asked to finish what it has begun. A
/// severed response that does not end by itself, because its reader does not read, ends the connection.
async fn run<C: Future>(
    mut connection: Pin<&mut C>,
    peer: &Peer,
    mut waits: ConnectionLimits,
    leaving: impl Future<Output = ()>,
    shut_down: impl Fn(Pin<&mut C>),
) {
    let mut leaving = pin!(leaving);
    let seat = Arc::clone(&waits.seat);
    let mut shed = pin!(seat.shed_requested());
    let mut is_shutting_down = false;
    let mut unread = UnreadSevered::default();
    poll_fn(|cx| {
        if connection.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if !is_shutting_down && leaving.as_mut().poll(cx).is_ready() {
            is_shutting_down = true;
            shut_down(connection.as_mut());
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
        }
        if peer.is_reset() {
            return Poll::Ready(());
        }
        peer.on_poll_done(cx);
        match waits.poll(shed.as_mut(), cx) {
            Poll::Ready(ConnectionEnd::Gracefully) if !is_shutting_down => {
                is_shutting_down = true;
                shut_down(connection.as_mut());
                waits.deadline.extend();
                cx.waker().wake_by_ref();
            }
            Poll::Ready(_) => return Poll::Ready(()),
            Poll::Pending => {}
        }
        ready!(unread.poll(peer.poll_severed(cx), cx));
        peer.reset();
        Poll::Ready(())
    })
    .await;
}

/// Severed responses that do not end because their reader does not read. Ready when there are some for
/// [`bounds::SEVER_GRACE`], and none of them has ended in that time.
#[derive(Default)]
struct UnreadSevered {
    severed: usize,
    timer: Option<Pin<Box<Sleep>>>,
}

impl UnreadSevered {
    fn poll(&mut self, severed: Poll<usize>, cx: &mut Context<'_>) -> Poll<()> {
        let Poll::Ready(severed) = severed else {
            self.timer = None;
            return Poll::Pending;
        };
        if severed < self.severed {
            self.timer = None;
        }
        self.severed = severed;
        self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(bounds::SEVER_GRACE))).as_mut().poll(cx)
    }
}

/// What an opened connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OpenedProtocol {
    Http1,
    Http2,
    /// The caller's own TLS with the vendor, which the kernel has redirected here.
    RedirectedTls,
}

impl OpenedProtocol {
    const fn of_http(speaks_h2: bool) -> Self {
        if speaks_h2 { Self::Http2 } else { Self::Http1 }
    }
}

/// Opens a connection: the TLS handshake where the listener has TLS, and the choice of the protocol. `None` when the
/// peer left or the handshake failed.
async fn open(
    AcceptedConnection { mut stream, address, uid, held }: AcceptedConnection,
    front: &ListenerState,
    tls: Option<Arc<ServerConfig>>,
) -> Option<(GuardedStream, Arc<Peer>, OpenedProtocol)> {
    let seat = Arc::clone(held.holder());
    match tls {
        None => {
            let first = read_first(&mut stream).await?;
            let protocol = match first.first() {
                Some(&TLS_HANDSHAKE) if front.transparent => OpenedProtocol::RedirectedTls,
                Some(_) | None => OpenedProtocol::of_http(front.http2 && first == PREFACE),
            };
            let arrival = if front.transparent { arrival(&stream) } else { ConnectionArrival::Direct };
            let peer = Arc::new(Peer::plain(address, front.direction, seat).of_user(uid).arrived(arrival));
            Some((GuardedStream::new(ServerStream::Left(stream), first, Arc::clone(&peer), held), peer, protocol))
        }
        Some(config) => {
            let stream = TlsAcceptor::from(config).accept(stream).await.ok()?;
            let (_, session) = stream.get_ref();
            let speaks_h2 = session.alpn_protocol() == Some(b"h2");
            // A certificate that cannot be read proves nothing. The handshake has verified the signatures of the chain.
            let certificate = session.peer_certificates().and_then(|chain| PeerCertificate::read(chain).ok());
            if certificate.is_some() {
                seat.mark_proven();
            }
            let peer = Arc::new(Peer::tls(address, front.direction, seat, certificate).of_user(uid));
            Some((
                GuardedStream::new(
                    ServerStream::Right(Box::new(stream)),
                    ProtocolBytes::new(),
                    Arc::clone(&peer),
                    held,
                ),
                peer,
                OpenedProtocol::of_http(speaks_h2),
            ))
        }
    }
}

/// Reads as many bytes as it takes to tell HTTP/2 from HTTP/1.1. `None` when the peer left.
async fn read_first(stream: &mut TcpStream) -> Option<ProtocolBytes> {
    let mut first = ProtocolBytes::new();
    while first.len() < PREFACE.len() && PREFACE.starts_with(&first) {
        let mut byte = [0; PREFACE.len()];
        let room = PREFACE.len() - first.len();
        let read = stream.read(byte.get_mut(..room)?).await.ok().filter(|read| *read > 0)?;
        first.extend_from_slice(byte.get(..read)?);
    }
    Some(first)
}

fn h1() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        // The head timeout is kept in `timeouts`: hyper's would start again with the last byte of each response.
        .header_read_timeout(None)
        .max_buf_size(bounds::HEAD_BYTES_MAX)
        // A caller that closes its side is gone: its slot and the upstream's connection must not wait for a reader.
        .half_close(false);
    builder
}

fn h2() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(bounds::H2_STREAMS_MAX)
        .max_header_list_size(bounds::HEAD_BYTES_MAX as u32)
        .max_pending_accept_reset_streams(bounds::H2_RESET_STREAMS_MAX)
        .max_local_error_reset_streams(bounds::H2_RESET_STREAMS_MAX)
        .max_send_buf_size(bounds::H2_SEND_BYTES_MAX)
        .initial_stream_window_size(bounds::H2_STREAM_WINDOW_BYTES)
        .initial_connection_window_size(bounds::H2_CONNECTION_WINDOW_BYTES)
        .keep_alive_interval(bounds::H2_PING_INTERVAL)
        .keep_alive_timeout(bounds::H2_PING_DEADLINE);
    builder
}
