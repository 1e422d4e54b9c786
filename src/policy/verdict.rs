//! What a policy answers.

use crate::meter;
use crate::model::Denial;

/// The answer of one policy to one request.
#[derive(Debug)]
#[must_use]
pub enum PolicyVerdict {
    /// The request may pass, as far as this policy is concerned.
    Allow,
    /// The request may pass while this permit is held: until the last byte of its response.
    Hold(meter::MeterPermit),
    /// The request is denied.
    Deny(Denial),
    /// The request is denied because it exceeds a limit.
    OverLimit(Box<meter::LimitExceeded>),
}
