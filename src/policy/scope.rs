//! Denies unless the caller holds every scope that the route needs, and the contract's ceiling has it too.
//!
//! Scopes are compared by exact string. Never looks at the body or the clock.

use super::{Facts, Kind, Policy, Stage, Verdict};
use crate::model::{Denial, Direction, Reason, ScopeSet};

pub(super) const KIND: Kind = Kind {
    name: "scope",
    stage: Stage::Authorize,
    build: |terms| match terms.direction {
        Direction::Ingress => Some(Box::new(RequireScope { ceiling: terms.ceiling.clone() })),
        // Our own services call without a token of the vendor's.
        Direction::Egress => None,
    },
};

#[derive(Debug)]
struct RequireScope {
    ceiling: ScopeSet,
}

impl Policy for RequireScope {
    fn check(&self, facts: &Facts<'_>) -> Verdict {
        let granted = facts.caller.and_then(|caller| caller.claims.as_deref()).map(|claims| &claims.scopes);
        let holds = |scope| self.ceiling.contains(scope) && granted.is_some_and(|granted| granted.contains(scope));
        match facts.scopes.iter().find(|scope| !holds(scope)) {
            None => Verdict::Allow,
            Some(scope) => Verdict::Deny(Denial::new(Reason::ScopeMissing, format!("'{scope}' is not granted"))),
        }
    }
}
