//! What the exchange line says beside figures: how an answer that did not end with its last byte is told, here and by
//! `vendorgate why`.

use std::borrow::Cow;
use std::time::Duration;

use super::account::Message;
use super::bodies::Ending;
use crate::telemetry::Ended;

/// Who ended it; `stopping` once the drain's deadline has passed.
pub(super) const fn ended(ending: &Ending, stopping: bool) -> Ended {
    match ending {
        Ending::Dropped if stopping => Ended::GatewayStopped,
        Ending::Dropped => Ended::CallerLeft,
        Ending::Severed(_) | Ending::Halted(_) | Ending::Aborted | Ending::Stalled | Ending::Slow => Ended::BrokenOff,
    }
}

/// What happened, where `status` had been sent or, with 0, nothing yet.
pub(super) fn cause(ending: &Ending, ended: Ended, status: u16) -> Cow<'static, str> {
    match (ended, status) {
        (Ended::BrokenOff, _) => ending.denial(Message::Answer).detail,
        (Ended::GatewayStopped, _) => "the drain's deadline passed before the end of the answer".into(),
        (Ended::CallerLeft, 0) => "the caller closed the connection before it was answered".into(),
        (Ended::CallerLeft, _) => "the caller closed the connection before the end of the answer".into(),
    }
}

/// A span as lines have it.
pub(super) fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
