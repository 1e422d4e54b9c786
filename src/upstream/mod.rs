//! Connections to internal APIs and to vendors' APIs.
//!
//! Each vendor has its own pool to each upstream, so that one vendor's slow upstream never starves another. Never
//! sends a request twice that could have arrived once, and never dials an address that was not checked.

mod connect;
mod pool;
mod settings;
mod sockets;
mod wire;

pub use connect::{Connection, Connector, ConnectorError};
pub use pool::{Lease, Outgoing, SendError, Upstream};
pub use settings::{BaseUrl, BaseUrlError, BodyPatience, Networks, Pace, Scheme, Settings};
pub use sockets::Sockets;
