//! The kill switch: refuses what is new, severs what is in flight.
//!
//! A request registers on its vendor's [`Line`] and then asks; a [`Switch`] holds the lines, the kills that stand and
//! the order in which things happen. `order` has the words, `ledger` the state, `shard` and `in_flight` the registry,
//! `ground` what a request stands on and who loses it, `severing` the wait for the answer, `restore` the way back, `schedule` and `burst` the kills that no person orders
//! at the time, `drill` the exercise, `hooks` who is told, `witness` the line to the audit trail. Never fails open, and never waits for anything before it has severed.

mod answer;
mod burst;
mod drill;
mod event;
mod ground;
mod hooks;
mod in_flight;
mod latch;
mod ledger;
mod line;
mod order;
mod recall;
mod restore;
mod schedule;
mod severing;
mod shard;
mod switch;
mod unwritten;
mod witness;

#[cfg(test)]
mod tests;

pub use answer::{Answer, Approvals, Fleet, KillError, LoadError, Preview, Restored, State, VendorStatus};
pub use burst::DenialBurst;
pub use drill::DrillReport;
pub use event::{Act, Event, Witness};
pub use ground::{Footing, Held, Severed};
pub use hooks::{Action, Deliver, DeliverError, Delivery, Hook, Hooks};
pub use in_flight::InFlight;
pub use ledger::{Approval, BadKey};
pub use line::Line;
pub use order::{Evidence, Kill, Killed, Order, Origin, Reach, RouteTag, Subject, UnknownDirection};
pub use restore::RestoreOrder;
pub use schedule::ScheduledKill;
pub use severing::{Severing, Timings};
pub use switch::{GATEWAY, QueuedEvent, Switch};
pub use witness::{tell_all, tell_audit};
