//! The fleet: several gateways that share kills, what goes with them, and budgets, through a Redis or Valkey server.
//!
//! Decisions read local memory only, so no request ever waits for the engine. This room keeps the connection, tells the
//! other gateways once a second that this one is there, and brings their changes here. It decides about no request.
//!
//! [`FleetMember`] is this gateway's seat in the fleet; `engine` the connection and the scripts, `heartbeat` the report
//! of once a second, `view` what was last heard of the others, `shared` the entries that all gateways have, `sync` how
//! these travel, `confirm` who has them, `kills` and `revocations` what they say, `settings` the place of the engine
//! and what happens without it.
//!
//! # How a part joins
//! A part of the gateway that shares something implements [`HeartbeatPart`] and is handed to [`FleetMember::join`]
//! before [`FleetMember::start`]. Once a second it is asked for its report, which every gateway's part of the same name
//! then reads in the [`NodeReport`] of each [`FleetNode`]; while no heartbeat gets through it is told so. What cannot
//! wait for the next heartbeat is a script of its own: [`FleetMember::engine`] and [`FleetEngine::run_script`], whose
//! keys get the fleet's prefix, so that all of them are in one slot of a cluster. A script is never run in the path of
//! a request.
//! [`FleetBeat::engine_changed`] says that the engine may have forgotten something since the last heartbeat: a
//! failover, a restart or a dump that was put back.

mod confirm;
mod engine;
mod error;
mod heartbeat;
mod kills;
mod leases;
mod member;
mod report;
mod revocations;
mod self_report;
mod settings;
mod shared;
mod shares;
mod stream_id;
mod sync;
mod view;

pub use confirm::FleetConfirmation;
pub use engine::FleetEngine;
pub use error::FleetError;
pub use heartbeat::HeartbeatPart;
pub use kills::{FleetPeers, kill_key, kill_kinds};
pub use member::FleetMember;
pub use report::NodeReport;
pub use revocations::{SharedRevocation, lift_revocation, share_revocation};
pub use self_report::{ContractDigests, SelfReport, SelfSource};
pub use settings::{EngineTopology, EngineUrl, FleetSettings, FleetTlsSettings, OnFleetLoss, OnFleetStart};
pub use shared::{SharedEntry, SharedKind, SharedTable};
pub use view::{FleetBeat, FleetNode, FleetView, NodeState};
