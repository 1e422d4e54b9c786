//! Sockets: one per worker and listener, TLS under a deadline, HTTP/1.1 and HTTP/2 into the gateway.
//!
//! Decides nothing about a request. Never lets one peer's slowness cost another more than its own slot.

mod accept;
mod guarded_stream;
mod serve;
mod timeouts;
mod tls;
mod worker;

pub use accept::bind;
pub use timeouts::ConnectionTimeouts;
pub use tls::{TlsError, server_config};
pub use worker::{ListenerState, Worker, spawn};
