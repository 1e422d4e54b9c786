//! Leases: how the gateways of a fleet share one budget without asking anybody while a request waits.
//!
//! A gateway takes a part of the budget from the fleet's engine ahead of time, a *lease*, and spends it in its own
//! memory. The engine grants no more than the budget in any window, so the budget holds over the whole fleet.
//!
//! - `terms`: how large a lease is and how long it lives
//! - `messages`: what a gateway says to the engine, and what it answers
//! - `holding`: what a gateway holds of one limit; all rules of spending are there
//! - `figures`: what a gateway was granted, slot by slot, so that an engine that forgot can be told
//! - `pool`: a holding that requests and the fleet's task share
//! - `share`: the part of rates and slots that a gateway has
//! - `book`: all pools of a gateway, and which of them need the engine
//!
//! # Why the budget is a hard ceiling
//! A lease that the engine grants at `t` is spent between `t` and `t + life`, by the holder's own monotonic clock. The
//! engine counts it until `t + life + window`. Whatever passes in a span of one window was granted in that span or one
//! `life` before it, and all of that still counted when the last of it was granted.
//!
//! Nothing here does I/O or reads a clock. Nothing passes without a lease, except a stated share while the engine is
//! away, where the fleet is configured so.

mod book;
mod figures;
mod holding;
mod messages;
#[cfg(test)]
mod model_tests;
mod pool;
mod share;
mod terms;

pub use book::{KnownFleet, LeaseBook};
pub use holding::LeaseRefusal;
pub use messages::{FleetTime, LeaseCall, LeaseGrant, LeaseReply};
pub use pool::LeasePool;
pub use share::{LimitShare, SHARED_MILLIONTHS, ShareAsk, WHOLE};
pub use terms::{LeaseTerms, OnLoss};
