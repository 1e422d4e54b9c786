//! The kill switch: refuses what is new, severs what is in flight.
//!
//! A request registers on its vendor's [`VendorGate`] and then asks whether it may begin; a [`KillSwitch`] holds the
//! gates and the kills in force, and does things in the right order: refuse, sever, write. Never fails open, and never
//! waits for anything before it has severed.
//!
//! `order` has orders and kills, `table` the kills in force and their rows, `shard` and `in_flight` the registry,
//! `recheck` the severing of requests whose proof no longer holds, `pending` the wait for the answer, `restore` the way
//! back, `schedule` and `burst` the kills that no person orders at the time, `drill` the exercise, `peers` and
//! `table_orders` what other gateways of a fleet order and are told, `hooks` the
//! notifications, `audit` the records of the audit trail, `answer` the JSON of the admin API.

mod answer;
mod audit;
mod burst;
mod drill;
mod error;
mod event;
mod gate;
mod hooks;
mod in_flight;
mod latch;
mod order;
mod peers;
mod pending;
mod query;
mod recheck;
mod restore;
mod schedule;
mod shard;
mod switch;
mod table;
mod table_orders;
mod unconfirmed;

#[cfg(test)]
mod tests;

pub use answer::{
    ApprovalAnswer, DrillReport, Fleet, KillAllReport, KillPreview, KillReport, KillState, KillStatus, RestoreReport,
    ScheduledKill, ScheduledKills, Unseen, VendorState,
};
pub use audit::{audit_listener, notify_all};
pub use burst::DenialBurst;
pub use drill::DrillRecord;
pub use error::KillError;
pub use event::{EventListener, KillEvent};
pub use gate::VendorGate;
pub use hooks::{HookChannel, HookDispatcher, KillHook, OutgoingWebhook, SendWebhook, WebhookSendError};
pub use in_flight::InFlight;
pub use order::{Evidence, Kill, KillOrder, KillOrigin, KillSelector, KillTarget, RouteTag};
pub use peers::{KillPeers, PeersFuture};
pub use pending::PendingKill;
pub use query::VendorKillStatus;
pub use recheck::{AdmissionProof, RegisteredRequest, SeveredRequests};
pub use restore::RestoreOrder;
pub use schedule::ScheduledKillRow;
pub use switch::{GATEWAY_ACTOR, KillSwitch};
pub use table::RestoreApproval;
