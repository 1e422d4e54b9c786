//! All policies of one vendor and direction, evaluated in order; the only maker of permits.

use super::{CATALOG, ContractTerms, Policy, PolicyStage, PolicyVerdict, RequestFacts};
use crate::meter;
use crate::model::{Denial, Moment, Reason, UnixTime};

/// The policies of one vendor and direction.
#[derive(Debug)]
pub struct PolicyChain {
    links: Box<[PolicyLink]>,
    /// With `Some`, the chain only reports until then what links after the first stage would deny.
    observe_until: Option<UnixTime>,
}

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
    /// What the policies would have denied, where the contract only observes.
    would_deny: Vec<Denial>,
}

impl Permit {
    /// The state of the vendor's request rates right after this request; `None` where no policy limits them.
    pub fn rates(&self) -> Option<&meter::RateDecision> {
        self.limits.as_ref().map(|permit| &permit.decision)
    }

    /// What the policies would have denied; empty unless the contract only observes.
    pub fn would_deny(&self) -> &[Denial] {
        &self.would_deny
    }
}

/// One step of an explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyStep {
    /// The name of the policy.
    pub policy: &'static str,
    /// Its denial; `None` where the request may pass.
    pub denial: Option<Denial>,
    /// Whether the denial is only reported, because the contract observes.
    pub is_reported: bool,
}

impl PolicyChain {
    /// Makes the policies that these terms ask for.
    pub fn new(terms: &ContractTerms) -> Self {
        let link = |kind: &super::PolicyKind| {
            (kind.build)(terms).map(|policy| PolicyLink { name: kind.name, stage: kind.stage, policy })
        };
        let links = CATALOG.iter().filter_map(link).collect();
        Self { links, observe_until: terms.observe_until }
    }

    /// Runs every policy, in order, until one denies. Where the contract observes, a denial after the first stage is
    /// kept in the permit, and the next policy runs.
    ///
    /// # Errors
    /// The first denial. Slots that were taken before it are given back.
    pub fn evaluate(&self, facts: &RequestFacts<'_>) -> Result<Permit, Box<meter::LimitExceeded>> {
        self.check_observed(facts.now)?;
        let mut permit = Permit { limits: None, would_deny: Vec::new() };
        for link in &self.links {
            let denied = match link.policy.check(facts) {
                PolicyVerdict::Allow => continue,
                PolicyVerdict::Hold(limits) => {
                    permit.limits = Some(limits);
                    continue;
                }
                PolicyVerdict::Deny(denial) => Box::new(denial.into()),
                PolicyVerdict::OverLimit(refused) => refused,
            };
            if !self.reports(link) {
                return Err(denied);
            }
            permit.would_deny.push(denied.denial);
        }
        Ok(permit)
    }

    /// The answers of all policies that spend nothing, in order, for `vendorgate explain`.
    pub fn explain(&self, facts: &RequestFacts<'_>) -> Vec<PolicyStep> {
        let step = |link: &PolicyLink| {
            let denial = match link.policy.check(facts) {
                PolicyVerdict::Allow | PolicyVerdict::Hold(_) => None,
                PolicyVerdict::Deny(denial) => Some(denial),
                PolicyVerdict::OverLimit(refused) => Some(refused.denial),
            };
            PolicyStep { policy: link.name, denial, is_reported: self.reports(link) }
        };
        self.links.iter().filter(|link| link.stage != PolicyStage::Spend).map(step).collect()
    }

    /// The one decision of `mode: observe`: who may call, the contract's days and kills still hold.
    fn reports(&self, link: &PolicyLink) -> bool {
        self.observe_until.is_some() && link.stage != PolicyStage::Screen
    }

    /// Refuses all requests from the end of the observation on: this chain was made to observe, so nothing may pass
    /// until the one that enforces has taken its place, within a second.
    fn check_observed(&self, now: Moment) -> Result<(), Box<meter::LimitExceeded>> {
        match self.observe_until {
            Some(until) if now.wall >= until => {
                let detail = "the observation has ended, and the enforced contract is not in force yet";
                Err(Box::new(Denial::new(Reason::Overloaded, detail).into()))
            }
            Some(_) | None => Ok(()),
        }
    }
}
