//! How much passed: counts requests, records and bytes, and says when a budget is spent.
//!
//! Time is an argument. Never trusts a count that the traffic itself announces.

mod bytes;
mod calendar;
mod clients;
mod concurrency;
mod fields;
mod gauge;
mod gcra;
mod keep;
#[cfg(test)]
mod laws;
mod ledger;
mod overrun;
mod rate;
mod records;
mod settings;
mod subjects;
mod window;

pub use bytes::ByteMeter;
pub use calendar::{AfterEnd, Calendar, ContractState};
pub use concurrency::{Slot, Slots};
pub use fields::{rate_limit, rate_limit_policy};
pub use keep::{LedgerSnapshot, RouteSnapshot};
pub use ledger::{InFlight, Ledger, Remaining};
pub use overrun::{Measure, Overrun};
pub use rate::{Decision, RateGate, RateSnapshot, Scope, Standing};
pub use records::{OnSubject, RecordMeter};
pub use settings::{Budget, Limits, Over, Rate, RouteLimits};
pub use subjects::{Subjects, SubjectsSnapshot};
pub use window::{Charge, Spent, Usage, Window, WindowSnapshot};

/// A span in nanoseconds; one too long to count, 584 years, is held at that.
fn nanos(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
