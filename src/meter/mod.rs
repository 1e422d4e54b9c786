//! Counts requests, records, bytes and subjects, and refuses when a limit is reached.
//!
//! A vendor has one [`UsageLedger`] for each direction, in [`VendorLedgers`]. Read in this order: `ledger` (what a
//! request and a reload ask), `records` and `bytes` (what a body asks), `window` and `rate` (how a budget and a rate
//! are kept), `lease` (how the gateways of a fleet share a budget), `subjects`, `snapshot` (what survives a restart),
//! `calendar`.
//!
//! ```
//! use std::time::Duration;
//! use vendorgate::internals::meter::{Budget, Limits, OverrunAction, UsageLedger};
//! use vendorgate::internals::model::{ClientId, Clock, Secret, SubjectKey, UnixTime};
//! use vendorgate::pii::RewriteObserver;
//!
//! let clock = Clock::manual(UnixTime::from_secs(1_800_000_000));
//! let two = Budget { budget: 2.try_into()?, window: Duration::from_secs(10), over: OverrunAction::Kill };
//! let limits = Limits { records: Some(two), ..Limits::default() };
//! let ledger = UsageLedger::new(&limits, &[], SubjectKey::new(Secret::new([7; 32])));
//!
//! // A request: refused without a charge, or in flight until this is dropped with its body.
//! let in_flight = ledger.admit(0, &ClientId::new("acme-batch"), true, clock.now());
//! assert!(in_flight.is_ok());
//!
//! // Its body: each feed of the rewriter is between a begin and a settle.
//! let mut meter = ledger.record_meter(0, 0, clock.now());
//! meter.begin(clock.now());
//! assert_eq!((0..5).filter(|_| meter.on_record().is_ok()).count(), 2);
//! meter.settle();
//! assert_eq!(meter.overrun().map(|overrun| overrun.over), Some(OverrunAction::Kill));
//!
//! // The next request is refused until the window has room.
//! assert!(ledger.admit(0, &ClientId::new("acme-batch"), true, clock.now()).is_err());
//! clock.advance(Duration::from_millis(10_157));
//! assert!(ledger.admit(0, &ClientId::new("acme-batch"), true, clock.now()).is_ok());
//! # Ok::<(), std::num::TryFromIntError>(())
//! ```
//!
//! Time is an argument. A count that the traffic itself announces is never trusted.

mod aged;
mod budget_pair;
mod bytes;
mod calendar;
mod clients;
mod concurrency;
mod gcra;
mod headers;
mod lease;
mod ledger;
mod ledgers;
#[cfg(test)]
mod model_tests;
mod overrun;
mod rate;
mod records;
mod settings;
mod snapshot;
mod subjects;
mod window;

pub use bytes::ByteMeter;
pub use calendar::{AfterEnd, Calendar, ContractState};
pub use concurrency::{ConcurrencySlot, ConcurrencySlots};
pub use headers::{rate_limit, rate_limit_policy};
pub use lease::{
    FleetTime, KnownFleet, LeaseBook, LeaseCall, LeaseGrant, LeasePool, LeaseReply, LimitShare, OnLoss,
    SHARED_MILLIONTHS, ShareAsk,
};
pub use ledger::{LimitExceeded, MeterPermit, RemainingLimits, UsageLedger};
pub use ledgers::VendorLedgers;
pub use overrun::Overrun;
#[cfg(feature = "internals")]
pub use rate::RequestLimiter;
pub use rate::{RateDecision, RateStatus};
pub use records::RecordMeter;
pub use settings::{Budget, Limits, OverrunAction, RequestRate, RouteLimits, VendorLimits};
pub use snapshot::{LedgerSnapshot, RouteUsageSnapshot};
pub use subjects::SubjectsSnapshot;
pub use window::{SlidingWindow, SpentCause, WindowCharge, WindowSnapshot, WindowSpent};

/// A span in nanoseconds; one too long to count, 584 years, is held at that.
fn nanos(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
