//! Who is told how a body went: the exchange for an answer, and a note to the exchange for a request.

use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use ::http::HeaderMap;

use super::body_pipeline::{AbortReason, BodyCounters, BodyPipeline};
use super::body_stream::{BodyEnd, BodyObserver};
use super::consequence::{self, BodyCut};
use super::exchange::Exchange;
use super::handle::Gateway;
use super::headers;
use super::snapshot::{RouteRuntime, VendorRuntime};
use super::streamed::StreamedResponse;
use crate::http::RequestId;
use crate::kill::InFlight;
use crate::model::{ClientId, Denial, Direction, Lock as _, Moment};
use crate::pii::RewriteError;
use crate::upstream::UpstreamLease;

/// An answer's body: it holds the exchange, so that its end closes the books, and the upstream's connection.
#[derive(Debug)]
pub(super) struct ResponseObserver {
    exchange: Option<Box<Exchange>>,
    lease: Option<UpstreamLease>,
    route: Arc<RouteRuntime>,
    /// The body's place on the connection's list, while it streams.
    watched: Option<StreamedResponse>,
}

impl ResponseObserver {
    pub(super) const fn new(exchange: Box<Exchange>, lease: UpstreamLease, route: Arc<RouteRuntime>) -> Self {
        Self { exchange: Some(exchange), lease: Some(lease), route, watched: None }
    }

    /// Takes the exchange out, for another answer than this one. The upstream's connection is closed.
    pub(super) fn give_up(&mut self) -> Option<Box<Exchange>> {
        self.lease = None;
        self.exchange.take()
    }

    /// The head goes out now; the body may already be known to be broken.
    pub(super) fn answers(&mut self, status: u16, broken: Option<&BodyEnd>) {
        let Some(exchange) = &mut self.exchange else { return };
        exchange.answers(status);
        if let Some(ending) = broken {
            exchange.broke(ending);
            self.lease = None;
        }
    }

    /// Time spent waiting for the body before its head goes out.
    pub(super) fn waited(&mut self, since: Moment) {
        if let Some(exchange) = &mut self.exchange {
            exchange.waited(since);
        }
    }

    /// The connections, which have left HTTP, end by themselves.
    pub(super) fn detach(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.detach();
        }
    }

    /// The request's body was cut while the answer is on its way; its own owner has audited that and let it have its
    /// consequence.
    pub(super) fn note(&mut self, denial: &Denial) {
        if let Some(exchange) = &mut self.exchange {
            exchange.note(denial);
        }
    }

    /// The body goes on after the head: a kill must reach it although its reader may rest.
    pub(super) fn watch_reader(&mut self, in_flight: InFlight) {
        self.watched = self.exchange.as_ref().map(|exchange| exchange.peer.watch_response(in_flight));
    }
}

impl BodyObserver for ResponseObserver {
    fn on_consumed(&mut self, account: &BodyPipeline) {
        if let Some(exchange) = &mut self.exchange {
            exchange.gave(account.counters());
        }
    }

    fn on_sent(&mut self, account: &mut BodyPipeline) {
        account.mark_sent(&self.route, self.route.response.as_ref());
        self.on_consumed(account);
    }

    fn on_end(&mut self, account: &mut BodyPipeline, how: Result<(), &BodyEnd>) {
        if how.is_ok() {
            self.on_sent(account);
        } else {
            self.on_consumed(account);
        }
        let Some(exchange) = &mut self.exchange else { return };
        match how {
            Ok(()) => {
                // An upstream that has answered before it had the whole request is sent no more of it.
                if let Some(lease) = self.lease.take().filter(|_| exchange.request_is_over() || exchange.has_switched())
                {
                    lease.release(exchange.gateway.clock.now());
                }
            }
            Err(ending) => {
                // Dropped in the middle of its answer, the connection closes, and the upstream sees a reset.
                self.lease = None;
                // What a budget had room for may still be read, in the reader's own time.
                self.watched = None;
                exchange.broke(ending);
            }
        }
    }

    fn trailers(&self, fields: HeaderMap, changes: bool) -> Result<Option<HeaderMap>, RewriteError> {
        headers::rewrite_trailers(self.route.response.as_ref(), &self.route, fields, changes)
    }

    fn flush_count(&self) -> Option<u64> {
        self.exchange.as_ref().filter(|exchange| !exchange.has_switched()).map(|exchange| {
            // An HTTP/2 connection is another task, and may have nothing else to do.
            exchange.peer.wake();
            exchange.peer.flush_count()
        })
    }
}

/// How a request's body fares, as the exchange can read it while the upstream's connection owns the body.
#[derive(Debug, Default)]
pub(super) struct RequestBodyOutcome(Mutex<RequestBodyState>);

#[derive(Debug, Default)]
struct RequestBodyState {
    tally: BodyCounters,
    ending: Option<BodyEnd>,
    is_over: bool,
    /// Who waits for that.
    waker: Option<Waker>,
}

impl RequestBodyOutcome {
    pub(super) fn tally(&self) -> BodyCounters {
        self.lock().tally
    }

    pub(super) fn ending(&self) -> Option<BodyEnd> {
        self.lock().ending.clone()
    }

    /// Whether nothing follows, for good or ill.
    pub(super) fn is_done(&self) -> bool {
        self.lock().is_over
    }

    /// Ready when nothing follows; one task asks.
    pub(super) fn poll_done(&self, cx: &Context<'_>) -> Poll<()> {
        let mut fared = self.lock();
        if fared.is_over {
            return Poll::Ready(());
        }
        match &mut fared.waker {
            Some(known) => known.clone_from(cx.waker()),
            empty @ None => *empty = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    fn end(&self, ending: Option<BodyEnd>) {
        let mut fared = self.lock();
        (fared.ending, fared.is_over) = (ending, true);
        let waker = fared.waker.take();
        drop(fared);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, RequestBodyState> {
        self.0.locked()
    }
}

/// A request's body.
#[derive(Debug)]
pub(super) struct RequestObserver {
    fate: Arc<RequestBodyOutcome>,
    route: Arc<RouteRuntime>,
    /// Who bears the consequence of an overrun.
    vendor: Option<Arc<VendorRuntime>>,
    /// The exchange's own registration, which that consequence spares.
    own: InFlight,
    gateway: Arc<Gateway>,
    client: Option<ClientId>,
    direction: Direction,
    id: RequestId,
}

impl RequestObserver {
    pub(super) fn new(
        fate: Arc<RequestBodyOutcome>,
        route: Arc<RouteRuntime>,
        own: InFlight,
        exchange: &Exchange,
    ) -> Self {
        Self {
            fate,
            route,
            own,
            vendor: exchange.vendor().cloned(),
            gateway: Arc::clone(&exchange.gateway),
            client: exchange.client().cloned(),
            direction: exchange.direction(),
            id: exchange.id,
        }
    }
}

impl BodyObserver for RequestObserver {
    fn on_consumed(&mut self, account: &BodyPipeline) {
        self.fate.lock().tally = account.counters();
    }

    fn on_sent(&mut self, account: &mut BodyPipeline) {
        account.mark_sent(&self.route, self.route.request.as_ref());
        self.on_consumed(account);
    }

    fn on_end(&mut self, account: &mut BodyPipeline, how: Result<(), &BodyEnd>) {
        if how.is_ok() {
            self.on_sent(account);
        } else {
            self.on_consumed(account);
        }
        if let (Err(BodyEnd::Stopped(AbortReason::BudgetSpent(overrun))), Some(vendor)) = (how, &self.vendor) {
            consequence::on_overrun(&self.gateway, vendor, self.direction, &self.own, overrun);
            let (client, direction, route) = (self.client.as_ref(), self.direction, &*self.route.name);
            let cut = BodyCut { vendor, client, direction, route, id: self.id };
            consequence::audit_body_cut(&self.gateway, &cut, overrun, account.counters());
        }
        // A body that the upstream did not want to the end is no fault of the request.
        self.fate.end(how.err().filter(|ending| **ending != BodyEnd::ReaderGone).cloned());
    }

    fn trailers(&self, fields: HeaderMap, changes: bool) -> Result<Option<HeaderMap>, RewriteError> {
        headers::rewrite_trailers(self.route.request.as_ref(), &self.route, fields, changes)
    }

    /// A cut request must not look whole, and nobody waits for its rest.
    fn flush_count(&self) -> Option<u64> {
        None
    }
}
