//! The admin listener: probes, metrics, and the calls of operators.
//!
//! Each subject (status, records, kills, revocations, restores, reveal, reload) has a file with its orders, its
//! answers, its [`Endpoint`](endpoint::Endpoint)s and the trait by which they act. Every call outside the probes and
//! metrics proves who makes it, every refusal is audited, and nothing that a web page of another site can send is
//! followed. Never serves a vendor, and never answers on a data port.

mod api;
mod body;
mod control;
mod endpoint;
#[cfg(test)]
pub(crate) mod fake;
mod fleet;
mod guard;
mod journey;
mod kills;
mod live;
mod login;
mod openapi;
mod operators;
mod orders;
mod page;
mod probes;
mod problem;
mod query;
mod readiness;
mod records;
mod reload;
mod reply;
mod restores;
mod reveal;
mod revocations;
mod serve;
#[cfg(test)]
mod session_tests;
mod sessions;
mod shadow;
mod spare_descriptors;
mod status;
mod suggestions;
#[cfg(test)]
mod tests;
mod vendor_details;

pub use api::AdminApi;
#[cfg(test)]
pub use control::AdminPeer;
pub use control::{Actor, AdminControl, ControlError, ControlResult};
pub use guard::AllowedHosts;
pub use operators::{OperatorDirectory, mint};
pub use orders::{OrderError, parse_since};
pub use problem::Problem;
pub use readiness::{Readiness, ReadinessCheck};
#[cfg(test)]
pub use serve::serve_connection;
pub use serve::{TlsListener, serve};
// Whole, so that a new call's order and answer need no line here.
pub use fleet::*;
pub use journey::*;
pub use kills::*;
pub use live::*;
pub use login::*;
pub use records::*;
pub use reload::*;
pub use restores::*;
pub use reveal::*;
pub use revocations::*;
pub use shadow::*;
pub use status::*;
pub use suggestions::*;
pub use vendor_details::*;
