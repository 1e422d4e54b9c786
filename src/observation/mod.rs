//! What was seen of each vendor's calls, by pattern: the material of `vendorgate contract suggest`.
//!
//! Filled by contracts that observe, and by refused calls of the others. Holds names, kinds and counts, and never a
//! value: a part of a path that looks like data is a capture, a name that looks like data is left out, and of a body
//! only the paths of its fields are kept, with the kinds that detectors found there. Every list has a bound.

mod contract_text;
mod fields;
mod maps;
mod pattern;
mod rates;
mod seen;
mod yaml;

pub use contract_text::ContractText;
pub use fields::SeenFields;
pub use seen::{CallOutcome, Observations, SeenCall, SeenRoute, VendorSeen, VendorSeenRow};
pub use yaml::suggest;
