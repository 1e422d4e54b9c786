//! The admin listener: probes, metrics, and the calls of operators.
//!
//! One table of calls drives dispatch, roles and the API's description; what the calls do is behind [`AdminControl`]. Every
//! call outside the probes and metrics proves who makes it, every refusal is audited, and nothing that a web page of
//! another site can send is followed. Never serves a vendor, and never answers on a data port.

mod answers;
mod api;
mod control;
#[cfg(test)]
pub(crate) mod fake;
mod fit;
mod guard;
mod issuer;
mod limit;
mod openapi;
mod operators;
mod orders;
mod problem;
mod query;
mod readiness;
mod records;
mod reply;
mod reveal;
mod revoked;
mod scheduled;
mod serve;
mod spare_descriptors;
mod table;
#[cfg(test)]
mod tests;

pub use answers::{
    ApprovalAnswer, ApprovalsAnswer, DrillReport, FleetAnswer, KillAllReport, KillPreview, KillReport, KillStatus,
    LastDenial, PartAnswer, ReloadReport, RestoreReport, Rfc3339Time, Traffic, Unseen, VendorList, VendorState,
    VendorStatus,
};
pub use api::AdminApi;
#[cfg(test)]
pub use control::AdminPeer;
pub use control::{Actor, AdminControl, AuditQuery, ControlError, ControlFuture, RefusedCall};
pub use fit::{UnexpectedShape, UnmatchedRule};
pub use guard::AllowedHosts;
pub use issuer::{FileFault, IssuerStatus};
pub use limit::VendorLimit;
pub use operators::{OperatorDirectory, mint};
pub use orders::{DrillOrder, OperatorOrder, OrderError, parse_since, parse_time};
pub use problem::Problem;
pub use readiness::{Readiness, ReadinessCheck};
pub use records::{AuditEntry, AuditPage, ExposureAnswer};
pub use reveal::{RevealOrder, RevealReport};
pub use revoked::{ActiveRevocation, LiftReport, Revocable, RevocationList, RevokeOrder, RevokeReport, RevokedItem};
pub use scheduled::{ScheduledKill, ScheduledKills, UnscheduleOrder};
#[cfg(test)]
pub use serve::serve_connection;
pub use serve::{serve, serve_tls, serve_unix};
