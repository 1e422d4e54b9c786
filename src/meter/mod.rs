//! How much passed: counts requests, records and bytes, and says when a budget is spent.
//!
//! Time is an argument. Never trusts a count that the traffic itself announces.

mod settings;

pub use settings::{Budget, Limits, Over, Rate};
