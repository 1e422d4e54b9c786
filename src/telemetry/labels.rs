//! Label values from closed lists of our own.
//!
//! Dashboards and alerts use these words, so none is ever renamed.

use crate::model::words;

words! {
    /// A limit of a contract, as the label of `vendorgate_limit_remaining_ratio`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum LimitLabel {
        /// Requests per time.
        Requests = "requests",
        /// Requests in flight.
        Concurrency = "concurrency",
        /// Records per window.
        Records = "records",
        /// Bytes per window.
        Bytes = "bytes",
        /// Different subjects per window, where the contract limits them.
        Subjects = "subjects",
    }
}

/// How a look-up in the verified-token cache ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheResult {
    /// The token was known.
    Hit,
    /// Its signature had to be checked.
    Miss,
}

/// A place of durable or shared state, as the label of `vendorgate_state_errors_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreLabel {
    /// The tables on this machine's disk.
    Embedded,
    /// The audit trail.
    Audit,
}

impl StoreLabel {
    pub(super) const ALL: [(Self, &str); 2] = [(Self::Embedded, "embedded"), (Self::Audit, "audit")];
}
