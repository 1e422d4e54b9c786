//! The fleet of gateways: who is heard of, who differs, and whether this gateway is cut off from the others.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::api::AdminApi;
use super::control::AdminControl;
use super::endpoint::{Endpoint, EndpointSpec, schema};
use super::reply;
use crate::config::OperatorRole;
use crate::model::is_default;

/// The fleet as this gateway knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FleetReport {
    /// The fleet's name; empty where the gateway belongs to none.
    pub name: String,
    /// This gateway's name in it.
    pub node: String,
    /// Whether everything that the fleet shares was here once since the start.
    pub synced: bool,
    /// Whether the engine has not been heard of for three seconds.
    pub partitioned: bool,
    /// Milliseconds since the engine was last heard of; absent before the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_age_ms: Option<u64>,
    /// Why there is no connection to the engine, where there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// The gateways that were heard of within the last hour, by name.
    pub gateways: Vec<FleetGateway>,
}

/// One gateway of the fleet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FleetGateway {
    /// Its name.
    pub node: String,
    /// `live`, or `unseen` where it was not heard of for ten seconds: it may still serve, and is not counted as safe.
    pub state: String,
    /// Milliseconds since it was last heard of.
    pub unseen_ms: u64,
    /// Its version.
    pub version: String,
    /// Whether another process has the same name: orders are then confirmed by one for the other.
    #[serde(default, skip_serializing_if = "is_default")]
    pub name_taken: bool,
    /// Vendors whose contract's file there is not the same as here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differs: Vec<String>,
    /// Whether its audit trail ends before what it once had said: lines were cut off.
    #[serde(default, skip_serializing_if = "is_default")]
    pub audit_cut: bool,
}

/// The fleet.
pub trait FleetControl {
    /// What this gateway knows of its fleet.
    fn fleet(&self) -> FleetReport;
}

impl<C: AdminControl> AdminApi<C> {
    pub(super) const FLEET: &'static [Endpoint<C>] =
        &[EndpointSpec::get("/v1/fleet", "The gateways of the fleet, and which of them differ")
            .answers(&[schema::<FleetReport>])
            .on_gateway(OperatorRole::Viewer, |api, _| Box::pin(async { Ok(reply::json(&api.control.fleet())) }))];
}
