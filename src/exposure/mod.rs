//! What left, to whom, and how treated.
//!
//! Bodies count into a [`Handle`]; a roll every few seconds folds the counts into buckets of an hour for the store; a
//! [`Report`] reads them back. Never holds a value, a subject or a subject's hash.

mod bucket;
mod clear;
mod distinct;
#[cfg(test)]
mod golden;
mod ledger;
mod render;
mod report;

pub use bucket::{Bucket, FieldCount, Seen, fold_day};
pub use clear::{ClearCount, InClear};
pub use distinct::{Distinct, DistinctError, STANDARD_ERROR};
pub use ledger::{Handle, Ledger, Profile};
pub use report::{Approximate, FieldLine, Report, RouteLine};
