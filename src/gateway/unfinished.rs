//! What the exchange line says beside figures: how an answer that did not end with its last byte is told, here and by
//! `vendorgate why`.

use std::borrow::Cow;
use std::time::Duration;

use super::body_pipeline::HttpMessage;
use super::body_stream::BodyEnd;
use crate::telemetry::EarlyEnd;

/// Who ended it; `stopping` once the drain's deadline has passed.
pub(super) const fn ended(ending: &BodyEnd, stopping: bool) -> EarlyEnd {
    match ending {
        BodyEnd::ReaderGone if stopping => EarlyEnd::GatewayStopped,
        BodyEnd::ReaderGone => EarlyEnd::CallerLeft,
        BodyEnd::Severed(_) | BodyEnd::Stopped(_) | BodyEnd::SenderGone | BodyEnd::Stalled | BodyEnd::Slow => {
            EarlyEnd::BrokenOff
        }
    }
}

/// What happened, where `status` had been sent or, with 0, nothing yet.
pub(super) fn cause(ending: &BodyEnd, ended: EarlyEnd, status: u16) -> Cow<'static, str> {
    match (ended, status) {
        (EarlyEnd::BrokenOff, _) => ending.denial(HttpMessage::Response).detail,
        (EarlyEnd::GatewayStopped, _) => "the drain's deadline passed before the end of the answer".into(),
        (EarlyEnd::CallerLeft, 0) => "the caller closed the connection before it was answered".into(),
        (EarlyEnd::CallerLeft, _) => "the caller closed the connection before the end of the answer".into(),
    }
}

/// A span as lines have it.
pub(super) fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
