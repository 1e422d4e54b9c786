//! All rules of one vendor and direction, asked in order; the only maker of permits.

use super::{CATALOG, Facts, Policy, Stage, Terms, Verdict};
use crate::meter;
use crate::model::Denial;

/// The rules of one vendor and direction.
#[derive(Debug)]
pub struct Chain(Box<[Link]>);

#[derive(Debug)]
struct Link {
    name: &'static str,
    stage: Stage,
    rule: Box<dyn Policy>,
}

/// The proof of a yes. Nothing is forwarded without one, and only [`Chain::evaluate`] makes one.
#[derive(Debug)]
#[must_use = "a permit that nobody holds gives its slot back"]
pub struct Permit {
    /// Slots to give back when the exchange is over, and how the rates stand.
    held: Option<meter::InFlight>,
}

impl Permit {
    /// How the vendor's request rates stood right after this request.
    pub fn rates(&self) -> Option<&meter::Decision> {
        self.held.as_ref().map(|held| &held.decision)
    }
}

/// One step of an explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The rule.
    pub policy: &'static str,
    /// What it said; `None` for yes.
    pub denial: Option<Denial>,
}

impl Chain {
    /// Makes the rules that these terms ask for.
    pub fn new(terms: &Terms) -> Self {
        let link =
            |kind: &super::Kind| (kind.build)(terms).map(|rule| Link { name: kind.name, stage: kind.stage, rule });
        Self(CATALOG.iter().filter_map(link).collect())
    }

    /// Asks every rule, in order, until one denies.
    ///
    /// # Errors
    /// The first denial. Rules that had given a slot take it back.
    pub fn evaluate(&self, facts: &Facts<'_>) -> Result<Permit, Box<meter::NotAdmitted>> {
        let mut held = None;
        for link in &self.0 {
            match link.rule.check(facts) {
                Verdict::Allow => {}
                Verdict::Hold(more) => held = Some(more),
                Verdict::Deny(denial) => return Err(Box::new(denial.into())),
                Verdict::Spent(refused) => return Err(refused),
            }
        }
        Ok(Permit { held })
    }

    /// What each rule that spends nothing says, in order, for people who ask why.
    pub fn explain(&self, facts: &Facts<'_>) -> Vec<Step> {
        let step = |link: &Link| match link.rule.check(facts) {
            Verdict::Allow | Verdict::Hold(_) => Step { policy: link.name, denial: None },
            Verdict::Deny(denial) => Step { policy: link.name, denial: Some(denial) },
            Verdict::Spent(refused) => Step { policy: link.name, denial: Some(refused.denial) },
        };
        self.0.iter().filter(|link| link.stage != Stage::Spend).map(step).collect()
    }
}
