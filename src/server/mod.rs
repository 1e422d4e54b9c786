//! A running gateway: start, reload, drain.
//!
//! The control plane (admin listener, refreshers, signals) lives on the thread that starts it; traffic lives on the
//! workers. Starts whole or not at all, and never serves before it knows what is killed.

mod approvers;
mod budgets;
mod chores;
mod control;
mod deliver;
mod descriptors;
mod durable;
mod evidence;
mod exposed;
mod kills;
mod left;
mod matched;
mod notes;
mod office;
mod recollect;
mod records;
mod reload;
mod remembered;
mod revealed;
mod revoked;
mod scheduled;
mod seen;
mod start;
mod times;
mod words;

pub use deliver::HookError;
pub use evidence::{EvidenceError, audit_key};
pub use left::{LeftOrder, leave_order};
pub use notes::{KeyNote, leave_note};
pub use remembered::Remembered;
pub use start::{Addresses, Options, Server, StartError};
