//! What the admin listener needs done, without knowing who does it: the server implements it over the live gateway, one
//! trait for each subject.

use std::net::SocketAddr;

use super::kills::KillControl;
use super::records::RecordControl;
use super::reload::ReloadControl;
use super::restores::RestoreControl;
use super::reveal::RevealControl;
use super::revocations::RevocationControl;
use super::status::StatusControl;
use crate::config::OperatorRole;

/// What an order came to.
pub type ControlResult<T> = Result<T, ControlError>;

/// What operators can have done. Every act is audited under the actor's name, by the implementation.
pub trait AdminControl:
    StatusControl
    + RecordControl
    + KillControl
    + RestoreControl
    + RevocationControl
    + RevealControl
    + ReloadControl
    + Send
    + Sync
    + 'static
{
}

/// The operator who makes a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The operator's name; `uid:N` for a user of the Unix socket.
    pub name: String,
    /// What they may do.
    pub role: OperatorRole,
    /// Where they are.
    pub peer: AdminPeer,
}

impl Actor {
    /// Whether this is one of the operators, and not a user of the Unix socket: the same person could be both.
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
    /// Several people are asked for, and this operator was added or changed while the kill was in force.
    #[error("this operator was added or changed while the kill stood")]
    OperatorNew,
    /// The new config has faults, so nothing changed.
    #[error("the config has faults, so nothing changed")]
    Faults(Vec<String>),
    /// State could not be written or read.
    #[error("state cannot be used")]
    State,
    /// No vendor's keys open the token: it is none, is forged, or its keys are gone. Which of these is not said.
    #[error("no vendor's keys open this token")]
    NotRevealed,
}
