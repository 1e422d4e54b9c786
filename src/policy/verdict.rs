//! What a rule answers.

use crate::meter;
use crate::model::Denial;

/// A rule's answer to one request.
#[derive(Debug)]
#[must_use]
pub enum PolicyVerdict {
    /// Nothing against it.
    Allow,
    /// Nothing against it, while this is held: until the body's last byte.
    Hold(meter::MeterPermit),
    /// No.
    Deny(Denial),
    /// No, for want of room; it says how the rates stand where it was them.
    OverLimit(Box<meter::LimitExceeded>),
}
