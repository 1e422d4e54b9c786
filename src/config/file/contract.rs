//! A contract as it is written in YAML.
//!
//! Every field is optional here: see the main file.

use schemars::JsonSchema;
use serde::Deserialize;

use super::DurationText;
use super::identity::IdentityConfig;
use super::route::{EgressConfig, IngressRouteConfig};
use crate::anomaly::AnomalySignal;
use crate::meter::OverrunAction;

/// One vendor's contract: who it is, what it may do until when, what it may see.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct ContractConfig {
    /// The vendor's id: a-z, 0-9 and '-', at most 63.
    #[schemars(required, example = "acme-analytics")]
    pub(in crate::config) vendor: Option<String>,
    /// The name that people know (default the id).
    pub(in crate::config) name: Option<String>,
    /// Who answers for this vendor within the company.
    #[schemars(required, example = "growth@example.com")]
    pub(in crate::config) owner: Option<String>,
    /// Whom to reach at the vendor when something has happened.
    #[schemars(required, example = "soc@acme.example")]
    pub(in crate::config) security_contact: Option<String>,
    /// Where customers meet this vendor.
    pub(in crate::config) journey: Option<Vec<String>>,
    /// Where the vendor processes data.
    pub(in crate::config) region: Option<String>,
    /// What the vendor uses data for: data uses of fideslang, or of your own that begin with `x.`.
    #[schemars(extend("examples" = [["analytics"]]))]
    pub(in crate::config) purpose: Option<Vec<String>>,
    /// The first day, UTC.
    #[schemars(required)]
    pub(in crate::config) starts: Option<DateText>,
    /// The last day, UTC: nothing passes after it.
    #[schemars(required)]
    pub(in crate::config) ends: Option<DateText>,
    /// What happens after the last day (default block).
    pub(in crate::config) after_end: Option<AfterEndConfig>,
    /// How long reading goes on after the last day, where `after_end` is read_only.
    pub(in crate::config) grace: Option<DurationText>,
    /// How long before the end warnings begin (default 30d).
    pub(in crate::config) warn_before: Option<DurationText>,
    /// Whether the contract binds (default enforce).
    pub(in crate::config) mode: Option<ContractMode>,
    /// The last day, UTC, on which `mode: observe` holds: the contract is enforced after it. At most 90 days ahead.
    pub(in crate::config) observe_until: Option<DateText>,
    /// The internal API that calls go to which no ingress route covers, while the contract observes (default the one
    /// that all ingress routes name; where they name several, such calls are refused).
    #[schemars(example = &"crm")]
    pub(in crate::config) observe_upstream: Option<String>,
    /// How the vendor proves who it is.
    pub(in crate::config) identity: Option<IdentityConfig>,
    /// The most scopes this vendor can ever have.
    pub(in crate::config) scopes: Option<Vec<String>>,
    /// How much may pass. Each direction has budgets of its own.
    pub(in crate::config) limits: Option<VendorLimitsConfig>,
    /// How many denials in how short a time suspend the vendor.
    pub(in crate::config) trip: Option<TripConfig>,
    /// How often the kill switch is to be exercised.
    pub(in crate::config) drills: Option<DrillsConfig>,
    /// Who must agree to a restore.
    pub(in crate::config) restore: Option<RestoreConfig>,
    /// What the vendor may call.
    pub(in crate::config) ingress: Option<Vec<IngressRouteConfig>>,
    /// What we may send it.
    pub(in crate::config) egress: Option<EgressConfig>,
}

/// Whether a contract binds.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum ContractMode {
    /// What the contract does not grant is refused.
    Enforce,
    /// Not agreed on yet: nothing passes.
    Draft,
    /// For a roll-out: scopes, routes, limits and PII report what they would do, and RAW DATA PASSES; identity, dates
    /// and kill still hold. Needs `observe_until`.
    Observe,
}

/// What happens after a contract's last day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum AfterEndConfig {
    /// Nothing passes.
    Block,
    /// Requests that change nothing pass for the time of `grace`.
    ReadOnly,
}

/// On what the gateway kills the vendor by itself, until a person restores it: many denials in a short time, or traffic
/// that is far above the usual, or both.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct TripConfig {
    /// The number of denials.
    #[schemars(range(min = 1, max = 100_000), example = 100)]
    pub(in crate::config) denials: Option<u32>,
    /// The time in which they come.
    pub(in crate::config) window: Option<DurationText>,
    /// Traffic that is far above what is usual at this hour of the week.
    pub(in crate::config) anomaly: Option<AnomalyTripConfig>,
}

/// Traffic that is far above what is usual at this hour of the week.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct AnomalyTripConfig {
    /// What is compared.
    #[schemars(required)]
    pub(in crate::config) signal: Option<AnomalySignal>,
    /// How many times the usual noise it must be above the usual (default 8; from there on chance does not explain it).
    #[schemars(range(min = 4, max = 1_000), example = 8)]
    pub(in crate::config) score: Option<u32>,
    /// For how long (default 30s, at most 1h).
    #[serde(rename = "for")]
    pub(in crate::config) hold: Option<DurationText>,
}

/// How often the kill switch is to be exercised.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct DrillsConfig {
    /// Longest time between two drills before the status and a metric say that one is overdue.
    #[schemars(required)]
    pub(in crate::config) every: Option<DurationText>,
}

/// Who must agree to a restore.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RestoreConfig {
    /// How many different people.
    #[schemars(required, range(min = 1, max = 5), example = 2)]
    pub(in crate::config) approvals: Option<u32>,
}

/// How much may pass of a vendor's traffic, by itself in each direction: a vendor that calls too often never stops our
/// own calls to it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct VendorLimitsConfig {
    /// Requests per time (default `100/s`, burst `100`).
    pub(in crate::config) requests: Option<RequestRateConfig>,
    /// Requests at once (default `100`).
    #[schemars(range(min = 1, max = 100_000), example = 20)]
    pub(in crate::config) concurrency: Option<u32>,
    /// Records per window (default `12000` in `1m`).
    pub(in crate::config) records: Option<CountBudgetConfig>,
    /// Body bytes per window (default `1GiB` in `1m`).
    pub(in crate::config) bytes: Option<ByteBudgetConfig>,
    /// Different subjects per window: the guard against slow enumeration (default: not limited).
    pub(in crate::config) subjects: Option<CountBudgetConfig>,
    /// Requests per time of each client of the vendor by itself (default: the vendor's rate alone).
    pub(in crate::config) client_requests: Option<RequestRateConfig>,
    /// What differs for calls of the vendor to us: a key here takes the place of the same key beside it.
    pub(in crate::config) ingress: Option<LimitsConfig>,
    /// What differs for our calls to the vendor: a key here takes the place of the same key beside it.
    pub(in crate::config) egress: Option<LimitsConfig>,
    /// Whether both directions spend from one budget (default false).
    pub(in crate::config) shared: Option<bool>,
}

/// How much may pass, in one direction or on one route.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct LimitsConfig {
    /// Requests per time.
    pub(in crate::config) requests: Option<RequestRateConfig>,
    /// Requests at once.
    #[schemars(range(min = 1, max = 100_000), example = 20)]
    pub(in crate::config) concurrency: Option<u32>,
    /// Records per window.
    pub(in crate::config) records: Option<CountBudgetConfig>,
    /// Body bytes per window.
    pub(in crate::config) bytes: Option<ByteBudgetConfig>,
    /// Different subjects per window: the guard against slow enumeration.
    pub(in crate::config) subjects: Option<CountBudgetConfig>,
    /// Requests per time of each client of the vendor by itself.
    pub(in crate::config) client_requests: Option<RequestRateConfig>,
}

/// Requests per time.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RequestRateConfig {
    /// The lasting rate.
    #[schemars(required)]
    pub(in crate::config) rate: Option<RateText>,
    /// Requests that may come at once after a pause (default one second's worth, at least 1).
    #[schemars(range(min = 1, max = 1_000_000), example = 100)]
    pub(in crate::config) burst: Option<u32>,
}

/// A whole number and a unit of time: /s, /m, /h or /d.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("pattern" = r"^([1-9][0-9]*/(s|m|h|d)|.*\$\{.*)$", "examples" = ["50/s", "3000/m"]))]
pub(in crate::config) struct RateText(pub(in crate::config) String);

/// Records, or subjects, per sliding window.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct CountBudgetConfig {
    /// The number.
    #[schemars(required, range(min = 1, max = 1_000_000_000_000_i64), example = 50_000)]
    pub(in crate::config) budget: Option<u64>,
    /// The time.
    #[schemars(required)]
    pub(in crate::config) window: Option<DurationText>,
    /// What an overrun does (default refuse).
    pub(in crate::config) over: Option<OverrunAction>,
}

/// Body bytes per sliding window.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct ByteBudgetConfig {
    /// The number of bytes.
    #[schemars(required)]
    pub(in crate::config) budget: Option<SizeText>,
    /// The time.
    #[schemars(required)]
    pub(in crate::config) window: Option<DurationText>,
    /// What an overrun does (default refuse).
    pub(in crate::config) over: Option<OverrunAction>,
}

/// A whole number and a unit: B, KB, MB, GB (thousands), KiB, MiB, GiB (1024).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("pattern" = r"^([1-9][0-9]*([KMG]i?)?B|.*\$\{.*)$", "examples" = ["200MB", "64KiB"]))]
pub(in crate::config) struct SizeText(pub(in crate::config) String);

/// A day: YYYY-MM-DD.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("pattern" = r"^([0-9]{4}-[0-9]{2}-[0-9]{2}|.*\$\{.*)$", "examples" = ["2027-03-31"]))]
pub(in crate::config) struct DateText(pub(in crate::config) String);
