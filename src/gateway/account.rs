//! What a body goes through on its way: treated, counted, cut at its budgets.
//!
//! Bytes in, bytes out, with the time as an argument; the waiting is in `bodies`. Whatever comes out may leave. It is charged
//! at once, and counted when it has left: what stays, because the body was refused or broke off, costs nothing in the end.

use std::sync::Arc;

use bytes::Bytes;

use super::looks::Looks;
use super::snapshot::{Route, Treats};
use super::target::HeadCounts;
use crate::exposure;
use crate::meter::{ByteMeter, Overrun, RecordMeter};
use crate::model::{Denial, Moment, Reason};
use crate::pii::{OnShape, Rewriter, Stop, Watch, Witness};
use crate::telemetry::RouteMetrics;

/// One body's treatment and meters.
pub(super) struct Account {
    treat: Option<(Box<dyn Rewriter>, RecordMeter)>,
    bytes: Option<ByteMeter>,
    tally: Tally,
    /// Where what leaves is counted; none where the body stays in the house.
    exposure: Option<exposure::Handle>,
    /// The route's metrics, where the body is treated.
    metrics: Option<Arc<RouteMetrics>>,
    /// Bytes that are charged and have not left yet.
    kept: u64,
    /// The rules that treated something in this message's head, which leaves before its body.
    head: HeadCounts,
    /// The tally as the exposure has it.
    exposed: Tally,
    /// Looks at what leaves in clear, where it is this body's turn.
    looks: Option<Box<Looks>>,
    /// Whether it is, until the body has been counted.
    turn: Option<bool>,
    now: Moment,
}

/// What has passed through one body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Bytes that came in.
    pub(super) taken: u64,
    /// Bytes that left.
    pub(super) passed: u64,
    /// Records that left.
    pub(super) records: u64,
    /// Whether the body was not of the shape that its records' path describes.
    pub(super) misshapen: bool,
}

/// One of the two messages of an exchange: whoever sent it bears the faults of its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Message {
    /// The caller's.
    Request,
    /// The upstream's.
    Answer,
}

/// Why a body goes no further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Halt {
    /// A budget was spent.
    Over(Overrun),
    /// It cannot be treated.
    Stop(Stop),
}

impl Account {
    /// An account for one body: treated where the route says so, and on the budgets where it leaves the house.
    pub(super) fn new(route: &Route, treat: Option<(&Treats, Box<dyn Rewriter>)>, leaves: bool, now: Moment) -> Self {
        let exposure = leaves.then(|| route.exposure.clone());
        let meter = |treats: &Treats| {
            let meter = route.ledger.record_meter(route.place, treats.treated.len(), now).on_shape(treats.on_shape);
            match exposure.clone().filter(|_| treats.names_subject) {
                Some(exposure) => meter.telling(Box::new(move |subject| exposure.subject(subject))),
                None => meter,
            }
        };
        Self {
            metrics: treat.is_some().then(|| Arc::clone(&route.metrics)),
            treat: treat.map(|(treats, rewriter)| (rewriter, meter(treats))),
            bytes: leaves.then(|| route.ledger.byte_meter(route.place)),
            tally: Tally::default(),
            exposure,
            kept: 0,
            head: HeadCounts::default(),
            exposed: Tally::default(),
            looks: None,
            turn: None,
            now,
        }
    }

    /// With what was treated in the message's head.
    pub(super) fn with_head(mut self, head: HeadCounts) -> Self {
        self.head = head;
        self
    }

    /// What was treated in the message's head, for a head that leaves without this body.
    pub(super) fn take_head(&mut self) -> HeadCounts {
        std::mem::take(&mut self.head)
    }

    /// The same for the body of an answer that says no: it need not be of the shape of one that gives what was asked for.
    pub(super) fn of_failure(mut self) -> Self {
        self.treat = self.treat.map(|(rewriter, meter)| (rewriter, meter.on_shape(OnShape::Ignore)));
        self
    }

    /// Lets what leaves in clear be told, where the body leaves the house and it is its turn. Without a treatment it is read
    /// beside its way, by these header values.
    pub(super) fn looked_at(mut self, content_type: Option<&str>, content_encoding: Option<&str>) -> Self {
        self.turn = self.exposure.as_ref().map(exposure::Handle::is_looked_at);
        if self.turn == Some(true) {
            let witness = self.treat.is_none().then(|| Witness::new(content_type, content_encoding));
            self.looks = Some(Box::new(Looks::new(witness)));
        }
        self
    }

    /// Whether the bytes that leave can differ from those that came.
    pub(super) const fn changes(&self) -> bool {
        self.treat.is_some()
    }

    pub(super) const fn tally(&self) -> Tally {
        self.tally
    }

    /// Takes a piece of the body; what comes back may leave, also beside a halt.
    pub(super) fn feed(&mut self, input: Bytes, now: Moment) -> (Bytes, Option<Halt>) {
        self.tally.taken += input.len() as u64;
        self.now = now;
        if self.treat.is_none() {
            self.looks.iter_mut().for_each(|looks| looks.beside(|witness, tell| witness.feed(&input, tell)));
            return self.charge(input, None, now);
        }
        let mut out = Vec::with_capacity(input.len() + input.len() / 4 + 64);
        let outcome = self.treat(|rewriter, watch| rewriter.feed(&input, watch, &mut out), now);
        self.after(outcome, out, now)
    }

    /// Takes the end of the body.
    pub(super) fn finish(&mut self, now: Moment) -> (Bytes, Option<Halt>) {
        if self.treat.is_none() {
            self.looks.iter_mut().for_each(|looks| looks.beside(Witness::finish));
            return self.charge(Bytes::new(), None, now);
        }
        // What is empty is no document of any kind, and needs to be none.
        if self.tally.taken == 0 {
            return (Bytes::new(), None);
        }
        let mut out = Vec::new();
        let outcome = self.treat(|rewriter, watch| rewriter.finish(watch, &mut out), now);
        self.after(outcome, out, now)
    }

    /// Lets the engine work, on the body's meter and, where it is looked at, on what leaves in clear.
    fn treat(
        &mut self,
        act: impl FnOnce(&mut dyn Rewriter, &mut dyn Watch) -> Result<(), Stop>,
        now: Moment,
    ) -> Result<(), Stop> {
        let Some((rewriter, meter)) = &mut self.treat else { return Ok(()) };
        meter.begin(now);
        let outcome = match &mut self.looks {
            Some(looks) => act(&mut **rewriter, &mut looks.within(meter)),
            None => act(&mut **rewriter, meter),
        };
        meter.settle();
        outcome
    }

    fn after(&mut self, outcome: Result<(), Stop>, out: Vec<u8>, now: Moment) -> (Bytes, Option<Halt>) {
        let halt = outcome.err().map(|stop| match self.treat.as_ref().and_then(|(_, meter)| meter.overrun()) {
            Some(overrun) if stop == Stop::Cut => Halt::Over(overrun),
            Some(_) | None => Halt::Stop(stop),
        });
        // A body of another shape counts as one whether it is refused, and nothing of it leaves, or passes.
        if let Some((_, meter)) = &mut self.treat
            && meter.take_misshapen()
        {
            self.tally.misshapen = true;
            self.metrics.iter().for_each(|metrics| metrics.shape_unexpected());
        }
        self.charge(out.into(), halt, now)
    }

    /// Charges what is about to leave to the byte budget: a piece that would exceed it stays.
    fn charge(&mut self, out: Bytes, halt: Option<Halt>, now: Moment) -> (Bytes, Option<Halt>) {
        if let Some(bytes) = &mut self.bytes
            && !out.is_empty()
            && let Err(overrun) = bytes.pass(out.len(), now)
        {
            if let Some((_, meter)) = &mut self.treat {
                meter.forget();
            }
            self.looks.iter_mut().for_each(|looks| looks.forget());
            return (Bytes::new(), Some(Halt::Over(overrun)));
        }
        if let Some((_, meter)) = &mut self.treat {
            meter.keep();
        }
        self.looks.iter_mut().for_each(|looks| looks.keep());
        self.kept += out.len() as u64;
        (out, halt)
    }

    /// All that came out has left: its counts go to the route's metrics and, where the body leaves the house, to the exposure.
    pub(super) fn left(&mut self, route: &Route, treats: Option<&Treats>) {
        self.tally.passed += std::mem::take(&mut self.kept);
        if let Some(bytes) = &mut self.bytes {
            bytes.settle();
        }
        if let Some(treats) = treats {
            self.head.left(treats, route);
        }
        if let (Some((_, meter)), Some(treats)) = (&mut self.treat, treats) {
            let records = meter.drain(|rule, count| treats.count(route, rule, count));
            self.tally.records += records;
            if records > 0 {
                route.metrics.records(records);
            }
        }
        self.expose();
    }

    fn expose(&mut self) {
        let Some(exposure) = &self.exposure else { return };
        let seen = self.looks.as_mut().is_some_and(|looks| looks.left(exposure));
        if self.tally == self.exposed && !seen {
            return;
        }
        if self.tally.passed > 0
            && let Some(looked_at) = self.turn.take()
        {
            exposure.body_left(looked_at);
        }
        let (records, bytes) = (self.tally.records - self.exposed.records, self.tally.passed - self.exposed.passed);
        exposure.left(records, bytes, self.now);
        self.exposed = self.tally;
    }
}

impl Halt {
    /// The denial that the log, the audit and, where it still can, the caller are told.
    pub(super) fn denial(&self, message: Message) -> Denial {
        match self {
            Self::Over(overrun) => overrun.denial(),
            Self::Stop(stop) => Denial::new(reason(stop, message), stop.to_string()),
        }
    }
}

/// A request's fault is told by what is wrong with it; an answer's is the upstream's, whatever it is.
const fn reason(stop: &Stop, message: Message) -> Reason {
    match (message, stop) {
        (_, Stop::Shape { .. }) => Reason::ShapeUnexpected,
        (Message::Answer, _) => Reason::UpstreamUnreadable,
        (Message::Request, Stop::Opaque { .. } | Stop::Column { .. }) => Reason::BodyOpaque,
        (Message::Request, Stop::Query { .. }) => Reason::QueryForbidden,
        (Message::Request, Stop::Bound { .. }) => Reason::BodyTooLarge,
        (Message::Request, Stop::Malformed { .. } | Stop::Untreatable { .. } | Stop::Cut) => Reason::BodyMalformed,
    }
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("changes", &self.changes()).field("tally", &self.tally).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_s_fault_is_its_sender_s() {
        for (stop, of_request) in [
            (Stop::Malformed { what: "", at: 0 }, Reason::BodyMalformed),
            (Stop::Untreatable { what: "" }, Reason::BodyMalformed),
            (Stop::Bound { bound: "", limit: 0 }, Reason::BodyTooLarge),
            (Stop::Opaque { what: "" }, Reason::BodyOpaque),
            (Stop::Column { name: "".into() }, Reason::BodyOpaque),
            (Stop::Query { what: "", at: 0 }, Reason::QueryForbidden),
            (Stop::Cut, Reason::BodyMalformed),
        ] {
            let halt = Halt::Stop(stop);
            assert_eq!(halt.denial(Message::Request).reason, of_request, "{halt:?}");
            assert_eq!(halt.denial(Message::Answer).reason, Reason::UpstreamUnreadable, "{halt:?}");
        }
    }
}
