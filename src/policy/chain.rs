//! All rules of one vendor and direction, asked in order; the only maker of permits.

use super::{CATALOG, ContractTerms, Policy, PolicyStage, PolicyVerdict, RequestFacts};
use crate::meter;
use crate::model::Denial;

/// The rules of one vendor and direction.
#[derive(Debug)]
pub struct PolicyChain(Box<[PolicyLink]>);

#[derive(Debug)]
struct PolicyLink {
    name: &'static str,
    stage: PolicyStage,
    rule: Box<dyn Policy>,
}

/// The proof of a yes. Nothing is forwarded without one, and only [`PolicyChain::evaluate`] makes one.
#[derive(Debug)]
#[must_use = "a permit that nobody holds gives its slot back"]
pub struct Permit {
    /// Slots to give back when the exchange is over, and how the rates stand.
    held: Option<meter::MeterPermit>,
}

impl Permit {
    /// How the vendor's request rates stood right after this request.
    pub fn rates(&self) -> Option<&meter::RateDecision> {
        self.held.as_ref().map(|held| &held.decision)
    }
}

/// One step of an explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyStep {
    /// The rule.
    pub policy: &'static str,
    /// What it said; `None` for yes.
    pub denial: Option<Denial>,
}

impl PolicyChain {
    /// Makes the rules that these terms ask for.
    pub fn new(terms: &ContractTerms) -> Self {
        let link = |kind: &super::PolicyKind| {
            (kind.build)(terms).map(|rule| PolicyLink { name: kind.name, stage: kind.stage, rule })
        };
        Self(CATALOG.iter().filter_map(link).collect())
    }

    /// Asks every rule, in order, until one denies.
    ///
    /// # Errors
    /// The first denial. Rules that had given a slot take it back.
    pub fn evaluate(&self, facts: &RequestFacts<'_>) -> Result<Permit, Box<meter::LimitExceeded>> {
        let mut held = None;
        for link in &self.0 {
            match link.rule.check(facts) {
                PolicyVerdict::Allow => {}
                PolicyVerdict::Hold(more) => held = Some(more),
                PolicyVerdict::Deny(denial) => return Err(Box::new(denial.into())),
                PolicyVerdict::OverLimit(refused) => return Err(refused),
            }
        }
        Ok(Permit { held })
    }

    /// What each rule that spends nothing says, in order, for people who ask why.
    pub fn explain(&self, facts: &RequestFacts<'_>) -> Vec<PolicyStep> {
        let step = |link: &PolicyLink| match link.rule.check(facts) {
            PolicyVerdict::Allow | PolicyVerdict::Hold(_) => PolicyStep { policy: link.name, denial: None },
            PolicyVerdict::Deny(denial) => PolicyStep { policy: link.name, denial: Some(denial) },
            PolicyVerdict::OverLimit(refused) => PolicyStep { policy: link.name, denial: Some(refused.denial) },
        };
        self.0.iter().filter(|link| link.stage != PolicyStage::Spend).map(step).collect()
    }
}
