//! One vendor in detail: what its contract grants, which of its requests were refused and by which line, and what was
//! done about it, or about any.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::api::AdminApi;
use super::control::{AdminControl, ControlFuture};
use super::endpoint::{Endpoint, EndpointSpec, schema};
use super::records::AuditEntry;
use super::reply::json_result;
use super::status::VendorLimit;
use crate::config::OperatorRole;
use crate::model::{Direction, VendorId};
use crate::telemetry::FailedRequest;

/// What a contract in force grants, without any secret.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ContractOutline {
    /// The vendor's id.
    pub vendor: String,
    /// What the vendor uses data for.
    pub purpose: Vec<String>,
    /// Where the vendor processes data; empty where the contract does not say.
    pub region: String,
    /// The most scopes that the vendor can ever have.
    pub scopes: Vec<String>,
    /// How many different people must agree to a restore.
    pub approvals: u32,
    /// Seconds between two exercises of the kill switch, where the contract asks for any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill_every_secs: Option<u64>,
    /// Its routes, those of ingress first, in the order of the contract.
    pub routes: Vec<RouteOutline>,
}

/// What a route of a contract grants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RouteOutline {
    /// Which way its requests go.
    pub direction: Direction,
    /// The route, as the contract writes it.
    pub route: String,
    /// Its file and line; left out where the file is not there any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// The scopes that a token must hold.
    pub scopes: Vec<String>,
    /// The name of the API that is called.
    pub upstream: String,
    /// Its own limits, beside the vendor's.
    pub limits: Vec<VendorLimit>,
    /// What a caller gets while the upstream gives no answer: `answer`, `last_good`; empty where it is a refusal.
    pub fallback: Vec<String>,
    /// Whether a request may go on as a WebSocket, which no rule reads.
    pub websocket: bool,
    /// What is done to requests.
    pub request: MessageOutline,
    /// What is done to responses.
    pub response: MessageOutline,
}

/// What a route does to a message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MessageOutline {
    /// Values that are treated.
    pub treated: Vec<TreatedPlace>,
    /// With a list, every other field is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Vec<String>>,
    /// Fields that a person decided to let leave in clear.
    pub clear: Vec<String>,
    /// Fields in which tokens become values again.
    pub reveal: Vec<String>,
    /// What detectors look for, and what is done about their finds, such as `card: report`.
    pub detects: Vec<String>,
    /// The values that count as records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<String>,
    /// The field that identifies the person whom a record is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// A value that a route treats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TreatedPlace {
    /// Where it is, as the contract writes it.
    pub place: String,
    /// What is done to it.
    pub treatment: String,
    /// The category of personal data, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
}

/// The last requests of a vendor that were refused or broke off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DenialList {
    /// The newest first.
    pub denials: Vec<DecidedDenial>,
}

/// A request that was refused or broke off, and what decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DecidedDenial {
    /// The request.
    #[serde(flatten)]
    pub request: FailedRequest,
    /// The key of the contract that decided; left out where no contract did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Its file and line as the file is now, or those of the nearest key above it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

/// What was done: about one vendor, or all that was done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VendorHistory {
    /// Audit entries, the newest first; refused requests are not among them. Those of one vendor are about it, or about
    /// every vendor.
    pub entries: Vec<AuditEntry>,
    /// Whether there may be more: older lines of the trail were not searched.
    pub more: bool,
}

/// One vendor in detail.
pub trait VendorDetailControl {
    /// What its contract grants.
    fn contract(&self, vendor: &VendorId) -> impl ControlFuture<ContractOutline>;

    /// Its last requests that were refused or broke off.
    fn denials(&self, vendor: &VendorId) -> impl ControlFuture<DenialList>;

    /// What was done about it; without a vendor, all that was done.
    fn history(&self, vendor: Option<&VendorId>) -> impl ControlFuture<VendorHistory>;
}

impl<C: AdminControl> AdminApi<C> {
    pub(super) const VENDOR_DETAILS: &'static [Endpoint<C>] = &[
        EndpointSpec::get("/v1/vendors/{vendor}/contract", "What a vendor's contract grants")
            .answers(&[schema::<ContractOutline>])
            .on_vendor(OperatorRole::Viewer, |api, call| {
                Box::pin(async move { json_result(api.control.contract(call.vendor).await) })
            }),
        EndpointSpec::get(
            "/v1/vendors/{vendor}/denials",
            "The last requests of a vendor that were refused or broke off, and the line of its contract that decided",
        )
        .answers(&[schema::<DenialList>])
        .on_vendor(OperatorRole::Viewer, |api, call| {
            Box::pin(async move { json_result(api.control.denials(call.vendor).await) })
        }),
        EndpointSpec::get("/v1/vendors/{vendor}/history", "What was done about a vendor, the newest first")
            .answers(&[schema::<VendorHistory>])
            .on_vendor(OperatorRole::Viewer, |api, call| {
                Box::pin(async move { json_result(api.control.history(Some(call.vendor)).await) })
            }),
        EndpointSpec::get("/v1/history", "What was done, the newest first")
            .answers(&[schema::<VendorHistory>])
            .on_gateway(OperatorRole::Viewer, |api, _| {
                Box::pin(async move { json_result(api.control.history(None).await) })
            }),
    ];
}
