//! The pool of one vendor's connections to one upstream, with a shard for each worker.
//!
//! A request takes the connection that was idle for the shortest time. The connection comes back when the last byte of
//! the response has been read. When an exchange is broken off, its connection is reset, and what was not sent is thrown
//! away.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use ::http::header::UPGRADE;
use ::http::{HeaderValue, Method, Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;

use super::guarded_stream::{ConnectionControl, GuardedUpstream};
use super::sockets::{SocketBudget, SocketPermit};
use super::{BodyLimits, ConnectError, UpstreamConnector, UpstreamSettings};
use crate::bounds;
use crate::http::{ExpectedResponse, FramingError, GatewayBody, PendingResponse, ScreenedStream};
use crate::kill::InFlight;
use crate::model::{Lock as _, Moment};
use crate::policy::Permit;

/// The pool of one vendor's connections to one upstream.
#[derive(Debug)]
pub struct UpstreamPool {
    connector: UpstreamConnector,
    host: HeaderValue,
    connect_deadline: Duration,
    response_deadline: Duration,
    body: BodyLimits,
    shards: Arc<[PoolShard]>,
    sockets: Arc<SocketBudget>,
    open: Arc<AtomicUsize>,
}

/// The idle connections of one worker. Other threads take the lock only to close idle connections.
#[derive(Debug, Default)]
pub(super) struct PoolShard(Mutex<Vec<IdleConnection>>);

impl PoolShard {
    /// Closes all idle connections.
    pub(super) fn close_idle(&self) {
        self.0.locked().clear();
    }
}

#[derive(Debug)]
struct IdleConnection {
    sender: PooledConnection,
    since_ns: u64,
}

#[derive(Debug)]
struct PooledConnection {
    requests: SendRequest<GatewayBody>,
    control: Arc<ConnectionControl>,
    /// Whether an exchange is under way on the connection.
    is_busy: bool,
    /// What the screening of the upstream's bytes must expect as the next response.
    asked: Arc<PendingResponse>,
    _open: OpenConnection,
}

/// A connection that is dropped in the middle of an exchange is reset, so that the upstream does not take it for whole.
impl Drop for PooledConnection {
    fn drop(&mut self) {
        if self.is_busy {
            self.control.abort();
        }
    }
}

/// A request to an upstream, and how its body is doing.
#[derive(Debug)]
pub struct UpstreamRequest<S> {
    /// The request.
    pub request: Request<GatewayBody>,
    /// Ready when the last byte of the request was handed on: the response deadline runs from then on.
    pub sent: S,
    /// The registration of the request, where it has a body: a kill ends the connection in the middle of the body.
    pub sending: Option<InFlight>,
}

/// Counts one open connection of the pool, until it is dropped.
#[derive(Debug)]
struct OpenConnection(Arc<AtomicUsize>, Option<SocketPermit>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No connection could be made.
    #[error("no connection to the upstream")]
    Connect(#[source] ConnectError),
    /// The pool has as many connections as it may, or the process has no socket left.
    #[error("the connections to the upstream are used up")]
    Full,
    /// The upstream ended the exchange before the head of its response.
    #[error("the upstream ended the exchange")]
    Ended(#[source] hyper::Error),
    /// The head of the response cannot be read.
    #[error("the upstream's answer cannot be read")]
    Unreadable,
    /// The bytes of the response can be read in two ways, or in none.
    #[error("the upstream's answer is not valid HTTP/1.1")]
    Flawed(#[source] FramingError),
    /// The head of the response did not come in time, or the upstream stopped reading the request.
    #[error("the upstream did not answer in time")]
    Deadline,
}

impl UpstreamPool {
    /// A pool without connections.
    pub fn new(
        connector: UpstreamConnector,
        settings: &UpstreamSettings,
        workers: usize,
        sockets: Arc<SocketBudget>,
    ) -> Self {
        let shards: Arc<[PoolShard]> = (0..workers.max(1)).map(|_| PoolShard::default()).collect();
        sockets.add_pool(&shards);
        Self {
            host: HeaderValue::try_from(connector.base().authority()).unwrap_or(HeaderValue::from_static("")),
            connector,
            connect_deadline: settings.connect_deadline,
            response_deadline: settings.response_deadline,
            body: settings.body,
            shards,
            sockets,
            open: Arc::default(),
        }
    }

    /// The `Host` field of requests to this upstream.
    pub const fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// The path of the upstream, which comes before the path of every request.
    pub fn base_path(&self) -> &str {
        self.connector.base().path()
    }

    /// How slowly the bodies of requests and responses may come.
    pub const fn body_limits(&self) -> BodyLimits {
        self.body
    }

    /// Sends a request that was admitted, and waits for the head of its response. `_permit` is the proof of the
    /// admission; `now` is when the request is sent.
    ///
    /// A request that finds its idle connection closed already is sent again on another one, since not a byte of it was
    /// sent; any other failure is final.
    ///
    /// # Errors
    /// [`SendError`], at the latest when the response timeout has passed since the end of the request. The time that
    /// the body of the request takes is bounded by the limits on its sender and on its reader.
    ///
    /// # No request without a permit
    /// Whoever holds a [`Permit`] can send:
    /// ```
    /// use std::{future::Ready, sync::Arc};
    /// use vendorgate::internals::{model::Moment, policy::Permit};
    /// use vendorgate::internals::upstream::{UpstreamPool, UpstreamRequest};
    ///
    /// async fn send(pool: &Arc<UpstreamPool>, permit: &Permit, request: UpstreamRequest<Ready<()>>, now: Moment) {
    ///     let _ = pool.send(0, permit, request, now).await;
    /// }
    /// ```
    /// The same without one does not compile, as the argument is missing:
    /// ```compile_fail,E0061
    /// use std::{future::Ready, sync::Arc};
    /// use vendorgate::internals::{model::Moment, policy::Permit};
    /// use vendorgate::internals::upstream::{UpstreamPool, UpstreamRequest};
    ///
    /// async fn send(pool: &Arc<UpstreamPool>, request: UpstreamRequest<Ready<()>>, now: Moment) {
    ///     let _ = pool.send(0, request, now).await;
    /// }
    /// ```
    /// And nobody but the policy chain can make one, as its field is private:
    /// ```compile_fail,E0451
    /// use vendorgate::internals::policy::Permit;
    ///
    /// fn forge() -> Permit {
    ///     Permit { limits: None }
    /// }
    /// ```
    pub async fn send<S: Future<Output = ()>>(
        self: &Arc<Self>,
        worker: usize,
        _permit: &Permit,
        outgoing: UpstreamRequest<S>,
        now: Moment,
    ) -> Result<(Response<Incoming>, UpstreamLease), SendError> {
        let UpstreamRequest { request, sent, sending } = outgoing;
        let late = async {
            sent.await;
            tokio::time::sleep(self.response_deadline).await;
        };
        let (response, sender) = tokio::select! {
            biased;
            outcome = self.exchange(worker, request, sending, now) => outcome?,
            () = late => return Err(SendError::Deadline),
        };
        Ok((response, UpstreamLease { sender, upstream: Arc::clone(self), worker }))
    }

    async fn exchange(
        &self,
        worker: usize,
        mut request: Request<GatewayBody>,
        sending: Option<InFlight>,
        now: Moment,
    ) -> Result<(Response<Incoming>, PooledConnection), SendError> {
        loop {
            let (mut sender, reused) = match self.pop_idle(worker, now) {
                Some(sender) => (sender, true),
                // Boxed, so that the state of a TLS handshake is not part of the future of every request.
                None => (Box::pin(self.open()).await?, false),
            };
            // A connection from the pool may not have finished its last exchange yet.
            let ready = tokio::time::timeout(self.connect_deadline, sender.requests.ready()).await;
            if !matches!(ready, Ok(Ok(()))) {
                if reused {
                    continue;
                }
                return Err(SendError::Unreadable);
            }
            sender.is_busy = true;
            sender.control.begin(sending.as_ref().map(InFlight::share));
            sender.asked.expect(expected(&request));
            match sender.requests.try_send_request(request).await {
                Ok(response) => return Ok((response, sender)),
                Err(mut failure) => match failure.take_message() {
                    Some(unsent) if reused => request = unsent,
                    Some(_) | None => return Err(sender.ended(failure.into_error())),
                },
            }
        }
    }

    fn pop_idle(&self, worker: usize, now: Moment) -> Option<PooledConnection> {
        let mut idle = self.shard(worker).locked();
        while let Some(IdleConnection { sender, since_ns }) = idle.pop() {
            let age_ns = now.monotonic_ns.saturating_sub(since_ns);
            if sender.is_reusable() && age_ns < bounds::UPSTREAM_IDLE_MAX.as_nanos() as u64 {
                return Some(sender);
            }
        }
        None
    }

    fn give_back(&self, worker: usize, sender: PooledConnection, now: Moment) {
        let mut idle = self.shard(worker).locked();
        let oldest_ns = now.monotonic_ns.saturating_sub(bounds::UPSTREAM_IDLE_MAX.as_nanos() as u64);
        if idle.first().is_some_and(|oldest| oldest.since_ns < oldest_ns) {
            idle.retain(|entry| entry.since_ns >= oldest_ns);
        }
        if idle.len() < bounds::UPSTREAM_IDLE_CONNECTIONS_MAX {
            idle.push(IdleConnection { sender, since_ns: now.monotonic_ns });
        }
    }

    fn shard(&self, worker: usize) -> &Mutex<Vec<IdleConnection>> {
        &self.shards[worker % self.shards.len()].0
    }

    async fn open(&self) -> Result<PooledConnection, SendError> {
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        let mut open = OpenConnection(Arc::clone(&self.open), None);
        if before >= bounds::UPSTREAM_CONNECTIONS_MAX {
            return Err(SendError::Full);
        }
        open.1 = Some(self.sockets.take().ok_or(SendError::Full)?);
        let stream = self.connector.connect().await.map_err(SendError::Connect)?;
        let control = Arc::new(ConnectionControl::default());
        let wire = GuardedUpstream::new(stream, Arc::clone(&control), self.body.idle);
        let asked = Arc::new(PendingResponse::default());
        let (requests, connection) = http1::Builder::new()
            .max_buf_size(bounds::UPSTREAM_BUFFER_BYTES_MAX)
            .handshake(TokioIo::new(ScreenedStream::answers(wire, Arc::clone(&asked))))
            .await
            .map_err(SendError::Ended)?;
        let theirs = Arc::clone(&control);
        tokio::spawn(async move {
            let mut connection = pin!(connection.with_upgrades());
            // An exchange that waits on the connection gets the error from hyper, and nothing else needs it.
            poll_fn(|cx| match theirs.poll_aborted(cx) {
                Poll::Ready(()) => Poll::Ready(()),
                Poll::Pending => connection.as_mut().poll(cx).map(drop),
            })
            .await;
        });
        Ok(PooledConnection { requests, control, is_busy: false, asked, _open: open })
    }
}

impl PooledConnection {
    /// Whether the connection can take another request.
    fn is_reusable(&self) -> bool {
        !self.requests.is_closed() && self.asked.error().is_none()
    }

    fn ended(&self, error: hyper::Error) -> SendError {
        match self.asked.error() {
            Some(flaw) => SendError::Flawed(flaw),
            None if error.is_parse() => SendError::Unreadable,
            None if has_stalled(&error) => SendError::Deadline,
            None => SendError::Ended(error),
        }
    }
}

/// The kind of response that a request will get.
fn expected(request: &Request<GatewayBody>) -> ExpectedResponse {
    match *request.method() {
        Method::HEAD => ExpectedResponse::HeadResponse,
        _ if request.headers().contains_key(UPGRADE) => ExpectedResponse::Upgrade,
        _ => ExpectedResponse::Response,
    }
}

/// Whether the upstream did not read what it was sent: see [`GuardedUpstream`].
fn has_stalled(error: &hyper::Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    source.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
}

/// A connection whose response is being read. Dropping it resets the connection.
#[derive(Debug)]
pub struct UpstreamLease {
    sender: PooledConnection,
    upstream: Arc<UpstreamPool>,
    worker: usize,
}

impl UpstreamLease {
    /// Gives the connection back to the pool. Call it only after the last byte of the request and of the response.
    pub fn release(mut self, now: Moment) {
        self.sender.is_busy = false;
        self.sender.control.finish();
        if self.sender.is_reusable() {
            self.upstream.give_back(self.worker, self.sender, now);
        }
    }

    /// Lets a connection that has left HTTP end by itself.
    pub fn detach(mut self) {
        self.sender.is_busy = false;
        self.sender.control.finish();
    }
}
