//! A running gateway: start, reload, drain.
//!
//! The control plane (admin listener, refreshers, signals) lives on the thread that starts it; traffic lives on the
//! workers. Starts whole or not at all, and never serves before it knows what is killed.

mod admin_listeners;
mod anomalies;
mod approvers;
mod audit_trail;
mod bound_listeners;
mod budgets;
mod carry_over;
mod certificate_ends;
mod clocks;
mod config_watch;
mod control;
mod credential_store;
mod descriptors;
mod egress_authority;
mod exposure_store;
mod fleet;
mod health_checks;
mod identity_store;
mod maintenance;
mod observation_store;
mod offline_kills;
mod pending_audit;
mod persistent_state;
mod reconcile;
mod start;
mod stored_state;
mod vendor_rows;
mod webhook_sender;

pub use audit_trail::audit_key;
pub use offline_kills::{OfflineKill, leave_offline_kill};
pub use pending_audit::{PendingAuditRecord, leave_audit_record};
pub use start::{ListenAddresses, Server, ServerOptions, ServerPulse, StartError};
pub use stored_state::StoredState;
