//! What one body goes through: its values are treated, its records and bytes are counted, and it is cut at a spent
//! budget.
//!
//! Bytes in, bytes out, with the time as an argument and no I/O: the waiting is in `body_stream`. All that comes out
//! may be sent. It is charged to the budgets at once and counted when it has been sent, so that a body which is
//! refused, or breaks off before it is sent, costs nothing in the end.

mod starved;

use std::sync::Arc;

use bytes::Bytes;

use self::starved::StarvedPiece;
use super::body_end::{AbortReason, HttpMessage};
use super::clear_sample::ClearSample;
use super::observed_body::{ObservedBody, ObservedPiece};
use super::seen_body::SeenBody;
use super::snapshot::{MessageRules, RouteRuntime};
use super::target::HeadCounts;
use crate::exposure;
use crate::meter::{ByteMeter, Overrun, RecordMeter, SpentCause};
use crate::model::{Moment, ReasonSet, debug_fields};
use crate::pii::{ClearScanner, OnUnexpectedShape, RewriteError, RewriteObserver, Rewriter};
use crate::telemetry::RouteMetrics;

/// The treatment and the meters of one body.
pub(super) struct BodyPipeline {
    /// The engine that rewrites the body, and the meter of its records; `None` for a body that passes as it is.
    rewriter: Option<(Box<dyn Rewriter>, RecordMeter)>,
    /// What the rules of a contract that observes would do with the body, which passes as it is.
    observed: Option<Box<ObservedBody>>,
    /// Reads the body for the fields in it, where the contract observes and it is the body's turn.
    seen: Option<Box<SeenBody>>,
    /// Whether the contract observes, so that a spent budget is only reported.
    observes: bool,
    bytes: Option<ByteMeter>,
    counters: BodyCounters,
    /// Where what is sent counts as exposed; `None` for a body that stays within the company.
    exposure: Option<exposure::CallerCounters>,
    /// The route's metrics, for a body that is treated.
    metrics: Option<Arc<RouteMetrics>>,
    /// Bytes that are charged and have not been sent yet.
    charged: u64,
    /// The rules that treated something in the head of this message, which is sent before its body.
    head: HeadCounts,
    /// The counters as the exposure has them.
    exposed: BodyCounters,
    /// The paths that leave in clear, for a body that is sampled.
    clear_sample: Option<Box<ClearSample>>,
    /// Whether the body is sampled; taken when the body is counted, so that it is counted once.
    is_sampled: Option<bool>,
    /// What waits for a lease, where a fleet shares the budgets.
    starved: Option<Box<StarvedPiece>>,
    now: Moment,
}

/// What has passed through one body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct BodyCounters {
    /// Bytes that came in.
    pub(super) bytes_in: u64,
    /// Bytes that were sent.
    pub(super) bytes_out: u64,
    /// Records that were sent.
    pub(super) records: u64,
    /// Whether the body had another shape than the path of its records describes.
    pub(super) shape_unexpected: bool,
    /// Why the body would have been refused or cut, where the contract observes.
    pub(super) would_deny: ReasonSet,
}

impl BodyPipeline {
    /// The pipeline of one body. It is treated where the route has rules for it, and charged to the budgets and counted
    /// as exposed where it leaves the company, in the `exposure` of its caller.
    pub(super) fn new(
        route: &RouteRuntime,
        rules: Option<(&MessageRules, Box<dyn Rewriter>)>,
        exposure: Option<exposure::CallerCounters>,
        now: Moment,
    ) -> Self {
        Self {
            metrics: rules.is_some().then(|| Arc::clone(&route.metrics)),
            rewriter: rules.map(|(rules, rewriter)| (rewriter, record_meter(route, rules, exposure.as_ref(), now))),
            observed: None,
            seen: None,
            observes: route.observed.is_some(),
            bytes: exposure.is_some().then(|| route.ledger.byte_meter(route.terms.ledger_index)),
            counters: BodyCounters::default(),
            exposure,
            charged: 0,
            head: HeadCounts::default(),
            exposed: BodyCounters::default(),
            clear_sample: None,
            is_sampled: None,
            starved: None,
            now,
        }
    }

    /// Has the rules of a contract that observes read the body, which passes as it is. A body that they cannot read is
    /// reported as one that would be refused.
    pub(super) fn with_observed(
        mut self,
        route: &RouteRuntime,
        rules: &MessageRules,
        message: HttpMessage,
        rewriter: Result<Option<Box<dyn Rewriter>>, RewriteError>,
    ) -> Self {
        match rewriter {
            Ok(rewriter) => {
                let meter = || record_meter(route, rules, self.exposure.as_ref(), self.now).observing();
                self.metrics = Some(Arc::clone(&route.metrics));
                self.observed = rewriter.map(|rewriter| Box::new(ObservedBody::new(rewriter, meter(), message)));
            }
            Err(error) => self.counters.would_deny.insert(AbortReason::Untreatable(error).denial(message).reason),
        }
        self
    }

    /// Has the body read for the fields in it.
    pub(super) fn with_seen(mut self, seen: Option<Box<SeenBody>>) -> Self {
        self.seen = seen;
        self
    }

    /// Adds what was treated in the head of the message.
    pub(super) fn with_head_counts(mut self, head: HeadCounts) -> Self {
        self.head = head;
        self
    }

    /// Takes out what was treated in the head of the message, for a head that is sent without this body.
    pub(super) fn take_head_counts(&mut self) -> HeadCounts {
        std::mem::take(&mut self.head)
    }

    /// Allows any shape: the body of an error response need not have the shape of a successful one.
    pub(super) fn ignoring_shape(mut self) -> Self {
        self.rewriter = self.rewriter.map(|(rewriter, meter)| (rewriter, meter.on_shape(OnUnexpectedShape::Ignore)));
        self.observed = self.observed.map(|observed| Box::new(observed.on_shape(OnUnexpectedShape::Ignore)));
        self
    }

    /// Has the paths that leave in clear collected, where the body leaves the company and it is its turn to be sampled.
    /// A body that is not treated is read by a scanner of its own, by the values of its two content headers.
    pub(super) fn with_clear_sample(mut self, content_type: Option<&str>, content_encoding: Option<&str>) -> Self {
        self.is_sampled = self.exposure.as_ref().map(exposure::CallerCounters::samples_next_body);
        if self.is_sampled == Some(true) {
            let scanner = self.rewriter.is_none().then(|| ClearScanner::new(content_type, content_encoding));
            self.clear_sample = Some(Box::new(ClearSample::new(scanner)));
        }
        self
    }

    /// Whether the bytes that are sent can differ from those that came.
    pub(super) const fn rewrites(&self) -> bool {
        self.rewriter.is_some()
    }

    pub(super) const fn counters(&self) -> BodyCounters {
        self.counters
    }

    /// Takes a piece of the body. The bytes that are returned may be sent, also beside an abort.
    pub(super) fn feed(&mut self, input: Bytes, now: Moment) -> (Bytes, Option<AbortReason>) {
        self.counters.bytes_in += input.len() as u64;
        self.now = now;
        if self.rewriter.is_none() {
            if let Some(sample) = &mut self.clear_sample {
                sample.observe(|scanner, report| scanner.feed(&input, report));
            }
            self.observe(|observed| observed.feed(&input, now));
            self.seen.iter_mut().for_each(|seen| seen.feed(&input));
            return self.charge(input, None, now);
        }
        self.feed_rewriter(input, now)
    }

    fn feed_piece(&mut self, piece: &Bytes, now: Moment) -> (Bytes, Option<AbortReason>) {
        let mut out = Vec::with_capacity(piece.len() + piece.len() / 4 + 64);
        let outcome = self.rewrite(|rewriter, observer| rewriter.feed(piece, observer, &mut out), now);
        self.after_rewrite(outcome, out, now)
    }

    /// Takes the end of the body.
    pub(super) fn finish(&mut self, now: Moment) -> (Bytes, Option<AbortReason>) {
        if self.rewriter.is_none() {
            if let Some(sample) = &mut self.clear_sample {
                sample.observe(ClearScanner::finish);
            }
            self.finish_observed();
            return self.charge(Bytes::new(), None, now);
        }
        // An empty body is no document of any kind, and needs to be none.
        if self.counters.bytes_in == 0 {
            return (Bytes::new(), None);
        }
        let mut out = Vec::new();
        let outcome = self.rewrite(|rewriter, observer| rewriter.finish(observer, &mut out), now);
        let finished = self.after_rewrite(outcome, out, now);
        if let Some(starved) = &mut self.starved {
            starved.is_last = true;
        }
        finished
    }

    /// Has the rules that only report read the end of the body. Call it for a whole body before its end is reported:
    /// hyper may drop a body of known length without asking for its end. An empty body is no document of any kind.
    pub(super) fn finish_observed(&mut self) {
        if self.counters.bytes_in > 0 {
            let now = self.now;
            self.observe(|observed| observed.finish(now));
            if let Some(seen) = self.seen.take() {
                seen.finish();
            }
        }
    }

    /// Runs the rules that only report, where there are any.
    fn observe(&mut self, act: impl FnOnce(&mut ObservedBody) -> ObservedPiece) {
        let Some(observed) = &mut self.observed else { return };
        let piece = act(observed);
        piece.would_deny.into_iter().flatten().for_each(|reason| self.counters.would_deny.insert(reason));
        if piece.is_misshapen {
            self.counters.shape_unexpected = true;
            self.metrics.iter().for_each(|metrics| metrics.shape_unexpected());
        }
    }

    /// Runs the engine with the meter of the body as its observer, and with the sample beside it for a sampled body.
    fn rewrite(
        &mut self,
        act: impl FnOnce(&mut dyn Rewriter, &mut dyn RewriteObserver) -> Result<(), RewriteError>,
        now: Moment,
    ) -> Result<(), RewriteError> {
        let Some((rewriter, meter)) = &mut self.rewriter else { return Ok(()) };
        meter.begin(now);
        let outcome = match &mut self.clear_sample {
            Some(sample) => act(&mut **rewriter, &mut sample.with_meter(meter)),
            None => act(&mut **rewriter, meter),
        };
        meter.settle();
        outcome
    }

    fn after_rewrite(
        &mut self,
        outcome: Result<(), RewriteError>,
        out: Vec<u8>,
        now: Moment,
    ) -> (Bytes, Option<AbortReason>) {
        let meter = self.rewriter.as_mut().map(|(_, meter)| meter);
        let abort = outcome.err().map(|error| match meter.as_ref().and_then(|meter| meter.overrun()) {
            Some(overrun) if error == RewriteError::RecordBudgetSpent => AbortReason::BudgetSpent(overrun),
            Some(_) | None => AbortReason::Untreatable(error),
        });
        // A body of an unexpected shape counts as one, whether it passes or is refused and nothing of it is sent.
        if meter.is_some_and(RecordMeter::take_misshapen) {
            self.counters.shape_unexpected = true;
            self.metrics.iter().for_each(|metrics| metrics.shape_unexpected());
        }
        self.charge(out.into(), abort, now)
    }

    /// Charges what is about to be sent. A piece that would exceed a budget is held back whole, or passes uncharged
    /// where the contract observes. One for which there is no lease waits.
    fn charge(&mut self, out: Bytes, abort: Option<AbortReason>, now: Moment) -> (Bytes, Option<AbortReason>) {
        match self.cover(out.len(), now) {
            Err(overrun) if self.observes => {
                if overrun.cause == SpentCause::Budget {
                    self.counters.would_deny.insert(overrun.denial().reason);
                }
            }
            Err(overrun) if overrun.cause == SpentCause::Lease => {
                let starved = StarvedPiece { out, abort, rest: Bytes::new(), is_last: false, overrun };
                self.starved = Some(Box::new(starved));
                return (Bytes::new(), None);
            }
            Err(overrun) => {
                self.discard();
                return (Bytes::new(), Some(AbortReason::BudgetSpent(overrun)));
            }
            Ok(()) => {}
        }
        self.rewriter.iter_mut().for_each(|(_, meter)| meter.keep());
        self.clear_sample.iter_mut().for_each(|sample| sample.commit());
        self.charged += out.len() as u64;
        (out, abort)
    }

    /// Charges the records that passed ahead of their lease, and bytes.
    fn cover(&mut self, bytes: usize, now: Moment) -> Result<(), Overrun> {
        if let Some((_, meter)) = &mut self.rewriter {
            meter.cover(now)?;
        }
        match &mut self.bytes {
            Some(meter) if bytes > 0 => meter.pass(bytes, now),
            Some(_) | None => Ok(()),
        }
    }

    /// What came out of the last feed is not sent.
    fn discard(&mut self) {
        self.rewriter.iter_mut().for_each(|(_, meter)| meter.forget());
        self.clear_sample.iter_mut().for_each(|sample| sample.discard());
    }

    /// All that came out has been sent: it is counted in the route's metrics and, where the body leaves the company, in
    /// the exposure. `rules` are those of the message.
    pub(super) fn mark_sent(&mut self, route: &RouteRuntime, rules: Option<&MessageRules>) {
        self.counters.bytes_out += std::mem::take(&mut self.charged);
        if let Some(bytes) = &mut self.bytes {
            bytes.settle();
        }
        if let Some(rules) = rules {
            self.head.record_sent(rules, route, self.exposure.as_ref());
        }
        let meter = self.rewriter.as_mut().map(|(_, meter)| meter);
        let meter = meter.or_else(|| self.observed.as_mut().map(|observed| observed.meter_mut()));
        if let (Some(meter), Some(rules)) = (meter, rules) {
            let records = meter.drain(|rule, count| rules.count(route, self.exposure.as_ref(), rule, count));
            self.counters.records += records;
            if records > 0 {
                route.metrics.records(records);
            }
        }
        self.record_exposure();
    }

    fn record_exposure(&mut self) {
        let Some(exposure) = &self.exposure else { return };
        let has_clear_paths = self.clear_sample.as_mut().is_some_and(|sample| sample.record_sent(exposure));
        if self.counters == self.exposed && !has_clear_paths {
            return;
        }
        if self.counters.bytes_out > 0
            && let Some(is_sampled) = self.is_sampled.take()
        {
            exposure.add_body(is_sampled);
        }
        let (sent, before) = (self.counters, self.exposed);
        exposure.add_left(sent.records - before.records, sent.bytes_out - before.bytes_out, self.now);
        self.exposed = sent;
    }
}

/// The meter of a body that a rule reads. Subjects are counted where the body leaves the company.
fn record_meter(
    route: &RouteRuntime,
    rules: &MessageRules,
    exposure: Option<&exposure::CallerCounters>,
    now: Moment,
) -> RecordMeter {
    let meter = route.ledger.record_meter(route.terms.ledger_index, rules.plan.rules().len(), now);
    let meter = meter.on_shape(rules.on_shape);
    match exposure.cloned().filter(|_| rules.names_subject) {
        Some(exposure) => meter.with_subject_listener(Box::new(move |subject| exposure.add_subject(subject))),
        None => meter,
    }
}

debug_fields!(BodyPipeline: counters);
