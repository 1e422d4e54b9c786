//! Connections to internal APIs and to vendors' APIs.
//!
//! Each vendor has its own pool to each upstream, so that one vendor's slow upstream never starves another. Never
//! sends a request twice that could have arrived once, and never dials an address that was not checked.

mod connect;
mod guarded_stream;
mod pool;
mod settings;
mod sockets;

pub use connect::{ConnectError, UpstreamConnector, UpstreamStream};
pub use pool::{SendError, UpstreamLease, UpstreamPool, UpstreamRequest};
pub use settings::{AllowedNetworks, BodyLimits, MinRate, UpstreamSettings};
pub use sockets::SocketBudget;
