//! What was kept: the exposure of a vendor, the audit trail, and the last requests that were refused or broke off.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::api::AdminApi;
use super::control::{AdminControl, AdminPeer, ControlError, ControlFuture};
use super::endpoint::{Endpoint, EndpointSpec, QueryParameter, schema};
use super::problem::AdminError;
use super::reply::{self, json_result};
use crate::config::OperatorRole;
use crate::exposure::{CategoryReport, ExposureReport};
use crate::model::{UnixTime, VendorId};
use crate::telemetry::FailedRequest;

/// Part of the audit trail, in the order of its lines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuditPage {
    /// The entries, in the order of their numbers.
    pub entries: Vec<AuditEntry>,
    /// The number of the last line that was read: the next page begins after it.
    #[serde(default)]
    pub seen: Option<u64>,
    /// Lines met on the way that are none that a gateway writes: `audit verify` says which.
    #[serde(default)]
    pub unreadable: u64,
    /// Whether there are more after the last of these.
    pub more: bool,
}

/// One line of the audit trail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuditEntry {
    /// Its place in the chain.
    pub seq: u64,
    /// When (RFC 3339).
    pub time: String,
    /// Who did it: an operator's name, a vendor's client, or the gateway.
    pub actor: String,
    /// What was done, in a stable word.
    pub act: String,
    /// What it was done to.
    pub subject: String,
    /// Why: a person's words, or a stable reason.
    #[serde(default)]
    pub reason: String,
    /// Figures and names.
    #[serde(default)]
    pub detail: serde_json::Value,
    /// The code of the line before, in hex.
    pub prev: String,
    /// The code of this line, in hex.
    pub mac: String,
}

/// Where to begin in the audit trail: every given member holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AuditQuery {
    /// Not before this time.
    pub since: Option<UnixTime>,
    /// Only what comes after this place in the chain.
    pub after: Option<u64>,
    /// At most so many, from 1 to [`crate::bounds::AUDIT_PAGE_MAX`].
    pub limit: usize,
}

/// A call that was refused.
#[derive(Debug, Clone, Copy)]
pub struct RefusedCall<'a> {
    /// When it was refused.
    pub at: UnixTime,
    /// The other end of the connection.
    pub peer: AdminPeer,
    /// The operator, where the token was right.
    pub operator: Option<&'a str>,
    /// The call as the table writes it, such as `POST /v1/vendors/{vendor}/kill`; `None` for none of the table.
    pub call: Option<&'a str>,
    /// The stable reason that was answered.
    pub reason: &'static str,
    /// The id that was answered.
    pub request_id: &'a str,
}

/// What was kept, and what is kept of refused calls.
pub trait RecordControl {
    /// What left to a vendor; all that is kept when no time is given.
    fn exposure(&self, vendor: &VendorId, since: Option<UnixTime>) -> impl ControlFuture<ExposureReport>;

    /// The categories of personal data that left today, to each vendor.
    fn categories(&self) -> impl ControlFuture<CategoryReport>;

    /// The request of this id, if it was refused or broke off and is remembered.
    fn failed_request(&self, request_id: &str) -> Option<FailedRequest>;

    /// The audit trail, oldest first.
    fn audit(&self, query: AuditQuery) -> impl ControlFuture<AuditPage>;

    /// Audits a call that was refused.
    fn refused(&self, call: &RefusedCall<'_>);
}

const VENDOR: QueryParameter = QueryParameter::required("vendor", "The vendor's id");
const REQUEST: QueryParameter = QueryParameter::required("id", "The request's id: 32 hexadecimal digits");
const SINCE: QueryParameter = QueryParameter::optional("since", "A time (RFC 3339), or how long ago: 24h, 7d");
const AFTER: QueryParameter = QueryParameter::optional("after", "Only entries after this sequence number");
const LIMIT: QueryParameter = QueryParameter::optional("limit", "At most so many entries, up to 1000");

impl<C: AdminControl> AdminApi<C> {
    pub(super) const RECORDS: &'static [Endpoint<C>] = &[
        EndpointSpec::get("/v1/exposure", "What left to a vendor")
            .parameters(&[VENDOR, SINCE])
            .answers(&[schema::<ExposureReport>])
            .on_gateway(OperatorRole::Viewer, |api, call| {
                Box::pin(async move {
                    let vendor = VendorId::parse(call.query.value("vendor").unwrap_or_default());
                    let vendor = vendor.map_err(|_| AdminError::QueryMalformed("write ?vendor=ID"))?;
                    let since = call.query.since(api.now().wall)?;
                    json_result(api.control.exposure(&vendor, since).await)
                })
            }),
        EndpointSpec::get("/v1/categories", "Categories of personal data that left today (UTC), by vendor")
            .answers(&[schema::<CategoryReport>])
            .on_gateway(OperatorRole::Viewer, |api, _| {
                Box::pin(async move { json_result(api.control.categories().await) })
            }),
        EndpointSpec::get("/v1/audit", "The audit trail, oldest first")
            .parameters(&[SINCE, AFTER, LIMIT])
            .answers(&[schema::<AuditPage>])
            .on_gateway(OperatorRole::Viewer, |api, call| {
                Box::pin(async move {
                    let (since, after) = (call.query.since(api.now().wall)?, call.query.after()?);
                    let query = AuditQuery { since, after, limit: call.query.limit()? };
                    json_result(api.control.audit(query).await)
                })
            }),
        EndpointSpec::get("/v1/requests", "Why a request was refused or broke off, while the gateway remembers it")
            .parameters(&[REQUEST])
            .answers(&[schema::<FailedRequest>])
            .on_gateway(OperatorRole::Viewer, |api, call| {
                Box::pin(async move {
                    let id = call.query.value("id").ok_or(AdminError::QueryMalformed("write ?id=REQUEST_ID"))?;
                    let failed = api.control.failed_request(id);
                    let failed = failed.ok_or(AdminError::Control(ControlError::RequestUnknown))?;
                    Ok(reply::json(&failed))
                })
            }),
    ];
}
