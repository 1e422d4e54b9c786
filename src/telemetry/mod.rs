//! What people see of a running gateway: metrics and logs.
//!
//! Nothing here decides about a request. No metric or log line may hold a secret or a raw personal value, and no label
//! a text that a stranger chose.

mod cells;
mod conduct_metrics;
mod config_metrics;
mod credential_metrics;
mod event_log;
mod exchange_line;
mod exposition;
mod failures;
mod families;
mod fleet_metrics;
mod gauge_by_label;
mod labels;
mod load_metrics;
pub mod log;
mod log_writer;
mod metrics;
mod process;
#[cfg(test)]
mod reference_parsers;
mod route_metrics;
mod shard;
mod upstream_metrics;
mod vendor_metrics;

pub use exchange_line::{EarlyEnd, ExchangeLine};
#[cfg(feature = "internals")]
pub use exposition::ExpositionFormat;
pub use exposition::negotiate;
pub use failures::{FailedRequest, RecentFailures};
pub use fleet_metrics::FleetSample;
pub use labels::{CacheResult, LimitLabel, StoreLabel};
pub use load_metrics::{ConnectionCounts, ListenerGroup, LogLabel};
pub use log::ExchangeLog;
pub use metrics::Metrics;
pub use route_metrics::RouteMetrics;
pub use shard::claim_worker;
pub use upstream_metrics::UpstreamSample;
pub use vendor_metrics::{TrafficMetrics, UNMATCHED_ROUTE, VendorMetrics};
