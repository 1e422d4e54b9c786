//! What one gateway holds of one limit of the fleet, and all rules of spending it.
//!
//! Never spends a lease after its life, and never more without a lease than `on_loss` allows.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::figures::{Answered, OwnFigures};
use super::messages::{FleetTime, LeaseAsk, LeaseGrant, SlotFigure, ToldUse};
use super::terms::{LeaseTerms, OnLoss, millis};
use crate::bounds;
use crate::meter::nanos;

/// The number of a charge that no lease covers: it was spent from the share of this gateway.
pub(super) const SHARE: u32 = 0;
/// Leases live for this part of their life on the holder's clock: it may be slower than the engine's.
const LIFE_PERCENT: u32 = 90;

/// The leases of one limit.
#[derive(Debug)]
pub(super) struct LeaseHolding {
    terms: LeaseTerms,
    leases: VecDeque<Lease>,
    last_number: u32,
    figures: OwnFigures,
    /// How much is asked for at once.
    size: u64,
    /// How much was asked of this holding and not there.
    wanted: u64,
    is_in_use: bool,
    last_grant_ns: u64,
    told: Option<Told>,
    question: Option<Question>,
    last_question_ns: Option<u64>,
    without_engine: Option<ShareSpending>,
}

#[derive(Debug)]
struct Lease {
    number: u32,
    slot: u64,
    ends_ns: u64,
    left: u64,
}

/// What the engine said of all gateways together.
#[derive(Debug, Clone, Copy)]
struct Told {
    by_fleet: ToldUse,
    at_ns: u64,
    /// With nothing left: when there may be something.
    until_ns: u64,
}

#[derive(Debug)]
struct Question {
    sent_ns: u64,
    figures: Vec<SlotFigure>,
}

/// What is spent while the engine is away.
#[derive(Debug, Clone, Copy)]
struct ShareSpending {
    since_ns: u64,
    allowance: u64,
    spent: u64,
}

/// How a gateway stands with the engine when it spends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EngineState {
    pub(super) on_loss: OnLoss,
    /// Gateways in the fleet as far as that is known; 0 where it is not.
    pub(super) nodes: u64,
    /// Since when the engine is away; `None` while it answers.
    pub(super) lost_since_ns: Option<u64>,
}

/// Why nothing was spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseRefusal {
    /// The fleet has spent the budget.
    Spent {
        /// When there may be room again.
        retry_after: Duration,
    },
    /// The lease is used up, and the engine is being asked for the next.
    Starved,
    /// The engine is away, and this gateway may spend no more without it.
    CutOff,
}

impl LeaseHolding {
    /// Holds nothing. `nodes` is the size of the fleet as far as it is known; 0 where it is not.
    pub(super) fn new(terms: LeaseTerms, nodes: u64) -> Self {
        Self {
            terms,
            leases: VecDeque::new(),
            last_number: SHARE,
            figures: OwnFigures::default(),
            size: (terms.size_max(nodes) / 8).max(1),
            wanted: 0,
            is_in_use: false,
            last_grant_ns: 0,
            told: None,
            question: None,
            last_question_ns: None,
            without_engine: None,
        }
    }

    pub(super) const fn terms(&self) -> LeaseTerms {
        self.terms
    }

    /// The terms after a reload: what is held and what was granted stay.
    pub(super) const fn set_terms(&mut self, terms: LeaseTerms) {
        self.terms = terms;
    }

    /// See [`OwnFigures::seed`].
    pub(super) fn seed(&mut self, spent: impl Iterator<Item = (u64, u64)>, epoch: &str, now_ns: u64) {
        self.figures.seed(spent, epoch, now_ns);
    }

    /// See [`OwnFigures::has_told`].
    pub(super) fn has_told(&self, epoch: &str) -> bool {
        self.figures.has_told(epoch)
    }

    /// Spends `count`, all or nothing. `used` is what this gateway has used in the last window, without this count.
    /// Returns the number by which [`LeaseHolding::give_back`] takes it back.
    pub(super) fn spend(
        &mut self,
        count: u64,
        used: u64,
        engine: EngineState,
        now_ns: u64,
    ) -> Result<u32, LeaseRefusal> {
        self.is_in_use = true;
        if count == 0 {
            return Ok(SHARE);
        }
        if let Some(number) = self.spend_leases(count, now_ns) {
            return Ok(number);
        }
        match (engine.lost_since_ns, engine.on_loss) {
            (Some(since_ns), OnLoss::Share) => self.spend_share(count, used, since_ns, engine.nodes, now_ns),
            (Some(_), OnLoss::Deny) => Err(LeaseRefusal::CutOff),
            (None, _) => Err(self.starve(count, now_ns)),
        }
    }

    /// Whether a body may begin: whether one more could be had now, or after the wait for a lease.
    pub(super) fn ask_one(&mut self, used: u64, engine: EngineState, now_ns: u64) -> Result<(), LeaseRefusal> {
        let number = match self.spend(1, used, engine, now_ns) {
            Ok(number) => number,
            Err(LeaseRefusal::Starved) => return Ok(()),
            Err(refusal) => return Err(refusal),
        };
        self.give_back(number, 1);
        Ok(())
    }

    /// Gives back what is not sent in the end. Where its lease is no longer known, it stays spent.
    pub(super) fn give_back(&mut self, number: u32, count: u64) {
        if number == SHARE {
            self.figures.unspend_uncounted(count);
            if let Some(share) = &mut self.without_engine {
                share.spent = share.spent.saturating_sub(count);
            }
        } else if let Some(lease) = self.leases.iter_mut().find(|lease| lease.number == number) {
            lease.left += count;
        }
    }

    /// What can be spent at once.
    pub(super) fn left(&self, now_ns: u64) -> u64 {
        self.leases.iter().filter(|lease| lease.ends_ns > now_ns).map(|lease| lease.left).sum()
    }

    /// What the engine said was left for the whole fleet; `None` before its first answer.
    pub(super) fn remaining(&self) -> Option<u64> {
        self.told.map(|told| self.terms.cap.saturating_sub(told.by_fleet.used))
    }

    /// Whether the engine should be asked at once.
    pub(super) fn is_hungry(&self, now_ns: u64) -> bool {
        let is_low = self.is_in_use && self.left(now_ns) < self.size.div_ceil(2);
        self.question.is_none() && (self.wanted > 0 || is_low) && !self.is_told_spent_lately(now_ns)
    }

    /// Whether the engine should be asked at the next beat.
    pub(super) fn is_due(&self, now_ns: u64) -> bool {
        let beat =
            if self.is_in_use || self.told.is_none() { bounds::LEASE_BEAT_IN_USE } else { bounds::LEASE_BEAT_AT_REST };
        let is_old = self.last_question_ns.is_none_or(|at| now_ns.saturating_sub(at) >= nanos(beat));
        let has_ended = self.leases.iter().any(|lease| lease.ends_ns <= now_ns && lease.left > 0);
        self.question.is_none() && (is_old || has_ended || self.figures.has_untold() || self.is_hungry(now_ns))
    }

    /// The next question to the engine. An answer, or [`LeaseHolding::unanswered`], must follow.
    pub(super) fn question(&mut self, name: &Arc<str>, on_loss: OnLoss, now_ns: u64) -> LeaseAsk {
        self.end_leases(now_ns);
        self.figures.settle(&self.terms, now_ns);
        let held = self.left(now_ns);
        let ask = if self.is_in_use || self.wanted > 0 { (self.wanted + self.size).saturating_sub(held) } else { 0 };
        let figures = self.figures.untold();
        self.question = Some(Question { sent_ns: now_ns, figures: figures.clone() });
        self.last_question_ns = Some(now_ns);
        self.is_in_use = false;
        LeaseAsk {
            name: Arc::clone(name),
            cap: self.terms.cap,
            slot_ms: self.terms.slot_ms(),
            span_ms: self.terms.span_ms(),
            ask: ask.min(self.terms.cap),
            patience_ms: match on_loss {
                OnLoss::Share => millis(bounds::LEASE_RECOVERY_MAX),
                OnLoss::Deny => self.terms.span_ms(),
            },
            told: self.told.map(|told| told.by_fleet),
            figures,
        }
    }

    /// The engine has answered.
    pub(super) fn answered(&mut self, time: &FleetTime, grant: &LeaseGrant, now_ns: u64) {
        let Some(question) = self.question.take() else { return };
        let answered = Answered { told: &question.figures, sent_ns: question.sent_ns, now_ns };
        self.figures.heard(time, answered, &self.terms);
        self.figures.granted(grant);
        let by_fleet = ToldUse { used: grant.used, at_ms: grant.used_at_ms };
        if grant.is_recovering {
            if self.told.is_none_or(|told| told.by_fleet.at_ms < by_fleet.at_ms) {
                self.told = Some(Told { by_fleet, at_ns: now_ns, until_ns: now_ns });
            }
            return;
        }
        self.without_engine = None;
        self.wanted = 0;
        let until_ns = now_ns.saturating_add(grant.retry_ms.saturating_mul(1_000_000));
        self.told = Some(Told { by_fleet, at_ns: now_ns, until_ns });
        if grant.granted > 0 {
            self.add_lease(grant, time.nodes, question.sent_ns, now_ns);
        }
    }

    /// No answer came. What the engine may have done meanwhile is found at the next answer.
    pub(super) fn unanswered(&mut self) {
        self.question = None;
    }

    fn add_lease(&mut self, grant: &LeaseGrant, nodes: u64, sent_ns: u64, now_ns: u64) {
        let life = self.terms.life() * LIFE_PERCENT / 100;
        self.last_number = self.last_number.wrapping_add(1).max(SHARE + 1);
        let (number, ends_ns) = (self.last_number, sent_ns.saturating_add(nanos(life)));
        self.leases.push_back(Lease { number, slot: grant.slot, ends_ns, left: grant.granted });
        let lasted = Duration::from_nanos(now_ns.saturating_sub(self.last_grant_ns));
        if lasted < bounds::LEASE_SPENT_FAST {
            self.size *= 2;
        } else if lasted > bounds::LEASE_SPENT_SLOWLY {
            self.size /= 2;
        }
        self.size = self.size.clamp(1, self.terms.size_max(nodes));
        self.last_grant_ns = now_ns;
    }

    /// Ends the leases whose life is over; what is left of them is given back.
    fn end_leases(&mut self, now_ns: u64) {
        for lease in self.leases.iter().filter(|lease| lease.ends_ns <= now_ns) {
            self.figures.give_back(lease.slot, lease.left);
        }
        self.leases.retain(|lease| lease.ends_ns > now_ns);
    }

    /// Spends from the oldest leases; the number is that of the oldest, so what is given back never lives longer.
    fn spend_leases(&mut self, count: u64, now_ns: u64) -> Option<u32> {
        if self.left(now_ns) < count {
            return None;
        }
        let (mut open, mut number) = (count, None);
        for lease in self.leases.iter_mut().filter(|lease| lease.ends_ns > now_ns && lease.left > 0) {
            let spent = lease.left.min(open);
            lease.left -= spent;
            open -= spent;
            number.get_or_insert(lease.number);
            if open == 0 {
                break;
            }
        }
        number
    }

    fn spend_share(
        &mut self,
        count: u64,
        used: u64,
        since_ns: u64,
        nodes: u64,
        now_ns: u64,
    ) -> Result<u32, LeaseRefusal> {
        let whole = self.terms.share(nodes);
        let allowance = self.remaining().map_or(whole, |left| left.checked_div(nodes).unwrap_or(0));
        let share = self.without_engine.get_or_insert(ShareSpending { since_ns, allowance, spent: 0 });
        let is_first_window = now_ns.saturating_sub(share.since_ns) < self.terms.span_ms().saturating_mul(1_000_000);
        let open =
            if is_first_window { share.allowance.saturating_sub(share.spent) } else { whole.saturating_sub(used) };
        if count > open {
            return Err(LeaseRefusal::CutOff);
        }
        share.spent += count;
        self.figures.spend_uncounted(count, now_ns, &self.terms);
        Ok(SHARE)
    }

    fn starve(&mut self, count: u64, now_ns: u64) -> LeaseRefusal {
        self.wanted = self.wanted.saturating_add(count).min(self.terms.cap);
        match self.told.filter(|told| self.remaining() == Some(0) && now_ns < told.until_ns) {
            Some(told) => LeaseRefusal::Spent { retry_after: Duration::from_nanos(told.until_ns - now_ns) },
            None => LeaseRefusal::Starved,
        }
    }

    fn is_told_spent_lately(&self, now_ns: u64) -> bool {
        let is_late = |at_ns: u64| now_ns.saturating_sub(at_ns) < nanos(bounds::LEASE_SPENT_ASK);
        self.remaining() == Some(0) && self.told.is_some_and(|told| is_late(told.at_ns))
    }
}
