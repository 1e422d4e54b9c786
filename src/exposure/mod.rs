//! What left, to whom, and how treated.
//!
//! Bodies count into the [`CallerCounters`] of their route and caller; a roll every few seconds folds the counts into
//! buckets of an hour for the store; a [`ExposureReport`] reads them back. Never holds a value, a subject or a
//! subject's hash.

mod bucket;
mod caller_report;
mod callers;
mod categories;
mod clear;
mod counters;
mod distinct;
#[cfg(test)]
mod golden;
mod render;
mod report;

pub use bucket::{ExposureBucket, SubjectSketch, fold_day};
pub use caller_report::CallerExposure;
pub use callers::{CallerCount, LeftByCaller};
pub use categories::CategoryReport;
pub use clear::{ClearCount, InClear};
pub use counters::{CallerCounters, ExposureCounters, ExposureProfile, RouteCounters};
pub use distinct::{DistinctSketch, STANDARD_ERROR};
pub use render::ExposureGrouping;
pub use report::{Approximate, CategoryExposure, ExposureReport, FieldExposure, RouteExposure};
