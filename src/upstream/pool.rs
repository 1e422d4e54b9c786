//! The pool of one vendor's connections to one upstream, with a shard for each worker.
//!
//! On HTTP/1.1 a request takes the connection that was idle for the shortest time, and the connection comes back when
//! the last byte of the response has been read. On HTTP/2 the requests of a worker share connections, each up to its
//! bound of streams. What is broken off is reset: the connection of HTTP/1.1, the stream of HTTP/2.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use ::http::header::UPGRADE;
use ::http::uri::{Authority, Scheme};
use ::http::{HeaderValue, Request, Response};

use super::balance::spread;
use super::body::UpstreamBody;
use super::connect::{AlpnOffer, UpstreamConnector};
use super::http1::PooledConnection;
use super::http2::SharedConnection;
use super::http2_exchange::{self, StreamLease, StreamRequest};
use super::shard::PoolShard;
use super::sockets::{SocketBudget, SocketPermit};
use super::{BodyLimits, ConnectError, HttpProtocol, UpstreamSettings};
use crate::bounds;
use crate::http::{FramingError, GatewayBody, UrlScheme};
use crate::kill::InFlight;
use crate::model::Moment;
use crate::policy::Permit;

/// The pool of one vendor's connections to one upstream.
#[derive(Debug)]
pub struct UpstreamPool {
    connector: UpstreamConnector,
    host: HeaderValue,
    /// What HTTP/2 sends in the place of `Host`; `None` where only HTTP/1.1 is spoken.
    origin: Option<(Scheme, Authority)>,
    protocol: HttpProtocol,
    /// Whether the upstream chose HTTP/1.1 the last time that it could choose.
    chose_http1: AtomicBool,
    connect_deadline: Duration,
    response_deadline: Duration,
    body: BodyLimits,
    connections_max: usize,
    connection_age_max: Option<Duration>,
    shards: Arc<[PoolShard]>,
    sockets: Arc<SocketBudget>,
    open: Arc<AtomicUsize>,
}

/// A connection that was just made.
enum OpenedConnection {
    Http1(PooledConnection),
    Http2(SharedConnection),
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
pub(super) struct OpenConnection {
    count: Arc<AtomicUsize>,
    socket: Option<SocketPermit>,
    /// When the connection is too old for another exchange, on the monotonic clock.
    pub(super) expires_ns: u64,
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
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
    /// The upstream ended the stream or the HTTP/2 connection before the head of its response.
    #[error("the upstream ended the exchange")]
    Reset(#[source] h2::Error),
    /// The upstream says that it has processed nothing of the request: it may be sent again, whatever its method.
    #[error("the upstream takes no more requests on the connection")]
    Unprocessed(#[source] h2::Error),
    /// The head of the response cannot be read.
    #[error("the upstream's answer cannot be read")]
    Unreadable,
    /// The bytes of the response can be read in two ways, or in none.
    #[error("the upstream's answer is not valid HTTP")]
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
        let (origin, protocol) = spoken(&connector, settings.protocol);
        Self {
            origin,
            protocol,
            chose_http1: AtomicBool::new(false),
            host: HeaderValue::try_from(connector.base().authority()).unwrap_or(HeaderValue::from_static("")),
            connector,
            connect_deadline: settings.connect_deadline,
            response_deadline: settings.response_deadline,
            body: settings.body,
            connections_max: settings.group.connections_max,
            connection_age_max: settings.group.connection_age_max,
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
    /// And nobody but the policy chain can make one, as its fields are private:
    /// ```compile_fail,E0451
    /// use vendorgate::internals::policy::Permit;
    ///
    /// fn forge() -> Permit {
    ///     Permit { limits: None, would_deny: Vec::new() }
    /// }
    /// ```
    pub async fn send<S: Future<Output = ()>>(
        self: &Arc<Self>,
        worker: usize,
        _permit: &Permit,
        outgoing: UpstreamRequest<S>,
        now: Moment,
    ) -> Result<(Response<UpstreamBody>, UpstreamLease), SendError> {
        let UpstreamRequest { request, sent, sending } = outgoing;
        let is_late = AtomicBool::new(false);
        let late = async {
            sent.await;
            tokio::time::sleep(self.response_deadline).await;
            is_late.store(true, Ordering::Relaxed);
        };
        let exchange = async {
            match &self.origin {
                Some(origin) if !request.headers().contains_key(UPGRADE) => {
                    let request = StreamRequest { request, origin, sending, idle: self.body.idle, is_late: &is_late };
                    self.shared_exchange(worker, request, now).await
                }
                Some(_) | None => self.exchange(worker, request, sending, now).await,
            }
        };
        let (response, hold) = tokio::select! {
            biased;
            outcome = exchange => outcome?,
            () = late => return Err(SendError::Deadline),
        };
        Ok((response, UpstreamLease { hold, upstream: Arc::clone(self), worker }))
    }

    /// An exchange on an HTTP/1.1 connection.
    async fn exchange(
        &self,
        worker: usize,
        mut request: Request<GatewayBody>,
        sending: Option<InFlight>,
        now: Moment,
    ) -> Result<(Response<UpstreamBody>, LeasedConnection), SendError> {
        loop {
            let (mut sender, reused) = match self.shard(worker).pop_idle(now) {
                Some(sender) => (sender, true),
                // Boxed, so that the state of a TLS handshake is not part of the future of every request.
                None => match Box::pin(self.open(AlpnOffer::Nothing, now)).await? {
                    OpenedConnection::Http1(sender) => (sender, false),
                    OpenedConnection::Http2(_) => return Err(SendError::Unreadable),
                },
            };
            // A connection from the pool may not have finished its last exchange yet.
            if !sender.is_ready(self.connect_deadline).await {
                if reused {
                    continue;
                }
                return Err(SendError::Unreadable);
            }
            match sender.exchange(request, sending.as_ref().map(InFlight::share)).await {
                Ok(response) => return Ok((response.map(UpstreamBody::Http1), LeasedConnection::Http1(sender))),
                Err((_, Some(unsent))) if reused => request = unsent,
                Err((error, _)) => return Err(error),
            }
        }
    }

    /// An exchange on a connection that may be shared, where the upstream speaks HTTP/2.
    async fn shared_exchange(
        &self,
        worker: usize,
        mut outgoing: StreamRequest<'_>,
        now: Moment,
    ) -> Result<(Response<UpstreamBody>, LeasedConnection), SendError> {
        // Boxed, so that HTTP/1.1 does not pay for the size of these futures.
        for _ in 0..bounds::UPSTREAM_UNPROCESSED_TRIES {
            let Some(connection) = Box::pin(self.shared_connection(worker, now)).await? else {
                return Box::pin(self.exchange(worker, outgoing.request, outgoing.sending, now)).await;
            };
            let slot = connection.begin(outgoing.sending.as_ref().map(InFlight::share), now);
            let StreamRequest { origin, idle, is_late, .. } = outgoing;
            let sending = outgoing.sending.as_ref().map(InFlight::share);
            match Box::pin(http2_exchange::exchange(connection, slot, outgoing)).await {
                Ok((response, lease)) => return Ok((response, LeasedConnection::Http2(lease))),
                Err((_, Some(request))) => outgoing = StreamRequest { request, origin, sending, idle, is_late },
                Err((error, None)) => return Err(error),
            }
        }
        Err(SendError::Full)
    }

    /// A connection with room for a stream, made where there is none; `None` where the upstream speaks HTTP/1.1, and a
    /// connection of that kind is or was idle in the pool.
    async fn shared_connection(&self, worker: usize, now: Moment) -> Result<Option<SharedConnection>, SendError> {
        let shard = self.shard(worker);
        if let Some(connection) = shard.shared(now) {
            return Ok(Some(connection));
        }
        let is_auto = self.protocol == HttpProtocol::Auto;
        if is_auto && self.chose_http1.load(Ordering::Relaxed) && shard.has_idle() {
            return Ok(None);
        }
        // One request makes the connection that the others wait for, unless HTTP/1.1 is expected.
        let _opening = match is_auto && self.chose_http1.load(Ordering::Relaxed) {
            true => None,
            false => {
                let opening = tokio::time::timeout(self.connect_deadline, shard.opening.lock()).await;
                Some(opening.map_err(|_| SendError::Connect(ConnectError::Deadline))?)
            }
        };
        if let Some(connection) = shard.shared(now) {
            return Ok(Some(connection));
        }
        let offer = if is_auto { AlpnOffer::Both } else { AlpnOffer::Http2 };
        Ok(match self.open(offer, now).await? {
            OpenedConnection::Http1(sender) => {
                self.chose_http1.store(true, Ordering::Relaxed);
                self.shard(worker).give_back(sender, now);
                None
            }
            OpenedConnection::Http2(connection) => {
                self.chose_http1.store(false, Ordering::Relaxed);
                shard.share(connection.clone());
                Some(connection)
            }
        })
    }

    /// When a connection that is opened now is too old: up to a tenth early, so that those that were opened together do
    /// not all end together.
    fn expiry_ns(&self, now: Moment) -> u64 {
        let Some(age) = self.connection_age_max else { return u64::MAX };
        let age_ns = u64::try_from(age.as_nanos()).unwrap_or(u64::MAX);
        let early = spread(now.monotonic_ns) % (age_ns / 10).max(1);
        now.monotonic_ns.saturating_add(age_ns - early)
    }

    fn shard(&self, worker: usize) -> &PoolShard {
        &self.shards[worker % self.shards.len()]
    }

    async fn open(&self, offer: AlpnOffer, now: Moment) -> Result<OpenedConnection, SendError> {
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        let mut open = OpenConnection { count: Arc::clone(&self.open), socket: None, expires_ns: self.expiry_ns(now) };
        if before >= self.connections_max {
            return Err(SendError::Full);
        }
        open.socket = Some(self.sockets.take().ok_or(SendError::Full)?);
        let (stream, is_http2) = self.connector.connect(offer).await.map_err(SendError::Connect)?;
        if !is_http2 {
            return PooledConnection::handshake(stream, self.body.idle, open).await.map(OpenedConnection::Http1);
        }
        let handshake = SharedConnection::handshake(stream, self.body.idle, open);
        let connection = tokio::time::timeout(self.connect_deadline, handshake).await;
        connection.unwrap_or(Err(SendError::Connect(ConnectError::Deadline))).map(OpenedConnection::Http2)
    }
}

/// What is spoken to an upstream, and its origin where that may be HTTP/2. In clear nothing is negotiated, so `auto` is
/// HTTP/1.1 there.
fn spoken(connector: &UpstreamConnector, asked: HttpProtocol) -> (Option<(Scheme, Authority)>, HttpProtocol) {
    let base = connector.base();
    let protocol = match (asked, base.scheme()) {
        (HttpProtocol::Auto, UrlScheme::Http) => HttpProtocol::Http1,
        (asked, UrlScheme::Http | UrlScheme::Https) => asked,
    };
    let scheme = match base.scheme() {
        UrlScheme::Http => Scheme::HTTP,
        UrlScheme::Https => Scheme::HTTPS,
    };
    let authority = base.authority().parse().ok().filter(|_| protocol != HttpProtocol::Http1);
    (authority.map(|authority| (scheme, authority)), protocol)
}

/// An exchange whose response is being read. Dropping it resets the connection of HTTP/1.1, or the stream of HTTP/2.
#[derive(Debug)]
pub struct UpstreamLease {
    hold: LeasedConnection,
    upstream: Arc<UpstreamPool>,
    worker: usize,
}

#[derive(Debug)]
enum LeasedConnection {
    Http1(PooledConnection),
    Http2(StreamLease),
}

impl UpstreamLease {
    /// Gives the connection back to the pool. Call it only after the last byte of the request and of the response.
    pub fn release(self, now: Moment) {
        match self.hold {
            LeasedConnection::Http1(mut sender) => {
                sender.finish();
                if sender.is_reusable(now) {
                    self.upstream.shard(self.worker).give_back(sender, now);
                }
            }
            LeasedConnection::Http2(stream) => stream.release(now),
        }
    }

    /// Lets a connection that has left HTTP end by itself.
    pub fn detach(self) {
        match self.hold {
            LeasedConnection::Http1(mut sender) => sender.finish(),
            // Only HTTP/1.1 is asked to leave HTTP.
            LeasedConnection::Http2(stream) => drop(stream),
        }
    }
}
