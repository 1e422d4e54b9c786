//! One connection for one request: how it is opened, and how the answer is read from it.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::ServerName;
use tokio::net::{TcpStream, UnixStream};

use super::{ClientError, Destination, HttpClient};
use crate::http::{ByteStream, ExpectedResponse, PendingResponse, ScreenedStream, Url, UrlScheme, is_loopback_address};
use crate::model::debug_fields;

/// What drives a connection: it must be polled for any byte to move.
type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

/// An answer whose body is still to come.
pub struct ResponseStream {
    /// The status.
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
    body: Incoming,
    /// Absent once the connection has ended, which may be before the last bytes are read.
    driver: Option<Driver>,
}

impl ResponseStream {
    /// The next piece of the body; none at its end. Waits without a deadline.
    ///
    /// # Errors
    /// [`ClientError::Http`] when the body breaks off.
    pub async fn next(&mut self) -> Option<Result<Bytes, ClientError>> {
        loop {
            match driven(&mut self.driver, self.body.frame()).await? {
                Ok(frame) => {
                    if let Ok(data) = frame.into_data() {
                        return Some(Ok(data));
                    }
                }
                Err(error) => return Some(Err(ClientError::Http(error))),
            }
        }
    }
}

debug_fields!(ResponseStream: status);

impl HttpClient {
    pub(super) async fn connect(&self, to: &Destination) -> io::Result<Box<dyn ByteStream>> {
        match to {
            Destination::Socket(path) => Ok(Box::new(UnixStream::connect(path).await?)),
            Destination::Url(url) => {
                let stream = self.connect_tcp(url).await?;
                match (url.scheme(), &self.tls) {
                    (UrlScheme::Http, _) => Ok(Box::new(stream)),
                    (UrlScheme::Https, Some(tls)) => {
                        let name = ServerName::try_from(url.bare_host().to_owned()).map_err(io::Error::other)?;
                        Ok(Box::new(tls.connect(name, stream).await?))
                    }
                    (UrlScheme::Https, None) => Err(io::ErrorKind::Unsupported.into()),
                }
            }
        }
    }

    /// Tries each address of the host in turn.
    async fn connect_tcp(&self, url: &Url) -> io::Result<TcpStream> {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in tokio::net::lookup_host((url.bare_host(), url.port())).await? {
            if !self.may_dial(url, address) {
                continue;
            }
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Whether an address of a host may be dialled: a name that means this machine can resolve to another one.
    fn may_dial(&self, url: &Url, address: SocketAddr) -> bool {
        let is_private =
            url.scheme() == UrlScheme::Https || self.options.allow_plain_http || is_loopback_address(address.ip());
        is_private && self.addresses.as_ref().is_none_or(|may| may(address.ip()))
    }
}

/// Sends a request and waits for the head of its answer. The connection is driven in the caller's own task: when the
/// caller gives up, the connection is closed.
pub(super) async fn exchange(
    stream: Box<dyn ByteStream>,
    request: Request<Bytes>,
) -> Result<ResponseStream, ClientError> {
    let request = request.map(Full::new);
    if request.version() == Version::HTTP_2 {
        let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(ClientError::Http)?;
        return answer(Box::pin(async { drop(connection.await) }), sender.send_request(request)).await;
    }
    let pending = Arc::new(PendingResponse::default());
    pending.expect(ExpectedResponse::Response);
    let handshake = http1::handshake(TokioIo::new(ScreenedStream::answers(stream, pending))).await;
    let (mut sender, connection) = handshake.map_err(ClientError::Http)?;
    answer(Box::pin(async { drop(connection.await) }), sender.send_request(request)).await
}

async fn answer(
    driver: Driver,
    head: impl Future<Output = hyper::Result<Response<Incoming>>>,
) -> Result<ResponseStream, ClientError> {
    let mut driver = Some(driver);
    let (head, body) = driven(&mut driver, head).await.map_err(ClientError::Http)?.into_parts();
    Ok(ResponseStream { status: head.status, headers: head.headers, body, driver })
}

/// Waits for a part of the answer while the connection is driven.
async fn driven<T>(driver: &mut Option<Driver>, part: impl Future<Output = T>) -> T {
    let mut part = pin!(part);
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(part) = part.as_mut().poll(cx) {
                return Poll::Ready(part);
            }
            match driver.as_mut().map(|connection| connection.as_mut().poll(cx)) {
                Some(Poll::Ready(())) => *driver = None,
                Some(Poll::Pending) | None => return Poll::Pending,
            }
        }
    })
    .await
}
