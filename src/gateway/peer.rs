//! The caller's end of a connection: what its requests need to know of it, and what they and its task tell each other.
//!
//! Made once for each connection, with the header values that each request needs.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::task::{Context, Poll, Waker};

use ::http::HeaderValue;

use super::egress::{GrantedTunnel, TunnelTarget};
use super::streamed::{StreamedResponse, StreamedResponses};
use crate::http::SlotHolder;
use crate::identity::PeerCertificate;
use crate::kill::InFlight;
use crate::model::{Direction, Lock as _};

/// How a connection has come to its listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionArrival {
    /// The caller has called the listener.
    Direct,
    /// The kernel has redirected it here; it was going to this address.
    Redirected(SocketAddr),
    /// The listener takes redirected connections, and this is none.
    NotRedirected,
}

/// The caller's end of a connection.
#[derive(Debug)]
pub struct Peer {
    direction: Direction,
    tls: bool,
    address: SocketAddr,
    forwarded_for: HeaderValue,
    certificate: Option<PeerCertificate>,
    /// The user at the other end of a Unix socket.
    uid: Option<u32>,
    arrival: ConnectionArrival,
    reset: AtomicBool,
    /// Whether the last write waits for the peer to read.
    blocked: AtomicBool,
    draining: AtomicBool,
    flushes: AtomicU64,
    /// The slot of the connection, which counts its exchanges.
    seat: Arc<SlotHolder>,
    /// The number of exchanges under way that were severed in the middle of their response.
    severed: AtomicUsize,
    /// Registrations that end when the socket is closed, since a kill waits for that.
    unclosed: Mutex<Vec<InFlight>>,
    /// Wakes the task of the connection.
    task: OnceLock<Waker>,
    streamed: Arc<StreamedResponses>,
    /// A tunnel that was granted, until the connection enters it.
    granted: Mutex<Option<GrantedTunnel>>,
    /// The tunnel that the connection has become.
    tunnel: OnceLock<TunnelTarget>,
}

impl Peer {
    /// A peer of a connection in clear.
    pub fn plain(address: SocketAddr, direction: Direction, seat: Arc<SlotHolder>) -> Self {
        Self::new(address, direction, seat, false, None)
    }

    /// A peer of a TLS connection, with the client certificate that it presented.
    pub fn tls(
        address: SocketAddr,
        direction: Direction,
        seat: Arc<SlotHolder>,
        certificate: Option<PeerCertificate>,
    ) -> Self {
        Self::new(address, direction, seat, true, certificate)
    }

    fn new(
        address: SocketAddr,
        direction: Direction,
        seat: Arc<SlotHolder>,
        tls: bool,
        certificate: Option<PeerCertificate>,
    ) -> Self {
        let text = address.ip().to_canonical().to_string();
        let forwarded_for = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("unknown"));
        Self {
            direction,
            tls,
            address,
            forwarded_for,
            certificate,
            uid: None,
            arrival: ConnectionArrival::Direct,
            reset: AtomicBool::default(),
            blocked: AtomicBool::default(),
            draining: AtomicBool::default(),
            flushes: AtomicU64::default(),
            seat,
            severed: AtomicUsize::default(),
            unclosed: Mutex::default(),
            task: OnceLock::new(),
            streamed: Arc::default(),
            granted: Mutex::default(),
            tunnel: OnceLock::new(),
        }
    }

    /// The direction of its requests.
    pub const fn direction(&self) -> Direction {
        self.direction
    }

    /// Whether the connection is TLS.
    pub const fn is_tls(&self) -> bool {
        self.tls
    }

    /// Whether its requests come under TLS: the connection's own, or that of the tunnel that it has become.
    pub(super) fn speaks_tls(&self) -> bool {
        self.tunnel().map_or(self.tls, |tunnel| tunnel.is_tls)
    }

    /// The scheme of the URLs of its requests.
    pub(super) fn scheme(&self) -> &'static str {
        if self.speaks_tls() { "https" } else { "http" }
    }

    /// Keeps a tunnel that was granted for the connection, which must take it when its protocol has ended.
    pub(super) fn grant_tunnel(&self, tunnel: GrantedTunnel) {
        *self.granted.locked() = Some(tunnel);
    }

    /// Takes the tunnel that was granted to the connection, if one was.
    pub fn take_tunnel(&self) -> Option<GrantedTunnel> {
        self.granted.locked().take()
    }

    /// From here on every request is one in this tunnel.
    pub(super) fn enter_tunnel(&self, target: TunnelTarget) {
        // There is no tunnel within a tunnel.
        let _ = self.tunnel.set(target);
    }

    /// The tunnel that the connection has become.
    pub(super) fn tunnel(&self) -> Option<&TunnelTarget> {
        self.tunnel.get()
    }

    /// Its address.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address as the value of `X-Forwarded-For`.
    pub const fn forwarded_for(&self) -> &HeaderValue {
        &self.forwarded_for
    }

    /// The client certificate that it presented.
    pub const fn certificate(&self) -> Option<&PeerCertificate> {
        self.certificate.as_ref()
    }

    /// The same for a peer on a Unix socket, where the kernel says whose it is.
    #[must_use]
    pub fn of_user(self, uid: Option<u32>) -> Self {
        Self { uid, ..self }
    }

    /// The same for a peer whose connection may have been redirected.
    #[must_use]
    pub fn arrived(self, arrival: ConnectionArrival) -> Self {
        Self { arrival, ..self }
    }

    /// How the connection has come to its listener.
    pub(super) const fn arrival(&self) -> ConnectionArrival {
        self.arrival
    }

    /// The user at the other end of a Unix socket.
    pub const fn uid(&self) -> Option<u32> {
        self.uid
    }

    /// Has the connection closed at once by a reset, so that the kernel throws away what it has not sent yet.
    pub fn reset(&self) {
        self.reset.store(true, Ordering::Release);
        self.wake();
    }

    /// The slot of the connection.
    pub const fn seat(&self) -> &Arc<SlotHolder> {
        &self.seat
    }

    /// An exchange begins.
    pub(super) fn begin_exchange(&self) {
        self.seat.begin_work();
    }

    /// An exchange was severed in the middle of its response. The connection is reset when all its exchanges are
    /// severed, and this exchange counts as in flight until the socket is closed. An HTTP/2 connection with other
    /// exchanges stays open.
    pub(super) fn sever_exchange(&self, in_flight: &InFlight) {
        if self.severed.fetch_add(1, Ordering::Relaxed) + 1 == self.seat.busy() {
            self.unclosed().push(in_flight.share());
            self.reset();
        }
    }

    /// Called by the connection when its socket is closed.
    pub fn on_closed(&self) {
        let kept = std::mem::take(&mut *self.unclosed());
        drop(kept);
    }

    fn unclosed(&self) -> MutexGuard<'_, Vec<InFlight>> {
        self.unclosed.locked()
    }

    /// An exchange has ended.
    pub(super) fn end_exchange(&self, was_severed: bool, now_ns: u64) {
        self.seat.end_work(now_ns);
        self.severed.fetch_sub(usize::from(was_severed), Ordering::Relaxed);
    }

    /// Whether the connection is to be reset.
    pub fn is_reset(&self) -> bool {
        self.reset.load(Ordering::Acquire)
    }

    /// Called by the connection: whether its last write waits for the peer to read.
    pub fn set_blocked(&self, blocked: bool) {
        self.blocked.store(blocked, Ordering::Relaxed);
    }

    /// Called by the task of the connection each time it has done all that it can for now.
    pub fn on_poll_done(&self, cx: &Context<'_>) {
        self.task.get_or_init(|| cx.waker().clone());
        if !self.blocked.load(Ordering::Relaxed) {
            self.flushes.fetch_add(1, Ordering::Release);
        }
    }

    /// Wakes the task of the connection, so that it writes what it can and counts a flush.
    pub(super) fn wake(&self) {
        if let Some(task) = self.task.get() {
            task.wake_by_ref();
        }
    }

    /// Lets the connection close after its next response.
    pub fn start_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the next response is the last of the connection.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Adds a streamed response to the list, since hyper does not poll one whose reader does not read.
    pub(super) fn watch_response(&self, in_flight: InFlight) -> StreamedResponse {
        StreamedResponses::add(&self.streamed, in_flight)
    }

    /// Ready with the number of severed responses that have not ended, when there is any; else wakes this task when one
    /// is severed.
    pub fn poll_severed(&self, cx: &Context<'_>) -> Poll<usize> {
        self.streamed.poll_severed(cx)
    }

    /// How often all that was written has been handed to the kernel.
    pub fn flush_count(&self) -> u64 {
        self.flushes.load(Ordering::Acquire)
    }
}
