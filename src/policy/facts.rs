//! What a rule may see of a request, and what it is made from.

use std::sync::Arc;

use crate::kill::InFlight;
use crate::meter::{Calendar, UsageLedger};
use crate::model::{Caller, ClientId, Direction, Moment, ScopeSet};

/// One request, borrowed: all that a rule may see.
#[derive(Debug, Clone, Copy)]
pub struct RequestFacts<'a> {
    /// When it came.
    pub now: Moment,
    /// Its registration with the kill switch.
    pub in_flight: &'a InFlight,
    /// Who sent it; nobody on egress, where our own services call.
    pub caller: Option<&'a Caller>,
    /// The client whose rate it falls under.
    pub client: &'a ClientId,
    /// The route's place in the ledger.
    pub ledger_index: usize,
    /// Whether its method changes nothing (RFC 9110 section 9.2.1).
    pub is_safe: bool,
    /// Whether the route's bodies count records.
    pub counts_records: bool,
    /// What the route needs.
    pub scopes: &'a ScopeSet,
}

/// What a contract says, as far as rules are made of it.
#[derive(Debug, Clone)]
pub struct ContractTerms {
    /// Which way the chain judges.
    pub direction: Direction,
    /// The contract's dates, and what happens around them.
    pub calendar: Calendar,
    /// The most scopes that the vendor can have.
    pub ceiling: ScopeSet,
    /// What has been spent.
    pub ledger: Arc<UsageLedger>,
}
