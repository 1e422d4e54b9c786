//! An HTTP/2 client: hyper's, in plain text with prior knowledge or over a stream that is already open.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::PATIENCE;

/// A connection.
pub(crate) type Session = SendRequest<Full<Bytes>>;

/// How a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamEnd {
    /// With END_STREAM.
    Whole,
    /// With RST_STREAM.
    Reset,
    /// With the connection.
    Gone,
}

/// Runs a future on a full runtime, and fails if it takes too long.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(PATIENCE * 2, future).await.expect("in time") })
}

/// Connects with prior knowledge.
pub(crate) async fn open(address: SocketAddr) -> Session {
    open_narrow(address, 1 << 20).await
}

/// Connects, with windows of this many bytes.
pub(crate) async fn open_narrow(address: SocketAddr, window: u32) -> Session {
    over(TcpStream::connect(address).await.expect("it accepts"), window).await
}

/// Speaks over an open stream.
pub(crate) async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, window: u32) -> Session {
    let (session, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(window)
        .initial_connection_window_size(window.max(65_535))
        .handshake(TokioIo::new(stream))
        .await
        .expect("a handshake");
    tokio::spawn(async move { drop(connection.await) });
    session
}

/// A `GET` with a token.
pub(crate) fn get(path: &str, token: &str) -> Request<Full<Bytes>> {
    Request::get(format!("http://api.example.com{path}"))
        .header("authorization", format!("Bearer {token}"))
        .body(Full::default())
        .expect("a request")
}

/// Sends a `GET` and waits for the head of its answer.
pub(crate) async fn ask(session: &mut Session, path: &str, token: &str) -> hyper::Result<Response<Incoming>> {
    session.ready().await?;
    session.send_request(get(path, token)).await
}

/// Reads a body to its end.
pub(crate) async fn read(mut body: Incoming) -> (Vec<u8>, StreamEnd) {
    let mut bytes = Vec::new();
    loop {
        match body.frame().await {
            None => return (bytes, StreamEnd::Whole),
            Some(Ok(frame)) => bytes.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Some(Err(error)) => return (bytes, ending(&error)),
        }
    }
}

fn ending(error: &(dyn std::error::Error + 'static)) -> StreamEnd {
    let mut cause = Some(error);
    while let Some(error) = cause {
        // h2's error for a stream that was reset, as opposed to a connection that ended.
        if error.to_string().contains("stream error received") {
            return StreamEnd::Reset;
        }
        cause = error.source();
    }
    StreamEnd::Gone
}
