//! What this gateway has last heard of the fleet. Read without a lock by everything that decides or shows.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwapOption;

use super::NodeReport;
use super::stream_id::StreamId;
use crate::bounds::{FLEET_HEARTBEAT, FLEET_NODE_UNSEEN};
use crate::model::{Lock as _, Moment, words};

words! {
    /// Whether a gateway of the fleet is heard of.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum NodeState {
        /// It was seen within the last ten heartbeats.
        Live = "live",
        /// It was not. It may still serve, and is not counted as safe.
        Unseen = "unseen",
    }
}

/// One gateway of the fleet, as the engine knew it at a heartbeat.
#[derive(Debug, Clone, PartialEq)]
pub struct FleetNode {
    /// The gateway's name.
    pub name: String,
    /// How long ago its last heartbeat was, by the engine's clock.
    pub unseen_for: Duration,
    /// The place in the stream up to which it had put everything in force.
    pub applied: StreamId,
    /// A number of its own, drawn at its start: two gateways with one name differ in it.
    pub instance: String,
    /// What it said of itself; empty where that cannot be read.
    pub report: NodeReport,
}

impl FleetNode {
    /// Whether it is heard of.
    pub fn state(&self) -> NodeState {
        if self.unseen_for <= FLEET_NODE_UNSEEN { NodeState::Live } else { NodeState::Unseen }
    }
}

/// What one heartbeat has brought.
#[derive(Debug, Clone, PartialEq)]
pub struct FleetBeat {
    /// When it came, by this gateway's clocks.
    pub at: Moment,
    /// The engine's clock, in milliseconds since 1970.
    pub engine_ms: u64,
    /// Drawn by the first gateway that met an empty engine: another one means that the engine has lost everything.
    pub incarnation: String,
    /// The engine's process and its history of replication: another one means that writes may be lost.
    pub engine: String,
    /// The version of the shared tables.
    pub version: u64,
    /// Whether the engine may have forgotten something since the heartbeat before.
    pub engine_changed: bool,
    /// When it was last so, by this gateway's monotonic clock; `None` where never since the start.
    pub changed_ns: Option<u64>,
    /// All gateways that are known, this one included, by name.
    pub nodes: Vec<FleetNode>,
}

/// The last heartbeat, and how far this gateway has come.
#[derive(Debug, Default)]
pub struct FleetView {
    last: ArcSwapOption<FleetBeat>,
    applied: AtomicU64,
    applied_to: Mutex<StreamId>,
    /// When the shared tables were last known to be here whole, in nanoseconds plus one; zero where never.
    synced_ns: AtomicU64,
}

impl FleetView {
    /// The last heartbeat that got through.
    pub fn last(&self) -> Option<Arc<FleetBeat>> {
        self.last.load_full()
    }

    /// How old what is known of the fleet is; `None` before the first heartbeat.
    pub fn age(&self, now: Moment) -> Option<Duration> {
        let last = self.last.load();
        let at = last.as_ref()?.at.monotonic_ns;
        Some(Duration::from_nanos(now.monotonic_ns.saturating_sub(at)))
    }

    /// Whether this gateway is cut off from the engine: three heartbeats have not got through, or none ever has.
    pub fn is_partitioned(&self, now: Moment) -> bool {
        self.age(now).is_none_or(|age| age > FLEET_HEARTBEAT * 3)
    }

    /// Whether the shared tables were ever here whole since the start.
    pub fn has_synced(&self) -> bool {
        self.synced_ns.load(Ordering::Acquire) > 0
    }

    /// The version of the shared tables that is in force here.
    pub fn applied(&self) -> u64 {
        self.applied.load(Ordering::Acquire)
    }

    /// The place in the stream up to which all is in force here.
    pub(super) fn applied_to(&self) -> StreamId {
        *self.applied_to.locked()
    }

    /// All shared tables are in force here, as they were at this version and place.
    pub(super) fn set_applied(&self, version: u64, place: StreamId, now: Moment) {
        self.applied.store(version, Ordering::Release);
        *self.applied_to.locked() = place;
        self.synced_ns.store(now.monotonic_ns.saturating_add(1), Ordering::Release);
    }

    pub(super) fn heard(&self, beat: Arc<FleetBeat>) {
        self.last.store(Some(beat));
    }
}
