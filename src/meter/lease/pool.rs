//! The leases of one limit, shared by the bodies that spend them and the task that fetches them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Waker;

use super::book::LeaseBook;
use super::holding::{EngineState, LeaseHolding, LeaseRefusal};
use super::messages::{FleetTime, LeaseAsk, LeaseGrant};
use super::terms::LeaseTerms;
use crate::model::Lock as _;

/// The leases of one limit.
#[derive(Debug)]
pub struct LeasePool {
    name: Arc<str>,
    book: Arc<LeaseBook>,
    state: Mutex<PoolState>,
    /// Whether the pool is in the book's list of those that need the engine.
    is_queued: AtomicBool,
}

#[derive(Debug)]
struct PoolState {
    holding: LeaseHolding,
    /// Bodies that wait for a lease.
    waiting: Vec<Waker>,
}

impl LeasePool {
    pub(super) fn new(name: Arc<str>, terms: LeaseTerms, book: Arc<LeaseBook>) -> Self {
        let state = PoolState { holding: LeaseHolding::new(terms, book.earlier().nodes), waiting: Vec::new() };
        Self { name, book, state: Mutex::new(state), is_queued: AtomicBool::new(false) }
    }

    /// Takes over what an earlier run had spent, as (how many nanoseconds ago, how much).
    pub(in crate::meter) fn seed(&self, spent: impl Iterator<Item = (u64, u64)>, now_ns: u64) {
        self.lock().holding.seed(spent, &self.book.earlier().epoch, now_ns);
    }

    /// The terms after a reload.
    pub(in crate::meter) fn set_terms(&self, terms: LeaseTerms) {
        self.lock().holding.set_terms(terms);
    }

    /// Spends `count`, all or nothing; returns the number by which it can be given back. `used` is what this gateway
    /// has used in the last window without it.
    pub(in crate::meter) fn spend(self: &Arc<Self>, count: u64, used: u64, now_ns: u64) -> Result<u32, LeaseRefusal> {
        self.act(now_ns, |holding, engine| holding.spend(count, used, engine, now_ns))
    }

    /// Whether one more could be had now, or after the wait for a lease.
    pub(in crate::meter) fn ask_one(self: &Arc<Self>, used: u64, now_ns: u64) -> Result<(), LeaseRefusal> {
        self.act(now_ns, |holding, engine| holding.ask_one(used, engine, now_ns))
    }

    /// Gives back what was spent under this number and is not sent in the end.
    pub(in crate::meter) fn give_back(&self, number: u32, count: u64) {
        self.lock().holding.give_back(number, count);
    }

    /// What can be spent without waiting.
    pub fn left(&self, now_ns: u64) -> u64 {
        self.lock().holding.left(now_ns)
    }

    /// The part of the budget that is left over the whole fleet, from 0 to 1; `None` before the engine's first answer.
    pub(in crate::meter) fn remaining_ratio(&self) -> Option<f64> {
        let state = self.lock();
        state.holding.remaining().map(|left| left as f64 / state.holding.terms().cap.max(1) as f64)
    }

    /// Has the waker woken at the engine's next answer.
    pub(in crate::meter) fn wake_at_answer(&self, waker: &Waker) {
        let mut state = self.lock();
        if !state.waiting.iter().any(|waiting| waiting.will_wake(waker)) {
            state.waiting.push(waker.clone());
        }
    }

    /// The next question to the engine; [`LeasePool::answered`] or [`LeasePool::unanswered`] must follow.
    pub(super) fn question(&self, now_ns: u64) -> LeaseAsk {
        self.is_queued.store(false, Ordering::Release);
        self.lock().holding.question(&self.name, self.book.on_loss(), now_ns)
    }

    /// The engine has answered.
    pub(super) fn answered(&self, time: &FleetTime, grant: &LeaseGrant, now_ns: u64) {
        self.end_question(|holding| holding.answered(time, grant, now_ns));
    }

    /// No answer came.
    pub(super) fn unanswered(&self) {
        self.end_question(LeaseHolding::unanswered);
    }

    /// Wakes every body that waits: also after no answer, so that none waits for an engine that is away.
    fn end_question(&self, end: impl FnOnce(&mut LeaseHolding)) {
        let waiting = {
            let mut state = self.lock();
            end(&mut state.holding);
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Whether the engine of this epoch has been told everything.
    pub(super) fn has_told(&self, epoch: &str) -> bool {
        self.lock().holding.has_told(epoch)
    }

    pub(super) fn is_due(&self, now_ns: u64) -> bool {
        self.lock().holding.is_due(now_ns)
    }

    fn act<T>(self: &Arc<Self>, now_ns: u64, act: impl FnOnce(&mut LeaseHolding, EngineState) -> T) -> T {
        let (outcome, is_hungry) = {
            let mut state = self.lock();
            let outcome = act(&mut state.holding, self.book.engine());
            (outcome, state.holding.is_hungry(now_ns))
        };
        if is_hungry && !self.is_queued.swap(true, Ordering::AcqRel) {
            self.book.queue(self);
        }
        outcome
    }

    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.locked()
    }
}
