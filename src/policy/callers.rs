//! Denies a call of a service of ours that the contract does not list.
//!
//! Only for contracts that list some. Whether the caller is who it says was decided before.

use std::sync::Arc;

use super::{Policy, PolicyKind, PolicyStage, PolicyVerdict, RequestFacts};
use crate::model::{ClientId, Denial, Direction, Reason};

pub(super) const KIND: PolicyKind = PolicyKind {
    name: "callers",
    stage: PolicyStage::Screen,
    build: |terms| match (terms.direction, &terms.callers) {
        (Direction::Egress, Some(listed)) => Some(Box::new(ListedCaller { listed: Arc::clone(listed) })),
        (Direction::Egress, None) | (Direction::Ingress, _) => None,
    },
};

#[derive(Debug)]
struct ListedCaller {
    listed: Arc<[ClientId]>,
}

impl Policy for ListedCaller {
    fn check(&self, facts: &RequestFacts<'_>) -> PolicyVerdict {
        match facts.caller {
            Some(caller) if self.listed.contains(&caller.client) => PolicyVerdict::Allow,
            Some(caller) => {
                let detail = format!("'{}' is not among the contract's callers", caller.client.as_str());
                PolicyVerdict::Deny(Denial::new(Reason::CallerNotAllowed, detail))
            }
            None => {
                let detail = "the contract lists its callers, and nothing proves which service calls";
                PolicyVerdict::Deny(Denial::new(Reason::CallerUnknown, detail))
            }
        }
    }
}
