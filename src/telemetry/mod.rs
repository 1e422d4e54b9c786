//! What people see: metrics, logs, the audit trail.

pub mod audit;
