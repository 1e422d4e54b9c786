//! How large a lease is and how long it lives, from the limit that it is a part of.

use std::num::NonZeroU64;
use std::time::Duration;

use crate::bounds;
use crate::model::words;

words! {
    /// What a gateway does with a shared limit while the fleet's engine is away.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
    #[serde(rename_all = "snake_case")]
    pub enum OnLoss {
        /// Each gateway goes on with an equal share of what was left, and after a window with its share of the limit.
        #[default]
        Share = "share",
        /// Nothing passes that needs a new lease.
        Deny = "deny",
    }
}

/// A limit of the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseTerms {
    /// How much may pass in a window, over all gateways.
    pub cap: u64,
    /// The length of the window.
    pub window: Duration,
}

impl LeaseTerms {
    /// The terms of a budget.
    pub fn new(budget: NonZeroU64, window: Duration) -> Self {
        Self { cap: budget.get().min(bounds::LEASE_COUNT_MAX), window: window.max(Duration::from_millis(1)) }
    }

    /// How long a lease may be spent after the engine was asked for it.
    pub fn life(&self) -> Duration {
        (self.window / bounds::LEASE_LIFE_PART).clamp(bounds::LEASE_LIFE_MIN, bounds::LEASE_LIFE_MAX)
    }

    /// The length of a slot of the engine, in milliseconds.
    pub fn slot_ms(&self) -> u64 {
        millis(self.window).div_ceil(bounds::LEASE_SLOTS).max(1)
    }

    /// How long after its slot began a grant counts: a window, the life of a lease, and the slot itself.
    pub fn span_ms(&self) -> u64 {
        millis(self.window) + millis(self.life()) + self.slot_ms()
    }

    /// The largest lease where so many gateways share the limit.
    pub fn size_max(&self, nodes: u64) -> u64 {
        (self.cap / (bounds::LEASE_PARTS * nodes.max(1))).max(1)
    }

    /// The part of the limit that each of so many gateways has while the engine is away; none where their number was
    /// never heard.
    pub fn share(&self, nodes: u64) -> u64 {
        self.cap.checked_div(nodes).unwrap_or(0)
    }
}

/// A span in whole milliseconds, rounded up.
pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX).min(bounds::LEASE_COUNT_MAX)
}
