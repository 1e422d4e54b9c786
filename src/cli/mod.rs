//! The command line: one file a verb.

pub mod audit;
pub mod client;
pub mod drill;
pub mod error;
pub mod exposure;
pub mod health;
pub mod kill;
mod layout;
pub mod restore;
pub mod revoke;
pub mod status;
#[cfg(test)]
mod tests;
mod tls;
