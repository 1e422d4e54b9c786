//! The admin listener: probes, metrics, and the calls of operators.
//!
//! One table of calls drives dispatch, roles and the API's description; what the calls do is behind [`Control`]. Every
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
mod spare;
mod table;
#[cfg(test)]
mod tests;

pub use answers::{
    Approval, Approvals, DrillReport, Fleet, KillAllReport, KillPreview, KillReport, LastDenial, Part, ReloadReport,
    RestoreReport, Standing, Time, Traffic, Unseen, VendorList, VendorState, VendorStatus,
};
pub use api::Api;
pub use control::{Actor, Answer, AuditFrom, Control, ControlError, Peer, Refused};
pub use fit::{UnexpectedShape, UnmatchedRule};
pub use guard::Hosts;
pub use issuer::{FileFault, IssuerStatus};
pub use limit::VendorLimit;
pub use operators::{Operators, mint};
pub use orders::{DrillOrder, Nothing, Order, OrderError, parse_since, parse_time};
pub use problem::Problem;
pub use readiness::{Check, Readiness};
pub use records::{
    Approximate, AuditEntry, AuditPage, ClearExposure, ExposureReport, FieldExposure, PathExposure, RouteExposure,
};
pub use reveal::{RevealOrder, RevealReport};
pub use revoked::{LiftReport, Revocation, RevocationList, RevokeOrder, RevokeReport, StandingRevocation, Taken};
pub use scheduled::{ScheduledKill, ScheduledKills, UnscheduleOrder};
pub use serve::{serve, serve_connection, serve_tls, serve_unix};
