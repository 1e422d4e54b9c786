//! Connections to the APIs that the gateway calls: the company's own, and those of vendors.
//!
//! Each vendor has its own pool of connections to each upstream, so that a slow upstream of one vendor never holds up
//! another vendor. Never sends a request twice that may have arrived, and never connects to an address that was not
//! checked.

mod body;
mod connect;
mod guarded_stream;
mod http1;
mod http2;
mod http2_exchange;
mod own_addresses;
mod pool;
mod settings;
mod shard;
mod sockets;

pub use body::UpstreamBody;
pub use connect::{ConnectError, UpstreamConnector};
pub use own_addresses::OwnAddresses;
pub use pool::{SendError, UpstreamLease, UpstreamPool, UpstreamRequest};
pub use settings::{AllowedNetworks, BodyLimits, HttpProtocol, MinRate, UpstreamSettings};
pub use sockets::SocketBudget;
