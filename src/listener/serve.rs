//! One connection: handshake, protocol, requests into the gateway, until it ends or the gateway drains.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::guard::{Guard, Stream};
use super::worker::{Drain, Front};
use crate::bounds;
use crate::gateway::{Peer, Stack};
use crate::identity::PeerCertificate;

/// The first bytes of a client that speaks HTTP/2 with prior knowledge (RFC 9113 section 3.4), as far as it takes to know.
const PREFACE: &[u8] = b"PRI ";

/// Serves one connection to its end. What ends it early is the peer's affair, so nothing is returned.
pub(super) async fn serve(stream: TcpStream, address: SocketAddr, front: &Front, stack: Stack, drain: Drain) {
    let tls = front.tls.as_ref().map(|tls| tls.load_full());
    let opened = tokio::time::timeout(bounds::HANDSHAKE_DEADLINE, open(stream, address, front, tls)).await;
    let Ok(Some((guard, peer, speaks_h2))) = opened else { return };
    let service = service_fn(move |request| {
        let (stack, peer) = (stack.clone(), Arc::clone(&peer));
        async move { Ok::<_, Infallible>(stack.answer(peer, request).await) }
    });
    let io = TokioIo::new(guard);
    if speaks_h2 {
        let connection = h2().serve_connection(io, service);
        run(pin!(connection), drain, http2::Connection::graceful_shutdown).await;
    } else {
        let connection = h1().serve_connection(io, service);
        run(pin!(connection), drain, http1::Connection::graceful_shutdown).await;
    }
}

/// Polls a connection until it ends; the first sight of the drain asks it to finish what it has begun.
async fn run<C: Future>(mut connection: Pin<&mut C>, drain: Drain, shut_down: impl Fn(Pin<&mut C>)) {
    let mut draining = pin!(drain.wait());
    let mut told = false;
    poll_fn(|cx| {
        if connection.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if !told && draining.as_mut().poll(cx).is_ready() {
            told = true;
            shut_down(connection.as_mut());
            return connection.as_mut().poll(cx).map(|_| ());
        }
        Poll::Pending
    })
    .await;
}

/// Brings a connection to where HTTP begins: TLS where the front has it, and the protocol that the peer speaks.
async fn open(
    stream: TcpStream,
    address: SocketAddr,
    front: &Front,
    tls: Option<Arc<ServerConfig>>,
) -> Option<(Guard, Arc<Peer>, bool)> {
    match tls {
        None => {
            let speaks_h2 = has_preface(&stream).await?;
            let peer = Arc::new(Peer::plain(address, front.direction));
            Some((Guard::new(Stream::Plain(stream), Arc::clone(&peer)), peer, speaks_h2))
        }
        Some(config) => {
            let stream = TlsAcceptor::from(config).accept(stream).await.ok()?;
            let (_, session) = stream.get_ref();
            let speaks_h2 = session.alpn_protocol() == Some(b"h2");
            // A chain that cannot be read proves nothing; the handshake has already judged its signatures.
            let certificate = session.peer_certificates().and_then(|chain| PeerCertificate::read(chain).ok());
            let peer = Arc::new(Peer::tls(address, front.direction, certificate));
            Some((Guard::new(Stream::Tls(Box::new(stream)), Arc::clone(&peer)), peer, speaks_h2))
        }
    }
}

/// Looks at the first bytes without taking them. `None` when the peer left.
async fn has_preface(stream: &TcpStream) -> Option<bool> {
    let mut first = [0; PREFACE.len()];
    loop {
        let seen = stream.peek(&mut first).await.ok().filter(|seen| *seen > 0)?;
        if first[..seen] != PREFACE[..seen] {
            return Some(false);
        }
        if seen == PREFACE.len() {
            return Some(true);
        }
        // A piece of the preface: the rest is on its way, or the handshake deadline ends this.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn h1() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(bounds::HEAD_DEADLINE)
        .max_buf_size(bounds::HEAD_BYTES_MAX)
        .half_close(true);
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
