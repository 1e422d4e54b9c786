//! Connections to the APIs that the gateway calls: the company's own, and those of vendors.
//!
//! An upstream is a group of targets ([`group`]), which share the upstream's name, path and deadlines. Each vendor has
//! its own pool of connections to each target, and its own circuit breaker and retry budget for each upstream, so that
//! one vendor's trouble never holds up another. Never connects to an address that was not checked.

mod balance;
mod body;
mod breaker;
mod bulkhead;
mod connect;
mod group;
mod group_settings;
mod guarded_stream;
mod health_check;
mod http1;
mod http2;
mod http2_exchange;
mod own_addresses;
mod pool;
mod public_address;
mod reading;
mod resolver;
mod settings;
mod shard;
mod sockets;
mod target;
mod tls;
mod tunnel;

pub use body::UpstreamBody;
pub use breaker::CircuitOpen;
pub use connect::{ConnectError, UpstreamConnector};
pub use group::{AttemptOutcome, ChosenTarget, TargetLease, TriedTargets, UpstreamGroup};
pub use group_settings::{
    BalanceMethod, BreakerSettings, BulkheadSettings, GroupSettings, HealthCheckSettings, OutlierSettings,
    RetryBudgetSettings, RetrySettings,
};
pub use health_check::HealthCheck;
pub use own_addresses::OwnAddresses;
pub use pool::{SendError, UpstreamLease, UpstreamPool, UpstreamRequest};
pub use reading::{TargetReading, UpstreamReading};
pub use settings::{AllowedNetworks, BodyLimits, HttpProtocol, MinRate, UpstreamSettings};
pub use sockets::SocketBudget;
pub use target::CheckedHealth;
pub use tls::UpstreamTlsSettings;
pub use tunnel::{TunnelConnector, UpstreamTunnel};
