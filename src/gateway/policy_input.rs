//! What policies are made from and what they see of a route: made here for traffic and for `vendorgate explain` alike.

use std::sync::Arc;

use crate::config::{Contract, ContractRoute};
use crate::meter::{RouteLimits, UsageLedger};
use crate::model::{ClientId, Direction, ScopeSet, UnixTime};
use crate::policy::{ContractTerms, RouteTerms};

/// The client that the company's own services count as.
pub(super) fn own_client() -> ClientId {
    ClientId::new("vendorgate")
}

/// What the policies of one direction of a contract are made from.
pub(super) fn contract_terms(
    contract: &Contract,
    direction: Direction,
    ledger: &Arc<UsageLedger>,
    now: UnixTime,
) -> ContractTerms {
    ContractTerms {
        direction,
        observe_until: contract.observes(now).map(|observe| observe.until),
        calendar: contract.calendar(),
        callers: contract.callers.clone(),
        ceiling: contract.scopes.clone(),
        ledger: Arc::clone(ledger),
    }
}

/// What policies see of a route. `ledger` is that of the route's direction.
pub(super) fn route_terms(route: &ContractRoute, direction: Direction, ledger: &UsageLedger) -> RouteTerms {
    let leaving = match direction {
        Direction::Ingress => &route.response,
        Direction::Egress => &route.request,
    };
    RouteTerms {
        ledger_index: ledger.place(direction, route.pattern.as_str()).unwrap_or(usize::MAX),
        scopes: route.scopes.clone(),
        counts_records: leaving.records.is_some(),
    }
}

/// What policies see of calls that no route covers, where the contract observes: nothing but the vendor's limits.
pub(super) fn undeclared_terms() -> RouteTerms {
    RouteTerms { ledger_index: usize::MAX, scopes: ScopeSet::default(), counts_records: false }
}

/// The limits of all routes of a contract.
pub(super) fn route_limits(contract: &Contract) -> Vec<RouteLimits> {
    let limits_of = |direction| {
        contract.routes(direction).as_slice().iter().map(move |route| RouteLimits {
            direction,
            route: route.pattern.as_str().into(),
            limits: route.limits.clone(),
        })
    };
    Direction::ALL.into_iter().flat_map(limits_of).collect()
}
