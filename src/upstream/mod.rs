//! Connections to the APIs that the gateway calls: the company's own, and those of vendors.
//!
//! Each vendor has its own pool of connections to each upstream, so that a slow upstream of one vendor never holds up
//! another vendor. Never sends a request twice that may have arrived, and never connects to an address that was not
//! checked.

mod connect;
mod guarded_stream;
mod own_addresses;
mod pool;
mod settings;
mod sockets;

pub use connect::{ConnectError, UpstreamConnector};
pub use own_addresses::OwnAddresses;
pub use pool::{SendError, UpstreamLease, UpstreamPool, UpstreamRequest};
pub use settings::{AllowedNetworks, BodyLimits, MinRate, UpstreamSettings};
pub use sockets::SocketBudget;
