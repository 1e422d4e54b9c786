//! Sockets: one per worker and listener, TLS under a deadline, HTTP/1.1 and HTTP/2 into the gateway.
//!
//! Decides nothing about a request. Never lets one peer's slowness cost another more than its own slot.

mod accept;
mod guard;
mod patience;
mod serve;
mod tls;
mod worker;

pub use accept::{Bound, bind};
pub use patience::Patience;
pub use tls::{TlsError, server_config};
pub use worker::{Front, Worker, spawn};
