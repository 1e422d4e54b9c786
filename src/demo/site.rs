//! The sample services' sockets on loopback, and the thread that serves them.
//!
//! They have a thread of their own, so that making up customers does not slow down the gateway. Nothing here listens
//! beyond this machine.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// What a sample service answers.
pub(super) type SiteResponse = Response<BoxBody<Bytes, Infallible>>;
/// The future of an answer.
pub(super) type SiteResponseFuture<'a> = Pin<Box<dyn Future<Output = SiteResponse> + Send + 'a>>;

/// A sample service.
pub(super) trait Site: Send + Sync + 'static {
    /// Answers one request.
    fn answer(&self, request: Request<Incoming>) -> SiteResponseFuture<'_>;
}

/// A listening socket on loopback, on a free port.
#[derive(Debug)]
pub(super) struct LoopbackSocket(StdListener);

impl LoopbackSocket {
    pub(super) fn bind() -> io::Result<Self> {
        let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        Ok(Self(listener))
    }

    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// The thread that serves the sites. It ends when this value is dropped.
#[derive(Debug)]
pub(super) struct SiteThread {
    _stop: oneshot::Sender<Infallible>,
}

impl SiteThread {
    /// Serves each site on its socket.
    pub(super) fn serve(sites: Vec<(LoopbackSocket, Arc<dyn Site>)>) -> io::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let run = move || {
            runtime.block_on(async move {
                for (socket, site) in sites {
                    if let Ok(listener) = TcpListener::from_std(socket.0) {
                        tokio::spawn(accept(listener, site));
                    }
                }
                // Nothing is ever sent: the wait ends when the sender is dropped.
                let _ = stopped.await;
            });
        };
        std::thread::Builder::new().name("sample services".into()).spawn(run)?;
        Ok(Self { _stop: stop })
    }
}

async fn accept(listener: TcpListener, site: Arc<dyn Site>) {
    while let Ok((stream, _)) = listener.accept().await {
        let site = Arc::clone(&site);
        // If this fails, the demo is only slower.
        let _ = stream.set_nodelay(true);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let site = Arc::clone(&site);
                async move { Ok::<_, Infallible>(site.answer(request).await) }
            });
            // An error here only means that the caller has closed the connection.
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// An answer in JSON.
pub(super) fn json(status: StatusCode, body: impl Into<Bytes>) -> SiteResponse {
    json_stream(status, Full::new(body.into()).boxed())
}

/// An answer in JSON whose body streams.
pub(super) fn json_stream(status: StatusCode, body: BoxBody<Bytes, Infallible>) -> SiteResponse {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// A whole request body of at most `bytes_max` bytes; none where it is larger or breaks off.
pub(super) async fn read_body(body: Incoming, bytes_max: usize) -> Option<Bytes> {
    #[expect(clippy::disallowed_methods, reason = "what the demo itself has sent, bounded in the same line")]
    let collected = Limited::new(body, bytes_max).collect().await;
    Some(collected.ok()?.to_bytes())
}

/// The first value of a query or form field, decoded.
pub(super) fn field(text: &str, name: &str) -> Option<String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    let value = pairs.into_iter().find_map(|(key, value)| (key == name).then(|| value.replace('+', " ")))?;
    Some(percent_encoding::percent_decode_str(&value).decode_utf8_lossy().into_owned())
}
