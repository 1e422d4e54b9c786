//! Routes and their rules as they are written in YAML.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::contract::LimitsConfig;
use super::fallback::FallbackConfig;
use super::parameters::{AllowListConfig, ParameterConfigs};
use super::records::RecordsConfig;
use super::upstream_tls::UpstreamTlsConfig;
use super::websocket::WebSocketConfig;
use super::{DurationText, PaceText, UpstreamConfig, upstream};
use crate::config::reach::TunnelMode;
use crate::pii::{BodyFormat, DetectAction, OnUnexpectedShape, PiiKind, TreatmentKind, ValueType};
use crate::upstream::{BalanceMethod, HttpProtocol};

/// A call that the vendor may make.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct IngressRouteConfig {
    /// Methods and path: {name} is one segment, {*rest} the tail, * any method.
    #[schemars(required, example = "GET /v1/customers/{id}")]
    pub(in crate::config) route: Option<String>,
    /// The scopes that a token must hold, all of them.
    #[schemars(required, extend("examples" = [["customers:read"]]))]
    pub(in crate::config) scopes: Option<Vec<String>>,
    /// The name of the internal API.
    #[schemars(required, example = &"crm")]
    pub(in crate::config) upstream: Option<String>,
    /// Limits of this route, beside the vendor's.
    pub(in crate::config) limits: Option<LimitsConfig>,
    /// The elements of the response that count as records; { messages: grpc } counts each message of a gRPC call.
    #[schemars(example = "$.customers[*]")]
    pub(in crate::config) records: Option<RecordsConfig>,
    /// What becomes of a success answer that is not of the shape that records describe: refuse (default) or pass.
    pub(in crate::config) on_shape: Option<OnUnexpectedShape>,
    /// The field that identifies the person whom a record is about.
    #[schemars(example = "$.customers[*].id")]
    pub(in crate::config) subject: Option<String>,
    /// Whether a request may become a WebSocket (default false). With true nothing reads its messages, so no rule may
    /// read a body; with { messages: text } each text message is one body.
    pub(in crate::config) websocket: Option<WebSocketConfig>,
    /// Whether its requests hold GraphQL queries, which are then checked against the answer's rules (default false).
    pub(in crate::config) graphql: Option<bool>,
    /// What a caller gets where the upstream gives no answer (default: a refusal).
    pub(in crate::config) fallback: Option<FallbackConfig>,
    /// The only parameters of the query that pass (default: all).
    pub(in crate::config) query: Option<AllowListConfig>,
    /// The only header fields of the request that go on, beside those that HTTP itself needs (default: all).
    pub(in crate::config) headers: Option<AllowListConfig>,
    /// The form of captures of the path and of parameters of the query, by name. Each parameter may come once.
    #[schemars(extend("examples" = [{"id": {"type": "uuid"}, "limit": {"type": "integer"}}]))]
    pub(in crate::config) params: Option<ParameterConfigs>,
    /// Rules for the request.
    pub(in crate::config) request: Option<MessageRulesConfig>,
    /// Rules for the response.
    pub(in crate::config) response: Option<MessageRulesConfig>,
}

/// What we may send a vendor.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct EgressConfig {
    /// The names by which our services call the vendor (default the host of the upstream's URL): `host` for the ports
    /// 80 and 443, or `host:port`.
    #[schemars(extend("examples" = [["api.acme.example", "api.acme.example:8443"]]))]
    pub(in crate::config) hosts: Option<Vec<String>>,
    /// What becomes of TLS in a tunnel (CONNECT) to the vendor (default refuse).
    pub(in crate::config) tunnel: Option<TunnelMode>,
    /// Our services that may call the vendor, of `callers:` in the main file (default every caller that the
    /// listener lets in).
    #[schemars(extend("examples" = [["checkout"]]))]
    pub(in crate::config) callers: Option<Vec<String>>,
    /// The vendor's own API.
    #[schemars(required)]
    pub(in crate::config) upstream: Option<VendorUpstreamConfig>,
    /// By what the vendor knows us (default: our services send it themselves).
    pub(in crate::config) credentials: Option<super::credentials::CredentialsConfig>,
    /// The calls that may be made.
    #[schemars(required)]
    pub(in crate::config) routes: Option<Vec<EgressRouteConfig>>,
}

/// A vendor's own API.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct VendorUpstreamConfig {
    /// Scheme, host, port and the path before every request's path.
    #[schemars(required, example = "https://api.acme.example")]
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
    pub(in crate::config) tls: Option<UpstreamTlsConfig>,
    /// Networks that its name may resolve to although they are not public.
    #[schemars(extend("examples" = [["10.2.0.0/16"]]))]
    pub(in crate::config) allow_networks: Option<Vec<String>>,
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

impl VendorUpstreamConfig {
    /// What it has in common with an internal API.
    pub(in crate::config) fn without_networks(&self) -> UpstreamConfig {
        UpstreamConfig {
            url: self.url.clone(),
            connect_timeout: self.connect_timeout.clone(),
            response_timeout: self.response_timeout.clone(),
            body_idle_timeout: self.body_idle_timeout.clone(),
            body_pace: self.body_pace.clone(),
            protocol: self.protocol,
            tls: self.tls.clone(),
            targets: self.targets.clone(),
            balance: self.balance,
            outlier_detection: self.outlier_detection.clone(),
            health: self.health.clone(),
            retry: self.retry.clone(),
            breaker: self.breaker.clone(),
            max_connections: self.max_connections,
            max_requests: self.max_requests,
            max_pending: self.max_pending,
            max_connection_age: self.max_connection_age.clone(),
        }
    }
}

/// A call that we may make.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct EgressRouteConfig {
    /// Methods and path: {name} is one segment, {*rest} the tail, * any method.
    #[schemars(required, example = "POST /v2/events")]
    pub(in crate::config) route: Option<String>,
    /// Limits of this route, beside the vendor's.
    pub(in crate::config) limits: Option<LimitsConfig>,
    /// The elements of the request that count as records; { messages: grpc } counts each message of a gRPC call.
    #[schemars(example = "$.events[*]")]
    pub(in crate::config) records: Option<RecordsConfig>,
    /// What becomes of a body that is not of the shape that records describe: refuse (default) or pass.
    pub(in crate::config) on_shape: Option<OnUnexpectedShape>,
    /// The field that identifies the person whom a record is about.
    #[schemars(example = "$.events[*].user")]
    pub(in crate::config) subject: Option<String>,
    /// Whether a request may become a WebSocket (default false). With true nothing reads its messages, so no rule may
    /// read a body; with { messages: text } each text message is one body.
    pub(in crate::config) websocket: Option<WebSocketConfig>,
    /// Whether its requests hold GraphQL queries, which are then checked against the answer's rules (default false).
    pub(in crate::config) graphql: Option<bool>,
    /// Whether a segment may hold a slash as `%2F`, as in GET /api/v4/projects/group%2Fname (default false).
    pub(in crate::config) allow_encoded_slash: Option<bool>,
    /// What a caller gets where the upstream gives no answer (default: a refusal).
    pub(in crate::config) fallback: Option<FallbackConfig>,
    /// The only parameters of the query that pass (default: all).
    pub(in crate::config) query: Option<AllowListConfig>,
    /// The only header fields of the request that go on, beside those that HTTP itself needs (default: all).
    pub(in crate::config) headers: Option<AllowListConfig>,
    /// The form of captures of the path and of parameters of the query, by name. Each parameter may come once.
    #[schemars(extend("examples" = [{"id": {"type": "uuid"}, "limit": {"type": "integer"}}]))]
    pub(in crate::config) params: Option<ParameterConfigs>,
    /// Rules for the request.
    pub(in crate::config) request: Option<MessageRulesConfig>,
    /// Rules for the response.
    pub(in crate::config) response: Option<MessageRulesConfig>,
}

/// Rules for one message of an exchange. A body that a rule reads is decoded to at most 1 GiB, and to 100 bytes for
/// each of its own beyond the first MiB; values have at most 64 KiB, rows 256 KiB, documents 128 levels.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct MessageRulesConfig {
    /// Values to treat; of several rules that select a value the first wins.
    pub(in crate::config) pii: Option<Vec<PiiRuleConfig>>,
    /// The only fields that pass; everything else is dropped.
    #[schemars(extend("examples" = [["$.id", "$.country"]]))]
    pub(in crate::config) only: Option<Vec<String>>,
    /// Fields that may leave in clear, each with all below it: `pii test --strict` and the exposure report list every
    /// other field that does. It treats nothing and lets nothing pass.
    #[schemars(extend("examples" = [["$.id", "$.orders[*].shipTo"]]), length(max = 1_000))]
    pub(in crate::config) clear: Option<Vec<String>>,
    /// Categories of fields that leave in clear, where their names do not tell, for the residency policy; `none` for
    /// a field that is no personal data.
    #[schemars(extend("examples" = [{ "$.products[*].name": "none", "$.tier": "x.loyalty" }]))]
    pub(in crate::config) categories: Option<BTreeMap<String, String>>,
    /// Fields whose tokens become values again, on the way in: requests of ingress, responses of egress.
    #[schemars(extend("examples" = [["$.accepted[*].email"]]))]
    pub(in crate::config) reveal: Option<Vec<String>>,
    /// Detectors for every text that no other rule selects.
    pub(in crate::config) detect: Option<DetectConfig>,
    /// Whether the files of a multipart form pass, unread (default false: they are refused).
    pub(in crate::config) allow_files: Option<bool>,
    /// The format that a body is read as, whatever its content type says or where it says none.
    #[serde(rename = "as")]
    pub(in crate::config) format: Option<BodyFormat>,
    /// Whether a body in a declared charset other than UTF-8 is decoded and leaves as UTF-8 (default false: it is
    /// refused).
    pub(in crate::config) decode_charsets: Option<bool>,
    /// The separator between the fields of a CSV: one of , ; | or tab (default a comma).
    #[schemars(example = &";")]
    pub(in crate::config) delimiter: Option<String>,
    /// The columns of tables that have no header: their first row is then data.
    #[schemars(extend("examples" = [["id", "email", "country"]]))]
    pub(in crate::config) columns: Option<Vec<String>>,
}

/// Detectors, and what happens to what they find.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct DetectConfig {
    /// What to look for (default all).
    #[schemars(extend("examples" = [["email", "card"]]))]
    pub(in crate::config) find: Option<Vec<PiiKind>>,
    /// What happens to a value that was found.
    #[schemars(required)]
    #[serde(rename = "as")]
    pub(in crate::config) action: Option<DetectAction>,
}

/// Which value is treated, and how. One of `field`, `query`, `header`, `cookie` and `segment` says where the value is.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct PiiRuleConfig {
    /// A field of the body: a JSONPath of names, indexes and wildcards, such as the example.
    #[schemars(example = "$.customers[*].email")]
    pub(in crate::config) field: Option<String>,
    /// A query parameter.
    #[schemars(example = &"email")]
    pub(in crate::config) query: Option<String>,
    /// A header field.
    #[schemars(example = "x-customer-email")]
    pub(in crate::config) header: Option<String>,
    /// A cookie.
    #[schemars(example = &"customer")]
    pub(in crate::config) cookie: Option<String>,
    /// A path segment, by the name of the route's capture.
    #[schemars(example = &"id")]
    pub(in crate::config) segment: Option<String>,
    /// What happens to the value.
    #[schemars(required)]
    #[serde(rename = "as")]
    pub(in crate::config) treatment: Option<TreatmentKind>,
    /// The token class: equal values of one class give equal tokens (default the field's last name).
    #[schemars(example = &"email")]
    pub(in crate::config) class: Option<String>,
    /// The category of personal data, a key of fideslang or one of your own that begins with `x.` (default what the
    /// class or the field's name leads to).
    #[schemars(example = &"user.contact.email")]
    pub(in crate::config) category: Option<String>,
    /// Whether a table may lack the field's column (default false: the table is refused).
    pub(in crate::config) optional: Option<bool>,
    /// Only values of this type.
    #[serde(rename = "type")]
    pub(in crate::config) only_type: Option<ValueType>,
    /// Characters left in clear at the start (mask; encrypt_format of a card: 6).
    #[schemars(range(min = 1, max = 64), example = 6)]
    pub(in crate::config) keep_first: Option<u16>,
    /// Characters left in clear at the end (mask; encrypt_format of a card: 4).
    #[schemars(range(min = 1, max = 64), example = 4)]
    pub(in crate::config) keep_last: Option<u16>,
    /// What an encrypted value must still look like (encrypt_format; default digits).
    pub(in crate::config) format: Option<EncryptedFormatConfig>,
    /// What a value becomes (generalize).
    pub(in crate::config) to: Option<GeneralizeConfig>,
    /// How many characters of a prefix, or how wide a bucket (generalize).
    #[schemars(range(min = 1, max = 1_000_000_000), example = 10)]
    pub(in crate::config) size: Option<u64>,
}

/// What an encrypted value must still look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum EncryptedFormatConfig {
    /// All digits are encrypted.
    Digits,
    /// A payment card: its Luhn check stays as valid as it was.
    Card,
    /// A phone number: its country code stays.
    Phone,
}

/// What a generalized value becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum GeneralizeConfig {
    /// A date becomes its year.
    Year,
    /// A text keeps its first `size` characters.
    Prefix,
    /// A number becomes the floor of its bucket, `size` wide.
    Bucket,
}
