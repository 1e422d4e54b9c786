//! All policies of one vendor and direction, evaluated in order; the only maker of permits.

use super::{CATALOG, ContractTerms, Policy, PolicyStage, PolicyVerdict, RequestFacts};
use crate::meter;
use crate::model::Denial;

/// The policies of one vendor and direction.
#[derive(Debug)]
pub struct PolicyChain(Box<[PolicyLink]>);

#[derive(Debug)]
struct PolicyLink {
    name: &'static str,
    stage: PolicyStage,
    policy: Box<dyn Policy>,
}

/// The proof that every policy let a request pass. Only [`PolicyChain::evaluate`] makes one, and an upstream is sent
/// nothing without one.
#[derive(Debug)]
#[must_use = "dropping a permit gives its slots back"]
pub struct Permit {
    /// The slots, given back when this is dropped, and the state of the request rates.
    limits: Option<meter::MeterPermit>,
}

impl Permit {
    /// The state of the vendor's request rates right after this request; `None` where no policy limits them.
    pub fn rates(&self) -> Option<&meter::RateDecision> {
        self.limits.as_ref().map(|permit| &permit.decision)
    }
}

/// One step of an explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyStep {
    /// The name of the policy.
    pub policy: &'static str,
    /// Its denial; `None` where the request may pass.
    pub denial: Option<Denial>,
}

impl PolicyChain {
    /// Makes the policies that these terms ask for.
    pub fn new(terms: &ContractTerms) -> Self {
        let link = |kind: &super::PolicyKind| {
            (kind.build)(terms).map(|policy| PolicyLink { name: kind.name, stage: kind.stage, policy })
        };
        Self(CATALOG.iter().filter_map(link).collect())
    }

    /// Runs every policy, in order, until one denies.
    ///
    /// # Errors
    /// The first denial. Slots that were taken before it are given back.
    pub fn evaluate(&self, facts: &RequestFacts<'_>) -> Result<Permit, Box<meter::LimitExceeded>> {
        let mut limits = None;
        for link in &self.0 {
            match link.policy.check(facts) {
                PolicyVerdict::Allow => {}
                PolicyVerdict::Hold(permit) => limits = Some(permit),
                PolicyVerdict::Deny(denial) => return Err(Box::new(denial.into())),
                PolicyVerdict::OverLimit(refused) => return Err(refused),
            }
        }
        Ok(Permit { limits })
    }

    /// The answers of all policies that spend nothing, in order, for `vendorgate explain`.
    pub fn explain(&self, facts: &RequestFacts<'_>) -> Vec<PolicyStep> {
        let step = |link: &PolicyLink| match link.policy.check(facts) {
            PolicyVerdict::Allow | PolicyVerdict::Hold(_) => PolicyStep { policy: link.name, denial: None },
            PolicyVerdict::Deny(denial) => PolicyStep { policy: link.name, denial: Some(denial) },
            PolicyVerdict::OverLimit(refused) => PolicyStep { policy: link.name, denial: Some(refused.denial) },
        };
        self.0.iter().filter(|link| link.stage != PolicyStage::Spend).map(step).collect()
    }
}
