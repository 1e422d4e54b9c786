//! Every vendor at a glance: its state, contract, traffic, limits, issuer and files; and whether the gateway is ready.
//!
//! Times are RFC 3339 in UTC; ages and spans are whole numbers with their unit in the name. Nothing here holds a secret
//! or a raw personal value.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::api::AdminApi;
use super::control::{AdminControl, ControlError};
use super::endpoint::{Endpoint, EndpointSpec, schema};
use super::journey::{JourneyReport, UpstreamStatus};
use super::problem::AdminError;
use super::readiness::Readiness;
use super::reply;
use crate::anomaly::AnomalyScore;
use crate::config::OperatorRole;
use crate::kill::{ApprovalAnswer, KillStatus, ScheduledKill, VendorState};
use crate::model::{Direction, Reason, UnixTime, VendorId};
use crate::telemetry::TrafficMetrics;

/// All vendors at a glance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VendorList {
    /// Sorted by id.
    pub vendors: Vec<VendorStatus>,
    /// Why the config on disk is not in force, where its last load failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_fault: Option<String>,
}

/// A vendor at a glance.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VendorStatus {
    /// The vendor's id.
    pub vendor: String,
    /// Its name for people.
    pub name: String,
    /// Who answers for it in the company.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Whom to call over there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security_contact: Option<String>,
    /// Whether it may pass.
    pub state: VendorState,
    /// What is killed, and why.
    pub kills: Vec<KillStatus>,
    /// Who has agreed to restore it, while more must.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<ApprovalAnswer>,
    /// Kills to come, the next one first; those of every vendor too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scheduled: Vec<ScheduledKill>,
    /// False while a change of that is not on disk.
    pub persisted: bool,
    /// When the contract starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starts: Option<UnixTime>,
    /// When the contract's last day is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends: Option<UnixTime>,
    /// Whole days until then; negative after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days_left: Option<i64>,
    /// With a time, the contract only observes until then: nothing is refused or treated, and raw data passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observes_until: Option<UnixTime>,
    /// What passed since the process started, by direction.
    pub traffic: Vec<Traffic>,
    /// The last request that was refused or cut short.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_denial: Option<LastDenial>,
    /// When the kill switch was last exercised on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_drill: Option<UnixTime>,
    /// Whether the next exercise is overdue, where the contract asks for any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill_overdue: Option<bool>,
    /// Seconds since the newest token in use was issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_age_secs: Option<u64>,
    /// Seconds since the oldest signing key on offer was first seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_age_secs: Option<u64>,
    /// Its limits in force, in each direction that has routes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<VendorLimit>,
    /// Its rules that have matched nothing: they may name fields that are never sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmatched_rules: Vec<UnmatchedRule>,
    /// Its routes with bodies of a shape that their rules were not written for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unexpected_shapes: Vec<UnexpectedShape>,
    /// How asking its issuer goes, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<IssuerStatus>,
    /// Its upstreams above whose connections anything stands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upstreams: Vec<UpstreamStatus>,
    /// How unusual its traffic is, by what is usual at this hour of the week.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub anomalies: Vec<AnomalyScore>,
    /// The stages of the journey that it takes part in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub journey: Vec<String>,
    /// Why those stages are degraded: `killed`, `circuit_open`, `fallback`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub degraded: Vec<String>,
    /// Its files that cannot be used as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileFault>,
    /// By what the vendor knows us, where the gateway holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialAnswer>,
}

/// What passed in one direction since the process started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Traffic {
    /// The direction of the traffic.
    pub direction: Direction,
    /// Exchanges that ended.
    pub requests: u64,
    /// Those refused or cut short.
    pub denials: u64,
    /// Those whose last byte has not left yet.
    pub in_flight: u64,
    /// Records that left.
    pub records: u64,
    /// Body bytes that left.
    pub bytes: u64,
    /// Requests that passed although the contract would have refused or cut them short, by reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub would_deny: BTreeMap<String, u64>,
}

impl Traffic {
    /// What the metrics have counted.
    pub fn of(direction: Direction, metrics: &TrafficMetrics) -> Self {
        let (requests, records) = metrics.totals();
        let denials = Reason::ALL.into_iter().map(|reason| metrics.denials(reason)).sum();
        let (in_flight, bytes) = (metrics.in_flight(), metrics.bytes_sum());
        let would_deny = metrics.would_denials().map(|(reason, count)| (reason.as_str().to_owned(), count)).collect();
        Self { direction, requests, denials, in_flight, records, bytes, would_deny }
    }
}

/// A request that was refused or cut short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastDenial {
    /// The stable reason.
    pub reason: String,
    /// When it was refused or cut short.
    pub at: UnixTime,
    /// Which way the request went.
    pub direction: Direction,
}

/// A limit in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VendorLimit {
    /// The traffic that it is about; left out where both directions share one budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// Its key in the contract, such as `records`.
    pub limit: String,
    /// How much passes, such as `50000 in 10s, over: sever`.
    pub value: String,
    /// `contract` where the contract says so, `default` where it is the product's.
    pub source: String,
    /// The part of it that is left, from 0 to 1; left out where nothing is used up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining: Option<f64>,
}

/// A rule that has matched nothing since the process started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnmatchedRule {
    /// Which way the route's requests go.
    pub direction: Direction,
    /// The route, as the contract writes it.
    pub route: String,
    /// `request` or `response`.
    pub side: String,
    /// Where the rule looks.
    pub rule: String,
    /// What it does: the contract's word.
    pub treatment: String,
    /// Exchanges of the route that ended.
    pub requests: u64,
}

/// Bodies of a route that were not of the shape that its `records` describe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnexpectedShape {
    /// Which way the route's requests go.
    pub direction: Direction,
    /// The route, as the contract writes it.
    pub route: String,
    /// How many, refused or let by.
    pub bodies: u64,
}

/// How asking a vendor's issuer goes: for its keys, or about each token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IssuerStatus {
    /// Signing keys in use; absent where the issuer is asked about each token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys: Option<usize>,
    /// Keys of the last good answer that are malformed, weak or private, or share a `kid`, and so are not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unfit_keys: Option<usize>,
    /// When the keys in use were last confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<UnixTime>,
    /// Why the last question failed, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// How often each outcome came since the start: replaced, unchanged, failed or broken for keys; active, inactive,
    /// failed, kept or shed for tokens.
    pub outcomes: BTreeMap<String, u64>,
}

/// A file of a vendor that cannot be used as it is; what it held before stays in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileFault {
    /// What it is for: `authorities`, `webhook_secrets`, `verify_token`, `introspection_secret`, `credential` or
    /// `jwks`.
    pub file: String,
    /// Why it cannot be used: names the path, and holds nothing of the content.
    pub error: String,
}

/// The credential by which a vendor knows us, without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CredentialAnswer {
    /// Its kind: the key in the contract.
    pub kind: String,
    /// What is done to requests, in words.
    pub does: String,
    /// Whether a request would be given it now.
    pub ready: bool,
    /// How often it was fetched, by result: success, failed or refused; left out where nothing is fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetches: Option<BTreeMap<String, u64>>,
    /// Why the last fetch failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// The secrets that it is made of.
    pub secrets: Vec<SecretAnswer>,
}

/// A secret by which a vendor knows us, without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretAnswer {
    /// What it is, such as `client secret`.
    pub purpose: String,
    /// Where it comes from: file, env, systemd or vault.
    pub source: String,
    /// How long its content has been in use; left out where it could not be read yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_secs: Option<u64>,
    /// When its `max_age` has passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<UnixTime>,
    /// Why it cannot be read as it is now; what was read before stays in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The state of vendors and of the gateway.
pub trait StatusControl {
    /// All vendors, sorted by id.
    fn vendors(&self) -> Vec<VendorStatus>;

    /// One vendor; `None` when no contract names it and no kill of it is in force.
    fn vendor(&self, vendor: &VendorId) -> Option<VendorStatus>;

    /// The stages of the journey.
    fn journey(&self) -> JourneyReport;

    /// Why the config on disk is not in force, where its last load failed.
    fn config_fault(&self) -> Option<String>;

    /// Whether the gateway can do its work.
    fn readiness(&self) -> Readiness;
}

impl<C: AdminControl> AdminApi<C> {
    pub(super) const STATUS: &'static [Endpoint<C>] = &[
        EndpointSpec::get("/v1/vendors", "Every vendor at a glance").answers(&[schema::<VendorList>]).on_gateway(
            OperatorRole::Viewer,
            |api, _| {
                Box::pin(async {
                    Ok(reply::json(&VendorList {
                        vendors: api.control.vendors(),
                        config_fault: api.control.config_fault(),
                    }))
                })
            },
        ),
        EndpointSpec::get("/v1/vendors/{vendor}", "One vendor at a glance")
            .answers(&[schema::<VendorStatus>])
            .on_vendor(OperatorRole::Viewer, |api, call| {
                Box::pin(async move {
                    let status = api.control.vendor(call.vendor);
                    let status = status.ok_or(AdminError::Control(ControlError::VendorUnknown))?;
                    Ok(reply::json(&status))
                })
            }),
    ];
}
