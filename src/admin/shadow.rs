//! The destinations that our services asked for and no contract lists.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::api::AdminApi;
use super::control::AdminControl;
use super::endpoint::{Endpoint, EndpointSpec, schema};
use super::reply;
use crate::config::OperatorRole;
use crate::model::UnixTime;

/// What our services asked for beside the contracts, since the start of the process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShadowReport {
    /// The destinations, those that were asked for most first.
    pub destinations: Vec<ShadowDestination>,
    /// How often a destination was asked for that is in no contract.
    pub asked: u64,
    /// How often it is not among these, because the list was full.
    pub unlisted: u64,
}

/// A destination that is in no contract, and who asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShadowDestination {
    /// `host:port`, or `/name` where a path named no vendor.
    pub destination: String,
    /// Our service that asked, where it has proven its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// How often.
    pub count: u64,
    /// How often it was let pass (`listeners.egress.unknown: report`); else it was refused.
    #[serde(default)]
    pub passed: u64,
    /// The first time (RFC 3339).
    pub first_seen: UnixTime,
    /// The last time (RFC 3339).
    pub last_seen: UnixTime,
}

/// What was asked for beside the contracts.
pub trait ShadowControl {
    /// The destinations that no contract lists.
    fn shadow(&self) -> ShadowReport;
}

impl<C: AdminControl> AdminApi<C> {
    pub(super) const SHADOW: &'static [Endpoint<C>] =
        &[EndpointSpec::get("/v1/shadow", "Destinations that our services asked for and no contract lists")
            .answers(&[schema::<ShadowReport>])
            .on_gateway(OperatorRole::Viewer, |api, _| Box::pin(async { Ok(reply::json(&api.control.shadow())) }))];
}
