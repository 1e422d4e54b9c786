//! The other end of a connection, as far as a request may know it.
//!
//! Made once a connection; what each request needs of it is ready as header values.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use ::http::HeaderValue;

use super::watch::{Watched, Watchlist};
use crate::identity::PeerCertificate;
use crate::kill::InFlight;
use crate::model::Direction;

/// The other end of a connection.
#[derive(Debug)]
pub struct Peer {
    direction: Direction,
    tls: bool,
    address: SocketAddr,
    forwarded_for: HeaderValue,
    certificate: Option<PeerCertificate>,
    reset: AtomicBool,
    /// Whether the last write waits for the other end to read.
    blocked: AtomicBool,
    leaving: AtomicBool,
    flushes: AtomicU64,
    watchlist: Arc<Watchlist>,
}

impl Peer {
    /// A peer in clear.
    pub fn plain(address: SocketAddr, direction: Direction) -> Self {
        Self::new(address, direction, false, None)
    }

    /// A peer under TLS, with the certificate that it proved to hold.
    pub fn tls(address: SocketAddr, direction: Direction, certificate: Option<PeerCertificate>) -> Self {
        Self::new(address, direction, true, certificate)
    }

    fn new(address: SocketAddr, direction: Direction, tls: bool, certificate: Option<PeerCertificate>) -> Self {
        let text = address.ip().to_canonical().to_string();
        let forwarded_for = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("unknown"));
        let (reset, blocked, leaving, flushes, watchlist) = Default::default();
        Self { direction, tls, address, forwarded_for, certificate, reset, blocked, leaving, flushes, watchlist }
    }

    /// Which way its calls go.
    pub const fn direction(&self) -> Direction {
        self.direction
    }

    /// Whether the connection is TLS.
    pub const fn is_tls(&self) -> bool {
        self.tls
    }

    /// Its address.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address as `X-Forwarded-For` says it.
    pub const fn forwarded_for(&self) -> &HeaderValue {
        &self.forwarded_for
    }

    /// The certificate that it proved to hold.
    pub const fn certificate(&self) -> Option<&PeerCertificate> {
        self.certificate.as_ref()
    }

    /// Asks for the connection to be reset when it closes, so that the kernel throws away what it still holds.
    pub fn reset(&self) {
        self.reset.store(true, Ordering::Release);
    }

    /// Whether the connection is to be reset.
    pub fn is_reset(&self) -> bool {
        self.reset.load(Ordering::Acquire)
    }

    /// Told by the connection whether its last write waits for the other end to read.
    pub fn set_blocked(&self, blocked: bool) {
        self.blocked.store(blocked, Ordering::Relaxed);
    }

    /// Told by the connection each time it has done all that it can for now.
    pub fn rests(&self) {
        if !self.blocked.load(Ordering::Relaxed) {
            self.flushes.fetch_add(1, Ordering::Release);
        }
    }

    /// Lets the connection close after its next answer.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// Whether the next answer is the connection's last.
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    /// Looks after a streamed answer: one whose reader does not read is never asked whether it was severed.
    pub(super) fn watch(&self, in_flight: InFlight) -> Watched {
        Watchlist::add(&self.watchlist, in_flight)
    }

    /// How many answers that were severed have not left, where any has not; else this task is woken when one is severed.
    pub fn poll_severed(&self, cx: &Context<'_>) -> Poll<usize> {
        self.watchlist.poll_severed(cx)
    }

    /// How often all that was written had been handed to the kernel by then.
    pub fn flushes(&self) -> u64 {
        self.flushes.load(Ordering::Acquire)
    }
}
