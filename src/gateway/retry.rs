//! Whether a request is sent once more, and to which target.
//!
//! A request whose connection could not be made has not left, so another target is tried whatever its method. A request
//! that may have arrived is sent again only where its upstream has `retry`, its method is idempotent (RFC 9110 section
//! 9.2.2) or it has an `Idempotency-Key` that the config trusts, its body is kept whole, and the budget of all requests
//! has room. Never after a byte of the response went out, past the response deadline or under a kill.

use std::time::Duration;

use ::http::header::RETRY_AFTER;
use ::http::{Method, Request};

use super::admission::Admitted;
use super::attempt::{Attempt, AttemptError, attempt};
use super::replay::Replay;
use crate::bounds::RETRY_PAUSE_MAX;
use crate::http::GatewayBody;
use crate::model::Moment;
use crate::upstream::{ConnectError, RetrySettings, SendError, TriedTargets, UpstreamGroup};

/// Sends a request, and sends it again as often as that is right.
pub(super) async fn send(worker: usize, admitted: &Admitted, request: Request<GatewayBody>) -> Attempt {
    let upstream = &admitted.route().upstream;
    let retry = upstream.retry().filter(|retry| is_repeatable(&request, retry));
    if (retry.is_none() && upstream.target_count() == 1) || admitted.is_websocket() {
        return attempt(worker, admitted, request, TriedTargets::default(), None).await;
    }
    let began = admitted.record().gateway.clock.now();
    // Boxed, so that its state is not part of the future of a request that is sent once.
    Box::pin(RetriedRequest { admitted, upstream, retry, began }.run(worker, request)).await
}

/// Whether a request may be sent twice.
fn is_repeatable(request: &Request<GatewayBody>, retry: &RetrySettings) -> bool {
    let is_idempotent = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE
    );
    is_idempotent || (retry.idempotency_key && request.headers().contains_key("idempotency-key"))
}

/// A request that may be sent again.
struct RetriedRequest<'a> {
    admitted: &'a Admitted,
    upstream: &'a UpstreamGroup,
    /// `None` for a request that must not arrive twice.
    retry: Option<&'a RetrySettings>,
    began: Moment,
}

impl RetriedRequest<'_> {
    async fn run(self, worker: usize, request: Request<GatewayBody>) -> Attempt {
        let (replay, first) = Replay::arm(request);
        let (mut request, mut replay) = (first, Some(replay));
        let mut retries_left = self.retry.map_or(0, |retry| retry.attempts);
        // Each target once, whatever becomes of the health of the others meanwhile.
        let mut targets_left = self.upstream.target_count() - 1;
        let (mut tried, mut was_sent) = (TriedTargets::default(), false);
        loop {
            let limit = self.attempt_limit(tried, retries_left);
            let mut ended = attempt(worker, self.admitted, request, tried, limit).await;
            was_sent |= ended.was_sent;
            ended.was_sent = was_sent;
            tried = ended.tried;
            let Some(again) = self.may_send_again(&ended, targets_left, retries_left) else { return ended };
            let next = replay.as_ref().and_then(Replay::again);
            let Some(next) = next.filter(|_| again == SendAgain::ElsewhereFirst || self.upstream.take_retry()) else {
                return ended;
            };
            match again {
                SendAgain::ElsewhereFirst => targets_left -= 1,
                SendAgain::Retry => {
                    retries_left -= 1;
                    self.pause(tried).await;
                }
            }
            if retries_left + targets_left as u32 == 0 {
                // The last attempt needs nothing kept.
                replay = None;
            }
            // The same registration is asked again: a kill that came meanwhile covers the request.
            if let Some(reason) = self.admitted.cut_reason() {
                ended.outcome = Err(AttemptError::Severed(reason));
                return ended;
            }
            request = next;
        }
    }

    /// The time for an attempt from the end of the request on, where it is less than the upstream's own deadline.
    fn attempt_limit(&self, tried: TriedTargets, retries_left: u32) -> Option<Duration> {
        let own = self.retry.and_then(|retry| retry.attempt_deadline).filter(|_| retries_left > 0);
        let rest = (!tried.is_empty()).then(|| self.time_left());
        own.into_iter().chain(rest).min()
    }

    fn time_left(&self) -> Duration {
        let spent_ns = self.now().monotonic_ns.saturating_sub(self.began.monotonic_ns);
        self.upstream.response_deadline().saturating_sub(Duration::from_nanos(spent_ns))
    }

    fn now(&self) -> Moment {
        self.admitted.record().gateway.clock.now()
    }

    fn has_untried(&self, tried: TriedTargets) -> bool {
        self.upstream.has_untried(tried, self.now())
    }

    /// Whether the request is to be sent again after this attempt, and why it may be.
    fn may_send_again(&self, ended: &Attempt, targets_left: usize, retries_left: u32) -> Option<SendAgain> {
        if self.admitted.request_end().is_some() || self.time_left().is_zero() {
            return None;
        }
        let has_not_left = ended.outcome.as_ref().is_err_and(has_not_left);
        if has_not_left && targets_left > 0 && self.has_untried(ended.tried) {
            return Some(SendAgain::ElsewhereFirst);
        }
        let retry = self.retry.filter(|_| retries_left > 0)?;
        let is_retried = match &ended.outcome {
            Ok((response, _)) => {
                let waits = response.headers().get(RETRY_AFTER).is_some_and(|wait| wait != "0");
                retry.statuses.contains(&response.status().as_u16()) && !waits
            }
            Err(AttemptError::Send(SendError::Ended(_) | SendError::Reset(_) | SendError::Deadline)) => true,
            Err(_) => has_not_left,
        };
        is_retried.then_some(SendAgain::Retry)
    }

    /// Waits for a moment where the same target is asked again, each request for another one.
    async fn pause(&self, tried: TriedTargets) {
        if !self.has_untried(tried) {
            let part = self.now().monotonic_ns % 1_000;
            let pause = RETRY_PAUSE_MAX.mul_f64(part as f64 / 1_000.0).min(self.time_left());
            let mut in_flight = self.admitted.share_in_flight();
            tokio::select! {
                biased;
                () = in_flight.severed() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }
}

/// Why a request is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SendAgain {
    /// It has not left, and there is a target that was not tried.
    ElsewhereFirst,
    /// It may arrive twice, and its upstream allows retries.
    Retry,
}

/// Whether nothing of the request was taken, while another target may take it.
const fn has_not_left(error: &AttemptError) -> bool {
    match error {
        AttemptError::Send(SendError::Connect(error)) => match error {
            ConnectError::Resolve(_) | ConnectError::Http2 | ConnectError::Connect(_) | ConnectError::Deadline => true,
            ConnectError::ServerName | ConnectError::Forbidden | ConnectError::OwnAddress | ConnectError::TlsFiles => {
                false
            }
        },
        AttemptError::Send(SendError::Unprocessed(_)) => true,
        AttemptError::Send(
            SendError::Full
            | SendError::Ended(_)
            | SendError::Reset(_)
            | SendError::Unreadable
            | SendError::Flawed(_)
            | SendError::Deadline,
        )
        | AttemptError::Circuit(_)
        | AttemptError::Severed(_) => false,
    }
}
