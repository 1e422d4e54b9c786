//! What the admin listener needs done, without knowing who does it: the server implements it over the live gateway, one
//! trait for each subject.

use std::future::Future;
use std::net::SocketAddr;

use http::StatusCode;

use super::fleet::FleetControl;
use super::kills::KillControl;
use super::live::LiveControl;
use super::login::LoginControl;
use super::records::RecordControl;
use super::reload::ReloadControl;
use super::restores::RestoreControl;
use super::reveal::RevealControl;
use super::revocations::RevocationControl;
use super::shadow::ShadowControl;
use super::status::StatusControl;
use super::suggestions::SuggestControl;
use super::vendor_details::VendorDetailControl;
use crate::bounds::SCHEDULED_KILLS_EACH_MAX;
use crate::config::OperatorRole;

/// What an order came to.
pub type ControlResult<T> = Result<T, ControlError>;

/// What an order will have come to, once it is done: it may wait for a disk, or for requests to end.
pub trait ControlFuture<T>: Future<Output = ControlResult<T>> + Send {}

impl<T, F: Future<Output = ControlResult<T>> + Send> ControlFuture<T> for F {}

/// What operators can have done. Every act is audited under the actor's name, by the implementation.
pub trait AdminControl:
    StatusControl
    + SuggestControl
    + RecordControl
    + ShadowControl
    + FleetControl
    + KillControl
    + RestoreControl
    + RevocationControl
    + RevealControl
    + ReloadControl
    + VendorDetailControl
    + LiveControl
    + LoginControl
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

/// Declares the errors that carry nothing: `Variant = STATUS "reason" "title" "what to do"`.
macro_rules! control_errors {
    ($($(#[$doc:meta])* $variant:ident = $status:ident $reason:literal $title:literal $advice:literal;)+) => {
        /// Why an order was not followed.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum ControlError {
            $($(#[$doc])* $variant,)+
            /// So many of them are this operator's that one more would crowd the others out.
            ScheduleShare,
            /// An order that this vendor's identity gives no hold on would do nothing; why.
            CannotAct(&'static str),
            /// The new config has faults, so nothing changed.
            Faults(Vec<String>),
        }

        impl ControlError {
            /// The status, the stable reason, and the reason in words.
            pub(super) const fn status_reason_title(&self) -> (StatusCode, &'static str, &'static str) {
                match self {
                    $(Self::$variant => (StatusCode::$status, $reason, $title),)+
                    Self::ScheduleShare => Self::ScheduleFull.status_reason_title(),
                    Self::CannotAct(_) => (StatusCode::CONFLICT, "cannot_act", "Order would do nothing"),
                    Self::Faults(_) => (StatusCode::UNPROCESSABLE_ENTITY, "config_faulty", "Config not loaded"),
                }
            }

            /// What to do about it.
            pub(super) fn advice(&self) -> String {
                match self {
                    $(Self::$variant => $advice.to_owned(),)+
                    Self::ScheduleShare => format!(
                        "one operator may have {SCHEDULED_KILLS_EACH_MAX} to come: have some taken back, or cut off now"
                    ),
                    Self::CannotAct(why) => (*why).to_owned(),
                    Self::Faults(faults) => format!("nothing changed; mend {} fault(s) and reload", faults.len()),
                }
            }
        }
    };
}

control_errors! {
    /// No contract names the vendor.
    VendorUnknown = NOT_FOUND "vendor_unknown" "No such vendor"
        "GET /v1/vendors lists those with a contract; to cut off one that was never seen, add \"unseen\": true";
    /// The vendor's contract has no such route.
    RouteUnknown = NOT_FOUND "route_unknown" "No such route"
        "write the route as its contract does, such as 'GET /v1/customers/{id}'; to cut off one that was never \
         seen, add \"unseen\": true";
    /// There is nothing to restore.
    NotKilled = CONFLICT "not_killed" "Nothing to restore"
        "GET /v1/vendors/{vendor} lists what is cut off; name that part";
    /// A drill of what is really cut off would end with it restored.
    AlreadyKilled = CONFLICT "already_killed" "Cut off already"
        "drill a vendor that is not cut off, in whole or in part";
    /// Two people are asked for, and this may be one of them twice.
    Unnamed = FORBIDDEN "operator_unnamed" "Who is asking?"
        "several people must approve this: send an operator's token, over the socket too";
    /// Nothing of this name is revoked.
    NotRevoked = CONFLICT "not_revoked" "Nothing to lift"
        "GET /v1/revocations lists what is; name it as it stands there";
    /// No request of this id was refused or broke off of late.
    RequestUnknown = NOT_FOUND "request_unknown" "No such request"
        "No request of this id was refused or broke off of late: it went well, or was longer ago. The exchange \
         lines and the audit trail have older ones under the same id";
    /// No kill of this id is to come.
    NotScheduled = NOT_FOUND "not_scheduled" "No such kill to come"
        "GET /v1/scheduled-kills lists those to come; restore what has been carried out";
    /// So many kills are to come that one more is a mistake.
    ScheduleFull = CONFLICT "schedule_full" "Too many kills to come"
        "take some back, or cut off now";
    /// Several people are asked for, and this operator was added or changed while the kill was in force.
    OperatorNew = FORBIDDEN "operator_new" "Came while the kill stood"
        "an operator who was added, or whose token or role changed, while the kill stood counts after a day: ask \
         one who was there before";
    /// The config leaves the dashboard out.
    NoPage = NOT_FOUND "no_page" "No dashboard here"
        "the config has page: false at the admin listener; use the command line";
    /// So many people watch that one more is a mistake.
    LiveFull = SERVICE_UNAVAILABLE "live_full" "Too many streams"
        "close one, or ask for GET /v1/live?once now and then";
    /// The other gateways of the fleet cannot be told, so nothing was restored.
    FleetAway = SERVICE_UNAVAILABLE "fleet_away" "The fleet cannot be told"
        "nothing was restored: a restore waits until the fleet's engine is back; see 'vendorgate status'";
    /// State could not be written or read.
    State = SERVICE_UNAVAILABLE "state_unavailable" "State cannot be used"
        "see the log and vendorgate_state_errors_total; the disk may be full";
    /// No vendor's keys open the token: it is none, is forged, or its keys are gone. Which of these is not said.
    NotRevealed = NOT_FOUND "token_unopened" "Not a token that opens"
        "give one whole token; those of a shredded or unlisted vendor never open";
}
