//! What was kept: exposure and the audit trail, as admin calls answer them.
//!
//! The forms are those in which they are kept, so that an answer can be checked against its source line by line.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What left to a vendor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ExposureReport")]
pub struct ExposureAnswer {
    /// To whom.
    pub vendor: String,
    /// From when: the hour of the time that was asked for.
    pub since: String,
    /// Until when.
    pub until: String,
    /// The first time that something left.
    #[serde(default)]
    pub first: Option<String>,
    /// The last time.
    #[serde(default)]
    pub last: Option<String>,
    /// Values that detectors found and, under `as: report`, let pass as they were.
    #[serde(default)]
    pub left_raw: u64,
    /// Records that left.
    pub records: u64,
    /// Body bytes that left.
    pub bytes: u64,
    /// Different people they were about, over all routes that name them.
    #[serde(default)]
    pub subjects: Option<ApproximateAnswer>,
    /// Whether records left on routes that name no people, who are in no number here.
    pub subjects_incomplete: bool,
    /// Route by route, the most records first.
    pub routes: Vec<RouteExposureAnswer>,
}

/// A number, and the range in which it lies in 95 of 100 cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Approximate")]
pub struct ApproximateAnswer {
    /// The best guess.
    pub about: u64,
    /// The lower end of the range.
    pub at_least: u64,
    /// The upper end.
    pub at_most: u64,
}

/// What left through one route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "RouteExposure")]
pub struct RouteExposureAnswer {
    /// `ingress` or `egress`.
    pub direction: String,
    /// The route, as the contract writes it.
    pub route: String,
    /// Records that left.
    pub records: u64,
    /// Body bytes that left.
    pub bytes: u64,
    /// Different people they were about, where the route names them.
    #[serde(default)]
    pub subjects: Option<ApproximateAnswer>,
    /// The first time that something left.
    pub first: String,
    /// The last time.
    pub last: String,
    /// Treated fields, by name.
    pub treated: Vec<FieldExposureAnswer>,
    /// The fields that could leave in clear; absent for every field that no rule names.
    #[serde(default)]
    pub clear: Option<Vec<String>>,
    /// What was seen to leave in clear, in the bodies that were looked at; absent where none left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_clear: Option<ClearExposureAnswer>,
}

/// What was seen to leave in clear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ClearExposure")]
pub struct ClearExposureAnswer {
    /// Bodies that left.
    pub bodies: u64,
    /// How many of them were looked at; the counts are of these.
    pub looked_at: u64,
    /// Path by path.
    pub paths: Vec<PathExposureAnswer>,
    /// Values of further paths, of which there were too many to tell apart.
    pub others: u64,
}

/// Values that left in clear at one path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PathExposure")]
pub struct PathExposureAnswer {
    /// The path, `[*]` for all places in a list and `.*` for all names of a map.
    pub path: String,
    /// How many values.
    pub values: u64,
    /// Whether the contract lists it under `clear`.
    pub listed: bool,
}

/// What left of one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "FieldExposure")]
pub struct FieldExposureAnswer {
    /// Where it stood, as the contract writes it.
    pub field: String,
    /// How it was treated.
    pub treatment: String,
    /// What that makes of it for whoever has it.
    pub left_as: String,
    /// Values that left so.
    pub values: u64,
}

/// Part of the audit trail, in the order of its lines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuditPage {
    /// The entries.
    pub entries: Vec<AuditEntry>,
    /// The number of the last line that was looked at: what comes next stands after it.
    #[serde(default)]
    pub seen: Option<u64>,
    /// Lines met on the way that are none that a gateway writes: `audit verify` says which.
    #[serde(default)]
    pub unreadable: u64,
    /// Whether there are more after the last of these.
    pub more: bool,
}

/// One line of the audit trail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuditEntry {
    /// Its place in the chain.
    pub seq: u64,
    /// When (RFC 3339).
    pub time: String,
    /// Who did it: an operator's name, a vendor's client, or the gateway.
    pub actor: String,
    /// What was done, in a stable word.
    pub act: String,
    /// What it was done to.
    pub subject: String,
    /// Why: a person's words, or a stable reason.
    #[serde(default)]
    pub reason: String,
    /// Figures and names.
    #[serde(default)]
    pub detail: serde_json::Value,
    /// The code of the line before, in hex.
    pub prev: String,
    /// The code of this line, in hex.
    pub mac: String,
}
