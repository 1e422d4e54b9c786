//! Checks the residency policy, and proves it for each contract and each message that leaves.
//!
//! A message leaves as the response of an ingress route or the request of an egress route. What it names must leave in
//! a form that the policy allows; what detectors find in the rest is masked or redacted by them. A field whose category
//! nothing tells is not judged.

use std::collections::BTreeMap;

use super::category;
use super::clear::covers_all;
use crate::config::contract::{Contract, ContractRoute, ContractRoutes};
use crate::config::file::residency::{CategoryRegionsConfig, ResidencyConfig};
use crate::config::reach::TunnelMode;
use crate::config::residency::{CategoryRegions, MayLeave, ResidencyPolicy};
use crate::config::source::Cursor;
use crate::model::{Category, Direction, FieldPath, UnixTime, VendorId};
use crate::pii::{DetectAction, DetectRule, Detector, PiiKind, Rule, Rules, TreatmentKind, ValueLocation};

/// The policy of a file.
pub(in crate::config) fn policy(at: &Cursor<'_>, written: &ResidencyConfig, file: String) -> ResidencyPolicy {
    let otherwise = written.otherwise.unwrap_or(MayLeave::Never);
    let mut categories = BTreeMap::new();
    for (key, regions) in written.categories.iter().flatten() {
        let at = at.key("categories").key(key);
        categories.extend(category::parsed(&at, key).map(|category| (category, regions_of(&at, regions, otherwise))));
    }
    let mut vendors = BTreeMap::new();
    for (id, lines) in written.vendors.iter().flatten() {
        let at = at.key("vendors").key(id);
        let lines = lines.iter().filter_map(|(key, may)| Some((category::parsed(&at.key(key), key)?, *may))).collect();
        match VendorId::parse(id) {
            Ok(vendor) => vendors.extend([(vendor, lines)]),
            Err(error) => at.fault(format!("{error} (got {id})"), "write the id of a contract's vendor"),
        }
    }
    let (detects, requires_only) = (written.detect.unwrap_or(true), written.require_only.unwrap_or(false));
    ResidencyPolicy { file, otherwise, categories, vendors, detects, requires_only }
}

fn regions_of(at: &Cursor<'_>, written: &CategoryRegionsConfig, otherwise: MayLeave) -> CategoryRegions {
    let CategoryRegionsConfig { clear, treated, never, elsewhere } = written;
    let mut regions = BTreeMap::new();
    for (may, list) in [(MayLeave::Clear, clear), (MayLeave::Treated, treated), (MayLeave::Never, never)] {
        for (i, region) in list.iter().flatten().enumerate() {
            let at = at.key(may.as_str()).item(i);
            if region.trim().is_empty() {
                at.fault("must not be empty", "write a region as contracts name it");
            } else if regions.insert(region.to_lowercase(), may).is_some() {
                at.invalid_with_remedy("is listed twice", "take one of them out");
            }
        }
    }
    if regions.is_empty() && elsewhere.is_none() {
        at.fault("says nothing", "write clear: [eu], treated: [us] or elsewhere: never");
    }
    CategoryRegions { regions, elsewhere: elsewhere.unwrap_or(otherwise) }
}

/// Warns of lines for vendors that have no contract: a misspelt id would be an exception that never holds.
pub(in crate::config) fn check_named(at: &Cursor<'_>, policy: &ResidencyPolicy, contracts: &[(Cursor<'_>, Contract)]) {
    for vendor in policy.vendors.keys() {
        if !contracts.iter().any(|(_, contract)| contract.vendor == *vendor) {
            at.key("vendors").key(vendor.as_str()).warning("has no contract here", "correct the id, or take it out");
        }
    }
}

/// Proves the policy for a contract without faults, and gives its rules the detectors that hold it.
pub(in crate::config) fn prove(at: &Cursor<'_>, contract: &mut Contract, policy: &ResidencyPolicy, now: UnixTime) {
    if contract.region.is_empty() {
        let wrong = format!("is missing: {} says what may leave by region", policy.file);
        at.key("region").fault(wrong, "write where the vendor processes data, such as region: eu");
        return;
    }
    let proof = Proof { policy, vendor: &contract.vendor, region: &contract.region };
    if let Some((category, may)) = proof.restricted() {
        let said = proof.said(&category, may);
        if contract.observes(now).is_some() {
            at.key("mode").fault(format!("lets everything leave as it is, and {said}"), "write mode: enforce");
        }
        if contract.reach.tunnel == TunnelMode::Opaque {
            let wrong = format!("passes bytes that nothing reads, and {said}");
            at.key("egress").key("tunnel").fault(wrong, "write intercept or refuse");
        }
    }
    let ingress = proof.routes(&at.key("ingress"), Direction::Ingress, &contract.ingress);
    let egress = proof.routes(&at.key("egress").key("routes"), Direction::Egress, &contract.egress);
    // The same routes again: they had no conflict.
    contract.ingress = ContractRoutes::new(ingress).unwrap_or_default();
    contract.egress = ContractRoutes::new(egress).unwrap_or_default();
}

/// What is judged of one contract.
struct Proof<'a> {
    policy: &'a ResidencyPolicy,
    vendor: &'a VendorId,
    region: &'a str,
}

impl Proof<'_> {
    fn verdict(&self, category: &Category) -> MayLeave {
        self.policy.verdict(self.vendor, self.region, category)
    }

    /// What the policy says, for a fault.
    fn said(&self, category: &Category, may: MayLeave) -> String {
        let form = match may {
            MayLeave::Clear => "may leave as it is",
            MayLeave::Treated => "may leave only treated",
            MayLeave::Never => "may never leave",
        };
        format!("{category} {form} to {} in {} ({})", self.vendor, self.region, self.policy.file)
    }

    /// A category that may not leave as it is, whether or not a detector finds it.
    fn restricted(&self) -> Option<(Category, MayLeave)> {
        let own = self.policy.vendors.get(self.vendor).into_iter().flat_map(BTreeMap::keys);
        let detected = PiiKind::ALL.into_iter().map(kind_category);
        let all = detected.chain([Category::personal_data()]);
        let all = all.chain(self.policy.categories.keys().chain(own).cloned());
        all.map(|category| (self.verdict(&category), category))
            .find(|(may, _)| *may != MayLeave::Clear)
            .map(|(may, category)| (category, may))
    }

    /// The kinds that detectors find and that may not leave as they are.
    fn detected(&self) -> Vec<(PiiKind, MayLeave)> {
        let judged = PiiKind::ALL.into_iter().map(|kind| (kind, self.verdict(&kind_category(kind))));
        judged.filter(|(_, may)| *may != MayLeave::Clear).collect()
    }

    fn routes(&self, at: &Cursor<'_>, direction: Direction, routes: &ContractRoutes) -> Vec<ContractRoute> {
        let mut routes = routes.as_slice().to_vec();
        for (i, route) in routes.iter_mut().enumerate() {
            let at = at.item(i);
            let (message, rules) = match direction {
                Direction::Ingress => ("response", &mut route.response),
                Direction::Egress => ("request", &mut route.request),
            };
            if direction == Direction::Egress {
                let captures: Vec<_> = route.pattern.capture_names().collect();
                self.captures(&at.key("route"), &captures, rules);
            }
            self.message(&at.key(message), rules);
            let unread = (route.websocket && !rules.reads_body()).then(|| self.restricted()).flatten();
            if let Some((category, may)) = unread {
                let wrong = format!("passes messages that nothing reads, and {}", self.said(&category, may));
                at.key("websocket").fault(wrong, format!("write {{ messages: text }} and rules under {message}"));
            } else if self.policy.detects {
                self.detectors(rules);
            }
        }
        routes
    }

    fn captures(&self, at: &Cursor<'_>, names: &[&str], rules: &Rules) {
        for name in names {
            let location = ValueLocation::Segment((*name).into());
            let Some(category) = Category::of_field(name) else { continue };
            let may = self.verdict(&category);
            if may != MayLeave::Clear && !rules.treat.iter().any(|rule| rule.location == location) {
                let wrong = format!("{{{name}}} leaves in clear in the path, and {}", self.said(&category, may));
                at.fault(wrong, format!("write pii: [{{ segment: {name}, as: {} }}]", advised(may)));
            }
        }
    }

    fn message(&self, at: &Cursor<'_>, rules: &Rules) {
        for (i, rule) in rules.treat.iter().enumerate() {
            self.rule(&at.key("pii").item(i), rule, &rules.treat[i + 1..]);
        }
        for (key, list) in [("only", rules.only.as_deref().unwrap_or_default()), ("clear", &rules.clear)] {
            for (i, path) in list.iter().enumerate() {
                self.in_clear(&at.key(key).item(i), path, rules);
            }
        }
        if rules.only.is_none() && self.policy.requires_only {
            let wrong = format!("lets every field leave that no rule names, and {} asks for a list", self.policy.file);
            at.key("only").fault(wrong, "write only: [\"$.id\"] with the fields that the vendor needs");
        }
        if let Some(detect) = &rules.detect {
            self.written_detectors(&at.key("detect"), detect);
        }
    }

    fn rule(&self, at: &Cursor<'_>, rule: &Rule, later: &[Rule]) {
        let (category, may) = match &rule.category {
            Some(category) => (category.clone(), self.verdict(category)),
            None => {
                let all = Category::personal_data();
                let may = self.policy.exactly(self.vendor, self.region, &all);
                (all, may)
            }
        };
        let leaves_nothing = matches!(rule.treatment.kind(), TreatmentKind::Redact | TreatmentKind::Drop);
        if may == MayLeave::Never && !leaves_nothing {
            let wrong = format!("leaves something of {}, and {}", rule.location, self.said(&category, may));
            at.key("as").fault(wrong, "write redact or drop");
        }
        let all_types = |other: &Rule| other.location == rule.location && other.only_type.is_none();
        if may != MayLeave::Clear && rule.only_type.is_some() && !later.iter().any(all_types) {
            let wrong = format!("lets values of other types leave in clear, and {}", self.said(&category, may));
            at.key("type").fault(wrong, "take it out, or add a rule for the other types");
        }
    }

    /// A listed field, of which all that no rule treats leaves in clear.
    fn in_clear(&self, at: &Cursor<'_>, path: &FieldPath, rules: &Rules) {
        let listed = rules.categories.iter().find(|(listed, _)| listed == path).map(|(_, category)| category.clone());
        let Some(category) = listed.unwrap_or_else(|| Category::of_path(path)) else { return };
        let may = self.verdict(&category);
        let treats = |rule: &Rule| rule.location.field().is_some_and(|treated| covers_all(treated, path));
        if may != MayLeave::Clear && !rules.treat.iter().any(treats) {
            let wrong = format!("leaves in clear, and {}", self.said(&category, may));
            let instead = format!("add {{ field: \"{path}\", as: {} }} to pii, or take it out here", advised(may));
            at.invalid_with_remedy(wrong, instead);
        }
    }

    fn written_detectors(&self, at: &Cursor<'_>, detect: &DetectRule) {
        for (kind, may) in self.detected().into_iter().filter(|(kind, _)| detect.kinds().any(|own| own == *kind)) {
            if detect.action_for(kind).leaves() > required(may).leaves() {
                let wrong = format!(
                    "finds {} and leaves too much of it: {}",
                    kind.as_str(),
                    self.said(&kind_category(kind), may)
                );
                at.key("as").fault(wrong, if may == MayLeave::Never { "write redact" } else { "write mask or redact" });
                return;
            }
        }
    }

    /// Adds the kinds that may not leave in clear to the detectors of a message.
    fn detectors(&self, rules: &mut Rules) {
        let detected = self.detected();
        if detected.is_empty() {
            return;
        }
        let mut detect =
            rules.detect.take().unwrap_or_else(|| DetectRule::new(Detector::new([]), DetectAction::Redact));
        for (kind, may) in detected {
            if !detect.kinds().any(|own| own == kind) {
                detect = detect.with(kind, required(may));
            }
        }
        rules.detect = Some(detect);
    }
}

/// The category of what a detector finds; all personal data for a kind that none is known of.
fn kind_category(kind: PiiKind) -> Category {
    kind.category().unwrap_or_else(Category::personal_data)
}

/// What detectors do at least about a find that may leave in this form.
const fn required(may: MayLeave) -> DetectAction {
    match may {
        MayLeave::Clear => DetectAction::Report,
        MayLeave::Treated => DetectAction::Mask,
        MayLeave::Never => DetectAction::Redact,
    }
}

const fn advised(may: MayLeave) -> &'static str {
    match may {
        MayLeave::Clear | MayLeave::Treated => "tokenize",
        MayLeave::Never => "redact",
    }
}
