//! The stages of the customers' journey that vendors take part in, and which of them are degraded.
//!
//! A stage is what contracts name under `journey:`. It is degraded while a vendor of it is killed, the circuit of one
//! of its upstreams is open, or fallbacks answer for it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::api::AdminApi;
use super::control::AdminControl;
use super::endpoint::{Endpoint, EndpointSpec, schema};
use super::reply;
use crate::config::OperatorRole;
use crate::model::Direction;

/// The journey.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JourneyReport {
    /// Sorted by name.
    pub stages: Vec<JourneyStage>,
}

/// A stage of the journey.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JourneyStage {
    /// Its name, as contracts write it under `journey:`.
    pub stage: String,
    /// Whether a vendor does not serve it as it should.
    pub degraded: bool,
    /// The vendors that take part in it.
    pub vendors: Vec<String>,
    /// Those that do not serve it as they should.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<DegradedVendor>,
}

/// A vendor that does not serve its stages as it should.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DegradedVendor {
    /// The vendor's id.
    pub vendor: String,
    /// One or more of `killed` (wholly or in part), `circuit_open` and `fallback` (one has answered within a minute).
    pub why: Vec<String>,
}

/// An upstream of a vendor above whose connections anything stands: targets, health checks, retries, a circuit breaker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UpstreamStatus {
    /// Which way the requests of its routes go.
    pub direction: Direction,
    /// Its name.
    pub upstream: String,
    /// Its targets.
    pub targets: Vec<TargetStatus>,
    /// `open` (also while a few requests try) or `closed`; left out where there is no circuit breaker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub circuit: Option<String>,
    /// How often the circuit opened since the process started.
    pub circuit_openings: u64,
    /// Requests that were sent again.
    pub retries: u64,
    /// Retries that the budget had no room for.
    pub retries_over_budget: u64,
}

/// A target of an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TargetStatus {
    /// Host and port.
    pub target: String,
    /// `healthy`, `unhealthy` (by health checks) or `ejected` (requests to it have failed).
    pub state: String,
    /// How often it was ejected since the process started.
    pub ejections: u64,
}

impl<C: AdminControl> AdminApi<C> {
    pub(super) const JOURNEY: &'static [Endpoint<C>] =
        &[EndpointSpec::get("/v1/journey", "The stages of the customers' journey, and which of them are degraded")
            .answers(&[schema::<JourneyReport>])
            .on_gateway(OperatorRole::Viewer, |api, _| Box::pin(async { Ok(reply::json(&api.control.journey())) }))];
}
