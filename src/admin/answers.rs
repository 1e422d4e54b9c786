//! What admin calls answer: plain data, shared by the listener and the command-line client.
//!
//! Times are RFC 3339 in UTC; ages and spans are whole numbers with their unit in the name. Nothing here holds a
//! secret or a raw personal value.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scheduled::ScheduledKill;
use crate::model::{Direction, Reason, UnixTime};
use crate::telemetry::TrafficMetrics;

/// A time, as RFC 3339 on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("format" = "date-time"))]
#[schemars(rename = "Time")]
pub struct Rfc3339Time(pub UnixTime);

impl From<Rfc3339Time> for String {
    fn from(time: Rfc3339Time) -> Self {
        time.0.to_string()
    }
}

impl TryFrom<String> for Rfc3339Time {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        super::parse_time(&text).map(Self).ok_or("not a time (RFC 3339)")
    }
}

impl From<UnixTime> for Rfc3339Time {
    fn from(time: UnixTime) -> Self {
        Self(time)
    }
}

/// Whether a vendor may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VendorState {
    /// Its contract is in force and nothing of it is killed.
    Live,
    /// A direction, route or client of it is killed.
    PartlyKilled,
    /// All of it is killed.
    Killed,
    /// Its contract has not started, or is a draft.
    NotStarted,
    /// Its contract has ended, and requests that change nothing still pass.
    ReadOnly,
    /// Its contract has ended.
    Ended,
}

impl VendorState {
    /// The word in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::PartlyKilled => "partly_killed",
            Self::Killed => "killed",
            Self::NotStarted => "not_started",
            Self::ReadOnly => "read_only",
            Self::Ended => "ended",
        }
    }
}

/// A part of a vendor's traffic: all that every given member matches, and all of it when none is given.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Part")]
pub struct PartAnswer {
    /// Only this direction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// Only this route, as the contract writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// Only this client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
}

/// What of an order nobody has been seen by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unseen {
    /// No contract has named the vendor, and it has no history.
    Vendor,
    /// The contract has nothing that goes this way, for this client.
    Direction,
    /// No line of the contract has been this route.
    Route,
    /// No client of the vendor by this name.
    Client,
}

impl PartAnswer {
    /// Whether it is the vendor whole.
    pub const fn is_whole(&self) -> bool {
        self.direction.is_none() && self.route.is_none() && self.client.is_none()
    }
}

/// How many gateways have heard, this one included, and how many this one knows: itself, since they share no state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Fleet")]
pub struct FleetAnswer {
    /// Gateways that have confirmed.
    pub acked: u32,
    /// Gateways that are known.
    pub of: u32,
}

/// The answer to a kill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KillReport {
    /// Who was cut off.
    pub vendor: String,
    /// How what the order named stands now: always `killed`.
    pub state: VendorState,
    /// Grows with each kill and restore.
    pub generation: u64,
    /// Exchanges ended in flight.
    pub severed: u64,
    /// Microseconds from the order to the end of the last of them.
    pub sever_micros: u64,
    /// Whether the kill is on disk. When not, it stands until the process ends.
    pub persisted: bool,
    /// Who else knows.
    pub fleet: FleetAnswer,
    /// What the order named, where that is not the vendor whole.
    #[serde(default, skip_serializing_if = "PartAnswer::is_whole")]
    pub scope: PartAnswer,
    /// What of the order nobody has been seen by; it is kept all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unseen: Vec<Unseen>,
    /// Exchanges that had not ended when the deadline came: for these, bytes may still leave.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lingering: u64,
}

/// The answer to a kill that was only asked about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KillPreview {
    /// Who would be cut off, or `*`.
    pub vendor: String,
    /// How it stands now.
    pub state: VendorState,
    /// Always true.
    pub dry_run: bool,
    /// Calls of the vendor in flight that would be cut.
    pub ingress: u64,
    /// Calls to the vendor in flight that would be cut.
    pub egress: u64,
    /// What of the order nobody has been seen by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unseen: Vec<Unseen>,
    /// What the order named, where that is not the vendor whole.
    #[serde(default, skip_serializing_if = "PartAnswer::is_whole")]
    pub scope: PartAnswer,
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
    /// What the vendor is now: killed still, while approvals are missing or another kill stands.
    pub state: VendorState,
    /// Grows with each kill and restore.
    pub generation: u64,
    /// Kills that were lifted.
    pub lifted: u64,
    /// What each of them had cut off; an empty one is the vendor whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<PartAnswer>,
    /// Whether the state is on disk.
    pub persisted: bool,
    /// How far the restore has come.
    pub approvals: ApprovalsAnswer,
}

/// One person's yes to a restore that needs more; it lapses after a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Approval")]
pub struct ApprovalAnswer {
    /// What would be restored.
    #[serde(default, skip_serializing_if = "PartAnswer::is_whole")]
    pub scope: PartAnswer,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Rfc3339Time,
}

/// How far a restore has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Approvals")]
pub struct ApprovalsAnswer {
    /// Different people who have agreed.
    pub given: u32,
    /// How many must.
    pub needed: u32,
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
    /// How the vendor stands after it.
    pub state: VendorState,
}

/// The answer to a reload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReloadReport {
    /// The number of the config now in force.
    pub generation: u64,
    /// Vendors that are new.
    pub added: Vec<String>,
    /// Vendors whose contract changed.
    pub changed: Vec<String>,
    /// Vendors that are gone.
    pub removed: Vec<String>,
    /// What would have let back what is cut off, and is cut off too: a vendor by another name, a route by another line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub still_cut_off: Vec<String>,
}

/// All vendors at a glance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VendorList {
    /// Sorted by id.
    pub vendors: Vec<VendorStatus>,
}

/// A vendor at a glance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VendorStatus {
    /// Its id.
    pub vendor: String,
    /// Its name for people.
    pub name: String,
    /// Who answers for it in the company.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Whom to call over there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security_contact: Option<String>,
    /// Whether it may pass.
    pub state: VendorState,
    /// What is killed, and why.
    pub kills: Vec<KillStatus>,
    /// Who has agreed to restore it, while more must.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<ApprovalAnswer>,
    /// Kills to come, the next one first; those of every vendor too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scheduled: Vec<ScheduledKill>,
    /// False while a change of that is not on disk.
    pub persisted: bool,
    /// When the contract starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starts: Option<Rfc3339Time>,
    /// When the contract's last day is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends: Option<Rfc3339Time>,
    /// Whole days until then; negative after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days_left: Option<i64>,
    /// What passed since the process started, by direction.
    pub traffic: Vec<Traffic>,
    /// The last request that was refused or cut short.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_denial: Option<LastDenial>,
    /// When the kill switch was last exercised on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_drill: Option<Rfc3339Time>,
    /// Whether the next exercise is overdue, where the contract asks for any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill_overdue: Option<bool>,
    /// Seconds since the newest token in use was issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_age_secs: Option<u64>,
    /// Seconds since the oldest signing key on offer was first seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_age_secs: Option<u64>,
    /// Its limits in force, in each direction that has routes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<super::VendorLimit>,
    /// Its rules that have matched nothing, which may name fields that nobody sends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmatched_rules: Vec<super::UnmatchedRule>,
    /// Its routes with bodies of a shape that their rules were not written for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unexpected_shapes: Vec<super::UnexpectedShape>,
    /// How asking its issuer goes, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<super::IssuerStatus>,
    /// Its files that cannot be used as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<super::FileFault>,
}

/// A kill that stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Standing")]
pub struct KillStatus {
    /// What is killed.
    pub scope: PartAnswer,
    /// Why.
    pub reason: String,
    /// Who.
    pub by: String,
    /// When.
    pub at: Rfc3339Time,
    /// The kill's own generation.
    pub generation: u64,
    /// Whether no line of the contract matches it any more: it stands, and cuts off nothing for now.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unmatched: bool,
}

/// What passed in one direction since the process started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Traffic {
    /// Which way.
    pub direction: Direction,
    /// Exchanges that ended.
    pub requests: u64,
    /// Those refused or cut short.
    pub denials: u64,
    /// Those whose last byte has not left yet.
    pub in_flight: u64,
    /// Records that left.
    pub records: u64,
    /// Body bytes that left.
    pub bytes: u64,
}

impl Traffic {
    /// What the metrics have counted.
    pub fn of(direction: Direction, metrics: &TrafficMetrics) -> Self {
        let (requests, records) = metrics.totals();
        let denials = Reason::ALL.into_iter().map(|reason| metrics.denials(reason)).sum();
        let (in_flight, bytes) = (metrics.in_flight(), metrics.bytes_sum());
        Self { direction, requests, denials, in_flight, records, bytes }
    }
}

/// A request that was refused or cut short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastDenial {
    /// The stable reason.
    pub reason: String,
    /// When.
    pub at: Rfc3339Time,
    /// Which way the request went.
    pub direction: Direction,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}
