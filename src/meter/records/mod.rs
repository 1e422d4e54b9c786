//! Counts records as they pass, and cuts at the budget: record N+1 never leaves.
//!
//! One meter counts one body. Far from the budget it takes 32 records at once from the windows and gives back what one
//! feed did not use, so that most records cost no atomic operation; near the budget it takes them one by one. The
//! windows are exact across all bodies of a vendor together.
//!
//! A record is charged when it passes, and the charge is given back if the record is not sent.
//!
//! Never lets a record pass that was not granted. If other bodies spend the rest of a budget during one feed, this body
//! may hold up to 32 records that it then gives back: until then they count as used.

use std::sync::Arc;
use std::task::Waker;

use super::SpentCause;
use super::budget_pair::{BudgetGrant, BudgetPair, GrantReserve};
use super::overrun::{Measure, Overrun};
use super::subjects::{SubjectCounter, SubjectReservation};
use crate::bounds;
use crate::model::{Moment, SubjectHash, SubjectKey, debug_fields};
use crate::pii::{OnUnexpectedShape, RecordBudgetSpent, RewriteError, RewriteObserver};

/// Records that are taken at once far from the budget.
const RECORDS_AT_ONCE: u64 = 32;
/// A budget with so many records left counts as far from spent.
const FAR_FROM_SPENT: u64 = 64 * RECORDS_AT_ONCE;

/// Counts the records of one body.
pub struct RecordMeter {
    budgets: BudgetPair,
    subjects_of_vendor: Option<SubjectGuard>,
    now: Moment,
    /// Records that are granted and have not passed yet; zero between two feeds.
    held: u64,
    /// The grant of these records, and its count.
    grant: Option<(BudgetGrant, u64)>,
    /// Records of this feed that passed while the lease of a fleet was used up: nothing of the feed may be sent before
    /// they are granted.
    owed: u64,
    /// Records of this feed, and of earlier feeds, that have not been sent yet.
    feed: RecordBatch,
    kept: RecordBatch,
    /// Whether a record has passed.
    counted: bool,
    /// The next record has been counted already.
    covers: bool,
    on_shape: OnUnexpectedShape,
    misshapen: bool,
    on_subject: Option<OnSubject>,
    overrun: Option<Overrun>,
    /// Whether records pass uncharged once a budget is spent.
    observes: bool,
}

/// Records that passed and have not been sent yet: charged, so that no other body can have them too.
#[derive(Debug)]
struct RecordBatch {
    records: u64,
    treated: Box<[u64]>,
    reserve: GrantReserve,
    subjects: Vec<(SubjectHash, Option<SubjectReservation>)>,
}

/// Called with the hash of each record's subject once the record was sent.
pub type OnSubject = Box<dyn FnMut(SubjectHash) + Send>;

/// The subjects of a vendor: how their identifiers are hashed, and how many different ones may pass.
#[derive(Debug, Clone)]
pub(super) struct SubjectGuard {
    pub(super) key: SubjectKey,
    pub(super) subjects: Option<Arc<SubjectCounter>>,
}

impl RecordMeter {
    pub(super) fn new(
        budgets: BudgetPair,
        subjects_of_vendor: Option<SubjectGuard>,
        rules: usize,
        now: Moment,
    ) -> Self {
        Self {
            budgets,
            subjects_of_vendor,
            now,
            held: 0,
            grant: None,
            owed: 0,
            feed: RecordBatch::new(rules),
            kept: RecordBatch::new(rules),
            counted: false,
            covers: false,
            on_shape: OnUnexpectedShape::Refuse,
            misshapen: false,
            on_subject: None,
            overrun: None,
            observes: false,
        }
    }

    /// Lets records pass uncharged once a budget is spent: the overrun is only reported.
    #[must_use]
    pub const fn observing(mut self) -> Self {
        self.observes = true;
        self
    }

    /// Sets what is called with each subject's hash.
    #[must_use]
    pub fn with_subject_listener(mut self, on_subject: OnSubject) -> Self {
        self.on_subject = Some(on_subject);
        self
    }

    /// Sets what happens to a body that does not have the shape that the path of its records describes.
    #[must_use]
    pub const fn on_shape(mut self, on_shape: OnUnexpectedShape) -> Self {
        self.on_shape = on_shape;
        self
    }

    /// Whether the body was found to be of another shape since the last call.
    pub const fn take_misshapen(&mut self) -> bool {
        std::mem::replace(&mut self.misshapen, false)
    }

    /// Begins a feed: what follows happens at `now`.
    pub fn begin(&mut self, now: Moment) {
        self.settle();
        self.now = now;
    }

    /// Ends a feed: gives back what was granted and did not pass. Call [`RecordMeter::keep`] next if its output will be
    /// sent, else [`RecordMeter::forget`].
    pub fn settle(&mut self) {
        if let Some((grant, granted)) = self.grant.take() {
            if self.held > 0 {
                self.budgets.give_back(grant, self.held);
            }
            self.feed.reserve.add(grant, granted - self.held);
        }
        self.held = 0;
    }

    /// Has the records of the last feed granted that passed while a lease was used up. Call it before
    /// [`RecordMeter::keep`].
    ///
    /// # Errors
    /// [`Overrun`]: they cannot be granted now. With the cause [`SpentCause::Lease`] they may be soon.
    pub fn cover(&mut self, now: Moment) -> Result<(), Overrun> {
        if self.owed > 0 {
            let grant = self.budgets.take(self.owed, now)?;
            self.feed.reserve.add(grant, std::mem::take(&mut self.owed));
        }
        Ok(())
    }

    /// How many of so many bytes may be fed at once: few where a lease may end among their records, so that a cut at
    /// the end of the budget loses few records.
    pub fn bytes_at_once(&self, bytes: usize, now: Moment) -> usize {
        let is_near = self.budgets.is_leased() && self.budgets.available(now) < bytes as u64;
        if is_near { bytes.min(bounds::LEASE_PIECE_BYTES) } else { bytes }
    }

    /// Has the waker woken when a lease comes.
    pub fn wake_at_lease(&self, waker: &Waker) {
        self.budgets.wake_at_lease(waker);
    }

    /// The output of the last feed will be sent.
    pub fn keep(&mut self) {
        self.settle();
        self.kept.take_over(&mut self.feed);
    }

    /// The output of the last feed is not sent: gives its charges back.
    pub fn forget(&mut self) {
        self.settle();
        self.owed = 0;
        self.feed.give_back(&self.budgets, self.subjects_of_vendor.as_ref());
    }

    /// The overrun, set when the first record was refused, with what the contract asks for then.
    pub const fn overrun(&self) -> Option<Overrun> {
        self.overrun
    }

    /// All that was kept was sent. Returns the number of its records, and calls `treated` with each rule and the number
    /// of values treated by it, since the last call.
    pub fn drain(&mut self, mut treated: impl FnMut(usize, u64)) -> u64 {
        self.keep();
        let (kept, now) = (&mut self.kept, self.now);
        for (rule, count) in kept.treated.iter_mut().enumerate().filter(|(_, count)| **count > 0) {
            treated(rule, std::mem::take(count));
        }
        let subjects =
            self.subjects_of_vendor.as_ref().and_then(|subjects_of_vendor| subjects_of_vendor.subjects.as_ref());
        for (subject, reserved) in kept.subjects.drain(..) {
            if let Some((subjects, reserved)) = subjects.zip(reserved) {
                subjects.settle(reserved, now);
            }
            if let Some(told) = &mut self.on_subject {
                told(subject);
            }
        }
        kept.reserve.settle();
        std::mem::take(&mut kept.records)
    }

    /// Takes more records: many far from the budget, else one.
    fn refill(&mut self) -> Result<(), RecordBudgetSpent> {
        self.settle();
        if let Some(overrun) = self.overrun {
            return self.cut(overrun);
        }
        let wanted = if self.budgets.available(self.now) >= FAR_FROM_SPENT { RECORDS_AT_ONCE } else { 1 };
        let grant = match self.budgets.take(wanted, self.now) {
            Err(_) if wanted > 1 => self.budgets.take(1, self.now).map(|grant| (grant, 1)),
            other => other.map(|grant| (grant, wanted)),
        };
        match grant {
            Ok((grant, count)) => {
                (self.grant, self.held) = (Some((grant, count)), count);
                Ok(())
            }
            Err(overrun) if overrun.cause == SpentCause::Lease => {
                self.held = 1;
                self.owed += u64::from(!self.observes);
                Ok(())
            }
            Err(overrun) => self.cut(overrun),
        }
    }

    fn cut(&mut self, overrun: Overrun) -> Result<(), RecordBudgetSpent> {
        self.overrun.get_or_insert(overrun);
        if self.observes {
            self.held = 1;
            return Ok(());
        }
        Err(RecordBudgetSpent)
    }
}

impl RewriteObserver for RecordMeter {
    fn on_record(&mut self) -> Result<(), RecordBudgetSpent> {
        if std::mem::take(&mut self.covers) {
            return Ok(());
        }
        if self.held == 0 || self.overrun.is_some() {
            self.refill()?;
        }
        self.held -= 1;
        self.feed.records += 1;
        self.counted = true;
        Ok(())
    }

    fn on_unexpected_shape(&mut self, why: RewriteError) -> Result<(), RewriteError> {
        self.misshapen |= self.on_shape != OnUnexpectedShape::Ignore;
        match self.on_shape {
            OnUnexpectedShape::Ignore => Ok(()),
            OnUnexpectedShape::Refuse => Err(why),
            // A body in which the path counts nothing is one record; the first record that the path does count is not
            // counted again.
            OnUnexpectedShape::Pass if self.counted => Ok(()),
            OnUnexpectedShape::Pass => Ok(self.on_record().map(|()| self.covers = true)?),
        }
    }

    fn on_body_end(&mut self) {
        (self.counted, self.covers) = (false, false);
    }

    fn on_treated(&mut self, rule: usize) {
        if let Some(count) = self.feed.treated.get_mut(rule) {
            *count += 1;
        }
    }

    /// A subject beyond the budget of different subjects ends the body before its next record; its own is already let
    /// through.
    fn on_subject(&mut self, value: &[u8]) {
        let Some(subjects_of_vendor) = &self.subjects_of_vendor else { return };
        if self.on_subject.is_none() && subjects_of_vendor.subjects.is_none() {
            return;
        }
        let subject = subjects_of_vendor.key.hash(value);
        let reserved = match subjects_of_vendor
            .subjects
            .as_ref()
            .map(|subjects| (subjects, subjects.reserve(subject, self.now)))
        {
            None => None,
            Some((_, Ok(reserved))) => Some(reserved),
            Some((subjects, Err(spent))) => {
                let overrun = Overrun::new(Measure::Subjects, false, subjects.over(), spent);
                self.overrun.get_or_insert(overrun);
                None
            }
        };
        self.feed.subjects.push((subject, reserved));
    }
}

impl RecordBatch {
    fn new(rules: usize) -> Self {
        Self { records: 0, treated: vec![0; rules].into(), reserve: GrantReserve::default(), subjects: Vec::new() }
    }

    fn take_over(&mut self, feed: &mut Self) {
        self.records += std::mem::take(&mut feed.records);
        for (kept, made) in self.treated.iter_mut().zip(&mut feed.treated) {
            *kept += std::mem::take(made);
        }
        self.reserve.take_over(&mut feed.reserve);
        self.subjects.append(&mut feed.subjects);
    }

    fn give_back(&mut self, budgets: &BudgetPair, subjects_of_vendor: Option<&SubjectGuard>) {
        self.records = 0;
        self.treated.fill(0);
        self.reserve.give_back(budgets);
        let subjects = subjects_of_vendor.and_then(|subjects_of_vendor| subjects_of_vendor.subjects.as_ref());
        for (_, reserved) in self.subjects.drain(..) {
            if let Some((subjects, reserved)) = subjects.zip(reserved) {
                subjects.forget(reserved);
            }
        }
    }
}

/// Records that were not sent by now never will be.
impl Drop for RecordMeter {
    fn drop(&mut self) {
        self.forget();
        self.kept.give_back(&self.budgets, self.subjects_of_vendor.as_ref());
    }
}

debug_fields!(RecordMeter: budgets, kept, overrun);

#[cfg(test)]
mod tests;
