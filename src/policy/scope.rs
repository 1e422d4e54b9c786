//! Denies a request unless every scope that the route needs is held by the caller and listed in the contract.
//!
//! Scopes are compared by exact string. Never looks at the body or the clock.

use super::{Policy, PolicyKind, PolicyStage, PolicyVerdict, RequestFacts};
use crate::model::{Caller, Denial, Direction, Reason, ScopeSet};

pub(super) const KIND: PolicyKind = PolicyKind {
    name: "scope",
    stage: PolicyStage::Authorize,
    build: |terms| match terms.direction {
        Direction::Ingress => Some(Box::new(RequireScope { ceiling: terms.ceiling.clone() })),
        // The company's own services call without a token.
        Direction::Egress => None,
    },
};

#[derive(Debug)]
struct RequireScope {
    ceiling: ScopeSet,
}

impl Policy for RequireScope {
    fn check(&self, facts: &RequestFacts<'_>) -> PolicyVerdict {
        let granted = |scope| match facts.caller {
            None => false,
            // A caller that is known by its certificate or its signature has no issuer: the contract alone grants.
            Some(Caller { claims: None, .. }) => true,
            Some(Caller { claims: Some(claims), .. }) => claims.scopes.contains(scope),
        };
        let holds = |scope| self.ceiling.contains(scope) && granted(scope);
        match facts.route.scopes.iter().find(|scope| !holds(scope)) {
            None => PolicyVerdict::Allow,
            Some(scope) => PolicyVerdict::Deny(Denial::new(Reason::ScopeMissing, format!("'{scope}' is not granted"))),
        }
    }
}
