//! What the two ends of a connection's life tell each other: the bytes that are read, and the messages made of them.
//!
//! One task drives a caller's connection and its requests, so its turns need no order among threads; an upstream's
//! connection has a task of its own.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::task::{Context, Poll, Waker};

use super::FramingError;
use crate::model::Lock as _;

/// A caller's requests by their number: which of them stands for one that was refused, and how many are answered.
#[derive(Debug, Default)]
pub struct RequestSequence {
    begun: AtomicU64,
    answered: AtomicU64,
    upgraded: AtomicBool,
    refused: OnceLock<(u64, FramingError)>,
    /// Who waits to learn whether HTTP was left.
    waiter: Mutex<Option<Waker>>,
    has_waiter: AtomicBool,
}

impl RequestSequence {
    /// The next request is here; the flaw, where it stands for one whose bytes were refused.
    pub fn next_request(&self) -> Option<FramingError> {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        self.refused.get().filter(|(refused, _)| *refused == number).map(|(_, flaw)| *flaw)
    }

    /// The next request is answered, and HTTP is left by that or not.
    pub fn response_sent(&self, switched: bool) {
        self.upgraded.store(switched, Ordering::Relaxed);
        self.answered.fetch_add(1, Ordering::Release);
        if self.has_waiter.swap(false, Ordering::AcqRel)
            && let Some(waiter) = self.waiter.locked().take()
        {
            waiter.wake();
        }
    }

    /// The request of this number, counted from 0, stands for one whose bytes were refused.
    pub(super) fn reject_request(&self, number: u64, flaw: FramingError) {
        // A connection is refused once.
        let _ = self.refused.set((number, flaw));
    }

    /// Whether HTTP was left, once so many requests are answered.
    pub(super) fn poll_upgraded(&self, requests: u64, cx: &Context<'_>) -> Poll<bool> {
        *self.waiter.locked() = Some(cx.waker().clone());
        self.has_waiter.store(true, Ordering::Release);
        if self.answered.load(Ordering::Acquire) < requests {
            return Poll::Pending;
        }
        self.has_waiter.store(false, Ordering::Relaxed);
        Poll::Ready(self.upgraded.load(Ordering::Relaxed))
    }
}

/// What an upstream's next answer answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedResponse {
    /// No request: whatever comes is surplus.
    Nothing,
    /// A request.
    Response,
    /// A `HEAD`, whose answer has no body.
    HeadResponse,
    /// A request to leave HTTP.
    Upgrade,
}

impl ExpectedResponse {
    pub(super) fn is_head(self) -> bool {
        self == Self::HeadResponse
    }

    pub(super) fn is_upgrade(self) -> bool {
        self == Self::Upgrade
    }
}

/// What was asked of an upstream on one connection, and whether it said what it must not.
#[derive(Debug, Default)]
pub struct PendingResponse {
    expected: AtomicU8,
    error: OnceLock<FramingError>,
}

impl PendingResponse {
    /// A request goes out.
    pub fn expect(&self, expected: ExpectedResponse) {
        self.expected.store(expected as u8, Ordering::Release);
    }

    /// What was wrong with the connection's bytes; such a connection takes no request any more.
    pub fn error(&self) -> Option<FramingError> {
        self.error.get().copied()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.expected.load(Ordering::Acquire) == ExpectedResponse::Nothing as u8
    }

    /// The answer's head is here: what was expected, and nothing is from here on.
    pub(super) fn response_began(&self) -> ExpectedResponse {
        let all = [ExpectedResponse::Response, ExpectedResponse::HeadResponse, ExpectedResponse::Upgrade];
        let was = self.expected.swap(ExpectedResponse::Nothing as u8, Ordering::AcqRel);
        all.into_iter().find(|expected| *expected as u8 == was).unwrap_or(ExpectedResponse::Nothing)
    }

    pub(super) fn fail(&self, flaw: FramingError) {
        // The first says why.
        let _ = self.error.set(flaw);
    }
}
