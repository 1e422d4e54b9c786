//! One vendor's connections to one upstream, a shard of them for each worker.
//!
//! Requests go out on the connection that was idle for the shortest time. A connection comes back when its answer's
//! last byte has been read; an answer that was dropped half-way closes its connection, which resets the upstream's side.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;

use super::{Connector, ConnectorError};
use crate::bounds;
use crate::http::GatewayBody;
use crate::model::Moment;

/// One vendor's connections to one upstream.
#[derive(Debug)]
pub struct Upstream {
    connector: Connector,
    host: HeaderValue,
    response_timeout: Duration,
    shards: Box<[Shard]>,
    open: Arc<AtomicUsize>,
}

/// The idle connections of one worker. Only that worker takes and gives, so the lock is never contended.
#[derive(Debug, Default)]
struct Shard(Mutex<Vec<Idle>>);

#[derive(Debug)]
struct Idle {
    sender: Sender,
    since_ns: u64,
}

#[derive(Debug)]
struct Sender {
    requests: SendRequest<GatewayBody>,
    _open: Open,
}

/// Counts one open connection for as long as somebody could use it.
#[derive(Debug)]
struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No connection could be made.
    #[error("no connection to the upstream")]
    Connect(#[source] ConnectorError),
    /// This vendor has as many connections to this upstream as it may.
    #[error("the vendor's connections to the upstream are used up")]
    Full,
    /// The upstream ended the exchange before it answered.
    #[error("the upstream ended the exchange")]
    Ended(#[source] hyper::Error),
    /// The answer's head cannot be read, or is one that nobody asked for.
    #[error("the upstream's answer cannot be read")]
    Unreadable,
    /// The answer's head did not come in time.
    #[error("the upstream did not answer in time")]
    Deadline,
}

impl Upstream {
    /// A pool with no connections yet.
    pub fn new(connector: Connector, response_timeout: Duration, workers: usize) -> Self {
        Self {
            host: HeaderValue::try_from(connector.base().authority()).unwrap_or(HeaderValue::from_static("")),
            connector,
            response_timeout,
            shards: (0..workers.max(1)).map(|_| Shard::default()).collect(),
            open: Arc::default(),
        }
    }

    /// The `Host` field of requests to this upstream.
    pub const fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// The path in front of every request's.
    pub fn base_path(&self) -> &str {
        self.connector.base().path()
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// A request that found its idle connection already closed goes out again on another, since not a byte of it was
    /// sent; any other failure is final.
    ///
    /// # Errors
    /// [`SendError`], at the latest when the response timeout has passed.
    pub async fn send(
        self: &Arc<Self>,
        worker: usize,
        request: Request<GatewayBody>,
        now: Moment,
    ) -> Result<(Response<Incoming>, Lease), SendError> {
        let exchange = self.exchange(worker, request, now);
        let (response, sender) =
            tokio::time::timeout(self.response_timeout, exchange).await.map_err(|_| SendError::Deadline)??;
        Ok((response, Lease { sender, upstream: Arc::clone(self), worker }))
    }

    async fn exchange(
        &self,
        worker: usize,
        mut request: Request<GatewayBody>,
        now: Moment,
    ) -> Result<(Response<Incoming>, Sender), SendError> {
        loop {
            let (mut sender, reused) = match self.take_idle(worker, now) {
                Some(sender) => (sender, true),
                // Boxed: a TLS handshake's state would otherwise be part of every request's.
                None => (Box::pin(self.open()).await?, false),
            };
            if sender.requests.ready().await.is_err() {
                if reused {
                    continue;
                }
                return Err(SendError::Unreadable);
            }
            match sender.requests.try_send_request(request).await {
                Ok(response) => return Ok((response, sender)),
                Err(mut failure) => match failure.take_message() {
                    Some(unsent) if reused => request = unsent,
                    Some(_) | None => return Err(ended(failure.into_error())),
                },
            }
        }
    }

    fn take_idle(&self, worker: usize, now: Moment) -> Option<Sender> {
        let mut idle = self.shard(worker).lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(Idle { sender, since_ns }) = idle.pop() {
            let age_ns = now.monotonic_ns.saturating_sub(since_ns);
            if !sender.requests.is_closed() && age_ns < bounds::UPSTREAM_IDLE_MAX.as_nanos() as u64 {
                return Some(sender);
            }
        }
        None
    }

    fn give_back(&self, worker: usize, sender: Sender, now: Moment) {
        let mut idle = self.shard(worker).lock().unwrap_or_else(PoisonError::into_inner);
        let oldest_ns = now.monotonic_ns.saturating_sub(bounds::UPSTREAM_IDLE_MAX.as_nanos() as u64);
        if idle.first().is_some_and(|oldest| oldest.since_ns < oldest_ns) {
            idle.retain(|entry| entry.since_ns >= oldest_ns);
        }
        if idle.len() < bounds::UPSTREAM_IDLE_CONNECTIONS_MAX {
            idle.push(Idle { sender, since_ns: now.monotonic_ns });
        }
    }

    fn shard(&self, worker: usize) -> &Mutex<Vec<Idle>> {
        &self.shards[worker % self.shards.len()].0
    }

    async fn open(&self) -> Result<Sender, SendError> {
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        let open = Open(Arc::clone(&self.open));
        if before >= bounds::UPSTREAM_CONNECTIONS_MAX {
            return Err(SendError::Full);
        }
        let stream = self.connector.connect().await.map_err(SendError::Connect)?;
        let (requests, connection) = http1::Builder::new()
            .max_buf_size(bounds::UPSTREAM_BUFFER_BYTES_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(SendError::Ended)?;
        tokio::spawn(async move {
            // How a connection ended is told to whoever waits on it; there is nobody else to tell.
            let _ = connection.with_upgrades().await;
        });
        Ok(Sender { requests, _open: open })
    }
}

fn ended(error: hyper::Error) -> SendError {
    if error.is_parse() { SendError::Unreadable } else { SendError::Ended(error) }
}

/// A connection while its answer is being read. Dropping it closes the connection.
#[derive(Debug)]
pub struct Lease {
    sender: Sender,
    upstream: Arc<Upstream>,
    worker: usize,
}

impl Lease {
    /// Gives the connection back for the next request: only after the answer's last byte.
    pub fn release(self, now: Moment) {
        if !self.sender.requests.is_closed() {
            self.upstream.give_back(self.worker, self.sender, now);
        }
    }
}
