//! The tower stack around the gateway, outermost layer first:
//!
//! 1. load shed: at the bound of requests that wait for the head of their response, the next one is refused at once;
//! 2. concurrency limit: that bound;
//! 3. the gateway, in which a panic costs one request and not the worker.
//!
//! Tower protects against load; it never decides on a request. There is no timeout layer: each wait within a request
//! has a deadline of its own, and one for the whole would end a long upload that is within its limits.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ::http::{Request, Response};
use hyper::body::Incoming;
use tower::limit::{ConcurrencyLimit, GlobalConcurrencyLimitLayer};
use tower::load_shed::{LoadShed, LoadShedLayer};
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};

use super::peer::Peer;
use super::state::Gateway;
use crate::bounds;
use crate::http::{Challenge, GatewayBody, RequestIds, refuse};
use crate::model::{Denial, Direction, Reason};

/// A request and the peer that sent it.
type PeerRequest = (Arc<Peer>, Request<Incoming>);

/// The stack of one worker; each connection clones it.
#[derive(Debug, Clone)]
pub struct ServiceStack {
    service: LoadShed<ConcurrencyLimit<GatewayService>>,
    gateway: Arc<Gateway>,
}

impl ServiceStack {
    /// The stack of a worker.
    pub fn new(gateway: Arc<Gateway>, worker: usize) -> Self {
        let layers = ServiceBuilder::new()
            .layer(LoadShedLayer::new())
            .layer(GlobalConcurrencyLimitLayer::new(bounds::REQUESTS_AWAITED_MAX));
        Self { service: layers.service(GatewayService { gateway: Arc::clone(&gateway), worker }), gateway }
    }

    /// The gateway within, for what is no request.
    pub const fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// Responds to one request, always.
    pub async fn answer(self, peer: Arc<Peer>, request: Request<Incoming>) -> Response<GatewayBody> {
        let direction = peer.direction();
        match self.service.oneshot((peer, request)).await {
            Ok(response) => response,
            Err(error) => overloaded(direction, &error),
        }
    }
}

fn overloaded(direction: Direction, error: &BoxError) -> Response<GatewayBody> {
    let detail =
        if error.is::<HandlerPanicked>() { "a request ended in a panic" } else { "too many requests are waiting" };
    tracing::error!(detail, "a request was refused without a decision");
    let denial = Denial::new(Reason::Overloaded, detail).retry_after(bounds::OVERLOAD_RETRY);
    refuse(&denial, direction, Challenge::Plain, RequestIds::next())
}

/// The gateway as a tower service.
#[derive(Debug, Clone)]
struct GatewayService {
    gateway: Arc<Gateway>,
    worker: usize,
}

/// The gateway panicked in this request.
#[derive(Debug, thiserror::Error)]
#[error("the request panicked")]
struct HandlerPanicked;

impl Service<PeerRequest> for GatewayService {
    type Response = Response<GatewayBody>;
    type Error = HandlerPanicked;
    type Future = CatchPanic<Pin<Box<dyn Future<Output = Response<GatewayBody>> + Send>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), HandlerPanicked>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (peer, request): PeerRequest) -> Self::Future {
        let (gateway, worker) = (Arc::clone(&self.gateway), self.worker);
        CatchPanic(Box::pin(async move { gateway.handle(worker, &peer, request).await }))
    }
}

/// Turns a panic of the inner future into an error.
struct CatchPanic<F>(F);

impl<F: Future + Unpin> Future for CatchPanic<F> {
    type Output = Result<F::Output, HandlerPanicked>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // After a panic the future is dropped and never polled again, so no broken state is seen.
        match catch_unwind(AssertUnwindSafe(|| Pin::new(&mut self.0).poll(cx))) {
            Ok(poll) => poll.map(Ok),
            Err(_) => Poll::Ready(Err(HandlerPanicked)),
        }
    }
}
