//! What a gateway says to the engine about one limit, and what the engine answers.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What this process was granted in one slot of the engine, and what it gave back of that. Both only grow, so saying
/// them twice, or late, changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotFigure {
    /// When the slot began, in milliseconds of the fleet's time.
    pub slot: u64,
    /// The sum of the grants.
    pub granted: u64,
    /// What of it was given back unspent.
    pub returned: u64,
}

/// What the engine has said of a limit, of all gateways together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldUse {
    /// What counted as used, unspent leases included.
    pub used: u64,
    /// The fleet's time then.
    pub at_ms: u64,
}

/// A question about one limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeaseAsk {
    /// The limit, the same on all gateways.
    #[serde(skip)]
    pub name: Arc<str>,
    /// How much may pass in a window.
    pub cap: u64,
    /// The length of a slot.
    pub slot_ms: u64,
    /// How long after its slot began a grant counts.
    pub span_ms: u64,
    /// How much is wanted; 0 only tells and asks what is left.
    pub ask: u64,
    /// How long the engine waits, after it has lost its memory, for gateways that have not told it.
    pub patience_ms: u64,
    /// What all gateways had used when this one was last told, and when that was; for an engine that has forgotten what
    /// gateways used that are gone.
    pub told: Option<ToldUse>,
    /// What the engine has not been told, or must be told again.
    pub figures: Vec<SlotFigure>,
}

/// The answer about one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseGrant {
    /// The size of the lease; 0 where there is none.
    pub granted: u64,
    /// When the slot began in which it counts.
    pub slot: u64,
    /// The sum of all grants of this process in that slot, as the engine has it.
    pub own: u64,
    /// What counts as used over all gateways, this grant included; while the engine waits, the latest of what it was
    /// told.
    pub used: u64,
    /// The fleet's time at which that was so.
    pub used_at_ms: u64,
    /// With nothing left: when the oldest grant ceases to count.
    pub retry_ms: u64,
    /// Whether the engine has lost its memory and waits for the gateways, so that it grants nothing.
    pub is_recovering: bool,
}

/// What the engine says of the whole fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetTime {
    /// Another one after each time that the engine may have lost its memory.
    pub epoch: String,
    /// The engine's clock, which never goes back.
    pub now_ms: u64,
    /// Gateways that were heard of in the last seconds.
    pub nodes: u64,
    /// Whether the engine has lost its memory and waits for the gateways.
    pub is_recovering: bool,
}

/// One call of a gateway to the engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeaseCall {
    /// This run of this gateway: a restart is another one, so that nobody else writes its figures.
    pub gateway: Arc<str>,
    /// The epoch in which it has told the engine all its figures; empty where there is none.
    pub told: String,
    /// Gateways that it knew of; 0 where it has not heard of the fleet.
    pub nodes: u64,
    /// The fleet's time by its own clock; 0 where it has not heard of the fleet.
    pub expects_ms: u64,
    /// What it asks, limit by limit.
    pub asks: Vec<LeaseAsk>,
}

/// The engine's answer to one call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseReply {
    /// The fleet as a whole.
    pub time: FleetTime,
    /// The answer to each question, in their order.
    pub grants: Vec<LeaseGrant>,
}
