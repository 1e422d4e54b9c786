//! What the switch answers, in the shapes that the admin API sends.

use serde::{Deserialize, Serialize};

use super::drill::DrillRecord;
use super::order::{Kill, KillSelector};
use super::table::{KillKeyError, RestoreApproval};
use crate::store::StoreError;

/// How a vendor stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KillState {
    /// Nothing stands against it.
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
            if kill.reach.is_whole() {
                return Self::Killed;
            }
            state = Self::PartlyKilled;
        }
        state
    }
}

/// How many gateways have heard of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Fleet {
    /// Those that have acted on it.
    pub acked: u32,
    /// Those that are known.
    pub of: u32,
}

impl Fleet {
    /// A gateway by itself, which each is: they share no state.
    pub const ALONE: Self = Self { acked: 1, of: 1 };
}

/// The answer to a kill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KillAnswer {
    /// The vendor, or `*`.
    pub vendor: String,
    /// How what the order names stands now: always killed.
    pub state: KillState,
    /// The kill's generation; the same again when the same is killed twice.
    pub generation: u64,
    /// Requests cut by this order.
    pub severed: u64,
    /// From the order's arrival until the last of them had left.
    pub sever_micros: u64,
    /// Whether it survives a restart. If not, the vendor is killed all the same.
    pub persisted: bool,
    /// Who else knows.
    pub fleet: Fleet,
    /// What the order named of the vendor, where that is not all.
    #[serde(skip_serializing_if = "KillSelector::is_whole")]
    pub reach: KillSelector,
    /// Requests told to leave that had not when the deadline came: for these, bytes may still leave.
    #[serde(skip_serializing_if = "is_zero")]
    pub lingering: u64,
}

/// The answer to a kill that was only asked about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PreviewAnswer {
    /// The vendor, or `*`.
    pub vendor: String,
    /// How it stands.
    pub state: KillState,
    /// Always true.
    pub dry_run: bool,
    /// Requests that would be cut, calls of the vendor.
    pub ingress: usize,
    /// Requests that would be cut, calls to the vendor.
    pub egress: usize,
    /// What the order named of the vendor, where that is not all.
    #[serde(skip_serializing_if = "KillSelector::is_whole")]
    pub reach: KillSelector,
}

/// The answer to a restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RestoreAnswer {
    /// The vendor, or `*`.
    pub vendor: String,
    /// How it stands now: killed still, where an approval is missing or another kill stands.
    pub state: KillState,
    /// The generation of this change.
    pub generation: u64,
    /// Kills lifted.
    pub lifted: usize,
    /// What each of them had cut off.
    pub reaches: Vec<KillSelector>,
    /// Whether it survives a restart.
    pub persisted: bool,
    /// Approvals given so far, and needed.
    pub approvals: ApprovalProgress,
}

/// How far a restore has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ApprovalProgress {
    /// Different people who have agreed.
    pub given: usize,
    /// How many must.
    pub needed: u32,
}

/// One vendor at a glance.
#[derive(Debug, Clone, Serialize)]
pub struct VendorKillStatus {
    /// The vendor.
    pub vendor: String,
    /// How it stands.
    pub state: KillState,
    /// What stands against it.
    pub kills: Vec<Kill>,
    /// Who has agreed to restore it, while more must.
    pub approvals: Vec<RestoreApproval>,
    /// Calls of the vendor in flight.
    pub ingress_in_flight: usize,
    /// Calls to the vendor in flight.
    pub egress_in_flight: usize,
    /// Requests cut since the process started.
    pub severed_total: u64,
    /// False while a change of it is not on disk.
    pub persisted: bool,
    /// The last exercise.
    pub last_drill: Option<DrillRecord>,
}

/// Why a kill, a restore or a drill did not happen.
#[derive(Debug, Clone, thiserror::Error)]
pub enum KillError {
    /// No contract names this vendor and nothing ever stood against it.
    #[error("there is no vendor of this name")]
    UnknownVendor,
    /// A restore needs a reason and a person's name.
    #[error("a restore needs a person and a reason")]
    Unexplained,
    /// Nothing that the order covers stands.
    #[error("nothing of this stands against the vendor")]
    NotKilled,
    /// A drill of a vendor that is killed would measure nothing.
    #[error("the vendor is killed; restore it before a drill")]
    AlreadyKilled,
    /// No order of this id waits: it has been carried out, or taken back.
    #[error("no such kill is to come")]
    NotScheduled,
    /// So many orders wait that one more is a mistake.
    #[error("too many kills are to come")]
    ScheduleFull,
    /// So many of them are this person's that one more would crowd the others out.
    #[error("too many kills that this operator ordered are to come")]
    ScheduleShare,
    /// The change is not durable, so the vendor stays as it was: killed.
    #[error("the change cannot be kept, so the vendor stays killed")]
    NotPersisted(#[source] StoreError),
}

/// Why the switch cannot start from what is stored: start with every vendor killed instead.
#[derive(Debug, Clone, thiserror::Error)]
pub enum KillLoadError {
    /// The store cannot be read.
    #[error("the kills cannot be read")]
    Store(#[from] StoreError),
    /// A row is not about a vendor.
    #[error("the kills are not what was written")]
    Key(#[from] KillKeyError),
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_the_shape_that_is_promised() {
        let answer = KillAnswer {
            vendor: "acme".to_owned(),
            state: KillState::Killed,
            generation: 7,
            severed: 3,
            sever_micros: 412,
            persisted: true,
            fleet: Fleet::ALONE,
            reach: KillSelector::default(),
            lingering: 0,
        };
        assert_eq!(
            serde_json::to_string(&answer).unwrap(),
            r#"{"vendor":"acme","state":"killed","generation":7,"severed":3,"sever_micros":412,"persisted":true,"fleet":{"acked":1,"of":1}}"#
        );
    }
}
