//! What a policy may see of a request, and what a policy is made from.

use std::sync::Arc;

use crate::kill::InFlight;
use crate::meter::{Calendar, UsageLedger};
use crate::model::{Caller, ClientId, Direction, Moment, ScopeSet, UnixTime};

/// One request, borrowed: all that a policy may see of it.
#[derive(Debug, Clone, Copy)]
pub struct RequestFacts<'a> {
    /// When the request came.
    pub now: Moment,
    /// The registration of the request with the kill switch.
    pub in_flight: &'a InFlight,
    /// The caller; `None` for calls of the company's own services that prove nothing to the gateway.
    pub caller: Option<&'a Caller>,
    /// The client that the company's own services count as.
    pub own_client: &'a ClientId,
    /// What the contract says of the route.
    pub route: &'a RouteTerms,
    /// Whether the method changes nothing at the upstream (RFC 9110 section 9.2.1).
    pub is_safe: bool,
}

/// What a contract says of one route, as far as policies ask for it.
#[derive(Debug, Clone)]
pub struct RouteTerms {
    /// The index of the route in the ledger of its direction.
    pub ledger_index: usize,
    /// The scopes that a caller of the route needs.
    pub scopes: ScopeSet,
    /// Whether the bodies that leave through the route are counted by records.
    pub counts_records: bool,
}

/// What a contract says of one direction, as far as policies are made of it.
#[derive(Debug, Clone)]
pub struct ContractTerms {
    /// The direction of the requests that the chain decides on.
    pub direction: Direction,
    /// The days of the contract, and what is allowed after the last one.
    pub calendar: Calendar,
    /// The services of ours that may call the vendor; `None` where the contract lists none, so that all may.
    pub callers: Option<Arc<[ClientId]>>,
    /// With `Some`, the contract only reports what it would deny until then, but for what [`PolicyStage::Screen`]
    /// denies.
    ///
    /// [`PolicyStage::Screen`]: super::PolicyStage::Screen
    pub observe_until: Option<UnixTime>,
    /// All scopes that the vendor can have.
    pub ceiling: ScopeSet,
    /// What has been used of the limits.
    pub ledger: Arc<UsageLedger>,
}

impl<'a> RequestFacts<'a> {
    /// The client whose request rate this request counts towards.
    pub fn client(&self) -> &'a ClientId {
        self.caller.map_or(self.own_client, |caller| &caller.client)
    }
}
