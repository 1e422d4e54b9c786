//! What a caller gets where an upstream gives no answer, as it is written in YAML.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::DurationText;

/// What a caller gets while the upstream is unreachable, does not answer in time, or its circuit is open; on egress
/// also while the vendor is killed.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct FallbackConfig {
    /// The last good answer to the same GET, up to this age. Only on egress.
    #[schemars(extend("examples" = ["10m"]))]
    pub(in crate::config) last_good: Option<DurationText>,
    /// The status (default 200).
    #[schemars(range(min = 200, max = 599), example = 200)]
    pub(in crate::config) status: Option<u16>,
    /// Header fields.
    #[schemars(extend("examples" = [{ "Cache-Control": "no-store" }]))]
    pub(in crate::config) headers: Option<BTreeMap<String, String>>,
    /// The body.
    #[schemars(example = &r#"{"recommendations": []}"#)]
    pub(in crate::config) body: Option<String>,
    /// A file with the body.
    #[schemars(example = &"fallbacks/recommendations.json")]
    pub(in crate::config) body_file: Option<String>,
    /// The content type of the body (default application/json, where the body is JSON).
    #[schemars(example = &"application/json")]
    pub(in crate::config) content_type: Option<String>,
}
