//! Kills that are ordered for a time to come: what is answered of them, and the order that takes one back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answers::{PartAnswer, Rfc3339Time, Unseen};
use super::orders::{OrderError, check_reason};

/// A kill to come. It is on disk before it is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScheduledKill {
    /// Names it when it is taken back.
    pub id: u64,
    /// Who will be cut off; `*` is every vendor.
    pub vendor: String,
    /// What of it, where that is not the vendor whole.
    #[serde(default, skip_serializing_if = "PartAnswer::is_whole")]
    pub scope: PartAnswer,
    /// What of the order nobody had been seen by when it was given; it is kept all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unseen: Vec<Unseen>,
    /// When, to about a second.
    pub at: Rfc3339Time,
    /// Who ordered it.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// All kills to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScheduledKills {
    /// The next one first.
    pub scheduled: Vec<ScheduledKill>,
}

/// An order to take a kill to come back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnscheduleOrder {
    /// Which.
    pub id: u64,
    /// Why, in words for the audit trail.
    pub reason: String,
}

impl UnscheduleOrder {
    /// Checks what JSON cannot say.
    ///
    /// # Errors
    /// [`OrderError::Reason`] when there is no reason, or it is too long.
    pub fn check(&self) -> Result<(), OrderError> {
        check_reason(&self.reason)
    }
}
