//! `callers:` of the main file as it is written in YAML.

use schemars::JsonSchema;
use serde::Deserialize;

/// One of our services, and what proves that a request is its own: any of these.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct CallerConfig {
    /// Its user, where the egress listener is a Unix socket.
    #[schemars(example = 1001)]
    pub(in crate::config) uid: Option<u32>,
    /// A name in its certificate: a URI, such as a SPIFFE id, or a DNS name.
    #[schemars(example = "spiffe://example.com/checkout")]
    pub(in crate::config) certificate: Option<String>,
    /// SHA-256 of its token, 64 hexadecimal digits.
    #[schemars(extend("pattern" = r"^([0-9a-f]{64}|.*\$\{.*)$"))]
    pub(in crate::config) token_sha256: Option<String>,
}
