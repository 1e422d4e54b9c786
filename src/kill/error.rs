//! Why the switch did not do what it was asked.

use super::table::KillKeyError;
use crate::store::StoreError;

/// Why a kill, a restore or a drill did not happen.
#[derive(Debug, Clone, thiserror::Error)]
pub enum KillError {
    /// No contract names this vendor, and no kill of it was ever in force.
    #[error("there is no vendor of this name")]
    UnknownVendor,
    /// A restore needs a reason and a person's name.
    #[error("a restore needs a person and a reason")]
    Unexplained,
    /// No kill that the order covers is in force.
    #[error("no such kill of the vendor is in force")]
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
    /// The other gateways of the fleet cannot be told, so the vendor stays as it was: killed.
    #[error("the fleet cannot be told, so the vendor stays killed")]
    FleetAway,
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
