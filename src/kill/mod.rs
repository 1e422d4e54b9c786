//! The kill switch: refuses what is new, severs what is in flight.
//!
//! A request registers on its vendor's [`VendorGate`] and then asks; a [`KillSwitch`] holds the lines, the kills that stand and
//! the order in which things happen. `order` has the words, `ledger` the state, `shard` and `in_flight` the registry,
//! `ground` what a request stands on and who loses it, `severing` the wait for the answer, `restore` the way back, `schedule` and `burst` the kills that no person orders
//! at the time, `drill` the exercise, `hooks` who is told, `witness` the line to the audit trail. Never fails open, and never waits for anything before it has severed.

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
mod pending;
mod query;
mod recheck;
mod restore;
mod schedule;
mod shard;
mod switch;
mod table;
mod unconfirmed;

#[cfg(test)]
mod tests;

pub use answer::{
    ApprovalAnswer, DrillReport, Fleet, KillAllReport, KillPreview, KillReport, KillState, KillStatus, RestoreReport,
    ScheduledKill, ScheduledKills, Unseen, VendorState,
};
pub use audit::{audit_listener, notify_all};
pub use burst::DenialBurst;
pub use error::KillError;
pub use event::{EventListener, KillEvent};
pub use gate::VendorGate;
pub use hooks::{HookChannel, HookDispatcher, KillHook, OutgoingWebhook, SendWebhook, WebhookSendError};
pub use in_flight::InFlight;
pub use order::{Evidence, Kill, KillOrder, KillOrigin, KillSelector, KillTarget, RouteTag};
pub use pending::PendingKill;
pub use query::VendorKillStatus;
pub use recheck::{AdmissionProof, RegisteredRequest, SeveredRequests};
pub use restore::RestoreOrder;
pub use switch::{GATEWAY_ACTOR, KillSwitch};
