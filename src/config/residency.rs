//! The residency policy: which category of personal data may leave to which region, and in which form.
//!
//! Errs on one side: a category that stands for several is judged by the strictest of them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::model::{Category, VendorId, words};

words! {
    /// In which form a category may leave, the strictest last.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    pub(super) enum MayLeave {
        /// As it is.
        Clear = "clear",
        /// Tokenized, hashed, encrypted, masked or generalized; redacted or dropped too.
        Treated = "treated",
        /// Nothing of it: redacted or dropped.
        Never = "never",
    }
}

/// The checked policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ResidencyPolicy {
    /// The file, as faults of contracts name it.
    pub(super) file: String,
    /// What holds where nothing else is said.
    pub(super) otherwise: MayLeave,
    /// By category.
    pub(super) categories: BTreeMap<Category, CategoryRegions>,
    /// By vendor, whatever its region is.
    pub(super) vendors: BTreeMap<VendorId, BTreeMap<Category, MayLeave>>,
    /// Whether detectors hold the policy in bodies.
    pub(super) detects: bool,
    /// Whether what leaves must list its fields.
    pub(super) requires_only: bool,
}

/// The regions of one category.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CategoryRegions {
    /// Each region is named once.
    pub(super) regions: BTreeMap<String, MayLeave>,
    /// What holds for all others.
    pub(super) elsewhere: MayLeave,
}

impl ResidencyPolicy {
    /// In which form values of a category may leave to a vendor: the strictest of what holds for the category and for
    /// each one below it that the policy names.
    pub(super) fn verdict(&self, vendor: &VendorId, region: &str, category: &Category) -> MayLeave {
        let named = self.categories.keys().chain(self.vendors.get(vendor).into_iter().flat_map(BTreeMap::keys));
        let below = named.filter(|named| category.covers(named));
        below.chain([category]).map(|one| self.exactly(vendor, region, one)).max().unwrap_or(self.otherwise)
    }

    /// What holds for the category alone, by the vendor's own line or else by the region, the most exact line first.
    pub(super) fn exactly(&self, vendor: &VendorId, region: &str, category: &Category) -> MayLeave {
        let own = self.vendors.get(vendor).and_then(|lines| most_exact(lines, category)).copied();
        let of_region = || {
            let regions = most_exact(&self.categories, category)?;
            Some(regions.regions.get(&region.to_lowercase()).copied().unwrap_or(regions.elsewhere))
        };
        own.or_else(of_region).unwrap_or(self.otherwise)
    }
}

fn most_exact<'a, T>(lines: &'a BTreeMap<Category, T>, category: &Category) -> Option<&'a T> {
    let covering = lines.iter().filter(|(named, _)| named.covers(category));
    covering.max_by_key(|(named, _)| named.as_str().len()).map(|(_, line)| line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_exact_line_decides_and_a_broad_category_is_judged_by_the_strictest() {
        let category = |key: &str| Category::parse(key).unwrap();
        let vendor = |id: &str| VendorId::parse(id).unwrap();
        let regions = |regions: &[(&str, MayLeave)], elsewhere| CategoryRegions {
            regions: regions.iter().map(|(region, may)| ((*region).to_owned(), *may)).collect(),
            elsewhere,
        };
        let policy = ResidencyPolicy {
            file: "residency.yaml".to_owned(),
            otherwise: MayLeave::Treated,
            categories: [
                (category("user.contact"), regions(&[("eu", MayLeave::Clear)], MayLeave::Treated)),
                (category("user.contact.email"), regions(&[("us", MayLeave::Never)], MayLeave::Clear)),
            ]
            .into(),
            vendors: [(vendor("courier"), [(category("user.contact.phone_number"), MayLeave::Clear)].into())].into(),
            detects: true,
            requires_only: false,
        };
        for (who, region, key, expected) in [
            ("acme", "eu", "user.contact.address.city", MayLeave::Clear),
            ("acme", "EU", "user.contact.address.city", MayLeave::Clear),
            ("acme", "us", "user.contact.phone_number", MayLeave::Treated),
            ("acme", "us", "user.contact.email", MayLeave::Never),
            ("acme", "in", "user.contact.email", MayLeave::Clear),
            ("acme", "us", "user.contact", MayLeave::Never),
            ("acme", "us", "user", MayLeave::Never),
            ("acme", "us", "user.name", MayLeave::Treated),
            ("courier", "us", "user.contact.phone_number", MayLeave::Clear),
            ("courier", "us", "user.contact.email", MayLeave::Never),
            ("acme", "us", "x.loyalty", MayLeave::Treated),
        ] {
            assert_eq!(policy.verdict(&vendor(who), region, &category(key)), expected, "{who} {region} {key}");
        }
        assert_eq!(policy.exactly(&vendor("acme"), "us", &category("user")), MayLeave::Treated);
    }
}
