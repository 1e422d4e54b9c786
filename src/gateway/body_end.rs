//! Why a body ended before its last byte, and the denial, the error and the words that follow from it.

use std::borrow::Cow;

use crate::http::BodyError;
use crate::meter::Overrun;
use crate::model::{Denial, Reason};
use crate::pii::RewriteError;
use crate::telemetry::EarlyEnd;

/// One of the two messages of an exchange. The sender of a message is at fault for what is wrong with its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HttpMessage {
    /// Sent by the caller.
    Request,
    /// Sent by the upstream.
    Response,
}

/// Why a body ended before its last byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BodyEnd {
    /// A kill covers the request, or the request has lost its authority: the reason that a new request would get.
    Severed(Reason),
    /// The pipeline lets no more of the body pass.
    Stopped(AbortReason),
    /// The sender closed the connection or the stream.
    SenderGone,
    /// The sender sent nothing for too long.
    Stalled,
    /// The sender sent less than its minimum rate.
    Slow,
    /// The reader of the body has gone.
    ReaderGone,
}

/// Why the pipeline lets no more of a body pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AbortReason {
    /// A budget of the vendor or of the route is spent.
    BudgetSpent(Overrun),
    /// The body cannot be read, or a value in it cannot be treated.
    Untreatable(RewriteError),
}

impl BodyEnd {
    /// The denial that goes to the log, to the audit and, while the head has not been sent, to the caller.
    pub(super) fn denial(&self, message: HttpMessage) -> Denial {
        let (reason, detail) = match (self, message) {
            (Self::Stopped(stopped), _) => return stopped.denial(message),
            (Self::Severed(reason), _) => (*reason, "severed in flight"),
            (Self::SenderGone | Self::ReaderGone, HttpMessage::Request) => {
                (Reason::BodyMalformed, "the request's body broke off")
            }
            (Self::SenderGone | Self::ReaderGone, HttpMessage::Response) => {
                (Reason::UpstreamRefused, "the answer's body broke off")
            }
            (Self::Stalled, HttpMessage::Request) => (Reason::BodyTimeout, "the request's body stopped"),
            (Self::Stalled, HttpMessage::Response) => (Reason::UpstreamTimeout, "the answer's body stopped"),
            (Self::Slow, HttpMessage::Request) => {
                (Reason::BodyTimeout, "the request's body came more slowly than the minimum rate")
            }
            (Self::Slow, HttpMessage::Response) => {
                (Reason::UpstreamTimeout, "the answer's body came more slowly than the minimum rate")
            }
        };
        Denial::new(reason, detail)
    }

    /// The denial of a body of which the pipeline lets no more pass; `None` for every other end.
    pub(super) fn stopped(&self, message: HttpMessage) -> Option<Denial> {
        match self {
            Self::Stopped(stopped) => Some(stopped.denial(message)),
            Self::Severed(_) | Self::SenderGone | Self::Stalled | Self::Slow | Self::ReaderGone => None,
        }
    }

    /// The error that the body's reader gets.
    pub(super) const fn error(&self) -> BodyError {
        match self {
            Self::Severed(_) => BodyError::Severed,
            Self::Stopped(AbortReason::BudgetSpent(_)) => BodyError::BudgetSpent,
            Self::Stopped(AbortReason::Untreatable(_)) => BodyError::Unreadable,
            Self::SenderGone | Self::ReaderGone => BodyError::Aborted,
            Self::Stalled | Self::Slow => BodyError::Stalled,
        }
    }

    /// Which side ended a response early; `stopping` once the drain's deadline has passed.
    pub(super) const fn ended_by(&self, stopping: bool) -> EarlyEnd {
        match self {
            Self::ReaderGone if stopping => EarlyEnd::GatewayStopped,
            Self::ReaderGone => EarlyEnd::CallerLeft,
            Self::Severed(_) | Self::Stopped(_) | Self::SenderGone | Self::Stalled | Self::Slow => EarlyEnd::BrokenOff,
        }
    }

    /// What happened to a response that ended early, for the exchange line and `vendorgate why`. `status` is the status
    /// that was sent, or 0 when none was.
    pub(super) fn cause(&self, ended: EarlyEnd, status: u16) -> Cow<'static, str> {
        match (ended, status) {
            (EarlyEnd::BrokenOff, _) => self.denial(HttpMessage::Response).detail,
            (EarlyEnd::GatewayStopped, _) => "the drain's deadline passed before the end of the answer".into(),
            (EarlyEnd::CallerLeft, 0) => "the caller closed the connection before it was answered".into(),
            (EarlyEnd::CallerLeft, _) => "the caller closed the connection before the end of the answer".into(),
        }
    }
}

impl AbortReason {
    /// As [`BodyEnd::denial`].
    pub(super) fn denial(&self, message: HttpMessage) -> Denial {
        match self {
            Self::BudgetSpent(overrun) => overrun.denial(),
            Self::Untreatable(error) => Denial::new(reason(error, message), error.to_string()),
        }
    }
}

/// The reason names what is wrong with a request. Whatever is wrong with a response is the upstream's fault.
const fn reason(error: &RewriteError, message: HttpMessage) -> Reason {
    match (message, error) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sender_of_a_body_is_at_fault_for_what_is_wrong_with_it() {
        for (error, of_request) in [
            (RewriteError::Malformed { what: "", at: 0 }, Reason::BodyMalformed),
            (RewriteError::Untreatable { what: "" }, Reason::BodyMalformed),
            (RewriteError::Bound { bound: "", limit: 0 }, Reason::BodyTooLarge),
            (RewriteError::Opaque { what: "" }, Reason::BodyOpaque),
            (RewriteError::MissingColumn { name: "".into() }, Reason::BodyOpaque),
            (RewriteError::GraphqlQuery { what: "", at: 0 }, Reason::QueryForbidden),
            (RewriteError::RecordBudgetSpent, Reason::BodyMalformed),
        ] {
            let stopped = AbortReason::Untreatable(error);
            assert_eq!(stopped.denial(HttpMessage::Request).reason, of_request, "{stopped:?}");
            assert_eq!(stopped.denial(HttpMessage::Response).reason, Reason::UpstreamUnreadable, "{stopped:?}");
        }
    }
}
