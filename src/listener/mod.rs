//! The sockets of the gateway, one for each worker and listener: TLS under a deadline, then HTTP/1.1 or HTTP/2.
//!
//! Decides nothing about a request. A slow peer never costs another peer more than the slot that it holds itself.

mod accept;
mod closing;
mod guarded_stream;
mod passed_sockets;
mod redirect;
mod serve;
mod timeouts;
mod tls;
mod tunnel;
mod unix_socket;
mod worker;

pub use accept::{BoundSocket, bind};
pub use passed_sockets::{PassedSockets, share_tcp, share_unix};
pub use timeouts::ConnectionTimeouts;
pub use tls::{TlsError, server_config};
pub use unix_socket::bind_unix;
pub use worker::{ListenerState, Worker, WorkerPulse, spawn};
