//! What the two ends of a connection's life tell each other: the bytes that are read, and the messages made of them.
//!
//! One task drives a caller's connection and its requests, so its turns need no order among threads; an upstream's
//! connection has a task of its own.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use super::Flaw;

/// A caller's requests by their number: which of them stands for one that was refused, and how many are answered.
#[derive(Debug, Default)]
pub struct Turns {
    begun: AtomicU64,
    answered: AtomicU64,
    switched: AtomicBool,
    refused: OnceLock<(u64, Flaw)>,
    /// Who waits to learn whether HTTP was left.
    waiter: Mutex<Option<Waker>>,
    waits: AtomicBool,
}

impl Turns {
    /// The next request is here; the flaw, where it stands for one whose bytes were refused.
    pub fn begin(&self) -> Option<Flaw> {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        self.refused.get().filter(|(refused, _)| *refused == number).map(|(_, flaw)| *flaw)
    }

    /// The next request is answered, and HTTP is left by that or not.
    pub fn answered(&self, switched: bool) {
        self.switched.store(switched, Ordering::Relaxed);
        self.answered.fetch_add(1, Ordering::Release);
        if self.waits.swap(false, Ordering::AcqRel)
            && let Some(waiter) = self.waiter.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            waiter.wake();
        }
    }

    /// The request of this number, counted from 0, stands for one whose bytes were refused.
    pub(super) fn refuse(&self, number: u64, flaw: Flaw) {
        // A connection is refused once.
        let _ = self.refused.set((number, flaw));
    }

    /// Whether HTTP was left, once so many requests are answered.
    pub(super) fn poll_switched(&self, requests: u64, cx: &Context<'_>) -> Poll<bool> {
        *self.waiter.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        self.waits.store(true, Ordering::Release);
        if self.answered.load(Ordering::Acquire) < requests {
            return Poll::Pending;
        }
        self.waits.store(false, Ordering::Relaxed);
        Poll::Ready(self.switched.load(Ordering::Relaxed))
    }
}

/// What an upstream's next answer answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// No request: whatever comes is surplus.
    Nothing,
    /// A request.
    Answer,
    /// A `HEAD`, whose answer has no body.
    AnswerToHead,
    /// A request to leave HTTP.
    Upgrade,
}

impl Expected {
    pub(super) fn is_head(self) -> bool {
        self == Self::AnswerToHead
    }

    pub(super) fn is_upgrade(self) -> bool {
        self == Self::Upgrade
    }
}

/// What was asked of an upstream on one connection, and whether it said what it must not.
#[derive(Debug, Default)]
pub struct Asked {
    expected: AtomicU8,
    flaw: OnceLock<Flaw>,
}

impl Asked {
    /// A request goes out.
    pub fn expect(&self, expected: Expected) {
        self.expected.store(expected as u8, Ordering::Release);
    }

    /// What was wrong with the connection's bytes; such a connection takes no request any more.
    pub fn flaw(&self) -> Option<Flaw> {
        self.flaw.get().copied()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.expected.load(Ordering::Acquire) == Expected::Nothing as u8
    }

    /// The answer's head is here: what was expected, and nothing is from here on.
    pub(super) fn answered(&self) -> Expected {
        let all = [Expected::Answer, Expected::AnswerToHead, Expected::Upgrade];
        let was = self.expected.swap(Expected::Nothing as u8, Ordering::AcqRel);
        all.into_iter().find(|expected| *expected as u8 == was).unwrap_or(Expected::Nothing)
    }

    pub(super) fn poison(&self, flaw: Flaw) {
        // The first says why.
        let _ = self.flaw.set(flaw);
    }
}
