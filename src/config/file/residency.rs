//! The residency policy as it is written in YAML.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::residency::MayLeave;

/// residency.yaml: which category of personal data may leave to which region, and in which form.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct ResidencyConfig {
    /// What holds for every category and region that nothing below names.
    #[schemars(required)]
    pub(in crate::config) otherwise: Option<MayLeave>,
    /// By category (a key of fideslang, or one of your own that begins with `x.`): the regions. The most exact category
    /// decides.
    pub(in crate::config) categories: Option<BTreeMap<String, CategoryRegionsConfig>>,
    /// By vendor and category: what holds for that vendor, wherever it processes data.
    pub(in crate::config) vendors: Option<BTreeMap<String, BTreeMap<String, MayLeave>>>,
    /// Whether detectors look through every body that leaves for what may not leave in clear there, and mask or redact
    /// it (default true). Bodies that cannot be read are then refused.
    pub(in crate::config) detect: Option<bool>,
    /// Whether every message that leaves must list its fields under `only` (default false: the policy is proven for
    /// fields that a contract names, and held for what detectors find).
    pub(in crate::config) require_only: Option<bool>,
}

/// To which regions a category may leave, and in which form. Regions are those that contracts name.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct CategoryRegionsConfig {
    /// Regions to which it may leave as it is.
    #[schemars(extend("examples" = [["eu"]]))]
    pub(in crate::config) clear: Option<Vec<String>>,
    /// Regions to which it may leave once treated: tokenized, hashed, encrypted, masked or generalized.
    #[schemars(extend("examples" = [["us"]]))]
    pub(in crate::config) treated: Option<Vec<String>>,
    /// Regions to which nothing of it may leave: it is redacted or dropped.
    #[schemars(extend("examples" = [["cn"]]))]
    pub(in crate::config) never: Option<Vec<String>>,
    /// What holds for all other regions (default what `otherwise` says).
    pub(in crate::config) elsewhere: Option<MayLeave>,
}
