//! Label values from closed lists of our own.
//!
//! Dashboards and alerts use these words, so none is ever renamed.

/// A limit of a contract, as the label of `vendorgate_limit_remaining_ratio`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitLabel {
    /// Requests per time.
    Requests,
    /// Requests in flight.
    Concurrency,
    /// Records per window.
    Records,
    /// Bytes per window.
    Bytes,
    /// Different subjects per window, where the contract limits them.
    Subjects,
}

impl LimitLabel {
    /// Every limit, in the order of its number.
    pub const ALL: [Self; 5] = [Self::Requests, Self::Concurrency, Self::Records, Self::Bytes, Self::Subjects];

    /// The word used in config and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Concurrency => "concurrency",
            Self::Records => "records",
            Self::Bytes => "bytes",
            Self::Subjects => "subjects",
        }
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
