//! What people see: metrics, logs, the audit trail.
//!
//! Nothing here decides about a request, and nothing here may hold a secret, a raw personal value or a text that a
//! stranger chose as a label.

pub mod audit;
mod cells;
mod event_log;
mod exchange_line;
mod exposition;
mod failures;
mod families;
mod handles;
#[cfg(test)]
mod judges;
mod labels;
pub mod log;
mod metrics;
mod pressure;
mod process;
mod route_metrics;
mod shard;

pub use exchange_line::{Ended, ExchangeLine};
pub use exposition::{Exposition, negotiate};
pub use failures::{FailedRequest, Failures};
pub use families::{FAMILIES, Family, FamilyKind};
pub use handles::{TrafficMetrics, UNMATCHED, VendorMetrics};
pub use labels::{CacheResult, Limit, Store, Treated};
pub use log::ExchangeLog;
pub use metrics::{Metrics, UNKNOWN_VENDOR};
pub use pressure::{Crowd, Listeners, Log};
pub use route_metrics::RouteMetrics;
pub use shard::{WorkerClaim, claim_worker};
