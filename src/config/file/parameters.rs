//! `query:`, `headers:` and `params:` of a route as they are written in YAML.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::parameters::{OtherNames, ParameterType};

/// The only names that pass.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct AllowListConfig {
    /// The names. An empty list allows none.
    #[schemars(required, extend("examples" = [["page", "limit"]]))]
    pub(in crate::config) allow: Option<Vec<String>>,
    /// What happens to others: refuse (default) or drop.
    pub(in crate::config) other: Option<OtherNames>,
}

/// The form of parameters, by their names.
pub(in crate::config) type ParameterConfigs = BTreeMap<String, ParameterConfig>;

/// The form of a parameter.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct ParameterConfig {
    /// The type of its text (default string).
    #[serde(rename = "type")]
    pub(in crate::config) kind: Option<ParameterType>,
    /// A regular expression that the whole text must match, without look-around and back references.
    #[schemars(example = &"[a-z]{2,16}")]
    pub(in crate::config) pattern: Option<String>,
    /// Most characters.
    #[schemars(range(min = 1, max = 4_096), example = 64)]
    pub(in crate::config) max_length: Option<u16>,
}
