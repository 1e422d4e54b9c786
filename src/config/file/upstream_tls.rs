//! `tls:` of an upstream as it is written in YAML.

use schemars::JsonSchema;
use serde::Deserialize;

/// TLS with an upstream, 1.2 or later. Paths are relative to the file that names them.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct UpstreamTlsConfig {
    /// The authorities that vouch for the upstream, PEM (default those of the machine).
    #[schemars(example = "tls/acme-ca.pem")]
    pub(in crate::config) ca: Option<String>,
    /// The keys that the upstream's own certificate may have: SHA-256 of the public key (SPKI), in base64. Write the
    /// next key beside the current one before it is in use.
    #[schemars(extend("examples" = [["47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="]]))]
    pub(in crate::config) pins: Option<Vec<String>>,
    /// The certificate that the gateway shows, PEM.
    #[schemars(example = "tls/acme-client.pem")]
    pub(in crate::config) cert: Option<String>,
    /// Its private key, PEM.
    #[schemars(example = "tls/acme-client.key")]
    pub(in crate::config) key: Option<String>,
}
