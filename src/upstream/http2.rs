//! An HTTP/2 connection to an upstream, which the exchanges of one worker share (RFC 9113).
//!
//! One exchange that is broken off resets its stream and nothing else. The connection itself is reset only where every
//! exchange on it was severed, so that a kill of the vendor also throws away what the kernel had not sent.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::Ping;
use h2::client::{Builder, SendRequest};

use super::ConnectError;
use super::connect::UpstreamStream;
use super::guarded_stream::{ConnectionControl, GuardedUpstream};
use super::pool::{OpenConnection, SendError};
use crate::bounds;
use crate::kill::InFlight;
use crate::model::{Lock as _, Moment};

/// An open HTTP/2 connection. When the pool and all streams have dropped it, it ends with GOAWAY.
#[derive(Debug, Clone)]
pub(super) struct SharedConnection {
    pub(super) requests: SendRequest<Bytes>,
    pub(super) state: Arc<SharedState>,
}

/// What the exchanges of one HTTP/2 connection share.
#[derive(Debug)]
pub(super) struct SharedState {
    control: Arc<ConnectionControl>,
    streams: Mutex<Vec<StreamEntry>>,
    /// How many streams there are, as the pool reads it.
    count: AtomicUsize,
    next: AtomicUsize,
    /// Set once the connection takes no further stream.
    is_retired: AtomicBool,
    /// When the connection is too old for another stream, on the monotonic clock.
    expires_ns: u64,
    /// When a stream last began or ended whole, on the monotonic clock.
    used_ns: AtomicU64,
}

#[derive(Debug)]
struct StreamEntry {
    key: usize,
    /// The registration of the request, where it has a body.
    sending: Option<InFlight>,
}

/// The place of one exchange on a connection, until it is dropped.
#[derive(Debug)]
pub(super) struct StreamSlot {
    pub(super) state: Arc<SharedState>,
    key: usize,
}

impl SharedConnection {
    /// Speaks HTTP/2 over a stream. Returns when the upstream has answered a ping: then it has read the preface, and
    /// its settings have arrived. `idle` is how long the upstream may read nothing.
    pub(super) async fn handshake(
        stream: UpstreamStream,
        idle: Duration,
        open: OpenConnection,
    ) -> Result<Self, SendError> {
        let control = Arc::new(ConnectionControl::default());
        let wire = GuardedUpstream::new(stream, Arc::clone(&control), idle);
        let handshake = Builder::new()
            .enable_push(false)
            .initial_window_size(bounds::H2_STREAM_WINDOW_BYTES)
            .initial_connection_window_size(bounds::UPSTREAM_CONNECTION_WINDOW_BYTES)
            .max_header_list_size(bounds::UPSTREAM_BUFFER_BYTES_MAX as u32)
            .max_send_buffer_size(bounds::H2_SEND_BYTES_MAX)
            .initial_max_send_streams(bounds::UPSTREAM_STREAMS_MAX)
            .max_concurrent_reset_streams(bounds::UPSTREAM_STREAMS_MAX)
            .handshake::<_, Bytes>(wire);
        let (requests, mut connection) = handshake.await.map_err(SendError::Reset)?;
        let mut pings = connection.ping_pong();
        let (theirs, expires_ns) = (Arc::clone(&control), open.expires_ns);
        tokio::spawn(async move {
            // Counted until the socket is closed.
            let _open = open;
            let mut connection = pin!(connection);
            // The exchanges get the error from h2, and nothing else needs it.
            poll_fn(|cx| match theirs.poll_aborted(cx) {
                Poll::Ready(()) => Poll::Ready(()),
                Poll::Pending => connection.as_mut().poll(cx).map(drop),
            })
            .await;
        });
        let ping = pings.as_mut().map(|pings| pings.ping(Ping::opaque()));
        if let Some(ping) = ping {
            ping.await.map_err(|_| SendError::Connect(ConnectError::Http2))?;
        }
        let state = SharedState {
            control,
            streams: Mutex::default(),
            count: AtomicUsize::new(0),
            next: AtomicUsize::new(0),
            is_retired: AtomicBool::new(false),
            expires_ns,
            used_ns: AtomicU64::new(0),
        };
        Ok(Self { requests, state: Arc::new(state) })
    }

    /// Whether the pool still needs the connection: it takes streams, or has been idle for less than its bound.
    pub(super) fn is_usable(&mut self, now: Moment) -> bool {
        let ready = self.requests.poll_ready(&mut Context::from_waker(Waker::noop()));
        let age_ns = now.monotonic_ns.saturating_sub(self.state.used_ns.load(Ordering::Relaxed));
        let is_stale = !self.is_busy() && age_ns >= bounds::UPSTREAM_IDLE_MAX.as_nanos() as u64;
        let is_old = now.monotonic_ns >= self.state.expires_ns;
        !(matches!(ready, Poll::Ready(Err(_))) || is_stale || is_old || self.state.is_retired.load(Ordering::Relaxed))
    }

    /// Whether an exchange is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.state.count.load(Ordering::Relaxed) > 0
    }

    /// Whether there is room for another stream, by the upstream's bound and ours.
    pub(super) fn has_room(&self) -> bool {
        let most = self.requests.current_max_send_streams().min(bounds::UPSTREAM_STREAMS_MAX);
        self.state.count.load(Ordering::Relaxed) < most
    }

    /// Takes a place for an exchange.
    pub(super) fn begin(&self, sending: Option<InFlight>, now: Moment) -> StreamSlot {
        let key = self.state.next.fetch_add(1, Ordering::Relaxed);
        let mut streams = self.state.streams();
        streams.push(StreamEntry { key, sending });
        self.state.count.store(streams.len(), Ordering::Relaxed);
        self.state.used_ns.store(now.monotonic_ns, Ordering::Relaxed);
        StreamSlot { state: Arc::clone(&self.state), key }
    }
}

impl SharedState {
    /// Has the pool send nothing more on the connection.
    pub(super) fn retire(&self) {
        self.is_retired.store(true, Ordering::Relaxed);
    }

    /// How often bytes have come from the upstream.
    pub(super) fn heard(&self) -> u64 {
        self.control.heard()
    }

    fn streams(&self) -> MutexGuard<'_, Vec<StreamEntry>> {
        self.streams.locked()
    }
}

impl StreamSlot {
    /// The last byte of the request has been handed to the connection.
    pub(super) fn sent(&self) {
        let sent = self.entry(&mut self.state.streams()).and_then(|entry| entry.sending.take());
        // This may be the last handle of the registration, and dropping that takes another lock.
        drop(sent);
    }

    /// The exchange was severed in the middle of its request. Resets the connection where all others were severed too.
    pub(super) fn severed(&self) {
        let mut streams = self.state.streams();
        let all = streams.iter().all(|entry| entry.sending.as_ref().is_some_and(InFlight::is_severed));
        let sending = self.entry(&mut streams).filter(|_| all).and_then(|entry| entry.sending.take());
        drop(streams);
        if all && !self.state.control.is_closed() {
            self.state.retire();
            // The request is in flight until the socket is closed.
            self.state.control.begin(sending);
            self.state.control.abort();
        }
    }

    /// The exchange has ended whole.
    pub(super) fn touch(&self, now: Moment) {
        self.state.used_ns.store(now.monotonic_ns, Ordering::Relaxed);
    }

    fn entry<'a>(&self, streams: &'a mut [StreamEntry]) -> Option<&'a mut StreamEntry> {
        streams.iter_mut().find(|entry| entry.key == self.key)
    }
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        let mut streams = self.state.streams();
        let place = streams.iter().position(|entry| entry.key == self.key);
        let entry = place.map(|place| streams.swap_remove(place));
        self.state.count.store(streams.len(), Ordering::Relaxed);
        drop(streams);
        drop(entry);
    }
}
