//! What the admin listener needs done, without knowing who does it: the server implements it over the live gateway.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

use super::answers::{DrillReport, KillAllReport, KillPreview, KillReport, ReloadReport, RestoreReport, VendorStatus};
use super::orders::{DrillOrder, OperatorOrder};
use super::readiness::Readiness;
use super::records::{AuditPage, ExposureAnswer};
use super::reveal::{RevealOrder, RevealReport};
use super::revoked::{LiftReport, Revocable, RevocationList, RevokeReport};
use super::scheduled::{ScheduledKill, UnscheduleOrder};
use crate::config::OperatorRole;
use crate::model::{UnixTime, VendorId};
use crate::telemetry::FailedRequest;

/// An answer that may take a while: for a disk, for exchanges to end, for a fleet.
pub type ControlFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, ControlError>> + Send + 'a>>;

/// What operators can have done. Whoever implements it audits every act under the actor's name.
pub trait AdminControl: Send + Sync + 'static {
    /// All vendors, sorted by id.
    fn vendors(&self) -> Vec<VendorStatus>;

    /// One vendor; `None` when no contract names it.
    fn vendor(&self, vendor: &VendorId) -> Option<VendorStatus>;

    /// Whether the gateway can do its work.
    fn readiness(&self) -> Readiness;

    /// Cuts off a vendor, or a part of it, also one whose contract is gone.
    fn kill<'a>(
        &'a self,
        actor: &'a Actor,
        vendor: &'a VendorId,
        order: &'a OperatorOrder,
    ) -> ControlFuture<'a, KillReport>;

    /// Cuts off every vendor, or a part of each.
    fn kill_all<'a>(&'a self, actor: &'a Actor, order: &'a OperatorOrder) -> ControlFuture<'a, KillAllReport>;

    /// Cuts off a vendor, or all, or a part of them, at a time to come.
    fn schedule<'a>(
        &'a self,
        actor: &'a Actor,
        vendor: Option<&'a VendorId>,
        order: &'a OperatorOrder,
        at: UnixTime,
    ) -> ControlFuture<'a, ScheduledKill>;

    /// Kills to come, the next one first.
    fn scheduled(&self) -> Vec<ScheduledKill>;

    /// Takes a kill to come back.
    fn unschedule<'a>(&'a self, actor: &'a Actor, order: &'a UnscheduleOrder) -> ControlFuture<'a, ScheduledKill>;

    /// What a kill of a vendor, or of all, would cut now.
    fn preview<'a>(&'a self, vendor: Option<&'a VendorId>, order: &'a OperatorOrder) -> ControlFuture<'a, KillPreview>;

    /// Lifts what was cut off by an order for every vendor.
    fn restore_all<'a>(&'a self, actor: &'a Actor, order: &'a OperatorOrder) -> ControlFuture<'a, RestoreReport>;

    /// Lets a vendor back, or a part of it.
    fn restore<'a>(
        &'a self,
        actor: &'a Actor,
        vendor: &'a VendorId,
        order: &'a OperatorOrder,
    ) -> ControlFuture<'a, RestoreReport>;

    /// Kills, measures and restores.
    fn drill<'a>(
        &'a self,
        actor: &'a Actor,
        vendor: &'a VendorId,
        order: &'a DrillOrder,
    ) -> ControlFuture<'a, DrillReport>;

    /// Takes a token, a client or a key back: refuses what is new, and severs what runs on it.
    fn revoke<'a>(
        &'a self,
        actor: &'a Actor,
        vendor: &'a VendorId,
        what: &'a Revocable,
        reason: &'a str,
    ) -> ControlFuture<'a, RevokeReport>;

    /// Lets be used again what was taken back.
    fn lift<'a>(
        &'a self,
        actor: &'a Actor,
        vendor: &'a VendorId,
        what: &'a Revocable,
        reason: &'a str,
    ) -> ControlFuture<'a, LiftReport>;

    /// What is taken back now.
    fn revocations(&self) -> RevocationList;

    /// Turns one token back into its value, for whoever asks and for nobody else.
    fn reveal<'a>(&'a self, actor: &'a Actor, order: &'a RevealOrder) -> ControlFuture<'a, RevealReport>;

    /// Loads the config again, wholly or not at all.
    fn reload<'a>(&'a self, actor: &'a Actor) -> ControlFuture<'a, ReloadReport>;

    /// What left to a vendor; all that is kept when no time is given.
    fn exposure<'a>(&'a self, vendor: &'a VendorId, since: Option<UnixTime>) -> ControlFuture<'a, ExposureAnswer>;

    /// The request of this id, if it was refused or broke off and is remembered.
    fn why(&self, request_id: &str) -> Option<FailedRequest>;

    /// The audit trail, oldest first.
    fn audit<'a>(&'a self, from: AuditQuery) -> ControlFuture<'a, AuditPage>;

    /// Audits a call that was refused.
    fn refused(&self, refusal: &RefusedCall<'_>);
}

/// Where to begin in the audit trail: every given member holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AuditQuery {
    /// Not before this time.
    pub since: Option<UnixTime>,
    /// Only what comes after this place in the chain.
    pub after: Option<u64>,
    /// At most so many, from 1 to [`crate::bounds::AUDIT_PAGE_MAX`].
    pub limit: usize,
}

/// Who asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The operator's name; `uid:N` for whoever may open the Unix socket.
    pub name: String,
    /// What they may do.
    pub role: OperatorRole,
    /// Where they are.
    pub peer: AdminPeer,
}

impl Actor {
    /// Whether this is one of the operators, and not whoever may open the Unix socket: the same person could be both.
    pub fn is_named(&self) -> bool {
        self.name != self.peer.to_string()
    }
}

/// The other end of an admin connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminPeer {
    /// Somewhere in the network.
    Network(SocketAddr),
    /// On this machine, with the rights to open the socket: the file's permissions are the proof.
    Local {
        /// The user's number, where the system says.
        uid: Option<u32>,
    },
}

impl std::fmt::Display for AdminPeer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Network(address) => address.fmt(f),
            Self::Local { uid: Some(uid) } => write!(f, "uid:{uid}"),
            Self::Local { uid: None } => f.write_str("local"),
        }
    }
}

/// A call that was refused.
#[derive(Debug, Clone, Copy)]
pub struct RefusedCall<'a> {
    /// When.
    pub at: UnixTime,
    /// From where.
    pub peer: AdminPeer,
    /// The operator, where the token was right.
    pub operator: Option<&'a str>,
    /// The call as the table writes it, such as `POST /v1/vendors/{vendor}/kill`; `None` for none of the table.
    pub call: Option<&'a str>,
    /// The stable reason that was answered.
    pub reason: &'static str,
    /// The id that was answered.
    pub request_id: &'a str,
}

/// Why an order was not followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// No contract names the vendor.
    #[error("no contract names this vendor")]
    VendorUnknown,
    /// The vendor's contract has no such route.
    #[error("the contract has no such route")]
    RouteUnknown,
    /// There is nothing to restore.
    #[error("nothing of this vendor is cut off in that part")]
    NotKilled,
    /// A drill of what is really cut off would end with it restored.
    #[error("the vendor is cut off already")]
    AlreadyKilled,
    /// Two people are asked for, and this may be one of them twice.
    #[error("only named operators count where several must approve")]
    Unnamed,
    /// Nothing of this name is revoked.
    #[error("nothing of this name is revoked")]
    NotRevoked,
    /// An order that this vendor's identity gives no hold on would do nothing.
    #[error("{0}")]
    CannotAct(&'static str),
    /// No request of this id was refused or broke off of late.
    #[error("no request of this id was refused or broke off of late")]
    RequestUnknown,
    /// No kill of this id is to come.
    #[error("no kill of this id is to come")]
    NotScheduled,
    /// So many kills are to come that one more is a mistake.
    #[error("too many kills are to come")]
    ScheduleFull,
    /// So many of them are this operator's that one more would crowd the others out.
    #[error("too many kills that this operator ordered are to come")]
    ScheduleShare,
    /// Several people are asked for, and this operator came or changed while the kill stood.
    #[error("this operator was added or changed while the kill stood")]
    OperatorNew,
    /// The new config has faults, so nothing changed.
    #[error("the config has faults, so nothing changed")]
    Faults(Vec<String>),
    /// State could not be written or read.
    #[error("state cannot be used")]
    State,
    /// No vendor's keys open the token: it is none, is forged, or its keys are gone. Which of these is not told.
    #[error("no vendor's keys open this token")]
    NotRevealed,
}
