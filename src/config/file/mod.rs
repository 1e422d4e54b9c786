//! The main file and the operators' file as they are written in YAML.
//!
//! Every field is optional here. The schema, which is derived from these types, says which are required, so that one
//! pass can report all that are missing. `check` makes settings of these types.

pub(in crate::config) mod callers;
pub(in crate::config) mod contract;
pub(in crate::config) mod credentials;
pub(in crate::config) mod egress_listener;
pub(in crate::config) mod evidence;
pub(in crate::config) mod fallback;
pub(in crate::config) mod fleet;
pub(in crate::config) mod identity;
pub(in crate::config) mod parameters;
pub(in crate::config) mod records;
pub(in crate::config) mod residency;
pub(in crate::config) mod route;
pub(in crate::config) mod upstream;
pub(in crate::config) mod upstream_tls;
pub(in crate::config) mod webhook;
pub(in crate::config) mod websocket;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::settings::OperatorRole;
use crate::telemetry::log::LogFormat;
use crate::upstream::{BalanceMethod, HttpProtocol};

/// vendorgate.yaml: where the gateway listens, which APIs it calls, and where its contracts are.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct MainConfig {
    /// The sockets, by direction.
    #[schemars(required)]
    pub(in crate::config) listeners: Option<ListenersConfig>,
    /// Where durable state is kept.
    #[schemars(required)]
    pub(in crate::config) state: Option<StateConfig>,
    /// Where key material is.
    pub(in crate::config) keys: Option<KeysConfig>,
    /// Our own services that call vendors, by name.
    pub(in crate::config) callers: Option<BTreeMap<String, callers::CallerConfig>>,
    /// The internal APIs that routes point at, by name.
    pub(in crate::config) upstreams: Option<BTreeMap<String, UpstreamConfig>>,
    /// A folder with one file per vendor, or one such file.
    #[schemars(required, example = "contracts/")]
    pub(in crate::config) contracts: Option<String>,
    /// The residency policy: which category of personal data may leave to which region (default: all that contracts let
    /// out).
    #[schemars(example = "policy/residency.yaml")]
    pub(in crate::config) residency: Option<String>,
    /// How the audit trail is kept.
    pub(in crate::config) audit: Option<evidence::AuditConfig>,
    /// Webhooks and commands that are called at a kill or a restore.
    pub(in crate::config) hooks: Option<Vec<evidence::HookConfig>>,
    /// The gateways that share kills and budgets with this one (default none).
    pub(in crate::config) fleet: Option<fleet::FleetConfig>,
    /// How the gateway stops.
    pub(in crate::config) drain: Option<DrainConfig>,
    /// The form and level of the logs.
    pub(in crate::config) log: Option<LogConfig>,
    /// Whether a change of any of these files is put in force by itself (default false: by a reload that a person or a
    /// deployment asks for).
    pub(in crate::config) watch: Option<bool>,
}

/// The sockets, by direction.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct ListenersConfig {
    /// Where vendors call.
    pub(in crate::config) ingress: Option<ListenerConfig>,
    /// Where our services call vendors.
    pub(in crate::config) egress: Option<egress_listener::EgressListenerConfig>,
    /// Where operators and probes call.
    pub(in crate::config) admin: Option<AdminListenerConfig>,
}

/// One socket to listen on.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct ListenerConfig {
    /// Address and port; port 0 asks the system for a free one.
    #[schemars(required, example = "127.0.0.1:8443")]
    pub(in crate::config) bind: Option<String>,
    /// The listener's certificate; without it, plain HTTP is spoken.
    pub(in crate::config) tls: Option<TlsConfig>,
    /// Whether HTTP/2 is spoken beside HTTP/1.1 (default true).
    pub(in crate::config) http2: Option<bool>,
    /// Time for a whole request head, and for the first request of a connection whose caller is not proven yet (default
    /// 10s, at most 5m).
    pub(in crate::config) head_timeout: Option<DurationText>,
    /// How long a connection whose caller is proven may be idle between two requests (default 75s, at most 1h).
    pub(in crate::config) idle_timeout: Option<DurationText>,
    /// Most connections of one IPv4 address or IPv6 /64 whose caller is not proven yet; one more ends the oldest of
    /// them (default 1024).
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(in crate::config) unproven_per_address: Option<u32>,
}

/// The socket for operators and probes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct AdminListenerConfig {
    /// Address and port; port 0 asks the system for a free one.
    #[schemars(required, example = "127.0.0.1:9901")]
    pub(in crate::config) bind: Option<String>,
    /// The listener's certificate; without it, plain HTTP is spoken.
    pub(in crate::config) tls: Option<TlsConfig>,
    /// The file that names the operators.
    #[schemars(example = "operators.yaml")]
    pub(in crate::config) operators: Option<String>,
    /// Whether the dashboard is served here (default true).
    pub(in crate::config) page: Option<bool>,
}

/// TLS of a listener. Paths are relative to the file that names them.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct TlsConfig {
    /// The certificate chain, PEM.
    #[schemars(required, example = "tls/gateway.pem")]
    pub(in crate::config) cert: Option<String>,
    /// Its private key, PEM.
    #[schemars(required, example = "tls/gateway.key")]
    pub(in crate::config) key: Option<String>,
    /// The authorities that sign client certificates, PEM.
    #[schemars(example = "tls/vendors-ca.pem")]
    pub(in crate::config) client_ca: Option<String>,
    /// Whether a client certificate must be shown (default optional, where there is a `client_ca`).
    pub(in crate::config) client_auth: Option<ClientAuthConfig>,
}

/// Whether a client certificate must be shown.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum ClientAuthConfig {
    /// A peer without one passes the handshake.
    Optional,
    /// A peer without one does not.
    Required,
}

/// Where durable state is kept.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct StateConfig {
    /// A folder of the gateway's own.
    #[schemars(required, example = "/var/lib/vendorgate")]
    pub(in crate::config) path: Option<String>,
}

/// Where key material is.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct KeysConfig {
    /// The master key's file, made by `vendorgate keys generate`; or `env:NAME` for an environment variable.
    #[schemars(required, example = "keys/master.key")]
    pub(in crate::config) master: Option<String>,
}

/// An API that the gateway calls.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct UpstreamConfig {
    /// Scheme, host, port and the path before every request's path.
    #[schemars(required, example = "http://127.0.0.1:9000")]
    pub(in crate::config) url: Option<String>,
    /// Time to connect (default 1s).
    pub(in crate::config) connect_timeout: Option<DurationText>,
    /// Time from the request's last byte to the head of the answer (default 30s).
    pub(in crate::config) response_timeout: Option<DurationText>,
    /// Longest silence in the middle of a body, either way (default 60s). An event stream needs a comment in that time.
    pub(in crate::config) body_idle_timeout: Option<DurationText>,
    /// Least pace of a body while its sender is waited for (default 100B/m). It does not apply to event streams.
    pub(in crate::config) body_pace: Option<PaceText>,
    /// Which version of HTTP is spoken: http1 (default), http2, or auto, where the upstream chooses under TLS.
    pub(in crate::config) protocol: Option<HttpProtocol>,
    /// What is particular about TLS with it.
    pub(in crate::config) tls: Option<upstream_tls::UpstreamTlsConfig>,
    /// Where connections go instead of the URL's host: URLs of the same scheme. Host, path, and the name that
    /// certificates must have stay those of the URL.
    #[schemars(extend("examples" = [["http://10.0.0.1:9000", "http://10.0.0.2:9000"]]))]
    pub(in crate::config) targets: Option<Vec<String>>,
    /// How a target is chosen (default round_robin).
    pub(in crate::config) balance: Option<BalanceMethod>,
    /// When a target that fails is left out for a time.
    pub(in crate::config) outlier_detection: Option<upstream::OutlierConfig>,
    /// How each target's health is found out, off the path of requests (default: it is not).
    pub(in crate::config) health: Option<upstream::HealthCheckConfig>,
    /// When a request is sent once more (default: never).
    pub(in crate::config) retry: Option<upstream::RetryConfig>,
    /// When the upstream is not asked for a time (default: it always is).
    pub(in crate::config) breaker: Option<upstream::BreakerConfig>,
    /// Most connections of one vendor to each target (default 4096).
    #[schemars(range(min = 1, max = 100_000), example = 100)]
    pub(in crate::config) max_connections: Option<u32>,
    /// Most requests of one vendor that are under way at once (default: connections alone are bounded).
    #[schemars(range(min = 1, max = 100_000), example = 100)]
    pub(in crate::config) max_requests: Option<u32>,
    /// Most requests that wait for a place under max_requests, for as long as connect_timeout (default 0).
    #[schemars(range(min = 0, max = 100_000), example = 50)]
    pub(in crate::config) max_pending: Option<u32>,
    /// After what age a connection is closed, between two requests (default: none).
    pub(in crate::config) max_connection_age: Option<DurationText>,
}

/// How the gateway stops.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct DrainConfig {
    /// Time that in-flight requests get to end (default 30s).
    pub(in crate::config) deadline: Option<DurationText>,
}

/// The form and level of the logs.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct LogConfig {
    /// The form of a line (default json).
    pub(in crate::config) format: Option<LogFormat>,
    /// The least severe events that are written (default info).
    pub(in crate::config) level: Option<LogLevelConfig>,
}

/// The least severe events that are written.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum LogLevelConfig {
    /// Only failures.
    Error,
    /// Also what will soon fail.
    Warn,
    /// Also one line for each exchange.
    Info,
    /// Also the steps that led to a result.
    Debug,
    /// Everything, for a developer's search.
    Trace,
}

/// A text, or a list of texts.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub(in crate::config) struct OneOrMore(pub(in crate::config) Vec<String>);

impl JsonSchema for OneOrMore {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "OneOrMore".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
    }
}

/// A whole number with a unit of time: ms, s, m, h or d.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("pattern" = r"^([1-9][0-9]*(ms|s|m|h|d)|.*\$\{.*)$", "examples" = ["10s", "250ms", "5m", "90d"]))]
pub(in crate::config) struct DurationText(pub(in crate::config) String);

/// A size and a time in which it must come: s, m or h.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("pattern" = r"^([1-9][0-9]*(B|KB|MB|KiB|MiB)/(s|m|h)|.*\$\{.*)$", "examples" = ["100B/m", "1KiB/s"]))]
pub(in crate::config) struct PaceText(pub(in crate::config) String);

/// operators.yaml: people and machines by name.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct OperatorsConfig {
    /// Everyone who may use the admin listener.
    #[schemars(required)]
    pub(in crate::config) operators: Option<Vec<OperatorConfig>>,
}

/// A named person or machine; make a token with `vendorgate operators add NAME --role operator`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct OperatorConfig {
    /// The name that the audit trail shows.
    #[schemars(required)]
    pub(in crate::config) name: Option<String>,
    /// What it may do.
    #[schemars(required)]
    pub(in crate::config) role: Option<OperatorRole>,
    /// SHA-256 of the token, 64 hexadecimal digits.
    #[schemars(required, extend("pattern" = r"^([0-9a-f]{64}|.*\$\{.*)$"))]
    pub(in crate::config) token_sha256: Option<String>,
}
