//! What a body goes through on its way: treated, counted, cut at its budgets.
//!
//! Bytes in, bytes out, with the time as an argument; the waiting is in `bodies`. Whatever comes out may leave. It is charged
//! at once, and counted when it has left: what stays, because the body was refused or broke off, costs nothing in the end.

use std::sync::Arc;

use bytes::Bytes;

use super::clear_sample::ClearSample;
use super::snapshot::{MessageRules, RouteRuntime};
use super::target::HeadCounts;
use crate::exposure;
use crate::meter::{ByteMeter, Overrun, RecordMeter};
use crate::model::{Denial, Moment, Reason};
use crate::pii::{ClearScanner, OnUnexpectedShape, RewriteError, RewriteObserver, Rewriter};
use crate::telemetry::RouteMetrics;

/// One body's treatment and meters.
pub(super) struct BodyPipeline {
    treat: Option<(Box<dyn Rewriter>, RecordMeter)>,
    bytes: Option<ByteMeter>,
    tally: BodyCounters,
    /// Where what leaves is counted; none where the body stays in the house.
    exposure: Option<exposure::RouteCounters>,
    /// The route's metrics, where the body is treated.
    metrics: Option<Arc<RouteMetrics>>,
    /// Bytes that are charged and have not left yet.
    charged: u64,
    /// The rules that treated something in this message's head, which leaves before its body.
    head: HeadCounts,
    /// The tally as the exposure has it.
    counted: BodyCounters,
    /// Looks at what leaves in clear, where it is this body's turn.
    clear_sample: Option<Box<ClearSample>>,
    /// Whether it is, until the body has been counted.
    is_sampled: Option<bool>,
    now: Moment,
}

/// What has passed through one body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct BodyCounters {
    /// Bytes that came in.
    pub(super) bytes_in: u64,
    /// Bytes that left.
    pub(super) bytes_out: u64,
    /// Records that left.
    pub(super) records: u64,
    /// Whether the body was not of the shape that its records' path describes.
    pub(super) shape_unexpected: bool,
}

/// One of the two messages of an exchange: whoever sent it bears the faults of its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HttpMessage {
    /// The caller's.
    Request,
    /// The upstream's.
    Response,
}

/// Why a body goes no further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AbortReason {
    /// A budget was spent.
    BudgetSpent(Overrun),
    /// It cannot be treated.
    Untreatable(RewriteError),
}

impl BodyPipeline {
    /// An account for one body: treated where the route says so, and on the budgets where it leaves the house.
    pub(super) fn new(
        route: &RouteRuntime,
        treat: Option<(&MessageRules, Box<dyn Rewriter>)>,
        leaves: bool,
        now: Moment,
    ) -> Self {
        let exposure = leaves.then(|| route.exposure.clone());
        let meter = |treats: &MessageRules| {
            let meter =
                route.ledger.record_meter(route.ledger_index, treats.plan.rules().len(), now).on_shape(treats.on_shape);
            match exposure.clone().filter(|_| treats.names_subject) {
                Some(exposure) => meter.with_subject_listener(Box::new(move |subject| exposure.add_subject(subject))),
                None => meter,
            }
        };
        Self {
            metrics: treat.is_some().then(|| Arc::clone(&route.metrics)),
            treat: treat.map(|(treats, rewriter)| (rewriter, meter(treats))),
            bytes: leaves.then(|| route.ledger.byte_meter(route.ledger_index)),
            tally: BodyCounters::default(),
            exposure,
            charged: 0,
            head: HeadCounts::default(),
            counted: BodyCounters::default(),
            clear_sample: None,
            is_sampled: None,
            now,
        }
    }

    /// With what was treated in the message's head.
    pub(super) fn with_head_counts(mut self, head: HeadCounts) -> Self {
        self.head = head;
        self
    }

    /// What was treated in the message's head, for a head that leaves without this body.
    pub(super) fn take_head_counts(&mut self) -> HeadCounts {
        std::mem::take(&mut self.head)
    }

    /// The same for the body of an answer that says no: it need not be of the shape of one that gives what was asked for.
    pub(super) fn ignoring_shape(mut self) -> Self {
        self.treat = self.treat.map(|(rewriter, meter)| (rewriter, meter.on_shape(OnUnexpectedShape::Ignore)));
        self
    }

    /// Lets what leaves in clear be told, where the body leaves the house and it is its turn. Without a treatment it is read
    /// beside its way, by these header values.
    pub(super) fn with_clear_sample(mut self, content_type: Option<&str>, content_encoding: Option<&str>) -> Self {
        self.is_sampled = self.exposure.as_ref().map(exposure::RouteCounters::samples_next_body);
        if self.is_sampled == Some(true) {
            let witness = self.treat.is_none().then(|| ClearScanner::new(content_type, content_encoding));
            self.clear_sample = Some(Box::new(ClearSample::new(witness)));
        }
        self
    }

    /// Whether the bytes that leave can differ from those that came.
    pub(super) const fn rewrites(&self) -> bool {
        self.treat.is_some()
    }

    pub(super) const fn counters(&self) -> BodyCounters {
        self.tally
    }

    /// Takes a piece of the body; what comes back may leave, also beside a halt.
    pub(super) fn feed(&mut self, input: Bytes, now: Moment) -> (Bytes, Option<AbortReason>) {
        self.tally.bytes_in += input.len() as u64;
        self.now = now;
        if self.treat.is_none() {
            self.clear_sample.iter_mut().for_each(|looks| looks.observe(|witness, tell| witness.feed(&input, tell)));
            return self.charge(input, None, now);
        }
        let mut out = Vec::with_capacity(input.len() + input.len() / 4 + 64);
        let outcome = self.treat(|rewriter, watch| rewriter.feed(&input, watch, &mut out), now);
        self.after_rewrite(outcome, out, now)
    }

    /// Takes the end of the body.
    pub(super) fn finish(&mut self, now: Moment) -> (Bytes, Option<AbortReason>) {
        if self.treat.is_none() {
            self.clear_sample.iter_mut().for_each(|looks| looks.observe(ClearScanner::finish));
            return self.charge(Bytes::new(), None, now);
        }
        // What is empty is no document of any kind, and needs to be none.
        if self.tally.bytes_in == 0 {
            return (Bytes::new(), None);
        }
        let mut out = Vec::new();
        let outcome = self.treat(|rewriter, watch| rewriter.finish(watch, &mut out), now);
        self.after_rewrite(outcome, out, now)
    }

    /// Lets the engine work, on the body's meter and, where it is looked at, on what leaves in clear.
    fn treat(
        &mut self,
        act: impl FnOnce(&mut dyn Rewriter, &mut dyn RewriteObserver) -> Result<(), RewriteError>,
        now: Moment,
    ) -> Result<(), RewriteError> {
        let Some((rewriter, meter)) = &mut self.treat else { return Ok(()) };
        meter.begin(now);
        let outcome = match &mut self.clear_sample {
            Some(looks) => act(&mut **rewriter, &mut looks.with_meter(meter)),
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
        let halt = outcome.err().map(|stop| match self.treat.as_ref().and_then(|(_, meter)| meter.overrun()) {
            Some(overrun) if stop == RewriteError::RecordBudgetSpent => AbortReason::BudgetSpent(overrun),
            Some(_) | None => AbortReason::Untreatable(stop),
        });
        // A body of another shape counts as one whether it is refused, and nothing of it leaves, or passes.
        if let Some((_, meter)) = &mut self.treat
            && meter.take_misshapen()
        {
            self.tally.shape_unexpected = true;
            self.metrics.iter().for_each(|metrics| metrics.shape_unexpected());
        }
        self.charge(out.into(), halt, now)
    }

    /// Charges what is about to leave to the byte budget: a piece that would exceed it stays.
    fn charge(&mut self, out: Bytes, halt: Option<AbortReason>, now: Moment) -> (Bytes, Option<AbortReason>) {
        if let Some(bytes) = &mut self.bytes
            && !out.is_empty()
            && let Err(overrun) = bytes.pass(out.len(), now)
        {
            if let Some((_, meter)) = &mut self.treat {
                meter.forget();
            }
            self.clear_sample.iter_mut().for_each(|looks| looks.discard());
            return (Bytes::new(), Some(AbortReason::BudgetSpent(overrun)));
        }
        if let Some((_, meter)) = &mut self.treat {
            meter.keep();
        }
        self.clear_sample.iter_mut().for_each(|looks| looks.commit());
        self.charged += out.len() as u64;
        (out, halt)
    }

    /// All that came out has left: its counts go to the route's metrics and, where the body leaves the house, to the exposure.
    pub(super) fn mark_sent(&mut self, route: &RouteRuntime, treats: Option<&MessageRules>) {
        self.tally.bytes_out += std::mem::take(&mut self.charged);
        if let Some(bytes) = &mut self.bytes {
            bytes.settle();
        }
        if let Some(treats) = treats {
            self.head.record_sent(treats, route);
        }
        if let (Some((_, meter)), Some(treats)) = (&mut self.treat, treats) {
            let records = meter.drain(|rule, count| treats.count(route, rule, count));
            self.tally.records += records;
            if records > 0 {
                route.metrics.records(records);
            }
        }
        self.record_exposure();
    }

    fn record_exposure(&mut self) {
        let Some(exposure) = &self.exposure else { return };
        let seen = self.clear_sample.as_mut().is_some_and(|looks| looks.record_sent(exposure));
        if self.tally == self.counted && !seen {
            return;
        }
        if self.tally.bytes_out > 0
            && let Some(looked_at) = self.is_sampled.take()
        {
            exposure.add_body(looked_at);
        }
        let (records, bytes) =
            (self.tally.records - self.counted.records, self.tally.bytes_out - self.counted.bytes_out);
        exposure.add_left(records, bytes, self.now);
        self.counted = self.tally;
    }
}

impl AbortReason {
    /// The denial that the log, the audit and, where it still can, the caller are told.
    pub(super) fn denial(&self, message: HttpMessage) -> Denial {
        match self {
            Self::BudgetSpent(overrun) => overrun.denial(),
            Self::Untreatable(stop) => Denial::new(reason(stop, message), stop.to_string()),
        }
    }
}

/// A request's fault is told by what is wrong with it; an answer's is the upstream's, whatever it is.
const fn reason(stop: &RewriteError, message: HttpMessage) -> Reason {
    match (message, stop) {
        (_, RewriteError::UnexpectedShape { .. }) => Reason::ShapeUnexpected,
        (HttpMessage::Response, _) => Reason::UpstreamUnreadable,
        (HttpMessage::Request, RewriteError::Opaque { .. } | RewriteError::MissingColumn { .. }) => Reason::BodyOpaque,
        (HttpMessage::Request, RewriteError::GraphqlQuery { .. }) => Reason::QueryForbidden,
        (HttpMessage::Request, RewriteError::Bound { .. }) => Reason::BodyTooLarge,
        (
            HttpMessage::Request,
            RewriteError::Malformed { .. } | RewriteError::Untreatable { .. } | RewriteError::RecordBudgetSpent,
        ) => Reason::BodyMalformed,
    }
}

impl std::fmt::Debug for BodyPipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("changes", &self.rewrites()).field("tally", &self.tally).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_s_fault_is_its_sender_s() {
        for (stop, of_request) in [
            (RewriteError::Malformed { what: "", at: 0 }, Reason::BodyMalformed),
            (RewriteError::Untreatable { what: "" }, Reason::BodyMalformed),
            (RewriteError::Bound { bound: "", limit: 0 }, Reason::BodyTooLarge),
            (RewriteError::Opaque { what: "" }, Reason::BodyOpaque),
            (RewriteError::MissingColumn { name: "".into() }, Reason::BodyOpaque),
            (RewriteError::GraphqlQuery { what: "", at: 0 }, Reason::QueryForbidden),
            (RewriteError::RecordBudgetSpent, Reason::BodyMalformed),
        ] {
            let halt = AbortReason::Untreatable(stop);
            assert_eq!(halt.denial(HttpMessage::Request).reason, of_request, "{halt:?}");
            assert_eq!(halt.denial(HttpMessage::Response).reason, Reason::UpstreamUnreadable, "{halt:?}");
        }
    }
}
