//! One attempt to have a request answered: a target is chosen, the request is sent, and the outcome is told.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use ::http::{Request, Response};

use super::admission::Admitted;
use super::request_outcome::RequestBodyOutcome;
use crate::http::GatewayBody;
use crate::model::{Denial, Reason, with_causes};
use crate::upstream::{
    AttemptOutcome, ChosenTarget, CircuitOpen, ConnectError, SendError, TargetLease, TriedTargets, UpstreamBody,
    UpstreamRequest,
};

/// The answer to an attempt, or why there is none.
pub(super) struct Attempt {
    pub(super) outcome: Result<(Response<UpstreamBody>, TargetLease), AttemptError>,
    /// The targets that were tried so far.
    pub(super) tried: TriedTargets,
    /// Whether the request, or a part of it, may have reached the upstream.
    pub(super) was_sent: bool,
}

/// Why an attempt has no answer.
#[derive(Debug)]
pub(super) enum AttemptError {
    /// The circuit breaker let nothing through.
    Circuit(CircuitOpen),
    /// The upstream did not answer.
    Send(SendError),
    /// A kill, or a lost authority, has severed the request.
    Severed(Reason),
}

/// Sends the request once, and waits for the head of the response or the kill switch. `limit` is the time for the head
/// since the end of the request, where it is less than the upstream's own deadline.
pub(super) async fn attempt(
    worker: usize,
    admitted: &Admitted,
    request: Request<GatewayBody>,
    tried: TriedTargets,
    limit: Option<Duration>,
) -> Attempt {
    let (record, upstream) = (admitted.record(), &admitted.route().upstream);
    let now = record.gateway.clock.now();
    let target: ChosenTarget<'_> = match upstream.choose(tried, now) {
        Ok(target) => target,
        Err(open) => return Attempt { outcome: Err(AttemptError::Circuit(open)), tried, was_sent: false },
    };
    let tried = tried.with(&target);
    let mut in_flight = admitted.share_in_flight();
    let body = record.request_body().cloned();
    let sending = body.as_ref().map(|_| in_flight.share());
    let sent = poll_fn(|cx| body.as_ref().map_or(Poll::Ready(()), |body| body.poll_done(cx)));
    let request = UpstreamRequest { request, sent, sending };
    let exchange = async {
        let place = upstream.enter(&target).await.map_err(AttemptError::Send)?;
        // The kill that has severed another request may have freed its place for this one, and severs this one next.
        if let Some(reason) = admitted.cut_reason().filter(|_| place.is_some()) {
            return Err(AttemptError::Severed(reason));
        }
        let sent = upstream.send(worker, admitted.permit(), request, (&target, place), now).await;
        sent.map_err(AttemptError::Send)
    };
    let outcome = tokio::select! {
        biased;
        // Asked first, each time that the sending goes on: what it has waited for may have come with the kill.
        () = in_flight.severed() => Err(AttemptError::Severed(in_flight.sever_reason())),
        outcome = exchange => outcome,
        () = passed(limit, body.as_deref()), if limit.is_some() => Err(AttemptError::Send(SendError::Deadline)),
    };
    // A request that its own caller has broken off says nothing about the upstream.
    if admitted.request_end().is_none()
        && let Some(told) = told_of(&outcome)
    {
        target.report(told, record.gateway.clock.now());
    }
    let was_sent = outcome.as_ref().err().is_none_or(AttemptError::may_have_arrived);
    Attempt { outcome, tried, was_sent }
}

/// Waits for the end of the request and then for this time.
async fn passed(limit: Option<Duration>, body: Option<&RequestBodyOutcome>) {
    poll_fn(|cx| body.map_or(Poll::Ready(()), |body| body.poll_done(cx))).await;
    tokio::time::sleep(limit.unwrap_or_default()).await;
}

/// What an outcome says about the target; `None` for nothing.
fn told_of(outcome: &Result<(Response<UpstreamBody>, TargetLease), AttemptError>) -> Option<AttemptOutcome> {
    match outcome {
        Ok((response, _)) if response.status().is_server_error() => Some(AttemptOutcome::Failed),
        Ok(_) => Some(AttemptOutcome::Answered),
        Err(AttemptError::Send(SendError::Full) | AttemptError::Circuit(_) | AttemptError::Severed(_)) => None,
        Err(AttemptError::Send(
            SendError::Connect(_)
            | SendError::Ended(_)
            | SendError::Reset(_)
            | SendError::Unprocessed(_)
            | SendError::Unreadable
            | SendError::Flawed(_)
            | SendError::Deadline,
        )) => Some(AttemptOutcome::Failed),
    }
}

impl AttemptError {
    /// Whether the request, or a part of it, may have reached the upstream.
    const fn may_have_arrived(&self) -> bool {
        match self {
            Self::Circuit(_) | Self::Send(SendError::Connect(_) | SendError::Full) => false,
            Self::Severed(_)
            | Self::Send(
                SendError::Ended(_)
                | SendError::Reset(_)
                | SendError::Unprocessed(_)
                | SendError::Unreadable
                | SendError::Flawed(_)
                | SendError::Deadline,
            ) => true,
        }
    }

    /// The denial that the caller gets.
    pub(super) fn denial(&self) -> Denial {
        match self {
            Self::Circuit(open) => circuit_denial(open),
            Self::Send(error) => send_denial(error),
            Self::Severed(reason) => Denial::new(*reason, "severed while the upstream was awaited"),
        }
    }
}

fn circuit_denial(open: &CircuitOpen) -> Denial {
    let denial = Denial::new(Reason::UpstreamCircuitOpen, "the circuit breaker is open: most requests have failed");
    denial.retry_after(open.retry_after)
}

pub(super) fn send_denial(error: &SendError) -> Denial {
    let reason = match error {
        SendError::Connect(ConnectError::Deadline) | SendError::Deadline => Reason::UpstreamTimeout,
        SendError::Connect(ConnectError::Forbidden) => Reason::DestinationUnknown,
        SendError::Connect(ConnectError::OwnAddress) => Reason::LoopDetected,
        SendError::Connect(
            ConnectError::ServerName
            | ConnectError::TlsFiles
            | ConnectError::Resolve(_)
            | ConnectError::Http2
            | ConnectError::Connect(_),
        )
        | SendError::Ended(_)
        | SendError::Reset(_)
        | SendError::Unprocessed(_) => Reason::UpstreamRefused,
        SendError::Full => Reason::Overloaded,
        SendError::Unreadable | SendError::Flawed(_) => Reason::UpstreamUnreadable,
    };
    Denial::new(reason, with_causes(error))
}
