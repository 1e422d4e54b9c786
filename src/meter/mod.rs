//! How much passed: counts requests, records and bytes, and says when a budget is spent.
//!
//! Time is an argument. Never trusts a count that the traffic itself announces.

mod clients;
mod concurrency;
mod gcra;
#[cfg(test)]
mod laws;
mod rate;
mod settings;
mod window;

pub use concurrency::{Slot, Slots};
pub use rate::{Decision, RateGate, RateSnapshot, Scope, Standing};
pub use settings::{Budget, Limits, Over, Rate, RouteLimits};
pub use window::{Charge, Spent, Usage, Window, WindowSnapshot};

/// A span in nanoseconds; one too long to count, 584 years, is held at that.
fn nanos(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
