//! `fleet:` of the main file as it is written in YAML.

use schemars::JsonSchema;
use serde::Deserialize;

use super::DurationText;
use crate::fleet::{OnFleetLoss, OnFleetStart};

/// The gateways that share kills and budgets with this one, by a Redis or Valkey server.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct FleetConfig {
    /// The server: redis://host:6379, or rediss:// for TLS; redis+sentinel://host,host/master behind sentinels;
    /// redis+cluster://host,host for a cluster.
    #[schemars(required, example = "rediss://redis.internal:6379")]
    pub(in crate::config) redis: Option<String>,
    /// The fleet's name, the same on all of its gateways (default default).
    #[schemars(example = "eu-prod")]
    pub(in crate::config) name: Option<String>,
    /// This gateway's name, which no other gateway of the fleet has (default the machine's name).
    #[schemars(example = "gw-eu-1")]
    pub(in crate::config) node: Option<String>,
    /// TLS with the server, beyond the machine's own authorities.
    pub(in crate::config) tls: Option<FleetTlsConfig>,
    /// The user at the server (default its default user).
    #[schemars(example = &"vendorgate")]
    pub(in crate::config) user: Option<String>,
    /// The file of the user's password; not readable by everyone.
    #[schemars(example = "secrets/redis")]
    pub(in crate::config) password_file: Option<String>,
    /// What a start does when it has waited in vain for the first sync (default last_state).
    pub(in crate::config) on_start: Option<OnFleetStart>,
    /// How long a start waits for the first sync (default 10s, at most 10m).
    pub(in crate::config) start_wait: Option<DurationText>,
    /// What is left of budgets while the server is away (default share).
    pub(in crate::config) on_loss: Option<OnFleetLoss>,
}

/// TLS with the server. Paths are relative to the file that names them.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct FleetTlsConfig {
    /// The authorities that may vouch for the server, PEM.
    #[schemars(example = "tls/redis-ca.pem")]
    pub(in crate::config) ca: Option<String>,
    /// Our certificate chain, PEM.
    #[schemars(example = "tls/redis-client.pem")]
    pub(in crate::config) cert: Option<String>,
    /// Its private key, PEM.
    #[schemars(example = "tls/redis-client.key")]
    pub(in crate::config) key: Option<String>,
}
