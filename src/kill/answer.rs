//! What kills, restores and drills answer, in the JSON that the admin API sends.
//!
//! Stored rows have types of their own: their keys must stay as they were written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::drill::DrillRecord;
use super::order::{Kill, KillSelector};
use super::schedule::ScheduledKillRow;
use super::table::RestoreApproval;
use crate::model::{UnixTime, is_default, words};

/// How much of a vendor is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KillState {
    /// No kill is in force against it.
    Live,
    /// A direction, route or client of it is killed.
    PartlyKilled,
    /// All of it is killed.
    Killed,
}

impl KillState {
    pub(super) fn of<'a>(kills: impl Iterator<Item = &'a Kill>) -> Self {
        let mut state = Self::Live;
        for kill in kills {
            if kill.selector.is_whole() {
                return Self::Killed;
            }
            state = Self::PartlyKilled;
        }
        state
    }
}

words! {
    /// Whether a vendor may pass.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    pub enum VendorState {
        /// Its contract is in force and nothing of it is killed.
        #[default]
        Live = "live",
        /// A direction, route or client of it is killed.
        PartlyKilled = "partly_killed",
        /// All of it is killed.
        Killed = "killed",
        /// Its contract has not started, or is a draft.
        NotStarted = "not_started",
        /// Its contract has ended, and requests that change nothing still pass.
        ReadOnly = "read_only",
        /// Its contract has ended.
        Ended = "ended",
    }
}

impl From<KillState> for VendorState {
    fn from(state: KillState) -> Self {
        match state {
            KillState::Live => Self::Live,
            KillState::PartlyKilled => Self::PartlyKilled,
            KillState::Killed => Self::Killed,
        }
    }
}

/// A part of an order that the gateway has never seen: probably a typing error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unseen {
    /// No contract has named the vendor, and it has no history.
    Vendor,
    /// The contract has nothing that goes this way, for this client.
    Direction,
    /// No route of the contract, now or before, is this one.
    Route,
    /// No client of the vendor by this name.
    Client,
}

/// How many gateways have an order in force, this one included, and how many this one knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fleet {
    /// Gateways that have confirmed.
    pub acked: u32,
    /// Gateways that are known.
    pub of: u32,
    /// Those that have not confirmed, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// Replicas of the engine that have the order, where the engine has any. The number is told, not relied upon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u64>,
}

impl Fleet {
    /// A gateway that belongs to no fleet.
    pub const ALONE: Self = Self { acked: 1, of: 1, missing: Vec::new(), replicas: None };
}

/// The answer to a kill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KillReport {
    /// Who was cut off.
    pub vendor: String,
    /// The state of what the order named: always `killed`.
    pub state: VendorState,
    /// Grows with each kill and restore.
    pub generation: u64,
    /// Exchanges ended in flight.
    pub severed: u64,
    /// Microseconds from the order to the end of the last of them.
    pub sever_micros: u64,
    /// Whether the kill is on disk. When not, it is in force until the process ends.
    pub persisted: bool,
    /// Who else knows.
    pub fleet: Fleet,
    /// What the order named, where that is not the vendor whole.
    #[serde(rename = "scope", default, skip_serializing_if = "KillSelector::is_whole")]
    pub selector: KillSelector,
    /// The parts of the order that the gateway has never seen; the kill is in force all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unseen: Vec<Unseen>,
    /// Exchanges that had not ended when the deadline came: for these, bytes may still leave.
    #[serde(default, skip_serializing_if = "is_default")]
    pub lingering: u64,
    /// The orders that the kill stands by in the fleet, the newest last.
    #[serde(skip)]
    pub orders: Vec<std::sync::Arc<str>>,
}

/// The answer to a kill that was only asked about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KillPreview {
    /// Who would be cut off, or `*`.
    pub vendor: String,
    /// The vendor's state now.
    pub state: VendorState,
    /// Always true, which tells a preview from a kill.
    pub dry_run: bool,
    /// Calls of the vendor in flight that would be cut.
    pub ingress: u64,
    /// Calls to the vendor in flight that would be cut.
    pub egress: u64,
    /// The parts of the order that the gateway has never seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unseen: Vec<Unseen>,
    /// What the order named, where that is not the vendor whole.
    #[serde(rename = "scope", default, skip_serializing_if = "KillSelector::is_whole")]
    pub selector: KillSelector,
}

/// The answer to a kill of every vendor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KillAllReport {
    /// One report per vendor.
    pub vendors: Vec<KillReport>,
}

/// The answer to a restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RestoreReport {
    /// Who was let back.
    pub vendor: String,
    /// The vendor's state now: still killed while approvals are missing or another kill is in force.
    pub state: VendorState,
    /// Grows with each kill and restore.
    pub generation: u64,
    /// Kills that were lifted.
    pub lifted: u64,
    /// What each of them had cut off; an empty one is the vendor whole.
    #[serde(rename = "scopes", default, skip_serializing_if = "Vec::is_empty")]
    pub selectors: Vec<KillSelector>,
    /// Whether the state is on disk.
    pub persisted: bool,
    /// How far the restore has come.
    pub approvals: ApprovalProgress,
}

/// How far a restore has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Approvals")]
pub struct ApprovalProgress {
    /// Different people who have agreed.
    pub given: u32,
    /// How many must.
    pub needed: u32,
}

/// One person's yes to a restore that needs more; it lapses after a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Approval")]
pub struct ApprovalAnswer {
    /// What would be restored.
    #[serde(rename = "scope", default, skip_serializing_if = "KillSelector::is_whole")]
    pub selector: KillSelector,
    /// The operator who agreed.
    pub by: String,
    /// The reason, in that person's words.
    pub reason: String,
    /// When the operator agreed.
    pub at: UnixTime,
}

impl From<&RestoreApproval> for ApprovalAnswer {
    fn from(given: &RestoreApproval) -> Self {
        let (by, reason) = (given.by.clone(), given.reason.clone());
        Self { selector: given.selector.clone(), by, reason, at: given.at }
    }
}

/// The answer to a drill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DrillReport {
    /// Who was cut off and let back.
    pub vendor: String,
    /// Whether stand-ins were cut, and nothing of the vendor's.
    pub shadow: bool,
    /// Exchanges cut, or stand-ins.
    pub severed: u64,
    /// Microseconds until nothing new was let in.
    pub refuse_micros: u64,
    /// Microseconds until the last severed exchange had left.
    pub sever_micros: u64,
    /// Microseconds until the kill was on disk.
    pub persist_micros: u64,
    /// Whether the kill was on disk.
    pub persisted: bool,
    /// The vendor's state after the drill.
    pub state: VendorState,
}

impl From<DrillRecord> for DrillReport {
    fn from(record: DrillRecord) -> Self {
        Self {
            vendor: record.vendor,
            shadow: record.shadow,
            severed: record.severed,
            refuse_micros: record.refuse_micros,
            sever_micros: record.sever_micros,
            persist_micros: record.persist_micros,
            persisted: record.persisted,
            state: record.state.into(),
        }
    }
}

/// A kill in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Standing")]
pub struct KillStatus {
    /// What is killed.
    #[serde(rename = "scope")]
    pub selector: KillSelector,
    /// The reason, in that person's words.
    pub reason: String,
    /// The operator who ordered it, or the gateway.
    pub by: String,
    /// When it was ordered.
    pub at: UnixTime,
    /// The kill's own generation.
    pub generation: u64,
    /// Whether no route of the contract matches it any more: it stays in force, and cuts off nothing for now.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unmatched: bool,
}

impl KillStatus {
    /// The status of a kill, and whether no route of the contract matches it any more.
    pub fn of(kill: &Kill, unmatched: bool) -> Self {
        Self {
            selector: kill.selector.clone(),
            reason: kill.reason.clone(),
            by: kill.by.clone(),
            at: kill.at,
            generation: kill.generation,
            unmatched,
        }
    }
}

/// A kill to come. It is on disk before it is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScheduledKill {
    /// Names it when it is taken back.
    pub id: u64,
    /// Who will be cut off; `*` is every vendor.
    pub vendor: String,
    /// What of it, where that is not the vendor whole.
    #[serde(rename = "scope", default, skip_serializing_if = "KillSelector::is_whole")]
    pub selector: KillSelector,
    /// The parts of the order that the gateway had never seen when it was given; it is kept all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unseen: Vec<Unseen>,
    /// When, to about a second.
    pub at: UnixTime,
    /// Who ordered it.
    pub by: String,
    /// The reason, in that person's words.
    pub reason: String,
}

impl From<ScheduledKillRow> for ScheduledKill {
    fn from(row: ScheduledKillRow) -> Self {
        let ScheduledKillRow { id, vendor, selector, at, by, reason } = row;
        Self { id, vendor, selector, unseen: Vec::new(), at, by, reason }
    }
}

/// All kills to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScheduledKills {
    /// The next one first.
    pub scheduled: Vec<ScheduledKill>,
}
