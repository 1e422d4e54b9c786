//! What of a body waits for a lease, where a fleet shares the budgets.
//!
//! An engine of treatment cannot be stopped in the middle of a piece. So records pass it ahead of their lease, and what
//! it made of them waits until they are granted. Never sends what no lease covers.

use std::task::Waker;

use bytes::{Bytes, BytesMut};

use super::BodyPipeline;
use crate::gateway::body_end::AbortReason;
use crate::meter::Overrun;
use crate::model::Moment;

/// What was made of a body, and waits for a lease of a budget that a fleet shares.
pub(super) struct StarvedPiece {
    pub(super) out: Bytes,
    pub(super) abort: Option<AbortReason>,
    /// What came in behind it and is not treated yet.
    pub(super) rest: Bytes,
    /// Whether it is the end of the body.
    pub(super) is_last: bool,
    pub(super) overrun: Overrun,
}

/// A piece that has waited for a lease, as it may be sent.
pub(in crate::gateway) struct RetriedPiece {
    pub(in crate::gateway) out: Bytes,
    pub(in crate::gateway) abort: Option<AbortReason>,
    /// Whether it was the end of the body.
    pub(in crate::gateway) is_last: bool,
}

impl BodyPipeline {
    /// Whether something waits for a lease: nothing may be fed until [`BodyPipeline::retry`] or
    /// [`BodyPipeline::give_up`] has returned it.
    pub(in crate::gateway) const fn is_starved(&self) -> bool {
        self.starved.is_some()
    }

    /// Has the waker woken when a lease comes.
    pub(in crate::gateway) fn wake_at_lease(&self, waker: &Waker) {
        self.rewriter.iter().for_each(|(_, meter)| meter.wake_at_lease(waker));
        self.bytes.iter().for_each(|bytes| bytes.wake_at_lease(waker));
    }

    /// Charges what waits for a lease, and what was behind it; `None` where it must go on waiting.
    pub(in crate::gateway) fn retry(&mut self, now: Moment) -> Option<RetriedPiece> {
        let StarvedPiece { out, abort, rest, is_last, .. } = *self.starved.take()?;
        self.now = now;
        let (out, abort) = self.charge(out, abort, now);
        if let Some(starved) = &mut self.starved {
            (starved.rest, starved.is_last) = (rest, is_last);
            return None;
        }
        if rest.is_empty() || abort.is_some() {
            return Some(RetriedPiece { out, abort, is_last });
        }
        let (more, abort) = self.feed_rewriter(rest, now);
        Some(RetriedPiece { out: [out, more].concat().into(), abort, is_last: false })
    }

    /// No lease came in time: what waits for one is not sent.
    pub(in crate::gateway) fn give_up(&mut self) -> Option<AbortReason> {
        let starved = self.starved.take()?;
        self.discard();
        Some(AbortReason::BudgetSpent(starved.overrun))
    }

    /// Treats a piece of the body, in smaller pieces where a lease may end among its records.
    pub(super) fn feed_rewriter(&mut self, mut input: Bytes, now: Moment) -> (Bytes, Option<AbortReason>) {
        if self.bytes_at_once(input.len(), now) == input.len() {
            return self.feed_piece(&input, now);
        }
        let (mut sent, mut abort) = (BytesMut::new(), None);
        while !input.is_empty() && abort.is_none() && self.starved.is_none() {
            let piece = input.split_to(self.bytes_at_once(input.len(), now));
            let (more, ended) = self.feed_piece(&piece, now);
            sent.extend_from_slice(&more);
            abort = ended;
        }
        if let Some(starved) = &mut self.starved {
            starved.rest = input;
        }
        (sent.freeze(), abort)
    }

    fn bytes_at_once(&self, bytes: usize, now: Moment) -> usize {
        self.rewriter.as_ref().map_or(bytes, |(_, meter)| meter.bytes_at_once(bytes, now))
    }
}
