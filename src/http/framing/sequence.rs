//! What the byte level and the request level of one connection tell each other: which request was refused, and whether
//! the connection was upgraded.
//!
//! One task drives a caller's connection and its requests, so the counters of requests need no ordering between
//! threads. An upstream's connection has a task of its own.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::task::{Context, Poll, Waker};

use super::FramingError;
use crate::model::Lock as _;

/// A caller's requests in their order: which of them is the placeholder of a refused one, and how many are answered.
#[derive(Debug, Default)]
pub struct RequestSequence {
    begun: AtomicU64,
    answered: AtomicU64,
    upgraded: AtomicBool,
    refused: OnceLock<(u64, FramingError)>,
    /// The task that waits to learn whether the connection was upgraded.
    waiter: Mutex<Option<Waker>>,
    has_waiter: AtomicBool,
}

impl RequestSequence {
    /// Counts the next request. Returns what was wrong with its bytes, if it is the placeholder of a refused request.
    pub fn next_request(&self) -> Option<FramingError> {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        self.refused.get().filter(|(refused, _)| *refused == number).map(|(_, error)| *error)
    }

    /// Counts the next response, and notes whether it upgraded the connection.
    pub fn response_sent(&self, switched: bool) {
        self.upgraded.store(switched, Ordering::Relaxed);
        self.answered.fetch_add(1, Ordering::Release);
        if self.has_waiter.swap(false, Ordering::AcqRel)
            && let Some(waiter) = self.waiter.locked().take()
        {
            waiter.wake();
        }
    }

    /// Marks the request with this number, counted from 0, as the placeholder of one whose bytes were refused.
    pub(super) fn reject_request(&self, number: u64, error: FramingError) {
        // Only the first refusal counts: nothing is read after it.
        let _ = self.refused.set((number, error));
    }

    /// Whether the connection was upgraded, known once this many requests are answered.
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

/// What the next response on an upstream's connection answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedResponse {
    /// No request: any byte is surplus.
    Nothing,
    /// A request with any method but `HEAD`.
    Response,
    /// A `HEAD` request, whose response has no body.
    HeadResponse,
    /// A request for an upgrade.
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

/// Which response is expected on one connection to an upstream, and what was wrong with its bytes.
#[derive(Debug, Default)]
pub struct PendingResponse {
    expected: AtomicU8,
    error: OnceLock<FramingError>,
}

impl PendingResponse {
    /// Notes that a request is sent, and which response it expects.
    pub fn expect(&self, expected: ExpectedResponse) {
        self.expected.store(expected as u8, Ordering::Release);
    }

    /// What was wrong with the bytes of the connection. Such a connection takes no further request.
    pub fn error(&self) -> Option<FramingError> {
        self.error.get().copied()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.expected.load(Ordering::Acquire) == ExpectedResponse::Nothing as u8
    }

    /// Notes that the head of the response is here. Returns what was expected; from now on nothing is.
    pub(super) fn response_began(&self) -> ExpectedResponse {
        let all = [ExpectedResponse::Response, ExpectedResponse::HeadResponse, ExpectedResponse::Upgrade];
        let was = self.expected.swap(ExpectedResponse::Nothing as u8, Ordering::AcqRel);
        all.into_iter().find(|expected| *expected as u8 == was).unwrap_or(ExpectedResponse::Nothing)
    }

    pub(super) fn fail(&self, error: FramingError) {
        // The first error is the cause of the others.
        let _ = self.error.set(error);
    }
}
