//! What is done as the bodies of an exchange move on: each is counted, and its end closes its part of the exchange.

use std::sync::Arc;

use ::http::HeaderMap;

use super::admission::Admitted;
use super::body_end::{BodyEnd, HttpMessage};
use super::body_pipeline::BodyPipeline;
use super::body_stream::BodyObserver;
use super::consequence::AdmittedRequest;
use super::headers;
use super::parameters::drop_unlisted;
use super::request_outcome::RequestBodyOutcome;
use super::snapshot::{RouteRuntime, VendorRuntime};
use super::state::Gateway;
use super::streamed::StreamedResponse;
use crate::http::{RequestId, grpc_trailers};
use crate::kill::InFlight;
use crate::model::{ClientId, Direction};
use crate::pii::RewriteError;
use crate::upstream::TargetLease;

/// Observes the body of a response. It holds the admitted request, so that the request is in flight, and keeps its
/// slots, until the body is dropped; and it holds the upstream's connection.
#[derive(Debug)]
pub(super) struct ResponseObserver {
    admitted: Admitted,
    /// `None` once the connection was given back or closed.
    lease: Option<TargetLease>,
    /// The entry on the list of the caller's connection, while the body is streamed.
    watched: Option<StreamedResponse>,
}

impl ResponseObserver {
    pub(super) const fn new(admitted: Admitted, lease: TargetLease) -> Self {
        Self { admitted, lease: Some(lease), watched: None }
    }

    /// Observes what a vendor sends in a tunnel, whose connection is no pool's.
    pub(super) const fn of_tunnel(admitted: Admitted) -> Self {
        Self { admitted, lease: None, watched: None }
    }

    pub(super) const fn admitted_mut(&mut self) -> &mut Admitted {
        &mut self.admitted
    }

    /// Lets the connection to the upstream, which has left HTTP, end by itself.
    pub(super) fn detach(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.detach();
        }
    }

    /// The body is streamed after its head: has a kill reach it even when its reader does not read.
    pub(super) fn watch_reader(&mut self, in_flight: InFlight) {
        self.watched = Some(self.admitted.record().peer.watch_response(in_flight));
    }
}

impl BodyObserver for ResponseObserver {
    fn on_consumed(&mut self, pipeline: &BodyPipeline) {
        self.admitted.record_mut().set_response(pipeline.counters());
    }

    fn on_sent(&mut self, pipeline: &mut BodyPipeline) {
        let route = self.admitted.route();
        pipeline.mark_sent(route, route.response_counts());
        self.on_consumed(pipeline);
    }

    fn on_end(&mut self, pipeline: &mut BodyPipeline, outcome: Result<(), &BodyEnd>) {
        match outcome {
            Ok(()) => {
                self.on_sent(pipeline);
                // An upstream that has responded before it had the whole request is sent no more of it.
                let is_reusable = self.admitted.is_request_done() || self.admitted.record().has_switched();
                if let Some(lease) = self.lease.take().filter(|_| is_reusable) {
                    lease.release(self.admitted.record().gateway.clock.now());
                }
            }
            Err(end) => {
                self.on_consumed(pipeline);
                // Dropped in the middle of a response, the connection closes, and the upstream sees a reset.
                self.lease = None;
                // What a budget had room for may still be read, at the reader's own pace.
                self.watched = None;
                self.admitted.break_off(end);
            }
        }
    }

    fn trailers(&self, mut fields: HeaderMap, rewrites_body: bool) -> Result<Option<HeaderMap>, RewriteError> {
        let route = self.admitted.route();
        let caller = self.admitted.record().client();
        self.admitted.traces().iter().for_each(|trace| trace.remove_echoes(&mut fields));
        headers::rewrite_trailers(route.response.as_ref(), (route, caller), fields, rewrites_body)
    }

    /// A gRPC client learns by a status why its call ends here: what its messages before that said still holds.
    fn closing_trailers(&self, end: &BodyEnd) -> Option<HeaderMap> {
        let record = self.admitted.record();
        if !(record.is_grpc() && record.is_h2()) {
            return None;
        }
        // The upstream breaks off its answer where the body of the request was cut.
        let of_request = matches!(end, BodyEnd::SenderGone).then(|| self.admitted.request_end()).flatten();
        let of_request = of_request.and_then(|end| end.stopped(HttpMessage::Request));
        let denial = end.stopped(HttpMessage::Response).or(of_request)?;
        Some(grpc_trailers(&denial, record.direction()))
    }

    fn flush_count(&self) -> Option<u64> {
        let record = self.admitted.record();
        (!record.has_switched()).then(|| {
            // The task of an HTTP/2 connection may have nothing else to do, and would not flush.
            record.peer.wake();
            record.peer.flush_count()
        })
    }

    fn as_request(&self) -> AdmittedRequest<'_> {
        self.admitted.as_request()
    }
}

/// Observes the body of a request, which the task of the upstream's connection owns.
#[derive(Debug)]
pub(super) struct RequestObserver {
    outcome: Arc<RequestBodyOutcome>,
    gateway: Arc<Gateway>,
    vendor: Arc<VendorRuntime>,
    route: Arc<RouteRuntime>,
    client: Option<ClientId>,
    direction: Direction,
    id: RequestId,
}

impl RequestObserver {
    pub(super) fn new(admitted: &Admitted, outcome: Arc<RequestBodyOutcome>) -> Self {
        let record = admitted.record();
        Self {
            outcome,
            gateway: Arc::clone(&record.gateway),
            vendor: Arc::clone(admitted.vendor()),
            route: Arc::clone(admitted.route()),
            client: record.client().cloned(),
            direction: record.direction(),
            id: record.id,
        }
    }
}

impl BodyObserver for RequestObserver {
    fn on_consumed(&mut self, pipeline: &BodyPipeline) {
        self.outcome.set_counters(pipeline.counters());
    }

    fn on_sent(&mut self, pipeline: &mut BodyPipeline) {
        pipeline.mark_sent(&self.route, self.route.request_counts());
        self.on_consumed(pipeline);
    }

    fn on_end(&mut self, pipeline: &mut BodyPipeline, outcome: Result<(), &BodyEnd>) {
        match outcome {
            Ok(()) => self.on_sent(pipeline),
            Err(_) => self.on_consumed(pipeline),
        }
        // A body that the upstream did not want to the end is no fault of the request.
        self.outcome.finish(outcome.err().filter(|end| **end != BodyEnd::ReaderGone).cloned());
    }

    fn trailers(&self, mut fields: HeaderMap, rewrites_body: bool) -> Result<Option<HeaderMap>, RewriteError> {
        drop_unlisted(&self.route, &mut fields);
        let from = (&*self.route, self.client.as_ref());
        headers::rewrite_trailers(self.route.request.as_ref(), from, fields, rewrites_body)
    }

    fn closing_trailers(&self, _end: &BodyEnd) -> Option<HeaderMap> {
        None
    }

    /// The connection to the upstream is reset under a cut request, so that the upstream does not take it for whole.
    fn flush_count(&self) -> Option<u64> {
        None
    }

    fn as_request(&self) -> AdmittedRequest<'_> {
        let (gateway, client) = (&*self.gateway, self.client.as_ref());
        let (vendor, route) = (&*self.vendor, &*self.route);
        AdmittedRequest { gateway, vendor, route, client, direction: self.direction, id: self.id }
    }
}
