//! A running gateway: start, reload, drain.
//!
//! The control plane (admin listener, refreshers, signals) lives on the thread that starts it; traffic lives on the
//! workers. Starts whole or not at all, and never serves before it knows what is killed.

mod control;
mod durable;
mod office;
mod reload;
mod start;

pub use start::{Addresses, Options, Server, StartError};
